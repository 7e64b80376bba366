// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"
#include "counters.h"
#include "io.h"

#define NAME		"dup_mmap"
#define NR_TOUCHED	16
#define BATCH		64	/* MEMCG_CHARGE_BATCH */

/* The one that this process is in. */
static const struct dm_cgroup *own;

static const char *path_of(const struct dm_cgroup *cg, const char *dir, const char *file)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s/%s", cg->hierarchy, dir, file);
	return path;
}

const char *dm_cgroup_path(const struct dm_cgroup *cg, const char *file)
{
	return path_of(cg, NAME, file);
}

static bool has_memory(const struct dm_cgroup *cg, const char *file)
{
	char text[512];

	dm_read_path(path_of(cg, "", file), text, sizeof(text));
	return strstr(text, "memory");
}

/* Busy until the last task that was killed in it has left. */
static void remove_cgroup(const struct dm_cgroup *cg)
{
	double start = dm_seconds();

	while (rmdir(dm_cgroup_path(cg, "")) && errno == EBUSY &&
	       dm_seconds() - start < DM_PATIENT)
		sched_yield();
}

const char *dm_cgroup_enter(struct dm_cgroup *cg)
{
	static char text[16384];
	char *line, *next, type[16];

	dm_read_path("/proc/self/mounts", text, sizeof(text));
	for (line = text; *line; line = next) {
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		if (sscanf(line, "%*s %127s %15s", cg->hierarchy, type) == 2 &&
		    !strcmp(type, "cgroup2"))
			break;
	}
	if (!*line)
		return "cgroup v2 is not mounted";
	dm_read_path("/proc/self/cgroup", text, sizeof(text));
	line = strstr(text, "0::/");
	if (!line)
		return "no cgroup in /proc/self/cgroup";
	if (sscanf(line, "0::/%127[^\n]", cg->old) != 1)
		cg->old[0] = '\0';
	if (!has_memory(cg, "cgroup.controllers"))
		return "no memory controller (CONFIG_MEMCG)";
	if (!has_memory(cg, "cgroup.subtree_control")) {
		if (dm_write_path(path_of(cg, "", "cgroup.subtree_control"), "+memory"))
			return "the memory controller can't be enabled";
		cg->enabled = true;
	}
	/* Left by a test that was killed, perhaps with somebody in it. */
	dm_write_path(dm_cgroup_path(cg, "cgroup.kill"), "1");
	remove_cgroup(cg);
	if (mkdir(dm_cgroup_path(cg, ""), 0755))
		return "no cgroup can be made";
	cg->made = true;
	if (dm_write_path(dm_cgroup_path(cg, "cgroup.procs"), "0"))
		return "the cgroup can't be entered";
	own = cg;
	return NULL;
}

void dm_cgroup_leave(struct dm_cgroup *cg)
{
	if (own == cg)
		dm_write_path(path_of(cg, cg->old, "cgroup.procs"), "0");
	own = NULL;
	if (cg->made)
		remove_cgroup(cg);
	cg->made = false;
	if (cg->enabled)
		dm_write_path(path_of(cg, "", "cgroup.subtree_control"), "-memory");
	cg->enabled = false;
}

/*
 * memory.stat is of some time ago unless each CPU may have made a batch of changes
 * since then: so make them.
 */
void dm_outdate_stat(void)
{
	static char area[(NR_TOUCHED + 1) << 16];
	long page = sysconf(_SC_PAGESIZE), i, n;
	char *start = area + (-(uintptr_t)area & (page - 1));

	for (n = 2 * BATCH * (sysconf(_SC_NPROCESSORS_CONF) + 1); n > 0; n -= NR_TOUCHED) {
		for (i = 0; i < NR_TOUCHED; i++)
			start[i * page] = 1;
		madvise(start, NR_TOUCHED * page, MADV_DONTNEED);
	}
}

long dm_cgroup_stat(const char *key)
{
	static char text[8192];
	size_t len = strlen(key);
	const char *line;

	if (!own)
		return -1;
	dm_outdate_stat();
	dm_read_path(dm_cgroup_path(own, "memory.stat"), text, sizeof(text));
	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, len) && line[len] == ' ')
			return strtol(line + len, NULL, 10);
	}
	return -1;
}
