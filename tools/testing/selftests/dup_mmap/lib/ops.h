/* SPDX-License-Identifier: GPL-2.0 */
/* Operations on an address space, read from bytes: any bytes are some operations. */
#ifndef DM_OPS_H
#define DM_OPS_H

#include <stddef.h>
#include <stdint.h>

/* One operation, as it is in the bytes. */
struct dm_op {
	uint8_t what;		/* which one */
	uint8_t how;		/* protection, advice, flags: each takes what it needs */
	uint8_t at, len;	/* in pages, or in parts of a huge page */
	uint8_t to;		/* for those that need a second place */
};

#define DM_MAX_OPS	128

/*
 * Before anything else here: makes a file to map and one to read content from. A process
 * that carries out operations calls it itself, so that the files end with it.
 */
const char *dm_ops_begin(void);

/* Where they work: below everything else of a program that is position independent. */
char *dm_ops_start(void);
char *dm_ops_end(void);
/* Some address in between. */
char *dm_ops_at(uint8_t where);

/*
 * Carries it out, after those before it. That the kernel refuses it is no error. It may fork
 * and return in the child only; the parent then waits for the child and exits.
 */
void dm_do_op(const struct dm_op *op);
/* Ends the children that run beside this process, and waits for them. */
void dm_ops_done(void);

/*
 * In a static buffer, as a line to read: "madvise: 0x4003000, 2 pages, MADV_DONTFORK". Of those
 * before it, it has to be asked first: what some do depends on them.
 */
const char *dm_op_text(const struct dm_op *op);

#endif /* DM_OPS_H */
