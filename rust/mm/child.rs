// SPDX-License-Identifier: GPL-2.0

//! The child's mm, from a half-built tree to an empty one.
//!
//! `dup_mmap()` first duplicates the parent's maple tree, entries and all, and then replaces the
//! entries one by one with copies of the VMAs. When it fails half-way the tree holds the child's
//! VMAs up to some address and *the parent's* from there on. Each step of the way out is a type,
//! and each method takes the mm out of one state and into the next:
//!
//! ```text
//! ChildMm<Building> -- classify --+-- Copied:  ChildMm<Mapped> -- unmap --> Copies -- remove all
//!                                 |                                                      |
//!                                 +-- Nothing: ChildMm<NoCopies> <-----------------------+
//!                                                |
//!                                          destroy_tree --> ChildMm<TornDown>
//! ```
//!
//! No state hands out a VMA of the parent, and only [`ChildMm::destroy_tree`] makes the proof that
//! the way was gone to its end.
//!
//! C: `dup_mmap_recover()` and `tear_down_vmas()` in [`mm/mmap.c`](srctree/mm/mmap.c)

use super::{
    unmap::pgtable_floor,
    Charge,
    PgtableCeiling,
    TreeEnd,
    VmaEnd, //
};
use crate::bindings::raw;
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    page::PAGE_SHIFT, //
};

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
pub(crate) struct Mapped {
    first: NonNull<bindings::vm_area_struct>,
    end: usize,
}

/// State: no VMA that the tree refers to is the child's; some may be freed already.
pub(crate) struct NoCopies(());

/// State: the tree is empty.
pub(crate) struct TornDown(());

/// The mm that `dup_mmap()` was building.
///
/// # Invariants
///
/// - `mm` and `vmi`, an iterator over its tree, are valid for `'a`, and nobody else uses `vmi`.
/// - The running task write-holds the mmap locks of `mm` and of its parent for `'a`.
/// - The tree is not in RCU mode, and its entries are what the state `S` says.
pub(crate) struct ChildMm<'a, S> {
    mm: NonNull<bindings::mm_struct>,
    vmi: NonNull<bindings::vma_iterator>,
    state: S,
    _locked: PhantomData<&'a mut bindings::mm_struct>,
}

// In any state.
impl<'a, S> ChildMm<'a, S> {
    fn with_state<T>(self, state: T) -> ChildMm<'a, T> {
        ChildMm {
            mm: self.mm,
            vmi: self.vmi,
            state,
            _locked: PhantomData,
        }
    }

    /// The next entry of the tree below `end`, going on from where the iterator is.
    fn find_below(&mut self, end: usize) -> Option<NonNull<bindings::vm_area_struct>> {
        // SAFETY: By the type invariants the iterator is valid and ours.
        let mas = unsafe { &raw mut (*self.vmi.as_ptr()).mas };
        // SAFETY: By the type invariants the tree's lock, the mmap lock, is held.
        let entry = unsafe { bindings::mas_find(mas, end.wrapping_sub(1)) };

        NonNull::new(entry.cast())
    }

    /// Lets the next [`Self::find_below`] start at `addr`.
    fn restart_at(&mut self, addr: usize) {
        // SAFETY: By the type invariants the iterator is valid and ours.
        unsafe { raw::helper_vma_iter_set(self.vmi.as_ptr(), addr) };
    }

    /// Keeps the OOM killer away from memory that is being freed already, `MMF_OOM_SKIP`.
    pub(crate) fn hide_from_oom_killer(&self) {
        // SAFETY: By the type invariants the mm is valid; the flags are atomic.
        unsafe { raw::helper_mm_set_oom_skip(self.mm.as_ptr()) };
    }
}

