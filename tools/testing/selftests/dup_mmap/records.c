// SPDX-License-Identifier: GPL-2.0
/* What the module says about a failed fork: the files' format, and the errno. */
#include <fcntl.h>
#include <sys/prctl.h>

#include "dup_mmap.h"
#include "harness.h"

static char text[65536];
static struct dm_series series;

FIXTURE(record) {
	struct dm_saved saved;
};

FIXTURE_SETUP(record)
{
	dm_save(&self->saved);
}

FIXTURE_TEARDOWN_PARENT(record)
{
	dm_restore(&self->saved);
}

static void check_keys(struct __test_metadata *_metadata, const char *file,
		       const char * const *keys)
{
	char *line = text, *next, *colon;

	ASSERT_GT(dm_read(file, text, sizeof(text)), 0);
	for (; *line; line = next, keys++) {
		next = strchr(line, '\n');
		ASSERT_NE(NULL, next);
		*next++ = '\0';
		colon = strstr(line, ": ");
		ASSERT_NE(NULL, colon);
		*colon = '\0';
		ASSERT_NE(NULL, *keys);
		ASSERT_STREQ(*keys, line);
	}
	ASSERT_EQ(NULL, *keys);
}

TEST_F(record, last_has_its_keys_in_order)
{
	static const char * const keys[] = {
		"pid", "comm", "point", "vma-index", "vma", "errno", "injected", "seed",
		"alloc-nth", "recovery-alloc-nth", "recovery-alloc-failed",
		"recovery", "class", "end", "vmas-copied", "vmas-torn-down",
		"pages-uncharged", "mm-flags", "ns", "parent-lock-ns", NULL
	};
	struct dm_record rec;

	ASSERT_STREQ("", dm_begin_series(&series, self->saved.recovery));
	ASSERT_STREQ("", dm_shoot(&series, DM_VM_AREA_DUP, 1, 0, &rec));
	check_keys(_metadata, "last", keys);
	/* Also when most of them have nothing to say. */
	ASSERT_STREQ("", dm_shoot(&series, DM_MT_DUP, -1, 0, &rec));
	check_keys(_metadata, "last", keys);
}

TEST_F(record, last_is_none_after_reset)
{
	struct dm_record rec;

	ASSERT_STREQ("", dm_begin_series(&series, self->saved.recovery));
	ASSERT_STREQ("", dm_shoot(&series, DM_MT_DUP, -1, 0, &rec));
	ASSERT_EQ(0, dm_write("reset", "1"));
	ASSERT_GT(dm_read("last", text, sizeof(text)), 0);
	ASSERT_STREQ("none\n", text);
}

TEST_F(record, stats_have_their_keys_in_order)
{
	static const char * const keys[] = {
		"forks", "failed", "injected", "allocs-failed", "allocs-missed",
		"recovered-rust", "recovered-upstream", "left-xa-zero",
		"vmas-torn-down", "pages-uncharged", NULL
	};

	check_keys(_metadata, "stats", keys);
}

/* What the kernel's log has said since it was read last, or since fd went to its end. */
static const char *said(int fd)
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += n;
	text[len] = '\0';
	return text;
}

static int how_often(const char *p, const char *what)
{
	int n = 0;

	for (p = strstr(p, what); p; p = strstr(p + 1, what))
		n++;
	return n;
}

TEST_F(record, kernel_log_says_injected)
{
	const char *log;
	pid_t pid;
	int fd, err;

	fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		SKIP(return, "/dev/kmsg: %s", strerror(errno));
	lseek(fd, 0, SEEK_END);
	ASSERT_STREQ("", dm_arm(DM_MT_DUP, -1, 0));
	ASSERT_EQ(0, dm_write(DM_FAIL "verbose", "1"));
	pid = dm_fork(&err);
	dm_disarm();
	ASSERT_EQ(-1, pid);
	log = said(fd);
	close(fd);
	EXPECT_NE(NULL, strstr(log, "FAULT_INJECTION: forcing a failure"));
	EXPECT_NE(NULL, strstr(log, "name fail_dup_mmap"));
}

