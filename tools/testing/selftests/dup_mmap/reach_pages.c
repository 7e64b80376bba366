// SPDX-License-Identifier: GPL-2.0
/*
 * Who comes by the child of a fork that is held by way of a page that it has mapped, for
 * which no mmap lock is needed: who changes the file of it, reclaims it, moves it
 * elsewhere, or makes it a part of a larger one.
 *
 * How often a page is mapped shows whether the child could be reached.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <linux/mempolicy.h>
#include <linux/mman.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REACH_BARE
#include "reach.h"

#define OTHER_NODE	"/sys/devices/system/node/node1"

static uint64_t of_frame(const char *path, uint64_t frame)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t n;

	if (pread(fd, &n, sizeof(n), frame * sizeof(n)) != sizeof(n))
		n = -1;
	close(fd);
	return n;
}

/* No lock is needed to know. -1: it can't be known. */
static long nr_mapped(uint64_t frame)
{
	return of_frame("/proc/kpagecount", frame);
}

/* A frame that is free again can have any other page soon, but none that is merged. */
static bool is_merged(uint64_t frame)
{
	return of_frame("/proc/kpageflags", frame) & 1ull << KPF_KSM;
}

/* This process is one that has it. 0: it is not in memory. */
static uint64_t frame_of(int page)
{
	uint64_t entry = 0;

	return dm_pagemap(dm_at(page), 1, &entry) && DM_PAGE_PRESENT(entry) ?
		DM_PAGE_FRAME(entry) : 0;
}

/* By way of the file to all who have mapped it, whatever locks these have. */
static void change_file(struct __test_metadata *_metadata)
{
	int both = dm_has_pages() ? 2 : 1;

	ASSERT_STREQ("", dm_hold_victim(DM_NOTHING, 0));
	ASSERT_STREQ("", dm_check_view());
	EXPECT_EQ(both, nr_mapped(dm_scene->file_frame));
	EXPECT_EQ(0, fallocate(dm_scene->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			       dm_scene->page));
	EXPECT_EQ(0, ftruncate(dm_scene->file, 2 * dm_scene->page));
	/* All of these mappings are gone, so the page is free. */
	EXPECT_EQ(0, nr_mapped(dm_scene->file_frame));
	ASSERT_STREQ("", dm_check_view());
	still_held(_metadata);
	end(_metadata, false);
}

/*
 * By way of the page: what is swapped out nobody has mapped any more. One that KSM has
 * merged is found by the pages of each process that it was merged of, and then by those
 * of their children.
 */
static void reclaim_pages(struct __test_metadata *_metadata)
{
	uint64_t shared, merged;
	int try;

	ASSERT_EQ(NULL, dm_swap_on());
	ASSERT_STREQ("", dm_hold_victim(DM_KSM_PAGES, 1 << DM_UNMERGE));
	ASSERT_STREQ("", dm_check_view());
	shared = frame_of(DM_V_SHARED);
	merged = dm_scene->ksm_frame;
	EXPECT_EQ(2 + dm_has_pages(), nr_mapped(shared));
	EXPECT_EQ(1 + (1 + dm_has_pages()) * DM_V_PAGES, nr_mapped(merged));
	for (try = 0; try < 20 && (frame_of(DM_V_SHARED) || frame_of(DM_V_MERGED)); try++) {
		/* What another CPU has yet to put on the LRU is not reclaimed. */
		dm_write_path("/proc/sys/vm/drop_caches", "1");
		dm_write_path(dm_cgroup_path(&cgroup, "memory.reclaim"), "16M swappiness=max");
	}
	EXPECT_EQ(0, frame_of(DM_V_SHARED));
	EXPECT_EQ(0, frame_of(DM_V_MERGED));
	EXPECT_FALSE(is_merged(merged));
	ASSERT_STREQ("", dm_check_view());
	/* KSM has the parent's page to look for, and takes its lock for that. */
	dm_tell(&dm_scene->outsider[DM_UNMERGE]);
	ASSERT_TRUE(dm_wait_until(dm_parent_is_free() ? dm_is_done : dm_is_asleep,
				  &dm_scene->outsider[DM_UNMERGE]));
	still_held(_metadata);
	dm_let_victim_go();
	EXPECT_TRUE(dm_wait_until(dm_is_done, &dm_scene->outsider[DM_UNMERGE]));
	end(_metadata, false);
	dm_swap_off();
}

