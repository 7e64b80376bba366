// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

#define HUGE_SIZE	(2ul << 20)

/* As many VMAs as were asked for: two neighbours differ in their protection. */
void build_space(void)
{
	bool huge = !strcmp(opt.kind, "hugetlb"), touch = opt.pages;
	size_t page = huge ? HUGE_SIZE : (size_t)sysconf(_SC_PAGESIZE);
	size_t step = page * (opt.pages ? opt.pages : 1), len = step * opt.vmas, at;
	int flags = MAP_FIXED_NOREPLACE, fd = -1;

	flags |= strcmp(opt.kind, "file-shared") ? MAP_PRIVATE : MAP_SHARED;
	if (!strncmp(opt.kind, "file-", 5)) {
		fd = memfd_create("bench", MFD_CLOEXEC);
		if (fd < 0 || ftruncate(fd, len))
			err(1, "cannot make a file of %zu bytes", len);
	} else {
		flags |= MAP_ANONYMOUS;
	}
	if (huge) {
		char text[24];

		snprintf(text, sizeof(text), "%ld", opt.vmas * opt.pages);
		if (!put("/proc/sys/vm/nr_hugepages", text))
			err(1, "cannot write nr_hugepages");
		flags |= MAP_HUGETLB;
	}
	if (mmap(BASE, len, PROT_READ | PROT_WRITE, flags, fd, 0) != BASE)
		err(1, "cannot map %zu bytes", len);
	if (fd >= 0)
		close(fd);
	if (!huge)
		madvise(BASE, len, MADV_NOHUGEPAGE);
	for (at = 0; touch && at < len; at += page)
		BASE[at] = 1;
	for (at = step; at < len; at += 2 * step)
		if (mprotect(BASE + at, step, PROT_READ))
			err(1, "cannot make %ld VMAs", opt.vmas);
}

int nr_own_vmas(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	int nr = 0;

	if (!f)
		err(1, "cannot read /proc/self/maps");
	while (fgets(line, sizeof(line), f))
		nr += !strstr(line, "[vsyscall]");	/* which is no VMA */
	fclose(f);
	return nr - opt.vmas;
}
