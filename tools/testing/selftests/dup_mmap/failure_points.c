// SPDX-License-Identifier: GPL-2.0
/*
 * Every failure point of dup_mmap(), for every kind of VMA as the first one of
 * the address space, in the middle and as the last one, under both recoveries. On an
 * emulated machine the short form has each kind at one of these positions.
 *
 * What has to happen is computed from /proc/self/smaps and from the order of
 * the steps in dup_mmap(). Where a step is not reached for a VMA (say,
 * vm-area-dup for a MADV_DONTFORK one) the fork has to work.
 *
 * Each kind at each position is one test and has a process of its own, which
 * maps the VMA once and goes on after a failure. Objects and page tables are
 * counted once for all of them: to count them exactly takes flushes of every CPU
 * and grace periods.
 *
 * A line "map: KIND, POSITION, RECOVERY: POINT=OUTCOME ..." for each is what
 * scripts/report draws.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dup_mmap.h"

#define KEPT	"nothing is kept"

static const char * const recoveries[] = { "rust", "upstream" };

/* What a process has to do, and, shared with it, what it found. */
static struct task {
	enum dm_kind kind;
	enum dm_position position;
	const char *recovery;		/* NULL: both; */
	int point;			/* -1: each. */
	char skip[256];			/* why there can't be such a VMA */
	unsigned int wrong;
	/* Of each recovery; NULL where nothing was judged. */
	const char *outcome[2][DM_NR_POINTS];
} *task;

/* The number of the VMA, where the point is one that has to do with VMAs. */
static int index_for(enum dm_point point, const struct dm_layout *l)
{
	return dm_points[point].has_vma ? l->index : -1;
}

static void check(const char *what, const char *why)
{
	if (!*why)
		return;
	ksft_print_msg("%s VMA, %s, %s: %s\n", dm_kind_name(task->kind),
		       dm_position_names[task->position], what, why);
	task->wrong++;
}

/* If it is as the model has it. */
static const char *outcome(const struct dm_maps *maps, enum dm_point point, int index)
{
	static struct dm_expect want;

	dm_model(maps, point, index, 0, &want);
	return !want.fails ? "works" : want.recovered ? want.class : "before";
}

/* Every point, judged. */
static void judge_all(const struct dm_layout *l)
{
	static struct dm_series series;
	struct dm_record rec;
	unsigned int wrong;
	char what[64];
	size_t r;
	int p;

	for (r = 0; r < ARRAY_SIZE(recoveries); r++) {
		check(recoveries[r], dm_use_recovery(recoveries[r]));
		check(recoveries[r], dm_begin_series(&series, recoveries[r]));
		for (p = 0; p < DM_NR_POINTS; p++) {
			snprintf(what, sizeof(what), "%s, %s", dm_points[p].name,
				 recoveries[r]);
			wrong = task->wrong;
			check(what, dm_shoot(&series, p, index_for(p, l), 0, &rec));
			check(what, dm_check_layout(l));
			task->outcome[r][p] = task->wrong > wrong ? "wrong" :
				outcome(&series.maps, p, index_for(p, l));
		}
	}
	dm_end_series();
}

/* The points of the task, if that goes unnoticed. */
static void fail_quickly(const struct dm_layout *l)
{
	int p, err;
	pid_t pid;
	size_t r;

	check("arming", dm_arm_nothing());
	for (r = 0; r < ARRAY_SIZE(recoveries); r++) {
		if (task->recovery && task->recovery != recoveries[r])
			continue;
		check(recoveries[r], dm_use_recovery(recoveries[r]));
		for (p = 0; p < DM_NR_POINTS; p++) {
			if (task->point >= 0 && task->point != p)
				continue;
			check(dm_points[p].name, dm_aim(p, index_for(p, l), 0));
			pid = dm_fork(&err);
			if (pid > 0)
				waitpid(pid, NULL, 0);
		}
	}
	dm_disarm();
}

/* In a process of its own. */
static void do_task(void (*fail)(const struct dm_layout *l))
{
	static struct dm_layout l;
	const char *why = dm_build(&l, task->kind, task->position);

	if (why) {
		snprintf(task->skip, sizeof(task->skip), "%s", why);
	} else {
		fail(&l);
		check("memory", dm_check_layout(&l));
		check("nothing armed", dm_check_clean_fork(&l));
	}
	check("unmapping", dm_unbuild(&l));
}

static void start_task(void (*fail)(const struct dm_layout *l), enum dm_kind kind,
		       enum dm_position position)
{
	int status;
	pid_t pid;

	task->kind = kind;
	task->position = position;
	task->skip[0] = '\0';
	task->wrong = 0;
	memset(task->outcome, 0, sizeof(task->outcome));
	dm_reset();
	fflush(stdout);
	pid = fork();
	if (!pid) {
		do_task(fail);
		_exit(0);
	}
	if (pid < 0)
		check("fork()", strerror(errno));
	else if (waitpid(pid, &status, 0) != pid || status)
		check("its process", "did not end well");
}

