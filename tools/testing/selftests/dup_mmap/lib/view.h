/* SPDX-License-Identifier: GPL-2.0 */
/* hold/observe: what there is to be found of the child of dm_scene. */
#ifndef DM_VIEW_H
#define DM_VIEW_H

#include "sights.h"

/* What it has of the victim's fork, in a static buffer. NULL: it is not held. */
const struct dm_sight *dm_view(void);
/* To the entry: "" or what is not as it should be. */
const char *dm_check_view(void);

#endif /* DM_VIEW_H */
