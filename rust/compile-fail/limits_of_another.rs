// SPDX-License-Identifier: GPL-2.0
//
// How far a child is unmapped is not for others to say: behind it are the parent's VMAs.
//
// error[E0308]: mismatched types

use crate::mm::{
    Building,
    ChildMm,
    Classified,
    Copies,
    Flush,
    UnmapRange, //
};

fn case<'a>(child: ChildMm<'a, Building>, range: UnmapRange) -> Option<Copies<'a>> {
    let Classified::Copied(child) = child.classify() else {
        return None;
    };

    Some(child.gather(Flush::Range, |child| {
        child.unmap_vmas(range).free_pgtables()
    }))
}
