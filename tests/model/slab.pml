/* The protocol of tags, magazines, depot, repair and reclaim.
 *
 * One CAS or one store to shared memory is one step (one atomic).  A read is merged with the step
 * after it only where nobody else can write the word in between; private memory is merged with the
 * shared step before it.  Any process may be killed between any two steps.  Memory is sequentially
 * consistent here.
 *
 * What is built: the scenario's -D options (run.sh) choose operations and bounds; FAULT_<name>
 * plants one fault. */

/* ---------------------------------------------------------------- bounds */
#ifndef N
#define N 2 /* objects */
#endif
#ifndef M
#define M 3 /* magazines */
#endif
#ifndef K
#define K 1 /* rounds in a magazine */
#endif
#ifndef NT
#define NT 2 /* threads */
#endif
#ifdef THREADS /* of one client; else each thread is a client of its own */
#define NP     1
#define PROC(t) 0
#define MATES  NT
#else
#define NP     NT
#define PROC(t) (t)
#define MATES  1
#endif
#ifndef IDS
#define IDS NP /* client ids: 2 .. IDS+1 */
#endif
#ifndef OPS
#define OPS 2 /* alloc, free, adopt: calls of one thread */
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef WORKER_CRASHES
#define WORKER_CRASHES 0
#endif
#ifndef G
#define G 1 /* generations; 1: none are looked at */
#endif
#ifndef RACK
#define RACK M /* the first magazine of the rack that may be retired */
#endif

/* ---------------------------------------------------------------- words */
#define SLAB	0
#define CIRC	1
#define LIVE	2
#define FREEING 3
#define TAG(owner, state, generation) ((owner)*64 + (state)*16 + (generation))
#define OWNER(tag)  ((tag) / 64)
#define STATE(tag)  (((tag) / 16) % 4)
#define GEN(tag)    ((tag) % 16)
#define NEXT(tag)   ((GEN(tag) + 1) % G)

#define EMPTY	 0
#define FULL	 1
#define UNSIGNED 2 /* only with FAULT_CLAIM_SIGNS_LATER */
#define RETIRED	 3
#define HELD(id) (16 + (id))

#define WORKER	   1
#define ID_FREE	   0
#define ID_ATTACHED 1
#define ID_DYING   2
#define ID_TOMB	   3

#define SLOTS	 (K + 1)
#define SLOT(m, i) rounds[(m)*SLOTS + (i)]
#define BIT(i)	 (1 << (i))

/* Shared memory. */
short tag[N + 1];
byte own[M], cnt[M], rounds[M * SLOTS];
byte hint[2]; /* by EMPTY, FULL: where one may be */

/* The worker's state region, and its private list of objects in slabs. */
byte id_state[IDS + 2];
byte list;
#define LISTED(r) (list & BIT(r))
#ifdef FOLD
byte fold_to[IDS + 2]; /* of the state region as well: the tomb that this one is folded into */
#define IS_TOMB(i) ((i) < IDS + 2 && id_state[(i) % (IDS + 2)] == ID_TOMB)
#define FOLDING	   (fold != 0)
#endif
#if defined(FOLD) && !defined(FAULT_CENSUS_IGNORES_FOLD)
#define MAY_BURY (!walk_new && !FOLDING)
#else
#define MAY_BURY (!walk_new)
#endif

/* Private memory of the clients, global for the audit: magazine+1, 0 is none. */
byte loaded[NT], previous[NT];
byte parked[NP];
byte id_of[NP];

/* Ghosts: what the application and the kernel know. */
byte hold[N + 1]; /* in whose hands, by client id */
byte busy[N + 1]; /* threads that are about to free it for its holder; PUBLISHED */
bool gone[N + 1]; /* its free returned */
bool idle[NT], worker_idle;
bool killed[NP], worker_killed;
byte dead_threads[NP];
byte ops[NT];
byte crashes, worker_crashes;
#define PUBLISHED 128

#ifdef HANDLE
#define NOBODY 255 /* may use it: its object is being freed by a plain store */
byte handle_ref, handle_gen, handle_taker; /* one handle: published, and who works with it */
bool handle_stale;			   /* that object's life ended */
#define END_OF_LIFE(r)                                                         \
	if                                                                     \
	:: r == handle_ref && (STATE(tag[r]) == SLAB || STATE(tag[r]) == CIRC) \
		-> handle_stale = 1; busy[r] = 0;                              \
		if                                                             \
		:: handle_taker == NOBODY -> handle_taker = 0                  \
		:: else                                                        \
		fi                                                             \
	:: else                                                                \
	fi
#else
#define END_OF_LIFE(r) skip
#endif
#ifdef REFILL
bool asks[NT];
byte given[NT]; /* only with FAULT_REFILL_HANDS_OVER */
#endif

/* What somebody holds stays LIVE of him. */
#define SET_TAG(r, v)                                                                  \
	tag[r] = (v);                                                                  \
	assert(hold[r] == 0 || (STATE(tag[r]) == LIVE && OWNER(tag[r]) == hold[r]));   \
	END_OF_LIFE(r)
#define MY_MAGAZINE(m) assert(own[m] == HELD(me))

/* ---------------------------------------------------------------- the depot (shm/depot.c) */

/* Sets m to a magazine+1 in that state with at most so many rounds, or to 0.  Uses snap, i. */
inline claim(want, most)
{
#ifdef HINTS
	atomic { snap = hint[want]; m = 0; i = 0 };
	do
	:: atomic { m == 0 && snap != 0 ->
		i = 0;
		do
		:: !(snap & BIT(i)) -> i++
		:: else -> break
		od };
#ifdef FAULT_HINT_CLEARED_BEFORE_CAS
		atomic { hint[want] = hint[want] & ~BIT(i) };
#endif
		if
		:: atomic { own[i] == want && cnt[i] <= most ->
			own[i] = HELD(me); m = i + 1; snap = 0 };
#ifndef FAULT_HINT_CLEARED_BEFORE_CAS
			atomic { hint[want] = hint[want] & ~BIT(i); i = 0 }
#endif
		:: atomic { else -> snap = snap & ~BIT(i) };
#ifdef FAULT_HINT_CLEARED_AFTER_FAILED_CAS
			atomic { hint[want] = hint[want] & ~BIT(i); i = 0 }
#endif
		fi
	:: atomic { m != 0 || snap == 0 -> i = 0; break }
	od
#else
	atomic {
		m = 0; i = 0;
		do
		:: i < M && own[i] == want && cnt[i] <= most -> m = i + 1; break
		:: i < M && (want == FULL || own[i] != want || cnt[i] > most) -> i++
		:: i >= M -> break
		od;
		i = 0;
#ifdef FAULT_CLAIM_SIGNS_LATER
		if
		:: m != 0 -> own[m - 1] = UNSIGNED
		:: else
		fi };
	atomic {
		if
		:: m != 0 -> own[m - 1] = HELD(me)
		:: else
		fi }
#else
		if
		:: m != 0 -> own[m - 1] = HELD(me)
		:: else
		fi }
