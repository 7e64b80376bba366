// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "beside.h"
#include "maps.h"
#include "uffd.h"

#define NR_LOOKS	10000	/* what is wrong for longer, others say */

/* There is something that a child inherits. */
static bool some_inherited;

/* The page is empty, or can be written to again, or else it is watched no more. */
static void resolve(int fd, uint64_t address, bool is_protected)
{
	size_t page = dm_arena_page(), huge = dm_arena_huge();
	struct uffdio_zeropage zero = { .range = { address & -page, page } };
	struct uffdio_writeprotect write = { .range = zero.range };
	struct uffdio_range whole = { address & -huge, huge };

	if (is_protected ? !ioctl(fd, UFFDIO_WRITEPROTECT, &write) :
			   !ioctl(fd, UFFDIO_ZEROPAGE, &zero))
		return;
	if (ioctl(fd, UFFDIO_UNREGISTER, &zero.range))
		ioctl(fd, UFFDIO_UNREGISTER, &whole);
}

static void read_message(int fd)
{
	struct uffd_msg msg;

	if (read(fd, &msg, sizeof(msg)) != sizeof(msg))
		pause();
	else if (msg.event == UFFD_EVENT_FORK)
		close(msg.arg.fork.ufd);
	else if (msg.event == UFFD_EVENT_PAGEFAULT)
		resolve(fd, msg.arg.pagefault.address,
			msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP);
}

void dm_watch_range(const struct dm_range *range, uint64_t mode, bool is_inherited)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = is_inherited ? UFFD_FEATURE_EVENT_FORK : 0,
	};
	struct uffdio_register reg = {
		.range = { (uintptr_t)range->addr, range->len }, .mode = mode,
	};
	size_t page = dm_arena_page();
	struct uffdio_writeprotect write = {
		.range = { (uintptr_t)range->addr, range->len / page / 2 * page },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || !dm_fork_beside(read_message, fd) ||
	    ioctl(fd, UFFDIO_REGISTER, &reg)) {
		close(fd);
		return;
	}
	some_inherited |= is_inherited;
	/* It stays open: else the VMAs are no longer watched. */
	if (mode & UFFDIO_REGISTER_MODE_WP)
		ioctl(fd, UFFDIO_WRITEPROTECT, &write);
}

static bool is_watched(const struct dm_vma *vma)
{
	return strstr(vma->flags, " um") || strstr(vma->flags, " uw");
}

/* They may be merged when it ends, which is not to happen while somebody looks at them. */
void dm_await_unwatched(void)
{
	static struct dm_maps maps;
	const char *why;
	int i, tries;

	for (tries = 0; some_inherited && tries < NR_LOOKS; tries++) {
		/* maps and smaps differ if VMAs are merged just then. */
		why = dm_get_maps_and_flags(&maps);
		for (i = 0; !*why && i < maps.nr && !is_watched(&maps.vma[i]); i++)
			;
		some_inherited = *why || i < maps.nr;
		sched_yield();
	}
	some_inherited = false;
}
