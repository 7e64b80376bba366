// SPDX-License-Identifier: GPL-2.0
/*
 * Do the checks of lib/ that judge a fork report what they are there to report? Each gets
 * something that is wrong, and must say so; and something that it cannot read, which must
 * not look fine. Files of the kernel are replaced by others (lib/mounts.h).
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "dup_mmap.h"
#include "harness.h"
#include "says.h"

#define MEMINFO		"/proc/meminfo"
#define TAINTED		"/proc/sys/kernel/tainted"

FIXTURE(control) {
	struct dm_saved saved;
	struct dm_layout layout;
	struct dm_series series;
	struct dm_expect want;
	struct dm_record rec;
};

FIXTURE_SETUP(control)
{
	dm_save(&self->saved);
	ASSERT_STREQ("", dm_use_recovery("rust"));
	ASSERT_TRUE(dm_own_mounts());
	ASSERT_EQ(NULL, dm_build(&self->layout, DM_ANON, DM_MIDDLE));
}

FIXTURE_TEARDOWN_PARENT(control)
{
	dm_restore(&self->saved);
}

static const char *shoot_at(FIXTURE_DATA(control) * self, enum dm_point point,
			    int index)
{
	const char *why = dm_begin_series(&self->series, "rust");

	dm_model(&self->series.maps, point, index, 0, &self->want);
	if (!*why)
		why = dm_shoot(&self->series, point, index, 0, &self->rec);
	dm_end_series();
	return why;
}

/* A fork that fails, and what there is to say about it. */
static const char *shoot(FIXTURE_DATA(control) * self, enum dm_point point)
{
	return shoot_at(self, point, dm_points[point].has_vma ? self->layout.index : -1);
}

/* The record with one thing wrong. */
#define WRONG_RECORD(words, change) do {				\
	struct dm_record rec = self->rec;				\
									\
	change;								\
	says(_metadata, words, dm_compare(&self->series.maps, &self->want, point, "rust", &rec)); \
} while (0)

TEST_F(control, each_field_of_a_record)
{
	enum dm_point point = DM_COPY_PAGE_RANGE;

	ASSERT_STREQ("", shoot(self, point));
	ASSERT_STREQ("", dm_compare(&self->series.maps, &self->want, point, "rust", &self->rec));
	WRONG_RECORD("last: none", rec.none = true);
	WRONG_RECORD("point is", strcpy(rec.point, "mt-dup"));
	WRONG_RECORD("vma-index is", rec.index++);
	WRONG_RECORD("no vma", rec.has_vma = false);
	WRONG_RECORD("vma is", rec.start += 4096);
	WRONG_RECORD("vma is", rec.end_addr += 4096);
	WRONG_RECORD("errno is", rec.err = -EINTR);
	WRONG_RECORD("recovery is", strcpy(rec.recovery, "upstream"));
	WRONG_RECORD("recovery is", strcpy(rec.recovery, "-"));
	WRONG_RECORD("class is", strcpy(rec.class, "all"));
	WRONG_RECORD("no end", rec.has_end = false);
	WRONG_RECORD("end is", rec.end++);
	WRONG_RECORD("vmas-copied is", rec.copied--);
	WRONG_RECORD("vmas-torn-down is", rec.torn_down--);
	WRONG_RECORD("pages-uncharged is", rec.uncharged++);
	WRONG_RECORD("mm-flags are", strcat(rec.mm_flags, " more"));
	WRONG_RECORD("parent-lock-ns is", rec.parent_lock_ns = 0);
	WRONG_RECORD("parent-lock-ns is", rec.parent_lock_ns = rec.ns + 1);
}

TEST_F(control, each_field_of_a_record_without_recovery)
{
	enum dm_point point = DM_MT_DUP;

	ASSERT_STREQ("", shoot(self, point));
	ASSERT_STREQ("", dm_compare(&self->series.maps, &self->want, point, "rust", &self->rec));
	WRONG_RECORD("unexpected vma", rec.has_vma = true);
	WRONG_RECORD("recovery is", strcpy(rec.recovery, "rust"));
	WRONG_RECORD("class is", strcpy(rec.class, "none"));
	WRONG_RECORD("unexpected end", rec.has_end = true);
}

static const char *read_last(void)
{
	static struct dm_record rec;

	return dm_get_record(&rec);
}

static const char *read_stats(void)
{
	static struct dm_stats stats;

	return dm_get_stats(&stats);
}

static const char *read_points(void)
{
	static struct dm_counts counts;

	return dm_get_counts(&counts);
}

