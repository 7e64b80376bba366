// SPDX-License-Identifier: GPL-2.0
/*
 * The allocations that a recovery makes, each made to fail (recovery-alloc-nth):
 * it comes out the same, and whether there was one is in the record and counted.
 */
#include <sys/mman.h>

#include "dup_mmap.h"
#include "harness.h"

/* More than a gather has room for: the recovery allocates some, if it can. */
#define NR_PAGES	64
/* More allocations than there are. */
#define TOO_MANY	"100000"

static struct dm_maps maps;

FIXTURE(recovery) {
	struct dm_saved saved;
	struct dm_alloc alloc;
};

FIXTURE_VARIANT(recovery) {
	const char *recovery;
};

FIXTURE_VARIANT_ADD(recovery, rust) { "rust" };
FIXTURE_VARIANT_ADD(recovery, upstream) { "upstream" };

FIXTURE_SETUP(recovery)
{
	size_t page = sysconf(_SC_PAGESIZE), len = NR_PAGES * page, i;
	const char *why;
	char *p;

	dm_save(&self->saved);
	ASSERT_STREQ("", dm_use_recovery(variant->recovery));
	why = dm_alloc_begin(&self->alloc, "");
	if (why) {
		/* Then there is no teardown. */
		dm_alloc_end(&self->alloc);
		dm_restore(&self->saved);
		SKIP(return, "%s", why);
	}
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	/* Page by page, where there are larger ones. */
	madvise(p, len, MADV_NOHUGEPAGE);
	for (i = 0; i < NR_PAGES; i++)
		p[i * page] = i;
	ASSERT_STREQ("", dm_get_maps_and_flags(&maps));
}

FIXTURE_TEARDOWN_PARENT(recovery)
{
	dm_alloc_end(&self->alloc);
	dm_restore(&self->saved);
}

/* One fork as armed, while nobody else forks: then all that was counted is its. */
static void watch(struct __test_metadata *_metadata, struct dm_shot *shot)
{
	struct dm_tries tries = { 0 };
	const char *why;

	do {
		ASSERT_EQ(0, dm_write(DM_FAIL "times", "1"));
		ASSERT_STREQ("", dm_watch_fork(shot, NULL, NULL));
		why = dm_moved(shot);
	} while (dm_try_again(&tries, *why));
	ASSERT_STREQ("", why);
}

/* Each allocation that a recovery makes, and the one after the last. */
TEST_F(recovery, each_allocation_and_one_more)
{
	struct dm_record rec;
	struct dm_shot shot;
	unsigned long nth;
	char text[16];

	ASSERT_STREQ("", dm_arm(DM_ARCH_DUP_MMAP, -1, 0));
	for (nth = 1; nth < 1000; nth++) {
		snprintf(text, sizeof(text), "%lu", nth);
		ASSERT_EQ(0, dm_write(DM_FAIL "recovery-alloc-nth", text));
		watch(_metadata, &shot);
		ASSERT_STREQ("", dm_judge_shot(&shot, &maps, variant->recovery,
					       &rec)) TH_LOG("allocation %lu", nth);
		ASSERT_STREQ(dm_points[DM_ARCH_DUP_MMAP].name, rec.point);
		ASSERT_EQ(0, rec.alloc_nth);
		ASSERT_EQ(nth, rec.recovery_alloc_nth);
		ASSERT_EQ(rec.recovery_alloc_failed == 'y',
			  shot.after.allocs_failed - shot.before.allocs_failed);
		ASSERT_EQ(rec.recovery_alloc_failed == 'n',
			  shot.after.allocs_missed - shot.before.allocs_missed);
		if (rec.recovery_alloc_failed == 'n')
			break;
	}
	TH_LOG("%lu allocations", nth - 1);
	EXPECT_GT(nth, 1);

	ASSERT_EQ(0, dm_write(DM_FAIL "recovery-alloc-nth", TOO_MANY));
	watch(_metadata, &shot);
	ASSERT_STREQ("", dm_judge_shot(&shot, &maps, variant->recovery, &rec));
	EXPECT_EQ(strtoul(TOO_MANY, NULL, 10), rec.recovery_alloc_nth);
	EXPECT_EQ('n', rec.recovery_alloc_failed);
	EXPECT_EQ(1, shot.after.allocs_missed - shot.before.allocs_missed);
}

/* There is nothing to recover, and so no allocation to miss. */
TEST_F(recovery, nothing_to_recover)
{
	struct dm_record rec;
	struct dm_shot shot;

	ASSERT_STREQ("", dm_arm(DM_MT_DUP, -1, 0));
	ASSERT_EQ(0, dm_write(DM_FAIL "recovery-alloc-nth", "1"));
	watch(_metadata, &shot);
	ASSERT_STREQ("", dm_judge_shot(&shot, &maps, variant->recovery, &rec));
	EXPECT_EQ(1, rec.recovery_alloc_nth);
	EXPECT_EQ('n', rec.recovery_alloc_failed);
	EXPECT_EQ(0, shot.after.allocs_failed - shot.before.allocs_failed);
	EXPECT_EQ(0, shot.after.allocs_missed - shot.before.allocs_missed);
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
