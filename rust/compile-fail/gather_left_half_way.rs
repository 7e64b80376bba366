// SPDX-License-Identifier: GPL-2.0
//
// A gather ends when every copied VMA is removed, and not before.
//
// error[E0308]: mismatched types

use crate::mm::{
    Building,
    ChildMm,
    NextGroup, //
};

fn case(child: ChildMm<'_, Building<'_>>) {
    let (child, _) = child.let_parent_go();

    let _ = child.gather(|copies| match copies.next() {
        NextGroup::Group(group) => group.zap().unlink().free_pgtables().remove(),
        NextGroup::Done(done) => done,
    });
}
