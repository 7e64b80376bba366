// SPDX-License-Identifier: GPL-2.0
//
// Where the tree walk stops and where the range of VMAs ends are not the same.
//
// error[E0308]: arguments to this method are incorrect

use crate::mm::{
    Building,
    ChildMm,
    Classified,
    PgtableCeiling, //
};

fn case(child: ChildMm<'_, Building>) {
    if let Classified::Copied(child) = child.classify() {
        let (tree_end, vma_end) = (child.tree_end(), child.vma_end());

        let _ = child.unmap(vma_end, tree_end, PgtableCeiling::user());
    }
}
