// SPDX-License-Identifier: GPL-2.0
//
// A group is not dropped half-way: its VMAs would leak.
//
// error: unused `Group` that must be used

#![deny(unused_must_use)]

use crate::mm::{
    Building,
    ChildMm,
    NextGroup, //
};

fn case(child: ChildMm<'_, Building<'_>>) {
    let (child, _) = child.let_parent_go();

    let _ = child.gather(|copies| match copies.next() {
        NextGroup::Group(group) => {
            group.zap().unlink().free_pgtables();
            loop {}
        }
        NextGroup::Done(done) => done,
    });
}
