// SPDX-License-Identifier: GPL-2.0

//! Recovery of a `dup_mmap()` that failed half-way.
//!
//! When it is over nobody who takes the child's lock finds a VMA. It allocates nothing, and there
//! is nothing in it that could fail. The kernel's own does the same in three walks of the tree, and
//! with the parent's lock held to the end.
//!
//! C: `dup_mmap_recover()` in [`mm/dup_mmap.h`](srctree/mm/dup_mmap.h)

#![forbid(unsafe_code)]

use crate::{
    missing::cond_resched,
    mm::{
        Alone,
        Building,
        ChildMm,
        NextGroup,
        TornDown, //
    }, //
};

/// Takes apart what `dup_mmap()` had built of `child`, and calls `parent_gone` if the parent's mmap
/// lock is dropped before that.
///
/// May sleep: it closes files, and lets others run between two groups of VMAs.
pub(crate) fn recover<'a>(
    child: ChildMm<'a, Building<'a>>,
    parent_gone: impl FnOnce(),
) -> TornDown<'a> {
    child.set_oom_skip();
    let (child, gone) = child.let_parent_go();
    if gone {
        parent_gone();
    }
    take_apart(child)
}

/// The part that needs the child's mmap lock only.
pub(crate) fn take_apart<'a>(child: ChildMm<'a, Alone>) -> TornDown<'a> {
    let child = child.gather(|mut copies| loop {
        match copies.next() {
            NextGroup::Group(group) => {
                copies = group.zap().unlink().free_pgtables().remove();
                cond_resched();
            }
            NextGroup::Done(done) => return done,
        }
    });
    let torn_down = child.destroy_tree();

    torn_down.set_unstable();
    torn_down
}
