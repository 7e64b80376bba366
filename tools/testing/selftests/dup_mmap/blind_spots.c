// SPDX-License-Identifier: GPL-2.0
/*
 * What is easily wrong without a test noticing: counters to the exact number, the
 * forks and tasks that nothing was asked of, what comes after something else, and
 * names and values at the edge. Each of these was wrong on purpose once, and every
 * other test passed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dup_mmap.h"
#include "harness.h"

#define LARGE			(256ul << 20)
#define NEVER			"2147483647"	/* more allocations than there are */

static char text[131072];

FIXTURE(spot) {
	struct dm_saved saved;
	struct dm_alloc alloc;
	struct dm_overcommit overcommit;
};

static const char * const probability[] = {
	"/sys/kernel/debug/failslab/probability",
	"/sys/kernel/debug/fail_page_alloc/probability",
};

FIXTURE_SETUP(spot)
{
	dm_save(&self->saved);
	dm_save_overcommit(&self->overcommit);
}

FIXTURE_TEARDOWN_PARENT(spot)
{
	int i;

	dm_restore_overcommit(&self->overcommit);
	/* Before the filters, which have kept all but one function out. */
	for (i = 0; i < 2; i++)
		dm_write_path(probability[i], "0");
	dm_alloc_end(&self->alloc);
	/* If a test has left it unloaded. */
	if (!dm_loaded())
		dm_load();
	dm_restore(&self->saved);
}

/* Of the text from a line on that begins with "#". */
static int count_lines(const char *p)
{
	int n = 0;

	for (p = strchr(p, '\n'); p && p[1]; p = strchr(p + 1, '\n'))
		n++;
	return n;
}

/* Cuts off the newline at its end. */
static const char *last_line(char *p)
{
	char *end = p + strlen(p), *line;

	if (end > p)
		end[-1] = '\0';
	line = strrchr(p, '\n');
	return line ? line + 1 : p;
}

/* Each in its own way: what fork() asks for, how much of it, and what fails. */
TEST_F(spot, allocations_are_counted)
{
	static const struct {
		const char *nth, *recovery_nth;
		int err;
		unsigned int failed, missed, injected;
	} c[] = {
		{ "1", "0", ENOMEM, 1, 0, 1 },
		{ NEVER, "0", 0, 0, 1, 0 },
		{ "1", NEVER, ENOMEM, 1, 1, 1 },
		{ "0", NEVER, ENOMEM, 0, 1, 1 },
		{ "0", "0", ENOMEM, 0, 0, 1 },
	};
	struct dm_stats a, b;
	const char *why;
	size_t i;

	why = dm_alloc_begin(&self->alloc, "");
	if (why)
		SKIP(return, "%s", why);
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		ASSERT_STREQ("", dm_arm(DM_VM_AREA_DUP, 1, 0));
		ASSERT_EQ(0, dm_write(DM_FAIL "alloc-nth", c[i].nth));
		ASSERT_EQ(0, dm_write(DM_FAIL "recovery-alloc-nth", c[i].recovery_nth));
		ASSERT_STREQ("", dm_get_stats(&a));
		EXPECT_EQ(c[i].err, dm_try_fork()) TH_LOG("case %zu", i);
		ASSERT_STREQ("", dm_get_stats(&b));
		EXPECT_EQ(c[i].failed, b.allocs_failed - a.allocs_failed)
			TH_LOG("case %zu", i);
		EXPECT_EQ(c[i].missed, b.allocs_missed - a.allocs_missed)
			TH_LOG("case %zu", i);
		EXPECT_EQ(c[i].injected, b.injected - a.injected) TH_LOG("case %zu", i);
	}
}

/* A task that has no fail-nth has none after its fork, and one that has, has it. */
TEST_F(spot, fail_nth_is_put_back)
{
	const char *why = dm_alloc_begin(&self->alloc, NULL);

	if (why)
		SKIP(return, "%s", why);
	ASSERT_STREQ("", dm_arm(DM_VM_AREA_DUP, 1, 0));
	ASSERT_EQ(0, dm_write(DM_FAIL "recovery-alloc-nth", NEVER));
	EXPECT_EQ(ENOMEM, dm_try_fork());
	EXPECT_EQ(0, dm_get_nth());

	ASSERT_STREQ("", dm_arm(DM_VM_AREA_DUP, 1, 0));
	ASSERT_EQ(0, dm_write(DM_FAIL "alloc-nth", NEVER));
	EXPECT_EQ(0, dm_try_fork());
	EXPECT_EQ(0, dm_get_nth());

	/* A dry run asks nobody, so nothing is taken off. */
	ASSERT_EQ(0, dm_write(DM_FAIL "dry-run", "1"));
	ASSERT_EQ(0, dm_set_nth(1000));
	EXPECT_EQ(0, dm_try_fork());
	EXPECT_EQ(1000, dm_get_nth());
	EXPECT_EQ(0, dm_set_nth(0));
}