#endif
#endif
}

inline put(mm, who)
{
#if defined(HINTS) && !defined(FAULT_PUT_WITHOUT_HINT) && !defined(FAULT_HINT_AFTER_OWNER_WORD)
	atomic { hint[(cnt[mm] > 0 -> FULL : EMPTY)] = hint[(cnt[mm] > 0 -> FULL : EMPTY)] | BIT(mm) };
#endif
	atomic { assert(own[mm] == HELD(who)); own[mm] = (cnt[mm] > 0 -> FULL : EMPTY);
		snap = (cnt[mm] > 0 -> FULL : EMPTY) };
#ifdef FAULT_HINT_AFTER_OWNER_WORD
	atomic { hint[snap] = hint[snap] | BIT(mm) };
#endif
	atomic { snap = 0 }
}

/* ---------------------------------------------------------------- a client */

#define OWN    1 /* kinds of free: the caller's own */
#define HANDED 2 /* another's, whose pointer the caller was given */
#define AGAIN  3 /* a pointer that was freed before */
#define BY_HANDLE 4
#define RESUMED 5 /* a parked one */

#define BEGIN ops[t]++; idle[t] = 0
#define DONE                                                                                       \
	m = 0; n = 0; i = 0; k = 0; r = 0; r0 = 0; r1 = 0; kind = 0; seen = 0; got = 0; gen = 0; \
	gen1 = 0;                                                                                  \
	idle[t] = 1
#ifdef STRICT
#ifdef FAULT_STRICT_FREES_OWN_BY_STORE
#define IS_MINE(tag) (OWNER(tag) == me)
#else
#define IS_MINE(tag) false
#endif
#else
#define IS_MINE(tag) (OWNER(tag) == me)
#endif
#ifdef TWICE /* another may be freeing it at once: somebody's mistake */
#define UNTOUCHED(r) true
#else
#define UNTOUCHED(r) (busy[r] == 0)
#endif

/* The free of r begins to be one: nobody has it any more. */
#define LET_GO(r)                                  \
	hold[r] = 0;                               \
	busy[r] = 0

inline pick(r, condition_1, condition_2)
{
	if
	:: condition_1 -> r = 1
	:: condition_2 -> r = 2
	fi
}

