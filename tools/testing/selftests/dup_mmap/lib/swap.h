/* SPDX-License-Identifier: GPL-2.0 */
/* Swap on a compressed RAM disk. */
#ifndef DM_SWAP_H
#define DM_SWAP_H

#include <stdbool.h>
#include <stddef.h>

/* Swap on zram0, prepared as mkswap would. NULL, or why there is none. */
const char *dm_swap_on(void);
void dm_swap_off(void);
/* Pages it all out. Looking at it brings it back. */
bool dm_page_out(void *p, size_t len);

#endif /* DM_SWAP_H */
