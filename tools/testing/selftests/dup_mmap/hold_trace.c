// SPDX-License-Identifier: GPL-2.0
/* The life of a fork that fails and is held, event by event. */
#include "dup_mmap.h"
#include "harness.h"

#define NO_STEP		100000	/* an index that no VMA has */

FIXTURE(hold_trace) {
	struct dm_saved saved;
	struct dm_forker *f;
};

static void set_up(struct __test_metadata *_metadata, struct dm_saved *saved,
		   struct dm_forker **f)
{
	dm_save(saved);
	*f = dm_make_forkers(1);
	ASSERT_NE(NULL, *f);
	ASSERT_STREQ("", dm_trace_begin());
	ASSERT_STREQ("", dm_prepare_stays());
	ASSERT_STREQ("", dm_start_forker(*f));
}

static void tear_down(const struct dm_saved *saved)
{
	dm_restore(saved);
	dm_trace_end();
}

FIXTURE_VARIANT(hold_trace) {
	enum dm_recoverer recovery;
};

FIXTURE_VARIANT_ADD(hold_trace, rust) { DM_RUST };
FIXTURE_VARIANT_ADD(hold_trace, upstream) { DM_UPSTREAM };
FIXTURE_VARIANT_ADD(hold_trace, xa_zero) { DM_XA_ZERO };
FIXTURE_VARIANT_ADD(hold_trace, xa_zero_bare) { DM_XA_ZERO_BARE };

FIXTURE_SETUP(hold_trace)
{
	set_up(_metadata, &self->saved, &self->f);
}

FIXTURE_TEARDOWN_PARENT(hold_trace)
{
	tear_down(&self->saved);
}

/* What the trace is to have of one fork. */
static char wanted[512][160];
static int nr_wanted;

__printf(2, 3)
static void want_event(struct __test_metadata *_metadata, const char *fmt, ...)
{
	va_list args;

	ASSERT_LT(nr_wanted, (int)ARRAY_SIZE(wanted));
	va_start(args, fmt);
	vsnprintf(wanted[nr_wanted++], sizeof(wanted[0]), fmt, args);
	va_end(args);
}

/* Each step up to the one that fails. */
static void want_points(struct __test_metadata *_metadata, const struct dm_maps *maps,
			const struct dm_stay *stay)
{
	int i, p;

	for (p = DM_MMAP_WRITE_LOCK; p <= DM_MT_DUP; p++)
		want_event(_metadata, "point: point=%s vma_index=-1 vma=0-0", dm_points[p].name);
	for (i = 0; i < maps->nr; i++) {
		for (p = DM_VMA_START_WRITE; p < DM_ARCH_DUP_MMAP; p++) {
			if (!dm_reached(p, &maps->vma[i]))
				continue;
			want_event(_metadata, "point: point=%s vma_index=%d vma=%lx-%lx",
				   dm_points[p].name, i, maps->vma[i].start, maps->vma[i].end);
			if (i == stay->index && p == (int)stay->point)
				return;
		}
	}
	want_event(_metadata, "point: point=arch-dup-mmap vma_index=-1 vma=0-0");
}

static void want_hold(struct __test_metadata *_metadata, const struct dm_stay *stay, enum dm_at at)
{
	if (stay->at != at)
		return;
	want_event(_metadata, "hold: at=%s begins", dm_at_names[at]);
	want_event(_metadata, "hold: at=%s ends: released", dm_at_names[at]);
}

static void want_events(struct __test_metadata *_metadata, const struct dm_maps *maps,
			const struct dm_stay *stay)
{
	const struct dm_vma *vma = &maps->vma[stay->index];
	struct dm_expect want;

	dm_model(maps, stay->point, stay->index, 0, &want);
	nr_wanted = 0;
	want_event(_metadata, "begin: recovery=%s", stay->recovery);
	want_points(_metadata, maps, stay);
	if (!want.fails) {
		want_event(_metadata, "end: error=0 recovery=none");
		return;
	}
	want_event(_metadata, "injected: point=%s vma_index=%d vma=%lx-%lx error=%d alloc_nth=0",
		   dm_points[stay->point].name, stay->index, vma->start, vma->end, -ENOMEM);
	want_hold(_metadata, stay, DM_AT_BEFORE);
	if (dm_lets_go_early(stay->recovery)) {
		want_event(_metadata, "unlock: who=parent");
		want_hold(_metadata, stay, DM_AT_PARENT);
	}
	want_hold(_metadata, stay, DM_AT_AFTER);
	want_event(_metadata, "end: error=%d recovery=%s", -ENOMEM, stay->recovery);
	/* The rest of it is compared with last in records. */
	want_event(_metadata, "recovered: point=%s vma_index=%d vma=%lx-%lx error=%d recovery=%s ",
		   dm_points[stay->point].name, stay->index, vma->start, vma->end, -ENOMEM,
		   stay->recovery);
	want_hold(_metadata, stay, DM_AT_UNLOCKED);
	want_hold(_metadata, stay, DM_AT_PINNED);
}

