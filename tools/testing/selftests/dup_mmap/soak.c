// SPDX-License-Identifier: GPL-2.0
/*
 * Many failed forks, of several processes at once. Every second one has VMAs of
 * every kind, the others are small. Each goes by its own fail-nth: the first
 * step of its fork fails, then the second one, until the fork works, and again.
 * After that the same with all allocations that a fork makes, wherever it makes
 * them. Meanwhile the recovery changes, allocations of recoveries fail, forks are
 * held for a moment, and somebody who has not asked for anything forks, too.
 *
 * 1,000 failures in dup_mmap(), on an emulated machine 500. With DUP_MMAP_LONG 100,000, on
 * an emulated machine 10,000. The few are enough for each step of each process, 250
 * allocations of each and some 15 changes of the recovery; what takes an unlucky moment is
 * for the many to find.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dup_mmap.h"

#define MAX_WORKERS	8
#define AT_LEAST	250ul		/* of each */
#define FEW		1000ul
#define MANY		100000ul
/* On an emulated machine. */
#define FEW_SLOW	500ul
#define MANY_SLOW	10000ul
#define NR_UM		4		/* processes, where there is one CPU */

enum aim { STEPS, ALLOCATIONS, NR_PHASES };

static const char * const phase_names[NR_PHASES] = { "steps", "allocations" };

/* What a process says about itself. */
struct worker {
	pid_t pid;
	unsigned long failed, rounds;
	unsigned long steps;		/* that a fork of it takes */
	char missing[1024], why[256];
};

static struct worker *workers;		/* shared with them */
static unsigned long *enough;		/* failures of all, likewise */
static int nr_workers;
static int go[MAX_WORKERS][2], told[2];

static bool say_done(char what)
{
	return write(told[1], &what, 1) == 1;
}

static unsigned long total(void)
{
	unsigned long n = 0;
	int i;

	for (i = 0; i < nr_workers; i++)
		n += __atomic_load_n(&workers[i].failed, __ATOMIC_RELAXED);
	return n;
}

/*
 * One round: every failure there is, or allocations until there are enough.
 * False: *why says what is wrong.
 */
static bool fail_all(struct worker *w, enum aim phase, int fail_nth)
{
	unsigned long failed = 0;
	bool used = true;
	int nth, err, status;

	for (nth = 1; used; nth++) {
		char text[16];
		pid_t pid;

		snprintf(text, sizeof(text), "%d", nth);
		if (pwrite(fail_nth, text, strlen(text), 0) < 0) {
			snprintf(w->why, sizeof(w->why), "fail-nth: %s", strerror(errno));
			return false;
		}
		pid = dm_fork(&err);
		/* Some allocations the kernel does without. */
		if (pid > 0) {
			used = phase == ALLOCATIONS && !dm_get_nth();
			pwrite(fail_nth, "0", 1, 0);
			if (waitpid(pid, &status, 0) != pid || status) {
				snprintf(w->why, sizeof(w->why), "a child ended with %#x",
					 status);
				return false;
			}
		} else if (err == ENOMEM) {
			__atomic_add_fetch(&w->failed, 1, __ATOMIC_RELAXED);
			if (++failed % 32 == 0 && !say_done('r'))
				return false;
			used = phase == STEPS || failed < AT_LEAST ||
				total() < *enough;
		} else {
			snprintf(w->why, sizeof(w->why), "failure %d: %s", nth,
				 strerror(err));
			return false;
		}
	}
	w->rounds++;
	if (phase == ALLOCATIONS)
		return true;
	/* No other task's failures are among them, and none of its own lost. */
	if (w->steps == failed)
		return true;
	snprintf(w->why, sizeof(w->why), "%lu steps failed, and it takes %lu", failed,
		 w->steps);
	return false;
}

static int work(int nr)
{
	struct worker *w = &workers[nr];
	bool small = nr % 2 == 0 && nr != nr_workers - 1;
	int fail_nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	int wait_fd = go[nr][0];
	static struct dm_layout layouts[DM_NR_ALL];
	static struct dm_maps maps;
	const char *why;
	enum aim phase;
	char c;

	/* Or nobody would ever see the end of its pipe. */
	for (; nr >= 0; nr--)
		close(go[nr][1]);
	if (!small)
		dm_build_all(layouts, w->missing, sizeof(w->missing));
	why = fail_nth < 0 ? "no fail-nth" : dm_get_maps_and_flags(&maps);
	if (*why) {
		snprintf(w->why, sizeof(w->why), "%s", why);
		return !say_done('d');
	}
	w->steps = dm_nr_steps(&maps);
	if (!say_done('d'))
		return 1;
	for (phase = 0; phase < NR_PHASES; phase++) {
		if (read(wait_fd, &c, 1) != 1)
			return 1;
		w->rounds = 0;
		while ((!w->rounds || total() < *enough) && !w->why[0]) {
			if (!fail_all(w, phase, fail_nth))
				break;
			why = dm_check_all(layouts);
			if (*why)
				snprintf(w->why, sizeof(w->why), "%s", why);
		}
		if (!say_done('d'))
			return 1;
	}
	/* Keeps what it has until it is told. */
	if (read(wait_fd, &c, 1) < 0)
		return 1;
	why = dm_unbuild_all(layouts);
	if (*why)
		ksft_print_msg("%s\n", why);
	return !!*why;
}

