#!/bin/bash
# man.sh SOURCE CC LIBRARY-MAP: the man pages render without a complaint, name every option, key, verb and
# public function that there is, and the programs in libslabd(3) compile.
set -u
source=$1 cc=$2 map=$3
pages=$source/docs/man
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
rc=0

fail() { echo "man: $*" >&2; rc=1; }

# The text of a page, plain: no escapes, so that names are found as one would read them.
plain() { sed -e 's/\\-/-/g' -e 's/\\[cef%]//g' -e 's/\\f[BIRP]//g' "$1"; }

render() { # PAGE: what any formatter at hand complains about
	if command -v mandoc >/dev/null; then
		mandoc -T lint -W warning "$1" | grep -v 'missing date, using ""'
	fi
	if command -v groff >/dev/null; then
		groff -man -ww -z "$1" 2>&1
	fi
}

names() { # PAGE WORD...: each stands in the page
	local page=$1 text
	shift
	text=$(plain "$pages/$page")
	for word; do
		grep -qE -- "(^|[^A-Za-z0-9_-])$word([^A-Za-z0-9_-]|$)" <<<"$text" || fail "$page does not name $word"
	done
}

options_of() { "$1" --help | grep -oE '^ +(-[a-zA-Z], +)?--[a-z-]+' | grep -oE -- '--[a-z-]+'; }

command -v mandoc >/dev/null || command -v groff >/dev/null || echo "man: no formatter here: pages are not rendered"
for page in slabd.8 slabd.conf.5 libslabd.3 slabctl.1; do
	[ -s "$pages/$page" ] || { fail "no page $page"; continue; }
	complaints=$(render "$pages/$page")
	[ -z "$complaints" ] || fail "$page: $complaints"
done

# shellcheck disable=SC2046 # lists of words
{
	keys=$("$SLABD_BIN" --help | sed -n '/^Keys of/,/^$/s/^  \([a-z][a-z-]*\)  *.*/\1/p')
	[ "$(wc -w <<<"$keys")" -ge 8 ] || fail "slabd --help lists no keys"
	names slabd.conf.5 $keys
	names slabd.8 $(options_of "$SLABD_BIN") SIGTERM SIGHUP SIGUSR1 SIGUSR2
	verbs=$("$SLABCTL_BIN" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p')
	[ -n "$verbs" ] || fail "slabctl --help lists no verbs"
	names slabctl.1 $(options_of "$SLABCTL_BIN") $verbs
	functions=$(grep -oE '^[[:space:]]*slabd_[a-z_]+;' "$map" | tr -d '; \t')
	[ -n "$functions" ] || fail "$map lists no function"
	names libslabd.3 $functions
}

# Each example that is a whole program.
sed -e 's/\\e/\\/g' "$pages/libslabd.3" | sed -e 's/\\-/-/g' | awk -v dir="$work" '
	/^\.RE/ { inside = 0 }
	inside { print > (dir "/example" n ".c") }
	/^\.RS/ { inside = 1; n++ }'
programs=0
for example in "$work"/example*.c; do
	grep -q 'int main' "$example" || continue
	programs=$((programs + 1))
	"$cc" -std=c11 -Wall -Wextra -Werror -pedantic -fsyntax-only -I"$source/client/include" "$example" ||
		fail "libslabd.3: $(basename "$example") does not compile"
done
[ "$programs" -ge 2 ] || fail "libslabd.3 has no programs"

[ "$rc" = 0 ] && echo "man: pages render, name $(wc -w <<<"$functions") functions and $(wc -w <<<"$keys") keys, and $programs examples compile"
exit "$rc"
