#!/bin/bash
# run.sh SOURCE CMAKE BUILD CC LIBSLABD: the probes are those of docs/probes.md; gdb and bpftrace meet them where they
# can; and they cost no instruction of alloc and free, nor does SLABD_POISON, by callgrind, against a library without both.
set -eu
source=$1 cmake=$2 build=$3 cc=$4 library=$5
work=$(mktemp -d)
slabd=
# shellcheck disable=SC2064 # this directory
trap "[ -z \"\$slabd\" ] || kill \$slabd; wait; rm -rf '$work'" EXIT
cd "$work"

fail() { echo "probes: $*" >&2; exit 1; }
names() { readelf -n "$1" | awk '/Provider: slabd/ { p = 1 } p && /Name:/ { print $2; p = 0 }' | sort -u; }

[ -n "$(names "$library")" ] || { echo "probes: built without <sys/sdt.h>: there are none"; exit 0; }
documented() { sed -n "$1" "$source/docs/probes.md" | sed -n 's/^| `\([a-z_]*\)` .*/\1/p' | sort; }
diff <(documented '/^In `libslabd/,/^In `slabd/p') <(names "$library") >&2 || fail "docs/probes.md and libslabd differ"
diff <(documented '/^In `slabd/,$p') <(names "$SLABD_BIN") >&2 || fail "docs/probes.md and slabd differ"

"$cc" -O1 -g "$source/tests/probes/client.c" -o client -I"$source/client/include" "$library"
"$SLABD_BIN" --socket "$work/s" --size 64M 2>slabd.log &
slabd=$!
export SLABD_ADDRESS=$work/s
"$SLABCTL_BIN" ping --wait >/dev/null
lib=$(dirname "$library")
client() { LD_LIBRARY_PATH=$lib "$@" ./client "$work/s" "${pairs:-100}"; }
client || { cat slabd.log >&2; fail "the client fails"; }

# --- gdb: stops at each, once at least, with arguments that are what they should be
if command -v gdb >/dev/null; then
	for name in $(names "$library"); do
		printf 'break -probe-stap slabd:%s\ncommands\nsilent\n' "$name"
		case $name in
		alloc | free) printf 'printf "%s %%d\\n", $_probe_arg1 != 0\n' "$name" ;;
		*) printf 'printf "%s %%s\\n", (char *)$_probe_arg0\n' "$name" ;;
		esac
		printf 'continue\nend\n'
	done >gdb.in
	pairs=3 client gdb -nx -batch -ex 'set breakpoint pending on' -ex 'set debuginfod enabled off' -x gdb.in -ex run --args >gdb.out 2>&1 || true
	for line in "attach $work/s" 'refill__start probed' 'refill__end probed' 'claim probed' 'free__refused probed' 'alloc 1' 'free 1'; do
		grep -qxF "$line" gdb.out || { cat gdb.out >&2; fail "gdb does not see: $line"; }
	done
	[ "$(grep -cx 'alloc 1' gdb.out)" = 4 ] || { cat gdb.out >&2; fail "gdb sees another number of allocs"; }
	[ "$(grep -cx 'free 1' gdb.out)" -ge 4 ] || { cat gdb.out >&2; fail "gdb sees another number of frees"; }
	echo "probes: gdb meets them all"
else
	echo "probes: no gdb here"
fi

# --- bpftrace: each script, with our paths
watch_once() { # SCRIPT PATTERN... : clients come and go; were all patterns printed?
	local script=$1 pid pattern
	shift
	sed "s|/usr/lib/x86_64-linux-gnu/libslabd.so.0|$library|; s|/usr/sbin/slabd|$SLABD_BIN|" \
		"$source/docs/bpftrace/$script" >"$script"
	bpftrace -B none "$script" >bpf.out 2>&1 &
	pid=$!
	until grep -q '^Attaching' bpf.out; do kill -0 $pid 2>/dev/null || break; done
	for try in {1..20}; do client; done
	# histograms come at the end; a signal before it listens is lost
	while kill -INT $pid 2>/dev/null; do client; done
	wait $pid || { cat bpf.out >&2; fail "$script fails"; }
	for pattern; do grep -q "$pattern" bpf.out || { missed="$script does not print $pattern"; return 1; }; done
}
# "Attaching" is said before it is done: on a busy machine all clients may be gone by then.
watch() {
	watch_once "$@" || watch_once "$@" || { cat bpf.out >&2; fail "$missed"; }
}
if command -v bpftrace >/dev/null && [ "$(id -u)" = 0 ] && timeout 20 bpftrace -e 'BEGIN { exit(); }' >/dev/null 2>&1; then
	watch slabd-refills.bt '^@us\[probed\]' '^@refills\[client, probed\]'
	watch slabd-deaths.bt ' attached ' ' died ' ' reclaimed ' '^@reclaimed_us'
	watch slabd-churn.bt 'cache probed: free of 0x[0-9a-f]* refused: double free' '^@claims\[client, probed\]' '^@allocs\[client\]'
	echo "probes: bpftrace sees them"
else
	echo "probes: no bpftrace that may be used here"
fi

# --- callgrind: instructions of a pair of alloc and free, with and without
counted() { # LIBRARY-DIRECTORY PAIRS
	LD_LIBRARY_PATH=$1 valgrind --tool=callgrind --callgrind-out-file=/dev/null ./client "$work/s" "$2" 2>&1 |
		sed -n 's/.*Collected : \([0-9]*\)$/\1/p'
}
# In hundredths: attaching is never twice the same, and is drowned in pairs.
pair() { echo $((($(counted "$1" 401000) - $(counted "$1" 1000)) / 4000)); }
if ! command -v valgrind >/dev/null; then
	echo "probes: no valgrind here: not counted"
	exit 0
fi
"$cmake" -S "$source" -B "$build/noprobes" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_C_COMPILER="$cc" -DSLABD_PROBES=OFF -DSLABD_POISON=OFF \
	-DSLABD_TESTS=OFF >build.log 2>&1 && "$cmake" --build "$build/noprobes" --target libslabd -j 2 >>build.log 2>&1 ||
	{ cat build.log >&2; fail "does not build without probes"; }
[ -z "$(names "$build/noprobes/lib/libslabd.so")" ] || fail "there are probes though none were wanted"
with=$(pair "$lib") without=$(pair "$build/noprobes/lib")
decimal() { echo $(($1 / 100)).$(($1 / 10 % 10))$(($1 % 10)); }
[ $(((with - without) ** 2)) -lt 2500 ] ||
	fail "a pair of alloc and free is $(decimal $with) instructions with probes and poison, $(decimal $without) without"
echo "probes: a pair of alloc and free is $(decimal $with) instructions with probes and poison, $(decimal $without) without"
