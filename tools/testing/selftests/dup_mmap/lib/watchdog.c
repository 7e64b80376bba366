// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"

#include "io.h"
#include "tasks.h"
#include "watchdog.h"

void dm_moves(struct dm_watched *w)
{
	__atomic_store_n(&w->moves, w->moves + 1, __ATOMIC_RELAXED);
}

static pid_t parent_of(pid_t pid)
{
	const char *parent = dm_status_of(pid, "PPid");

	return parent ? strtol(parent, NULL, 10) : -1;
}

/* The next child of that process in /proc, or 0. */
static pid_t next_child(DIR *proc, pid_t parent)
{
	struct dirent *e;

	while ((e = readdir(proc)))
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9' &&
		    parent_of(atoi(e->d_name)) == parent)
			return atoi(e->d_name);
	return 0;
}

/* utime, stime, cutime and cstime of /proc/PID/stat, of which the third is behind the name. */
static unsigned long ticks_of(pid_t pid)
{
	static char path[64], text[1024];
	unsigned long sum = 0;
	const char *p;
	int field;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	p = dm_read_path(path, text, sizeof(text)) > 0 ? strrchr(text, ')') : NULL;
	for (field = 3; p && field <= 17; field++) {
		p = strchr(p + 1, ' ');
		if (p && field >= 14)
			sum += strtoul(p, NULL, 10);
	}
	return sum;
}

/* What it and its children have had of the CPUs, with those that have ended. */
static unsigned long ticks_of_all(pid_t pid)
{
	unsigned long sum = ticks_of(pid);
	pid_t child;
	DIR *proc;

	proc = opendir("/proc");
	while (proc && (child = next_child(proc, pid)))
		sum += ticks_of(child);
	if (proc)
		closedir(proc);
	return sum;
}

/* To ask /proc takes long, so that is done once in that many rounds. */
static bool is_stuck(struct dm_watched *w, unsigned int rounds)
{
	unsigned long ticks;

	if (!w->still || w->still % rounds)
		return false;
	ticks = ticks_of_all(w->pid);
	if (w->still > rounds && (ticks == w->ticks || w->still >= DM_FOR_RUNNING * rounds))
		return true;
	w->ticks = ticks;
	return false;
}

struct dm_watched *dm_watch(struct dm_watched *w, int nr, unsigned int rounds)
{
	struct dm_watched *stuck = NULL;
	unsigned long moves;
	int i;

	sleep(1);
	for (i = 0; i < nr; i++) {
		moves = __atomic_load_n(&w[i].moves, __ATOMIC_RELAXED);
		w[i].still = w[i].pid && moves == w[i].seen ? w[i].still + 1 : 0;
		w[i].seen = moves;
		if (is_stuck(&w[i], rounds) && !stuck)
			stuck = &w[i];
	}
	return stuck;
}

static void add(char *text, size_t size, const char *what)
{
	size_t len = strlen(text);

	snprintf(text + len, size - len, "%s\n", what);
	ksft_print_msg("%s\n", what);
}

/* Lines of a file, each indented. */
static void add_file(char *text, size_t size, pid_t pid, const char *file)
{
	static char path[64], content[4096], line[160];
	char *p, *next;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	if (dm_read_path(path, content, sizeof(content)) < 0)
		return;
	for (p = content; *p; p = next) {
		next = p + strcspn(p, "\n");
		if (*next)
			*next++ = '\0';
		snprintf(line, sizeof(line), "    %s: %s", file, p);
		add(text, size, line);
	}
}

static void add_process(char *text, size_t size, pid_t pid, const char *what)
{
	static char line[160];

	snprintf(line, sizeof(line), "%s, pid %d, state %c", what, pid, dm_state_of(pid));
	add(text, size, line);
	add_file(text, size, pid, "wchan");
	add_file(text, size, pid, "stack");
}

void dm_name_stuck(const struct dm_watched *w, char *text, size_t size)
{
	static char what[128];
	pid_t child;
	DIR *proc;

	text[0] = '\0';
	snprintf(what, sizeof(what), "%s has not moved in %u rounds; %s", w->name, w->still,
		 w->doing);
	add_process(text, size, w->pid, what);
	proc = opendir("/proc");
	while (proc && (child = next_child(proc, w->pid)))
		add_process(text, size, child, "  its child");
	if (proc)
		closedir(proc);
}
