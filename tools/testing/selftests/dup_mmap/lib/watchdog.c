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
		if (!stuck && w[i].still >= rounds)
			stuck = &w[i];
	}
	return stuck;
}

static pid_t parent_of(pid_t pid)
{
	const char *parent = dm_status_of(pid, "PPid");

	return parent ? strtol(parent, NULL, 10) : -1;
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
	struct dirent *e;
	DIR *d;

	text[0] = '\0';
	snprintf(what, sizeof(what), "%s has not moved in %u rounds; %s", w->name, w->still,
		 w->doing);
	add_process(text, size, w->pid, what);
	d = opendir("/proc");
	while (d && (e = readdir(d)))
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9' &&
		    parent_of(atoi(e->d_name)) == w->pid)
			add_process(text, size, atoi(e->d_name), "  its child");
	if (d)
		closedir(d);
}
