// SPDX-License-Identifier: GPL-2.0
/*
 * Every failure point of dup_mmap(), for every kind of VMA as the first one of
 * the address space, in the middle and as the last one, under both recoveries.
 *
 * What has to happen is computed from /proc/self/smaps and from the order of
 * the steps in dup_mmap(). Where a step is not reached for a VMA (say,
 * vm-area-dup for a MADV_DONTFORK one) the fork has to work.
 */
#include "dup_mmap.h"
#include "kselftest_harness.h"

/* When the program started. */
static unsigned long taint;

FIXTURE(fail) {
	struct dm_saved saved;
	struct dm_layout layout;
};

FIXTURE_VARIANT(fail) {
	enum dm_point point;
	const char *recovery;
};

FIXTURE_VARIANT_ADD(fail, mmap_write_lock_rust) {
	DM_MMAP_WRITE_LOCK, "rust"
};

FIXTURE_VARIANT_ADD(fail, mmap_write_lock_upstream) {
	DM_MMAP_WRITE_LOCK, "upstream"
};

FIXTURE_VARIANT_ADD(fail, mt_dup_rust) {
	DM_MT_DUP, "rust"
};

FIXTURE_VARIANT_ADD(fail, mt_dup_upstream) {
	DM_MT_DUP, "upstream"
};

FIXTURE_VARIANT_ADD(fail, vma_start_write_rust) {
	DM_VMA_START_WRITE, "rust"
};

FIXTURE_VARIANT_ADD(fail, vma_start_write_upstream) {
	DM_VMA_START_WRITE, "upstream"
};

FIXTURE_VARIANT_ADD(fail, clear_dontcopy_rust) {
	DM_CLEAR_DONTCOPY, "rust"
};

FIXTURE_VARIANT_ADD(fail, clear_dontcopy_upstream) {
	DM_CLEAR_DONTCOPY, "upstream"
};

FIXTURE_VARIANT_ADD(fail, vm_enough_memory_rust) {
	DM_VM_ENOUGH_MEMORY, "rust"
};

FIXTURE_VARIANT_ADD(fail, vm_enough_memory_upstream) {
	DM_VM_ENOUGH_MEMORY, "upstream"
};

FIXTURE_VARIANT_ADD(fail, vm_area_dup_rust) {
	DM_VM_AREA_DUP, "rust"
};

FIXTURE_VARIANT_ADD(fail, vm_area_dup_upstream) {
	DM_VM_AREA_DUP, "upstream"
};

FIXTURE_VARIANT_ADD(fail, dup_policy_rust) {
	DM_DUP_POLICY, "rust"
};

FIXTURE_VARIANT_ADD(fail, dup_policy_upstream) {
	DM_DUP_POLICY, "upstream"
};

FIXTURE_VARIANT_ADD(fail, dup_userfaultfd_rust) {
	DM_DUP_USERFAULTFD, "rust"
};

FIXTURE_VARIANT_ADD(fail, dup_userfaultfd_upstream) {
	DM_DUP_USERFAULTFD, "upstream"
};

FIXTURE_VARIANT_ADD(fail, anon_vma_fork_rust) {
	DM_ANON_VMA_FORK, "rust"
};

FIXTURE_VARIANT_ADD(fail, anon_vma_fork_upstream) {
	DM_ANON_VMA_FORK, "upstream"
};

FIXTURE_VARIANT_ADD(fail, copy_page_range_rust) {
	DM_COPY_PAGE_RANGE, "rust"
};

FIXTURE_VARIANT_ADD(fail, copy_page_range_upstream) {
	DM_COPY_PAGE_RANGE, "upstream"
};

FIXTURE_VARIANT_ADD(fail, arch_dup_mmap_rust) {
	DM_ARCH_DUP_MMAP, "rust"
};

FIXTURE_VARIANT_ADD(fail, arch_dup_mmap_upstream) {
	DM_ARCH_DUP_MMAP, "upstream"
};

FIXTURE_SETUP(fail)
{
	self->layout.fd = -1;
	/* A damaged kernel proves nothing, and may hang. */
	ASSERT_EQ(taint, dm_taint());
	dm_save(&self->saved);
	ASSERT_STREQ("", dm_use_recovery(variant->recovery));
}

/* In the parent: also when the test crashed. */
FIXTURE_TEARDOWN_PARENT(fail)
{
	dm_restore(&self->saved);
}

static int index_for(enum dm_point point, const struct dm_layout *l)
{
	return dm_points[point].has_vma ? l->index : -1;
}

static void run(struct __test_metadata *_metadata, FIXTURE_DATA(fail) * self,
		const FIXTURE_VARIANT(fail) * variant, enum dm_kind kind,
		enum dm_position position)
{
	struct dm_layout *l = &self->layout;
	struct dm_record rec;
	const char *why = dm_build(l, kind, position);

	if (why)
		SKIP(return, "%s VMA as the %s one: %s", dm_kind_names[kind],
		     dm_position_names[position], why);
	EXPECT_STREQ("", dm_shoot(variant->point, index_for(variant->point, l), 0,
				  variant->recovery, &rec));
	EXPECT_STREQ("", dm_check_layout(l));
	EXPECT_STREQ("", dm_check_clean_fork(l));
	EXPECT_STREQ("", dm_unbuild(l));
}

TEST_F(fail, anon_first)
{
	run(_metadata, self, variant, DM_ANON, DM_FIRST);
}

TEST_F(fail, anon_middle)
{
	run(_metadata, self, variant, DM_ANON, DM_MIDDLE);
}

TEST_F(fail, anon_last)
{
	run(_metadata, self, variant, DM_ANON, DM_LAST);
}

