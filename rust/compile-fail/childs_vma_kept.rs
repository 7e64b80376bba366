// SPDX-License-Identifier: GPL-2.0
//
// A copied VMA is gone with its removal.
//
// error[E0505]: cannot move out of `copy` because it is borrowed

use crate::mm::{
    Copies,
    NextCopy, //
};

fn case(copies: Copies<'_>) -> Option<usize> {
    let NextCopy::Vma(copy) = copies.next() else {
        return None;
    };
    let vma = copy.vma();
    let (charge, _rest) = copy.remove();

    Some(charge.give_back() + vma.start())
}
