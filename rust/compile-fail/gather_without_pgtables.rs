// SPDX-License-Identifier: GPL-2.0
//
// Unmapping is not done before the page tables are freed.
//
// error[E0308]: mismatched types

use crate::mm::{
    Building,
    ChildMm,
    Classified,
    Copies,
    Flush,
    PgtableCeiling, //
};

fn case(child: ChildMm<'_, Building>) -> Option<Copies<'_>> {
    let Classified::Copied(child) = child.classify() else {
        return None;
    };

    Some(child.gather(Flush::Range, |child| {
        child.unmap_vmas(PgtableCeiling::user())
    }))
}
