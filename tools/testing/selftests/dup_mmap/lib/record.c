// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kselftest.h"

#include "io.h"
#include "record.h"
#include "say.h"

/* `key: value` lines */

static const char *value_of(const char *text, const char *key)
{
	size_t len = strlen(key);
	const char *p = text;

	while (p && *p) {
		if (!strncmp(p, key, len) && !strncmp(p + len, ": ", 2))
			return p + len + 2;
		p = strchr(p, '\n');
		if (p)
			p++;
	}
	return NULL;
}

static bool get_string(const char *text, const char *key, char *out, size_t size)
{
	const char *v = value_of(text, key);
	size_t len = v ? strcspn(v, "\n") : 0;

	if (!v || !len || len >= size)
		return false;
	memcpy(out, v, len);
	out[len] = '\0';
	return true;
}

static bool get_long(const char *text, const char *key, long *out)
{
	char s[32], *end;

	if (!get_string(text, key, s, sizeof(s)))
		return false;
	errno = 0;
	*out = strtol(s, &end, 10);
	return !errno && end != s && !*end;
}

static bool get_count(const char *text, const char *key, unsigned long *out)
{
	long v;

	if (!get_long(text, key, &v) || v < 0)
		return false;
	*out = v;
	return true;
}

const char *dm_get_record(struct dm_record *rec)
{
	static char text[4096];
	char s[64], *end;
	long v;
	ssize_t n;

	memset(rec, 0, sizeof(*rec));
	n = dm_read("last", text, sizeof(text));
	if (n <= 0)
		return say("reading last: %zd", n);
	if (!strcmp(text, "none\n")) {
		rec->none = true;
		return "";
	}
	if (!get_long(text, "pid", &v))
		return "last: no pid";
	rec->pid = v;
	if (!get_string(text, "comm", rec->comm, sizeof(rec->comm)))
		return "last: no comm";
	if (!get_string(text, "point", rec->point, sizeof(rec->point)))
		return "last: no point";
	if (!get_long(text, "vma-index", &v))
		return "last: no vma-index";
	rec->index = v;
	if (!get_string(text, "vma", s, sizeof(s)))
		return "last: no vma";
	rec->has_vma = strcmp(s, "-");
	if (rec->has_vma) {
		int len = 0;

		if (sscanf(s, "%lx-%lx%n", &rec->start, &rec->end_addr, &len) != 2 ||
		    s[len])
			return say("last: vma is '%s'", s);
	}
	if (!get_long(text, "errno", &v))
		return "last: no errno";
	rec->err = v;
	if (!get_string(text, "injected", s, sizeof(s)) || s[1] ||
	    (s[0] != 'y' && s[0] != 'n'))
		return say("last: injected is '%s'", s);
	rec->injected = s[0];
	if (!get_count(text, "seed", &rec->seed))
		return "last: no seed";
	if (!get_count(text, "alloc-nth", &rec->alloc_nth))
		return "last: no alloc-nth";
	if (!get_count(text, "recovery-alloc-nth", &rec->recovery_alloc_nth))
		return "last: no recovery-alloc-nth";
	if (!get_string(text, "recovery-alloc-failed", s, sizeof(s)) || s[1] ||
	    (s[0] != 'y' && s[0] != 'n'))
		return say("last: recovery-alloc-failed is '%s'", s);
	rec->recovery_alloc_failed = s[0];
	if (!get_string(text, "recovery", rec->recovery, sizeof(rec->recovery)))
		return "last: no recovery";
	if (!get_string(text, "class", rec->class, sizeof(rec->class)))
		return "last: no class";
	if (!get_string(text, "end", s, sizeof(s)))
		return "last: no end";
	rec->has_end = strcmp(s, "-");
	if (rec->has_end) {
		if (strncmp(s, "0x", 2))
			return say("last: end is '%s'", s);
		rec->end = strtoull(s, &end, 16);
		if (*end)
			return say("last: end is '%s'", s);
	}
	if (!get_count(text, "vmas-copied", &rec->copied))
		return "last: no vmas-copied";
	if (!get_count(text, "vmas-torn-down", &rec->torn_down))
		return "last: no vmas-torn-down";
	if (!get_count(text, "pages-uncharged", &rec->uncharged))
		return "last: no pages-uncharged";
	if (!get_string(text, "mm-flags", rec->mm_flags, sizeof(rec->mm_flags)))
		return "last: no mm-flags";
	if (!get_count(text, "ns", &rec->ns))
		return "last: no ns";
	if (!get_count(text, "parent-lock-ns", &rec->parent_lock_ns))
		return "last: no parent-lock-ns";
	return "";
}

const char *dm_get_stats(struct dm_stats *stats)
{
	static char text[4096];
	ssize_t n = dm_read("stats", text, sizeof(text));
	size_t i;
	const struct {
		const char *key;
		unsigned long *v;
	} k[] = {
		{ "forks", &stats->forks },
		{ "failed", &stats->failed },
		{ "injected", &stats->injected },
		{ "allocs-failed", &stats->allocs_failed },
		{ "allocs-missed", &stats->allocs_missed },
		{ "recovered-rust", &stats->rust },
		{ "recovered-upstream", &stats->upstream },
		{ "left-xa-zero", &stats->left },
		{ "vmas-torn-down", &stats->torn_down },
		{ "pages-uncharged", &stats->uncharged },
	};

	if (n <= 0)
		return say("reading stats: %zd", n);
	for (i = 0; i < ARRAY_SIZE(k); i++)
		if (!get_count(text, k[i].key, k[i].v))
			return say("stats: no %s", k[i].key);
	return "";
}

const char *dm_get_counts(struct dm_counts *counts)
{
	static char text[8192];
	char name[32];
	char *line = text, *next;
	ssize_t n = dm_read("points", text, sizeof(text));
	int p, err;

	if (n <= 0)
		return say("reading points: %zd", n);
	if (*line != '#')
		return "points: no header line";
	for (p = -1; *line; line = next, p++) {
		next = strchr(line, '\n');
		if (!next)
			return "points: the last line is cut off";
		*next++ = '\0';
		if (p < 0)
			continue;
		if (p == DM_NR_POINTS ||
		    sscanf(line, "%31s %d %lu %lu", name, &err, &counts->hits[p],
			   &counts->injected[p]) != 4 ||
		    strcmp(name, dm_points[p].name))
			return say("points: unexpected line '%s'", line);
	}
	return p == DM_NR_POINTS ? "" : "points: lines are missing";
}
