// SPDX-License-Identifier: GPL-2.0
/* What the module says about a failed fork: the files' format, and the errno. */
#include <fcntl.h>
#include <sys/syscall.h>

#include "dup_mmap.h"
#include "harness.h"

static char text[8192];
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

/* Only x86 has something to copy there that takes memory, the LDT. */
static bool arch_dup_mmap_can_fail(void)
{
#ifdef __x86_64__
	return !syscall(SYS_modify_ldt, 0, NULL, 0);
#else
	return false;
#endif
}

TEST_F(record, points_are_all_there)
{
	unsigned long hits, injected;
	char name[32], kept, *line, *next;
	int p, n, err, len;

	ASSERT_GT(dm_read("points", text, sizeof(text)), 0);
	ASSERT_EQ('#', text[0]);
	line = strchr(text, '\n');
	ASSERT_NE(NULL, line);
	line++;
	for (p = 0; p < DM_NR_POINTS; p++, line = next) {
		next = strchr(line, '\n');
		ASSERT_NE(NULL, next) TH_LOG("after %d points", p);
		*next++ = '\0';
		len = 0;
		n = sscanf(line, "%31s %d %lu %lu %c %n", name, &err, &hits,
			   &injected, &kept, &len);
		ASSERT_EQ(5, n) TH_LOG("%s", line);
		ASSERT_STREQ(dm_points[p].name, name);
		ASSERT_EQ(dm_points[p].err, err);
		ASSERT_EQ(dm_points[p].err_kept ? 'y' : 'n', kept);
		/* Says what makes it fail, or that nothing does. */
		ASSERT_NE('\0', line[len]);
		if (p == DM_ARCH_DUP_MMAP)
			EXPECT_EQ(arch_dup_mmap_can_fail(),
				  !strstr(line + len, "by injection only"));
	}
	ASSERT_EQ('\0', *line);
}

/* Of a fork that is watched, though nothing can fail. */
TEST_F(record, hits_count_without_injection)
{
	static struct dm_maps maps;
	struct dm_counts counts[2];
	struct dm_stats stats[2];
	struct dm_expect want;
	struct dm_tries tries = { 0 };
	const char *why;
	int err;
	pid_t pid;

	ASSERT_STREQ("", dm_get_maps_and_flags(&maps));
	ASSERT_STREQ("", dm_arm(DM_VMA_START_WRITE, maps.nr, 0));
	/* No step for a VMA that there is not: all that a fork comes to. */
	dm_model(&maps, DM_VMA_START_WRITE, maps.nr, 0, &want);
	ASSERT_FALSE(want.fails);
	do {
		ASSERT_STREQ("", dm_get_stats(&stats[0]));
		ASSERT_STREQ("", dm_get_counts(&counts[0]));
		pid = dm_fork(&err);
		ASSERT_GT(pid, 0);
		ASSERT_EQ(pid, waitpid(pid, NULL, 0));
		ASSERT_STREQ("", dm_get_counts(&counts[1]));
		ASSERT_STREQ("", dm_get_stats(&stats[1]));
		/* Of somebody else's fork there may be a part only. */
		why = stats[1].forks - stats[0].forks != 1 ? "it was not alone" :
			dm_compare_counts(&want, DM_VMA_START_WRITE, &counts[0],
					  &counts[1]);
	} while (dm_try_again(&tries, *why));
	ASSERT_STREQ("", why);
	EXPECT_STREQ("", dm_compare_stats(&want, self->saved.recovery, &stats[0],
					  &stats[1]));
}

