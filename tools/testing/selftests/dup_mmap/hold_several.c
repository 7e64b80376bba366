// SPDX-License-Identifier: GPL-2.0
/* Several forks that are held at a time: how many can be, and who is let go. */
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "dup_mmap.h"
#include "harness.h"

/* One more than can be held. */
#define NR_FORKERS	(DM_MAX_HELD + 1)

FIXTURE(hold_several) {
	struct dm_saved saved;
	struct dm_forker *f;
	bool *stop;		/* shared */
};

FIXTURE_SETUP(hold_several)
{
	dm_save(&self->saved);
	self->f = dm_make_forkers(NR_FORKERS);
	ASSERT_NE(NULL, self->f);
	self->stop = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->stop);
	ASSERT_STREQ("", dm_prepare_stays());
}

FIXTURE_TEARDOWN_PARENT(hold_several)
{
	dm_restore(&self->saved);
}

TEST_F(hold_several, count)
{
	dm_count_program();
}

static struct dm_held_list held;
static struct dm_sights sights;

/* Who is to be held when there is no room any more goes on, and is counted. */
TEST_F(hold_several, eight_at_a_time)
{
	static struct dm_counters before;
	unsigned long taint = dm_taint();
	struct dm_forker *f = self->f, *last = &f[DM_MAX_HELD];
	struct dm_stay stay[NR_FORKERS], other;
	bool seen[DM_MAX_HELD] = {};
	struct dm_record rec;
	int i, k;

	dm_count_test(&before);
	for (i = 0; i < NR_FORKERS; i++)
		ASSERT_STREQ("", dm_start_forker(&f[i]));
	for (i = 0; i < NR_FORKERS; i++) {
		stay[i] = (struct dm_stay){
			.at = DM_AT_BEFORE + i % (DM_AT_PINNED - DM_AT_NONE),
			.recovery = dm_recoveries[i % DM_NR_RECOVERIES],
			.point = DM_VM_AREA_DUP,
			.index = dm_forker_index(&f[i]),
		};
		/* With rust, where there is such a place. */
		if (!dm_comes_to(&stay[i]))
			stay[i].at = DM_AT_UNLOCKED;
		if (i < DM_MAX_HELD)
			ASSERT_STREQ("", dm_begin_stay(&f[i], &stay[i]));
	}
	ASSERT_STREQ("", dm_get_held(&held));
	EXPECT_EQ(DM_MAX_HELD, held.nr);
	EXPECT_EQ(0, held.missed);
	ASSERT_STREQ("", dm_get_sights(&sights));
	EXPECT_EQ(DM_MAX_HELD, sights.nr);
	for (k = 0; k < sights.nr; k++) {
		for (i = 0; i < DM_MAX_HELD; i++) {
			if (sights.child[k].pid != f[i].pid)
				continue;
			EXPECT_FALSE(seen[i]);
			seen[i] = true;
			EXPECT_STREQ("", dm_check_sight(f[i].pid, &f[i].maps, &stay[i],
							&sights.child[k]));
		}
	}
	for (i = 0; i < DM_MAX_HELD; i++)
		EXPECT_TRUE(seen[i]);

	/* One that would wait, and one that would leave its mm. */
	other = stay[DM_MAX_HELD];
	for (i = 1; i <= 2; i++) {
		other.at = i == 1 ? DM_AT_AFTER : DM_AT_PINNED;
		other.recovery = i == 1 ? "rust" : "xa-zero";
		ASSERT_STREQ("", dm_aim_stay(&other, 1));
		ASSERT_STREQ("", dm_tell_to_fork(last));
		ASSERT_STREQ("", dm_await_fork(last, ENOMEM));
		ASSERT_STREQ("", dm_get_held(&held));
		EXPECT_EQ(DM_MAX_HELD, held.nr);
		EXPECT_EQ(i, held.missed);
		ASSERT_STREQ("", dm_get_record(&rec));
		EXPECT_EQ(last->pid, rec.pid);
	}

	/* One is let go, and no other one; the next one takes its place. */
	ASSERT_STREQ("", dm_end_stay(&f[3]));
	EXPECT_EQ(DM_MAX_HELD - 1, dm_nr_held(0));
	for (i = 0; i < DM_MAX_HELD; i++)
		EXPECT_EQ(i != 3, dm_nr_held(f[i].pid)) TH_LOG("fork %d", i);
	EXPECT_EQ(-ESRCH, dm_release(f[3].pid));
	ASSERT_STREQ("", dm_begin_stay(last, &stay[DM_MAX_HELD]));
	ASSERT_STREQ("", dm_get_held(&held));
	EXPECT_EQ(DM_MAX_HELD, held.nr);
	EXPECT_EQ(2, held.missed);

	ASSERT_EQ(0, dm_release_all());
	for (i = 0; i < NR_FORKERS; i++)
		ASSERT_STREQ("", dm_await_fork(&f[i], ENOMEM));
	ASSERT_TRUE(dm_wait_until(dm_is_none_held, NULL));
	ASSERT_STREQ("", dm_get_held(&held));
	EXPECT_EQ(2, held.missed);
	dm_reset();
	ASSERT_STREQ("", dm_get_held(&held));
	EXPECT_EQ(0, held.missed);
	for (i = 0; i < NR_FORKERS; i++)
		ASSERT_STREQ("", dm_stop_forker(&f[i]));
	EXPECT_STREQ("", dm_check_test(&before));
	EXPECT_STREQ("", dm_check_taint(taint));
}

