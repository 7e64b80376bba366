// SPDX-License-Identifier: GPL-2.0
/*
 * The module is loaded and unloaded again and again, while others do at the same time
 * everything that it has to stand:
 *
 *	forker		two for each CPU, one of which asks for failures
 *	writer		writes to each file of the module, values that it takes and others
 *	armer		has forks fail, whatever the writers have left of that
 *	holder		has them held, looks at them, releases them
 *	switcher	changes the recovery
 *	plugger		takes CPUs away and brings them back
 *	hog		leaves too little memory for all of them
 *
 * A load ends when each of them has done something with it, and its absence when each
 * forker has forked without. No time is set for any of it.
 * While the module is there for sure, each file has to say what the ABI says; while it
 * comes or goes, there may be none. A watchdog, which has nothing to do with the module,
 * sees whether each of them moves. It names the one that does not.
 *
 * Nobody opens a file of the module in the middle of delete_module(2): for whoever comes
 * between its first two steps, debugfs warns of a module that has forgotten its files
 * (Documentation/testing.rst). Files that are open then are read and written.
 *
 * xa-zero-bare is left out: what it leaves to be found kills the kernel as soon as
 * somebody finds it (scripts/check-race), and here somebody would. xa-zero says that
 * it is not to be used.
 *
 * 20 cycles, with DUP_MMAP_LONG 1,000, or DUP_MMAP_CYCLES.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dup_mmap.h"

#define FEW		20ul
#define MANY		1000ul

/* Of the watchdog: longer than anything is held, shorter than the kernel's own patience. */
#define ROUNDS		90

/* In pages: what all of them may have, and how much of it one takes. */
#define LIMIT		6144ul
#define HOG		7168ul
#define HOG_STEP	16

#define CGROUP		"dup_mmap_storm"
#define CPU_ONLINE	"/sys/devices/system/cpu/cpu%d/online"

#define MAX_CPUS	8
#define NR_WRITERS	2
#define MAX_PARTS	(2 * MAX_CPUS + NR_WRITERS + 7)
#define NR_COUNTS	5

/* Somebody who takes part, in memory that all share. */
struct part {
	const struct kind *kind;
	int nr;				/* of its kind */
	unsigned long with;		/* the last epoch in which it has done something */
	unsigned long count[NR_COUNTS];
	char wrong[200];
};

static struct storm {
	struct dm_watched watched[MAX_PARTS];
	struct part part[MAX_PARTS];
	pthread_rwlock_t opening;	/* for reading: who opens a file of the module */
	unsigned long epoch;		/* odd: the module is there */
	bool stop;
} *storm;

static int nr_parts, nr_cpus, me;
static unsigned long nr_cycles;
static unsigned int seed;
static struct dm_cgroup cgroup;

static unsigned long epoch(void)
{
	return __atomic_load_n(&storm->epoch, __ATOMIC_SEQ_CST);
}

/* Since then nothing has begun to change. */
static bool is_still(unsigned long since)
{
	return epoch() == since;
}

static bool is_there(unsigned long since)
{
	return since % 2 && is_still(since);
}

static bool stopped(void)
{
	return __atomic_load_n(&storm->stop, __ATOMIC_SEQ_CST);
}

static void count(int what)
{
	storm->part[me].count[what]++;
}

__printf(1, 2)
static void doing(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(storm->watched[me].doing, sizeof(storm->watched[me].doing), fmt, args);
	va_end(args);
}

/* The first thing is the one to look at. */
__printf(1, 2)
static void wrong(const char *fmt, ...)
{
	char *text = storm->part[me].wrong;
	va_list args;

	if (text[0])
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(storm->part[me].wrong), fmt, args);
	va_end(args);
}

static void moves(void)
{
	dm_moves(&storm->watched[me]);
}

/* Something that has begun in this epoch. */
static void did(unsigned long since)
{
	if (is_still(since))
		__atomic_store_n(&storm->part[me].with, since, __ATOMIC_SEQ_CST);
	moves();
}

static int random_below(int n)
{
	return rand_r(&seed) % n;
}

/*
 * What a file of the module says while the module is not there, comes or goes. The rest of
 * a write to a file that is gone already is EIO.
 */
static bool is_away(int ret)
{
	return ret == -ENOENT || ret == -ENXIO || ret == -ENODEV || ret == -EIO;
}

