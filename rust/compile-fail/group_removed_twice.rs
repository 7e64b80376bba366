// SPDX-License-Identifier: GPL-2.0
//
// VMAs that are gone cannot be removed again.
//
// error[E0382]: use of moved value: `group`

use crate::mm::{
    Building,
    ChildMm,
    NextGroup, //
};

fn case(child: ChildMm<'_, Building<'_>>) {
    let (child, _) = child.let_parent_go();

    let _ = child.gather(|mut copies| loop {
        match copies.next() {
            NextGroup::Group(group) => {
                let group = group.zap().unlink().free_pgtables();

                group.remove();
                copies = group.remove();
            }
            NextGroup::Done(done) => return done,
        }
    });
}
