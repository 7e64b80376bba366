// SPDX-License-Identifier: GPL-2.0
/*
 * Every place at which the fork of one process can fail, one after the other:
 * a dry run lists the steps that it takes for each of its VMAs, and how many
 * allocations there are in each; then each step fails, and each of those
 * allocations for real. The process has VMAs of many kinds.
 *
 * Prints a table, VMA kinds by steps by outcome. Then the steps again, with the
 * kernel's own recovery and without the allocations. After that the process gets
 * 300 small VMAs more, of which a few have their turn. With DUP_MMAP_LONG
 * there are more of these, and allocations fail under either recovery. On an emulated
 * machine the short form takes every fifth VMA, and of each step of it a fifth of the
 * allocations; of the small VMAs it fails at under rust only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dup_mmap.h"

#define MAX_STEPS	16384
#define NR_SMALL	300
#define SHORT_STRIDE	5	/* of the first ones */
#define STRIDE		101
#define LONG_STRIDE	7
#define TRIES		20	/* allocations that fill a cache come and go */

enum result { WRONG, FAILED, SWALLOWED, MISSED };

static struct dm_layout layouts[DM_NR_ALL];

/* The last row is of the program's own VMAs and of steps without any. */
#define NR_ROWS		(DM_NR_ALL + 1)
static struct {
	unsigned int steps, listed, result[MISSED + 1];
} table[NR_ROWS][DM_NR_POINTS];

/* One step of the dry run. */
static struct step {
	enum dm_point point;
	int index;
	unsigned long start;
	unsigned int allocs;
} steps[MAX_STEPS];

/* Allocations of recoveries that were made to fail. */
static unsigned int in_recovery;

static char text[2 << 20];
static struct dm_maps maps, after;

/* Of the VMA that begins there. */
static int row_of(unsigned long start)
{
	int i;

	for (i = 0; i < DM_NR_ALL; i++)
		if (start && start == (unsigned long)layouts[i].addr)
			break;
	return i;
}

static void print_row(int row, int point)
{
	const struct dm_layout *l = &layouts[row];
	char name[64] = "(the program's)";

	if (row < DM_NR_ALL)
		snprintf(name, sizeof(name), "%s%s%s", dm_kind_name(l->kind),
			 l->position == DM_MIDDLE ? "" : ", ",
			 l->position == DM_MIDDLE ? "" : dm_position_names[l->position]);
	ksft_print_msg("%-22s %-17s %5u %6u %6u %8u %6u\n", name, dm_points[point].name,
		       table[row][point].steps, table[row][point].listed,
		       table[row][point].result[FAILED],
		       table[row][point].result[SWALLOWED],
		       table[row][point].result[MISSED]);
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
	if (!strstr(text, "(dropped 0)\n")) {
		*why = "not all steps are in the list";
		return -1;
	}
	for (line = strchr(text, '\n') + 1; *line; line = next) {
		struct step *s = &steps[nr];
		unsigned long end;
		char name[32];

		next = strchr(line, '\n');
		if (!next || nr == MAX_STEPS) {
			*why = "steps cannot be read";
			return -1;
		}
		*next++ = '\0';
		s->start = 0;
		if (sscanf(line, "%31s %d %lx-%lx %u", name, &s->index, &s->start, &end,
			   &s->allocs) != 5 &&
		    sscanf(line, "%31s %d - %u", name, &s->index, &s->allocs) != 3) {
			*why = "steps cannot be read";
			return -1;
		}
		s->point = dm_point_of(name);
		if (s->point == DM_NR_POINTS) {
			*why = "a step of no known name";
			return -1;
		}
		nr++;
	}
	return nr;
}

/* What only refills a cache is in one of them and not in the next. */
static int dry_runs(const char **why)
{
	static unsigned int least[MAX_STEPS];
	int nr = dry_run(why), k, i;

	for (k = 0; k < 3 && nr >= 0; k++) {
		for (i = 0; i < nr; i++)
			least[i] = steps[i].allocs;
		if (dry_run(why) != nr) {
			if (!**why)
				*why = "the next dry run has other steps";
			return -1;
		}
		for (i = 0; i < nr; i++)
			if (steps[i].allocs > least[i])
				steps[i].allocs = least[i];
	}
	return nr;
}

static struct dm_record rec;

/* One fork with a step, or one allocation of it, made to fail. */
static enum result shoot_once(const struct step *s, unsigned int nth,
			      const char *recovery, const char **why,
			      struct dm_shot *shot)
{
	char nr[16];

