// SPDX-License-Identifier: GPL-2.0
//
// A half-built mm is not reported as torn down.
//
// error[E0308]: mismatched types

use crate::{
    hook::Recovered,
    mm::{
        Building,
        ChildMm, //
    },
    recovery::Report, //
};

fn case<'a>(child: ChildMm<'a, Building>, report: Report) -> Recovered<'a> {
    Recovered::TornDown(child, report)
}
