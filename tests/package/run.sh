#!/bin/bash
# run.sh SOURCE CMAKE BUILD: builds the Debian packages (in BUILD/package), installs them over a copy of this
# machine that nobody else sees, uses them as an operator, a member of the group and a stranger would, and
# removes them. As root, since it mounts and installs; what it must leave alone it compares before and after.
set -eu
source=$1 cmake=$2 build=$3/package
here=$source/tests/package

skip() { echo "package: $*: packages are not tested"; exit 0; }
[ "$(id -u)" = 0 ] || skip "not root"
for program in dpkg-shlibdeps file dpkg unshare gzip; do command -v $program >/dev/null || skip "no $program here"; done
unshare --mount --pid --fork true 2>/dev/null || skip "no namespaces here"

places() { stat -c '%n %a %u:%g' / /tmp /run /etc /usr /var /dev; ls -d /etc/slabd /run/slabd /usr/sbin/slabd 2>/dev/null || true; }
before=$(places)

{
	"$cmake" -S "$source" -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_INSTALL_PREFIX=/usr \
		-DSLABD_PACKAGE=ON -DSLABD_TESTS=OFF
	"$cmake" --build "$build" -j 2
	rm -rf "$build/packages"
	(cd "$build" && "$(dirname "$(command -v "$cmake")")/cpack" -B packages)
} >build.log 2>&1 || { tail -40 build.log >&2; echo "package: does not build" >&2; exit 1; }
ls "$build"/packages/*.*deb | sed 's|.*/||'
if command -v lintian >/dev/null; then
	# units are few enough for systemctl in scripts; CPack itself writes ldconfig; SLABD_MAINTAINER is the packager's to give
	lintian --allow-root --fail-on error,warning --suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog \
		--suppress-tags maintainer-script-calls-systemctl,maintscript-calls-ldconfig "$build"/packages/*.deb >lintian.log 2>&1 ||
		{ cat lintian.log >&2; echo "package: lintian complains" >&2; exit 1; }
fi

work=$(mktemp -d)
group=
clean() {
	# what systemd made in its own group of processes, all of which have ended
	[ -z "$group" ] || find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true
	rm -rf "$work"
	[ "$(places)" = "$before" ] && return
	diff <(echo "$before") <(places) >&2 || true
	echo "package: the machine itself was changed" >&2
	exit 1
}
trap clean EXIT
mkdir "$work/ram"
apart=(unshare --mount --pid --fork --kill-child --uts --ipc)

code=0
export MACHINE=$(readlink /proc/self/ns/mnt)
"${apart[@]}" "$here/copy.sh" "$work/ram" "$build/packages" use.sh || code=$?
[ $code != 77 ] || skip "no copy of this machine can be mounted here"
[ $code = 0 ] || exit $code

# The same with a systemd of its own, which needs a cgroup of its own.
drill() {
	local parent
	for parent in /sys/fs/cgroup /sys/fs/cgroup/unified; do
		[ "$(stat -f -c %T "$parent" 2>/dev/null)" = cgroup2fs ] || continue
		group=$parent$(sed -n 's/^0:://p' /proc/self/cgroup | sed 's|^/$||')/slabd-test-$$
		mkdir "$group" 2>/dev/null && return
	done
	group=
	return 1
}
if [ ! -x /lib/systemd/systemd ] || ! unshare --cgroup true 2>/dev/null || ! drill; then
	echo "package: no systemd can be started here: units are not tried"
	exit 0
fi
export OUT=$work/out
touch "$OUT"
bash -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' - "$group" timeout -k 10 400 "${apart[@]}" --cgroup \
	"$here/copy.sh" "$work/ram" "$build/packages" boot drill.sh >"$work/console" 2>&1 || true
if ! grep -q '^booted' "$OUT"; then
	tail -5 "$work/console"
	echo "package: systemd does not come up here: units are not tried"
	exit 0
fi
[ "$(tail -1 "$OUT")" = "drill: well" ] || { cat "$OUT" >&2; tail -20 "$work/console" >&2; exit 1; }
echo "package: under systemd, a client went on over kill -9, restart, reload and upgrade"
