// SPDX-License-Identifier: GPL-2.0

//! What the files take, and what a rule selects.

use kernel::prelude::*;

#[kunit_tests(dup_mmap_inject)]
mod tests {
    use crate::{
        alloc_window::{
            unseen_by_fail_nth,
            AllocWindow, //
        },
        hook::Point,
        missing::{
            fail_nth,
            set_fail_nth, //
        },
        rule::Rule,
        settings::{
            Setting,
            Settings, //
        },
        step::{
            Step,
            VmaId, //
        },
        value::{
            Errno,
            Value, //
        }, //
    };
    use core::num::{
        NonZeroU32,
        NonZeroUsize, //
    };
    use kernel::prelude::*;

    /// A VMA of a page, at an address that has its ordinal.
    fn vma(index: u32) -> Result<VmaId> {
        let start = index as usize * 0x1000;

        Ok(VmaId {
            index,
            start,
            end: NonZeroUsize::new(start + 0x1000).ok_or(EINVAL)?,
        })
    }

    fn point(name: &[u8]) -> Result<Point> {
        Point::from_name(name).ok_or(EINVAL)
    }

    #[test]
    fn points_are_found_by_name_and_number() -> Result {
        for (number, point) in (0..).zip(Point::all()) {
            assert!(Point::from_name(point.name()) == Some(point));
            assert!(Point::from_raw(number) == Some(point));
            assert!(Option::<Point>::parse(point.name())? == Some(point));
            assert!(point.errno() < 0);
            assert!(!point.reason().is_empty());
        }
        assert!(Point::from_raw(Point::COUNT as u32).is_none());
        assert!(Point::from_raw(u32::MAX).is_none());
        Ok(())
    }

    #[test]
    fn point_any_is_none() -> Result {
        assert!(Option::<Point>::parse(b"any")?.is_none());
        Ok(())
    }

    #[test]
    fn unknown_points_are_refused() {
        for text in [
            b"".as_slice(),
            b"none",
            b"ANY",
            b"any ",
            b"mt-du",
            b"mt-dupp",
            b"Mt-dup",
            b"mt-dup\0",
            b"\xff",
        ] {
            assert!(matches!(Option::<Point>::parse(text), Err(EINVAL)));
        }
    }

    #[test]
    fn vma_index_is_an_ordinal_or_any() -> Result {
        assert!(Option::<u32>::parse(b"-1")?.is_none());
        assert_eq!(Option::<u32>::parse(b"0")?, Some(0));
        assert_eq!(Option::<u32>::parse(b"+7")?, Some(7));
        assert_eq!(Option::<u32>::parse(b"0x10")?, Some(16));
        assert_eq!(Option::<u32>::parse(b"010")?, Some(8));
        assert_eq!(Option::<u32>::parse(b"2147483647")?, Some(2147483647));
        for text in [
            b"".as_slice(),
            b"-2",
            b"2147483648",
            b"4294967295",
            b"18446744073709551616",
            b"1x",
            b"0x",
            b"0x-1",
            b"--1",
            b"+-1",
            b"-",
            b"1 2",
            b"1\0",
        ] {
            assert!(matches!(Option::<u32>::parse(text), Err(EINVAL)));
        }
        Ok(())
    }

    #[test]
    fn errno_is_negative_or_the_steps_own() -> Result {
        assert!(Option::<Errno>::parse(b"0")?.is_none());
        assert_eq!(Option::<Errno>::parse(b"-1")?.map(Errno::get), Some(-1));
        assert_eq!(
            Option::<Errno>::parse(b"-4095")?.map(Errno::get),
            Some(-4095)
        );
        for text in [b"1".as_slice(), b"-4096", b"-ENOMEM", b""] {
            assert!(matches!(Option::<Errno>::parse(text), Err(EINVAL)));
        }
        Ok(())
    }

    #[test]
    fn a_rule_selects_what_it_says() -> Result {
        let (dup, copy) = (point(b"vm-area-dup")?, point(b"copy-page-range")?);
        let this = Rule {
            point: Some(dup),
            vma_index: Some(3),
            ..Rule::ANY
        };

        assert!(Rule::ANY.selects(&Step {
            point: dup,
            vma: None
        }));
        assert!(Rule::ANY.selects(&Step {
            point: dup,
            vma: Some(vma(0)?)
        }));
        assert!(this.selects(&Step {
            point: dup,
            vma: Some(vma(3)?)
        }));
        assert!(!this.selects(&Step {
            point: dup,
            vma: Some(vma(2)?)
        }));
        assert!(!this.selects(&Step {
            point: dup,
            vma: Some(vma(4)?)
        }));
        assert!(!this.selects(&Step {
            point: copy,
            vma: Some(vma(3)?)
        }));
        // A step that has no VMA is none of VMA 3's.
        assert!(!this.selects(&Step {
            point: dup,
            vma: None
        }));
        Ok(())
    }

