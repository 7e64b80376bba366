// SPDX-License-Identifier: GPL-2.0

//! Ranges of addresses.

use kernel::page::PAGE_SHIFT;

/// Addresses from a first to a last one, both included: what an entry of a maple tree covers.
///
/// The address behind the last one may not exist, so it is not what is kept.
///
/// # Examples
///
/// ```
/// use crate::mm::view::AddrRange;
/// use kernel::page::PAGE_SIZE;
///
/// let two_pages = AddrRange::new(PAGE_SIZE, 3 * PAGE_SIZE - 1).ok_or(EINVAL)?;
///
/// assert_eq!(two_pages.nr_pages(), 2);
/// assert_eq!(two_pages.end(), Some(3 * PAGE_SIZE));
/// assert!(two_pages.contains(PAGE_SIZE) && !two_pages.contains(3 * PAGE_SIZE));
/// ```
///
/// # Invariants
///
/// `first` is not above `last`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct AddrRange {
    first: usize,
    last: usize,
}

impl AddrRange {
    /// From `first` to `last`; `None` if there is nothing between them.
    pub(crate) fn new(first: usize, last: usize) -> Option<Self> {
        // INVARIANT: Just compared.
        (first <= last).then_some(Self { first, last })
    }

    /// Only `addr`.
    pub(crate) fn at(addr: usize) -> Self {
        // INVARIANT: First and last are the same.
        Self {
            first: addr,
            last: addr,
        }
    }

    /// From `first` to the end of all addresses.
    pub(crate) fn from(first: usize) -> Self {
        // INVARIANT: Nothing is above the last one.
        Self {
            first,
            last: usize::MAX,
        }
    }

    /// The first address.
    pub(crate) fn first(self) -> usize {
        self.first
    }

    /// The last address.
    pub(crate) fn last(self) -> usize {
        self.last
    }

    /// The address behind the last one, if there is one.
    pub(crate) fn end(self) -> Option<usize> {
        self.last.checked_add(1)
    }

    /// Whether `addr` is in it.
    pub(crate) fn contains(self, addr: usize) -> bool {
        (self.first..=self.last).contains(&addr)
    }

    /// How many pages it touches.
    ///
    /// Cannot overflow, not even for the whole address space.
    pub(crate) fn nr_pages(self) -> usize {
        ((self.last >> PAGE_SHIFT) - (self.first >> PAGE_SHIFT)).wrapping_add(1)
    }
}
