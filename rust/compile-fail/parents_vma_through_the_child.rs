// SPDX-License-Identifier: GPL-2.0
//
// Where the parent's VMAs are can be asked, and nothing else.
//
// error[E0599]: no method named `flags` found for struct `AddrRange` in the current scope

use crate::mm::{
    view::Entry,
    Building,
    ChildMm, //
};

fn case(child: &ChildMm<'_, Building>) -> usize {
    match child.entries().next() {
        Some(Entry::Other(vma)) => vma.flags(),
        _ => 0,
    }
}
