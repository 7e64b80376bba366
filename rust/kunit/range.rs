// SPDX-License-Identifier: GPL-2.0

//! Arithmetic on addresses, where they end and where a page table does.

use kernel::prelude::*;

#[kunit_tests(dup_mmap_range)]
mod tests {
    use crate::mm::{
        view::AddrRange,
        Extent, //
    };
    use kernel::{
        page::{
            PAGE_SHIFT,
            PAGE_SIZE, //
        },
        prelude::*, //
    };

    /// What one page table, and one table of those, maps with entries of a word each.
    const PMD_SIZE: usize = PAGE_SIZE * (PAGE_SIZE / size_of::<usize>());
    const PUD_SIZE: usize = PMD_SIZE * (PAGE_SIZE / size_of::<usize>());

    #[test]
    fn extent_and_end_are_inverse() {
        for end in [
            1,
            PAGE_SIZE - 1,
            PAGE_SIZE,
            1 << 47,
            usize::MAX - PAGE_SIZE,
            usize::MAX - 1,
        ] {
            assert!(Extent::from_end(end) == Extent::Below(end));
            assert_eq!(Extent::Below(end).end(), end);
        }
    }

    #[test]
    fn extent_has_two_ends_of_its_own() {
        assert_eq!(Extent::Nothing.end(), 0);
        assert_eq!(Extent::Everything.end(), usize::MAX);
        assert!(Extent::from_end(0) == Extent::Nothing);
        assert!(Extent::from_end(usize::MAX) == Extent::Everything);
    }

    #[test]
    fn a_range_is_not_empty() {
        assert!(AddrRange::new(1, 0).is_none());
        assert!(AddrRange::new(usize::MAX, usize::MAX - 1).is_none());
        assert!(AddrRange::new(0, 0) == Some(AddrRange::at(0)));
        assert!(AddrRange::new(usize::MAX, usize::MAX) == Some(AddrRange::at(usize::MAX)));
    }

    #[test]
    fn a_range_ends_where_addresses_do() -> Result {
        let all = AddrRange::new(0, usize::MAX).ok_or(EINVAL)?;
        let last_page = AddrRange::new(usize::MAX - (PAGE_SIZE - 1), usize::MAX).ok_or(EINVAL)?;

        assert_eq!(all.nr_pages(), 1 << (usize::BITS - PAGE_SHIFT as u32));
        assert_eq!(all.end(), None);
        assert!(all.contains(0) && all.contains(usize::MAX));
        assert_eq!(last_page.nr_pages(), 1);
        assert_eq!(last_page.end(), None);
        assert!(last_page.contains(usize::MAX) && !last_page.contains(0));
        assert_eq!(AddrRange::at(usize::MAX - 1).end(), Some(usize::MAX));
        assert_eq!(AddrRange::at(0).end(), Some(1));
        Ok(())
    }

    #[test]
    fn a_range_of_whole_page_tables() -> Result {
        for size in [PAGE_SIZE, PMD_SIZE, PUD_SIZE] {
            for start in [0, size, 7 * size] {
                let range = AddrRange::new(start, start + size - 1).ok_or(EINVAL)?;

                assert_eq!(range.nr_pages(), size >> PAGE_SHIFT);
                assert_eq!(range.end(), Some(start + size));
                assert!(range.contains(start) && range.contains(start + size - 1));
                assert!(!range.contains(start + size));
                assert!(start == 0 || !range.contains(start - 1));
            }
        }
        // One byte on either side of a boundary is two pages.
        let across = AddrRange::new(PMD_SIZE - 1, PMD_SIZE).ok_or(EINVAL)?;
        assert_eq!(across.nr_pages(), 2);
        Ok(())
    }
}
