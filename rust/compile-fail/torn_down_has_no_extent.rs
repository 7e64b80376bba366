// SPDX-License-Identifier: GPL-2.0
//
// An empty tree has no VMAs of anybody's to ask about.
//
// error[E0599]: no method named `extent` found for struct `TornDown` in the current scope

use crate::mm::{
    Extent,
    TornDown, //
};

fn case(torn_down: TornDown<'_>) -> Extent {
    torn_down.extent()
}
