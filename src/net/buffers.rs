//! The provided buffers of one ring: memory that the kernel receives into, and the ring in which
//! we offer it.
//!
//! Invariant: a buffer belongs either to the kernel (offered, its id lies between the ring's head
//! and tail) or to exactly one completion that [`super::ring`] is handling. [`Buffers::bytes`] may
//! only be called in the second state, and [`Buffers::give_back`] ends it; the kernel sees what was
//! given back at the next [`Buffers::publish`], one store for a whole harvest.
//!
//! It must never be dropped while an operation that selects from it is in flight.
#![allow(unsafe_code)]

use io_uring::types::BufRingEntry;
use std::{
    io, ptr,
    sync::atomic::{AtomicU16, Ordering},
};

/// Private anonymous memory, page-aligned, zeroed, untouched pages cost nothing.
struct Map {
    base: *mut u8,
    len: usize,
}

impl Map {
    fn new(len: usize) -> io::Result<Map> {
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice aliases nothing.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_ANONYMOUS | libc::MAP_PRIVATE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Map { base: base.cast(), len })
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: `base` and `len` are what mmap returned, and it is unmapped only here.
        unsafe { libc::munmap(self.base.cast(), self.len) };
    }
}

pub(super) struct Buffers {
    ring: Map,
    memory: Map,
    count: u16,
    buffer_bytes: usize,
    /// Our copy of the tail: runs ahead of the shared one until `publish`.
    tail: u16,
}

impl Buffers {
    /// `count` buffers (a power of two) of `buffer_bytes` each, all of them offered.
    pub(super) fn new(count: u16, buffer_bytes: usize) -> io::Result<Buffers> {
        assert!(
            count.is_power_of_two() && count <= 1 << 15,
            "the kernel wants a power of two, at most 32768"
        );
        assert!(buffer_bytes > 0 && u32::try_from(buffer_bytes).is_ok());
        let ring = Map::new(usize::from(count) * size_of::<BufRingEntry>())?;
        let memory = Map::new(usize::from(count) * buffer_bytes)?;
        let mut buffers = Buffers { ring, memory, count, buffer_bytes, tail: 0 };
        for id in 0..count {
            buffers.give_back(id);
        }
        buffers.publish();
        Ok(buffers)
    }

    /// Address of the ring for the registration call; valid as long as `self`.
    pub(super) fn ring_address(&self) -> u64 {
        self.ring.base as u64
    }

    pub(super) fn count(&self) -> u16 {
        self.count
    }

    fn buffer(&self, id: u16) -> *mut u8 {
        assert!(id < self.count, "the kernel named a buffer that was never offered");
        // SAFETY: `id < count`, so the offset lies inside the mapping made in `new`.
        unsafe { self.memory.base.add(usize::from(id) * self.buffer_bytes) }
    }

    /// The first `len` bytes of a buffer whose completion is being handled.
    pub(super) fn bytes(&self, id: u16, len: usize) -> &[u8] {
        assert!(len <= self.buffer_bytes, "the kernel wrote past a buffer");
        // SAFETY: the range lies inside buffer `id` of our mapping; its completion has been reaped and
        // it has not been given back (the caller's invariant), so the kernel does not write it while
        // the shared borrow of `self` lives: giving back and publishing need `&mut self`.
        unsafe { std::slice::from_raw_parts(self.buffer(id), len) }
    }

    /// Offers a buffer again, from the next `publish` on.
    pub(super) fn give_back(&mut self, id: u16) {
        let address = self.buffer(id) as u64;
        let entry = self.ring.base.cast::<BufRingEntry>();
        // SAFETY: the index is below `count`, so the entry lies inside the ring mapping. The kernel reads
        // entries only between its head and the shared tail; this one lies at our private tail, outside.
        // (The shared tail overlays a reserved field of entry 0, which no setter here touches.)
        let entry = unsafe { &mut *entry.add(usize::from(self.tail & (self.count - 1))) };
        entry.set_addr(address);
        entry.set_len(self.buffer_bytes as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Lets the kernel see everything that was given back.
    pub(super) fn publish(&mut self) {
        // SAFETY: the tail lies inside the first entry of our mapping, is aligned for u16, and is only
        // ever written here; the kernel reads it with acquire semantics.
        let tail = unsafe {
            AtomicU16::from_ptr(BufRingEntry::tail(self.ring.base.cast::<BufRingEntry>()).cast_mut())
        };
        tail.store(self.tail, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_every_buffer_once_and_keeps_the_order_of_returns() {
        let mut buffers = Buffers::new(4, 64).unwrap();
        let entry = |buffers: &Buffers, at: usize| {
            // SAFETY: `at < 4`; no kernel knows this ring.
            let entry = unsafe { &*buffers.ring.base.cast::<BufRingEntry>().add(at) };
            (entry.bid(), entry.addr(), entry.len())
        };
        for id in 0..4u16 {
            assert_eq!(entry(&buffers, usize::from(id)), (id, buffers.buffer(id) as u64, 64));
        }
        buffers.give_back(2);
        buffers.give_back(0);
        assert_eq!(entry(&buffers, 0).0, 2);
        assert_eq!(entry(&buffers, 1).0, 0);
        // SAFETY: the ring is mapped as long as `buffers` lives, and only this thread writes its tail.
        let shared = |buffers: &Buffers| unsafe { *BufRingEntry::tail(buffers.ring.base.cast()) };
        assert_eq!(shared(&buffers), 4);
        buffers.publish();
        assert_eq!(shared(&buffers), 6);
    }

    #[test]
    #[should_panic(expected = "never offered")]
    fn refuses_an_unknown_id() {
        Buffers::new(4, 64).unwrap().bytes(4, 1);
    }

    #[test]
    #[should_panic(expected = "past a buffer")]
    fn refuses_a_length_beyond_the_buffer() {
        Buffers::new(4, 64).unwrap().bytes(0, 65);
    }
}