/* The node that the page is on, and where it is to be before that: -1, where it is. */
static int node_of(int page, int target)
{
	void *p = dm_at(page);
	int status = -ENOENT;

	syscall(SYS_move_pages, 0, 1ul, &p, target < 0 ? NULL : &target, &status,
		MPOL_MF_MOVE_ALL);
	return status;
}

static const char *move_page(int page)
{
	int node = node_of(page, -1), try;

	/* Who else has it for a moment keeps it where it is. */
	for (try = 0; try < 20 && node_of(page, !node) != !node; try++)
		;
	return node_of(page, -1) == !node ? "" : "it is not moved";
}

static const char *offline_page(int page)
{
	int try;

	for (try = 0; try < 20; try++)
		if (!madvise(dm_at(page), dm_scene->page, MADV_SOFT_OFFLINE))
			return "";
	return "it is not taken out of use";
}

/* NULL or why no page can be migrated. */
static const char *immovable(void)
{
	if (syscall(SYS_move_pages, 0, 0ul, NULL, NULL, NULL, 0))
		return "no move_pages() (CONFIG_NUMA_MIGRATION)";
	/* Of no page at all: does it exist? */
	if (madvise(dm_at(DM_V_SHARED), 0, MADV_SOFT_OFFLINE))
		return "no MADV_SOFT_OFFLINE (CONFIG_MEMORY_FAILURE)";
	return access(OTHER_NODE, F_OK) ? "no other node (numa=fake=2)" : NULL;
}

/* All who have mapped the page have another one afterwards. */
static void migrate(struct __test_metadata *_metadata, const char *(*op)(int page), int page,
		    long mapped)
{
	uint64_t old = frame_of(page), new;

	EXPECT_EQ(mapped, nr_mapped(old));
	EXPECT_STREQ("", op(page));
	new = frame_of(page);
	EXPECT_NE(0, new);
	EXPECT_NE(old, new);
	EXPECT_EQ(mapped, nr_mapped(new));
}

/*
 * A page that fork() has copied and one that KSM has merged: to another node, and then
 * to any other place, since this one is not to be used any more.
 */
static void migrate_pages(struct __test_metadata *_metadata)
{
	int processes = 1 + dm_has_pages();

	ASSERT_STREQ("", dm_hold_victim(DM_KSM_PAGES, 0));
	ASSERT_STREQ("", dm_check_view());
	migrate(_metadata, move_page, DM_V_SHARED, 1 + processes);
	migrate(_metadata, move_page, DM_V_MERGED, 1 + processes * DM_V_PAGES);
	migrate(_metadata, offline_page, DM_V_SHARED, 1 + processes);
	migrate(_metadata, offline_page, DM_V_MERGED, 1 + processes * DM_V_PAGES);
	ASSERT_STREQ("", dm_check_view());
	still_held(_metadata);
	/* What is in them is looked at when all is over, here and by the victim. */
	end(_metadata, false);
}

/* What this process has mapped elsewhere becomes one page, also for those held. */
TEST_F(window, file_is_collapsed)
{
	long len = dm_read_number(DM_HUGE_SIZE);
	char *p, *huge;

	if (len <= 0 || len > (long)DM_HUGE_MAX)
		SKIP(return, "no huge pages of that size");
	p = mmap(NULL, 2 * len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	huge = p + (-(uintptr_t)p & (len - 1));
	ASSERT_EQ(huge, mmap(huge, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			     dm_scene->huge_file, 0));
	ASSERT_STREQ("", dm_hold_victim(DM_A_HUGE_FILE, 0));
	ASSERT_STREQ("", dm_check_view());
	EXPECT_EQ(0, madvise(huge, len, MADV_COLLAPSE)) TH_LOG("%s", strerror(errno));
	ASSERT_STREQ("", dm_check_view());
	still_held(_metadata);
	end(_metadata, false);
	munmap(p, 2 * len);
}

TEST_F(window, file_is_punched_and_truncated)
{
	change_file(_metadata);
}

TEST_F(window, pages_are_reclaimed)
{
	reclaim_pages(_metadata);
}

TEST_F(window, pages_are_migrated)
{
	const char *why = immovable();

	if (why)
		SKIP(return, "%s", why);
	migrate_pages(_metadata);
}

TEST_F(bare, file_is_punched_and_truncated)
{
	change_file(_metadata);
}

TEST_F(bare, pages_are_reclaimed)
{
	reclaim_pages(_metadata);
}

TEST_F(bare, pages_are_migrated)
{
	const char *why = immovable();

	if (why)
		SKIP(return, "%s", why);
	migrate_pages(_metadata);
}

int main(int argc, char **argv)
{
	return reach_main(argc, argv);
}
