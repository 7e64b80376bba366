// SPDX-License-Identifier: GPL-2.0

//! The copied VMAs, taken apart in one walk of the tree, a few at a time.
//!
//! `unmap_region()` and `tear_down_vmas()` walk the tree three times: to unmap, to free page tables,
//! and to remove. Here a group of VMAs goes through all of it before the walk goes on:
//!
//! ```text
//! Copies -- next --+-- Group<Mapped> -- zap --> Group<Zapped> -- unlink --> Group<Unlinked>
//!    ^             |                                                            | free_pgtables
//!    |             |                                                     Group<Unmapped>
//!    +-------------|------------------------- remove ---------------------------+
//!                  +-- Done
//! ```
//!
//! A VMA is removed before its pages are freed, which is when the gather is finished. That is right
//! only because nobody has ever run on the mm, so that no TLB knows of it. User Mode Linux walks the
//! VMAs of the mm to flush what it takes for a TLB: there they are removed afterwards, in a second
//! walk.
//!
//! C: `unmap_vmas()` and `free_pgtables()` in [`mm/memory.c`](srctree/mm/memory.c),
//! `tear_down_vmas()` in [`mm/dup_mmap.h`](srctree/mm/dup_mmap.h)

use super::{
    gather::MmuGather,
    pgtables::PgtableCeiling,
    view::{
        self,
        Vma, //
    }, //
};
use crate::bindings::raw;
use core::{
    marker::PhantomData,
    pin::Pin,
    ptr::NonNull, //
};
use kernel::bindings;

/// How many VMAs a group has at most: enough to share what is done once a group, and few enough
/// to be in the cache still when they are removed.
const GROUP: usize = 32;

/// Says which gather: one with another lifetime is another one, be it longer or shorter.
type Brand<'g> = PhantomData<fn(&'g ()) -> &'g ()>;

/// A walk over the copied VMAs, with the group that it has come to.
///
/// # Invariants
///
/// - The first `nr` of `vmas`, `next`, and what the tree has between `mas` and `end` are VMAs of one
///   mm, whose mmap lock is held for writing. Nobody else removes or frees them.
/// - `mas` is a valid state of that mm's tree, and nobody else uses it.
struct Walk {
    mas: NonNull<bindings::ma_state>,
    end: usize,
    next: Option<NonNull<bindings::vm_area_struct>>,
    vmas: [NonNull<bindings::vm_area_struct>; GROUP],
    nr: usize,
}

impl Walk {
    /// A walk that begins with `first`, where `mas` has found it.
    ///
    /// # Safety
    ///
    /// The type's invariants hold, for as long as it is used.
    unsafe fn new(
        mas: NonNull<bindings::ma_state>,
        first: Option<NonNull<bindings::vm_area_struct>>,
        end: usize,
    ) -> Self {
        // INVARIANT: The caller says so.
        Self {
            mas,
            end,
            next: first,
            vmas: [NonNull::dangling(); GROUP],
            nr: 0,
        }
    }

    /// The VMAs of the group.
    fn group(&mut self) -> &mut [NonNull<bindings::vm_area_struct>] {
        self.vmas.get_mut(..self.nr).unwrap_or_default()
    }

    /// Fills the group, and says whether there is any.
    fn advance(&mut self) -> bool {
        self.nr = 0;
        for slot in &mut self.vmas {
            let Some(vma) = self.next else {
                break;
            };

            *slot = vma;
            self.nr = self.nr.wrapping_add(1);
            // SAFETY: By the type invariants the state is valid and ours, and what is below the end
            // is this mm's, whose lock is held.
            self.next = unsafe { find_copy(self.mas.as_ptr(), self.end) };
        }
        self.nr != 0
    }

