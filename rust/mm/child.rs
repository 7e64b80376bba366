// SPDX-License-Identifier: GPL-2.0

//! The child's mm, from a half-built tree to an empty one.
//!
//! `dup_mmap()` first duplicates the parent's maple tree, entries and all, and then replaces the
//! entries one by one with copies of the VMAs. When it fails half-way the tree holds the child's
//! VMAs up to some address and *the parent's* from there on. Each step of the way out is a type,
//! and each method takes the mm out of one state and into the next:
//!
//! ```text
//! ChildMm<Building>    both mmap locks are held; the parent's VMAs in the tree can be looked at
//!       | let_parent_go
//! ChildMm<Alone>       only the child's is; what is not a copy may be freed at any time
//!       | gather             lends the Copies, a Group at a time; see group.rs
//! ChildMm<NoCopies>    nothing that the tree refers to is the child's
//!       | destroy_tree       gives the accounted pages back
//! TornDown             the tree is empty; the only state with a Report
//! ```
//!
//! No state hands out a VMA of the parent, and only `Building::entries` reads one, for its `vm_mm`.
//!
//! Or the mm is left as it is, for comparison: see leftover.rs.
//!
//! C: `dup_mmap_recover()` and `tear_down_vmas()` in [`mm/dup_mmap.h`](srctree/mm/dup_mmap.h)

use super::{
    gather::MmuGather,
    group::{
        find_copy,
        remove_kept,
        Copies,
        Counts,
        Done,
        Gathering, //
    },
    leftover::Left,
    lock::{
        ParentLock,
        WriteLocked, //
    },
    tree::{
        Empty,
        NotInRcu,
        VmaTree, //
    },
    view::{
        self,
        AddrRange,
        Entries,
        Vma, //
    },
    Extent, Report,
};
use crate::bindings::raw;
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    mm::Mm, //
};

/// State: the tree is partly the child's, as far as its [`Extent`] says, and both mmap locks are
/// held for writing.
pub(crate) struct Building<'a> {
    extent: Extent,
    /// Where the first VMA is that was not copied.
    failed: Option<AddrRange>,
    parent: ParentLock<'a>,
}

/// State: as [`Building`], and the parent's mmap lock may have been dropped.
///
/// The entries at or behind the end of the extent may dangle.
pub(crate) struct Alone {
    extent: Extent,
}

/// State: no VMA that the tree refers to is the child's, unless it is freed already.
pub(crate) struct NoCopies {
    report: Report,
}

/// The mm that `dup_mmap()` was building.
///
/// # Invariants
///
/// - `mas` is a state of the tree, valid for `'a`, and nobody else uses it.
/// - The tree's entries are what the state `S` says. In [`Building`] and [`Alone`] those that start
///   below the end of the extent, and no others, are VMAs of this mm.
pub(crate) struct ChildMm<'a, S> {
    tree: VmaTree<'a, NotInRcu>,
    mas: NonNull<bindings::ma_state>,
    state: S,
}

// In any state.
impl<'a, S> ChildMm<'a, S> {
    /// The same mm in the state that `f` makes of this one.
    fn map<T>(self, f: impl FnOnce(S) -> T) -> ChildMm<'a, T> {
        ChildMm {
            tree: self.tree,
            mas: self.mas,
            state: f(self.state),
        }
    }

    /// How many VMAs were copied, `mm->map_count`.
    pub(crate) fn nr_copied(&self) -> usize {
        // SAFETY: The tree's lock keeps the mm valid.
        let count = unsafe { raw::helper_mm_map_count(self.tree.mm().as_ptr()) };

        // Never negative.
        count as usize
    }

    /// The mm as others know it. That the tree of `self` is being changed its lock tells them.
    pub(crate) fn mm(&self) -> &Mm {
        // SAFETY: The tree's lock keeps the mm valid.
        unsafe { Mm::from_raw(self.tree.mm().as_ptr()) }
    }

    /// Keeps the OOM killer away from memory that is being freed already, `MMF_OOM_SKIP`.
    pub(crate) fn set_oom_skip(&self) {
        // SAFETY: The tree's lock keeps the mm valid; the flags are atomic.
        unsafe { raw::helper_mm_set_oom_skip(self.tree.mm().as_ptr()) };
    }
}

