// SPDX-License-Identifier: GPL-2.0
//
// The next VMA is reached by removing this one, not past it.
//
// error[E0382]: use of moved value: `copies`

use crate::mm::{
    Copies,
    NextCopy, //
};

fn case<'a>(copies: Copies<'a>) -> NextCopy<'a> {
    if let NextCopy::Vma(_vma) = copies.next() {
        return copies.next();
    }
    copies.next()
}
