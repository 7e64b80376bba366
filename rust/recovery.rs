// SPDX-License-Identifier: GPL-2.0

//! Recovery of a `dup_mmap()` that failed half-way.
//!
//! Runs under both mmap locks. When it is over nobody who takes the child's lock finds a VMA. It
//! allocates nothing, and there is nothing in it that could fail.
//!
//! C: `dup_mmap_recover()` in [`mm/mmap.c`](srctree/mm/mmap.c)

#![forbid(unsafe_code)]

use crate::{
    bindings::{
        cond_resched,
        raw, //
    },
    mm::{
        Building,
        Charge,
        ChildMm,
        Classified,
        Copies,
        Extent,
        Flush,
        NextCopy,
        NoCopies,
        PgtableCeiling,
        TornDown, //
    }, //
};

/// What a recovery has undone.
#[derive(Clone, Copy)]
pub(crate) struct Report {
    /// How far the copied VMAs went.
    pub(crate) extent: Extent,
    /// Copied VMAs that were torn down.
    pub(crate) nr_vmas: usize,
    /// Pages given back to the commit limit.
    pub(crate) nr_accounted: usize,
}

/// Takes apart what `dup_mmap()` had built of `child`.
///
/// May sleep: it closes files, and lets others run between two VMAs.
pub(crate) fn recover(child: ChildMm<'_, Building>) -> (TornDown<'_>, Report) {
    let extent = child.extent();
    let mut nr_vmas = 0;
    let mut nr_accounted = 0;

    child.hide_from_oom_killer();
    let child = match child.classify() {
        Classified::Nothing(child) => child,
        Classified::Copied(child) => {
            // The tree ends where the parent's VMAs begin; page tables do not.
            let copies = child.gather(Flush::Range, |child| {
                child.unmap_vmas(PgtableCeiling::user()).free_pgtables()
            });
            let (child, removed, charge) = remove_all(copies);

            nr_vmas = removed;
            nr_accounted = charge.give_back();
            child
        }
    };
    let torn_down = child.destroy_tree();
    torn_down.mark_unstable();

    (
        torn_down,
        Report {
            extent,
            nr_vmas,
            nr_accounted,
        },
    )
}

/// Removes every copied VMA.
fn remove_all(mut copies: Copies<'_>) -> (ChildMm<'_, NoCopies>, usize, Charge) {
    let mut nr_vmas: usize = 0;
    let mut charge = Charge::NONE;

    loop {
        match copies.next() {
            NextCopy::Vma(vma) => {
                let (pages, rest) = vma.remove();

                charge = charge.and(pages);
                // Below the limit on VMAs of an mm.
                nr_vmas = nr_vmas.wrapping_add(1);
                copies = rest;
                cond_resched();
            }
            NextCopy::Done(child) => return (child, nr_vmas, charge),
        }
    }
}

impl From<raw::dup_mmap_recovery> for Report {
    fn from(recovery: raw::dup_mmap_recovery) -> Self {
        Self {
            extent: Extent::from_end(recovery.end),
            nr_vmas: recovery.nr_vmas,
            nr_accounted: recovery.nr_accounted,
        }
    }
}

impl From<Report> for raw::dup_mmap_recovery {
    fn from(report: Report) -> Self {
        Self {
            end: report.extent.end(),
            nr_vmas: report.nr_vmas,
            nr_accounted: report.nr_accounted,
        }
    }
}
