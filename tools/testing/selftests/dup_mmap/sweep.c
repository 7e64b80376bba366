// SPDX-License-Identifier: GPL-2.0
/*
 * Every place at which the fork of one process can fail, one after the other:
 * a dry run lists the steps that it takes for each of its VMAs, and how many
 * allocations there are in each; then each step fails, and each of those
 * allocations for real. The process has VMAs of many kinds.
 *
 * Prints a table, VMA kinds by steps: how often each failed.
 */
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dup_mmap.h"

#define MAX_STEPS	2048
#define TRIES		20	/* allocations that fill a cache come and go */

static size_t page;
static int memfd = -1, program = -1, uffd = -1;
static pthread_t monitor_thread;

static void *monitor(void *arg);

/* Kinds of VMA. Each is mapped between two pages that nothing merges with. */

static bool plain(char *p, size_t len)
{
	memset(p, 0x5a, len);
	return true;
}

static bool dontfork(char *p, size_t len)
{
	return plain(p, len) && !madvise(p, len, MADV_DONTFORK);
}

static bool wipeonfork(char *p, size_t len)
{
	return plain(p, len) && !madvise(p, len, MADV_WIPEONFORK);
}

static bool locked(char *p, size_t len)
{
	return plain(p, len) && !mlock(p, len);
}

static bool bound(char *p, size_t len)
{
	unsigned long node = 1;

	return plain(p, len) &&
		!syscall(SYS_mbind, p, len, MPOL_BIND, &node, 8 * sizeof(node), 0);
}

static bool huge(char *p, size_t len)
{
	return !madvise(p, len, MADV_HUGEPAGE) && plain(p, len);
}

static bool watched(char *p, size_t len)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_EVENT_FORK,
	};
	struct uffdio_register reg = {
		.range = { (unsigned long)p, len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	return plain(p, len) && uffd >= 0 && !ioctl(uffd, UFFDIO_API, &api) &&
		!ioctl(uffd, UFFDIO_REGISTER, &reg) &&
		!pthread_create(&monitor_thread, NULL, monitor, NULL);
}

/* Read only, for its sum. */
static bool as_it_is(char *p, size_t len)
{
	return true;
}

enum file { NO_FILE, MEMFD, PROGRAM };

static const struct kind {
	const char *name;
	int prot, flags;
	enum file file;
	size_t pages;		/* 0: one that a PMD maps */
	bool (*prepare)(char *p, size_t len);
} kinds[] = {
	{ "dontfork-first", PROT_READ | PROT_WRITE, MAP_PRIVATE, NO_FILE, 2, dontfork },
	{ "anon", PROT_READ | PROT_WRITE, MAP_PRIVATE, NO_FILE, 4, plain },
	{ "thp", PROT_READ | PROT_WRITE, MAP_PRIVATE, NO_FILE, 0, huge },
	{ "file-private", PROT_READ | PROT_WRITE, MAP_PRIVATE, PROGRAM, 2, plain },
	{ "dontfork", PROT_READ | PROT_WRITE, MAP_PRIVATE, NO_FILE, 2, dontfork },
	{ "file-shared", PROT_READ, MAP_SHARED, MEMFD, 2, as_it_is },
	{ "memfd-shared-writable", PROT_READ | PROT_WRITE, MAP_SHARED, MEMFD, 2, plain },
	{ "memfd-private", PROT_READ | PROT_WRITE, MAP_PRIVATE, MEMFD, 2, plain },
	{ "wipeonfork", PROT_READ | PROT_WRITE, MAP_PRIVATE, NO_FILE, 2, wipeonfork },
	{ "mlocked", PROT_READ | PROT_WRITE, MAP_PRIVATE, NO_FILE, 2, locked },
	{ "mempolicy", PROT_READ | PROT_WRITE, MAP_PRIVATE, NO_FILE, 2, bound },
	{ "userfaultfd", PROT_READ | PROT_WRITE, MAP_PRIVATE, NO_FILE, 2, watched },
	{ "zero-pages", PROT_READ | PROT_WRITE, MAP_PRIVATE, NO_FILE, 2, as_it_is },
	{ "stack", PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_GROWSDOWN, NO_FILE, 2, plain },
	{ "same-pmd", PROT_READ | PROT_WRITE, MAP_PRIVATE, NO_FILE, 1, plain },
	{ "dontfork-last", PROT_READ | PROT_WRITE, MAP_PRIVATE, NO_FILE, 2, dontfork },
};

#define OTHER	ARRAY_SIZE(kinds)	/* those of the program itself */

static struct {
	char *addr;
	size_t len;
	unsigned long long sum;
} areas[ARRAY_SIZE(kinds)];

static struct {
	unsigned int steps, allocs, listed;
} table[ARRAY_SIZE(kinds) + 1][DM_NR_POINTS];

/* One step of the dry run. */
static struct step {
	enum dm_point point;
	int index;
	unsigned long start;
	unsigned int allocs;
} steps[MAX_STEPS];

/* Allocations of recoveries that were made to fail. */
static unsigned int in_recovery;

static char text[1 << 20];
static struct dm_maps maps, after;

/* NULL, or why the address space can't be built; *missing is what it lacks. */
static const char *build(char *missing, size_t size)
{
	size_t pmd = 512 * page, i;

	if (page != 4096)
		pmd = page * (page / 8);
	memfd = memfd_create("sweep", MFD_CLOEXEC);
	program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (memfd < 0 || program < 0 || ftruncate(memfd, 2 * ARRAY_SIZE(kinds) * page))
		return "no file to map";
	*missing = '\0';
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct kind *k = &kinds[i];
		size_t len = k->pages ? k->pages * page : pmd;
		size_t room = k->pages ? len + 2 * page : 2 * pmd + 2 * page;
		int fd = k->file == MEMFD ? memfd : k->file == PROGRAM ? program : -1;
		char *p = mmap(NULL, room, PROT_NONE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return "no room";
		p += page;
		if (!k->pages)
			p += -(unsigned long)p & (pmd - 1);
		if (mmap(p, len, k->prot, k->flags | MAP_FIXED |
			 (fd < 0 ? MAP_ANONYMOUS : 0), fd,
			 fd == memfd ? 2 * i * page : 0) == MAP_FAILED ||
		    !k->prepare(p, len)) {
			strncat(missing, " ", size - strlen(missing) - 1);
			strncat(missing, k->name, size - strlen(missing) - 1);
			munmap(p, len);
			continue;
		}
		areas[i].addr = p;
		areas[i].len = len;
		areas[i].sum = dm_sum(p, len);
	}
	return NULL;
}

static size_t kind_of(unsigned long start)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (areas[i].len && start - (unsigned long)areas[i].addr < areas[i].len)
			break;
	return i;
}

