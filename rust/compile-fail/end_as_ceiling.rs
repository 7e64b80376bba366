// SPDX-License-Identifier: GPL-2.0
//
// The end of the copied VMAs is no ceiling for page tables: they would leak.
//
// error[E0308]: mismatched types

use crate::mm::unmap::{
    TreeEnd,
    UnmapRange,
    VmaEnd, //
};

fn case(tree_end: TreeEnd, vma_end: VmaEnd) -> UnmapRange {
    UnmapRange::new(tree_end, vma_end, vma_end)
}
