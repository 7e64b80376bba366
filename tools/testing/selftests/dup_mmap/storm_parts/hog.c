// SPDX-License-Identifier: GPL-2.0
/*
 * Takes more memory than all may have. It is the one whom the kernel kills if it has to kill
 * somebody, and its keeper begins it again.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storm.h"

#define HOG		7168ul	/* pages: more than the limit of all, in storm.c */
#define HOG_STEP	16

enum { TOUCHED };

static void be_hog(int nr)
{
	size_t page = sysconf(_SC_PAGESIZE), i;
	unsigned long since = 0, round;
	unsigned long *p;
	char *all;

	/* Behind all others: it is to take their memory and not their time. */
	setpriority(PRIO_PROCESS, 0, 5);
	doing("takes memory");
	all = mmap(NULL, HOG * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED) {
		wrong("there is no room for it");
		return;
	}
	/* Page by page, as the others take theirs. */
	madvise(all, HOG * page, MADV_NOHUGEPAGE);
	for (round = 1; !stopped(); round++) {
		for (i = 0; i < HOG && !stopped(); i++) {
			if (i % HOG_STEP == 0)
				since = epoch();
			p = (unsigned long *)(all + i * page);
			if (*p != (round > 1 ? (round - 1) * HOG + i : 0))
				wrong("its memory has changed");
			*p = round * HOG + i;
			if (i % HOG_STEP < HOG_STEP - 1)
				continue;
			count(TOUCHED);
			did(since);
		}
	}
}

/* The one whom the kernel kills if it has to kill somebody, and who then comes again. */
static void begin_hog(int whose)
{
	me = whose;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) ||
	    dm_write_path("/proc/self/oom_score_adj", "1000"))
		_exit(1);
	prctl(PR_SET_NAME, storm->watched[me].name);
	be_hog(0);
	_exit(0);
}

enum { BEGUN, KILLED };

/* The hog is the next part. */
static void be_keeper(int nr)
{
	int status, next = me + 1;
	pid_t pid = 0;

	while (pid || !stopped()) {
		doing("looks after the hog");
		if (!pid) {
			pid = dm_bare_fork();
			if (!pid)
				begin_hog(next);
			if (pid < 0 && errno != ENOMEM)
				wrong("fork: %s", strerror(errno));
			if (pid < 0)
				pid = 0;
			else
				count(BEGUN);
			storm->watched[next].pid = pid;
		} else if (waitpid(pid, &status, WNOHANG) == pid) {
			if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
				count(KILLED);
			else if (status || !stopped())
				wrong("the hog ended with status %#x", status);
			pid = 0;
			storm->watched[next].pid = 0;
		}
		moves();
		usleep(10000);
	}
}

const struct kind keeper = {
	"keeper", 1, be_keeper, false, false, { "begun", "(killed)" },
};

/* The keeper's. */
const struct kind hog = {
	"hog", 1, NULL, true, false, { "x 16 pages" },
};