impl<'a> ChildMm<'a, Building> {
    /// Takes over the mm of a `dup_mmap()` that has just failed.
    ///
    /// # Safety
    ///
    /// - The two pointers fulfil the type's invariants for `'a`.
    /// - `failed` is null, and the tree holds none but the child's VMAs; or it is the tree's first
    ///   entry that is the parent's, provided that any VMA was copied at all.
    pub(crate) unsafe fn from_raw(
        mm: NonNull<bindings::mm_struct>,
        vmi: NonNull<bindings::vma_iterator>,
        failed: *const bindings::vm_area_struct,
    ) -> Self {
        // SAFETY: The caller says that the mm is valid.
        unsafe { raw::helper_mmap_assert_write_locked(mm.as_ptr()) };

        // INVARIANT: The caller says so; `extent` is what `dup_mmap_recover()` makes of these.
        let mut child = Self {
            mm,
            vmi,
            state: Building {
                extent: Extent::Nothing,
            },
            _locked: PhantomData,
        };
        if child.nr_copied() != 0 {
            child.state.extent = match NonNull::new(failed.cast_mut()) {
                // SAFETY: The caller says that this is a VMA of the parent, whose lock is held.
                Some(failed) => Extent::Below(unsafe { vm_start(failed) }),
                None => Extent::Everything,
            };
        }
        child
    }

    /// How many VMAs were copied, `mm->map_count`.
    pub(crate) fn nr_copied(&self) -> usize {
        // SAFETY: By the type invariants the mm is valid and its lock held.
        let count = unsafe { raw::helper_mm_map_count(self.mm.as_ptr()) };

        // Never negative.
        count as usize
    }

    /// How far the copying came.
    pub(crate) fn extent(&self) -> Extent {
        self.state.extent
    }

    /// Tells a tree with VMAs of the child's from one without.
    pub(crate) fn classify(mut self) -> Classified<'a> {
        let end = self.state.extent.end();

        if self.state.extent == Extent::Nothing {
            // INVARIANT: Nothing was copied.
            return Classified::Nothing(self.with_state(NoCopies(())));
        }
        self.restart_at(0);
        match self.find_below(end) {
            // INVARIANT: What the tree has below `end` is the child's.
            Some(first) => Classified::Copied(self.with_state(Mapped { first, end })),
            // INVARIANT: Nothing of the child's was found.
            None => Classified::Nothing(self.with_state(NoCopies(()))),
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
    /// The limit for the tree walk: beyond it are the parent's VMAs.
    pub(crate) fn tree_end(&self) -> TreeEnd {
        TreeEnd(self.state.end)
    }

    /// The limit for the range that is unmapped.
    pub(crate) fn vma_end(&self) -> VmaEnd {
        VmaEnd(self.state.end)
    }

    /// Unmaps the copied VMAs' pages, takes the VMAs out of the reverse maps and frees the page
    /// tables, like `unmap_region()`.
    ///
    /// May sleep; calls MMU notifiers, of which a child under construction has none.
    pub(crate) fn unmap(
        mut self,
        tree_end: TreeEnd,
        vma_end: VmaEnd,
        ceiling: PgtableCeiling,
    ) -> Copies<'a> {
        let Mapped { first, end } = self.state;
        // SAFETY: By the state's invariant `first` is a VMA of this mm.
        let first_end = unsafe { vm_end(first) };
        let mut unmap = raw::unmap_desc {
            // SAFETY: By the type invariants the iterator is valid.
            mas: unsafe { &raw mut (*self.vmi.as_ptr()).mas },
            first: first.as_ptr(),
            pg_start: pgtable_floor(),
            pg_end: ceiling.0,
            vma_start: 0,
            vma_end: vma_end.0,
            tree_end: tree_end.0,
            tree_reset: first_end,
            mm_wr_locked: true,
        };

        // SAFETY: By the type invariants the mm is valid.
        unsafe { raw::helper_flush_cache_mm(self.mm.as_ptr()) };
        // SAFETY: By the type invariants both mmap locks are write-held. `first` is the first VMA
        // of the tree, the iterator stands behind it, and the limits are this tree's.
        unsafe { raw::unmap_region(&mut unmap) };

        self.restart_at(first_end);
        // INVARIANT: `first` is unmapped, and with it all that follow it below `end`.
        Copies {
            next: Some(first),
            end,
            child: self.with_state(NoCopies(())),
        }
    }
}