    /// Detaches the VMAs of the group, closes them and frees them, and says how many of their pages
    /// count against the commit limit. Sleeps.
    ///
    /// # Safety
    ///
    /// They are zapped and unlinked, and nobody follows the entries that the tree still has of them.
    unsafe fn remove_group(&mut self) -> Counts {
        let vmas = self.group();
        let nr = vmas.len();
        let mut nr_accounted = 0_usize;

        for vma in &*vmas {
            // SAFETY: By the type invariants it is a VMA whose mm's lock is held.
            let pages = unsafe { Vma::from_raw(*vma) }.nr_accounted();

            // The VMAs of one mm do not overlap, so the sum is no more than all addresses have.
            nr_accounted = nr_accounted.wrapping_add(pages);
        }
        // SAFETY: They are attached and ours, as the type invariants say, and the caller says the
        // rest. A `NonNull` is a pointer.
        unsafe { raw::dup_mmap_remove_vmas(vmas.as_mut_ptr().cast(), nr as u32) };
        // INVARIANT: What was freed is not in the group any more.
        self.nr = 0;
        Counts {
            nr_removed: nr,
            nr_accounted,
        }
    }
}

/// What was removed.
#[derive(Clone, Copy)]
pub(super) struct Counts {
    /// VMAs.
    pub(super) nr_removed: usize,
    /// Those of their pages that count against the commit limit.
    pub(super) nr_accounted: usize,
}

impl Counts {
    /// Nothing.
    pub(super) const NONE: Self = Self {
        nr_removed: 0,
        nr_accounted: 0,
    };

    fn add(&mut self, more: Self) {
        self.nr_removed = self.nr_removed.wrapping_add(more.nr_removed);
        self.nr_accounted = self.nr_accounted.wrapping_add(more.nr_accounted);
    }
}

/// The gather with the walk, on the stack of [`super::ChildMm::gather`].
///
/// # Invariants
///
/// The walk's mm is the gather's.
pub(super) struct Gathering<'a, 'g> {
    gather: Pin<&'g mut MmuGather<'a>>,
    walk: Walk,
    removed: Counts,
    /// Whether the VMAs have to stay until the gather is finished.
    keep: bool,
}

impl<'a, 'g> Gathering<'a, 'g> {
    /// Begins with `first`, where `mas` has found it.
    ///
    /// # Safety
    ///
    /// - `first` and what the tree of the gather's mm has between `mas` and `end` are VMAs of that
    ///   mm, which nobody else removes or frees. `mas` is a valid state of the tree, which nobody
    ///   else uses.
    /// - Unless `keep` is set, finishing the gather does not follow the entries of the tree.
    pub(super) unsafe fn new(
        gather: Pin<&'g mut MmuGather<'a>>,
        mas: NonNull<bindings::ma_state>,
        first: NonNull<bindings::vm_area_struct>,
        end: usize,
        keep: bool,
    ) -> Self {
        // INVARIANT: The caller says so.
        Self {
            gather,
            // SAFETY: The gather says that the mmap lock is held for writing, and the caller says
            // the rest.
            walk: unsafe { Walk::new(mas, Some(first), end) },
            removed: Counts::NONE,
            keep,
        }
    }
}

/// Removes the VMAs that have stayed until the gather was finished, from the first one on.
///
/// # Safety
///
/// What the tree of `mas`, which is valid and used by nobody else, has below `end` are VMAs of its
/// mm, zapped and unlinked, so that nobody else comes by them. The mm's mmap lock is held for
/// writing, and nobody follows the entries afterwards.
pub(super) unsafe fn remove_kept(mas: NonNull<bindings::ma_state>, end: usize) -> Counts {
    let mut removed = Counts::NONE;

    // SAFETY: The caller says that the state is valid and ours.
    view::reset(unsafe { &mut *mas.as_ptr() }, 0);
    // SAFETY: The caller says that what is below the end is the mm's.
    let first = unsafe { find_copy(mas.as_ptr(), end) };
    // SAFETY: `first` is what the state has found, and the rest is as the caller says.
    let mut walk = unsafe { Walk::new(mas, first, end) };
    while walk.advance() {
        // SAFETY: The caller says that they are zapped and unlinked.
        removed.add(unsafe { walk.remove_group() });
    }
    removed
}

