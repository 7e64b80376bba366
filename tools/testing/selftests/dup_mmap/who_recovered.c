// SPDX-License-Identifier: GPL-2.0
/*
 * Whose recovery runs, seen from outside of the module: the function tracer
 * counts what this task calls while its fork fails. unmap_region() is called by
 * the kernel's own recovery and by nothing else in fork(); the helpers, by the
 * module's, which takes unmap_region() in parts. And for each VMA that it tears
 * down, the module's asks once whether another task should run.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "dup_mmap.h"
#include "harness.h"

#define TRACING		"/sys/kernel/tracing/"
#define INSTANCE	TRACING "instances/dup_mmap_who"

enum { UNMAP_REGION, OOM_SKIP, DETACHED, RESCHED, UNSTABLE, NR_FUNCTIONS };

static const char * const functions[NR_FUNCTIONS] = {
	[UNMAP_REGION]	= "unmap_region",
	[OOM_SKIP]	= "helper_mm_set_oom_skip",
	[DETACHED]	= "helper_vma_mark_detached",
	[RESCHED]	= "helper_cond_resched",
	[UNSTABLE]	= "helper_mm_set_unstable",
};

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

/* How often each function is in the trace. */
static void count_calls(struct __test_metadata *_metadata,
			unsigned long calls[NR_FUNCTIONS])
{
	char key[64];
	const char *p;
	size_t i;

	ASSERT_GT(dm_read_path(INSTANCE "/trace", text, sizeof(text)), 0);
	ASSERT_LT(strlen(text), sizeof(text) - 1);
	for (i = 0; i < NR_FUNCTIONS; i++) {
		snprintf(key, sizeof(key), ": %s <-", functions[i]);
		for (p = text, calls[i] = 0; (p = strstr(p, key)); p++)
			calls[i]++;
	}
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
	unsigned long calls[NR_FUNCTIONS], vmas;
	struct dm_record rec;
	struct dm_shot shot;
	size_t i;
	int fd;

	ASSERT_STREQ("", dm_get_maps_and_flags(&maps));
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		bool recovered = c[i].point != DM_MT_DUP;

		ASSERT_STREQ("", dm_arm(c[i].point, c[i].point == DM_COPY_PAGE_RANGE ?
					1 : c[i].point == DM_VMA_START_WRITE ? 0 : -1, 0));
		/* Empties it. */
		fd = open(INSTANCE "/trace", O_WRONLY | O_TRUNC | O_CLOEXEC);
		ASSERT_GE(fd, 0);
		close(fd);
		ASSERT_EQ(0, dm_write_path(INSTANCE "/tracing_on", "1"));
		EXPECT_STREQ("", dm_watch_fork(&shot, NULL, NULL));
		ASSERT_EQ(0, dm_write_path(INSTANCE "/tracing_on", "0"));
		dm_disarm();
		count_calls(_metadata, calls);
		ASSERT_STREQ("", dm_judge_shot(&shot, &maps, variant->recovery, &rec));
		ASSERT_STREQ(c[i].class, rec.class);
		EXPECT_STREQ(recovered ? variant->recovery : "-", rec.recovery);

		vmas = rust ? rec.torn_down : 0;
		EXPECT_EQ(!rust && rec.torn_down, calls[UNMAP_REGION])
			TH_LOG("%s", c[i].class);
		EXPECT_EQ(rust && recovered, calls[OOM_SKIP]) TH_LOG("%s", c[i].class);
		EXPECT_EQ(vmas, calls[DETACHED]) TH_LOG("%s", c[i].class);
		EXPECT_EQ(vmas, calls[RESCHED]) TH_LOG("%s", c[i].class);
		EXPECT_EQ(rust && recovered, calls[UNSTABLE]) TH_LOG("%s", c[i].class);
	}
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
