// SPDX-License-Identifier: GPL-2.0
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io.h"
#include "ksm.h"
#include "tasks.h"

static bool are_merged(void *arg)
{
	static const char key[] = "ksm_merging_pages ";
	static char text[4096];
	size_t *nr = arg;
	const char *n;

	dm_read_path("/proc/self/ksm_stat", text, sizeof(text));
	n = strstr(text, key);
	return n && strtoul(n + strlen(key), NULL, 10) >= *nr;
}

const char *dm_merge(void *p, size_t nr, char content)
{
	size_t len = nr * sysconf(_SC_PAGESIZE);

	memset(p, content, len);
	if (madvise(p, len, MADV_MERGEABLE) || dm_write_path(DM_KSM "pages_to_scan", "10000") ||
	    dm_write_path(DM_KSM "run", "1"))
		return "no KSM";
	if (!dm_wait_until(are_merged, &nr))
		return "KSM does not merge";
	return dm_write_path(DM_KSM "run", "0") ? "KSM does not stop" : "";
}

const char *dm_forget_use(void)
{
	return dm_write_path("/proc/self/clear_refs", "1") ? "no clear_refs" : "";
}

const char *dm_unmerge(void)
{
	return dm_write_path(DM_KSM "run", "2") ? "KSM does not unmerge" : "";
}