/* A process has memory for what it opens, or not. */
static bool is_short(int ret)
{
	return ret == -ENOMEM;
}

enum { TAKEN, REFUSED, AWAY, SHORT };

/* Writes a value, which has to be taken (0) or refused. */
static void put(const char *name, const char *value, int want)
{
	unsigned long since = epoch();
	int ret = dm_write(name, value);

	if (ret == want)
		count(want ? REFUSED : TAKEN);
	else if (is_away(ret) && !is_there(since))
		count(AWAY);
	else if (is_short(ret))
		count(SHORT);
	else
		wrong("writing %s to %s: %d", value, name, ret);
	did(since);
	/* The others have better use for the CPU. */
	if (is_away(ret))
		usleep(1000);
}

/* Forks */

enum { WORKED, FAILED };

#define NR_PAGES	8

static char *area, *file_page;

/* VMAs of a page each, and one of a file. */
static bool make_area(void)
{
	size_t page = sysconf(_SC_PAGESIZE);
	int fd = memfd_create("storm", MFD_CLOEXEC), i;

	if (fd < 0 || ftruncate(fd, page))
		return false;
	file_page = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	area = mmap(NULL, NR_PAGES * page, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (file_page == MAP_FAILED || area == MAP_FAILED)
		return false;
	*file_page = NR_PAGES + 1;
	for (i = 0; i < NR_PAGES; i++) {
		area[i * page] = i + 1;
		if (i % 2 && mprotect(area + i * page, page, PROT_READ))
			return false;
	}
	return true;
}

static int area_is_wrong(void *arg)
{
	size_t page = sysconf(_SC_PAGESIZE);
	int i;

	for (i = 0; i < NR_PAGES; i++)
		if (area[i * page] != i + 1)
			return 1;
	return *file_page != NR_PAGES + 1;
}

/* The kernel takes a process off a CPU that goes, and does not bring it back. */
static void go_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) && errno != EINVAL)
		wrong("sched_setaffinity: %s", strerror(errno));
}

static void be_forker(int nr)
{
	unsigned long since, i;
	int ret;

	if (!make_area())
		wrong("there is no memory for it");
	if (nr % 2 && dm_write_path("/proc/self/make-it-fail", "1"))
		wrong("make-it-fail cannot be written");
	doing("forks");
	for (i = 0; !stopped(); i++) {
		if (i % 16 == 0)
			go_to(nr / 2 % nr_cpus);
		since = epoch();
		ret = dm_fork_run(area_is_wrong, NULL);
		if (!ret)
			count(WORKED);
		else if (ret == -ENOMEM)
			count(FAILED);
		else
			wrong(ret < 0 ? "fork: %d" : "a child ended with %d", ret);
		if (area_is_wrong(NULL))
			wrong("a fork changed its memory");
		did(since);
	}
}

/* Writes */

/* Where a value is given twice, more forks fail. */
static const struct knob {
	const char *name, *value[4];
	bool takes_words;		/* any, as fault attributes do */
} knobs[] = {
	{ "recovery", { "rust", "upstream", "xa-zero", "rust" } },
	{ "reset", { "1", "0", "reset", "" }, true },
	{ DM_HOLD "at", { "before-recovery", "after-recovery", "pinned", "after-unlock" } },
	{ DM_HOLD "timeout-ms", { "1", "20", "50", "0x10" } },
	{ DM_HOLD "release", { "all", "all", "all", "all" } },
	{ DM_FAIL "point", { "any", "copy-page-range", "vm-area-dup", "arch-dup-mmap" } },
	{ DM_FAIL "vma-index", { "-1", "0", "2", "-1" } },
	{ DM_FAIL "vma-addr", { "0", "0", "0x10000", "0" } },
	{ DM_FAIL "errno", { "0", "-12", "-4", "-4095" } },
	{ DM_FAIL "alloc-nth", { "0", "1", "0", "0" } },
	{ DM_FAIL "recovery-alloc-nth", { "0", "1", "2", "2147483647" } },
	{ DM_FAIL "per-fork", { "Y", "N", "1", "n" } },
	{ DM_FAIL "seed", { "0", "1", "2147483647", "0x1f" } },
	{ DM_FAIL "dry-run", { "Y", "N", "N", "n" } },
	{ DM_FAIL "probability", { "100", "2", "0", "5" } },
	{ DM_FAIL "interval", { "1", "2", "1", "1" } },
	{ DM_FAIL "times", { "-1", "1", "1000", "-1" } },
	{ DM_FAIL "space", { "0", "1", "0", "0" } },
	/* With more than that each failure is a page of the kernel's log. */
	{ DM_FAIL "verbose", { "0", "0", "0", "0" } },
	{ DM_FAIL "verbose_ratelimit_interval_ms", { "1000", "5000", "1000", "10000" } },
	{ DM_FAIL "verbose_ratelimit_burst", { "1", "2", "1", "0" } },
	{ DM_FAIL "task-filter", { "Y", "Y", "N", "Y" }, true },
	{ DM_FAIL "stacktrace-depth", { "0", "32", "0", "0" } },
	{ DM_FAIL "require-start", { "0", "0", "0", "0" } },
	{ DM_FAIL "require-end",
	  { "0xffffffffffffffff", "0xffffffffffffffff", "0x1000", "0xffffffffffffffff" } },
	{ DM_FAIL "reject-start", { "0", "0", "0x1000", "0" } },
	{ DM_FAIL "reject-end", { "0", "0", "0x2000", "0" } },
};

