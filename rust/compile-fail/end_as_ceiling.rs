// SPDX-License-Identifier: GPL-2.0
//
// The end of the copied VMAs is no ceiling for page tables: they would leak.
//
// error[E0308]: mismatched types

// What rust/mm/ keeps to itself, compiled here too.
#[rustfmt::skip]
#[path = "mm/pgtables.rs"]
mod pgtables;

use crate::mm::{
    view,
    Extent, //
};
use pgtables::PgtableCeiling;

fn case(extent: Extent) -> PgtableCeiling {
    PgtableCeiling::below(extent.end())
}
