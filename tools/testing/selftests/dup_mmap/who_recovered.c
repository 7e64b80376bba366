// SPDX-License-Identifier: GPL-2.0
/*
 * Whose recovery runs, seen from outside of the module: the function tracer
 * sees what this task calls while its fork fails. unmap_region() and remove_vma() are
 * called by the kernel's own recovery and by nothing else in fork(); the helpers,
 * dup_mmap_zap_vmas() and others, by the module's, which takes a group of VMAs after
 * the other. For each it asks once whether another task should run. The kernel's lets
 * the parent go when all is done, the module's before that.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "dup_mmap.h"
#include "harness.h"

#define TRACING		"/sys/kernel/tracing/"
#define INSTANCE	TRACING "instances/dup_mmap_who"

/* VMAs that are torn down together, at most. */
#define GROUP		32

enum {
	UNMAP_REGION, REMOVE, OOM_SKIP, UNLOCK, FLUSH, ZAP, UNLINK, REMOVE_GROUP,
	RESCHED, UNSTABLE, UP_WRITE, COMM, NR_FUNCTIONS
};

static const char * const functions[NR_FUNCTIONS] = {
	[UNMAP_REGION]	= "unmap_region",
	[REMOVE]	= "remove_vma",
	[OOM_SKIP]	= "helper_mm_set_oom_skip",
	[UNLOCK]	= "dup_mmap_unlock_parent",
	[FLUSH]		= "flush_tlb_mm_range",
	[ZAP]		= "dup_mmap_zap_vmas",
	[UNLINK]	= "dup_mmap_unlink_anon_vmas",
	[REMOVE_GROUP]	= "dup_mmap_remove_vmas",
	[RESCHED]	= "helper_cond_resched",
	[UNSTABLE]	= "helper_mm_set_unstable",
	[UP_WRITE]	= "up_write",
	[COMM]		= "helper_current_comm",
};

/* What is inlined somewhere can't be seen there. */
static bool can_be_seen(int f)
{
#ifndef __x86_64__
	if (f == FLUSH)
		return false;
#endif
	return true;
}

static char text[1 << 20];

FIXTURE(who) {
	struct dm_saved saved;
};

FIXTURE_VARIANT(who) {
	const char *recovery;
};

FIXTURE_VARIANT_ADD(who, rust) { "rust" };
FIXTURE_VARIANT_ADD(who, upstream) { "upstream" };