/* Where a thread of a process is, for somebody who has to find out why. */
static void print_thread(const char *pid, const char *tid)
{
	static const char * const files[] = { "stat", "wchan", "stack" };
	char path[64], text[2048];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "/proc/%s/task/%s/%s", pid, tid, files[i]);
		dm_read_path(path, text, sizeof(text));
		ksft_print_msg("%s: %s\n", path, text);
	}
}

static void print_workers(void)
{
	char nr[16], path[64];
	struct dirent *e;
	DIR *d;
	int i;

	for (i = 0; i < nr_workers && workers[i].pid; i++) {
		snprintf(nr, sizeof(nr), "%d", workers[i].pid);
		snprintf(path, sizeof(path), "/proc/%s/task", nr);
		d = opendir(path);
		while (d && (e = readdir(d)))
			if (e->d_name[0] != '.')
				print_thread(nr, e->d_name);
		if (d)
			closedir(d);
	}
}

/* Waits until so many processes are done; forks itself whenever one has news. */
static const char *wait_for(int nr, bool meddle)
{
	/*
	 * Half of the time nowhere, as it is slow: a tick of the clock at least. The long
	 * form has so many forks that one in forty can be held.
	 */
	static const char * const at[] = {
		"none", "before-recovery", "none", "parent-unlocked", "none",
		"after-recovery", "none", "after-unlock", "none", "pinned",
	};
	unsigned int nr_at = ARRAY_SIZE(at) * (dm_long_form() ? 20 : 1), next;
	static unsigned int news;
	int err, status;
	char c, nth[16];
	pid_t pid;

	while (nr) {
		struct pollfd news_of = { told[0], POLLIN };

		/* A minute until ksmd has merged its pages, if that is slow. */
		if (poll(&news_of, 1, 300 * 1000) != 1) {
			print_workers();
			return "a process is gone, or stuck";
		}
		if (read(told[0], &c, 1) != 1)
			return "a process is gone";
		if (c == 'd') {
			nr--;
			continue;
		}
		news++;
		pid = dm_fork(&err);
		if (pid < 0)
			return "a fork failed that nobody asked to";
		if (waitpid(pid, &status, 0) != pid || status)
			return "a child ended badly";
		if (!meddle)
			continue;
		snprintf(nth, sizeof(nth), "%u", news % 5);
		next = news / 2 % nr_at;
		if (dm_write("recovery", news % 2 ? "upstream" : "rust") ||
		    dm_write(DM_FAIL "recovery-alloc-nth", nth) ||
		    dm_write(DM_HOLD "timeout-ms", "1") ||
		    dm_write(DM_HOLD "at", next < ARRAY_SIZE(at) ? at[next] : "none"))
			return "a setting is refused";
	}
	return "";
}

static const char *complaint(void)
{
	int i;

	for (i = 0; i < nr_workers; i++)
		if (workers[i].why[0])
			return workers[i].why;
	return "";
}

/* Until the failures in dup_mmap() are as many as that. */
static const char *run(enum aim phase, unsigned long failures)
{
	unsigned long before = total();
	struct dm_stats stats[2];
	const char *why;
	int i;

	why = dm_get_stats(&stats[0]);
	if (*why)
		return why;
	*enough = before + failures;
	for (i = 0; i < nr_workers; i++)
		if (write(go[i][1], "g", 1) != 1)
			return "cannot begin";
	why = wait_for(nr_workers, true);
	if (*why)
		return why;
	why = complaint();
	if (*why)
		return why;
	why = dm_get_stats(&stats[1]);
	if (*why)
		return why;
	ksft_print_msg("%s: %lu forks failed, %lu of them in dup_mmap(), %lu with rust\n",
		       phase_names[phase], total() - before,
		       stats[1].failed - stats[0].failed, stats[1].rust - stats[0].rust);
	if (stats[1].failed - stats[0].failed > total() - before)
		return "more forks failed than were asked to";
	if (phase == STEPS && (stats[1].failed - stats[0].failed != total() - before ||
			       stats[1].injected - stats[0].injected != total() - before))
		return "the counters do not have as many";
	if (stats[1].rust == stats[0].rust || stats[1].upstream == stats[0].upstream)
		return "one of the recoveries never ran";
	return "";
}

