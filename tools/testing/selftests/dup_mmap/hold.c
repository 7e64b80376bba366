// SPDX-License-Identifier: GPL-2.0
/*
 * A fork that fails and is held there: who is, what an observer finds of the child at
 * each place and with each recovery, and how it ends. Several at once are in
 * hold_several, all the events of such a fork in hold_trace, and what unloading the
 * module does to it in hold_unload.
 */
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "dup_mmap.h"
#include "harness.h"

#define LARGE		(256ul << 20)
#define NO_STEP		100000	/* an index that no VMA has */

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

FIXTURE(hold) {
	struct dm_saved saved;
	struct dm_forker *f;
};

FIXTURE_VARIANT(hold) {
	enum dm_recoverer recovery;
};

FIXTURE_VARIANT_ADD(hold, rust) { DM_RUST };
FIXTURE_VARIANT_ADD(hold, upstream) { DM_UPSTREAM };
FIXTURE_VARIANT_ADD(hold, xa_zero) { DM_XA_ZERO };
FIXTURE_VARIANT_ADD(hold, xa_zero_bare) { DM_XA_ZERO_BARE };

FIXTURE_SETUP(hold)
{
	dm_save(&self->saved);
	self->f = dm_make_forkers(1);
	ASSERT_NE(NULL, self->f);
	ASSERT_STREQ("", dm_trace_begin());
	ASSERT_EQ(0, dm_trace_event("hold", true));
	ASSERT_STREQ("", dm_prepare_stays());
}

FIXTURE_TEARDOWN_PARENT(hold)
{
	dm_restore(&self->saved);
	dm_trace_end();
}

/* By how much of the tree is the child's own. */
#define NR_CASES	6

static void set_case(struct dm_stay *stay, const struct dm_forker *f, int nr)
{
	const struct {
		enum dm_point point;
		int index;
	} c[NR_CASES] = {
		{ DM_VM_AREA_DUP, dm_forker_index(f) },
		/* The mark is not where it has failed, but on the next one. */
		{ DM_COPY_PAGE_RANGE, dm_forker_index(f) },
		/* Nothing is copied: in the tree is what the child does not get, or not. */
		{ DM_VMA_START_WRITE, 0 },
		{ DM_VM_AREA_DUP, 1 },
		/* There is nothing behind the mark. */
		{ DM_VMA_START_WRITE, f->maps.nr - 1 },
		/* All: there is no mark. */
		{ DM_ARCH_DUP_MMAP, -1 },
	};

	stay->point = c[nr].point;
	stay->index = c[nr].index;
}

enum end { RELEASE, ALL, RESET, TIMEOUT, KILL, EXIT, NR_ENDS };

/* As the trace has them. */
static const char * const end_names[NR_ENDS] = {
	"released", "released", "released", "timeout", "killed", "exit",
};

/*
 * Short: each case at each place where it can be seen, and two cases at the others; let
 * go by its pid or with all. The other ends once for a task that waits and once for an mm
 * that is pinned, for each recovery at another place.
 */
static bool is_in_short_form(enum dm_recoverer r, enum dm_at at, int nr, enum end end)
{
	static const enum dm_at waits[] = { DM_AT_BEFORE, DM_AT_AFTER, DM_AT_UNLOCKED };

	if (end > ALL)
		return !nr && (at == DM_AT_PINNED || at == DM_AT_PARENT ||
			       at == waits[(r + end) % ARRAY_SIZE(waits)]);
	if (dm_is_locked_at(at) && nr % 3 != at - DM_AT_BEFORE)
		return false;
	return end == (r + at + nr) % 2;
}

/* A task that waits does not exit, and one that is not held has no other end. */
static bool is_possible(const struct dm_stay *stay, enum end end)
{
	return end <= ALL || (dm_comes_to(stay) && (end != EXIT || stay->at == DM_AT_PINNED));
}

/* Which hold this is, for who reads that something is wrong. */
static char which[96];

