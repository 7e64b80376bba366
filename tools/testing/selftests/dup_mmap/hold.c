// SPDX-License-Identifier: GPL-2.0
/*
 * Forks that fail and are held there, and what an observer finds of the child: at each
 * place, with each recovery, and however the hold ends.
 *
 * Each fork is made by a process of its own, so that the test goes on meanwhile. It
 * leaves its maps where the test finds them: nobody can ask for them while its mmap
 * lock is held.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dup_mmap.h"
#include "harness.h"

#define TRACING		"/sys/kernel/tracing/"
#define INSTANCE	TRACING "instances/dup_mmap_hold"
#define EVENTS		INSTANCE "/events/dup_mmap_recovery/"

#define NR_PLACES	8	/* forks that can be held at a time */
#define NR_FORKERS	(NR_PLACES + 1)
#define COMM		"a b  held"
#define LARGE		(256ul << 20)
#define NO_STEP		100000	/* an index that no VMA has */

enum at { NOWHERE, BEFORE, PARENT, AFTER, UNLOCKED, PINNED, NR_AT };

static const char * const at_names[NR_AT] = {
	"none", "before-recovery", "parent-unlocked", "after-recovery", "after-unlock", "pinned",
};

enum { RUST, UPSTREAM, XA_ZERO, XA_ZERO_BARE, NR_RECOVERIES };

static const char * const recoveries[NR_RECOVERIES] = {
	"rust", "upstream", "xa-zero", "xa-zero-bare",
};

/* Below all else: a VMA that the child does not get, and the first one that it gets. */
#define LOW		((char *)(64ul << 20))
/* Page by page one VMA. */
#define NR_AREA		8
#define AREA		((char *)(96ul << 20))
#define FAIL_AT		4

/* A process that forks when it is told to. Shared with it. */
struct forker {
	pid_t pid;
	int go[2];		/* a pipe */
	bool ready;
	unsigned int told, done;	/* forks */
	int err;		/* of the last one; 0: it worked */
	bool storms;		/* goes on forking */
	unsigned int worked, failed, wrong;
	char why[256];
	struct dm_maps maps;	/* as all its forks find them */
};

static struct forker *forkers;
static char text[262144];
static size_t page;

/* MADV_DONTFORK: one below that to fail at, and one behind it. */
static bool not_copied(int i)
{
	return i == 2 || i == 6;
}

/* NULL, or why it can't. */
static const char *make_area(void)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
	char *p;
	int i;

	p = mmap(LOW, page, PROT_READ, flags, -1, 0);
	if (p != LOW || madvise(p, page, MADV_DONTFORK))
		return "no VMA that the child does not get";
	p = mmap(LOW + 2 * page, page, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (p != LOW + 2 * page)
		return "no first VMA";
	*p = 1;
	p = mmap(AREA, NR_AREA * page, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (p != AREA)
		return "no area";
	memset(p, 1, NR_AREA * page);
	for (i = 0; i < NR_AREA; i++)
		if ((i % 2 && mprotect(p + i * page, page, PROT_READ)) ||
		    (not_copied(i) && madvise(p + i * page, page, MADV_DONTFORK)))
			return "no VMAs of a page";
	return NULL;
}

static void fork_once(struct forker *f)
{
	int err, status;
	pid_t pid = dm_fork(&err);

	if (pid > 0 && (waitpid(pid, &status, 0) != pid || status))
		f->wrong++;
	f->err = err;
	f->worked += !err;
	f->failed += err == ENOMEM;
	f->wrong += err && err != ENOMEM;
	__atomic_add_fetch(&f->done, 1, __ATOMIC_SEQ_CST);
}

static int run_forker(struct forker *f)
{
	const char *why;
	char what;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() == 1)
		return 1;
	prctl(PR_SET_NAME, COMM);
	why = make_area() ?: dm_get_maps_and_flags(&f->maps);
	if (!*why && dm_write_path("/proc/self/make-it-fail", "1"))
		why = "make-it-fail cannot be written";
	snprintf(f->why, sizeof(f->why), "%s", why);
	__atomic_store_n(&f->ready, true, __ATOMIC_SEQ_CST);
	if (*why)
		return 1;
	while (read(f->go[0], &what, 1) == 1) {
		if (what == 'q')
			return 0;
		if (what == 'u') {
			f->wrong += !!munmap(AREA + FAIL_AT * page, (NR_AREA - FAIL_AT) * page);
			__atomic_add_fetch(&f->done, 1, __ATOMIC_SEQ_CST);
			continue;
		}
		do {
			fork_once(f);
		} while (__atomic_load_n(&f->storms, __ATOMIC_SEQ_CST));
	}
	return 1;
}

static bool is_ready(void *arg)
{
	struct forker *f = arg;

	return __atomic_load_n(&f->ready, __ATOMIC_SEQ_CST);
}

static struct forker *start_forker(struct __test_metadata *_metadata, int nr)
{
	struct forker *f = &forkers[nr];
	pid_t pid;

	ASSERT_FALSE(f->pid);
	memset(f, 0, sizeof(*f));
	ASSERT_EQ(0, pipe(f->go));
	fflush(stdout);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		_exit(run_forker(f));
	f->pid = pid;
	ASSERT_TRUE(dm_wait_until(is_ready, f));
	ASSERT_STREQ("", f->why);
	return f;
}

static void tell_to_fork(struct __test_metadata *_metadata, struct forker *f)
{
	f->told++;
	ASSERT_EQ(1, write(f->go[1], "f", 1));
}

static bool is_done(void *arg)
{
	struct forker *f = arg;

	return __atomic_load_n(&f->done, __ATOMIC_SEQ_CST) == f->told;
}

/* Its fork is over, and this is what it said. */
static void expect_fork(struct __test_metadata *_metadata, struct forker *f, int err)
{
	ASSERT_TRUE(dm_wait_until(is_done, f)) TH_LOG("the fork does not return");
	ASSERT_EQ(err, f->err);
}

static bool has_ended(void *arg)
{
	siginfo_t info = {};

	return !waitid(P_PID, *(pid_t *)arg, &info, WEXITED | WNOHANG | WNOWAIT) &&
		info.si_pid;
}

/* It has ended, or does so now. */
static void reap(struct __test_metadata *_metadata, struct forker *f, int want)
{
	int status;

	ASSERT_TRUE(dm_wait_until(has_ended, &f->pid));
	ASSERT_EQ(f->pid, waitpid(f->pid, &status, 0));
	EXPECT_EQ(want, status);
	close(f->go[0]);
	close(f->go[1]);
	f->pid = 0;
}

static void stop_forker(struct __test_metadata *_metadata, struct forker *f)
{
	ASSERT_EQ(1, write(f->go[1], "q", 1));
	reap(_metadata, f, 0);
}

/* A line of hold/held. */
struct held {
	pid_t pid;
	char at[32], recovery[32], comm[32];
	long ms, timeout;
};

static struct held held[NR_PLACES + 1];
static int nr_held;
static unsigned long missed;

