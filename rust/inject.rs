// SPDX-License-Identifier: GPL-2.0

//! Which steps of which forks are to fail.
//!
//! The rule says where; whether, when and to whom is up to the fault attribute beside it.

#![forbid(unsafe_code)]

use crate::{
    bindings::{
        fail_nth,
        set_fail_nth,
        Point, //
    },
    record::VmaId, //
};
use core::num::{
    NonZeroU32,
    NonZeroUsize, //
};
use kernel::{
    error::{
        code::EINVAL, //
        Error,
    },
    ffi::c_int,
    prelude::Result,
    str::{
        parse_int::ParseInt,
        BStr, //
    },
    types::NotThreadSafe, //
};

/// Where to fail, and with what.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    /// Only this step; any if `None`.
    pub(crate) point: Option<Point>,
    /// Only for the parent's VMA of this ordinal, counted from 0; if `None`, for any and for the
    /// steps that have no VMA.
    pub(crate) vma_index: Option<u32>,
    /// Only for the parent's VMA that this address is in; as above if `None`.
    pub(crate) vma_addr: Option<NonZeroUsize>,
    /// With this error; with the step's own if `None`.
    pub(crate) errno: Option<Errno>,
    /// Let the step be taken, and make this one of its allocations fail, counted from 1; do not
    /// take it if `None`.
    pub(crate) alloc_nth: Option<NonZeroU32>,
    /// When a fork was made to fail, make this one of the allocations of its recovery fail.
    pub(crate) recovery_alloc_nth: Option<NonZeroU32>,
}

impl Rule {
    /// Every step, each with its own error.
    pub(crate) const ANY: Self = Self {
        point: None,
        vma_index: None,
        vma_addr: None,
        errno: None,
        alloc_nth: None,
        recovery_alloc_nth: None,
    };

    /// Whether the rule covers a step taken for `vma`, or for none.
    pub(crate) fn covers(&self, point: Point, vma: Option<&VmaId>) -> bool {
        self.point.is_none_or(|wanted| wanted == point)
            && self
                .vma_index
                .is_none_or(|wanted| vma.is_some_and(|vma| vma.index == wanted))
            && self
                .vma_addr
                .is_none_or(|wanted| vma.is_some_and(|vma| vma.contains(wanted.get())))
    }

    /// What a step is to fail with.
    pub(crate) fn error(&self, point: Point) -> Error {
        match self.errno {
            Some(errno) => Error::from_errno(errno.0),
            None => point.error(),
        }
    }
}

/// A negative errno.
///
/// # Invariants
///
/// At least `-MAX_ERRNO`, less than 0.
#[derive(Clone, Copy)]
pub(crate) struct Errno(c_int);

impl Errno {
    /// The number.
    pub(crate) fn get(self) -> c_int {
        self.0
    }
}

/// The running task's allocations from here to there, counted, and one of them made to fail.
///
/// Uses the task's `fail-nth`, so what counts is what failslab and fail_page_alloc let through and
/// any other fault attribute; whatever the task had set is put back, and has not moved meanwhile.
#[must_use = "the task's own fail-nth is put back by `close` only"]
pub(crate) struct AllocWindow {
    saved: u32,
    nth: NonZeroU32,
    /// It is that task's `fail-nth`.
    _nts: NotThreadSafe,
}

impl AllocWindow {
    /// More than any step makes.
    const ALL: NonZeroU32 = NonZeroU32::new(i32::MAX as u32).unwrap();

    /// Begins. Makes the `nth` allocation fail, if there is one.
    pub(crate) fn open(nth: Option<NonZeroU32>) -> Self {
        let nth = nth.unwrap_or(Self::ALL);
        let saved = fail_nth();

        set_fail_nth(nth.get());
        Self {
            saved,
            nth,
            _nts: NotThreadSafe,
        }
    }

    /// Ends, in the task that it began in.
    pub(crate) fn close(self) -> Allocations {
        let left = fail_nth();

        set_fail_nth(self.saved);
        Allocations {
            nr: self.nth.get().wrapping_sub(left),
            failed: left == 0,
        }
    }
}

/// What [`AllocWindow::close`] tells.
pub(crate) struct Allocations {
    /// How many there were, up to the one that failed.
    pub(crate) nr: u32,
    /// Whether one was made to fail.
    pub(crate) failed: bool,
}

/// Parses the file `point`: a name or `any`.
///
/// # Errors
///
/// `EINVAL` for a name there is not.
pub(crate) fn parse_point(text: &[u8]) -> Result<Option<Point>> {
    match text {
        b"any" => Ok(None),
        name => Point::from_name(name).map(Some).ok_or(EINVAL),
    }
}

/// Parses the file `vma-index`: an ordinal, or -1 for any.
///
/// # Errors
///
/// `EINVAL` for what is not a number from -1 to `i32::MAX`.
pub(crate) fn parse_vma_index(text: &[u8]) -> Result<Option<u32>> {
    match parse_int(text)? {
        -1 => Ok(None),
        index => u32::try_from(index).map(Some).map_err(|_| EINVAL),
    }
}

/// Parses the file `errno`: a negative errno, or 0 for the step's own.
///
/// # Errors
///
/// `EINVAL` for what is not a number from -4095 to 0.
pub(crate) fn parse_errno(text: &[u8]) -> Result<Option<Errno>> {
    match parse_int(text)? {
        0 => Ok(None),
        // INVARIANT: Just compared.
        errno @ -4095..=-1 => Ok(Some(Errno(errno))),
        _ => Err(EINVAL),
    }
}

/// Parses the file `vma-addr`: an address, or 0 for any VMA.
///
/// # Errors
///
/// `EINVAL` for what is not a number from 0 to `ULONG_MAX`.
pub(crate) fn parse_vma_addr(text: &[u8]) -> Result<Option<NonZeroUsize>> {
    let text = text.strip_prefix(b"+").unwrap_or(text);

    if text.iter().any(|byte| matches!(byte, b'+' | b'-')) {
        return Err(EINVAL);
    }
    usize::from_str(BStr::from_bytes(text))
        .map(NonZeroUsize::new)
        .map_err(|_| EINVAL)
}

/// Parses the files `alloc-nth` and `recovery-alloc-nth`: an ordinal from 1, or 0 for none.
///
/// # Errors
///
/// `EINVAL` for what is not a number from 0 to `i32::MAX`.
pub(crate) fn parse_nth(text: &[u8]) -> Result<Option<NonZeroU32>> {
    u32::try_from(parse_int(text)?)
        .map(NonZeroU32::new)
        .map_err(|_| EINVAL)
}

/// Parses the file `dry-run`: a boolean as `kstrtobool()` takes it, of one letter or digit.
///
/// # Errors
///
/// `EINVAL` for anything else.
pub(crate) fn parse_bool(text: &[u8]) -> Result<bool> {
    match text {
        b"1" | b"y" | b"Y" => Ok(true),
        b"0" | b"n" | b"N" => Ok(false),
        _ => Err(EINVAL),
    }
}

/// A number as the C files take it: decimal, 0x or octal, with a sign or without.
fn parse_int(text: &[u8]) -> Result<i32> {
    // The parser takes a sign behind the prefix or a second one, C does not.
    if text.iter().skip(1).any(|byte| matches!(byte, b'+' | b'-')) {
        return Err(EINVAL);
    }
    i32::from_str(BStr::from_bytes(text)).map_err(|_| EINVAL)
}
