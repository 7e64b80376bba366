// SPDX-License-Identifier: GPL-2.0

//! Trees that a test has built: what is found in them, as what, and where it ends.

use kernel::prelude::*;

#[kunit_tests(dup_mmap_tree)]
mod tests {
    use crate::mm::{
        view::{
            AddrRange,
            Entry,
            MmView, //
        },
        Extent,
        InRcu,
        MmFlags,
        MmapWriteGuard,
        TestMm,
        VmaTree, //
    };
    use kernel::{
        mm::virt::flags,
        page::PAGE_SIZE,
        prelude::*,
        str::CString, //
    };

    const FRESH: MmFlags = MmFlags {
        oom_skip: false,
        unstable: false,
    };

    /// The range of pages from `first` to before `end`, counted from 0.
    fn pages(first: usize, end: usize) -> Result<AddrRange> {
        AddrRange::new(first * PAGE_SIZE, end * PAGE_SIZE - 1).ok_or(EINVAL)
    }

    /// Of `nr` VMAs of a page each, every one two pages behind the last, that of ordinal `i`.
    fn spread(i: usize) -> Result<AddrRange> {
        pages(16 + 2 * i, 16 + 2 * i + 1)
    }

    fn with_spread_vmas(nr: usize) -> Result<TestMm> {
        let mut test = TestMm::new()?;

        for i in 0..nr {
            test.add_own(spread(i)?, flags::READ)?;
        }
        Ok(test)
    }

    /// Whether a walk of the whole tree finds the first `nr` of the spread VMAs and nothing else.
    fn finds(nr: usize) -> Result<bool> {
        let test = with_spread_vmas(nr)?;
        let view = MmView::lock(test.mm());
        let mut found = 0;

        for vma in view.vmas() {
            if vma.range() != spread(found)? {
                return Ok(false);
            }
            found += 1;
        }
        Ok(found == nr && view.entries(usize::MAX).count() == nr)
    }

    #[test]
    fn an_empty_tree() -> Result {
        assert!(finds(0)?);

        let test = TestMm::new()?;
        let view = MmView::lock(test.mm());

        assert!(view.entries(0).next().is_none());
        assert!(view.vma_at(0).is_none());
        assert!(matches!(view.entry_at(0), Entry::Empty(_)));
        assert!(view.entry_at(0).range() == AddrRange::new(0, usize::MAX).ok_or(EINVAL)?);
        Ok(())
    }

    #[test]
    fn one_vma() -> Result {
        assert!(finds(1)?);
        Ok(())
    }

    #[test]
    fn sixteen_vmas() -> Result {
        assert!(finds(16)?);
        Ok(())
    }

    #[test]
    fn a_thousand_vmas() -> Result {
        assert!(finds(1000)?);
        Ok(())
    }

    #[test]
    fn one_vma_for_all_addresses_but_the_last() -> Result {
        let range = AddrRange::new(0, usize::MAX - 1).ok_or(EINVAL)?;
        let mut test = TestMm::new()?;

        test.add_own(range, flags::NONE)?;
        let view = MmView::lock(test.mm());
        assert!(view.vmas().next().is_some_and(|vma| vma.range() == range));
        assert!(view.vma_at(usize::MAX - 1).is_some());
        assert!(matches!(view.entry_at(usize::MAX), Entry::Empty(_)));
        Ok(())
    }

    #[test]
    fn what_is_where() -> Result {
        let mut test = TestMm::new()?;

        test.add_own(pages(1, 2)?, flags::READ)?;
        test.add_other(pages(2, 4)?)?;
        test.add_marker(pages(6, 9)?)?;
        let view = MmView::lock(test.mm());
        let at = |page: usize| view.entry_at(page * PAGE_SIZE);

        assert!(matches!(at(0), Entry::Empty(range) if range == pages(0, 1)?));
        assert!(matches!(at(1), Entry::Own(vma) if vma.range() == pages(1, 2)?));
        assert!(matches!(at(2), Entry::Other(range) if range == pages(2, 4)?));
        assert!(matches!(at(3), Entry::Other(range) if range == pages(2, 4)?));
        assert!(matches!(at(4), Entry::Empty(range) if range == pages(4, 6)?));
        assert!(matches!(at(8), Entry::Marker(range) if range == pages(6, 9)?));
        assert!(matches!(at(9), Entry::Empty(range) if range.end().is_none()));
        Ok(())
    }

