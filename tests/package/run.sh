#!/bin/bash
# run.sh SOURCE CMAKE BUILD: builds the Debian packages (in BUILD/package), installs them over a copy of this
# machine that nobody else sees, uses them as an operator, a member of the group and a stranger would, and
# removes them. As root, since it mounts and installs.
set -eu
source=$1 cmake=$2 build=$3/package
here=$source/tests/package

skip() { echo "package: $*: packages are not tested"; exit 0; }
[ "$(id -u)" = 0 ] || skip "not root"
for program in dpkg-shlibdeps file dpkg unshare gzip; do command -v $program >/dev/null || skip "no $program here"; done
unshare --mount --pid --fork true 2>/dev/null || skip "no namespaces here"

{
	"$cmake" -S "$source" -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_INSTALL_PREFIX=/usr \
		-DSLABD_PACKAGE=ON -DSLABD_TESTS=OFF
	"$cmake" --build "$build" -j 2
	rm -rf "$build/packages"
	(cd "$build" && "$(dirname "$(command -v "$cmake")")/cpack" -B packages)
} >build.log 2>&1 || { tail -40 build.log >&2; echo "package: does not build" >&2; exit 1; }
ls "$build"/packages/*.deb | sed 's|.*/||'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/ram"
code=0
unshare --mount --pid --fork --kill-child "$here/copy.sh" "$work/ram" "$here/use.sh" "$build/packages" || code=$?
[ $code != 77 ] || skip "no copy of this machine can be mounted here"
exit $code
