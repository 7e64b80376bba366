// SPDX-License-Identifier: GPL-2.0

//! The child's mm, from a half-built tree to an empty one.
//!
//! `dup_mmap()` first duplicates the parent's maple tree, entries and all, and then replaces the
//! entries one by one with copies of the VMAs. When it fails half-way the tree holds the child's
//! VMAs up to some address and *the parent's* from there on. Each step of the way out is a type,
//! and each method takes the mm out of one state and into the next:
//!
//! ```text
//! ChildMm<Building> -- classify --+-- Copied:  ChildMm<Mapped> -- gather ----> Copies -- remove all
//!                                 |              : ChildMm<Gathering>  ^                     |
//!                                 |              :    unmap_vmas       :                     |
//!                                 |              : ChildMm<Unmapped>   :                     |
//!                                 |              :    free_pgtables    :                     |
//!                                 |              : ChildMm<Unlinked> ..:                     |
//!                                 |                                                          |
//!                                 +-- Nothing: ChildMm<NoCopies> <---------------------------+
//!                                                |
//!                                          destroy_tree --> TornDown
//! ```
//!
//! No state hands out a VMA of the parent, and only [`ChildMm::destroy_tree`] makes the proof that
//! the way was gone to its end.
//!
//! C: `dup_mmap_recover()` and `tear_down_vmas()` in [`mm/mmap.c`](srctree/mm/mmap.c),
//! `unmap_region()` in [`mm/vma.c`](srctree/mm/vma.c)

use super::{
    gather::{
        Flush,
        MmuGather, //
    },
    lock::WriteLockedPair,
    tree::{
        Empty,
        NotInRcu,
        VmaTree, //
    },
    unmap::{
        PgtableCeiling,
        RawRange,
        TreeEnd,
        UnmapRange,
        VmaEnd, //
    },
    view::{
        self,
        Entries,
        Found,
        Vma, //
    },
    Charge,
};
use crate::bindings::raw;
use core::{
    marker::PhantomData,
    pin::Pin,
    ptr::NonNull, //
};
use kernel::bindings;

/// How far `dup_mmap()` came with replacing the parent's VMAs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// No VMA in the tree is the child's.
    Nothing,
    /// VMAs below this address are, those at or above it are the parent's.
    Below(usize),
    /// All are.
    Everything,
}

impl Extent {
    /// As one number, the `end` of C: exclusive, 0 for nothing, `ULONG_MAX` for everything.
    pub(crate) fn end(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Below(end) => end,
            Self::Everything => usize::MAX,
        }
    }

    /// The inverse of [`Extent::end`].
    pub(crate) fn from_end(end: usize) -> Self {
        match end {
            0 => Self::Nothing,
            usize::MAX => Self::Everything,
            end => Self::Below(end),
        }
    }
}

/// State: the tree is partly the child's, as far as its [`Extent`] says.
pub(crate) struct Building {
    extent: Extent,
}

/// State: there is at least one copied VMA, and all are still mapped.
///
/// # Invariants
///
/// `first` is the first VMA of the tree and the child's own, and so are all that start below `end`.
/// The iterator stands behind it.
pub(crate) struct Mapped {
    first: NonNull<bindings::vm_area_struct>,
    end: usize,
}

/// Says which gather: one with another lifetime is another one, be it longer or shorter.
type Brand<'g> = PhantomData<fn(&'g ()) -> &'g ()>;

/// State: as [`Mapped`], and there is a gather to unmap with.
pub(crate) struct Gathering<'a, 'g> {
    mapped: Mapped,
    gather: Pin<&'g mut MmuGather<'a>>,
    brand: Brand<'g>,
}

/// State: the copied VMAs' pages are unmapped.
pub(crate) struct Unmapped<'a, 'g> {
    mapped: Mapped,
    gather: Pin<&'g mut MmuGather<'a>>,
    range: UnmapRange,
    brand: Brand<'g>,
}

/// State: the copied VMAs are out of the reverse maps too, and have no page tables.
pub(crate) struct Unlinked<'g> {
    mapped: Mapped,
    _brand: Brand<'g>,
}

/// State: no VMA that the tree refers to is the child's, unless it is freed already.
pub(crate) struct NoCopies(());