static void print_outcomes(const char *name)
{
	char line[512];
	size_t r;
	int p, len;

	for (r = 0; r < ARRAY_SIZE(recoveries); r++) {
		for (p = 0, len = 0; p < DM_NR_POINTS && task->outcome[r][p]; p++)
			len += snprintf(line + len, sizeof(line) - len, " %s=%s",
					dm_points[p].name, task->outcome[r][p]);
		if (len)
			ksft_print_msg("map: %s, %s:%s\n", name, recoveries[r], line);
	}
}

/* If no test is named. */
static bool is_tried(int kind, int position)
{
	return dm_in_full() || position == kind % DM_NR_POSITIONS;
}

/* Without judgement: every kind at every position. False: it can't be done. */
static bool fail_all(const char *recovery, int point)
{
	bool done = true;
	int k, pos;

	task->recovery = recovery;
	task->point = point;
	for (k = 0; k < DM_NR_KINDS; k++) {
		for (pos = 0; pos < DM_NR_POSITIONS; pos++) {
			if (!is_tried(k, pos))
				continue;
			start_task(fail_quickly, k, pos);
			done &= !task->wrong;
		}
	}
	return done;
}

/* Others allocate too: only what is wrong every time is wrong. */
static bool leaks(const char *recovery, int point)
{
	struct dm_counters before;
	const char *why;

	dm_ksm_let_go();
	dm_get_counters(&before);
	if (!fail_all(recovery, point))
		return true;
	dm_ksm_let_go();
	why = dm_check_counters(&before, DM_PATIENT);
	if (*why)
		ksft_print_msg("%s, %s: %s\n", recovery ? recovery : "both recoveries",
			       point < 0 ? "all points" : dm_points[point].name, why);
	return *why;
}

static bool nothing_is_kept(const struct dm_counters *before)
{
	const char *why = dm_check_counters(before, DM_PATIENT);
	size_t r;
	int p;

	if (!*why)
		return true;
	ksft_print_msg("%s\n", why);
	/* By what, the tests above have said, or else it takes long to find out. */
	if (ksft_get_fail_cnt())
		return false;
	if (!leaks(NULL, -1))
		return false;
	for (r = 0; r < ARRAY_SIZE(recoveries); r++)
		for (p = 0; p < DM_NR_POINTS; p++)
			if (leaks(recoveries[r], p))
				return false;
	return false;
}

/* One result for each, or for the one of that name only. */
static void judge_each(const char *only, unsigned long taint)
{
	char name[64];
	int k, pos;

	for (k = 0; k < DM_NR_KINDS; k++) {
		for (pos = 0; pos < DM_NR_POSITIONS; pos++) {
			snprintf(name, sizeof(name), "%s, %s", dm_kind_name(k),
				 dm_position_names[pos]);
			if (only ? strcmp(only, name) : !is_tried(k, pos))
				continue;
			/* A damaged kernel proves nothing, and may hang. */
			if (*dm_check_taint(taint)) {
				ksft_test_result_fail("%s: not after a splat\n", name);
				continue;
			}
			start_task(judge_all, k, pos);
			print_outcomes(name);
			if (task->skip[0] && !task->wrong)
				ksft_test_result_code(KSFT_SKIP, name, "%s", task->skip);
			else
				ksft_test_result(!task->wrong, "%s\n", name);
		}
	}
	dm_reset();
}

static int nr_tried(void)
{
	int k, pos, nr = 0;

	for (k = 0; k < DM_NR_KINDS; k++)
		for (pos = 0; pos < DM_NR_POSITIONS; pos++)
			nr += is_tried(k, pos);
	return nr;
}

static void judge_all_and_count(unsigned long taint)
{
	static struct dm_cgroup cgroup;
	const char *why = dm_cgroup_enter(&cgroup);
	struct dm_counters before;

	if (!why)
		why = dm_uncountable();

	/* Whatever is allocated once and kept on purpose, is after this. */
	fail_all(NULL, DM_COPY_PAGE_RANGE);
	dm_ksm_let_go();
	dm_get_counters(&before);
	judge_each(NULL, taint);
	dm_ksm_let_go();
	if (why)
		ksft_test_result_code(KSFT_SKIP, KEPT, "%s", why);
	else
		ksft_test_result(nothing_is_kept(&before), KEPT "\n");
	dm_cgroup_leave(&cgroup);
}

/* usage: failure_points [-r NAME], to run only one of the tests. */
int main(int argc, char **argv)
{
	const char *only = NULL;
	struct dm_saved saved;
	int opt;

	while ((opt = getopt(argc, argv, "r:")) != -1) {
		if (opt != 'r')
			return KSFT_FAIL;
		only = optarg;
	}
	dm_with_room_above(argv);
	dm_skip_unless_available();
	ksft_print_header();
	task = mmap(NULL, sizeof(*task), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (task == MAP_FAILED)
		ksft_exit_fail_msg("mmap: %s\n", strerror(errno));
	dm_save(&saved);
	dm_kinds_begin(1);
	if (only && strcmp(only, KEPT)) {
		ksft_set_plan(1);
		judge_each(only, dm_taint());
	} else {
		ksft_set_plan(nr_tried() + 1);
		judge_all_and_count(dm_taint());
	}
	dm_kinds_end();
	dm_restore(&saved);
	ksft_finished();
}
