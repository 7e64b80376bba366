// SPDX-License-Identifier: GPL-2.0
/*
 * Every file refuses what is not one of its values, with EINVAL and without
 * changing anything; files that are read or written only, are just that.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

#include "dup_mmap.h"
#include "harness.h"
#include "rw_files.h"

#define MAX_TEXT	63

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

static void check_is(struct __test_metadata *_metadata, const char *file,
		     const char *want)
{
	char buf[128];

	ASSERT_GT(dm_read(file, buf, sizeof(buf)), 0) TH_LOG("%s", file);
	ASSERT_STREQ(want, buf) TH_LOG("%s", file);
}

static void accepts(struct __test_metadata *_metadata, const char *file,
		    const char *text, const char *reads)
{
	ASSERT_EQ(0, dm_write(file, text)) TH_LOG("'%s' to %s", text, file);
	check_is(_metadata, file, reads);
}

static void refuses_bytes(struct __test_metadata *_metadata, const char *file,
			  const void *data, size_t len)
{
	char before[128];

	ASSERT_GT(dm_read(file, before, sizeof(before)), 0);
	ASSERT_EQ(-EINVAL, dm_write_bytes(file, data, len, 0))
		TH_LOG("'%.*s' (%zu bytes) to %s", (int)len, (const char *)data,
		       len, file);
	check_is(_metadata, file, before);
}

static void refuses(struct __test_metadata *_metadata, const char *file,
		    const char *text)
{
	refuses_bytes(_metadata, file, text, strlen(text));
}

static void fd_is(struct __test_metadata *_metadata, int fd, const char *want,
		  const char *what)
{
	char buf[128];

	ASSERT_GT(get(fd, buf, sizeof(buf), 0), 0) TH_LOG("%s", what);
	ASSERT_STREQ(want, buf) TH_LOG("%s", what);
}

/* Said by the file (EINVAL), or by the VFS if it can't be seeked (ESPIPE). */
static void refuses_offset(struct __test_metadata *_metadata, const char *file,
			   const char *text, off_t off)
{
	char before[128];
	int ret;

	ASSERT_GT(dm_read(file, before, sizeof(before)), 0);
	ret = dm_write_bytes(file, text, strlen(text), off);
	ASSERT_TRUE(ret == -EINVAL || ret == -ESPIPE)
		TH_LOG("%d for '%s' at %ld to %s", ret, text, (long)off, file);
	check_is(_metadata, file, before);
}

/* What no file takes; good is a value it would take. */
static void refuses_common(struct __test_metadata *_metadata, const char *file,
			   const char *good)
{
	char buf[5000];
	size_t len = strlen(good);

	refuses(_metadata, file, "\n");
	refuses(_metadata, file, "no such value");
	/* A good value, but not alone. */
	snprintf(buf, sizeof(buf), "%s x", good);
	refuses(_metadata, file, buf);
	snprintf(buf, sizeof(buf), "%s\n%s\n", good, good);
	refuses(_metadata, file, buf);
	snprintf(buf, sizeof(buf), "%s\xff", good);
	refuses(_metadata, file, buf);
	/* NUL inside. */
	memset(buf, 0, sizeof(buf));
	memcpy(buf, good, len);
	memcpy(buf + len + 1, good, len);
	refuses_bytes(_metadata, file, buf, 2 * len + 1);
	/* More than 63 bytes, though the rest is white space or zeros. */
	memset(buf, '\n', sizeof(buf));
	memcpy(buf, good, len);
	refuses_bytes(_metadata, file, buf, 64);
	refuses_bytes(_metadata, file, buf, sizeof(buf));
	memset(buf, 'x', sizeof(buf));
	refuses_bytes(_metadata, file, buf, sizeof(buf));
	refuses_offset(_metadata, file, good, 1);
	refuses_offset(_metadata, file, good, 4096);
}

TEST_F(file, recovery)
{
	accepts(_metadata, "recovery", "upstream", IS_UPSTREAM);
	refuses_common(_metadata, "recovery", "rust");
	refuses(_metadata, "recovery", "Rust");
	refuses(_metadata, "recovery", "rus");
	refuses(_metadata, "recovery", "rusty");
	refuses(_metadata, "recovery", "[rust]");
	refuses(_metadata, "recovery", "rust upstream");
	refuses(_metadata, "recovery", "0");
	refuses(_metadata, "recovery", "xa");
	refuses(_metadata, "recovery", "xa-zero-");
	accepts(_metadata, "recovery", "xa-zero", "rust upstream [xa-zero] xa-zero-bare\n");
	accepts(_metadata, "recovery", "xa-zero-bare", "rust upstream xa-zero [xa-zero-bare]\n");
	accepts(_metadata, "recovery", "rust\n", IS_RUST);
	accepts(_metadata, "recovery", "upstream\n", IS_UPSTREAM);
	accepts(_metadata, "recovery", "rust", IS_RUST);
}

