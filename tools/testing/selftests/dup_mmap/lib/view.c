// SPDX-License-Identifier: GPL-2.0
#include <stddef.h>

#include "scene.h"
#include "stay.h"
#include "view.h"

const struct dm_sight *dm_view(void)
{
	static struct dm_sights sights;
	int i;

	if (*dm_get_sights(&sights))
		return NULL;
	for (i = 0; i < sights.nr; i++)
		if (sights.child[i].pid == dm_scene->victim)
			return &sights.child[i];
	return NULL;
}

const char *dm_check_view(void)
{
	const struct dm_sight *s = dm_view();

	return s ? dm_check_sight(dm_scene->victim, &dm_scene->maps, &dm_scene->stay, s) :
		"hold/observe does not show it";
}