proctype client(byte t)
{
	byte me, m, n, i, k, r, r0, r1, kind, got, gen, gen1, snap;
	short seen;

end_unborn:
	atomic { !killed[PROC(t)] && dead_threads[PROC(t)] == 0 &&
		 (id_of[PROC(t)] != 0 || id_state[2] == ID_FREE || (IDS > 1 && id_state[3 % (IDS + 2)] == ID_FREE) ||
		  (IDS > 2 && id_state[4 % (IDS + 2)] == ID_FREE)) ->
		if
		:: id_of[PROC(t)] == 0 ->
			i = 2;
			do
			:: id_state[i] != ID_FREE -> i++
			:: else -> break
			od;
			id_of[PROC(t)] = i;
#ifdef FOLD
			fold_to[i] = 0;
#endif
			id_state[i] = ID_ATTACHED
		:: else
		fi;
		me = id_of[PROC(t)];
		i = 0 };
end_idle:
	{
	if
	/* ---- alloc: as bulk, of one or of two */
	:: atomic { ops[t] < OPS -> BEGIN;
		if
		:: k = 1
#ifdef BULK
		:: k = 2
#endif
		fi;
		goto alloc }
	/* ---- free of one's own */
	:: atomic { ops[t] < OPS && ((hold[1] == me && UNTOUCHED(1)) || (N > 1 && hold[2 % (N + 1)] == me && UNTOUCHED(2 % (N + 1)))) ->
		BEGIN;
		pick(r0, hold[1] == me && UNTOUCHED(1), N > 1 && hold[2 % (N + 1)] == me && UNTOUCHED(2 % (N + 1)));
		k = 1; kind = OWN; gen = GEN(tag[r0]);
#if defined(HANDLE) && !defined(STRICT) && !defined(MARKED)
		if
		:: r0 == handle_ref -> handle_taker = NOBODY
		:: else
		fi;
#endif
#ifdef BULK
		r1 = 3 - r0;
		if
		:: hold[r1] == me && busy[r1] == 0 -> k = 2
#ifdef TWICE
		:: r1 = r0; k = 2 /* one entry standing there twice */
#endif
		:: r1 = 0
		fi;
#endif
		busy[r0] = busy[r0] | BIT(t);
		if
		:: k == 2 -> busy[r1] = busy[r1] | BIT(t); gen1 = GEN(tag[r1])
		:: else
		fi;
		goto room }
#ifdef REMOTE
	/* ---- free of another's, by a pointer that its holder gave away */
	:: atomic { ops[t] < OPS && ((hold[1] != 0 && hold[1] != me && UNTOUCHED(1)) || (N > 1 && hold[2 % (N + 1)] != 0 && hold[2 % (N + 1)] != me && UNTOUCHED(2 % (N + 1)))) ->
		BEGIN;
		pick(r0, hold[1] != 0 && hold[1] != me && UNTOUCHED(1), N > 1 && hold[2 % (N + 1)] != 0 && hold[2 % (N + 1)] != me && UNTOUCHED(2 % (N + 1)));
		k = 1; kind = HANDED; gen = GEN(tag[r0]);
		busy[r0] = busy[r0] | BIT(t);
		goto room }
#endif
#ifdef DOUBLE
	/* ---- a pointer that was freed before */
	:: atomic { ops[t] < OPS && (gone[1] || (N > 1 && gone[2 % (N + 1)])) ->
		BEGIN;
		pick(r0, gone[1], N > 1 && gone[2 % (N + 1)]);
		k = 1; kind = AGAIN;
		goto room }
#endif
#ifdef HANDLE
	/* ---- publish a handle; hand on the one that was adopted */
	:: atomic { hold[1] == me && busy[1] == 0 && (handle_ref == 0 || handle_ref == 1 || handle_stale) ->
		handle_ref = 1; handle_gen = GEN(tag[1]); handle_stale = 0; handle_taker = 0;
		busy[1] = PUBLISHED }
		; goto end_idle
	/* ---- adopt by handle; each handle is with one taker at a time, and again with the next
	 *	when that one is done or dead; of an orphan that is folded everybody has a copy */
#ifdef FOLD
#define MAY_TAKE true
#else
#define MAY_TAKE (handle_taker == 0)
#endif
	:: atomic { ops[t] < OPS && handle_ref != 0 && MAY_TAKE -> BEGIN;
		handle_taker = me; r = handle_ref; gen = handle_gen; kind = BY_HANDLE;
		if
		:: goto adopt
		:: r0 = r; k = 1; goto room
		fi }
#endif
#ifdef PARK
	:: atomic { parked[PROC(t)] != 0 -> idle[t] = 0;
		if
		:: parked[PROC(t)] & BIT(1) -> r0 = 1
		:: N > 1 && parked[PROC(t)] & BIT(2) -> r0 = 2
		fi;
		parked[PROC(t)] = parked[PROC(t)] & ~BIT(r0);
		k = 1; kind = RESUMED;
		goto room }
#endif
#ifdef FLUSH
	/* ---- a thread's exit, or a flush */
	:: atomic { loaded[t] != 0 || previous[t] != 0 -> idle[t] = 0;
		n = loaded[t]; k = previous[t]; loaded[t] = 0; previous[t] = 0;
#ifdef FAULT_PARKED_DROPPED_AT_EXIT
		parked[PROC(t)] = 0;
#endif
#ifdef FAULT_EXIT_KEEPS_PREVIOUS
		k = 0;
#endif
		};
		if
		:: n != 0 -> put(n - 1, me)
		:: else
		fi;
		if
		:: k != 0 -> put(k - 1, me)
		:: else
		fi;
		atomic { DONE };
		goto end_idle
#endif
	fi;

	/* -------- alloc (slabd_fast_take_many, load_rounds) */
alloc:
	atomic {
		if
		:: loaded[t] != 0 && cnt[loaded[t] - 1] > 0 -> goto take
		:: else
			-> if
			:: previous[t] != 0 && cnt[previous[t] - 1] > 0 ->
				m = loaded[t]; loaded[t] = previous[t]; previous[t] = m; m = 0;
				goto take
			:: else
			fi
		fi };
	claim(FULL, K);
	if
	:: atomic { m == 0 -> goto dry }
	:: atomic { m != 0 -> n = previous[t]; previous[t] = loaded[t]; loaded[t] = m; m = 0 }
	fi;
	if
	:: n != 0 -> put(n - 1, me)
	:: else
	fi;
	atomic { n = 0; goto alloc };
take:
	atomic { n = cnt[loaded[t] - 1]; k = (k > n -> n : k); i = 0; goto take_tag };
take_tag:
#ifdef FAULT_ALLOC_TAG_LAST
	atomic { MY_MAGAZINE(loaded[t] - 1);
		do
		:: i < k -> got = got | BIT(SLOT(loaded[t] - 1, n - 1 - i)); i++
		:: else -> break
		od;
		cnt[loaded[t] - 1] = n - k; i = 0 };
take_tag_last_slot:
	atomic { SLOT(loaded[t] - 1, n - 1 - i) = 0; i++;
		if
		:: i < k -> goto take_tag_last_slot
		:: else -> i = 0
		fi };
	atomic {
		if
		:: got & 2 -> SET_TAG(1, TAG(me, LIVE, GEN(tag[1]))); hold[1] = me; gone[1] = 0
		:: else
		fi;
		if
		:: N > 1 && got & 4 -> SET_TAG(2, TAG(me, LIVE, GEN(tag[2 % (N + 1)]))); hold[2 % (N + 1)] = me; gone[2 % (N + 1)] = 0
		:: else
		fi;
		DONE; goto end_idle };
#endif
	atomic { r = SLOT(loaded[t] - 1, n - 1 - i); assert(r != 0); seen = tag[r];
		assert(STATE(seen) == CIRC); MY_MAGAZINE(loaded[t] - 1);
		SET_TAG(r, TAG(me, LIVE, GEN(seen))); gone[r] = 0; got = got | BIT(r); i++; /* (a) */
		if
		:: i < k -> goto take_tag
		:: else -> i = 0
		fi };
#ifdef FAULT_ALLOC_SLOT_CLEARED_BEFORE_COUNT
	atomic { SLOT(loaded[t] - 1, n - 1) = 0 };
#endif
	atomic { MY_MAGAZINE(loaded[t] - 1); cnt[loaded[t] - 1] = n - k }; /* (b) */
take_slot:
	atomic { MY_MAGAZINE(loaded[t] - 1);
#ifndef FAULT_ALLOC_SLOT_NOT_CLEARED
		SLOT(loaded[t] - 1, n - 1 - i) = 0; /* (c) */
#endif
		i++;
		if
		:: i < k -> goto take_slot
		:: else ->
			r = 1;
			do
			:: r <= N && got & BIT(r) -> assert(hold[r] == 0 && tag[r] == TAG(me, LIVE, GEN(tag[r])));
				hold[r] = me; r++
			:: r <= N && !(got & BIT(r)) -> r++
			:: r > N -> break
			od;
			DONE; goto end_idle
		fi };
dry:
#ifdef REFILL
	atomic { asks[t] = 1 };
	if
	:: atomic { !asks[t] && given[t] == 0 -> goto alloc } /* "look again" */
#ifdef FAULT_REFILL_HANDS_OVER
	:: atomic { given[t] != 0 -> n = previous[t]; previous[t] = loaded[t]; loaded[t] = given[t]; given[t] = 0 };
		if
		:: n != 0 -> put(n - 1, me)
		:: else
		fi;
		atomic { n = 0; goto alloc }
#endif
	:: atomic { true -> DONE; goto end_idle } /* the deadline */
	fi;
#else
	atomic { DONE; goto end_idle };
#endif

	/* -------- free (slabd_fast_give_many, free_make_room, claim_for_free) */
room:
	atomic {
		if
		:: loaded[t] != 0 && cnt[loaded[t] - 1] < K -> goto give
		:: else
			-> if
			:: previous[t] != 0 && cnt[previous[t] - 1] < K ->
				m = loaded[t]; loaded[t] = previous[t]; previous[t] = m; m = 0;
				goto give
			:: else
			fi
		fi };
	claim(EMPTY, K);
#if K > 1
	if
	:: m == 0 -> claim(FULL, K - 1)
	:: else
	fi;
#endif
	if
	:: atomic { m == 0 -> goto no_room }
	:: atomic { m != 0 -> n = previous[t]; previous[t] = loaded[t]; loaded[t] = m; m = 0 }
	fi;
	if
	:: n != 0 -> put(n - 1, me)
	:: else
	fi;
give:
	atomic { n = cnt[loaded[t] - 1]; i = 0; r = r0;
		if
#ifndef FAULT_PARKED_RESUMED_AT_CHECK
		:: kind == RESUMED -> seen = tag[r];
#ifdef FAULT_PARKED_AS_LIVE
#else
			assert(seen == TAG(me, FREEING, GEN(seen)));
#endif
			goto add
#endif
		:: else -> goto check
		fi };
check:
	atomic { seen = tag[r];
		if
		:: kind == OWN || kind == HANDED ->
			if
			:: STATE(seen) == LIVE && GEN(seen) == gen && IS_MINE(seen) ->
				LET_GO(r);
#ifdef MARKED
				goto mark
#else
				goto add
#endif
#ifdef FAULT_FREE_OF_ANOTHERS_BY_STORE
			:: STATE(seen) == LIVE && GEN(seen) == gen && !IS_MINE(seen) -> goto claimed
#else
			:: STATE(seen) == LIVE && GEN(seen) == gen && !IS_MINE(seen) -> goto take_over
#endif
			:: STATE(seen) == LIVE && GEN(seen) != gen -> goto stored /* handed out anew: a pointer can't tell */
#ifdef FAULT_FREE_UNCHECKED
			:: STATE(seen) != LIVE -> goto add
#else
			:: STATE(seen) != LIVE -> goto stored /* refused */
#endif
			fi
		:: kind == AGAIN ->
#ifdef FAULT_FREE_UNCHECKED
			if
			:: STATE(seen) != LIVE -> goto add
			:: else -> goto stored
			fi
#else
			assert(STATE(seen) != LIVE || !gone[r]); goto stored
#endif
		:: kind == RESUMED -> /* only with FAULT_PARKED_RESUMED_AT_CHECK */
			if
			:: STATE(seen) == LIVE -> goto add
			:: else -> goto stored
			fi
#ifdef HANDLE
		:: kind == BY_HANDLE ->
			if
#ifdef FAULT_FREE_HANDLE_WITHOUT_GENERATION
			:: STATE(seen) == LIVE -> goto take_over
#else
			:: STATE(seen) == LIVE && GEN(seen) == gen -> goto take_over
#endif
			:: else -> goto stored
			fi
#endif
		fi };
#ifdef MARKED
mark:
	atomic { SET_TAG(r, TAG(me, FREEING, GEN(seen))); goto add };
#endif
take_over: /* slabd_fast_claim */
	atomic {
		if
		:: tag[r] == seen ->
#ifdef HANDLE
			assert(kind != BY_HANDLE || !handle_stale);
#endif
			LET_GO(r);
			SET_TAG(r, TAG(me, FREEING, GEN(seen))); goto add
		:: else -> goto check
		fi };
#ifdef FAULT_FREE_OF_ANOTHERS_BY_STORE
claimed:
	atomic { LET_GO(r); goto add };
#endif
add:
#ifdef BULK
#ifdef FAULT_BULK_FREE_FILLS_DOWNWARD
	atomic { MY_MAGAZINE(loaded[t] - 1); SLOT(loaded[t] - 1, (k == 2 && n == 0 -> 1 - i : n + i)) = r };
#else
	atomic { MY_MAGAZINE(loaded[t] - 1); SLOT(loaded[t] - 1, n + i) = r }; /* (a) */
#endif
#else
#ifdef FAULT_FREE_TAG_BEFORE_SLOT
	atomic { SET_TAG(r, TAG(0, CIRC, NEXT(seen))) };
	atomic { MY_MAGAZINE(loaded[t] - 1); SLOT(loaded[t] - 1, n + i) = r; i++; goto stored };
#endif
	atomic { MY_MAGAZINE(loaded[t] - 1); SLOT(loaded[t] - 1, n + i) = r }; /* (a) */
#ifdef FAULT_FREE_COUNT_BEFORE_TAG
	atomic { MY_MAGAZINE(loaded[t] - 1); cnt[loaded[t] - 1] = n + i + 1 };
#endif
#endif
#ifdef FAULT_BULK_FREE_CHECKS_ALL_FIRST
	atomic { i++;
		if
		:: i < k && n + i < K ->
			if
			:: r1 != r0 || r1 == r0 -> r = r1; seen = tag[r]; /* checked by then: LIVE */
				if
				:: STATE(seen) == LIVE -> LET_GO(r); goto add
				:: else -> goto tags
				fi
			fi
		:: else -> goto tags
		fi };
tags:	/* all rounds are stored: the tags upward */
	atomic { n = n + 0;
		SET_TAG(r0, TAG(0, CIRC, (GEN(tag[r0]) + 1) % G));
		if
		:: i == 2 && r1 != r0 -> SET_TAG(r1, TAG(0, CIRC, (GEN(tag[r1]) + 1) % G))
		:: else
		fi;
		goto stored };
#endif
	atomic {
#ifdef FAULT_FREE_KEEPS_GENERATION
		SET_TAG(r, TAG(0, CIRC, GEN(seen)));
#else
		SET_TAG(r, TAG(0, CIRC, NEXT(seen))); /* (b) */
#endif
		i++;
		if
		:: i < k && n + i < K -> r = r1; gen = gen1; gen1 = 0; goto check
		:: else -> goto stored
		fi };
stored:
	atomic {
		if
		:: i > 0 -> MY_MAGAZINE(loaded[t] - 1); cnt[loaded[t] - 1] = n + i; /* (c) */
			gone[r0] = 1;
			if
			:: i == 2 -> gone[r1] = 1
			:: else
			fi
		:: else
		fi;
		goto freed };
freed:
	atomic {
		busy[r0] = busy[r0] & ~BIT(t); busy[r1] = busy[r1] & ~BIT(t);
#ifdef HANDLE
		if
		:: r0 == handle_ref && handle_taker == NOBODY && hold[r0] == me -> handle_taker = me
		:: r0 == handle_ref && handle_taker == me && hold[r0] != me -> handle_taker = 0
		:: else
		fi;
#endif
		DONE; goto end_idle };
no_room: /* parked_add */
#ifdef PARK
	atomic { r = r0;
		if
		:: kind == RESUMED -> parked[PROC(t)] = parked[PROC(t)] | BIT(r); goto freed
		:: else
		fi };
park_check:
	atomic { seen = tag[r];
		if
		:: kind == AGAIN -> assert(STATE(seen) != LIVE || !gone[r]); goto freed
		:: kind != AGAIN && STATE(seen) == LIVE && GEN(seen) == gen
		:: kind != AGAIN && !(STATE(seen) == LIVE && GEN(seen) == gen) -> goto freed
		fi };
	atomic {
		if
		:: tag[r] == seen -> LET_GO(r);
#ifndef FAULT_PARKED_AS_LIVE
			SET_TAG(r, TAG(me, FREEING, GEN(seen)));
#endif
			parked[PROC(t)] = parked[PROC(t)] | BIT(r); gone[r] = 1; goto freed
		:: else -> goto park_check
		fi };
#else
	atomic { goto freed };
#endif

#ifdef HANDLE
	/* -------- adopt (slabd_adopt) */
adopt:
	atomic { seen = tag[r];
		if
#ifdef FAULT_ADOPT_WITHOUT_GENERATION
		:: STATE(seen) == LIVE
		:: else -> r0 = r; goto freed
#else
		:: STATE(seen) == LIVE && GEN(seen) == gen
		:: else -> /* ESTALE, but not as long as the object lives */
			assert(handle_stale || gen != handle_gen || STATE(seen) == FREEING);
			r0 = r; goto freed
#endif
		fi };
	atomic {
		if
#ifdef FAULT_ADOPT_BY_STORE
		:: true ->
#else
		:: tag[r] == seen ->
#endif
			assert(!handle_stale);
			hold[r] = 0; SET_TAG(r, TAG(me, LIVE, GEN(seen))); hold[r] = me; busy[r] = 0;
			DONE; goto end_idle
		:: else -> goto adopt
		fi };
#endif
	} unless { killed[PROC(t)] };

	atomic { DONE; me = 0; snap = 0; dead_threads[PROC(t)]++;
		if
		:: dead_threads[PROC(t)] == MATES -> /* the kernel says so */
			id_state[id_of[PROC(t)]] = ID_DYING; id_of[PROC(t)] = 0;
			killed[PROC(t)] = 0; dead_threads[PROC(t)] = 0
		:: else
		fi;
		goto end_unborn }
}

