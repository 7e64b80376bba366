// SPDX-License-Identifier: GPL-2.0
/*
 * What the module counts, in `stats` and in `points`: to the exact number, and only of
 * forks that somebody watches.
 */
#include <sys/syscall.h>

#include "dup_mmap.h"
#include "harness.h"

static char text[8192];

FIXTURE(count) {
	struct dm_saved saved;
};

FIXTURE_SETUP(count)
{
	dm_save(&self->saved);
}

FIXTURE_TEARDOWN_PARENT(count)
{
	dm_restore(&self->saved);
}

/* Only x86 has something to copy there that takes memory, the LDT. */
static bool arch_dup_mmap_can_fail(void)
{
#ifdef __x86_64__
	return !syscall(SYS_modify_ldt, 0, NULL, 0);
#else
	return false;
#endif
}

TEST_F(count, points_are_all_there)
{
	unsigned long hits, injected;
	char name[32], kept, *line, *next;
	int p, n, err, len;

	ASSERT_GT(dm_read("points", text, sizeof(text)), 0);
	ASSERT_EQ('#', text[0]);
	line = strchr(text, '\n');
	ASSERT_NE(NULL, line);
	line++;
	for (p = 0; p < DM_NR_POINTS; p++, line = next) {
		next = strchr(line, '\n');
		ASSERT_NE(NULL, next) TH_LOG("after %d points", p);
		*next++ = '\0';
		len = 0;
		n = sscanf(line, "%31s %d %lu %lu %c %n", name, &err, &hits,
			   &injected, &kept, &len);
		ASSERT_EQ(5, n) TH_LOG("%s", line);
		ASSERT_STREQ(dm_points[p].name, name);
		ASSERT_EQ(dm_points[p].err, err);
		ASSERT_EQ(dm_points[p].err_kept ? 'y' : 'n', kept);
		/* Says what makes it fail, or that nothing does. */
		ASSERT_NE('\0', line[len]);
		if (p == DM_ARCH_DUP_MMAP)
			EXPECT_EQ(arch_dup_mmap_can_fail(),
				  !strstr(line + len, "by injection only"));
	}
	ASSERT_EQ('\0', *line);
}

