// SPDX-License-Identifier: GPL-2.0

//! What an mm's maple tree has where.
//!
//! `mm_mt` is locked by the mmap lock, not by a lock of its own (`MT_FLAGS_LOCK_EXTERN`), and does
//! not own what it refers to. `kernel::maple_tree::MapleTree` is for trees of the other kind.
//!
//! C: [`lib/maple_tree.c`](srctree/lib/maple_tree.c), `struct vma_iterator`

use super::{
    AddrRange,
    Locked,
    Vma, //
};
use core::{
    marker::PhantomData,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    bindings,
    ffi::c_void, //
};

/// `XA_ZERO_ENTRY`: the mark that `dup_mmap()` left up to Linux 6.19 where it had failed.
pub(crate) const ZERO_ENTRY: usize = (257 << 2) | 2;

/// What is in a maple tree of VMAs, as the mm that the tree belongs to sees it.
#[derive(Clone, Copy)]
pub(crate) enum Entry<'a> {
    /// Nothing, in all of this range.
    Empty(AddrRange),
    /// A VMA of this mm.
    Own(Vma<'a>),
    /// A VMA of another mm, which is not to be touched: the parent's, in the tree of a child that
    /// `dup_mmap()` has duplicated and not come to yet.
    Other(AddrRange),
    /// A mark, and no VMA.
    Marker(AddrRange),
}

impl Entry<'_> {
    /// The addresses it is at.
    pub(crate) fn range(&self) -> AddrRange {
        match self {
            Self::Own(vma) => vma.range(),
            Self::Empty(range) | Self::Other(range) | Self::Marker(range) => *range,
        }
    }
}

/// The entries of an mm's tree in the order of their addresses, empty ranges left out.
///
/// Ends before the first one that starts at `end` or behind it, which cannot be changed.
///
/// # Examples
///
/// ```
/// # let mut test = crate::mm::TestMm::new()?;
/// # test.add_own(crate::mm::view::AddrRange::new(0, 0xffff).ok_or(EINVAL)?, 0)?;
/// # test.add_own(crate::mm::view::AddrRange::new(0x30000, 0x3ffff).ok_or(EINVAL)?, 0)?;
/// # let mm = test.mm();
/// use crate::mm::view::{Entry, MmView};
///
/// let view = MmView::lock(mm);
/// let mut entries = view.entries(0x20000);
///
/// assert!(matches!(entries.next(), Some(Entry::Own(vma)) if vma.start() == 0));
/// assert!(entries.next().is_none());
/// // Once more, and no further.
/// entries.reset(0);
/// assert_eq!(entries.count(), 1);
/// ```
///
/// # Invariants
///
/// For `'a` the mmap lock of `mm` is held at least for reading, and `mas` is a state of its tree.
pub(crate) struct Entries<'a> {
    mm: NonNull<bindings::mm_struct>,
    mas: bindings::ma_state,
    end: usize,
    _locked: Locked<'a>,
}

impl<'a> Entries<'a> {
    /// Lets the walk go on with the entry at `addr`, or the first one behind it.
    ///
    /// The end stays where it is.
    pub(crate) fn reset(&mut self, addr: usize) {
        reset(&mut self.mas, addr);
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        // SAFETY: By the type invariants the lock is held for `'a`.
        let found = unsafe { find(&mut self.mas, self.mm, self.end) }?;

        // INVARIANT: What was found is in the range, and `mas_find()` finds no empty range.
        let range = AddrRange::new(self.mas.index, self.mas.last)?;
        Some(match found {
            // SAFETY: By the type invariants the lock is held for `'a`.
            Found::Own(vma) => Entry::Own(unsafe { Vma::from_raw(vma) }),
            Found::Other => Entry::Other(range),
            Found::Marker => Entry::Marker(range),
        })
    }
}

/// What [`find`] came to.
pub(crate) enum Found {
    /// A VMA of the mm that the tree belongs to.
    Own(NonNull<bindings::vm_area_struct>),
    /// Another mm's.
    Other,
    /// A mark.
    Marker,
}

/// The entries of the tree of `mm` that start below `end`.
///
/// # Safety
///
/// For `'a`, `mm` is valid and its mmap lock held at least for reading; if its tree has VMAs of
/// another mm, that one's too.
pub(crate) unsafe fn entries<'a>(mm: NonNull<bindings::mm_struct>, end: usize) -> Entries<'a> {
    // INVARIANT: The caller says that the lock is held.
    Entries {
        mm,
        // SAFETY: The caller says that the mm is valid.
        mas: unsafe { ma_state(mm, 0) },
        end,
        _locked: PhantomData,
    }
}

/// What the tree of `mm` has at `addr`.
///
/// # Safety
///
/// As for [`entries`].
pub(crate) unsafe fn entry_at<'a>(mm: NonNull<bindings::mm_struct>, addr: usize) -> Entry<'a> {
    // SAFETY: The caller says that the mm is valid.
    let mut mas = unsafe { ma_state(mm, addr) };
    // SAFETY: The caller says that the tree's lock, the mmap lock, is held.
    let entry = unsafe { bindings::mas_walk(&mut mas) };
    // `mas_walk()` leaves the range that `addr` is in, so it is not an empty one.
    let range = AddrRange::new(mas.index, mas.last).unwrap_or_else(|| AddrRange::at(addr));

    // SAFETY: The entry is of this tree.
    match NonNull::new(entry).map(|entry| unsafe { classify(entry, mm) }) {
        None => Entry::Empty(range),
        // SAFETY: It is a VMA of `mm`, and stays one while the lock is held, for `'a`.
        Some(Found::Own(vma)) => Entry::Own(unsafe { Vma::from_raw(vma) }),
        Some(Found::Other) => Entry::Other(range),
        Some(Found::Marker) => Entry::Marker(range),
    }
}

