/* SPDX-License-Identifier: GPL-2.0 */
/* Operations on an address space, read from bytes: any bytes are some operations. */
#ifndef DM_OPS_H
#define DM_OPS_H

#include <stdint.h>
#include <stdio.h>

/* One operation, as it is in the bytes. */
struct dm_op {
	uint8_t what;		/* which one */
	uint8_t how;		/* protection, advice, flags: each takes what it needs */
	uint8_t at, len;	/* a range of arena.h */
	uint8_t to;		/* and its kind; for some a second place as well */
};

#define DM_MAX_OPS	128

/*
 * Before anything else of this and of arena.h: makes a file to map and one to read content
 * from. A process that carries out operations calls it itself, so that the files end with it.
 */
const char *dm_ops_begin(void);

/*
 * Carries it out, after those before it. That the kernel refuses it is no error. It may fork
 * and return in the child only; the parent then waits for the child and exits.
 */
void dm_do_op(const struct dm_op *op);
/* Ends the children that run beside this process, and waits for them. */
void dm_ops_done(void);

/*
 * A line of text: "  madvise: 0x4003000, 2 pages, MADV_DONTFORK". Those before it have to be
 * printed first: what some do depends on them.
 */
void dm_print_op(FILE *to, const struct dm_op *op);

#endif /* DM_OPS_H */
