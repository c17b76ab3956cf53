#!/bin/bash
# run.sh [--json] [--rounds=N] [--size=BYTES]
#
# Every bench on a slabd of its own; a table for people, or one JSON document. The programs are
# $SLABD_BIN, $SLABCTL_BIN and $SLABD_BIN_DIR/bench_*, by default those in build/release/bin.
# Speeds are told, never judged; memory has a limit, and the exit status says whether it held.
set -u

here=$(cd "$(dirname "$0")" && pwd)
bin=${SLABD_BIN_DIR:-$here/../../build/release/bin}
export SLABD_BIN=${SLABD_BIN:-$bin/slabd} SLABCTL_BIN=${SLABCTL_BIN:-$bin/slabctl} SLABD_BIN_DIR=$bin
if [ "$(id -u)" = 0 ] && [ -z "${SLABD_TEST_DIR-}" ]; then # as an ordinary user would
	exec "$here/../support/unprivileged" "$here/run.sh" "$@"
fi
for program in "$SLABD_BIN" "$SLABCTL_BIN" "$bin"/bench_{single,transfer,memory}; do
	[ -x "$program" ] || { echo "bench: $program is missing: run make build" >&2; exit 2; }
done
json=no
for argument; do [ "$argument" = --json ] && json=yes; done

dir=$(mktemp -d "${TMPDIR:-/tmp}/slabd-bench.XXXXXX") || exit 2
export SLABD_ADDRESS=$dir/slabd.sock
SLABD_PID=
stop_slabd() {
	[ -n "$SLABD_PID" ] && kill -TERM "$SLABD_PID" 2>/dev/null && wait "$SLABD_PID" 2>/dev/null
	SLABD_PID=
}
# Heaps that are loaded late keep thread-local memory of the static kind (glibc's default: 512 bytes).
export GLIBC_TUNABLES=${GLIBC_TUNABLES:+$GLIBC_TUNABLES:}glibc.rtld.optional_static_tls=16384
trap 'stop_slabd; rm -rf -- "$dir"' EXIT
trap 'exit 130' INT TERM

# ---- the machine, since no figure means anything without it
first() { head -n 1 "$1" 2>/dev/null || echo unknown; }
chosen() { sed -n 's/.*\[\(.*\)\].*/\1/p' "$1" 2>/dev/null || echo unknown; }
huge=/sys/kernel/mm/hugepages/hugepages-2048kB
thp=/sys/kernel/mm/transparent_hugepage
cpu=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)
cpus=$(getconf _NPROCESSORS_ONLN)
kernel=$(uname -r)
pages="$(first $huge/free_hugepages) of $(first $huge/nr_hugepages) free"
modes="THP $(chosen $thp/enabled), for shared memory $(chosen $thp/shmem_enabled)"
load=$(cut -d ' ' -f 1-3 /proc/loadavg)

fresh_slabd() {
	stop_slabd
	"$SLABD_BIN" --socket "$SLABD_ADDRESS" --size 1G >"$dir/slabd.log" 2>&1 &
	SLABD_PID=$!
	export SLABD_PID
	"$SLABCTL_BIN" ping --wait=10 >/dev/null && return
	echo "bench: slabd did not come up:" >&2
	cat "$dir/slabd.log" >&2
	exit 2
}

worst=0
bench() { # NAME ARGUMENT...
	"$bin/bench_$1" "${@:2}" >"$dir/out"
	local status=$?
	[ $status -gt $worst ] && worst=$status
	if [ $json = no ]; then
		cat "$dir/out"
	else
		printf '"%s":%s' "$1" "$(cat "$dir/out")"
	fi
	[ -s "$dir/out" ] || echo "bench: bench_$1 ended with status $status" >&2
}

if [ $json = no ]; then
	echo "machine    $cpu, $cpus CPUs, Linux $kernel, load $load"
	echo "hugepages  $pages; $modes"
	fresh_slabd
	"$SLABCTL_BIN" status | grep -i backing
	bench single "$@"
	bench transfer "$@"
	fresh_slabd
	bench memory "$@"
else
	fresh_slabd
	printf '{"machine":{"cpu":"%s","cpus":%d,"kernel":"%s","hugepages":"%s","thp":"%s","load":"%s"},\n' \
		"$cpu" "$cpus" "$kernel" "$pages" "$modes" "$load"
	bench single "$@"
	printf ',\n'
	bench transfer "$@"
	fresh_slabd
	printf ',\n'
	bench memory "$@"
	echo '}'
fi
exit $worst
