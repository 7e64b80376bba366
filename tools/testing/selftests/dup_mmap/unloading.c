// SPDX-License-Identifier: GPL-2.0
/*
 * Unloading the module while a fork is inside of dup_mmap(), held there for as
 * long as it takes; and what forks do when the module has gone.
 *
 * A fork of a process whose memory a userfaultfd watches for forks waits at the
 * end of dup_mmap() until somebody has read of it. By then the module has been
 * called for each step and is yet to hear of the end.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dup_mmap.h"

#define TRACING		"/sys/kernel/tracing/"
#define LIMIT		60	/* seconds */

static char stack[65536];
static int uffd = -1;
static struct dm_alloc alloc;

static bool loaded(void)
{
	return !access(DM_DIR, F_OK);
}

static bool load(void)
{
	/* modprobe where it knows the module, else the file itself. */
	static const char found[] =
		"insmod \"$(find /lib/modules -name '" DM_MODULE ".ko*' | head -n 1)\"";
	int ret = system("modprobe " DM_MODULE " 2>/dev/null");

	if (ret)
		ret = system(found);

	return !ret && loaded();
}

/* Has the files of the process that started it, so that one can see its uffd. */
static int hold(void *arg)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_EVENT_FORK,
	};
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	size_t page = sysconf(_SC_PAGESIZE);
	int err, status;
	pid_t pid;
	void *p;

	p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	reg.range.start = (unsigned long)p;
	reg.range.len = page;
	if (p == MAP_FAILED || uffd < 0 || ioctl(uffd, UFFDIO_API, &api) ||
	    ioctl(uffd, UFFDIO_REGISTER, &reg))
		return 2;
	*(int *)arg = uffd;
	pid = dm_fork(&err);
	return pid < 0 || waitpid(pid, &status, 0) != pid || status;
}

/* A process that is held in a fork, and its uffd; 0 if there is none. */
static pid_t start_holder(int *fd)
{
	struct pollfd event = { .events = POLLIN };
	int *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	if (shared == MAP_FAILED)
		return 0;
	*shared = -1;
	pid = clone(hold, stack + sizeof(stack), CLONE_FILES | SIGCHLD, shared);
	if (pid < 0)
		return 0;
	while (__atomic_load_n(shared, __ATOMIC_SEQ_CST) < 0)
		if (waitpid(pid, NULL, WNOHANG))
			return 0;
	*fd = event.fd = *shared;
	/* The event is there when the fork waits for it to be read. */
	if (poll(&event, 1, LIMIT * 1000) == 1 && event.revents == POLLIN)
		return pid;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return 0;
}

static bool let_go(pid_t holder, int fd)
{
	struct uffd_msg msg;
	int status;

	if (read(fd, &msg, sizeof(msg)) != sizeof(msg) || msg.event != UFFD_EVENT_FORK)
		return false;
	close(msg.arg.fork.ufd);
	return waitpid(holder, &status, 0) == holder && !status;
}

/* Where in the kernel it sleeps. */
static bool sleeps_in(pid_t pid, const char *function)
{
	char path[64], text[4096];

	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	return dm_read_path(path, text, sizeof(text)) > 0 && strstr(text, function);
}

/*
 * Whether unloading waits: it is asleep until the fork is over, and nowhere else
 * than where it is to be. *why says what is wrong.
 */
static bool waits_for(pid_t holder, int fd, const char **why)
{
	double since = dm_seconds(), seen = 0;
	bool waits = false, gone = false;
	pid_t pid;
	int status;

	pid = fork();
	if (!pid)
		_exit(syscall(SYS_delete_module, DM_MODULE, 0) ? errno : 0);
	/* It sleeps there when nobody is inside as well, but not for a second. */
	while (!gone && dm_seconds() < (waits ? seen + 1 : since + LIMIT)) {
		gone = waitpid(pid, &status, WNOHANG) == pid;
		if (!gone && !waits && sleeps_in(pid, "synchronize_srcu")) {
			waits = true;
			seen = dm_seconds();
		}
		sched_yield();
	}
	if (gone) {
		*why = status ? "it cannot be unloaded" :
			"it was unloaded while a fork was inside of it";
		return false;
	}
	if (!waits)
		*why = "where unloading sleeps cannot be seen";
	if (!let_go(holder, fd))
		*why = "the fork that was under way does not work";
	if (waitpid(pid, &status, 0) != pid || status || loaded())
		*why = "it is still there";
	return !**why;
}

