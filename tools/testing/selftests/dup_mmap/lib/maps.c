// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "maps.h"
#include "say.h"

/* A line of maps, or the first one of a VMA in smaps. */
static bool parse_vma(const char *line, struct dm_vma *vma)
{
	unsigned long start, end;
	char perms[5];
	int name = 0;

	if (sscanf(line, "%lx-%lx %4s %*x %*x:%*x %*u %n", &start, &end, perms,
		   &name) != 3 || !name)
		return false;
	/* Shown for every process of x86, but it is no VMA. */
	if (!strncmp(line + name, "[vsyscall]", 10))
		return false;
	memset(vma, 0, sizeof(*vma));
	vma->start = start;
	vma->end = end;
	vma->no_access = !strncmp(perms, "---", 3);
	snprintf(vma->name, sizeof(vma->name), "%.*s",
		 (int)strcspn(line + name, "\n"), line + name);
	return true;
}

const char *dm_get_maps(struct dm_maps *maps)
{
	const char *line, *next;
	ssize_t n;

	n = dm_read_path("/proc/self/maps", maps->text, sizeof(maps->text));
	if (n <= 0 || n == sizeof(maps->text) - 1)
		return say("reading /proc/self/maps: %zd", n);
	maps->len = n;
	maps->nr = 0;
	for (line = maps->text; *line; line = next + 1) {
		next = strchr(line, '\n');
		if (!next)
			return "the last line of /proc/self/maps is cut off";
		if (maps->nr == DM_MAX_VMAS)
			return "too many VMAs";
		maps->nr += parse_vma(line, &maps->vma[maps->nr]);
	}
	return maps->nr ? "" : "no VMA in /proc/self/maps";
}

const char *dm_get_maps_and_flags(struct dm_maps *maps)
{
	static char smaps[DM_MAX_VMAS * 1024];
	struct dm_vma *vma = NULL, v;
	char *line, *next;
	const char *why;
	ssize_t n;
	int i = 0;

	why = dm_get_maps(maps);
	if (*why)
		return why;
	n = dm_read_path("/proc/self/smaps", smaps, sizeof(smaps));
	if (n <= 0 || n == sizeof(smaps) - 1)
		return say("reading /proc/self/smaps: %zd", n);
	for (line = smaps; *line; line = next) {
		next = strchr(line, '\n');
		if (!next)
			return "the last line of /proc/self/smaps is cut off";
		*next++ = '\0';
		if (!strncmp(line, "VmFlags:", 8)) {
			if (!vma)
				continue;
			vma->dontcopy = strstr(line, " dc");
			vma->wipeonfork = strstr(line, " wf");
			vma->account = strstr(line, " ac");
			snprintf(vma->flags, sizeof(vma->flags), "%s", line + strlen("VmFlags: "));
			vma = NULL;
		} else if (parse_vma(line, &v)) {
			if (i == maps->nr || maps->vma[i].start != v.start ||
			    maps->vma[i].end != v.end)
				return "/proc/self/maps and smaps differ";
			vma = &maps->vma[i++];
		}
	}
	return i == maps->nr ? "" : "/proc/self/maps and smaps differ";
}

int dm_index_of(const struct dm_maps *maps, const void *addr)
{
	unsigned long a = (unsigned long)addr;
	int i;

	for (i = 0; i < maps->nr; i++)
		if (maps->vma[i].start <= a && a < maps->vma[i].end)
			return i;
	return -1;
}

bool dm_pagemap(const void *addr, size_t nr, uint64_t *entry)
{
	size_t len = nr * sizeof(*entry);
	off_t off = (uintptr_t)addr / sysconf(_SC_PAGESIZE) * sizeof(*entry);
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	bool ok = fd >= 0 && pread(fd, entry, len, off) == (ssize_t)len;

	if (fd >= 0)
		close(fd);
	return ok;
}