TEST_F(control, each_line_of_a_file)
{
	static const struct {
		const char *path, *(*read)(void);
	} files[] = {
		{ DM_DIR "/last", read_last },
		{ DM_DIR "/stats", read_stats },
		{ DM_DIR "/points", read_points },
	};
	static char text[8192], less[8192];
	char *line, *next;
	size_t i;

	ASSERT_STREQ("", shoot(self, DM_COPY_PAGE_RANGE));
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		EXPECT_STREQ("", files[i].read());
		ASSERT_LT(0, dm_read_path(files[i].path, text, sizeof(text)));
		for (line = text; *line; line = next) {
			next = strchr(line, '\n') + 1;
			snprintf(less, sizeof(less), "%.*s%s", (int)(line - text), text,
				 next);
			ASSERT_TRUE(dm_mount_over(files[i].path, less));
			EXPECT_STRNE("", files[i].read())
				TH_LOG("%s without '%.*s'", files[i].path,
				       (int)(next - line - 1), line);
			ASSERT_TRUE(dm_unmount(files[i].path));
		}
		ASSERT_TRUE(dm_mount_over(files[i].path, ""));
		says(_metadata, "reading", files[i].read());
	}
}

/* What has grown over a fork, with one number wrong. */
#define WRONG_STATS(words, change) do {					\
	struct dm_stats b = good;					\
									\
	change;								\
	says(_metadata, words, dm_compare_stats(&self->want, "rust", &a, &b));	\
} while (0)

TEST_F(control, each_counter_of_stats_and_points)
{
	enum dm_point point = DM_COPY_PAGE_RANGE;
	struct dm_stats a = { .forks = 7 }, good = { .forks = 8, .failed = 1,
						      .injected = 1, .rust = 1 };
	struct dm_counts before = {}, after = {};
	int p;

	ASSERT_STREQ("", shoot(self, point));
	good.torn_down = self->want.torn_down;
	good.uncharged = self->want.uncharged;
	ASSERT_STREQ("", dm_compare_stats(&self->want, "rust", &a, &good));
	WRONG_STATS("forks did not grow", b.forks--);
	WRONG_STATS("failed grew", b.failed++);
	WRONG_STATS("injected grew", b.injected--);
	WRONG_STATS("allocs-failed grew", b.allocs_failed++);
	WRONG_STATS("allocs-missed grew", b.allocs_missed++);
	WRONG_STATS("recovered-rust grew", b.rust--);
	WRONG_STATS("recovered-upstream grew", b.upstream++);
	WRONG_STATS("left-xa-zero grew", b.left++);
	WRONG_STATS("vmas-torn-down grew", b.torn_down++);
	WRONG_STATS("pages-uncharged grew", b.uncharged--);

	memcpy(after.hits, self->want.hits, sizeof(after.hits));
	after.injected[point] = 1;
	ASSERT_STREQ("", dm_compare_counts(&self->want, point, &before, &after));
	for (p = 0; p < DM_NR_POINTS; p++) {
		after.injected[p]++;
		says(_metadata, dm_points[p].name,
		     dm_compare_counts(&self->want, point, &before, &after));
		after.injected[p]--;
		after.hits[p]++;
		says(_metadata, dm_points[p].name,
		     dm_compare_counts(&self->want, point, &before, &after));
		after.hits[p]--;
	}
}

static pid_t cannot_try(void *arg, int *err)
{
	return 0;
}

static pid_t child_fails(void *arg, int *err)
{
	pid_t pid = fork();

	if (!pid)
		_exit(3);
	return pid;
}

/* One that fails, at the VMA whose index arg points to. */
static pid_t fails(void *arg, int *err)
{
	const char *why = dm_arm(DM_COPY_PAGE_RANGE, *(int *)arg, 0);
	pid_t pid = *why ? 0 : dm_fork(err);

	dm_disarm();
	return pid;
}

static pid_t fails_and_works(void *arg, int *err)
{
	return fails(arg, err) < 0 ? dm_fork(err) : 0;
}

/* Pages of a file in memory are accounted, and are in no VMA. */
static bool commit(int memfd)
{
	static char some[65536];

	return write(memfd, some, sizeof(some)) == sizeof(some);
}

static pid_t commits(void *arg, int *err)
{
	return commit(*(int *)arg) ? dm_fork(err) : 0;
}