TEST_F(file, hold_at)
{
	static const char * const names[] = {
		"none", "before-recovery", "parent-unlocked", "after-recovery",
		"after-unlock", "pinned",
	};
	char want[128];
	size_t i, j, len;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		for (j = len = 0; j < ARRAY_SIZE(names); j++)
			len += snprintf(want + len, sizeof(want) - len,
					i == j ? "%s[%s]" : "%s%s", j ? " " : "", names[j]);
		snprintf(want + len, sizeof(want) - len, "\n");
		accepts(_metadata, HOLD_AT, names[i], want);
	}
	refuses_common(_metadata, HOLD_AT, "pinned");
	refuses(_metadata, HOLD_AT, "Pinned");
	refuses(_metadata, HOLD_AT, "after");
	refuses(_metadata, HOLD_AT, "[none]");
	refuses(_metadata, HOLD_AT, "0");
	accepts(_metadata, HOLD_AT, "none\n",
		HELD_AT("[none]", "pinned"));
}

TEST_F(file, hold_timeout)
{
	check_is(_metadata, HOLD_TIMEOUT, "10000\n");
	accepts(_metadata, HOLD_TIMEOUT, "1", "1\n");
	accepts(_metadata, HOLD_TIMEOUT, "60000\n", "60000\n");
	refuses_common(_metadata, HOLD_TIMEOUT, "60000");
	refuses(_metadata, HOLD_TIMEOUT, "1.5");
	refuses(_metadata, HOLD_TIMEOUT, "4294967297");
	refuses(_metadata, HOLD_TIMEOUT, "0");
	refuses(_metadata, HOLD_TIMEOUT, "-1");
	refuses(_metadata, HOLD_TIMEOUT, "60001");
}

/* It takes effect, and reads as nothing. */
TEST_F(file, hold_release)
{
	static const char * const bad[] = {
		"", "\n", "0", "-1", "ALL", "all of them", "1 2", "2147483648", "x",
	};
	int fd = open_file(_metadata, DM_HOLD "release", O_WRONLY);
	size_t i;

	EXPECT_EQ(3, put_text(fd, "all"));
	EXPECT_EQ(4, (ssize_t)(lseek(fd, 0, SEEK_SET), put_text(fd, "all\n")));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		lseek(fd, 0, SEEK_SET);
		EXPECT_EQ(-EINVAL, put_text(fd, bad[i])) TH_LOG("%s", bad[i]);
	}
	lseek(fd, 0, SEEK_SET);
	/* Nothing of its is held. */
	EXPECT_EQ(-ESRCH, put_text(fd, "1"));
	lseek(fd, 3, SEEK_SET);
	EXPECT_EQ(-EINVAL, put_text(fd, "all"));
	close(fd);
}

TEST_F(file, point)
{
	char text[64];
	int p;

	check_is(_metadata, POINT, "any\n");
	for (p = 0; p < DM_NR_POINTS; p++) {
		snprintf(text, sizeof(text), "%s\n", dm_points[p].name);
		accepts(_metadata, POINT, text, text);
		accepts(_metadata, POINT, dm_points[p].name, text);
	}
	refuses_common(_metadata, POINT, "mt-dup");
	refuses(_metadata, POINT, "MT-DUP");
	refuses(_metadata, POINT, "mt_dup");
	refuses(_metadata, POINT, "mt-du");
	refuses(_metadata, POINT, "mt-dup-");
	refuses(_metadata, POINT, "0");
	refuses(_metadata, POINT, "mt-dup,vm-area-dup");
	accepts(_metadata, POINT, "any", "any\n");
}

