// SPDX-License-Identifier: GPL-2.0
/*
 * Random values for each file that can be written, near what it takes and far from it: one
 * is taken and can be read, or refused and changes nothing. 200 for each file; with
 * DUP_MMAP_LONG 100,000. Those of the fault attribute are the kernel's own and get 40, or
 * 10,000; a fork that goes by what is left in them works or says ENOMEM.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <time.h>

#include "dup_mmap.h"
#include "harness.h"
#include "rw_files.h"

FIXTURE(file) {
	struct dm_saved saved;
};

FIXTURE_SETUP(file)
{
	dm_save(&self->saved);
}

FIXTURE_TEARDOWN_PARENT(file)
{
	dm_restore(&self->saved);
}

/* len may be more than a file takes. */
static size_t random_text(char *text, size_t size, unsigned int *seed)
{
	static const char * const seeds[] = {
		"rust", "upstream", "any", "vm-area-dup", "-1", "0x7f00", "12",
		"2147483647", "18446744073709551615", "Y", "n", "pinned", "",
	};
	const char *from = seeds[rand_r(seed) % ARRAY_SIZE(seeds)];
	size_t len = strlen(from);
	int i;

	memcpy(text, from, len);
	for (i = rand_r(seed) % 4; i; i--) {
		if (rand_r(seed) % 2 && len < size)
			len += rand_r(seed) % (size - len);
		if (len)
			text[rand_r(seed) % len] = rand_r(seed);
	}
	return len;
}

/*
 * Random values, near what a file takes and far from it: one is taken and can be
 * read, or refused and changes nothing. Each file is opened only once, as this
 * is also done 100000 times over.
 */