/* How many forks are counted of one that works; all of its steps are, or none. */
static unsigned long count_one(struct __test_metadata *_metadata)
{
	struct dm_counts counts[2];
	struct dm_stats stats[2];
	int err, status, p;
	pid_t pid;

	ASSERT_STREQ("", dm_get_stats(&stats[0]));
	ASSERT_STREQ("", dm_get_counts(&counts[0]));
	pid = dm_fork(&err);
	ASSERT_GT(pid, 0) TH_LOG("%s", strerror(err));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	ASSERT_STREQ("", dm_get_counts(&counts[1]));
	ASSERT_STREQ("", dm_get_stats(&stats[1]));
	ASSERT_EQ(stats[0].failed, stats[1].failed);
	for (p = 0; p < DM_NR_POINTS; p++) {
		/* No VMA of this program is one that the child does not get. */
		EXPECT_EQ(stats[1].forks == stats[0].forks || p == DM_CLEAR_DONTCOPY,
			  counts[1].hits[p] == counts[0].hits[p])
			TH_LOG("%s", dm_points[p].name);
	}
	return stats[1].forks - stats[0].forks;
}

/* Whoever may want to see a fork has to say so before it begins. */
TEST_F(record, forks_that_nobody_watches_are_not_counted)
{
	static struct dm_alloc alloc;
	const char *why;

	EXPECT_EQ(0, count_one(_metadata));
	/* Times are left, but there is no probability; and the reverse. */
	ASSERT_EQ(0, dm_write_path("/proc/self/make-it-fail", "1"));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "-1"));
	ASSERT_EQ(0, dm_write(DM_FAIL "task-filter", "Y"));
	EXPECT_EQ(0, count_one(_metadata));
	ASSERT_EQ(0, dm_write(DM_FAIL "probability", "100"));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "0"));
	EXPECT_EQ(0, count_one(_metadata));
	/* Both, and a VMA that there is not. */
	ASSERT_EQ(0, dm_write(DM_FAIL "vma-index", "100000"));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "1"));
	EXPECT_EQ(1, count_one(_metadata));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "-1"));
	EXPECT_EQ(1, count_one(_metadata));
	dm_reset();
	EXPECT_EQ(0, count_one(_metadata));

	ASSERT_EQ(0, dm_write(DM_FAIL "dry-run", "1"));
	EXPECT_EQ(1, count_one(_metadata));
	EXPECT_EQ(0, count_one(_metadata));

	/* With a fail-nth that nothing else takes any off. */
	why = dm_alloc_begin(&alloc, NULL);
	if (!why) {
		ASSERT_EQ(0, dm_set_nth(100000));
		EXPECT_EQ(1, count_one(_metadata));
		ASSERT_EQ(0, dm_set_nth(0));
		EXPECT_EQ(0, count_one(_metadata));
	}
	dm_alloc_end(&alloc);
	EXPECT_EQ(NULL, why);
}

/* What is asked of some tasks makes no difference to others. */
TEST_F(record, forks_of_other_tasks_are_not_counted)
{
	ASSERT_STREQ("", dm_arm(DM_VMA_START_WRITE, 100000, 0));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "-1"));
	EXPECT_EQ(1, count_one(_metadata));
	ASSERT_EQ(0, dm_write_path("/proc/self/make-it-fail", "0"));
	EXPECT_EQ(0, count_one(_metadata));
	ASSERT_EQ(0, dm_write(DM_FAIL "dry-run", "1"));
	EXPECT_EQ(0, count_one(_metadata));
	/* It is still there for the one that it is for. */
	ASSERT_EQ(0, dm_write(DM_FAIL "probability", "0"));
	ASSERT_EQ(0, dm_write_path("/proc/self/make-it-fail", "1"));
	EXPECT_EQ(1, count_one(_metadata));
	EXPECT_EQ(0, count_one(_metadata));
	/* Without a filter, for everybody. */
	ASSERT_EQ(0, dm_write_path("/proc/self/make-it-fail", "0"));
	ASSERT_EQ(0, dm_write(DM_FAIL "task-filter", "N"));
	ASSERT_EQ(0, dm_write(DM_FAIL "probability", "100"));
	EXPECT_LE(1, count_one(_metadata));
}

