// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fork.h"
#include "io.h"
#include "ksm.h"
#include "scene.h"
#include "settings.h"
#include "swap.h"
#include "victim.h"

#define LOW	((char *)(64ul << 20))

char *dm_at(int page)
{
	return LOW + page * dm_scene->page;
}

static char *map_at(char *p, size_t len, int prot, int flags, int fd)
{
	return mmap(p, len, prot, flags | MAP_FIXED_NOREPLACE, fd, 0) == p ? p : NULL;
}

bool dm_map_pages(int page, size_t nr)
{
	size_t len = dm_scene->page, i;
	char *p = map_at(dm_at(page), nr * len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1);

	for (i = 0; p && i < nr; i++)
		memset(p + i * len, page + i + 1, len);
	return p;
}

bool dm_has_only(int page, size_t nr, char content)
{
	const char *p = dm_at(page);
	size_t i;

	for (i = 0; i < nr * dm_scene->page; i++)
		if (p[i] != content)
			return false;
	return true;
}

bool dm_has_pattern(int page, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (!dm_has_only(page + i, 1, page + i + 1))
			return false;
	return true;
}

bool dm_write_code(void)
{
#ifdef __aarch64__
	const uint32_t nop = 0xd503201f;
#else
	const uint32_t nop = 0x90909090;
#endif
	static uint32_t code[65536 / sizeof(nop)];
	/* A file of its own: a program that is running has a uprobe nowhere else. */
	int fd = open(DM_CODE_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	ssize_t len = dm_scene->page, i;

	for (i = 0; i < len / (ssize_t)sizeof(nop); i++)
		code[i] = nop;
	len = write(fd, code, len);
	close(fd);
	return len == (ssize_t)dm_scene->page;
}

static bool map_code(void)
{
	int fd = open(DM_CODE_FILE, O_RDONLY | O_CLOEXEC);
	char *p = map_at(dm_at(DM_V_CODE), dm_scene->page, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd);

	close(fd);
	return p && (*p == (char)0x90 || *p == 0x1f);
}

static bool map_file(void)
{
	size_t page = dm_scene->page;
	char *p = map_at(dm_at(DM_V_FILE), DM_V_PAGES * page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE, dm_scene->file);
	uint64_t entry;

	if (!p || madvise(p, DM_V_PAGES * page, MADV_POPULATE_READ))
		return false;
	/* With a page of its own. Of a VMA that has none, a fork copies no pages. */
	memset(p + page, DM_V_FILE + 2, page);
	if (!dm_pagemap(p, 1, &entry) || !DM_PAGE_PRESENT(entry))
		return false;
	dm_scene->file_frame = DM_PAGE_FRAME(entry);
	return true;
}

static const char *map_huge_file(void)
{
	size_t len = dm_read_number(DM_HUGE_SIZE), i;
	char *p = map_at(DM_HUGE, len, PROT_READ | PROT_WRITE, MAP_SHARED, dm_scene->huge_file);

	if (!p)
		return "the file of a huge page can't be mapped";
	for (i = 0; i < len; i += dm_scene->page)
		p[i] = 1 + i / dm_scene->page % 100;
	return "";
}

static bool has_huge_file(void)
{
	size_t len = dm_read_number(DM_HUGE_SIZE), i;

	for (i = 0; i < len; i += dm_scene->page)
		if (DM_HUGE[i] != (char)(1 + i / dm_scene->page % 100))
			return false;
	return true;
}

static const char *watch(void)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_EVENT_FORK,
	};
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	reg.range.start = (uintptr_t)dm_at(DM_V_WATCHED);
	reg.range.len = DM_V_PAGES * dm_scene->page;
	dm_scene->uffd = uffd;
	if (!map_at(dm_at(DM_V_WATCHED), reg.range.len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1) || uffd < 0 ||
	    ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &reg))
		return "no userfaultfd";
	return "";
}

bool dm_nothing_is_swapped(void *arg)
{
	uint64_t entry[DM_V_PAGES];
	char path[64];
	bool none;
	int i, fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", dm_scene->victim);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	none = pread(fd, entry, sizeof(entry),
		     (uintptr_t)dm_at(DM_V_SWAPPED) / dm_scene->page * 8) == sizeof(entry);
	close(fd);
	for (i = 0; i < DM_V_PAGES; i++)
		none &= !DM_PAGE_SWAPPED(entry[i]);
	return none;
}

/* Beside that of the program. */
const char *dm_victims(const char *file)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/dup_mmap_window/%s", dm_scene->cgroup->hierarchy, file);
	return path;
}

