// SPDX-License-Identifier: GPL-2.0
/*
 * What the parent can do while its fork has failed and the child is taken apart. With
 * recovery=rust, everything: its lock has been let go. Other threads and processes
 * of that address space fault, map, unmap, move, fork, exec and exit, and what they
 * change are those very VMAs that the child's tree still refers to.
 *
 * The teardown is held for as long as this takes (lib/hold.h). With recovery=upstream,
 * and on um with both, the same ones are seen to wait for it.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dup_mmap.h"
#include "harness.h"

/*
 * Page by page one VMA. Those that are copied come first, then the one to fail at,
 * then those that the parent alone has. Every second one can be written.
 */
#define NR_AREA		60
#define FAIL_AT		30
#define SPARE		4	/* behind them, where to move some of them */
#define UNTOUCHED(i)	((i) % 30 == 4)

/*
 * Below all of these, but for the file's: more than the module takes apart together,
 * so that it has the others still to do when it is held. Nobody touches these.
 */
#define NR_LOW		80
#define LOW		((char *)(64ul << 20))

#define STACK		(256ul << 10)
#define NR_STORMS	100000

enum where { FIRST, MIDDLE, LATE, LAST, ALL };

/* Besides the area, on each side of it one of each of these kinds. */
enum with { NONE, A_FILE, OTHERS, NR_WITH };

#define MAX_KINDS	5

static const struct {
	int nr;
	enum dm_kind kind[MAX_KINDS];
} with_kinds[NR_WITH] = {
	/* Not with those that need a process, which would have the file as well. */
	[A_FILE]	= { 1, { DM_MEMFD_SHARED } },
	/* The huge pages where there are any. */
	[OTHERS]	= { 5, { DM_HUGETLB, DM_HUGETLB_SHARED, DM_USERFAULTFD, DM_MLOCKED,
				 DM_GUP_PINNED } },
};

/* Of the process whose fork is held, and shared with the test. */
struct worker {
	pid_t tid;
	int go[2];		/* a pipe */
	bool done;
	const char *why;	/* "" or a constant of this program */
};

enum { FAULT, MAP, UNMAP, MOVE, PROTECT, ADVISE, KINDS, FORK, NR_OPS };
enum { EXEC, EXIT, NR_LEAVERS };

static struct scene {
	enum where where;
	enum with with;
	struct worker worker[NR_OPS];
	struct worker leaver[NR_LEAVERS];
	int finish[2];		/* when all is done that needs the process */
	int stop;		/* storms */
	unsigned long storms;
	size_t page;
	char *area;
	char *file;
	struct dm_layout last;		/* for LAST: what to fail at */
	struct dm_layout kinds[2][MAX_KINDS];	/* copied, and not */
} *scene;

static char *at(int i)
{
	return scene->area + i * scene->page;
}

/* Whether or not anybody reads it. */
static void write_once(char *p, char value)
{
	__atomic_store_n(p, value, __ATOMIC_RELAXED);
}

static const char *fault(void)
{
	/* What the child has too, and what it has not; used before, or not. */
	static const int pages[] = { 2, 4, 32, 34 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		write_once(at(pages[i]), 2);
		if (*at(pages[i]) != 2)
			return "it reads what was not written";
	}
	return "";
}

static const char *map(void)
{
	size_t len = 4 * scene->page;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return "mmap() fails";
	write_once(p, 1);
	return munmap(p, len) ? "munmap() fails" : "";
}

static const char *unmap(void)
{
	const struct dm_layout *last = &scene->last;

	/* Copied, the one that failed and its neighbours, further ones. */
	if (munmap(at(8), 3 * scene->page) ||
	    munmap(at(FAIL_AT), 2 * scene->page) ||
	    munmap(at(40), 4 * scene->page))
		return "munmap() fails";
	return last->addr && munmap(last->addr, last->len) ?
		"munmap() of the last one fails" : "";
}