	snprintf(nr, sizeof(nr), "%u", nth);
	if (dm_write(DM_FAIL "alloc-nth", nr) ||
	    dm_write(DM_FAIL "times", "1")) {
		*why = "cannot arm";
		return WRONG;
	}
	*why = dm_watch_fork(shot, NULL, NULL);
	if (**why)
		return WRONG;
	if (!shot->err && nth)
		return shot->after.allocs_failed != shot->before.allocs_failed ?
			SWALLOWED : MISSED;
	*why = dm_judge_shot(shot, &maps, recovery, &rec);
	if (**why)
		return WRONG;
	if (dm_point_of(rec.point) != s->point || rec.index != s->index) {
		*why = "the record is of another step";
		return WRONG;
	}
	if (rec.injected != 'y' || rec.alloc_nth != nth) {
		*why = "the record does not say that it was injected";
		return WRONG;
	}
	return FAILED;
}

static enum result shoot(const struct step *s, unsigned int nth,
			 const char *recovery, const char **why)
{
	struct dm_tries tries = { 0 };
	struct dm_shot shot;
	enum result r;

	do {
		r = shoot_once(s, nth, recovery, why, &shot);
		if (r != FAILED)
			return r;
		*why = dm_moved(&shot);
	} while (dm_try_again(&tries, **why));
	return **why ? WRONG : FAILED;
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

/*
 * The steps of one point, for each VMA of an index that stride divides, and the
 * allocations: of a step with a VMA one in stride, of one without all. *forks counts
 * those that failed.
 */
static const char *sweep(enum dm_point point, int nr_steps, int stride, bool allocs,
			 const char *recovery, unsigned int *forks)
{
	static char said[512];
	unsigned int listed = 0, result[MISSED + 1] = { 0 }, vmas = 0;
	unsigned long taint = dm_taint();
	const char *why;
	char nr[16];
	int i, try;

	if (dm_write(DM_FAIL "point", dm_points[point].name))
		return "cannot write the point";
	for (i = 0; i < nr_steps; i++) {
		const struct step *s = &steps[i];
		int row = row_of(s->index < 0 ? 0 : s->start);
		unsigned int nth;

		if (s->point != point || (s->index > 0 && s->index % stride))
			continue;
		vmas++;
		snprintf(nr, sizeof(nr), "%d", s->index);
		if (dm_write(DM_FAIL "vma-index", nr))
			return "cannot write the VMA";
		for (nth = 0; nth <= (allocs ? s->allocs : 0); nth++) {
			enum result r = MISSED;

			/*
			 * What is left out here has its turn with the next VMAs. A step
			 * without a VMA comes once.
			 */
			if (nth && s->index >= 0 && (nth + vmas) % stride)
				continue;
			for (try = 0; try < TRIES && r == MISSED; try++)
				r = shoot(s, nth, recovery, &why);
			if (r == WRONG) {
				snprintf(said, sizeof(said), "VMA %d, allocation %u: %s",
					 s->index, nth, why);
				return said;
			}
			*forks += r == FAILED;
			if (!nth) {
				table[row][point].steps++;
				/* Its allocations are much the same for each VMA. */
				why = vmas > 1 || !allocs ? "" :
					shoot_in_recovery(s, recovery, forks);
				if (*why) {
					snprintf(said, sizeof(said), "VMA %d, in recovery: %s",
						 s->index, why);
					return said;
				}
				continue;
			}
			table[row][point].listed++;
			table[row][point].result[r]++;
			listed++;
			result[r]++;
			if (r == MISSED)
				ksft_print_msg("%s, VMA %d: no allocation %u any more\n",
					       dm_points[point].name, s->index, nth);
		}
	}
	ksft_print_msg("%s: %u times; allocations: %u\n", dm_points[point].name, vmas,
		       listed);
	if (listed)
		ksft_print_msg("%u make it fail, it does without %u, %u never came back\n",
			       result[FAILED], result[SWALLOWED], result[MISSED]);
	why = dm_check_all(layouts);
	if (*why)
		return why;
	why = dm_get_maps(&after);
	if (*why)
		return why;
	if (maps.len != after.len || memcmp(maps.text, after.text, maps.len))
		return "/proc/self/maps of the parent changed";
	return dm_check_taint(taint);
}

/* The steps that failed, and what became of the allocations that were listed. */
static void print_table(void)
{
	int k, p;

	ksft_print_msg("%-22s %-17s %5s %6s %6s %8s %6s\n", "VMA", "step", "fails",
		       "allocs", "fail", "survive", "gone");
	for (k = 0; k < NR_ROWS; k++)
		for (p = 0; p < DM_NR_POINTS; p++)
			if (table[k][p].steps)
				print_row(k, p);
}

static void sweep_all(const char *recovery, const char *what, int stride, bool allocs)
{
	struct dm_counters before;
	unsigned int forks = 0, listed = 0, missed = 0;
	const char *why = "";
	int nr, p;
	double t;
	int k;

	memset(table, 0, sizeof(table));
	in_recovery = 0;
	dm_use_recovery(recovery);
	/* First with caches filled as they will be, where it depends on that. */
	for (p = 0; p < TRIES && allocs; p++)
		fork_works();
	nr = allocs ? dry_runs(&why) : dry_run(&why);
	if (nr >= 0)
		why = dm_get_maps_and_flags(&maps);
	if (*why)
		ksft_print_msg("%s\n", why);
	ksft_test_result(!*why && nr == dm_nr_steps(&maps),
			 "%s%s: a dry run lists each step of each VMA\n", recovery, what);
	dm_write(DM_FAIL "verbose", "0");
	dm_write(DM_FAIL "probability", "100");
	dm_get_counters(&before);
	t = dm_seconds();
	for (p = 0; p < DM_NR_POINTS; p++) {
		why = sweep(p, nr, stride, allocs, recovery, &forks);
		if (*why)
			ksft_print_msg("%s: %s\n", dm_points[p].name, why);
		ksft_test_result(!*why, "%s%s: %s\n", recovery, what, dm_points[p].name);
	}
	t = dm_seconds() - t;
	dm_write(DM_FAIL "probability", "0");
	ksft_print_msg("%u forks failed in %.1f s, %.0f a second, %d VMAs\n", forks, t,
		       forks / t, maps.nr);
	if (allocs) {
		print_table();
		for (k = 0; k < NR_ROWS; k++) {
			for (p = 0; p < DM_NR_POINTS; p++) {
				listed += table[k][p].listed;
				missed += table[k][p].result[MISSED];
			}
		}
		ksft_print_msg("%u of %u allocations, and %u of recoveries\n",
			       listed - missed, listed, in_recovery);
		ksft_test_result(listed && missed * 20ull <= listed,
				 "%s%s: of the allocations listed 95%% were made to fail\n",
				 recovery, what);
	}
	why = dm_check_all_in_child(layouts);
	if (!*why)
		why = dm_check_counters(&before, DM_PATIENT);
	if (*why)
		ksft_print_msg("%s\n", why);
	ksft_test_result(!*why, "%s%s: nothing is lost\n", recovery, what);
}

/* One page each, apart from one another. */
static bool build_small(void)
{
	size_t page = sysconf(_SC_PAGESIZE), i;
	char *p = mmap(NULL, 2 * NR_SMALL * page, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return false;
	for (i = 0; i < NR_SMALL; i++) {
		/* Between them: what was mapped first, without access. */
		if (i && munmap(p + (2 * i - 1) * page, page))
			return false;
		if (mprotect(p + 2 * i * page, page, PROT_READ | PROT_WRITE))
			return false;
		p[2 * i * page] = i;
	}
	return true;
}

int main(int argc, char **argv)
{
	static const char * const recoveries[] = { "rust", "upstream" };
	static struct dm_alloc alloc;
	bool is_long = dm_long_form();
	int stride = is_long ? LONG_STRIDE : STRIDE;
	static struct dm_cgroup cgroup;
	struct dm_saved saved;
	char missing[1024];
	const char *why;
	size_t r, of_many = dm_in_full() ? ARRAY_SIZE(recoveries) : 1;

	dm_with_room_above(argv);
	dm_skip_unless_available();
	ksft_print_header();
	why = dm_alloc_begin(&alloc, "");
	if (!why)
		why = dm_cgroup_enter(&cgroup);
	if (!why)
		why = dm_uncountable();
	if (why) {
		dm_cgroup_leave(&cgroup);
		dm_alloc_end(&alloc);
		ksft_exit_skip("%s\n", why);
	}
	ksft_set_plan((ARRAY_SIZE(recoveries) + of_many) * (DM_NR_POINTS + 2) + 4 + is_long);
	dm_kinds_begin(1);
	dm_build_all(layouts, missing, sizeof(missing));
	if (*missing)
		ksft_test_result_code(KSFT_SKIP, "VMAs of all kinds",
				      "not to be had here: %s", missing);
	else
		ksft_test_result_pass("VMAs of all kinds\n");
	dm_save(&saved);
	dm_keep_open();
	for (r = 0; r < ARRAY_SIZE(recoveries); r++)
		sweep_all(recoveries[r], "", dm_in_full() ? 1 : SHORT_STRIDE, !r || is_long);
	ksft_test_result(build_small(), "there are %d VMAs more\n", NR_SMALL);
	for (r = 0; r < of_many; r++)
		sweep_all(recoveries[r], " of many", stride, false);
	why = dm_unbuild_all(layouts);
	if (*why)
		ksft_print_msg("%s\n", why);
	ksft_test_result(!*why, "all VMAs can be unmapped\n");
	dm_close_kept();
	dm_restore(&saved);
	dm_kinds_end();
	dm_cgroup_leave(&cgroup);
	dm_alloc_end(&alloc);
	ksft_finished();
}