static bool are_two_held(void *arg)
{
	struct dm_forker *f = arg;

	return dm_nr_held(f->pid) == 2;
}

/* One that is pinned, and the next fork of that task. */
TEST_F(hold_several, two_of_one_task)
{
	static struct dm_counters before;
	unsigned long taint = dm_taint();
	struct dm_stay stay = { .point = DM_VM_AREA_DUP };
	struct dm_forker *f = self->f;
	int i, k;

	dm_count_test(&before);
	ASSERT_STREQ("", dm_start_forker(f));
	stay.index = dm_forker_index(f);
	for (i = 0; i < 2; i++) {
		ASSERT_STREQ("", dm_prepare_stays());
		stay.recovery = i ? "xa-zero-bare" : "rust";
		stay.at = DM_AT_PINNED;
		ASSERT_STREQ("", dm_begin_stay(f, &stay));

		/* The later one ends, and leaves the earlier one alone. */
		stay.at = i ? DM_AT_AFTER : DM_AT_UNLOCKED;
		ASSERT_EQ(0, dm_write(DM_HOLD "timeout-ms", "30"));
		ASSERT_STREQ("", dm_aim_stay(&stay, 1));
		ASSERT_STREQ("", dm_tell_to_fork(f));
		ASSERT_STREQ("", dm_await_fork(f, ENOMEM));
		ASSERT_STREQ("", dm_get_held(&held));
		ASSERT_EQ(1, held.nr);
		EXPECT_STREQ("pinned", held.line[0].at);
		EXPECT_EQ(f->pid, held.line[0].pid);

		/* Both are let go by the pid. */
		ASSERT_STREQ("", dm_prepare_stays());
		ASSERT_STREQ("", dm_aim_stay(&stay, 1));
		ASSERT_STREQ("", dm_tell_to_fork(f));
		ASSERT_TRUE(dm_wait_until(are_two_held, f));
		ASSERT_STREQ("", dm_get_sights(&sights));
		ASSERT_EQ(2, sights.nr);
		for (k = 0; k < 2; k++) {
			struct dm_stay each = stay;

			if (!strcmp(sights.child[k].at, "pinned"))
				each.at = DM_AT_PINNED;
			EXPECT_STREQ("", dm_check_sight(f->pid, &f->maps, &each,
							&sights.child[k]));
		}
		EXPECT_STRNE(sights.child[0].at, sights.child[1].at);
		ASSERT_STREQ("", dm_end_stay(f));
	}
	ASSERT_STREQ("", dm_stop_forker(f));
	EXPECT_STREQ("", dm_check_test(&before));
	EXPECT_STREQ("", dm_check_taint(taint));
}