TEST_F(control, a_fork_and_what_it_moved)
{
	int memfd = memfd_create("controls", MFD_CLOEXEC);
	int index = self->layout.index;
	struct dm_shot good, shot;
	struct dm_record *rec = &self->rec;
	static char text[4096];
	char other_pid[4200];

	ASSERT_LE(0, memfd);
	ASSERT_STREQ("", dm_get_maps_and_flags(&self->series.maps));
	says(_metadata, "could not be tried", dm_watch_fork(&shot, cannot_try, NULL));
	says(_metadata, "the child ended with", dm_watch_fork(&shot, child_fails, NULL));
	says(_metadata, "but fork() worked", dm_watch_fork(&shot, fails_and_works, &index));
	ASSERT_STREQ("", dm_watch_fork(&shot, commits, &memfd));
	EXPECT_GE(shot.committed, 64);

	ASSERT_STREQ("", dm_watch_fork(&good, fails, &index));
	ASSERT_STREQ("", dm_judge_shot(&good, &self->series.maps, "rust", rec));
	shot = good;
	shot.err = 0;
	says(_metadata, "fork() worked", dm_judge_shot(&shot, &self->series.maps, "rust", rec));
	shot.err = EAGAIN;
	says(_metadata, "expected ENOMEM", dm_judge_shot(&shot, &self->series.maps, "rust", rec));
	shot = good;
	shot.after.failed++;
	says(_metadata, "failed grew", dm_judge_shot(&shot, &self->series.maps, "rust", rec));
	shot = good;
	shot.after.injected--;
	says(_metadata, "injected grew", dm_judge_shot(&shot, &self->series.maps, "rust", rec));
	shot = good;
	shot.ns = 0;
	says(_metadata, "ns is", dm_judge_shot(&shot, &self->series.maps, "rust", rec));
	says(_metadata, "recovery is", dm_judge_shot(&good, &self->series.maps, "upstream", rec));
	ASSERT_LT(0, dm_read("last", text, sizeof(text)));
	ASSERT_EQ(0, strncmp(text, "pid: ", 5));
	snprintf(other_pid, sizeof(other_pid), "pid: 1%s", strchr(text, '\n'));
	ASSERT_TRUE(dm_mount_over(DM_DIR "/last", other_pid));
	says(_metadata, "pid is 1", dm_judge_shot(&good, &self->series.maps, "rust", rec));

	ASSERT_TRUE(dm_mount_over(MEMINFO, "MemTotal: 1 kB\nCommitted_AS:  kB\n"));
	says(_metadata, "cannot read Committed_AS", dm_watch_fork(&shot, NULL, NULL));
}