/* "" or what is not as documented. */
static const char *get_held(void)
{
	static char wrong[256];
	const char *p, *next;
	int end = 0;

	if (dm_read(DM_HOLD "held", text, sizeof(text)) <= 0)
		return "hold/held cannot be read";
	if (sscanf(text, "# pid at recovery ms of comm (missed %lu)%n", &missed, &end) != 1 ||
	    !end || text[end] != '\n')
		return "the first line of hold/held is another one";
	nr_held = 0;
	for (p = text + end + 1; *p; p = next + 1) {
		struct held *h = &held[nr_held++];

		next = strchr(p, '\n');
		if (!next || nr_held > NR_PLACES)
			return "hold/held has too many lines, or half a one";
		end = 0;
		if (sscanf(p, "%d %31s %31s %ld %ld%n", &h->pid, h->at, h->recovery, &h->ms,
			   &h->timeout, &end) != 5 || p[end] != ' ') {
			snprintf(wrong, sizeof(wrong), "hold/held: %.*s", (int)(next - p), p);
			return wrong;
		}
		end++;
		snprintf(h->comm, sizeof(h->comm), "%.*s", (int)(next - p - end), p + end);
	}
	return "";
}

/* How many of the forks of that task are held; 0: of all tasks. */
static int nr_held_of(pid_t pid)
{
	int i, nr = 0;

	if (*get_held())
		return -1;
	for (i = 0; i < nr_held; i++)
		nr += !pid || held[i].pid == pid;
	return nr;
}

static bool is_held(void *arg)
{
	struct forker *f = arg;

	return nr_held_of(f->pid) == 1;
}

static bool are_two_held(void *arg)
{
	struct forker *f = arg;

	return nr_held_of(f->pid) == 2;
}

static bool is_not_held(void *arg)
{
	struct forker *f = arg;

	return !nr_held_of(f->pid);
}

static bool is_none_held(void *arg)
{
	return !nr_held_of(0);
}

/* What hold/observe has of one child. */
#define MAX_ENTRIES	128

struct entry {
	char kind[16];
	unsigned long start, end;
};

struct sight {
	pid_t pid;
	char at[32], recovery[32], flags[32], verdict[16];
	long users;
	int nr;
	struct entry entry[MAX_ENTRIES];
	bool has_find;
	unsigned long addr;
	struct entry found;	/* no kind: none */
};

static struct sight sights[NR_PLACES];
static int nr_sights;

/* The value of that key, whose line *p is at, and goes past. NULL: it is another one. */
static const char *value_of(char **p, const char *key)
{
	size_t len = strlen(key);
	char *value = *p, *end = strchr(*p, '\n');

	if (strncmp(value, key, len) || strncmp(value + len, ": ", 2) || !end)
		return NULL;
	*end = '\0';
	*p = end + 1;
	return value + len + 2;
}

static bool parse_entry(const char *value, struct entry *e)
{
	int end = 0;

	return sscanf(value, "%15s %lx-%lx%n", e->kind, &e->start, &e->end, &end) == 3 &&
		!value[end];
}

static const char *parse_sight(char **p, struct sight *s)
{
	const char *v;
	int end = 0;

	memset(s, 0, sizeof(*s));
	v = value_of(p, "pid");
	if (!v || sscanf(v, "%d%n", &s->pid, &end) != 1 || v[end])
		return "no pid";
	v = value_of(p, "at");
	if (!v)
		return "no at";
	snprintf(s->at, sizeof(s->at), "%s", v);
	v = value_of(p, "recovery");
	if (!v)
		return "no recovery";
	snprintf(s->recovery, sizeof(s->recovery), "%s", v);
	v = value_of(p, "mm-flags");
	if (!v)
		return "no mm-flags";
	snprintf(s->flags, sizeof(s->flags), "%s", v);
	v = value_of(p, "mm-users");
	if (!v || sscanf(v, "%ld%n", &s->users, &end) != 1 || v[end])
		return "no mm-users";
	while ((v = value_of(p, "entry")))
		if (s->nr == MAX_ENTRIES || !parse_entry(v, &s->entry[s->nr++]))
			return "a bad entry";
	v = value_of(p, "find-vma");
	if (v) {
		s->has_find = true;
		if (sscanf(v, "%lx %n", &s->addr, &end) != 1)
			return "a bad find-vma";
		if (strcmp(v + end, "none") && !parse_entry(v + end, &s->found))
			return "a bad find-vma";
	}
	v = value_of(p, "verdict");
	if (!v)
		return "no verdict";
	snprintf(s->verdict, sizeof(s->verdict), "%s", v);
	if (*(*p)++ != '\n')
		return "no empty line behind a child";
	return "";
}

static const char *get_sights(void)
{
	char *p = text;
	const char *why;

	if (dm_read(DM_HOLD "observe", text, sizeof(text)) < 0)
		return "hold/observe cannot be read";
	for (nr_sights = 0; *p; nr_sights++) {
		if (nr_sights == NR_PLACES)
			return "hold/observe has too many children";
		why = parse_sight(&p, &sights[nr_sights]);
		if (*why)
			return why;
	}
	return "";
}

/* Where it is held, of one fork that fails there. */
struct scene {
	enum at at;
	const char *recovery;
	enum dm_point point;
	int index;
};

/* Whether it is held: not everybody comes to each place. */
static bool comes_to(const struct scene *s)
{
	return s->at != PARENT || dm_lets_go_early(s->recovery);
}

/* With its lock held for writing nobody gets in. */
static bool is_locked(enum at at)
{
	return at == BEFORE || at == PARENT || at == AFTER;
}

static bool is_left(const char *recovery)
{
	return !strncmp(recovery, "xa-zero", 7);
}

static void check_entry(struct __test_metadata *_metadata, const struct dm_vma *vma,
			const char *kind, const struct entry *e)
{
	ASSERT_STREQ(kind, e->kind) TH_LOG("%lx-%lx", e->start, e->end);
	ASSERT_EQ(vma->start, e->start) TH_LOG("%s", kind);
	ASSERT_EQ(vma->end, e->end) TH_LOG("%s", kind);
}

/* An mm that was left: the copies, the mark on the first that is none, the parent's. */
static void check_stale(struct __test_metadata *_metadata, const struct dm_maps *maps,
			const struct dm_expect *want, int failed, const struct sight *s)
{
	int i, nr = 0;

	ASSERT_STREQ("stale", s->verdict);
	for (i = 0; i < maps->nr; i++) {
		if (i < failed && maps->vma[i].dontcopy)
			continue;
		ASSERT_LT(nr, s->nr);
		check_entry(_metadata, &maps->vma[i],
			    i < failed ? "own" : i == failed ? "marker" : "parent",
			    &s->entry[nr++]);
	}
	ASSERT_EQ(nr, s->nr);
	ASSERT_EQ(failed < maps->nr, s->has_find);
	if (!s->has_find)
		return;
	/* It goes past the mark. */
	EXPECT_EQ(want->end, s->addr);
	if (failed + 1 < maps->nr)
		check_entry(_metadata, &maps->vma[failed + 1], "parent", &s->found);
	else
		EXPECT_STREQ("", s->found.kind);
}