static char *overcommit_large(struct __test_metadata *_metadata)
{
	char *large = dm_map_without_room(LARGE);

	ASSERT_NE(NULL, large);
	return large;
}

/* What was asked for says nothing about it, and does nothing to its recovery. */
TEST_F(spot, a_failure_that_came_by_itself)
{
	struct dm_stats a, b;
	struct dm_record rec;
	const char *why;

	why = dm_alloc_begin(&self->alloc, "");
	if (why)
		SKIP(return, "%s", why);
	overcommit_large(_metadata);
	ASSERT_STREQ("", dm_arm(DM_ARCH_DUP_MMAP, -1, -EINTR));
	ASSERT_EQ(0, dm_write(DM_FAIL "alloc-nth", "7"));
	ASSERT_EQ(0, dm_write(DM_FAIL "recovery-alloc-nth", "1"));
	ASSERT_STREQ("", dm_get_stats(&a));
	EXPECT_EQ(ENOMEM, dm_try_fork());
	ASSERT_STREQ("", dm_get_stats(&b));
	ASSERT_STREQ("", dm_get_record(&rec));
	ASSERT_STREQ("vm-enough-memory", rec.point);
	EXPECT_EQ('n', rec.injected);
	EXPECT_EQ(-ENOMEM, rec.err);
	EXPECT_EQ(0, rec.alloc_nth);
	EXPECT_EQ(0, rec.recovery_alloc_nth);
	EXPECT_EQ('n', rec.recovery_alloc_failed);
	EXPECT_EQ(a.injected, b.injected);
	EXPECT_EQ(a.allocs_failed, b.allocs_failed);
	EXPECT_EQ(a.allocs_missed, b.allocs_missed);
	EXPECT_EQ(1, dm_read_number(DM_DIR "/" DM_FAIL "times"));
}

/*
 * An allocation that the fork can do without is one of its own step: when the fork
 * fails at another step, by itself, that is not injected. Which allocations these
 * are depends on the kernel and on what its caches have, so tries many.
 */
TEST_F_TIMEOUT(spot, a_failure_after_one_that_was_survived, 180)
{
	static const enum dm_point points[] = {
		DM_VM_AREA_DUP, DM_ANON_VMA_FORK, DM_COPY_PAGE_RANGE
	};
	int i, nth, seen = 0;
	struct dm_stats a, b;
	struct dm_record rec;
	const char *why;
	char nr[16];

	why = dm_alloc_begin(&self->alloc, "");
	if (why)
		SKIP(return, "%s", why);
	overcommit_large(_metadata);
	for (i = 0; i < 120 && !seen; i++) {
		nth = 1 + i / 3 % 10;
		ASSERT_STREQ("", dm_arm(points[i % 3], 1, 0));
		snprintf(nr, sizeof(nr), "%d", nth);
		ASSERT_EQ(0, dm_write(DM_FAIL "alloc-nth", nr));
		ASSERT_STREQ("", dm_get_stats(&a));
		ASSERT_EQ(ENOMEM, dm_try_fork());
		ASSERT_STREQ("", dm_get_stats(&b));
		ASSERT_STREQ("", dm_get_record(&rec));
		if (b.allocs_failed == a.allocs_failed ||
		    strcmp(rec.point, "vm-enough-memory"))
			continue;
		seen++;
		TH_LOG("%s, allocation %d", dm_points[points[i % 3]].name, nth);
		EXPECT_EQ(a.injected + 1, b.injected);
		EXPECT_EQ('n', rec.injected);
		EXPECT_EQ(0, rec.alloc_nth);
	}
	if (!seen)
		SKIP(return, "no allocation that this kernel can do without");
}

/* What one fork adds to the hits of a step that is not selected. */
static unsigned long hits_of_a_fork(const struct dm_maps *maps, int point)
{
	unsigned long hits = !dm_points[point].has_vma;
	int v;

	for (v = 0; v < maps->nr; v++)
		hits += dm_reached(point, &maps->vma[v]);
	return hits;
}

