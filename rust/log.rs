// SPDX-License-Identifier: GPL-2.0

//! The last failed calls.

#![forbid(unsafe_code)]

use crate::record::Record;
use kernel::{
    fmt,
    new_mutex,
    prelude::*,
    sync::Mutex, //
};

/// The last failed calls. Prints as a line each, those of the file `log`.
pub(crate) struct Log {
    records: KVVec<Record>,
    /// Where the oldest is, once all places are taken.
    oldest: usize,
    /// How many were overwritten.
    nr_dropped: usize,
}

impl Log {
    /// How many it keeps.
    pub(crate) const CAPACITY: usize = 256;

    /// Empty, with room for all.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            records: KVVec::with_capacity(Self::CAPACITY, GFP_KERNEL)?,
            oldest: 0,
            nr_dropped: 0,
        })
    }

    /// Adds a record, in place of the oldest one if there is no room. Does not allocate.
    pub(crate) fn push(&mut self, record: Record) {
        if self.records.len() < Self::CAPACITY {
            // There is room.
            let _ = self.records.push_within_capacity(record);
        } else if let Some(oldest) = self.records.get_mut(self.oldest) {
            *oldest = record;
            self.oldest = self.oldest.wrapping_add(1) % Self::CAPACITY;
            self.nr_dropped = self.nr_dropped.wrapping_add(1);
        }
    }

    /// All of them, the oldest first.
    fn iter(&self) -> impl Iterator<Item = &Record> {
        let (newer, older) = self
            .records
            .split_at_checked(self.oldest)
            .unwrap_or((&[], &[]));

        Iterator::chain(older.iter(), newer)
    }

    /// The newest.
    pub(crate) fn last(&self) -> Option<&Record> {
        self.iter().last()
    }

    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        self.records.clear();
        self.oldest = 0;
        self.nr_dropped = 0;
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!("# dropped {}\n", self.nr_dropped))?;
        for record in self.iter() {
            let mut separator = "";

            record.each(|key, value| {
                // It may have spaces, so it comes last.
                if key == "comm" {
                    return Ok(());
                }
                f.write_fmt(fmt!("{separator}{key}={value}"))?;
                separator = " ";
                Ok(())
            })?;
            f.write_fmt(fmt!(" comm={}\n", record.comm))?;
        }
        Ok(())
    }
}

/// The log under its lock. As a file it is `last`, and its part is the file `log`.
#[pin_data]
pub(crate) struct Records {
    /// The last failed calls.
    #[pin]
    pub(crate) log: Mutex<Log>,
}

impl Records {
    /// None.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<impl PinInit<Self>> {
        let log = Log::new()?;

        Ok(pin_init!(Self {
            log <- new_mutex!(log),
        }))
    }
}
