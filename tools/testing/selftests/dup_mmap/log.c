// SPDX-License-Identifier: GPL-2.0
/* `log` has a line for each of the last 256 failures, and counts those that it dropped. */
#include <string.h>

#include "dup_mmap.h"
#include "harness.h"

static char text[131072];

FIXTURE(log) {
	struct dm_saved saved;
};

FIXTURE_SETUP(log)
{
	dm_save(&self->saved);
}

FIXTURE_TEARDOWN_PARENT(log)
{
	dm_restore(&self->saved);
}

/* `last` as a line of `log`: comm comes last, as it may have spaces. */
static void last_as_line(struct __test_metadata *_metadata, char *line, size_t size)
{
	const char *sep = "", *comm = NULL;
	char *key, *value, *next;
	size_t len = 0;

	ASSERT_GT(dm_read("last", text, sizeof(text)), 0);
	for (key = text; *key; key = next) {
		next = strchr(key, '\n');
		ASSERT_NE(NULL, next);
		*next++ = '\0';
		value = strstr(key, ": ");
		ASSERT_NE(NULL, value) TH_LOG("%s", key);
		*value = '\0';
		value += 2;
		if (!strcmp(key, "comm")) {
			comm = value;
			continue;
		}
		len += snprintf(line + len, size - len, "%s%s=%s", sep, key, value);
		ASSERT_LT(len, size);
		sep = " ";
	}
	ASSERT_NE(NULL, comm);
	len += snprintf(line + len, size - len, " comm=%s", comm);
	ASSERT_LT(len, size);
}

/* Cuts off the first line of *p. */
static char *next_line(struct __test_metadata *_metadata, char **p)
{
	char *line = *p, *end = strchr(line, '\n');

	ASSERT_NE(NULL, end) TH_LOG("'%s' is cut off", line);
	*end = '\0';
	*p = end + 1;
	return line;
}

TEST_F(log, has_what_last_had)
{
	static char log[131072], want[3][1024];
	static const char * const recoveries[] = { "upstream", "rust", "upstream" };
	static const enum dm_point points[] = {
		DM_COPY_PAGE_RANGE, DM_ARCH_DUP_MMAP, DM_VM_AREA_DUP
	};
	char *line, *p;
	int i, err;

	ASSERT_GT(dm_read("log", log, sizeof(log)), 0);
	ASSERT_STREQ("# dropped 0\n", log);

	/* The name of a task may have spaces, and what looks like another key. */
	ASSERT_EQ(0, dm_write_path("/proc/self/comm", "a b errno=0"));
	for (i = 0; i < 3; i++) {
		ASSERT_STREQ("", dm_use_recovery(recoveries[i]));
		ASSERT_STREQ("", dm_arm(points[i], points[i] == DM_ARCH_DUP_MMAP ?
					-1 : 3, 0));
		ASSERT_EQ(-1, dm_fork(&err)) TH_LOG("%d", i);
		dm_disarm();
		last_as_line(_metadata, want[i], sizeof(want[i]));
	}
	ASSERT_GT(dm_read("log", log, sizeof(log)), 0);
	p = log;
	ASSERT_STREQ("# dropped 0", next_line(_metadata, &p));
	for (i = 0; i < 3; i++) {
		line = next_line(_metadata, &p);
		ASSERT_STREQ(want[i], line);
		ASSERT_NE(NULL, strstr(line, " comm=a b errno=0")) TH_LOG("%s", line);
	}
	ASSERT_EQ('\0', *p);
}

/* Fails at once, each time with another error. */
static void fail_with(struct __test_metadata *_metadata, int from, int to)
{
	char error[16];
	int i, err;

	ASSERT_STREQ("", dm_arm(DM_MT_DUP, -1, 0));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "-1"));
	for (i = from; i <= to; i++) {
		snprintf(error, sizeof(error), "%d", -i);
		ASSERT_EQ(0, dm_write(DM_FAIL "errno", error));
		ASSERT_EQ(-1, dm_fork(&err));
	}
	dm_disarm();
}

static void log_is(struct __test_metadata *_metadata, int dropped, int from, int to)
{
	char want[32], *line, *next;
	int i;

	ASSERT_GT(dm_read("log", text, sizeof(text)), 0);
	EXPECT_EQ(1 + to - from, dm_nr_lines(text));
	snprintf(want, sizeof(want), "# dropped %d\n", dropped);
	EXPECT_TRUE(strstr(text, want) == text) TH_LOG("%.20s", text);
	line = strchr(text, '\n') + 1;
	for (i = from; i <= to && *line; i++, line = next) {
		next = strchr(line, '\n');
		ASSERT_NE(NULL, next);
		*next++ = '\0';
		snprintf(want, sizeof(want), " errno=%d ", -i);
		ASSERT_NE(NULL, strstr(line, want)) TH_LOG("no%sin %s", want, line);
	}
}

/* All of its places were overwritten twice, and again after it was cleared. */
TEST_F(log, goes_round)
{
	struct dm_record rec;

	fail_with(_metadata, 1, 600);
	log_is(_metadata, 600 - 256, 600 - 255, 600);
	dm_reset();
	fail_with(_metadata, 1001, 1003);
	log_is(_metadata, 0, 1001, 1003);
	ASSERT_STREQ("", dm_get_record(&rec));
	EXPECT_EQ(-1003, rec.err);
	fail_with(_metadata, 1004, 1260);
	log_is(_metadata, 4, 1005, 1260);
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