/* Armed or not, and whatever the rule covers. */
TEST_F(spot, hits_of_steps_that_are_not_selected)
{
	static struct dm_maps maps;
	struct dm_counts a, b;
	struct dm_stats before, after;
	struct dm_tries tries = { 0 };
	bool disturbed;
	int p;

	ASSERT_STREQ("", dm_get_maps_and_flags(&maps));
	ASSERT_STREQ("", dm_arm(DM_CLEAR_DONTCOPY, maps.nr, 0));
	/* Others may fork at the same time, or have begun to before. */
	do {
		ASSERT_STREQ("", dm_get_stats(&before));
		ASSERT_STREQ("", dm_get_counts(&a));
		ASSERT_EQ(0, dm_try_fork());
		ASSERT_STREQ("", dm_get_counts(&b));
		ASSERT_STREQ("", dm_get_stats(&after));
		disturbed = after.forks - before.forks != 1;
		for (p = 0; p < DM_NR_POINTS; p++)
			disturbed |= b.hits[p] - a.hits[p] != hits_of_a_fork(&maps, p);
	} while (dm_try_again(&tries, disturbed));
	ASSERT_EQ(1, after.forks - before.forks);
	for (p = 0; p < DM_NR_POINTS; p++)
		EXPECT_EQ(hits_of_a_fork(&maps, p), b.hits[p] - a.hits[p])
			TH_LOG("%s", dm_points[p].name);
}

/* The framework says that a failure was forced, and this module which step it was. */
TEST_F(spot, verbose_names_the_step)
{
	static const char line[] =
		"FAULT_INJECTION: vm-area-dup, vma-index 1, alloc-nth 0\n";
	bool said;
	ssize_t n;
	int fd, on;

	fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		SKIP(return, "/dev/kmsg: %s", strerror(errno));
	for (on = 0; on < 2; on++) {
		lseek(fd, 0, SEEK_END);
		ASSERT_STREQ("", dm_arm(DM_VM_AREA_DUP, 1, 0));
		ASSERT_EQ(0, dm_write(DM_FAIL "verbose", on ? "1" : "0"));
		EXPECT_EQ(ENOMEM, dm_try_fork());
		dm_disarm();
		said = false;
		while ((n = read(fd, text, sizeof(text) - 1)) > 0) {
			text[n] = '\0';
			said |= !!strstr(text, line);
		}
		EXPECT_EQ(on, said);
	}
	close(fd);
}

TEST_F(spot, reset_clears_all_there_is_to_read)
{
	struct dm_stats stats;

	ASSERT_STREQ("", dm_arm(DM_VM_AREA_DUP, 1, 0));
	ASSERT_EQ(0, dm_write(DM_FAIL "recovery-alloc-nth", NEVER));
	ASSERT_EQ(ENOMEM, dm_try_fork());
	ASSERT_EQ(0, dm_write(DM_FAIL "dry-run", "1"));
	ASSERT_EQ(0, dm_try_fork());
	ASSERT_GT(dm_read("steps", text, sizeof(text)), 0);
	EXPECT_GT(count_lines(text), 20);
	ASSERT_GT(dm_read("log", text, sizeof(text)), 0);
	EXPECT_EQ(1, count_lines(text));

	dm_reset();
	ASSERT_GT(dm_read("steps", text, sizeof(text)), 0);
	EXPECT_EQ(0, count_lines(text)) TH_LOG("%s", text);
	ASSERT_GT(dm_read("log", text, sizeof(text)), 0);
	EXPECT_STREQ("# dropped 0\n", text);
	ASSERT_GT(dm_read("last", text, sizeof(text)), 0);
	EXPECT_STREQ("none\n", text);
	ASSERT_STREQ("", dm_get_stats(&stats));
	EXPECT_EQ(0, stats.failed);
	EXPECT_EQ(0, stats.injected);
	EXPECT_EQ(0, stats.allocs_failed);
	EXPECT_EQ(0, stats.allocs_missed);
}

/* Changes each file in a way that it takes, whatever it is for. */
static void change(struct __test_metadata *_metadata, const char *file,
		   const char *was)
{
	static const char * const values[] = { "3", "Y", "mt-dup", "-4" };
	char now[128];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(values); i++) {
		if (dm_write(file, values[i]))
			continue;
		ASSERT_GT(dm_read(file, now, sizeof(now)), 0);
		if (strcmp(was, now))
			return;
	}
	ASSERT_EQ(0, 1) TH_LOG("%s keeps its %s", file, was);
}