/// The mm that `dup_mmap()` was building.
///
/// # Invariants
///
/// - `mas` is a state of the tree, valid for `'a`, and nobody else uses it.
/// - The mmap lock of the parent, too, is held for writing for `'a`.
/// - The tree's entries are what the state `S` says.
pub(crate) struct ChildMm<'a, S> {
    tree: VmaTree<'a, NotInRcu>,
    mas: NonNull<bindings::ma_state>,
    state: S,
}

// In any state.
impl<'a, S> ChildMm<'a, S> {
    fn split(self) -> (ChildMm<'a, ()>, S) {
        let child = ChildMm {
            tree: self.tree,
            mas: self.mas,
            state: (),
        };

        (child, self.state)
    }

    /// The next VMA of the child's below `end`, going on from where the iterator is.
    ///
    /// Anything else ends the walk: behind it would be the parent's.
    fn find_own(&mut self, end: usize) -> Option<NonNull<bindings::vm_area_struct>> {
        // SAFETY: By the type invariants it is a state of the child's tree, and both locks are
        // held for writing.
        match unsafe { view::find(self.mas.as_ptr(), self.tree.mm(), end) } {
            Some(Found::Own(vma)) => Some(vma),
            Some(Found::Other | Found::Marker) | None => None,
        }
    }

    /// Lets the next [`Self::find_own`] start at `addr`.
    fn restart_at(&mut self, addr: usize) {
        // SAFETY: By the type invariants the state is valid and ours.
        view::reset(unsafe { self.mas.as_mut() }, addr);
    }

    /// How many VMAs were copied, `mm->map_count`.
    pub(crate) fn nr_copied(&self) -> usize {
        // SAFETY: The tree's lock keeps the mm valid.
        let count = unsafe { raw::helper_mm_map_count(self.tree.mm().as_ptr()) };

        // Never negative.
        count as usize
    }

    /// Keeps the OOM killer away from memory that is being freed already, `MMF_OOM_SKIP`.
    pub(crate) fn hide_from_oom_killer(&self) {
        // SAFETY: The tree's lock keeps the mm valid; the flags are atomic.
        unsafe { raw::helper_mm_set_oom_skip(self.tree.mm().as_ptr()) };
    }
}

impl<'a> ChildMm<'a, ()> {
    fn with_state<S>(self, state: S) -> ChildMm<'a, S> {
        ChildMm {
            tree: self.tree,
            mas: self.mas,
            state,
        }
    }
}

impl<'a> ChildMm<'a, Building> {
    /// Takes over the mm of a `dup_mmap()` that has just failed.
    ///
    /// # Safety
    ///
    /// - `dup_mmap()` has duplicated the child's tree, and `vmi`, valid for `'a` and used by nobody
    ///   else, is an iterator over it.
    /// - `failed` is `None`, and the tree holds none but the child's VMAs; or it is the tree's first
    ///   entry that is the parent's, provided that any VMA was copied at all.
    pub(crate) unsafe fn from_raw(
        locks: WriteLockedPair<'a>,
        vmi: NonNull<bindings::vma_iterator>,
        failed: Option<Vma<'a>>,
    ) -> Self {
        let (_, child) = locks.split();
        // INVARIANT: The caller says so; `extent` is what `dup_mmap_recover()` makes of these.
        let mut child = Self {
            // SAFETY: `dup_mmap()` has duplicated the tree, and `locks`, of which `child` is one
            // half, proves that both locks are held for `'a`.
            tree: unsafe { VmaTree::of_child(child) },
            // An iterator is its state and nothing else.
            mas: vmi.cast(),
            state: Building {
                extent: Extent::Nothing,
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
        self.tree.entries(usize::MAX)
    }

    /// Tells a tree with VMAs of the child's from one without.
    pub(crate) fn classify(self) -> Classified<'a> {
        let (mut child, Building { extent }) = self.split();
        let end = extent.end();

        child.restart_at(0);
        match child.find_own(end) {
            // INVARIANT: What the tree has below `end` is the child's, as `from_raw` was promised.
            Some(first) => Classified::Copied(child.with_state(Mapped { first, end })),
            // INVARIANT: There is nothing below `end`, and behind it nothing is the child's.
            None => Classified::Nothing(child.with_state(NoCopies(()))),
        }
    }
}

/// What [`ChildMm::classify`] finds.
pub(crate) enum Classified<'a> {
    /// The child has no VMA.
    Nothing(ChildMm<'a, NoCopies>),
    /// It has at least one.
    Copied(ChildMm<'a, Mapped>),
}

impl<'a> ChildMm<'a, Mapped> {
    /// Gathers what `f` unmaps of the copied VMAs, and frees it when the TLBs have forgotten it.
    ///
    /// `f` has to go all the way to [`Unlinked`]. The gather is gone when this returns, before any
    /// VMA can be removed and long before a lock is dropped.
    pub(crate) fn gather(
        self,
        flush: Flush,
        f: impl for<'g> FnOnce(ChildMm<'a, Gathering<'a, 'g>>) -> ChildMm<'a, Unlinked<'g>>,
    ) -> Copies<'a> {
        let (child, mapped) = self.split();
        let mm = child.tree.mm();
        // SAFETY: The tree's lock keeps the mm valid.
        unsafe { raw::helper_flush_cache_mm(mm.as_ptr()) };
        // SAFETY: The child's lock is held for writing for `'a`.
        let gather = unsafe { MmuGather::new(mm, flush) };

        pin_init::stack_pin_init!(let gather = gather);
        let child = child.with_state(Gathering {
            mapped,
            gather,
            brand: PhantomData,
        });
        let (mut child, Unlinked { mapped, .. }) = f(child).split();
        let Mapped { first, end } = mapped;

        // SAFETY: By the state's invariant it is a VMA of the child's, whose lock is held.
        child.restart_at(unsafe { Vma::from_raw(first) }.end());
        // INVARIANT: `first` is unmapped, and with it all that follow it below `end`.
        Copies {
            next: Some(first),
            nr_removed: 0,
            end,
            child,
        }
    }
}

