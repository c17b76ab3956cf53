#!/bin/bash
# run.sh SOURCE CC LIBSLABD: client/gdb/slabd-gdb.py tells of a live process, and of its core, what is so; of a core
# without the pool it says why not.
set -eu
source=$1 cc=$2 library=$3
command -v gdb >/dev/null || { echo "gdb: no gdb here"; exit 0; }
gdb -nx -batch -ex 'python print(gdb.VERSION)' 2>&1 | grep -q '^[0-9]' || { echo "gdb: this gdb has no Python"; exit 0; }
work=$(mktemp -d)
slabd=
# shellcheck disable=SC2064 # this directory
trap "[ -z \"\$slabd\" ] || kill \$slabd; wait; rm -rf '$work'" EXIT
cd "$work"

fail() { cat out >&2; echo "gdb: $*" >&2; exit 1; }
sees() { # WHAT PATTERN...: each matches a line of the output
	local what=$1 pattern
	shift
	for pattern; do grep -qE "^$pattern\$" out || fail "$what: no line $pattern"; done
}

"$SLABD_BIN" --socket "$work/s" --size 8M 2>slabd.log &
slabd=$!
export SLABD_ADDRESS=$work/s LD_LIBRARY_PATH=${library%/*}
"$SLABCTL_BIN" ping --wait >/dev/null
"$cc" -O1 -g "$source/tests/gdb/client.c" -o client -I"$source/client/include" "$library" >out 2>&1 || fail "does not build"

quiet=(gdb -nx -batch -ex 'set debuginfod enabled off' -ex 'set confirm off')
ask=(-ex "source $source/client/gdb/slabd-gdb.py" -ex 'slabd caches' -ex 'slabd magazines' -ex 'slabd magazines unused'
	-ex 'slabd object mine' -ex 'slabd object mine + 5' -ex 'slabd object freed' -ex 'slabd object theirs'
	-ex 'slabd object handle' -ex 'slabd object stale')
live() { "${quiet[@]}" -ex 'set breakpoint pending on' -ex 'break stop' -ex run "$@" -ex kill --args ./client "$work/s" >out 2>&1; }

told=(
	"$work/s, heap 0x[0-9a-f]+, 8 MiB, client [0-9]+"
	'things +[0-9]+ +100 +112 +1 +[1-9][0-9]*  -'
	'unused +[0-9]+ +100 +112 +1 +0  reclaim,strict'
	'thread 1 +things +loaded +[0-9]+ +[0-9]+/[0-9]+  0x[0-9a-f]+'
	'no thread holds a magazine of unused'
	'0x[0-9a-f]+: 5 bytes into:'
	'object +0x[0-9a-f]+, of cache things \(id [0-9]+\), 100 bytes'
	'state +LIVE, owned by this process \(client [0-9]+\)'
	'state +LIVE, owned by client [0-9]+ \(slabctl clients, slabctl orphans say who that is\)'
	'state +CIRC, free, round [0-9]+ of [0-9]+ of a magazine held by this process \(client [0-9]+\)'
	'handle +0x[0-9a-f]{16}, generation [0-9]+'
	'stale +the handle given is of generation [0-9]+: that object was freed'
)
SLABD_DUMP=1 live "${ask[@]}" -ex "generate-core-file $work/core" || fail "of a live process it fails"
sees "of a live process" "${told[@]}"
[ "$(grep -c '^object' out)" = 6 ] || fail "of a live process: another number of objects"

"${quiet[@]}" "${ask[@]}" ./client core >out 2>&1 || fail "of a core it fails"
# without its thread library a core has no names of threads
told[3]=${told[3]/thread 1/'(thread 1|table 0x[0-9a-f]+)'}
sees "of a core" "${told[@]}"

live -ex "generate-core-file $work/small" || fail "makes no core"
"${quiet[@]}" "${ask[@]}" ./client small >out 2>&1 || true
sees "of a core without the pool" 'things .*' '0x[0-9a-f]+: no such memory here. A core has the pool only of a process with SLABD_DUMP=1\.'
[ "$(stat -c %s core)" -gt "$(stat -c %s small)" ] || fail "the pool is in a core that nobody wanted it in"

live -ex "source $source/client/gdb/slabd-gdb.py" -ex 'slabd object 17' || true
sees "of nonsense" '0x11 lies in no heap that this process has, and is no handle'
echo "gdb: of a live process and of cores"
