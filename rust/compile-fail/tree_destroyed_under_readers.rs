// SPDX-License-Identifier: GPL-2.0
//
// A tree that others walk under RCU cannot be destroyed.
//
// error[E0599]: no method named `destroy` found for struct `VmaTree<'_, InRcu>` in the current scope

use crate::mm::{
    InRcu,
    VmaTree, //
};

fn case(tree: VmaTree<'_, InRcu>) {
    // SAFETY: There is none.
    unsafe { tree.destroy() };
}
