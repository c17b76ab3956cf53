/* Every sentence of slabctl's own that says what went wrong or asks something.  Each names the
 * object, the number and what to type next.  What slabd answers is shown as it comes. */
#ifndef SLABCTL_TEXTS_H
#define SLABCTL_TEXTS_H

/* ---- the command line */
#define TEXT_NO_VERB	   "no verb given; slabctl --help lists them"
#define TEXT_UNKNOWN_VERB  "\"%.63s\" is no verb; slabctl --help lists them"
#define TEXT_NO_ARGUMENT   "%s: wants %.*s; see slabctl %s --help"
#define TEXT_MORE_ARGUMENT "%s: \"%.63s\" is one argument too many; see slabctl %s --help"
#define TEXT_FOREIGN	   "%s: takes no %s; see slabctl %s --help"
#define TEXT_NO_NUMBER	   "%s \"%.63s\": must be a whole number, %llu to %llu%s"
#define TEXT_NO_SECONDS	   "%s \"%.63s\": must be seconds, %.1f to %d"
#define TEXT_UNITS	   ", in bytes or with K or M behind it"
#define TEXT_NO_SETTING	   "set: \"%.63s\": must be KEY=NUMBER or KEY=default; see slabctl set --help"
#define TEXT_NO_SORT	   "sort \"%.63s\": is none of the letters a b c l n o p s u k r w"
#define TEXT_NO_SHELL	   "completion \"%.63s\": is none of bash, zsh, fish"
#define TEXT_NO_FLAG	   "flag \"%.63s\": is none of reclaim, strict, hwalign"
#define TEXT_NO_PID	   "pid \"%.63s\": must be a whole number, 1 to %d; see slabctl clients"
#define TEXT_NAME_LENGTH \
	"cache name \"%.20s%s\": has %zu characters, must have 1 to %d; see slabctl caches"
#define TEXT_NAME_LETTERS "cache name \"%.63s\": must be made of A-Z a-z 0-9 _ . -"
#define TEXT_NO_SIZE \
	"create %.63s: wants --size BYTES, the size of an object; see slabctl create --help"
#define TEXT_CREATE_WRONG "create %.63s: %s; see slabctl create --help"
#define TEXT_SHRINK_WHAT  "shrink: wants either the NAME of a cache or --all; see slabctl caches"
#define TEXT_WANTS_YES	  "%s: there is no terminal to ask on; to do it unasked: slabctl %s --yes"
#define TEXT_ORPHANS_YES  "orphans: --yes goes with --free; see slabctl orphans --help"
#define TEXT_BAD_TIMEOUT  "SLABD_TIMEOUT_MS \"%.32s\": must be a whole number, 1 to %d"

/* ---- questions, and the answer no */
#define TEXT_ASK_DESTROY "Destroy cache \"%s\" (%llu objects live)?"
#define TEXT_ASK_EVICT	 "Kill pid %d and take back what it holds?"
#define TEXT_ASK_FREE	 "Free %llu orphans (%s) of %s for good?"
#define TEXT_DECLINED	 "nothing was done"

/* ---- the way to slabd */
#define TEXT_NO_SOCKET	"no slabd at %s: %s; start slabd, or say where it is: --address SOCKET"
#define TEXT_FORBIDDEN	"socket %s is not for user %u: %s; run as its owner or join its group"
#define TEXT_NO_PROCESS "slabd at %s can't be asked: %s"
#define TEXT_SILENT                                                                           \
	"slabd at %s gave no answer in %u ms; is it stopped or overloaded? Wait longer with " \
	"SLABD_TIMEOUT_MS=60000"
#define TEXT_HUNG_UP \
	"slabd at %s ended the connection before it answered; try again, and see slabctl status"
#define TEXT_NO_ANSWER \
	"slabd at %s answered with something else than was asked; is it of the same release (%s)?"
#define TEXT_VERSIONS                                                                           \
	"slabd %.32s at %s speaks protocol %u.%u, this slabctl (%s) speaks %u.%u; install the " \
	"same release of both"
#define TEXT_REFUSED   "slabd at %s refused: %s"
#define TEXT_TOO_LONG  "the request has %zu bytes, at most %d fit"
#define TEXT_NO_MEMORY "slabctl itself has no memory"
#define TEXT_WAITED    "%s (waited %.1f s)"

/* ---- on a terminal, while it takes long */
#define TEXT_PROGRESS "%s: waiting for slabd, %llu s"

/* ---- verbs that go on while slabd is away */
#define TEXT_AWAY	 "%s; going on until it answers"
#define TEXT_BACK	 "slabd at %s answers again"
#define TEXT_EVENTS_LOST "%llu events before these are gone; slabd's log has them"

#define TEXT_TOP_AWAY	 "away: %s"
#define TEXT_TOP_WAITING "no answer from slabd for %llu s; q ends"
#define TEXT_TOP_BATCH	 "top: there is no terminal to draw on; to print frames: slabctl top -b"
#define TEXT_NO_TERMINAL "top: this terminal can't be drawn on; set TERM, or: slabctl top -b"

