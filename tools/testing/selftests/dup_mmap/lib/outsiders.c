// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fork.h"
#include "io.h"
#include "ksm.h"
#include "outsiders.h"
#include "say.h"
#include "scene.h"

#define TRACING		"/sys/kernel/tracing/"
#define UPROBE_EVENTS	TRACING "uprobe_events"
#define PROBE		"dup_mmap_window"
#define PERF_TYPE	"/sys/bus/event_source/devices/uprobe/type"

const char *dm_no_uprobes(void)
{
	return access(PERF_TYPE, F_OK) || access(UPROBE_EVENTS, W_OK) ?
		"no uprobes (CONFIG_UPROBE_EVENTS)" : NULL;
}

/* What one of them does: "" or what is wrong. */

static const char *swap_off(void)
{
	return swapoff("/dev/zram0") ? "swapoff() fails" : "";
}

static const char *probe_by_perf(void)
{
	struct perf_event_attr attr = {
		.type = dm_read_number(PERF_TYPE),
		.size = sizeof(attr),
		.disabled = 1,
		.uprobe_path = (uintptr_t)DM_CODE_FILE,
	};
	/* Of all processes, or those who have the code would be asked who they are. */
	int fd = syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 || close(fd) ? "perf_event_open() fails" : "";
}

static const char *probe_by_tracefs(void)
{
	static const char add[] = "p:" PROBE "/p " DM_CODE_FILE ":0x0\n", del[] = "-:" PROBE "/p\n";
	int fd = open(UPROBE_EVENTS, O_WRONLY | O_APPEND | O_CLOEXEC);
	const char *why = "";

	if (fd < 0 || write(fd, add, strlen(add)) < 0)
		return "no uprobe can be added";
	if (dm_write_path(TRACING "events/" PROBE "/p/enable", "1") ||
	    dm_write_path(TRACING "events/" PROBE "/p/enable", "0"))
		why = "the uprobe can't be enabled";
	if (write(fd, del, strlen(del)) < 0)
		why = "the uprobe can't be removed";
	close(fd);
	return why;
}

static const char *fork_too(void)
{
	int err, status;
	pid_t pid = dm_fork(&err);

	return pid < 0 || waitpid(pid, &status, 0) != pid || status ? "a fork fails" : "";
}

static const char *read_of_victim(const char *name)
{
	static char path[64], text[1 << 20];

	snprintf(path, sizeof(path), "/proc/%d/%s", dm_scene->victim, name);
	return dm_read_path(path, text, sizeof(text)) <= 0 ? "it cannot be read" : "";
}

static const char *read_maps(void)
{
	return read_of_victim("maps");
}

static const char *read_smaps(void)
{
	return read_of_victim("smaps");
}

static const struct {
	const char *name, *(*op)(void);
} outsiders[DM_NR_OUTSIDERS] = {
	[DM_SWAPOFF]	= { "swapoff", swap_off },
	[DM_PERF]	= { "perf_event_open", probe_by_perf },
	[DM_TRACEFS]	= { "uprobe_events", probe_by_tracefs },
	[DM_A_FORK]	= { "another fork", fork_too },
	[DM_MAPS]	= { "maps", read_maps },
	[DM_SMAPS]	= { "smaps", read_smaps },
	[DM_UNMERGE]	= { "KSM", dm_unmerge },
};

const char *dm_name_of(enum dm_outsider who)
{
	return outsiders[who].name;
}

const char *dm_start(enum dm_outsider who, struct dm_worker *w)
{
	pid_t parent = getpid(), pid;

	pid = fork();
	if (pid < 0)
		return "no process can be made";
	if (pid) {
		w->tid = pid;
		return "";
	}
	/* Who has a page is counted. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent ||
	    munmap(dm_at(DM_V_SHARED), DM_V_PAGES * dm_scene->page))
		_exit(1);
	while (dm_wait_to_go(w))
		dm_done(w, outsiders[who].op());
	_exit(0);
}

const char *dm_end(enum dm_outsider who, struct dm_worker *w)
{
	int status;

	if (!dm_tell_to_end(w))
		return "a pipe is broken";
	if (waitpid(w->tid, &status, 0) != w->tid || status)
		return say("%s ended badly", outsiders[who].name);
	return w->why[0] ? say("%s: %s", outsiders[who].name, w->why) : "";
}
