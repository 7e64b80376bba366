// SPDX-License-Identifier: GPL-2.0

//! What happened, for people and scripts: the last failed fork, and counters.

#![forbid(unsafe_code)]

use crate::{
    bindings::{
        Comm,
        PerPoint,
        Point, //
    },
    mm::Extent,
    recovery::Report, //
};
use kernel::{
    ffi::c_int,
    fmt,
    prelude::fmt,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    task::Pid, //
};

/// Whose recovery ran.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// This module's, [`crate::recovery::recover`].
    Rust,
    /// The kernel's own, `dup_mmap_recover()`.
    Upstream,
}

impl Recovery {
    /// All of them, in the order in which the file `recovery` shows them.
    pub(crate) const ALL: [Self; 2] = [Self::Rust, Self::Upstream];

    /// Its name in debugfs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Upstream => "upstream",
        }
    }
}

/// One failed fork. Prints as `key: value` lines, those of the file `last`.
pub(crate) struct Record {
    /// The forking task, as the initial namespace numbers it.
    pub(crate) pid: Pid,
    /// Its name.
    pub(crate) comm: Comm,
    /// The step that failed.
    pub(crate) point: Point,
    /// The VMA it failed for, if the step has one.
    pub(crate) vma: Option<VmaId>,
    /// What `dup_mmap()` returned.
    pub(crate) errno: c_int,
    /// Whether this module made it fail.
    pub(crate) injected: bool,
    /// How it was recovered; `None` if `dup_mmap()` returned before there was anything to recover.
    pub(crate) recovered: Option<Recovered>,
}

/// A VMA of the parent.
#[derive(Clone, Copy)]
pub(crate) struct VmaId {
    /// Its ordinal, from 0.
    pub(crate) index: u32,
    /// Its first address.
    pub(crate) start: usize,
    /// The address behind its last.
    pub(crate) end: usize,
}

/// The part of a [`Record`] that only a half-built mm leaves.
pub(crate) struct Recovered {
    /// Whose recovery it was.
    pub(crate) recovery: Recovery,
    /// VMAs in the child's tree that were its own when the fork failed.
    pub(crate) nr_copied: usize,
    /// What was undone.
    pub(crate) report: Report,
    /// Nanoseconds from the failure until the locks were dropped.
    pub(crate) nanos: i64,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!("pid: {}\n", self.pid))?;
        f.write_fmt(fmt!("comm: {}\n", self.comm))?;
        f.write_fmt(fmt!("point: {}\n", self.point))?;
        match self.vma {
            Some(VmaId { index, start, end }) => {
                f.write_fmt(fmt!("vma-index: {index}\n"))?;
                f.write_fmt(fmt!("vma: {start:x}-{end:x}\n"))?;
            }
            None => f.write_fmt(fmt!("vma-index: -1\nvma: -\n"))?,
        }
        f.write_fmt(fmt!("errno: {}\n", self.errno))?;
        f.write_fmt(fmt!(
            "injected: {}\n",
            if self.injected { 'y' } else { 'n' }
        ))?;
        match &self.recovered {
            Some(recovered) => f.write_fmt(fmt!("{recovered}")),
            None => f.write_fmt(fmt!(
                "recovery: -\nclass: -\nend: -\nvmas-copied: 0\nvmas-torn-down: 0\n\
                 pages-uncharged: 0\nns: 0\n"
            )),
        }
    }
}

impl fmt::Display for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extent = self.report.extent;
        let class = match extent {
            Extent::Nothing => "none",
            Extent::Below(_) => "partial",
            Extent::Everything => "all",
        };

        f.write_fmt(fmt!("recovery: {}\n", self.recovery.name()))?;
        f.write_fmt(fmt!("class: {class}\n"))?;
        f.write_fmt(fmt!("end: {:#x}\n", extent.end()))?;
        f.write_fmt(fmt!("vmas-copied: {}\n", self.nr_copied))?;
        f.write_fmt(fmt!("vmas-torn-down: {}\n", self.report.nr_vmas))?;
        f.write_fmt(fmt!("pages-uncharged: {}\n", self.report.nr_accounted))?;
        f.write_fmt(fmt!("ns: {}\n", self.nanos))
    }
}

