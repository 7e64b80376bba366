// SPDX-License-Identifier: GPL-2.0
/*
 * A dry run lists the steps of one fork and the allocations in each, and what it cannot
 * list it counts. It injects nothing, asks nobody, and is for no other fork.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "dup_mmap.h"
#include "harness.h"

#define LARGE	(256ul << 20)

static char text[131072];

static const char * const probability[] = {
	"/sys/kernel/debug/failslab/probability",
	"/sys/kernel/debug/fail_page_alloc/probability",
};

FIXTURE(dry_run) {
	struct dm_saved saved;
	struct dm_alloc alloc;
	struct dm_overcommit overcommit;
};

FIXTURE_SETUP(dry_run)
{
	dm_save(&self->saved);
	dm_save_overcommit(&self->overcommit);
}

FIXTURE_TEARDOWN_PARENT(dry_run)
{
	int i;

	dm_restore_overcommit(&self->overcommit);
	/* Before the filters, which have kept all but one function out. */
	for (i = 0; i < 2; i++)
		dm_write_path(probability[i], "0");
	dm_alloc_end(&self->alloc);
	dm_restore(&self->saved);
}

/* Cuts off the newline at its end. */
static const char *last_line(char *p)
{
	char *end = p + strlen(p), *line;

	if (end > p)
		end[-1] = '\0';
	line = strrchr(p, '\n');
	return line ? line + 1 : p;
}

static int nr_steps(struct __test_metadata *_metadata, int *dropped)
{
	static const char head[] = "# point vma-index vma allocations (dropped ";
	char *end;

	ASSERT_EQ(0, dm_write(DM_FAIL "dry-run", "1"));
	ASSERT_EQ(0, dm_try_fork());
	ASSERT_GT(dm_read("steps", text, sizeof(text)), 0);
	ASSERT_EQ(0, strncmp(text, head, strlen(head)));
	*dropped = strtol(text + strlen(head), &end, 10);
	ASSERT_EQ(0, strncmp(end, ")\n", 2));
	return dm_nr_lines(text);
}

TEST_F(dry_run, lists_its_own_steps)
{
	int nr, dropped;

	ASSERT_EQ(0, dm_write(DM_FAIL "task-filter", "Y"));
	ASSERT_EQ(0, dm_write_path("/proc/self/make-it-fail", "1"));
	nr = nr_steps(_metadata, &dropped);
	EXPECT_EQ(nr, nr_steps(_metadata, &dropped));
}

/* Every allocation fails that is for the list, and no other one. */
TEST_F(dry_run, steps_that_are_dropped_are_counted)
{
	int nr, left, dropped;
	const char *why;
	size_t i;

	ASSERT_EQ(0, dm_write(DM_FAIL "task-filter", "Y"));
	ASSERT_EQ(0, dm_write_path("/proc/self/make-it-fail", "1"));
	nr = nr_steps(_metadata, &dropped);
	ASSERT_EQ(0, dropped);
	ASSERT_GT(nr, 20);

	why = dm_alloc_begin(&self->alloc, "kvrealloc_node_align_noprof");
	if (why)
		SKIP(return, "%s", why);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, dm_write_path(probability[i], "100"));
	left = nr_steps(_metadata, &dropped);
	EXPECT_EQ(0, left);
	EXPECT_EQ(nr, dropped);
}

/*
 * A dry run injects nothing, but its fork may fail all the same. The list then has all
 * steps up to the one that failed, and the failure is recorded as one that came by
 * itself. Nothing is allocated for the list while the child is taken apart, when the
 * task has its own fail-nth back.
 */
TEST_F(dry_run, a_failure_is_no_dry_run)
{
	static const char * const recoveries[] = { "rust", "upstream" };
	static struct dm_maps maps;
	struct dm_expect want;
	struct dm_record rec;
	struct dm_shot shot;
	const char *why, *last;
	int i, p, steps;
	char *large;

	why = dm_alloc_begin(&self->alloc, NULL);
	if (why)
		SKIP(return, "%s", why);
	large = dm_map_without_room(LARGE);
	ASSERT_NE(NULL, large);
	ASSERT_STREQ("", dm_get_maps_and_flags(&maps));
	dm_model(&maps, DM_VM_ENOUGH_MEMORY, dm_index_of(&maps, large), 0, &want);
	ASSERT_TRUE(want.fails);
	for (p = 0, steps = 0; p < DM_NR_POINTS; p++)
		steps += want.hits[p];
	for (i = 0; i < 2; i++) {
		ASSERT_STREQ("", dm_use_recovery(recoveries[i]));
		/* Nor does it ask whether anything that is armed is to fail. */
		ASSERT_STREQ("", dm_arm(DM_VM_AREA_DUP, 1, 0));
		ASSERT_EQ(0, dm_write(DM_FAIL "dry-run", "1"));
		ASSERT_EQ(0, dm_set_nth(100000));
		ASSERT_STREQ("", dm_watch_fork(&shot, NULL, NULL));
		EXPECT_EQ(100000, dm_get_nth());
		ASSERT_EQ(0, dm_set_nth(0));
		ASSERT_STREQ("", dm_judge_shot(&shot, &maps, recoveries[i], &rec));
		EXPECT_STREQ("vm-enough-memory", rec.point);
		EXPECT_EQ(dm_index_of(&maps, large), rec.index);
		EXPECT_EQ('n', rec.injected);
		EXPECT_EQ(1, dm_read_number(DM_DIR "/" DM_FAIL "times"));

		ASSERT_GT(dm_read("steps", text, sizeof(text)), 0);
		EXPECT_NE(NULL, strstr(text, "(dropped 0)\n"));
		EXPECT_EQ(steps, dm_nr_lines(text));
		last = last_line(text);
		EXPECT_EQ(0, strncmp(last, "vm-enough-memory ", 17)) TH_LOG("%s", last);
		dm_disarm();
	}
}