static const char *move(void)
{
	static const int from[] = { 12, 46 };
	char *to;
	int i;

	for (i = 0; i < 2; i++) {
		to = at(NR_AREA + 1 + i);
		if (mremap(at(from[i]), scene->page, scene->page,
			   MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
			return "mremap() fails";
		if (*to != from[i])
			return "what was moved has changed";
	}
	return "";
}

/* Becomes one with its neighbours, so that these are freed. */
static const char *protect(void)
{
	return mprotect(at(14), scene->page, PROT_READ) ||
		mprotect(at(44), scene->page, PROT_READ) ||
		mprotect(at(48), 3 * scene->page, PROT_READ | PROT_WRITE) ?
		"mprotect() fails" : "";
}

static const char *advise(void)
{
	if (madvise(at(16), scene->page, MADV_DONTNEED) ||
	    madvise(at(36), scene->page, MADV_DONTNEED))
		return "MADV_DONTNEED fails";
	if (*at(16) || *at(36))
		return "MADV_DONTNEED leaves something";
	/* And no other child has the file, whose end would be held as well. */
	return madvise(at(38), scene->page, MADV_DONTFORK) ||
		madvise(scene->file, DM_HELD_LEN, MADV_DONTFORK) ?
		"MADV_DONTFORK fails" : "";
}

/* Of each kind both: written to, so that the parent has it for itself, and unmapped. */
static const char *kinds(void)
{
	struct dm_layout *l;
	const char *why;
	int side, k;
	size_t i;

	for (side = 0; side < 2; side++) {
		for (k = 0; k < with_kinds[scene->with].nr; k++) {
			l = &scene->kinds[side][k];
			if (!l->addr)
				continue;
			for (i = 0; i < l->looked_at; i += scene->page)
				write_once(l->addr + i, l->addr[i]);
			why = dm_check_kind(l);
			if (*why)
				return "the memory of the parent changed";
			if (munmap(l->whole, l->whole_len))
				return "munmap() fails";
		}
	}
	return "";
}

static const char *fork_too(void)
{
	int err, status;
	pid_t pid = dm_fork(&err);

	if (pid < 0)
		return "a fork fails";
	return waitpid(pid, &status, 0) != pid || status ? "its child ends badly" : "";
}

static const struct {
	const char *name, *(*op)(void);
} ops[NR_OPS] = {
	[FAULT]		= { "fault", fault },
	[MAP]		= { "mmap", map },
	[UNMAP]		= { "munmap", unmap },
	[MOVE]		= { "mremap", move },
	[PROTECT]	= { "mprotect", protect },
	[ADVISE]	= { "madvise", advise },
	[KINDS]		= { "the kinds", kinds },
	[FORK]		= { "fork", fork_too },
};

static const char *leaver_name(int i)
{
	return i == EXEC ? "exec" : "exit";
}

/* All of it above the failure, again and again, also while the fork is let go. */
static void storm(void)
{
	char *p = at(52);
	size_t len = 6 * scene->page;
	int i;

	for (i = 0; i < NR_STORMS && !__atomic_load_n(&scene->stop, __ATOMIC_SEQ_CST); i++) {
		mmap(p, len, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		/* Another one may have unmapped it: not written by this program itself. */
		madvise(p, len, MADV_POPULATE_WRITE);
		mprotect(p + scene->page, scene->page, PROT_READ);
		madvise(p, len / 2, MADV_DONTNEED);
		munmap(p + i % 6 * scene->page, scene->page);
		__atomic_add_fetch(&scene->storms, 1, __ATOMIC_SEQ_CST);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	char what;

	w->tid = syscall(SYS_gettid);
	while (read(w->go[0], &what, 1) == 1) {
		if (what == 's')
			storm();
		else
			w->why = ops[w - scene->worker].op();
		__atomic_store_n(&w->done, true, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

/*
 * Shares the address space, and its end is not that of the others. Shares the files
 * too: so it does not keep one whose closing would be held.
 */
static int leave(void *arg)
{
	static char * const argv[] = { "parent_goes_on", "--leave", NULL };
	struct worker *w = arg;
	char what;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || read(w->go[0], &what, 1) != 1)
		return 1;
	if (w == &scene->leaver[EXEC])
		execve("/proc/self/exe", argv, NULL);
	/* If it is still here to say so, it has failed. */
	syscall(SYS_exit_group, w == &scene->leaver[EXEC]);
	return 1;
}

/*
 * Not copied by fork, so that no use of it is a page fault: who waits, waits for what
 * it does. But who forks itself leaves a stack to its child.
 */
static void *make_stack(bool forks)
{
	void *p = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return p == MAP_FAILED || (!forks && madvise(p, STACK, MADV_DONTFORK)) ? NULL : p;
}

static bool start_threads(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	char *stack;
	int i;

	for (i = 0; i < NR_OPS; i++) {
		stack = make_stack(i == FORK);
		if (!stack || pthread_attr_init(&attr) ||
		    pthread_attr_setstack(&attr, stack, STACK) ||
		    pthread_create(&thread, &attr, work, &scene->worker[i]))
			return false;
		while (!__atomic_load_n(&scene->worker[i].tid, __ATOMIC_SEQ_CST))
			sched_yield();
	}
	for (i = 0; i < NR_LEAVERS; i++) {
		stack = make_stack(false);
		if (!stack)
			return false;
		scene->leaver[i].tid = clone(leave, stack + STACK, CLONE_VM | CLONE_FILES | SIGCHLD,
					     &scene->leaver[i]);
		if (scene->leaver[i].tid < 0)
			return false;
	}
	return true;
}

static bool make_area(void)
{
	size_t len = (NR_AREA + SPARE) * scene->page;
	char *p = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int i;

	if (p == MAP_FAILED)
		return false;
	scene->area = p;
	for (i = 0; i < NR_AREA; i++) {
		if (mprotect(at(i), scene->page,
			     i % 2 ? PROT_READ : PROT_READ | PROT_WRITE))
			return false;
		if (i % 2 == 0 && !UNTOUCHED(i))
			*at(i) = i;
	}
	return true;
}

static bool make_low(void)
{
	size_t len = NR_LOW * scene->page, i;

	if (mmap(LOW, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
		 -1, 0) != LOW)
		return false;
	for (i = 0; i < len; i += 2 * scene->page) {
		if (mprotect(LOW + i, scene->page, PROT_READ | PROT_WRITE))
			return false;
		LOW[i] = 1;
	}
	return true;
}

static const char *make_kinds(int side)
{
	const char *why;
	int k;

	for (k = 0; k < with_kinds[scene->with].nr; k++) {
		enum dm_kind kind = with_kinds[scene->with].kind[k];

		if (!dm_kind_len(kind))
			continue;
		why = dm_build(&scene->kinds[side][k], kind, DM_MIDDLE);
		if (why)
			return why;
	}
	return "";
}

static bool is_below(int side, int k)
{
	return scene->kinds[side][k].addr < scene->area;
}

extern char __executable_start[], etext[];

static const char *prepare(void *arg, struct dm_place *place)
{
	const char *why;
	int k;

	/* Code that was never run before would be a page fault, too. */
	madvise((void *)((uintptr_t)__executable_start & -scene->page),
		etext - __executable_start, MADV_POPULATE_READ);
	/* One on each side of the area, whichever is the lower one. */
	why = make_kinds(0);
	if (*why)
		return why;
	if (!make_area() || !make_low())
		return "there is no room for the VMAs";
	why = make_kinds(1);
	if (*why)
		return why;
	for (k = 0; k < with_kinds[scene->with].nr; k++)
		if (scene->kinds[0][k].addr && is_below(0, k) == is_below(1, k))
			return "both of a kind are on the same side";
	if (scene->where == LAST) {
		why = dm_build(&scene->last, DM_ANON, DM_LAST);
		if (why)
			return why;
	}
	if (!start_threads())
		return "no threads";
	switch (scene->where) {
	case LATE:
		place->file = at(FAIL_AT - 1);
		place->fail = at(FAIL_AT);
		break;
	case MIDDLE:
		place->fail = at(FAIL_AT);
		break;
	case LAST:
		place->fail = scene->last.addr;
		break;
	case FIRST:
	case ALL:
		break;
	}
	return "";
}

/* In the parent, when the fork has failed and all others have done what they do. */
static const char *check(void *arg)
{
	const char *why;
	int side, k, i, status;
	char c;

	if (read(scene->finish[0], &c, 1) != 1)
		return "the test has gone";
	for (i = 0; i < NR_LEAVERS; i++)
		if (waitpid(scene->leaver[i].tid, &status, 0) != scene->leaver[i].tid ||
		    status)
			return leaver_name(i);
	for (i = 18; i < 28; i += 2)
		if (*at(i) != i)
			return "a page of the parent has changed";
	for (i = 0; i < NR_LOW; i += 2)
		if (LOW[i * scene->page] != 1)
			return "a page of the parent has changed";
	for (side = 0; side < 2; side++) {
		for (k = 0; k < with_kinds[scene->with].nr; k++) {
			/* Of a file it is known whether any mapping has been left behind. */
			why = dm_unbuild(&scene->kinds[side][k]);
			if (*why)
				return why;
		}
	}
	return dm_unbuild(&scene->last);
}

FIXTURE(parent) {
	struct dm_saved saved;
	struct dm_cgroup cgroup;
};

FIXTURE_VARIANT(parent) {
	const char *recovery;
	enum where where;
	enum with with;
};

FIXTURE_VARIANT_ADD(parent, rust_first) { "rust", FIRST, NONE };
FIXTURE_VARIANT_ADD(parent, rust_middle) { "rust", MIDDLE, A_FILE };
FIXTURE_VARIANT_ADD(parent, rust_late) { "rust", LATE, NONE };
FIXTURE_VARIANT_ADD(parent, rust_last) { "rust", LAST, NONE };
FIXTURE_VARIANT_ADD(parent, rust_all) { "rust", ALL, NONE };
FIXTURE_VARIANT_ADD(parent, rust_others) { "rust", MIDDLE, OTHERS };
/* Who waits does not care where it failed. */
FIXTURE_VARIANT_ADD(parent, upstream_middle) { "upstream", MIDDLE, A_FILE };
FIXTURE_VARIANT_ADD(parent, upstream_others) { "upstream", MIDDLE, OTHERS };

static void set_the_scene(struct __test_metadata *_metadata, enum where where,
			  enum with with)
{
	int i, k;

	scene = mmap(NULL, sizeof(*scene), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)scene);
	scene->where = where;
	scene->with = with;
	scene->page = sysconf(_SC_PAGESIZE);
	scene->last.fd = -1;
	for (i = 0; i < 2; i++)
		for (k = 0; k < MAX_KINDS; k++)
			scene->kinds[i][k].fd = -1;
	ASSERT_EQ(0, pipe(scene->finish));
	for (i = 0; i < NR_OPS; i++)
		ASSERT_EQ(0, pipe(scene->worker[i].go));
	for (i = 0; i < NR_LEAVERS; i++)
		ASSERT_EQ(0, pipe(scene->leaver[i].go));
}

FIXTURE_SETUP(parent)
{
	dm_save(&self->saved);
	ASSERT_EQ(NULL, dm_cgroup_enter(&self->cgroup));
	ASSERT_EQ(NULL, dm_uncountable());
	set_the_scene(_metadata, variant->where, variant->with);
}

FIXTURE_TEARDOWN_PARENT(parent)
{
	dm_cgroup_leave(&self->cgroup);
	dm_restore(&self->saved);
}

static bool is_done(void *arg)
{
	struct worker *w = arg;

	return __atomic_load_n(&w->done, __ATOMIC_SEQ_CST);
}

static bool has_left(void *arg)
{
	struct worker *w = arg;

	return dm_state_of(w->tid) == 'Z';
}

static bool waits_or_is_done(void *arg)
{
	struct worker *w = arg;

	return dm_state_of(w->tid) == 'D' || is_done(w) || has_left(w);
}

static void tell(struct __test_metadata *_metadata, struct worker *w, char what)
{
	w->done = false;
	ASSERT_EQ(1, write(w->go[1], &what, 1));
}

/* One after the other, each while the fork is held. */
static void go_on(struct __test_metadata *_metadata, struct dm_hold *hold)
{
	int i;

	for (i = 0; i < NR_OPS; i++) {
		struct worker *w = &scene->worker[i];

		tell(_metadata, w, 'o');
		ASSERT_TRUE(dm_wait_until(is_done, w)) TH_LOG("%s waits", ops[i].name);
		EXPECT_STREQ("", w->why) TH_LOG("%s", ops[i].name);
		ASSERT_TRUE(dm_is_held(hold)) TH_LOG("%s: the fork goes on", ops[i].name);
	}
	for (i = 0; i < NR_LEAVERS; i++) {
		tell(_metadata, &scene->leaver[i], 'l');
		ASSERT_TRUE(dm_wait_until(has_left, &scene->leaver[i]))
			TH_LOG("%s waits", leaver_name(i));
		ASSERT_TRUE(dm_is_held(hold)) TH_LOG("%s: the fork goes on", leaver_name(i));
	}
}

/* None of them gets any further before the fork is let go. */
static void wait_all(struct __test_metadata *_metadata, struct dm_hold *hold)
{
	struct worker *w;
	int i;

	for (i = 0; i < NR_OPS + NR_LEAVERS; i++) {
		w = i < NR_OPS ? &scene->worker[i] : &scene->leaver[i - NR_OPS];
		tell(_metadata, w, 'o');
		ASSERT_TRUE(dm_wait_until(waits_or_is_done, w))
			TH_LOG("%d is neither asleep nor done", i);
	}
	ASSERT_TRUE(dm_is_held(hold));
	for (i = 0; i < NR_OPS; i++) {
		w = &scene->worker[i];
		/* Nothing to do, so nothing to wait for. */
		if (i == KINDS && scene->with == NONE)
			continue;
		EXPECT_FALSE(is_done(w)) TH_LOG("%s does not wait", ops[i].name);
		EXPECT_EQ('D', dm_state_of(w->tid)) TH_LOG("%s", ops[i].name);
	}
	for (i = 0; i < NR_LEAVERS; i++)
		EXPECT_EQ('D', dm_state_of(scene->leaver[i].tid)) TH_LOG("%s", leaver_name(i));
}

static bool has_stormed(void *arg)
{
	return __atomic_load_n(&scene->storms, __ATOMIC_SEQ_CST) >= *(unsigned long *)arg;
}

static bool is_over(void *arg)
{
	struct dm_hold *hold = arg;

	return __atomic_load_n(&hold->held->over, __ATOMIC_SEQ_CST);
}

/* The rest of the teardown is done while the parent's VMAs come and go. */
static void let_go_in_a_storm(struct __test_metadata *_metadata, struct dm_hold *hold)
{
	unsigned long enough = 50;
	int i;

	for (i = 0; i < 3; i++)
		tell(_metadata, &scene->worker[i], 's');
	ASSERT_TRUE(dm_wait_until(has_stormed, &enough));
	ASSERT_TRUE(dm_is_held(hold));
	dm_let_go(hold);
	ASSERT_TRUE(dm_wait_until(is_over, hold)) TH_LOG("the fork does not return");
	enough = scene->storms + 10;
	EXPECT_TRUE(dm_wait_until(has_stormed, &enough));
	__atomic_store_n(&scene->stop, 1, __ATOMIC_SEQ_CST);
	for (i = 0; i < 3; i++)
		EXPECT_TRUE(dm_wait_until(is_done, &scene->worker[i]));
}

static enum dm_point point_of(enum where where)
{
	/* Of the file itself it has to be after the copy is in the tree. */
	return where == FIRST ? DM_COPY_PAGE_RANGE : where == ALL ? DM_ARCH_DUP_MMAP :
		DM_VM_AREA_DUP;
}

static void hold_and_look(struct __test_metadata *_metadata, const char *recovery)
{
	bool early = dm_lets_go_early(recovery);
	struct dm_how how = {
		.point = point_of(scene->where),
		.prepare = prepare,
		.check = check,
	};
	static struct dm_held held;
	struct dm_counters before;
	unsigned long taint = dm_taint(), held_for, let_go;
	struct dm_hold hold;
	int i;

	ASSERT_STREQ("", dm_use_recovery(recovery));
	dm_get_counters(&before);
	ASSERT_EQ(NULL, dm_hold_begin(&hold));
	ASSERT_STREQ("", dm_hold_fork(&hold, &how));
	scene->file = hold.held->file;
	if (early)
		go_on(_metadata, &hold);
	else
		wait_all(_metadata, &hold);
	held_for = dm_ns() - hold.since;
	if (early) {
		let_go_in_a_storm(_metadata, &hold);
	} else {
		dm_let_go(&hold);
		for (i = 0; i < NR_OPS; i++) {
			EXPECT_TRUE(dm_wait_until(is_done, &scene->worker[i]))
				TH_LOG("%s waits for ever", ops[i].name);
			EXPECT_STREQ("", scene->worker[i].why) TH_LOG("%s", ops[i].name);
		}
		for (i = 0; i < NR_LEAVERS; i++)
			EXPECT_TRUE(dm_wait_until(has_left, &scene->leaver[i]))
				TH_LOG("%s waits for ever", leaver_name(i));
	}
	ASSERT_EQ(1, write(scene->finish[1], "f", 1));
	ASSERT_STREQ("", dm_end_hold(&hold, false, &held));

	/* It was held in between, so these can't be less than that. */
	EXPECT_STREQ(recovery, held.rec.recovery);
	EXPECT_GE(held.rec.ns, held_for);
	let_go = held.rec.parent_lock_ns;
	EXPECT_TRUE(early ? let_go + held_for <= held.rec.ns : let_go >= held_for)
		TH_LOG("let go after %lu of %lu ns, held for %lu", let_go, held.rec.ns,
		       held_for);
	EXPECT_STREQ("", dm_check_counters(&before, DM_PATIENT));
	EXPECT_STREQ("", dm_check_taint(taint));
}

TEST_F_TIMEOUT(parent, goes_on, 600)
{
	hold_and_look(_metadata, variant->recovery);
}

FIXTURE(killed) {
	struct dm_saved saved;
	struct dm_cgroup cgroup;
};

FIXTURE_VARIANT(killed) {
	const char *recovery;
};

FIXTURE_VARIANT_ADD(killed, rust) { "rust" };
FIXTURE_VARIANT_ADD(killed, upstream) { "upstream" };

FIXTURE_SETUP(killed)
{
	dm_save(&self->saved);
	ASSERT_STREQ("", dm_use_recovery(variant->recovery));
	ASSERT_EQ(NULL, dm_cgroup_enter(&self->cgroup));
	ASSERT_EQ(NULL, dm_uncountable());
	set_the_scene(_metadata, MIDDLE, NONE);
}

FIXTURE_TEARDOWN_PARENT(killed)
{
	dm_cgroup_leave(&self->cgroup);
	dm_restore(&self->saved);
}

static bool has_gone(void *arg)
{
	struct worker *w = arg;

	return dm_state_of(w->tid) == '?';
}

static bool waits_or_has_gone(void *arg)
{
	struct worker *w = arg;

	return dm_sleeps_in(w->tid, "do_exit") || has_gone(w);
}

/* All threads end, but for the one whose fork is held. */
TEST_F(killed, while_it_is_held)
{
	bool early = dm_lets_go_early(variant->recovery);
	struct dm_how how = { .point = DM_VM_AREA_DUP, .prepare = prepare };
	static struct dm_held held;
	struct dm_counters before;
	unsigned long taint = dm_taint();
	struct dm_record rec;
	struct dm_hold hold;
	pid_t pid;
	int i;

	dm_get_counters(&before);
	ASSERT_EQ(NULL, dm_hold_begin(&hold));
	ASSERT_STREQ("", dm_hold_fork(&hold, &how));
	pid = hold.pid;
	dm_kill_held(&hold);
	for (i = 0; i < NR_OPS; i++) {
		EXPECT_TRUE(dm_wait_until(waits_or_has_gone, &scene->worker[i]));
		EXPECT_TRUE(!early || dm_wait_until(has_gone, &scene->worker[i]));
	}
	ASSERT_TRUE(dm_is_held(&hold));
	for (i = 0; i < NR_OPS; i++)
		EXPECT_EQ(early, has_gone(&scene->worker[i]));
	ASSERT_STREQ("", dm_end_hold(&hold, true, &held));

	ASSERT_STREQ("", dm_get_record(&rec));
	EXPECT_EQ(pid, rec.pid);
	EXPECT_STREQ("", dm_judge(&held.maps, variant->recovery, &rec));
	EXPECT_STREQ("", dm_check_counters(&before, DM_PATIENT));
	EXPECT_STREQ("", dm_check_taint(taint));
}

static pid_t owner;

static void end_kinds(void)
{
	if (getpid() == owner)
		dm_kinds_end();
}

/*
 * Not in the short form on an emulated machine. Other programs look at the tree after a
 * failure at these places. And with upstream all threads wait for the same lock, whatever
 * VMAs there are, killed or not. User Mode Linux shows that.
 */
static const char * const seen_elsewhere[] = {
	"rust_first", "rust_late", "rust_last", "rust_all", "upstream_others", "upstream",
};

int main(int argc, char **argv)
{
	/* What one of the processes executes. */
	if (argc == 2 && !strcmp(argv[1], "--leave"))
		return 0;
	dm_with_room_above(argv);
	dm_skip_unless_available();
	/* In this process, as it knows at the end what there was before. */
	dm_kinds_begin(2);
	owner = getpid();
	atexit(end_kinds);
	return run_but(seen_elsewhere, ARRAY_SIZE(seen_elsewhere), argc, argv);
}