/* ---------------------------------------------------------------- the worker */

#define LIST(r) assert(!LISTED(r)); list = list | BIT(r)
/* What a taking party leaves in step (a); what a slot past the count may name. */
#define TAKEN(tag, dead) ((STATE(tag) == LIVE && OWNER(tag) == (dead)) || ((dead) == WORKER && STATE(tag) == SLAB))
#define ADDED(tag, dead) (TAKEN(tag, dead) || STATE(tag) == CIRC || (STATE(tag) == FREEING && OWNER(tag) == (dead)))
#ifdef FAULT_REPAIR_KEEPS_GENERATION
#define AS_ROUND(tag) TAG(0, CIRC, GEN(tag))
#else
#define AS_ROUND(tag) TAG(0, CIRC, (STATE(tag) == LIVE || STATE(tag) == FREEING -> NEXT(tag) : GEN(tag)))
#endif
#define IS_OWNED(r, dead) (OWNER(tag[r]) == (dead) && (STATE(tag[r]) == LIVE || STATE(tag[r]) == FREEING))
#define LIST_ALL                                           \
	list = 0; r = 1;                                   \
	do                                                 \
	:: r <= N && STATE(tag[r]) == SLAB -> list = list | BIT(r); r++ \
	:: r <= N && STATE(tag[r]) != SLAB -> r++          \
	:: r > N -> r = 0; break                           \
	od