TEST_F(file, vma_index)
{
	check_is(_metadata, VMA_INDEX, "-1\n");
	accepts(_metadata, VMA_INDEX, "7", "7\n");
	refuses_common(_metadata, VMA_INDEX, "3");
	refuses(_metadata, VMA_INDEX, "-2");
	refuses(_metadata, VMA_INDEX, "-0x80000000");
	refuses(_metadata, VMA_INDEX, "x");
	refuses(_metadata, VMA_INDEX, "1x");
	refuses(_metadata, VMA_INDEX, "0x");
	refuses(_metadata, VMA_INDEX, "08");
	refuses(_metadata, VMA_INDEX, "1.0");
	refuses(_metadata, VMA_INDEX, "1 2");
	refuses(_metadata, VMA_INDEX, "--1");
	refuses(_metadata, VMA_INDEX, "-");
	refuses(_metadata, VMA_INDEX, "any");
	refuses(_metadata, VMA_INDEX, "9223372036854775808");
	refuses(_metadata, VMA_INDEX, "-9223372036854775809");
	refuses(_metadata, VMA_INDEX, "18446744073709551615");
	refuses(_metadata, VMA_INDEX, "18446744073709551616");
	refuses(_metadata, VMA_INDEX, "0x10000000000000001");
	accepts(_metadata, VMA_INDEX, "0\n", "0\n");
	accepts(_metadata, VMA_INDEX, "0x1f\n", "31\n");
	accepts(_metadata, VMA_INDEX, "010", "8\n");
	accepts(_metadata, VMA_INDEX, "65535", "65535\n");
	accepts(_metadata, VMA_INDEX, "-1", "-1\n");
}

TEST_F(file, vma_addr)
{
	check_is(_metadata, VMA_ADDR, "0x0\n");
	accepts(_metadata, VMA_ADDR, "0x7f0000001000", "0x7f0000001000\n");
	refuses_common(_metadata, VMA_ADDR, "4096");
	refuses(_metadata, VMA_ADDR, "-1");
	refuses(_metadata, VMA_ADDR, "-0x1000");
	refuses(_metadata, VMA_ADDR, "0x");
	refuses(_metadata, VMA_ADDR, "0x+1");
	refuses(_metadata, VMA_ADDR, "++1");
	refuses(_metadata, VMA_ADDR, "7f0000001000");
	refuses(_metadata, VMA_ADDR, "1000-2000");
	refuses(_metadata, VMA_ADDR, "18446744073709551616");
	refuses(_metadata, VMA_ADDR, "0x10000000000000000");
	accepts(_metadata, VMA_ADDR, "4096\n", "0x1000\n");
	accepts(_metadata, VMA_ADDR, "+4096", "0x1000\n");
	accepts(_metadata, VMA_ADDR, "0xffffffffffffffff", "0xffffffffffffffff\n");
	accepts(_metadata, VMA_ADDR, "0", "0x0\n");
}

static void takes_an_ordinal(struct __test_metadata *_metadata, const char *file)
{
	check_is(_metadata, file, "0\n");
	accepts(_metadata, file, "3", "3\n");
	refuses_common(_metadata, file, "7");
	refuses(_metadata, file, "-1");
	refuses(_metadata, file, "2147483648");
	refuses(_metadata, file, "4294967297");
	refuses(_metadata, file, "18446744073709551617");
	refuses(_metadata, file, "first");
	refuses(_metadata, file, "1.5");
	accepts(_metadata, file, "2147483647\n", "2147483647\n");
	accepts(_metadata, file, "0x10", "16\n");
	accepts(_metadata, file, "0", "0\n");
}

TEST_F(file, alloc_nth)
{
	takes_an_ordinal(_metadata, ALLOC_NTH);
}

TEST_F(file, recovery_alloc_nth)
{
	takes_an_ordinal(_metadata, RECOVERY_NTH);
}

static void takes_a_boolean(struct __test_metadata *_metadata, const char *file)
{
	check_is(_metadata, file, "N\n");
	accepts(_metadata, file, "1", "Y\n");
	refuses_common(_metadata, file, "y");
	refuses(_metadata, file, "2");
	refuses(_metadata, file, "yes");
	refuses(_metadata, file, "-1");
	refuses(_metadata, file, "YN");
	accepts(_metadata, file, "n\n", "N\n");
	accepts(_metadata, file, "Y\n", "Y\n");
	accepts(_metadata, file, "0", "N\n");
	/* What kstrtobool() knows besides, as far as it is one letter. */
	accepts(_metadata, file, "t", "Y\n");
	refuses(_metadata, file, "o");
	refuses(_metadata, file, "on");
	accepts(_metadata, file, "F", "N\n");
}

