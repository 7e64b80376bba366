/* SPDX-License-Identifier: GPL-2.0 */
/* Constants of C that Rust relies on; rust/bindings.rs compares them. */
#ifndef DUP_MMAP_RECOVERY_LAYOUT_H
#define DUP_MMAP_RECOVERY_LAYOUT_H

#include <linux/mm_types.h>
#include <linux/pgtable.h>
#include <linux/stddef.h>

#include <asm/tlb.h>

#include "helpers.h"

enum helper_layout {
	SIZEOF_VMA = sizeof(struct vm_area_struct),
	OFFSETOF_VMA_START = offsetof(struct vm_area_struct, vm_start),
	OFFSETOF_VMA_END = offsetof(struct vm_area_struct, vm_end),
	OFFSETOF_VMA_MM = offsetof(struct vm_area_struct, vm_mm),
	OFFSETOF_VMA_FLAGS = offsetof(struct vm_area_struct, vm_flags),
	OFFSETOF_VMA_OPS = offsetof(struct vm_area_struct, vm_ops),
	OFFSETOF_VMA_PGOFF = offsetof(struct vm_area_struct, vm_pgoff),
	OFFSETOF_VMA_FILE = offsetof(struct vm_area_struct, vm_file),
	SIZEOF_MM = sizeof(struct mm_struct),
	OFFSETOF_MM_MT = offsetof(struct mm_struct, mm_mt),
	OFFSETOF_MM_MAP_COUNT = offsetof(struct mm_struct, map_count),
	SIZEOF_MA_STATE = sizeof(struct ma_state),
	OFFSETOF_MA_STATE_TREE = offsetof(struct ma_state, tree),
	OFFSETOF_MA_STATE_INDEX = offsetof(struct ma_state, index),
	OFFSETOF_MA_STATE_LAST = offsetof(struct ma_state, last),
	OFFSETOF_MA_STATE_NODE = offsetof(struct ma_state, node),
	OFFSETOF_MA_STATE_MAX = offsetof(struct ma_state, max),
	OFFSETOF_MA_STATE_STATUS = offsetof(struct ma_state, status),
	OFFSETOF_MA_STATE_STORE_TYPE = offsetof(struct ma_state, store_type),
	SIZEOF_VMA_ITERATOR = sizeof(struct vma_iterator),
	OFFSETOF_VMA_ITERATOR_MAS = offsetof(struct vma_iterator, mas),
	/* PMD_SIZE: what a page table maps. */
	PMD_BYTES = PMD_SIZE,
	SIZEOF_MMU_GATHER = sizeof(struct mmu_gather),
	ZERO_ENTRY = HELPER_ZERO_ENTRY,
};

#endif /* DUP_MMAP_RECOVERY_LAYOUT_H */
