// SPDX-License-Identifier: GPL-2.0
//
// The parent's lock is dropped once.
//
// error[E0599]: no method named `let_parent_go` found for struct `ChildMm<'_, Alone>` in the current scope

use crate::mm::{
    Building,
    ChildMm, //
};

fn case(child: ChildMm<'_, Building<'_>>) {
    let (child, _) = child.let_parent_go();
    let _ = child.let_parent_go();
}