/* Armed, with a task filter that nobody who forks meanwhile passes. */
TEST_F(file, dry_run)
{
	ASSERT_EQ(0, dm_write(DM_FAIL "task-filter", "Y"));
	takes_a_boolean(_metadata, DRY_RUN);
}

TEST_F(file, per_fork)
{
	takes_a_boolean(_metadata, PER_FORK);
}

TEST_F(file, seed)
{
	takes_an_ordinal(_metadata, SEED);
}

TEST_F(file, errno_)
{
	check_is(_metadata, ERRNO, "0\n");
	accepts(_metadata, ERRNO, "-4", "-4\n");
	refuses_common(_metadata, ERRNO, "-12");
	refuses(_metadata, ERRNO, "1");
	refuses(_metadata, ERRNO, "12");
	refuses(_metadata, ERRNO, "-4096");
	refuses(_metadata, ERRNO, "-0x1000");
	refuses(_metadata, ERRNO, "4294967284");
	refuses(_metadata, ERRNO, "18446744073709551604");
	refuses(_metadata, ERRNO, "-4294967308");
	refuses(_metadata, ERRNO, "-9223372036854775809");
	refuses(_metadata, ERRNO, "ENOMEM");
	refuses(_metadata, ERRNO, "- 12");
	refuses(_metadata, ERRNO, "-12 x");
	accepts(_metadata, ERRNO, "-4095", "-4095\n");
	accepts(_metadata, ERRNO, "-0xc\n", "-12\n");
	accepts(_metadata, ERRNO, "-014", "-12\n");
	accepts(_metadata, ERRNO, "0", "0\n");
}

/* fail_dup_mmap/ has the files of every fault_attr, which behave as usual. */
TEST_F(file, fault_attr)
{
	static const char * const needed[] = {
		"probability", "interval", "times", "space", "verbose",
		"verbose_ratelimit_interval_ms", "verbose_ratelimit_burst",
		"task-filter", "point", "vma-index", "vma-addr", "errno",
		"alloc-nth", "recovery-alloc-nth", "per-fork", "seed", "dry-run",
	};
	static const char * const bad[] = { "x", "1x", "99999999999999999999999" };
	char name[300], buf[128];
	struct dirent *e;
	struct stat st;
	int n = 0, ret;
	size_t i;
	DIR *d;

	for (i = 0; i < ARRAY_SIZE(needed); i++) {
		snprintf(name, sizeof(name), DM_DIR "/" DM_FAIL "%s", needed[i]);
		ASSERT_EQ(0, access(name, F_OK)) TH_LOG("no %s", name);
	}
	d = opendir(DM_DIR "/" DM_FAIL);
	ASSERT_NE(NULL, d);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), DM_DIR "/" DM_FAIL "%s", e->d_name);
		ASSERT_EQ(0, stat(name, &st));
		EXPECT_EQ(S_IFREG | 0600, st.st_mode) TH_LOG("%s", e->d_name);
		EXPECT_EQ(0, st.st_uid);
		snprintf(name, sizeof(name), DM_FAIL "%s", e->d_name);
		ASSERT_GT(dm_read(name, buf, sizeof(buf)), 0) TH_LOG("%s", name);
		for (i = 0; i < ARRAY_SIZE(bad); i++) {
			ret = dm_write(name, bad[i]);
			if (!strcmp(e->d_name, "task-filter")) {
				/*
				 * debugfs ignores what is no bool, and looks at
				 * the first character only.
				 */
				if (bad[i][0] != 'x')
					continue;
			} else {
				EXPECT_TRUE(ret == -EINVAL || ret == -ERANGE)
					TH_LOG("%d for '%s' to %s", ret, bad[i],
					       name);
			}
			check_is(_metadata, name, buf);
		}
		n++;
	}
	closedir(d);
	EXPECT_GE(n, (int)ARRAY_SIZE(needed));
}

TEST_F(file, defaults)
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

