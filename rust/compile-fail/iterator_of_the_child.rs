// SPDX-License-Identifier: GPL-2.0
//
// Nor by the iterator, which would go on to the parent's VMAs.
//
// error[E0616]: field `mas` of struct `ChildMm` is private

use crate::mm::{
    Building,
    ChildMm, //
};

fn case(child: &ChildMm<'_, Building>) -> bool {
    child.mas.as_ptr().is_null()
}
