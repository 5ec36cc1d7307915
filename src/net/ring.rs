//! The network ring of one shard: listeners, connections, and what the kernel is doing for them.
//!
//! The driver task of a shard calls it and nobody else; it knows bytes and descriptors, never
//! commands. Invariants:
//! - a descriptor is closed, and a slot reused, only when no operation of the kernel names it;
//! - a connection has at most one receive and one send in the kernel, and between `Data` and `Eof`
//!   its bytes arrive in order, each once;
//! - `Eof` or `Failed` is reported at most once, `SendFailed` at most once; nothing is reported
//!   after `Closed`, and only `Closed` after [`Ring::close`];
//! - a refused accept (no descriptors) is reported once and stays down until [`Ring::resume_accept`]
//!   or until this ring closes a connection: it never spins.
#![allow(unsafe_code)]

mod completions;

use super::{
    RingOptions,
    buffers::Buffers,
    error::RingError,
    event::{Close, Event, ListenerId, RingStats},
    kernel::{Completion, Kernel},
    slots::{Slots, Token},
};
use io_uring::{cqueue, opcode, squeue, types};
use std::{
    mem::ManuallyDrop,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    time::Duration,
};

/// Largest piece of one send operation; the kernel's own limit is a little below 2 GiB.
const SEND_BYTES_MAX: usize = 1 << 30;

const KIND_ACCEPT: u64 = 1 << Token::KIND_SHIFT;
const KIND_RECV: u64 = 2 << Token::KIND_SHIFT;
const KIND_SEND: u64 = 3 << Token::KIND_SHIFT;
const KIND_CANCEL: u64 = 4 << Token::KIND_SHIFT;
const KIND_WAKE: u64 = 5 << Token::KIND_SHIFT;
const KIND_MASK: u64 = 0xf << Token::KIND_SHIFT;

/// A multishot operation: what the kernel has, and what we want it to have.
#[derive(Clone, Copy, Default)]
struct Standing {
    armed: bool,
    cancelling: bool,
    wanted: bool,
}

impl Standing {
    /// Its last completion has been reaped.
    fn ended(&mut self) {
        self.armed = false;
        self.cancelling = false;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Closing(Close),
    Releasing,
    /// The descriptor is gone; `Closed` waits for the end of the harvest.
    Closed,
}

struct Conn {
    /// Nothing only when `end` is `Closed`.
    fd: Option<OwnedFd>,
    recv: Standing,
    end: End,
    /// In the kernel while `sending`; then it must be neither touched nor dropped.
    buf: Vec<u8>,
    sent: usize,
    sending: bool,
    flushed: bool,
    /// `Eof` or `Failed` was reported: there is nothing more to receive.
    recv_over: bool,
    /// `SendFailed` was reported.
    send_over: bool,
}

impl Conn {
    fn can_send(&self) -> bool {
        self.end == End::Open && !self.sending && !self.send_over
    }
}

struct Listener {
    id: ListenerId,
    fd: OwnedFd,
    accept: Standing,
    /// Down because of an error; up again when a descriptor is freed.
    failed: bool,
    removed: bool,
}

/// See the module documentation.
pub struct Ring {
    kernel: Kernel,
    // `Drop` ends these by hand: the kernel may be using them.
    buffers: ManuallyDrop<Buffers>,
    conns: ManuallyDrop<Slots<Conn>>,
    listeners: Vec<Listener>,
    listeners_given: u32,
    /// Operations in the kernel that name our memory or descriptors.
    in_kernel: usize,
    /// Connections whose `Closed` is due.
    closed: Vec<Token>,
    batch: Vec<Completion>,
    stats: RingStats,
    /// The poll of the eventfd that ends a `wait`; armed by the first one.
    wake_polled: bool,
    /// An enter failed inside a method that does not report errors; the next harvest does.
    broken: Option<RingError>,
}

impl Ring {
    /// Must be called on the thread that will use the ring.
    pub fn new(options: RingOptions) -> Result<Ring, RingError> {
        let mut kernel = Kernel::new(options.wake)?;
        let buffers = Buffers::new(options.buffers, options.buffer_bytes)
            .map_err(|error| RingError::from_setup("mapping the receive buffers", error))?;
        // SAFETY: `Drop` frees the buffers only when no operation is left.
        unsafe { kernel.register_buffers(&buffers)? };
        Ok(Ring {
            kernel,
            buffers: ManuallyDrop::new(buffers),
            conns: ManuallyDrop::new(Slots::new()),
            listeners: Vec::new(),
            listeners_given: 0,
            in_kernel: 0,
            closed: Vec::new(),
            batch: Vec::new(),
            stats: RingStats::default(),
            wake_polled: false,
            broken: None,
        })
    }

