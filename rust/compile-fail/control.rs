// SPDX-License-Identifier: GPL-2.0
//
// What the other cases misuse, used as it is meant: this one must compile.

use crate::{
    hook::Recovered,
    mm::{
        Building,
        Charge,
        ChildMm,
        Classified,
        Flush,
        NextCopy,
        PgtableCeiling, //
    },
    recovery::Report, //
};

fn case<'a>(child: ChildMm<'a, Building>) -> Recovered<'a> {
    let extent = child.extent();
    let mut nr_vmas = child.nr_copied();
    let mut nr_accounted = 0;

    let child = match child.classify() {
        Classified::Nothing(child) => child,
        Classified::Copied(child) => {
            let mut copies = child.gather(Flush::FullMm, |child| {
                child.unmap_vmas(PgtableCeiling::user()).free_pgtables()
            });
            let mut sum = Charge::NONE;

            loop {
                match copies.next() {
                    NextCopy::Vma(vma) => {
                        let (charge, rest) = vma.remove();

                        sum = sum.and(charge);
                        nr_vmas += 1;
                        copies = rest;
                    }
                    NextCopy::Done(child) => {
                        nr_accounted += sum.give_back();
                        break child;
                    }
                }
            }
        }
    };
    Recovered::TornDown(
        child.destroy_tree(),
        Report {
            extent,
            nr_vmas,
            nr_accounted,
        },
    )
}
