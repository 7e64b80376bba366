// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of what needs no fork: parsing, matching, ranges, formatting.
//!
//! They run when the module is loaded, with `kunit.enable=1`, and leave their results in
//! `/sys/kernel/debug/kunit/`. The macros write unsafe code of their own, so this is a file that
//! does not forbid it; there is none in it.

use kernel::prelude::*;

#[kunit_tests(dup_mmap_inject)]
mod inject {
    use crate::{
        bindings::Point,
        inject::{
            parse_errno,
            parse_point,
            parse_vma_index,
            Errno,
            Rule, //
        }, //
    };
    use kernel::prelude::*;

    fn point(name: &[u8]) -> Result<Point> {
        Point::from_name(name).ok_or(EINVAL)
    }

    #[test]
    fn points_are_found_by_name_and_number() -> Result {
        for (number, point) in (0..).zip(Point::all()) {
            assert!(Point::from_name(point.name()) == Some(point));
            assert!(Point::from_raw(number) == Some(point));
            assert!(parse_point(point.name())? == Some(point));
            assert!(point.errno() < 0);
            assert!(!point.reason().is_empty());
        }
        assert!(Point::from_raw(Point::COUNT as u32).is_none());
        assert!(Point::from_raw(u32::MAX).is_none());
        Ok(())
    }

    #[test]
    fn point_any_is_none() -> Result {
        assert!(parse_point(b"any")?.is_none());
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
            assert!(matches!(parse_point(text), Err(EINVAL)));
        }
    }

    #[test]
    fn vma_index_is_an_ordinal_or_any() -> Result {
        assert!(parse_vma_index(b"-1")?.is_none());
        assert_eq!(parse_vma_index(b"0")?, Some(0));
        assert_eq!(parse_vma_index(b"+7")?, Some(7));
        assert_eq!(parse_vma_index(b"0x10")?, Some(16));
        assert_eq!(parse_vma_index(b"010")?, Some(8));
        assert_eq!(parse_vma_index(b"2147483647")?, Some(2147483647));
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
            assert!(matches!(parse_vma_index(text), Err(EINVAL)));
        }
        Ok(())
    }

    #[test]
    fn errno_is_negative_or_the_steps_own() -> Result {
        assert!(parse_errno(b"0")?.is_none());
        assert_eq!(parse_errno(b"-1")?.map(Errno::get), Some(-1));
        assert_eq!(parse_errno(b"-4095")?.map(Errno::get), Some(-4095));
        for text in [b"1".as_slice(), b"-4096", b"-ENOMEM", b""] {
            assert!(matches!(parse_errno(text), Err(EINVAL)));
        }
        Ok(())
    }

    #[test]
    fn a_rule_covers_what_it_says() -> Result {
        let (dup, copy) = (point(b"vm-area-dup")?, point(b"copy-page-range")?);
        let this = Rule {
            point: Some(dup),
            vma_index: Some(3),
            ..Rule::ANY
        };

        assert!(Rule::ANY.covers(dup, None));
        assert!(Rule::ANY.covers(dup, Some(0)));
        assert!(this.covers(dup, Some(3)));
        assert!(!this.covers(dup, Some(2)));
        assert!(!this.covers(dup, Some(4)));
        assert!(!this.covers(copy, Some(3)));
        // A step that has no VMA is none of VMA 3's.
        assert!(!this.covers(dup, None));
        Ok(())
    }

    #[test]
    fn a_rule_has_the_steps_error_unless_it_names_one() -> Result {
        let step = point(b"vma-start-write")?;
        let named = Rule {
            errno: parse_errno(b"-11")?,
            ..Rule::ANY
        };

        assert_eq!(Rule::ANY.error(step).to_errno(), step.errno());
        assert_eq!(named.error(step).to_errno(), -11);
        Ok(())
    }
}

#[kunit_tests(dup_mmap_mm)]
mod mm {
    use crate::mm::{
        Charge,
        Extent, //
    };
    use kernel::page::PAGE_SIZE;

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
    fn no_charge_is_no_pages() {
        assert_eq!(Charge::NONE.and(Charge::NONE).give_back(), 0);
    }
}

