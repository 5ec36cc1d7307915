//! Our side of one io_uring: setting it up, entering it, the eventfd that wakes its sleeper.
//!
//! Knows nothing of connections. Invariants: the ring is made and used by one thread (SINGLE_ISSUER,
//! and the type is not `Send`); nothing that was queued is lost, however full the submission queue
//! is; an enter that is merely interrupted or short of memory is not an error, the next one goes on.
//!
//! The flags: DEFER_TASKRUN lets completions be worked off inside our own enter and never by an
//! interrupt; TASKRUN_FLAG shows in shared memory whether there is any, so an empty look costs no
//! system call; SUBMIT_ALL goes on behind an entry that fails.
#![allow(unsafe_code)]

use super::{RING_COMPLETIONS, RING_ENTRIES, buffers::Buffers, error::RingError};
use io_uring::{IoUring, squeue};
use std::{
    collections::VecDeque,
    io,
    marker::PhantomData,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
    sync::atomic::{Ordering, fence},
    time::Duration,
};

const IORING_ENTER_GETEVENTS: u32 = 1;
const IORING_ENTER_EXT_ARG: u32 = 1 << 3;
const IORING_ENTER_REGISTERED_RING: u32 = 1 << 4;
const IORING_REGISTER_RING_FDS: u32 = 20;
const IORING_UNREGISTER_RING_FDS: u32 = 21;

/// One completion, copied out of the queue.
#[derive(Clone, Copy)]
pub(super) struct Completion {
    pub(super) user_data: u64,
    pub(super) result: i32,
    pub(super) flags: u32,
}

pub(super) struct Kernel {
    ring: IoUring,
    /// Entries that found the submission queue full and the kernel unwilling.
    overflow: VecDeque<squeue::Entry>,
    wake: OwnedFd,
    /// What enter names: the ring's index in the thread's table, or its descriptor.
    enter_fd: i32,
    enter_flags: u32,
    _one_thread: PhantomData<*const ()>,
}

