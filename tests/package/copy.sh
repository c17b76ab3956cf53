#!/bin/bash
# copy.sh DIRECTORY PACKAGES SCRIPT, in namespaces of its own: / becomes an overlay whose changes are in memory,
# with the packages in /opt/packages, and SCRIPT runs there. With the word boot before SCRIPT, systemd does, and
# SCRIPT is a service of it whose output goes to /opt/out. 77: that can't be mounted.
set -eu
ram=$1 packages=$2 boot=no
[ "$3" = boot ] && { boot=yes; shift; }
script=$3 here=$(cd "$(dirname "$0")" && pwd)
[ -n "$MACHINE" ] && [ "$(readlink /proc/self/ns/mnt)" != "$MACHINE" ] || { echo "copy: these are the machine's own mounts" >&2; exit 1; }
mount --make-rprivate /
{
	mount -t tmpfs -o mode=755 none "$ram"
	mkdir "$ram/upper" "$ram/work" "$ram/root"
	mount -t overlay -o "lowerdir=/,upperdir=$ram/upper,workdir=$ram/work" overlay "$ram/root"
} 2>/dev/null || exit 77
root=$ram/root
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 none "$root/dev"
for device in null zero full random urandom tty; do
	touch "$root/dev/$device"
	mount --bind "/dev/$device" "$root/dev/$device"
done
ln -s /proc/self/fd "$root/dev/fd"
ln -s pts/ptmx "$root/dev/ptmx"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 none "$root/dev/pts"
mount -t tmpfs -o mode=1777 none "$root/dev/shm"
mount -t tmpfs -o mode=755 none "$root/run"
mount -t tmpfs -o mode=1777 none "$root/tmp"
mkdir -p "$root/opt/packages" "$root/opt/old"
cp "$packages"/*.*deb "$root/opt/packages"
cp "$here/$script" "$here/client.c" "$root/opt"

command=(bash "/opt/$script")
if [ $boot = yes ]; then
	mount -t sysfs -o ro sysfs "$root/sys" && mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup" || exit 77
	touch "$root/opt/out"
	mount --bind "$OUT" "$root/opt/out"
	echo >"$root/etc/fstab"
	# of this machine's services, none; of systemd's own, what a container needs
	for unit in "$root"/etc/systemd/system/*.wants/*; do
		ln -sf /dev/null "$root/etc/systemd/system/$(basename "$unit")"
	done
	for unit in systemd-udevd systemd-udev-trigger systemd-modules-load systemd-sysctl systemd-timesyncd; do
		ln -sf /dev/null "$root/etc/systemd/system/$unit.service"
	done
	sed "s|@SCRIPT@|/opt/$script|" "$here/drill.service" >"$root/etc/systemd/system/drill.service"
	command=(/lib/systemd/systemd --system --unit=drill.service --log-target=console --show-status=no)
fi
cd "$root"
pivot_root . opt/old
umount -l opt/old
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin container=slabd-test \
	SLABD_TEST_DIR="${SLABD_TEST_DIR-}" DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "${command[@]}"