#ifdef FOLD
#define NOTE_TOMBS                                             \
	fold_is = 0; i = 2;                                    \
	do                                                     \
	:: IS_TOMB(i) -> fold_is = fold_is | BIT(i); i++       \
	:: i < IDS + 2 && !IS_TOMB(i) -> i++                   \
	:: i >= IDS + 2 -> break                               \
	od;                                                    \
	fold_r = 1; fold_seen = 0; i = 0
#ifdef FAULT_FOLD_BELIEVED_DONE
#define GO_ON id_state[i] = ID_FREE
#else
#define GO_ON fold = fold_to[i]
#endif
/* What a worker that was killed had begun to fold (tombs_open). */
#define FOLD_MARKS                                                                               \
	i = 2;                                                                                   \
	do                                                                                       \
	:: IS_TOMB(i) && fold_to[i] != 0 ->                                                      \
		if                                                                               \
		:: !IS_TOMB(fold_to[i]) || (FOLDING && fold != fold_to[i]) -> fold_to[i] = 0     \
		:: else -> assert(fold_to[i] != i && fold_to[fold_to[i]] == 0); GO_ON            \
		fi;                                                                              \
		i++                                                                              \
	:: i < IDS + 2 && !(IS_TOMB(i) && fold_to[i] != 0) -> i++                                \
	:: i >= IDS + 2 -> i = 0; break                                                          \
	od;                                                                                      \
	if                                                                                       \
	:: FOLDING -> NOTE_TOMBS                                                                 \
	:: else                                                                                  \
	fi
#endif

