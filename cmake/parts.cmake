# The libraries that slabd stands on, and how sources are found.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(EVENT REQUIRED IMPORTED_TARGET libevent_core>=2.1)
pkg_check_modules(EVENT_EXTRA REQUIRED IMPORTED_TARGET libevent_extra>=2.1)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c>=1.4)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(NCURSES REQUIRED IMPORTED_TARGET ncursesw)
pkg_check_modules(INIH REQUIRED IMPORTED_TARGET inih)
if(SLABD_TESTS)
  pkg_check_modules(CRITERION REQUIRED IMPORTED_TARGET criterion)
endif()
# Probes (shm/probe.h) where sys/sdt.h is; off, they are not there at all.
include(CheckIncludeFile)
check_include_file(sys/sdt.h HAVE_SYS_SDT_H)
option(SLABD_PROBES "Static probes for perf, bpftrace, SystemTap and gdb" ${HAVE_SYS_SDT_H})
if(SLABD_PROBES)
  add_compile_definitions(SLABD_PROBES)
endif()
# SLABD_POISON=1 (client/poison.c): for AddressSanitizer nothing is needed, for valgrind its header.
check_include_file(valgrind/memcheck.h HAVE_VALGRIND_MEMCHECK_H)
option(SLABD_POISON "Poison freed objects for AddressSanitizer and valgrind where the environment asks" ON)
find_path(UTHASH_INCLUDE uthash.h REQUIRED)
find_program(PROTOC_C protoc-c REQUIRED)

# slabd_glob(VARIABLE PATTERN): the matching files as absolute paths; a file that comes or goes
# makes the next build configure again.
function(slabd_glob variable pattern)
  file(GLOB found CONFIGURE_DEPENDS LIST_DIRECTORIES false ${PROJECT_SOURCE_DIR}/${pattern})
  set(${variable} ${found} PARENT_SCOPE)
endfunction()
