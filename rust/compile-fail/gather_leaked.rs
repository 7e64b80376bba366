// SPDX-License-Identifier: GPL-2.0
//
// A gather does not outlive the call that lends it, so it is always finished.
//
// error[E0521]: borrowed data escapes outside of closure

use crate::mm::{
    Building,
    ChildMm, //
};

fn case(child: ChildMm<'_, Building<'_>>) {
    let (child, _) = child.let_parent_go();
    let mut kept = None;

    let _ = child.gather(|copies| {
        kept = Some(copies);
        loop {}
    });
}
