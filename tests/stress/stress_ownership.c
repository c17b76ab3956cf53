/* Races for the ownership of one object, on purpose: two processes go through the same handles at the
 * same time, batch by batch.
 *
 *	adopt against adopt	each adopts all; every object then belongs to one of the two, by its tag,
 *				and of two frees by handle that follow one succeeds
 *	adopt against free	the owner frees, the other adopts and frees: one of the frees counts
 *
 * The owner's free by pointer has a window on caches that are not SLABD_STRICT (DESIGN section 4): there it
 * is measured, on a slabd of its own, and nothing is asserted.  Elsewhere nothing may be free twice, and
 * both sides must have won, else it was no race.
 *
 * How a double would be seen: by the outcomes of both sides, by the owner word in the content at the next
 * alloc, and by the audit. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "tests/stress/race.h"
#include "tests/support/daemon_fixture.h"

#define BATCH	512u
#define BATCHES 600u /* of each race on each kind of cache; times the first argument */
#define SECONDS 5u   /* and no longer, on a machine that has much else to do; likewise */
#define SIZE	64u
#define REFS	(1u << 22) /* of the heap, 64 MiB */
/* Turns of an empty loop, at most: before a batch, before an object. */
#define STAGGER	    4000u
#define STAGGER_ONE 150u

enum race { ADOPT_ADOPT, FREE_HANDLE_ADOPT, FREE_POINTER_ADOPT, RACES };

static const char *const race_names[RACES] = {
	"adopt against adopt",
	"owner's free by handle against adopt",
	"owner's free by pointer against adopt",
};

/* How the two go through a batch: one at the other's heels; towards each other; object by object. */
enum pace { HEELS, TOWARDS, IN_STEP };

/* What one side did to one object. */
struct outcome {
	bool adopted, freed;
};

struct page {
	struct race_barrier barrier;
	slabd_handle handles[BATCH];
	struct outcome outcomes[2][BATCH];
	uint32_t id[2]; /* clients */
	bool over;	/* said by side 0 */
	/* counted by side 0 */
	uint64_t races, adopt_wins[2], free_wins[2], late, under, doubles;
	bool doubled[REFS]; /* by ref */
};

struct side {
	unsigned side;
	enum race race;
	const struct race_kind *kind;
	bool lenient; /* doubles are counted, and go on */
	uint64_t seed, seed_of_both, until;
	struct slabd_cache *cache;
	void *objects[BATCH];
	unsigned at; /* which object is being freed */
};

static struct page *page;
static struct daemon_fixture d;
static unsigned times = 1;

/* ---------------------------------------------------------------- one side */

/* The free that lost: nothing happened. */
static void on_refused(const char *message, void *arg)
{
	struct side *s = arg;

	(void)message;
	page->outcomes[s->side][s->at].freed = false;
}

/* One that is twice in the pool stays out of the races: whoever meets it keeps it. */
static void *alloc_whole(struct side *s)
{
	void *object;

	do {
		object = slabd_alloc(s->cache, 0);
		EXPECT(object);
	} while (page->doubled[slabd_handle_of(s->cache, object) % REFS]);
	return object;
}

static void allocate(struct side *s)
{
	for (unsigned i = 0; i < BATCH; i++) {
		void *object = alloc_whole(s);

		s->objects[i] = object;
		page->handles[i] = slabd_handle_of(s->cache, object);
		EXPECT(page->handles[i]);
		EXPECT(race_own(object, page->handles[i])); /* else it is somebody's already */
	}
}

static void adopt_only(struct side *s, unsigned i)
{
	page->outcomes[s->side][i].adopted = slabd_adopt(s->cache, page->handles[i]);
}

static void free_by_handle(struct side *s, unsigned i)
{
	int r = slabd_free_handle(s->cache, page->handles[i]);

	EXPECT(r == 0 || r == -ESTALE);
	page->outcomes[s->side][i].freed = r == 0;
}

static void free_by_pointer(struct side *s, unsigned i)
{
	s->at = i;
	page->outcomes[s->side][i].freed = true;
	slabd_free(s->cache, s->objects[i]);
}