/* ---- findings */
#define TEXT_NO_CACHE	"cache \"%s\": there is none; see slabctl caches"
#define TEXT_NO_CACHES	"no caches yet; make one with: slabctl create NAME --size BYTES"
#define TEXT_NO_CLIENTS "no clients are attached"
#define TEXT_NO_ORPHANS "no orphans"
#define TEXT_DAMAGED_POOL \
	"the segment is damaged: memory under it is gone; see slabd's log, and slabctl audit"
#define TEXT_DAMAGED_FIGURES                                                                     \
	"the segment is damaged: memory under it is gone, and figures that were read there are " \
	"not what there is; see slabctl doctor"
#define TEXT_DAMAGED_AUDIT \
	"damage: memory under the segment is gone, so nothing can be proved; see slabctl doctor"
#define TEXT_UNBALANCED "damage: %llu objects lost, %llu doubled; see slabd's log"
#define TEXT_UNDECIDED                                                                         \
	"no verdict: clients moved objects during every walk; ask again when they are quiet: " \
	"slabctl audit"
#define TEXT_INEXACT	 "clients moved objects meanwhile, so the figures are of no one instant"
#define TEXT_COLUMNS_CUT "the terminal is too narrow for %zu more columns; --json has them all"
#define TEXT_MAP_CUT	 "the map shows the first %zu of %llu slabs"
#define TEXT_NO_WRITING	 "standard output: %s; the output is not complete"

/* ---- what doctor finds */
#define TEXT_DOCTOR_KERNEL     "Linux %s; %d.%d or later is needed"
#define TEXT_DOCTOR_NO_SOCKET  "%s: %s; slabd does not run there"
#define TEXT_DOCTOR_OTHER_FILE "%s is no socket"
#define TEXT_DOCTOR_FORBIDDEN  "%s belongs to %s:%s, mode %04o: not for user %u"
#define TEXT_DOCTOR_SOCKET     "%s of %s:%s, mode %04o"
#define TEXT_DOCTOR_STOPPED    "the %s, pid %d, is stopped"
#define TEXT_DOCTOR_CRASHING                                                                      \
	"the keeper, pid %d, is there and no worker answered in %u ms; it may be crashing again " \
	"and again"
#define TEXT_DOCTOR_ANSWERS "slabd %s answers, worker pid %llu"
#define TEXT_DOCTOR_VERSION "slabd %s answers, this slabctl is %s; install the same release of both"
#define TEXT_DOCTOR_NO_HEAP "slabd has not said its size, so of the default one"
#define TEXT_DOCTOR_THP	    "2 MiB pages made from ordinary memory, which is nearly as good"
#define TEXT_DOCTOR_PAGES   "4 KiB pages"
#define TEXT_DOCTOR_HUGE_POOL                                                                    \
	"%s; of hugetlb %llu pages are free, %llu are needed for %llu MiB: limited by the free " \
	"pool"
#define TEXT_DOCTOR_HUGE_CGROUP                                                                   \
	"%s; of hugetlb %llu pages are free, %llu are needed: limited to %llu MiB by the cgroup " \
	"(%s), %llu MiB in use"
#define TEXT_DOCTOR_HUGE_FREE	"%s; of hugetlb %llu pages are free, %llu are needed for %llu MiB"
#define TEXT_DOCTOR_HUGE_OK	"heap of %llu MiB on hugetlb pages"
#define TEXT_DOCTOR_FILES	"heap of %llu MiB in %s"
#define TEXT_DOCTOR_MEMORY_FREE "no cgroup limits it"
#define TEXT_DOCTOR_MEMORY_OK	"%llu MiB allowed by the cgroup (%s), %llu MiB in use"
#define TEXT_DOCTOR_MEMORY                                                                    \
	"%llu MiB allowed by the cgroup (%s), %llu MiB in use; a heap of which %llu more of " \
	"%llu MiB may be taken does not fit"
#define TEXT_DOCTOR_NO_LIMITS  "the limits of pid %d can't be read"
#define TEXT_DOCTOR_OPEN_OK    "%llu open files allowed, %llu needed for %llu clients"
#define TEXT_DOCTOR_OPEN       TEXT_DOCTOR_OPEN_OK "; some clients will be refused"
#define TEXT_DOCTOR_WHOLE      "no memory of it is gone"
#define TEXT_DOCTOR_NO_RESTART "the worker was never restarted"
#define TEXT_DOCTOR_RESTARTS   "the worker was restarted %llu time%s in %s"
#define TEXT_DOCTOR_FAR	       "%llu of %llu %s"
#define TEXT_DOCTOR_NEAR       TEXT_DOCTOR_FAR ": near the limit"
#define TEXT_DOCTOR_NO_ORPHANS "none"
#define TEXT_DOCTOR_ORPHANS    "%llu objects (%s) outlived their owners"

#endif
