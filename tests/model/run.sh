#!/bin/bash
# run.sh short|long [NAME...]: checks the protocol's model with Spin; README.md says what that proves.
#
# A scenario is the correct protocol with some operations and bounds: it must be searched through
# without an error. A broken variant is a scenario with one fault planted: it must be rejected.
# NAMEs choose scenarios and variants; default: all. Ends with status 0 if everything was as it must,
# with 77 where a tool is missing.
set -u

usage() { echo "usage: run.sh short|long [NAME...]" >&2; exit 2; }
size=${1-}
case $size in short | long) shift ;; *) usage ;; esac
here=$(cd "$(dirname "$0")" && pwd) || exit 2
for tool in spin gcc; do
	command -v "$tool" >/dev/null && continue
	echo "run.sh: skipped: $tool is missing; install it: apt-get install $tool" >&2
	exit 77
done

MEMORY_MB=3800 # of one run: the verifier ends itself there
DEPTH=1000000  # steps of a path: a run that meets it was not exhaustive
jobs=${SLABD_MODEL_JOBS:-2}
[ "$jobs" -le 2 ] || jobs=2

top=$(mktemp -d "${TMPDIR:-/tmp}/slabd-model.XXXXXX") || exit 2
trap 'rm -rf -- "$top"' EXIT
trap 'exit 130' INT TERM

# rows FILE: its lines without comments, fields parted by one '|'
rows() { sed -e '/^#/d' -e '/^ *$/d' -e 's/ *| */|/g' "$here/$1"; }

options_of() { # of a scenario
	local name short long about
	while IFS='|' read -r name short long about; do
		[ "$name" = "$1" ] || continue
		[ "$size" = long ] && [ "${2-}" != variant ] && echo "$long" || echo "$short"
	done < <(rows scenarios)
}

# check NUMBER KIND NAME MODEL OPTIONS...: one run; leaves "KIND|NAME|STATES|SECONDS|VERDICT" in a file.
check() {
	local number=$1 kind=$2 name=$3 model=$4 dir=$top/$1 verdict states seconds
	shift 4
	mkdir "$dir" && cd "$dir" || return
	if ! { spin -a -o3 "$@" "$here/$model" &&
		gcc -O1 -w -DSAFETY -DCOLLAPSE -DNOREDUCE -DVECTORSZ=512 -DMEMLIM=$MEMORY_MB -o pan pan.c; } \
		>build.log 2>&1; then
		echo "$kind|$name|-|-|does not build: $(grep -m1 -i error build.log)" >"$top/$number.row"
		return
	fi
	./pan -m$DEPTH -w22 -n >pan.log 2>&1
	states=$(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' pan.log)
	seconds=$(sed -n 's/^pan: elapsed time \([0-9.]*\) seconds.*/\1/p' pan.log)
	if grep -qE 'out of memory|reached -DMEMLIM|max search depth too small|hash table.*full' pan.log; then
		verdict='not exhaustive'
	elif grep -qE '^pan:1: (assertion violated|invalid end state)' pan.log; then
		verdict=error
	elif grep -q 'errors: 0$' pan.log && ! grep -q 'Search not completed' pan.log; then
		verdict=holds
	else
		verdict="no verdict: $(tail -1 pan.log)"
	fi
	[ "$verdict" = error ] && sed -n 's/^pan:1: /	/p' pan.log >"$top/$number.why"
	echo "$kind|$name|${states:--}|${seconds:-0}|$verdict" >"$top/$number.row"
	cd / && rm -rf -- "$dir"
}

chosen() {
	local name=$1 wanted
	shift
	[ $# -eq 0 ] && return 0
	for wanted; do [ "$wanted" = "$name" ] && return 0; done
	return 1
}

# The queue, longest first as far as that is known: scenarios, then variants.
number=100
running=0
start() {
	if [ "$running" -ge "$jobs" ]; then
		wait -n
		running=$((running - 1))
	fi
	number=$((number + 1))
	check "$number" "$@" &
	running=$((running + 1))
}

while IFS='|' read -r name short long about; do
	chosen "$name" "$@" || continue
	[ "$size" = long ] && options=$long || options=$short
	# shellcheck disable=SC2086
	start correct "$name" slab.pml $options
done < <(rows scenarios)
while IFS='|' read -r fault scenario about; do
	chosen "$fault" "$@" || continue
	# shellcheck disable=SC2046
	start broken "$fault" slab.pml $(options_of "$scenario" variant) "-DFAULT_$fault"
done < <(rows faults)
wait

failed=0
correct=0
broken=0
states_of_correct=0
printf '%-8s %-32s %12s %9s  %s\n' '' model states seconds result
for row in "$top"/*.row; do
	[ -e "$row" ] || { echo "run.sh: nothing is called that: $*" >&2; exit 2; }
	IFS='|' read -r kind name states seconds verdict <"$row"
	case $kind:$verdict in
	correct:holds) result='0 errors'; correct=$((correct + 1)); states_of_correct=$((states_of_correct + states)) ;;
	broken:error) result=rejected; broken=$((broken + 1)) ;;
	broken:holds) result='NOT REJECTED'; failed=$((failed + 1)) ;;
	*) result="FAILED: $verdict"; failed=$((failed + 1)) ;;
	esac
	printf '%-8s %-32s %12s %9s  %s\n' "$kind" "$name" "$states" "$seconds" "$result"
	case $kind:$verdict in correct:error) cat "${row%.row}.why" ;; esac
done
echo
echo "$correct scenarios of the correct protocol searched through ($states_of_correct states): every kill at every step"
echo "leaves each object in one place and each magazine with one holder; $broken broken variants rejected; $failed failed"
[ "$failed" = 0 ]