impl<'a, 'g> ChildMm<'a, Gathering<'a, 'g>> {
    /// Unmaps the copied VMAs' pages, and none of the parent's: the other two limits are the
    /// child's own. Page tables will be freed up to `ceiling`.
    ///
    /// Sleeps; calls MMU notifiers, of which a child under construction has none.
    ///
    /// C: `update_hiwater_rss()`, `unmap_vmas()`
    pub(crate) fn unmap_vmas(self, ceiling: PgtableCeiling) -> ChildMm<'a, Unmapped<'a, 'g>> {
        let (
            mut child,
            Gathering {
                mapped,
                mut gather,
                brand,
            },
        ) = self.split();
        // Beyond the end are the parent's VMAs, for a walk of the tree and for the range alike.
        let range = UnmapRange::new(TreeEnd(mapped.end), VmaEnd(mapped.end), ceiling);

        // SAFETY: The tree's lock keeps the mm valid.
        unsafe { raw::helper_update_hiwater_rss(child.tree.mm().as_ptr()) };
        // SAFETY: The gather and the range are this mm's. By the state's invariant all VMAs in the
        // range are the child's.
        unsafe { gather.as_mut().unmap_vmas(&mut child.range(&mapped, range)) };

        // INVARIANT: Nothing but the iterator has moved, and the next step sets it.
        child.with_state(Unmapped {
            mapped,
            gather,
            range,
            brand,
        })
    }
}

impl<'a, 'g> ChildMm<'a, Unmapped<'a, 'g>> {
    /// Takes the copied VMAs out of the reverse maps and frees their page tables.
    ///
    /// C: `free_pgtables()`
    pub(crate) fn free_pgtables(self) -> ChildMm<'a, Unlinked<'g>> {
        let (
            mut child,
            Unmapped {
                mapped,
                mut gather,
                range,
                brand,
            },
        ) = self.split();

        // As in C: starting at 0 would find the first VMA once more.
        // SAFETY: By the state's invariant it is a VMA of the child's, whose lock is held.
        child.restart_at(unsafe { Vma::from_raw(mapped.first) }.end());
        // SAFETY: As in `unmap_vmas`, which has unmapped the pages.
        unsafe {
            gather
                .as_mut()
                .free_pgtables(&mut child.range(&mapped, range))
        };

        child.with_state(Unlinked {
            mapped,
            _brand: brand,
        })
    }
}

impl ChildMm<'_, ()> {
    /// From the first copied VMA to the limits, for a walk that goes on from the iterator.
    fn range(&mut self, mapped: &Mapped, range: UnmapRange) -> RawRange<'_> {
        // SAFETY: By the state's invariant it is a VMA of the child's, whose lock is held.
        let first = unsafe { Vma::from_raw(mapped.first) };

        // SAFETY: By the type invariants the state is valid and ours.
        RawRange::new(first, unsafe { self.mas.as_mut() }, range)
    }
}