TEST_F(file, modes)
{
	static const struct {
		const char *name;
		mode_t mode;
	} f[] = {
		{ "recovery", 0600 },	{ "points", 0400 },
		{ "last", 0400 },	{ "stats", 0400 },
		{ "log", 0400 },	{ "steps", 0400 },
		{ "reset", 0200 },
		{ HOLD_AT, 0600 },	{ HOLD_TIMEOUT, 0600 },
		{ DM_HOLD "held", 0400 },	{ DM_HOLD "observe", 0400 },
		{ DM_HOLD "release", 0200 },
	};
	char path[256];
	struct stat st;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(f); i++) {
		snprintf(path, sizeof(path), DM_DIR "/%s", f[i].name);
		ASSERT_EQ(0, stat(path, &st)) TH_LOG("%s", path);
		EXPECT_EQ(S_IFREG | f[i].mode, st.st_mode) TH_LOG("%s", path);
		EXPECT_EQ(0, st.st_uid);
	}
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

/* A page, and nothing behind it. */
static char *map_edge(struct __test_metadata *_metadata, size_t page)
{
	char *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, mprotect(p + page, page, PROT_NONE));
	return p + page;
}

/* The log full, with some dropped, and a dry run. */
static void make_history(struct __test_metadata *_metadata)
{
	int i, err, status;
	pid_t pid;

	ASSERT_STREQ("", dm_arm(DM_VM_AREA_DUP, 1, 0));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "-1"));
	for (i = 0; i < 300; i++)
		ASSERT_EQ(-1, dm_fork(&err));
	ASSERT_EQ(0, dm_write(DM_FAIL "probability", "0"));
	ASSERT_EQ(0, dm_write(DRY_RUN, "Y"));
	pid = dm_fork(&err);
	ASSERT_GT(pid, 0);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	check_is(_metadata, DRY_RUN, "N\n");
}

/* However a file is read, its text is the same. */
TEST_F(file, byte_by_byte)
{
	static const struct {
		const char *name;
		size_t least;		/* it has at least as many bytes */
	} f[] = {
		{ "recovery", 16 },	{ "points", 200 },
		{ "last", 100 },	{ "log", 256 * 100 },
		{ "steps", 500 },	{ "stats", 100 },
		{ POINT, 2 },		{ VMA_INDEX, 2 },
		{ VMA_ADDR, 2 },	{ ERRNO, 2 },
		{ ALLOC_NTH, 2 },	{ RECOVERY_NTH, 2 },
		{ DRY_RUN, 2 },		{ HOLD_AT, 70 },
		{ HOLD_TIMEOUT, 2 },	{ DM_HOLD "held", 30 },
	};
	static char whole[131072], bytes[131072];
	size_t page = sysconf(_SC_PAGESIZE);
	char *edge = map_edge(_metadata, page);
	size_t i, len, n;
	ssize_t ret;
	int fd, k;

	make_history(_metadata);
	for (i = 0; i < ARRAY_SIZE(f); i++) {
		len = dm_read(f[i].name, whole, sizeof(whole));
		ASSERT_GE(len, f[i].least) TH_LOG("%s", f[i].name);
		ASSERT_LT(len, sizeof(whole) - 1) TH_LOG("%s", f[i].name);
		fd = open_file(_metadata, f[i].name, O_RDONLY);

		for (n = 0; n < len; n++) {
			ret = read(fd, bytes + n, 1);
			ASSERT_EQ(1, ret) TH_LOG("%s, byte %zu", f[i].name, n);
		}
		ASSERT_EQ(0, read(fd, bytes + n, 1)) TH_LOG("%s", f[i].name);
		ASSERT_EQ(0, memcmp(whole, bytes, len)) TH_LOG("%s", f[i].name);

		/* From the middle, the start, the last byte, and behind it. */
		for (k = 0; k <= 8; k++) {
			off_t off = (len - 1) * ((5 * k + 3) % 9) / 8;
			size_t want = len - off < 61 ? len - off : 61;

			ASSERT_EQ((ssize_t)want, pread(fd, bytes, 61, off))
				TH_LOG("%s at %ld", f[i].name, (long)off);
			ASSERT_EQ(0, memcmp(whole + off, bytes, want))
				TH_LOG("%s at %ld", f[i].name, (long)off);
		}
		ASSERT_EQ(0, pread(fd, bytes, 61, len)) TH_LOG("%s", f[i].name);
		ASSERT_EQ(0, pread(fd, bytes, 61, len + 12345)) TH_LOG("%s", f[i].name);
		ASSERT_EQ(0, pread(fd, bytes, 61, 1ll << 40)) TH_LOG("%s", f[i].name);

		/* What could not be handed over is not lost. */
		ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
		ASSERT_EQ(0, read(fd, bytes, 0));
		ASSERT_EQ(-1, read(fd, edge, 61)) TH_LOG("%s", f[i].name);
		ASSERT_EQ(EFAULT, errno);
		ret = read(fd, edge - 1, 61);
		/* The kernel need not come as far as it could. */
		if (ret != 1) {
			ASSERT_EQ(-1, ret) TH_LOG("%s", f[i].name);
			ASSERT_EQ(EFAULT, errno);
			ret = 0;
		}
		n = ret;
		bytes[0] = edge[-1];
		while ((ret = read(fd, bytes + n, sizeof(bytes) - n)) > 0)
			n += ret;
		ASSERT_EQ(0, ret);
		ASSERT_EQ(len, n) TH_LOG("%s", f[i].name);
		ASSERT_EQ(0, memcmp(whole, bytes, len)) TH_LOG("%s", f[i].name);
		close(fd);
	}
	munmap(edge - page, 2 * page);
}