    #[test]
    fn a_walk_tells_what_it_finds() -> Result {
        let mut test = TestMm::new()?;

        test.add_own(pages(1, 2)?, flags::READ)?;
        test.add_marker(pages(2, 3)?)?;
        test.add_other(pages(5, 6)?)?;
        let view = MmView::lock(test.mm());
        let mut entries = view.entries(usize::MAX);

        assert!(matches!(entries.next(), Some(Entry::Own(_))));
        assert!(matches!(entries.next(), Some(Entry::Marker(range)) if range == pages(2, 3)?));
        assert!(matches!(entries.next(), Some(Entry::Other(range)) if range == pages(5, 6)?));
        assert!(entries.next().is_none());
        // Once at the end it stays there.
        assert!(entries.next().is_none());
        assert_eq!(view.vmas().count(), 1);
        Ok(())
    }

    #[test]
    fn a_walk_ends_before_its_end() -> Result {
        let test = with_spread_vmas(16)?;
        let view = MmView::lock(test.mm());
        let (first, last) = (spread(0)?, spread(15)?);

        assert_eq!(view.entries(0).count(), 0);
        assert_eq!(view.entries(1).count(), 0);
        assert_eq!(view.entries(first.first()).count(), 0);
        // One address of it is enough.
        assert_eq!(view.entries(first.first() + 1).count(), 1);
        assert_eq!(view.entries(first.last()).count(), 1);
        assert_eq!(view.entries(spread(1)?.first()).count(), 1);
        assert_eq!(view.entries(last.first()).count(), 15);
        assert_eq!(view.entries(last.first() + 1).count(), 16);
        assert_eq!(view.entries(usize::MAX - 1).count(), 16);
        assert_eq!(view.entries(usize::MAX).count(), 16);
        Ok(())
    }

    #[test]
    fn a_walk_can_be_reset_but_not_beyond_its_end() -> Result {
        let test = with_spread_vmas(16)?;
        let view = MmView::lock(test.mm());
        let mut entries = view.entries(spread(8)?.first());

        assert_eq!(entries.by_ref().count(), 8);
        entries.reset(0);
        assert_eq!(entries.by_ref().count(), 8);
        // In a VMA, and in the hole behind it.
        entries.reset(spread(5)?.last());
        assert_eq!(entries.by_ref().count(), 3);
        entries.reset(spread(5)?.last() + 1);
        assert_eq!(entries.by_ref().count(), 2);
        entries.reset(spread(9)?.first());
        assert_eq!(entries.by_ref().count(), 0);
        entries.reset(usize::MAX);
        assert_eq!(entries.by_ref().count(), 0);
        Ok(())
    }

    #[test]
    fn a_vma_says_what_it_is() -> Result {
        let mut test = TestMm::new()?;

        test.add_own(pages(3, 8)?, flags::READ | flags::WRITE | flags::ACCOUNT)?;
        test.add_own(pages(8, 9)?, flags::EXEC | flags::MAYSHARE)?;
        let view = MmView::lock(test.mm());
        let data = view.vma_at(4 * PAGE_SIZE).ok_or(EINVAL)?;
        let code = view.vma_at(8 * PAGE_SIZE).ok_or(EINVAL)?;

        assert_eq!(data.start(), 3 * PAGE_SIZE);
        assert_eq!(data.end(), 8 * PAGE_SIZE);
        assert_eq!(data.nr_pages(), 5);
        assert_eq!(data.nr_accounted(), 5);
        assert_eq!(code.nr_accounted(), 0);
        assert_eq!(data.offset(), 0);
        assert!(data.file().is_none() && data.ops().is_none());
        assert!(CString::try_from_fmt(fmt!("{}", data.perms()))?.to_bytes() == b"rw-p");
        assert!(CString::try_from_fmt(fmt!("{}", code.perms()))?.to_bytes() == b"--xs");
        Ok(())
    }

