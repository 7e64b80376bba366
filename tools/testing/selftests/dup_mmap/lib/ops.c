// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"

#include "fork.h"
#include "io.h"
#include "maps.h"
#include "ops.h"
#include "say.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#define MADV_GUARD_REMOVE	103
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA		0x53564d41
#define PR_SET_VMA_ANON_NAME	0
#endif
#ifndef SYS_mseal
#define SYS_mseal		462
#endif

#define ARENA		(64ul << 20)
#define NR_PAGES	256
#define NR_HUGE		4	/* behind it, so many of this size, */
#define PARTS		8	/* each in so many parts */
#define MAX_HUGE	(2ul << 20)
#define MAX_FORKS	4
#define FILE_PAGES	64
#define MAX_LEN		16	/* of a range, in its units */

/* For a process and those that it forks. */
static int memfd, content;
static size_t page, huge;

/* Of one process: those beside it, and how often it is another one's child. */
static pid_t beside[MAX_FORKS];
static int nr_beside, depth;

/* An operation has mapped what grows down. */
static bool some_grow;

struct range {
	char *addr;
	size_t len, unit;
};

char *dm_ops_start(void)
{
	return (char *)ARENA;
}

/* ARENA is a multiple of any of these sizes. */
static char *huge_start(void)
{
	size_t small = NR_PAGES * page;

	return dm_ops_start() + (small > huge ? small : huge);
}

char *dm_ops_end(void)
{
	return huge_start() + NR_HUGE * huge;
}

static struct range range(const struct dm_op *op, uint8_t at)
{
	/* Not often: much memory takes a fork long. */
	bool is_huge = op->to >= 0xe0;
	size_t unit = is_huge ? huge / PARTS : page;
	size_t nr = is_huge ? NR_HUGE * PARTS : NR_PAGES;
	size_t first = at % nr, len = 1 + op->len % MAX_LEN;
	char *start = is_huge ? huge_start() : dm_ops_start();

	if (len > nr - first)
		len = nr - first;
	return (struct range){ start + first * unit, len * unit, unit };
}

char *dm_ops_at(uint8_t where)
{
	struct dm_op op = { .to = where };

	return range(&op, where).addr;
}

/* What is written: not zeros, which a page that is lost has as well. */
static bool fill(int fd)
{
	static uint8_t bytes[256 + MAX_LEN * 256];
	size_t i;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = 1 + i % 251;
	return write(fd, bytes, sizeof(bytes)) == sizeof(bytes);
}

const char *dm_ops_begin(void)
{
	long size = dm_read_number(DM_HUGE_SIZE);

	some_grow = false;
	page = sysconf(_SC_PAGESIZE);
	/* With large pages that is hundreds of megabytes: then it is an area like the other. */
	huge = size > 0 && (size_t)size <= MAX_HUGE ? (size_t)size : PARTS * page;
	memfd = memfd_create("dup_mmap", MFD_CLOEXEC);
	content = memfd_create("content", MFD_CLOEXEC);
	if (memfd < 0 || content < 0 || ftruncate(memfd, FILE_PAGES * page) || !fill(content))
		return "cannot make a file in memory";
	return "";
}

static const int prots[] = {
	PROT_READ | PROT_WRITE, PROT_NONE, PROT_READ, PROT_READ | PROT_EXEC,
	PROT_READ | PROT_WRITE, PROT_WRITE, PROT_READ | PROT_WRITE | PROT_EXEC, PROT_EXEC,
};

static int prot_of(const struct dm_op *op)
{
	return prots[op->how % ARRAY_SIZE(prots)];
}

/*
 * Linux 7.3 charges the new pages of a VMA that grows, in acct_stack_growth(), and gives them
 * back only if the VMA is accounted, with or without a fork. So what grows is mapped accounted,
 * and has to stay so. An mprotect() that takes PROT_WRITE away ends that for a VMA without an
 * anon_vma, which is one after MREMAP_DONTUNMAP, or after MADV_WIPEONFORK in the child.
 */
static int new_prot_of(const struct dm_op *op)
{
	return prot_of(op) | (some_grow ? PROT_WRITE : 0);
}

/* The upper bits of how. */
static const struct {
	int flags;
	const char *name;
} anon_flags[] = {
	{ MAP_PRIVATE, "private" },
	{ MAP_SHARED, "shared" },
	{ MAP_PRIVATE | MAP_NORESERVE, "noreserve" },
	{ MAP_PRIVATE | MAP_POPULATE, "populated" },
	{ MAP_PRIVATE | MAP_GROWSDOWN, "growing down" },
	{ MAP_PRIVATE | MAP_LOCKED, "locked" },
	{ MAP_PRIVATE | MAP_HUGETLB | MAP_NORESERVE, "of huge pages" },
	{ MAP_SHARED | MAP_HUGETLB | MAP_NORESERVE, "shared, of huge pages" },
};