/* Begins with the first value, and says what two segments come to. */
static ssize_t put_two(struct __test_metadata *_metadata, const struct rw_file *f,
		       int fd, const char *first, const char *second)
{
	struct iovec iov[] = {
		{ (void *)first, strlen(first) },
		{ (void *)second, strlen(second) },
	};
	ssize_t n;

	ASSERT_EQ((ssize_t)strlen(f->value[0]), put_text(fd, f->value[0]));
	n = writev(fd, iov, ARRAY_SIZE(iov));
	return n < 0 ? -errno : n;
}

/* Each write, and each segment of one, is a value of its own. */
TEST_F(file, partial_writes)
{
	size_t i, k, len, parts_len;
	bool values;
	int fd;

	ASSERT_EQ(0, dm_write(DM_FAIL "task-filter", "Y"));
	for (i = 0; i < NR_RW; i++) {
		const struct rw_file *f = &rw_files[i];

		fd = open_file(_metadata, f->name, O_RDWR);
		values = f->initially && strcmp(f->name, POINT) && strcmp(f->name, HOLD_AT);
		ASSERT_EQ((ssize_t)strlen(f->value[0]), put_text(fd, f->value[0]));
		for (k = 0; k < 2; k++) {
			ssize_t want = values ? (ssize_t)strlen(f->part[k]) : -EINVAL;

			ASSERT_EQ(want, put_text(fd, f->part[k]))
				TH_LOG("'%s' to %s", f->part[k], f->name);
		}
		fd_is(_metadata, fd, f->parts, f->name);

		parts_len = strlen(f->part[0]) + strlen(f->part[1]);
		ASSERT_EQ(values ? (ssize_t)parts_len : -EINVAL,
			  put_two(_metadata, f, fd, f->part[0], f->part[1]))
			TH_LOG("%s", f->name);
		fd_is(_metadata, fd, f->parts, f->name);
		len = strlen(f->value[1]);
		ASSERT_EQ((ssize_t)len, put_two(_metadata, f, fd, f->value[1], "!"))
			TH_LOG("%s", f->name);
		fd_is(_metadata, fd, f->reads[1], f->name);
		ASSERT_EQ(-EINVAL, put_two(_metadata, f, fd, "!", f->value[1]))
			TH_LOG("%s", f->name);
		fd_is(_metadata, fd, f->reads[0], f->name);

		for (k = 0; k < len; k++) {
			ssize_t n = put(fd, f->value[1] + k, 1);

			ASSERT_TRUE(n == 1 || n == -EINVAL)
				TH_LOG("%zd for byte %zu to %s", n, k, f->name);
		}
		fd_is(_metadata, fd, f->bytes, f->name);
		ASSERT_EQ(-EINVAL, put(fd, "", 0)) TH_LOG("%s", f->name);
		fd_is(_metadata, fd, f->bytes, f->name);
		close(fd);
	}
}

