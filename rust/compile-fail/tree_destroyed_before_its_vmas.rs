// SPDX-License-Identifier: GPL-2.0
//
// The tree stays until every copied VMA is removed.
//
// error[E0599]: no method named `destroy_tree` found for struct `ChildMm<'_, Alone>` in the current scope

use crate::mm::{
    Building,
    ChildMm,
    TornDown, //
};

fn case<'a>(child: ChildMm<'a, Building<'a>>) -> TornDown<'a> {
    let (child, _) = child.let_parent_go();

    child.destroy_tree()
}
