/* SPDX-License-Identifier: GPL-2.0 */
/* Files that are replaced by others, for one process and those that it forks. */
#ifndef DM_MOUNTS_H
#define DM_MOUNTS_H

#include <stdbool.h>

/* Before all: what is mounted from now on others do not see. /tmp is empty. */
bool dm_own_mounts(void);
/* From now on the file has this text. */
bool dm_mount_over(const char *path, const char *text);
/* The last of these is undone. */
bool dm_unmount(const char *path);

#endif /* DM_MOUNTS_H */
