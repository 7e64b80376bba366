// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>

#include "kselftest.h"

#include "io.h"
#include "say.h"
#include "sights.h"

static char text[262144];

const char *dm_get_held(struct dm_held_list *held)
{
	const char *p, *next;
	int end = 0;

	held->nr = 0;
	if (dm_read(DM_HOLD "held", text, sizeof(text)) <= 0)
		return "hold/held cannot be read";
	if (sscanf(text, "# pid at recovery ms of comm (missed %lu)%n", &held->missed, &end) != 1 ||
	    !end || text[end] != '\n')
		return "the first line of hold/held is another one";
	for (p = text + end + 1; *p; p = next + 1) {
		struct dm_held_line *line = &held->line[held->nr++];

		next = strchr(p, '\n');
		if (!next || held->nr > DM_MAX_HELD)
			return "hold/held has too many lines, or half a one";
		end = 0;
		if (sscanf(p, "%d %31s %31s %ld %ld%n", &line->pid, line->at, line->recovery,
			   &line->ms, &line->timeout, &end) != 5 || p[end] != ' ')
			return say("hold/held: %.*s", (int)(next - p), p);
		end++;
		snprintf(line->comm, sizeof(line->comm), "%.*s", (int)(next - p - end), p + end);
	}
	return "";
}

int dm_nr_held(pid_t pid)
{
	struct dm_held_list held;
	int i, nr = 0;

	if (*dm_get_held(&held))
		return -1;
	for (i = 0; i < held.nr; i++)
		nr += !pid || held.line[i].pid == pid;
	return nr;
}

/* The value of that key, whose line *p is at, and goes past. NULL: it is another one. */
static const char *value_of(char **p, const char *key)
{
	size_t len = strlen(key);
	char *value = *p, *end = strchr(*p, '\n');

	if (strncmp(value, key, len) || strncmp(value + len, ": ", 2) || !end)
		return NULL;
	*end = '\0';
	*p = end + 1;
	return value + len + 2;
}

static bool parse_entry(const char *value, struct dm_entry *e)
{
	int end = 0;

	return sscanf(value, "%15s %lx-%lx%n", e->kind, &e->start, &e->end, &end) == 3 &&
		!value[end];
}

static const char *parse_sight(char **p, struct dm_sight *s)
{
	const char *v;
	int end = 0;

	memset(s, 0, sizeof(*s));
	v = value_of(p, "pid");
	if (!v || sscanf(v, "%d%n", &s->pid, &end) != 1 || v[end])
		return "hold/observe: no pid";
	v = value_of(p, "at");
	if (!v)
		return "hold/observe: no at";
	snprintf(s->at, sizeof(s->at), "%s", v);
	v = value_of(p, "recovery");
	if (!v)
		return "hold/observe: no recovery";
	snprintf(s->recovery, sizeof(s->recovery), "%s", v);
	v = value_of(p, "mm-flags");
	if (!v)
		return "hold/observe: no mm-flags";
	snprintf(s->flags, sizeof(s->flags), "%s", v);
	v = value_of(p, "mm-users");
	if (!v || sscanf(v, "%ld%n", &s->users, &end) != 1 || v[end])
		return "hold/observe: no mm-users";
	while ((v = value_of(p, "entry")))
		if (s->nr == ARRAY_SIZE(s->entry) || !parse_entry(v, &s->entry[s->nr++]))
			return "hold/observe: a bad entry";
	v = value_of(p, "find-vma");
	if (v) {
		s->has_find = true;
		if (sscanf(v, "%lx %n", &s->addr, &end) != 1)
			return "hold/observe: a bad find-vma";
		if (strcmp(v + end, "none") && !parse_entry(v + end, &s->found))
			return "hold/observe: a bad find-vma";
	}
	v = value_of(p, "verdict");
	if (!v)
		return "hold/observe: no verdict";
	snprintf(s->verdict, sizeof(s->verdict), "%s", v);
	if (*(*p)++ != '\n')
		return "hold/observe: no empty line behind a child";
	return "";
}

const char *dm_get_sights(struct dm_sights *sights)
{
	char *p = text;
	const char *why;

	sights->nr = 0;
	if (dm_read(DM_HOLD "observe", text, sizeof(text)) < 0)
		return "hold/observe cannot be read";
	for (; *p; sights->nr++) {
		if (sights->nr == DM_MAX_HELD)
			return "hold/observe has too many children";
		why = parse_sight(&p, &sights->child[sights->nr]);
		if (*why)
			return why;
	}
	return "";
}