    #[test]
    fn an_address_selects_the_vma_it_is_in() -> Result {
        let dup = point(b"vm-area-dup")?;
        let selects = |addr: &[u8], vma: Option<VmaId>| -> Result<bool> {
            Ok(Rule {
                vma_addr: Option::<NonZeroUsize>::parse(addr)?,
                ..Rule::ANY
            }
            .selects(&Step { point: dup, vma }))
        };

        assert!(selects(b"0x3000", Some(vma(3)?))?);
        assert!(selects(b"0x3fff", Some(vma(3)?))?);
        assert!(!selects(b"0x4000", Some(vma(3)?))?);
        assert!(!selects(b"0x2fff", Some(vma(3)?))?);
        assert!(!selects(b"0x3000", None)?);
        assert!(selects(b"0", None)?);
        // Both, where both are set.
        let both = Rule {
            vma_addr: Option::<NonZeroUsize>::parse(b"0x3000")?,
            vma_index: Some(2),
            ..Rule::ANY
        };
        assert!(!both.selects(&Step {
            point: dup,
            vma: Some(vma(3)?)
        }));
        Ok(())
    }

    #[test]
    fn an_address_is_any_number_without_a_sign() -> Result {
        assert!(Option::<NonZeroUsize>::parse(b"0")?.is_none());
        assert_eq!(
            Option::<NonZeroUsize>::parse(b"0x1000")?.map(|addr| addr.get()),
            Some(0x1000)
        );
        assert_eq!(
            Option::<NonZeroUsize>::parse(b"+4096")?.map(|addr| addr.get()),
            Some(4096)
        );
        assert_eq!(
            Option::<NonZeroUsize>::parse(b"18446744073709551615")?.map(|addr| addr.get()),
            Some(usize::MAX)
        );
        for text in [
            b"".as_slice(),
            b"-1",
            b"++1",
            b"0x",
            b"0x+1",
            b"18446744073709551616",
            b"1 ",
        ] {
            assert!(matches!(Option::<NonZeroUsize>::parse(text), Err(EINVAL)));
        }
        Ok(())
    }

    #[test]
    fn the_nth_allocation_counts_from_one() -> Result {
        assert!(Option::<NonZeroU32>::parse(b"0")?.is_none());
        assert_eq!(
            Option::<NonZeroU32>::parse(b"1")?.map(|nth| nth.get()),
            Some(1)
        );
        assert_eq!(
            Option::<NonZeroU32>::parse(b"2147483647")?.map(|nth| nth.get()),
            Some(2147483647)
        );
        for text in [b"".as_slice(), b"-1", b"2147483648", b"one"] {
            assert!(matches!(Option::<NonZeroU32>::parse(text), Err(EINVAL)));
        }
        Ok(())
    }

    #[test]
    fn a_setting_is_what_it_was_set_to() -> Result {
        let point = Setting::new(None);
        let addr = Setting::new(None);
        let errno = Setting::new(None);
        let index = Setting::new(None);
        let nth = Setting::new(None);

        for value in Iterator::chain(Point::all().map(Some), [None]) {
            point.set(value);
            assert!(point.get() == value);
        }
        for value in [1, 0x1000, usize::MAX, 0].map(NonZeroUsize::new) {
            addr.set(value);
            assert!(addr.get() == value);
        }
        for text in [b"-1".as_slice(), b"-4095", b"-12", b"0"] {
            let value = Option::<Errno>::parse(text)?;

            errno.set(value);
            assert_eq!(errno.get().map(Errno::get), value.map(Errno::get));
        }
        for value in [Some(0), Some(i32::MAX as u32), None] {
            index.set(value);
            assert_eq!(index.get(), value);
        }
        for value in [1, i32::MAX as u32, 0].map(NonZeroU32::new) {
            nth.set(value);
            assert!(nth.get() == value);
        }
        Ok(())
    }

    #[test]
    fn of_several_one_takes_the_dry_run() {
        let settings = Settings::new();

        assert!(!settings.dry_run.take());
        settings.dry_run.set(true);
        assert!(settings.dry_run.take());
        assert!(!settings.dry_run.take() && !settings.dry_run.get());
    }

    #[test]
    fn a_window_that_is_dropped_puts_back() {
        let before = fail_nth();

        set_fail_nth(7);
        drop(AllocWindow::open(NonZeroU32::new(3)));
        let after = fail_nth();
        let inside = unseen_by_fail_nth(fail_nth);
        let at_last = fail_nth();

        set_fail_nth(before);
        assert_eq!(after, 7);
        assert_eq!(inside, 0);
        assert_eq!(at_last, 7);
    }

    #[test]
    fn a_window_counts_and_puts_back() {
        let before = fail_nth();

        set_fail_nth(7);
        let counted = AllocWindow::open(None).close();
        let left = fail_nth();
        let window = AllocWindow::open(NonZeroU32::new(3));
        let inside = fail_nth();
        let missed = window.close();
        let window = AllocWindow::open(NonZeroU32::new(3));
        // As if three had been made.
        set_fail_nth(0);
        let consumed = window.close();
        let at_last = fail_nth();

        set_fail_nth(before);
        assert_eq!(counted.nr, 0);
        assert!(!counted.failed);
        assert_eq!(left, 7);
        assert_eq!(inside, 3);
        assert_eq!(missed.nr, 0);
        assert!(!missed.failed);
        assert_eq!(consumed.nr, 3);
        assert!(consumed.failed);
        assert_eq!(at_last, 7);
    }

    #[test]
    fn a_rule_has_the_steps_error_unless_it_names_one() -> Result {
        let step = point(b"vma-start-write")?;
        let named = Rule {
            errno: Option::<Errno>::parse(b"-11")?,
            ..Rule::ANY
        };

        assert_eq!(Rule::ANY.error(step).to_errno(), step.errno());
        assert_eq!(named.error(step).to_errno(), -11);
        Ok(())
    }
}
