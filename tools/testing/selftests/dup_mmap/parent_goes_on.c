// SPDX-License-Identifier: GPL-2.0
/*
 * What the parent can do while its fork has failed and the child is taken apart. With
 * recovery=rust, everything: its lock has been let go. Other threads and processes
 * of that address space fault, map, unmap, move, fork, exec and exit, and what they
 * change are those very VMAs that the child's tree still refers to.
 *
 * The teardown is held for as long as this takes (lib/hold.h). With recovery=upstream,
 * and on um with both, the same ones are seen to wait for it.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dup_mmap.h"
#include "harness.h"
#include "parent_parts/parent.h"

struct scene *scene;

FIXTURE(parent) {
	struct dm_saved saved;
	struct dm_cgroup cgroup;
};

FIXTURE_VARIANT(parent) {
	const char *recovery;
	enum where where;
	enum with with;
};

FIXTURE_VARIANT_ADD(parent, rust_first) { "rust", FIRST, NONE };
FIXTURE_VARIANT_ADD(parent, rust_middle) { "rust", MIDDLE, A_FILE };
FIXTURE_VARIANT_ADD(parent, rust_late) { "rust", LATE, NONE };
FIXTURE_VARIANT_ADD(parent, rust_last) { "rust", LAST, NONE };
FIXTURE_VARIANT_ADD(parent, rust_all) { "rust", ALL, NONE };
FIXTURE_VARIANT_ADD(parent, rust_others) { "rust", MIDDLE, OTHERS };
/* Who waits does not care where it failed. */
FIXTURE_VARIANT_ADD(parent, upstream_middle) { "upstream", MIDDLE, A_FILE };
FIXTURE_VARIANT_ADD(parent, upstream_others) { "upstream", MIDDLE, OTHERS };

static void set_the_scene(struct __test_metadata *_metadata, enum where where,
			  enum with with)
{
	int i, k;

	scene = mmap(NULL, sizeof(*scene), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)scene);
	scene->where = where;
	scene->with = with;
	scene->page = sysconf(_SC_PAGESIZE);
	scene->last.fd = -1;
	for (i = 0; i < 2; i++)
		for (k = 0; k < MAX_KINDS; k++)
			scene->kinds[i][k].fd = -1;
	ASSERT_EQ(0, pipe(scene->finish));
	for (i = 0; i < NR_OPS; i++)
		ASSERT_EQ(0, pipe(scene->worker[i].go));
	for (i = 0; i < NR_LEAVERS; i++)
		ASSERT_EQ(0, pipe(scene->leaver[i].go));
}

FIXTURE_SETUP(parent)
{
	dm_save(&self->saved);
	ASSERT_EQ(NULL, dm_cgroup_enter(&self->cgroup));
	ASSERT_EQ(NULL, dm_uncountable());
	set_the_scene(_metadata, variant->where, variant->with);
}

FIXTURE_TEARDOWN_PARENT(parent)
{
	dm_cgroup_leave(&self->cgroup);
	dm_restore(&self->saved);
}

static bool is_done(void *arg)
{
	struct worker *w = arg;

	return __atomic_load_n(&w->done, __ATOMIC_SEQ_CST);
}

static bool has_left(void *arg)
{
	struct worker *w = arg;

	return dm_state_of(w->tid) == 'Z';
}

static bool waits_or_is_done(void *arg)
{
	struct worker *w = arg;

	return dm_state_of(w->tid) == 'D' || is_done(w) || has_left(w);
}

static void tell(struct __test_metadata *_metadata, struct worker *w, char what)
{
	w->done = false;
	ASSERT_EQ(1, write(w->go[1], &what, 1));
}

/* One after the other, each while the fork is held. */
static void go_on(struct __test_metadata *_metadata, struct dm_hold *hold)
{
	int i;

	for (i = 0; i < NR_OPS; i++) {
		struct worker *w = &scene->worker[i];

		tell(_metadata, w, 'o');
		ASSERT_TRUE(dm_wait_until(is_done, w)) TH_LOG("%s waits", ops[i].name);
		EXPECT_STREQ("", w->why) TH_LOG("%s", ops[i].name);
		ASSERT_TRUE(dm_is_held(hold)) TH_LOG("%s: the fork goes on", ops[i].name);
	}
	for (i = 0; i < NR_LEAVERS; i++) {
		tell(_metadata, &scene->leaver[i], 'l');
		ASSERT_TRUE(dm_wait_until(has_left, &scene->leaver[i]))
			TH_LOG("%s waits", leaver_name(i));
		ASSERT_TRUE(dm_is_held(hold)) TH_LOG("%s: the fork goes on", leaver_name(i));
	}
}

