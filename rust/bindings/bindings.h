/* SPDX-License-Identifier: GPL-2.0 */
/* What bindgen reads; rust/bindings/parameters says what it writes. */
#include <linux/dup_mmap.h>
#include <linux/fault-inject.h>
#include "mm/internal.h"
#include "helpers.h"
#include "layout.h"
