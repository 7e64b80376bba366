// SPDX-License-Identifier: GPL-2.0
//
// A VMA is not removed before its page tables are freed: they would leak.
//
// error[E0599]: no method named `remove` found for struct `Group<'_, '_, Unlinked>` in the current scope

use crate::mm::{
    Building,
    ChildMm,
    NextGroup, //
};

fn case(child: ChildMm<'_, Building<'_>>) {
    let (child, _) = child.let_parent_go();

    let _ = child.gather(|mut copies| loop {
        match copies.next() {
            NextGroup::Group(group) => copies = group.zap().unlink().remove(),
            NextGroup::Done(done) => return done,
        }
    });
}
