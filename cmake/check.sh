#!/bin/bash
# check.sh PRESET...: builds and tests each preset, goes on after a failure, and ends with the total.
set -u
cd "$(dirname "$0")/.."
log=$(mktemp) || exit 2
trap 'rm -f "$log"' EXIT
passed=0
failed=0

for preset; do
	echo "== $preset"
	if ! cmake/build.sh "$preset"; then
		echo "== $preset: does not build" >&2
		failed=$((failed + 1))
		continue
	fi
	ctest --preset "$preset" 2>&1 | tee "$log"
	rc=${PIPESTATUS[0]}
	# ctest's own closing line: "100% tests passed, 0 tests failed out of 12"
	read -r bad all < <(sed -n 's/^[0-9]*% tests passed, \([0-9]*\) tests failed out of \([0-9]*\)$/\1 \2/p' "$log" | tail -1)
	if [ -z "${all-}" ]; then # no closing line: ctest itself failed
		bad=1 all=1
	elif [ "$rc" != 0 ] && [ "$bad" = 0 ]; then
		bad=1
	fi
	passed=$((passed + all - bad))
	failed=$((failed + bad))
	unset bad all
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