TEST_F_TIMEOUT(file, random_values, dm_long_form() ? 10800 : 600)
{
	char is[NR_RW][128], now[128], again[128], text[80] = "";
	int rounds = dm_long_form() ? 100000 : 200;
	int fd[NR_RW], filter, release, reset, nr;
	long taken = 0, refused = 0;
	struct timespec start, end;
	unsigned int seed = 1;
	ssize_t ret;
	size_t f, len;

	for (f = 0; f < NR_RW; f++) {
		fd[f] = open_file(_metadata, rw_files[f].name, O_RDWR);
		ASSERT_GT(get(fd[f], is[f], sizeof(is[f]), 0), 0);
	}
	filter = open_file(_metadata, DM_FAIL "task-filter", O_WRONLY);
	release = open_file(_metadata, DM_HOLD "release", O_WRONLY);
	reset = open_file(_metadata, "reset", O_WRONLY);
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (nr = 0; nr < rounds; nr++) {
		if (nr && nr % 10000 == 0)
			TH_LOG("%d rounds", nr);
		/* So that nobody else's fork is the dry run. */
		ASSERT_EQ(1, put_text(filter, "Y"));
		for (f = 0; f < NR_RW; f++) {
			const char *name = rw_files[f].name;

			len = random_text(text, sizeof(text), &seed);
			ret = put(fd[f], text, len);
			ASSERT_GT(get(fd[f], now, sizeof(now), 0), 0);
			if (!len || ret != (ssize_t)len) {
				ASSERT_EQ(-EINVAL, ret)
					TH_LOG("'%.*s' to %s", (int)len, text, name);
				ASSERT_STREQ(is[f], now)
					TH_LOG("'%.*s' to %s", (int)len, text, name);
				refused++;
				continue;
			}
			taken++;
			memcpy(is[f], now, sizeof(now));
			/* What it reads as is a value too, and the same one, but for a list. */
			if (strchr(now, '['))
				continue;
			ASSERT_EQ((ssize_t)strlen(now), put_text(fd[f], now))
				TH_LOG("'%s' to %s", now, name);
			ASSERT_GT(get(fd[f], again, sizeof(again), 0), 0);
			ASSERT_STREQ(now, again) TH_LOG("%s", name);
		}
		/* No pid has a fork that is held. */
		len = random_text(text, sizeof(text), &seed);
		ret = put(release, text, len);
		ASSERT_TRUE(ret == -EINVAL || ret == -ESRCH)
			TH_LOG("'%.*s' to release: %zd", (int)len, text, ret);
		/* Last, as it undoes the others. */
		len = random_text(text, sizeof(text), &seed);
		ret = put(reset, text, len);
		ASSERT_EQ(len > MAX_TEXT ? -EINVAL : (ssize_t)len, ret);
		for (f = 0; f < NR_RW; f++) {
			if (ret >= 0 && rw_files[f].initially)
				snprintf(is[f], sizeof(is[f]), "%s",
					 rw_files[f].initially);
			fd_is(_metadata, fd[f], is[f], rw_files[f].name);
		}
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	TH_LOG("%ld taken, %ld refused, %ld us each", taken, refused,
	       ((end.tv_sec - start.tv_sec) * 1000000 +
		(end.tv_nsec - start.tv_nsec) / 1000) / (taken + refused));
	EXPECT_GT(taken, 0);
	EXPECT_GT(refused, 0);
}

static bool is_ours(const char *name)
{
	size_t f;

	for (f = 0; f < NR_RW; f++)
		if (!strcmp(rw_files[f].name, name))
			return true;
	return false;
}

#define MAX_STANDARD	32

/* The files of the fault attribute that rw_files has not: how many there are. */
static int list_standard(struct __test_metadata *_metadata, char (*names)[64])
{
	DIR *d = opendir(DM_DIR "/" DM_FAIL);
	struct dirent *e;
	int nr = 0;

	ASSERT_NE(NULL, d);
	while ((e = readdir(d))) {
		ASSERT_LT(nr, MAX_STANDARD);
		snprintf(names[nr], sizeof(*names), DM_FAIL "%.40s", e->d_name);
		nr += e->d_type == DT_REG && !is_ours(names[nr]);
	}
	closedir(d);
	return nr;
}

TEST_F_TIMEOUT(file, standard_values, dm_long_form() ? 3600 : 600)
{
	char names[MAX_STANDARD][64], was[128], now[128], text[80];
	int nr_files, rounds = dm_long_form() ? 10000 : 40, nr, f, ret, err, status, failed = 0;
	long taken = 0, refused = 0;
	unsigned int seed = 2;
	size_t len;
	pid_t pid;

	nr_files = list_standard(_metadata, names);
	ASSERT_GE(nr_files, 8);
	ASSERT_EQ(0, dm_write_path("/proc/self/make-it-fail", "1"));
	for (nr = 0; nr < rounds; nr++) {
		for (f = 0; f < nr_files; f++) {
			ASSERT_GT(dm_read(names[f], was, sizeof(was)), 0);
			len = random_text(text, sizeof(text), &seed);
			ret = dm_write_bytes(names[f], text, len, 0);
			ASSERT_TRUE(!ret || ret == -EINVAL || ret == -ERANGE)
				TH_LOG("'%.*s' to %s: %d", (int)len, text, names[f], ret);
			ASSERT_GT(dm_read(names[f], now, sizeof(now)), 0);
			if (ret)
				ASSERT_STREQ(was, now) TH_LOG("%.*s: %s", (int)len, text, names[f]);
			taken += !ret;
			refused += !!ret;
		}
		/* Else the kernel may warn of an interval of 2^31 ms. */
		ASSERT_EQ(0, dm_write(DM_FAIL "verbose", "0"));
		/* Whatever there was, after a reset each fork can be made to fail. */
		if (nr % 2) {
			ASSERT_EQ(0, dm_write("reset", "1"));
			ASSERT_STREQ("", dm_arm_nothing());
			ASSERT_EQ(0, dm_write(DM_FAIL "times", "-1"));
		}
		pid = dm_fork(&err);
		if (pid < 0) {
			ASSERT_EQ(ENOMEM, err);
			failed++;
			continue;
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_EQ(0, status);
		ASSERT_EQ(0, nr % 2) TH_LOG("it was to fail");
	}
	TH_LOG("%ld taken, %ld refused, %d of %d forks failed", taken, refused, failed, rounds);
	EXPECT_GT(taken, 0);
	EXPECT_GT(refused, 0);
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