static const char *check_memory(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (areas[i].len && dm_sum(areas[i].addr, areas[i].len) != areas[i].sum)
			return kinds[i].name;
	return NULL;
}

static int point_of(const char *name, size_t len)
{
	int p;

	for (p = 0; p < DM_NR_POINTS; p++)
		if (strlen(dm_points[p].name) == len &&
		    !memcmp(dm_points[p].name, name, len))
			return p;
	return -1;
}

/* A fork that works waits until somebody has read the event of it. */
static void *monitor(void *arg)
{
	struct uffd_msg msg;

	while (read(uffd, &msg, sizeof(msg)) == sizeof(msg))
		if (msg.event == UFFD_EVENT_FORK)
			close(msg.arg.fork.ufd);
	return NULL;
}

static bool fork_works(void)
{
	int err, status;
	pid_t pid = dm_fork(&err);

	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}

/* The number of steps, or -1 with *why set. */
static int dry_run(const char **why)
{
	char *line, *next;
	int nr = 0;

	if (dm_write(DM_FAIL "task-filter", "Y") ||
	    dm_write_path("/proc/self/make-it-fail", "1") ||
	    dm_write(DM_FAIL "dry-run", "1")) {
		*why = "cannot ask for a dry run";
		return -1;
	}
	if (!fork_works()) {
		*why = "the dry run's fork failed";
		return -1;
	}
	if (dm_read("steps", text, sizeof(text)) <= 0) {
		*why = "no steps";
		return -1;
	}
	for (line = strchr(text, '\n') + 1; *line; line = next) {
		size_t len = strcspn(line, " ");
		struct step *s = &steps[nr];
		unsigned long end;
		int point = point_of(line, len);

		next = strchr(line, '\n');
		if (!next || point < 0 || nr == MAX_STEPS) {
			*why = "steps cannot be read";
			return -1;
		}
		*next++ = '\0';
		s->point = point;
		s->start = 0;
		if (sscanf(line + len, " %d %lx-%lx %u", &s->index, &s->start, &end,
			   &s->allocs) != 4 &&
		    sscanf(line + len, " %d - %u", &s->index, &s->allocs) != 2) {
			*why = "steps cannot be read";
			return -1;
		}
		nr++;
	}
	return nr;
}

enum result { WRONG, FAILED, SWALLOWED, MISSED };

static struct dm_record rec;

/*
 * One fork with a step, or one allocation of it, made to fail. *committed:
 * whether Committed_AS has moved, which belongs to the whole system.
 */
