// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io.h"
#include "others.h"

#define MAX_PIDS	4096

/* All there are, without readdir(), which takes memory. */
static int get_pids(pid_t *pids)
{
	/* As getdents64() has them. */
	struct entry {
		uint64_t ino, off;
		uint16_t len;
		uint8_t type;
		char name[];
	};
	static uint64_t buf[4096];
	int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC), nr = 0;
	const struct entry *e;
	long n, at;

	while ((n = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0) {
		for (at = 0; at < n; at += e->len) {
			e = (const struct entry *)((char *)buf + at);
			pids[nr] = strtol(e->name, NULL, 10);
			if (pids[nr] > 0 && nr < MAX_PIDS - 1)
				nr++;
		}
	}
	close(fd);
	return nr;
}

static pid_t pids[MAX_PIDS];

static long nr_lines(const char *text)
{
	long n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

void dm_get_others(struct dm_others *others)
{
	static char text[65536];
	int nr = get_pids(pids), i, field;
	char path[64], *p;

	others->nr = 0;
	for (i = 0; i < nr && others->nr < DM_MAX_OTHERS; i++) {
		int k = others->nr;

		if (pids[i] == getpid())
			continue;
		snprintf(path, sizeof(path), "/proc/%d/maps", pids[i]);
		if (dm_read_path(path, text, sizeof(text)) <= 0)
			continue;
		others->process[k].pid = pids[i];
		others->process[k].vmas = nr_lines(text);
		snprintf(path, sizeof(path), "/proc/%d/stat", pids[i]);
		dm_read_path(path, text, sizeof(text));
		p = strrchr(text, ')');
		/* The state is field 3, that of the start is 22. */
		for (field = 2; p && field < 22; field++)
			p = strchr(p + 1, ' ');
		if (!p)
			continue;
		others->process[k].start = strtoull(p, NULL, 10);
		snprintf(path, sizeof(path), "/proc/%d/statm", pids[i]);
		dm_read_path(path, text, sizeof(text));
		others->process[k].kb = strtol(text, NULL, 10) * (sysconf(_SC_PAGESIZE) >> 10);
		others->nr++;
	}
}

struct dm_gone dm_gone(const struct dm_others *before, const struct dm_others *now)
{
	struct dm_gone gone = { 0 };
	int i, k;

	for (i = 0; i < before->nr; i++) {
		for (k = 0; k < now->nr; k++)
			if (before->process[i].pid == now->process[k].pid &&
			    before->process[i].start == now->process[k].start)
				break;
		if (k < now->nr)
			continue;
		gone.processes++;
		gone.vmas += before->process[i].vmas;
		gone.kb += before->process[i].kb;
	}
	return gone;
}

bool dm_others_changed(void)
{
	static int nr_known = -1;
	static pid_t known[MAX_PIDS];
	int nr = get_pids(pids);
	bool changed = nr_known >= 0 &&
		(nr != nr_known || memcmp(pids, known, nr * sizeof(*pids)));

	nr_known = nr;
	memcpy(known, pids, nr * sizeof(*pids));
	return changed;
}