impl<'a> ChildMm<'a, Building<'a>> {
    /// Takes over the mm of a `dup_mmap()` that has just failed.
    ///
    /// # Safety
    ///
    /// - `child` is the lock of an mm whose tree `dup_mmap()` has duplicated from the mm of
    ///   `parent`, and `vmi`, valid for `'a` and used by nobody else, is an iterator over it.
    /// - `failed` is `None`, and the tree holds none but the child's VMAs; or it is the tree's first
    ///   entry that is the parent's, provided that any VMA was copied at all.
    pub(crate) unsafe fn from_raw(
        child: WriteLocked<'a>,
        parent: ParentLock<'a>,
        vmi: NonNull<bindings::vma_iterator>,
        failed: Option<Vma<'_>>,
    ) -> Self {
        // INVARIANT: The caller says so; `extent` is what `dup_mmap_recover()` makes of these.
        let mut child = Self {
            // SAFETY: The caller says that `dup_mmap()` has duplicated the tree.
            tree: unsafe { VmaTree::of_child(child) },
            // An iterator is its state and nothing else.
            mas: vmi.cast(),
            state: Building {
                extent: Extent::Nothing,
                failed: failed
                    .as_ref()
                    .and_then(|vma| AddrRange::new(vma.start(), vma.end().wrapping_sub(1))),
                parent,
            },
        };
        if child.nr_copied() != 0 {
            child.state.extent = match failed {
                Some(failed) => Extent::Below(failed.start()),
                None => Extent::Everything,
            };
        }
        child
    }

    /// How far the copying came.
    pub(crate) fn extent(&self) -> Extent {
        self.state.extent
    }

    /// What the tree has: copies, and the parent's VMAs, of which it tells no more than where.
    pub(crate) fn entries(&self) -> Entries<'_> {
        // SAFETY: The tree has the child's VMAs and the parent's, and in this state the locks of
        // both are held.
        unsafe { self.tree.entries_of_two(usize::MAX) }
    }

    /// Drops the parent's mmap lock, if this architecture can do without it, and says whether it
    /// did: then the parent's other threads need not wait for the teardown.
    ///
    /// C: `dup_mmap_unlock_parent()`
    pub(crate) fn let_parent_go(self) -> (ChildMm<'a, Alone>, bool) {
        let mut gone = false;
        let child = self.map(|Building { extent, parent, .. }| {
            gone = parent.unlock();
            Alone { extent }
        });

        (child, gone)
    }

    /// Leaves the mm as it is, with a mark in place of the first VMA that was not copied. With
    /// `hide`, says that it is not to be used: `MMF_UNSTABLE`, and `MMF_OOM_SKIP` if there is a mark.
    ///
    /// C: `dup_mmap()` of Linux 6.8 to 6.19; `hide` since commit 64c37e134b12
    pub(crate) fn leave(self, hide: bool) -> Left<'a> {
        let Building { extent, failed, .. } = self.state;

        if let Some(range) = failed {
            // SAFETY: By the type invariants the state is valid and ours.
            let mas = unsafe { &mut *self.mas.as_ptr() };

            view::reset_to(mas, range);
            // SAFETY: The tree's lock, the mmap lock, is held for writing. The range is that of an
            // entry, so the mark takes its place and nothing is allocated.
            unsafe {
                bindings::mas_store(mas, core::ptr::without_provenance_mut(view::ZERO_ENTRY))
            };
        }
        if hide {
            if failed.is_some() {
                // SAFETY: The tree's lock keeps the mm valid; the flags are atomic.
                unsafe { raw::helper_mm_set_oom_skip(self.tree.mm().as_ptr()) };
            }
            // SAFETY: `self.tree` still has the lock, which keeps the mm valid; this is an atomic flag.
            unsafe { raw::helper_mm_set_unstable(self.tree.mm().as_ptr()) };
        }
        Left {
            extent,
            unstable: hide,
            _locked: PhantomData,
        }
    }
}

impl<'a> ChildMm<'a, Alone> {
    /// Takes over the mm that [`ChildMm::leave`] has left.
    ///
    /// # Safety
    ///
    /// - What the tree of `locked` has below the end of `extent`, and nothing else, are VMAs of that
    ///   mm. `dup_mmap()` has duplicated the tree.
    /// - `mas`, valid for `'a` and used by nobody else, is a state of it.
    pub(super) unsafe fn left_behind(
        locked: WriteLocked<'a>,
        mas: NonNull<bindings::ma_state>,
        extent: Extent,
    ) -> Self {
        // SAFETY: The caller says that the state is valid and ours.
        let state = unsafe { &mut *mas.as_ptr() };

        // First what is not the mm's: where a flush walks its VMAs, it would come by these.
        view::reset_to(state, AddrRange::from(extent.end()));
        // SAFETY: The tree's lock, the mmap lock, is held for writing. What goes is not looked at.
        unsafe { raw::helper_mas_erase(state) };
        view::reset(state, 0);
        // SAFETY: The caller says that the state is valid, and what is below the end.
        while let Some(vma) = unsafe { find_copy(mas.as_ptr(), extent.end()) } {
            // SAFETY: It is a VMA of the mm whose lock is held for writing. `dup_mmap()` had
            // write-locked it too, until the mmap lock was dropped.
            unsafe { raw::helper_vma_start_write(vma.as_ptr()) };
        }
        // INVARIANT: The caller says so.
        Self {
            // SAFETY: The caller says that `dup_mmap()` has duplicated the tree.
            tree: unsafe { VmaTree::of_child(locked) },
            mas,
            state: Alone { extent },
        }
    }