#define MAX_FILES	64

/* What there is to write to: found, not known. */
static struct {
	char name[64];
	const struct knob *knob;
} files[MAX_FILES];

static int nr_files;

static int note_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	size_t i;

	if (type != FTW_F || !(st->st_mode & 0222))
		return 0;
	if (nr_files == MAX_FILES)
		return 1;
	snprintf(files[nr_files].name, sizeof(files->name), "%s", path + strlen(DM_DIR "/"));
	for (i = 0; i < ARRAY_SIZE(knobs); i++)
		if (!strcmp(knobs[i].name, files[nr_files].name))
			files[nr_files].knob = &knobs[i];
	nr_files++;
	return 0;
}

/* "" or what is not as expected of them. */
static const char *find_files(void)
{
	int i;

	if (nftw(DM_DIR, note_file, 8, FTW_PHYS))
		return "the files of the module cannot be listed";
	for (i = 0; i < nr_files; i++)
		if (!files[i].knob) {
			ksft_print_msg("%s\n", files[i].name);
			return "no value is known for a file";
		}
	return nr_files == ARRAY_SIZE(knobs) ? "" : "a file is missing";
}

static void be_writer(int nr)
{
	/* The last one is too long. */
	static const char * const bad[] = {
		"no such value", "-", "1x",
		"a value that is longer than any that a file of this module would take",
	};
	const struct knob *knob;
	char pid[16];
	int i;

	snprintf(pid, sizeof(pid), "%d", getpid());
	while (!stopped()) {
		i = random_below(nr_files);
		knob = files[i].knob;
		doing("writes to %s", knob->name);
		if (random_below(4))
			put(knob->name, knob->value[random_below(4)], 0);
		else if (!strcmp(knob->name, DM_HOLD "release"))
			/* Its own fork, and it never forks. */
			put(knob->name, pid, -ESRCH);
		else if (knob->takes_words)
			put(knob->name, bad[random_below(ARRAY_SIZE(bad) - 1)], 0);
		else
			put(knob->name, bad[random_below(ARRAY_SIZE(bad))], -EINVAL);
	}
}

static void be_armer(int nr)
{
	/* One in many steps fails: if each did, no fork would come so far as to be held. */
	static const char * const how[][2] = {
		{ "any", "2" }, { "copy-page-range", "100" }, { "vm-area-dup", "20" },
	};
	static const char * const any[][2] = {
		{ DM_FAIL "verbose", "0" }, { DM_FAIL "task-filter", "Y" },
		{ DM_FAIL "vma-index", "-1" }, { DM_FAIL "vma-addr", "0" },
		{ DM_FAIL "times", "-1" },
	};
	unsigned int i, k;

	doing("has forks fail");
	for (i = 0; !stopped(); i++) {
		/* Not more often: it also releases all, and has nobody held. */
		if (i % 16 == 0)
			put("reset", "1", 0);
		for (k = 0; k < ARRAY_SIZE(any); k++)
			put(any[k][0], any[k][1], 0);
		put(DM_FAIL "point", how[i % ARRAY_SIZE(how)][0], 0);
		put(DM_FAIL "probability", how[i % ARRAY_SIZE(how)][1], 0);
		sched_yield();
	}
}

