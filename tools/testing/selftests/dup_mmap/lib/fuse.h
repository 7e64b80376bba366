/* SPDX-License-Identifier: GPL-2.0 */
/* A file that a process of the test serves, and that answers when the test likes. */
#ifndef DM_FUSE_H
#define DM_FUSE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct dm_fuse_shared;

struct dm_fuse {
	pid_t server;
	int bell;			/* which the server hears */
	int file;			/* open to read and to write */
	struct dm_fuse_shared *shared;	/* with the server */
};

/*
 * NULL, or why there can't be one. Nothing of it outlives this process: without
 * the server each request fails, and nobody waits any more.
 */
const char *dm_fuse_begin(struct dm_fuse *fuse);
void dm_fuse_end(struct dm_fuse *fuse);

/*
 * From now on requests of this kind (FUSE_READ, FUSE_WRITE, ...; as many calls, as
 * many kinds) are not answered, until dm_fuse_let_go() or until that takes too long.
 */
void dm_fuse_hold(struct dm_fuse *fuse, uint32_t opcode);
void dm_fuse_let_go(struct dm_fuse *fuse);
/* Requests that wait. */
int dm_fuse_waiting(const struct dm_fuse *fuse);
/* It took too long, and they were answered after all. */
bool dm_fuse_gave_up(const struct dm_fuse *fuse);

#endif /* DM_FUSE_H */
