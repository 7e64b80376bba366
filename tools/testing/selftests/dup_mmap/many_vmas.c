// SPDX-License-Identifier: GPL-2.0
/*
 * Adds as many VMAs to its own as it is told, and stops.
 *
 * usage: many_vmas NR
 */
#include <err.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long nr = argc == 2 ? strtol(argv[1], NULL, 10) : 0;
	long page = sysconf(_SC_PAGESIZE);
	char *addr;
	long i;

	if (nr < 1)
		errx(2, "usage: many_vmas NR");
	/* Room for all, and for holes before, between and behind them. */
	addr = mmap(NULL, (2 * nr + 2) * page, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (addr == MAP_FAILED)
		err(1, "mmap");
	if (munmap(addr, (2 * nr + 2) * page))
		err(1, "munmap");
	/* Two and two adjacent, and then a hole: no two of them are merged. */
	for (i = 0; i < nr; i++) {
		addr += i % 2 ? page : 2 * page;
		if (mmap(addr, page, i % 2 ? PROT_READ : PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			 -1, 0) == MAP_FAILED)
			err(1, "mmap");
	}
	raise(SIGSTOP);
	return 0;
}