/* What there is to be seen of a fork that is held. */
static void check_sight(struct __test_metadata *_metadata, const struct forker *f,
			const struct scene *scene, const struct sight *s)
{
	const char *flags = scene->at == BEFORE ? "-" : scene->at == PARENT ? "oom-skip" : NULL;
	const struct dm_maps *maps = &f->maps;
	struct dm_expect want;
	int failed;

	dm_model(maps, scene->point, scene->index, 0, &want);
	ASSERT_TRUE(want.recovered);
	/* The first VMA that was not copied; maps->nr if all were. */
	for (failed = 0; failed < maps->nr && maps->vma[failed].start < want.end; failed++)
		;
	if (!want.copied)
		failed = want.index;

	EXPECT_STREQ(at_names[scene->at], s->at);
	EXPECT_STREQ(scene->recovery, s->recovery);
	EXPECT_STREQ(flags ?: dm_flags_after(&want, scene->recovery), s->flags);
	EXPECT_EQ(1, s->users);
	if (is_locked(scene->at)) {
		EXPECT_STREQ("locked", s->verdict);
		EXPECT_EQ(0, s->nr);
		EXPECT_FALSE(s->has_find);
	} else if (is_left(scene->recovery)) {
		check_stale(_metadata, maps, &want, failed, s);
	} else {
		EXPECT_STREQ("clean", s->verdict);
		EXPECT_EQ(0, s->nr);
		ASSERT_EQ(failed < maps->nr, s->has_find);
		EXPECT_EQ(s->has_find ? want.end : 0, s->addr);
		EXPECT_STREQ("", s->found.kind);
	}
}

/* The only fork that is held, of hold/held and of hold/observe. */
static void check_held(struct __test_metadata *_metadata, const struct forker *f,
		       const struct scene *scene, long timeout)
{
	ASSERT_STREQ("", get_held());
	ASSERT_EQ(1, nr_held);
	EXPECT_EQ(f->pid, held[0].pid);
	EXPECT_STREQ(at_names[scene->at], held[0].at);
	EXPECT_STREQ(scene->recovery, held[0].recovery);
	EXPECT_STREQ(COMM, held[0].comm);
	EXPECT_EQ(timeout, held[0].timeout);
	EXPECT_LE(0, held[0].ms);
	EXPECT_LE(held[0].ms, timeout);
	ASSERT_STREQ("", get_sights());
	ASSERT_EQ(1, nr_sights);
	EXPECT_EQ(f->pid, sights[0].pid);
	check_sight(_metadata, f, scene, &sights[0]);
}

/* Of the forks that are made next, as many as times says. */
static void aim(struct __test_metadata *_metadata, const struct scene *scene, const char *times)
{
	ASSERT_STREQ("", dm_use_recovery(scene->recovery));
	ASSERT_EQ(0, dm_write(DM_HOLD "at", at_names[scene->at]));
	ASSERT_STREQ("", dm_aim(scene->point, scene->index, 0));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", times));
}

/* Has it fork, and be held there if that is a place it comes to. */
static void hold_one(struct __test_metadata *_metadata, struct forker *f,
		     const struct scene *scene)
{
	aim(_metadata, scene, "1");
	tell_to_fork(_metadata, f);
	if (!comes_to(scene))
		return;
	ASSERT_TRUE(dm_wait_until(is_held, f))
		TH_LOG("no fork is held at %s", at_names[scene->at]);
	if (scene->at == PINNED)
		expect_fork(_metadata, f, ENOMEM);
	else
		EXPECT_NE(f->told, __atomic_load_n(&f->done, __ATOMIC_SEQ_CST));
}

static int release(pid_t pid)
{
	char nr[16];

	snprintf(nr, sizeof(nr), "%d", pid);
	return dm_write(DM_HOLD "release", nr);
}

/* Lets it go by its pid, and waits until nothing is held. */
static void release_one(struct __test_metadata *_metadata, struct forker *f)
{
	ASSERT_EQ(0, release(f->pid));
	expect_fork(_metadata, f, ENOMEM);
	ASSERT_TRUE(dm_wait_until(is_not_held, f)) TH_LOG("still listed");
}

/* One event of the trace. */
static struct event {
	pid_t pid;
	const char *what;	/* "name: what it prints" */
} events[1024];
static int nr_events;

static void clear_trace(struct __test_metadata *_metadata)
{
	int fd = open(INSTANCE "/trace", O_WRONLY | O_TRUNC | O_CLOEXEC);

	ASSERT_GE(fd, 0);
	close(fd);
}

static void turn(struct __test_metadata *_metadata, const char *event, bool on)
{
	char path[128];

	if (event)
		snprintf(path, sizeof(path), EVENTS "%s/enable", event);
	else
		snprintf(path, sizeof(path), EVENTS "enable");
	ASSERT_EQ(0, dm_write_path(path, on ? "1" : "0")) TH_LOG("%s", path);
}

static void get_events(struct __test_metadata *_metadata)
{
	char *p, *end, *cpu, *pid;

	ASSERT_GT(dm_read_path(INSTANCE "/trace", text, sizeof(text)), 0);
	nr_events = 0;
	for (p = text; *p; p = end + 1) {
		end = strchr(p, '\n');
		ASSERT_NE(NULL, end);
		*end = '\0';
		if (*p == '#' || !*p)
			continue;
		ASSERT_LT(nr_events, (int)ARRAY_SIZE(events));
		cpu = strstr(p, " [0");
		ASSERT_NE(NULL, cpu) TH_LOG("%s", p);
		*cpu = '\0';
		pid = strrchr(p, '-');
		p = strstr(cpu + 1, ": ");
		ASSERT_TRUE(pid && p);
		events[nr_events].pid = atoi(pid + 1);
		events[nr_events++].what = p + 2;
	}
}

static int nr_hold_events(struct __test_metadata *_metadata)
{
	int i, nr = 0;

	get_events(_metadata);
	for (i = 0; i < nr_events; i++)
		nr += !strncmp(events[i].what, "hold: ", 6);
	return nr;
}

static bool are_two_in_trace(void *arg)
{
	return nr_hold_events(arg) >= 2;
}

/*
 * The only hold has ended, and why. What is pinned is taken from the list before it is
 * taken apart, and only then it is over.
 */
static void expect_end(struct __test_metadata *_metadata, enum at at, const char *why)
{
	char want[2][96];
	int i, nr = 0;

	snprintf(want[0], sizeof(want[0]), "hold: at=%s begins", at_names[at]);
	snprintf(want[1], sizeof(want[1]), "hold: at=%s ends: %s", at_names[at], why);
	EXPECT_TRUE(dm_wait_until(are_two_in_trace, _metadata)) TH_LOG("no '%s'", want[1]);
	for (i = 0; i < nr_events; i++) {
		if (strncmp(events[i].what, "hold: ", 6))
			continue;
		ASSERT_LT(nr, 2) TH_LOG("one more: %s", events[i].what);
		EXPECT_STREQ(want[nr], events[i].what);
		nr++;
	}
}

static void expect_no_hold(struct __test_metadata *_metadata)
{
	EXPECT_EQ(0, nr_hold_events(_metadata));
}

/* This process itself is not to fail. */
static void arm_forkers(struct __test_metadata *_metadata)
{
	ASSERT_STREQ("", dm_arm_nothing());
	ASSERT_EQ(0, dm_write_path("/proc/self/make-it-fail", "0"));
	ASSERT_EQ(0, dm_write(DM_HOLD "timeout-ms", "60000"));
}

static void begin(struct __test_metadata *_metadata, struct dm_saved *saved)
{
	page = sysconf(_SC_PAGESIZE);
	dm_save(saved);
	forkers = mmap(NULL, NR_FORKERS * sizeof(*forkers), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, forkers);
	ASSERT_TRUE(!mkdir(INSTANCE, 0700) || errno == EEXIST)
		TH_LOG("%s: %s", INSTANCE, strerror(errno));
	clear_trace(_metadata);
	/* Those of several CPUs in one order. */
	ASSERT_EQ(0, dm_write_path(INSTANCE "/trace_clock", "global"));
	arm_forkers(_metadata);
}

