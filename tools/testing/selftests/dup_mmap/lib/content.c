// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include "content.h"
#include "maps.h"
#include "say.h"

/* Pages from the first on that are there: no more than fit. */
static size_t run_length(const struct dm_content *c, size_t first, size_t max)
{
	size_t nr = 0;

	while (nr < max && first + nr < c->nr && DM_PAGE_PRESENT(c->entry[first + nr]))
		nr++;
	return nr;
}

/*
 * /proc/self/mem reads pages whatever their protection. One that it does not read is left
 * out from then on.
 */
static bool sum_up(struct dm_content *c)
{
	static unsigned long long words[1 << 13];
	size_t page = sysconf(_SC_PAGESIZE), i, k, nr, got;
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	ssize_t len;

	c->sum = 0;
	for (i = 0; i < c->nr && mem >= 0; i += nr ?: 1) {
		nr = run_length(c, i, sizeof(words) / page);
		if (!nr)
			continue;
		len = pread(mem, words, nr * page, (uintptr_t)c->start + i * page);
		got = len < 0 ? 0 : len / page;
		for (k = 0; k < got * page / sizeof(*words); k++)
			c->sum = c->sum * 31 + words[k];
		if (got < nr) {
			c->entry[i + got] = 0;
			nr = got + 1;
		}
	}
	return mem >= 0 && !close(mem);
}

const char *dm_take_content(struct dm_content *c, char *start, char *end)
{
	c->start = start;
	c->nr = (end - start) / sysconf(_SC_PAGESIZE);
	if (c->nr > DM_MAX_PAGES || !dm_pagemap(start, c->nr, c->entry) || !sum_up(c))
		return "the pages of the process cannot be read";
	return "";
}

const char *dm_check_content(struct dm_content *c)
{
	unsigned long long sum = c->sum;

	if (!sum_up(c))
		return "the pages of the process cannot be read";
	return sum == c->sum ? "" : "the memory of the process has changed";
}