static void be_switcher(int nr)
{
	unsigned int i;

	doing("changes the recovery");
	for (i = 0; !stopped(); i++) {
		put("recovery", dm_recoveries[i % DM_XA_ZERO_BARE], 0);
		sched_yield();
	}
}

/* Holds */

enum { BY_RUST, BY_UPSTREAM, BY_XA_ZERO, LOOKS, RELEASES };

/* Whether that is right, for somebody who has begun it in this epoch. */
static bool is_fine(int ret, unsigned long since)
{
	return !ret || is_short(ret) || (is_away(ret) && !is_there(since));
}

static struct dm_held_list held;
static struct dm_sights sights;

/* Reads hold/held, or hold/observe. What is wrong for want of memory is right again soon. */
static void look(bool closely, unsigned long since)
{
	const char *why;
	int tries;

	for (tries = 0; tries < 100; tries++) {
		why = closely ? dm_get_sights(&sights) : dm_get_held(&held);
		if (!*why || !is_there(since))
			return;
		usleep(1000);
	}
	wrong("%s", why);
}

static void be_holder(int nr)
{
	unsigned long since;
	char pid[16];
	unsigned int i;
	int k, tries, ret;

	for (i = 0; !stopped(); i++) {
		since = epoch();
		doing("has forks held");
		ret = dm_write(DM_HOLD "timeout-ms", "30");
		if (!ret)
			ret = dm_write(DM_HOLD "at",
				       dm_at_names[DM_AT_BEFORE + i % (DM_NR_AT - 1)]);
		if (!is_fine(ret, since))
			wrong("no fork can be held: %d", ret);
		if (ret) {
			moves();
			continue;
		}
		doing("waits for one that is held");
		held.nr = 0;
		for (tries = 0; tries < 50 && !held.nr && is_still(since); tries++) {
			look(false, since);
			sched_yield();
		}
		doing("looks at those that are held");
		for (k = 0; k < held.nr; k++)
			for (ret = 0; ret <= DM_XA_ZERO; ret++)
				storm->part[me].count[BY_RUST + ret] +=
					!strcmp(held.line[k].recovery, dm_recoveries[ret]);
		look(true, since);
		storm->part[me].count[LOOKS] += sights.nr;
		doing("releases them");
		snprintf(pid, sizeof(pid), "%d", held.nr ? held.line[0].pid : getpid());
		ret = dm_write(DM_HOLD "release", i % 2 ? pid : "all");
		/* It may be held no more. */
		if (!ret)
			count(RELEASES);
		else if (!is_fine(ret, since) && !(i % 2 && ret == -ESRCH))
			wrong("releasing %s: %d", i % 2 ? pid : "all", ret);
		if (held.nr)
			did(since);
		else
			moves();
	}
}

/* CPUs */

enum { UNPLUGGED, PLUGGED };

static int plug(int cpu, bool in)
{
	char path[64];

	snprintf(path, sizeof(path), CPU_ONLINE, cpu);
	return dm_write_path(path, in ? "1" : "0");
}

static bool can_be_unplugged(int cpu)
{
	char path[64];

	snprintf(path, sizeof(path), CPU_ONLINE, cpu);
	return !access(path, W_OK);
}

/*
 * One in each epoch: who loads or unloads a module waits for a CPU that comes or goes,
 * several times.
 */
static void be_plugger(int nr)
{
	unsigned long since, last = -1;
	bool in[MAX_CPUS];
	int cpu, ret;

	memset(in, true, sizeof(in));
	while (!stopped()) {
		doing("waits for the next epoch");
		since = epoch();
		if (since == last) {
			moves();
			usleep(1000);
			continue;
		}
		last = since;
		cpu = 1 + random_below(nr_cpus - 1);
		in[cpu] = !in[cpu];
		doing("%s CPU %d", in[cpu] ? "plugs" : "unplugs", cpu);
		ret = plug(cpu, in[cpu]);
		if (ret)
			wrong("CPU %d, online %d: %d", cpu, in[cpu], ret);
		count(in[cpu] ? PLUGGED : UNPLUGGED);
		did(since);
	}
	for (cpu = 1; cpu < nr_cpus; cpu++)
		if (!in[cpu])
			plug(cpu, true);
}

/* Memory */

enum { TOUCHED };