/// An eventfd as [`Kernel::new`] wants it: blocking, because a sleeper reads it through another
/// io_uring, and a read of a non-blocking descriptor does not wait there.
pub fn wake_eventfd() -> io::Result<OwnedFd> {
    // SAFETY: no pointers; a new descriptor is returned or -1.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `fd` is open and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Wakes whoever sleeps on an eventfd.
pub fn ring_eventfd(fd: BorrowedFd<'_>) {
    let one = 1u64.to_ne_bytes();
    // SAFETY: the descriptor is open while it is borrowed, and the eight bytes are ours. A full counter
    // (nobody has slept for 2^64 wakes) is as good as a ring.
    unsafe { libc::write(fd.as_raw_fd(), one.as_ptr().cast(), one.len()) };
}

impl Kernel {
    pub(super) fn new(wake: Option<OwnedFd>) -> Result<Kernel, RingError> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(RING_COMPLETIONS)
            .build(RING_ENTRIES)
            .map_err(|error| RingError::from_setup("io_uring_setup", error))?;
        let wake = match wake {
            Some(fd) => fd,
            None => wake_eventfd().map_err(|error| RingError::from_setup("eventfd", error))?,
        };
        ring.submitter()
            .register_eventfd(wake.as_raw_fd())
            .map_err(|error| RingError::from_setup("registering the eventfd", error))?;
        let enter_fd = ring.as_raw_fd();
        let mut kernel = Kernel {
            ring,
            overflow: VecDeque::new(),
            wake,
            enter_fd,
            enter_flags: IORING_ENTER_GETEVENTS,
            _one_thread: PhantomData,
        };
        kernel.ring.completion().disable_eventfd();
        kernel.register_descriptor();
        Ok(kernel)
    }

    /// Spares each enter the look-up (and, in a process with threads, the counting) of the ring's
    /// descriptor. Optional: the table holds 16 rings per thread.
    fn register_descriptor(&mut self) {
        let mut update = RingFd { offset: u32::MAX, reserved: 0, data: self.ring.as_raw_fd() as u64 };
        // SAFETY: `update` has the layout of io_uring_rsrc_update and outlives the call.
        let done = unsafe {
            libc::syscall(
                libc::SYS_io_uring_register,
                self.ring.as_raw_fd(),
                IORING_REGISTER_RING_FDS,
                &raw mut update,
                1u32,
            )
        };
        if done == 1 {
            self.enter_fd = update.offset as i32;
            self.enter_flags |= IORING_ENTER_REGISTERED_RING;
        }
    }

    /// Offers `buffers` as buffer group 0.
    ///
    /// # Safety
    /// `buffers` must outlive every operation of this ring that selects from group 0.
    pub(super) unsafe fn register_buffers(&mut self, buffers: &Buffers) -> Result<(), RingError> {
        // SAFETY: the address is that of a live, page-aligned ring of `count` entries; the caller
        // keeps it alive.
        unsafe {
            self.ring.submitter().register_buf_ring_with_flags(buffers.ring_address(), buffers.count(), 0, 0)
        }
        .map_err(|error| RingError::from_setup("registering the receive buffers", error))
    }

    pub(super) fn wake_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Puts an entry into the submission queue; it reaches the kernel with the next enter.
    ///
    /// # Safety
    /// Whatever memory and descriptor the entry names must stay valid until its (last) completion
    /// has been reaped.
    #[inline]
    pub(super) unsafe fn queue(&mut self, entry: squeue::Entry) -> Result<(), RingError> {
        if self.overflow.is_empty() {
            // SAFETY: promised by the caller.
            if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                return Ok(());
            }
        }
        self.overflow.push_back(entry);
        self.enter()
    }

    /// Moves what once found the queue full into it, in order.
    fn refill(&mut self) {
        while let Some(entry) = self.overflow.front() {
            // SAFETY: promised by the caller of `queue`.
            if unsafe { self.ring.submission().push(entry) }.is_err() {
                return;
            }
            self.overflow.pop_front();
        }
    }

    /// Whether an enter would do anything: entries to submit, completions waiting behind a flag.
    #[inline]
    pub(super) fn needs_enter(&mut self) -> bool {
        let queue = self.ring.submission();
        !queue.is_empty() || queue.taskrun() || queue.cq_overflow() || !self.overflow.is_empty()
    }

    /// Submits all that is queued, runs the deferred work, waits for nothing.
    pub(super) fn enter(&mut self) -> Result<(), RingError> {
        loop {
            self.refill();
            let count = self.ring.submission().len() as u32;
            // SAFETY: no pointer is passed.
            let done = unsafe { self.enter_raw(count, 0, self.enter_flags, ptr::null(), 0) };
            if done < 0 {
                return harmless(io::Error::last_os_error());
            }
            if self.overflow.is_empty() || done == 0 {
                return Ok(());
            }
        }
    }

    /// Like `enter`, and waits for one completion, at most `timeout`.
    pub(super) fn enter_and_wait(&mut self, timeout: Duration) -> Result<(), RingError> {
        self.refill();
        if !self.overflow.is_empty() || !self.ring.completion().is_empty() {
            return self.enter();
        }
        let count = self.ring.submission().len() as u32;
        let seconds = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX);
        let time = [seconds, i64::from(timeout.subsec_nanos())];
        let argument = WaitArgument { sigmask: 0, sigmask_len: 0, min_wait: 0, time: time.as_ptr() as u64 };
        // SAFETY: `argument` has the layout of io_uring_getevents_arg, `time` that of
        // __kernel_timespec; both outlive the call.
        let done = unsafe {
            self.enter_raw(
                count,
                1,
                self.enter_flags | IORING_ENTER_EXT_ARG,
                (&raw const argument).cast(),
                size_of::<WaitArgument>(),
            )
        };
        if done < 0 { harmless(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// # Safety
    /// As for io_uring_enter: `argument` and `len` fit the flags.
    unsafe fn enter_raw(
        &self,
        submit: u32,
        complete: u32,
        flags: u32,
        argument: *const libc::c_void,
        len: usize,
    ) -> i64 {
        // SAFETY: promised by the caller; the ring is alive, its queues are mapped.
        unsafe {
            libc::syscall(libc::SYS_io_uring_enter, self.enter_fd, submit, complete, flags, argument, len)
        }
    }

    /// Appends all completions that are in the queue now.
    #[inline]
    pub(super) fn reap(&mut self, into: &mut Vec<Completion>) {
        into.extend(self.ring.completion().map(|entry| Completion {
            user_data: entry.user_data(),
            result: entry.result(),
            flags: entry.flags(),
        }));
    }

    /// Lets completions signal the eventfd; returns false, with the signal off again, if there is
    /// something to reap already.
    ///
    /// The kernel queues deferred work, then looks whether the signal is enabled; we enable it, then
    /// look whether work was queued: one of us sees the other.
    pub(super) fn arm_wake(&mut self) -> Result<bool, RingError> {
        if self.needs_enter() {
            self.enter()?;
        }
        if self.ring.completion().is_empty() {
            self.ring.completion().enable_eventfd();
            fence(Ordering::SeqCst);
            // The flag that `needs_enter` reads is set without a barrier towards the kernel's look at
            // ours; only where atomics are barriers anyway does it prove that nothing is queued.
            if !cfg!(target_arch = "x86_64") {
                self.enter()?;
            }
            if !self.needs_enter() && self.ring.completion().is_empty() {
                return Ok(true);
            }
            self.ring.completion().disable_eventfd();
        }
        Ok(false)
    }

    pub(super) fn disarm_wake(&mut self) {
        self.ring.completion().disable_eventfd();
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        if self.enter_flags & IORING_ENTER_REGISTERED_RING != 0 {
            let mut update = RingFd { offset: self.enter_fd as u32, reserved: 0, data: 0 };
            // SAFETY: as in `register_descriptor`. The thread's table holds a reference to the ring,
            // which would otherwise live as long as the thread.
            unsafe {
                libc::syscall(
                    libc::SYS_io_uring_register,
                    self.ring.as_raw_fd(),
                    IORING_UNREGISTER_RING_FDS,
                    &raw mut update,
                    1u32,
                )
            };
        }
    }
}

/// An enter that did less than it was asked to; what is left stays queued for the next one.
fn harmless(error: io::Error) -> Result<(), RingError> {
    match error.raw_os_error() {
        Some(libc::EINTR | libc::EAGAIN | libc::EBUSY | libc::ETIME) => Ok(()),
        _ => Err(RingError::Broken(error)),
    }
}

/// `struct io_uring_rsrc_update`
#[repr(C)]
struct RingFd {
    offset: u32,
    reserved: u32,
    data: u64,
}

/// `struct io_uring_getevents_arg`
#[repr(C)]
struct WaitArgument {
    sigmask: u64,
    sigmask_len: u32,
    min_wait: u32,
    time: u64,
}
