// SPDX-License-Identifier: GPL-2.0
/*
 * However a file is opened, read and written, byte by byte, in parts, at an offset, with
 * bad pointers: its text is the same, and a value is taken as a whole or refused.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "dup_mmap.h"
#include "harness.h"
#include "rw_files.h"

static char text[8192];

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
		{ PER_FORK, 2 },	{ SEED, 2 },
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

/* pwrite() is refused by the VFS; write() behind the start only by the file. */
TEST_F(file, no_value_behind_the_start)
{
	static const char file[] = DM_DIR "/" DM_FAIL "vma-index";
	char byte;
	int fd = open(file, O_RDWR | O_CLOEXEC);

	ASSERT_GE(fd, 0);
	ASSERT_EQ(1, write(fd, "5", 1));
	ASSERT_EQ(1, lseek(fd, 1, SEEK_SET));
	EXPECT_EQ(-1, write(fd, "6", 1));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
	ASSERT_EQ(1, read(fd, &byte, 1));
	EXPECT_EQ('5', byte);
	EXPECT_EQ(-1, write(fd, "7", 1));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
	EXPECT_EQ(1, write(fd, "8", 1));
	EXPECT_EQ(8, dm_read_number(file));
	close(fd);
}

/* Objects of the cache that each open file has one of; freed ones do not count. */
static long nr_seq_files(void)
{
	dm_write_path("/sys/kernel/slab/seq_file/shrink", "1");
	return dm_read_number("/sys/kernel/slab/seq_file/objects");
}

TEST_F(file, open_files_leave_nothing)
{
	const int nr = 500;
	long before = nr_seq_files();
	int i;

	if (before < 0)
		SKIP(return, "no /sys/kernel/slab/seq_file/objects (CONFIG_SLUB_DEBUG)");
	for (i = 0; i < nr; i++)
		ASSERT_GT(dm_read("last", text, sizeof(text)), 0);
	/* A few may still be in use as the cache sees it. */
	EXPECT_LT(nr_seq_files(), before + nr / 2);
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