/// The next entry that starts below `end`, going on from where `mas` is, like `mas_find()`.
///
/// C subtracts 1 from `end` and takes what comes of it, which for 0 is no limit at all. Here it is
/// nothing.
///
/// # Safety
///
/// `mas` is a state of the tree of `mm`, and for both the promises of [`entries`] hold.
pub(crate) unsafe fn find(
    mas: *mut bindings::ma_state,
    mm: NonNull<bindings::mm_struct>,
    end: usize,
) -> Option<Found> {
    // SAFETY: The caller says that the mmap lock is held.
    let entry = unsafe { find_entry(mas, end) };

    // SAFETY: The entry is of this tree.
    entry.map(|entry| unsafe { classify(entry, mm) })
}

/// The same without a look at what the entry refers to.
///
/// # Safety
///
/// `mas` is a state of the tree of an mm whose mmap lock is held at least for reading.
pub(crate) unsafe fn find_entry(
    mas: *mut bindings::ma_state,
    end: usize,
) -> Option<NonNull<c_void>> {
    let last = end.checked_sub(1)?;

    // SAFETY: The caller says that the tree's lock, the mmap lock, is held.
    NonNull::new(unsafe { bindings::mas_find(mas, last) })
}

/// Makes `mas` start at `addr`, like `mas_set()`.
pub(crate) fn reset(mas: &mut bindings::ma_state, addr: usize) {
    reset_to(mas, AddrRange::at(addr));
}

/// Makes `mas` be about `range`, like `mas_set_range()`.
pub(crate) fn reset_to(mas: &mut bindings::ma_state, range: AddrRange) {
    mas.status = bindings::maple_status_ma_start;
    mas.node = ptr::null_mut();
    mas.index = range.first();
    mas.last = range.last();
}

/// An entry of which nobody looks at what it refers to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unread {
    range: AddrRange,
    entry: NonNull<c_void>,
}

impl Unread {
    /// The addresses it is at.
    pub(crate) fn range(&self) -> AddrRange {
        self.range
    }

    /// Whether it is a mark, and no VMA.
    pub(crate) fn is_marker(&self) -> bool {
        self.entry.addr().get() == ZERO_ENTRY
    }

    /// Whether `find_vma()` has found this one.
    pub(crate) fn is(&self, found: FoundVma) -> bool {
        self.entry == found.0
    }
}

/// What `find_vma()` returns: a VMA, or what was one once.
#[derive(Clone, Copy)]
pub(crate) struct FoundVma(NonNull<c_void>);

/// What `find_vma()` finds for `addr` in the tree of `mm`.
///
/// # Safety
///
/// `mm` is valid, and its mmap lock held at least for reading.
pub(crate) unsafe fn find_vma(mm: NonNull<bindings::mm_struct>, addr: usize) -> Option<FoundVma> {
    // SAFETY: The caller says that the lock is held. C does not look at what it finds either.
    NonNull::new(unsafe { bindings::find_vma(mm.as_ptr(), addr) }).map(|vma| FoundVma(vma.cast()))
}

/// The entries of an mm's tree in the order of their addresses, and nothing of what they refer to:
/// for a tree that may have VMAs which are freed.
///
/// # Invariants
///
/// For `'a` the mmap lock of the mm is held at least for reading, and `mas` is a state of its tree.
pub(crate) struct UnreadEntries<'a> {
    mas: bindings::ma_state,
    _locked: Locked<'a>,
}

impl Iterator for UnreadEntries<'_> {
    type Item = Unread;

    fn next(&mut self) -> Option<Unread> {
        // SAFETY: By the type invariants the lock is held for `'a`.
        let entry = unsafe { find_entry(&mut self.mas, usize::MAX) }?;
        let range = AddrRange::new(self.mas.index, self.mas.last)?;

        Some(Unread { range, entry })
    }
}

/// The entries of the tree of `mm` from `addr` on.
///
/// # Safety
///
/// For `'a`, `mm` is valid and its mmap lock held at least for reading.
pub(crate) unsafe fn unread_entries<'a>(
    mm: NonNull<bindings::mm_struct>,
    addr: usize,
) -> UnreadEntries<'a> {
    // INVARIANT: The caller says that the lock is held.
    UnreadEntries {
        // SAFETY: The caller says that the mm is valid.
        mas: unsafe { ma_state(mm, addr) },
        _locked: PhantomData,
    }
}

/// A state of the tree of `mm`, like `VMA_ITERATOR()`.
///
/// # Safety
///
/// `mm` is valid.
pub(crate) unsafe fn ma_state(mm: NonNull<bindings::mm_struct>, addr: usize) -> bindings::ma_state {
    // SAFETY: The caller says that the mm is valid.
    let tree = unsafe { &raw mut (*mm.as_ptr()).__bindgen_anon_1.mm_mt };

    bindings::ma_state {
        tree,
        index: addr,
        last: addr,
        status: bindings::maple_status_ma_start,
        max: usize::MAX,
        store_type: bindings::store_type_wr_invalid,
        ..Default::default()
    }
}

/// # Safety
///
/// `entry` is in the tree of `mm`; for both the promises of [`entries`] hold.
unsafe fn classify(entry: NonNull<c_void>, mm: NonNull<bindings::mm_struct>) -> Found {
    if entry.addr().get() == ZERO_ENTRY {
        return Found::Marker;
    }
    let vma = entry.cast::<bindings::vm_area_struct>();
    // SAFETY: But for the mark a tree of VMAs has nothing but VMAs, and the mmap lock of the one
    // that it belongs to is held.
    if unsafe { (*vma.as_ptr()).vm_mm } == mm.as_ptr() {
        Found::Own(vma)
    } else {
        Found::Other
    }
}
