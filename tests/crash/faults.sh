#!/bin/bash
# faults.sh SOURCE CC [NAME...]: plants one fault after another in a copy of the tree, and expects the
# harness to fail. A fault that it does not find, or a patch that no longer applies, is a failure here.
#
# faults/NAME.patch: what is wrong; "crash" and the options of the run that must see it; the patch.
#
# Tried, and no fault to a harness that kills, so not here: a slab named before its tags (memory that was
# punched reads as SLAB, and that is what they become), a destroy that forgets who asked (a repeated one
# succeeds all the same), FREEING(1) finished before the magazines of party 1 (nothing writes FREEING(1)).
# What is wrong only between two live parties (a sweep, a fold or an adopt by plain store, another's object
# freed without a CAS) the model rejects.
set -u

[ $# -ge 2 ] || { echo "usage: faults.sh SOURCE CC [NAME...]" >&2; exit 2; }
source=$1
export CC=$2
shift 2
here=$source/tests/crash/faults
top=$(mktemp -d "${TMPDIR:-/tmp}/slabd-faults.XXXXXX") || exit 2
trap 'rm -rf -- "$top"' EXIT
chmod 755 "$top" # for whom the harness runs as
unset SLABD_BIN SLABCTL_BIN SLABD_EXPORTER_BIN

mkdir "$top/tree"
tar -C "$source" --exclude=./build --exclude=./.git -cf - . | tar -C "$top/tree" -xf - || exit 2
cd "$top/tree" || exit 2
# a fault may leave a parameter unused; and nobody debugs these
flags=(-DCMAKE_C_FLAGS=-w "-DCMAKE_C_FLAGS_RELWITHDEBINFO=-O2 -DNDEBUG")
build() { cmake --build "$top/build" -j 2 --target crash; }
if ! { command -v ninja >/dev/null && export CMAKE_GENERATOR=Ninja
	cmake -S . -B "$top/build" -DCMAKE_BUILD_TYPE=RelWithDebInfo "${flags[@]}" && build; } >"$top/log" 2>&1; then
	cat "$top/log" >&2
	exit 1
fi

# find PATCH: 0 if the harness finds the fault
find_fault() {
	local patch=$1 options rc
	eval "options=($(sed -n 's/^crash //p' "$patch"))"
	patch -p1 --fuzz=0 --forward --batch <"$patch" >"$top/log" 2>&1 ||
		{ echo "no longer applies"; cat "$top/log" >&2; exit 1; }
	if ! build >"$top/log" 2>&1; then
		echo "does not build"
		cat "$top/log" >&2
		rc=1
	else
		tests/support/unprivileged "$top/build/bin/crash" "${options[@]}" >"$top/log" 2>&1
		# 1: failures were counted; 2: the harness itself could not go on
		case $? in
		0) echo "NOT FOUND by crash ${options[*]}"; rc=1 ;;
		1) sed -n 's/.* \([0-9]* failures\)$/found: \1/p' "$top/log"; rc=0
			[ -z "${VERBOSE-}" ] || grep -m1 'killed' "$top/log" | cut -c 1-160 ;;
		*) echo "the harness did not come to its end"; tail -5 "$top/log" >&2; rc=1 ;;
		esac
	fi
	patch -p1 -R --fuzz=0 --batch <"$patch" >/dev/null || exit 2
	return "$rc"
}

found=0
failed=0
for patch in "$here"/*.patch; do
	name=$(basename "$patch" .patch)
	[ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
	printf '%-28s %s: ' "$name" "$(head -1 "$patch")"
	if find_fault "$patch"; then found=$((found + 1)); else failed=$((failed + 1)); fi
done
echo "$found planted faults found, $failed failed"
[ "$failed" = 0 ] && [ "$found" -gt 0 ]
