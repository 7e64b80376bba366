// SPDX-License-Identifier: GPL-2.0

//! Which steps of which forks are to fail.
//!
//! The rule says where; whether, when and to whom is up to the fault attribute beside it.

#![forbid(unsafe_code)]

use crate::bindings::Point;
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
    }, //
};

/// Where to fail, and with what.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    /// Only this step; any if `None`.
    pub(crate) point: Option<Point>,
    /// Only for the parent's VMA of this ordinal, counted from 0; if `None`, for any and for the
    /// steps that have no VMA.
    pub(crate) vma_index: Option<u32>,
    /// With this error; with the step's own if `None`.
    pub(crate) errno: Option<Errno>,
}

impl Rule {
    /// Every step, each with its own error.
    pub(crate) const ANY: Self = Self {
        point: None,
        vma_index: None,
        errno: None,
    };

    /// Whether the rule covers a step taken for the VMA of ordinal `vma_index`.
    pub(crate) fn covers(&self, point: Point, vma_index: Option<u32>) -> bool {
        self.point.is_none_or(|wanted| wanted == point)
            && (self.vma_index.is_none() || self.vma_index == vma_index)
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

/// A number as the C files take it: decimal, 0x or octal, with a sign or without.
fn parse_int(text: &[u8]) -> Result<i32> {
    // The parser takes a sign behind the prefix or a second one, C does not.
    if text.iter().skip(1).any(|byte| matches!(byte, b'+' | b'-')) {
        return Err(EINVAL);
    }
    i32::from_str(BStr::from_bytes(text)).map_err(|_| EINVAL)
}