proctype worker()
{
	byte m, n, i, r, snap;
	short seen;
	byte job, job_m, job_r; /* the dead party, and how far its reclaim is */
	bool job_orphans;
	byte walk, walk_seen; /* the census */
	bool walk_new;
#ifdef FOLD
	byte fold, fold_r, fold_is, fold_seen; /* the tomb that stays, and how far the walk is; tombs
						* when it began, and of which of them it saw orphans */
#endif
	byte me = WORKER;

start:
	{
#ifdef FAULT_LISTS_BEFORE_MAGAZINES
	atomic { LIST_ALL };
#endif
#ifdef FAULT_NEW_WORKER_REPAIRS_NOTHING
	atomic { LIST_ALL; worker_idle = 1; goto end_serve };
#endif
	atomic { job = WORKER; job_r = 1; goto slice };
lists:
#ifndef FAULT_LISTS_BEFORE_MAGAZINES
#ifndef FAULT_LISTS_BEFORE_FREEING
	atomic { LIST_ALL };
#endif
#endif
	atomic { job = 0; job_m = 0; job_r = 0;
#ifdef FOLD
		FOLD_MARKS;
#endif
		worker_idle = 1 };
end_serve:
	if
	/* ---- the reclaim of a dead client, in slices, other work in between */
	:: atomic { job == 0 && (id_state[2] == ID_DYING || (IDS > 1 && id_state[3 % (IDS + 2)] == ID_DYING) || (IDS > 2 && id_state[4 % (IDS + 2)] == ID_DYING)) ->
		worker_idle = 0;
		job = 2;
		do
		:: id_state[job] != ID_DYING -> job++
		:: else -> break
		od;
		job_m = 0; job_r = 1; job_orphans = 0;
		goto slice }
	:: atomic { job != 0 -> goto slice }
#ifdef SLABS
	:: atomic { list != 0 -> worker_idle = 0; goto fill }
	:: atomic { own[0] == FULL || (M > 1 && own[1 % M] == FULL) || (M > 2 && own[2 % M] == FULL) || (M > 3 && own[3 % M] == FULL) -> worker_idle = 0; goto drain }
#endif
#ifdef REFILL
	:: atomic { asks[0] || (NT > 1 && asks[1 % NT]) -> worker_idle = 0; job_orphans = 0;
		if
		:: asks[0] -> walk = 0
		:: NT > 1 && asks[1 % NT] -> walk = 1
		fi;
		goto fill }
#endif
#ifdef ORPHANS
	:: atomic { job == 0 && walk == 0 && ((STATE(tag[1]) == LIVE && OWNER(tag[1]) >= 2 && id_state[OWNER(tag[1])] == ID_TOMB) || (N > 1 && STATE(tag[2 % (N + 1)]) == LIVE && OWNER(tag[2 % (N + 1)]) >= 2 && id_state[OWNER(tag[2 % (N + 1)])] == ID_TOMB)) ->
		worker_idle = 0;
		pick(r, STATE(tag[1]) == LIVE && OWNER(tag[1]) >= 2 && id_state[OWNER(tag[1])] == ID_TOMB,
		     N > 1 && STATE(tag[2 % (N + 1)]) == LIVE && OWNER(tag[2 % (N + 1)]) >= 2 && id_state[OWNER(tag[2 % (N + 1)])] == ID_TOMB);
		seen = tag[r] };
		atomic {
			if
			:: tag[r] == seen -> SET_TAG(r, TAG(0, SLAB, NEXT(seen))); LIST(r)
			:: else
			fi;
			r = 0; seen = 0; worker_idle = (job == 0); goto end_serve }
#endif
#ifdef CENSUS
	/* ---- the census, an object a slice; at its end tombs that no tag names are buried */
	:: atomic { walk == 0 ->
		walk = 1; walk_seen = 0; walk_new = 0; goto end_serve }
	:: atomic { walk != 0 && walk <= N ->
		if
		:: STATE(tag[walk]) == LIVE -> walk_seen = walk_seen | BIT(OWNER(tag[walk]))
		:: else
		fi;
		walk++; goto end_serve }
	:: atomic { walk > N ->
		i = 2;
		do
#ifdef FAULT_CENSUS_BURIES_NEW_TOMB
		:: i < IDS + 2 && id_state[i] == ID_TOMB && !(walk_seen & BIT(i)) -> id_state[i] = ID_FREE; i++
		:: i < IDS + 2 && !(id_state[i] == ID_TOMB && !(walk_seen & BIT(i))) -> i++
#else
		:: i < IDS + 2 && id_state[i] == ID_TOMB && !(walk_seen & BIT(i)) && MAY_BURY -> id_state[i] = ID_FREE; i++
		:: i < IDS + 2 && !(id_state[i] == ID_TOMB && !(walk_seen & BIT(i)) && MAY_BURY) -> i++
#endif
		:: i >= IDS + 2 -> break
		od;
		i = 0; walk = 0; walk_seen = 0; walk_new = 0; goto end_serve }
#endif
#ifdef FOLD
	/* ---- tombs are folded into one of them, an object a slice */
	:: atomic { !FOLDING && (IS_TOMB(2) + IS_TOMB(3) + IS_TOMB(4)) > 1 ->
		worker_idle = 0;
		if
		:: IS_TOMB(2) -> fold = 2
		:: IS_TOMB(3) -> fold = 3
		:: IS_TOMB(4) -> fold = 4
		fi;
		NOTE_TOMBS;
		i = 2; goto fold_mark }
	:: atomic { FOLDING -> worker_idle = 0; r = fold_r; goto fold_object }
#endif
#if RACK < M
	:: atomic { own[RACK] != RETIRED -> worker_idle = 0; goto retire }
#endif
	fi;

	/* -------- reclaim: repair_magazine, repair_sweep, reclaim_finish */
slice:
	atomic {
#ifdef FAULT_SWEEP_BEFORE_MAGAZINES
		if
		:: job_r <= N -> goto sweep
		:: else
		fi;
#endif
		do
		:: job_m < M && own[job_m] != HELD(job) -> job_m++
		:: else -> break
		od;
		if
		:: job_m < M -> n = cnt[job_m]; i = 0;
#ifdef FAULT_REPAIR_FROM_THE_TOP_DOWN
			i = n;
#endif
#ifdef FAULT_REPAIR_RESIGNS
			own[job_m] = HELD(WORKER);
#endif
			goto repair_rounds
		:: else ->
#ifdef FAULT_ID_FREE_BEFORE_SWEEP
			if
			:: job != WORKER && id_state[job] == ID_DYING -> id_state[job] = ID_FREE
			:: else
			fi;
#endif
#ifdef FAULT_LISTS_BEFORE_FREEING
			if
			:: job == WORKER && job_r == 1 -> LIST_ALL
			:: else
			fi;
#endif
			goto sweep
		fi };
repair_rounds: /* within the count */
	atomic {
#ifdef FAULT_REPAIR_SKIPS_ROUNDS_WITHIN
		goto repair_past;
#endif
#ifdef FAULT_REPAIR_FROM_THE_TOP_DOWN /* and ends where a round is whole */
		if
		:: i > 0 -> r = SLOT(job_m, i - 1); seen = tag[r];
			if
			:: STATE(seen) == CIRC -> goto repair_past
			:: else -> SET_TAG(r, AS_ROUND(seen)); i--; goto repair_rounds
			fi
		:: else -> goto repair_past
		fi };
	atomic {
#endif
		do
		:: i < n && SLOT(job_m, i) != 0 && STATE(tag[SLOT(job_m, i)]) == CIRC -> i++
		:: else -> break
		od;
		if
		:: i >= n -> goto repair_past
		:: else -> r = SLOT(job_m, i); assert(r != 0); seen = tag[r];
			assert(TAKEN(seen, job)) /* else a word that no step leaves */
		fi };
	atomic {
		if
		:: tag[r] == seen -> SET_TAG(r, AS_ROUND(seen)); i++
		:: else
		fi;
		goto repair_rounds };
repair_past: /* slots past the count: n is the count, i the slot */
#ifdef FAULT_REPAIR_SKIPS_SLOTS_PAST
	atomic { goto repaired };
#endif
	atomic { i = n; goto repair_slot };
repair_slot:
	atomic {
		do
		:: i <= K && SLOT(job_m, i) == 0 -> i++
		:: else -> break
		od;
		if
		:: i > K -> goto repaired
		:: else -> r = SLOT(job_m, i); seen = tag[r];
			if
			:: i == n && n < K && ADDED(seen, job)
#ifdef FAULT_REPAIR_COUNT_BEFORE_TAG
				-> cnt[job_m] = n + 1
#endif
			:: else -> goto repair_clear
			fi
		fi };
	atomic {
		if
		:: tag[r] == seen -> SET_TAG(r, AS_ROUND(seen))
		:: else -> goto repair_slot
		fi };
	atomic { n++; i++; cnt[job_m] = n; goto repair_slot };
repair_clear:
	atomic { SLOT(job_m, i) = 0; i++; goto repair_slot };
repaired:
	atomic { n = 0; i = 0; r = 0; seen = 0 };
#ifdef FAULT_REPAIR_RESIGNS
	put(job_m, WORKER);
#else
	put(job_m, job);
#endif
	atomic {
		if
		:: job == WORKER -> goto slice
		:: else -> goto end_serve
		fi };

sweep:
	atomic {
		do
		:: job_r <= N && !IS_OWNED(job_r, job) -> job_r++
		:: else -> break
		od;
		if
		:: job_r > N -> goto reclaimed
		:: else -> seen = tag[job_r];
			if
			:: STATE(seen) == LIVE && job != WORKER ->
#ifdef RECLAIM
				goto sweep_cas
#else
				assert(!gone[job_r]);
				job_orphans = 1; job_r++; goto sweep
#endif
			:: else ->
#ifdef FAULT_SWEEP_SKIPS_FREEING
				job_r++; goto sweep
#else
				goto sweep_cas
#endif
			fi
		fi };
sweep_cas:
	atomic {
		if
#ifdef FAULT_SWEEP_BY_STORE
		:: true ->
#else
		:: tag[job_r] == seen ->
#endif
#ifdef TWO_STEPS
			if
			:: job != WORKER -> SET_TAG(job_r, TAG(WORKER, FREEING, GEN(seen)))
			:: else -> SET_TAG(job_r, TAG(0, SLAB, NEXT(seen))); job_r++; goto swept
			fi
#else
			SET_TAG(job_r, TAG(0, SLAB, NEXT(seen)));
			if
			:: job != WORKER -> LIST(job_r)
			:: else /* no lists yet */
			fi;
			job_r++; goto swept
#endif
		:: else -> goto sweep
		fi };
#ifdef TWO_STEPS
	atomic { SET_TAG(job_r, TAG(0, SLAB, NEXT(seen))); LIST(job_r); job_r++; goto swept };
#endif
swept:
	atomic { seen = 0;
		if
		:: job == WORKER -> goto sweep
		:: else -> goto end_serve
		fi };
reclaimed:
	atomic {
#ifdef FAULT_SWEEP_BEFORE_MAGAZINES
		if
		:: job_m < M -> job_r = N + 1; goto slice
		:: else
		fi;
#endif
		if
		:: job == WORKER -> goto lists
		:: else ->
#ifndef FAULT_ID_FREE_BEFORE_SWEEP
#ifdef FAULT_ID_FREE_WITH_ORPHANS
			id_state[job] = ID_FREE;
#else
			if
			:: job_orphans -> id_state[job] = ID_TOMB; walk_new = (walk != 0)
			:: else -> id_state[job] = ID_FREE
			fi;
#endif
#endif
			job = 0; job_m = 0; job_r = 0; job_orphans = 0; worker_idle = 1;
			goto end_serve
		fi };

	/* -------- fill (fill_magazine): into an EMPTY one; drain (drain_round): out of a FULL one */
#if defined(SLABS) || defined(REFILL)
fill:
	claim(EMPTY, K);
	if
	:: atomic { m == 0 -> goto worked }
	:: atomic { m != 0 -> n = cnt[m - 1] }
	fi;
fill_next:
	atomic {
		if
		:: n < K && list != 0 ->
			pick(r, LISTED(1), N > 1 && LISTED(2));
#ifndef FAULT_FILL_TAG_BEFORE_SLOT
			SLOT(m - 1, n) = r /* (a) */
#endif
		:: goto filled
		fi };
	atomic { seen = tag[r]; assert(STATE(seen) == SLAB); SET_TAG(r, TAG(0, CIRC, GEN(seen)));
		list = list & ~BIT(r) }; /* (b) */
#ifdef FAULT_FILL_TAG_BEFORE_SLOT
	atomic { SLOT(m - 1, n) = r };
#endif
	atomic { n++; cnt[m - 1] = n; r = 0; seen = 0; goto fill_next }; /* (c) */
filled:
#ifdef FAULT_REFILL_HANDS_OVER
	if
	:: atomic { n > 0 && id_of[PROC(walk)] != 0 && asks[walk] -> own[m - 1] = HELD(id_of[PROC(walk)]) };
		atomic { given[walk] = m; goto worked }
	:: atomic { else }
	fi;
#endif
	put(m - 1, me);
worked:
	atomic { m = 0; n = 0; i = 0; r = 0; seen = 0; worker_idle = (job == 0);
#ifdef REFILL
		asks[walk] = 0; walk = 0;
#endif
		goto end_serve };
drain:
	claim(FULL, K);
	if
	:: atomic { m == 0 -> goto worked }
	:: atomic { m != 0 -> n = cnt[m - 1] }
	fi;
drain_next:
	atomic {
		if
		:: n > 0 -> r = SLOT(m - 1, n - 1); seen = tag[r]; assert(STATE(seen) == CIRC);
#ifndef FAULT_DRAIN_TAG_LAST
			SET_TAG(r, TAG(0, SLAB, GEN(seen))) /* (a) */
#endif
		:: n == 0 -> goto filled
		fi };
	atomic { cnt[m - 1] = n - 1 }; /* (b) */
	atomic { SLOT(m - 1, n - 1) = 0; /* (c) */
#ifdef FAULT_DRAIN_TAG_LAST
		};
	atomic { SET_TAG(r, TAG(0, SLAB, GEN(seen)));
#endif
		LIST(r); n--; r = 0; seen = 0; goto drain_next };
#endif

#ifdef FOLD
	/* -------- the fold (daemon/tombs.c): marks, tags, states */
fold_mark:
	atomic {
		do
		:: i < IDS + 2 && (i == fold || !(fold_is & BIT(i))) -> i++
		:: else -> break
		od;
		if
		:: i < IDS + 2 -> fold_to[i] = fold;
#ifdef FAULT_FOLD_FREES_FIRST
			id_state[i] = ID_FREE;
#endif
			i++; goto fold_mark
		:: i < IDS + 2 -> i++; goto fold_mark /* enough without this one */
		:: i >= IDS + 2 -> goto folded
		fi };
fold_object:
	atomic {
		if
		:: r > N -> i = 2; goto fold_free
		:: r <= N -> seen = tag[r];
			if
			:: STATE(seen) != LIVE || !(fold_is & BIT(OWNER(seen))) -> fold_r++; goto folded
			:: STATE(seen) == LIVE && fold_is & BIT(OWNER(seen)) && fold_to[OWNER(seen)] == 0 ->
				fold_seen = fold_seen | BIT(OWNER(seen)); fold_r++; goto folded
			:: STATE(seen) == LIVE && fold_is & BIT(OWNER(seen)) && fold_to[OWNER(seen)] != 0
			fi
		fi };
	atomic {
		if
#ifdef FAULT_FOLD_BY_STORE
		:: true ->
#else
		:: tag[r] == seen ->
#endif
#ifdef FAULT_FOLD_MAKES_GENERATION
			SET_TAG(r, TAG(fold, LIVE, NEXT(seen)));
#else
			SET_TAG(r, TAG(fold, LIVE, GEN(seen)));
#endif
			fold_seen = fold_seen | BIT(fold); fold_r++; goto folded
		:: else -> goto fold_object
		fi };
fold_free: /* those of whom no orphan was seen */
	atomic {
		do
#ifdef FAULT_FOLD_FREES_NEW_TOMB
		:: i < IDS + 2 && !(IS_TOMB(i) && !(fold_seen & BIT(i))) -> i++
#else
		:: i < IDS + 2 && !(IS_TOMB(i) && fold_is & BIT(i) && !(fold_seen & BIT(i))) -> i++
#endif
		:: else -> break
		od;
		if
		:: i < IDS + 2 -> id_state[i] = ID_FREE; i++; goto fold_free
		:: i >= IDS + 2 -> fold = 0; fold_r = 0; fold_is = 0; fold_seen = 0;
#ifndef FAULT_CENSUS_IGNORES_FOLD
			walk_new = (walk != 0);
#endif
			goto folded
		fi };
folded:
	atomic { i = 0; r = 0; seen = 0; worker_idle = (job == 0); goto end_serve };
#endif

#if RACK < M
	/* -------- a rack's retirement: after every magazine of it is claimed */
retire:
	atomic { i = RACK; goto retire_next };
retire_next:
	atomic {
		if
		:: i < M && own[i] == EMPTY -> own[i] = HELD(me); i++;
#ifdef FAULT_RETIRE_WITHOUT_CLAIMING_ALL
			goto retire_all
#else
			goto retire_next
#endif
		:: i < M && own[i] != EMPTY -> goto retire_back
		:: else -> goto retire_all
		fi };
retire_back:
	atomic {
		if
		:: i > RACK -> i--; own[i] = EMPTY; goto retire_back
		:: else -> i = 0; worker_idle = (job == 0); goto end_serve
		fi };
retire_all:
	atomic { i = RACK;
		do
		:: i < M -> own[i] = RETIRED; i++
		:: else -> break
		od;
		i = 0; worker_idle = (job == 0); goto end_serve };
#endif
	} unless { worker_killed };

	atomic { m = 0; n = 0; i = 0; r = 0; snap = 0; seen = 0; job = 0; job_m = 0; job_r = 0;
		job_orphans = 0; walk = 0; walk_seen = 0; walk_new = 0; list = 0; worker_idle = 0;
#ifdef FOLD
		fold = 0; fold_r = 0; fold_is = 0; fold_seen = 0;
#endif
		worker_killed = 0; goto start }
}