TEST_F(spot, reset_puts_every_file_back)
{
	static char name[40][300], was[40][128];
	char now[128];
	struct dirent *e;
	int i, nr = 0;
	DIR *d;

	d = opendir(DM_DIR "/" DM_FAIL);
	ASSERT_NE(NULL, d);
	while ((e = readdir(d)) && nr < 40) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(name[nr], sizeof(name[nr]), DM_FAIL "%s", e->d_name);
		ASSERT_GT(dm_read(name[nr], was[nr], sizeof(was[nr])), 0);
		nr++;
	}
	closedir(d);
	ASSERT_GT(nr, 15);
	ASSERT_LT(nr, 40);
	for (i = 0; i < nr; i++)
		change(_metadata, name[i], was[i]);
	dm_reset();
	for (i = 0; i < nr; i++) {
		ASSERT_GT(dm_read(name[i], now, sizeof(now)), 0);
		EXPECT_STREQ(was[i], now) TH_LOG("%s", name[i]);
	}
}

/* Fails at once, each time with another error. */
static void fail_with(struct __test_metadata *_metadata, int from, int to)
{
	char error[16];
	int i, err;

	ASSERT_STREQ("", dm_arm(DM_MT_DUP, -1, 0));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "-1"));
	for (i = from; i <= to; i++) {
		snprintf(error, sizeof(error), "%d", -i);
		ASSERT_EQ(0, dm_write(DM_FAIL "errno", error));
		ASSERT_EQ(-1, dm_fork(&err));
	}
	dm_disarm();
}

static void log_is(struct __test_metadata *_metadata, int dropped, int from, int to)
{
	char want[32], *line, *next;
	int i;

	ASSERT_GT(dm_read("log", text, sizeof(text)), 0);
	EXPECT_EQ(1 + to - from, count_lines(text));
	snprintf(want, sizeof(want), "# dropped %d\n", dropped);
	EXPECT_TRUE(strstr(text, want) == text) TH_LOG("%.20s", text);
	line = strchr(text, '\n') + 1;
	for (i = from; i <= to && *line; i++, line = next) {
		next = strchr(line, '\n');
		ASSERT_NE(NULL, next);
		*next++ = '\0';
		snprintf(want, sizeof(want), " errno=%d ", -i);
		ASSERT_NE(NULL, strstr(line, want)) TH_LOG("no%sin %s", want, line);
	}
}

/* All of its places were overwritten twice, and again after it was cleared. */
TEST_F(spot, the_log_goes_round)
{
	struct dm_record rec;

	fail_with(_metadata, 1, 600);
	log_is(_metadata, 600 - 256, 600 - 255, 600);
	dm_reset();
	fail_with(_metadata, 1001, 1003);
	log_is(_metadata, 0, 1001, 1003);
	ASSERT_STREQ("", dm_get_record(&rec));
	EXPECT_EQ(-1003, rec.err);
	fail_with(_metadata, 1004, 1260);
	log_is(_metadata, 4, 1005, 1260);
}

static int nr_steps(struct __test_metadata *_metadata, int *dropped)
{
	static const char head[] = "# point vma-index vma allocations (dropped ";
	char *end;

	ASSERT_EQ(0, dm_write(DM_FAIL "dry-run", "1"));
	ASSERT_EQ(0, dm_try_fork());
	ASSERT_GT(dm_read("steps", text, sizeof(text)), 0);
	ASSERT_EQ(0, strncmp(text, head, strlen(head)));
	*dropped = strtol(text + strlen(head), &end, 10);
	ASSERT_EQ(0, strncmp(end, ")\n", 2));
	return count_lines(text);
}

TEST_F(spot, a_dry_run_lists_its_own_steps)
{
	int nr, dropped;

	ASSERT_EQ(0, dm_write(DM_FAIL "task-filter", "Y"));
	ASSERT_EQ(0, dm_write_path("/proc/self/make-it-fail", "1"));
	nr = nr_steps(_metadata, &dropped);
	EXPECT_EQ(nr, nr_steps(_metadata, &dropped));
}