/// The next copied VMA that starts below `end`, going on from where `mas` is, like `mas_find()`.
///
/// C subtracts 1 from `end` and takes what comes of it, which for 0 is no limit at all. Here it is
/// nothing.
///
/// # Safety
///
/// `mas` is a state of the tree of an mm whose mmap lock is held for writing, and what the tree has
/// below `end` are that mm's VMAs. What it has at `end` and behind is not looked at.
pub(super) unsafe fn find_copy(
    mas: *mut bindings::ma_state,
    end: usize,
) -> Option<NonNull<bindings::vm_area_struct>> {
    // SAFETY: The caller says that the lock is held.
    let entry = unsafe { view::find_entry(mas, end) };

    entry.map(NonNull::cast)
}

/// The copied VMAs that are still there, in the order of their addresses.
#[must_use = "the VMAs are leaked unless each is removed"]
pub(crate) struct Copies<'a, 'g> {
    gathering: &'g mut Gathering<'a, 'g>,
    brand: Brand<'g>,
}

impl<'a, 'g> Copies<'a, 'g> {
    /// Those of the walk, which has no group at the moment.
    pub(super) fn new(gathering: &'g mut Gathering<'a, 'g>) -> Self {
        Self {
            gathering,
            brand: PhantomData,
        }
    }

    /// Goes on to the next group, or says that there is none left.
    pub(crate) fn next(self) -> NextGroup<'a, 'g> {
        if self.gathering.walk.advance() {
            NextGroup::Group(Group {
                gathering: self.gathering,
                state: Mapped,
            })
        } else {
            NextGroup::Done(Done {
                removed: self.gathering.removed,
                _brand: self.brand,
            })
        }
    }
}

/// What [`Copies::next`] finds.
pub(crate) enum NextGroup<'a, 'g> {
    /// Some VMAs; the others can be reached by removing these.
    Group(Group<'a, 'g, Mapped>),
    /// Nothing: all are removed.
    Done(Done<'g>),
}

/// All copied VMAs are removed, or will be when the gather is finished.
pub(crate) struct Done<'g> {
    removed: Counts,
    _brand: Brand<'g>,
}

impl Done<'_> {
    /// What was removed so far.
    pub(super) fn removed(self) -> Counts {
        self.removed
    }
}

/// State: the VMAs are as `fork()` has copied them.
pub(crate) struct Mapped;
/// State: their pages are unmapped.
pub(crate) struct Zapped;
/// State: they are out of the reverse maps too.
pub(crate) struct Unlinked;
/// State: they have no page tables of their own any more.
pub(crate) struct Unmapped;

/// Some of the copied VMAs, next to each other in the tree.
///
/// # Invariants
///
/// The walk's group is not empty, and is as `S` says.
#[must_use = "the VMAs are leaked unless they are removed"]
pub(crate) struct Group<'a, 'g, S> {
    gathering: &'g mut Gathering<'a, 'g>,
    #[expect(dead_code, reason = "says how far the group has come")]
    state: S,
}

impl<'a, 'g, S> Group<'a, 'g, S> {
    fn into<T>(self, state: T) -> Group<'a, 'g, T> {
        Group {
            gathering: self.gathering,
            state,
        }
    }
}

impl<'a, 'g> Group<'a, 'g, Mapped> {
    /// Unmaps the VMAs' pages. Sleeps.
    ///
    /// C: `dup_mmap_zap_vmas()`
    pub(crate) fn zap(self) -> Group<'a, 'g, Zapped> {
        let Gathering { gather, walk, .. } = &mut *self.gathering;

        // SAFETY: By the type invariants they are VMAs of the gather's mm.
        unsafe { gather.as_mut().zap(walk.group()) };
        // INVARIANT: All of them are zapped.
        self.into(Zapped)
    }
}

