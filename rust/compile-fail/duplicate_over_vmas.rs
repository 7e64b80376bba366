// SPDX-License-Identifier: GPL-2.0
//
// Only an empty tree becomes a duplicate.
//
// error[E0599]: no method named `duplicate` found for struct `VmaTree<'_, InRcu>` in the current scope

use crate::mm::{
    InRcu,
    VmaTree, //
};
use kernel::error::Result;

fn case(child: VmaTree<'_, InRcu>, parent: &VmaTree<'_, InRcu>) -> Result {
    child.duplicate(parent, |_entries| ())
}
