//! The allocator: training allocates and frees large tensors at every step.
//!
//! Measured on two cores, this allocator halves a training step. Two of its settings take off
//! another sixth to a quarter (`bench/run`, rows `encoder/16x256x128` and
//! `easy/p64d64h4L4f128b256`): pages of 2 MiB where the system offers them, and keeping freed
//! memory, since the next step asks for it again and fresh pages must be cleared.

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// `mi_option_purge_delay`: milliseconds until freed memory goes back to the system, −1 for never.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Sets the allocator up; to be called before any tensor is made.
pub(crate) fn tune() {
    #[expect(unsafe_code, reason = "the allocator's settings are a C interface")]
    unsafe {
        libmimalloc_sys::mi_option_set(libmimalloc_sys::mi_option_large_os_pages, 1);
        libmimalloc_sys::mi_option_set(PURGE_DELAY, -1);
    }
}