static int anon_kind(const struct dm_op *op)
{
	return op->how / 32 % ARRAY_SIZE(anon_flags);
}

static bool grows(const struct dm_op *op)
{
	return anon_flags[anon_kind(op)].flags & MAP_GROWSDOWN;
}

static int anon_prot_of(const struct dm_op *op)
{
	return grows(op) ? PROT_READ | PROT_WRITE : prot_of(op);
}

static void do_map(const struct dm_op *op)
{
	struct range r = range(op, op->at);
	char *p = mmap(r.addr, r.len, anon_prot_of(op),
		       anon_flags[anon_kind(op)].flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (p != MAP_FAILED && grows(op))
		p[r.len - 1] = 1;
}

static bool is_shared(const struct dm_op *op)
{
	return op->how & 0x80;
}

static size_t file_page(const struct dm_op *op)
{
	return op->to % (FILE_PAGES / 2);
}

static void do_map_file(const struct dm_op *op)
{
	struct range r = range(op, op->at);

	mmap(r.addr, r.len, prot_of(op), (is_shared(op) ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED,
	     memfd, file_page(op) * page);
}

static void do_unmap(const struct dm_op *op)
{
	struct range r = range(op, op->at);

	munmap(r.addr, r.len);
}

static void do_protect(const struct dm_op *op)
{
	struct range r = range(op, op->at);

	mprotect(r.addr, r.len, new_prot_of(op));
}

/* The first bytes of each page. */
static int pages_of(const struct dm_op *op, struct iovec *pages, size_t bytes)
{
	struct range r = range(op, op->at);
	int nr = r.len / r.unit, i;

	for (i = 0; i < nr; i++)
		pages[i] = (struct iovec){ r.addr + i * r.unit, bytes };
	return nr;
}

/*
 * The kernel writes there: what can't be written to is an error and no signal. It ends at such
 * a page, and goes on behind it here.
 */
static void do_write(const struct dm_op *op)
{
	size_t bytes = 1 + op->how;
	struct iovec pages[MAX_LEN];
	int nr = pages_of(op, pages, bytes), i;
	ssize_t n;

	for (i = 0; i < nr; i += n / bytes + 1) {
		n = preadv(content, pages + i, nr - i, op->at);
		if (n < 0)
			n = 0;
	}
}

static void do_read(const struct dm_op *op)
{
	struct iovec pages[MAX_LEN];
	int nr = pages_of(op, pages, 1), i;
	ssize_t n;

	for (i = 0; i < nr; i += n + 1) {
		n = pwritev(content, pages + i, nr - i, op->how);
		if (n < 0)
			n = 0;
	}
}

static const struct {
	int advice;
	const char *name;
} advices[] = {
	{ MADV_DONTFORK, "MADV_DONTFORK" },
	{ MADV_DOFORK, "MADV_DOFORK" },
	{ MADV_WIPEONFORK, "MADV_WIPEONFORK" },
	{ MADV_KEEPONFORK, "MADV_KEEPONFORK" },
	{ MADV_DONTNEED, "MADV_DONTNEED" },
	{ MADV_HUGEPAGE, "MADV_HUGEPAGE" },
	{ MADV_NOHUGEPAGE, "MADV_NOHUGEPAGE" },
	{ MADV_MERGEABLE, "MADV_MERGEABLE" },
	{ MADV_UNMERGEABLE, "MADV_UNMERGEABLE" },
	{ MADV_DONTDUMP, "MADV_DONTDUMP" },
	{ MADV_RANDOM, "MADV_RANDOM" },
	{ MADV_COLD, "MADV_COLD" },
	{ MADV_PAGEOUT, "MADV_PAGEOUT" },
	{ MADV_POPULATE_READ, "MADV_POPULATE_READ" },
	{ MADV_POPULATE_WRITE, "MADV_POPULATE_WRITE" },
	{ MADV_REMOVE, "MADV_REMOVE" },
	{ MADV_COLLAPSE, "MADV_COLLAPSE" },
	{ MADV_GUARD_INSTALL, "MADV_GUARD_INSTALL" },
	{ MADV_GUARD_REMOVE, "MADV_GUARD_REMOVE" },
};

static int advice_of(const struct dm_op *op)
{
	return op->how % ARRAY_SIZE(advices);
}

static void do_advise(const struct dm_op *op)
{
	struct range r = range(op, op->at);

	madvise(r.addr, r.len, advices[advice_of(op)].advice);
}

static bool keeps_the_old(const struct dm_op *op)
{
	return op->how & 1;
}

static void do_move(const struct dm_op *op)
{
	struct range from = range(op, op->at), to = range(op, op->to);
	size_t len = from.len < to.len ? from.len : to.len;

	mremap(from.addr, len, len, MREMAP_MAYMOVE | MREMAP_FIXED |
	       (keeps_the_old(op) ? MREMAP_DONTUNMAP : 0), to.addr);
}

static size_t new_len(const struct dm_op *op, size_t len)
{
	return len / page * (op->how % 4) / 2 * page;
}

static void do_resize(const struct dm_op *op)
{
	struct range r = range(op, op->at);
	size_t len = new_len(op, r.len);

	/* Growth ends where the area does. */
	if (len && r.addr + len <= dm_ops_end())
		mremap(r.addr, r.len, len, 0);
}

static const char * const locks[] = { "mlock", "mlock2 on fault", "munlock" };

static void do_lock(const struct dm_op *op)
{
	struct range r = range(op, op->at);

	switch (op->how % ARRAY_SIZE(locks)) {
	case 0:
		mlock(r.addr, r.len);
		break;
	case 1:
		syscall(SYS_mlock2, r.addr, r.len, MLOCK_ONFAULT);
		break;
	default:
		munlock(r.addr, r.len);
	}
}

static const struct {
	int mode;
	unsigned long nodes;
	const char *name;
} policies[] = {
	{ MPOL_DEFAULT, 0, "MPOL_DEFAULT" },
	{ MPOL_PREFERRED, 1, "MPOL_PREFERRED" },
	{ MPOL_BIND, 1, "MPOL_BIND" },
	{ MPOL_INTERLEAVE, 3, "MPOL_INTERLEAVE" },
	{ MPOL_LOCAL, 0, "MPOL_LOCAL" },
};

static int policy_of(const struct dm_op *op)
{
	return op->how % ARRAY_SIZE(policies);
}

static void do_policy(const struct dm_op *op)
{
	struct range r = range(op, op->at);
	int p = policy_of(op);

	syscall(SYS_mbind, r.addr, r.len, policies[p].mode,
		policies[p].nodes ? &policies[p].nodes : NULL, 8, 0);
}

static const struct {
	unsigned long mode;
	const char *name;
} watches[] = {
	{ UFFDIO_REGISTER_MODE_MISSING, "missing" },
	{ UFFDIO_REGISTER_MODE_WP, "write-protect" },
	{ UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP, "missing, write-protect" },
};

static int watch_of(const struct dm_op *op)
{
	return op->how % ARRAY_SIZE(watches);
}

/* There is something that a child inherits. */
static bool some_inherited;

/* Whether the child inherits it: then each fork waits until somebody has read of it. */
static bool is_inherited(const struct dm_op *op)
{
	return op->how & 0x80;
}

/* Runs beside this process until that is done. False: it does not. */
static bool fork_beside(void (*what)(int arg), int arg)
{
	pid_t pid;

	if (nr_beside == MAX_FORKS)
		return false;
	pid = dm_bare_fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			what(arg);
	}
	if (pid > 0)
		beside[nr_beside++] = pid;
	return pid > 0;
}

/* The page is empty, or can be written to again, or else it is watched no more. */
static void resolve(int fd, uint64_t address, bool is_protected)
{
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

static void do_watch(const struct dm_op *op)
{
	struct range r = range(op, op->at);
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = is_inherited(op) ? UFFD_FEATURE_EVENT_FORK : 0,
	};
	struct uffdio_register reg = {
		.range = { (uintptr_t)r.addr, r.len }, .mode = watches[watch_of(op)].mode,
	};
	struct uffdio_writeprotect write = {
		.range = { (uintptr_t)r.addr, r.len / page / 2 * page },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || !fork_beside(read_message, fd) ||
	    ioctl(fd, UFFDIO_REGISTER, &reg)) {
		close(fd);
		return;
	}
	some_inherited |= is_inherited(op);
	/* It stays open: else the VMAs are no longer watched. */
	if (reg.mode & UFFDIO_REGISTER_MODE_WP)
		ioctl(fd, UFFDIO_WRITEPROTECT, &write);
}

#define NR_LOOKS	10000	/* what is wrong for longer, others say */

static bool is_watched(const struct dm_vma *vma)
{
	return strstr(vma->flags, " um") || strstr(vma->flags, " uw");
}

/*
 * In a child, whose VMAs are watched until who has read of the fork closes what it got. They
 * may be merged then, which is not to happen while somebody looks at them.
 */
static void await_unwatched(void)
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

static void sleep_beside(int arg)
{
	pause();
}

static void do_fork_beside(const struct dm_op *op)
{
	fork_beside(sleep_beside, 0);
}

static void do_go_on_in_child(const struct dm_op *op)
{
	int status;
	pid_t pid;

	if (depth == MAX_FORKS)
		return;
	pid = dm_bare_fork();
	if (pid < 0)
		return;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		nr_beside = 0;
		depth++;
		await_unwatched();
		return;
	}
	if (waitpid(pid, &status, 0) != pid)
		status = -1;
	dm_ops_done();
	syscall(SYS_exit_group, WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static void do_name(const struct dm_op *op)
{
	static const char * const names[] = { NULL, "one", "another" };
	struct range r = range(op, op->at);

	prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, r.addr, r.len, names[op->how % ARRAY_SIZE(names)]);
}

static void do_seal(const struct dm_op *op)
{
	struct range r = range(op, op->at);

	syscall(SYS_mseal, r.addr, r.len, 0);
}

static const struct {
	const char *name;
	void (*fn)(const struct dm_op *op);
	unsigned int weight;	/* forks take much longer than the others */
} ops[] = {
	{ "mmap", do_map, 12 },
	{ "mmap of a file", do_map_file, 6 },
	{ "munmap", do_unmap, 3 },
	{ "mprotect", do_protect, 6 },
	{ "write", do_write, 9 },
	{ "read", do_read, 3 },
	{ "madvise", do_advise, 12 },
	{ "mremap", do_move, 3 },
	{ "mremap to another size", do_resize, 3 },
	{ "mlock", do_lock, 2 },
	{ "mbind", do_policy, 2 },
	{ "a name", do_name, 2 },
	{ "mseal", do_seal, 1 },
	{ "userfaultfd", do_watch, 1 },
	{ "fork, a child beside", do_fork_beside, 1 },
	{ "fork, the child goes on", do_go_on_in_child, 1 },
};

/* As often as its weight says. */
static size_t which(const struct dm_op *op)
{
	unsigned int all = 0, left;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ops); i++)
		all += ops[i].weight;
	left = op->what % all;
	for (i = 0; left >= ops[i].weight; i++)
		left -= ops[i].weight;
	return i;
}

