#!/bin/bash
# units.sh SOURCE CMAKE BUILD: the installed units are right by systemd's own word and exposed no more than
# 1.0, and the example configuration is one: all keys, each with its default.
set -eu
source=$1 cmake=$2 build=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() { echo "units: $*" >&2; exit 1; }

DESTDIR='' "$cmake" --install "$build" --prefix "$work/usr" >install.log
units=$work/usr/lib/systemd/system
grep -q "ExecStart=$work/usr/sbin/slabd " "$units/slabd.service" || fail "slabd.service does not start the installed slabd"

for unit in "$units"/slabd*; do
	page=$(sed -n 's/^Documentation=man:\(.*\)(\(.\))$/\1.\2/p' "$unit")
	[ -n "$page" ] && [ -e "$source/docs/man/$page" ] || fail "$(basename "$unit") names no page of ours"
	[[ $unit != *.service ]] || grep -q '^LimitNOFILE=[0-9]' "$unit" || fail "$(basename "$unit") has no LimitNOFILE"
done

# What is commented out are the defaults: with them put in force, nothing changes for slabd.
conf=$source/cmake/package/slabd.conf
"$SLABD_BIN" --config "$conf" --check-config >/dev/null
sed 's/^#\([a-z-]* =\)/\1/' "$conf" >all.conf
"$SLABD_BIN" --config all.conf --check-config >/dev/null
"$SLABD_BIN" --help | sed -n '/^Keys of/,/^$/s/^  \([a-z][a-z-]*\)  *.*/\1/p' | sort >keys
sed -n 's/^\([a-z-]*\) =.*/\1/p' all.conf | sort >named
diff keys named >&2 || fail "slabd.conf and slabd --help list other keys"
while read -r key; do
	value=$(sed -n "s/^$key = *//p" all.conf)
	[ "$key" = socket ] || "$SLABD_BIN" --help | tr '\n' ' ' | grep -qE "  $key  +[^()]*(\([^()]*\)[^()]*)?\($value\)" ||
		fail "slabd.conf: the default of $key is not $value"
done <keys

if ! command -v systemd-analyze >/dev/null; then
	echo "units: no systemd-analyze here: units are installed, not verified"
	exit 0
fi
# What a systemd of before 254 does not know yet is the one thing that may be said.
systemd-analyze verify --man=no "$units"/slabd.socket "$units"/slabd.service "$units"/slabd-exporter.service \
	>verify.log 2>&1 || true
grep -v "Unknown key 'FileDescriptorStorePreserve'\|Unknown key name 'FileDescriptorStorePreserve'" verify.log >&2 &&
	fail "systemd-analyze verify complains"
for unit in slabd slabd-exporter; do
	systemd-analyze security --offline=true --threshold=10 --no-pager "$units/$unit.service" >security.log 2>&1 || {
		grep -v '✓' security.log >&2
		fail "$unit.service is exposed more than 1.0"
	}
	sed -n 's/^→ *//p' security.log
done
for word in sysusers tmpfiles; do
	command -v "systemd-$word" >/dev/null || continue
	mkdir -p "root/etc"
	"systemd-$word" --root="$work/root" --create --dry-run "$work/usr/lib/$word.d/slabd.conf" >"$word.log" 2>&1 || {
		# not every release can rehearse
		grep -q 'unrecognized option' "$word.log" || { cat "$word.log" >&2; fail "$word.d/slabd.conf"; }
	}
done
echo "units: verified"