/* None of them gets any further before the fork is let go. */
static void wait_all(struct __test_metadata *_metadata, struct dm_hold *hold)
{
	struct worker *w;
	int i;

	for (i = 0; i < NR_OPS + NR_LEAVERS; i++) {
		w = i < NR_OPS ? &scene->worker[i] : &scene->leaver[i - NR_OPS];
		tell(_metadata, w, 'o');
		ASSERT_TRUE(dm_wait_until(waits_or_is_done, w))
			TH_LOG("%d is neither asleep nor done", i);
	}
	ASSERT_TRUE(dm_is_held(hold));
	for (i = 0; i < NR_OPS; i++) {
		w = &scene->worker[i];
		/* Nothing to do, so nothing to wait for. */
		if (i == KINDS && scene->with == NONE)
			continue;
		EXPECT_FALSE(is_done(w)) TH_LOG("%s does not wait", ops[i].name);
		EXPECT_EQ('D', dm_state_of(w->tid)) TH_LOG("%s", ops[i].name);
	}
	for (i = 0; i < NR_LEAVERS; i++)
		EXPECT_EQ('D', dm_state_of(scene->leaver[i].tid)) TH_LOG("%s", leaver_name(i));
}

static bool has_stormed(void *arg)
{
	return __atomic_load_n(&scene->storms, __ATOMIC_SEQ_CST) >= *(unsigned long *)arg;
}

static bool is_over(void *arg)
{
	struct dm_hold *hold = arg;

	return __atomic_load_n(&hold->held->over, __ATOMIC_SEQ_CST);
}

/* The rest of the teardown is done while the parent's VMAs come and go. */
static void let_go_in_a_storm(struct __test_metadata *_metadata, struct dm_hold *hold)
{
	unsigned long enough = 50;
	int i;

	for (i = 0; i < 3; i++)
		tell(_metadata, &scene->worker[i], 's');
	ASSERT_TRUE(dm_wait_until(has_stormed, &enough));
	ASSERT_TRUE(dm_is_held(hold));
	dm_let_go(hold);
	ASSERT_TRUE(dm_wait_until(is_over, hold)) TH_LOG("the fork does not return");
	enough = scene->storms + 10;
	EXPECT_TRUE(dm_wait_until(has_stormed, &enough));
	__atomic_store_n(&scene->stop, 1, __ATOMIC_SEQ_CST);
	for (i = 0; i < 3; i++)
		EXPECT_TRUE(dm_wait_until(is_done, &scene->worker[i]));
}

static enum dm_point point_of(enum where where)
{
	/* Of the file itself it has to be after the copy is in the tree. */
	return where == FIRST ? DM_COPY_PAGE_RANGE : where == ALL ? DM_ARCH_DUP_MMAP :
		DM_VM_AREA_DUP;
}

static void hold_and_look(struct __test_metadata *_metadata, const char *recovery)
{
	bool early = dm_lets_go_early(recovery);
	struct dm_how how = {
		.point = point_of(scene->where),
		.prepare = prepare,
		.check = check,
	};
	static struct dm_held held;
	struct dm_counters before;
	unsigned long taint = dm_taint(), held_for, let_go;
	struct dm_hold hold;
	int i;

	ASSERT_STREQ("", dm_use_recovery(recovery));
	dm_get_counters(&before);
	ASSERT_EQ(NULL, dm_hold_begin(&hold));
	ASSERT_STREQ("", dm_hold_fork(&hold, &how));
	scene->file = hold.held->file;
	if (early)
		go_on(_metadata, &hold);
	else
		wait_all(_metadata, &hold);
	held_for = dm_ns() - hold.since;
	if (early) {
		let_go_in_a_storm(_metadata, &hold);
	} else {
		dm_let_go(&hold);
		for (i = 0; i < NR_OPS; i++) {
			EXPECT_TRUE(dm_wait_until(is_done, &scene->worker[i]))
				TH_LOG("%s waits for ever", ops[i].name);
			EXPECT_STREQ("", scene->worker[i].why) TH_LOG("%s", ops[i].name);
		}
		for (i = 0; i < NR_LEAVERS; i++)
			EXPECT_TRUE(dm_wait_until(has_left, &scene->leaver[i]))
				TH_LOG("%s waits for ever", leaver_name(i));
	}
	ASSERT_EQ(1, write(scene->finish[1], "f", 1));
	ASSERT_STREQ("", dm_end_hold(&hold, false, &held));

	/* It was held in between, so these can't be less than that. */
	EXPECT_STREQ(recovery, held.rec.recovery);
	EXPECT_GE(held.rec.ns, held_for);
	let_go = held.rec.parent_lock_ns;
	EXPECT_TRUE(early ? let_go + held_for <= held.rec.ns : let_go >= held_for)
		TH_LOG("let go after %lu of %lu ns, held for %lu", let_go, held.rec.ns,
		       held_for);
	EXPECT_STREQ("", dm_check_counters(&before, DM_PATIENT));
	EXPECT_STREQ("", dm_check_taint(taint));
}

