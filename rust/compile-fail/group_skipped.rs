// SPDX-License-Identifier: GPL-2.0
//
// The next group is reached by removing this one, not past it.
//
// error[E0382]: use of moved value: `copies`

use crate::mm::{
    Building,
    ChildMm,
    NextGroup, //
};

fn case(child: ChildMm<'_, Building<'_>>) {
    let (child, _) = child.let_parent_go();

    let _ = child.gather(|copies| loop {
        if let NextGroup::Done(done) = copies.next() {
            return done;
        }
    });
}
