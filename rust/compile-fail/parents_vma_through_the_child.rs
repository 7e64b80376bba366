// SPDX-License-Identifier: GPL-2.0
//
// Of a VMA of the parent nobody learns more than where it is.
//
// error[E0599]: no method named `flags` found for struct `AddrRange` in the current scope

use crate::mm::{
    view::Entry,
    Building,
    ChildMm, //
};

fn case(child: &ChildMm<'_, Building<'_>>) -> usize {
    match child.entries().next() {
        Some(Entry::Other(vma)) => vma.flags(),
        _ => 0,
    }
}