static void finish(const struct dm_saved *saved)
{
	/* If a test has left it unloaded. */
	if (!dm_loaded())
		dm_load();
	dm_restore(saved);
	rmdir(INSTANCE);
}

FIXTURE(hold) {
	struct dm_saved saved;
};

FIXTURE_VARIANT(hold) {
	int recovery;
};

FIXTURE_VARIANT_ADD(hold, rust) { RUST };
FIXTURE_VARIANT_ADD(hold, upstream) { UPSTREAM };
FIXTURE_VARIANT_ADD(hold, xa_zero) { XA_ZERO };
FIXTURE_VARIANT_ADD(hold, xa_zero_bare) { XA_ZERO_BARE };

FIXTURE_SETUP(hold)
{
	begin(_metadata, &self->saved);
}

FIXTURE_TEARDOWN_PARENT(hold)
{
	finish(&self->saved);
}

/* Each place, and each class: how much of the tree is the child's own. */
static void observe_each(struct __test_metadata *_metadata, const char *recovery)
{
	struct forker *f = start_forker(_metadata, 0);
	int i, at, area = dm_index_of(&f->maps, AREA);
	struct dm_stats a, b;
	struct dm_record rec;

	const struct scene scenes[] = {
		{ .point = DM_VM_AREA_DUP, .index = area + FAIL_AT },
		/* The mark is not where it has failed, but on the next one. */
		{ .point = DM_COPY_PAGE_RANGE, .index = area + FAIL_AT },
		/* Nothing is copied: in the tree is what the child does not get, or not. */
		{ .point = DM_VMA_START_WRITE, .index = 0 },
		{ .point = DM_VM_AREA_DUP, .index = 1 },
		/* There is nothing behind the mark. */
		{ .point = DM_VMA_START_WRITE, .index = f->maps.nr - 1 },
		/* All: there is no mark. */
		{ .point = DM_ARCH_DUP_MMAP, .index = -1 },
	};

	ASSERT_EQ(0, dm_index_of(&f->maps, LOW));
	for (at = BEFORE; at < NR_AT; at++) {
		for (i = 0; i < (int)ARRAY_SIZE(scenes); i++) {
			struct scene scene = scenes[i];
			struct dm_expect want;

			scene.at = at;
			scene.recovery = recovery;
			ASSERT_STREQ("", dm_get_stats(&a));
			hold_one(_metadata, f, &scene);
			if (comes_to(&scene)) {
				check_held(_metadata, f, &scene, 60000);
				release_one(_metadata, f);
			}
			expect_fork(_metadata, f, ENOMEM);
			ASSERT_EQ(0, nr_held_of(0));
			ASSERT_STREQ("", dm_get_record(&rec));
			ASSERT_EQ(f->pid, rec.pid);
			dm_model(&f->maps, scene.point, scene.index, 0, &want);
			ASSERT_STREQ("", dm_compare(&f->maps, &want, scene.point, recovery,
						    &rec))
				TH_LOG("%s, case %d", at_names[at], i);
			ASSERT_STREQ("", dm_get_stats(&b));
			ASSERT_STREQ("", dm_compare_stats(&want, recovery, &a, &b))
				TH_LOG("%s, case %d", at_names[at], i);
		}
	}
	stop_forker(_metadata, f);
}

enum end { RELEASE, ALL, RESET, TIMEOUT, KILL, EXIT, NR_ENDS };

static const char * const end_names[NR_ENDS] = {
	"released", "released", "released", "timeout", "killed", "exit",
};

/* Lets go *f, whose fork is held, and waits for that. NULL: it is no more. */
static void end_it(struct __test_metadata *_metadata, enum end end, struct forker **f)
{
	switch (end) {
	case RELEASE:
		/* Not of somebody else. */
		EXPECT_EQ(-ESRCH, release(getpid()));
		EXPECT_EQ(1, nr_held_of((*f)->pid));
		ASSERT_EQ(0, release((*f)->pid));
		break;
	case ALL:
		ASSERT_EQ(0, dm_write(DM_HOLD "release", "all"));
		break;
	case RESET:
		dm_reset();
		break;
	case KILL:
		ASSERT_EQ(0, kill((*f)->pid, SIGKILL));
		reap(_metadata, *f, SIGKILL);
		*f = NULL;
		break;
	case EXIT:
		stop_forker(_metadata, *f);
		*f = NULL;
		break;
	default:
		break;
	}
	if (*f)
		expect_fork(_metadata, *f, ENOMEM);
	ASSERT_TRUE(dm_wait_until(is_none_held, NULL));
}

/* Each end of a hold, at each place. */
static void end_each(struct __test_metadata *_metadata, const char *recovery)
{
	struct forker *f = NULL;
	int at, end;

	turn(_metadata, "hold", true);
	for (end = 0; end < NR_ENDS; end++) {
		for (at = end == EXIT ? PINNED : BEFORE; at < NR_AT; at++) {
			struct scene scene = {
				.at = at,
				.recovery = recovery,
				.point = DM_VM_AREA_DUP,
			};

			if (!comes_to(&scene))
				continue;
			f = f ?: start_forker(_metadata, 0);
			scene.index = dm_index_of(&f->maps, AREA + FAIL_AT * page);
			clear_trace(_metadata);
			arm_forkers(_metadata);
			if (end == TIMEOUT) {
				/* It may be over before anybody looks. */
				ASSERT_EQ(0, dm_write(DM_HOLD "timeout-ms", "30"));
				aim(_metadata, &scene, "1");
				tell_to_fork(_metadata, f);
			} else {
				hold_one(_metadata, f, &scene);
			}
			end_it(_metadata, end, &f);
			expect_end(_metadata, at, end == KILL && at == PINNED ? "exit" :
				   end_names[end]);
			/* Nobody is left to be let go. */
			EXPECT_EQ(-ESRCH, release(f ? f->pid : getpid()));
			EXPECT_EQ(0, dm_write(DM_HOLD "release", "all"));
		}
	}
	turn(_metadata, "hold", false);
}

/* What is held is seen, and ends, and leaves nothing. */
TEST_F(hold, at_each_place)
{
	const char *recovery = recoveries[variant->recovery];
	static struct dm_counters before;
	unsigned long taint = dm_taint();

	dm_get_counters(&before);
	observe_each(_metadata, recovery);
	end_each(_metadata, recovery);
	EXPECT_STREQ("", dm_check_counters(&before, DM_PATIENT));
	EXPECT_STREQ("", dm_check_taint(taint));
}

/* What the trace is to have of one fork. */
static char wanted[512][160];
static int nr_wanted;

__printf(2, 3)
static void want_event(struct __test_metadata *_metadata, const char *fmt, ...)
{
	va_list args;

	ASSERT_LT(nr_wanted, (int)ARRAY_SIZE(wanted));
	va_start(args, fmt);
	vsnprintf(wanted[nr_wanted++], sizeof(wanted[0]), fmt, args);
	va_end(args);
}