TEST_F(control, the_memory_of_both)
{
	struct dm_layout *l = &self->layout;
	int fd;

	ASSERT_STREQ("", dm_check_layout(l));
	l->addr[l->len - 1]++;
	says(_metadata, "memory of the parent changed", dm_check_layout(l));
	says(_metadata, "finds wrong memory", dm_check_clean_fork(l));
	ASSERT_STREQ("", dm_unbuild(l));

	ASSERT_EQ(NULL, dm_build(l, DM_DONTFORK, DM_MIDDLE));
	ASSERT_STREQ("", dm_check_clean_fork(l));
	ASSERT_EQ(0, madvise(l->addr, l->len, MADV_DOFORK));
	says(_metadata, "finds wrong memory", dm_check_clean_fork(l));
	ASSERT_STREQ("", dm_unbuild(l));

	ASSERT_EQ(NULL, dm_build(l, DM_WIPEONFORK, DM_MIDDLE));
	ASSERT_STREQ("", dm_check_clean_fork(l));
	ASSERT_EQ(0, madvise(l->addr, l->len, MADV_KEEPONFORK));
	says(_metadata, "finds wrong memory", dm_check_clean_fork(l));
	ASSERT_STREQ("", dm_unbuild(l));

	/* A writable mapping more than the layout knows of. */
	ASSERT_EQ(NULL, dm_build(l, DM_FILE_SHARED, DM_MIDDLE));
	fd = l->fd;
	ASSERT_NE(MAP_FAILED, mmap(NULL, l->len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	says(_metadata, "i_mmap_writable", dm_unbuild(l));
}

TEST_F(control, a_tainted_kernel)
{
	static const char * const complaints[] = { "32", "128", "512", "16384", "17024" };
	unsigned long before;
	size_t i;

	/* Modules and tests taint it, too. */
	ASSERT_TRUE(dm_mount_over(TAINTED, "331776"));
	before = dm_taint();
	EXPECT_EQ(0, before);
	EXPECT_STREQ("", dm_check_taint(before));
	for (i = 0; i < ARRAY_SIZE(complaints); i++) {
		ASSERT_TRUE(dm_mount_over(TAINTED, complaints[i]));
		says(_metadata, "the kernel complained", dm_check_taint(before));
	}
	ASSERT_TRUE(dm_mount_over(TAINTED, ""));
	says(_metadata, "cannot read " TAINTED, dm_check_taint(before));
	before = dm_taint();
	says(_metadata, "cannot read " TAINTED, dm_check_taint(before));
	ASSERT_TRUE(dm_unmount(TAINTED));
	says(_metadata, "cannot read " TAINTED, dm_check_taint(before));
}

/* One of the files that a fork is judged by stays as it was before. */
TEST_F(control, files_that_stand_still)
{
	static const struct {
		const char *path, *says;
	} files[] = {
		{ DM_DIR "/" DM_FAIL "probability", "fork() worked, expected ENOMEM" },
		{ DM_DIR "/" DM_FAIL "times", "times is 1" },
		{ DM_DIR "/stats", "forks did not grow" },
		{ DM_DIR "/points", "hits of mmap-write-lock grew by 0" },
		{ DM_DIR "/last", "vma-index is" },
	};
	static char text[8192];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		/* What they have before is of the VMA before. */
		ASSERT_STREQ("", shoot_at(self, DM_COPY_PAGE_RANGE,
					  self->layout.index - 1));
		ASSERT_EQ(0, dm_write(DM_FAIL "times", "1"));
		ASSERT_LT(0, dm_read_path(files[i].path, text, sizeof(text)));
		ASSERT_TRUE(dm_mount_over(files[i].path, text));
		says(_metadata, files[i].says, shoot(self, DM_COPY_PAGE_RANGE));
		ASSERT_TRUE(dm_unmount(files[i].path));
	}
	ASSERT_TRUE(dm_mount_over("/proc/self/comm", "another\n"));
	says(_metadata, "comm is", shoot(self, DM_COPY_PAGE_RANGE));
	ASSERT_TRUE(dm_unmount("/proc/self/comm"));

	/* The kernel was without a complaint before, and has one now. */
	ASSERT_STREQ("", dm_begin_series(&self->series, "rust"));
	self->series.taint ^= 1 << 9;
	says(_metadata, "the kernel complained",
	     dm_shoot(&self->series, DM_COPY_PAGE_RANGE, self->layout.index, 0, &self->rec));
	dm_end_series();
}

/*
 * Something is done in the middle of a fork: one that copies a VMA watched by
 * userfaultfd waits, before it returns, until somebody has read the event of it.
 */
struct meddler {
	int uffd, memfd;
	enum { MAP_PAGE, COMMIT, CLOSE_FILES, NR_DEEDS } deed;
	bool done;
};

static const char * const discovered[NR_DEEDS] = {
	[MAP_PAGE]	= "/proc/self/maps of the parent changed",
	[COMMIT]	= "Committed_AS moved by",
	[CLOSE_FILES]	= "open files, expected 64",
};

static bool do_deed(struct meddler *m)
{
	switch (m->deed) {
	case MAP_PAGE:
		return mmap(NULL, sysconf(_SC_PAGESIZE), PROT_NONE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
	case COMMIT:
		return commit(m->memfd);
	default:
		/* Both: the event brings one that takes the place of another. */
		return !close(62) && !close(63);
	}
}

static void *meddle(void *arg)
{
	struct meddler *m = arg;
	struct pollfd forks = { .fd = m->uffd, .events = POLLIN };
	struct uffd_msg msg;

	while (poll(&forks, 1, -1) == 1) {
		m->done = do_deed(m);
		if (read(m->uffd, &msg, sizeof(msg)) == sizeof(msg))
			close(msg.arg.fork.ufd);
	}
	return NULL;
}

TEST_F(control, what_happens_meanwhile)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_EVENT_FORK,
	};
	struct uffdio_register reg = {
		.range = { (unsigned long)self->layout.addr, self->layout.len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct meddler m = {};
	pthread_t thread;
	int fd;

	m.uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	m.memfd = memfd_create("controls", MFD_CLOEXEC);
	ASSERT_LE(0, m.memfd);
	ASSERT_LE(0, m.uffd);
	ASSERT_EQ(0, ioctl(m.uffd, UFFDIO_API, &api));
	ASSERT_EQ(0, ioctl(m.uffd, UFFDIO_REGISTER, &reg));
	/* Only the first 64 are counted, not the one that an event brings. */
	do {
		fd = dup(m.memfd);
	} while (fd >= 0 && fd < 63);
	ASSERT_EQ(0, pthread_create(&thread, NULL, meddle, &m));
	/* This step is not reached there, so the fork works. */
	for (m.deed = 0; m.deed < NR_DEEDS; m.deed++) {
		m.done = false;
		says(_metadata, discovered[m.deed], shoot(self, DM_CLEAR_DONTCOPY));
		EXPECT_TRUE(m.done);
	}
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
