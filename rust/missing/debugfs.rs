// SPDX-License-Identifier: GPL-2.0

//! Text files in debugfs, some of them in a directory that C made.
//!
//! `kernel::debugfs` cannot add a file to a directory it has not created itself, such as the one
//! of a fault attribute, nor refuse a write at an offset; this does just that much more, and the
//! files pin the module while they are open.
//!
//! C header: [`include/linux/debugfs.h`](srctree/include/linux/debugfs.h)

use super::FaultAttr;
use crate::bindings::raw;
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    error::{
        from_err_ptr,
        from_result,
        VTABLE_DEFAULT_ERROR, //
    },
    ffi::{
        c_char,
        c_int,
        c_void, //
    },
    module::this_module,
    prelude::*,
    seq_file::SeqFile,
    str::CStr,
    sync::Arc,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};

/// The longest text a file accepts, a trailing newline included.
const MAX_TEXT: usize = 63;

/// What a file shows and takes: it can be read if there is a `show`, and written if there is a
/// `store`.
#[vtable]
pub(crate) trait File: Sync {
    /// Prints the content.
    fn show(&self, _seq: &SeqFile) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Takes one line, without its newline: as a whole or not at all.
    fn store(&self, _text: &[u8]) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// A directory whose files are parts of a `T`.
///
/// # Invariants
///
/// `dentry` is a directory of debugfs, and it and `data` live for `'a`. Nothing in it outlives
/// `data`.
pub(crate) struct Dir<'a, T> {
    dentry: NonNull<bindings::dentry>,
    data: &'a T,
}

impl<'a, T> Dir<'a, T> {
    /// Creates a file for root: mode 0600, or 0400 or 0200 if it can only be read or written.
    ///
    /// As everywhere in debugfs, that a file could not be made is not an error.
    pub(crate) fn file<F: File>(&self, name: &CStr, part: impl FnOnce(&T) -> &F) {
        let part: *const F = part(self.data);

        // SAFETY: By the type invariant `dentry` is a directory and `data`, of which this is a part
        // or which is static, outlives its files. The operations take `i_private` for an `F`, which
        // it is.
        unsafe {
            bindings::debugfs_create_file_full(
                name.as_char_ptr(),
                Operations::<F>::MODE,
                self.dentry.as_ptr(),
                part.cast_mut().cast::<c_void>(),
                core::ptr::null(),
                &Operations::<F>::OPERATIONS,
            )
        };
    }

    /// Creates a directory in it.
    ///
    /// # Errors
    ///
    /// What `debugfs_create_dir()` fails with.
    pub(crate) fn dir(&self, name: &CStr) -> Result<Dir<'a, T>> {
        // SAFETY: `name` is a C string and `dentry` a directory.
        let dentry =
            unsafe { bindings::debugfs_create_dir(name.as_char_ptr(), self.dentry.as_ptr()) };
        let dentry = NonNull::new(from_err_ptr(dentry)?).ok_or(ENODEV)?;

        // INVARIANT: It lives as long as its parent, which lives for `'a`.
        Ok(Dir {
            dentry,
            data: self.data,
        })
    }

    /// Creates the standard directory of a fault attribute.
    ///
    /// # Errors
    ///
    /// What `fault_create_debugfs_attr()` fails with.
    pub(crate) fn fault_attr(
        &self,
        name: &CStr,
        attr: impl FnOnce(&T) -> &FaultAttr,
    ) -> Result<Dir<'a, T>> {
        let attr = attr(self.data);

        // SAFETY: `name` is a C string and `dentry` a directory. The attribute is part of `data`, or
        // static: by the type invariant it outlives the files.
        let dentry = unsafe {
            raw::fault_create_debugfs_attr(name.as_char_ptr(), self.dentry.as_ptr(), attr.as_raw())
        };
        let dentry = NonNull::new(from_err_ptr(dentry)?).ok_or(ENODEV)?;

        // INVARIANT: It lives as long as its parent, which lives for `'a`.
        Ok(Dir {
            dentry,
            data: self.data,
        })
    }
}

/// A directory at the root of debugfs, removed with all that is in it when dropped.
///
/// # Invariants
///
/// `dentry` is a directory of debugfs that only the drop of this removes.
pub(crate) struct RootDir<T> {
    dentry: NonNull<bindings::dentry>,
    data: Arc<T>,
}

