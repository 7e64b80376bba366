/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Code that can reach the child of a failed fork before its mm is gone. The module holds
 * the fork at each place in turn. Code that takes the child's mmap lock waits for it, or
 * finds an empty tree. Code that comes from a page needs no mmap lock: it must do its work
 * in the child as long as the child has the page mapped.
 *
 * With recovery=xa-zero, as in Linux 6.14 to 6.19, it finds VMAs and backs off, since the
 * mm says that it is unstable. With xa-zero-bare the mm does not say so, and the kernel
 * dies of some of it: the program race runs that.
 *
 * This header has what the reach programs share. Each program is for one way to the child.
 */
#ifndef REACH_H
#define REACH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dup_mmap.h"
#include "harness.h"

/* Of the program. */
static struct dm_cgroup cgroup;

FIXTURE(first) {
};

FIXTURE_SETUP(first)
{
}

FIXTURE_TEARDOWN(first)
{
}

TEST_F(first, count)
{
	dm_count_program();
}

static void begin(struct __test_metadata *_metadata, struct dm_saved *saved,
		  const char *recovery, enum dm_at at)
{
	dm_save(saved);
	ASSERT_STREQ("", dm_use_recovery(recovery));
	ASSERT_STREQ("", dm_make_scene(recovery, at, &cgroup));
}

static void put_back(const struct dm_saved *saved)
{
	/* Before anything that a held fork would keep waiting. */
	dm_clean_scene();
	dm_restore(saved);
	dm_trace_end();
}

/* To the end of all that it was to wait for. */
static inline void still_held(struct __test_metadata *_metadata)
{
	ASSERT_TRUE(dm_holds()) TH_LOG("it is held no more");
}

static inline void end(struct __test_metadata *_metadata, bool killed)
{
	unsigned long taint = dm_scene->taint;

	ASSERT_STREQ("", dm_end_scene(killed));
	EXPECT_STREQ("", dm_check_taint(taint));
}

FIXTURE(window) {
	struct dm_saved saved;
};

FIXTURE_VARIANT(window) {
	const char *recovery;
	enum dm_at at;
};

FIXTURE_VARIANT_ADD(window, rust_before) { "rust", DM_AT_BEFORE };
FIXTURE_VARIANT_ADD(window, rust_parent_unlocked) { "rust", DM_AT_PARENT };
FIXTURE_VARIANT_ADD(window, rust_after) { "rust", DM_AT_AFTER };
FIXTURE_VARIANT_ADD(window, rust_after_unlock) { "rust", DM_AT_UNLOCKED };
FIXTURE_VARIANT_ADD(window, rust_pinned) { "rust", DM_AT_PINNED };
FIXTURE_VARIANT_ADD(window, upstream_before) { "upstream", DM_AT_BEFORE };
FIXTURE_VARIANT_ADD(window, upstream_after) { "upstream", DM_AT_AFTER };
FIXTURE_VARIANT_ADD(window, upstream_after_unlock) { "upstream", DM_AT_UNLOCKED };
FIXTURE_VARIANT_ADD(window, upstream_pinned) { "upstream", DM_AT_PINNED };
FIXTURE_VARIANT_ADD(window, xa_zero_before) { "xa-zero", DM_AT_BEFORE };
FIXTURE_VARIANT_ADD(window, xa_zero_after) { "xa-zero", DM_AT_AFTER };
FIXTURE_VARIANT_ADD(window, xa_zero_after_unlock) { "xa-zero", DM_AT_UNLOCKED };
FIXTURE_VARIANT_ADD(window, xa_zero_pinned) { "xa-zero", DM_AT_PINNED };

FIXTURE_SETUP(window)
{
	if (variant->at == DM_AT_PARENT && !dm_lets_go_early(variant->recovery))
		SKIP(return, "the parent is not let go early here");
	begin(_metadata, &self->saved, variant->recovery, variant->at);
}

FIXTURE_TEARDOWN_PARENT(window)
{
	put_back(&self->saved);
}

#ifdef REACH_BARE
/*
 * What is unstable and does not say so. For those who do not even look, or wait for a
 * lock. A program that has tests of it says so before it includes this.
 */
FIXTURE(bare) {
	struct dm_saved saved;
};

FIXTURE_VARIANT(bare) {
	enum dm_at at;
};

FIXTURE_VARIANT_ADD(bare, before) { DM_AT_BEFORE };
FIXTURE_VARIANT_ADD(bare, after) { DM_AT_AFTER };
FIXTURE_VARIANT_ADD(bare, after_unlock) { DM_AT_UNLOCKED };
FIXTURE_VARIANT_ADD(bare, pinned) { DM_AT_PINNED };

FIXTURE_SETUP(bare)
{
	begin(_metadata, &self->saved, "xa-zero-bare", variant->at);
}

FIXTURE_TEARDOWN_PARENT(bare)
{
	put_back(&self->saved);
}
#endif /* REACH_BARE */

/* Fixtures are run in their order, so it comes after those that a program has of the others. */
FIXTURE(last) {
};

FIXTURE_SETUP(last)
{
}

FIXTURE_TEARDOWN(last)
{
}

TEST_F(last, nothing_is_left)
{
	check_program(_metadata);
}

/*
 * Not in the short form on an emulated machine. Before the recovery the tree is the same
 * under each of them, and xa-zero takes nothing out of it before the unlock. After the
 * recovery the tree is empty under rust and upstream alike, also when it is pinned. And code
 * that comes from a page does not look at the mark that the mm is unstable, which
 * xa-zero-bare lacks: after-unlock is enough for that one.
 */
static const char * const seen_elsewhere[] = {
	"upstream_before", "upstream_after", "upstream_pinned", "xa_zero_before",
	"xa_zero_after", "before", "after", "pinned",
};

static inline int run_seen(int argc, char **argv)
{
	if (!dm_share_scene())
		ksft_exit_fail_msg("no memory\n");
	return run_but(seen_elsewhere, ARRAY_SIZE(seen_elsewhere), argc, argv);
}

static int reach_main(int argc, char **argv)
{
	dm_with_room_above(argv);
	return run_counted(&cgroup, run_seen, argc, argv);
}

#endif /* REACH_H */
