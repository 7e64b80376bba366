// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "kselftest.h"

#include "io.h"
#include "maps.h"
#include "swap.h"

#define ZRAM	"/sys/block/zram0/"

const char *dm_swap_on(void)
{
	static union {
		struct {
			char boot[1024];
			uint32_t version, last_page, nr_bad;
		};
		char bytes[65536];
	} header;
	size_t page = sysconf(_SC_PAGESIZE);
	ssize_t n;
	int fd;

	if (access(ZRAM "disksize", W_OK))
		return "no " ZRAM "disksize (CONFIG_ZRAM)";
	if (dm_write_path(ZRAM "disksize", "16M"))
		return "writing " ZRAM "disksize: is it in use?";
	header.version = 1;
	header.last_page = (16 << 20) / page - 1;
	memcpy(header.bytes + page - 10, "SWAPSPACE2", 10);
	fd = open("/dev/zram0", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return "no /dev/zram0";
	n = write(fd, header.bytes, page);
	close(fd);
	if (n == (ssize_t)page && !swapon("/dev/zram0", 0))
		return NULL;
	dm_swap_off();
	return "swapon fails";
}

void dm_swap_off(void)
{
	swapoff("/dev/zram0");
	dm_write_path(ZRAM "reset", "1");
}

bool dm_page_out(void *p, size_t len)
{
	static uint64_t entry[64];
	size_t nr = len / sysconf(_SC_PAGESIZE), i, try;

	for (try = 0; nr <= ARRAY_SIZE(entry) && try < 20; try++) {
		/*
		 * Pages that another CPU has yet to put on the LRU are not paged
		 * out; this puts them there.
		 */
		if (dm_write_path("/proc/sys/vm/drop_caches", "1") ||
		    madvise(p, len, MADV_PAGEOUT) || !dm_pagemap(p, nr, entry))
			return false;
		for (i = 0; i < nr && DM_PAGE_SWAPPED(entry[i]); i++)
			;
		if (i == nr)
			return true;
	}
	return false;
}
