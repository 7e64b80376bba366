// SPDX-License-Identifier: GPL-2.0
/*
 * A fixed plan of failures, and the record of each, for comparison between
 * machines: the VMAs are the lowest of the address space and always at the same
 * addresses, so that little in a record depends on anything else.
 *
 * Prints a line "record: <plan> <last, in one line>" for each failed fork.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dup_mmap.h"

#define BASE	0x10000ul	/* no vm.mmap_min_addr is above it */

static const struct {
	int prot, flags, advice;
	enum { NONE, PROGRAM, MEMFD } file;
} vmas[] = {
	{ PROT_READ | PROT_WRITE, MAP_PRIVATE, MADV_DONTFORK },
	{ PROT_READ | PROT_WRITE, MAP_PRIVATE, MADV_NORMAL },
	{ PROT_READ | PROT_WRITE, MAP_SHARED, MADV_NORMAL, MEMFD },
	{ PROT_READ, MAP_SHARED, MADV_NORMAL, MEMFD },
	{ PROT_READ | PROT_WRITE, MAP_PRIVATE, MADV_DONTFORK },
	{ PROT_READ | PROT_WRITE, MAP_PRIVATE, MADV_NORMAL },
	{ PROT_READ | PROT_WRITE, MAP_PRIVATE, MADV_NORMAL, PROGRAM },
	{ PROT_READ | PROT_WRITE, MAP_PRIVATE, MADV_WIPEONFORK },
	{ PROT_NONE, MAP_PRIVATE, MADV_NORMAL },
	{ PROT_READ | PROT_WRITE, MAP_PRIVATE, MADV_NOHUGEPAGE },
	/* Not failed at: where it begins is where the others end. */
	{ PROT_NONE, MAP_PRIVATE, MADV_NORMAL },
};

static const char * const recoveries[] = { "rust", "upstream" };

/* Returns NULL, or why it can't be done. Each VMA is two pages. */
static const char *build(void)
{
	size_t page = sysconf(_SC_PAGESIZE), len = 2 * page, i;
	int memfd, program, fd, anon;
	char *p = (char *)BASE;

	memfd = memfd_create("plan", MFD_CLOEXEC);
	program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (memfd < 0 || program < 0 || ftruncate(memfd, len))
		return "no file to map";
	for (i = 0; i < ARRAY_SIZE(vmas); i++, p += len) {
		fd = vmas[i].file == MEMFD ? memfd :
		     vmas[i].file == PROGRAM ? program : -1;
		anon = fd < 0 ? MAP_ANONYMOUS : 0;
		if (mmap(p, len, vmas[i].prot,
			 vmas[i].flags | anon | MAP_FIXED_NOREPLACE, fd, 0) != p)
			return "an address of the plan is taken";
		if (vmas[i].advice && madvise(p, len, vmas[i].advice)) {
			if (vmas[i].advice != MADV_NOHUGEPAGE)
				return "madvise() refuses";
			ksft_print_msg("VMA %zu: there are no huge pages to be without\n", i);
		}
		if (vmas[i].prot & PROT_WRITE)
			*p = 1;
	}
	return NULL;
}

/* The record as `last` has it, its lines joined. */
static void print_record(const char *recovery, enum dm_point point, int index)
{
	static char text[4096];
	char *p;

	dm_read("last", text, sizeof(text));
	for (p = text; (p = strchr(p, '\n')); p++)
		*p = p[1] ? ';' : '\0';
	ksft_print_msg("record: %s/%s/%d %s\n", recovery, dm_points[point].name,
		       index, text);
}

/* All VMAs of the plan at one point; -1 where a point has none. */
static void run(struct dm_series *series, enum dm_point point)
{
	const int nr = dm_points[point].has_vma ? ARRAY_SIZE(vmas) - 1 : 0;
	struct dm_record rec;
	const char *why = "";
	int v, failed = 0;

	for (v = nr ? 0 : -1; v < nr && !*why; v++) {
		why = dm_shoot(series, point, v, 0, &rec);
		if (*why) {
			ksft_print_msg("VMA %d: %s\n", v, why);
		} else if (!rec.none) {
			print_record(series->recovery, point, v);
			failed++;
		}
	}
	if (!*why && !failed)
		ksft_print_msg("no fork failed\n");
	ksft_test_result(!*why && failed, "%s %s\n", series->recovery,
			 dm_points[point].name);
}

int main(void)
{
	static struct dm_series series;
	static struct dm_maps maps;
	struct dm_saved saved;
	const char *why;
	size_t r;
	int p;

	dm_skip_unless_available();
	ksft_print_header();
	why = build();
	if (why)
		ksft_exit_skip("%s\n", why);
	why = dm_get_maps(&maps);
	if (*why || maps.nr <= (int)ARRAY_SIZE(vmas) || maps.vma[0].start != BASE ||
	    maps.vma[ARRAY_SIZE(vmas) - 1].end !=
	    BASE + 2 * ARRAY_SIZE(vmas) * sysconf(_SC_PAGESIZE))
		ksft_exit_fail_msg("the VMAs of the plan are not the first ones %s\n",
				   why);
	ksft_set_plan(ARRAY_SIZE(recoveries) * DM_NR_POINTS);
	dm_save(&saved);
	for (r = 0; r < ARRAY_SIZE(recoveries); r++) {
		why = dm_use_recovery(recoveries[r]);
		if (!*why)
			why = dm_begin_series(&series, recoveries[r]);
		if (*why)
			ksft_exit_fail_msg("%s\n", why);
		for (p = 0; p < DM_NR_POINTS; p++)
			run(&series, p);
	}
	dm_restore(&saved);
	ksft_finished();
}
