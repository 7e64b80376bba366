// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fork.h"
#include "forker.h"
#include "io.h"
#include "say.h"
#include "tasks.h"

/* What it is told. */
enum { FORK = 'f', UNMAP = 'u', QUIT = 'q' };

struct dm_forker *dm_make_forkers(int nr)
{
	struct dm_forker *f = mmap(NULL, nr * sizeof(*f), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return f == MAP_FAILED ? NULL : f;
}

static char *at(int nr)
{
	return DM_FORKER_AREA + nr * sysconf(_SC_PAGESIZE);
}

static bool is_not_copied(int i)
{
	return i == DM_FORKER_FAIL_AT - 2 || i == DM_FORKER_FAIL_AT + 2;
}

static const char *make_area(void)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
	size_t page = sysconf(_SC_PAGESIZE);
	char *p;
	int i;

	p = mmap(DM_FORKER_LOW, page, PROT_READ, flags, -1, 0);
	if (p != DM_FORKER_LOW || madvise(p, page, MADV_DONTFORK))
		return "no VMA that the child does not get";
	p = mmap(DM_FORKER_LOW + 2 * page, page, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (p != DM_FORKER_LOW + 2 * page)
		return "no first VMA";
	*p = 1;
	p = mmap(at(0), DM_FORKER_NR * page, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (p != at(0))
		return "no area";
	memset(p, 1, DM_FORKER_NR * page);
	for (i = 0; i < DM_FORKER_NR; i++)
		if ((i % 2 && mprotect(at(i), page, PROT_READ)) ||
		    (is_not_copied(i) && madvise(at(i), page, MADV_DONTFORK)))
			return "no VMAs of a page";
	return "";
}

static void one_more(struct dm_forker *f)
{
	__atomic_add_fetch(&f->done, 1, __ATOMIC_SEQ_CST);
}

static void fork_once(struct dm_forker *f)
{
	int err, status;
	pid_t pid = dm_fork(&err);

	if (pid > 0 && (waitpid(pid, &status, 0) != pid || status))
		f->wrong++;
	f->err = err;
	f->worked += !err;
	f->failed += err == ENOMEM;
	f->wrong += err && err != ENOMEM;
	one_more(f);
}

static int run(struct dm_forker *f, pid_t parent)
{
	const char *why;
	char what;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		return 1;
	prctl(PR_SET_NAME, DM_FORKER_COMM);
	why = make_area();
	if (!*why)
		why = dm_get_maps_and_flags(&f->maps);
	if (!*why && dm_write_path("/proc/self/make-it-fail", "1"))
		why = "make-it-fail cannot be written";
	snprintf(f->why, sizeof(f->why), "%s", why);
	__atomic_store_n(&f->ready, true, __ATOMIC_SEQ_CST);
	if (*why)
		return 1;
	while (read(f->go[0], &what, 1) == 1) {
		if (what == QUIT)
			return 0;
		if (what == UNMAP) {
			f->wrong += !!munmap(at(DM_FORKER_FAIL_AT),
					     at(DM_FORKER_NR) - at(DM_FORKER_FAIL_AT));
			one_more(f);
			continue;
		}
		do {
			fork_once(f);
		} while (__atomic_load_n(&f->goes_on, __ATOMIC_SEQ_CST));
	}
	return 1;
}

static bool is_ready(void *arg)
{
	struct dm_forker *f = arg;

	return __atomic_load_n(&f->ready, __ATOMIC_SEQ_CST) || dm_has_ended(&f->pid);
}

const char *dm_start_forker(struct dm_forker *f)
{
	pid_t parent = getpid(), pid;

	if (f->pid)
		return "that process has begun already";
	/* Its maps it will write itself, and they are large. */
	memset(f, 0, offsetof(struct dm_forker, maps));
	if (pipe(f->go))
		return say("pipe: %s", strerror(errno));
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return say("fork: %s", strerror(errno));
	if (!pid)
		_exit(run(f, parent));
	f->pid = pid;
	if (!dm_wait_until(is_ready, f) || !f->ready)
		return "the process that forks is not there";
	return say("%s", f->why);
}

static const char *tell(struct dm_forker *f, char what)
{
	return write(f->go[1], &what, 1) == 1 ? "" : "the process that forks cannot be told to";
}

const char *dm_tell_to_fork(struct dm_forker *f)
{
	f->told++;
	return tell(f, FORK);
}

unsigned int dm_nr_forks(const struct dm_forker *f)
{
	return __atomic_load_n(&f->done, __ATOMIC_SEQ_CST);
}

bool dm_has_forked(const struct dm_forker *f)
{
	return dm_nr_forks(f) == f->told;
}

static bool has_forked(void *arg)
{
	return dm_has_forked(arg);
}

const char *dm_await_fork(struct dm_forker *f, int err)
{
	if (!dm_wait_until(has_forked, f))
		return "the fork does not return";
	return f->err == err ? "" : say("fork: %s", strerror(f->err));
}

const char *dm_reap_forker(struct dm_forker *f, int want)
{
	int status;

	if (!dm_wait_until(dm_has_ended, &f->pid))
		return "the process that forks does not end";
	if (waitpid(f->pid, &status, 0) != f->pid || status != want)
		return say("the process that forks ended with status %#x", status);
	close(f->go[0]);
	close(f->go[1]);
	f->pid = 0;
	return "";
}

const char *dm_stop_forker(struct dm_forker *f)
{
	const char *why = tell(f, QUIT);

	return *why ? why : dm_reap_forker(f, 0);
}

const char *dm_keep_forking(struct dm_forker *f)
{
	f->goes_on = true;
	return tell(f, FORK);
}

void dm_forked_enough(struct dm_forker *f)
{
	__atomic_store_n(&f->goes_on, false, __ATOMIC_SEQ_CST);
}

const char *dm_unmap_rest(struct dm_forker *f)
{
	const char *why;

	f->told++;
	why = tell(f, UNMAP);
	if (*why)
		return why;
	return dm_wait_until(has_forked, f) && !f->wrong ? "" : "it cannot be unmapped";
}

int dm_forker_index(const struct dm_forker *f)
{
	return dm_index_of(&f->maps, at(DM_FORKER_FAIL_AT));
}
