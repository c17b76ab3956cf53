#!/bin/bash
# run.sh SOURCE CC LIBSLABD: with SLABD_POISON=1, valgrind and AddressSanitizer report a use of what the process
# itself has freed, called and inlined, and nothing else; without it they say nothing.
set -eu
source=$1 cc=$2 library=$3
work=$(mktemp -d)
slabd=
unset ASAN_OPTIONS UBSAN_OPTIONS # a report belongs into what is read here, not to whoever runs the suite
# shellcheck disable=SC2064 # this directory
trap "[ -z \"\$slabd\" ] || kill \$slabd; wait; rm -rf '$work'" EXIT
cd "$work"

fail() { cat out >&2; echo "poison: $*" >&2; exit 1; }

"$SLABD_BIN" --socket "$work/s" --size 8M 2>slabd.log &
slabd=$!
export SLABD_ADDRESS=$work/s LD_LIBRARY_PATH=${library%/*}
"$SLABCTL_BIN" ping --wait >/dev/null

build() { "$cc" -O1 -gdwarf-4 -Wall "$source/tests/poison/client.c" -I"$source/client/include" "$library" "$@" >out 2>&1; }

# check WHAT REPORT CASES COMMAND...: the bad ones end in REPORT (an extended pattern over one line)
check() {
	local what=$1 report=$2 cases=$3 name code
	shift 3
	for name in $cases; do
		code=0
		SLABD_POISON=1 "$@" "$work/s" "$name" >out 2>&1 || code=$?
		if [[ $name = bad-* ]]; then
			[ $code != 0 ] && tr '\n' ' ' <out | grep -qE "$report" || fail "$what: $name is not reported ($code)"
		else
			[ $code = 0 ] || fail "$what: $name ends with $code"
		fi
	done
	SLABD_POISON=0 "$@" "$work/s" bad-free >out 2>&1 || fail "$what: guards though nobody asked"
	echo "poison: $what reports a use after the process's own free, and nothing else"
}

build -o plain || fail "does not build"
build -o inlined -DINLINED || fail "does not build inlined"
all=$(./plain) inline='bad-free bad-bulk alloc-again'
SLABD_POISON=1 ./plain "$work/s" bad-free >out 2>&1 || fail "does more than nothing where nobody watches"

if command -v valgrind >/dev/null && [ -e /usr/include/valgrind/memcheck.h ]; then
	watched=(valgrind --error-exitcode=99 --exit-on-first-error=yes -q)
	# as malloc's: where it was used, how large the block, and where it was freed and allocated
	as_malloc='Invalid read of size 1 .*client\.c.*bytes inside a block of size [0-9]+ free.d .*poison_.*client\.c.*Block was alloc.d at .*poison_.*client\.c'
	check valgrind "$as_malloc" "$all" "${watched[@]}" ./plain
	check 'valgrind, inlined,' "$as_malloc" "$inline" "${watched[@]}" ./inlined
else
	echo "poison: no valgrind here, or built without its header"
fi

if build -o asan -fsanitize=address && build -o asan-inlined -fsanitize=address -DINLINED; then
	check AddressSanitizer 'use-after-poison .*client\.c' "$all" ./asan
	check 'AddressSanitizer, inlined,' 'use-after-poison .*client\.c' "$inline" ./asan-inlined
else
	echo "poison: $cc has no AddressSanitizer here"
fi
"$SLABCTL_BIN" audit >out || fail "the audit"
