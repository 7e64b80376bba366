// SPDX-License-Identifier: GPL-2.0
/* Failures that nobody injects: the same recovery, and the record says so. */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dup_mmap.h"
#include "harness.h"

#define LARGE			(256ul << 20)

#define NR_AREAS		40
#define STEP			3	/* pages more room each time */
#define WARM_UP			4	/* failures, until all it needs is there */
#define ENOUGH			(3 * WARM_UP)
#define MAX_BARREN		3	/* rounds one after the other without a failure */

#define LOCKED			(2ul << 20)

FIXTURE(natural) {
	struct dm_saved saved;
	struct dm_overcommit overcommit;
	struct dm_cgroup cgroup;
	int max, high, current;	/* its open files memory.* */
	pid_t victim;		/* 0: none to kill */
};

FIXTURE_VARIANT(natural) {
	const char *recovery;
};

FIXTURE_VARIANT_ADD(natural, rust) { "rust" };
FIXTURE_VARIANT_ADD(natural, upstream) { "upstream" };

FIXTURE_SETUP(natural)
{
	if (access(OVERCOMMIT_MEMORY, W_OK))
		SKIP(return, "no " OVERCOMMIT_MEMORY " (CONFIG_SYSCTL)");
	dm_save_overcommit(&self->overcommit);
	dm_save(&self->saved);
	ASSERT_STREQ("", dm_use_recovery(variant->recovery));
}

FIXTURE_TEARDOWN_PARENT(natural)
{
	if (self->victim)
		kill(self->victim, SIGKILL);
	dm_cgroup_leave(&self->cgroup);
	dm_restore_overcommit(&self->overcommit);
	dm_restore(&self->saved);
}

/*
 * Strict overcommit with room for everything but a second copy of one large
 * VMA: __vm_enough_memory() refuses just that one.
 */
