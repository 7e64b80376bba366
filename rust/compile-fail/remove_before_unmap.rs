// SPDX-License-Identifier: GPL-2.0
//
// A VMA that is still mapped cannot be removed.
//
// error[E0599]: no method named `next` found for struct `ChildMm` in the current scope

use crate::mm::{
    Building,
    ChildMm,
    Classified, //
};

fn case(child: ChildMm<'_, Building>) {
    if let Classified::Copied(child) = child.classify() {
        child.next();
    }
}
