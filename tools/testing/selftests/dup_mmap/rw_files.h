/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The files of the module that are read and written: their names, values that
 * they take, and how a test gets at an open one.
 */
#ifndef RW_FILES_H
#define RW_FILES_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dup_mmap.h"
#include "harness.h"

#define POINT		DM_FAIL "point"
#define VMA_INDEX	DM_FAIL "vma-index"
#define VMA_ADDR	DM_FAIL "vma-addr"
#define ERRNO		DM_FAIL "errno"
#define ALLOC_NTH	DM_FAIL "alloc-nth"
#define RECOVERY_NTH	DM_FAIL "recovery-alloc-nth"
#define PER_FORK	DM_FAIL "per-fork"
#define SEED		DM_FAIL "seed"
#define DRY_RUN		DM_FAIL "dry-run"
#define HOLD_AT		DM_HOLD "at"
#define HOLD_TIMEOUT	DM_HOLD "timeout-ms"

/* The file "recovery" when one of the usual two is set. */
#define IS_RUST		"[rust] upstream xa-zero xa-zero-bare\n"
#define IS_UPSTREAM	"rust [upstream] xa-zero xa-zero-bare\n"
/* The file "hold/at", with brackets around one. */
#define HELD_AT(none, pinned)	\
	none " before-recovery parent-unlocked after-recovery after-unlock " pinned "\n"

static const struct rw_file {
	const char *name;
	const char *initially;		/* NULL: reset leaves it as it is */
	const char *value[4], *reads[4];
	/* reads[0], after value[1] byte by byte. */
	const char *bytes;
	/* The same, after two parts; each of a number's is a value. */
	const char *part[2], *parts;
} rw_files[] = {
	{
		"recovery", NULL,
		{ "rust", "upstream", "rust\n", "upstream\n" },
		{
			IS_RUST, IS_UPSTREAM, IS_RUST, IS_UPSTREAM,
		},
		IS_RUST,
		{ "up", "stream" }, IS_RUST,
	}, {
		POINT, "any\n",
		{ "mt-dup", "copy-page-range", "any", "vm-area-dup\n" },
		{ "mt-dup\n", "copy-page-range\n", "any\n", "vm-area-dup\n" },
		"mt-dup\n",
		{ "vm-area", "-dup" }, "mt-dup\n",
	}, {
		VMA_INDEX, "-1\n",
		{ "15", "2147483647", "0x1f", "-1" },
		{ "15\n", "2147483647\n", "31\n", "-1\n" },
		"7\n",
		{ "1", "2" }, "2\n",
	}, {
		VMA_ADDR, "0x0\n",
		{ "0x7f0000001000", "4096", "0", "0xffffffffffffffff" },
		{ "0x7f0000001000\n", "0x1000\n", "0x0\n", "0xffffffffffffffff\n" },
		"0x6\n",
		{ "1", "2" }, "0x2\n",
	}, {
		/* Of its digits only the 0 is a value. */
		ERRNO, "0\n",
		{ "-12", "-4095", "0", "-4\n" },
		{ "-12\n", "-4095\n", "0\n", "-4\n" },
		"0\n",
		{ "-1", "-2" }, "-2\n",
	}, {
		ALLOC_NTH, "0\n",
		{ "15", "2147483647", "0x1f", "0" },
		{ "15\n", "2147483647\n", "31\n", "0\n" },
		"7\n",
		{ "1", "2" }, "2\n",
	}, {
		RECOVERY_NTH, "0\n",
		{ "15", "2147483647", "0x1f", "0" },
		{ "15\n", "2147483647\n", "31\n", "0\n" },
		"7\n",
		{ "1", "2" }, "2\n",
	}, {
		HOLD_AT, HELD_AT("[none]", "pinned"),
		{ "none", "pinned", "none\n", "pinned\n" },
		{
			HELD_AT("[none]", "pinned"), HELD_AT("none", "[pinned]"),
			HELD_AT("[none]", "pinned"), HELD_AT("none", "[pinned]"),
		},
		HELD_AT("[none]", "pinned"),
		{ "pin", "ned" }, HELD_AT("[none]", "pinned"),
	}, {
		HOLD_TIMEOUT, "10000\n",
		{ "15", "60000", "0x1f", "1" },
		{ "15\n", "60000\n", "31\n", "1\n" },
		/* Of its digits the 0 is no value. */
		"6\n",
		{ "1", "2" }, "2\n",
	}, {
		PER_FORK, "N\n",
		{ "Y", "0", "1\n", "n" },
		{ "Y\n", "N\n", "Y\n", "N\n" },
		"N\n",
		{ "0", "1" }, "Y\n",
	}, {
		SEED, "0\n",
		{ "15", "2147483647", "0x1f", "0" },
		{ "15\n", "2147483647\n", "31\n", "0\n" },
		"7\n",
		{ "1", "2" }, "2\n",
	}, {
		DRY_RUN, "N\n",
		{ "Y", "0", "1\n", "n" },
		{ "Y\n", "N\n", "Y\n", "N\n" },
		"N\n",
		{ "0", "1" }, "Y\n",
	},
};

#define NR_RW	ARRAY_SIZE(rw_files)

#define MAX_TEXT	63	/* bytes that a file takes */

static inline int open_file(struct __test_metadata *_metadata, const char *file, int flags)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), DM_DIR "/%s", file);
	fd = open(path, flags | O_CLOEXEC);
	ASSERT_GE(fd, 0) TH_LOG("%s: %s", path, strerror(errno));
	return fd;
}

/* What write() returns, or a negative errno. */
static inline ssize_t put(int fd, const void *data, size_t len)
{
	ssize_t n = write(fd, data, len);

	return n < 0 ? -errno : n;
}

static inline ssize_t put_text(int fd, const char *text)
{
	return put(fd, text, strlen(text));
}

static inline ssize_t get(int fd, char *buf, size_t size, off_t off)
{
	ssize_t n = pread(fd, buf, size - 1, off);

	buf[n < 0 ? 0 : n] = '\0';
	return n < 0 ? -errno : n;
}

static inline void fd_is(struct __test_metadata *_metadata, int fd, const char *want,
			 const char *what)
{
	char buf[128];

	ASSERT_GT(get(fd, buf, sizeof(buf), 0), 0) TH_LOG("%s", what);
	ASSERT_STREQ(want, buf) TH_LOG("%s", what);
}

static inline void check_is(struct __test_metadata *_metadata, const char *file,
			    const char *want)
{
	char buf[128];

	ASSERT_GT(dm_read(file, buf, sizeof(buf)), 0) TH_LOG("%s", file);
	ASSERT_STREQ(want, buf) TH_LOG("%s", file);
}

static inline void accepts(struct __test_metadata *_metadata, const char *file,
			   const char *text, const char *reads)
{
	ASSERT_EQ(0, dm_write(file, text)) TH_LOG("'%s' to %s", text, file);
	check_is(_metadata, file, reads);
}

#endif /* RW_FILES_H */
