/* SPDX-License-Identifier: GPL-2.0 */
/* Loading and unloading the module. */
#ifndef DM_MODULE_H
#define DM_MODULE_H

#include <stdbool.h>

bool dm_loaded(void);
bool dm_load(void);
/* 0 or an errno. Waits for the forks that are under way, in delete_module(). */
int dm_unload(void);

#endif /* DM_MODULE_H */