/* The framework says that a failure was forced, and this module which step it was. */
TEST_F(record, verbose_names_the_step)
{
	static const char line[] =
		"FAULT_INJECTION: vm-area-dup, vma-index 1, alloc-nth 0\n";
	int fd, on;

	fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		SKIP(return, "/dev/kmsg: %s", strerror(errno));
	for (on = 0; on < 2; on++) {
		lseek(fd, 0, SEEK_END);
		ASSERT_STREQ("", dm_arm(DM_VM_AREA_DUP, 1, 0));
		ASSERT_EQ(0, dm_write(DM_FAIL "verbose", on ? "1" : "0"));
		EXPECT_EQ(ENOMEM, dm_try_fork());
		dm_disarm();
		EXPECT_EQ(on, how_often(said(fd), line));
	}
	close(fd);
}

/* Both lines of a failure count for the limit. */
TEST_F(record, lines_are_limited)
{
	const int nr = 4;
	int fd, i, limited;

	fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		SKIP(return, "/dev/kmsg: %s", strerror(errno));
	for (limited = 0; limited < 2; limited++) {
		lseek(fd, 0, SEEK_END);
		ASSERT_STREQ("", dm_arm(DM_MT_DUP, -1, 0));
		ASSERT_EQ(0, dm_write(DM_FAIL "times", "-1"));
		ASSERT_EQ(0, dm_write(DM_FAIL "verbose", "1"));
		ASSERT_EQ(0, dm_write(DM_FAIL "verbose_ratelimit_interval_ms",
				      limited ? "3600000" : "0"));
		ASSERT_EQ(0, dm_write(DM_FAIL "verbose_ratelimit_burst", "3"));
		for (i = 0; i < nr; i++)
			EXPECT_EQ(ENOMEM, dm_try_fork());
		dm_disarm();
		EXPECT_EQ(limited ? 3 : 2 * nr, how_often(said(fd), "FAULT_INJECTION: "));
	}
	close(fd);
}

/* Whatever a task calls itself, its record has a line for that and no more. */
TEST_F(record, comm_is_one_line_and_all_of_it)
{
	static const struct {
		const char *name, *reads;
	} c[] = {
		{ "a\nerrno: 5\n", "a\\nerrno: 5\\n" },
		{ "\x01\xff\t\\", "\\x01\\xff\\t\\\\" },
		{ "fifteen bytes..", "fifteen bytes.." },
	};
	struct dm_record rec;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(c); i++) {
		ASSERT_EQ(0, prctl(PR_SET_NAME, c[i].name));
		ASSERT_STREQ("", dm_arm(DM_MT_DUP, -1, 0));
		EXPECT_EQ(ENOMEM, dm_try_fork());
		ASSERT_STREQ("", dm_get_record(&rec));
		EXPECT_STREQ(c[i].reads, rec.comm);
		EXPECT_EQ(-ENOMEM, rec.err);
	}
}

FIXTURE(point) {
	struct dm_saved saved;
};

FIXTURE_VARIANT(point) {
	enum dm_point point;
};

FIXTURE_VARIANT_ADD(point, mmap_write_lock) { DM_MMAP_WRITE_LOCK };
FIXTURE_VARIANT_ADD(point, mt_dup) { DM_MT_DUP };
FIXTURE_VARIANT_ADD(point, vma_start_write) { DM_VMA_START_WRITE };
FIXTURE_VARIANT_ADD(point, clear_dontcopy) { DM_CLEAR_DONTCOPY };
FIXTURE_VARIANT_ADD(point, vm_enough_memory) { DM_VM_ENOUGH_MEMORY };
FIXTURE_VARIANT_ADD(point, vm_area_dup) { DM_VM_AREA_DUP };
FIXTURE_VARIANT_ADD(point, dup_policy) { DM_DUP_POLICY };
FIXTURE_VARIANT_ADD(point, dup_userfaultfd) { DM_DUP_USERFAULTFD };
FIXTURE_VARIANT_ADD(point, anon_vma_fork) { DM_ANON_VMA_FORK };
FIXTURE_VARIANT_ADD(point, copy_page_range) { DM_COPY_PAGE_RANGE };
FIXTURE_VARIANT_ADD(point, arch_dup_mmap) { DM_ARCH_DUP_MMAP };

FIXTURE_SETUP(point)
{
	dm_save(&self->saved);
}

FIXTURE_TEARDOWN_PARENT(point)
{
	dm_restore(&self->saved);
}