/*
 * Each allocation of a fork fails once. Without the module there is no record, but
 * what is not taken apart the kernel would complain about.
 */
static const char *fail_each(unsigned int *failed)
{
	static struct dm_maps before, after;
	unsigned long taint = dm_taint();
	int nth, try, err = 0, left = 0;
	long committed;
	const char *why;
	pid_t pid;

	why = dm_get_maps(&before);
	if (*why)
		return why;
	for (nth = 1; !left; nth++) {
		/* Committed_AS belongs to the whole system. */
		for (try = 0, committed = 1; try < 4 && committed; try++) {
			committed = dm_committed_as();
			if (committed < 0)
				return "cannot read Committed_AS";
			if (nth == 1000 || dm_set_nth(nth))
				return "cannot go through all allocations";
			pid = dm_fork(&err);
			left = dm_get_nth();
			dm_set_nth(0);
			if (pid > 0)
				waitpid(pid, NULL, 0);
			committed -= dm_committed_as();
		}
		if (committed)
			return "Committed_AS has moved";
		if (pid < 0 && err != ENOMEM)
			return strerror(err);
		*failed += pid < 0;
	}
	why = dm_check_taint(taint);
	if (*why)
		return why;
	why = dm_get_maps(&after);
	if (*why)
		return why;
	return before.len != after.len || memcmp(before.text, after.text, after.len) ?
		"/proc/self/maps of the parent changed" : "";
}

/* NULL, or why it can't be known. *hits: forks on the watched way. */
static const char *watched(int *hits)
{
	static char text[65536];
	const char *p;
	int err;
	pid_t pid;

	*hits = 0;
	if (access(TRACING "set_ftrace_filter", W_OK))
		return "no function tracer (CONFIG_FUNCTION_TRACER)";
	if (dm_write_path(TRACING "set_ftrace_filter", "dup_mmap_watched") ||
	    dm_write_path(TRACING "current_tracer", "function"))
		return "dup_mmap_watched() cannot be traced";
	pid = dm_fork(&err);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	dm_read_path(TRACING "trace", text, sizeof(text));
	dm_write_path(TRACING "current_tracer", "nop");
	close(open(TRACING "set_ftrace_filter", O_WRONLY | O_TRUNC | O_CLOEXEC));
	for (p = text; (p = strstr(p, "dup_mmap_watched <-")); p++)
		++*hits;
	return NULL;
}

int main(void)
{
	const char *why = "", *no_trace;
	int fd, with, without;
	unsigned int failed = 0;
	bool ok;
	pid_t holder;

	dm_skip_unless_available();
	ksft_print_header();
	ksft_set_plan(4);
	dm_reset();
	no_trace = watched(&with);

	holder = start_holder(&fd);
	if (!holder)
		ksft_exit_skip("no fork can be held: CONFIG_USERFAULTFD?\n");
	ok = waits_for(holder, fd, &why);
	if (!ok)
		ksft_print_msg("%s\n", why);
	ksft_test_result(ok, "unloading waits for a fork that is under way\n");

	if (!no_trace)
		no_trace = watched(&without);
	if (no_trace)
		ksft_test_result_skip("no fork looks for a module that has gone: %s\n",
				      no_trace);
	else
		ksft_test_result(with && !without,
				 "no fork looks for a module that has gone\n");

	why = dm_alloc_begin(&alloc, "dup_mmap");
	if (!why)
		why = fail_each(&failed);
	dm_alloc_end(&alloc);
	ksft_print_msg("%u forks failed %s\n", failed, why);
	ksft_test_result(!*why && failed, "without the module a failure is recovered\n");

	ksft_test_result(load(), "the module can be loaded again\n");
	ksft_finished();
}
