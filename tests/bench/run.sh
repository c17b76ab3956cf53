#!/bin/bash
# run.sh [--json] [--quick] [--svg=FILE] [WORKLOAD...]
#
# slabd beside its peers, on a slabd of its own: a table for people, or one JSON document; workloads are
# W1 to W10 and counts (of instructions, by callgrind), all without a choice. The programs are $SLABD_BIN, $SLABCTL_BIN and those in
# $SLABD_BIN_DIR, by default build/release/bin. Speeds are told, never judged; what bench_memory judges
# is the exit status. --test: a little of everything, no matter how slow, for ctest.
set -u

here=$(cd "$(dirname "$0")" && pwd)
bin=${SLABD_BIN_DIR:-$(dirname "${SLABD_BIN:-$here/../../build/release/bin/slabd}")}
export SLABD_BIN=${SLABD_BIN:-$bin/slabd} SLABCTL_BIN=${SLABCTL_BIN:-$bin/slabctl} SLABD_BIN_DIR=$bin
for argument; do # as whoever called; below it is an ordinary user
	case $argument in --svg=*) exec 3>"${argument#--svg=}" || exit 2 ;; esac
done
if [ "$(id -u)" = 0 ] && [ -z "${SLABD_TEST_DIR-}" ]; then
	exec "$here/../support/unprivileged" "$here/run.sh" "${@/#--svg=*/--svg}"
fi
for program in "$SLABD_BIN" "$SLABCTL_BIN" "$bin"/bench{-driver,-slabd,_memory}; do
	[ -x "$program" ] || { echo "bench: $program is missing: run make build" >&2; exit 2; }
done
json=no quick=no svg=no options=() workloads=()
for argument; do
	case $argument in
	--json) json=yes ;;
	--quick) quick=yes ;;
	--test) quick=test ;;
	--svg*) svg=yes ;;
	W* | counts) workloads+=("$argument") ;;
	*) sed -n '2s/^# /usage: /p' "$0" >&2; exit 2 ;;
	esac
done
wants() { [[ ${#workloads[@]} -eq 0 || " ${workloads[*]} " = *" $1 "* ]]; }

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
load_now() { cut -d ' ' -f 1-3 /proc/loadavg; }
load=$(load_now)

fresh_slabd() { # [MiB]
	stop_slabd
	"$SLABD_BIN" --socket "$SLABD_ADDRESS" --size "${1:-2048}M" >"$dir/slabd.log" 2>&1 &
	SLABD_PID=$!
	export SLABD_PID
	"$SLABCTL_BIN" ping --wait=10 >/dev/null && return
	echo "bench: slabd did not come up:" >&2
	cat "$dir/slabd.log" >&2
	exit 2
}

worst=0
part() { # NAME PROGRAM ARGUMENT...: its table, or a member of the JSON document
	"$bin/$2" "${@:3}" >"$dir/out"
	local status=$?
	[ $status -gt $worst ] && worst=$status
	[ $status -ne 0 ] && echo "bench: $2 ended with status $status" >&2
	[ -s "$dir/out" ] || return
	if [ $json = no ]; then
		cat "$dir/out"
	else
		printf ',\n"%s":%s' "$1" "$(cat "$dir/out")"
	fi
}

# Of an alloc or a free with its share of exchanges, the loop's own two or three included; a word where
# callgrind can't run the peer.
instructions() { # PEER alloc|free
	valgrind --tool=callgrind --callgrind-out-file="$dir/counted" --collect-atstart=no \
		--toggle-collect="count_$2" "$bin/bench-$1" 64 100000 count >/dev/null 2>&1 || return
	awk '/^totals:/ { printf "%.1f", $2 / 20000 }' "$dir/counted"
}
counts() {
	local peer alloc free comma=
	command -v valgrind >/dev/null || { echo "bench: no valgrind: instructions are not counted" >&2; return; }
	[ $json = yes ] && printf ',\n"instructions":['
	[ $json = no ] && printf '\nInstructions by callgrind, 64 bytes, 1,000 in a batch (alloc: touched too)\n\n%-16s%8s%8s\n' '' alloc free
	for peer in slabd_inlined slabd dpdk tcmalloc mimalloc jemalloc glibc boost treiber mutex stack; do
		[ $quick = yes ] && [[ $peer != slabd* ]] && continue
		[ -x "$bin/bench-$peer" ] || continue
		alloc=$(instructions $peer alloc) free=$(instructions $peer free)
		if [ $json = no ]; then
			printf '%-16s%8s%8s\n' $peer "${alloc:--}" "${free:--}"
		else
			printf '%s{"name":"%s","alloc":%s,"free":%s}' "$comma" $peer "${alloc:-null}" "${free:-null}"
			comma=,
		fi
	done
	[ $json = yes ] && printf ']'
}

[ $json = yes ] && options+=(--json)
driver_options=("${options[@]}")
[ $quick = yes ] && driver_options+=(--quick)
[ $quick = test ] && driver_options+=(--rounds=1) && workloads=(W1 W3 W4 W7)
[ $svg = yes ] && driver_options+=("--svg=$dir/bench.svg")
if [ $json = no ]; then
	echo "machine    $cpu, $cpus CPUs, Linux $kernel, load $load"
	echo "hugepages  $pages; $modes"
else
	printf '{"machine":{"cpu":"%s","cpus":%d,"kernel":"%s","hugepages":"%s","thp":"%s","load":"%s"}' \
		"$cpu" "$cpus" "$kernel" "$pages" "$modes" "$load"
fi
fresh_slabd
part peers bench-driver "${driver_options[@]}" "${workloads[@]}"
[ $svg = yes ] && [ -s "$dir/bench.svg" ] && cat "$dir/bench.svg" >&3
if wants W6; then
	fresh_slabd
	part memory bench_memory "${options[@]}"
fi
if [[ " ${workloads[*]-} " = *" W8 "* ]]; then # slow: only when it is asked for
	fresh_slabd
	[ $json = no ] && { echo; "$SLABCTL_BIN" status | grep -i backing; }
	part walk bench_walk "${options[@]}"
fi
if wants W9; then
	fresh_slabd
	part growth bench_growth "${options[@]}"
	for mib in 64 512 8192; do
		fresh_slabd $mib
		BENCH_HEAP_MIB=$mib part "growth_heap_$mib" bench_growth "${options[@]}"
	done
fi
wants counts && counts
if [ $json = no ]; then echo "load at the end: $(load_now)"; else printf ',\n"load_at_end":"%s"}\n' "$(load_now)"; fi
exit $worst
