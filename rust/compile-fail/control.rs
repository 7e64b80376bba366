// SPDX-License-Identifier: GPL-2.0
//
// What the other cases misuse, used as it is meant: this one must compile.

#![deny(unused_must_use)]

// What rust/mm/ keeps to itself, compiled here too.
#[rustfmt::skip]
#[path = "mm/pgtables.rs"]
mod pgtables;

use crate::{
    alloc_window::AllocWindow,
    hook::Recovered,
    mm::{
        view::{
            self,
            Entry,
            MmView, //
        },
        Building,
        ChildMm,
        Empty,
        Extent,
        InRcu,
        Leftover,
        MmapWriteGuard,
        NextGroup,
        Report,
        Vma,
        VmaTree, //
    },
    recovery::{
        recover,
        take_apart, //
    }, //
};
use kernel::{
    mm::{
        Mm,
        MmWithUser, //
    },
    prelude::*, //
};
use pgtables::PgtableCeiling;

fn send<T: Send>(_: T) {}

fn nr_pages_of_the_parent(child: &ChildMm<'_, Building<'_>>) -> usize {
    let pages = |entry| match entry {
        Entry::Other(range) => range.nr_pages(),
        _ => 0,
    };

    child.entries().map(pages).sum()
}

fn step_by_step<'a>(child: ChildMm<'a, Building<'a>>) -> (Recovered<'a>, Option<Report>) {
    if child.extent() == Extent::Nothing || nr_pages_of_the_parent(&child) == child.nr_copied() {
        return (Recovered::Declined(child), None);
    }

    let (child, _) = child.let_parent_go();
    let child = child.gather(|mut copies| loop {
        match copies.next() {
            NextGroup::Group(group) => copies = group.zap().unlink().free_pgtables().remove(),
            NextGroup::Done(done) => return done,
        }
    });
    let torn_down = child.destroy_tree();
    let report = torn_down.report();

    (Recovered::TornDown(torn_down), Some(report))
}

fn at_once<'a>(child: ChildMm<'a, Building<'a>>) -> Recovered<'a> {
    Recovered::TornDown(recover(child, || ()))
}

fn left<'a>(child: ChildMm<'a, Building<'a>>) -> Recovered<'a> {
    Recovered::Left(child.leave(true))
}

fn later(leftover: Leftover<&MmWithUser>) -> Report {
    leftover.pin().take_apart(take_apart)
}

fn locks(parent: &Mm, child: &Mm) -> Result<bool> {
    let mut parent = MmapWriteGuard::lock(parent);
    let pending = parent.proof().tlb_flush_pending();
    // SAFETY: There is none.
    let mut pair = unsafe { parent.lock_child(child) }?;
    let (parent, child) = pair.proof().split();
    let parent = VmaTree::<InRcu>::new(parent).ok_or(EINVAL)?;
    // SAFETY: There is none.
    let child = unsafe { VmaTree::<Empty>::new(child) }.ok_or(EBUSY)?;
    let nr = child.duplicate(&parent, |entries| entries.count())?;

    drop(pair.unlock_child());
    Ok(pending && nr == 0)
}

fn vmas(mm: &MmWithUser) -> Option<usize> {
    let view = MmView::lock(mm);
    let vma = view.vmas().next();
    let file = vma.and_then(|vma| vma.file());
    let entry = view.unread_entries().next();

    entry
        .filter(|_| file.is_none())
        .map(|entry| entry.range().first())
}

fn window() -> bool {
    AllocWindow::open(None).close().failed
}

fn ceiling(next: Option<Vma<'_>>) -> PgtableCeiling {
    send(Extent::Nothing);
    next.map_or_else(PgtableCeiling::user, PgtableCeiling::below)
}