static void be_hog(int nr)
{
	size_t page = sysconf(_SC_PAGESIZE), i;
	unsigned long since = 0, round;
	unsigned long *p;
	char *all;

	/* Behind all others: it is to take their memory and not their time. */
	setpriority(PRIO_PROCESS, 0, 5);
	doing("takes memory");
	all = mmap(NULL, HOG * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED) {
		wrong("there is no room for it");
		return;
	}
	/* Page by page, as the others take theirs. */
	madvise(all, HOG * page, MADV_NOHUGEPAGE);
	for (round = 1; !stopped(); round++) {
		for (i = 0; i < HOG && !stopped(); i++) {
			if (i % HOG_STEP == 0)
				since = epoch();
			p = (unsigned long *)(all + i * page);
			if (*p != (round > 1 ? (round - 1) * HOG + i : 0))
				wrong("its memory has changed");
			*p = round * HOG + i;
			if (i % HOG_STEP < HOG_STEP - 1)
				continue;
			count(TOUCHED);
			did(since);
		}
	}
}

/* The one whom the kernel kills if it has to kill somebody, and who then comes again. */
static void begin_hog(int whose)
{
	me = whose;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) ||
	    dm_write_path("/proc/self/oom_score_adj", "1000"))
		_exit(1);
	prctl(PR_SET_NAME, storm->watched[me].name);
	be_hog(0);
	_exit(0);
}

enum { BEGUN, KILLED };

/* The hog is the next part. */
static void be_keeper(int nr)
{
	int status, hog = me + 1;
	pid_t pid = 0;

	while (pid || !stopped()) {
		doing("looks after the hog");
		if (!pid) {
			pid = dm_bare_fork();
			if (!pid)
				begin_hog(hog);
			if (pid < 0 && errno != ENOMEM)
				wrong("fork: %s", strerror(errno));
			if (pid < 0)
				pid = 0;
			else
				count(BEGUN);
			storm->watched[hog].pid = pid;
		} else if (waitpid(pid, &status, WNOHANG) == pid) {
			if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
				count(KILLED);
			else if (status || !stopped())
				wrong("the hog ended with status %#x", status);
			pid = 0;
			storm->watched[hog].pid = 0;
		}
		moves();
		usleep(10000);
	}
}

/* The module */

enum { CYCLES, BUSY };

/* Whether all of those that matter in this epoch have done something in it. */
static bool all_did(unsigned long since);

static void await_all(unsigned long since)
{
	while (!all_did(since) && !stopped())
		usleep(1000);
}

static int unload_once(void)
{
	int err;

	pthread_rwlock_wrlock(&storm->opening);
	err = dm_unload();
	pthread_rwlock_unlock(&storm->opening);
	return err;
}

/* "" or why not. */
static const char *unload(void)
{
	int err;

	/* Not while a file is open, and somebody always has one open. */
	while ((err = unload_once()) == EAGAIN || err == EBUSY) {
		count(BUSY);
		/* Whoever has it open is to come by. */
		usleep(1000);
		if (stopped())
			return "it could not be unloaded";
	}
	if (err)
		return strerror(err);
	return dm_loaded() ? "its directory is still there" : "";
}

static void be_loader(int nr)
{
	const char *why = "";
	unsigned long since;
	int err;

	/* The others are many, and this one has to come by. */
	setpriority(PRIO_PROCESS, 0, -10);
	while (storm->part[me].count[CYCLES] < nr_cycles && !*why && !stopped()) {
		doing("loads");
		err = dm_insert();
		if (err) {
			wrong("loading: %s", strerror(err));
			break;
		}
		since = __atomic_add_fetch(&storm->epoch, 1, __ATOMIC_SEQ_CST);
		moves();
		await_all(since);
		since = __atomic_add_fetch(&storm->epoch, 1, __ATOMIC_SEQ_CST);
		moves();
		doing("unloads");
		why = unload();
		if (*why && !stopped())
			wrong("unloading: %s", why);
		moves();
		await_all(since);
		count(CYCLES);
	}
	__atomic_store_n(&storm->stop, true, __ATOMIC_SEQ_CST);
}

/* All of them */

