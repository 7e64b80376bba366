// SPDX-License-Identifier: GPL-2.0

//! What a recovery has undone.

use super::Extent;

/// What a recovery has undone.
///
/// That of the module comes from [`super::TornDown`] only.
#[derive(Clone, Copy)]
pub(crate) struct Report {
    /// How far the copied VMAs went.
    pub(crate) extent: Extent,
    /// Copied VMAs that were torn down.
    pub(crate) nr_vmas: usize,
    /// Pages given back to the commit limit.
    pub(crate) nr_accounted: usize,
}
