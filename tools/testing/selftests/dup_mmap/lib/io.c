// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"

#include "io.h"

/* Open files of this process, with numbers above those of all others. */
#define FIRST_KEPT	64

static struct {
	char path[96];
	int flags, fd;
} kept[24];
static size_t nr_kept;
static pid_t keeper;

static pthread_rwlock_t *open_lock;

void dm_open_under(pthread_rwlock_t *lock)
{
	open_lock = lock;
}

/* A negative errno if it can't be opened. */
static int open_now(const char *path, int flags)
{
	bool locks = open_lock && !strncmp(path, DM_DIR, strlen(DM_DIR));
	int fd;

	if (locks)
		pthread_rwlock_rdlock(open_lock);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	if (locks)
		pthread_rwlock_unlock(open_lock);
	return fd;
}

void dm_keep_open(void)
{
	dm_close_kept();
	keeper = getpid();
}

bool dm_close_kept(void)
{
	bool mine = keeper == getpid();

	if (mine)
		while (nr_kept)
			close(kept[--nr_kept].fd);
	/* Of another process they are, and in it they do no harm. */
	nr_kept = 0;
	keeper = 0;
	return mine;
}

static int open_file(const char *path, int flags)
{
	bool keep = keeper && keeper == getpid();
	size_t i;
	int fd, up;

	for (i = 0; keep && i < nr_kept; i++) {
		if (kept[i].flags != flags || strcmp(kept[i].path, path))
			continue;
		/* Where that fails, it makes no difference to writes. */
		lseek(kept[i].fd, 0, SEEK_SET);
		return kept[i].fd;
	}
	fd = open_now(path, flags);
	if (fd < 0)
		return fd;
	/* Some files can be read but once. */
	if (!keep || nr_kept == ARRAY_SIZE(kept) || strlen(path) >= sizeof(kept->path) ||
	    (flags == O_RDONLY && lseek(fd, 0, SEEK_CUR)))
		return fd;
	up = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_KEPT);
	if (up < 0)
		return fd;
	close(fd);
	strcpy(kept[nr_kept].path, path);
	kept[nr_kept].flags = flags;
	kept[nr_kept++].fd = up;
	return up;
}

static void close_file(int fd)
{
	size_t i;

	for (i = 0; i < nr_kept; i++)
		if (kept[i].fd == fd && keeper == getpid())
			return;
	close(fd);
}

ssize_t dm_read_path(const char *path, char *buf, size_t size)
{
	int fd = open_file(path, O_RDONLY);
	size_t len = 0;
	ssize_t n;

	buf[0] = '\0';
	if (fd < 0)
		return fd;
	while (len < size - 1) {
		n = read(fd, buf + len, size - 1 - len);
		if (n < 0) {
			n = -errno;
			close_file(fd);
			return n;
		}
		if (!n)
			break;
		len += n;
	}
	close_file(fd);
	buf[len] = '\0';
	return len;
}

static int write_bytes(const char *path, const void *data, size_t len, off_t off)
{
	int fd = open_file(path, O_WRONLY), ret;
	ssize_t n;

	if (fd < 0)
		return fd;
	if (off)
		n = pwrite(fd, data, len, off);
	else
		n = write(fd, data, len);
	if (n < 0)
		ret = -errno;
	else
		ret = (size_t)n == len ? 0 : -EIO;
	close_file(fd);
	return ret;
}

int dm_write_path(const char *path, const char *text)
{
	return write_bytes(path, text, strlen(text), 0);
}

const char *dm_path(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", DM_DIR, name);
	return path;
}

ssize_t dm_read(const char *name, char *buf, size_t size)
{
	return dm_read_path(dm_path(name), buf, size);
}

int dm_write(const char *name, const char *text)
{
	return dm_write_path(dm_path(name), text);
}

int dm_write_bytes(const char *name, const void *data, size_t len, off_t off)
{
	return write_bytes(dm_path(name), data, len, off);
}

long dm_read_number(const char *path)
{
	char buf[64], *end;
	long v;

	if (dm_read_path(path, buf, sizeof(buf)) <= 0)
		return -1;
	v = strtol(buf, &end, 0);
	return end == buf ? -1 : v;
}

int dm_nr_lines(const char *text)
{
	int n = 0;

	for (text = strchr(text, '\n'); text && text[1]; text = strchr(text + 1, '\n'))
		n++;
	return n;
}

char *dm_bracketed(char *text)
{
	char *open = strchr(text, '['), *close;

	close = open ? strchr(open, ']') : NULL;
	if (!close)
		return NULL;
	*close = '\0';
	return open + 1;
}
