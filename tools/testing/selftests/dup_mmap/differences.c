// SPDX-License-Identifier: GPL-2.0
/*
 * What differs between the recoveries. One plan for all four: each step of fork, for a
 * VMA of every third kind (in the long form of each, in the short form on an emulated
 * machine of every sixth) and for the first and the last one, with the fork held when its
 * locks are dropped; for the latter two also without. Of each failure everything is taken
 * down that can be seen: what fork() says, the record, what an observer finds of the
 * child, Committed_AS.
 *
 * rust must not differ from upstream. What xa-zero and xa-zero-bare, which Linux 6.8 to
 * 6.19 did, leave behind is what the teardown before the unlock has changed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dup_mmap.h"

/* What is taken down of a failure. */
enum field {
	SAID, INJECTED, CLASS, END, COPIED, TORN_DOWN, UNCHARGED, FLAGS,
	VERDICT, ENTRIES, FIND_VMA, COMMITTED,
	NR_FIELDS,
};

static const char * const field_names[] = {
	[SAID] = "fork() says", [INJECTED] = "injected", [CLASS] = "class", [END] = "end",
	[COPIED] = "vmas-copied", [TORN_DOWN] = "vmas-torn-down",
	[UNCHARGED] = "pages-uncharged", [FLAGS] = "mm-flags", [VERDICT] = "observe",
	[ENTRIES] = "entries", [FIND_VMA] = "find-vma", [COMMITTED] = "Committed_AS, kB",
};

struct taken {
	char field[NR_FIELDS][48];
};

struct shot {
	enum dm_point point;
	int index;
	bool held;
	bool of_a_kind;		/* and neither the first VMA nor the last */
};

#define MAX_SHOTS	(2 * DM_NR_POINTS * (DM_NR_ALL + 2))

static struct shot shots[MAX_SHOTS];
static int nr_shots;
static struct taken taken[DM_NR_RECOVERIES][MAX_SHOTS];
static bool has_run[DM_NR_RECOVERIES];

/* The process whose forks these are, and what it shares with the test. */
static struct worker {
	pid_t pid;
	int go[2], built[2];
	struct dm_maps maps;
	int index[DM_NR_ALL];	/* of each kind, or -1 */
	char why[256];
	struct shot shot;
	bool over;
	int err;
	long committed;
} *worker;

static struct dm_layout layouts[DM_NR_ALL];

/* In the worker. */
static const char *build(void)
{
	char missing[1024];
	const char *why;
	int i;

	dm_build_all(layouts, missing, sizeof(missing));
	why = dm_get_maps_and_flags(&worker->maps);
	if (*why)
		return why;
	for (i = 0; i < DM_NR_ALL; i++)
		worker->index[i] = layouts[i].addr ?
			dm_index_of(&worker->maps, layouts[i].addr) : -1;
	return "";
}

static const char *fork_once(void)
{
	const struct shot *shot = &worker->shot;
	int index = dm_points[shot->point].has_vma ? shot->index : -1;
	const char *why;
	long before;
	pid_t pid;

	if (dm_write(DM_HOLD "at", shot->held ? "after-unlock" : "none"))
		return "hold/at cannot be set";
	why = dm_arm(shot->point, index, 0);
	if (*why)
		return why;
	before = dm_committed_as();
	pid = dm_fork(&worker->err);
	if (pid > 0) {
		worker->err = 0;
		waitpid(pid, NULL, 0);
	}
	worker->committed = dm_committed_as() - before;
	dm_disarm();
	return "";
}

static int work(void)
{
	char what;

	snprintf(worker->why, sizeof(worker->why), "%s", build());
	if (write(worker->built[1], "b", 1) != 1)
		return 1;
	while (read(worker->go[0], &what, 1) == 1 && what == 'f') {
		snprintf(worker->why, sizeof(worker->why), "%s", fork_once());
		__atomic_store_n(&worker->over, true, __ATOMIC_SEQ_CST);
	}
	snprintf(worker->why, sizeof(worker->why), "%s", dm_unbuild_all(layouts));
	return 0;
}

static const char *start(void)
{
	pid_t parent = getpid(), pid;
	char c;

	worker = mmap(NULL, sizeof(*worker), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (worker == MAP_FAILED || pipe(worker->go) || pipe(worker->built))
		return "no memory";
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(worker->go[1]);
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
			_exit(1);
		_exit(work());
	}
	worker->pid = pid;
	close(worker->built[1]);
	if (pid < 0 || read(worker->built[0], &c, 1) != 1)
		return "the process that forks is not there";
	return worker->why;
}

