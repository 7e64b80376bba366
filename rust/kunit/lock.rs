// SPDX-License-Identifier: GPL-2.0

//! Guards take locks and drop them, and in which order; lockdep looks on.

use kernel::prelude::*;

#[kunit_tests(dup_mmap_lock)]
mod tests {
    use crate::mm::{
        MmapWriteGuard,
        MmuGather,
        TestMm, //
    };
    use kernel::prelude::*;

    fn is_locked(test: &TestMm) -> bool {
        test.mm().mmap_read_trylock().is_none()
    }

    #[test]
    fn a_guard_holds_the_lock_until_it_is_dropped() -> Result {
        let test = TestMm::new()?;

        assert!(!is_locked(&test));
        let guard = MmapWriteGuard::lock(test.mm());
        assert!(is_locked(&test));
        drop(guard);
        assert!(!is_locked(&test));

        let guard = MmapWriteGuard::lock_killable(test.mm())?;
        assert!(is_locked(&test));
        drop(guard);
        assert!(!is_locked(&test));
        Ok(())
    }

    #[test]
    fn a_pair_holds_both_and_the_childs_can_be_dropped_first() -> Result {
        let (parent, child) = (TestMm::new()?, TestMm::new()?);
        let pair = child.lock_as_child(MmapWriteGuard::lock(parent.mm()))?;

        assert!(is_locked(&parent) && is_locked(&child));
        let guard = pair.unlock_child();
        assert!(is_locked(&parent) && !is_locked(&child));
        drop(guard);
        assert!(!is_locked(&parent) && !is_locked(&child));

        drop(child.lock_as_child(MmapWriteGuard::lock(parent.mm()))?);
        assert!(!is_locked(&parent) && !is_locked(&child));
        Ok(())
    }

    #[test]
    fn an_mm_is_not_its_own_child() -> Result {
        let test = TestMm::new()?;

        assert!(matches!(
            test.lock_as_child(MmapWriteGuard::lock(test.mm())),
            Err(EDEADLK)
        ));
        assert!(!is_locked(&test));
        Ok(())
    }

    #[test]
    fn a_gather_is_finished_before_the_lock_is_dropped() -> Result {
        let test = TestMm::new()?;

        let mut guard = MmapWriteGuard::lock(test.mm());
        let proof = guard.proof();

        assert!(!proof.tlb_flush_pending());
        assert!(MmuGather::scope(&proof, |_| proof.tlb_flush_pending()));
        assert!(!proof.tlb_flush_pending());
        drop(guard);
        assert!(!is_locked(&test));
        Ok(())
    }
}
