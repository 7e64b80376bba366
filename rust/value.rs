// SPDX-License-Identifier: GPL-2.0

//! What root writes to a file: as text, and as the word that forks read.

#![forbid(unsafe_code)]

use crate::{
    hook::Point,
    recoverer::Recoverer, //
};
use core::num::{
    NonZeroU32,
    NonZeroUsize, //
};
use kernel::{
    ffi::c_int,
    fmt,
    prelude::*,
    str::{
        kstrtobool_bytes,
        parse_int::ParseInt,
        BStr, //
    }, //
};

/// What a setting may be.
pub(crate) trait Value: Copy {
    /// Takes one line, without its newline.
    ///
    /// # Errors
    ///
    /// `EINVAL` for what is no such value.
    fn parse(text: &[u8]) -> Result<Self>;

    /// Prints it as a line, without its newline.
    fn show(self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// As a number.
    fn to_word(self) -> u64;

    /// The inverse of [`Value::to_word`].
    fn from_word(word: u64) -> Self;
}

/// The file `point`: a name, or `any`.
impl Value for Option<Point> {
    fn parse(text: &[u8]) -> Result<Self> {
        match text {
            b"any" => Ok(None),
            name => Point::from_name(name).map(Some).ok_or(EINVAL),
        }
    }

    fn show(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Some(point) => f.write_fmt(fmt!("{point}")),
            None => f.write_str("any"),
        }
    }

    fn to_word(self) -> u64 {
        self.map_or(u64::MAX, |point| point.as_raw().into())
    }

    fn from_word(word: u64) -> Self {
        u32::try_from(word).ok().and_then(Point::from_raw)
    }
}

/// The file `vma-index`: an ordinal up to `i32::MAX`, or -1 for any.
impl Value for Option<u32> {
    fn parse(text: &[u8]) -> Result<Self> {
        match parse_int(text)? {
            -1 => Ok(None),
            index => u32::try_from(index).map(Some).map_err(|_| EINVAL),
        }
    }

    fn show(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Some(index) => f.write_fmt(fmt!("{index}")),
            None => f.write_str("-1"),
        }
    }

    fn to_word(self) -> u64 {
        self.map_or(u64::MAX, u64::from)
    }

    fn from_word(word: u64) -> Self {
        u32::try_from(word).ok()
    }
}

/// The file `vma-addr`: an address, or 0 for any VMA.
impl Value for Option<NonZeroUsize> {
    fn parse(text: &[u8]) -> Result<Self> {
        let text = text.strip_prefix(b"+").unwrap_or(text);

        if text.iter().any(|byte| matches!(byte, b'+' | b'-')) {
            return Err(EINVAL);
        }
        usize::from_str(BStr::from_bytes(text))
            .map(NonZeroUsize::new)
            .map_err(|_| EINVAL)
    }

    fn show(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!("{:#x}", self.map_or(0, NonZeroUsize::get)))
    }

    fn to_word(self) -> u64 {
        self.map_or(0, NonZeroUsize::get) as u64
    }

    fn from_word(word: u64) -> Self {
        // It was one.
        NonZeroUsize::new(word as usize)
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

    fn new(errno: i32) -> Option<Self> {
        // INVARIANT: Just compared.
        matches!(errno, -4095..=-1).then_some(Self(errno))
    }
}

/// The file `errno`: a negative errno, or 0 for the step's own.
impl Value for Option<Errno> {
    fn parse(text: &[u8]) -> Result<Self> {
        match parse_int(text)? {
            0 => Ok(None),
            errno => Errno::new(errno).map(Some).ok_or(EINVAL),
        }
    }

    fn show(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!("{}", self.map_or(0, Errno::get)))
    }

    fn to_word(self) -> u64 {
        self.map_or(0, |errno| errno.get().unsigned_abs().into())
    }

    fn from_word(word: u64) -> Self {
        i32::try_from(word)
            .ok()
            .and_then(|errno| Errno::new(errno.wrapping_neg()))
    }
}

/// The files `alloc-nth` and `recovery-alloc-nth`: an ordinal from 1 to `i32::MAX`, or 0 for none.
impl Value for Option<NonZeroU32> {
    fn parse(text: &[u8]) -> Result<Self> {
        u32::try_from(parse_int(text)?)
            .map(NonZeroU32::new)
            .map_err(|_| EINVAL)
    }

    fn show(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!("{}", self.map_or(0, NonZeroU32::get)))
    }

    fn to_word(self) -> u64 {
        self.map_or(0, |nth| nth.get().into())
    }

    fn from_word(word: u64) -> Self {
        u32::try_from(word).ok().and_then(NonZeroU32::new)
    }
}

/// The file `dry-run`: a boolean as `kstrtobool()` takes it, of one letter or digit.
impl Value for bool {
    fn parse(text: &[u8]) -> Result<Self> {
        if text.len() != 1 {
            return Err(EINVAL);
        }
        kstrtobool_bytes(text)
    }

    fn show(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self { "Y" } else { "N" })
    }

    fn to_word(self) -> u64 {
        self.into()
    }

    fn from_word(word: u64) -> Self {
        word != 0
    }
}

/// The file `recovery`: the names of all, the one that is set in brackets.
impl Value for Recoverer {
    fn parse(text: &[u8]) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|recoverer| recoverer.name().to_bytes() == text)
            .ok_or(EINVAL)
    }

    fn show(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";

        for recoverer in Self::ALL {
            let name = recoverer.name();

            if recoverer == self {
                f.write_fmt(fmt!("{separator}[{name}]"))?;
            } else {
                f.write_fmt(fmt!("{separator}{name}"))?;
            }
            separator = " ";
        }
        Ok(())
    }

    fn to_word(self) -> u64 {
        match self {
            Self::Rust => 0,
            Self::Upstream => 1,
        }
    }

    fn from_word(word: u64) -> Self {
        match word {
            0 => Self::Rust,
            _ => Self::Upstream,
        }
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