/// The copied VMAs, unmapped and not removed yet, in the order of their addresses.
///
/// # Invariants
///
/// `next` and what the tree has between the iterator and `end` are unmapped VMAs of the child's.
#[must_use = "the VMAs are leaked unless each is removed"]
pub(crate) struct Copies<'a> {
    next: Option<NonNull<bindings::vm_area_struct>>,
    nr_removed: usize,
    end: usize,
    child: ChildMm<'a, ()>,
}

impl<'a> Copies<'a> {
    /// Gets at the next VMA, or says that there is none left.
    pub(crate) fn next(self) -> NextCopy<'a> {
        match self.next {
            // INVARIANT: `vma` is such a VMA, and by taking `self` apart its only owner.
            Some(vma) => NextCopy::Vma(CopiedVma { vma, rest: self }),
            None => {
                let differ = self.nr_removed != self.child.nr_copied();

                // SAFETY: Only warns, as `tear_down_vmas()` does.
                unsafe { raw::helper_vm_warn_on_once(differ) };
                // INVARIANT: All that were the child's are removed.
                NextCopy::Done(self.child.with_state(NoCopies(())))
            }
        }
    }
}

/// What [`Copies::next`] finds.
pub(crate) enum NextCopy<'a> {
    /// A VMA; the others can be reached by removing it.
    Vma(CopiedVma<'a>),
    /// Nothing: all are removed.
    Done(ChildMm<'a, NoCopies>),
}

/// A VMA that `fork()` had copied into the child, unmapped by now.
///
/// # Invariants
///
/// `vma` is attached to the child's mm, and this is the only reference to it.
#[must_use = "the VMA is leaked unless it is removed"]
pub(crate) struct CopiedVma<'a> {
    vma: NonNull<bindings::vm_area_struct>,
    rest: Copies<'a>,
}

impl<'a> CopiedVma<'a> {
    /// The VMA, while it is there.
    pub(crate) fn vma(&self) -> Vma<'_> {
        // SAFETY: By the type invariants it is valid, and its mm's lock held.
        unsafe { Vma::from_raw(self.vma) }
    }

    /// Detaches the VMA, closes it and frees it: `vma_mark_detached()` and `remove_vma()`.
    ///
    /// Sleeps. What it was charged for is left to the caller to give back.
    pub(crate) fn remove(self) -> (Charge, Copies<'a>) {
        let nr_accounted = self.vma().nr_accounted();
        let Self { vma, mut rest } = self;

        // SAFETY: By the type invariants the VMA is attached, and the mmap lock is write-held.
        unsafe { raw::helper_vma_mark_detached(vma.as_ptr()) };
        // SAFETY: It is unmapped, detached and ours. The tree still refers to it, but nobody
        // follows that: the iterator is past it, and the child's lock is not dropped before
        // `destroy_tree`.
        unsafe { raw::remove_vma(vma.as_ptr()) };

        // Below the limit on VMAs of an mm.
        rest.nr_removed = rest.nr_removed.wrapping_add(1);
        // INVARIANT: The iterator only moves forward, and the walk stops at `end`.
        rest.next = rest.child.find_own(rest.end);
        (Charge::of_removed_vma(nr_accounted), rest)
    }
}

impl<'a> ChildMm<'a, NoCopies> {
    /// Frees the tree's nodes, but none of the parent's VMAs that are in it.
    ///
    /// C: `__mt_destroy()`
    pub(crate) fn destroy_tree(self) -> TornDown<'a> {
        TornDown {
            // SAFETY: By the state's invariant.
            tree: unsafe { self.tree.destroy() },
        }
    }
}

/// The mm that `dup_mmap()` was building, with an empty tree: the end of the way.
pub(crate) struct TornDown<'a> {
    tree: VmaTree<'a, Empty>,
}

impl TornDown<'_> {
    /// Tells those who find the mm that it is not to be used, `MMF_UNSTABLE`.
    pub(crate) fn mark_unstable(&self) {
        // SAFETY: The tree's lock keeps the mm valid; the flags are atomic.
        unsafe { raw::helper_mm_set_unstable(self.tree.mm().as_ptr()) };
    }
}
