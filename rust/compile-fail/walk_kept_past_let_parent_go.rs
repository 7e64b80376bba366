// SPDX-License-Identifier: GPL-2.0
//
// A walk that was begun under both locks does not go on under one.
//
// error[E0505]: cannot move out of `child` because it is borrowed

use crate::mm::{
    Building,
    ChildMm, //
};

fn case(child: ChildMm<'_, Building<'_>>) -> usize {
    let entries = child.entries();
    let _ = child.let_parent_go();

    entries.count()
}
