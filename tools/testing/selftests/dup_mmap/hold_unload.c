// SPDX-License-Identifier: GPL-2.0
/*
 * Unloading the module while forks are held, or while somebody reads of one: it lets them
 * go, and waits for none of them to be let go by others.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>

#include "dup_mmap.h"
#include "harness.h"

#define NR_FORKERS	4

FIXTURE(hold_unload) {
	struct dm_saved saved;
	struct dm_forker *f;
};

FIXTURE_SETUP(hold_unload)
{
	dm_save(&self->saved);
	self->f = dm_make_forkers(NR_FORKERS);
	ASSERT_NE(NULL, self->f);
	ASSERT_STREQ("", dm_prepare_stays());
}

FIXTURE_TEARDOWN_PARENT(hold_unload)
{
	/* If a test has left it unloaded. */
	if (!dm_loaded())
		dm_load();
	dm_restore(&self->saved);
	dm_trace_end();
}

TEST_F(hold_unload, count)
{
	dm_count_program();
}

/* Who has a file open has nothing of what is released, but the module. */
TEST_F(hold_unload, not_while_somebody_reads)
{
	static char text[65536];
	struct dm_forker *f = self->f;
	struct dm_stay stay = {
		.at = DM_AT_PINNED,
		.recovery = "xa-zero",
		.point = DM_VM_AREA_DUP,
	};
	ssize_t n;
	int fd;

	ASSERT_STREQ("", dm_start_forker(f));
	stay.index = dm_forker_index(f);
	ASSERT_STREQ("", dm_begin_stay(f, &stay));
	fd = open(DM_DIR "/" DM_HOLD "observe", O_RDONLY | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	/* The rest of what was there when it began to read. */
	ASSERT_EQ(10, read(fd, text, 10));
	ASSERT_STREQ("", dm_end_stay(f));
	EXPECT_EQ(EAGAIN, dm_unload());
	ASSERT_TRUE(dm_loaded());
	n = read(fd, text, sizeof(text) - 1);
	EXPECT_GT(n, 0);
	text[n > 0 ? n : 0] = '\0';
	EXPECT_NE(NULL, strstr(text, "verdict: stale\n"));
	/* And nothing when it begins again. */
	EXPECT_EQ(0, pread(fd, text, sizeof(text), 0));
	close(fd);
	ASSERT_STREQ("", dm_stop_forker(f));
	EXPECT_EQ(0, dm_unload());
	EXPECT_TRUE(dm_load());
}

static struct dm_hold busy;

/* A VMA behind that of the file, so that this is copied, and closed in the recovery. */
static const char *fail_behind(void *arg, struct dm_place *place)
{
	place->fail = &busy;
	return "";
}

/*
 * Unloading lets go what is held before it waits for the forks that are under way. One
 * of these is inside of its recovery for as long as this takes, in the close of a file
 * (lib/hold.h): so it is seen that unloading waits for nothing else any more, and the
 * trace says why the hold was over. Afterwards the events would be gone. When its recovery
 * is over it comes to a hold of its own, and is not held any more.
 */
static void unload_at(struct __test_metadata *_metadata, struct dm_forker *f, enum dm_at at,
		      const char *recovery)
{
	struct dm_stay stay = { .at = at, .recovery = recovery, .point = DM_VM_AREA_DUP };
	struct dm_how how = {
		.point = DM_VM_AREA_DUP,
		.prepare = fail_behind,
		.unjudged = true,
	};
	struct dm_held_list held;
	int status;
	pid_t pid;

	/* First: what is inherited of the file would be held as well. */
	ASSERT_STREQ("", dm_start_forker(f));
	stay.index = dm_forker_index(f);
	ASSERT_EQ(NULL, dm_hold_begin(&busy));
	ASSERT_STREQ("", dm_use_recovery("rust"));
	ASSERT_EQ(0, dm_write(DM_HOLD "timeout-ms", "60000"));
	ASSERT_EQ(0, dm_write(DM_HOLD "at", "after-recovery"));
	ASSERT_STREQ("", dm_hold_fork(&busy, &how));

	ASSERT_EQ(0, dm_trace_event("hold", true));
	dm_trace_clear();
	ASSERT_STREQ("", dm_begin_stay(f, &stay));
	pid = dm_begin_unload();
	ASSERT_GT(pid, 0);
	ASSERT_TRUE(dm_wait_until(dm_unload_waits, &pid));
	ASSERT_STREQ("", dm_await_fork(f, ENOMEM));
	EXPECT_STREQ("", dm_await_end(&stay, "unload"));
	EXPECT_FALSE(dm_has_ended(&pid));
	EXPECT_STREQ("", dm_end_hold(&busy, false, NULL));
	ASSERT_TRUE(dm_wait_until(dm_has_ended, &pid));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_FALSE(dm_loaded());
	ASSERT_STREQ("", dm_stop_forker(f));
	ASSERT_TRUE(dm_load());
	ASSERT_STREQ("", dm_prepare_stays());
	ASSERT_STREQ("", dm_get_held(&held));
	EXPECT_EQ(0, held.nr);
}

TEST_F(hold_unload, lets_go)
{
	static struct dm_counters before;
	unsigned long taint = dm_taint();

	/* What it maps may leave a node more in the tree of this process: before the count. */
	ASSERT_EQ(NULL, dm_hold_begin(&busy));
	ASSERT_STREQ("", dm_end_hold(&busy, false, NULL));
	ASSERT_STREQ("", dm_trace_begin());
	dm_count_test(&before);
	/* First: a worker that was forgotten has the time to run. */
	unload_at(_metadata, self->f, DM_AT_PINNED, "xa-zero");
	if (dm_lets_go_early("rust"))
		unload_at(_metadata, self->f, DM_AT_PARENT, "rust");
	else
		unload_at(_metadata, self->f, DM_AT_AFTER, "rust");
	if (dm_long_form()) {
		unload_at(_metadata, self->f, DM_AT_AFTER, "upstream");
		unload_at(_metadata, self->f, DM_AT_UNLOCKED, "xa-zero");
	}
	EXPECT_STREQ("", dm_check_test(&before));
	EXPECT_STREQ("", dm_check_taint(taint));
}

static bool are_all_held(void *arg)
{
	return dm_nr_held(0) == NR_FORKERS;
}

/* And nobody is held from then on, as often as they fork. */
TEST_F(hold_unload, lets_go_under_load)
{
	static struct dm_counters before;
	unsigned long taint = dm_taint();
	struct dm_stay stay = {
		.at = DM_AT_BEFORE,
		.recovery = "xa-zero",
		.point = DM_VM_AREA_DUP,
	};
	struct dm_forker *f = self->f;
	unsigned int enough;
	pid_t pid;
	int k, status;

	dm_count_test(&before);
	for (k = 0; k < NR_FORKERS; k++)
		ASSERT_STREQ("", dm_start_forker(&f[k]));
	stay.index = dm_forker_index(f);
	ASSERT_STREQ("", dm_aim_stay(&stay, -1));
	for (k = 0; k < NR_FORKERS; k++)
		ASSERT_STREQ("", dm_keep_forking(&f[k]));
	ASSERT_TRUE(dm_wait_until(are_all_held, NULL));
	pid = dm_begin_unload();
	ASSERT_GT(pid, 0);
	/* Half of their time: if it waited for that, it would take as long. */
	for (k = 0; k < DM_STAY_MS / 2 && !dm_has_ended(&pid); k++)
		usleep(1000);
	ASSERT_TRUE(dm_has_ended(&pid)) TH_LOG("unloading waits for those that are held");
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	/* Without the module they fork and work. */
	for (k = 0; k < NR_FORKERS; k++) {
		enough = dm_nr_forks(&f[k]) + 2;
		while (dm_nr_forks(&f[k]) < enough)
			sched_yield();
		dm_forked_enough(&f[k]);
	}
	for (k = 0; k < NR_FORKERS; k++) {
		ASSERT_STREQ("", dm_stop_forker(&f[k]));
		EXPECT_EQ(0, f[k].wrong);
		EXPECT_LE(1, f[k].failed);
		EXPECT_LE(1, f[k].worked);
	}
	ASSERT_TRUE(dm_load());
	EXPECT_STREQ("", dm_check_test(&before));
	EXPECT_STREQ("", dm_check_taint(taint));
}

TEST_F(hold_unload, nothing_is_left)
{
	check_program(_metadata);
}

int main(int argc, char **argv)
{
	static struct dm_cgroup cgroup;

	return run_counted(&cgroup, test_harness_run, argc, argv);
}