static void begin(struct __test_metadata *_metadata, struct dm_forker *f,
		  const struct dm_stay *stay, enum end end)
{
	if (end == TIMEOUT)
		ASSERT_EQ(0, dm_write(DM_HOLD "timeout-ms", "30"));
	/* It may be over before anybody looks. */
	if (end == TIMEOUT || !dm_comes_to(stay)) {
		ASSERT_STREQ("", dm_aim_stay(stay, 1));
		ASSERT_STREQ("", dm_tell_to_fork(f));
		return;
	}
	ASSERT_STREQ("", dm_begin_stay(f, stay)) TH_LOG("%s", which);
	ASSERT_STREQ("", dm_check_stay(f, stay)) TH_LOG("%s", which);
}

/* Lets it go, and waits for that. */
static void end_it(struct __test_metadata *_metadata, struct dm_forker *f,
		   const struct dm_stay *stay, enum end end)
{
	switch (end) {
	case RELEASE:
		if (!dm_comes_to(stay))
			break;
		/* Not of somebody else. */
		EXPECT_EQ(-ESRCH, dm_release(getpid())) TH_LOG("%s", which);
		EXPECT_EQ(1, dm_nr_held(f->pid)) TH_LOG("%s", which);
		ASSERT_EQ(0, dm_release(f->pid)) TH_LOG("%s", which);
		break;
	case ALL:
		ASSERT_EQ(0, dm_release_all());
		break;
	case RESET:
		dm_reset();
		break;
	case KILL:
		ASSERT_EQ(0, kill(f->pid, SIGKILL));
		ASSERT_STREQ("", dm_reap_forker(f, SIGKILL)) TH_LOG("%s", which);
		break;
	case EXIT:
		ASSERT_STREQ("", dm_stop_forker(f));
		break;
	default:
		break;
	}
	if (f->pid)
		ASSERT_STREQ("", dm_await_fork(f, ENOMEM)) TH_LOG("%s", which);
	ASSERT_TRUE(dm_wait_until(dm_is_none_held, NULL)) TH_LOG("%s", which);
	/* Nobody is left to be let go. */
	EXPECT_EQ(-ESRCH, dm_release(f->pid ?: getpid())) TH_LOG("%s", which);
	EXPECT_EQ(0, dm_release_all());
}

static void expect_no_events(struct __test_metadata *_metadata)
{
	const struct dm_event *events;

	EXPECT_EQ(0, dm_get_events(&events)) TH_LOG("%s", which);
}

/* What is left of it when it is over. */
static void expect_record(struct __test_metadata *_metadata, const struct dm_maps *maps,
			  const struct dm_stay *stay, pid_t pid, const struct dm_stats *before)
{
	struct dm_expect want;
	struct dm_record rec;
	struct dm_stats now;

	dm_model(maps, stay->point, stay->index, 0, &want);
	ASSERT_STREQ("", dm_get_record(&rec));
	ASSERT_EQ(pid, rec.pid) TH_LOG("%s", which);
	ASSERT_STREQ("", dm_compare(maps, &want, stay->point, stay->recovery, &rec))
		TH_LOG("%s", which);
	ASSERT_STREQ("", dm_get_stats(&now));
	ASSERT_STREQ("", dm_compare_stats(&want, stay->recovery, before, &now))
		TH_LOG("%s", which);
}

static void hold_and_end(struct __test_metadata *_metadata, struct dm_forker *f,
			 const struct dm_stay *stay, enum end end)
{
	pid_t pid = f->pid;
	struct dm_stats stats;

	dm_trace_clear();
	ASSERT_STREQ("", dm_get_stats(&stats));
	begin(_metadata, f, stay, end);
	end_it(_metadata, f, stay, end);
	if (!dm_comes_to(stay))
		expect_no_events(_metadata);
	else
		ASSERT_STREQ("", dm_await_end(stay, end == KILL && stay->at == DM_AT_PINNED ?
					      "exit" : end_names[end]))
			TH_LOG("%s", which);
	if (end != RESET)
		expect_record(_metadata, &f->maps, stay, pid, &stats);
	/* It has changed what is asked for, or this has. */
	if (end == RESET || end == TIMEOUT)
		ASSERT_STREQ("", dm_prepare_stays());
}