static const struct kind {
	const char *name;
	int nr;				/* 0: two for each CPU */
	void (*run)(int nr);
	bool there, gone;		/* each load, each absence waits for it */
	const char *count[NR_COUNTS];	/* each has to be more than 0, but for "(...)" */
} kinds[] = {
	{ "forker", 0, be_forker, true, true, { "worked", "failed" } },
	{ "writer", NR_WRITERS, be_writer, true, false,
	  { "taken", "refused", "away", "(short of memory)" } },
	{ "armer", 1, be_armer, true, false,
	  { "taken", "(refused)", "away", "(short of memory)" } },
	{ "switcher", 1, be_switcher, true, false,
	  { "taken", "(refused)", "away", "(short of memory)" } },
	{ "holder", 1, be_holder, true, false,
	  { "by rust", "by upstream", "by xa-zero", "looked at", "released" } },
	{ "plugger", 1, be_plugger, true, false, { "unplugged", "plugged" } },
	{ "keeper", 1, be_keeper, false, false, { "begun", "(killed)" } },
	/* The keeper's. */
	{ "hog", 1, NULL, true, false, { "x 16 pages" } },
	/* The last one: it ends all. */
	{ "loader", 1, be_loader, false, false, { "cycles", "(refused while a file was open)" } },
};

static bool all_did(unsigned long since)
{
	const struct part *p;

	for (p = storm->part; p < storm->part + nr_parts; p++) {
		if (!(since % 2 ? p->kind->there : p->kind->gone) ||
		    __atomic_load_n(&p->with, __ATOMIC_SEQ_CST) == since)
			continue;
		doing("waits for %s to do something %s the module",
		      storm->watched[p - storm->part].name, since % 2 ? "with" : "without");
		return false;
	}
	return true;
}

/* Of all of that kind. */
static unsigned long sum_of(const struct kind *kind, int what)
{
	const struct part *p;
	unsigned long sum = 0;

	for (p = storm->part; p < storm->part + nr_parts; p++)
		sum += p->kind == kind ? p->count[what] : 0;
	return sum;
}

static void print_counts(void)
{
	char text[256];
	size_t i, k, len;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		len = snprintf(text, sizeof(text), "%-9s", kinds[i].name);
		for (k = 0; k < NR_COUNTS && kinds[i].count[k]; k++)
			len += snprintf(text + len, sizeof(text) - len, "%s %lu %s", k ? "," : "",
					sum_of(&kinds[i], k), kinds[i].count[k]);
		ksft_print_msg("%s\n", text);
	}
}

/* "" or who has not done what. */
static const char *check_counts(void)
{
	static char text[128];
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		for (k = 0; k < NR_COUNTS && kinds[i].count[k]; k++) {
			if (sum_of(&kinds[i], k) || kinds[i].count[k][0] == '(')
				continue;
			snprintf(text, sizeof(text), "%s: 0 %s", kinds[i].name, kinds[i].count[k]);
			return text;
		}
	}
	return "";
}

static const char *check_wrong(void)
{
	static char text[300];
	int i;

	for (i = 0; i < nr_parts; i++) {
		if (!storm->part[i].wrong[0])
			continue;
		snprintf(text, sizeof(text), "%s: %s", storm->watched[i].name,
			 storm->part[i].wrong);
		return text;
	}
	return "";
}

static const char *cgroup_path(const char *file)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/" CGROUP "/%s", cgroup.hierarchy, file);
	return path;
}

/* A number of that file of the cgroup of all, or -1. */
static long cgroup_number(const char *file, const char *key)
{
	static char text[8192];
	size_t len = strlen(key);
	const char *line;

	dm_read_path(cgroup_path(file), text, sizeof(text));
	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, len) && line[len] == ' ')
			return strtol(line + len, NULL, 10);
	}
	return -1;
}

static const char *limit_memory(bool on)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", LIMIT * sysconf(_SC_PAGESIZE));
	return dm_write_path(cgroup_path("memory.max"), on ? text : "max") ?
		"memory.max cannot be written" : "";
}

/* In the child. What it says it says to the watchdog, who may have to go without it. */
static void begin_part(int i, pid_t parent)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	me = i;
	seed = i + 1;
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent ||
	    dm_write_path(cgroup_path("cgroup.procs"), "0") ||
	    dm_write_path("/proc/self/oom_score_adj", "-1000"))
		_exit(1);
	prctl(PR_SET_NAME, storm->watched[i].name);
	storm->part[i].kind->run(storm->part[i].nr);
	_exit(0);
}

