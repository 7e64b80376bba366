// SPDX-License-Identifier: GPL-2.0
/*
 * Another process, the outsider, looks at the child of a fork that is held. Meanwhile it
 * has another thread of the process that forks map a page.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "demo.h"

/* Each a pipe. Nothing shared is mapped: this process keeps its VMAs. */
static int go[2], gone_on[2], jobs[2], looks[2];
static pid_t thread_id;
/* Its own, so that there is no further VMA. */
static char thread_stack[256 << 10];

static void *other_thread(void *unused)
{
	size_t len = sysconf(_SC_PAGESIZE);
	char c, *p;

	__atomic_store_n(&thread_id, syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	while (read(go[0], &c, 1) == 1) {
		p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
		if (p == MAP_FAILED)
			break;
		__atomic_store_n(p, 1, __ATOMIC_RELAXED);
		if (munmap(p, len) || write(gone_on[1], &c, 1) != 1)
			break;
	}
	return NULL;
}

const char *start_thread(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (pipe(go) || pipe(gone_on) || pipe(jobs) || pipe(looks))
		return "no pipe";
	if (pthread_attr_init(&attr) ||
	    pthread_attr_setstack(&attr, thread_stack, sizeof(thread_stack)) ||
	    pthread_create(&thread, &attr, other_thread, NULL))
		return "no thread";
	pthread_attr_destroy(&attr);
	while (!__atomic_load_n(&thread_id, __ATOMIC_SEQ_CST))
		sched_yield();
	return "";
}

static bool is_held(void *arg)
{
	static char text[1024];
	pid_t pid = *(pid_t *)arg;
	char *line = text;

	if (dm_read(DM_HOLD "held", text, sizeof(text)) <= 0)
		return false;
	for (; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (*line != '#' && atoi(line) == pid)
			return true;
	}
	return false;
}

static bool has_gone_on(void *unused)
{
	struct pollfd fd = { .fd = gone_on[0], .events = POLLIN };

	return poll(&fd, 1, 0) == 1;
}

static bool waits_or_has_gone_on(void *unused)
{
	return dm_state_of(thread_id) == 'D' || has_gone_on(NULL);
}

static enum thread ask_thread(enum thread wanted)
{
	char c = 0;

	if (write(go[1], &c, 1) != 1)
		return LOST;
	if (!dm_wait_until(wanted == GOES_ON ? has_gone_on : waits_or_has_gone_on, NULL))
		return LOST;
	return has_gone_on(NULL) ? GOES_ON : WAITS;
}

static void look_at_it(pid_t pid, const struct job *job, struct look *look)
{
	char text[16], c;

	memset(look, 0, sizeof(*look));
	if (!dm_wait_until(is_held, &pid))
		return;
	dm_read(DM_HOLD "observe", look->text, sizeof(look->text));
	if (job->thread != NOT_ASKED)
		look->thread = ask_thread(job->thread);
	look->held = is_held(&pid);
	snprintf(text, sizeof(text), "%d", pid);
	dm_write(DM_HOLD "release", text);
	/* Who has waited goes on now. */
	if (look->thread == GOES_ON || look->thread == WAITS)
		if (!dm_wait_until(has_gone_on, NULL) || read(gone_on[0], &c, 1) != 1)
			look->thread = LOST;
}

pid_t start_outsider(void)
{
	static struct look look;
	pid_t parent = getpid(), pid = fork();
	struct job job;

	if (pid)
		return pid;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(1);
	while (read(jobs[0], &job, sizeof(job)) == sizeof(job) && !job.last) {
		look_at_it(parent, &job, &look);
		if (write(looks[1], &look, sizeof(look)) != sizeof(look))
			_exit(1);
	}
	_exit(0);
}

bool give_job(const struct job *job)
{
	return write(jobs[1], job, sizeof(*job)) == sizeof(*job);
}

bool get_look(struct look *look)
{
	return read(looks[0], look, sizeof(*look)) == sizeof(*look);
}
