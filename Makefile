# The front door. The build itself is CMake's (CMakeLists.txt, CMakePresets.json); each rule here is
# what one would type.
SHELL  = /bin/bash
PREFIX = /usr/local
PRESET = release
HOURS  = 1
BUILD  = build/$(PRESET)
SLABD  = SLABD_BIN=$(CURDIR)/$(BUILD)/bin/slabd SLABCTL_BIN=$(CURDIR)/$(BUILD)/bin/slabctl \
         SLABD_BIN_DIR=$(CURDIR)/$(BUILD)/bin
PRIVATE = tests/support/unprivileged

.PHONY: help deps build demo test bench soak debug asan tsan clang install deb format clean

help:
	@echo 'make demo      install what is missing, build, run a multi-process server on a pool under load'
	@echo 'make test      the whole suite: release, then ASan+UBSan, then TSan'
	@echo 'make bench     speed and memory beside other allocators; QUICK=1, JSON=1, WORKLOADS="W1 W2"'
	@echo 'make soak      the long checks of the model, then HOURS=n of the kill storm, a line a minute'
	@echo 'make build     build/release/bin/slabd, slabctl; build/release/lib/libslabd.{so,a}'
	@echo 'make install   into PREFIX=$(PREFIX)'
	@echo 'make deb       Debian packages into build/deb/packages'
	@echo 'make debug | asan | tsan | clang   build and test one preset'
	@echo 'make deps      install what building needs (Debian packages)'
	@echo 'make format    clang-format over all sources'
	@echo 'make clean     remove build/'

deps:
	@cmake/deps.sh

build: deps
	@cmake/build.sh $(PRESET)

demo: build
	@cmake/deps.sh demo
	@$(SLABD) SLABD_DEMO_BIN=$(CURDIR)/$(BUILD)/bin/slabd-demo $(PRIVATE) $(CURDIR)/tests/demo/run.sh

bench: deps
	@cmake/deps.sh bench || echo 'make bench: goes on without the peers that are missing' >&2
	@cmake --preset $(PRESET) >/dev/null
	@cmake/build.sh $(PRESET)
	@$(SLABD) tests/bench/run.sh --svg=build/bench.svg $(if $(QUICK),--quick) $(if $(JSON),--json) \
		$(WORKLOADS)

soak: build
	@tests/model/run.sh long
	@$(SLABD) $(PRIVATE) $(CURDIR)/$(BUILD)/bin/slabd-storm --hours=$(HOURS)

test: deps
	@cmake/deps.sh deb test || echo 'make test: goes on; tests that need what is missing say so and are left out' >&2
	@cmake/check.sh release asan tsan

debug asan tsan: deps
	@cmake/check.sh $@

clang:
	@cmake/deps.sh clang
	@cmake/check.sh clang

install:
	@[ -e $(BUILD)/bin/slabd ] || $(MAKE) build
	cmake --install $(BUILD) --prefix $(PREFIX)

# Units name /usr, and CMake keeps what a folder was configured with.
deb: deps
	@cmake/deps.sh deb
	cmake --preset deb
	cmake --build --preset deb -j "$$(nproc)"
	cd build/deb && cpack -B packages

format:
	git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	rm -rf build