/* Each step up to the one that fails. */
static void want_points(struct __test_metadata *_metadata, const struct dm_maps *maps,
			const struct scene *scene)
{
	int i, p;

	for (p = DM_MMAP_WRITE_LOCK; p <= DM_MT_DUP; p++)
		want_event(_metadata, "point: point=%s vma_index=-1 vma=0-0", dm_points[p].name);
	for (i = 0; i < maps->nr; i++) {
		for (p = DM_VMA_START_WRITE; p < DM_ARCH_DUP_MMAP; p++) {
			if (!dm_reached(p, &maps->vma[i]))
				continue;
			want_event(_metadata, "point: point=%s vma_index=%d vma=%lx-%lx",
				   dm_points[p].name, i, maps->vma[i].start, maps->vma[i].end);
			if (i == scene->index && p == (int)scene->point)
				return;
		}
	}
	want_event(_metadata, "point: point=arch-dup-mmap vma_index=-1 vma=0-0");
}

static void want_hold(struct __test_metadata *_metadata, const struct scene *scene, enum at at)
{
	if (scene->at != at)
		return;
	want_event(_metadata, "hold: at=%s begins", at_names[at]);
	want_event(_metadata, "hold: at=%s ends: released", at_names[at]);
}

static void want_events(struct __test_metadata *_metadata, const struct dm_maps *maps,
			const struct scene *scene)
{
	const struct dm_vma *vma = &maps->vma[scene->index];
	struct dm_expect want;

	dm_model(maps, scene->point, scene->index, 0, &want);
	nr_wanted = 0;
	want_event(_metadata, "begin: recovery=%s", scene->recovery);
	want_points(_metadata, maps, scene);
	if (!want.fails) {
		want_event(_metadata, "end: error=0 recovery=none");
		return;
	}
	want_event(_metadata, "injected: point=%s vma_index=%d vma=%lx-%lx error=%d alloc_nth=0",
		   dm_points[scene->point].name, scene->index, vma->start, vma->end, -ENOMEM);
	want_hold(_metadata, scene, BEFORE);
	if (dm_lets_go_early(scene->recovery)) {
		want_event(_metadata, "unlock: who=parent");
		want_hold(_metadata, scene, PARENT);
	}
	want_hold(_metadata, scene, AFTER);
	want_event(_metadata, "end: error=%d recovery=%s", -ENOMEM, scene->recovery);
	/* The rest of it is compared with last in records. */
	want_event(_metadata, "recovered: point=%s vma_index=%d vma=%lx-%lx error=%d recovery=%s ",
		   dm_points[scene->point].name, scene->index, vma->start, vma->end, -ENOMEM,
		   scene->recovery);
	want_hold(_metadata, scene, UNLOCKED);
	want_hold(_metadata, scene, PINNED);
}

static bool are_all_in_trace(void *arg)
{
	get_events(arg);
	return nr_events >= nr_wanted;
}

static void compare_events(struct __test_metadata *_metadata, const struct forker *f, int at)
{
	int i;

	/* The last one of a fork that is pinned is not its own, and may come later. */
	if (at != PINNED || !dm_wait_until(are_all_in_trace, _metadata))
		get_events(_metadata);
	for (i = 0; i < nr_events && i < nr_wanted; i++) {
		size_t len = strlen(wanted[i]);

		/* Up to its end, unless that is left open. */
		ASSERT_EQ(0, strncmp(wanted[i], events[i].what,
				     wanted[i][len - 1] == ' ' ? len : len + 1))
			TH_LOG("%s, event %d is '%s', expected '%s'", at_names[at], i,
			       events[i].what, wanted[i]);
		/* All but the end of one that is pinned are of the task itself. */
		if (at != PINNED || i != nr_wanted - 1)
			ASSERT_EQ(f->pid, events[i].pid) TH_LOG("%s", events[i].what);
	}
	EXPECT_EQ(nr_wanted, nr_events) TH_LOG("%s", at_names[at]);
}

/* The life of one fork, event by event. */
TEST_F(hold, is_traced)
{
	struct forker *f = start_forker(_metadata, 0);
	struct scene scene = {
		.recovery = recoveries[variant->recovery],
		.point = DM_ANON_VMA_FORK,
		.index = dm_index_of(&f->maps, AREA + FAIL_AT * page),
	};
	int at;

	turn(_metadata, NULL, true);
	for (at = NOWHERE; at < NR_AT; at++) {
		scene.at = at;
		clear_trace(_metadata);
		if (at == NOWHERE) {
			aim(_metadata, &scene, "1");
			tell_to_fork(_metadata, f);
		} else {
			hold_one(_metadata, f, &scene);
			if (comes_to(&scene))
				release_one(_metadata, f);
		}
		expect_fork(_metadata, f, ENOMEM);
		want_events(_metadata, &f->maps, &scene);
		compare_events(_metadata, f, at);
	}

	/* One that works. */
	scene.index = NO_STEP;
	clear_trace(_metadata);
	aim(_metadata, &scene, "1");
	tell_to_fork(_metadata, f);
	expect_fork(_metadata, f, 0);
	want_events(_metadata, &f->maps, &scene);
	compare_events(_metadata, f, at - 1);
	turn(_metadata, NULL, false);
	stop_forker(_metadata, f);
}

FIXTURE(holds) {
	struct dm_saved saved;
	char overcommit[3][32];		/* in the order in which they are restored */
};

static const char * const overcommit[] = {
	OVERCOMMIT_RATIO, OVERCOMMIT_KBYTES, OVERCOMMIT_MEMORY
};

FIXTURE_SETUP(holds)
{
	int i;

	for (i = 0; i < 3; i++)
		dm_read_path(overcommit[i], self->overcommit[i], sizeof(self->overcommit[i]));
	begin(_metadata, &self->saved);
}

FIXTURE_TEARDOWN_PARENT(holds)
{
	int i;

	/* Writing one of the first two sets the other to 0. */
	for (i = 0; i < 3; i++)
		if (i != 1 || strcmp(self->overcommit[i], "0\n"))
			dm_write_path(overcommit[i], self->overcommit[i]);
	finish(&self->saved);
}

/* An event that is not enabled says nothing, whatever others do. */
TEST_F(holds, off_is_silent)
{
	static const char * const names[] = {
		"begin", "point", "injected", "hold", "unlock", "end", "recovered",
	};
	struct forker *f = start_forker(_metadata, 0);
	struct scene scene = {
		.at = AFTER,
		.recovery = "rust",
		.point = DM_VM_AREA_DUP,
		.index = dm_index_of(&f->maps, AREA + FAIL_AT * page),
	};
	int on, i, nr;
	bool says;

	/* None, each alone, none again. */
	for (on = -1; on <= (int)ARRAY_SIZE(names); on++) {
		for (i = 0; i < (int)ARRAY_SIZE(names); i++)
			turn(_metadata, names[i], i == on);
		clear_trace(_metadata);
		hold_one(_metadata, f, &scene);
		release_one(_metadata, f);
		get_events(_metadata);
		for (i = nr = 0; i < nr_events; i++) {
			ASSERT_TRUE(on >= 0 && on < (int)ARRAY_SIZE(names));
			EXPECT_EQ(0, strncmp(events[i].what, names[on], strlen(names[on])))
				TH_LOG("%s instead of %s", events[i].what, names[on]);
			nr++;
		}
		says = on >= 0 && on < (int)ARRAY_SIZE(names) &&
			(strcmp(names[on], "unlock") || dm_lets_go_early("rust"));
		EXPECT_EQ(says, !!nr) TH_LOG("run %d", on);
	}
	for (i = 0; i < (int)ARRAY_SIZE(names); i++)
		turn(_metadata, names[i], false);
	stop_forker(_metadata, f);
}

