#!/bin/bash
# install.sh CMAKE BUILD-DIR CC [FLAGS]: installs into a fresh prefix, moves it (packages must not
# remember where they were built), and builds and runs consumer.c against it as C and as C++, shared
# and static, by pkg-config and by find_package. README.md's C example must compile as well.
set -eu
cmake=$1 build=$2 cc=$3 flags=${4-}
here=$(cd "$(dirname "$0")" && pwd)
case $cc in *clang*) cxx=clang++ ;; *) cxx=g++ ;; esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

DESTDIR= "$cmake" --install "$build" --prefix "$work/first" >install.log
mv first prefix
for file in sbin/slabd bin/slabctl include/slabd/slabd.h include/slabd/kmem.h \
	share/bash-completion/completions/slabctl share/zsh/site-functions/_slabctl \
	share/fish/vendor_completions.d/slabctl.fish \
	share/doc/slabd/examples/bpftrace/slabd-refills.bt; do
	[ -e "prefix/$file" ] || { echo "not installed: $file" >&2; exit 1; }
done
[ -n "$(find "prefix/share/gdb/auto-load$work" -name 'libslabd.so.*-gdb.py')" ] || { echo "not installed: gdb's script" >&2; exit 1; }
prefix/bin/slabctl --version >/dev/null
prefix/sbin/slabd --version >/dev/null

pc=$(dirname "$(find prefix -name libslabd.pc)")
export PKG_CONFIG_PATH="$work/$pc"
lib=$(pkg-config --variable=libdir libslabd)
warn="-Wall -Wextra -Werror -Wundef -Wshadow -pedantic"
cp "$here/consumer.c" c.c
cp "$here/consumer.c" cxx.cpp
sed -n '/^```c$/,/^```$/{/^```/!p}' "$here/../../README.md" >readme.c
[ -s readme.c ] || { echo "README.md has no C example" >&2; exit 1; }

# shellcheck disable=SC2046,SC2086 # flags are lists
build_run() { # NAME COMPILER... : builds with pkg-config, shared and static, and runs both
	local name=$1
	shift
	"$@" $flags $warn -o "$name-shared" $(pkg-config --cflags --libs libslabd)
	"$@" $flags $warn -o "$name-static" $(pkg-config --cflags libslabd) \
		$(pkg-config --static --libs libslabd | sed 's/-lslabd/-l:libslabd.a/')
	LD_LIBRARY_PATH=$lib "./$name-shared"
	"./$name-static"
	if ldd "./$name-static" | grep libslabd; then echo "$name-static links the shared library" >&2; exit 1; fi
}
build_run c "$cc" -std=c11 c.c
build_run cxx "$cxx" -std=c++17 cxx.cpp
# shellcheck disable=SC2046,SC2086
"$cc" $flags -std=c17 $warn readme.c -o readme $(pkg-config --cflags --libs libslabd)

"$cmake" -S "$here" -B find -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_C_COMPILER="$cc" \
	-DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_C_FLAGS="$flags" -DCMAKE_CXX_FLAGS="$flags" >find.log || {
	cat find.log >&2
	exit 1
}
"$cmake" --build find >find.log || { cat find.log >&2; exit 1; }
for program in c_slabd c_slabd_static cxx_slabd cxx_slabd_static; do "find/$program"; done
echo "install: pkg-config and find_package, C and C++, shared and static"
