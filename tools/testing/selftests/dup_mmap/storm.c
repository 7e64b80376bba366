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
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dup_mmap.h"
#include "storm_parts/storm.h"

#define FEW		20ul
#define MANY		1000ul

/* Of the watchdog. Nothing is held for as long as twice as many. */
#define ROUNDS		45

/* In pages: what all of them may have. */
#define LIMIT		6144ul

#define CGROUP		"dup_mmap_storm"

static const struct kind * const kinds[] = {
	&forker, &writer, &armer, &switcher, &holder, &plugger, &keeper, &hog, &loader,
};

int nr_cpus;
static struct dm_cgroup cgroup;

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
	const struct kind *kind;
	char text[256];
	size_t i, k, len;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		kind = kinds[i];
		len = snprintf(text, sizeof(text), "%-9s", kind->name);
		for (k = 0; k < NR_COUNTS && kind->count[k]; k++)
			len += snprintf(text + len, sizeof(text) - len, "%s %lu %s", k ? "," : "",
					sum_of(kind, k), kind->count[k]);
		ksft_print_msg("%s\n", text);
	}
}

/* "" or who has not done what. */
static const char *check_counts(void)
{
	static char text[128];
	const struct kind *kind;
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		kind = kinds[i];
		for (k = 0; k < NR_COUNTS && kind->count[k]; k++) {
			if (sum_of(kind, k) || kind->count[k][0] == '(')
				continue;
			snprintf(text, sizeof(text), "%s: 0 %s", kind->name, kind->count[k]);
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
	size_t n;

	fflush(stdout);
	for (n = 0; n < ARRAY_SIZE(kinds); n++) {
		kind = kinds[n];
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

/* One that moves once, and then stops or runs on and on. */
static bool begin_still(struct dm_watched *w, const char *name, bool stops)
{
	pid_t pid;

	snprintf(w->name, sizeof(w->name), "%s", name);
	snprintf(w->doing, sizeof(w->doing), "%s", stops ? "stops itself" : "does nothing");
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return false;
	if (pid) {
		w->pid = pid;
		return true;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dm_moves(w);
	if (stops)
		raise(SIGSTOP);
	/* No condition: the compiler may take it that a loop with one comes to its end. */
	for (;;)
		;
}

static void end_still(struct dm_watched *w)
{
	if (w->pid) {
		kill(w->pid, SIGKILL);
		waitpid(w->pid, NULL, 0);
	}
	memset(w, 0, sizeof(*w));
}

static struct dm_watched *next_stuck(void)
{
	struct dm_watched *stuck = NULL;
	int round;

	for (round = 0; round < 60 && !stuck; round++)
		stuck = dm_watch(storm->watched, MAX_PARTS, 3);
	return stuck;
}

/*
 * The watchdog has to name two processes: first one that stops, and that it is stopped, and
 * then one that runs without end.
 */
static const char *control(void)
{
	struct dm_watched *runs = &storm->watched[0], *stops = &storm->watched[1];
	static char text[16384];
	const char *why = "";

	if (!begin_still(runs, "who runs", false) || !begin_still(stops, "who stops", true)) {
		why = "fork fails";
	} else if (next_stuck() != stops) {
		why = "who stops is not the first to be named";
	} else {
		dm_name_stuck(stops, text, sizeof(text));
		if (!strstr(text, "who stops has not moved") || !strstr(text, "state T") ||
		    !strstr(text, "stack: "))
			why = "it does not say who, or where";
	}
	end_still(stops);
	if (!*why && next_stuck() != runs)
		why = "who runs may run for ever";
	end_still(runs);
	return why;
}

/* In a child, since this process is not in the cgroup: has memory.stat counted anew. */
static int outdate_stat(void *unused)
{
	if (dm_write_path(cgroup_path("cgroup.procs"), "0"))
		return 1;
	dm_outdate_stat();
	return 0;
}

/* Page tables that somebody has lost are charged to nobody else. */
static const char *check_cgroup(void)
{
	static char text[256], procs[128];
	double since = dm_seconds();
	long tables;
	char *p;

	do {
		if (dm_fork_run(outdate_stat, NULL))
			return "its cgroup cannot be entered";
		/*
		 * An idle CPU has the mm that it ran last, and khugepaged the one that it
		 * looked at last: a page table each, long after the process is gone.
		 */
		dm_stop_khugepaged();
		dm_drain();
		tables = cgroup_number("memory.stat", "pagetables");
	} while (tables > 0 && dm_seconds() - since < DM_PATIENT);
	if (tables < 0)
		return "its page tables cannot be counted";
	if (!tables)
		return "";
	/* A pid a line; this is to be one line. */
	dm_read_path(cgroup_path("cgroup.procs"), procs, sizeof(procs));
	for (p = procs; *p; p++)
		*p = *p == '\n' ? ' ' : *p;
	snprintf(text, sizeof(text), "page tables are left: %ld bytes; processes: %s", tables,
		 procs[0] ? procs : "none");
	return text;
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
		print_files();
		/* Who has moved meanwhile? */
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
