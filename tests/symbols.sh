#!/bin/bash
# symbols.sh MAP SHARED STATIC PART...
#
# The shared library exports exactly the names listed in the map, the static one defines exactly the
# same, and all begin with slabd_. No two of the PARTs (archives of ours) define a global of the same
# name, so that which one a program gets never depends on the order of linking.
set -u
map=$1 shared=$2 static=$3
shift 3
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
rc=0

# The names between `global:` and `local:`, comments taken out.
sed -e 's|/\*.*\*/||g' -e 's|#.*||' "$map" | tr '\n' ' ' | sed 's|/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/||g' |
	tr ';{}' '\n\n\n' | awk '
		/local:/ { on = 0 }
		/global:/ { on = 1; sub(/.*global:/, "") }
		on { gsub(/[ \t]/, ""); if ($0 != "") print }' | sort >"$work/map"
nm -D --defined-only "$shared" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$work/shared"
nm -g --defined-only "$static" | awk 'NF == 3 { print $3 }' | sort >"$work/static"

[ -s "$work/map" ] || { echo "symbols: $map lists no global name" >&2; rc=1; }
if grep -v '^slabd_[a-z0-9_]*$' "$work/map" >&2; then
	echo "symbols: not a plain slabd_ name in $map (list each; no wildcards)" >&2
	rc=1
fi
for kind in shared static; do
	if ! diff -u --label "$map" --label "$kind library" "$work/map" "$work/$kind" >&2; then
		echo "symbols: the $kind library and the map differ" >&2
		rc=1
	fi
done

for part; do
	nm -g --defined-only "$part" | awk 'NF == 3 && $2 ~ /[TDBRC]/ { print $3 }' | sort -u
done | grep -v '^__odr_asan' | sort | uniq -d >"$work/twice"
if [ -s "$work/twice" ]; then
	echo "symbols: defined in more than one of shm, proto, client, daemon:" >&2
	cat "$work/twice" >&2
	rc=1
fi
[ "$rc" = 0 ] && echo "symbols: $(wc -l <"$work/map") names, as the map says"
exit "$rc"
