#!/bin/bash
# use.sh: in the copy: install, use, upgrade, remove.
set -eu
cd /tmp
all=(slabd slabctl slabd-exporter libslabd0 libslabd-dev)

fail() { echo "package: $*" >&2; exit 1; }
stranger() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }

dpkg -i /opt/packages/*.deb >install.log 2>&1 || { cat install.log >&2; fail "does not install"; }
for package in "${all[@]}"; do
	dpkg --verify "$package" || fail "$package is not as it was packed"
	[ -s "/usr/share/doc/$package/copyright" ] || fail "$package has no copyright"
done
getent passwd slabd >/dev/null || fail "no user slabd"
getent group slabd >/dev/null || fail "no group slabd"
for page in slabctl.1 slabd-exporter.1 libslabd.3 slabd.conf.5 slabd.8; do
	gzip -t "/usr/share/man/man${page##*.}/$page.gz" || fail "no page $page"
done
if command -v systemctl >/dev/null; then
	[ -L /etc/systemd/system/sockets.target.wants/slabd.socket ] || fail "slabd.socket is not enabled"
fi

# As the unit does it: the directory from tmpfiles.d, slabd as its own user.
if command -v systemd-tmpfiles >/dev/null; then
	systemd-tmpfiles --create slabd.conf
else
	install -d -o slabd -g slabd /run/slabd
fi
start=$(sed -n 's/^ExecStart=//p' /usr/lib/systemd/system/slabd.service)
(exec setpriv --reuid=slabd --regid=slabd --clear-groups env XDG_CONFIG_HOME=/etc $start --size 64M) 2>slabd.log &
slabd=$!
slabctl ping --wait >/dev/null || { cat slabd.log >&2; fail "no slabd"; }
grep -q '^socket' /etc/slabd/slabd.conf && fail "the example configuration says something"
slabctl create things --size 100 >/dev/null
slabctl caches | grep -q '^things ' || fail "no cache"
slabd-exporter --version >/dev/null

# A program of a member of the group; and of a stranger, who is refused.
cc /opt/client.c -o client $(pkg-config --cflags --libs libslabd)
chmod 755 client
setpriv --reuid=65534 --regid=65534 --groups="$(getent group slabd | cut -d: -f3)" ./client </dev/null || fail "a member of the group is refused"
if command -v gdb >/dev/null; then
	dpkg -i /opt/packages/libslabd0-dbgsym_*.ddeb >>install.log 2>&1 || { cat install.log >&2; fail "libslabd0-dbgsym does not install"; }
	gdb -batch -ex 'set debuginfod enabled off' -ex 'set breakpoint pending on' -ex 'break slabd_alloc' -ex run \
		-ex 'slabd caches' ./client </dev/null >gdb.log 2>&1 || true
	grep -q '^things ' gdb.log || { cat gdb.log >&2; fail "gdb does not load its script by itself"; }
fi
stranger ./client </dev/null 2>/dev/null && fail "a stranger may attach"
code=0
stranger slabctl ping >/dev/null 2>&1 || code=$?
[ $code = 4 ] || fail "a stranger's ping ends with $code"
slabctl orphans --json | grep -q '"objects": *1' || fail "the member's object is no orphan"
slabctl audit >/dev/null || fail "the audit"

# The same release again, as an upgrade would, under a slabd that runs.
dpkg -i /opt/packages/*.deb >upgrade.log 2>&1 || { cat upgrade.log >&2; fail "does not upgrade"; }
kill -USR2 $slabd
slabctl ping --wait >/dev/null
slabctl audit >/dev/null || fail "the audit after an upgrade"
kill $slabd
wait $slabd || { cat slabd.log >&2; fail "slabd ended with $?"; }

echo "#mine" >>/etc/slabd/slabd.conf
! dpkg -s libslabd0-dbgsym >/dev/null 2>&1 || all+=(libslabd0-dbgsym)
dpkg -r "${all[@]}" >remove.log 2>&1 || { cat remove.log >&2; fail "does not remove"; }
for file in /usr/sbin/slabd /usr/bin/slabctl /usr/bin/slabd-exporter /usr/include/slabd /usr/lib/systemd/system/slabd.service \
	/usr/share/doc/slabd /etc/systemd/system/sockets.target.wants/slabd.socket; do
	[ ! -e "$file" ] && [ ! -L "$file" ] || fail "$file was left"
done
ldconfig -p | grep libslabd && fail "the library was left"
[ -e /etc/slabd/slabd.conf ] || fail "the configuration went with a mere removal"
dpkg -P "${all[@]}" >purge.log 2>&1 || { cat purge.log >&2; fail "does not purge"; }
[ ! -e /etc/slabd ] || fail "/etc/slabd was left"
grep -i 'warning' install.log upgrade.log remove.log purge.log | grep -v "ignoring request to remove" >&2 && fail "dpkg warns"
echo "package: installed, used, upgraded, removed"
