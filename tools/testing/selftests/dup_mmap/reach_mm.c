// SPDX-License-Identifier: GPL-2.0
/*
 * Who comes by the child of a fork that is held by way of its mm: swapoff, which has a
 * list of those with swap entries, and uprobes, which look for who has mapped a file.
 */
#include "reach.h"

static bool swapoff_has_come(void *arg)
{
	const struct dm_sight *s = dm_view();

	return s && s->users == 2 &&
		dm_sleeps_in(dm_scene->outsider[DM_SWAPOFF].tid, "swapoff");
}

/* The child has a swap entry, so it is on the list of those that swapoff visits. */
TEST_F(window, swapoff)
{
	struct dm_worker *w;

	ASSERT_EQ(NULL, dm_swap_on());
	ASSERT_STREQ("", dm_hold_victim(DM_SWAP, 1 << DM_SWAPOFF));
	ASSERT_STREQ("", dm_check_view());
	w = &dm_scene->outsider[DM_SWAPOFF];
	dm_tell(w);
	if (variant->at < DM_AT_UNLOCKED) {
		ASSERT_TRUE(dm_wait_until(swapoff_has_come, NULL))
			TH_LOG("swapoff does not wait for the child");
		EXPECT_FALSE(dm_is_done(w));
	} else {
		/* It has passed the child, which comes before its parent. */
		ASSERT_TRUE(dm_wait_until(dm_nothing_is_swapped, NULL))
			TH_LOG("swapoff does not get past the child");
		/* Of what it must not look at it finds the swap entries used. */
		EXPECT_TRUE(dm_left() || dm_wait_until(dm_is_done, w));
		EXPECT_EQ(!dm_left(), dm_is_done(w));
	}
	still_held(_metadata);
	dm_let_victim_go();
	EXPECT_TRUE(dm_wait_until(dm_is_done, w)) TH_LOG("swapoff does not end");
	end(_metadata, false);
}

/* Where a uprobe is registered: with it wait all other forks of the machine. */
static bool waits_for_forks(void *arg)
{
	struct dm_worker *w = arg;

	return dm_sleeps_in(w->tid, "uprobe");
}

/*
 * Who registers a uprobe keeps forks out a grace period after it has begun to wait. One
 * that was made before that is over, and another one is made.
 */
static bool fork_waits(void *arg)
{
	struct dm_worker *w = arg;

	if (dm_is_done(w))
		dm_tell(w);
	return dm_is_asleep(w);
}

/* Not until the child's mm is given back, unless the fork goes on. */
TEST_F(window, uprobe)
{
	const unsigned int who = 1 << DM_PERF | 1 << DM_TRACEFS | 1 << DM_A_FORK;
	const char *why = dm_no_uprobes();
	int i;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_STREQ("", dm_hold_victim(DM_NOTHING, who));
	ASSERT_STREQ("", dm_check_view());
	/* A fork comes last: it waits for who waits. */
	for (i = DM_PERF; i <= DM_A_FORK; i++) {
		struct dm_worker *w = &dm_scene->outsider[i];

		dm_tell(w);
		ASSERT_TRUE(dm_wait_until(variant->at == DM_AT_PINNED ? dm_is_done :
					  i == DM_A_FORK ? fork_waits : waits_for_forks, w))
			TH_LOG("%s", dm_name_of(i));
	}
	if (variant->at == DM_AT_PINNED)
		EXPECT_STREQ("", dm_check_view());
	for (i = DM_PERF; i <= DM_A_FORK; i++)
		EXPECT_EQ(variant->at == DM_AT_PINNED, dm_is_done(&dm_scene->outsider[i]));
	still_held(_metadata);
	dm_let_victim_go();
	for (i = DM_PERF; i <= DM_A_FORK; i++)
		EXPECT_TRUE(dm_wait_until(dm_is_done, &dm_scene->outsider[i]))
			TH_LOG("%s waits for ever", dm_name_of(i));
	end(_metadata, false);
}

int main(int argc, char **argv)
{
	return reach_main(argc, argv);
}