/* Who is to be held when there is no room any more goes on, and is counted. */
TEST_F(holds, eight_at_a_time)
{
	static struct dm_counters before;
	unsigned long taint = dm_taint();
	struct scene scene[NR_FORKERS], other;
	struct forker *f[NR_FORKERS];
	struct dm_record rec;
	bool seen[NR_PLACES] = {};
	int i, k;

	dm_get_counters(&before);
	for (i = 0; i < NR_FORKERS; i++)
		f[i] = start_forker(_metadata, i);
	for (i = 0; i < NR_FORKERS; i++) {
		scene[i] = (struct scene){
			.at = BEFORE + i % PINNED,
			.recovery = recoveries[i % NR_RECOVERIES],
			.point = DM_VM_AREA_DUP,
			.index = dm_index_of(&f[i]->maps, AREA + FAIL_AT * page),
		};
		/* With rust, where there is such a place. */
		if (!comes_to(&scene[i]))
			scene[i].at = UNLOCKED;
		if (i < NR_PLACES)
			hold_one(_metadata, f[i], &scene[i]);
	}
	ASSERT_STREQ("", get_held());
	EXPECT_EQ(NR_PLACES, nr_held);
	EXPECT_EQ(0, missed);
	ASSERT_STREQ("", get_sights());
	EXPECT_EQ(NR_PLACES, nr_sights);
	for (k = 0; k < nr_sights; k++) {
		for (i = 0; i < NR_PLACES; i++) {
			if (sights[k].pid != f[i]->pid)
				continue;
			EXPECT_FALSE(seen[i]);
			seen[i] = true;
			check_sight(_metadata, f[i], &scene[i], &sights[k]);
		}
	}
	for (i = 0; i < NR_PLACES; i++)
		EXPECT_TRUE(seen[i]);

	/* One that would wait, and one that would leave its mm. */
	other = scene[NR_PLACES];
	for (i = 1; i <= 2; i++) {
		other.at = i == 1 ? AFTER : PINNED;
		other.recovery = i == 1 ? "rust" : "xa-zero";
		aim(_metadata, &other, "1");
		tell_to_fork(_metadata, f[NR_PLACES]);
		expect_fork(_metadata, f[NR_PLACES], ENOMEM);
		ASSERT_STREQ("", get_held());
		EXPECT_EQ(NR_PLACES, nr_held);
		EXPECT_EQ(i, missed);
		ASSERT_STREQ("", dm_get_record(&rec));
		EXPECT_EQ(f[NR_PLACES]->pid, rec.pid);
	}

	/* One is let go, and no other one; the next one takes its place. */
	ASSERT_EQ(0, release(f[3]->pid));
	expect_fork(_metadata, f[3], ENOMEM);
	ASSERT_TRUE(dm_wait_until(is_not_held, f[3]));
	EXPECT_EQ(NR_PLACES - 1, nr_held_of(0));
	for (i = 0; i < NR_PLACES; i++)
		EXPECT_EQ(i != 3, nr_held_of(f[i]->pid)) TH_LOG("fork %d", i);
	EXPECT_EQ(-ESRCH, release(f[3]->pid));
	hold_one(_metadata, f[NR_PLACES], &scene[NR_PLACES]);
	EXPECT_EQ(NR_PLACES, nr_held_of(0));
	EXPECT_EQ(2, missed);

	ASSERT_EQ(0, dm_write(DM_HOLD "release", "all"));
	for (i = 0; i < NR_FORKERS; i++)
		expect_fork(_metadata, f[i], ENOMEM);
	ASSERT_TRUE(dm_wait_until(is_none_held, NULL));
	EXPECT_EQ(2, missed);
	dm_reset();
	ASSERT_STREQ("", get_held());
	EXPECT_EQ(0, missed);
	for (i = 0; i < NR_FORKERS; i++)
		stop_forker(_metadata, f[i]);
	EXPECT_STREQ("", dm_check_counters(&before, DM_PATIENT));
	EXPECT_STREQ("", dm_check_taint(taint));
}

/* One that is pinned, and the next fork of that task. */
TEST_F(holds, two_of_one_task)
{
	static struct dm_counters before;
	unsigned long taint = dm_taint();
	struct scene scene = { .point = DM_VM_AREA_DUP };
	struct forker *f;
	int i, k;

	dm_get_counters(&before);
	f = start_forker(_metadata, 0);
	scene.index = dm_index_of(&f->maps, AREA + FAIL_AT * page);
	for (i = 0; i < 2; i++) {
		scene.recovery = i ? "xa-zero-bare" : "rust";
		scene.at = PINNED;
		ASSERT_EQ(0, dm_write(DM_HOLD "timeout-ms", "60000"));
		hold_one(_metadata, f, &scene);

		/* The later one ends, and leaves the earlier one alone. */
		scene.at = i ? AFTER : UNLOCKED;
		ASSERT_EQ(0, dm_write(DM_HOLD "timeout-ms", "30"));
		aim(_metadata, &scene, "1");
		tell_to_fork(_metadata, f);
		expect_fork(_metadata, f, ENOMEM);
		ASSERT_STREQ("", get_held());
		ASSERT_EQ(1, nr_held);
		EXPECT_STREQ("pinned", held[0].at);
		EXPECT_EQ(f->pid, held[0].pid);

		/* Both are let go by the pid. */
		ASSERT_EQ(0, dm_write(DM_HOLD "timeout-ms", "60000"));
		aim(_metadata, &scene, "1");
		tell_to_fork(_metadata, f);
		ASSERT_TRUE(dm_wait_until(are_two_held, f));
		ASSERT_STREQ("", get_sights());
		ASSERT_EQ(2, nr_sights);
		for (k = 0; k < 2; k++) {
			struct scene each = scene;

			if (!strcmp(sights[k].at, "pinned"))
				each.at = PINNED;
			check_sight(_metadata, f, &each, &sights[k]);
		}
		EXPECT_STRNE(sights[0].at, sights[1].at);
		release_one(_metadata, f);
	}
	stop_forker(_metadata, f);
	EXPECT_STREQ("", dm_check_counters(&before, DM_PATIENT));
	EXPECT_STREQ("", dm_check_taint(taint));
}

/* One fork of this process: 0 or its errno. */
static int try_fork(void)
{
	int err;
	pid_t pid = dm_fork(&err);

	if (pid > 0)
		waitpid(pid, NULL, 0);
	return err;
}

