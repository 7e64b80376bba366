// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"

#include "arena.h"
#include "beside.h"
#include "fork.h"
#include "ops.h"
#include "uffd.h"

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

#define FILE_PAGES	64
#define MAX_DEPTH	4

/* For a process and those that it forks. */
static int memfd, content;

/* How often this process is the child of another one. */
static int depth;

/* An operation has mapped what grows down. */
static bool some_grow;

static struct dm_range range(const struct dm_op *op)
{
	return dm_range(op->to, op->at, op->len);
}

/* What is written: not zeros, which a page that is lost has as well. */
static bool fill(int fd)
{
	static uint8_t bytes[256 + DM_MAX_UNITS * 256];
	size_t i;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = 1 + i % 251;
	return write(fd, bytes, sizeof(bytes)) == sizeof(bytes);
}

const char *dm_ops_begin(void)
{
	dm_arena_begin();
	some_grow = false;
	memfd = memfd_create("dup_mmap", MFD_CLOEXEC);
	content = memfd_create("content", MFD_CLOEXEC);
	if (memfd < 0 || content < 0 || ftruncate(memfd, FILE_PAGES * dm_arena_page()) ||
	    !fill(content))
		return "cannot make a file in memory";
	return "";
}

static const int prots[] = {
	PROT_READ | PROT_WRITE, PROT_NONE, PROT_READ, PROT_READ | PROT_EXEC,
	PROT_READ | PROT_WRITE, PROT_WRITE, PROT_READ | PROT_WRITE | PROT_EXEC, PROT_EXEC,
};

static const char *prot_text(int prot)
{
	static char text[4];

	snprintf(text, sizeof(text), "%c%c%c", prot & PROT_READ ? 'r' : '-',
		 prot & PROT_WRITE ? 'w' : '-', prot & PROT_EXEC ? 'x' : '-');
	return text;
}

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
	struct dm_range r = range(op);
	char *p = mmap(r.addr, r.len, anon_prot_of(op),
		       anon_flags[anon_kind(op)].flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (p != MAP_FAILED && grows(op))
		p[r.len - 1] = 1;
}