int main(int argc, char **argv)
{
	unsigned long few = dm_is_um() ? FEW : FEW_SLOW;
	unsigned long many = dm_is_um() ? MANY : MANY_SLOW;
	unsigned long failures = dm_long_form() ? many : few;
	static struct dm_alloc alloc;
	static struct dm_cgroup cgroup;
	struct dm_stats stats[2];
	struct dm_counters before;
	unsigned long taint;
	enum aim phase;
	struct dm_saved saved;
	const char *why;
	bool ended_well = true;
	double t;
	int i, status;
	pid_t pid;

	dm_without_rseq(argv);
	dm_with_room_above(argv);
	dm_skip_unless_available();
	ksft_print_header();
	nr_workers = sysconf(_SC_NPROCESSORS_ONLN);
	/* Small ones too, where a CPU is all that there is. */
	if (dm_is_um() && dm_long_form())
		nr_workers = NR_UM;
	if (nr_workers > MAX_WORKERS)
		nr_workers = MAX_WORKERS;
	workers = mmap(NULL, sizeof(*workers) * MAX_WORKERS + sizeof(*enough),
		       PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (workers == MAP_FAILED || pipe(told))
		ksft_exit_skip("no memory or no pipe\n");
	enough = (unsigned long *)(workers + MAX_WORKERS);
	/* None counts but this module's own. */
	why = dm_alloc_begin(&alloc, NULL);
	if (!why)
		why = dm_cgroup_enter(&cgroup);
	if (!why)
		why = dm_uncountable();
	if (why) {
		dm_cgroup_leave(&cgroup);
		dm_alloc_end(&alloc);
		ksft_exit_skip("%s\n", why);
	}
	ksft_set_plan(NR_PHASES + 3);
	dm_save(&saved);
	dm_write(DM_FAIL "verbose", "0");
	dm_write(DM_FAIL "times", "-1");
	dm_get_counters(&before);
	taint = dm_taint();
	dm_kinds_begin(nr_workers);

	why = "";
	for (i = 0; i < nr_workers && !*why; i++) {
		if (pipe(go[i])) {
			why = "no pipe";
			break;
		}
		fflush(stdout);
		pid = fork();
		if (!pid)
			_exit(work(i));
		/* Shared with it: not what fork() says there. */
		workers[i].pid = pid;
		why = pid < 0 ? strerror(errno) : wait_for(1, false);
		if (!*why)
			why = complaint();
	}
	if (*why)
		ksft_print_msg("%s\n", why);
	if (!*why && workers[nr_workers - 1].missing[0])
		ksft_test_result_code(KSFT_SKIP, "VMAs of all kinds",
				      "not to be had here: %s",
				      workers[nr_workers - 1].missing);
	else
		ksft_test_result(!*why, "VMAs of all kinds\n");

	dm_get_stats(&stats[0]);
	t = dm_seconds();
	for (phase = 0; phase < NR_PHASES; phase++) {
		if (phase == ALLOCATIONS) {
			dm_alloc_end(&alloc);
			why = dm_alloc_begin(&alloc, "");
		}
		/* Of the allocations some are made elsewhere than in dup_mmap(). */
		if (!why || !*why)
			why = run(phase, failures / NR_PHASES * (phase == STEPS ? 1 : 1.2));
		if (*why)
			ksft_print_msg("%s\n", why);
		ksft_test_result(!*why, "%s fail, of each process its own\n",
				 phase_names[phase]);
	}
	t = dm_seconds() - t;
	for (i = 0; i < nr_workers; i++) {
		close(go[i][0]);
		close(go[i][1]);
		if (workers[i].pid <= 0)
			continue;
		/* It is done, unless something went wrong. */
		if (*why)
			kill(workers[i].pid, SIGKILL);
		waitpid(workers[i].pid, &status, 0);
		if (status) {
			ksft_print_msg("process %d ended with %#x\n", i, status);
			ended_well = false;
		}
	}
	dm_alloc_end(&alloc);
	dm_get_stats(&stats[1]);
	ksft_print_msg("%lu forks failed in dup_mmap() in %.0f s, %.0f a second\n",
		       stats[1].failed - stats[0].failed, t,
		       (stats[1].failed - stats[0].failed) / t);
	ksft_test_result(stats[1].failed - stats[0].failed >= failures,
			 "%lu forks failed in dup_mmap()\n", failures);
	dm_kinds_end();
	why = dm_check_counters(&before, DM_PATIENT);
	if (!*why)
		why = dm_check_taint(taint);
	if (*why)
		ksft_print_msg("%s\n", why);
	ksft_test_result(!*why && ended_well,
			 "nothing is lost, and no complaint\n");
	dm_restore(&saved);
	dm_cgroup_leave(&cgroup);
	ksft_finished();
}