    /// The eventfd on which a sleeper waits (a blocking read of 8 bytes) and which others write to
    /// wake it. It lives as long as the ring: who needs it longer duplicates it.
    pub fn wake_fd(&self) -> RawFd {
        self.kernel.wake_fd().as_raw_fd()
    }

    pub fn stats(&self) -> RingStats {
        RingStats { connections: self.conns.len(), ..self.stats }
    }

    // ---- listeners

    /// Starts accepting from a listening socket.
    pub fn listen(&mut self, fd: OwnedFd) -> ListenerId {
        make_blocking(fd.as_raw_fd());
        let id = ListenerId(self.listeners_given);
        self.listeners_given += 1;
        let accept = Standing { wanted: true, ..Standing::default() };
        self.listeners.push(Listener { id, fd, accept, failed: false, removed: false });
        self.arm_accept(self.listeners.len() - 1);
        id
    }

    /// Connections that the kernel accepts before it hears of this are still reported.
    pub fn pause_accept(&mut self, id: ListenerId) {
        if let Some(at) = self.listener(id) {
            self.listeners[at].accept.wanted = false;
            self.cancel_accept(at);
        }
    }

    /// After `pause_accept`, or to try again after `AcceptFailed`.
    pub fn resume_accept(&mut self, id: ListenerId) {
        if let Some(at) = self.listener(id) {
            self.listeners[at].accept.wanted = true;
            self.listeners[at].failed = false;
            self.arm_accept(at);
        }
    }

    /// Closes a listening socket, as soon as the kernel lets go of it; nothing more is reported.
    pub fn unlisten(&mut self, id: ListenerId) {
        if let Some(at) = self.listener(id) {
            self.listeners[at].removed = true;
            self.listeners[at].accept.wanted = false;
            if self.listeners[at].accept.armed {
                self.cancel_accept(at);
            } else {
                self.listeners.swap_remove(at);
            }
        }
    }

    // ---- connections

    /// Takes a connected stream socket over and starts receiving from it.
    pub fn adopt(&mut self, fd: OwnedFd) -> Token {
        make_blocking(fd.as_raw_fd());
        let token = self.conns.insert(Conn {
            fd: Some(fd),
            recv: Standing { wanted: true, ..Standing::default() },
            end: End::Open,
            buf: Vec::new(),
            sent: 0,
            sending: false,
            flushed: true,
            recv_over: false,
            send_over: false,
        });
        self.arm_recv(token);
        token
    }

