//! What the kernel answered: each completion changes the state of its connection or listener and
//! becomes at most two events. Called by [`Ring::harvest`] and nobody else, except for
//! `close_if_idle`, the one place that ends a connection.

use super::{Close, Completion, End, Event, ListenerId, Ring, Token, accepted_fd};
use io_uring::cqueue;
use std::io;

impl Ring {
    pub(super) fn received(&mut self, token: Token, completion: Completion, on: &mut impl FnMut(Event<'_>)) {
        let Completion { result, flags, .. } = completion;
        let more = cqueue::more(flags);
        let buffer = cqueue::buffer_select(flags);
        // A slot outlives the operations that name it.
        let conn = self.conns.get_mut(token).expect("a receive belongs to a connection");
        let heard = matches!(conn.end, End::Open | End::Releasing);
        if let Some(id) = buffer {
            if heard && result > 0 {
                on(Event::Data { token, bytes: self.buffers.bytes(id, result as usize) });
            }
            self.buffers.give_back(id);
        }
        if !more {
            conn.recv.ended();
            self.in_kernel -= 1;
            match result {
                1.. => {}
                0 => {
                    conn.recv.wanted = false;
                    conn.recv_over = true;
                    if heard {
                        on(Event::Eof { token });
                    }
                }
                _ => match -result {
                    // The buffers of this harvest are given back before the next enter.
                    libc::ENOBUFS => self.stats.recv_starved += 1,
                    libc::ECANCELED | libc::EINTR | libc::EAGAIN => {}
                    errno => {
                        conn.recv.wanted = false;
                        conn.recv_over = true;
                        if heard {
                            on(Event::Failed { token, error: io::Error::from_raw_os_error(errno) });
                        }
                    }
                },
            }
            if conn.recv.wanted {
                self.arm_recv(token);
            } else {
                self.close_if_idle(token);
            }
        }
    }

    pub(super) fn sent(&mut self, token: Token, result: i32, on: &mut impl FnMut(Event<'_>)) {
        let conn = self.conns.get_mut(token).expect("a send belongs to a connection");
        conn.sending = false;
        self.in_kernel -= 1;
        let error = match result {
            1.. => {
                conn.sent += result as usize;
                if conn.sent == conn.buf.len() {
                    conn.flushed = true;
                    let buf = std::mem::take(&mut conn.buf);
                    if matches!(conn.end, End::Open | End::Releasing) {
                        on(Event::Sent { token, buf });
                    }
                    return self.close_if_idle(token);
                }
                self.stats.sends_continued += 1;
                None
            }
            0 => Some(io::Error::from(io::ErrorKind::WriteZero)),
            _ => match -result {
                libc::EINTR | libc::EAGAIN | libc::ECANCELED => None,
                errno => Some(io::Error::from_raw_os_error(errno)),
            },
        };
        match (error, conn.end) {
            (_, End::Closing(Close::Now)) | (Some(_), End::Closing(_)) | (_, End::Closed) => {}
            (None, _) => return self.push_send(token),
            (Some(error), End::Open | End::Releasing) => {
                conn.send_over = true;
                let buf = std::mem::take(&mut conn.buf);
                on(Event::SendFailed { token, error, buf, sent: conn.sent });
            }
        }
        self.close_if_idle(token);
    }

    pub(super) fn accepted(
        &mut self,
        id: ListenerId,
        completion: Completion,
        on: &mut impl FnMut(Event<'_>),
    ) {
        let at = self.listener(id).expect("an accept belongs to a listener");
        let listener = &mut self.listeners[at];
        if completion.result >= 0 {
            let fd = accepted_fd(completion.result);
            if !listener.removed {
                on(Event::Accepted { listener: id, fd });
            }
        }
        if cqueue::more(completion.flags) {
            return;
        }
        listener.accept.ended();
        self.in_kernel -= 1;
        if listener.removed {
            self.listeners.swap_remove(at);
            return;
        }
        match -completion.result {
            ..=0 | libc::ECANCELED | libc::EINTR | libc::EAGAIN | libc::ECONNABORTED => {}
            errno => {
                listener.failed = true;
                self.stats.accepts_failed += 1;
                on(Event::AcceptFailed { listener: id, error: io::Error::from_raw_os_error(errno) });
            }
        }
        self.arm_accept(at);
    }

    pub(super) fn report_closed(&mut self, on: &mut impl FnMut(Event<'_>)) {
        let mut closed = std::mem::take(&mut self.closed);
        for token in closed.drain(..) {
            if let Some(conn) = self.conns.remove(token) {
                match conn.fd {
                    None => on(Event::Closed { token, flushed: conn.flushed, sent: conn.sent }),
                    Some(fd) => on(Event::Released { token, fd }),
                }
            }
        }
        self.closed = closed;
        for at in 0..self.listeners.len() {
            if std::mem::take(&mut self.listeners[at].failed) {
                self.arm_accept(at);
            }
        }
    }

    /// Ends a connection that is to end, once the kernel has nothing of it.
    pub(super) fn close_if_idle(&mut self, token: Token) {
        let Some(conn) = self.conns.get_mut(token) else { return };
        if conn.recv.armed || conn.sending {
            return;
        }
        match conn.end {
            End::Open | End::Closed => return,
            End::Closing(_) => conn.fd = None,
            End::Releasing => {}
        }
        conn.end = End::Closed;
        self.closed.push(token);
    }
}
