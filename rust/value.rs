// SPDX-License-Identifier: GPL-2.0

//! What root writes to a file: as text, and as the word that forks read.

#![forbid(unsafe_code)]

use crate::hook::Point;
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
        BStr,
        CStr, //
    },
    task::Pid,
    time::Msecs, //
};

/// What a setting may be.
pub(crate) trait Value: Copy {
    /// What is to be said in the kernel's log, once, when root chooses this.
    fn warning(self) -> Option<&'static str> {
        None
    }

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

/// The files `alloc-nth` and `recovery-alloc-nth`: an ordinal from 1 to `i32::MAX`, or 0 for none;
/// and `seed`: such a number, or 0 for a random one.
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

/// Milliseconds, of the file `timeout-ms`: from 1 to a minute.
///
/// # Invariants
///
/// At least 1, at most [`Timeout::MAX`].
#[derive(Clone, Copy)]
pub(crate) struct Timeout(Msecs);

impl Timeout {
    /// Ten seconds.
    pub(crate) const DEFAULT: Self = Self(10_000);
    /// Less than the two minutes after which who waits is taken for hung.
    const MAX: Msecs = 60_000;

    /// The number.
    pub(crate) fn get(self) -> Msecs {
        self.0
    }

    fn new(millis: Msecs) -> Option<Self> {
        // INVARIANT: Just compared.
        (1..=Self::MAX).contains(&millis).then_some(Self(millis))
    }
}

impl Value for Timeout {
    fn parse(text: &[u8]) -> Result<Self> {
        u32::try_from(parse_int(text)?)
            .ok()
            .and_then(Self::new)
            .ok_or(EINVAL)
    }

    fn show(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!("{}", self.0))
    }

    fn to_word(self) -> u64 {
        self.0.into()
    }

    fn from_word(word: u64) -> Self {
        // It was one.
        u32::try_from(word)
            .ok()
            .and_then(Self::new)
            .unwrap_or(Self::DEFAULT)
    }
}

/// The files `dry-run` and `per-fork`: a boolean as `kstrtobool()` takes it, of one letter or digit.
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

/// One of a few that have names. Its file shows them all, the one that is set in brackets.
pub(crate) trait Choice: Copy + PartialEq + 'static {
    /// The one that is set if nobody has chosen.
    const DEFAULT: Self;
    /// All of them, in the order in which the file shows them.
    const ALL: &'static [Self];

    /// Its name in that file.
    fn name(self) -> &'static CStr;

    /// See [`Value::warning`].
    fn warning(self) -> Option<&'static str> {
        None
    }
}

impl<T: Choice> Value for T {
    fn warning(self) -> Option<&'static str> {
        Choice::warning(self)
    }

    fn parse(text: &[u8]) -> Result<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|choice| choice.name().to_bytes() == text)
            .ok_or(EINVAL)
    }

    fn show(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";

        for &choice in Self::ALL {
            let name = choice.name();

            if choice == self {
                f.write_fmt(fmt!("{separator}[{name}]"))?;
            } else {
                f.write_fmt(fmt!("{separator}{name}"))?;
            }
            separator = " ";
        }
        Ok(())
    }

    fn to_word(self) -> u64 {
        // It is one of them.
        Self::ALL
            .iter()
            .position(|&choice| choice == self)
            .unwrap_or(0) as u64
    }

    fn from_word(word: u64) -> Self {
        // It was one.
        Self::ALL
            .get(word as usize)
            .copied()
            .unwrap_or(Self::DEFAULT)
    }
}

/// A pid as the file `release` takes it; `None` for `all`.
pub(crate) fn parse_pid(text: &[u8]) -> Result<Option<Pid>> {
    match text {
        b"all" => Ok(None),
        pid => match parse_int(pid)? {
            pid @ 1.. => Ok(Some(pid)),
            _ => Err(EINVAL),
        },
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