static const char *begin_parts(void)
{
	pid_t parent = getpid(), pid;
	const struct kind *kind;
	int i, k, nr;

	fflush(stdout);
	for (kind = kinds; kind < kinds + ARRAY_SIZE(kinds); kind++) {
		nr = kind->nr ?: 2 * nr_cpus;
		for (k = 0; k < nr; k++) {
			i = nr_parts++;
			storm->part[i].kind = kind;
			storm->part[i].nr = k;
			snprintf(storm->watched[i].name, sizeof(storm->watched[i].name),
				 nr > 1 ? "%s %d" : "%s", kind->name, k);
		}
	}
	for (i = 0; i < nr_parts; i++) {
		if (!storm->part[i].kind->run)
			continue;
		pid = fork();
		if (pid < 0)
			return "a process cannot be made";
		if (!pid)
			begin_part(i, parent);
		storm->watched[i].pid = pid;
	}
	return "";
}

/* Of those that have ended: "" or what is wrong with that. */
static const char *reap_parts(void)
{
	static char text[128];
	int i, status;
	pid_t pid;

	text[0] = '\0';
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (i = 0; i < nr_parts && storm->watched[i].pid != pid; i++)
			;
		if (i == nr_parts)
			continue;
		storm->watched[i].pid = 0;
		if (status || !stopped())
			snprintf(text, sizeof(text), "%s ended with status %#x",
				 storm->watched[i].name, status);
	}
	return text;
}

static int nr_running(void)
{
	int i, nr = 0;

	for (i = 0; i < nr_parts; i++)
		nr += storm->part[i].kind->run && storm->watched[i].pid;
	return nr;
}

/* Until all have ended: "" or who is stuck, or has ended too early. */
static const char *watch(void)
{
	static char text[16384];
	unsigned long cycles, told = 0;
	struct dm_watched *stuck;
	const char *why = "";
	double since = dm_seconds();

	while (nr_running() && !*why) {
		stuck = dm_watch(storm->watched, nr_parts, ROUNDS);
		if (stuck) {
			dm_name_stuck(stuck, text, sizeof(text));
			snprintf(text, sizeof(text), "%s is stuck", stuck->name);
			return text;
		}
		why = reap_parts();
		/* What comes after it would prove nothing. */
		if (*check_wrong())
			__atomic_store_n(&storm->stop, true, __ATOMIC_SEQ_CST);
		cycles = storm->part[nr_parts - 1].count[CYCLES];
		if (cycles * 10 / nr_cycles > told) {
			told = cycles * 10 / nr_cycles;
			ksft_print_msg("%lu of %lu cycles, after %.0f s\n", cycles, nr_cycles,
				       dm_seconds() - since);
		}
	}
	return why;
}

/* A process that stops: the watchdog has to name it, and that it is stopped. */
static const char *control(void)
{
	static char text[16384];
	struct dm_watched *w = &storm->watched[0], *stuck = NULL;
	int round;
	pid_t pid;

	snprintf(w->name, sizeof(w->name), "who stops");
	snprintf(w->doing, sizeof(w->doing), "stops itself");
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return "fork fails";
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dm_moves(w);
		raise(SIGSTOP);
		_exit(0);
	}
	w->pid = pid;
	for (round = 0; round < 30 && !stuck; round++)
		stuck = dm_watch(storm->watched, MAX_PARTS, 3);
	if (stuck)
		dm_name_stuck(stuck, text, sizeof(text));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	memset(w, 0, sizeof(*w));
	if (stuck != w)
		return "it sees nobody stop";
	return strstr(text, "who stops has not moved") && strstr(text, "state T") &&
		strstr(text, "stack: ") ? "" : "it does not say who, or where";
}

/* Page tables that somebody has lost are charged to nobody else. */
static const char *check_cgroup(void)
{
	double since = dm_seconds();
	long tables;

	do {
		tables = cgroup_number("memory.stat", "pagetables");
	} while (tables && dm_seconds() - since < DM_PATIENT);
	if (tables < 0)
		return "its page tables cannot be counted";
	return tables ? "page tables are left" : "";
}

static unsigned long how_often(void)
{
	const char *text = getenv("DUP_MMAP_CYCLES");
	unsigned long nr = text ? strtoul(text, NULL, 10) : 0;

	return nr ?: dm_long_form() ? MANY : FEW;
}