/* Which step it was in the list, and how many allocations were made in it. */
static const char *last_step(struct __test_metadata *_metadata)
{
	int dropped;

	nr_steps(_metadata, &dropped);
	ASSERT_EQ(0, dropped);
	return last_line(text);
}

/* What a fork allocates when its last step is over is not that step's. */
TEST_F(dry_run, allocations_behind_a_step)
{
	size_t page = sysconf(_SC_PAGESIZE);
	char before[128];
	const char *why;
	void *p;

	p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	why = dm_alloc_begin(&self->alloc, "");
	if (why)
		SKIP(return, "%s", why);
	snprintf(before, sizeof(before), "%s", last_step(_metadata));
	EXPECT_EQ(0, strncmp(before, "arch-dup-mmap -1 - ", 19)) TH_LOG("%s", before);
	/* Now the child is to be one that KSM looks at. */
	if (madvise(p, page, MADV_MERGEABLE))
		SKIP(return, "MADV_MERGEABLE: %s (CONFIG_KSM)", strerror(errno));
	EXPECT_STREQ(before, last_step(_metadata));
}

/* A fork that nobody wants to see fails by itself: the dry run is for another one. */
TEST_F(dry_run, is_for_no_failure_of_another)
{
	struct dm_record rec;

	ASSERT_NE(NULL, dm_map_without_room(LARGE));
	ASSERT_EQ(0, dm_write_path("/proc/self/make-it-fail", "0"));
	ASSERT_EQ(0, dm_write(DM_FAIL "task-filter", "Y"));
	ASSERT_EQ(0, dm_write(DM_FAIL "dry-run", "1"));
	EXPECT_EQ(ENOMEM, dm_try_fork());
	ASSERT_STREQ("", dm_get_record(&rec));
	EXPECT_STREQ("vm-enough-memory", rec.point);
	ASSERT_GT(dm_read("steps", text, sizeof(text)), 0);
	EXPECT_EQ(0, dm_nr_lines(text));
	ASSERT_GT(dm_read(DM_FAIL "dry-run", text, sizeof(text)), 0);
	EXPECT_STREQ("Y\n", text);
}

static const char *fail_at_large(void *arg, struct dm_place *place)
{
	place->fail = dm_map_without_room(LARGE);
	return place->fail ? "" : "there is no large VMA";
}

/*
 * The list is that of the dry run that was the last to end, and has nothing of one
 * that is still under way.
 */
TEST_F(dry_run, steps_are_those_of_one_fork)
{
	struct dm_how how = {
		.point = DM_VM_ENOUGH_MEMORY,
		.prepare = fail_at_large,
		.unjudged = true,
		.dry_run = true,
	};
	static char before[sizeof(text)];
	struct dm_hold hold;
	int dropped, status, go[2];
	const char *last;
	pid_t other;
	char c;

	ASSERT_EQ(0, dm_write(DM_FAIL "task-filter", "Y"));
	ASSERT_EQ(0, dm_write_path("/proc/self/make-it-fail", "1"));
	/* Who makes another one meanwhile, and has not got the file that is held. */
	ASSERT_EQ(0, pipe(go));
	other = fork();
	if (!other)
		_exit(read(go[0], &c, 1) != 1 || dm_write(DM_FAIL "dry-run", "1") ||
		      dm_try_fork());
	ASSERT_GT(other, 0);
	EXPECT_GT(nr_steps(_metadata, &dropped), 20);
	snprintf(before, sizeof(before), "%s", text);
	ASSERT_EQ(NULL, dm_hold_begin(&hold));
	EXPECT_STREQ("", dm_hold_fork(&hold, &how));
	ASSERT_GT(dm_read("steps", text, sizeof(text)), 0);
	EXPECT_STREQ(before, text);

	ASSERT_EQ(1, write(go[1], "", 1));
	ASSERT_EQ(other, waitpid(other, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_TRUE(dm_is_held(&hold));
	ASSERT_GT(dm_read("steps", text, sizeof(text)), 0);
	EXPECT_NE(NULL, strstr(text, "\narch-dup-mmap -1 - "));
	ASSERT_STREQ("", dm_end_hold(&hold, false, NULL));
	ASSERT_GT(dm_read("steps", text, sizeof(text)), 0);
	EXPECT_NE(NULL, strstr(text, "\nmmap-write-lock -1 - "));
	EXPECT_EQ(NULL, strstr(text, "\narch-dup-mmap -1 - "));
	last = last_line(text);
	EXPECT_EQ(0, strncmp(last, "vm-enough-memory ", 17)) TH_LOG("%s", last);
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
