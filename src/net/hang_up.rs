//! Whether the peer of a connection has left, asked of the kernel at this moment: a ring reports it with
//! its next completions, which may be too late for who is about to give something away.
#![allow(unsafe_code)]

use std::os::fd::RawFd;

/// Whether the peer has closed its end, or at least said that it will send no more. False for a
/// descriptor that cannot be asked.
pub fn has_hung_up(fd: RawFd) -> bool {
    let mut asked = libc::pollfd { fd, events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: one pollfd, which lives on this stack; a timeout of 0 returns at once.
    let ready = unsafe { libc::poll(&mut asked, 1, 0) };
    ready > 0 && asked.revents & (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR) != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

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
}
