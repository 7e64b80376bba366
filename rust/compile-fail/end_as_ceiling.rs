// SPDX-License-Identifier: GPL-2.0
//
// The end of the copied VMAs is no ceiling for page tables: they would leak.
//
// error[E0308]: mismatched types

use crate::mm::{
    Building,
    ChildMm,
    Classified, //
};

fn case(child: ChildMm<'_, Building>) {
    if let Classified::Copied(child) = child.classify() {
        let (tree_end, vma_end) = (child.tree_end(), child.vma_end());

        let _ = child.unmap(tree_end, vma_end, child.vma_end());
    }
}
