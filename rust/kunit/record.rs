// SPDX-License-Identifier: GPL-2.0

//! What the files say.

use kernel::prelude::*;

#[kunit_tests(dup_mmap_record)]
mod tests {
    use crate::{
        hook::{
            Point,
            RanBy,
            Unstable, //
        },
        log::Log,
        missing::Comm,
        mm::{
            Extent,
            MmFlags,
            Report, //
        },
        record::{
            Record,
            Recovered, //
        },
        stats::{
            Counts,
            Stats, //
        },
        step::{
            Step,
            VmaId, //
        }, //
    };
    use core::num::NonZeroUsize;
    use kernel::{
        prelude::*,
        str::CString, //
    };

    fn record(vma: Option<VmaId>, recovered: Option<Recovered>) -> Record {
        Record {
            pid: 7,
            comm: Comm::current(),
            step: Step {
                point: Point::VMA_START_WRITE,
                vma,
            },
            errno: -4,
            injected: true,
            seed: 0,
            alloc_nth: 0,
            recovery_alloc_nth: 0,
            recovery_alloc_failed: false,
            recovered,
            flags: MmFlags {
                oom_skip: false,
                unstable: false,
            },
        }
    }

    /// The lines of a record but for the name of the task, which is KUnit's thread.
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
              seed: 0\nalloc-nth: 0\nrecovery-alloc-nth: 0\nrecovery-alloc-failed: n\n\
              recovery: -\nclass: -\nend: -\nvmas-copied: 0\nvmas-torn-down: 0\n\
              pages-uncharged: 0\nmm-flags: -\nns: 0\nparent-lock-ns: 0\n",
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
                end: NonZeroUsize::new(0x5000).ok_or(EINVAL)?,
            };
            let recovered = Recovered {
                ran_by: RanBy {
                    module: true,
                    kernel: false,
                    left: None,
                },
                nr_copied: 2,
                report: Report {
                    extent,
                    nr_vmas: 2,
                    nr_accounted: 5,
                },
                nanos: 9,
                parent_lock_nanos: 4,
            };
            let text = CString::try_from_fmt(fmt!("{}", record(Some(vma), Some(recovered))))?;
            let text = text.to_bytes();

            assert!(text
                .windows(b"vma-index: 2\nvma: 3000-5000\n".len())
                .any(|part| part == b"vma-index: 2\nvma: 3000-5000\n"));
            assert!(text.windows(lines.len()).any(|part| part == lines));
            assert!(text.ends_with(
                b"vmas-copied: 2\nvmas-torn-down: 2\npages-uncharged: 5\nmm-flags: -\nns: 9\n\
                  parent-lock-ns: 4\n"
            ));
        }
        Ok(())
    }

    #[test]
    fn who_recovered_is_who_ran() {
        for (module, kernel, left, name) in [
            (true, false, None, c"rust"),
            (false, true, None, c"upstream"),
            (false, false, Some(Unstable(true)), c"xa-zero"),
            (false, false, Some(Unstable(false)), c"xa-zero-bare"),
            // None of these is right, and nobody hides it.
            (false, false, None, c"none"),
            (true, true, None, c"both"),
            (true, false, Some(Unstable(true)), c"both"),
        ] {
            let ran_by = RanBy {
                module,
                kernel,
                left,
            };

            assert!(ran_by.name() == name);
        }
    }

    #[test]
    fn each_flag_has_its_name() -> Result {
        for (oom_skip, unstable, line) in [
            (
                false,
                false,
                b"\nmm-flags: -\nns: 0\nparent-lock-ns: 0\n".as_slice(),
            ),
            (
                true,
                false,
                b"\nmm-flags: oom-skip\nns: 0\nparent-lock-ns: 0\n",
            ),
            (
                false,
                true,
                b"\nmm-flags: unstable\nns: 0\nparent-lock-ns: 0\n",
            ),
            (
                true,
                true,
                b"\nmm-flags: oom-skip,unstable\nns: 0\nparent-lock-ns: 0\n",
            ),
        ] {
            let record = Record {
                flags: MmFlags { oom_skip, unstable },
                ..record(None, None)
            };

            assert!(text_is(&record, b"pid: 7\n", line)?);
        }
        Ok(())
    }

    #[test]
    fn a_recovery_is_counted_for_who_ran() -> Result {
        let stats = Stats::new();
        let report = Report {
            extent: Extent::Everything,
            nr_vmas: 2,
            nr_accounted: 5,
        };

        for (module, kernel, left) in [
            (true, false, None),
            (false, true, None),
            (false, true, None),
            (false, false, Some(Unstable(true))),
        ] {
            let ran_by = RanBy {
                module,
                kernel,
                left,
            };

            stats.recovered(ran_by, &report);
        }
        let text = CString::try_from_fmt(fmt!("{stats}"))?;
        assert!(text.to_bytes().ends_with(
            b"recovered-rust: 1\nrecovered-upstream: 2\nleft-xa-zero: 1\nvmas-torn-down: 8\n\
              pages-uncharged: 20\n"
        ));
        Ok(())
    }

    #[test]
    fn the_log_keeps_the_last_ones() -> Result {
        let mut log = Log::new()?;
        let lines = |log: &Log| CString::try_from_fmt(fmt!("{log}"));

        assert!(lines(&log)?.to_bytes() == b"# dropped 0\n");
        assert!(log.last().is_none());
        for errno in 1..=Log::CAPACITY as i32 + 3 {
            log.push(Record {
                errno: -errno,
                ..record(None, None)
            });
        }
        let text = lines(&log)?;
        let mut text = text.to_bytes().split(|byte| *byte == b'\n');
        let found = |line: Option<&[u8]>, what: &[u8]| {
            line.is_some_and(|line| line.windows(what.len()).any(|part| part == what))
        };

        assert!(text.next() == Some(b"# dropped 3".as_slice()));
        assert!(found(text.next(), b" errno=-4 "));
        assert!(found(text.next(), b" errno=-5 "));
        assert!(found(text.nth(Log::CAPACITY - 3), b" errno=-259 "));
        assert!(text.next() == Some(b"".as_slice()));
        assert_eq!(log.last().map(|record| record.errno), Some(-259));
        log.clear();
        assert!(lines(&log)?.to_bytes() == b"# dropped 0\n");
        Ok(())
    }

    #[test]
    fn stats_are_cleared_as_a_whole() -> Result {
        let stats = Stats::new();

        let mut counts = Counts::new();
        counts.hit(Point::VMA_START_WRITE);
        counts.injected(Point::VMA_START_WRITE);
        for _ in 0..3 {
            stats.add(&counts);
        }
        let counted = CString::try_from_fmt(fmt!("{stats}"))?;
        let hit = CString::try_from_fmt(fmt!("{}", stats.points))?;
        stats.clear();
        let cleared = CString::try_from_fmt(fmt!("{stats}"))?;
        let fresh = CString::try_from_fmt(fmt!("{}", Stats::new().points))?;
        let table = CString::try_from_fmt(fmt!("{}", stats.points))?;

        assert!(counted
            .to_bytes()
            .starts_with(b"forks: 3\nfailed: 0\ninjected: 3\n"));
        assert!(cleared
            .to_bytes()
            .starts_with(b"forks: 0\nfailed: 0\ninjected: 0\n"));
        assert!(hit.to_bytes() != fresh.to_bytes());
        assert!(table.to_bytes() == fresh.to_bytes());
        Ok(())
    }

    #[test]
    fn the_table_has_a_line_for_each_point() -> Result {
        let table = CString::try_from_fmt(fmt!("{}", Stats::new().points))?;
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
