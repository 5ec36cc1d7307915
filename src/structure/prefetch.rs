//! One hint to the processor: the cache line at this address will be wanted soon.
//!
//! Called by the table before it rehashes a segment and for batches of commands. Never a promise:
//! on a processor without a stable intrinsic it does nothing.
#![allow(unsafe_code)]

/// Starts to load the cache line that holds `address`. Any address will do: a prefetch never faults.
#[inline(always)]
pub(super) fn prefetch<T>(address: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: SSE is part of the x86_64 baseline, and a prefetch reads nothing the program can see,
    // whatever the address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(any(not(target_arch = "x86_64"), miri))]
    let _ = address;
}
