// SPDX-License-Identifier: GPL-2.0

//! The life of one call of `dup_mmap()`: what to inject, who recovers, what to remember.

#![forbid(unsafe_code)]

use crate::{
    alloc_window::{
        unseen_by_fail_nth,
        AllocWindow, //
    },
    draw::{
        Drawn,
        Seed, //
    },
    hold::{
        Held,
        HoldAt,
        Holds,
        Kept, //
    },
    hook::{
        Aftermath,
        Point,
        Recovered,
        Watcher, //
    },
    missing::{
        fail_nth,
        random_u32,
        trace,
        Comm, //
    },
    mm::{
        nr_vmas,
        Building,
        ChildMm,
        Extent,
        Leftover,
        Vma, //
    },
    record::{
        self,
        Record, //
    },
    recoverer::Recoverer,
    recovery::{
        recover,
        take_apart, //
    },
    rule::Rule,
    state::State,
    stats::Counts,
    step::{
        Step,
        Steps,
        VmaId, //
    },
    value::{
        Choice,
        Timeout, //
    }, //
};
use core::{
    mem,
    num::NonZeroU32, //
};
use kernel::{
    current,
    ffi::c_int,
    mm::{
        Mm,
        MmWithUser, //
    },
    prelude::*,
    sync::aref::ARef,
    time::{
        Instant,
        Monotonic, //
    }, //
};

/// What is kept about a call while it runs.
pub(crate) struct Call {
    /// Where to fail, as it was when the call began: a change in between does not split it.
    rule: Rule,
    /// Who is to recover, as it was then.
    recoverer: Recoverer,
    /// Where to wait if it is made to fail, as it was then, and for how long.
    hold: (HoldAt, Timeout),
    /// When it is to fail, at one of the steps that the rule selects.
    when: When,
    /// The steps so far, if it only looks.
    dry_run: Option<Steps>,
    /// The step it came to last.
    step: Option<Step>,
    /// The allocations of that step, or of the recovery, if anybody asked about them.
    window: Option<AllocWindow>,
    /// VMAs of the parent come to so far.
    nr_vmas: u32,
    /// Whether that step was made to fail.
    injected: bool,
    /// What its place was drawn with, if it was.
    seed: Option<Seed>,
    /// Whether an allocation of the recovery was.
    recovery_alloc_failed: bool,
    /// What was to be recovered, if anything.
    failed: Option<Failed>,
    counts: Counts,
}

/// When a call is to fail.
#[derive(Clone, Copy)]
enum When {
    /// When the fault attribute says so, which is asked at each step.
    Asked,
    /// The fault attribute has said so when the call began: once, there.
    Drawn(Drawn),
    /// It has said no, or that is done.
    Never,
}

/// A call that has left a half-built mm.
struct Failed {
    since: Instant<Monotonic>,
    /// How far these go.
    extent: Extent,
    /// VMAs copied until then.
    nr_copied: usize,
    /// Nanoseconds until the parent was let go, if it was before all was over.
    parent_lock_nanos: Option<i64>,
}

impl Call {
    fn new(state: &State) -> Self {
        Self {
            rule: state.settings.rule(),
            recoverer: state.settings.recovery.get(),
            hold: (
                state.settings.hold_at.get(),
                state.settings.hold_timeout.get(),
            ),
            when: When::Asked,
            dry_run: None,
            step: None,
            window: None,
            nr_vmas: 0,
            injected: false,
            seed: None,
            recovery_alloc_failed: false,
            failed: None,
            counts: Counts::new(),
        }
    }

    /// Whether it is to wait at `at`, and if so as what.
    fn held(&self, at: HoldAt, child: &Mm) -> Option<Held> {
        let (wanted, timeout) = self.hold;
        let extent = self.failed.as_ref()?.extent;

        (self.injected && wanted == at)
            .then(|| Held::new(at, timeout.get(), self.recoverer, child, extent))
    }

    /// Ends the window of the recovery, if anybody asked about it.
    fn close_recovery_window(&mut self) {
        let Some(window) = self.window.take() else {
            return;
        };

        if window.close().failed {
            self.counts.allocs_failed = self.counts.allocs_failed.wrapping_add(1);
            self.recovery_alloc_failed = true;
        } else {
            self.counts.allocs_missed = self.counts.allocs_missed.wrapping_add(1);
        }
    }
}

