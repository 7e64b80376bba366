// SPDX-License-Identifier: GPL-2.0
//
// A VMA that is gone cannot be removed again.
//
// error[E0382]: use of moved value: `vma`

use crate::mm::{
    Charge,
    Copies,
    NextCopy, //
};

fn case(copies: Copies<'_>) -> Option<(Charge, Charge)> {
    let NextCopy::Vma(vma) = copies.next() else {
        return None;
    };
    let (first, _) = vma.remove();
    let (second, _) = vma.remove();

    Some((first, second))
}