static bool are_all_there(void *arg)
{
	const struct dm_event *events;

	return dm_get_events(&events) >= nr_wanted;
}

static void compare_events(struct __test_metadata *_metadata, const struct dm_forker *f,
			   enum dm_at at)
{
	const struct dm_event *events;
	int i, nr;

	/* The last one of a fork that is pinned is not its own, and may come later. */
	if (at == DM_AT_PINNED)
		dm_wait_until(are_all_there, NULL);
	nr = dm_get_events(&events);
	for (i = 0; i < nr && i < nr_wanted; i++) {
		size_t len = strlen(wanted[i]);

		/* Up to its end, unless that is left open. */
		ASSERT_EQ(0, strncmp(wanted[i], events[i].what,
				     wanted[i][len - 1] == ' ' ? len : len + 1))
			TH_LOG("%s, event %d is '%s', expected '%s'", dm_at_names[at], i,
			       events[i].what, wanted[i]);
		/* All but the end of one that is pinned are of the task itself. */
		if (at != DM_AT_PINNED || i != nr_wanted - 1)
			ASSERT_EQ(f->pid, events[i].pid) TH_LOG("%s", events[i].what);
	}
	EXPECT_EQ(nr_wanted, nr) TH_LOG("%s", dm_at_names[at]);
}

TEST_F(hold_trace, event_by_event)
{
	struct dm_forker *f = self->f;
	struct dm_stay stay = {
		.recovery = dm_recoveries[variant->recovery],
		.point = DM_ANON_VMA_FORK,
		.index = dm_forker_index(f),
	};

	ASSERT_EQ(0, dm_trace_event(NULL, true));
	for (stay.at = DM_AT_NONE; stay.at < DM_NR_AT; stay.at++) {
		dm_trace_clear();
		if (stay.at == DM_AT_NONE || !dm_comes_to(&stay)) {
			ASSERT_STREQ("", dm_aim_stay(&stay, 1));
			ASSERT_STREQ("", dm_tell_to_fork(f));
			ASSERT_STREQ("", dm_await_fork(f, ENOMEM));
		} else {
			ASSERT_STREQ("", dm_begin_stay(f, &stay));
			ASSERT_STREQ("", dm_end_stay(f));
		}
		want_events(_metadata, &f->maps, &stay);
		compare_events(_metadata, f, stay.at);
	}

	/* One that works. */
	stay.at = DM_AT_UNLOCKED;
	stay.index = NO_STEP;
	dm_trace_clear();
	ASSERT_STREQ("", dm_aim_stay(&stay, 1));
	ASSERT_STREQ("", dm_tell_to_fork(f));
	ASSERT_STREQ("", dm_await_fork(f, 0));
	want_events(_metadata, &f->maps, &stay);
	compare_events(_metadata, f, stay.at);
	ASSERT_STREQ("", dm_stop_forker(f));
}

FIXTURE(events) {
	struct dm_saved saved;
	struct dm_forker *f;
};

FIXTURE_SETUP(events)
{
	set_up(_metadata, &self->saved, &self->f);
}

FIXTURE_TEARDOWN_PARENT(events)
{
	tear_down(&self->saved);
}

/* An event that is not enabled says nothing, whatever others do. */
TEST_F(events, off_is_silent)
{
	static const char * const names[] = {
		"begin", "point", "injected", "hold", "unlock", "end", "recovered",
	};
	const int nr_names = ARRAY_SIZE(names);
	const struct dm_event *events;
	struct dm_forker *f = self->f;
	struct dm_stay stay = {
		.at = DM_AT_AFTER,
		.recovery = "rust",
		.point = DM_VM_AREA_DUP,
		.index = dm_forker_index(f),
	};
	int on, i, nr;
	bool says;

	/* None, each alone, none again. */
	for (on = -1; on <= nr_names; on++) {
		if (on > 0)
			ASSERT_EQ(0, dm_trace_event(names[on - 1], false));
		if (on >= 0 && on < nr_names)
			ASSERT_EQ(0, dm_trace_event(names[on], true));
		dm_trace_clear();
		ASSERT_STREQ("", dm_begin_stay(f, &stay));
		ASSERT_STREQ("", dm_end_stay(f));
		nr = dm_get_events(&events);
		says = on >= 0 && on < nr_names &&
			(strcmp(names[on], "unlock") || dm_lets_go_early("rust"));
		ASSERT_EQ(says, nr > 0) TH_LOG("run %d", on);
		for (i = 0; i < nr; i++)
			EXPECT_EQ(0, strncmp(events[i].what, names[on], strlen(names[on])))
				TH_LOG("%s instead of %s", events[i].what, names[on]);
	}
	ASSERT_STREQ("", dm_stop_forker(f));
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