/* The first VMA that gets there. */
TEST_F(point, errno_is_what_dup_mmap_returned)
{
	static const int errs[] = { -EINTR, -EAGAIN, -ENOMEM, -1, -4095 };
	struct dm_layout l;
	struct dm_record rec;
	size_t i;

	/* No VMA of this program itself gets to clear-dontcopy. */
	ASSERT_EQ(NULL, dm_build(&l, DM_DONTFORK, DM_MIDDLE));
	ASSERT_STREQ("", dm_begin_series(&series, self->saved.recovery));
	for (i = 0; i < ARRAY_SIZE(errs); i++) {
		ASSERT_STREQ("", dm_shoot(&series, variant->point, -1, errs[i], &rec))
			TH_LOG("errno %d", errs[i]);
		ASSERT_FALSE(rec.none);
	}
	EXPECT_STREQ("", dm_check_layout(&l));
	EXPECT_STREQ("", dm_unbuild(&l));
}

/*
 * Nobody watches these forks, and they fail by themselves: the kernel tells which
 * step it was and at which VMA.
 */
FIXTURE(unwatched) {
	struct dm_saved saved;
	struct dm_alloc alloc;
};

FIXTURE_VARIANT(unwatched) {
	enum dm_point point;
	/* Allocations of this function fail, which this one asks about. */
	const char *function, *attribute;
	int index;
};

#define SLAB	"failslab"
#define PAGES	"fail_page_alloc"

FIXTURE_VARIANT_ADD(unwatched, mt_dup) { DM_MT_DUP, "__mt_dup", SLAB, -1 };
FIXTURE_VARIANT_ADD(unwatched, vm_area_dup) { DM_VM_AREA_DUP, "vm_area_dup", SLAB, 1 };
FIXTURE_VARIANT_ADD(unwatched, anon_vma_fork) { DM_ANON_VMA_FORK, "anon_vma_fork", SLAB, 1 };
FIXTURE_VARIANT_ADD(unwatched, copy_page_range) { DM_COPY_PAGE_RANGE, "copy_page_range", PAGES, 1 };

FIXTURE_SETUP(unwatched)
{
	dm_save(&self->saved);
}

FIXTURE_TEARDOWN_PARENT(unwatched)
{
	/* Before the filters, which have kept all but one function out. */
	dm_write_path("/sys/kernel/debug/" SLAB "/probability", "0");
	dm_write_path("/sys/kernel/debug/" PAGES "/probability", "0");
	dm_alloc_end(&self->alloc);
	dm_restore(&self->saved);
}

/*
 * The first VMA of the address space is one that the child does not get, and counts.
 * The second one is the first to be copied, and to allocate.
 */
TEST_F(unwatched, failure_is_recorded)
{
	static const char * const recoveries[] = { "rust", "upstream" };
	static struct dm_maps maps;
	struct dm_counts counts[2];
	struct dm_layout l;
	struct dm_record rec;
	struct dm_shot shot;
	char path[64];
	const char *why;
	int i, p;

	why = dm_build(&l, DM_AFTER_DONTFORK, DM_FIRST);
	ASSERT_EQ(NULL, why);
	ASSERT_STREQ("", dm_get_maps_and_flags(&maps));
	ASSERT_EQ(1, dm_index_of(&maps, l.addr));
	why = dm_alloc_begin(&self->alloc, variant->function);
	if (why)
		SKIP(return, "%s", why);
	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/probability", variant->attribute);
	for (i = 0; i < 2; i++) {
		ASSERT_STREQ("", dm_use_recovery(recoveries[i]));
		ASSERT_STREQ("", dm_get_counts(&counts[0]));
		ASSERT_EQ(0, dm_write_path(path, "100"));
		ASSERT_STREQ("", dm_watch_fork(&shot, NULL, NULL));
		ASSERT_EQ(0, dm_write_path(path, "0"));
		ASSERT_STREQ("", dm_judge_shot(&shot, &maps, recoveries[i], &rec));
		EXPECT_STREQ(dm_points[variant->point].name, rec.point);
		EXPECT_EQ(variant->index, rec.index);
		EXPECT_EQ('n', rec.injected);
		/* Its failure is counted, and it is, but none of its steps. */
		EXPECT_EQ(1, shot.after.forks - shot.before.forks);
		ASSERT_STREQ("", dm_get_counts(&counts[1]));
		for (p = 0; p < DM_NR_POINTS; p++)
			EXPECT_EQ(counts[0].hits[p], counts[1].hits[p])
				TH_LOG("%s", dm_points[p].name);
	}
	EXPECT_STREQ("", dm_check_layout(&l));
	EXPECT_STREQ("", dm_unbuild(&l));
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