/* It reads the files until it is told not to: 0 when all were as they should be. */
static int look(bool *stop)
{
	const char *verdict;
	int i;

	while (!__atomic_load_n(stop, __ATOMIC_SEQ_CST)) {
		if (*dm_get_held(&held) || *dm_get_sights(&sights))
			return 1;
		for (i = 0; i < sights.nr; i++) {
			verdict = sights.child[i].verdict;
			/* Its fork may be over by the time it is looked at. */
			if (strcmp(verdict, "locked") && strcmp(verdict, "clean") &&
			    strcmp(verdict, "stale") && strcmp(verdict, "gone"))
				return 1;
		}
		sched_yield();
	}
	return 0;
}

/* And so does one who lets all go, all the time. */
static int let_go(bool *stop)
{
	while (!__atomic_load_n(stop, __ATOMIC_SEQ_CST)) {
		if (dm_release_all())
			return 1;
		usleep(1000);
	}
	return 0;
}

/* Forks that fail all the time, others that look, and others that change what is asked for. */
TEST_F_TIMEOUT(hold_several, all_at_once, dm_long_form() ? 3600 : 300)
{
	enum { NR = 4, NR_OTHERS = 3 };
	static const char * const timeouts[] = { "1", "5", "20", "60000" };
	static struct dm_counters before;
	unsigned long taint = dm_taint();
	unsigned int nr = dm_long_form() ? 1000 : 12, i, least;
	struct dm_stay stay = { .at = DM_AT_NONE, .recovery = "rust", .point = DM_VM_AREA_DUP };
	struct dm_forker *f = self->f;
	pid_t other[NR_OTHERS];
	int k, status;

	dm_count_test(&before);
	for (k = 0; k < NR; k++)
		ASSERT_STREQ("", dm_start_forker(&f[k]));
	for (k = 0; k < NR_OTHERS; k++) {
		other[k] = fork();
		if (!other[k])
			_exit(k < 2 ? look(self->stop) : let_go(self->stop));
	}
	stay.index = dm_forker_index(f);
	ASSERT_STREQ("", dm_aim_stay(&stay, -1));
	for (k = 0; k < NR; k++)
		ASSERT_STREQ("", dm_keep_forking(&f[k]));
	/* Until each has failed so often. */
	i = 0;
	do {
		ASSERT_EQ(0, dm_write("recovery", dm_recoveries[i % DM_NR_RECOVERIES]));
		ASSERT_EQ(0, dm_write(DM_HOLD "at", dm_at_names[i / 3 % DM_NR_AT]));
		ASSERT_EQ(0, dm_write(DM_HOLD "timeout-ms", timeouts[i / 5 % 4]));
		/* Once in a while somebody has to go by its pid, or need not. */
		k = dm_release(f[i % NR].pid);
		ASSERT_TRUE(!k || k == -ESRCH);
		i++;
		for (k = 0, least = ~0u; k < NR; k++)
			if (dm_nr_forks(&f[k]) < least)
				least = dm_nr_forks(&f[k]);
	} while (least < nr);
	for (k = 0; k < NR; k++)
		dm_forked_enough(&f[k]);
	dm_reset();
	ASSERT_EQ(0, dm_release_all());
	for (k = 0; k < NR; k++)
		ASSERT_STREQ("", dm_stop_forker(&f[k]));
	__atomic_store_n(self->stop, true, __ATOMIC_SEQ_CST);
	for (k = 0; k < NR_OTHERS; k++) {
		ASSERT_TRUE(dm_wait_until(dm_has_ended, &other[k]));
		ASSERT_EQ(other[k], waitpid(other[k], &status, 0));
		EXPECT_EQ(0, status) TH_LOG("process %d", k);
	}
	ASSERT_TRUE(dm_wait_until(dm_is_none_held, NULL));
	for (k = 0; k < NR; k++) {
		EXPECT_EQ(0, f[k].wrong);
		EXPECT_LE(nr, f[k].failed);
	}
	EXPECT_STREQ("", dm_check_test(&before));
	EXPECT_STREQ("", dm_check_taint(taint));
}

TEST_F(hold_several, nothing_is_left)
{
	check_program(_metadata);
}

int main(int argc, char **argv)
{
	static struct dm_cgroup cgroup;

	return run_counted(&cgroup, test_harness_run, argc, argv);
}
