/* SPDX-License-Identifier: GPL-2.0 */
/* What libFuzzer (compiler-rt/lib/fuzzer/FuzzerInterface.h) has and expects, in its names. */
#ifndef DM_LIBFUZZER_H
#define DM_LIBFUZZER_H

#include <stddef.h>
#include <stdint.h>

/* Its main(); one() tries an input. Does not return when it was to search: it exits. */
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*one)(const uint8_t *data, size_t size));

/* Any of its own mutations: the new size, at most max. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

/* The program's: asked for each new input. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed);

/* It takes bytes that are not zero there for coverage, and clears them before each input. */
#define DM_EXTRA_COUNTERS	__attribute__((section("__libfuzzer_extra_counters")))

#endif /* DM_LIBFUZZER_H */