impl State {
    /// Takes note of a failure that was injected at the call's last step.
    fn note_injected(&self, call: &mut Call, error: c_int, alloc_nth: Option<NonZeroU32>) {
        let Some(step) = call.step else {
            return;
        };
        let alloc_nth = alloc_nth.map_or(0, NonZeroU32::get);
        let place = place(&step);

        call.injected = true;
        call.counts.injected(step.point);
        trace::injected(&place, error, alloc_nth);
        // The framework's own lines say that fail_dup_mmap, or failslab, has forced a failure.
        if self.fault.may_say() {
            pr_notice!(
                "FAULT_INJECTION: {}, vma-index {}, alloc-nth {alloc_nth}\n",
                step.point,
                place.vma_index
            );
        }
    }
}

/// For the tracepoints.
fn place(step: &Step) -> trace::Place {
    let vma = step.vma.as_ref();

    trace::Place {
        point: step.point,
        // Below the limit on VMAs of an mm.
        vma_index: vma.map_or(-1, |vma| vma.index as c_int),
        start: vma.map_or(0, |vma| vma.start),
        end: vma.map_or(0, |vma| vma.end.get()),
    }
}

impl Watcher for State {
    type Call = Call;

    fn wants(&self) -> bool {
        fail_nth() != 0
            || ((self.fault.is_armed() || self.settings.dry_run.get())
                && self.fault.filter_lets_current_through())
    }

    fn begin(&self) -> Call {
        let mut call = Call::new(self);

        // Of those that wanted to look, one does.
        if self.fault.filter_lets_current_through() && self.settings.dry_run.take() {
            call.dry_run = Some(Steps::new());
        } else if self.settings.per_fork.get() {
            call.when = self.draw(&call.rule);
        }
        trace::begin(call.recoverer.name());
        call
    }

    fn failed(&self, point: Point, vma: Option<Vma<'_>>, vma_index: u32) -> Call {
        let vma = vma.and_then(|vma| VmaId::new(vma_index, vma));

        Call {
            step: Some(Step { point, vma }),
            ..Call::new(self)
        }
    }

    fn enter(&self, call: &mut Call, point: Point, vma: Option<Vma<'_>>) -> Result {
        if point == Point::VMA_START_WRITE {
            call.nr_vmas = call.nr_vmas.wrapping_add(1);
        }
        let vma = vma.and_then(|vma| VmaId::new(call.nr_vmas.wrapping_sub(1), vma));
        let step = Step { point, vma };

        call.counts.hit(point);
        call.injected = false;
        call.step = Some(step);
        trace::point(&place(&step));
        if call.dry_run.is_some() {
            call.window = Some(AllocWindow::open(None));
            return Ok(());
        }
        if !call.rule.selects(&step) || !self.is_time(call, &step) {
            return Ok(());
        }
        if call.rule.alloc_nth.is_some() {
            call.window = Some(AllocWindow::open(call.rule.alloc_nth));
            return Ok(());
        }
        let error = call.rule.error(point);

        self.note_injected(call, error.to_errno(), None);
        Err(error)
    }

    fn leave(&self, call: &mut Call) {
        let Some(window) = call.window.take() else {
            return;
        };
        let allocations = window.close();

        if let (Some(steps), Some(step)) = (&mut call.dry_run, call.step) {
            unseen_by_fail_nth(|| steps.push(step, allocations.nr));
        } else if allocations.failed {
            call.counts.allocs_failed = call.counts.allocs_failed.wrapping_add(1);
            // Whether the step failed for it will be seen.
            self.note_injected(call, 0, call.rule.alloc_nth);
        } else {
            call.counts.allocs_missed = call.counts.allocs_missed.wrapping_add(1);
        }
    }

    fn recover<'a>(&self, call: &mut Call, child: ChildMm<'a, Building<'a>>) -> Recovered<'a> {
        call.failed = Some(Failed {
            since: Instant::now(),
            extent: child.extent(),
            nr_copied: child.nr_copied(),
            parent_lock_nanos: None,
        });
        if let Some(held) = call.held(HoldAt::BeforeRecovery, child.mm()) {
            self.holds.hold(held);
        }
        if let (true, Some(nth)) = (call.injected, call.rule.recovery_alloc_nth) {
            // Until the locks are dropped, whoever recovers.
            call.window = Some(AllocWindow::open(Some(nth)));
        }
        match call.recoverer {
            Recoverer::Rust => {
                let held = call.held(HoldAt::ParentUnlocked, child.mm());

                Recovered::TornDown(recover(child, || {
                    if let Some(failed) = &mut call.failed {
                        failed.parent_lock_nanos = Some(failed.since.elapsed().as_nanos());
                    }
                    trace::unlock(c"parent");
                    if let Some(held) = held {
                        self.holds.hold(held);
                    }
                }))
            }
            Recoverer::Upstream => Recovered::Declined(child),
            Recoverer::XaZero => Recovered::Left(child.leave(true)),
            Recoverer::XaZeroBare => Recovered::Left(child.leave(false)),
        }
    }