/* Every allocation fails that is for the list, and no other one. */
TEST_F(spot, steps_that_are_dropped_are_counted)
{
	int nr, left, dropped;
	const char *why;
	size_t i;

	ASSERT_EQ(0, dm_write(DM_FAIL "task-filter", "Y"));
	ASSERT_EQ(0, dm_write_path("/proc/self/make-it-fail", "1"));
	nr = nr_steps(_metadata, &dropped);
	ASSERT_EQ(0, dropped);
	ASSERT_GT(nr, 20);

	why = dm_alloc_begin(&self->alloc, "kvrealloc_node_align_noprof");
	if (why)
		SKIP(return, "%s", why);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, dm_write_path(probability[i], "100"));
	left = nr_steps(_metadata, &dropped);
	EXPECT_EQ(0, left);
	EXPECT_EQ(nr, dropped);
}

/*
 * A dry run injects nothing, but its fork may fail all the same. The list then has all
 * steps up to the one that failed, and the failure is recorded as one that came by
 * itself. Nothing is allocated for the list while the child is taken apart, when the
 * task has its own fail-nth back.
 */
TEST_F(spot, a_failure_is_no_dry_run)
{
	static const char * const recoveries[] = { "rust", "upstream" };
	static struct dm_maps maps;
	struct dm_expect want;
	struct dm_record rec;
	struct dm_shot shot;
	const char *why, *last;
	int i, p, steps;
	char *large;

	why = dm_alloc_begin(&self->alloc, NULL);
	if (why)
		SKIP(return, "%s", why);
	large = overcommit_large(_metadata);
	ASSERT_STREQ("", dm_get_maps_and_flags(&maps));
	dm_model(&maps, DM_VM_ENOUGH_MEMORY, dm_index_of(&maps, large), 0, &want);
	ASSERT_TRUE(want.fails);
	for (p = 0, steps = 0; p < DM_NR_POINTS; p++)
		steps += want.hits[p];
	for (i = 0; i < 2; i++) {
		ASSERT_STREQ("", dm_use_recovery(recoveries[i]));
		/* Nor does it ask whether anything that is armed is to fail. */
		ASSERT_STREQ("", dm_arm(DM_VM_AREA_DUP, 1, 0));
		ASSERT_EQ(0, dm_write(DM_FAIL "dry-run", "1"));
		ASSERT_EQ(0, dm_set_nth(100000));
		ASSERT_STREQ("", dm_watch_fork(&shot, NULL, NULL));
		EXPECT_EQ(100000, dm_get_nth());
		ASSERT_EQ(0, dm_set_nth(0));
		ASSERT_STREQ("", dm_judge_shot(&shot, &maps, recoveries[i], &rec));
		EXPECT_STREQ("vm-enough-memory", rec.point);
		EXPECT_EQ(dm_index_of(&maps, large), rec.index);
		EXPECT_EQ('n', rec.injected);
		EXPECT_EQ(1, dm_read_number(DM_DIR "/" DM_FAIL "times"));

		ASSERT_GT(dm_read("steps", text, sizeof(text)), 0);
		EXPECT_NE(NULL, strstr(text, "(dropped 0)\n"));
		EXPECT_EQ(steps, count_lines(text));
		last = last_line(text);
		EXPECT_EQ(0, strncmp(last, "vm-enough-memory ", 17)) TH_LOG("%s", last);
		dm_disarm();
	}
}

/* Which step it was in the list, and how many allocations were made in it. */
static const char *last_step(struct __test_metadata *_metadata)
{
	int dropped;

	nr_steps(_metadata, &dropped);
	ASSERT_EQ(0, dropped);
	return last_line(text);
}

/* What a fork allocates when its last step is over is not that step's. */
TEST_F(spot, allocations_behind_a_step)
{
	size_t page = sysconf(_SC_PAGESIZE);
	char before[128];
	const char *why;
	void *p;

	p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	why = dm_alloc_begin(&self->alloc, "");
	if (why)
		SKIP(return, "%s", why);
	snprintf(before, sizeof(before), "%s", last_step(_metadata));
	EXPECT_EQ(0, strncmp(before, "arch-dup-mmap -1 - ", 19)) TH_LOG("%s", before);
	/* Now the child is to be one that KSM looks at. */
	if (madvise(p, page, MADV_MERGEABLE))
		SKIP(return, "MADV_MERGEABLE: %s (CONFIG_KSM)", strerror(errno));
	EXPECT_STREQ(before, last_step(_metadata));
}