TEST_F_TIMEOUT(parent, goes_on, 600)
{
	hold_and_look(_metadata, variant->recovery);
}

FIXTURE(killed) {
	struct dm_saved saved;
	struct dm_cgroup cgroup;
};

FIXTURE_VARIANT(killed) {
	const char *recovery;
};

FIXTURE_VARIANT_ADD(killed, rust) { "rust" };
FIXTURE_VARIANT_ADD(killed, upstream) { "upstream" };

FIXTURE_SETUP(killed)
{
	dm_save(&self->saved);
	ASSERT_STREQ("", dm_use_recovery(variant->recovery));
	ASSERT_EQ(NULL, dm_cgroup_enter(&self->cgroup));
	ASSERT_EQ(NULL, dm_uncountable());
	set_the_scene(_metadata, MIDDLE, NONE);
}

FIXTURE_TEARDOWN_PARENT(killed)
{
	dm_cgroup_leave(&self->cgroup);
	dm_restore(&self->saved);
}

static bool has_gone(void *arg)
{
	struct worker *w = arg;

	return dm_state_of(w->tid) == '?';
}

static bool waits_or_has_gone(void *arg)
{
	struct worker *w = arg;

	return dm_sleeps_in(w->tid, "do_exit") || has_gone(w);
}

/* All threads end, but for the one whose fork is held. */
TEST_F(killed, while_it_is_held)
{
	bool early = dm_lets_go_early(variant->recovery);
	struct dm_how how = { .point = DM_VM_AREA_DUP, .prepare = prepare };
	static struct dm_held held;
	struct dm_counters before;
	unsigned long taint = dm_taint();
	struct dm_record rec;
	struct dm_hold hold;
	pid_t pid;
	int i;

	dm_get_counters(&before);
	ASSERT_EQ(NULL, dm_hold_begin(&hold));
	ASSERT_STREQ("", dm_hold_fork(&hold, &how));
	pid = hold.pid;
	dm_kill_held(&hold);
	for (i = 0; i < NR_OPS; i++) {
		EXPECT_TRUE(dm_wait_until(waits_or_has_gone, &scene->worker[i]));
		EXPECT_TRUE(!early || dm_wait_until(has_gone, &scene->worker[i]));
	}
	ASSERT_TRUE(dm_is_held(&hold));
	for (i = 0; i < NR_OPS; i++)
		EXPECT_EQ(early, has_gone(&scene->worker[i]));
	ASSERT_STREQ("", dm_end_hold(&hold, true, &held));

	ASSERT_STREQ("", dm_get_record(&rec));
	EXPECT_EQ(pid, rec.pid);
	EXPECT_STREQ("", dm_judge(&held.maps, variant->recovery, &rec));
	EXPECT_STREQ("", dm_check_counters(&before, DM_PATIENT));
	EXPECT_STREQ("", dm_check_taint(taint));
}

static pid_t owner;

static void end_kinds(void)
{
	if (getpid() == owner)
		dm_kinds_end();
}

/*
 * Not in the short form on an emulated machine. Other programs look at the tree after a
 * failure at these places. And with upstream all threads wait for the same lock, whatever
 * VMAs there are, killed or not. User Mode Linux shows that.
 */
static const char * const seen_elsewhere[] = {
	"rust_first", "rust_late", "rust_last", "rust_all", "upstream_others", "upstream",
};

int main(int argc, char **argv)
{
	/* What one of the processes executes. */
	if (argc == 2 && !strcmp(argv[1], "--leave"))
		return 0;
	dm_with_room_above(argv);
	dm_skip_unless_available();
	/* In this process, as it knows at the end what there was before. */
	dm_kinds_begin(2);
	owner = getpid();
	atexit(end_kinds);
	return run_but(seen_elsewhere, ARRAY_SIZE(seen_elsewhere), argc, argv);
}