// SAFETY: A dentry may be removed by any task, and an `Arc<T>` of such a `T` is `Send`.
unsafe impl<T: Send + Sync> Send for RootDir<T> {}
// SAFETY: `&RootDir` gives access to nothing but `&T`.
unsafe impl<T: Send + Sync> Sync for RootDir<T> {}

impl<T: Send + Sync> RootDir<T> {
    /// Creates `/sys/kernel/debug/<name>` and lets `fill` populate it.
    ///
    /// # Errors
    ///
    /// What `debugfs_create_dir()` fails with, such as `EEXIST`, or what `fill` returns.
    pub(crate) fn new(
        name: &CStr,
        data: Arc<T>,
        fill: impl FnOnce(Dir<'_, T>) -> Result,
    ) -> Result<Self> {
        // SAFETY: `name` is a C string; a null parent stands for the root.
        let dentry =
            unsafe { bindings::debugfs_create_dir(name.as_char_ptr(), core::ptr::null_mut()) };
        // INVARIANT: Just created, and nobody else knows it.
        let root = Self {
            dentry: NonNull::new(from_err_ptr(dentry)?).ok_or(ENODEV)?,
            data,
        };

        // INVARIANT: `root` and its `Arc` outlive the call; the files are gone when `root` is.
        fill(Dir {
            dentry: root.dentry,
            data: &root.data,
        })?;
        Ok(root)
    }
}

impl<T> Drop for RootDir<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant it is still there. No file operation runs when this
        // returns nor starts later, so `data` may go.
        unsafe { bindings::debugfs_remove(self.dentry.as_ptr()) };
    }
}

/// The file operations of an `F`.
struct Operations<F>(PhantomData<F>);

impl<F: File> Operations<F> {
    const MODE: u16 = if F::HAS_SHOW { 0o400 } else { 0 } | if F::HAS_STORE { 0o200 } else { 0 };

    const OPERATIONS: bindings::file_operations = bindings::file_operations {
        owner: this_module::<crate::LocalModule>().as_ptr(),
        open: Some(Self::open),
        read: if F::HAS_SHOW {
            Some(bindings::seq_read)
        } else {
            None
        },
        write: if F::HAS_STORE {
            Some(Self::write)
        } else {
            None
        },
        llseek: Some(bindings::seq_lseek),
        release: Some(bindings::single_release),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// Only for files made by [`Dir::file`].
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: The VFS passes a live inode.
        let data = unsafe { (*inode).i_private };

        // SAFETY: The VFS passes a file that is being opened; `show` finds `data` in the seq_file.
        unsafe { bindings::single_open(file, Some(Self::show), data) }
    }

    /// # Safety
    ///
    /// Only for the seq_file of a file opened by [`Self::open`].
    unsafe extern "C" fn show(seq: *mut bindings::seq_file, _: *mut c_void) -> c_int {
        // SAFETY: `open` put it there, and debugfs keeps the file's data while an operation runs.
        let file = unsafe { &*(*seq).private.cast::<F>() };
        // SAFETY: The seq_file is live, and locked by the reader.
        let seq = unsafe { SeqFile::from_raw(seq) };

        from_result(|| {
            if F::HAS_SHOW {
                file.show(seq)?;
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Only for a file opened by [`Self::open`].
    unsafe extern "C" fn write(
        file: *mut bindings::file,
        buf: *const c_char,
        count: usize,
        ppos: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: `open` made the private data a seq_file.
        let seq = unsafe { (*file).private_data.cast::<bindings::seq_file>() };
        // SAFETY: `open` put it there, and debugfs keeps the file's data while an operation runs.
        let part = unsafe { &*(*seq).private.cast::<F>() };
        // SAFETY: The VFS passes a valid position.
        let pos = unsafe { *ppos };

        from_result(|| {
            let mut text = [0; MAX_TEXT];
            let text = text.get_mut(..count).ok_or(EINVAL)?;

            if pos != 0 {
                return Err(EINVAL);
            }
            UserSlice::new(UserPtr::from_ptr(buf.cast_mut().cast()), count)
                .reader()
                .read_slice(text)?;
            part.store(text.strip_suffix(b"\n").unwrap_or(text))?;
            // Never more than `MAX_TEXT`.
            Ok(count as isize)
        })
    }
}
