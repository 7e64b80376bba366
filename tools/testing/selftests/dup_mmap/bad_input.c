// SPDX-License-Identifier: GPL-2.0
/*
 * Every file takes each of its values, and refuses what is none of them, with EINVAL and
 * without changing anything.
 */
#include <dirent.h>
#include <fcntl.h>

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

/* A value is what was written but for one newline: white space is no part of it. */
TEST_F(file, no_white_space)
{
	static const struct {
		const char *file, *value;
	} f[] = {
		{ "recovery", "rust" },		{ DM_FAIL "point", "any" },
		{ DM_FAIL "vma-index", "7" },	{ DM_FAIL "vma-addr", "4096" },
		{ DM_FAIL "errno", "-4" },	{ DM_FAIL "alloc-nth", "7" },
		{ DM_FAIL "recovery-alloc-nth", "7" },
		{ DM_FAIL "dry-run", "N" },
	};
	static const char * const form[] = {
		"%s ", " %s", "%s\t", "%s\n\n", "%s\r\n", "\n%s", "%s\x20\n",
	};
	char value[64];
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(f); i++) {
		ASSERT_EQ(0, dm_write(f[i].file, f[i].value));
		for (k = 0; k < ARRAY_SIZE(form); k++) {
			snprintf(value, sizeof(value), form[k], f[i].value);
			EXPECT_EQ(-EINVAL, dm_write(f[i].file, value))
				TH_LOG("'%s' to %s", value, f[i].file);
		}
	}
}

/* reset takes any text, so only its length can be wrong. */
TEST_F(file, sixty_three_bytes_and_no_more)
{
	char value[65];

	memset(value, 'x', sizeof(value));
	EXPECT_EQ(0, dm_write_bytes("reset", value, 63, 0));
	EXPECT_EQ(-EINVAL, dm_write_bytes("reset", value, 64, 0));
	EXPECT_EQ(-EINVAL, dm_write_bytes("reset", value, 65, 0));
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