static void adopt_and_free(struct side *s, unsigned i)
{
	adopt_only(s, i);
	if (page->outcomes[s->side][i].adopted)
		free_by_handle(s, i);
}

static void idle(struct side *s, unsigned most)
{
	for (unsigned turns = (unsigned)(race_random(&s->seed) % most); turns; turns--)
		atomic_step();
}

static void go_through(struct side *s, void (*act)(struct side *s, unsigned i), enum pace pace)
{
	bool backward = pace == TOWARDS && s->side;

	idle(s, STAGGER);
	for (unsigned i = 0; i < BATCH; i++) {
		if (pace >= IN_STEP) {
			race_meet(&page->barrier, s->side);
			idle(s, STAGGER_ONE);
		}
		act(s, backward ? BATCH - 1 - i : i);
	}
}

/* ---------------------------------------------------------------- what came of it */

static void count_owners(const struct side *s)
{
	for (unsigned i = 0; i < BATCH; i++) {
		uint32_t tag = race_tag(s->cache, page->handles[i]);
		bool first = tag_owner(tag) == page->id[0];

		EXPECT(page->outcomes[0][i].adopted && page->outcomes[1][i].adopted);
		EXPECT(tag_state(tag) == TAG_LIVE);
		EXPECT(first || tag_owner(tag) == page->id[1]);
		page->adopt_wins[!first]++;
	}
}

static void count_frees(const struct side *s, unsigned owner)
{
	for (unsigned i = 0; i < BATCH; i++) {
		const struct outcome *mine = &page->outcomes[owner][i];
		const struct outcome *other = &page->outcomes[!owner][i];

		page->races++;
		EXPECT(mine->freed || other->freed);
		if (mine->freed && other->freed) {
			EXPECT(s->lenient);
			page->doubles++;
			page->doubled[page->handles[i] % REFS] = true;
		}
		page->free_wins[mine->freed ? 0 : 1]++;
		page->late += !other->adopted;
		page->under += other->adopted && mine->freed;
	}
}

static void clean(const struct side *s)
{
	for (unsigned i = 0; i < BATCH; i++)
		race_disown(ref_address(s->cache->view.heap, (uint32_t)page->handles[i]));
}

/* ---------------------------------------------------------------- batches */

static void race_adopts(struct side *s, enum pace pace)
{
	go_through(s, adopt_only, pace);
	race_meet(&page->barrier, s->side);
	if (s->side == 0)
		count_owners(s);
	race_meet(&page->barrier, s->side);
	go_through(s, free_by_handle, pace);
}

static void race_free(struct side *s, bool owner, enum pace pace)
{
	if (!owner)
		go_through(s, adopt_and_free, pace);
	else if (s->race == FREE_POINTER_ADOPT)
		go_through(s, free_by_pointer, pace);
	else
		go_through(s, free_by_handle, pace);
}

static void one_batch(struct side *s)
{
	static const enum pace paces[] = {HEELS, TOWARDS, IN_STEP, IN_STEP};
	uint64_t draw = race_random(&s->seed_of_both); /* the same on both sides */
	enum pace pace = paces[draw >> 1 & 3];
	unsigned owner = draw & 1;

	memset(page->outcomes[s->side], 0, sizeof(page->outcomes[s->side]));
	if (s->side == owner)
		allocate(s);
	race_meet(&page->barrier, s->side);
	if (s->race == ADOPT_ADOPT)
		race_adopts(s, pace);
	else
		race_free(s, s->side == owner, pace);
	race_meet(&page->barrier, s->side);
	if (s->side == 0) {
		count_frees(s, owner);
		clean(s);
		page->over = clock_now() > s->until;
	}
	race_meet(&page->barrier, s->side);
}

static void be_side(void *arg)
{
	struct side *s = arg;
	struct slabd *slabd = attach_to(d.socket);

	slabd_set_error_handler(on_refused, s);
	s->cache = cache_of(slabd, s->kind->name, SIZE, s->kind->flags);
	page->id[s->side] = slabd->identity->client;
	s->until = clock_now() + times * SECONDS * UINT64_C(1000000000);
	for (unsigned i = 0; i < times * BATCHES && !page->over; i++)
		one_batch(s);
	slabd_detach(slabd);
}