/* What is held is seen, and ends, and leaves nothing. */
TEST_F_TIMEOUT(hold, at_each_place, dm_long_form() ? 3600 : 300)
{
	struct dm_stay stay = { .recovery = dm_recoveries[variant->recovery] };
	static struct dm_counters before;
	unsigned long taint = dm_taint();
	struct dm_forker *f = self->f;
	int nr, end;

	dm_count_test(&before);
	dm_keep_open();
	for (stay.at = DM_AT_BEFORE; stay.at < DM_NR_AT; stay.at++) {
		/* The first one has all ends, the last of which are those of the process. */
		for (nr = NR_CASES - 1; nr >= 0; nr--) {
			for (end = 0; end < NR_ENDS; end++) {
				if (!is_possible(&stay, end) ||
				    (!dm_long_form() &&
				     !is_in_short_form(variant->recovery, stay.at, nr, end)))
					continue;
				if (!f->pid)
					ASSERT_STREQ("", dm_start_forker(f));
				ASSERT_EQ(0, dm_index_of(&f->maps, DM_FORKER_LOW));
				set_case(&stay, f, nr);
				snprintf(which, sizeof(which), "%s, case %d, to be %s",
					 dm_at_names[stay.at], nr, end_names[end]);
				hold_and_end(_metadata, f, &stay, end);
			}
		}
	}
	dm_close_kept();
	EXPECT_EQ(0, f->pid);
	EXPECT_STREQ("", dm_check_test(&before));
	EXPECT_STREQ("", dm_check_taint(taint));
}

FIXTURE(held) {
	struct dm_saved saved;
	struct dm_overcommit overcommit;
	struct dm_forker *f;
};

FIXTURE_SETUP(held)
{
	dm_save(&self->saved);
	dm_save_overcommit(&self->overcommit);
	self->f = dm_make_forkers(1);
	ASSERT_NE(NULL, self->f);
	ASSERT_STREQ("", dm_prepare_stays());
}

FIXTURE_TEARDOWN_PARENT(held)
{
	dm_restore_overcommit(&self->overcommit);
	dm_restore(&self->saved);
	dm_trace_end();
}

/* Those that fail by themselves, those that work, and those with nothing to look at. */
TEST_F(held, only_what_was_made_to_fail)
{
	struct dm_held_list held;
	struct dm_record rec;
	const char *recovery;
	char *large;
	int at;

	ASSERT_STREQ("", dm_trace_begin());
	ASSERT_EQ(0, dm_trace_event("hold", true));
	/* If one is held all the same, not for long. */
	ASSERT_EQ(0, dm_write(DM_HOLD "timeout-ms", "30"));
	dm_keep_open();
	for (at = DM_AT_BEFORE; at < DM_NR_AT; at++) {
		recovery = dm_recoveries[at % DM_NR_RECOVERIES];
		ASSERT_STREQ("", dm_use_recovery(recovery));
		ASSERT_EQ(0, dm_write(DM_HOLD "at", dm_at_names[at]));
		/* It has failed before there was anything. */
		ASSERT_STREQ("", dm_arm(DM_MT_DUP, -1, 0));
		EXPECT_EQ(ENOMEM, dm_try_fork());
		ASSERT_STREQ("", dm_arm(DM_MMAP_WRITE_LOCK, -1, 0));
		EXPECT_EQ(ENOMEM, dm_try_fork());
		/* Watched, and they work. */
		ASSERT_STREQ("", dm_arm(DM_VM_AREA_DUP, NO_STEP, 0));
		EXPECT_EQ(0, dm_try_fork());
		ASSERT_EQ(0, dm_write(DM_FAIL "dry-run", "1"));
		EXPECT_EQ(0, dm_try_fork());
		/* Nobody watches. */
		dm_disarm();
		EXPECT_EQ(0, dm_try_fork());
	}
	expect_no_events(_metadata);

	large = dm_map_without_room(LARGE);
	ASSERT_NE(NULL, large);
	for (at = DM_AT_BEFORE; at < DM_NR_AT; at++) {
		recovery = dm_recoveries[at % DM_NR_RECOVERIES];
		ASSERT_STREQ("", dm_use_recovery(recovery));
		ASSERT_EQ(0, dm_write(DM_HOLD "at", dm_at_names[at]));
		/* Watched, and then unwatched. */
		ASSERT_STREQ("", dm_arm(DM_VM_AREA_DUP, NO_STEP, 0));
		EXPECT_EQ(ENOMEM, dm_try_fork());
		ASSERT_STREQ("", dm_get_record(&rec));
		EXPECT_STREQ("vm-enough-memory", rec.point);
		EXPECT_EQ('n', rec.injected);
		EXPECT_STREQ(recovery, rec.recovery);
		/* A dry run fails as well. */
		ASSERT_EQ(0, dm_write(DM_FAIL "dry-run", "1"));
		EXPECT_EQ(ENOMEM, dm_try_fork());
		dm_disarm();
		EXPECT_EQ(ENOMEM, dm_try_fork());
	}
	expect_no_events(_metadata);
	ASSERT_STREQ("", dm_get_held(&held));
	EXPECT_EQ(0, held.nr);
	EXPECT_EQ(0, held.missed);
}

