// SPDX-License-Identifier: GPL-2.0
//
// The tree stays until every copied VMA is removed.
//
// error[E0616]: field `child` of struct `Copies` is private

use crate::mm::{
    Copies,
    TornDown, //
};

fn case(copies: Copies<'_>) -> TornDown<'_> {
    copies.child.destroy_tree()
}
