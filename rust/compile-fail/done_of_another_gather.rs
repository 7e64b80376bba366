// SPDX-License-Identifier: GPL-2.0
//
// That one child's copies are all removed says nothing of another's.
//
// error: lifetime may not live long enough

use crate::mm::{
    Building,
    ChildMm,
    NextGroup, //
};

fn case(one: ChildMm<'_, Building<'_>>, other: ChildMm<'_, Building<'_>>) {
    let (one, _) = one.let_parent_go();
    let (other, _) = other.let_parent_go();

    let _ = one.gather(|copies| {
        if let NextGroup::Done(done) = copies.next() {
            let _ = other.gather(|_copies| done);
        }
        loop {}
    });
}
