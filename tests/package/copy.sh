#!/bin/bash
# copy.sh DIRECTORY SCRIPT PACKAGES, in a mount namespace of its own: / as an overlay whose changes are in memory, and
# SCRIPT in it, with the packages in /tmp/packages. 77: that can't be mounted.
set -eu
ram=$1 script=$2 packages=$3
mount --make-rprivate /
{
	mount -t tmpfs -o mode=755 none "$ram"
	mkdir "$ram/upper" "$ram/work" "$ram/root"
	mount -t overlay -o "lowerdir=/,upperdir=$ram/upper,workdir=$ram/work" overlay "$ram/root"
} 2>/dev/null || exit 77
root=$ram/root
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=755 none "$root/run"
mount -t tmpfs -o mode=1777 none "$root/tmp"
mkdir -m 755 "$root/tmp/packages"
cp "$packages"/*.deb "$root/tmp/packages"
cp "$script" "$root/tmp/use.sh"
exec chroot "$root" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	SLABD_TEST_DIR="${SLABD_TEST_DIR-}" DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 bash /tmp/use.sh