/* Those that fail by themselves, those that work, and those with nothing to look at. */
TEST_F(holds, only_what_was_made_to_fail)
{
	struct dm_record rec;
	char kbytes[32];
	int i, at;
	char *large;

	turn(_metadata, "hold", true);
	/* If one is held all the same, not for long. */
	ASSERT_EQ(0, dm_write(DM_HOLD "timeout-ms", "30"));
	for (at = BEFORE; at < NR_AT; at++) {
		i = at % NR_RECOVERIES;
		ASSERT_STREQ("", dm_use_recovery(recoveries[i]));
		ASSERT_EQ(0, dm_write(DM_HOLD "at", at_names[at]));
		/* It has failed before there was anything. */
		ASSERT_STREQ("", dm_arm(DM_MT_DUP, -1, 0));
		EXPECT_EQ(ENOMEM, try_fork());
		ASSERT_STREQ("", dm_arm(DM_MMAP_WRITE_LOCK, -1, 0));
		EXPECT_EQ(ENOMEM, try_fork());
		/* Watched, and they work. */
		ASSERT_STREQ("", dm_arm(DM_VM_AREA_DUP, NO_STEP, 0));
		EXPECT_EQ(0, try_fork());
		ASSERT_EQ(0, dm_write(DM_FAIL "dry-run", "1"));
		EXPECT_EQ(0, try_fork());
		/* Nobody watches. */
		dm_disarm();
		EXPECT_EQ(0, try_fork());
	}
	expect_no_hold(_metadata);

	/* There is no room for a second one. */
	large = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, large);
	snprintf(kbytes, sizeof(kbytes), "%ld", dm_committed_as() + (long)(LARGE >> 11));
	ASSERT_EQ(0, dm_write_path(OVERCOMMIT_KBYTES, kbytes));
	ASSERT_EQ(0, dm_write_path(OVERCOMMIT_MEMORY, "2"));
	for (at = BEFORE; at < NR_AT; at++) {
		i = at % NR_RECOVERIES;
		ASSERT_STREQ("", dm_use_recovery(recoveries[i]));
		ASSERT_EQ(0, dm_write(DM_HOLD "at", at_names[at]));
		/* Watched, and then unwatched. */
		ASSERT_STREQ("", dm_arm(DM_VM_AREA_DUP, NO_STEP, 0));
		EXPECT_EQ(ENOMEM, try_fork());
		ASSERT_STREQ("", dm_get_record(&rec));
		EXPECT_STREQ("vm-enough-memory", rec.point);
		EXPECT_EQ('n', rec.injected);
		EXPECT_STREQ(recoveries[i], rec.recovery);
		/* A dry run fails as well. */
		ASSERT_EQ(0, dm_write(DM_FAIL "dry-run", "1"));
		EXPECT_EQ(ENOMEM, try_fork());
		dm_disarm();
		EXPECT_EQ(ENOMEM, try_fork());
	}
	expect_no_hold(_metadata);
	ASSERT_EQ(0, nr_held_of(0));
	EXPECT_EQ(0, missed);
	turn(_metadata, "hold", false);
	munmap(large, LARGE);
}

/* It reads the files until it is told not to: 0 when all were as they should be. */
static int look(bool *stop)
{
	int i;

	while (!__atomic_load_n(stop, __ATOMIC_SEQ_CST)) {
		if (*get_held() || *get_sights())
			return 1;
		for (i = 0; i < nr_sights; i++)
			/* Its fork may be over by the time it is looked at. */
			if (strcmp(sights[i].verdict, "locked") &&
			    strcmp(sights[i].verdict, "clean") &&
			    strcmp(sights[i].verdict, "stale") &&
			    strcmp(sights[i].verdict, "gone"))
				return 1;
		sched_yield();
	}
	return 0;
}

/* And so does one who lets all go, all the time. */
static int let_go(bool *stop)
{
	while (!__atomic_load_n(stop, __ATOMIC_SEQ_CST)) {
		if (dm_write(DM_HOLD "release", "all"))
			return 1;
		usleep(1000);
	}
	return 0;
}

/* Forks that fail all the time, others that look, and others that change what is asked for. */
TEST_F_TIMEOUT(holds, several_at_once, dm_long_form() ? 3600 : 300)
{
	enum { NR = 4 };
	static const char * const timeouts[] = { "1", "5", "20", "60000" };
	static struct dm_counters before;
	unsigned long taint = dm_taint();
	int nr = dm_long_form() ? 1000 : 25;
	unsigned int i, least;
	int k, status;
	pid_t other[3];
	struct forker *f[NR];
	bool *stop;

	stop = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, stop);
	/* A VMA that comes and goes may leave a node more in the tree of this process. */
	dm_get_counters(&before);
	for (k = 0; k < NR; k++)
		f[k] = start_forker(_metadata, k);
	for (k = 0; k < 3; k++) {
		other[k] = fork();
		if (!other[k])
			_exit(k < 2 ? look(stop) : let_go(stop));
	}
	ASSERT_STREQ("", dm_aim(DM_VM_AREA_DUP,
				dm_index_of(&f[0]->maps, AREA + FAIL_AT * page), 0));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "-1"));
	for (k = 0; k < NR; k++) {
		f[k]->storms = true;
		ASSERT_EQ(1, write(f[k]->go[1], "f", 1));
	}
	/* Until each has failed so often. */
	i = 0;
	do {
		ASSERT_EQ(0, dm_write("recovery", recoveries[i % NR_RECOVERIES]));
		ASSERT_EQ(0, dm_write(DM_HOLD "at", at_names[i / 3 % NR_AT]));
		ASSERT_EQ(0, dm_write(DM_HOLD "timeout-ms", timeouts[i / 5 % 4]));
		/* Once in a while somebody has to go by its pid, or need not. */
		k = release(f[i % NR]->pid);
		ASSERT_TRUE(!k || k == -ESRCH);
		i++;
		for (k = 0, least = ~0u; k < NR; k++)
			if (__atomic_load_n(&f[k]->done, __ATOMIC_SEQ_CST) < least)
				least = __atomic_load_n(&f[k]->done, __ATOMIC_SEQ_CST);
	} while (least < (unsigned int)nr);
	for (k = 0; k < NR; k++)
		__atomic_store_n(&f[k]->storms, false, __ATOMIC_SEQ_CST);
	dm_reset();
	ASSERT_EQ(0, dm_write(DM_HOLD "release", "all"));
	for (k = 0; k < NR; k++)
		stop_forker(_metadata, f[k]);
	__atomic_store_n(stop, true, __ATOMIC_SEQ_CST);
	for (k = 0; k < 3; k++) {
		ASSERT_TRUE(dm_wait_until(has_ended, &other[k]));
		ASSERT_EQ(other[k], waitpid(other[k], &status, 0));
		EXPECT_EQ(0, status) TH_LOG("process %d", k);
	}
	ASSERT_TRUE(dm_wait_until(is_none_held, NULL));
	for (k = 0; k < NR; k++) {
		EXPECT_EQ(0, f[k]->wrong);
		EXPECT_LE(nr, f[k]->failed);
	}
	EXPECT_STREQ("", dm_check_counters(&before, DM_PATIENT));
	EXPECT_STREQ("", dm_check_taint(taint));
	munmap(stop, page);
}

/*
 * The parent has unmapped, and freed, what the child's tree still has. Neither the
 * observer nor who takes the child apart looks at it.
 */
TEST_F(holds, what_is_freed_is_not_followed)
{
	struct forker *f = start_forker(_metadata, 0);
	struct scene scene = {
		.at = PINNED,
		.point = DM_VM_AREA_DUP,
		.index = dm_index_of(&f->maps, AREA + FAIL_AT * page),
	};
	unsigned long taint = dm_taint();
	int i;

	for (i = XA_ZERO; i <= XA_ZERO_BARE; i++) {
		f = i == XA_ZERO ? f : start_forker(_metadata, 0);
		scene.recovery = recoveries[i];
		hold_one(_metadata, f, &scene);
		f->told++;
		ASSERT_EQ(1, write(f->go[1], "u", 1));
		ASSERT_TRUE(dm_wait_until(is_done, f));
		ASSERT_EQ(0, f->wrong);
		dm_rcu_barrier();
		check_held(_metadata, f, &scene, 60000);
		release_one(_metadata, f);
		stop_forker(_metadata, f);
	}
	EXPECT_STREQ("", dm_check_taint(taint));
}

