// SPDX-License-Identifier: GPL-2.0
//
// While a VMA's pages are mapped the reverse maps lead to it.
//
// error[E0599]: no method named `unlink` found for struct `Group<'_, '_, Mapped>` in the current scope

use crate::mm::{
    Building,
    ChildMm,
    NextGroup, //
};

fn case(child: ChildMm<'_, Building<'_>>) {
    let (child, _) = child.let_parent_go();

    let _ = child.gather(|mut copies| loop {
        match copies.next() {
            NextGroup::Group(group) => copies = group.unlink().free_pgtables().remove(),
            NextGroup::Done(done) => return done,
        }
    });
}
