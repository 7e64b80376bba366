/* SPDX-License-Identifier: GPL-2.0 */
/* hold/observe: what there is to be found of the child of dm_scene. */
#ifndef DM_VIEW_H
#define DM_VIEW_H

#include <stdbool.h>

/* What it says of the victim's fork, in a static buffer. NULL: it is not held. */
char *dm_view(void);
/* Whether that has such a line. */
bool dm_says(const char *view, const char *fmt, ...);
/* To the entry, and who uses the mm: "" or what is not as it should be. */
const char *dm_check_view(int users);

#endif /* DM_VIEW_H */