    #[test]
    fn a_duplicate_is_the_parents_until_it_is_gone() -> Result {
        let parent = with_spread_vmas(100)?;
        let child_mm = TestMm::new()?;

        for _ in 0..2 {
            let mut guards = child_mm.lock_as_child(MmapWriteGuard::lock(parent.mm()))?;
            let (parent, child) = guards.proof().split();
            let from = VmaTree::<InRcu>::new(parent).ok_or(EINVAL)?;
            let to = child_mm.empty_tree(child).ok_or(EINVAL)?;
            let is_parents = to.duplicate(&from, |entries| {
                entries
                    .zip(0..)
                    .try_fold(0, |nr, (entry, i)| match (entry, spread(i)) {
                        (Entry::Other(range), Ok(expected)) if range == expected => Some(nr + 1),
                        _ => None,
                    })
            })?;

            assert_eq!(is_parents, Some(100));
            assert_eq!(from.entries(usize::MAX).count(), 100);
        }
        assert_eq!(MmView::lock(child_mm.mm()).entries(usize::MAX).count(), 0);
        assert_eq!(MmView::lock(parent.mm()).vmas().count(), 100);
        Ok(())
    }

    #[test]
    fn a_tree_with_vmas_is_not_empty() -> Result {
        let test = with_spread_vmas(1)?;
        let mut guard = MmapWriteGuard::lock(test.mm());

        assert!(test.empty_tree(guard.proof()).is_none());
        assert!(VmaTree::<InRcu>::new(guard.proof()).is_some());
        Ok(())
    }

    /// A child with `nr_copied` of 16 VMAs.
    fn half_built(nr_copied: usize) -> Result<TestMm> {
        let mut test = with_spread_vmas(nr_copied)?;

        for i in nr_copied..16 {
            test.add_other(spread(i)?)?;
        }
        Ok(test)
    }

    #[test]
    fn a_half_built_child_is_split_at_its_extent() -> Result {
        let parent = TestMm::new()?;

        for nr_copied in [1, 2, 8, 15] {
            let failed = spread(nr_copied)?.first();
            let child = half_built(nr_copied)?;
            let ((extent, own), found) =
                child.building(parent.mm(), nr_copied as i32, Some(failed), |child| {
                    let own = child
                        .entries()
                        .take_while(|entry| matches!(entry, Entry::Own(_)))
                        .count();

                    (child.extent(), own)
                })?;

            assert!(extent == Extent::Below(failed));
            assert_eq!(own, nr_copied);
            assert_eq!(found, nr_copied);
        }
        Ok(())
    }

    #[test]
    fn a_child_without_copies_has_nothing_to_tear_down() -> Result {
        let parent = TestMm::new()?;
        let child = half_built(0)?;
        let failed = spread(0)?.first();
        let (extent, found) =
            child.building(parent.mm(), 0, Some(failed), |child| child.extent())?;

        assert!(extent == Extent::Nothing);
        assert_eq!(found, 0);
        Ok(())
    }

    #[test]
    fn a_child_whose_vmas_were_all_copied() -> Result {
        let parent = TestMm::new()?;
        let child = half_built(16)?;
        let (extent, found) = child.building(parent.mm(), 16, None, |child| child.extent())?;

        assert!(extent == Extent::Everything);
        assert_eq!(found, 16);
        Ok(())
    }

    #[test]
    fn what_is_behind_the_copies_is_not_looked_at() -> Result {
        let parent = TestMm::new()?;

        // As when the parent has gone on, and unmapped its VMAs.
        for nr_copied in [1, 15, 16, 17, 40] {
            let mut child = with_spread_vmas(nr_copied)?;
            let failed = spread(nr_copied)?.first();

            child.add_other(spread(nr_copied)?)?;
            for i in nr_copied + 1..nr_copied + 20 {
                child.add_dangling(spread(i)?)?;
            }
            let ((), found) =
                child.building(parent.mm(), nr_copied as i32, Some(failed), |_| ())?;

            assert_eq!(found, nr_copied);
        }
        Ok(())
    }

    #[test]
    fn flags_are_those_of_the_mm_as_it_is() -> Result {
        let parent = TestMm::new()?;
        let child = TestMm::new()?;

        assert!(MmFlags::of(child.mm()) == FRESH);
        child.building(parent.mm(), 0, None, |child| child.set_oom_skip())?;

        assert!(
            MmFlags::of(child.mm())
                == MmFlags {
                    oom_skip: true,
                    ..FRESH
                }
        );
        assert!(MmFlags::of(parent.mm()) == FRESH);
        Ok(())
    }
}