static void print_map(FILE *to, const struct dm_op *op)
{
	fprintf(to, ", %s, %s", prot_text(anon_prot_of(op)), anon_flags[anon_kind(op)].name);
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
	struct dm_range r = range(op);

	mmap(r.addr, r.len, prot_of(op), (is_shared(op) ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED,
	     memfd, file_page(op) * dm_arena_page());
}

static void print_map_file(FILE *to, const struct dm_op *op)
{
	fprintf(to, ", %s, %s, from its page %zu on", prot_text(prot_of(op)),
		is_shared(op) ? "shared" : "private", file_page(op));
}

static void do_unmap(const struct dm_op *op)
{
	struct dm_range r = range(op);

	munmap(r.addr, r.len);
}

static void do_protect(const struct dm_op *op)
{
	struct dm_range r = range(op);

	mprotect(r.addr, r.len, new_prot_of(op));
}

static void print_protect(FILE *to, const struct dm_op *op)
{
	fprintf(to, ", %s", prot_text(new_prot_of(op)));
}

/* The first bytes of each page. */
static int pages_of(const struct dm_op *op, struct iovec *pages, size_t bytes)
{
	struct dm_range r = range(op);
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
	struct iovec pages[DM_MAX_UNITS];
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
	struct iovec pages[DM_MAX_UNITS];
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
	struct dm_range r = range(op);

	madvise(r.addr, r.len, advices[advice_of(op)].advice);
}

static void print_advise(FILE *to, const struct dm_op *op)
{
	fprintf(to, ", %s", advices[advice_of(op)].name);
}

static bool keeps_the_old(const struct dm_op *op)
{
	return op->how & 1;
}

/* Where it is moved to. */
static struct dm_range range_to(const struct dm_op *op)
{
	return dm_range(op->to, op->to, op->len);
}

static void do_move(const struct dm_op *op)
{
	struct dm_range from = range(op), to = range_to(op);
	size_t len = from.len < to.len ? from.len : to.len;

	mremap(from.addr, len, len, MREMAP_MAYMOVE | MREMAP_FIXED |
	       (keeps_the_old(op) ? MREMAP_DONTUNMAP : 0), to.addr);
}

static void print_move(FILE *to, const struct dm_op *op)
{
	fprintf(to, ", to %p%s", range_to(op).addr, keeps_the_old(op) ? ", MREMAP_DONTUNMAP" : "");
}

static size_t new_len(const struct dm_op *op, size_t len)
{
	size_t page = dm_arena_page();

	return len / page * (op->how % 4) / 2 * page;
}

static void do_resize(const struct dm_op *op)
{
	struct dm_range r = range(op);
	size_t len = new_len(op, r.len);

	/* Growth ends where the arena does. */
	if (len && r.addr + len <= dm_arena_end())
		mremap(r.addr, r.len, len, 0);
}

static void print_resize(FILE *to, const struct dm_op *op)
{
	fprintf(to, ", of %zu pages", new_len(op, range(op).len) / dm_arena_page());
}

static const char * const locks[] = { "mlock()", "MLOCK_ONFAULT", "munlock()" };

static int lock_of(const struct dm_op *op)
{
	return op->how % ARRAY_SIZE(locks);
}

static void do_lock(const struct dm_op *op)
{
	struct dm_range r = range(op);

	switch (lock_of(op)) {
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

static void print_lock(FILE *to, const struct dm_op *op)
{
	fprintf(to, ", %s", locks[lock_of(op)]);
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
	struct dm_range r = range(op);
	int p = policy_of(op);

	syscall(SYS_mbind, r.addr, r.len, policies[p].mode,
		policies[p].nodes ? &policies[p].nodes : NULL, 8, 0);
}

static void print_policy(FILE *to, const struct dm_op *op)
{
	fprintf(to, ", %s", policies[policy_of(op)].name);
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

/* Whether the child inherits it. */
static bool is_inherited(const struct dm_op *op)
{
	return op->how & 0x80;
}

static void do_watch(const struct dm_op *op)
{
	struct dm_range r = range(op);

	dm_watch_range(&r, watches[watch_of(op)].mode, is_inherited(op));
}

static void print_watch(FILE *to, const struct dm_op *op)
{
	fprintf(to, ", %s%s", watches[watch_of(op)].name,
		is_inherited(op) ? ", with UFFD_FEATURE_EVENT_FORK" : "");
}

static void sleep_beside(int arg)
{
	pause();
}

static void do_fork_beside(const struct dm_op *op)
{
	dm_fork_beside(sleep_beside, 0);
}

static void do_go_on_in_child(const struct dm_op *op)
{
	int status;
	pid_t pid;

	if (depth == MAX_DEPTH)
		return;
	pid = dm_bare_fork();
	if (pid < 0)
		return;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dm_forget_beside();
		depth++;
		dm_await_unwatched();
		return;
	}
	if (waitpid(pid, &status, 0) != pid)
		status = -1;
	dm_ops_done();
	syscall(SYS_exit_group, WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static const char * const names[] = { NULL, "one", "another" };

static const char *name_of(const struct dm_op *op)
{
	return names[op->how % ARRAY_SIZE(names)];
}

static void do_name(const struct dm_op *op)
{
	struct dm_range r = range(op);

	prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, r.addr, r.len, name_of(op));
}

static void print_name(FILE *to, const struct dm_op *op)
{
	fprintf(to, ", %s", name_of(op) ?: "none");
}

static void do_seal(const struct dm_op *op)
{
	struct dm_range r = range(op);

	syscall(SYS_mseal, r.addr, r.len, 0);
}

static void print_nothing(FILE *to, const struct dm_op *op)
{
}

static const struct {
	const char *name;
	void (*fn)(const struct dm_op *op);
	unsigned int weight;	/* forks take much longer than the others */
	void (*print)(FILE *to, const struct dm_op *op);	/* NULL: it has no range */
} ops[] = {
	{ "mmap", do_map, 12, print_map },
	{ "mmap of a file", do_map_file, 6, print_map_file },
	{ "munmap", do_unmap, 3, print_nothing },
	{ "mprotect", do_protect, 6, print_protect },
	{ "write", do_write, 9, print_nothing },
	{ "read", do_read, 3, print_nothing },
	{ "madvise", do_advise, 12, print_advise },
	{ "mremap", do_move, 3, print_move },
	{ "mremap to another size", do_resize, 3, print_resize },
	{ "a lock", do_lock, 2, print_lock },
	{ "mbind", do_policy, 2, print_policy },
	{ "a name", do_name, 2, print_name },
	{ "mseal", do_seal, 1, print_nothing },
	{ "userfaultfd", do_watch, 1, print_watch },
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
	dm_end_beside();
}

void dm_print_op(FILE *to, const struct dm_op *op)
{
	struct dm_range r = range(op);
	size_t nr = r.len / dm_arena_page(), i = which(op);

	remember(op);
	fprintf(to, "  %s", ops[i].name);
	if (ops[i].print) {
		fprintf(to, ": %p, %zu page%s", r.addr, nr, nr == 1 ? "" : "s");
		ops[i].print(to, op);
	}
	fputc('\n', to);
}
