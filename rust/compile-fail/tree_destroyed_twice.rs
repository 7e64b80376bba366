// SPDX-License-Identifier: GPL-2.0
//
// The tree is destroyed, and the accounted pages are given back, once.
//
// error[E0382]: use of moved value: `child`

use crate::mm::{
    Building,
    ChildMm,
    NextGroup, //
};

fn case(child: ChildMm<'_, Building<'_>>) {
    let (child, _) = child.let_parent_go();
    let child = child.gather(|mut copies| loop {
        match copies.next() {
            NextGroup::Group(group) => copies = group.zap().unlink().free_pgtables().remove(),
            NextGroup::Done(done) => return done,
        }
    });

    child.destroy_tree();
    child.destroy_tree();
}
