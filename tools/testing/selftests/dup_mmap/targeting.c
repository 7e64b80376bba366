// SPDX-License-Identifier: GPL-2.0
/* Which fork fails, and where: what is selected, nothing else, once. */
#include "dup_mmap.h"
#include "harness.h"

FIXTURE(target) {
	struct dm_saved saved;
	struct dm_alloc alloc;
};

FIXTURE_SETUP(target)
{
	dm_save(&self->saved);
}

FIXTURE_TEARDOWN_PARENT(target)
{
	dm_alloc_end(&self->alloc);
	dm_restore(&self->saved);
}

static int first_reached(enum dm_point point, const struct dm_maps *maps, int nth)
{
	int v;

	for (v = 0; v < maps->nr; v++)
		if (dm_reached(point, &maps->vma[v]) && !--nth)
			return v;
	return -1;
}

TEST_F(target, nothing_fails_by_default)
{
	/* Even a task that asks for it. */
	ASSERT_EQ(0, dm_write_path("/proc/self/make-it-fail", "1"));
	EXPECT_EQ(0, dm_try_fork());
}

TEST_F(target, only_tasks_that_ask_for_it)
{
	struct dm_stats a, b;

	ASSERT_STREQ("", dm_arm(DM_MT_DUP, -1, 0));
	ASSERT_EQ(0, dm_write_path("/proc/self/make-it-fail", "0"));
	ASSERT_STREQ("", dm_get_stats(&a));
	EXPECT_EQ(0, dm_try_fork());
	ASSERT_STREQ("", dm_get_stats(&b));
	EXPECT_EQ(a.injected, b.injected);
	EXPECT_EQ(1, dm_read_number(DM_DIR "/" DM_FAIL "times"));

	ASSERT_EQ(0, dm_write_path("/proc/self/make-it-fail", "1"));
	EXPECT_EQ(ENOMEM, dm_try_fork());
}

TEST_F(target, once)
{
	ASSERT_STREQ("", dm_arm(DM_VM_AREA_DUP, -1, 0));
	EXPECT_EQ(ENOMEM, dm_try_fork());
	EXPECT_EQ(0, dm_try_fork());
	EXPECT_EQ(0, dm_try_fork());
}

TEST_F(target, three_times)
{
	int i;

	ASSERT_STREQ("", dm_arm(DM_VM_AREA_DUP, -1, 0));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "3"));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(ENOMEM, dm_try_fork());
	EXPECT_EQ(0, dm_try_fork());
}

TEST_F(target, every_time)
{
	int i;

	ASSERT_STREQ("", dm_arm(DM_COPY_PAGE_RANGE, -1, 0));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "-1"));
	for (i = 0; i < 8; i++)
		EXPECT_EQ(ENOMEM, dm_try_fork());
	dm_disarm();
	EXPECT_EQ(0, dm_try_fork());
}

TEST_F(target, any_point_is_the_first_one)
{
	struct dm_record rec;

	ASSERT_STREQ("", dm_arm(DM_MT_DUP, -1, 0));
	ASSERT_EQ(0, dm_write(DM_FAIL "point", "any"));
	EXPECT_EQ(ENOMEM, dm_try_fork());
	ASSERT_STREQ("", dm_get_record(&rec));
	EXPECT_STREQ("mmap-write-lock", rec.point);
	EXPECT_EQ(-1, rec.index);
}

TEST_F(target, any_point_of_a_vma_is_its_first_one)
{
	struct dm_record rec;

	ASSERT_STREQ("", dm_arm(DM_MT_DUP, 2, 0));
	ASSERT_EQ(0, dm_write(DM_FAIL "point", "any"));
	EXPECT_EQ(ENOMEM, dm_try_fork());
	ASSERT_STREQ("", dm_get_record(&rec));
	EXPECT_STREQ("vma-start-write", rec.point);
	EXPECT_EQ(2, rec.index);
}

TEST_F(target, points_without_a_vma_have_no_index)
{
	static const enum dm_point p[] = {
		DM_MMAP_WRITE_LOCK, DM_MT_DUP, DM_ARCH_DUP_MMAP
	};
	static struct dm_series series;
	struct dm_record rec;
	size_t i;

	ASSERT_STREQ("", dm_begin_series(&series, self->saved.recovery));
	/* Fork has to work with these: dm_shoot() knows. */
	for (i = 0; i < ARRAY_SIZE(p); i++)
		EXPECT_STREQ("", dm_shoot(&series, p[i], 0, 0, &rec));
}

TEST_F(target, no_such_vma)
{
	static struct dm_series series;
	struct dm_record rec;

	ASSERT_STREQ("", dm_begin_series(&series, self->saved.recovery));
	EXPECT_STREQ("", dm_shoot(&series, DM_VM_AREA_DUP, series.maps.nr, 0, &rec));
	EXPECT_TRUE(rec.none);
	EXPECT_STREQ("", dm_shoot(&series, DM_VM_AREA_DUP, series.maps.nr - 1, 0, &rec));
}

