// SPDX-License-Identifier: GPL-2.0
//
// Page tables that still map pages cannot be freed.
//
// error[E0599]: no method named `free_pgtables` found for struct `ChildMm<'_, Gathering<'_, '_>>` in the current scope

use crate::mm::{
    Building,
    ChildMm,
    Classified,
    Copies,
    Flush, //
};

fn case(child: ChildMm<'_, Building>) -> Option<Copies<'_>> {
    let Classified::Copied(child) = child.classify() else {
        return None;
    };

    Some(child.gather(Flush::Range, |child| child.free_pgtables()))
}