    /// The descriptor of an open connection, for asking about addresses.
    pub fn fd(&self, token: Token) -> Option<RawFd> {
        self.conns.get(token)?.fd.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Whether `send` would take a buffer: the connection is open, nothing is in flight, and no send
    /// has failed.
    #[inline]
    pub fn can_send(&self, token: Token) -> bool {
        self.conns.get(token).is_some_and(Conn::can_send)
    }

    /// Sends all of `buf`, which comes back in `Sent` or `SendFailed`. It is given back at once if it
    /// is empty or [`Ring::can_send`] is false.
    #[inline]
    pub fn send(&mut self, token: Token, buf: Vec<u8>) -> Result<(), Vec<u8>> {
        match self.conns.get_mut(token) {
            Some(conn) if conn.can_send() && !buf.is_empty() => {
                conn.buf = buf;
                conn.sent = 0;
                self.push_send(token);
                Ok(())
            }
            _ => Err(buf),
        }
    }

    /// Back-pressure: stop receiving. What the kernel has already put into buffers still arrives.
    pub fn pause_recv(&mut self, token: Token) {
        if let Some(conn) = self.conns.get_mut(token)
            && conn.end == End::Open
        {
            conn.recv.wanted = false;
            self.cancel_recv(token);
        }
    }

    /// Receive again after `pause_recv`. Without effect after `Eof` and `Failed`.
    pub fn resume_recv(&mut self, token: Token) {
        if let Some(conn) = self.conns.get_mut(token)
            && conn.end == End::Open
            && !conn.recv_over
        {
            conn.recv.wanted = true;
            self.arm_recv(token);
        }
    }

    /// Ends a connection; `Closed` follows. `Flush` may be sharpened to `Now` later (a peer that
    /// never reads holds a flush for ever).
    pub fn close(&mut self, token: Token, how: Close) {
        let Some(conn) = self.conns.get_mut(token) else { return };
        match conn.end {
            End::Open | End::Releasing | End::Closing(Close::Flush) => {
                conn.end = End::Closing(how);
                conn.recv.wanted = false;
            }
            End::Closing(Close::Now) | End::Closed => return,
        }
        let cancel_send = how == Close::Now && conn.sending;
        self.cancel_recv(token);
        if cancel_send {
            self.push_cancel(KIND_SEND | token.bits());
        }
        self.close_if_idle(token);
    }

    /// Stops receiving, lets the send in flight end and gives the descriptor back in `Released`, for
    /// another ring to adopt. What arrives before that is still reported as `Data`.
    pub fn release(&mut self, token: Token) {
        let Some(conn) = self.conns.get_mut(token) else { return };
        if conn.end == End::Open {
            conn.end = End::Releasing;
            conn.recv.wanted = false;
            self.cancel_recv(token);
            self.close_if_idle(token);
        }
    }

    // ---- the turn

    /// Submits what is queued, reaps what has completed, reports it; returns the number of events.
    /// One system call, or none when there is nothing to submit and nothing to reap. What the
    /// driver queues afterwards goes out with the next harvest.
    pub fn harvest(&mut self, mut on: impl FnMut(Event<'_>)) -> Result<usize, RingError> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        if self.kernel.needs_enter() {
            self.kernel.enter()?;
        }
        let mut batch = std::mem::take(&mut self.batch);
        self.kernel.reap(&mut batch);
        let mut events = 0;
        let mut on = |event: Event<'_>| {
            events += 1;
            on(event);
        };
        for completion in batch.drain(..) {
            let token = Token::from_bits(completion.user_data);
            match completion.user_data & KIND_MASK {
                KIND_RECV => self.received(token, completion, &mut on),
                KIND_SEND => self.sent(token, completion.result, &mut on),
                KIND_ACCEPT => self.accepted(ListenerId(token.slot() as u32), completion, &mut on),
                KIND_WAKE if !cqueue::more(completion.flags) => self.wake_polled = false,
                _ => {} // somebody woke us; a cancel that found nothing to cancel
            }
        }
        self.batch = batch;
        self.buffers.publish();
        if !self.closed.is_empty() {
            self.report_closed(&mut on);
        }
        Ok(events)
    }

    /// Submits what is queued without waiting for the next harvest: before the driver yields.
    pub fn submit(&mut self) -> Result<(), RingError> {
        if self.kernel.needs_enter() { self.kernel.enter() } else { Ok(()) }
    }

    /// Submits what is queued and lets completions write the eventfd. True: sleep on it, then call
    /// [`Ring::woke`]. False: something has arrived already, harvest again.
    pub fn prepare_sleep(&mut self) -> Result<bool, RingError> {
        if !self.closed.is_empty() || self.broken.is_some() {
            return Ok(false);
        }
        self.kernel.arm_wake()
    }

    /// Ends what `prepare_sleep` began; nothing writes the eventfd for a completion any more.
    pub fn woke(&mut self) {
        self.kernel.disarm_wake();
    }

    /// The cheaper sleep, for a thread that has nothing else to wait for: submits what is queued and
    /// blocks the thread until something has completed, somebody writes the eventfd, or `timeout`
    /// is over. The next harvest says what it was. Tasks of the same executor do not run meanwhile.
    pub fn wait(&mut self, timeout: Duration) -> Result<(), RingError> {
        if !self.closed.is_empty() || self.broken.is_some() {
            return Ok(());
        }
        if !self.wake_polled {
            self.wake_polled = true;
            // Never read: each write is one more completion, whatever the count has come to.
            let poll = opcode::PollAdd::new(types::Fd(self.wake_fd()), libc::POLLIN as u32).multi(true);
            self.queue(poll.build().user_data(KIND_WAKE));
        }
        self.kernel.enter_and_wait(timeout)
    }

    // ---- submissions

    fn listener(&self, id: ListenerId) -> Option<usize> {
        self.listeners.iter().position(|listener| listener.id == id)
    }

    fn arm_accept(&mut self, at: usize) {
        let listener = &mut self.listeners[at];
        if !listener.accept.wanted || listener.accept.armed || listener.failed || listener.removed {
            return;
        }
        listener.accept.armed = true;
        let entry = opcode::AcceptMulti::new(types::Fd(listener.fd.as_raw_fd()))
            .flags(libc::SOCK_CLOEXEC)
            .build()
            .user_data(KIND_ACCEPT | u64::from(listener.id.0));
        self.in_kernel += 1;
        self.queue(entry);
    }

    fn cancel_accept(&mut self, at: usize) {
        let listener = &mut self.listeners[at];
        if listener.accept.armed && !listener.accept.cancelling {
            listener.accept.cancelling = true;
            let target = KIND_ACCEPT | u64::from(listener.id.0);
            self.push_cancel(target);
        }
    }