/* A fork that nobody wants to see fails by itself: the dry run is for another one. */
TEST_F(spot, a_dry_run_is_for_no_failure_of_another)
{
	struct dm_record rec;

	overcommit_large(_metadata);
	ASSERT_EQ(0, dm_write_path("/proc/self/make-it-fail", "0"));
	ASSERT_EQ(0, dm_write(DM_FAIL "task-filter", "Y"));
	ASSERT_EQ(0, dm_write(DM_FAIL "dry-run", "1"));
	EXPECT_EQ(ENOMEM, dm_try_fork());
	ASSERT_STREQ("", dm_get_record(&rec));
	EXPECT_STREQ("vm-enough-memory", rec.point);
	ASSERT_GT(dm_read("steps", text, sizeof(text)), 0);
	EXPECT_EQ(0, count_lines(text));
	ASSERT_GT(dm_read(DM_FAIL "dry-run", text, sizeof(text)), 0);
	EXPECT_STREQ("Y\n", text);
}

static const char *fail_at_large(void *arg, struct dm_place *place)
{
	place->fail = dm_map_without_room(LARGE);
	return place->fail ? "" : "there is no large VMA";
}

/*
 * The list is that of the dry run that was the last to end, and has nothing of one
 * that is still under way.
 */
TEST_F(spot, steps_are_those_of_one_fork)
{
	struct dm_how how = {
		.point = DM_VM_ENOUGH_MEMORY,
		.prepare = fail_at_large,
		.unjudged = true,
		.dry_run = true,
	};
	static char before[sizeof(text)];
	struct dm_hold hold;
	int dropped, status, go[2];
	const char *last;
	pid_t other;
	char c;

	ASSERT_EQ(0, dm_write(DM_FAIL "task-filter", "Y"));
	ASSERT_EQ(0, dm_write_path("/proc/self/make-it-fail", "1"));
	/* Who makes another one meanwhile, and has not got the file that is held. */
	ASSERT_EQ(0, pipe(go));
	other = fork();
	if (!other)
		_exit(read(go[0], &c, 1) != 1 || dm_write(DM_FAIL "dry-run", "1") ||
		      dm_try_fork());
	ASSERT_GT(other, 0);
	EXPECT_GT(nr_steps(_metadata, &dropped), 20);
	snprintf(before, sizeof(before), "%s", text);
	ASSERT_EQ(NULL, dm_hold_begin(&hold));
	EXPECT_STREQ("", dm_hold_fork(&hold, &how));
	ASSERT_GT(dm_read("steps", text, sizeof(text)), 0);
	EXPECT_STREQ(before, text);

	ASSERT_EQ(1, write(go[1], "", 1));
	ASSERT_EQ(other, waitpid(other, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_TRUE(dm_is_held(&hold));
	ASSERT_GT(dm_read("steps", text, sizeof(text)), 0);
	EXPECT_NE(NULL, strstr(text, "\narch-dup-mmap -1 - "));
	ASSERT_STREQ("", dm_end_hold(&hold, false, NULL));
	ASSERT_GT(dm_read("steps", text, sizeof(text)), 0);
	EXPECT_NE(NULL, strstr(text, "\nmmap-write-lock -1 - "));
	EXPECT_EQ(NULL, strstr(text, "\narch-dup-mmap -1 - "));
	last = last_line(text);
	EXPECT_EQ(0, strncmp(last, "vm-enough-memory ", 17)) TH_LOG("%s", last);
}

/* What the process that a userfaultfd watches says about itself. */
struct watched {
	int uffd;
	bool go, forked;
	int err;
};

static char watched_stack[65536];

/* Has the files of the test, which so can see its userfaultfd. */
static int be_watched(void *arg)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_EVENT_FORK,
	};
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	size_t page = sysconf(_SC_PAGESIZE);
	struct watched *w = arg;
	int uffd, err, status;
	pid_t pid;
	void *p;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	reg.range.start = (unsigned long)p;
	reg.range.len = page;
	if (p == MAP_FAILED || uffd < 0 || ioctl(uffd, UFFDIO_API, &api) ||
	    ioctl(uffd, UFFDIO_REGISTER, &reg))
		return 2;
	__atomic_store_n(&w->uffd, uffd, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&w->go, __ATOMIC_SEQ_CST))
		sched_yield();
	pid = dm_fork(&err);
	w->err = err;
	__atomic_store_n(&w->forked, true, __ATOMIC_SEQ_CST);
	return pid > 0 && (waitpid(pid, &status, 0) != pid || status);
}