/* Every step that there is for the VMA, held and perhaps not. */
static void plan_vma(int index, bool both)
{
	int p, held;

	for (p = 0; p < DM_NR_POINTS; p++) {
		if (!dm_points[p].has_vma || !dm_reached(p, &worker->maps.vma[index]))
			continue;
		for (held = !both; held < 2; held++)
			shots[nr_shots++] = (struct shot){ p, index, held, !both };
	}
}

/* xa-zero-bare is xa-zero, but for the flags. */
static bool is_in_plan(enum dm_recoverer r, const struct shot *shot)
{
	return r != DM_XA_ZERO_BARE || !shot->of_a_kind;
}

static void plan(void)
{
	int i, held, step = dm_long_form() ? 1 : dm_in_full() ? 3 : 6;

	for (i = 0; i < DM_NR_POINTS; i++)
		for (held = 0; held < 2 && !dm_points[i].has_vma; held++)
			shots[nr_shots++] = (struct shot){ i, -1, held, false };
	plan_vma(0, true);
	for (i = 0; i < DM_NR_ALL; i += step)
		if (worker->index[i] > 0 && worker->index[i] < worker->maps.nr - 1)
			plan_vma(worker->index[i], false);
	plan_vma(worker->maps.nr - 1, true);
}

static bool is_over(void *arg)
{
	return __atomic_load_n(&worker->over, __ATOMIC_SEQ_CST);
}

static bool held_or_over(void *arg)
{
	return is_over(NULL) || dm_nr_held(worker->pid) == 1;
}

/* Of the only child that is held. */
static const char *observe(struct taken *t)
{
	static struct dm_sights sights;
	const struct dm_sight *s = &sights.child[0];
	int own = 0, parents = 0, markers = 0, i;
	const char *why = dm_get_sights(&sights);

	if (*why)
		return why;
	if (sights.nr != 1)
		return "nothing to be observed";
	for (i = 0; i < s->nr; i++) {
		own += !strcmp(s->entry[i].kind, "own");
		parents += !strcmp(s->entry[i].kind, "parent");
		markers += !strcmp(s->entry[i].kind, "marker");
	}
	snprintf(t->field[VERDICT], sizeof(t->field[0]), "%s", s->verdict);
	/* The address is that of "end". */
	if (s->has_find)
		snprintf(t->field[FIND_VMA], sizeof(t->field[0]), "%s",
			 *s->found.kind ? s->found.kind : "none");
	snprintf(t->field[ENTRIES], sizeof(t->field[0]), "%d own, %d marker, %d parent", own,
		 markers, parents);
	return "";
}

static const char *take_down(struct taken *t, const struct shot *shot)
{
	static char text[128];
	struct dm_record rec;
	const char *why = "";

	worker->shot = *shot;
	worker->over = false;
	if (write(worker->go[1], "f", 1) != 1 || !dm_wait_until(held_or_over, NULL))
		return "the fork is neither held nor over";
	if (!worker->over) {
		why = observe(t);
		if (dm_release(worker->pid))
			return "the fork cannot be released";
		if (!dm_wait_until(is_over, NULL))
			return "the fork does not return";
	}
	if (!*why)
		why = worker->why;
	if (!*why)
		why = dm_get_record(&rec);
	if (*why)
		return why;
	if (rec.pid != worker->pid || strcmp(rec.point, dm_points[shot->point].name)) {
		snprintf(text, sizeof(text), "fork() says %s, and the last record is of %d at %s",
			 strerror(worker->err), rec.pid, rec.point);
		return text;
	}

#define TAKE(field_, ...)	\
	snprintf(t->field[field_], sizeof(t->field[0]), __VA_ARGS__)
	TAKE(SAID, "%s", strerror(worker->err));
	TAKE(INJECTED, "%c", rec.injected);
	TAKE(CLASS, "%s", rec.class);
	TAKE(END, "%#llx", rec.end);
	TAKE(COPIED, "%lu", rec.copied);
	TAKE(TORN_DOWN, "%lu", rec.torn_down);
	TAKE(UNCHARGED, "%lu", rec.uncharged);
	TAKE(FLAGS, "%s", rec.mm_flags);
	TAKE(COMMITTED, "%+ld", worker->committed);
	return "";
}

/* All of the plan. "" or what could not be done. */
static const char *run(enum dm_recoverer r)
{
	static char text[512];
	struct dm_tries tries;
	const char *why;
	int i;

	why = dm_use_recovery(dm_recoveries[r]);
	for (i = 0; i < nr_shots && !*why; i++) {
		if (!is_in_plan(r, &shots[i]))
			continue;
		tries = (struct dm_tries){ 0 };
		do
			why = take_down(&taken[r][i], &shots[i]);
		while (!*why && dm_try_again(&tries, worker->committed));
		if (*why) {
			snprintf(text, sizeof(text), "%s, VMA %d: %s",
				 dm_points[shots[i].point].name, shots[i].index, why);
			return text;
		}
	}
	return why;
}