/// A counter that any task may bump.
pub(crate) struct Counter(Atomic<usize>);

impl Counter {
    /// Starts at zero.
    pub(crate) const fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// Adds `n`.
    pub(crate) fn add(&self, n: usize) {
        self.0.add(n, Relaxed);
    }

    fn get(&self) -> usize {
        self.0.load(Relaxed)
    }

    fn clear(&self) {
        self.0.store(0, Relaxed);
    }
}

/// How often a point was come to.
pub(crate) struct PointCounters {
    /// Times a fork came to it.
    pub(crate) hits: Counter,
    /// Times it was made to fail.
    pub(crate) injected: Counter,
}

/// Counters since the module was loaded or reset. Print as `key: value` lines, those of `stats`.
pub(crate) struct Stats {
    /// Forks that copied an mm, whatever came of it.
    pub(crate) forks: Counter,
    /// Those that failed.
    pub(crate) failed: Counter,
    /// Failures injected.
    pub(crate) injected: Counter,
    /// Recoveries by this module.
    pub(crate) recovered_rust: Counter,
    /// Recoveries by the kernel's own code.
    pub(crate) recovered_upstream: Counter,
    /// VMAs torn down by either.
    pub(crate) vmas_torn_down: Counter,
    /// Pages given back to the commit limit by either.
    pub(crate) pages_uncharged: Counter,
    points: PerPoint<PointCounters>,
}

impl Stats {
    /// All zero.
    pub(crate) const fn new() -> Self {
        Self {
            forks: Counter::new(),
            failed: Counter::new(),
            injected: Counter::new(),
            recovered_rust: Counter::new(),
            recovered_upstream: Counter::new(),
            vmas_torn_down: Counter::new(),
            pages_uncharged: Counter::new(),
            points: PerPoint(
                [const {
                    PointCounters {
                        hits: Counter::new(),
                        injected: Counter::new(),
                    }
                }; Point::COUNT],
            ),
        }
    }

    /// The counters of one point.
    pub(crate) fn point(&self, point: Point) -> &PointCounters {
        self.points.get(point)
    }

    /// Counts a recovery.
    pub(crate) fn recovered(&self, recovery: Recovery, report: &Report) {
        match recovery {
            Recovery::Rust => self.recovered_rust.add(1),
            Recovery::Upstream => self.recovered_upstream.add(1),
        }
        self.vmas_torn_down.add(report.nr_vmas);
        self.pages_uncharged.add(report.nr_accounted);
    }

    fn named(&self) -> [(&'static str, &Counter); 7] {
        [
            ("forks", &self.forks),
            ("failed", &self.failed),
            ("injected", &self.injected),
            ("recovered-rust", &self.recovered_rust),
            ("recovered-upstream", &self.recovered_upstream),
            ("vmas-torn-down", &self.vmas_torn_down),
            ("pages-uncharged", &self.pages_uncharged),
        ]
    }

    /// Sets all to zero.
    pub(crate) fn clear(&self) {
        for (_, counter) in self.named() {
            counter.clear();
        }
        for point in &self.points.0 {
            point.hits.clear();
            point.injected.clear();
        }
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, counter) in self.named() {
            f.write_fmt(fmt!("{name}: {}\n", counter.get()))?;
        }
        Ok(())
    }
}

/// The table of all points, the file `points`.
pub(crate) struct PointTable<'a>(pub(crate) &'a Stats);

impl fmt::Display for PointTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!("# point errno hits injected errno-kept fails when\n"))?;
        for point in Point::all() {
            let counters = self.0.point(point);

            f.write_fmt(fmt!(
                "{} {} {} {} {} {}\n",
                point,
                point.errno(),
                counters.hits.get(),
                counters.injected.get(),
                if point.errno_kept() { 'y' } else { 'n' },
                point.reason()
            ))?;
        }
        Ok(())
    }
}