/* Of a fork that is watched, though nothing can fail. */
TEST_F(count, hits_count_without_injection)
{
	static struct dm_maps maps;
	struct dm_counts counts[2];
	struct dm_stats stats[2];
	struct dm_expect want;
	struct dm_tries tries = { 0 };
	const char *why;
	int err;
	pid_t pid;

	ASSERT_STREQ("", dm_get_maps_and_flags(&maps));
	ASSERT_STREQ("", dm_arm(DM_VMA_START_WRITE, maps.nr, 0));
	/* No step for a VMA that there is not: all that a fork comes to. */
	dm_model(&maps, DM_VMA_START_WRITE, maps.nr, 0, &want);
	ASSERT_FALSE(want.fails);
	do {
		ASSERT_STREQ("", dm_get_stats(&stats[0]));
		ASSERT_STREQ("", dm_get_counts(&counts[0]));
		pid = dm_fork(&err);
		ASSERT_GT(pid, 0);
		ASSERT_EQ(pid, waitpid(pid, NULL, 0));
		ASSERT_STREQ("", dm_get_counts(&counts[1]));
		ASSERT_STREQ("", dm_get_stats(&stats[1]));
		/* Of somebody else's fork there may be a part only. */
		why = stats[1].forks - stats[0].forks != 1 ? "it was not alone" :
			dm_compare_counts(&want, DM_VMA_START_WRITE, &counts[0],
					  &counts[1]);
	} while (dm_try_again(&tries, *why));
	ASSERT_STREQ("", why);
	EXPECT_STREQ("", dm_compare_stats(&want, self->saved.recovery, &stats[0],
					  &stats[1]));
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
TEST_F(count, hits_of_steps_that_are_not_selected)
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

/* How many forks are counted of one that works; all of its steps are, or none. */
static unsigned long count_one(struct __test_metadata *_metadata)
{
	struct dm_counts counts[2];
	struct dm_stats stats[2];
	int err, status, p;
	pid_t pid;

	ASSERT_STREQ("", dm_get_stats(&stats[0]));
	ASSERT_STREQ("", dm_get_counts(&counts[0]));
	pid = dm_fork(&err);
	ASSERT_GT(pid, 0) TH_LOG("%s", strerror(err));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	ASSERT_STREQ("", dm_get_counts(&counts[1]));
	ASSERT_STREQ("", dm_get_stats(&stats[1]));
	ASSERT_EQ(stats[0].failed, stats[1].failed);
	for (p = 0; p < DM_NR_POINTS; p++) {
		/* No VMA of this program is one that the child does not get. */
		EXPECT_EQ(stats[1].forks == stats[0].forks || p == DM_CLEAR_DONTCOPY,
			  counts[1].hits[p] == counts[0].hits[p])
			TH_LOG("%s", dm_points[p].name);
	}
	return stats[1].forks - stats[0].forks;
}

/* Whoever may want to see a fork has to say so before it begins. */
TEST_F(count, forks_that_nobody_watches_are_not_counted)
{
	static struct dm_alloc alloc;
	const char *why;

	EXPECT_EQ(0, count_one(_metadata));
	/* Times are left, but there is no probability; and the reverse. */
	ASSERT_EQ(0, dm_write_path("/proc/self/make-it-fail", "1"));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "-1"));
	ASSERT_EQ(0, dm_write(DM_FAIL "task-filter", "Y"));
	EXPECT_EQ(0, count_one(_metadata));
	ASSERT_EQ(0, dm_write(DM_FAIL "probability", "100"));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "0"));
	EXPECT_EQ(0, count_one(_metadata));
	/* Both, and a VMA that there is not. */
	ASSERT_EQ(0, dm_write(DM_FAIL "vma-index", "100000"));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "1"));
	EXPECT_EQ(1, count_one(_metadata));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "-1"));
	EXPECT_EQ(1, count_one(_metadata));
	dm_reset();
	EXPECT_EQ(0, count_one(_metadata));

	ASSERT_EQ(0, dm_write(DM_FAIL "dry-run", "1"));
	EXPECT_EQ(1, count_one(_metadata));
	EXPECT_EQ(0, count_one(_metadata));

	/* With a fail-nth that nothing else takes any off. */
	why = dm_alloc_begin(&alloc, NULL);
	if (!why) {
		ASSERT_EQ(0, dm_set_nth(100000));
		EXPECT_EQ(1, count_one(_metadata));
		ASSERT_EQ(0, dm_set_nth(0));
		EXPECT_EQ(0, count_one(_metadata));
	}
	dm_alloc_end(&alloc);
	EXPECT_EQ(NULL, why);
}

/* What is asked of some tasks makes no difference to others. */
TEST_F(count, forks_of_other_tasks_are_not_counted)
{
	ASSERT_STREQ("", dm_arm(DM_VMA_START_WRITE, 100000, 0));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "-1"));
	EXPECT_EQ(1, count_one(_metadata));
	ASSERT_EQ(0, dm_write_path("/proc/self/make-it-fail", "0"));
	EXPECT_EQ(0, count_one(_metadata));
	ASSERT_EQ(0, dm_write(DM_FAIL "dry-run", "1"));
	EXPECT_EQ(0, count_one(_metadata));
	/* It is still there for the one that it is for. */
	ASSERT_EQ(0, dm_write(DM_FAIL "probability", "0"));
	ASSERT_EQ(0, dm_write_path("/proc/self/make-it-fail", "1"));
	EXPECT_EQ(1, count_one(_metadata));
	EXPECT_EQ(0, count_one(_metadata));
	/* Without a filter, for everybody. */
	ASSERT_EQ(0, dm_write_path("/proc/self/make-it-fail", "0"));
	ASSERT_EQ(0, dm_write(DM_FAIL "task-filter", "N"));
	ASSERT_EQ(0, dm_write(DM_FAIL "probability", "100"));
	EXPECT_LE(1, count_one(_metadata));
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