TEST_F(record, kernel_log_says_injected)
{
	bool forced = false, named = false;
	ssize_t n;
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
	while ((n = read(fd, text, sizeof(text) - 1)) > 0) {
		text[n] = '\0';
		forced |= !!strstr(text, "FAULT_INJECTION: forcing a failure");
		named |= !!strstr(text, "name fail_dup_mmap");
	}
	close(fd);
	EXPECT_TRUE(forced);
	EXPECT_TRUE(named);
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

/* A fork that fails at once, with an errno that tells it from others. */
static void fail_with(struct __test_metadata *_metadata, int nr)
{
	char error[16];
	int err;

	snprintf(error, sizeof(error), "%d", -nr);
	ASSERT_EQ(0, dm_write(DM_FAIL "errno", error));
	ASSERT_EQ(-1, dm_fork(&err));
	ASSERT_EQ(ENOMEM, err);
}

TEST_F(record, log_keeps_the_last_256)
{
	static char log[131072], want[3][1024];
	const char * const recoveries[] = { "upstream", "rust", "upstream" };
	const enum dm_point points[] = {
		DM_COPY_PAGE_RANGE, DM_ARCH_DUP_MMAP, DM_VM_AREA_DUP
	};
	char error[32], *line, *p;
	int i, nr, err;

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

	ASSERT_STREQ("", dm_arm(DM_MT_DUP, -1, 0));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "-1"));
	for (nr = 1; nr <= 256 + 10; nr++)
		fail_with(_metadata, nr);
	dm_disarm();
	last_as_line(_metadata, want[0], sizeof(want[0]));
	p = log;
	ASSERT_GT(dm_read("log", log, sizeof(log)), 0);
	ASSERT_STREQ("# dropped 13", next_line(_metadata, &p));
	line = NULL;
	for (nr = 11; nr <= 256 + 10; nr++) {
		line = next_line(_metadata, &p);
		snprintf(error, sizeof(error), " errno=%d ", -nr);
		ASSERT_NE(NULL, strstr(line, error)) TH_LOG("no%sin %s", error, line);
	}
	ASSERT_STREQ(want[0], line);
	ASSERT_EQ('\0', *p);

	dm_reset();
	ASSERT_GT(dm_read("log", log, sizeof(log)), 0);
	ASSERT_STREQ("# dropped 0\n", log);
}

FIXTURE(trace) {
	struct dm_saved saved;
	struct dm_alloc alloc;
};

FIXTURE_VARIANT(trace) {
	const char *recovery;
};

FIXTURE_VARIANT_ADD(trace, rust) { "rust" };
FIXTURE_VARIANT_ADD(trace, upstream) { "upstream" };

FIXTURE_SETUP(trace)
{
	const char *why;

	dm_save(&self->saved);
	why = dm_trace_begin();
	if (*why)
		SKIP(return, "%s", why);
	ASSERT_STREQ("", dm_use_recovery(variant->recovery));
}

FIXTURE_TEARDOWN_PARENT(trace)
{
	dm_trace_end();
	dm_alloc_end(&self->alloc);
	dm_restore(&self->saved);
}

/* What the only event of this name prints, "" if there is none. */
static const char *the_event(struct __test_metadata *_metadata, const char *name)
{
	const struct dm_event *events;
	int i, nr = dm_get_events(&events);
	size_t len = strlen(name);
	const char *found = "";

	ASSERT_GE(nr, 0);
	for (i = 0; i < nr; i++) {
		if (strncmp(events[i].what, name, len) || strncmp(events[i].what + len, ": ", 2))
			continue;
		ASSERT_STREQ("", found) TH_LOG("twice: %s", events[i].what);
		ASSERT_EQ(getpid(), events[i].pid) TH_LOG("%s", events[i].what);
		found = events[i].what + len + 2;
	}
	return found;
}

/* One fork that fails; the events are those of it. */
static void shoot_traced(struct __test_metadata *_metadata, enum dm_point point,
			 int index, int error, const char *alloc_nth,
			 struct dm_record *rec)
{
	int err;

	dm_trace_clear();
	ASSERT_STREQ("", dm_arm(point, index, error));
	ASSERT_EQ(0, dm_write(DM_FAIL "alloc-nth", alloc_nth));
	ASSERT_EQ(-1, dm_fork(&err));
	ASSERT_EQ(ENOMEM, err);
	dm_disarm();
	ASSERT_STREQ("", dm_get_record(rec));
	ASSERT_STREQ(dm_points[point].name, rec->point);
}