static bool has_uffd(void *arg)
{
	struct watched *w = arg;

	return __atomic_load_n(&w->uffd, __ATOMIC_SEQ_CST) >= 0;
}

static bool has_forked(void *arg)
{
	struct watched *w = arg;

	return __atomic_load_n(&w->forked, __ATOMIC_SEQ_CST);
}

static struct watched *start_watched(struct __test_metadata *_metadata, pid_t *pid)
{
	struct watched *w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, (void *)w);
	w->uffd = -1;
	*pid = clone(be_watched, watched_stack + sizeof(watched_stack),
		     CLONE_FILES | SIGCHLD, w);
	ASSERT_GT(*pid, 0);
	ASSERT_TRUE(dm_wait_until(has_uffd, w)) TH_LOG("no userfaultfd");
	return w;
}

static bool is_told(void *arg)
{
	struct pollfd event = { .fd = *(int *)arg, .events = POLLIN };

	return poll(&event, 1, 0) == 1 && event.revents == POLLIN;
}

struct counted {
	unsigned long forks;
	struct dm_stats now;
};

static bool is_counted(void *arg)
{
	struct counted *c = arg;

	return !*dm_get_stats(&c->now) && c->now.forks > c->forks;
}

/*
 * A fork that works waits until its event has been read, which may be never. The
 * module has nothing to do with that: by then it has heard of the end.
 */
TEST_F(spot, over_before_userfaultfd_is_told)
{
	struct counted counted;
	struct uffd_msg msg;
	struct watched *w;
	pid_t pid, unloader;
	int status;

	ASSERT_STREQ("", dm_arm(DM_VM_AREA_DUP, 100000, 0));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "-1"));
	/* Who is made by a task that asks for it, asks for it. */
	w = start_watched(_metadata, &pid);
	ASSERT_STREQ("", dm_get_stats(&counted.now));
	counted.forks = counted.now.forks;
	__atomic_store_n(&w->go, true, __ATOMIC_SEQ_CST);
	ASSERT_TRUE(dm_wait_until(is_told, &w->uffd)) TH_LOG("there is no event");
	EXPECT_TRUE(dm_wait_until(is_counted, &counted)) TH_LOG("it is not over");
	ASSERT_FALSE(has_forked(w));

	unloader = dm_begin_unload();
	ASSERT_GT(unloader, 0);
	EXPECT_TRUE(dm_wait_until(dm_has_ended, &unloader)) TH_LOG("unloading waits");
	ASSERT_FALSE(has_forked(w));

	ASSERT_EQ((ssize_t)sizeof(msg), read(w->uffd, &msg, sizeof(msg)));
	EXPECT_EQ(UFFD_EVENT_FORK, msg.event);
	close(msg.arg.fork.ufd);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, w->err);
	ASSERT_EQ(unloader, waitpid(unloader, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_FALSE(dm_loaded());
	ASSERT_TRUE(dm_load());
}

/* A fork that fails has no event: there is no child whose userfaultfd it could be. */
TEST_F(spot, userfaultfd_is_not_told_of_a_failure)
{
	static const char * const recoveries[] = { "rust", "upstream" };
	struct dm_record rec;
	struct uffd_msg msg;
	struct watched *w;
	char path[64];
	int i, status;
	pid_t pid;

	for (i = 0; i < 2; i++) {
		ASSERT_STREQ("", dm_use_recovery(recoveries[i]));
		w = start_watched(_metadata, &pid);
		/* Every VMA will have been copied, and the event be ready. */
		ASSERT_STREQ("", dm_arm(DM_ARCH_DUP_MMAP, -1, 0));
		snprintf(path, sizeof(path), "/proc/%d/make-it-fail", pid);
		ASSERT_EQ(0, dm_write_path(path, "1"));
		__atomic_store_n(&w->go, true, __ATOMIC_SEQ_CST);
		ASSERT_TRUE(dm_wait_until(has_forked, w)) TH_LOG("the fork does not return");
		EXPECT_EQ(ENOMEM, w->err);
		ASSERT_STREQ("", dm_get_record(&rec));
		EXPECT_EQ(pid, rec.pid);
		EXPECT_STREQ(recoveries[i], rec.recovery);
		EXPECT_STREQ("all", rec.class);
		EXPECT_FALSE(is_told(&w->uffd));
		EXPECT_EQ(-1, read(w->uffd, &msg, sizeof(msg)));
		EXPECT_EQ(EAGAIN, errno);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status);
		close(w->uffd);
		dm_disarm();
	}
}