/*
 * The parent has unmapped, and freed, what the child's tree still has. Neither the
 * observer nor who takes the child apart looks at it.
 */
TEST_F(held, what_is_freed_is_not_followed)
{
	struct dm_stay stay = { .at = DM_AT_PINNED, .point = DM_VM_AREA_DUP };
	unsigned long taint = dm_taint();
	struct dm_forker *f = self->f;
	int i;

	for (i = DM_XA_ZERO; i <= DM_XA_ZERO_BARE; i++) {
		ASSERT_STREQ("", dm_start_forker(f));
		stay.recovery = dm_recoveries[i];
		stay.index = dm_forker_index(f);
		ASSERT_STREQ("", dm_begin_stay(f, &stay));
		ASSERT_STREQ("", dm_unmap_rest(f));
		dm_rcu_barrier();
		ASSERT_STREQ("", dm_check_stay(f, &stay));
		ASSERT_STREQ("", dm_end_stay(f));
		ASSERT_STREQ("", dm_stop_forker(f));
	}
	EXPECT_STREQ("", dm_check_taint(taint));
}

/* Reads what there is to be seen into *to: 0 if a child is among it that was left. */
static int observe_into(char *to, size_t size)
{
	int fd = open(DM_DIR "/" DM_HOLD "observe", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, to, size - 1);

	return n <= 0 || !strstr(to, "verdict: stale\n");
}

static bool is_waiting(void *fuse)
{
	return dm_fuse_waiting(fuse) > 0;
}

/*
 * An observer is inside of read(), and stays there: the page that it reads into is of a
 * file that nobody serves (lib/fuse.h). The fork is let go all the same, and others look.
 */
TEST_F(held, an_observer_who_stands_still)
{
	static const enum dm_at places[] = { DM_AT_UNLOCKED, DM_AT_PINNED };
	struct dm_stay stay = { .recovery = "xa-zero", .point = DM_VM_AREA_DUP };
	size_t size = sysconf(_SC_PAGESIZE), i;
	unsigned long taint = dm_taint();
	struct dm_forker *f = self->f;
	struct dm_fuse fuse;
	int status;
	pid_t pid;
	char *to;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		/* First: it would inherit the file. */
		ASSERT_STREQ("", dm_start_forker(f));
		stay.at = places[i];
		stay.index = dm_forker_index(f);
		ASSERT_EQ(NULL, dm_fuse_begin(&fuse));
		to = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fuse.file, 0);
		ASSERT_NE(MAP_FAILED, (void *)to);
		ASSERT_STREQ("", dm_begin_stay(f, &stay));
		dm_fuse_hold(&fuse, FUSE_READ);
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid)
			_exit(observe_into(to, size));
		ASSERT_TRUE(dm_wait_until(is_waiting, &fuse));
		EXPECT_STREQ("", dm_check_stay(f, &stay));
		EXPECT_STREQ("", dm_end_stay(f));
		EXPECT_STREQ("", dm_stop_forker(f));
		EXPECT_FALSE(dm_has_ended(&pid));
		EXPECT_FALSE(dm_fuse_gave_up(&fuse));
		dm_fuse_let_go(&fuse);
		ASSERT_TRUE(dm_wait_until(dm_has_ended, &pid));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status);
		munmap(to, size);
		dm_fuse_end(&fuse);
	}
	EXPECT_STREQ("", dm_check_taint(taint));
}

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

int main(int argc, char **argv)
{
	static struct dm_cgroup cgroup;

	return run_counted(&cgroup, test_harness_run, argc, argv);
}
