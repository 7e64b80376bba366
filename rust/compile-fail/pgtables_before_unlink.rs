// SPDX-License-Identifier: GPL-2.0
//
// Page tables that the reverse maps still lead to cannot be freed.
//
// error[E0599]: no method named `free_pgtables` found for struct `Group<'_, '_, Zapped>` in the current scope

use crate::mm::{
    Building,
    ChildMm,
    NextGroup, //
};

fn case(child: ChildMm<'_, Building<'_>>) {
    let (child, _) = child.let_parent_go();

    let _ = child.gather(|mut copies| loop {
        match copies.next() {
            NextGroup::Group(group) => copies = group.zap().free_pgtables().remove(),
            NextGroup::Done(done) => return done,
        }
    });
}
