#!/bin/bash
# run.sh [--check] [BUILD-FOLDER]
#
# The demo: a slabd, a prefork HTTP server whose workers share sessions in it, five seconds of load by
# wrk, one worker killed on the way, and the accounts at the end. --check: one second of load.
#
# The programs are $SLABD_BIN, $SLABCTL_BIN and $SLABD_DEMO_BIN, or in BUILD-FOLDER/bin, or in
# build/release/bin. Exit: 0 when every check held, 1 when one did not, 2 when it could not run.
set -u

here=$(cd "$(dirname "$0")" && pwd)
seconds=5
if [ "${1-}" = --check ]; then seconds=1; shift; fi
bin=$(cd "${1:-$here/../../build/release}/bin" 2>/dev/null && pwd)
slabd=${SLABD_BIN:-$bin/slabd}
slabctl=${SLABCTL_BIN:-$bin/slabctl}
demo=${SLABD_DEMO_BIN:-$bin/slabd-demo}
export SLABD_BIN=$slabd SLABCTL_BIN=$slabctl SLABD_DEMO_BIN=$demo
if [ "$(id -u)" = 0 ] && [ -z "${SLABD_TEST_DIR-}" ]; then # as an ordinary user would
	exec "$here/../support/unprivileged" "$here/run.sh" $([ $seconds = 1 ] && echo --check)
fi
for program in "$slabd" "$slabctl" "$demo"; do
	[ -x "$program" ] || { echo "demo: $program is missing: run make build" >&2; exit 2; }
done
command -v wrk >/dev/null || { echo "demo: wrk is missing: apt-get install wrk" >&2; exit 2; }

dir=$(mktemp -d "${TMPDIR:-/tmp}/slabd-demo.XXXXXX") || exit 2
export SLABD_ADDRESS=$dir/slabd.sock
pids=()
finish() {
	for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null; done
	for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null; done
	rm -rf -- "$dir"
}
trap finish EXIT
trap 'exit 130' INT TERM

# ---- how the story is told
bold='' plain='' red=''
if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then bold=$'\e[1m' red=$'\e[1;31m' plain=$'\e[0m'; fi
chapter() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }
say() { printf '  %s\n' "$@"; }
show() { # a command as one would type it, and what it prints
	printf '\n  %s$ %s %s%s\n' "$bold" "$(basename "$1")" "${*:2}" "$plain"
	"$@" 2>&1 | sed 's/^/    /'
	return "${PIPESTATUS[0]}"
}
bad=0
check() { # SENTENCE COMMAND...: does the command succeed?
	if "${@:2}"; then
		printf '  ok   %s\n' "$1"
	else
		printf '  %sBAD  %s%s\n' "$red" "$1" "$plain"
		bad=$((bad + 1))
	fi
}
give_up() {
	printf 'demo: %s\n' "$1" >&2
	[ -s "$dir/$2" ] && sed 's/^/    /' "$dir/$2" >&2
	exit 2
}
field() { # CACHE NAME: a number of slabctl's JSON
	"$slabctl" cache "$1" --json | grep -o "\"$2\": *[0-9]*" | head -n 1 | tr -dc 0-9
}
reported() { sed -n "s/^$1 //p" "$dir/report"; }
held() { echo $(($(field "$1" live) + $(field "$1" orphaned))); }

# ---- the daemon
chapter "1. One slabd, as user $(id -un), on whatever memory this machine has"
say "slabd --socket $SLABD_ADDRESS --size 256M"
"$slabd" --socket "$SLABD_ADDRESS" --size 256M >"$dir/slabd.log" 2>&1 &
daemon=$!
pids+=("$daemon")
"$slabctl" ping --wait=10 >/dev/null || give_up "slabd did not come up:" slabd.log
show "$slabctl" status

# ---- the server
chapter "2. A prefork HTTP server: four workers, one pool of sessions"
"$demo" --workers 4 >"$dir/server.log" 2>&1 &
server=$!
pids=("$server" "$daemon")
for _ in {1..100}; do
	url=$(grep -o 'http://.*' "$dir/server.log") && break
	kill -0 "$server" 2>/dev/null || break
	sleep 0.05
