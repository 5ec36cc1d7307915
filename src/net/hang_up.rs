//! Whether the peer of a connection has left, and whether it has what it was sent, asked of the kernel at
//! this moment: a ring reports the first with its next completions, which may be too late for who is about
//! to give something away, and the second not at all.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// Whether the peer has closed its end, or at least said that it will send no more. False for a
/// descriptor that cannot be asked.
pub fn has_hung_up(fd: RawFd) -> bool {
    polled(fd) & (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR) != 0
}

fn polled(fd: RawFd) -> libc::c_short {
    let mut asked = libc::pollfd { fd, events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: one pollfd, which lives on this stack; a timeout of 0 returns at once.
    let ready = unsafe { libc::poll(&mut asked, 1, 0) };
    if ready > 0 { asked.revents } else { 0 }
}

/// Another descriptor of the same socket, which keeps it open. None when there are too many.
pub fn duplicate(fd: RawFd) -> Option<OwnedFd> {
    // SAFETY: whoever names a connection by its descriptor holds it open during the call.
    unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned().ok()
}

/// What a peer has done with what it was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Receipt {
    /// Its kernel has all of it.
    Acknowledged,
    /// Some of it is still under way.
    Outstanding,
    /// It has reset the connection: it closed it with something unread, or before all had arrived.
    Refused,
}

/// What is known of everything that the kernel has taken for a connection. A peer may still refuse what it
/// has acknowledged, when it closes.
pub fn receipt(fd: BorrowedFd<'_>) -> Receipt {
    let fd = fd.as_raw_fd();
    if polled(fd) & libc::POLLERR != 0 {
        return Receipt::Refused;
    }
    let mut unsent: libc::c_int = 0;
    // SAFETY: the call writes one int, which lives on this stack.
    let asked = unsafe { libc::ioctl(fd, libc::TIOCOUTQ, &mut unsent) };
    if asked == 0 && unsent > 0 { Receipt::Outstanding } else { Receipt::Acknowledged }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::fd::AsFd;

    #[test]
    fn a_peer_that_has_left_is_seen_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        for leave in [true, false] {
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (served, _) = listener.accept().unwrap();
            assert!(!has_hung_up(served.as_raw_fd()));
            if leave {
                drop(client);
            } else {
                client.shutdown(Shutdown::Write).unwrap();
            }
            assert!(has_hung_up(served.as_raw_fd()));
        }
        assert!(!has_hung_up(-1));
    }

    /// What the loopback knows at once, a network knows in a moment.
    #[test]
    fn a_peer_that_closes_refuses_what_it_has_not_read() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        for reads in [true, false] {
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut served, _) = listener.accept().unwrap();
            served.write_all(b"$1\r\nx\r\n").unwrap();
            if reads {
                client.read_exact(&mut [0; 7]).unwrap();
            }
            assert_ne!(receipt(served.as_fd()), Receipt::Refused);
            client.shutdown(Shutdown::Both).unwrap();
            drop(client);
            let told = receipt(served.as_fd());
            assert_eq!(told == Receipt::Refused, !reads, "{told:?}");
        }
    }
}
