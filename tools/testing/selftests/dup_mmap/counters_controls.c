// SPDX-License-Identifier: GPL-2.0
/*
 * Do the counters of lib/counters.h notice whatever somebody keeps? A process has some of
 * all that is counted, and each counter must say so; and what goes with a process that ends
 * must be taken for its own, and no more than that.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "dup_mmap.h"
#include "harness.h"
#include "says.h"

#define MEMINFO		"/proc/meminfo"
#define HUGE_POOL	"/proc/sys/vm/nr_hugepages"
#define KHUGEPAGED	"/sys/kernel/mm/transparent_hugepage/khugepaged/"

/* A process that has some of everything that is counted, until it is let go. */
struct keeper {
	pid_t pid;
	int go;
};

#define KEPT	24

static bool keep(void)
{
	size_t page = sysconf(_SC_PAGESIZE), table = page * (page / 8), i;
	unsigned long node = 1;
	char *p = mmap(NULL, KEPT * table, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || memfd_create("controls", MFD_CLOEXEC) < 0)
		return false;
	/* If there is such a thing. */
	syscall(SYS_userfaultfd, O_CLOEXEC);
	for (i = 0; i < KEPT; i++, p += table) {
		if (mprotect(p, page, PROT_READ | PROT_WRITE))
			return false;
		/* There is one node, or it is no kernel that has policies. */
		syscall(SYS_mbind, p, page, MPOL_BIND, &node, 8 * sizeof(node), 0);
		*p = 1;
	}
	return true;
}

/* One huge page that is used, and one that is reserved. */
static bool keep_huge(void)
{
	static char text[8192];
	const char *size;
	size_t huge;
	char *p;

	dm_read_path(MEMINFO, text, sizeof(text));
	size = strstr(text, "Hugepagesize:");
	if (!size)
		return true;
	huge = strtoul(size + strlen("Hugepagesize:"), NULL, 10) << 10;
	p = mmap(NULL, 2 * huge, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (p == MAP_FAILED)
		return false;
	*p = 1;
	return true;
}

static bool start_keeper(struct keeper *k)
{
	int ready[2], go[2];
	bool started;
	char c;

	if (pipe(ready) || pipe(go))
		return false;
	k->pid = fork();
	if (!k->pid) {
		close(go[1]);
		if (!keep() || !keep_huge())
			_exit(1);
		if (write(ready[1], "", 1) == 1)
			read(go[0], &c, 1);
		_exit(0);
	}
	close(ready[1]);
	close(go[0]);
	k->go = go[1];
	started = k->pid > 0 && read(ready[0], &c, 1) == 1;
	close(ready[0]);
	return started;
}

static bool end_keeper(struct keeper *k)
{
	int status;

	close(k->go);
	return waitpid(k->pid, &status, 0) == k->pid && !status;
}

FIXTURE(kept) {
	struct dm_cgroup cgroup;
	char old_pool[32];
};

FIXTURE_SETUP(kept)
{
	char pool[32];

	ASSERT_TRUE(dm_own_mounts());
	ASSERT_EQ(NULL, dm_cgroup_enter(&self->cgroup));
	if (dm_read_path(HUGE_POOL, self->old_pool, sizeof(self->old_pool)) <= 0)
		return;
	snprintf(pool, sizeof(pool), "%d", atoi(self->old_pool) + 2);
	ASSERT_EQ(0, dm_write_path(HUGE_POOL, pool));
	ASSERT_EQ(atoi(pool), dm_read_number(HUGE_POOL));
}

FIXTURE_TEARDOWN_PARENT(kept)
{
	dm_cgroup_leave(&self->cgroup);
	if (self->old_pool[0])
		dm_write_path(HUGE_POOL, self->old_pool);
}

/* Before, it had one of them more, or less, than there really were. */
static const char *with_one(const struct dm_counters *c, int i, long more)
{
	struct dm_counters before = *c;

	before.v[i] -= more;
	return dm_compare_counters(&before, c);
}

TEST_F_TIMEOUT(kept, each_counter, 120)
{
	struct dm_counters before, with;
	struct dm_tries tries = { 0 };
	struct keeper keeper;
	bool disturbed;
	char path[128];
	int i;

	/* Who ends meanwhile takes with it what it had. */
	do {
		dm_get_counters(&before);
		ASSERT_STREQ("", dm_check_counters(&before, DM_PATIENT));
		ASSERT_TRUE(start_keeper(&keeper));
		dm_get_counters(&with);
		disturbed = dm_gone(&before.others, &with.others).processes;
		if (disturbed)
			ASSERT_TRUE(end_keeper(&keeper));
	} while (dm_try_again(&tries, disturbed));
	ASSERT_FALSE(disturbed);
	EXPECT_STREQ("", dm_compare_counters(&with, &with));
	for (i = 0; i < DM_NR_COUNTERS; i++) {
		/* What this kernel is built without. */
		if (before.v[i] < 0)
			continue;
		/* The one who keeps them has none beyond the pool. */
		if (i != DM_HUGE_SURP)
			says(_metadata, dm_counter_names[i],
			     with_one(&with, i, with.v[i] - before.v[i]));
		says(_metadata, dm_counter_names[i], with_one(&with, i, 1));
		says(_metadata, dm_counter_names[i], with_one(&with, i, -1));
		says(_metadata, "cannot count", with_one(&with, i, with.v[i] + 1));
	}
	for (i = DM_SLAB_VMA; i <= DM_SLAB_MAPLE_NODE; i++) {
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/objects",
			 dm_counter_names[i]);
		ASSERT_TRUE(dm_mount_over(path, ""));
		says(_metadata, i == DM_SLAB_VMA ? "no /sys/kernel/slab" : dm_counter_names[i],
		     dm_check_counters(&with, 0));
		ASSERT_TRUE(dm_unmount(path));
	}
	ASSERT_TRUE(dm_mount_over(MEMINFO, "MemTotal: 1 kB\n"));
	says(_metadata, "cannot count Committed_AS", dm_check_counters(&with, 0));
	ASSERT_TRUE(dm_unmount(MEMINFO));
	snprintf(path, sizeof(path), "%s", dm_cgroup_path(&self->cgroup, "memory.stat"));
	ASSERT_TRUE(dm_mount_over(path, "anon 1\n"));
	says(_metadata, "not in a cgroup", dm_check_counters(&with, 0));
	ASSERT_TRUE(dm_unmount(path));

	EXPECT_TRUE(end_keeper(&keeper));
	EXPECT_STREQ("", dm_check_counters(&before, DM_PATIENT));
}

