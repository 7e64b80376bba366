// SPDX-License-Identifier: GPL-2.0
//
// The parent's VMAs may be freed once its lock is dropped: nobody looks for them in the tree.
//
// error[E0599]: no method named `entries` found for struct `ChildMm<'_, Alone>` in the current scope

use crate::mm::{
    Building,
    ChildMm, //
};

fn case(child: ChildMm<'_, Building<'_>>) -> usize {
    let (child, _) = child.let_parent_go();

    child.entries().count()
}
