// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench.h"

#define MODULE		"dup_mmap_recovery"
#define DIR		"/sys/kernel/debug/" MODULE "/"
#define FAIL		"fail_dup_mmap/"

bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	return !close(fd) && ok;
}

const char *get(const char *path)
{
	static char text[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (len < 0)
		err(1, "cannot read %s", path);
	close(fd);
	text[len] = '\0';
	return text;
}

static void put_or_die(const char *path, const char *text)
{
	if (!put(path, text))
		err(1, "cannot write %s to %s", text, path);
}

static void set(const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), DIR "%s", name);
	put_or_die(path, text);
}

static void set_number(const char *name, long value)
{
	char text[24];

	snprintf(text, sizeof(text), "%ld", value);
	set(name, text);
}

bool loaded(void)
{
	return !access("/sys/module/" MODULE, F_OK);
}

static const char *module_path(void)
{
	static char path[256];
	struct utsname u;

	uname(&u);
	snprintf(path, sizeof(path), "/lib/modules/%s/updates/" MODULE ".ko", u.release);
	return path;
}

uint64_t load(void)
{
	int fd = open(module_path(), O_RDONLY | O_CLOEXEC);
	uint64_t start = now(CLOCK_MONOTONIC);

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		err(1, "%s cannot be loaded", module_path());
	start = now(CLOCK_MONOTONIC) - start;
	close(fd);
	return start;
}

void recover_with(enum state state)
{
	set("recovery", state_names[state]);
}

void enter(enum state state)
{
	if (state == OFF)
		return;
	if (state == NONE) {
		while (loaded() && syscall(SYS_delete_module, MODULE, O_NONBLOCK))
			if (errno != EAGAIN && errno != EBUSY)
				err(1, "cannot unload the module");
			else
				sleep_ns(MSEC);
		return;
	}
	if (!loaded())
		load();
	set("reset", "1");
	if (state == LOADED)
		return;
	if (state != ARMED)
		recover_with(state);
	set(FAIL "verbose", "0");
	set(FAIL "task-filter", "Y");
	set(FAIL "times", "-1");
	set(FAIL "probability", "100");
}

void aim(const char *where)
{
	bool all = !strcmp(where, "all");

	set(FAIL "point", all ? "arch-dup-mmap" : "vm-area-dup");
	set_number(FAIL "vma-index", all ? -1 : opt.vmas * strtol(where, NULL, 10) / 100);
}

#define FAILSLAB	"/sys/kernel/debug/failslab/"
#define SLAB		"/sys/kernel/slab/vm_area_struct/"

void fail_naturally(bool on)
{
	/* First nobody is to fail, and last this task. */
	put_or_die("/proc/self/make-it-fail", "0");
	put_or_die(FAILSLAB "task-filter", "Y");
	put_or_die(FAILSLAB "probability", on ? "100" : "0");
	put_or_die(FAILSLAB "times", on ? "-1" : "1");
	put_or_die(FAILSLAB "verbose", on ? "0" : "2");
	put_or_die(FAILSLAB "ignore-gfp-wait", on ? "N" : "Y");
	put_or_die(FAILSLAB "cache-filter", on ? "Y" : "N");
	put_or_die(SLAB "failslab", on ? "1" : "0");
	if (on)
		put_or_die("/proc/self/make-it-fail", "1");
	else
		put_or_die(FAILSLAB "task-filter", "N");
}

void aim_naturally(void)
{
	long size = strtol(get(SLAB "object_size"), NULL, 10);
	char text[24];

	/* Bytes; it fails when there are not more of them left than it wants. */
	snprintf(text, sizeof(text), "%ld", opt.vmas * size + 1);
	put_or_die(FAILSLAB "space", text);
}

const char *last_record(void)
{
	return get(DIR "last");
}

/* The value of a line "key: value", or NULL. */
static const char *value_of(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (; text; text = strchr(text, '\n'), text = text ? text + 1 : NULL)
		if (!strncmp(text, key, len) && text[len] == ':')
			return text + len + 2;
	return NULL;
}

bool has_field(const char *record, const char *key)
{
	return value_of(record, key);
}

static const char *field(const char *record, const char *key)
{
	const char *text = value_of(record, key);

	if (!text)
		errx(1, "the record has no %s:\n%s", key, record);
	return text;
}

uint64_t number_in(const char *record, const char *key)
{
	return strtoull(field(record, key), NULL, 10);
}

bool word_in(const char *record, const char *key, const char *word)
{
	const char *text = field(record, key);
	size_t len = strlen(word);

	return !strncmp(text, word, len) && text[len] == '\n';
}
