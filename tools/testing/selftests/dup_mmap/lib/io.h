/* SPDX-License-Identifier: GPL-2.0 */
/* Files, the module's among them. */
#ifndef DM_IO_H
#define DM_IO_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define DM_MODULE	"dup_mmap_recovery"
#define DM_DIR		"/sys/kernel/debug/" DM_MODULE
#define DM_FAIL		"fail_dup_mmap/"
#define DM_HOLD		"hold/"

#define DM_HUGE_SIZE	"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"

/* Of a file of the module, in a static buffer. */
const char *dm_path(const char *name);

/* Writes return 0 or a negative errno. */
ssize_t dm_read_path(const char *path, char *buf, size_t size);
int dm_write_path(const char *path, const char *text);
ssize_t dm_read(const char *name, char *buf, size_t size);
int dm_write(const char *name, const char *text);
int dm_write_bytes(const char *name, const void *data, size_t len, off_t off);
long dm_read_number(const char *path);

/*
 * From now on files that were read or written stay open, until told otherwise and
 * in this process only: to open a file takes the kernel ten times as long as to
 * read it. Some are of this process, and some keep the module busy.
 */
void dm_keep_open(void);
/* Whether there could be any. */
bool dm_close_kept(void);

/* From now on who opens a file of the module holds this for reading meanwhile. */
void dm_open_under(pthread_rwlock_t *lock);

/* Lines of a text behind the first one, which is its head. */
int dm_nr_lines(const char *text);

/* Of "a [b] c" the b, cut out in place; NULL if there is none. */
char *dm_bracketed(char *text);

#endif /* DM_IO_H */
