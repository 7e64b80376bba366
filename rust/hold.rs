// SPDX-License-Identifier: GPL-2.0

//! Forks that fail and wait there, so that others can be sent to look at what they have built.
//!
//! A hold is for a test. It never lasts longer than its timeout, and ends with a fatal signal to the
//! task, when it is released, and before the module goes. While it lasts the task has whatever
//! locks it had; but for one that is *pinned*, which waits for nobody: its fork goes on and only
//! the child's mm stays.

#![forbid(unsafe_code)]

use crate::{
    missing::{
        has_exited,
        trace,
        Comm,
        Gate,
        Tick,
        Ticking,
        Woken, //
    },
    mm::{
        Extent,
        Leftover, //
    },
    recoverer::Recoverer,
    recovery::take_apart,
    value::Choice, //
};
use kernel::{
    current,
    fmt,
    mm::{
        Mm,
        MmWithUser, //
    },
    new_mutex,
    prelude::*,
    str::CStr,
    sync::{
        aref::ARef,
        Arc,
        Mutex, //
    },
    task::{
        Pid,
        Task, //
    },
    time::{
        msecs_to_jiffies,
        Instant,
        Jiffies,
        Monotonic,
        Msecs, //
    }, //
};

/// Where a fork that fails is to wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum HoldAt {
    /// Nowhere.
    None,
    /// Before anything is undone, with both mmap locks.
    BeforeRecovery,
    /// When the parent's lock is dropped, with the child's. Only the recovery in Rust comes here.
    ParentUnlocked,
    /// When the child is taken apart, with its lock.
    AfterRecovery,
    /// With no mmap lock, before the child's mm is given back.
    AfterUnlock,
    /// The fork does not wait, but the child's mm stays.
    Pinned,
}

impl Choice for HoldAt {
    const DEFAULT: Self = Self::None;
    const ALL: &'static [Self] = &[
        Self::None,
        Self::BeforeRecovery,
        Self::ParentUnlocked,
        Self::AfterRecovery,
        Self::AfterUnlock,
        Self::Pinned,
    ];

    fn name(self) -> &'static CStr {
        match self {
            Self::None => c"none",
            Self::BeforeRecovery => c"before-recovery",
            Self::ParentUnlocked => c"parent-unlocked",
            Self::AfterRecovery => c"after-recovery",
            Self::AfterUnlock => c"after-unlock",
            Self::Pinned => c"pinned",
        }
    }
}

/// How many forks can be held at a time.
const PLACES: usize = 8;

/// How often it is looked whether a pinned mm has to go, in milliseconds.
const TICK: Msecs = 50;

/// What keeps a pinned mm.
pub(crate) enum Kept {
    /// A reference.
    Mm(#[expect(dead_code, reason = "what counts is that it is there")] ARef<MmWithUser>),
    /// The mm is still to be taken apart.
    Leftover(Leftover<ARef<MmWithUser>>),
}

/// A fork that is held.
pub(crate) struct Held {
    task: ARef<Task>,
    pid: Pid,
    comm: Comm,
    at: HoldAt,
    recoverer: Recoverer,
    mm: ARef<Mm>,
    extent: Extent,
    since: Instant<Monotonic>,
    timeout: Msecs,
    /// Why its gate was opened.
    why: &'static CStr,
    kept: Option<Kept>,
}

impl Held {
    /// The running task's fork of `mm`, whose copied VMAs go as far as `extent` says.
    pub(crate) fn new(
        at: HoldAt,
        timeout: Msecs,
        recoverer: Recoverer,
        mm: &Mm,
        extent: Extent,
    ) -> Self {
        Self {
            task: ARef::from(&**current!()),
            pid: current!().pid(),
            comm: Comm::current(),
            at,
            recoverer,
            mm: ARef::from(mm),
            extent,
            since: Instant::now(),
            timeout,
            why: c"released",
            kept: None,
        }
    }

    fn millis(&self) -> i64 {
        self.since.elapsed().as_millis()
    }

