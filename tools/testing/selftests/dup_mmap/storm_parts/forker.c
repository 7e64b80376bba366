// SPDX-License-Identifier: GPL-2.0
/* Forks, on a CPU of its own. Each child checks its memory, and so does the parent. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "storm.h"

enum { WORKED, FAILED, UNKNOWN };

#define NR_PAGES	8

static char *area, *file_page;

/* VMAs of a page each, and one of a file. */
static bool make_area(void)
{
	size_t page = sysconf(_SC_PAGESIZE);
	int fd = memfd_create("storm", MFD_CLOEXEC), i;

	if (fd < 0 || ftruncate(fd, page))
		return false;
	file_page = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	area = mmap(NULL, NR_PAGES * page, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (file_page == MAP_FAILED || area == MAP_FAILED)
		return false;
	*file_page = NR_PAGES + 1;
	for (i = 0; i < NR_PAGES; i++) {
		area[i * page] = i + 1;
		if (i % 2 && mprotect(area + i * page, page, PROT_READ))
			return false;
	}
	return true;
}

static int area_is_wrong(void *arg)
{
	size_t page = sysconf(_SC_PAGESIZE);
	int i;

	for (i = 0; i < NR_PAGES; i++)
		if (area[i * page] != i + 1)
			return 1;
	return *file_page != NR_PAGES + 1;
}

/* The kernel takes a process off a CPU that goes, and does not bring it back. */
static void go_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) && errno != EINVAL)
		wrong("sched_setaffinity: %s", strerror(errno));
}

static void be_forker(int nr)
{
	unsigned long since, i;
	int ret;

	if (!make_area())
		wrong("there is no memory for it");
	if (nr % 2 && dm_write_path("/proc/self/make-it-fail", "1"))
		wrong("make-it-fail cannot be written");
	doing("forks");
	for (i = 0; !stopped(); i++) {
		if (i % 16 == 0)
			go_to(nr / 2 % nr_cpus);
		since = epoch();
		ret = dm_fork_run(area_is_wrong, NULL);
		if (!ret)
			count(WORKED);
		else if (ret == -ENOMEM)
			count(FAILED);
		else if (ret == -EFAULT)
			/* No memory for the page that wait4() writes the status to. */
			count(UNKNOWN);
		else
			wrong(ret < 0 ? "fork: %d" : "a child ended with %d", ret);
		if (area_is_wrong(NULL))
			wrong("a fork changed its memory");
		did(since);
	}
}

const struct kind forker = {
	"forker", 0, be_forker, true, true, { "worked", "failed", "(not known)" },
};