    /// Lends the copied VMAs to `f`, if there are any, with a gather for their pages and page
    /// tables, which are freed when the TLBs have forgotten them.
    ///
    /// `f` has to go all the way to [`Done`]. The gather is gone when this returns, long before the
    /// lock is dropped.
    ///
    /// C: `flush_cache_mm()`, `unmap_region()`, `tear_down_vmas()`
    pub(crate) fn gather(
        self,
        f: impl for<'g> FnOnce(Copies<'a, 'g>) -> Done<'g>,
    ) -> ChildMm<'a, NoCopies> {
        let extent = self.state.extent;
        let mm = self.tree.mm();
        let mas = self.mas.as_ptr();
        // SAFETY: By the type invariants the state is valid and ours.
        view::reset(unsafe { &mut *mas }, 0);
        // SAFETY: By the type invariants what the tree has below the end is the child's, whose lock
        // is held for writing.
        let first = unsafe { find_copy(mas, extent.end()) };
        // SAFETY: Returns a constant.
        let keep = unsafe { raw::helper_flush_walks_vmas() };
        let mut removed = first.map_or(Counts::NONE, |first| {
            // SAFETY: The tree's lock keeps the mm valid.
            unsafe { raw::helper_flush_cache_mm(mm.as_ptr()) };
            // SAFETY: The tree's lock keeps the mm valid, and its counters are its own.
            unsafe { raw::helper_update_hiwater_rss(mm.as_ptr()) };
            // SAFETY: The child's lock is held for writing for `'a`, and nobody has run on the mm:
            // `fork()` has not made a task of it.
            let gather = unsafe { MmuGather::new(mm) };
            pin_init::stack_pin_init!(let gather = gather);
            // SAFETY: By the type invariants `first` and all that the tree has from behind it to
            // the end are the child's, and nobody else removes them. `keep` is set where a flush
            // walks the tree.
            let mut gathering =
                unsafe { Gathering::new(gather, self.mas, first, extent.end(), keep) };

            f(Copies::new(&mut gathering)).removed()
        });
        if keep {
            // SAFETY: The gather is finished. `Done` says that each VMA went through all of the way
            // but its removal; they are the child's, whose lock is held.
            removed = unsafe { remove_kept(self.mas, extent.end()) };
        }
        let differ = removed.nr_removed != self.nr_copied();

        // SAFETY: Only warns, as `tear_down_vmas()` does.
        unsafe { raw::helper_vm_warn_on_once(differ) };
        // INVARIANT: All that were below the end are removed, and behind it nothing is the child's.
        self.map(|_| NoCopies {
            report: Report {
                extent,
                nr_vmas: removed.nr_removed,
                nr_accounted: removed.nr_accounted,
            },
        })
    }
}

#[cfg(CONFIG_KUNIT = "y")]
impl ChildMm<'_, Alone> {
    /// How many VMAs a teardown would take, which for those of a test it cannot.
    pub(crate) fn nr_found(self) -> usize {
        let mas = self.mas.as_ptr();

        // SAFETY: By the type invariants the state is valid and ours.
        view::reset(unsafe { &mut *mas }, 0);
        // SAFETY: By the type invariants what the tree has below the end is the child's.
        core::iter::from_fn(|| unsafe { find_copy(mas, self.state.extent.end()) }).count()
    }
}

impl<'a> ChildMm<'a, NoCopies> {
    /// Frees the tree's nodes, but none of the parent's VMAs that are in it, and gives the accounted
    /// pages of the copies back.
    ///
    /// C: `__mt_destroy()`, `vm_unacct_memory()`
    pub(crate) fn destroy_tree(self) -> TornDown<'a> {
        let report = self.state.report;

        // SAFETY: Only adds to a counter. The pages were charged when the VMAs were copied, and
        // those are gone.
        unsafe { raw::dup_mmap_unacct_memory(report.nr_accounted) };
        TornDown {
            // SAFETY: By the state's invariant.
            tree: unsafe { self.tree.destroy() },
            report,
        }
    }
}

/// The mm that `dup_mmap()` was building, with an empty tree: the end of the way.
pub(crate) struct TornDown<'a> {
    tree: VmaTree<'a, Empty>,
    report: Report,
}

impl TornDown<'_> {
    /// Tells those who find the mm that it is not to be used, `MMF_UNSTABLE`.
    pub(crate) fn set_unstable(&self) {
        // SAFETY: The tree's lock keeps the mm valid; the flags are atomic.
        unsafe { raw::helper_mm_set_unstable(self.tree.mm().as_ptr()) };
    }

    /// What was undone on the way.
    pub(crate) fn report(&self) -> Report {
        self.report
    }
}