/* The same numbers as in `last`, under their own names. */
TEST_F(trace, events_agree_with_last)
{
	static struct dm_maps maps;
	const struct {
		enum dm_point point;
		int error;
		const char *alloc_nth;
		int injected;		/* the error in the event */
		bool recovered;
	} c[] = {
		{ DM_COPY_PAGE_RANGE, 0, "0", -ENOMEM, true },
		{ DM_ARCH_DUP_MMAP, 0, "0", -ENOMEM, true },
		{ DM_VMA_START_WRITE, -EINTR, "0", -EINTR, true },
		/* dup_mmap() makes something else of it. */
		{ DM_VM_AREA_DUP, -EINTR, "0", -EINTR, true },
		{ DM_MT_DUP, 0, "0", -ENOMEM, false },
		/* The step is taken, and what it comes to not known yet. */
		{ DM_VM_AREA_DUP, 0, "1", 0, true },
	};
	struct dm_layout l;
	struct dm_record rec;
	char want[512];
	const char *why;
	size_t i;
	int index;

	ASSERT_EQ(NULL, dm_build(&l, DM_ANON, DM_MIDDLE));
	why = dm_alloc_begin(&self->alloc, "");
	ASSERT_EQ(0, dm_trace_event("injected", true));
	ASSERT_EQ(0, dm_trace_event("recovered", true));
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		if (why && strcmp(c[i].alloc_nth, "0")) {
			TH_LOG("no allocation fails: %s", why);
			continue;
		}
		ASSERT_STREQ("", dm_get_maps(&maps));
		index = dm_points[c[i].point].has_vma ? dm_index_of(&maps, l.addr) : -1;
		shoot_traced(_metadata, c[i].point, index, c[i].error,
			     c[i].alloc_nth, &rec);
		ASSERT_EQ(index, rec.index);
		ASSERT_EQ(strtoul(c[i].alloc_nth, NULL, 10), rec.alloc_nth);
		ASSERT_EQ(c[i].recovered, !strcmp(variant->recovery, rec.recovery));

		snprintf(want, sizeof(want),
			 "point=%s vma_index=%d vma=%lx-%lx error=%d alloc_nth=%lu",
			 rec.point, rec.index, rec.start, rec.end_addr,
			 c[i].injected, rec.alloc_nth);
		ASSERT_STREQ(want, the_event(_metadata, "injected"))
			TH_LOG("case %zu", i);
		if (dm_points[c[i].point].err_kept)
			ASSERT_EQ(c[i].injected, rec.err);

		snprintf(want, sizeof(want),
			 "point=%s vma_index=%d vma=%lx-%lx error=%d recovery=%s extent=%llx vmas_copied=%lu vmas_torn_down=%lu pages_uncharged=%lu",
			 rec.point, rec.index, rec.start, rec.end_addr, rec.err,
			 rec.recovery, rec.end, rec.copied, rec.torn_down,
			 rec.uncharged);
		ASSERT_STREQ(c[i].recovered ? want : "",
			     the_event(_metadata, "recovered"))
			TH_LOG("case %zu", i);
	}
	EXPECT_STREQ("", dm_check_layout(&l));
	EXPECT_STREQ("", dm_unbuild(&l));
}

TEST_F(trace, nothing_without_events)
{
	static const char * const names[] = { "injected", "recovered" };
	struct dm_record rec;
	int on;
	size_t i;

	/* Neither, then each alone, then neither again. */
	for (on = 0; on < 4; on++) {
		for (i = 0; i < 2; i++)
			ASSERT_EQ(0, dm_trace_event(names[i], on == (int)i + 1));
		shoot_traced(_metadata, DM_COPY_PAGE_RANGE, 1, 0, "0", &rec);
		for (i = 0; i < 2; i++) {
			EXPECT_EQ(on == (int)i + 1, !!*the_event(_metadata, names[i]))
				TH_LOG("%s, run %d", names[i], on);
		}
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
