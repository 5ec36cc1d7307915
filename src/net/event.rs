//! What a ring reports to the driver of its shard, and the names it uses for it.

use super::slots::Token;
use std::{io, os::fd::OwnedFd};

/// Names a listening socket of this ring; never reused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct ListenerId(pub(super) u32);

/// How [`super::Ring::close`] ends a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Close {
    /// After the send in flight, if there is one, has been taken by the kernel or has failed.
    Flush,
    /// As soon as the kernel lets go; what it has not taken of a send is dropped.
    Now,
}

/// What [`super::Ring::harvest`] reports.
#[derive(Debug)]
pub enum Event<'a> {
    Accepted {
        listener: ListenerId,
        fd: OwnedFd,
    },
    /// Accepting stopped with this error; see the module's invariants.
    AcceptFailed {
        listener: ListenerId,
        error: io::Error,
    },
    /// Received bytes, at most one receive buffer; valid during the call only.
    Data {
        token: Token,
        bytes: &'a [u8],
    },
    /// The peer will send no more. Sending is still possible until `close`.
    Eof {
        token: Token,
    },
    /// Receiving failed (reset, timed out). The connection waits for `close`.
    Failed {
        token: Token,
        error: io::Error,
    },
    /// The kernel took all of `buf`.
    Sent {
        token: Token,
        buf: Vec<u8>,
    },
    /// The kernel took `sent` bytes of `buf` and refuses the rest. The connection waits for `close`.
    SendFailed {
        token: Token,
        error: io::Error,
        buf: Vec<u8>,
        sent: usize,
    },
    /// The descriptor is closed. `flushed`: everything given to `send` had been taken; `sent`: so many bytes
    /// of the last buffer.
    Closed {
        token: Token,
        flushed: bool,
        sent: usize,
    },
    /// Answer to [`super::Ring::release`]: the kernel does nothing for `fd` any more.
    Released {
        token: Token,
        fd: OwnedFd,
    },
}

/// Numbers for INFO and the metrics; they only grow, except for the gauges.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct RingStats {
    /// Gauge: open connections, closing ones included.
    pub connections: usize,
    /// Receives that found all buffers taken and had to be started again.
    pub recv_starved: u64,
    /// Sends that were taken in more than one piece.
    pub sends_continued: u64,
    pub accepts_failed: u64,
}