static void remember(const struct dm_op *op)
{
	some_grow |= ops[which(op)].fn == do_map && grows(op);
}

void dm_do_op(const struct dm_op *op)
{
	remember(op);
	ops[which(op)].fn(op);
}

void dm_ops_done(void)
{
	while (nr_beside) {
		kill(beside[--nr_beside], SIGKILL);
		waitpid(beside[nr_beside], NULL, 0);
	}
}

static const char *prot_text(int prot)
{
	static char text[4];

	snprintf(text, sizeof(text), "%c%c%c", prot & PROT_READ ? 'r' : '-',
		 prot & PROT_WRITE ? 'w' : '-', prot & PROT_EXEC ? 'x' : '-');
	return text;
}

const char *dm_op_text(const struct dm_op *op)
{
	void (*fn)(const struct dm_op *op) = ops[which(op)].fn;
	const char *name = ops[which(op)].name;
	struct range r = range(op, op->at);
	char what[128] = "";

	remember(op);
	if (fn == do_map)
		snprintf(what, sizeof(what), ", %s, %s", prot_text(anon_prot_of(op)),
			 anon_flags[anon_kind(op)].name);
	else if (fn == do_map_file)
		snprintf(what, sizeof(what), ", %s, %s, from its page %zu on",
			 prot_text(prot_of(op)), is_shared(op) ? "shared" : "private",
			 file_page(op));
	else if (fn == do_protect)
		snprintf(what, sizeof(what), ", %s", prot_text(new_prot_of(op)));
	else if (fn == do_advise)
		snprintf(what, sizeof(what), ", %s", advices[advice_of(op)].name);
	else if (fn == do_move)
		snprintf(what, sizeof(what), ", to %p%s", range(op, op->to).addr,
			 keeps_the_old(op) ? ", MREMAP_DONTUNMAP" : "");
	else if (fn == do_resize)
		snprintf(what, sizeof(what), ", of %zu pages", new_len(op, r.len) / page);
	else if (fn == do_lock)
		name = locks[op->how % ARRAY_SIZE(locks)];
	else if (fn == do_policy)
		snprintf(what, sizeof(what), ", %s", policies[policy_of(op)].name);
	else if (fn == do_watch)
		snprintf(what, sizeof(what), ", %s%s", watches[watch_of(op)].name,
			 is_inherited(op) ? ", with UFFD_FEATURE_EVENT_FORK" : "");
	else if (fn == do_fork_beside || fn == do_go_on_in_child)
		return name;
	return say("%s: %p, %zu page%s%s", name, r.addr, r.len / page,
		   r.len == page ? "" : "s", what);
}
