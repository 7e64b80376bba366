// SPDX-License-Identifier: GPL-2.0
//
// No copy is taken apart while the entries of the tree can be looked at.
//
// error[E0599]: no method named `gather` found for struct `ChildMm<'_, Building<'_>>` in the current scope

use crate::{
    mm::{
        Building,
        ChildMm,
        NextGroup, //
    }, //
};

fn case(child: ChildMm<'_, Building<'_>>) {
    let _ = child.gather(|mut copies| loop {
        match copies.next() {
            NextGroup::Group(group) => copies = group.zap().unlink().free_pgtables().remove(),
            NextGroup::Done(done) => return done,
        }
    });
}
