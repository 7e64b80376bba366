// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kselftest.h"

#include "io.h"
#include "scene.h"
#include "view.h"

char *dm_view(void)
{
	static char text[65536];
	char key[32], *p, *end;

	snprintf(key, sizeof(key), "pid: %d\n", dm_scene->victim);
	dm_read(DM_HOLD "observe", text, sizeof(text));
	p = strstr(text, key);
	end = p ? strstr(p, "\n\n") : NULL;
	if (end)
		end[1] = '\0';
	return p;
}

bool dm_says(const char *view, const char *fmt, ...)
{
	static char line[128];
	va_list args;
	int n;

	va_start(args, fmt);
	n = snprintf(line, sizeof(line), "\n");
	n += vsnprintf(line + n, sizeof(line) - n, fmt, args);
	va_end(args);
	snprintf(line + n, sizeof(line) - n, "\n");
	return strstr(view, line);
}

/* How many lines begin so. */
static int count(const char *text, const char *key)
{
	int n = 0;

	for (; (text = strstr(text, key)); text++)
		n++;
	return n;
}

static const char *compare(char *text, int users)
{
	const struct dm_vma *v = &dm_scene->maps.vma[dm_scene->fail];
	enum dm_held_at at = dm_scene->at;
	const char *flags = at == DM_BEFORE || dm_is_bare() ? "-" :
		at == DM_UNLOCKED ? "oom-skip" : "oom-skip,unstable";
	bool open = at >= DM_AFTER_UNLOCK;
	bool stale = open && dm_left();

	if (!text)
		return "hold/observe does not show it";
	if (!dm_says(text, "at: %s", dm_places[at]) ||
	    !dm_says(text, "recovery: %s", dm_scene->recovery))
		return "hold/observe shows another one";
	if (!dm_says(text, "verdict: %s", stale ? "stale" : open ? "clean" : "locked"))
		return "the verdict is another one";
	if (!dm_says(text, "mm-flags: %s", flags))
		return "the flags are others";
	if (!dm_says(text, "mm-users: %d", users))
		return "mm_users is another one";
	if (count(text, "\nentry: own ") != (stale ? dm_scene->fail : 0) ||
	    count(text, "\nentry: marker ") != stale ||
	    count(text, "\nentry: parent ") !=
	    (stale ? dm_scene->maps.nr - dm_scene->fail - 1 : 0))
		return "the entries are others";
	if (stale && (!dm_says(text, "entry: marker %lx-%lx", v->start, v->end) ||
		      !dm_says(text, "find-vma: %lx parent %lx-%lx", v->start, v[1].start,
			       v[1].end)))
		return "the marker is elsewhere";
	if (open && !stale && !dm_says(text, "find-vma: %lx none", v->start))
		return "find_vma() finds something";
	return "";
}

const char *dm_check_view(int users)
{
	char *text = dm_view(), *next;
	const char *why = compare(text, users);

	for (; *why && text && *text; text = next) {
		next = text + strcspn(text, "\n");
		next += !!*next;
		ksft_print_msg("%.*s", (int)(next - text), text);
	}
	return why;
}