/// The copied VMAs, unmapped and not removed yet, in the order of their addresses.
///
/// # Invariants
///
/// `next` and what the tree has between the iterator and `end` are unmapped VMAs of the child's.
/// The state in `child` is reached when there is none left.
#[must_use = "the VMAs are leaked unless each is removed"]
pub(crate) struct Copies<'a> {
    next: Option<NonNull<bindings::vm_area_struct>>,
    end: usize,
    child: ChildMm<'a, NoCopies>,
}

impl<'a> Copies<'a> {
    /// Gets at the next VMA, or says that there is none left.
    pub(crate) fn next(self) -> NextCopy<'a> {
        match self.next {
            // INVARIANT: `vma` is such a VMA, and by taking `self` apart its only owner.
            Some(vma) => NextCopy::Vma(CopiedVma { vma, rest: self }),
            None => NextCopy::Done(self.child),
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
/// There is no `VmaRef` for it: that promises an mm with users.
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
    /// How many of its pages count against the commit limit.
    fn nr_accounted(&self) -> usize {
        // SAFETY: By the type invariants the VMA is valid.
        if unsafe { raw::helper_vma_accounted(self.vma.as_ptr()) } {
            // SAFETY: As above, and its lock is held.
            let start = unsafe { vm_start(self.vma) };
            // SAFETY: As above.
            let end = unsafe { vm_end(self.vma) };

            end.wrapping_sub(start) >> PAGE_SHIFT
        } else {
            0
        }
    }

    /// Detaches the VMA, closes it and frees it: `vma_mark_detached()` and `remove_vma()`.
    ///
    /// May sleep. What it was charged for is left to the caller to give back.
    pub(crate) fn remove(self) -> (Charge, Copies<'a>) {
        let nr_accounted = self.nr_accounted();
        let Self { vma, mut rest } = self;

        // SAFETY: By the type invariants the VMA is attached, and the mmap lock is write-held.
        unsafe { raw::helper_vma_mark_detached(vma.as_ptr()) };
        // SAFETY: It is unmapped, detached and ours. The tree still refers to it, but nobody
        // follows that: the iterator is past it, and the child's lock is not dropped before
        // `destroy_tree`.
        unsafe { raw::remove_vma(vma.as_ptr()) };

        // INVARIANT: The iterator only moves forward, and the walk stops at `end`.
        rest.next = rest.child.find_below(rest.end);
        (Charge::of_removed_vma(nr_accounted), rest)
    }
}

impl<'a> ChildMm<'a, NoCopies> {
    /// Frees the tree's nodes, but none of the parent's VMAs that are in it: `__mt_destroy()`.
    pub(crate) fn destroy_tree(self) -> ChildMm<'a, TornDown> {
        // SAFETY: By the type invariants the mm is valid.
        let tree = unsafe { &raw mut (*self.mm.as_ptr()).__bindgen_anon_1.mm_mt };
        // SAFETY: By the type invariants the tree's lock, the mmap lock, is write-held, and no
        // reader walks the tree under RCU.
        unsafe { bindings::__mt_destroy(tree) };

        // INVARIANT: Destroyed is empty.
        self.with_state(TornDown(()))
    }
}

impl ChildMm<'_, TornDown> {
    /// Tells those who find the mm that it is not to be used, `MMF_UNSTABLE`.
    pub(crate) fn mark_unstable(&self) {
        // SAFETY: By the type invariants the mm is valid; the flags are atomic.
        unsafe { raw::helper_mm_set_unstable(self.mm.as_ptr()) };
    }
}

/// # Safety
///
/// `vma` is valid, and its mm's lock held.
unsafe fn vm_start(vma: NonNull<bindings::vm_area_struct>) -> usize {
    // SAFETY: By the caller's promise.
    unsafe { (*vma.as_ptr()).__bindgen_anon_1.__bindgen_anon_1.vm_start }
}

/// # Safety
///
/// `vma` is valid, and its mm's lock held.
unsafe fn vm_end(vma: NonNull<bindings::vm_area_struct>) -> usize {
    // SAFETY: By the caller's promise.
    unsafe { (*vma.as_ptr()).__bindgen_anon_1.__bindgen_anon_1.vm_end }
}
