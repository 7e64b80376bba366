// SPDX-License-Identifier: GPL-2.0
//
// The tree stays until every copied VMA is removed.
//
// error[E0616]: field `child` of struct `Copies` is private

use crate::mm::{
    ChildMm,
    Copies,
    TornDown, //
};

fn case<'a>(copies: Copies<'a>) -> ChildMm<'a, TornDown> {
    copies.child.destroy_tree()
}
