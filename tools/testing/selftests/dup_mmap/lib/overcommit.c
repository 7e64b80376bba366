// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "counters.h"
#include "io.h"
#include "overcommit.h"
#include "settings.h"

static const char * const files[] = {
	OVERCOMMIT_RATIO, OVERCOMMIT_KBYTES, OVERCOMMIT_MEMORY
};

void dm_save_overcommit(struct dm_overcommit *saved)
{
	int i;

	for (i = 0; i < 3; i++)
		dm_read_path(files[i], saved->text[i], sizeof(saved->text[i]));
}

void dm_restore_overcommit(const struct dm_overcommit *saved)
{
	int i;

	/* Writing one of the first two sets the other to 0. */
	for (i = 0; i < 3; i++)
		if (i != 1 || strcmp(saved->text[i], "0\n"))
			dm_write_path(files[i], saved->text[i]);
}

char *dm_map_without_room(size_t len)
{
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char kbytes[32];

	snprintf(kbytes, sizeof(kbytes), "%ld", dm_committed_as() + (long)(len >> 11));
	return p == MAP_FAILED || dm_write_path(OVERCOMMIT_KBYTES, kbytes) ||
		dm_write_path(OVERCOMMIT_MEMORY, "2") ? NULL : p;
}
