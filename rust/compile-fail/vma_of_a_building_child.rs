// SPDX-License-Identifier: GPL-2.0
//
// While the tree holds VMAs of the parent, no VMA comes out of it.
//
// error[E0599]: no method named `next` found for struct `ChildMm` in the current scope

use crate::mm::{
    Building,
    ChildMm, //
};

fn case(child: ChildMm<'_, Building>) {
    child.next();
}