#[kunit_tests(dup_mmap_record)]
mod record {
    use crate::{
        bindings::{
            Comm,
            Point, //
        },
        mm::Extent,
        record::{
            PointTable,
            Record,
            Recovered,
            Recovery,
            Stats,
            VmaId, //
        },
        recovery::Report, //
    };
    use kernel::{
        prelude::*,
        str::CString, //
    };

    fn record(vma: Option<VmaId>, recovered: Option<Recovered>) -> Record {
        Record {
            pid: 7,
            comm: Comm::current(),
            point: Point::VMA_START_WRITE,
            vma,
            errno: -4,
            injected: true,
            recovered,
        }
    }

    /// The lines of a record but for the name of the task, which is whoever loads the module.
    fn text_is(record: &Record, head: &[u8], tail: &[u8]) -> Result<bool> {
        let text = CString::try_from_fmt(fmt!("{record}"))?;
        let text = text.to_bytes();

        Ok(text.starts_with(head) && text.ends_with(tail))
    }

    #[test]
    fn a_record_without_recovery() -> Result {
        assert!(text_is(
            &record(None, None),
            b"pid: 7\ncomm: ",
            b"\npoint: vma-start-write\nvma-index: -1\nvma: -\nerrno: -4\ninjected: y\n\
              recovery: -\nclass: -\nend: -\nvmas-copied: 0\nvmas-torn-down: 0\n\
              pages-uncharged: 0\nns: 0\n",
        )?);
        Ok(())
    }

    #[test]
    fn a_record_of_each_class() -> Result {
        for (extent, lines) in [
            (Extent::Nothing, b"class: none\nend: 0x0\n".as_slice()),
            (Extent::Below(0x3000), b"class: partial\nend: 0x3000\n"),
            (
                Extent::Everything,
                if cfg!(CONFIG_64BIT) {
                    b"class: all\nend: 0xffffffffffffffff\n"
                } else {
                    b"class: all\nend: 0xffffffff\n"
                },
            ),
        ] {
            let vma = VmaId {
                index: 2,
                start: 0x3000,
                end: 0x5000,
            };
            let recovered = Recovered {
                recovery: Recovery::Rust,
                nr_copied: 2,
                report: Report {
                    extent,
                    nr_vmas: 2,
                    nr_accounted: 5,
                },
                nanos: 9,
            };
            let text = CString::try_from_fmt(fmt!("{}", record(Some(vma), Some(recovered))))?;
            let text = text.to_bytes();

            assert!(text
                .windows(b"vma-index: 2\nvma: 3000-5000\n".len())
                .any(|part| part == b"vma-index: 2\nvma: 3000-5000\n"));
            assert!(text.windows(lines.len()).any(|part| part == lines));
            assert!(
                text.ends_with(b"vmas-copied: 2\nvmas-torn-down: 2\npages-uncharged: 5\nns: 9\n")
            );
        }
        Ok(())
    }

    #[test]
    fn stats_are_cleared_as_a_whole() -> Result {
        let stats = Stats::new();

        stats.forks.add(3);
        stats.point(Point::VMA_START_WRITE).hits.add(2);
        let counted = CString::try_from_fmt(fmt!("{stats}"))?;
        let hit = CString::try_from_fmt(fmt!("{}", PointTable(&stats)))?;
        stats.clear();
        let cleared = CString::try_from_fmt(fmt!("{stats}"))?;
        let fresh = CString::try_from_fmt(fmt!("{}", PointTable(&Stats::new())))?;
        let table = CString::try_from_fmt(fmt!("{}", PointTable(&stats)))?;

        assert!(counted.to_bytes().starts_with(b"forks: 3\nfailed: 0\n"));
        assert!(cleared.to_bytes().starts_with(b"forks: 0\nfailed: 0\n"));
        assert!(hit.to_bytes() != fresh.to_bytes());
        assert!(table.to_bytes() == fresh.to_bytes());
        Ok(())
    }

    #[test]
    fn the_table_has_a_line_for_each_point() -> Result {
        let table = CString::try_from_fmt(fmt!("{}", PointTable(&Stats::new())))?;
        let lines = table
            .to_bytes()
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();

        assert_eq!(lines, Point::COUNT + 1);
        assert!(table.to_bytes().starts_with(b"# point errno "));
        Ok(())
    }
}