    fn arm_recv(&mut self, token: Token) {
        let Some(conn) = self.conns.get_mut(token) else { return };
        let Some(fd) = &conn.fd else { return };
        if conn.recv.armed {
            return;
        }
        conn.recv.armed = true;
        let entry =
            opcode::RecvMulti::new(types::Fd(fd.as_raw_fd()), 0).build().user_data(KIND_RECV | token.bits());
        self.in_kernel += 1;
        self.queue(entry);
    }

    fn cancel_recv(&mut self, token: Token) {
        if let Some(conn) = self.conns.get_mut(token)
            && conn.recv.armed
            && !conn.recv.cancelling
        {
            conn.recv.cancelling = true;
            self.push_cancel(KIND_RECV | token.bits());
        }
    }

    fn push_send(&mut self, token: Token) {
        let Some(conn) = self.conns.get_mut(token) else { return };
        let Some(fd) = &conn.fd else { return };
        conn.sending = true;
        conn.flushed = false;
        let rest = &conn.buf[conn.sent..];
        let len = rest.len().min(SEND_BYTES_MAX) as u32;
        // WAITALL: the kernel itself goes on after a short send where it can.
        let entry = opcode::Send::new(types::Fd(fd.as_raw_fd()), rest.as_ptr(), len)
            .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
            .build()
            .user_data(KIND_SEND | token.bits());
        self.in_kernel += 1;
        self.queue(entry);
    }

    fn push_cancel(&mut self, target: u64) {
        let entry = opcode::AsyncCancel2::new(types::CancelBuilder::user_data(target))
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS)
            .user_data(KIND_CANCEL);
        self.queue(entry);
    }

    #[inline]
    fn queue(&mut self, entry: squeue::Entry) {
        // SAFETY: a receive writes into `buffers`, a send reads `Conn::buf`, which is not touched while
        // `sending`; both, and the descriptors, are kept until the last completion (`close_if_idle`,
        // `unlisten`, `Drop`). A cancel names no memory, and the eventfd lives as long as the kernel's ring.
        if let Err(error) = unsafe { self.kernel.queue(entry) } {
            self.broken.get_or_insert(error);
        }
    }
}

impl Ring {
    /// Cancels everything and waits for the kernel to let go; false if it does not in about a second.
    pub(super) fn quiesce(&mut self) -> bool {
        self.queue(
            opcode::AsyncCancel2::new(types::CancelBuilder::any().all()).build().user_data(KIND_CANCEL),
        );
        let mut batch = Vec::new();
        for _ in 0..100 {
            if self.in_kernel == 0 {
                break;
            }
            if self.kernel.enter_and_wait(Duration::from_millis(10)).is_err() {
                break;
            }
            self.kernel.reap(&mut batch);
            for completion in batch.drain(..) {
                let kind = completion.user_data & KIND_MASK;
                if kind == KIND_ACCEPT && completion.result >= 0 {
                    drop(accepted_fd(completion.result));
                }
                if !matches!(kind, KIND_CANCEL | KIND_WAKE) && !cqueue::more(completion.flags) {
                    self.in_kernel -= 1;
                }
                // A receive that goes on gets no buffers back, so it ends with ENOBUFS.
            }
        }
        self.in_kernel == 0
    }
}

impl Drop for Ring {
    /// What the kernel still uses after a second is leaked rather than freed under it.
    fn drop(&mut self) {
        let idle = self.quiesce();
        for conn in self.conns.drain() {
            if !idle {
                std::mem::forget(conn.buf);
            }
        }
        // SAFETY: dropped once, here, and not used after; the kernel has let go of the buffers.
        unsafe {
            ManuallyDrop::drop(&mut self.conns);
            if idle {
                ManuallyDrop::drop(&mut self.buffers);
            }
        }
    }
}

/// Takes the descriptor out of a successful accept's result.
fn accepted_fd(result: i32) -> OwnedFd {
    // SAFETY: the kernel has just opened this descriptor for us, and each result is taken once.
    unsafe { OwnedFd::from_raw_fd(result) }
}

/// An operation on a non-blocking descriptor fails with EAGAIN where it should wait in the ring.
fn make_blocking(fd: RawFd) {
    // SAFETY: plain flag calls on a descriptor that the caller owns.
    unsafe {
        let flags = libc::fcntl(fd, libc::F_GETFL);
        if flags >= 0 && flags & libc::O_NONBLOCK != 0 {
            libc::fcntl(fd, libc::F_SETFL, flags & !libc::O_NONBLOCK);
        }
    }
}