TEST_F(natural, overcommit)
{
	static struct dm_maps before, after;
	struct dm_expect want;
	struct dm_record rec;
	struct dm_shot shot;
	struct dm_tries tries = { 0 };
	const char *why;
	int v, err;
	char *large;
	pid_t pid;

	/* Half of it is more than all the others, and more than the reserves. */
	large = dm_map_without_room(LARGE);
	ASSERT_NE(NULL, large);
	large[0] = 1;

	ASSERT_STREQ("", dm_get_maps_and_flags(&before));
	v = dm_index_of(&before, large);
	ASSERT_GE(v, 0);
	dm_model(&before, DM_VM_ENOUGH_MEMORY, v, 0, &want);
	ASSERT_TRUE(want.fails);

	do {
		ASSERT_STREQ("", dm_watch_fork(&shot, NULL, NULL));
		ASSERT_STREQ("", dm_judge_shot(&shot, &before, variant->recovery, &rec));
		EXPECT_STREQ(dm_points[DM_VM_ENOUGH_MEMORY].name, rec.point);
		EXPECT_EQ(v, rec.index);
		EXPECT_EQ('n', rec.injected);
		why = dm_moved(&shot);
	} while (dm_try_again(&tries, *why));
	dm_restore_overcommit(&self->overcommit);
	EXPECT_STREQ("", why);

	ASSERT_STREQ("", dm_get_maps(&after));
	EXPECT_STREQ(before.text, after.text);

	pid = dm_fork(&err);
	EXPECT_GT(pid, 0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	munmap(large, LARGE);
}

static bool pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

/* Two CPUs that this process may use. */
static bool two_cpus(int cpu[2])
{
	cpu_set_t set;
	int i, n = 0;

	if (sched_getaffinity(0, sizeof(set), &set))
		return false;
	for (i = 0; i < CPU_SETSIZE && n < 2; i++)
		if (CPU_ISSET(i, &set))
			cpu[n++] = i;
	return n == 2;
}

/*
 * Single pages so far apart that each has a page table of its own, and that the tables
 * of one are freed before the next one's.
 */
static bool map_areas(void)
{
	size_t page = sysconf(_SC_PAGESIZE), pmd = page / sizeof(uint64_t) * page;
	size_t step = 2 * pmd, len = (NR_AREAS + 1) * step, i;
	char *all, *p;

	all = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		   -1, 0);
	if (all == MAP_FAILED)
		return false;
	munmap(all, len);
	for (i = 0; i < NR_AREAS; i++) {
		p = mmap(all + i * step, page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		if (p != all + i * step)
			return false;
		*p = 1;
	}
	return true;
}

/* Opening a file is charged, and more is charged in advance: once is enough. */
static int open_in_cgroup(FIXTURE_DATA(natural) * self, const char *file, int flags)
{
	return open(dm_cgroup_path(&self->cgroup, file), flags | O_CLOEXEC);
}

static bool set_limit(int fd, long bytes)
{
	char text[32] = "max";

	if (bytes >= 0)
		snprintf(text, sizeof(text), "%ld", bytes);
	return pwrite(fd, text, strlen(text), 0) == (ssize_t)strlen(text);
}

/* The kernel gives back what CPUs have charged in advance, of other CPUs by a worker. */
static bool drain_stocks(FIXTURE_DATA(natural) * self)
{
	return set_limit(self->high, 0) && set_limit(self->high, -1);
}

/* What the cgroup uses, in bytes. */
static long used(FIXTURE_DATA(natural) * self)
{
	char text[32] = "";

	dm_drain();
	if (!drain_stocks(self))
		return -1;
	/* To look whether there is a worker at work charges something itself. */
	dm_wait_until_idle();
	if (!drain_stocks(self) || pread(self->current, text, sizeof(text) - 1, 0) <= 0)
		return -1;
	return strtol(text, NULL, 10);
}

/* From now on no child has this process's stack, so it is not copied on write. */
static bool keep_stack(void)
{
	static struct dm_maps maps;
	struct dm_vma *vma;
	int v;

	if (*dm_get_maps(&maps))
		return false;
	v = dm_index_of(&maps, &v);
	if (v < 0)
		return false;
	vma = &maps.vma[v];
	return !madvise((void *)vma->start, vma->end - vma->start, MADV_DONTFORK);
}

static int leave(void *arg)
{
	return 0;
}

/*
 * A page fault that finds no memory below the limit tries again for ever. In the
 * child it may, until this process has raised the limit. This process must have
 * none before that: it writes nothing but its stack, with keep_stack().
 */
static pid_t fork_with_limit(FIXTURE_DATA(natural) * self, long limit, int *err)
{
	static char stack[16384];
	pid_t pid;

	if (!set_limit(self->max, limit))
		return 0;
	pid = clone(leave, stack + sizeof(stack), SIGCHLD, NULL);
	*err = pid < 0 ? errno : 0;
	return set_limit(self->max, -1) ? pid : 0;
}

struct drained_fork {
	FIXTURE_DATA(natural) * self;
	long limit;
};

/* When the page tables of the one before are given back. */
static pid_t fork_when_drained(void *arg, int *err)
{
	struct drained_fork *fork = arg;

	dm_rcu_barrier();
	return fork_with_limit(fork->self, fork->limit, err);
}

enum outcome { TOO_EARLY, FAILED, WORKED };

/* Too early is before dup_mmap(). "" or what is wrong. */
static const char *fork_with_room(FIXTURE_DATA(natural) * self, const char *recovery,
				  const struct dm_maps *before, long limit,
				  enum outcome *outcome)
{
	static struct dm_maps after;
	struct drained_fork fork = { self, limit };
	struct dm_tries tries = { 0 };
	struct dm_record rec;
	struct dm_shot shot;
	const char *why;

	do {
		why = dm_watch_fork(&shot, fork_when_drained, &fork);
		if (*why)
			return why;
		*outcome = WORKED;
		if (!shot.err)
			return "";
		*outcome = TOO_EARLY;
		if (shot.err != ENOMEM)
			return "fork() did not say ENOMEM";
		if (shot.after.failed == shot.before.failed)
			return "";
		*outcome = FAILED;
		why = dm_judge_shot(&shot, before, recovery, &rec);
		if (*why)
			return why;
		if (rec.injected != 'n')
			return "the record says that it was injected";
		why = dm_moved(&shot);
	} while (dm_try_again(&tries, *why));
	if (*why)
		return why;
	why = dm_get_maps(&after);
	if (*why)
		return why;
	return strcmp(before->text, after.text) ? "/proc/self/maps changed" : "";
}

/*
 * Room for a bit more of a child each time, without anything that the OOM
 * killer could kill: allocations that are charged to the cgroup fail. All over again
 * until enough forks have failed in dup_mmap(), as long as any does now and then.
 */
TEST_F_TIMEOUT(natural, memcg_limit, 300)
{
	static struct dm_maps before;
	long page = sysconf(_SC_PAGESIZE), base, now, moved = LONG_MAX, slack = 0;
	int err, nr, last, room, round, barren, try;
	static char cmdline[4096];
	enum outcome outcome;
	const char *why;
	double end;
	pid_t pid;

	if (dm_read_number("/proc/sys/vm/panic_on_oom") == 2)
		SKIP(return, "vm.panic_on_oom is 2");
	dm_read_path("/proc/cmdline", cmdline, sizeof(cmdline));
	if (strstr(cmdline, "nokmem"))
		SKIP(return, "the kernel's own memory is not charged (nokmem)");
	why = dm_cgroup_enter(&self->cgroup);
	if (!why)
		why = dm_undrainable();
	if (why)
		SKIP(return, "%s", why);
	/* There may be no such file, and no swap. */
	dm_write_path(dm_cgroup_path(&self->cgroup, "memory.swap.max"), "0");
	ASSERT_EQ(0, dm_write_path("/proc/self/oom_score_adj", "-1000"));
	/* Each CPU charges in advance. */
	ASSERT_TRUE(pin(sched_getcpu()));
	ASSERT_TRUE(map_areas());
	ASSERT_TRUE(keep_stack());
	self->max = open_in_cgroup(self, "memory.max", O_WRONLY);
	self->high = open_in_cgroup(self, "memory.high", O_WRONLY);
	self->current = open_in_cgroup(self, "memory.current", O_RDONLY);
	/*
	 * A page that another CPU's LRU batch still refers to is copied on write
	 * though no child has it: let that happen now.
	 */
	pid = fork_with_limit(self, -1, &err);
	ASSERT_GT(pid, 0);
	waitpid(pid, NULL, 0);
	ASSERT_STREQ("", dm_get_maps_and_flags(&before));
	/* The first time charges a buffer, and more in advance, after the drain. */
	ASSERT_GT(used(self), 0);
	base = used(self);
	ASSERT_GT(base, 0);

	/* What something else has moved is not moved again. */
	for (try = 0; try < 3 && labs(moved) > slack; try++) {
		nr = 0;
		barren = 0;
		for (round = 0; nr < ENOUGH && barren < MAX_BARREN; round++) {
			last = nr;
			outcome = TOO_EARLY;
			room = 8 + round % STEP;
			/* At one moment it may be more than the next time: each round asks. */
			now = used(self);
			ASSERT_GT(now, 0);
			for (; outcome != WORKED && room < 1024; room += STEP) {
				ASSERT_STREQ("", fork_with_room(self, variant->recovery, &before,
								now + room * page, &outcome));
				if (outcome == FAILED && ++nr == WARM_UP)
					base = used(self);
			}
			ASSERT_EQ(WORKED, outcome);
			barren = nr > last ? 0 : barren + 1;
		}
		ASSERT_GE(nr, ENOUGH);

		/*
		 * Some parts of pages are charged in advance. If each failure loses a
		 * page, or gives one back twice, that is four times as much.
		 */
		slack = (nr - WARM_UP) * page / 4;
		end = dm_seconds() + DM_PATIENT;
		do {
			moved = used(self) - base;
		} while (moved > slack && dm_seconds() < end);
	}
	EXPECT_LE(labs(moved), slack);

	pid = fork_with_limit(self, -1, &err);
	EXPECT_GT(pid, 0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

/* What the test and the process that it kills tell each other. */
struct shared {
	int cpu[2];
	char *area;
	unsigned int rounds;	/* of page faults in it */
	bool ready;
	int asked, done;	/* forks */
	char why[256];
	struct dm_maps maps;	/* of the victim */
};

/* Faults and MADV_DONTNEED hold the lock of the VMA for reading, most of the time. */
static void *fault(void *arg)
{
	size_t page = sysconf(_SC_PAGESIZE), i;
	struct shared *s = arg;

	if (!pin(s->cpu[0]))
		return NULL;
	for (;;) {
		for (i = 0; i < LOCKED; i += page)
			__atomic_store_n(s->area + i, 1, __ATOMIC_RELAXED);
		madvise(s->area, LOCKED, MADV_DONTNEED);
		__atomic_add_fetch(&s->rounds, 1, __ATOMIC_SEQ_CST);
	}
}

static void victim(struct shared *s)
{
	pthread_t thread;
	int err, done = 0;
	pid_t pid;

	if (!pin(s->cpu[1]) || pthread_create(&thread, NULL, fault, s))
		_exit(1);
	while (!__atomic_load_n(&s->rounds, __ATOMIC_SEQ_CST))
		sched_yield();
	snprintf(s->why, sizeof(s->why), "%s", dm_get_maps_and_flags(&s->maps));
	__atomic_store_n(&s->ready, true, __ATOMIC_SEQ_CST);
	for (;;) {
		while (__atomic_load_n(&s->asked, __ATOMIC_SEQ_CST) == done)
			sched_yield();
		pid = dm_fork(&err);
		if (pid < 0)
			_exit(2);
		waitpid(pid, NULL, 0);
		__atomic_store_n(&s->done, ++done, __ATOMIC_SEQ_CST);
	}
}

static bool be_fifo(bool fifo)
{
	const struct sched_param param = { .sched_priority = fifo };

	return !sched_setscheduler(0, fifo ? SCHED_FIFO : SCHED_OTHER, &param);
}

/*
 * Of the two threads of a process one is in page faults nearly all the time. On
 * the same CPU, this test stops it wherever it is by being of a real-time class,
 * and only then has the other thread fork. If that is asleep, then for a lock
 * which the stopped thread has and can't give back, most likely that of the
 * VMA, and it gets SIGKILL there. With another process until it was that one; the
 * time for this test is the limit.
 */
TEST_F_TIMEOUT(natural, sigkill_while_a_vma_is_locked, 300)
{
	struct dm_counters counters;
	struct dm_stats a, b;
	struct dm_record rec;
	const char *why;
	struct shared *s;
	int n, status;
	bool hit = false;
	unsigned int rounds;
	char *map, state;
	pid_t pid;

	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		 -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)s);
	if (!two_cpus(s->cpu))
		SKIP(return, "needs two CPUs");
	ASSERT_TRUE(pin(s->cpu[0]));
	if (!be_fifo(true) || !be_fifo(false))
		SKIP(return, "SCHED_FIFO: %s", strerror(errno));
	why = dm_cgroup_enter(&self->cgroup);
	if (why)
		SKIP(return, "%s", why);
	/* Of one huge page, if that is of this size, else of small ones. */
	map = mmap(NULL, 2 * LOCKED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		   -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	s->area = (char *)(((uintptr_t)map + LOCKED - 1) & ~(LOCKED - 1));
	munmap(map, s->area - map);
	munmap(s->area + LOCKED, map + LOCKED - s->area);
	madvise(s->area, LOCKED, MADV_HUGEPAGE);
	dm_get_counters(&counters);

	while (!hit) {
		s->rounds = 0;
		s->ready = false;
		s->asked = 0;
		s->done = 0;
		n = 0;
		ASSERT_STREQ("", dm_get_stats(&a));
		pid = fork();
		if (!pid)
			victim(s);
		ASSERT_GT(pid, 0);
		self->victim = pid;
		while (!__atomic_load_n(&s->ready, __ATOMIC_SEQ_CST)) {
			ASSERT_EQ(0, waitpid(pid, NULL, WNOHANG));
			sched_yield();
		}
		ASSERT_STREQ("", s->why);

		do {
			rounds = __atomic_load_n(&s->rounds, __ATOMIC_SEQ_CST);
			while (__atomic_load_n(&s->rounds, __ATOMIC_SEQ_CST) == rounds)
				sched_yield();
			ASSERT_TRUE(be_fifo(true));
			__atomic_store_n(&s->asked, ++n, __ATOMIC_SEQ_CST);
			do {
				state = dm_state_of(pid);
			} while (state != 'D' && state != 'Z' &&
				 __atomic_load_n(&s->done, __ATOMIC_SEQ_CST) != n);
			if (state == 'D')
				kill(pid, SIGKILL);
			ASSERT_TRUE(be_fifo(false));
		} while (state != 'D' && state != 'Z');
		kill(pid, SIGKILL);
		EXPECT_EQ(pid, waitpid(pid, &status, 0));
		self->victim = 0;
		ASSERT_EQ(SIGKILL, status);

		ASSERT_STREQ("", dm_get_stats(&b));
		EXPECT_EQ(a.injected, b.injected);
		if (b.failed == a.failed)
			continue;
		ASSERT_EQ(a.failed + 1, b.failed);
		ASSERT_STREQ("", dm_get_record(&rec));
		EXPECT_EQ(pid, rec.pid);
		EXPECT_EQ('n', rec.injected);
		ASSERT_STREQ("", dm_judge(&s->maps, variant->recovery, &rec));
		hit = dm_point_of(rec.point) == DM_VMA_START_WRITE &&
			rec.index == dm_index_of(&s->maps, s->area);
	}
	EXPECT_STREQ("", dm_check_counters(&counters, DM_PATIENT));
}

/*
 * Not in the short form on an emulated machine: upstream's recovery does not know why a
 * fork has failed. Its SIGKILL is then in the long form alone, as um has one CPU.
 */
static const char * const seen_elsewhere[] = { "upstream" };

int main(int argc, char **argv)
{
	dm_without_rseq(argv);
	dm_skip_unless_available();
	return run_but(seen_elsewhere, ARRAY_SIZE(seen_elsewhere), argc, argv);
}
