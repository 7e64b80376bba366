// SPDX-License-Identifier: GPL-2.0
/* `reset` disarms, puts each setting back and clears all there is to read. */
#include <dirent.h>
#include <string.h>

#include "dup_mmap.h"
#include "harness.h"
#include "rw_files.h"

#define NEVER	"2147483647"	/* more allocations than there are */

static char text[131072];

FIXTURE(reset) {
	struct dm_saved saved;
};

FIXTURE_SETUP(reset)
{
	dm_save(&self->saved);
}

FIXTURE_TEARDOWN_PARENT(reset)
{
	dm_restore(&self->saved);
}

TEST_F(reset, defaults)
{
	check_is(_metadata, DM_FAIL "probability", "0\n");
	check_is(_metadata, DM_FAIL "interval", "1\n");
	check_is(_metadata, DM_FAIL "times", "1\n");
	check_is(_metadata, DM_FAIL "space", "0\n");
	check_is(_metadata, DM_FAIL "verbose", "2\n");
	check_is(_metadata, DM_FAIL "task-filter", "N\n");
	check_is(_metadata, POINT, "any\n");
	check_is(_metadata, VMA_INDEX, "-1\n");
	check_is(_metadata, VMA_ADDR, "0x0\n");
	check_is(_metadata, ERRNO, "0\n");
	check_is(_metadata, ALLOC_NTH, "0\n");
	check_is(_metadata, RECOVERY_NTH, "0\n");
	check_is(_metadata, PER_FORK, "N\n");
	check_is(_metadata, SEED, "0\n");
	check_is(_metadata, DRY_RUN, "N\n");
}

TEST_F(reset, clears_all_there_is_to_read)
{
	struct dm_stats stats;

	ASSERT_STREQ("", dm_arm(DM_VM_AREA_DUP, 1, 0));
	ASSERT_EQ(0, dm_write(DM_FAIL "recovery-alloc-nth", NEVER));
	ASSERT_EQ(ENOMEM, dm_try_fork());
	ASSERT_EQ(0, dm_write(DM_FAIL "dry-run", "1"));
	ASSERT_EQ(0, dm_try_fork());
	ASSERT_GT(dm_read("steps", text, sizeof(text)), 0);
	EXPECT_GT(dm_nr_lines(text), 20);
	ASSERT_GT(dm_read("log", text, sizeof(text)), 0);
	EXPECT_EQ(1, dm_nr_lines(text));

	dm_reset();
	ASSERT_GT(dm_read("steps", text, sizeof(text)), 0);
	EXPECT_EQ(0, dm_nr_lines(text)) TH_LOG("%s", text);
	ASSERT_GT(dm_read("log", text, sizeof(text)), 0);
	EXPECT_STREQ("# dropped 0\n", text);
	ASSERT_GT(dm_read("last", text, sizeof(text)), 0);
	EXPECT_STREQ("none\n", text);
	ASSERT_STREQ("", dm_get_stats(&stats));
	EXPECT_EQ(0, stats.failed);
	EXPECT_EQ(0, stats.injected);
	EXPECT_EQ(0, stats.allocs_failed);
	EXPECT_EQ(0, stats.allocs_missed);
}

/* Changes each file in a way that it takes, whatever it is for. */
static void change(struct __test_metadata *_metadata, const char *file,
		   const char *was)
{
	static const char * const values[] = { "3", "Y", "mt-dup", "-4" };
	char now[128];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(values); i++) {
		if (dm_write(file, values[i]))
			continue;
		ASSERT_GT(dm_read(file, now, sizeof(now)), 0);
		if (strcmp(was, now))
			return;
	}
	ASSERT_EQ(0, 1) TH_LOG("%s keeps its %s", file, was);
}

TEST_F(reset, puts_every_file_back)
{
	static char name[40][300], was[40][128];
	char now[128];
	struct dirent *e;
	int i, nr = 0;
	DIR *d;

	d = opendir(DM_DIR "/" DM_FAIL);
	ASSERT_NE(NULL, d);
	while ((e = readdir(d)) && nr < 40) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(name[nr], sizeof(name[nr]), DM_FAIL "%s", e->d_name);
		ASSERT_GT(dm_read(name[nr], was[nr], sizeof(was[nr])), 0);
		nr++;
	}
	closedir(d);
	ASSERT_GT(nr, 15);
	ASSERT_LT(nr, 40);
	for (i = 0; i < nr; i++)
		change(_metadata, name[i], was[i]);
	dm_reset();
	for (i = 0; i < nr; i++) {
		ASSERT_GT(dm_read(name[i], now, sizeof(now)), 0);
		EXPECT_STREQ(was[i], now) TH_LOG("%s", name[i]);
	}
}

TEST_F(reset, by_any_text)
{
	static const char * const texts[] = { "1", "0", "x", "\n", "anything goes" };
	static struct dm_series series;
	struct dm_counts counts;
	struct dm_record rec;
	struct dm_stats stats;
	size_t i;
	int p;

	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		ASSERT_STREQ("", dm_use_recovery("upstream"));
		ASSERT_STREQ("", dm_begin_series(&series, "upstream"));
		ASSERT_STREQ("", dm_shoot(&series, DM_VM_AREA_DUP, 2, -4, &rec));
		ASSERT_EQ(0, dm_write(DM_FAIL "probability", "50"));
		ASSERT_EQ(0, dm_write(DM_FAIL "interval", "9"));
		ASSERT_EQ(0, dm_write(DM_FAIL "times", "-1"));
		ASSERT_EQ(0, dm_write(DM_FAIL "space", "8"));
		ASSERT_EQ(0, dm_write(VMA_ADDR, "4096"));
		ASSERT_EQ(0, dm_write(ALLOC_NTH, "2"));
		ASSERT_EQ(0, dm_write(RECOVERY_NTH, "2"));
		ASSERT_EQ(0, dm_write(DM_FAIL "task-filter", "Y"));
		ASSERT_EQ(0, dm_write(DRY_RUN, "Y"));

		ASSERT_EQ(0, dm_write("reset", texts[i])) TH_LOG("'%s'", texts[i]);

		reset_defaults(_metadata, self, variant);
		EXPECT_STREQ("upstream", dm_recovery());
		ASSERT_STREQ("", dm_get_record(&rec));
		EXPECT_TRUE(rec.none);
		ASSERT_STREQ("", dm_get_stats(&stats));
		EXPECT_EQ(0, stats.failed);
		EXPECT_EQ(0, stats.injected);
		EXPECT_EQ(0, stats.rust);
		EXPECT_EQ(0, stats.upstream);
		EXPECT_EQ(0, stats.torn_down);
		EXPECT_EQ(0, stats.uncharged);
		ASSERT_STREQ("", dm_get_counts(&counts));
		for (p = 0; p < DM_NR_POINTS; p++)
			EXPECT_EQ(0, counts.injected[p]);
	}
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
