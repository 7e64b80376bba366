// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"

ssize_t dm_read_path(const char *path, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;
	int fd;

	buf[0] = '\0';
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (len < size - 1) {
		n = read(fd, buf + len, size - 1 - len);
		if (n < 0) {
			n = -errno;
			close(fd);
			return n;
		}
		if (!n)
			break;
		len += n;
	}
	close(fd);
	buf[len] = '\0';
	return len;
}

static int write_bytes(const char *path, const void *data, size_t len, off_t off)
{
	ssize_t n;
	int fd, ret;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (off)
		n = pwrite(fd, data, len, off);
	else
		n = write(fd, data, len);
	if (n < 0)
		ret = -errno;
	else
		ret = (size_t)n == len ? 0 : -EIO;
	close(fd);
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

char *dm_bracketed(char *text)
{
	char *open = strchr(text, '['), *close;

	close = open ? strchr(open, ']') : NULL;
	if (!close)
		return NULL;
	*close = '\0';
	return open + 1;
}