/*
 * Prints in what the recovery differs from upstream, and how often, with the first such
 * failure. Returns a bit for each field, or -1: there is nothing to compare.
 */
static int compare(enum dm_recoverer r)
{
	int differ = 0, f, i, nr, nr_run = 0, first;
	char text[256];

	if (!has_run[r] || !has_run[DM_UPSTREAM])
		return -1;
	for (i = 0; i < nr_shots; i++)
		nr_run += is_in_plan(r, &shots[i]);
	for (f = 0; f < NR_FIELDS; f++) {
		for (i = nr = 0; i < nr_shots; i++) {
			if (!is_in_plan(r, &shots[i]) ||
			    !strcmp(taken[r][i].field[f], taken[DM_UPSTREAM][i].field[f]))
				continue;
			if (!nr++)
				first = i;
		}
		if (!nr)
			continue;
		differ |= 1 << f;
		/* In one line, which scripts/report reads. */
		snprintf(text, sizeof(text), "%s of VMA %d: '%s', upstream '%s'",
			 dm_points[shots[first].point].name, shots[first].index,
			 taken[r][first].field[f], taken[DM_UPSTREAM][first].field[f]);
		ksft_print_msg("difference: %-12s %-17s %4d of %d, first %s\n", dm_recoveries[r],
			       field_names[f], nr, nr_run, text);
	}
	if (!differ)
		ksft_print_msg("difference: %-12s none in %d failures\n", dm_recoveries[r], nr_run);
	return differ;
}

/* Every one of these failures has left nothing, or something. */
static bool all_are(enum dm_recoverer r, const char *verdict)
{
	int i, held = 0, nr = 0;

	for (i = 0; i < nr_shots; i++) {
		nr += is_in_plan(r, &shots[i]);
		if (!*taken[r][i].field[VERDICT])
			continue;
		held++;
		if (strcmp(taken[r][i].field[VERDICT], verdict))
			return false;
	}
	return held >= nr / 3;
}

int main(int argc, char **argv)
{
	/* What there is to undone before the locks are dropped, and what is seen behind. */
	static const int left = 1 << TORN_DOWN | 1 << UNCHARGED | 1 << FLAGS | 1 << VERDICT |
				1 << ENTRIES | 1 << FIND_VMA;
	static struct dm_counters before;
	static struct dm_cgroup cgroup;
	unsigned long taint;
	struct dm_saved saved;
	const char *why;
	int r, status;

	dm_with_room_above(argv);
	dm_skip_unless_available();
	dm_skip_unless_countable(&cgroup);
	ksft_print_header();
	ksft_set_plan(DM_NR_RECOVERIES + 6);
	dm_kinds_begin(1);
	dm_save(&saved);
	taint = dm_taint();
	why = start();
	if (*why)
		ksft_exit_fail_msg("%s\n", why);
	plan();
	dm_get_counters(&before);
	for (r = 0; r < DM_NR_RECOVERIES; r++) {
		why = run(r);
		if (*why)
			ksft_print_msg("%s\n", why);
		has_run[r] = !*why;
		ksft_test_result(has_run[r] && dm_taint() == taint, "%s: all of the plan\n",
				 dm_recoveries[r]);
	}
	why = dm_check_counters(&before, DM_PATIENT);
	if (*why)
		ksft_print_msg("%s\n", why);
	ksft_test_result(!*why, "nothing is lost\n");
	ksft_test_result(compare(DM_RUST) == 0, "rust does not differ from upstream\n");
	ksft_test_result(compare(DM_XA_ZERO) == left, "xa-zero differs in what it leaves\n");
	ksft_test_result(compare(DM_XA_ZERO_BARE) == left,
			 "xa-zero-bare differs in what it leaves\n");
	ksft_test_result(all_are(DM_RUST, "clean") && all_are(DM_UPSTREAM, "clean") &&
			 all_are(DM_XA_ZERO, "stale") && all_are(DM_XA_ZERO_BARE, "stale"),
			 "others find something if it is left, and nothing if it is not\n");
	close(worker->go[1]);
	waitpid(worker->pid, &status, 0);
	if (worker->why[0])
		ksft_print_msg("%s\n", worker->why);
	ksft_test_result(!status && !worker->why[0] && dm_taint() == taint,
			 "all VMAs can be unmapped\n");
	dm_restore(&saved);
	dm_kinds_end();
	dm_cgroup_leave(&cgroup);
	ksft_finished();
}
