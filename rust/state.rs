// SPDX-License-Identifier: GPL-2.0

//! Everything the module knows.

#![forbid(unsafe_code)]

use crate::{
    debugfs::HoldFiles,
    hold::Holds,
    log::Records,
    missing::{
        FaultAttr,
        Ticking, //
    },
    settings::Settings,
    stats::Stats,
    step::Steps, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};

/// Everything the module knows. `call.rs` is what it does with it.
#[pin_data]
pub(crate) struct State {
    /// Whether, when and to whom a failure is injected.
    #[pin]
    pub(crate) fault: FaultAttr,
    /// What else root has asked for.
    pub(crate) settings: Settings,
    /// The last failed calls.
    #[pin]
    pub(crate) records: Records,
    /// The steps of the last call that only looked.
    #[pin]
    pub(crate) steps: Mutex<Steps>,
    /// Counters.
    pub(crate) stats: Stats,
    /// The forks that are held.
    pub(crate) holds: Arc<Ticking<Holds>>,
    /// What root sees of them.
    pub(crate) hold_files: HoldFiles,
}

impl State {
    /// Disarmed, with the recovery in Rust.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<impl PinInit<Self>> {
        let records = Records::new()?;
        let holds = Arc::pin_init(Ticking::new(Holds::new()), GFP_KERNEL)?;

        Ok(pin_init!(Self {
            fault <- FaultAttr::new(),
            settings: Settings::new(),
            records <- records,
            steps <- new_mutex!(Steps::new()),
            stats: Stats::new(),
            hold_files: HoldFiles::new(&holds),
            holds,
        }))
    }

    /// Disarms, lets go what is held, and forgets what has happened. Who recovers stays as it is.
    pub(crate) fn reset(&self) {
        // The knobs first, so that no rule applies more widely than it was meant to.
        self.fault.disarm();
        self.settings.reset();
        // With no pid it is no error if there is none.
        let _ = self.holds.release(None);
        self.holds.clear();
        self.records.log.lock().clear();
        *self.steps.lock() = Steps::new();
        self.stats.clear();
    }
}
