// SPDX-License-Identifier: GPL-2.0
//
// An empty tree has no VMAs of anybody's to ask about.
//
// error[E0599]: no method named `extent` found for struct `ChildMm<'_, TornDown>` in the current scope

use crate::mm::{
    ChildMm,
    Extent,
    TornDown, //
};

fn case(child: ChildMm<'_, TornDown>) -> Extent {
    child.extent()
}
