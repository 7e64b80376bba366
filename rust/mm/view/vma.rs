// SPDX-License-Identifier: GPL-2.0

//! A VMA that somebody's lock holds as it is.
//!
//! `kernel::mm::virt::VmaRef` promises an mm with users. In teardown there are none, or the mm was
//! never anybody's; this one promises no more than the lock.
//!
//! C: `struct vm_area_struct` in [`include/linux/mm_types.h`](srctree/include/linux/mm_types.h)

use super::{
    AddrRange,
    Locked, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    fmt::{
        self,
        Write, //
    },
    mm::virt::{
        flags,
        vm_flags_t, //
    },
    page::PAGE_SHIFT, //
};

/// A reference to a VMA. Its mm may have users or not.
///
/// # Invariants
///
/// For `'a` the VMA is valid, and the mmap lock of its mm is held, at least for reading.
#[derive(Clone, Copy)]
pub(crate) struct Vma<'a> {
    vma: NonNull<bindings::vm_area_struct>,
    _locked: Locked<'a>,
}

impl<'a> Vma<'a> {
    /// A reference to the VMA at `vma`.
    ///
    /// # Safety
    ///
    /// The type's invariants hold for `'a`.
    pub(crate) unsafe fn from_raw(vma: NonNull<bindings::vm_area_struct>) -> Self {
        // INVARIANT: The caller says so.
        Self {
            vma,
            _locked: PhantomData,
        }
    }

    /// The VMA as C knows it.
    pub(crate) fn as_ptr(self) -> NonNull<bindings::vm_area_struct> {
        self.vma
    }

    /// Its first address.
    pub(crate) fn start(self) -> usize {
        // SAFETY: By the type invariants the VMA is valid and the lock held.
        unsafe {
            (*self.vma.as_ptr())
                .__bindgen_anon_1
                .__bindgen_anon_1
                .vm_start
        }
    }

    /// The address behind its last.
    pub(crate) fn end(self) -> usize {
        // SAFETY: By the type invariants the VMA is valid and the lock held.
        unsafe {
            (*self.vma.as_ptr())
                .__bindgen_anon_1
                .__bindgen_anon_1
                .vm_end
        }
    }

    /// All its addresses.
    pub(crate) fn range(self) -> AddrRange {
        let (start, last) = (self.start(), self.end().wrapping_sub(1));

        // A VMA is never empty.
        AddrRange::new(start, last).unwrap_or_else(|| AddrRange::at(start))
    }

    /// Its length in pages, `vma_pages()`.
    pub(crate) fn nr_pages(self) -> usize {
        self.end().wrapping_sub(self.start()) >> PAGE_SHIFT
    }

    /// Its flags, of [`kernel::mm::virt::flags`].
    pub(crate) fn flags(self) -> vm_flags_t {
        // SAFETY: By the type invariants the VMA is valid.
        let flags = unsafe { &raw const (*self.vma.as_ptr()).__bindgen_anon_2.vm_flags };

        // Some are set with the lock held for reading only, `vma_set_atomic_flag()`.
        // SAFETY: It points into the VMA, which is valid, and an aligned word is read whole.
        unsafe { flags.read_volatile() }
    }

    /// What may be done with its memory, as in `/proc/<pid>/maps`.
    pub(crate) fn perms(self) -> Perms {
        Perms(self.flags())
    }

    /// Where in its file it starts, in bytes; 0 without a file.
    pub(crate) fn offset(self) -> u64 {
        if self.file().is_none() {
            return 0;
        }
        // SAFETY: By the type invariants the VMA is valid and the lock held.
        let pgoff = unsafe { (*self.vma.as_ptr()).vm_pgoff };

        // As in C, a loff_t.
        (pgoff as u64) << PAGE_SHIFT
    }

    /// The file it maps.
    ///
    /// Only its address: a [`kernel::fs::File`] promises things about those who have it open, and
    /// the process that does is another one.
    pub(crate) fn file(self) -> Option<NonNull<bindings::file>> {
        // SAFETY: By the type invariants the VMA is valid and the lock held.
        NonNull::new(unsafe { (*self.vma.as_ptr()).vm_file })
    }

    /// The operations of whoever made it; none for anonymous memory.
    pub(crate) fn ops(self) -> Option<&'a bindings::vm_operations_struct> {
        // SAFETY: By the type invariants the VMA is valid and the lock held.
        let ops = unsafe { (*self.vma.as_ptr()).vm_ops };

        // SAFETY: They are constant, and there for as long as the VMA is.
        unsafe { ops.as_ref() }
    }

    /// How many of its pages count against the commit limit: all, or none.
    pub(crate) fn nr_accounted(self) -> usize {
        if self.flags() & flags::ACCOUNT != 0 {
            self.nr_pages()
        } else {
            0
        }
    }
}

/// `rwxp` with a dash for what is not allowed, and `s` for what is shared.
#[derive(Clone, Copy)]
pub(crate) struct Perms(vm_flags_t);

impl fmt::Display for Perms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (flag, yes, no) in [
            (flags::READ, 'r', '-'),
            (flags::WRITE, 'w', '-'),
            (flags::EXEC, 'x', '-'),
            (flags::MAYSHARE, 's', 'p'),
        ] {
            f.write_char(if self.0 & flag != 0 { yes } else { no })?;
        }
        Ok(())
    }
}
