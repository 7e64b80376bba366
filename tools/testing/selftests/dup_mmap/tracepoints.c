// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoints `injected` and `recovered` have the numbers of `last`, and there is no
 * event that nobody has asked for. hold_trace.c has the others.
 */
#include "dup_mmap.h"
#include "harness.h"

FIXTURE(trace) {
	struct dm_saved saved;
	struct dm_alloc alloc;
};

FIXTURE_VARIANT(trace) {
	const char *recovery;
};

FIXTURE_VARIANT_ADD(trace, rust) { "rust" };
FIXTURE_VARIANT_ADD(trace, upstream) { "upstream" };

FIXTURE_SETUP(trace)
{
	const char *why;

	dm_save(&self->saved);
	why = dm_trace_begin();
	if (*why)
		SKIP(return, "%s", why);
	ASSERT_STREQ("", dm_use_recovery(variant->recovery));
}

FIXTURE_TEARDOWN_PARENT(trace)
{
	dm_trace_end();
	dm_alloc_end(&self->alloc);
	dm_restore(&self->saved);
}

/* What the only event of this name prints, "" if there is none. */
static const char *the_event(struct __test_metadata *_metadata, const char *name)
{
	const struct dm_event *events;
	int i, nr = dm_get_events(&events);
	size_t len = strlen(name);
	const char *found = "";

	ASSERT_GE(nr, 0);
	for (i = 0; i < nr; i++) {
		if (strncmp(events[i].what, name, len) || strncmp(events[i].what + len, ": ", 2))
			continue;
		ASSERT_STREQ("", found) TH_LOG("twice: %s", events[i].what);
		ASSERT_EQ(getpid(), events[i].pid) TH_LOG("%s", events[i].what);
		found = events[i].what + len + 2;
	}
	return found;
}

/* One fork that fails; the events are those of it. */
static void shoot_traced(struct __test_metadata *_metadata, enum dm_point point,
			 int index, int error, const char *alloc_nth,
			 struct dm_record *rec)
{
	int err;

	dm_trace_clear();
	ASSERT_STREQ("", dm_arm(point, index, error));
	ASSERT_EQ(0, dm_write(DM_FAIL "alloc-nth", alloc_nth));
	ASSERT_EQ(-1, dm_fork(&err));
	ASSERT_EQ(ENOMEM, err);
	dm_disarm();
	ASSERT_STREQ("", dm_get_record(rec));
	ASSERT_STREQ(dm_points[point].name, rec->point);
}

/* The same numbers as in `last`, under their own names. */
TEST_F(trace, events_agree_with_last)
{
	static struct dm_maps maps;
	const struct {
		enum dm_point point;
		int error;
		const char *alloc_nth;
		int injected;		/* the error in the event */
		bool recovered;
	} c[] = {
		{ DM_COPY_PAGE_RANGE, 0, "0", -ENOMEM, true },
		{ DM_ARCH_DUP_MMAP, 0, "0", -ENOMEM, true },
		{ DM_VMA_START_WRITE, -EINTR, "0", -EINTR, true },
		/* dup_mmap() makes something else of it. */
		{ DM_VM_AREA_DUP, -EINTR, "0", -EINTR, true },
		{ DM_MT_DUP, 0, "0", -ENOMEM, false },
		/* The step is taken, and what it comes to not known yet. */
		{ DM_VM_AREA_DUP, 0, "1", 0, true },
	};
	struct dm_layout l;
	struct dm_record rec;
	char want[512];
	const char *why;
	size_t i;
	int index;

	ASSERT_EQ(NULL, dm_build(&l, DM_ANON, DM_MIDDLE));
	why = dm_alloc_begin(&self->alloc, "");
	ASSERT_EQ(0, dm_trace_event("injected", true));
	ASSERT_EQ(0, dm_trace_event("recovered", true));
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		if (why && strcmp(c[i].alloc_nth, "0")) {
			TH_LOG("no allocation fails: %s", why);
			continue;
		}
		ASSERT_STREQ("", dm_get_maps(&maps));
		index = dm_points[c[i].point].has_vma ? dm_index_of(&maps, l.addr) : -1;
		shoot_traced(_metadata, c[i].point, index, c[i].error,
			     c[i].alloc_nth, &rec);
		ASSERT_EQ(index, rec.index);
		ASSERT_EQ(strtoul(c[i].alloc_nth, NULL, 10), rec.alloc_nth);
		ASSERT_EQ(c[i].recovered, !strcmp(variant->recovery, rec.recovery));

		snprintf(want, sizeof(want),
			 "point=%s vma_index=%d vma=%lx-%lx error=%d alloc_nth=%lu",
			 rec.point, rec.index, rec.start, rec.end_addr,
			 c[i].injected, rec.alloc_nth);
		ASSERT_STREQ(want, the_event(_metadata, "injected"))
			TH_LOG("case %zu", i);
		if (dm_points[c[i].point].err_kept)
			ASSERT_EQ(c[i].injected, rec.err);

		snprintf(want, sizeof(want),
			 "point=%s vma_index=%d vma=%lx-%lx error=%d recovery=%s extent=%llx vmas_copied=%lu vmas_torn_down=%lu pages_uncharged=%lu",
			 rec.point, rec.index, rec.start, rec.end_addr, rec.err,
			 rec.recovery, rec.end, rec.copied, rec.torn_down,
			 rec.uncharged);
		ASSERT_STREQ(c[i].recovered ? want : "",
			     the_event(_metadata, "recovered"))
			TH_LOG("case %zu", i);
	}
	EXPECT_STREQ("", dm_check_layout(&l));
	EXPECT_STREQ("", dm_unbuild(&l));
}

TEST_F(trace, nothing_without_events)
{
	static const char * const names[] = { "injected", "recovered" };
	struct dm_record rec;
	int on;
	size_t i;

	/* Neither, then each alone, then neither again. */
	for (on = 0; on < 4; on++) {
		for (i = 0; i < 2; i++)
			ASSERT_EQ(0, dm_trace_event(names[i], on == (int)i + 1));
		shoot_traced(_metadata, DM_COPY_PAGE_RANGE, 1, 0, "0", &rec);
		for (i = 0; i < 2; i++) {
			EXPECT_EQ(on == (int)i + 1, !!*the_event(_metadata, names[i]))
				TH_LOG("%s, run %d", names[i], on);
		}
	}
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
