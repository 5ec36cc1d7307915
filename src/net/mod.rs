//! Bytes in, bytes out: the network ring of a shard and the sockets it works on.
//!
//! Each shard has one io_uring of its own, driven by one task of its executor (the driver, which
//! lives elsewhere). Who owns what, when:
//!
//! ```text
//!            offered                     completion reaped             callback returns
//!  buffer ──────────────> kernel fills it ───────────> Event::Data(&bytes) ───────────> given back;
//!  (16 KiB, ring.buffers)                 during the driver's callback only             offered again by one
//!                                                                                       store per harvest
//!            Ring::send(buf)             all taken, or refused
//!  reply  ──────────────> Ring holds it, ────────────> Event::Sent(buf) ──> the driver's again, for reuse
//!  (Vec<u8>)              kernel reads it
//!
//!            Ring::adopt(fd)             Ring::close(token)        last operation has ended
//!  socket ──────────────> receive stands ────────────────> cancel ────────────────> close(fd), slot free,
//!  (OwnedFd)              until Eof/Failed                                          Event::Closed
//! ```
//!
//! A turn of the driver: [`Ring::harvest`] (one system call: submit the sends of the last turn, reap),
//! parse and run, [`Ring::send`] what came out. With nothing to do: a few more empty harvests (no
//! system call), then either of two sleeps. [`Ring::prepare_sleep`], read the eventfd through the
//! executor, [`Ring::woke`]: every other task of the executor lives on. Or [`Ring::wait`]: blocks the
//! thread, for at most the time until its next timer; half the CPU for a lone connection (4.4 against
//! 8.9 µs per PING, Redis 5.3), to be used while the executor has no other I/O under way.
//!
//! Who accepts: one shard listens and hands each descriptor to the shard with the fewest
//! connections. SO_REUSEPORT would let the kernel choose by hash, which spreads a few connections
//! unevenly, and would let a second server bind the same port unnoticed.
//!
//! It must never know RESP, sessions or glommio.

mod address;
mod buffers;
pub mod clock;
mod error;
mod event;
mod hang_up;
mod kernel;
mod listen;
mod process;
mod ring;
#[cfg(test)]
mod ring_model_tests;
#[cfg(test)]
mod ring_tests;
mod slots;

pub use address::{local_text, peer_text};
pub use error::RingError;
pub use event::{Close, Event, ListenerId, RingStats};
pub use hang_up::{Receipt, duplicate, has_hung_up, receipt};
pub use kernel::{ring_eventfd, wake_eventfd};
pub use listen::{
    BindError, Bound, BoundSocket, bind_tcp, bind_unix, listen_again, prepare_accepted, stop_listening,
};
pub use process::{CpuTime, Whose, allowed_cpus, cpu_time, disable_huge_pages, pin_thread, resident_bytes};
pub use ring::Ring;
pub use slots::Token;

use crate::base::limits::{RECV_BUFFER_BYTES, RECV_BUFFERS};
use std::os::fd::OwnedFd;

/// Entries of the submission queue; a turn with more is submitted in several calls.
const RING_ENTRIES: u32 = 1024;

/// Entries of the completion queue; beyond it the kernel keeps completions aside and ends
/// multishot operations, which costs time but loses nothing.
const RING_COMPLETIONS: u32 = 4096;

const _: () = assert!(RING_COMPLETIONS >= RING_ENTRIES + RECV_BUFFERS as u32);

/// How to make a [`Ring`].
pub struct RingOptions {
    /// Receive buffers, a power of two.
    pub buffers: u16,
    pub buffer_bytes: usize,
    /// The eventfd to register, from [`wake_eventfd`], if others must know it before the ring is
    /// made; otherwise the ring makes its own.
    pub wake: Option<OwnedFd>,
}

impl Default for RingOptions {
    fn default() -> RingOptions {
        RingOptions { buffers: RECV_BUFFERS, buffer_bytes: RECV_BUFFER_BYTES, wake: None }
    }
}