TEST_F(target, fail_nth_counts_vmas)
{
	static struct dm_maps maps;
	struct dm_record rec;
	const char *why;
	int nth, want;

	/*
	 * On a debug kernel kmemleak and others allocate in ways that failslab
	 * counts.
	 */
	why = dm_alloc_begin(&self->alloc, NULL);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, dm_write(DM_FAIL "verbose", "0"));
	ASSERT_EQ(0, dm_write(DM_FAIL "point", "vm-area-dup"));
	ASSERT_STREQ("", dm_get_maps_and_flags(&maps));
	/*
	 * The probability stays 0: fail-nth asks for no other setting. It counts
	 * what should_fail() is asked, that is the points that match.
	 */
	for (nth = 1; nth < 100; nth++) {
		ASSERT_EQ(0, dm_set_nth(nth));
		want = first_reached(DM_VM_AREA_DUP, &maps, nth);
		if (want < 0)
			break;
		ASSERT_EQ(ENOMEM, dm_try_fork()) TH_LOG("nth %d", nth);
		ASSERT_STREQ("", dm_get_record(&rec));
		ASSERT_STREQ("vm-area-dup", rec.point);
		ASSERT_EQ(want, rec.index);
		ASSERT_EQ('y', rec.injected);
	}
	/* One more than there are: not used up, and fork works. */
	EXPECT_EQ(0, dm_try_fork());
	EXPECT_EQ(1, dm_get_nth());
	ASSERT_EQ(0, dm_set_nth(0));
	EXPECT_GT(nth, 3);
}

/* How many steps the last dry run came to, -1 if the list is not as it should be. */
static int nr_steps(void)
{
	static char text[65536];
	int nr = -1;
	char *p;

	dm_read("steps", text, sizeof(text));
	if (!strstr(text, "(dropped 0)\n"))
		return -1;
	for (p = text; (p = strchr(p, '\n')); p++)
		nr++;
	return nr;
}

static int dry_run_is_pending(void)
{
	char text[8];

	dm_read(DM_FAIL "dry-run", text, sizeof(text));
	return *text == 'Y' ? 1 : *text == 'N' ? 0 : -1;
}

TEST_F(target, a_dry_run_is_not_for_others)
{
	static struct dm_maps maps;
	struct dm_expect want;
	int p, go[2], status, nr = 0;
	pid_t other;
	char c;

	/* Somebody who has not asked to be made to fail, and forks when told to. */
	ASSERT_EQ(0, dm_write_path("/proc/self/make-it-fail", "0"));
	ASSERT_EQ(0, pipe(go));
	other = fork();
	if (!other)
		_exit(read(go[0], &c, 1) != 1 || dm_try_fork());
	ASSERT_GT(other, 0);

	ASSERT_EQ(0, dm_write(DM_FAIL "task-filter", "Y"));
	ASSERT_EQ(0, dm_write_path("/proc/self/make-it-fail", "1"));
	ASSERT_EQ(0, dm_write(DM_FAIL "dry-run", "1"));
	ASSERT_EQ(1, write(go[1], "", 1));
	ASSERT_EQ(other, waitpid(other, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(1, dry_run_is_pending());
	EXPECT_EQ(0, nr_steps());

	ASSERT_STREQ("", dm_get_maps_and_flags(&maps));
	EXPECT_EQ(0, dm_try_fork());
	EXPECT_EQ(0, dry_run_is_pending());
	dm_model(&maps, DM_VMA_START_WRITE, maps.nr, 0, &want);
	for (p = 0; p < DM_NR_POINTS; p++)
		nr += want.hits[p];
	EXPECT_EQ(nr, nr_steps());

	/* Once: the next one leaves the list as it is. */
	EXPECT_EQ(0, dm_try_fork());
	EXPECT_EQ(nr, nr_steps());
}

TEST_F(target, reset_disarms)
{
	ASSERT_STREQ("", dm_arm(DM_MT_DUP, -1, 0));
	ASSERT_EQ(0, dm_write("reset", "1"));
	/* Still asking for it. */
	EXPECT_EQ(0, dm_try_fork());
}

/* The C library's fork() sees the same as the bare system call. */
TEST_F(target, libc_fork)
{
	pid_t pid;

	ASSERT_STREQ("", dm_arm(DM_COPY_PAGE_RANGE, -1, 0));
	pid = fork();
	if (!pid)
		_exit(0);
	EXPECT_EQ(-1, pid);
	EXPECT_EQ(ENOMEM, errno);
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

/* vfork() and threads share the address space: there is nothing to fail. */
TEST_F(target, clone_vm_is_not_hit)
{
	pid_t pid;

	ASSERT_STREQ("", dm_arm(DM_MMAP_WRITE_LOCK, -1, 0));
	pid = vfork();
	if (!pid)
		_exit(0);
	EXPECT_GT(pid, 0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	EXPECT_EQ(1, dm_read_number(DM_DIR "/" DM_FAIL "times"));
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