done
[ -n "$url" ] || give_up "the server did not come up:" server.log
say "slabd-demo --workers 4        $url" \
	'' \
	"POST /session makes a session of 256 bytes; GET, PUT and DELETE /session/ID act on it. The" \
	"workers find each other's sessions by handle, through an index that lies in the pool too."

# ---- the load
chapter "3. $seconds s of load by wrk: sessions created, read, updated, deleted"
SLABD_DEMO_REPORT=$dir/report wrk -t 2 -c 48 -d "${seconds}s" -s "$here/load.lua" "$url" \
	>"$dir/wrk.log" 2>&1 &
load=$!
pids=("$load" "${pids[@]}")
sleep "$((seconds * 4 / 10)).$((seconds * 4 % 10))"
show "$slabctl" caches
show "$slabctl" clients
victim=$(sed -n 's/^slabd-demo: workers \([0-9]*\).*/\1/p' "$dir/server.log")
kill -KILL "$victim"
say '' "kill -9 $victim: one worker is gone in the middle of whatever it was doing."
wait "$load" || give_up "wrk failed:" wrk.log
[ -s "$dir/report" ] || give_up "wrk left no report:" wrk.log
pids=("$server" "$daemon")
sed -n 's/^slabd-demo: \(worker [0-9]* was\)/  \1/p' "$dir/server.log"
show "$slabctl" caches
show "$slabctl" clients

# ---- the accounts
chapter "4. What the visitors saw"
say "$(reported requests) requests, $(reported per_second) a second; half took under $(reported p50_us) us, \
99 % under $(reported p99_us) us;" \
	"$(reported late) came after another connection's delete (404); $(reported socket_errors) \
connections broke with the worker that was killed." ''
check "every answer was about the visitor who asked" [ "$(reported wrong)" = 0 ]
check "nobody was told that the pool is full" [ "$(reported full)" = 0 ]
check "the server lost only the worker that was killed" \
	[ "$(grep -c 'was killed by' "$dir/server.log")" = 1 ]

chapter "5. What is in the pool: a stranger process walks the index and checks every session"
show "$demo" --verify >"$dir/verify"
verified=$?
cat "$dir/verify"
echo
known=$(awk '/live, found/ {print $1}' "$dir/verify")
stray=$(($(held demo-sessions) - known))
check "every session's content is what was signed" [ "$verified" = 0 ]
check "slabd counts the same sessions, and $stray in the killed worker's hands" \
	[ "$stray" -ge 0 -a "$stray" -le 1 ]
check "no response buffer is left, the killed worker's included" [ "$(held demo-responses)" = 0 ]
show "$slabctl" audit
check "the audit balances" [ $? = 0 ]

chapter "6. The server ends; the sessions outlive it, until a stranger frees them"
kill -TERM "$server"
wait "$server"
check "the server ended in order" [ $? = 0 ]
pids=("$daemon")
show "$slabctl" caches
show "$demo" --clear
cleared=$?
check "all $known sessions were freed" [ "$cleared" = 0 ]
if [ "$stray" = 0 ]; then
	check "nothing is left: no cache" [ "$("$slabctl" caches --json | tr -d ' \n')" = '[]' ]
else
	check "what is left is the killed worker's $stray, an orphan" [ "$(held demo-sessions)" = "$stray" ]
fi
show "$slabctl" audit
check "the audit balances" [ $? = 0 ]
kill -TERM "$daemon"
wait "$daemon"
check "slabd ended in order" [ $? = 0 ]
pids=()

if [ "$bad" != 0 ]; then
	printf '\n%s%d checks failed.%s slabd said:\n' "$red" "$bad" "$plain"
	sed 's/^/    /' "$dir/slabd.log"
	exit 1
fi
printf '\n%sEverything balances.%s\n' "$bold" "$plain"
