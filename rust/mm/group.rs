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
//! only because nobody has ever run on the mm, so that no TLB knows of it.
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

/// A walk over the copied VMAs, with the group that it has come to. On the stack of
/// [`super::ChildMm::gather`].
///
/// # Invariants
///
/// - The first `nr` of `vmas`, `next`, and what the tree has between `mas` and `end` are VMAs of the
///   gather's mm, whose mmap lock is held for writing for `'a`. Nobody else has them.
/// - `mas` is a valid state of that mm's tree, and nobody else uses it.
pub(super) struct Walk<'a, 'g> {
    gather: Pin<&'g mut MmuGather<'a>>,
    mas: NonNull<bindings::ma_state>,
    end: usize,
    next: Option<NonNull<bindings::vm_area_struct>>,
    vmas: [NonNull<bindings::vm_area_struct>; GROUP],
    nr: usize,
    nr_removed: usize,
    nr_accounted: usize,
}

impl<'a, 'g> Walk<'a, 'g> {
    /// A walk that begins with `first`, where `mas` has found it.
    ///
    /// # Safety
    ///
    /// The type's invariants hold.
    pub(super) unsafe fn new(
        gather: Pin<&'g mut MmuGather<'a>>,
        mas: NonNull<bindings::ma_state>,
        first: NonNull<bindings::vm_area_struct>,
        end: usize,
    ) -> Self {
        // INVARIANT: The caller says so.
        Self {
            gather,
            mas,
            end,
            next: Some(first),
            vmas: [NonNull::dangling(); GROUP],
            nr: 0,
            nr_removed: 0,
            nr_accounted: 0,
        }
    }

    /// The VMAs of the group.
    fn group_mut(&mut self) -> &mut [NonNull<bindings::vm_area_struct>] {
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
    walk: &'g mut Walk<'a, 'g>,
    brand: Brand<'g>,
}

impl<'a, 'g> Copies<'a, 'g> {
    /// Those that the walk has not come to yet.
    pub(super) fn new(walk: &'g mut Walk<'a, 'g>) -> Self {
        Self {
            walk,
            brand: PhantomData,
        }
    }

    /// Goes on to the next group, or says that there is none left.
    pub(crate) fn next(self) -> NextGroup<'a, 'g> {
        if self.walk.advance() {
            NextGroup::Group(Group {
                walk: self.walk,
                state: Mapped,
            })
        } else {
            NextGroup::Done(Done {
                nr_removed: self.walk.nr_removed,
                nr_accounted: self.walk.nr_accounted,
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

/// All copied VMAs are removed.
pub(crate) struct Done<'g> {
    nr_removed: usize,
    nr_accounted: usize,
    _brand: Brand<'g>,
}

impl Done<'_> {
    /// How many VMAs that were, and how many of their pages count against the commit limit.
    pub(super) fn counts(self) -> (usize, usize) {
        (self.nr_removed, self.nr_accounted)
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
    walk: &'g mut Walk<'a, 'g>,
    #[expect(dead_code, reason = "says how far the group has come")]
    state: S,
}

impl<'a, 'g, S> Group<'a, 'g, S> {
    fn into<T>(self, state: T) -> Group<'a, 'g, T> {
        Group {
            walk: self.walk,
            state,
        }
    }
}

impl<'a, 'g> Group<'a, 'g, Mapped> {
    /// Unmaps the VMAs' pages. Sleeps.
    ///
    /// C: `dup_mmap_zap_vmas()`
    pub(crate) fn zap(self) -> Group<'a, 'g, Zapped> {
        let Walk {
            gather, vmas, nr, ..
        } = &mut *self.walk;
        let vmas = vmas.get_mut(..*nr).unwrap_or_default();

        // SAFETY: By the type invariants they are VMAs of the gather's mm.
        unsafe { gather.as_mut().zap(vmas) };
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
        let vmas = self.walk.group_mut();
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
        let Walk {
            gather,
            vmas,
            nr,
            next,
            ..
        } = &mut *self.walk;
        // SAFETY: By the type invariants they are VMAs whose mm's lock is held.
        let vma = |vma: &NonNull<_>| unsafe { Vma::from_raw(*vma) };
        let mut group = vmas.get(..*nr).unwrap_or_default().iter().map(vma);
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
    /// C: `dup_mmap_remove_vmas()`
    pub(crate) fn remove(self) -> Copies<'a, 'g> {
        let walk = self.walk;
        let vmas = walk.group_mut();
        let nr = vmas.len() as u32;
        let mut nr_accounted = 0_usize;

        for vma in &*vmas {
            // SAFETY: By the type invariants it is a VMA whose mm's lock is held.
            let pages = unsafe { Vma::from_raw(*vma) }.nr_accounted();

            // The VMAs of one mm do not overlap, so the sum is no more than all addresses have.
            nr_accounted = nr_accounted.wrapping_add(pages);
        }
        // SAFETY: They are unmapped, attached and ours, a `NonNull` is a pointer, and the mmap lock is
        // write-held. The tree still refers to them, but nobody follows that: the walk is past them,
        // and the child's lock is not dropped before `destroy_tree`.
        unsafe { raw::dup_mmap_remove_vmas(vmas.as_mut_ptr().cast(), nr) };
        walk.nr_accounted = walk.nr_accounted.wrapping_add(nr_accounted);
        walk.nr_removed = walk.nr_removed.wrapping_add(walk.nr);
        // INVARIANT: What was freed is not in the group any more.
        walk.nr = 0;
        Copies::new(walk)
    }
}
