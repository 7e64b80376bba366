/* SPDX-License-Identifier: GPL-2.0 */
/* Loading and unloading the module. */
#ifndef DM_MODULE_H
#define DM_MODULE_H

#include <stdbool.h>
#include <sys/types.h>

bool dm_loaded(void);
bool dm_load(void);
/* The file of it, or NULL. */
const char *dm_module_file(void);
/* From that file: 0 or an errno. */
int dm_load_file(const char *path);
/* 0 or an errno. Waits for the forks that are under way, in delete_module(). */
int dm_unload(void);
/* By a process of its own, which ends with that errno. */
pid_t dm_begin_unload(void);
/* For dm_wait_until(): that process waits for the forks, or has ended. */
bool dm_unload_waits(void *pid);

#endif /* DM_MODULE_H */