TEST_F(file, bad_pointers)
{
	size_t page = sysconf(_SC_PAGESIZE);
	char *edge = map_edge(_metadata, page);
	int fd, reset;
	size_t i, len;

	ASSERT_EQ(0, dm_write(DM_FAIL "task-filter", "Y"));
	reset = open_file(_metadata, "reset", O_WRONLY);
	for (i = 0; i < NR_RW; i++) {
		const struct rw_file *f = &rw_files[i];

		fd = open_file(_metadata, f->name, O_RDWR);
		ASSERT_EQ((ssize_t)strlen(f->value[0]), put_text(fd, f->value[0]));
		len = strlen(f->value[1]);
		memcpy(edge - len, f->value[1], len);
		ASSERT_EQ(-EFAULT, put(fd, edge, len)) TH_LOG("%s", f->name);
		ASSERT_EQ(-EFAULT, put(fd, NULL, len)) TH_LOG("%s", f->name);
		/* An address of the kernel's. */
		ASSERT_EQ(-EFAULT, put(fd, (void *)-4096l, len)) TH_LOG("%s", f->name);
		ASSERT_EQ(-EFAULT, put(fd, edge - len, len + 1)) TH_LOG("%s", f->name);
		ASSERT_EQ(-EFAULT, put(fd, edge - len, MAX_TEXT)) TH_LOG("%s", f->name);
		ASSERT_EQ(-EFAULT, put(reset, edge - 1, 2));
		fd_is(_metadata, fd, f->reads[0], f->name);
		/* As far as the page goes it is all right. */
		ASSERT_EQ((ssize_t)len, put(fd, edge - len, len)) TH_LOG("%s", f->name);
		fd_is(_metadata, fd, f->reads[1], f->name);
		close(fd);
	}
	close(reset);
	munmap(edge - page, 2 * page);
}

/* They mean nothing for these files: a value is taken as a whole, or refused. */
TEST_F(file, append_and_truncate)
{
	static const int flags[] = { O_APPEND, O_TRUNC, O_APPEND | O_TRUNC };
	char path[256];
	size_t i, k;
	ssize_t n;
	int fd;

	ASSERT_EQ(0, dm_write(DM_FAIL "task-filter", "Y"));
	for (i = 0; i < NR_RW; i++) {
		const struct rw_file *f = &rw_files[i];

		for (k = 0; k < ARRAY_SIZE(flags); k++) {
			accepts(_metadata, f->name, f->value[0], f->reads[0]);
			snprintf(path, sizeof(path), DM_DIR "/%s", f->name);
			fd = open(path, O_RDWR | O_CLOEXEC | flags[k]);
			check_is(_metadata, f->name, f->reads[0]);
			if (fd < 0)
				continue;
			n = put_text(fd, f->value[1]);
			if (n == (ssize_t)strlen(f->value[1])) {
				fd_is(_metadata, fd, f->reads[1], f->name);
			} else {
				ASSERT_EQ(-EINVAL, n) TH_LOG("%s", f->name);
				fd_is(_metadata, fd, f->reads[0], f->name);
			}
			close(fd);
		}
	}
}

/* Root may open them against their mode, and must still not get anywhere. */
TEST_F(file, read_only)
{
	static const char * const f[] = {
		"points", "last", "log", "steps", "stats"
	};
	static char before[8192], after[8192];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(f); i++) {
		dm_read(f[i], before, sizeof(before));
		EXPECT_GT(0, dm_write(f[i], "1")) TH_LOG("%s", f[i]);
		dm_read(f[i], after, sizeof(after));
		/* Counters move whenever anyone forks. */
		if (!strcmp(f[i], "last"))
			EXPECT_STREQ(before, after);
	}
}

TEST_F(file, write_only)
{
	char buf[64];

	EXPECT_GE(0, dm_read("reset", buf, sizeof(buf)));
}

static int open_all(void *arg)
{
	static const char * const f[] = {
		"recovery", "points", "last", "log", "steps", "stats", "reset",
		POINT, VMA_INDEX, VMA_ADDR, ERRNO, ALLOC_NTH, RECOVERY_NTH,
		DRY_RUN, DM_FAIL "probability", HOLD_AT, HOLD_TIMEOUT,
		DM_HOLD "held", DM_HOLD "observe", DM_HOLD "release",
	};
	char path[256];
	size_t i;

	(void)arg;
	if (setgid(65534) || setuid(65534))
		return 100;
	for (i = 0; i < ARRAY_SIZE(f); i++) {
		snprintf(path, sizeof(path), DM_DIR "/%s", f[i]);
		if (open(path, O_RDONLY) >= 0 || errno != EACCES ||
		    open(path, O_WRONLY) >= 0 || errno != EACCES)
			return i + 1;
	}
	return 0;
}

TEST_F(file, root_only)
{
	EXPECT_EQ(0, dm_fork_run(open_all, NULL));
}

TEST_F(file, reset)
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

		file_defaults(_metadata, self, variant);
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