static void skip(const char *why)
{
	dm_cgroup_leave(&cgroup);
	ksft_print_header();
	ksft_exit_skip("%s\n", why);
}

/* Between those who open files and the one who unloads, who is not to wait for ever. */
static bool make_lock(void)
{
	pthread_rwlockattr_t attr;

	if (pthread_rwlockattr_init(&attr) ||
	    pthread_rwlockattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) ||
	    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) ||
	    pthread_rwlock_init(&storm->opening, &attr))
		return false;
	dm_open_under(&storm->opening);
	return true;
}

/* Of the whole: "" or who is stuck. Nobody knows then who else will be. */
static const char *run(void)
{
	const char *why;

	if (mkdir(cgroup_path(""), 0755) && errno != EEXIST)
		return "no cgroup can be made";
	why = dm_swap_on() ?: "";
	if (!*why)
		why = limit_memory(true);
	if (!*why && dm_unload())
		why = "it cannot be unloaded at first";
	if (!*why)
		why = begin_parts();
	return *why ? why : watch();
}

int main(int argc, char **argv)
{
	static struct dm_counters before;
	unsigned long taint, cycles;
	const char *why;
	int i;

	/* A page fault of the kernel's own, on the way out of a fork, finds no memory. */
	dm_without_rseq(argv);
	dm_skip_unless_available();
	nr_cycles = how_often();
	nr_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	if (nr_cpus > MAX_CPUS)
		nr_cpus = MAX_CPUS;
	if (nr_cpus < 2 || !can_be_unplugged(1))
		skip("needs a CPU that can be unplugged (CONFIG_HOTPLUG_CPU)");
	if (!*dm_find_module())
		skip("no " DM_MODULE ".ko in /lib/modules");
	storm = mmap(NULL, sizeof(*storm), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		     -1, 0);
	why = storm == MAP_FAILED || !make_lock() ? "no memory" : dm_cgroup_enter(&cgroup);
	if (!why)
		why = dm_uncountable();
	if (why)
		skip(why);

	ksft_print_header();
	ksft_set_plan(6);
	why = control();
	ksft_test_result(!*why, "the watchdog names who is stuck\n");
	if (*why)
		ksft_print_msg("%s\n", why);
	why = find_files();
	if (*why)
		ksft_print_msg("%s\n", why);
	ksft_test_result(!*why, "each file of the module is written to\n");

	dm_reset();
	taint = dm_taint();
	dm_get_counters(&before);
	why = run();
	if (*why) {
		/* To clean up might take as long as it is stuck. */
		print_counts();
		ksft_print_msg("%s\n", check_wrong());
		for (i = 0; i < nr_parts; i++)
			if (storm->watched[i].pid)
				kill(storm->watched[i].pid, SIGKILL);
		ksft_test_result_fail("%lu cycles, and nobody is stuck: %s\n", nr_cycles, why);
		printf("Bail out! %s\n", why);
		fflush(stdout);
		_exit(KSFT_FAIL);
	}
	print_counts();
	ksft_print_msg("memory: at its limit %ld times, killed %ld\n",
		       cgroup_number("memory.events", "max"),
		       cgroup_number("memory.events", "oom_kill"));
	cycles = storm->part[nr_parts - 1].count[CYCLES];
	ksft_test_result(cycles == nr_cycles, "%lu cycles, and nobody is stuck\n", nr_cycles);

	why = check_wrong();
	if (!*why)
		why = check_counts();
	if (!*why && cgroup_number("memory.events", "max") <= 0)
		why = "memory was never short";
	if (*why)
		ksft_print_msg("%s\n", why);
	ksft_test_result(!*why, "each has done its part, and seen nothing wrong\n");

	why = check_cgroup();
	limit_memory(false);
	dm_swap_off();
	rmdir(cgroup_path(""));
	if (!*why && !dm_load())
		why = "the module cannot be loaded";
	dm_reset();
	if (!*why)
		why = dm_check_counters(&before, DM_PATIENT);
	if (*why)
		ksft_print_msg("%s\n", why);
	ksft_test_result(!*why, "nothing is left\n");
	why = dm_check_taint(taint);
	if (*why)
		ksft_print_msg("%s\n", why);
	ksft_test_result(!*why, "the kernel has not complained\n");
	dm_cgroup_leave(&cgroup);
	ksft_finished();
}