    fn recovered(&self, call: &mut Call, child: &Mm) {
        if let Some(held) = call.held(HoldAt::AfterRecovery, child) {
            self.holds.hold(held);
        }
    }

    fn end(
        &self,
        mut call: Call,
        result: Result,
        aftermath: &Aftermath,
        child: &MmWithUser,
        leftover: Option<Leftover<&MmWithUser>>,
    ) {
        let errno = result.map_or_else(|error| error.to_errno(), |()| 0);

        trace::end(errno, aftermath.ran_by.name());
        self.record(&mut call, errno, aftermath);

        if let Some(held) = call.held(HoldAt::AfterUnlock, child) {
            self.holds.hold(held);
        }
        if let Some(held) = call.held(HoldAt::Pinned, child) {
            let kept = match leftover {
                Some(leftover) => Kept::Leftover(leftover.pin()),
                None => Kept::Mm(ARef::from(child)),
            };

            Holds::pin(&self.holds, held, kept);
        } else if let Some(leftover) = leftover {
            let _ = leftover.take_apart(take_apart);
        }
    }
}

impl State {
    /// Whether the running task's fork is to fail, and where.
    fn draw(&self, rule: &Rule) -> When {
        if !self.fault.should_fail() {
            return When::Never;
        }
        let nr_vmas = current!().mm().map_or(0, |mm| nr_vmas(mm));
        let seed = self.settings.seed.get().or_else(|| {
            // As large as what the file takes.
            Seed::new(random_u32() >> 1 | 1)
        });

        seed.and_then(|seed| Drawn::new(rule, nr_vmas, seed))
            .map_or(When::Never, When::Drawn)
    }

    /// Whether it is time for the call to fail, at `step`, which its rule selects.
    fn is_time(&self, call: &mut Call, step: &Step) -> bool {
        match call.when {
            When::Asked => self.fault.should_fail(),
            When::Drawn(drawn) if drawn.is_reached(&call.rule, step) => {
                call.when = When::Never;
                call.seed = Some(drawn.seed);
                true
            }
            When::Drawn(_) | When::Never => false,
        }
    }

    /// Remembers a call that is over, with `errno` or 0.
    fn record(&self, call: &mut Call, errno: c_int, aftermath: &Aftermath) {
        call.close_recovery_window();
        if let Some(steps) = &mut call.dry_run {
            // As a whole, so that two calls do not mix theirs. The old ones go without the lock.
            mem::swap(&mut *self.steps.lock(), steps);
        }
        self.stats.add(&call.counts);

        let Some(step) = call.step.filter(|_| errno != 0) else {
            return;
        };
        let &Aftermath {
            ran_by,
            report,
            flags,
        } = aftermath;
        let recovered = call.failed.as_ref().map(|failed| {
            let nanos = failed.since.elapsed().as_nanos();

            self.stats.recovered(ran_by, &report);
            trace::recovered(
                &place(&step),
                errno,
                &trace::Undone {
                    recovery: ran_by.name(),
                    extent: report.extent.end(),
                    nr_copied: failed.nr_copied,
                    nr_vmas: report.nr_vmas,
                    nr_accounted: report.nr_accounted,
                },
            );
            record::Recovered {
                ran_by,
                nr_copied: failed.nr_copied,
                report,
                nanos,
                parent_lock_nanos: failed.parent_lock_nanos.unwrap_or(nanos),
            }
        });
        let nth = |nth: Option<NonZeroU32>| nth.map_or(0, NonZeroU32::get);
        // What was asked for says nothing of a failure that came by itself.
        let rule = if call.injected { call.rule } else { Rule::ANY };

        self.stats.failed.add(1);
        self.records.log.lock().push(Record {
            pid: current!().pid(),
            comm: Comm::current(),
            step,
            errno,
            injected: call.injected,
            seed: nth(call.seed.filter(|_| call.injected)),
            alloc_nth: nth(rule.alloc_nth),
            recovery_alloc_nth: nth(rule.recovery_alloc_nth),
            recovery_alloc_failed: call.recovery_alloc_failed,
            recovered,
            flags,
        });
    }
}
