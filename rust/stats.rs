// SPDX-License-Identifier: GPL-2.0

//! Counters: of one call, and of all.

#![forbid(unsafe_code)]

use crate::{
    hook::{
        PerPoint,
        Point,
        RanBy, //
    },
    mm::Report, //
};
use kernel::{
    fmt,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

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
struct PointCounters {
    /// Times a watched call came to it.
    hits: Counter,
    /// Times it was made to fail.
    injected: Counter,
}

/// What one call counts, for [`Stats::add`]: nobody else's cache line.
pub(crate) struct Counts {
    /// For each point: times come to, times made to fail.
    points: PerPoint<(u32, u32)>,
    /// See [`Stats::allocs_failed`].
    pub(crate) allocs_failed: u32,
    /// See [`Stats::allocs_missed`].
    pub(crate) allocs_missed: u32,
}

impl Counts {
    /// All zero.
    pub(crate) const fn new() -> Self {
        Self {
            points: PerPoint([(0, 0); Point::COUNT]),
            allocs_failed: 0,
            allocs_missed: 0,
        }
    }

    /// The call has come to `point`.
    pub(crate) fn hit(&mut self, point: Point) {
        let (hits, _) = self.points.get_mut(point);

        *hits = hits.wrapping_add(1);
    }

    /// The call was made to fail at `point`.
    pub(crate) fn injected(&mut self, point: Point) {
        let (_, injected) = self.points.get_mut(point);

        *injected = injected.wrapping_add(1);
    }
}

/// Counters since the module was loaded or reset. Print as `key: value` lines, those of `stats`.
pub(crate) struct Stats {
    /// Calls that were watched, whatever came of them, or that failed.
    pub(crate) forks: Counter,
    /// Those that failed.
    pub(crate) failed: Counter,
    /// Failures injected, those of allocations among them.
    pub(crate) injected: Counter,
    /// Allocations that were made to fail, of a step or of a recovery.
    pub(crate) allocs_failed: Counter,
    /// Steps and recoveries that made fewer allocations than the one which was to fail.
    pub(crate) allocs_missed: Counter,
    /// Recoveries by this module.
    pub(crate) recovered_rust: Counter,
    /// Recoveries by the kernel's own code.
    pub(crate) recovered_upstream: Counter,
    /// Calls whose child was left to be taken apart later.
    pub(crate) left_xa_zero: Counter,
    /// VMAs torn down by either.
    pub(crate) vmas_torn_down: Counter,
    /// Pages given back to the commit limit by either.
    pub(crate) pages_uncharged: Counter,
    /// The file `points`.
    pub(crate) points: Points,
}

impl Stats {
    /// All zero.
    pub(crate) const fn new() -> Self {
        Self {
            forks: Counter::new(),
            failed: Counter::new(),
            injected: Counter::new(),
            allocs_failed: Counter::new(),
            allocs_missed: Counter::new(),
            recovered_rust: Counter::new(),
            recovered_upstream: Counter::new(),
            left_xa_zero: Counter::new(),
            vmas_torn_down: Counter::new(),
            pages_uncharged: Counter::new(),
            points: Points::new(),
        }
    }

    /// Adds what a call has counted, when it is over.
    pub(crate) fn add(&self, call: &Counts) {
        self.forks.add(1);
        self.allocs_failed.add(call.allocs_failed as usize);
        self.allocs_missed.add(call.allocs_missed as usize);
        for point in Point::all() {
            let (hits, injected) = *call.points.get(point);
            let counters = self.points.0.get(point);

            counters.hits.add(hits as usize);
            counters.injected.add(injected as usize);
            self.injected.add(injected as usize);
        }
    }

    /// Counts a recovery.
    pub(crate) fn recovered(&self, ran_by: RanBy, report: &Report) {
        self.recovered_rust.add(ran_by.module.into());
        self.recovered_upstream.add(ran_by.kernel.into());
        self.left_xa_zero.add(ran_by.left.is_some().into());
        self.vmas_torn_down.add(report.nr_vmas);
        self.pages_uncharged.add(report.nr_accounted);
    }

    fn named(&self) -> [(&'static str, &Counter); 10] {
        [
            ("forks", &self.forks),
            ("failed", &self.failed),
            ("injected", &self.injected),
            ("allocs-failed", &self.allocs_failed),
            ("allocs-missed", &self.allocs_missed),
            ("recovered-rust", &self.recovered_rust),
            ("recovered-upstream", &self.recovered_upstream),
            ("left-xa-zero", &self.left_xa_zero),
            ("vmas-torn-down", &self.vmas_torn_down),
            ("pages-uncharged", &self.pages_uncharged),
        ]
    }

    /// Sets all to zero.
    pub(crate) fn clear(&self) {
        for (_, counter) in self.named() {
            counter.clear();
        }
        self.points.clear();
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

/// What is counted of each point. Prints as a table, that of the file `points`.
pub(crate) struct Points(PerPoint<PointCounters>);

impl Points {
    const fn new() -> Self {
        Self(PerPoint(
            [const {
                PointCounters {
                    hits: Counter::new(),
                    injected: Counter::new(),
                }
            }; Point::COUNT],
        ))
    }

    fn clear(&self) {
        for counters in &self.0 .0 {
            counters.hits.clear();
            counters.injected.clear();
        }
    }
}

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!("# point errno hits injected errno-kept fails when\n"))?;
        for point in Point::all() {
            let counters = self.0.get(point);

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
