// SPDX-License-Identifier: GPL-2.0
//
// What was undone is reported when all of it is.
//
// error[E0599]: no method named `report` found for struct `ChildMm` in the current scope

use crate::mm::{
    Building,
    ChildMm,
    NextGroup,
    Report, //
};

fn case(child: ChildMm<'_, Building<'_>>) -> Report {
    let (child, _) = child.let_parent_go();
    let child = child.gather(|mut copies| loop {
        match copies.next() {
            NextGroup::Group(group) => copies = group.zap().unlink().free_pgtables().remove(),
            NextGroup::Done(done) => return done,
        }
    });

    child.report()
}