/* Who has a file open has nothing of what is released, but the module. */
TEST_F(holds, observed_while_released)
{
	struct forker *f = start_forker(_metadata, 0);
	struct scene scene = {
		.at = PINNED,
		.recovery = "xa-zero",
		.point = DM_VM_AREA_DUP,
		.index = dm_index_of(&f->maps, AREA + FAIL_AT * page),
	};
	ssize_t n;
	int fd;

	hold_one(_metadata, f, &scene);
	fd = open(DM_DIR "/" DM_HOLD "observe", O_RDONLY | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	/* The rest of what was there when it began to read. */
	ASSERT_EQ(10, read(fd, text, 10));
	release_one(_metadata, f);
	EXPECT_EQ(EAGAIN, dm_unload());
	ASSERT_TRUE(dm_loaded());
	n = read(fd, text, sizeof(text) - 1);
	EXPECT_GT(n, 0);
	text[n > 0 ? n : 0] = '\0';
	EXPECT_NE(NULL, strstr(text, "verdict: stale\n"));
	/* And nothing when it begins again. */
	EXPECT_EQ(0, pread(fd, text, sizeof(text), 0));
	close(fd);
	stop_forker(_metadata, f);
	EXPECT_EQ(0, dm_unload());
	EXPECT_TRUE(dm_load());
}

static struct dm_hold busy;

/* A VMA behind that of the file, so that this is copied, and closed in the recovery. */
static const char *fail_behind(void *arg, struct dm_place *place)
{
	place->fail = &busy;
	return "";
}

struct unloading {
	pid_t pid;
	struct forker *f;
};

static bool waits_or_has_ended(void *arg)
{
	struct unloading *u = arg;

	return dm_sleeps_in(u->pid, "synchronize_srcu") || has_ended(&u->pid);
}

/*
 * Unloading lets go what is held before it waits for the forks that are under way. One
 * of these is inside of its recovery for as long as this takes, in the close of a file
 * (lib/hold.h): so it is seen that unloading waits for nothing else any more, and the
 * trace says why the hold was over. Afterwards the events would be gone.
 */
TEST_F(holds, unloading_ends_them)
{
	static const struct {
		enum at at;
		int recovery;
	} c[] = {
		/* First: a worker that was forgotten has the time to run. */
		{ PINNED, XA_ZERO }, { PARENT, RUST }, { AFTER, UPSTREAM }, { UNLOCKED, XA_ZERO },
	};
	struct dm_how how = {
		.point = DM_VM_AREA_DUP,
		.prepare = fail_behind,
		.unjudged = true,
	};
	static struct dm_counters before;
	unsigned long taint = dm_taint();
	struct unloading u;
	const char *why;
	int status;
	size_t i;

	/* What it maps may leave a node more in the tree of this process: before the count. */
	ASSERT_EQ(NULL, dm_hold_begin(&busy));
	ASSERT_STREQ("", dm_end_hold(&busy, false, NULL));
	dm_get_counters(&before);
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		struct scene scene = {
			.at = c[i].at,
			.recovery = recoveries[c[i].recovery],
			.point = DM_VM_AREA_DUP,
		};
		struct forker *f;

		if (!comes_to(&scene))
			continue;
		/* First: what is inherited of the file would be held as well. */
		f = start_forker(_metadata, 0);
		u.f = f;
		scene.index = dm_index_of(&f->maps, AREA + FAIL_AT * page);
		why = dm_hold_begin(&busy);
		ASSERT_EQ(NULL, why);
		ASSERT_STREQ("", dm_use_recovery("rust"));
		ASSERT_EQ(0, dm_write(DM_HOLD "at", "none"));
		ASSERT_STREQ("", dm_hold_fork(&busy, &how));

		turn(_metadata, "hold", true);
		clear_trace(_metadata);
		hold_one(_metadata, f, &scene);
		u.pid = fork();
		ASSERT_GE(u.pid, 0);
		if (!u.pid)
			_exit(dm_unload());
		ASSERT_TRUE(dm_wait_until(waits_or_has_ended, &u));
		expect_fork(_metadata, f, ENOMEM);
		expect_end(_metadata, c[i].at, "unload");
		EXPECT_FALSE(has_ended(&u.pid));
		EXPECT_STREQ("", dm_end_hold(&busy, false, NULL));
		ASSERT_TRUE(dm_wait_until(has_ended, &u.pid));
		ASSERT_EQ(u.pid, waitpid(u.pid, &status, 0));
		EXPECT_EQ(0, status);
		EXPECT_FALSE(dm_loaded());
		stop_forker(_metadata, f);
		ASSERT_TRUE(dm_load());
		arm_forkers(_metadata);
		ASSERT_STREQ("", get_held());
		EXPECT_EQ(0, nr_held);
	}
	EXPECT_STREQ("", dm_check_counters(&before, DM_PATIENT));
	EXPECT_STREQ("", dm_check_taint(taint));
}

static bool are_four_held(void *arg)
{
	return nr_held_of(0) == 4;
}

/* And nobody is held from then on, as often as they fork. */
TEST_F(holds, unloading_under_load)
{
	enum { NR = 4 };
	static struct dm_counters before;
	unsigned long taint = dm_taint();
	struct scene scene = { .at = BEFORE, .point = DM_VM_AREA_DUP };
	struct forker *f[NR];
	pid_t pid;
	int k, status;

	dm_get_counters(&before);
	for (k = 0; k < NR; k++)
		f[k] = start_forker(_metadata, k);
	scene.recovery = "xa-zero";
	scene.index = dm_index_of(&f[0]->maps, AREA + FAIL_AT * page);
	arm_forkers(_metadata);
	aim(_metadata, &scene, "-1");
	for (k = 0; k < NR; k++) {
		f[k]->storms = true;
		ASSERT_EQ(1, write(f[k]->go[1], "f", 1));
	}
	ASSERT_TRUE(dm_wait_until(are_four_held, NULL));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		_exit(dm_unload());
	/* Half of their time: if it waited for that, it would take as long. */
	for (k = 0; k < 30000 && !has_ended(&pid); k++)
		usleep(1000);
	ASSERT_TRUE(has_ended(&pid)) TH_LOG("unloading waits for those that are held");
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	/* Without the module they fork and work. */
	for (k = 0; k < NR; k++) {
		f[k]->told = f[k]->done + 2;
		while (__atomic_load_n(&f[k]->done, __ATOMIC_SEQ_CST) < f[k]->told)
			sched_yield();
		__atomic_store_n(&f[k]->storms, false, __ATOMIC_SEQ_CST);
	}
	for (k = 0; k < NR; k++) {
		stop_forker(_metadata, f[k]);
		EXPECT_EQ(0, f[k]->wrong);
		EXPECT_LE(1, f[k]->failed);
		EXPECT_LE(1, f[k]->worked);
	}
	ASSERT_TRUE(dm_load());
	EXPECT_STREQ("", dm_check_counters(&before, DM_PATIENT));
	EXPECT_STREQ("", dm_check_taint(taint));
}

int main(int argc, char **argv)
{
	static struct dm_cgroup cgroup;
	const char *why;
	int ret;

	dm_skip_unless_available();
	/* Page tables are counted there. */
	why = dm_cgroup_enter(&cgroup);
	if (why)
		ksft_print_msg("%s\n", why);
	ret = test_harness_run(argc, argv);
	dm_cgroup_leave(&cgroup);
	return ret;
}