static enum result shoot_once(const struct step *s, unsigned int nth,
			      const char *recovery, const char **why,
			      long *committed)
{
	struct dm_stats stats[2];
	struct dm_expect want;
	char nr[16];
	int err, status;
	pid_t pid;

	*why = "";
	snprintf(nr, sizeof(nr), "%u", nth);
	if (dm_write(DM_FAIL "alloc-nth", nr) ||
	    dm_write(DM_FAIL "times", "1")) {
		*why = "cannot arm";
		return WRONG;
	}
	*why = dm_get_stats(&stats[0]);
	if (**why)
		return WRONG;
	*committed = dm_committed_as();
	pid = dm_fork(&err);
	*committed -= dm_committed_as();
	if (pid > 0) {
		waitpid(pid, &status, 0);
		*why = dm_get_stats(&stats[1]);
		if (**why)
			return WRONG;
		if (!nth) {
			*why = "fork() works";
			return WRONG;
		}
		return stats[1].allocs_failed != stats[0].allocs_failed ?
			SWALLOWED : MISSED;
	}
	if (err != ENOMEM) {
		*why = strerror(err);
		return WRONG;
	}
	*why = dm_get_record(&rec);
	if (**why)
		return WRONG;
	dm_model(&maps, s->point, s->index, 0, &want);
	*why = dm_compare(&maps, &want, s->point, recovery, &rec);
	if (**why)
		return WRONG;
	if (rec.injected != 'y' || rec.alloc_nth != nth) {
		*why = "the record does not say that it was injected";
		return WRONG;
	}
	return FAILED;
}

static enum result shoot(const struct step *s, unsigned int nth,
			 const char *recovery, const char **why)
{
	enum result r = WRONG;
	long committed = 1;
	int try;

	/* What a failed fork keeps, it keeps every time. */
	for (try = 0; try < TRIES && committed; try++) {
		r = shoot_once(s, nth, recovery, why, &committed);
		if (r != FAILED)
			return r;
	}
	if (!committed)
		return FAILED;
	*why = "Committed_AS has moved";
	return WRONG;
}

/* The same failure, with each allocation that its recovery makes failing too. */
static const char *shoot_in_recovery(const struct step *s, const char *recovery,
				     unsigned int *forks)
{
	const char *why = "";
	unsigned int nth;
	char nr[16];

	for (nth = 1; !*why; nth++) {
		snprintf(nr, sizeof(nr), "%u", nth);
		if (dm_write(DM_FAIL "recovery-alloc-nth", nr))
			return "cannot write recovery-alloc-nth";
		if (shoot(s, 0, recovery, &why) == FAILED)
			++*forks;
		if (rec.recovery_alloc_failed == 'n')
			break;
	}
	if (dm_write(DM_FAIL "recovery-alloc-nth", "0"))
		return "cannot write recovery-alloc-nth";
	if (!*why)
		in_recovery += nth - 1;
	return why;
}

/* All steps of one point. *forks counts those that failed. */
static const char *sweep(enum dm_point point, int nr_steps, const char *recovery,
			 unsigned int *forks)
{
	static char said[512];
	unsigned int listed = 0, failed = 0, swallowed = 0, missed = 0, vmas = 0;
	unsigned long taint = dm_taint();
	const char *why;
	char nr[16];
	int i, try;

	if (dm_write(DM_FAIL "point", dm_points[point].name))
		return "cannot write the point";
	for (i = 0; i < nr_steps; i++) {
		const struct step *s = &steps[i];
		size_t kind = s->index < 0 ? OTHER : kind_of(s->start);
		unsigned int nth;

		if (s->point != point)
			continue;
		vmas++;
		snprintf(nr, sizeof(nr), "%d", s->index);
		if (dm_write(DM_FAIL "vma-index", nr))
			return "cannot write the VMA";
		for (nth = 0; nth <= s->allocs; nth++) {
			enum result r = MISSED;

			for (try = 0; try < TRIES && r == MISSED; try++)
				r = shoot(s, nth, recovery, &why);
			if (r == WRONG) {
				snprintf(said, sizeof(said), "VMA %d, allocation %u: %s",
					 s->index, nth, why);
				return said;
			}
			*forks += r == FAILED;
			if (!nth) {
				table[kind][point].steps++;
				/* Its allocations are much the same for each VMA. */
				why = vmas > 1 ? "" :
					shoot_in_recovery(s, recovery, forks);
				if (*why) {
					snprintf(said, sizeof(said), "VMA %d, in recovery: %s",
						 s->index, why);
					return said;
				}
				continue;
			}
			table[kind][point].listed++;
			table[kind][point].allocs += r != MISSED;
			listed++;
			failed += r == FAILED;
			swallowed += r == SWALLOWED;
			missed += r == MISSED;
		}
	}
	ksft_print_msg("%s: %u times; allocations: %u\n", dm_points[point].name, vmas,
		       listed);
	if (listed)
		ksft_print_msg("%u make it fail, it does without %u, %u never came back\n",
			       failed, swallowed, missed);
	why = check_memory();
	if (why)
		return why;
	why = dm_get_maps(&after);
	if (*why)
		return why;
	if (maps.len != after.len || memcmp(maps.text, after.text, maps.len))
		return "/proc/self/maps of the parent changed";
	return dm_taint() == taint ? "" : "the kernel complained: see dmesg";
}