FIXTURE_SETUP(who)
{
	char name[64];
	size_t i;
	int fd;

	dm_save(&self->saved);
	dm_read_path(TRACING "available_tracers", text, sizeof(text));
	if (!strstr(text, "function"))
		SKIP(return, "no function tracer (CONFIG_FUNCTION_TRACER)");
	/* Its own buffer and its own filters. */
	if (mkdir(INSTANCE, 0700) && errno != EEXIST)
		SKIP(return, "%s: %s", INSTANCE, strerror(errno));
	ASSERT_EQ(0, dm_write_path(INSTANCE "/tracing_on", "0"));
	/* Takes one at a time, and knows by the space that it is all of it. */
	for (i = 0; i < NR_FUNCTIONS; i++) {
		if (!can_be_seen(i))
			continue;
		snprintf(name, sizeof(name), "%s ", functions[i]);
		ASSERT_EQ(0, dm_write_path(INSTANCE "/set_ftrace_filter", name))
			TH_LOG("%s", name);
	}
	fd = open(INSTANCE "/set_ftrace_pid", O_WRONLY | O_TRUNC | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	snprintf(name, sizeof(name), "%d ", getpid());
	ASSERT_EQ((ssize_t)strlen(name), write(fd, name, strlen(name)));
	close(fd);
	ASSERT_EQ(0, dm_write_path(INSTANCE "/current_tracer", "function"));
	ASSERT_STREQ("", dm_use_recovery(variant->recovery));
}

FIXTURE_TEARDOWN_PARENT(who)
{
	dm_write_path(INSTANCE "/current_tracer", "nop");
	rmdir(INSTANCE);
	dm_restore(&self->saved);
}

/* Where in the trace a function is called first, or last; NULL: it is not. */
static const char *find_call(int f, bool last)
{
	const char *p, *found = NULL;
	char key[64];

	snprintf(key, sizeof(key), ": %s <-", functions[f]);
	for (p = text; (p = strstr(p, key)) && (!found || last); p++)
		found = p;
	return found;
}

/* How often each function is in the trace. */
static void count_calls(unsigned long calls[NR_FUNCTIONS])
{
	char key[64];
	const char *p;
	size_t i;

	for (i = 0; i < NR_FUNCTIONS; i++) {
		snprintf(key, sizeof(key), ": %s <-", functions[i]);
		for (p = text, calls[i] = 0; (p = strstr(p, key)); p++)
			calls[i]++;
	}
}

/* A fork that fails there, and what it calls meanwhile: in text. */
static void trace_fork(struct __test_metadata *_metadata, const char *recovery,
		       const struct dm_maps *maps, enum dm_point point, int index,
		       struct dm_record *rec)
{
	struct dm_shot shot;
	int fd;

	ASSERT_STREQ("", dm_arm(point, index, 0));
	/* Empties it. */
	fd = open(INSTANCE "/trace", O_WRONLY | O_TRUNC | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	close(fd);
	ASSERT_EQ(0, dm_write_path(INSTANCE "/tracing_on", "1"));
	EXPECT_STREQ("", dm_watch_fork(&shot, NULL, NULL));
	ASSERT_EQ(0, dm_write_path(INSTANCE "/tracing_on", "0"));
	dm_disarm();
	ASSERT_STREQ("", dm_judge_shot(&shot, maps, recovery, rec));
	ASSERT_GT(dm_read_path(INSTANCE "/trace", text, sizeof(text)), 0);
	ASSERT_LT(strlen(text), sizeof(text) - 1);
}

TEST_F(who, seen_from_outside)
{
	static struct dm_maps maps;
	const struct {
		enum dm_point point;
		const char *class;
	} c[] = {
		{ DM_MT_DUP, "-" },
		{ DM_VMA_START_WRITE, "none" },
		{ DM_COPY_PAGE_RANGE, "partial" },
		{ DM_ARCH_DUP_MMAP, "all" },
	};
	bool rust = !strcmp(variant->recovery, "rust");
	unsigned long calls[NR_FUNCTIONS], groups;
	struct dm_record rec;
	size_t i;

	ASSERT_STREQ("", dm_get_maps_and_flags(&maps));
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		bool recovered = c[i].point != DM_MT_DUP;

		trace_fork(_metadata, variant->recovery, &maps, c[i].point,
			   c[i].point == DM_COPY_PAGE_RANGE ? 1 :
			   c[i].point == DM_VMA_START_WRITE ? 0 : -1, &rec);
		count_calls(calls);
		ASSERT_STREQ(c[i].class, rec.class);
		EXPECT_STREQ(recovered ? variant->recovery : "-", rec.recovery);

		EXPECT_EQ(!rust && rec.torn_down, calls[UNMAP_REGION])
			TH_LOG("%s", c[i].class);
		EXPECT_EQ(rust ? 0 : rec.torn_down, calls[REMOVE]) TH_LOG("%s", c[i].class);
		/* There are that many, if each is full but the last one. */
		groups = rust ? (rec.torn_down + GROUP - 1) / GROUP : 0;
		EXPECT_EQ(rust && recovered, calls[OOM_SKIP]) TH_LOG("%s", c[i].class);
		EXPECT_EQ(1, calls[UNLOCK]) TH_LOG("%s", c[i].class);
		EXPECT_EQ(groups, calls[ZAP]) TH_LOG("%s", c[i].class);
		EXPECT_EQ(groups, calls[UNLINK]) TH_LOG("%s", c[i].class);
		EXPECT_EQ(groups, calls[REMOVE_GROUP]) TH_LOG("%s", c[i].class);
		EXPECT_EQ(rust && recovered, calls[UNSTABLE]) TH_LOG("%s", c[i].class);
	}
}

/* The functions that take something from the child, in any order. */
static const int takes[] = { UNMAP_REGION, REMOVE, ZAP, UNLINK, REMOVE_GROUP };

/*
 * Others of the parent can go on before anything of the child is torn down, or not
 * before all of it is; but in any case not before the parent's TLB is flushed, whose
 * pages have just been made read-only.
 */
TEST_F(who, when_the_parent_is_let_go)
{
	static const enum dm_point points[] = { DM_COPY_PAGE_RANGE, DM_ARCH_DUP_MMAP };
	bool rust = !strcmp(variant->recovery, "rust");
	const char *unlock, *first, *last, *flush;
	static struct dm_maps maps;
	struct dm_record rec;
	size_t i, k;

	ASSERT_STREQ("", dm_get_maps_and_flags(&maps));
	for (i = 0; i < ARRAY_SIZE(points); i++) {
		trace_fork(_metadata, variant->recovery, &maps, points[i],
			   dm_points[points[i]].has_vma ? maps.nr / 2 : -1, &rec);
		ASSERT_GT(rec.torn_down, 0);
		unlock = find_call(UNLOCK, false);
		ASSERT_NE(NULL, unlock);
		for (k = 0; k < ARRAY_SIZE(takes); k++) {
			first = find_call(takes[k], false);
			last = find_call(takes[k], true);
			if (!first)
				continue;
			EXPECT_EQ(rust, unlock < first)
				TH_LOG("%s, %s", rec.point, functions[takes[k]]);
			EXPECT_EQ(rust, unlock < last)
				TH_LOG("%s, %s", rec.point, functions[takes[k]]);
		}
		flush = strstr(unlock, ": flush_tlb_mm_range <-dup_mmap_unlock_parent");
		EXPECT_EQ(can_be_seen(FLUSH), !!flush) TH_LOG("%s", rec.point);
		EXPECT_TRUE(!flush || !rust || flush < find_call(ZAP, false))
			TH_LOG("%s", rec.point);
	}
}

/*
 * The record is written when both locks have been dropped: it asks for the task's name.
 * And the parent's is dropped when its TLB is flushed, so that nobody copies a page for
 * another child which some CPU can still write to.
 */
TEST_F(who, over_when_the_locks_are_dropped)
{
	static const enum dm_point points[] = {
		DM_MT_DUP, DM_COPY_PAGE_RANGE, DM_ARCH_DUP_MMAP
	};
	const char *parent, *child, *flush, *over;
	static struct dm_maps maps;
	struct dm_record rec;
	size_t i;

	ASSERT_STREQ("", dm_get_maps_and_flags(&maps));
	for (i = 0; i < ARRAY_SIZE(points); i++) {
		trace_fork(_metadata, variant->recovery, &maps, points[i],
			   dm_points[points[i]].has_vma ? maps.nr / 2 : -1, &rec);
		over = find_call(COMM, false);
		child = strstr(text, ": up_write <-dup_mmap_fail");
		parent = strstr(text, ": up_write <-dup_mmap_unlock_parent");
		flush = strstr(text, ": flush_tlb_mm_range <-dup_mmap_unlock_parent");
		ASSERT_NE(NULL, over);
		ASSERT_NE(NULL, child);
		ASSERT_NE(NULL, parent);
		EXPECT_LT(child, over) TH_LOG("%s", rec.point);
		EXPECT_LT(parent, over) TH_LOG("%s", rec.point);
		EXPECT_EQ(can_be_seen(FLUSH), !!flush);
		EXPECT_TRUE(!flush || flush < parent) TH_LOG("%s", rec.point);
	}
}

/* It asks between two groups, and so once for each of them. */
TEST_F(who, others_may_run_in_between)
{
	size_t page = sysconf(_SC_PAGESIZE), nr = 10 * GROUP, i;
	unsigned long calls[NR_FUNCTIONS];
	bool rust = !strcmp(variant->recovery, "rust");
	static struct dm_maps maps;
	struct dm_record rec;
	char *p;

	p = mmap(NULL, nr * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	for (i = 0; i < nr; i += 2)
		ASSERT_EQ(0, mprotect(p + i * page, page, PROT_READ | PROT_WRITE));
	ASSERT_STREQ("", dm_get_maps_and_flags(&maps));
	trace_fork(_metadata, variant->recovery, &maps, DM_ARCH_DUP_MMAP, -1, &rec);
	count_calls(calls);
	ASSERT_GE(rec.torn_down, nr);
	EXPECT_EQ(rust ? (rec.torn_down + GROUP - 1) / GROUP : 0, calls[RESCHED])
		TH_LOG("%lu VMAs", rec.torn_down);
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
