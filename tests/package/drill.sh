#!/bin/bash
# drill.sh: on a machine with systemd: socket activation, kill -9, restart, reload, upgrade, eviction, exporter, removal,
# while a client goes on. The last line of the output is the verdict.
set -eu
cd /tmp
echo booted

fail() {
	systemctl status --no-pager -l slabd.service slabd.socket
	journalctl -q --no-pager -u slabd.service | tail -40
	echo "drill: $*"
	exit 1
}
# A round of the client's that began after what was done.
goes_on() {
	echo go >&"${client[1]}"
	read -r -t 60 -u "${client[0]}" answer || fail "the client does not go on after: $*"
	slabctl audit >/dev/null || fail "the audit after: $*"
}
main_pid() { systemctl show -P MainPID slabd.service; }

dpkg -i /opt/packages/*.deb >install.log 2>&1 || { cat install.log; fail "does not install"; }
systemctl -q is-active slabd.socket || fail "slabd.socket is not active"
! systemctl -q is-active slabd.service || fail "slabd runs though nobody asked"
slabctl ping >/dev/null || fail "who connects does not start slabd"
systemctl -q is-active slabd.service || fail "slabd is not active"
slabctl create things --size 100 >/dev/null

cc /opt/client.c -o client $(pkg-config --cflags --libs libslabd)
chmod 755 client
group=$(getent group slabd | cut -d: -f3)
# at the end of its input the client ends
coproc client { exec setpriv --reuid=65534 --regid=65534 --groups="$group" ./client; }
pid=$client_PID
goes_on "its start"

old=$(main_pid)
systemctl kill --signal=KILL slabd.service
slabctl ping --wait=60 >/dev/null || fail "no slabd after kill -9"
goes_on "kill -9 of keeper and worker"
[ "$(main_pid)" != "$old" ] || fail "it is the same slabd"
[ "$(systemctl show -P NRestarts slabd.service)" = 1 ] || fail "systemd did not restart it"

systemctl restart slabd.service
goes_on "a restart"
[ "$(systemctl show -P NFileDescriptorStore slabd.service)" = 4 ] || fail "the store does not hold the four regions"

systemctl reload slabd.service
goes_on "a reload"

old=$(main_pid)
dpkg -i /opt/packages/*.deb >upgrade.log 2>&1 || { cat upgrade.log; fail "does not upgrade"; }
goes_on "an upgrade"
[ "$(main_pid)" = "$old" ] || fail "an upgrade ends slabd"
said=no
for try in {1..100}; do # the journal may be late
	journalctl -q --no-pager -u slabd.service | grep -q 'the next worker runs /usr/sbin/slabd' && said=yes && break
	read -r -t 0.1 <> <(:) || true
done
[ $said = yes ] || fail "an upgrade changes nothing"

systemctl start slabd-exporter.service
ready=no
for try in {1..200}; do
	exec 3<>/dev/tcp/127.0.0.1/9466 && ready=yes && break
	read -r -t 0.1 <> <(:) || true
done 2>/dev/null
[ $ready = yes ] || fail "no slabd-exporter"
printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
grep -q '^slabd_up 1' <&3 || fail "slabd-exporter does not reach slabd"

slabctl evict --yes "$pid" >/dev/null || fail "a client of another user can't be evicted"
wait "$pid" && fail "the client ended well" || [ $? = 137 ] || fail "the client was not killed"
slabctl audit >/dev/null || fail "the audit after the client's death"

dpkg -r slabd slabctl slabd-exporter libslabd0 libslabd-dev >remove.log 2>&1 || { cat remove.log; fail "does not remove"; }
! systemctl -q is-active slabd.service slabd.socket slabd-exporter.service || fail "something runs on"
[ ! -e /run/slabd/slabd.sock ] || fail "a socket was left"
echo "drill: well"
