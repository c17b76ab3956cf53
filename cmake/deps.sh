#!/bin/bash
# deps.sh [demo] [clang] [deb] [test] [bench]: sees to it that
# what building needs is there, plus what the words name.
# Silent and quick when nothing is missing; else installs the missing Debian packages.
set -eu

missing=()
library() { pkg-config --exists "$1" 2>/dev/null || missing+=("$2"); }
program() { command -v "$1" >/dev/null || missing+=("$2"); }
header() { echo "#include <$1>" | ${CC:-cc} -E -x c - >/dev/null 2>&1 || missing+=("$2"); }

program gcc gcc
program g++ g++ # the C++ consumer of the install test
program cmake cmake
program ninja ninja-build
program pkg-config pkg-config
program protoc-c protobuf-c-compiler
library libevent_core libevent-dev
library libprotobuf-c libprotobuf-c-dev
library criterion libcriterion-dev
library jansson libjansson-dev
library inih libinih-dev
library ncursesw libncurses-dev
header uthash.h uthash-dev
header sys/sdt.h systemtap-sdt-dev
header stdlib.h libc6-dev
for word; do
	case $word in
	demo) program wrk wrk ;;
	clang) program clang clang ;;
	deb)
		program dpkg-shlibdeps dpkg-dev
		program file file
		;;
	test) # tools that tests call; where one is missing they say what they leave out
		# where systemd runs, the package would start a server
		[ -d /run/systemd/system ] || program promtool prometheus
		program chromium chromium
		program gdb gdb
		program valgrind valgrind
		program bpftrace bpftrace
		program zsh zsh
		program fish fish
		program groff groff
		program spin spin
		program patch patch
		program systemd-analyze systemd
		;;
	bench) # whom slabd is measured against; who is missing is left out
		library jemalloc libjemalloc-dev
		library libtcmalloc_minimal libgoogle-perftools-dev
		library libdpdk libdpdk-dev
		header mimalloc.h libmimalloc-dev
		[ -e /usr/include/boost/version.hpp ] || missing+=(libboost-dev)
		program valgrind valgrind
		;;
	*) echo "deps.sh: unknown word $word" >&2; exit 2 ;;
	esac
done
[ ${#missing[@]} -eq 0 ] && exit 0

mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
echo "missing: ${missing[*]}" >&2
if ! command -v apt-get >/dev/null; then
	echo "deps: no apt-get here: install the equivalents of these Debian packages, then run make again" >&2
	exit 1
fi
root=()
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "deps: neither root nor sudo: have an administrator run: apt-get install ${missing[*]}" >&2
		exit 1
	fi
	root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q update
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}"