/* How often it has slept; -1: there is none. */
static long khugepaged_sleeps(void)
{
	static char text[4096], path[300], *p;
	static const char key[] = "\nvoluntary_ctxt_switches:";
	struct dirent *e;
	DIR *d = opendir("/proc");
	long n = -1;

	while (d && n < 0 && (e = readdir(d))) {
		snprintf(path, sizeof(path), "/proc/%s/status", e->d_name);
		if (dm_read_path(path, text, sizeof(text)) <= 0 ||
		    strncmp(text, "Name:\tkhugepaged\n", 17))
			continue;
		p = strstr(text, key);
		n = p ? atol(p + strlen(key)) : -1;
	}
	if (d)
		closedir(d);
	return n;
}

/* More often than other processes have huge pages that there could be. */
static bool has_come_far(void *since)
{
	return khugepaged_sleeps() - *(long *)since > 300;
}

/*
 * By khugepaged, which has come to the mm of a process and goes no further: that is not
 * there any more, and counts neither before nor afterwards.
 */
TEST_F(kept, by_khugepaged)
{
	static struct dm_counters before, now;
	size_t len = 16ul << 30;
	char pages[32], sleep[32];
	long since;
	pid_t pid;
	char *p;

	if (access(KHUGEPAGED "full_scans", F_OK))
		SKIP(return, "no khugepaged (CONFIG_TRANSPARENT_HUGEPAGE)");
	dm_read_path(KHUGEPAGED "pages_to_scan", pages, sizeof(pages));
	dm_read_path(KHUGEPAGED "scan_sleep_millisecs", sleep, sizeof(sleep));
	dm_get_counters(&before);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		p = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (p == MAP_FAILED || madvise(p, len, MADV_HUGEPAGE))
			_exit(1);
		pause();
	}
	ASSERT_EQ(0, dm_write_path(KHUGEPAGED "pages_to_scan", "1"));
	ASSERT_EQ(0, dm_write_path(KHUGEPAGED "scan_sleep_millisecs", "1"));
	since = khugepaged_sleeps();
	ASSERT_GE(since, 0);
	EXPECT_TRUE(dm_wait_until(has_come_far, &since));
	ASSERT_EQ(0, dm_write_path(KHUGEPAGED "scan_sleep_millisecs", "3600000"));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	dm_get_counters(&now);
	dm_write_path(KHUGEPAGED "pages_to_scan", pages);
	dm_write_path(KHUGEPAGED "scan_sleep_millisecs", sleep);
	EXPECT_STREQ("", dm_compare_counters(&before, &now));
}

TEST_F_TIMEOUT(kept, by_a_process_that_ends, 120)
{
	struct dm_counters with, now, less;
	struct keeper keeper;
	struct dm_gone gone;
	size_t i;

	ASSERT_TRUE(start_keeper(&keeper));
	dm_get_counters(&with);
	ASSERT_TRUE(end_keeper(&keeper));
	dm_get_counters(&now);
	gone = dm_gone(&with.others, &now.others);
	const struct {
		enum dm_counter c;
		long had;
	} may[] = {
		{ DM_COMMITTED_AS, gone.kb },
		{ DM_SLAB_VMA, gone.vmas },
		{ DM_SLAB_MAPLE_NODE, gone.vmas },
		{ DM_SLAB_MM, gone.processes },
	};

	/* And who watched the program before, as long as that ran. */
	EXPECT_LE(1, gone.processes);
	for (i = 0; i < ARRAY_SIZE(may); i++) {
		const char *name = dm_counter_names[may[i].c];

		EXPECT_GE(now.v[may[i].c], with.v[may[i].c] - may[i].had) TH_LOG("%s", name);
		/* There may be fewer than it could have had. */
		with.v[may[i].c] += may[i].had;
		less = with;
		less.others = now.others;
		less.v[may[i].c] -= may[i].had;
		EXPECT_STREQ("", dm_compare_counters(&with, &less));
		less.v[may[i].c]--;
		says(_metadata, name, dm_compare_counters(&with, &less));
		/* While nobody ends nothing may be less. */
		less = with;
		less.v[may[i].c]--;
		says(_metadata, name, dm_compare_counters(&with, &less));
	}
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
