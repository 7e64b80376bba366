// SPDX-License-Identifier: GPL-2.0

//! Prints the map of a process: `insmod print_vmas.ko pid=1`.

use kernel::prelude::*;

#[path = "../../rust/mm/view/mod.rs"]
mod view;

module! {
    type: PrintVmas,
    name: "print_vmas",
    authors: ["The dup_mmap_recovery developers"],
    description: "Prints the map of a process",
    license: "GPL",
    params: {
        pid: i32 { default: 1, description: "The process", },
    },
}

struct PrintVmas;

impl kernel::Module for PrintVmas {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let mm = view::mm_of_pid(module_parameters::pid.value())?;

        for vma in view::MmView::lock(&mm).vmas() {
            let (start, end, perms, offset) = (vma.start(), vma.end(), vma.perms(), vma.offset());
            pr_info!("{start:08x}-{end:08x} {perms} {offset:08x}\n");
        }
        Ok(Self)
    }
}
