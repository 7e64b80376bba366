/* SPDX-License-Identifier: GPL-2.0 */
/* One process with VMAs of every kind that fork() treats in its own way. */
#ifndef VMA_KINDS_H
#define VMA_KINDS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What belongs to the whole system, for so many processes: swap, the pool of
 * huge pages. What can't be had makes a kind missing, and is no error. vk_end()
 * puts it back, also for processes that have ended.
 */
void vk_begin(int nr_processes);
void vk_end(void);

/*
 * Maps all of them into this process. NULL, or why that can't be done.
 * *missing names the kinds that can't be had here.
 */
const char *vk_build(char *missing, size_t size);

/* The kind of the VMA that begins there; vk_nr() if it is none of these. */
size_t vk_kind_of(unsigned long start);
size_t vk_nr(void);
const char *vk_name(size_t kind);

/*
 * Whether all of it still is as it was built, swapped out and merged pages
 * among it: "" or what is not.
 */
const char *vk_check(void);

#endif /* VMA_KINDS_H */