    /// Gives the mm back, of one that is not in its place any more. Sleeps.
    fn end(self, why: &'static CStr) {
        let at = self.at.name();

        if let Some(Kept::Leftover(leftover)) = self.kept {
            let _ = leftover.take_apart(take_apart);
        }
        trace::hold_ends(at, why);
    }
}

/// What an observer gets of a fork that is held.
pub(crate) struct Sight {
    /// Whose it is.
    pub(crate) pid: Pid,
    /// Where it is held.
    pub(crate) at: HoldAt,
    /// Who is to recover.
    pub(crate) recoverer: Recoverer,
    /// The child's mm.
    pub(crate) mm: ARef<Mm>,
    /// How far the copied VMAs went.
    pub(crate) extent: Extent,
}

struct Places {
    held: [Option<Held>; PLACES],
    /// Forks that were to be held when all places were taken.
    nr_missed: usize,
    /// Nothing is held any more.
    closed: bool,
}

/// All forks that are held.
#[pin_data]
pub(crate) struct Holds {
    #[pin]
    places: Mutex<Places>,
    /// What the fork in each place waits for.
    #[pin]
    gates: [Gate; PLACES],
}

impl Holds {
    /// None.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            places <- new_mutex!(Places {
                held: [const { None }; PLACES],
                nr_missed: 0,
                closed: false,
            }),
            gates <- pin_init::pin_init_array_from_fn(|_| Gate::new()),
        })
    }

    /// Takes a free place, if there is one; `then` runs before anybody else comes by it.
    fn enter(&self, held: Held, then: impl FnOnce()) -> Result<&Gate, Held> {
        let mut places = self.places.lock();

        if !places.closed {
            for (place, gate) in places.held.iter_mut().zip(&self.gates) {
                if place.is_none() {
                    gate.close();
                    *place = Some(held);
                    then();
                    return Ok(gate);
                }
            }
        }
        places.nr_missed = places.nr_missed.wrapping_add(1);
        Err(held)
    }

    /// Lets the running task, whose fork it is, wait. Does not allocate.
    pub(crate) fn hold(&self, held: Held) {
        let (at, pid) = (held.at.name(), held.pid);
        let timeout = msecs_to_jiffies(held.timeout);
        let Ok(gate) = self.enter(held, || ()) else {
            return;
        };

        trace::hold_begins(at);
        let woken = gate.wait(timeout);
        // One that is pinned may be the same task's, from an earlier fork.
        let held = self.take(|held| held.pid == pid && held.kept.is_none());
        trace::hold_ends(
            at,
            match woken {
                Woken::Opened => held.map_or(c"released", |held| held.why),
                Woken::TimedOut => c"timeout",
                Woken::Killed => c"killed",
            },
        );
    }

    /// Keeps the mm of a fork that goes on.
    pub(crate) fn pin(this: &Arc<Ticking<Self>>, mut held: Held, kept: Kept) {
        let at = held.at.name();

        held.kept = Some(kept);
        match this.enter(held, || this.start(msecs_to_jiffies(TICK))) {
            Ok(_) => trace::hold_begins(at),
            Err(held) => held.end(c"no place"),
        }
    }

    /// Takes one out of its place.
    fn take(&self, which: impl Fn(&Held) -> bool) -> Option<Held> {
        let mut places = self.places.lock();

        places
            .held
            .iter_mut()
            .find(|place| place.as_ref().is_some_and(&which))
            .and_then(Option::take)
    }

    /// Ends those that `which` says, and says how many these are. Sleeps.
    fn release_if(&self, why: &'static CStr, which: impl Fn(&Held) -> bool) -> usize {
        let mut nr = 0_usize;

        for (place, gate) in self.places.lock().held.iter_mut().zip(&self.gates) {
            if let Some(held) = place
                .as_mut()
                .filter(|held| held.kept.is_none() && which(held))
            {
                held.why = why;
                gate.open();
                nr = nr.wrapping_add(1);
            }
        }
        // To give an mm back takes its lock, which who is held may have while it waits for ours.
        while let Some(held) = self.take(|held| held.kept.is_some() && which(held)) {
            held.end(why);
            nr = nr.wrapping_add(1);
        }
        nr
    }

    /// Lets the fork of `pid` go, or all.
    ///
    /// # Errors
    ///
    /// `ESRCH` if no fork of that task is held.
    pub(crate) fn release(&self, pid: Option<Pid>) -> Result {
        let nr = self.release_if(c"released", |held| pid.is_none_or(|pid| held.pid == pid));

        if nr == 0 && pid.is_some() {
            return Err(ESRCH);
        }
        Ok(())
    }

    /// Lets all go, and holds none any more. When this returns no worker runs.
    pub(crate) fn close(this: &Arc<Ticking<Self>>) {
        this.places.lock().closed = true;
        this.release_if(c"unload", |_| true);
        this.cancel();
    }

    /// Forgets how many found no place.
    pub(crate) fn clear(&self) {
        self.places.lock().nr_missed = 0;
    }

    /// Each of them, for an observer.
    pub(crate) fn sights(&self) -> [Option<Sight>; PLACES] {
        let places = self.places.lock();

        places.held.each_ref().map(|place| {
            place.as_ref().map(|held| Sight {
                pid: held.pid,
                at: held.at,
                recoverer: held.recoverer,
                mm: held.mm.clone(),
                extent: held.extent,
            })
        })
    }
}

impl Tick for Holds {
    fn tick(&self) -> Option<Jiffies> {
        self.release_if(c"timeout", |held| {
            held.kept.is_some() && held.millis() >= held.timeout.into()
        });
        self.release_if(c"exit", |held| {
            held.kept.is_some() && has_exited(&held.task)
        });
        self.places
            .lock()
            .held
            .iter()
            .flatten()
            .any(|held| held.kept.is_some())
            .then(|| msecs_to_jiffies(TICK))
    }
}

/// The file `held`.
impl fmt::Display for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = self.places.lock();

        f.write_fmt(fmt!(
            "# pid at recovery ms of comm (missed {})\n",
            places.nr_missed
        ))?;
        for held in places.held.iter().flatten() {
            f.write_fmt(fmt!(
                "{} {} {} {} {} {}\n",
                held.pid,
                held.at.name(),
                held.recoverer.name(),
                held.millis(),
                held.timeout,
                held.comm
            ))?;
        }
        Ok(())
    }
}

/// Lets all forks go that are held when the module does.
pub(crate) struct Closing(pub(crate) Arc<Ticking<Holds>>);

impl Drop for Closing {
    fn drop(&mut self) {
        Holds::close(&self.0);
    }
}
