// SPDX-License-Identifier: GPL-2.0

//! What is unmapped is not free before the TLBs have forgotten it.
//!
//! C: [`mm/mmu_gather.c`](srctree/mm/mmu_gather.c),
//! [`include/asm-generic/tlb.h`](srctree/include/asm-generic/tlb.h)

use super::{
    lock::WriteLocked,
    unmap::RawRange, //
};
use crate::bindings::raw;
use core::{
    marker::PhantomData,
    pin::Pin,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    prelude::*,
    types::Opaque, //
};

/// How much a gather has to flush.
#[derive(Clone, Copy)]
pub(crate) enum Flush {
    /// What was unmapped, `tlb_gather_mmu()`.
    Range,
    /// The mm as a whole, which nobody runs on and which goes away: `tlb_gather_mmu_fullmm()`.
    FullMm,
}

/// Pages and page tables that are unmapped and not free yet.
///
/// Dropping it flushes the TLBs and frees them, `tlb_finish_mmu()`. It points into itself.
///
/// # Invariants
///
/// `tlb` is initialised, and for `'a` the mmap lock of its mm is held for writing.
#[pin_data(PinnedDrop)]
pub(crate) struct MmuGather<'a> {
    #[pin]
    tlb: Opaque<raw::mmu_gather>,
    _locked: PhantomData<&'a mut raw::mmu_gather>,
}

impl<'a> MmuGather<'a> {
    /// Begins to gather what is unmapped of the locked mm, and lets `f` unmap.
    ///
    /// The gather is on the stack of this function, and done with when it returns: neither can it
    /// be leaked, nor are the locks dropped before it is.
    pub(crate) fn scope<R>(
        locked: &'a WriteLocked<'_>,
        flush: Flush,
        f: impl FnOnce(Pin<&mut Self>) -> R,
    ) -> R {
        // SAFETY: The proof is borrowed for `'a`.
        let gather = unsafe { Self::new(locked.mm(), flush) };

        pin_init::stack_pin_init!(let gather = gather);
        f(gather)
    }

    /// # Safety
    ///
    /// For `'a`, `mm` is valid and its mmap lock is held for writing.
    pub(super) unsafe fn new(mm: NonNull<bindings::mm_struct>, flush: Flush) -> impl PinInit<Self> {
        let mm = mm.as_ptr();

        pin_init!(Self {
            // INVARIANT: Initialised here, and the caller says that the lock is held.
            tlb <- Opaque::ffi_init(move |tlb| match flush {
                // SAFETY: There is room for it at `tlb`, and the mm is valid.
                Flush::Range => unsafe { raw::tlb_gather_mmu(tlb, mm) },
                // SAFETY: There is room for it at `tlb`, and the mm is valid; that all of it is
                // flushed asks for nothing more.
                Flush::FullMm => unsafe { raw::tlb_gather_mmu_fullmm(tlb, mm) },
            }),
            _locked: PhantomData,
        })
    }

    /// Unmaps the pages of the VMAs in `range`, `unmap_vmas()`.
    ///
    /// Sleeps, and calls MMU notifiers.
    ///
    /// # Safety
    ///
    /// The range begins with a VMA of the gather's mm, and all VMAs that the tree has from there to
    /// the range's end are that mm's.
    pub(super) unsafe fn unmap_vmas(self: Pin<&mut Self>, range: &mut RawRange<'_>) {
        // SAFETY: By the type invariant the gather is initialised; as for the range, the caller
        // says so.
        unsafe { raw::unmap_vmas(self.tlb.get(), range.as_raw()) };
    }

    /// Takes the VMAs in `range` out of the reverse maps and frees their page tables,
    /// `free_pgtables()`.
    ///
    /// # Safety
    ///
    /// As for [`Self::unmap_vmas`], which has unmapped the same range.
    pub(super) unsafe fn free_pgtables(self: Pin<&mut Self>, range: &mut RawRange<'_>) {
        // SAFETY: As in `unmap_vmas()`.
        unsafe { raw::free_pgtables(self.tlb.get(), range.as_raw()) };
    }
}

#[pinned_drop]
impl PinnedDrop for MmuGather<'_> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant it is initialised, and nobody uses it after this.
        unsafe { raw::tlb_finish_mmu(self.tlb.get()) };
    }
}