static void print_table(void)
{
	size_t k;
	int p;

	ksft_print_msg("failed: steps+allocations of those listed\n");
	for (k = 0; k <= OTHER; k++) {
		if (k < OTHER && !areas[k].len)
			continue;
		ksft_print_msg("%s:\n", k < OTHER ? kinds[k].name : "(the program's)");
		for (p = 0; p < DM_NR_POINTS; p++)
			if (table[k][p].steps)
				ksft_print_msg("    %-18s %u+%u/%u\n", dm_points[p].name,
					       table[k][p].steps, table[k][p].allocs,
					       table[k][p].listed);
	}
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void sweep_all(const char *recovery)
{
	struct dm_counters before;
	unsigned int forks = 0, listed = 0, hit = 0;
	const char *why = "";
	int nr, p;
	double t;
	size_t k;

	memset(table, 0, sizeof(table));
	in_recovery = 0;
	dm_use_recovery(recovery);
	/* First with caches filled as they will be. */
	for (p = 0; p < TRIES; p++)
		fork_works();
	nr = dry_run(&why);
	ksft_test_result(nr > 0, "%s: a dry run lists the steps\n", recovery);
	if (nr < 0)
		ksft_print_msg("%s\n", why);
	why = dm_get_maps_and_flags(&maps);
	dm_write(DM_FAIL "verbose", "0");
	dm_write(DM_FAIL "probability", "100");
	dm_settle(&before);
	t = now();
	for (p = 0; p < DM_NR_POINTS; p++) {
		why = sweep(p, nr, recovery, &forks);
		if (*why)
			ksft_print_msg("%s: %s\n", dm_points[p].name, why);
		ksft_test_result(!*why, "%s: %s\n", recovery, dm_points[p].name);
	}
	t = now() - t;
	dm_write(DM_FAIL "probability", "0");
	ksft_print_msg("%u forks failed in %.1f s, %.0f a second, %d VMAs\n", forks, t,
		       forks / t, maps.nr);
	print_table();
	for (k = 0; k <= OTHER; k++) {
		for (p = 0; p < DM_NR_POINTS; p++) {
			listed += table[k][p].listed;
			hit += table[k][p].allocs;
		}
	}
	ksft_print_msg("%u of %u allocations, and %u of recoveries\n", hit, listed,
		       in_recovery);
	ksft_test_result(listed && hit * 100ull >= listed * 95ull,
			 "%s: of the allocations listed 95%% were made to fail\n", recovery);
	why = dm_check_counters(&before, DM_PATIENT);
	if (*why)
		ksft_print_msg("%s\n", why);
	ksft_test_result(!*why, "%s: nothing is lost\n", recovery);
}

int main(void)
{
	static const char * const recoveries[] = { "rust", "upstream" };
	static struct dm_alloc alloc;
	char before[16], missing[256];
	const char *why;
	size_t r;

	dm_skip_unless_available();
	page = sysconf(_SC_PAGESIZE);
	ksft_print_header();
	why = dm_alloc_begin(&alloc, "");
	if (why) {
		dm_alloc_end(&alloc);
		ksft_exit_skip("%s\n", why);
	}
	why = build(missing, sizeof(missing));
	if (why) {
		dm_alloc_end(&alloc);
		ksft_exit_skip("%s\n", why);
	}
	if (*missing)
		ksft_print_msg("not to be had here:%s\n", missing);
	ksft_set_plan(ARRAY_SIZE(recoveries) * (DM_NR_POINTS + 3));
	dm_reset();
	snprintf(before, sizeof(before), "%s", dm_recovery());
	for (r = 0; r < ARRAY_SIZE(recoveries); r++)
		sweep_all(recoveries[r]);
	dm_reset();
	dm_write_path("/proc/self/make-it-fail", "0");
	dm_use_recovery(before);
	dm_alloc_end(&alloc);
	ksft_finished();
}