/* ---------------------------------------------------------------- both */

static void run_sides(enum race race, const struct race_kind *kind, bool lenient, uint64_t *seed)
{
	struct side sides[2] = {{.side = 0}, {.side = 1}};
	uint64_t both = race_random(seed);
	pid_t pids[2];

	EXPECT(madvise(page, sizeof(*page), MADV_REMOVE) == 0); /* zeros again */
	for (unsigned i = 0; i < 2; i++) {
		sides[i].race = race;
		sides[i].kind = kind;
		sides[i].lenient = lenient;
		sides[i].seed = race_random(seed);
		sides[i].seed_of_both = both;
		pids[i] = child_start(be_side, &sides[i]);
	}
	for (unsigned i = 0; i < 2; i++) /* the other waits for one that failed */
		if (child_join(pids[i]) != 0) {
			kill(pids[!i], SIGKILL);
			EXPECT(!"a side failed");
		}
}

static void run_race(enum race race, const struct race_kind *kind, uint64_t *seed)
{
	struct daemon_audit audit;

	run_sides(race, kind, false, seed);
	printf("%-38s %-15s %8" PRIu64 " races: ", race_names[race], kind->name, page->races);
	if (race == ADOPT_ADOPT)
		printf("owner in the end %" PRIu64 " and %" PRIu64 ", ", page->adopt_wins[0],
		       page->adopt_wins[1]);
	else
		printf("adopt too late %" PRIu64 ", freed under the adopter %" PRIu64 ", ",
		       page->late, page->under);
	printf("free won %" PRIu64 " and %" PRIu64 ", doubles %" PRIu64 "\n", page->free_wins[0],
	       page->free_wins[1], page->doubles);
	fflush(stdout);
	EXPECT(page->doubles == 0);
	EXPECT(page->free_wins[0] && page->free_wins[1]);
	EXPECT(race != ADOPT_ADOPT || (page->adopt_wins[0] && page->adopt_wins[1]));
	EXPECT(race == ADOPT_ADOPT || page->late);
	audit = daemon_audit(&d);
	EXPECT(audit.live == 0 && audit.orphaned == 0 && audit.freeing == 0);
}

/* The window of caches that are not strict. */
static void measure_window(const struct race_kind *kind, uint64_t *seed)
{
	d = (struct daemon_fixture){0};
	daemon_start(&d, "--set", "log-level=error", NULL);
	run_sides(FREE_POINTER_ADOPT, kind, true, seed);
	printf("%-38s %-15s %8" PRIu64 " races: adopt too late %" PRIu64 ", free won %" PRIu64
	       " and %" PRIu64 "; through the window %" PRIu64
	       ", %.1f of a million (documented, not asserted)\n",
	       race_names[FREE_POINTER_ADOPT], kind->name, page->races, page->late,
	       page->free_wins[0], page->free_wins[1], page->doubles,
	       (double)page->doubles * 1e6 / (double)page->races);
	fflush(stdout);
	daemon_stop(&d);
}

/* stress_ownership [TIMES]: so many times as many races. */
int main(int argc, char **argv)
{
	uint64_t seed = race_seed();

	if (argc > 1)
		times = (unsigned)strtoul(argv[1], NULL, 10);
	page = race_page(sizeof(*page));
	daemon_start(&d, NULL);
	for (unsigned i = 0; i < RACE_KINDS; i++) {
		run_race(ADOPT_ADOPT, &race_kinds[i], &seed);
		run_race(FREE_HANDLE_ADOPT, &race_kinds[i], &seed);
		if (race_kinds[i].flags & SLABD_STRICT)
			run_race(FREE_POINTER_ADOPT, &race_kinds[i], &seed);
	}
	daemon_stop(&d);
	for (unsigned i = 0; i < RACE_KINDS; i++)
		if (!(race_kinds[i].flags & SLABD_STRICT))
			measure_window(&race_kinds[i], &seed);
	return 0;
}
