// SPDX-License-Identifier: GPL-2.0
/*
 * An allocation fails in place of its step: that is counted to the exact number, leaves
 * the task its own fail-nth, and is told from a failure that came by itself.
 */
#include <string.h>

#include "dup_mmap.h"
#include "harness.h"

#define LARGE	(256ul << 20)
#define NEVER	"2147483647"	/* more allocations than there are */

FIXTURE(alloc_nth) {
	struct dm_saved saved;
	struct dm_alloc alloc;
	struct dm_overcommit overcommit;
};

FIXTURE_SETUP(alloc_nth)
{
	dm_save(&self->saved);
	dm_save_overcommit(&self->overcommit);
}

FIXTURE_TEARDOWN_PARENT(alloc_nth)
{
	dm_restore_overcommit(&self->overcommit);
	dm_alloc_end(&self->alloc);
	dm_restore(&self->saved);
}

/* Each in its own way: what fork() asks for, how much of it, and what fails. */
TEST_F(alloc_nth, allocations_are_counted)
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
TEST_F(alloc_nth, fail_nth_is_put_back)
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

/* What was asked for says nothing about it, and does nothing to its recovery. */
TEST_F(alloc_nth, a_failure_that_came_by_itself)
{
	struct dm_stats a, b;
	struct dm_record rec;
	const char *why;

	why = dm_alloc_begin(&self->alloc, "");
	if (why)
		SKIP(return, "%s", why);
	ASSERT_NE(NULL, dm_map_without_room(LARGE));
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
TEST_F_TIMEOUT(alloc_nth, a_failure_after_one_that_was_survived, 180)
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
	ASSERT_NE(NULL, dm_map_without_room(LARGE));
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

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
