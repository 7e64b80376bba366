// SPDX-License-Identifier: GPL-2.0
//
// A half-built mm that is left is not handed back as torn down.
//
// error[E0308]: mismatched types

use crate::{
    hook::Recovered,
    mm::{
        Building,
        ChildMm, //
    }, //
};

fn case<'a>(child: ChildMm<'a, Building<'a>>) -> Recovered<'a> {
    Recovered::TornDown(child.leave(true))
}
