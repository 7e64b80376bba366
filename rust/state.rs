// SPDX-License-Identifier: GPL-2.0

//! Everything the module knows.

#![forbid(unsafe_code)]

use crate::{
    log::Records,
    missing::FaultAttr,
    settings::Settings,
    stats::Stats,
    step::Steps, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::Mutex, //
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
}

impl State {
    /// Disarmed, with the recovery in Rust.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<impl PinInit<Self>> {
        let records = Records::new()?;

        Ok(pin_init!(Self {
            fault <- FaultAttr::new(),
            settings: Settings::new(),
            records <- records,
            steps <- new_mutex!(Steps::new()),
            stats: Stats::new(),
        }))
    }

    /// Disarms, and forgets what has happened. Who recovers stays as it is.
    pub(crate) fn reset(&self) {
        // The knobs first, so that no rule applies more widely than it was meant to.
        self.fault.disarm();
        self.settings.reset();
        self.records.log.lock().clear();
        *self.steps.lock() = Steps::new();
        self.stats.clear();
    }
}