static const char *take_much(void)
{
	/* In a cgroup of its own: whose memory is short kills all that are in it. */
	if ((mkdir(dm_victims(""), 0755) && errno != EEXIST) ||
	    dm_write_path(dm_victims("cgroup.procs"), "0"))
		return "no cgroup can be entered";
	if (dm_write_path("/proc/self/oom_score_adj", "1000") ||
	    mmap(NULL, DM_LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
		 -1, 0) == MAP_FAILED)
		return "no memory";
	return "";
}

static const char *set_up(void)
{
	enum dm_with with = dm_scene->with;
	const char *why = "";

	/* What is merged it has of the test already, and then has pages of its own. */
	if (!dm_map_pages(DM_V_SWAPPED, DM_V_PAGES) || !map_file() ||
	    (!(with & DM_KSM_PAGES) && !dm_map_pages(DM_V_MERGED, DM_V_PAGES)) || !map_code() ||
	    !dm_map_pages(DM_V_FAIL, 1))
		return "the VMAs can't be mapped";
	if (with & DM_SWAP && !dm_page_out(dm_at(DM_V_SWAPPED), DM_V_PAGES * dm_scene->page))
		return "nothing is swapped out";
	if (with & DM_KSM_PAGES)
		why = dm_merge(dm_at(DM_V_MERGED), DM_V_PAGES, DM_V_MERGED_CONTENT);
	if (!*why && with & DM_KSM_PAGES)
		why = dm_forget_use();
	if (!*why && with & DM_A_HUGE_FILE)
		why = map_huge_file();
	if (!*why && with & DM_MUCH)
		why = take_much();
	return *why ? why : watch();
}

/* A thread of it: a fault that copies a page, and all kinds of lock. */
static void *be_thread(void *arg)
{
	size_t len = 2 * dm_scene->page;
	struct dm_worker *w = arg;
	char *p;

	__atomic_store_n(&w->tid, syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	while (dm_wait_to_go(w)) {
		p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED) {
			dm_done(w, "mmap() fails");
			continue;
		}
		__atomic_store_n(p, 1, __ATOMIC_RELAXED);
		/* Of a page that the child has a copy of. */
		__atomic_fetch_add(dm_at(DM_V_MERGED + 1), 0, __ATOMIC_RELAXED);
		dm_done(w, mprotect(p, dm_scene->page, PROT_READ) || munmap(p, len) ?
			"mprotect() or munmap() fails" : "");
	}
	return NULL;
}

/* When all is over. */
static const char *check(void)
{
	bool merged = dm_scene->with & DM_KSM_PAGES ?
		dm_has_only(DM_V_MERGED, DM_V_PAGES, DM_V_MERGED_CONTENT) :
		dm_has_pattern(DM_V_MERGED, DM_V_PAGES);

	if (!merged || !dm_has_pattern(DM_V_SWAPPED, DM_V_PAGES) ||
	    !dm_has_pattern(DM_V_SHARED, DM_V_PAGES) || !dm_has_pattern(DM_V_FAIL, 1) ||
	    !dm_has_pattern(DM_V_FILE + 1, 1))
		return "the memory of the parent has changed";
	if (dm_scene->with & DM_A_HUGE_FILE && !has_huge_file())
		return "the huge page of the parent has changed";
	return "";
}

const char *dm_be_victim(void)
{
	static pthread_t thread;
	const char *why = set_up();
	int status, err;
	pid_t pid;

	if (*why)
		return why;
	if (pthread_create(&thread, NULL, be_thread, &dm_scene->thread))
		return "no thread";
	while (!__atomic_load_n(&dm_scene->thread.tid, __ATOMIC_SEQ_CST))
		sched_yield();
	why = dm_get_maps_and_flags(&dm_scene->maps);
	dm_scene->stay.index = dm_index_of(&dm_scene->maps, dm_at(DM_V_FAIL));
	if (!*why)
		why = dm_arm(dm_scene->stay.point, dm_scene->stay.index, 0);
	if (*why)
		return why;
	__atomic_store_n(&dm_scene->ready, true, __ATOMIC_SEQ_CST);
	if (!dm_wait_to_go(&dm_scene->main))
		return "the test has gone";
	pid = dm_fork(&dm_scene->err);
	__atomic_store_n(&dm_scene->over, true, __ATOMIC_SEQ_CST);
	dm_disarm();
	if (pid > 0)
		return "the fork does not fail";
	if (!dm_wait_to_go(&dm_scene->main))
		return "the test has gone";
	why = check();
	if (*why)
		return why;
	/* Now one that works. No event of it is waited for. */
	close(dm_scene->uffd);
	pid = dm_fork(&err);
	return pid < 0 || waitpid(pid, &status, 0) != pid || status ?
		"the next fork of the parent fails" : "";
}
