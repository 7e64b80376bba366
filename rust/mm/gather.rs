// SPDX-License-Identifier: GPL-2.0

//! What is unmapped is not free before the TLBs have forgotten it.
//!
//! C: [`mm/mmu_gather.c`](srctree/mm/mmu_gather.c),
//! [`include/asm-generic/tlb.h`](srctree/include/asm-generic/tlb.h)

use super::pgtables::{
    pgtable_floor,
    PgtableCeiling, //
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

/// Pages and page tables of an mm that goes away, unmapped and not free yet.
///
/// Dropping it flushes the TLBs and frees them, `tlb_finish_mmu()`. It points into itself.
///
/// # Invariants
///
/// `tlb` is initialised for the mm as a whole, and for `'a` the mmap lock of its mm is held for
/// writing.
#[pin_data(PinnedDrop)]
pub(crate) struct MmuGather<'a> {
    #[pin]
    tlb: Opaque<raw::mmu_gather>,
    _locked: PhantomData<&'a mut raw::mmu_gather>,
}

impl<'a> MmuGather<'a> {
    /// Begins to gather what is unmapped of the mm, `tlb_gather_mmu_fullmm()`.
    ///
    /// # Safety
    ///
    /// For `'a`, `mm` is valid and its mmap lock is held for writing. Nobody runs on it.
    pub(super) unsafe fn new(mm: NonNull<bindings::mm_struct>) -> impl PinInit<Self> {
        let mm = mm.as_ptr();

        pin_init!(Self {
            // INVARIANT: Initialised here, and the caller says that the lock is held.
            tlb <- Opaque::ffi_init(move |tlb| {
                // SAFETY: There is room for it at `tlb`, and the mm is valid.
                unsafe { raw::tlb_gather_mmu_fullmm(tlb, mm) }
            }),
            _locked: PhantomData,
        })
    }

    /// Unmaps all pages of `vmas`, `dup_mmap_zap_vmas()`. Sleeps.
    ///
    /// # Safety
    ///
    /// They are VMAs of the gather's mm.
    pub(super) unsafe fn zap(self: Pin<&mut Self>, vmas: &mut [NonNull<bindings::vm_area_struct>]) {
        let nr = vmas.len() as u32;

        // SAFETY: By the type invariant the gather is initialised; the VMAs are what the caller
        // says, and a `NonNull` is a pointer.
        unsafe { raw::dup_mmap_zap_vmas(self.tlb.get(), vmas.as_mut_ptr().cast(), nr) };
    }

    /// Frees the page tables from `start` to `end` that nothing below the ceiling uses,
    /// `free_pgd_range()`.
    ///
    /// # Safety
    ///
    /// Nothing is mapped from the table of `start` on to the ceiling, and nobody else can come by
    /// the tables.
    pub(super) unsafe fn free_pgtables(
        self: Pin<&mut Self>,
        start: usize,
        end: usize,
        ceiling: PgtableCeiling,
    ) {
        // SAFETY: By the type invariant the gather is initialised. The caller says that the tables
        // are not used.
        unsafe {
            raw::free_pgd_range(
                self.tlb.get(),
                start,
                end,
                pgtable_floor(),
                ceiling.as_raw(),
            )
        };
    }
}

#[pinned_drop]
impl PinnedDrop for MmuGather<'_> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant it is initialised, and nobody uses it after this.
        unsafe { raw::tlb_finish_mmu(self.tlb.get()) };
    }
}

#[cfg(CONFIG_KUNIT = "y")]
impl<'a> MmuGather<'a> {
    /// Lends a gather of the locked mm, as [`super::ChildMm::gather`] does.
    pub(crate) fn scope<R>(
        locked: &'a super::WriteLocked<'_>,
        f: impl FnOnce(Pin<&mut Self>) -> R,
    ) -> R {
        // SAFETY: The proof is borrowed for `'a`. Nothing can be unmapped with the gather outside of
        // `rust/mm/`, so it does not matter who runs on the mm.
        let gather = unsafe { Self::new(locked.mm()) };

        pin_init::stack_pin_init!(let gather = gather);
        f(gather)
    }
}
