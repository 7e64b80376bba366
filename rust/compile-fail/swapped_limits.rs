// SPDX-License-Identifier: GPL-2.0
//
// Where the tree walk stops and where the range of VMAs ends are not the same.
//
// error[E0308]: arguments to this function are incorrect

use crate::mm::unmap::{
    PgtableCeiling,
    TreeEnd,
    UnmapRange,
    VmaEnd, //
};

fn case(tree_end: TreeEnd, vma_end: VmaEnd) -> UnmapRange {
    UnmapRange::new(vma_end, tree_end, PgtableCeiling::user())
}
