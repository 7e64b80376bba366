// SPDX-License-Identifier: GPL-2.0

//! Declarations of C that the `kernel` crate does not bind, made by bindgen.

/// What bindgen made of `rust/bindings/bindings.h`.
///
/// Types that are not generated here are those of [`kernel::bindings`], so pointers can be passed
/// between the two without casts.
#[allow(
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]
pub(crate) mod raw {
    use kernel::bindings::*;
    use kernel::ffi;

    include!(env!("DUP_MMAP_BINDINGS"));
}

/// What [`kernel::bindings`], made when the kernel was built, and the module's C make of the same
/// types: the constants come from the same headers with the module's flags.
///
/// Those that are generated here have such a comparison of their own from bindgen.
const _: () = {
    use core::mem::{
        offset_of,
        size_of, //
    };
    use kernel::bindings::{
        ma_state,
        mm_struct,
        vm_area_struct,
        vma_iterator, //
    };
    use raw::*;

    /// For a field in an anonymous union or struct, which bindgen gives a name of its own.
    macro_rules! offset {
        ($ty:ty, $($field:tt).+) => {
            offset_of!($ty, $($field).+) as u32
        };
    }

    assert!(size_of::<vm_area_struct>() as u32 == helper_layout_SIZEOF_VMA);
    assert!(
        offset!(vm_area_struct, __bindgen_anon_1.__bindgen_anon_1.vm_start)
            == helper_layout_OFFSETOF_VMA_START
    );
    assert!(
        offset!(vm_area_struct, __bindgen_anon_1.__bindgen_anon_1.vm_end)
            == helper_layout_OFFSETOF_VMA_END
    );
    assert!(offset!(vm_area_struct, vm_mm) == helper_layout_OFFSETOF_VMA_MM);
    assert!(offset!(vm_area_struct, __bindgen_anon_2.vm_flags) == helper_layout_OFFSETOF_VMA_FLAGS);
    assert!(offset!(vm_area_struct, vm_ops) == helper_layout_OFFSETOF_VMA_OPS);
    assert!(offset!(vm_area_struct, vm_pgoff) == helper_layout_OFFSETOF_VMA_PGOFF);
    assert!(offset!(vm_area_struct, vm_file) == helper_layout_OFFSETOF_VMA_FILE);
    assert!(size_of::<mm_struct>() as u32 == helper_layout_SIZEOF_MM);
    assert!(offset!(mm_struct, __bindgen_anon_1.mm_mt) == helper_layout_OFFSETOF_MM_MT);
    assert!(offset!(mm_struct, __bindgen_anon_1.map_count) == helper_layout_OFFSETOF_MM_MAP_COUNT);
    assert!(size_of::<ma_state>() as u32 == helper_layout_SIZEOF_MA_STATE);
    assert!(offset!(ma_state, tree) == helper_layout_OFFSETOF_MA_STATE_TREE);
    assert!(offset!(ma_state, index) == helper_layout_OFFSETOF_MA_STATE_INDEX);
    assert!(offset!(ma_state, last) == helper_layout_OFFSETOF_MA_STATE_LAST);
    assert!(offset!(ma_state, node) == helper_layout_OFFSETOF_MA_STATE_NODE);
    assert!(offset!(ma_state, max) == helper_layout_OFFSETOF_MA_STATE_MAX);
    assert!(offset!(ma_state, status) == helper_layout_OFFSETOF_MA_STATE_STATUS);
    assert!(offset!(ma_state, store_type) == helper_layout_OFFSETOF_MA_STATE_STORE_TYPE);
    assert!(size_of::<vma_iterator>() as u32 == helper_layout_SIZEOF_VMA_ITERATOR);
    assert!(offset!(vma_iterator, mas) == helper_layout_OFFSETOF_VMA_ITERATOR_MAS);
    assert!(size_of::<mmu_gather>() as u32 == helper_layout_SIZEOF_MMU_GATHER);
    assert!(crate::mm::view::ZERO_ENTRY as u32 == helper_layout_ZERO_ENTRY);
};