impl<'a, 'g> Group<'a, 'g, Zapped> {
    /// Takes the VMAs out of the reverse maps, so that nobody comes by their page tables. Sleeps.
    ///
    /// C: `dup_mmap_unlink_anon_vmas()`, `unlink_file_vma_batch_add()`
    pub(crate) fn unlink(self) -> Group<'a, 'g, Unlinked> {
        let mut batch = raw::unlink_vma_file_batch::default();
        let vmas = self.gathering.walk.group();
        let nr = vmas.len() as u32;

        // SAFETY: By the type invariants they are VMAs whose mm's lock is held, and a `NonNull` is a
        // pointer. They are write-locked, as `dup_mmap()` has left them.
        unsafe { raw::dup_mmap_unlink_anon_vmas(vmas.as_mut_ptr().cast(), nr) };
        for vma in vmas {
            // SAFETY: By the type invariants it is a VMA whose mm's lock is held.
            if unsafe { Vma::from_raw(*vma) }.file().is_some() {
                // SAFETY: The batch is empty, or has VMAs of this group, which stay until it is
                // processed.
                unsafe { raw::unlink_file_vma_batch_add(&mut batch, vma.as_ptr()) };
            }
        }
        // SAFETY: As the VMAs were, when they were added.
        unsafe { raw::unlink_file_vma_batch_final(&mut batch) };
        // INVARIANT: Each was unlinked from both.
        self.into(Unlinked)
    }
}

impl<'a, 'g> Group<'a, 'g, Unlinked> {
    /// Frees the page tables that only these VMAs and those before them have used.
    ///
    /// C: `free_pgtables()`
    pub(crate) fn free_pgtables(self) -> Group<'a, 'g, Unmapped> {
        let Gathering { gather, walk, .. } = &mut *self.gathering;
        let next = walk.next;
        // SAFETY: By the type invariants they are VMAs whose mm's lock is held.
        let vma = |vma: &NonNull<_>| unsafe { Vma::from_raw(*vma) };
        let mut group = walk.group().iter().map(vma);
        let Some(first) = group.next() else {
            return self.into(Unmapped);
        };
        let (mut start, mut end) = (first.start(), first.end());

        // VMAs that may share a table are one range, as in C.
        for vma in group {
            if vma.start() > end.saturating_add(raw::helper_layout_PMD_BYTES as usize) {
                let ceiling = PgtableCeiling::below(vma);
                // SAFETY: By the type invariants the range's VMAs are zapped and unlinked, and the
                // next VMA is where the ceiling is.
                unsafe { gather.as_mut().free_pgtables(start, end, ceiling) };
                start = vma.start();
            }
            end = vma.end();
        }
        let ceiling = next.as_ref().map(vma).map_or_else(
            PgtableCeiling::user, //
            PgtableCeiling::below,
        );
        // SAFETY: Of the VMAs from here to the ceiling none is left that has pages: behind it is the
        // next copy, or if there is none, nothing but entries that were never the child's.
        unsafe { gather.as_mut().free_pgtables(start, end, ceiling) };
        self.into(Unmapped)
    }
}

impl<'a, 'g> Group<'a, 'g, Unmapped> {
    /// Detaches the VMAs, closes them and frees them, and adds up what they were charged for.
    /// Sleeps.
    ///
    /// Where finishing the gather walks the VMAs of the mm, they stay until that is done.
    ///
    /// C: `dup_mmap_remove_vmas()`
    pub(crate) fn remove(self) -> Copies<'a, 'g> {
        let gathering = self.gathering;

        if !gathering.keep {
            // SAFETY: By the state they are zapped and unlinked. The walk is past them, finishing
            // the gather does not follow the tree, and the child's lock is not dropped before
            // `destroy_tree`.
            let removed = unsafe { gathering.walk.remove_group() };

            gathering.removed.add(removed);
        }
        Copies::new(gathering)
    }
}
