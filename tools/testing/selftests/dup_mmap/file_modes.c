// SPDX-License-Identifier: GPL-2.0
/* Only root may open a file, and what can be read or written only is just that. */
#include <ftw.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

#include "dup_mmap.h"
#include "harness.h"
#include "rw_files.h"

#define MAX_FILES	64

/* All files of the module, by their names below its directory. */
static struct file {
	char name[128];
	mode_t mode;
	uid_t uid;
} files[MAX_FILES];

static int nr_files;

static int note_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	struct file *f = &files[nr_files];

	if (type == FTW_D)
		return 0;
	if (nr_files++ == MAX_FILES)
		return 1;
	snprintf(f->name, sizeof(f->name), "%s", path + strlen(DM_DIR "/"));
	f->mode = st->st_mode;
	f->uid = st->st_uid;
	return 0;
}

FIXTURE(file) {
	struct dm_saved saved;
};

FIXTURE_SETUP(file)
{
	dm_save(&self->saved);
	ASSERT_EQ(0, nftw(DM_DIR, note_file, MAX_FILES, FTW_PHYS));
}

FIXTURE_TEARDOWN_PARENT(file)
{
	dm_restore(&self->saved);
}

static bool is_of_the_rule(const struct file *f)
{
	return !strncmp(f->name, DM_FAIL, strlen(DM_FAIL));
}

/* A file that is new has to be added here. */
TEST_F(file, modes)
{
	static const struct {
		const char *name;
		mode_t mode;
	} others[] = {
		{ "recovery", 0600 },	{ "points", 0400 },
		{ "last", 0400 },	{ "stats", 0400 },
		{ "log", 0400 },	{ "steps", 0400 },
		{ "reset", 0200 },
		{ HOLD_AT, 0600 },	{ HOLD_TIMEOUT, 0600 },
		{ DM_HOLD "held", 0400 },	{ DM_HOLD "observe", 0400 },
		{ DM_HOLD "release", 0200 },
	};
	size_t i, nr = 0;
	mode_t mode;
	int k;

	for (k = 0; k < nr_files; k++) {
		mode = is_of_the_rule(&files[k]) ? 0600 : 0;
		for (i = 0; i < ARRAY_SIZE(others); i++) {
			if (strcmp(files[k].name, others[i].name))
				continue;
			mode = others[i].mode;
			nr++;
		}
		EXPECT_EQ(S_IFREG | mode, files[k].mode) TH_LOG("%s", files[k].name);
		EXPECT_EQ(0, files[k].uid) TH_LOG("%s", files[k].name);
	}
	EXPECT_EQ(ARRAY_SIZE(others), nr);
	EXPECT_GT(nr_files, (int)nr);
}

/* Root may open them against their mode, and must still not get anywhere. */
TEST_F(file, read_only)
{
	char before[8192], after[8192];
	int k, nr = 0;

	for (k = 0; k < nr_files; k++) {
		if (files[k].mode & 0222)
			continue;
		dm_read(files[k].name, before, sizeof(before));
		EXPECT_GT(0, dm_write(files[k].name, "1")) TH_LOG("%s", files[k].name);
		dm_read(files[k].name, after, sizeof(after));
		/* Counters move whenever anyone forks. */
		if (!strcmp(files[k].name, "last"))
			EXPECT_STREQ(before, after);
		nr++;
	}
	EXPECT_GT(nr, 0);
}

TEST_F(file, write_only)
{
	char buf[64];
	int k, nr = 0;

	for (k = 0; k < nr_files; k++) {
		if (files[k].mode & 0444)
			continue;
		EXPECT_GE(0, dm_read(files[k].name, buf, sizeof(buf)))
			TH_LOG("%s", files[k].name);
		nr++;
	}
	EXPECT_GT(nr, 0);
}

/* As nobody: which one can be opened, if any. */
static int open_all(void *arg)
{
	const char *path;
	int k;

	if (setgid(65534) || setuid(65534))
		return 100;
	for (k = 0; k < nr_files; k++) {
		path = dm_path(files[k].name);
		if (open(path, O_RDONLY) >= 0 || errno != EACCES ||
		    open(path, O_WRONLY) >= 0 || errno != EACCES)
			return k + 1;
	}
	return 0;
}

TEST_F(file, root_only)
{
	int ret = dm_fork_run(open_all, NULL);

	EXPECT_EQ(0, ret) TH_LOG("%s", ret <= 0 || ret > nr_files ? "it could not try" :
				 files[ret - 1].name);
}

/* None of their own: what regular files have is the kernel's. */
TEST_F(file, no_ioctl)
{
	struct termios t;
	int fd, how, k;

	for (k = 0; k < nr_files; k++) {
		how = files[k].mode & 0400 ? O_RDONLY : O_WRONLY;
		fd = open_file(_metadata, files[k].name, how);
		EXPECT_EQ(-1, ioctl(fd, TCGETS, &t)) TH_LOG("%s", files[k].name);
		EXPECT_EQ(ENOTTY, errno) TH_LOG("%s", files[k].name);
		close(fd);
	}
	EXPECT_GT(nr_files, 0);
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