/* A value is what was written but for one newline: white space is no part of it. */
TEST_F(spot, no_white_space)
{
	static const struct {
		const char *file, *value;
	} f[] = {
		{ "recovery", "rust" },		{ DM_FAIL "point", "any" },
		{ DM_FAIL "vma-index", "7" },	{ DM_FAIL "vma-addr", "4096" },
		{ DM_FAIL "errno", "-4" },	{ DM_FAIL "alloc-nth", "7" },
		{ DM_FAIL "recovery-alloc-nth", "7" },
		{ DM_FAIL "dry-run", "N" },
	};
	static const char * const form[] = {
		"%s ", " %s", "%s\t", "%s\n\n", "%s\r\n", "\n%s", "%s\x20\n",
	};
	char value[64];
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(f); i++) {
		ASSERT_EQ(0, dm_write(f[i].file, f[i].value));
		for (k = 0; k < ARRAY_SIZE(form); k++) {
			snprintf(value, sizeof(value), form[k], f[i].value);
			EXPECT_EQ(-EINVAL, dm_write(f[i].file, value))
				TH_LOG("'%s' to %s", value, f[i].file);
		}
	}
}

/* reset takes any text, so only its length can be wrong. */
TEST_F(spot, sixty_three_bytes_and_no_more)
{
	char value[65];

	memset(value, 'x', sizeof(value));
	EXPECT_EQ(0, dm_write_bytes("reset", value, 63, 0));
	EXPECT_EQ(-EINVAL, dm_write_bytes("reset", value, 64, 0));
	EXPECT_EQ(-EINVAL, dm_write_bytes("reset", value, 65, 0));
}

/* pwrite() is refused by the VFS; write() behind the start only by the file. */
TEST_F(spot, no_value_behind_the_start)
{
	static const char file[] = DM_DIR "/" DM_FAIL "vma-index";
	char byte;
	int fd = open(file, O_RDWR | O_CLOEXEC);

	ASSERT_GE(fd, 0);
	ASSERT_EQ(1, write(fd, "5", 1));
	ASSERT_EQ(1, lseek(fd, 1, SEEK_SET));
	EXPECT_EQ(-1, write(fd, "6", 1));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
	ASSERT_EQ(1, read(fd, &byte, 1));
	EXPECT_EQ('5', byte);
	EXPECT_EQ(-1, write(fd, "7", 1));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
	EXPECT_EQ(1, write(fd, "8", 1));
	EXPECT_EQ(8, dm_read_number(file));
	close(fd);
}

/* Objects of the cache that each open file has one of; freed ones do not count. */
static long nr_seq_files(void)
{
	dm_write_path("/sys/kernel/slab/seq_file/shrink", "1");
	return dm_read_number("/sys/kernel/slab/seq_file/objects");
}

TEST_F(spot, open_files_leave_nothing)
{
	const int nr = 500;
	long before = nr_seq_files();
	int i;

	if (before < 0)
		SKIP(return, "no /sys/kernel/slab/seq_file/objects (CONFIG_SLUB_DEBUG)");
	for (i = 0; i < nr; i++)
		ASSERT_GT(dm_read("last", text, sizeof(text)), 0);
	/* A few may still be in use as the cache sees it. */
	EXPECT_LT(nr_seq_files(), before + nr / 2);
}

/* Whatever a task calls itself, its record has a line for that and no more. */
TEST_F(spot, comm_is_one_line_and_all_of_it)
{
	static const struct {
		const char *name, *reads;
	} c[] = {
		{ "a\nerrno: 5\n", "a\\nerrno: 5\\n" },
		{ "\x01\xff\t\\", "\\x01\\xff\\t\\\\" },
		{ "fifteen bytes..", "fifteen bytes.." },
	};
	struct dm_record rec;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(c); i++) {
		ASSERT_EQ(0, prctl(PR_SET_NAME, c[i].name));
		ASSERT_STREQ("", dm_arm(DM_MT_DUP, -1, 0));
		EXPECT_EQ(ENOMEM, dm_try_fork());
		ASSERT_STREQ("", dm_get_record(&rec));
		EXPECT_STREQ(c[i].reads, rec.comm);
		EXPECT_EQ(-ENOMEM, rec.err);
	}
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