TEST_F(fail, file_private_first)
{
	run(_metadata, self, variant, DM_FILE_PRIVATE, DM_FIRST);
}

TEST_F(fail, file_private_middle)
{
	run(_metadata, self, variant, DM_FILE_PRIVATE, DM_MIDDLE);
}

TEST_F(fail, file_private_last)
{
	run(_metadata, self, variant, DM_FILE_PRIVATE, DM_LAST);
}

TEST_F(fail, file_shared_first)
{
	run(_metadata, self, variant, DM_FILE_SHARED, DM_FIRST);
}

TEST_F(fail, file_shared_middle)
{
	run(_metadata, self, variant, DM_FILE_SHARED, DM_MIDDLE);
}

TEST_F(fail, file_shared_last)
{
	run(_metadata, self, variant, DM_FILE_SHARED, DM_LAST);
}

TEST_F(fail, dontfork_first)
{
	run(_metadata, self, variant, DM_DONTFORK, DM_FIRST);
}

TEST_F(fail, dontfork_middle)
{
	run(_metadata, self, variant, DM_DONTFORK, DM_MIDDLE);
}

TEST_F(fail, dontfork_last)
{
	run(_metadata, self, variant, DM_DONTFORK, DM_LAST);
}

TEST_F(fail, wipeonfork_first)
{
	run(_metadata, self, variant, DM_WIPEONFORK, DM_FIRST);
}

TEST_F(fail, wipeonfork_middle)
{
	run(_metadata, self, variant, DM_WIPEONFORK, DM_MIDDLE);
}

TEST_F(fail, wipeonfork_last)
{
	run(_metadata, self, variant, DM_WIPEONFORK, DM_LAST);
}

TEST_F(fail, after_dontfork_first)
{
	run(_metadata, self, variant, DM_AFTER_DONTFORK, DM_FIRST);
}

TEST_F(fail, after_dontfork_middle)
{
	run(_metadata, self, variant, DM_AFTER_DONTFORK, DM_MIDDLE);
}

TEST_F(fail, after_dontfork_last)
{
	run(_metadata, self, variant, DM_AFTER_DONTFORK, DM_LAST);
}

TEST_F(fail, before_dontfork_first)
{
	run(_metadata, self, variant, DM_BEFORE_DONTFORK, DM_FIRST);
}

TEST_F(fail, before_dontfork_middle)
{
	run(_metadata, self, variant, DM_BEFORE_DONTFORK, DM_MIDDLE);
}

TEST_F(fail, before_dontfork_last)
{
	run(_metadata, self, variant, DM_BEFORE_DONTFORK, DM_LAST);
}

/*
 * Objects and page tables. Counting them exactly takes flushes of every CPU,
 * grace periods and seconds of waiting, too slow for each case above: so all
 * of them at once here, and less at once only when something is missing.
 */
FIXTURE(kept) {
	struct dm_saved saved;
	struct dm_layout layout;
};

FIXTURE_VARIANT(kept) {
	const char *recovery;
};

FIXTURE_VARIANT_ADD(kept, rust) { "rust" };
FIXTURE_VARIANT_ADD(kept, upstream) { "upstream" };

FIXTURE_SETUP(kept)
{
	self->layout.fd = -1;
	/* A damaged kernel proves nothing, and may hang. */
	ASSERT_EQ(taint, dm_taint());
	dm_save(&self->saved);
	ASSERT_STREQ("", dm_use_recovery(variant->recovery));
}

FIXTURE_TEARDOWN_PARENT(kept)
{
	dm_restore(&self->saved);
}

/* Each of these points for each kind of VMA in every position. */
static const char *fork_cases(struct dm_layout *l, int point, int points)
{
	const char *why = "";
	int k, p, pos, err;
	pid_t pid;

	for (k = 0; k < DM_NR_KINDS; k++) {
		for (pos = 0; pos < DM_NR_POSITIONS; pos++) {
			if (dm_build(l, k, pos)) {
				dm_unbuild(l);
				continue;
			}
			for (p = point; p < point + points && !*why; p++) {
				why = dm_arm(p, index_for(p, l), 0);
				pid = dm_fork(&err);
				if (pid > 0)
					waitpid(pid, NULL, 0);
			}
			dm_disarm();
			dm_unbuild(l);
			if (*why)
				return why;
		}
	}
	return "";
}

/* Others allocate too: only what grows every time is a leak. */
static const char *leak(struct dm_layout *l, int point, int points, int tries)
{
	struct dm_counters before;
	const char *why;

	do {
		dm_settle(&before);
		why = fork_cases(l, point, points);
		if (*why)
			return why;
		why = dm_check_counters(&before, DM_PATIENT);
	} while (*why && --tries);
	return why;
}

TEST_F_TIMEOUT(kept, nothing_by_any_failure, 600)
{
	struct dm_layout *l = &self->layout;
	const char *why;
	int p;

	if (!dm_have_slab())
		SKIP(return, "no /sys/kernel/slab/*/objects (CONFIG_SLUB_DEBUG)");

	/* Whatever is allocated once and kept on purpose, is now. */
	ASSERT_STREQ("", fork_cases(l, 0, DM_NR_POINTS));

	why = leak(l, 0, DM_NR_POINTS, 2);
	EXPECT_STREQ("", why) {
		/* Where? The first point that leaks is enough to start with. */
		for (p = 0; p < DM_NR_POINTS; p++) {
			why = leak(l, p, 1, 1);
			if (*why) {
				TH_LOG("at %s: %s", dm_points[p].name, why);
				break;
			}
		}
	}
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	taint = dm_taint();
	return test_harness_run(argc, argv);
}
