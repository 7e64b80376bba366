// SPDX-License-Identifier: GPL-2.0
//
// A gather does not outlive what it is for, so it is always finished.
//
// error[E0521]: borrowed data escapes outside of closure

use crate::mm::{
    Building,
    ChildMm,
    Classified,
    Flush,
    PgtableCeiling, //
};

fn case(child: ChildMm<'_, Building>) {
    let Classified::Copied(child) = child.classify() else {
        return;
    };
    let mut kept = None;

    let _ = child.gather(Flush::Range, |child| {
        kept = Some(child.unmap_vmas(PgtableCeiling::user()));
        loop {}
    });
}
