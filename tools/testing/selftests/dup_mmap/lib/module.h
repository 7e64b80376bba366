/* SPDX-License-Identifier: GPL-2.0 */
/* Loading and unloading the module. */
#ifndef DM_MODULE_H
#define DM_MODULE_H

#include <stdbool.h>
#include <sys/types.h>

bool dm_loaded(void);
bool dm_load(void);
/* Where its file for this kernel is; "" if there is none. Looked for once. */
const char *dm_find_module(void);
/* The same without another process, which might be made to fail: 0 or an errno. */
int dm_insert(void);
/* 0 or an errno. Waits for the forks that are under way, in delete_module(). */
int dm_unload(void);
/* By a process of its own, which ends with that errno. */
pid_t dm_begin_unload(void);
/* For dm_wait_until(): that process waits for the forks, or has ended. */
bool dm_unload_waits(void *pid);

#endif /* DM_MODULE_H */
