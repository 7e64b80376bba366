// SPDX-License-Identifier: GPL-2.0
/*
 * Who comes by the child of a fork that is held by way of its parent: those who look at
 * that, its threads, who serves its userfaultfd, and the OOM killer.
 */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REACH_BARE
#include "reach.h"

#define SYSRQ	"/proc/sysrq-trigger"

/* Of the parent, who is held: others look at it, or are its threads. */
static void look_at_parent(struct __test_metadata *_metadata)
{
	struct dm_worker * const who[] = {
		&dm_scene->thread, &dm_scene->outsider[DM_MAPS], &dm_scene->outsider[DM_SMAPS]
	};
	static const char * const names[] = { "a thread", "maps", "smaps" };
	bool is_free = dm_parent_is_free();
	size_t i;

	ASSERT_STREQ("", dm_hold_victim(DM_NOTHING, 1 << DM_MAPS | 1 << DM_SMAPS));
	ASSERT_STREQ("", dm_check_view());
	for (i = 0; i < ARRAY_SIZE(who); i++) {
		dm_tell(who[i]);
		ASSERT_TRUE(dm_wait_until(is_free ? dm_is_done : dm_is_asleep, who[i]))
			TH_LOG("%s", names[i]);
	}
	for (i = 0; i < ARRAY_SIZE(who); i++)
		EXPECT_EQ(is_free, dm_is_done(who[i])) TH_LOG("%s", names[i]);
	still_held(_metadata);
	dm_let_victim_go();
	for (i = 0; i < ARRAY_SIZE(who); i++)
		EXPECT_TRUE(dm_wait_until(dm_is_done, who[i])) TH_LOG("%s waits", names[i]);
	EXPECT_STREQ("", dm_scene->thread.why);
	end(_metadata, false);
}

/*
 * Who serves its userfaultfd is not let in as long as the fork is under way, and never
 * hears of a child.
 */
static void serve_userfaultfd(struct __test_metadata *_metadata)
{
	struct uffdio_copy copy = { .len = dm_scene->page };
	struct uffd_msg msg;
	int pidfd, uffd;

	ASSERT_STREQ("", dm_hold_victim(DM_NOTHING, 0));
	ASSERT_STREQ("", dm_check_view());
	pidfd = syscall(SYS_pidfd_open, dm_scene->victim, 0);
	uffd = syscall(SYS_pidfd_getfd, pidfd, dm_scene->uffd, 0);
	ASSERT_GE(uffd, 0);
	copy.dst = (uintptr_t)dm_at(DM_V_WATCHED);
	copy.src = (uintptr_t)dm_at(DM_V_SHARED);
	if (dm_scene->stay.at == DM_AT_PINNED) {
		EXPECT_EQ(0, ioctl(uffd, UFFDIO_COPY, &copy)) TH_LOG("%s", strerror(errno));
	} else {
		EXPECT_EQ(-1, ioctl(uffd, UFFDIO_COPY, &copy));
		EXPECT_EQ(EAGAIN, errno);
	}
	EXPECT_EQ(-1, read(uffd, &msg, sizeof(msg)));
	EXPECT_EQ(EAGAIN, errno);
	still_held(_metadata);
	dm_let_victim_go();
	ASSERT_TRUE(dm_wait_until(dm_is_over, NULL));
	copy.dst += dm_scene->page;
	EXPECT_EQ(0, ioctl(uffd, UFFDIO_COPY, &copy)) TH_LOG("%s", strerror(errno));
	EXPECT_EQ(-1, read(uffd, &msg, sizeof(msg)));
	EXPECT_EQ(EAGAIN, errno);
	close(uffd);
	close(pidfd);
	end(_metadata, false);
}

/* The cgroup is, as soon as its last process has left. */
static bool is_removed(void *arg)
{
	return !rmdir(dm_victims("")) || errno == ENOENT;
}

/*
 * The parent is killed for want of memory. The hold ends with it: the kernel would
 * wait for its memory as long.
 */
static void be_killed(struct __test_metadata *_metadata, bool by_sysrq)
{
	bool is_pinned = dm_scene->stay.at == DM_AT_PINNED;
	char max[32];

	ASSERT_STREQ("", dm_trace_begin());
	ASSERT_EQ(0, dm_trace_event("hold", true));
	ASSERT_STREQ("", dm_hold_victim(DM_MUCH, 0));
	ASSERT_STREQ("", dm_check_view());
	if (by_sysrq) {
		ASSERT_EQ(0, dm_write_path(SYSRQ, "f"));
	} else {
		snprintf(max, sizeof(max), "%lu",
			 dm_read_number(dm_victims("memory.current")) - DM_LARGE / 2);
		ASSERT_EQ(0, dm_write_path(dm_victims("memory.max"), max));
	}
	ASSERT_TRUE(dm_wait_until(dm_victim_has_ended, NULL)) TH_LOG("it is not killed");
	EXPECT_STREQ("", dm_await_end(&dm_scene->stay, is_pinned ? "exit" : "killed"));
	EXPECT_FALSE(dm_holds());
	end(_metadata, true);
	EXPECT_TRUE(dm_wait_until(is_removed, NULL));
}

TEST_F(window, oom_of_a_cgroup)
{
	be_killed(_metadata, false);
}

TEST_F(window, oom_by_sysrq)
{
	if (access(SYSRQ, W_OK))
		SKIP(return, "no " SYSRQ " (CONFIG_MAGIC_SYSRQ)");
	be_killed(_metadata, true);
}

TEST_F(window, parent)
{
	look_at_parent(_metadata);
}

TEST_F(window, userfaultfd)
{
	serve_userfaultfd(_metadata);
}

TEST_F(bare, parent)
{
	look_at_parent(_metadata);
}

TEST_F(bare, userfaultfd)
{
	serve_userfaultfd(_metadata);
}

int main(int argc, char **argv)
{
	return reach_main(argc, argv);
}
