// SPDX-License-Identifier: GPL-2.0
//
// A tree with another mm's VMAs is lent, and nothing of it can be kept.
//
// error: lifetime may not live long enough

use crate::mm::{
    view::Entries,
    Empty,
    InRcu,
    VmaTree, //
};
use kernel::error::Result;

fn case<'a>(child: VmaTree<'_, Empty>, parent: &'a VmaTree<'_, InRcu>) -> Result<Entries<'a>> {
    child.duplicate(parent, |entries| entries)
}