/* ---------------------------------------------------------------- kill -9 */

inline kill_process(p)
{
	killed[p] = 1; crashes++;
	i = 1;
	do
	:: i <= N ->
		if
		:: hold[i] == id_of[p] -> hold[i] = 0
		:: else
		fi;
#ifdef THREADS
		busy[i] = busy[i] & PUBLISHED;
#else
		busy[i] = busy[i] & ~BIT(p);
#endif
		i++
	:: else -> break
	od;
	i = 0;
	do
	:: i < NT && PROC(i) == p -> loaded[i] = 0; previous[i] = 0;
#ifdef REFILL
		asks[i] = 0; given[i] = 0;
#endif
		i++
	:: i < NT && PROC(i) != p -> i++
	:: i >= NT -> i = 0; break
	od;
#ifdef HANDLE
	if
	:: handle_taker == id_of[p] -> handle_taker = 0
	:: else
	fi;
#endif
	parked[p] = 0
}

proctype killer()
{
	byte i;
end_killer:
	do
	:: atomic { crashes < CRASHES && id_of[0] != 0 && !killed[0] && dead_threads[0] == 0 -> kill_process(0) }
	:: atomic { NP > 1 && crashes < CRASHES && id_of[1 % NP] != 0 && !killed[1 % NP] -> kill_process(1 % NP) }
	:: atomic { worker_crashes < WORKER_CRASHES && !worker_killed -> worker_killed = 1; worker_crashes++ }
	od
}

/* ---------------------------------------------------------------- the audit
 * Whenever nobody is in the middle of anything: I-1 and I-2. */

#define NOT_DYING(id) ((id) >= IDS + 2 || id_state[(id) % (IDS + 2)] != ID_DYING)
#define THREAD_QUIET(t) ((t) >= NT || (idle[(t) % NT] && !killed[PROC((t) % NT)] && dead_threads[PROC((t) % NT)] == 0))
#define QUIET                                                                                      \
	(worker_idle && !worker_killed && THREAD_QUIET(0) && THREAD_QUIET(1) && NOT_DYING(2) &&    \
	 NOT_DYING(3) && NOT_DYING(4))

proctype audit()
{
	byte r, m, in, listed, o;

end_audit:
	do
	:: d_step { QUIET ->
		r = 1;
		do
		:: r <= N ->
			in = 0; m = 0;
			do
			:: m < M * SLOTS ->
				if
				:: rounds[m] == r && own[m / SLOTS] != RETIRED && m % SLOTS < cnt[m / SLOTS] -> in++
				:: else
				fi;
				m++
			:: else -> break
			od;
			listed = 0; m = 0;
			do
			:: m < NP ->
				if
				:: parked[m] & BIT(r) -> listed++
				:: else
				fi;
				m++
			:: else -> break
			od;
			o = OWNER(tag[r]);
			assert(listed <= 1);
			if
			:: STATE(tag[r]) == SLAB -> assert(in == 0 && listed == 0 && hold[r] == 0 && LISTED(r) && o == 0)
			:: STATE(tag[r]) == CIRC -> assert(in == 1 && listed == 0 && hold[r] == 0 && !LISTED(r) && o == 0)
			:: STATE(tag[r]) == LIVE -> assert(in == 0 && listed == 0 && !LISTED(r) && !gone[r] && o >= 2);
				assert((id_state[o] == ID_ATTACHED && hold[r] == o) || (id_state[o] == ID_TOMB && hold[r] == 0))
			:: STATE(tag[r]) == FREEING -> assert(in == 0 && listed == 1 && !LISTED(r) && hold[r] == 0 && o >= 2 && id_state[o] == ID_ATTACHED)
			fi;
			r++
		:: else -> break
		od;
		m = 0;
		do
		:: m < M ->
			in = 0; r = 0;
			do
			:: r < NT ->
				if
				:: loaded[r] == m + 1 || previous[r] == m + 1 -> in++; assert(own[m] == HELD(id_of[PROC(r)]))
				:: else
				fi;
				r++
			:: else -> break
			od;
			if
			:: own[m] == EMPTY -> assert(in == 0 && cnt[m] == 0)
			:: own[m] == FULL -> assert(in == 0 && cnt[m] > 0 && cnt[m] <= K)
			:: own[m] == RETIRED -> assert(in == 0)
			:: else -> assert(in == 1 && cnt[m] <= K)
			fi;
#ifdef HINTS
			assert((own[m] != EMPTY && own[m] != FULL) || (hint[own[m] % 2] & BIT(m)));
#endif
			if
			:: own[m] != RETIRED ->
				r = cnt[m];
				do
				:: r < SLOTS -> assert(SLOT(m, r) == 0); r++
				:: else -> break
				od
			:: else
			fi;
			m++
		:: else -> break
		od;
		r = 0; m = 0; in = 0; listed = 0; o = 0 }
	od
}

init {
	byte i;

	atomic {
		i = 1;
		do
		:: i <= N ->
#ifdef FROM_SLABS
			tag[i] = TAG(0, SLAB, 0);
#else
#ifdef FOLD /* orphans of two tombs, as if they had been handed out and their owners killed */
			tag[i] = TAG(1 + i, LIVE, 0);
			id_state[1 + i] = ID_TOMB;
#else
			tag[i] = TAG(0, CIRC, 0);
			SLOT((i - 1) / K, (i - 1) % K) = i;
			cnt[(i - 1) / K]++;
			own[(i - 1) / K] = FULL;
#endif
#endif
			i++
		:: else -> break
		od;
#ifdef FOLD
		handle_ref = 1; busy[1] = PUBLISHED;
#endif
		i = 0;
		do
		:: i < M -> hint[own[i]] = hint[own[i]] | BIT(i); i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < NT -> idle[i] = 1; i++
		:: else -> break
		od;
		run worker();
		i = 0;
		do
		:: i < NT -> run client(i); i++
		:: else -> break
		od;
		run killer();
		run audit();
		i = 0
	}
}
