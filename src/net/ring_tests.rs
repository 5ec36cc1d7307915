//! Scenes of a ring's life, each against real sockets. Without io_uring they are skipped with the
//! reason printed, unless `CI=true`.
#![allow(unsafe_code)]

use super::{Close, Event, ListenerId, Ring, RingOptions, Token, bind_tcp};
use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::{
        fd::{AsRawFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    thread,
    time::Duration,
};

/// A ring and what it has reported so far.
pub(super) struct Rig {
    pub(super) ring: Ring,
    pub(super) accepted: Vec<OwnedFd>,
    pub(super) accept_errors: Vec<io::Error>,
    pub(super) seen: HashMap<Token, Seen>,
}

#[derive(Default, Debug)]
pub(super) struct Seen {
    pub(super) data: Vec<u8>,
    pub(super) eof: usize,
    pub(super) failed: usize,
    pub(super) sent: Vec<Vec<u8>>,
    pub(super) send_failed: usize,
    pub(super) closed: Option<bool>,
    pub(super) released: Option<OwnedFd>,
}

impl Seen {
    fn over(&self) -> bool {
        self.closed.is_some() || self.released.is_some()
    }
}

impl Rig {
    pub(super) fn new(options: RingOptions) -> Option<Rig> {
        match Ring::new(options) {
            Ok(ring) => Some(Rig { ring, accepted: vec![], accept_errors: vec![], seen: HashMap::new() }),
            Err(error) if std::env::var("CI").as_deref() == Ok("true") => panic!("{error}"),
            Err(error) => {
                eprintln!("skipped: {error}");
                None
            }
        }
    }

    fn small(buffers: u16, buffer_bytes: usize) -> Option<Rig> {
        Rig::new(RingOptions { buffers, buffer_bytes, wake: None })
    }

    pub(super) fn listen(&mut self) -> (ListenerId, SocketAddr) {
        let bound = bind_tcp(&["127.0.0.1"], 0, 511).unwrap();
        let fd = bound.sockets.into_iter().next().unwrap().fd;
        let address = socket2::SockRef::from(&fd).local_addr().unwrap().as_socket().unwrap();
        (self.ring.listen(fd), address)
    }

    pub(super) fn adopt(&mut self, fd: OwnedFd) -> Token {
        let token = self.ring.adopt(fd);
        assert!(self.seen.insert(token, Seen::default()).is_none(), "{token:?} was given before");
        token
    }

    /// One harvest; checks what must hold for every event.
    pub(super) fn harvest(&mut self) -> usize {
        let Rig { ring, accepted, accept_errors, seen } = self;
        ring.harvest(|event| {
            let token = match &event {
                Event::Accepted { .. } | Event::AcceptFailed { .. } => None,
                Event::Data { token, .. } | Event::Eof { token } | Event::Failed { token, .. } => Some(token),
                Event::Sent { token, .. } | Event::SendFailed { token, .. } => Some(token),
                Event::Closed { token, .. } | Event::Released { token, .. } => Some(token),
            };
            let one = token.map(|token| seen.get_mut(token).expect("an event names a token that was given"));
            if let Some(one) = &one {
                assert!(!one.over(), "{event:?} after the end");
            }
            match (event, one) {
                (Event::Accepted { fd, .. }, _) => accepted.push(fd),
                (Event::AcceptFailed { error, .. }, _) => accept_errors.push(error),
                (Event::Data { bytes, .. }, Some(one)) => {
                    assert!(!bytes.is_empty() && one.eof == 0);
                    one.data.extend_from_slice(bytes);
                }
                (Event::Eof { .. }, Some(one)) => one.eof += 1,
                (Event::Failed { .. }, Some(one)) => one.failed += 1,
                (Event::Sent { buf, .. }, Some(one)) => one.sent.push(buf),
                (Event::SendFailed { buf, sent, .. }, Some(one)) => {
                    assert!(sent < buf.len());
                    one.send_failed += 1;
                }
                (Event::Closed { flushed, .. }, Some(one)) => one.closed = Some(flushed),
                (Event::Released { fd, .. }, Some(one)) => one.released = Some(fd),
                (_, None) => unreachable!(),
            }
        })
        .unwrap()
    }

    /// Harvests, asleep in between as a driver would be, until `done` holds.
    pub(super) fn until(&mut self, what: &str, mut done: impl FnMut(&mut Rig) -> bool) {
        let mut quiet = 0;
        while !done(self) {
            if self.harvest() > 0 {
                quiet = 0;
            } else if self.ring.prepare_sleep().unwrap() {
                quiet += if sleep(self.ring.wake_fd(), 1000) { 0 } else { 1 };
                self.ring.woke();
                assert!(quiet < 20, "never came: {what}");
            }
        }
    }

    /// Harvests until nothing more comes for a while.
    pub(super) fn settle(&mut self) {
        loop {
            while self.harvest() > 0 {}
            if self.ring.prepare_sleep().unwrap() {
                let signalled = sleep(self.ring.wake_fd(), 20);
                self.ring.woke();
                if !signalled && self.harvest() == 0 {
                    return;
                }
            }
        }
    }

    fn one(&self, token: Token) -> &Seen {
        &self.seen[&token]
    }

    fn pair(&mut self) -> (UnixStream, Token) {
        let (client, server) = UnixStream::pair().unwrap();
        (client, self.adopt(server.into()))
    }
}

/// Waits for the eventfd and takes its count; false after the timeout.
fn sleep(fd: i32, timeout_ms: i32) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut count = 0u64;
    // SAFETY: one pollfd, and eight bytes to read into.
    unsafe { libc::poll(&mut poll, 1, timeout_ms) == 1 && libc::read(fd, (&raw mut count).cast(), 8) == 8 }
}

/// A stream of bytes in which every place is recognisable.
pub(super) fn pattern(from: usize, len: usize) -> Vec<u8> {
    (from..from + len).map(|i| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0]).collect()
}

fn socket_inode(fd: i32) -> String {
    std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap().to_str().unwrap().to_string()
}

/// Which of these sockets the process still has open; parallel tests do not disturb it.
fn still_open(inodes: &[String]) -> usize {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    let links = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links.filter(|link| inodes.iter().any(|inode| link.as_os_str() == inode.as_str())).count()
}

#[test]
fn many_connections_echo_random_chunks() {
    let Some(mut rig) = Rig::small(16, 512) else { return };
    let (_, address) = rig.listen();
    let clients: Vec<_> = (0..40usize)
        .map(|n| {
            thread::spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                let (mut at, mut step) = (0, n);
                let mut answer = vec![];
                while at < 60_000 {
                    step = step.wrapping_mul(1_103_515_245).wrapping_add(12345);
                    let len = 1 + (step >> 8) % 5000;
                    stream.write_all(&pattern(at + n, len)).unwrap();
                    answer.resize(len, 0);
                    stream.read_exact(&mut answer).unwrap();
                    assert!(answer == pattern(at + n, len));
                    at += len;
                }
            })
        })
        .collect();
    let mut echoed: HashMap<Token, usize> = HashMap::new();
    rig.until("all clients done", |rig| {
        while let Some(fd) = rig.accepted.pop() {
            let token = rig.adopt(fd);
            echoed.insert(token, 0);
        }
        for (token, echoed) in &mut echoed {
            let one = rig.seen.get(token).unwrap();
            if *echoed < one.data.len() && rig.ring.can_send(*token) {
                let piece = one.data[*echoed..].to_vec();
                *echoed += piece.len();
                rig.ring.send(*token, piece).unwrap();
            }
            if one.eof + one.failed > 0 {
                rig.ring.close(*token, Close::Flush);
            }
        }
        echoed.len() == 40 && rig.seen.values().all(Seen::over)
    });
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert_eq!(rig.ring.stats().connections, 0);
}

#[test]
fn more_data_than_buffers_arrives_whole_and_in_order() {
    let Some(mut rig) = Rig::small(4, 64) else { return };
    let sockets: Vec<_> = (0..8).map(|_| rig.pair()).collect();
    let writers: Vec<_> = sockets
        .iter()
        .map(|(client, _)| {
            let mut client = client.try_clone().unwrap();
            thread::spawn(move || client.write_all(&pattern(0, 100_000)).unwrap())
        })
        .collect();
    rig.until("all bytes", |rig| rig.seen.values().all(|one| one.data.len() == 100_000));
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    for (_, token) in &sockets {
        assert!(rig.one(*token).data == pattern(0, 100_000));
    }
    assert!(rig.ring.stats().recv_starved > 0);
}

#[test]
fn half_closed_peer_still_gets_its_answer() {
    let Some(mut rig) = Rig::new(RingOptions::default()) else { return };
    let (mut client, token) = rig.pair();
    client.write_all(b"last words").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    rig.until("eof", |rig| rig.one(token).eof == 1);
    assert_eq!(rig.one(token).data, b"last words");
    rig.ring.send(token, b"heard".to_vec()).unwrap();
    rig.ring.close(token, Close::Flush);
    assert!(rig.ring.send(token, b"too late".to_vec()).is_err());
    rig.until("closed", |rig| rig.one(token).closed == Some(true));
    let mut answer = vec![];
    client.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"heard");
}

#[test]
fn paused_connection_holds_its_peer_back() {
    let Some(mut rig) = Rig::new(RingOptions::default()) else { return };
    let (mut client, token) = rig.pair();
    rig.ring.pause_recv(token);
    rig.settle();
    client.set_nonblocking(true).unwrap();
    let mut written = 0;
    while let Ok(len) = client.write(&pattern(written, 4096)) {
        written += len;
    }
    rig.settle();
    assert_eq!(rig.one(token).data.len(), 0);
    rig.ring.resume_recv(token);
    rig.until("the held bytes", |rig| rig.one(token).data.len() == written);
    // Changing one's mind before the kernel has heard of it.
    rig.ring.pause_recv(token);
    rig.ring.resume_recv(token);
    rig.ring.pause_recv(token);
    rig.ring.resume_recv(token);
    written += client.write(&pattern(written, 1000)).unwrap();
    rig.until("more bytes", |rig| rig.one(token).data.len() == written);
    assert!(rig.one(token).data == pattern(0, written));
}

#[test]
fn peer_that_never_reads_holds_a_flush_until_it_is_cut() {
    let Some(mut rig) = Rig::new(RingOptions::default()) else { return };
    let (mut client, token) = rig.pair();
    let (mut reader, other) = rig.pair();
    for token in [token, other] {
        rig.ring.send(token, pattern(0, 8 << 20)).unwrap();
        assert!(!rig.ring.can_send(token));
        rig.ring.close(token, Close::Flush);
    }
    rig.settle();
    assert_eq!((rig.one(token).closed, rig.one(other).closed), (None, None));
    let reading = thread::spawn(move || {
        let mut all = vec![];
        reader.read_to_end(&mut all).unwrap();
        all
    });
    rig.until("the reader's end", |rig| rig.one(other).closed == Some(true));
    assert!(reading.join().unwrap() == pattern(0, 8 << 20));
    rig.ring.close(token, Close::Now);
    rig.until("the cut", |rig| rig.one(token).closed == Some(false));
    let mut got = vec![];
    client.read_to_end(&mut got).unwrap();
    assert!(got.len() < 8 << 20 && got == pattern(0, got.len()));
}

#[test]
fn send_to_a_vanished_peer_fails_once_and_gives_the_buffer_back() {
    let Some(mut rig) = Rig::new(RingOptions::default()) else { return };
    let (client, token) = rig.pair();
    rig.ring.send(token, pattern(0, 8 << 20)).unwrap();
    rig.settle();
    drop(client);
    rig.until("failure", |rig| {
        rig.one(token).send_failed == 1 && rig.one(token).eof + rig.one(token).failed > 0
    });
    rig.ring.close(token, Close::Flush);
    rig.until("closed", |rig| rig.one(token).closed == Some(false));
}

#[test]
fn buffers_come_back_from_sends_in_order() {
    let Some(mut rig) = Rig::new(RingOptions::default()) else { return };
    let (mut client, token) = rig.pair();
    assert_eq!(rig.ring.send(token, vec![]), Err(vec![]));
    for n in 1..=100usize {
        rig.ring.send(token, pattern(n, n)).unwrap();
        assert_eq!(rig.ring.send(token, vec![1]), Err(vec![1]), "one at a time");
        rig.until("sent", |rig| rig.one(token).sent.len() == n);
        assert_eq!(rig.one(token).sent[n - 1], pattern(n, n));
        let mut got = vec![0; n];
        client.read_exact(&mut got).unwrap();
        assert_eq!(got, pattern(n, n));
    }
}

#[test]
fn released_connection_goes_on_in_another_ring() {
    let Some(mut rig) = Rig::new(RingOptions::default()) else { return };
    let Some(mut other) = Rig::new(RingOptions::default()) else { return };
    let (mut client, token) = rig.pair();
    client.write_all(b"one").unwrap();
    rig.until("data", |rig| rig.one(token).data == b"one");
    rig.ring.release(token);
    rig.until("released", |rig| rig.one(token).released.is_some());
    assert_eq!(rig.ring.stats().connections, 0);
    client.write_all(b"two").unwrap();
    let fd = rig.seen.get_mut(&token).unwrap().released.take().unwrap();
    let moved = other.adopt(fd);
    other.until("data", |rig| rig.one(moved).data == b"two");
    other.ring.send(moved, b"three".to_vec()).unwrap();
    other.until("sent", |rig| rig.one(moved).sent.len() == 1);
    let mut got = [0; 5];
    client.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"three");
}

#[test]
fn slots_are_reused_and_old_tokens_name_nothing() {
    let Some(mut rig) = Rig::new(RingOptions::default()) else { return };
    let (old_client, old) = rig.pair();
    rig.ring.close(old, Close::Now);
    rig.until("closed", |rig| rig.one(old).closed.is_some());
    let (mut client, new) = rig.pair();
    assert_eq!((old.slot() == new.slot(), old == new), (true, false));
    drop(old_client);
    rig.ring.close(old, Close::Now);
    rig.ring.pause_recv(old);
    rig.ring.release(old);
    assert!(!rig.ring.can_send(old) && rig.ring.fd(old).is_none());
    assert!(rig.ring.send(old, vec![1]).is_err());
    client.write_all(b"mine").unwrap();
    rig.until("data", |rig| rig.one(new).data == b"mine");
}

#[test]
fn a_thousand_connections_leave_no_descriptor() {
    let Some(mut rig) = Rig::new(RingOptions::default()) else { return };
    let (listener, address) = rig.listen();
    let mut inodes = vec![];
    for round in 0..20 {
        let clients: Vec<_> = (0..50).map(|_| TcpStream::connect(address).unwrap()).collect();
        let first = rig.seen.len();
        rig.until("accepts", |rig| {
            while let Some(fd) = rig.accepted.pop() {
                inodes.push(socket_inode(fd.as_raw_fd()));
                let token = rig.adopt(fd);
                if round % 4 == 1 {
                    rig.ring.close(token, Close::Now);
                }
            }
            rig.seen.len() == first + 50
        });
        for (n, mut client) in clients.into_iter().enumerate() {
            if n % 2 == 0 {
                let _ = client.write_all(b"x");
            }
        }
        let how = if round % 2 == 0 { Close::Flush } else { Close::Now };
        rig.until("all closed", |rig| {
            for (token, one) in &rig.seen {
                if one.eof + one.failed > 0 {
                    rig.ring.close(*token, how);
                }
            }
            rig.seen.values().all(Seen::over)
        });
    }
    assert_eq!((inodes.len(), still_open(&inodes), rig.ring.stats().connections), (1000, 0, 0));
    rig.ring.unlisten(listener);
    rig.settle();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn dropping_a_ring_closes_everything_at_once() {
    let Some(mut rig) = Rig::small(4, 64) else { return };
    let (_, address) = rig.listen();
    let mut clients: Vec<_> = (0..10).map(|_| TcpStream::connect(address).unwrap()).collect();
    rig.until("accepts", |rig| rig.accepted.len() == 10);
    let mut inodes = vec![];
    for (n, fd) in std::mem::take(&mut rig.accepted).into_iter().enumerate() {
        inodes.push(socket_inode(fd.as_raw_fd()));
        let token = rig.adopt(fd);
        clients[n].write_all(&pattern(0, 1000)).unwrap();
        if n % 2 == 0 {
            rig.ring.send(token, pattern(0, 16 << 20)).unwrap();
        }
    }
    rig.harvest();
    assert!(rig.ring.quiesce(), "the kernel held on to an operation");
    drop(rig);
    assert_eq!(still_open(&inodes), 0);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn accepting_pauses_and_resumes() {
    let Some(mut rig) = Rig::new(RingOptions::default()) else { return };
    let (listener, address) = rig.listen();
    rig.ring.pause_accept(listener);
    rig.settle();
    let _one = TcpStream::connect(address).unwrap();
    rig.settle();
    assert_eq!(rig.accepted.len(), 0);
    rig.ring.resume_accept(listener);
    rig.until("accepted", |rig| rig.accepted.len() == 1);
    let peer = super::peer_text(&rig.accepted[0], "");
    assert!(peer.starts_with(&format!("{}:", Ipv4Addr::LOCALHOST)));
}

#[test]
fn wakes_by_anyone_who_writes_the_eventfd() {
    let wake = super::wake_eventfd().unwrap();
    let theirs = wake.try_clone().unwrap();
    let Some(mut rig) = Rig::new(RingOptions { wake: Some(wake), ..RingOptions::default() }) else { return };
    assert!(rig.ring.prepare_sleep().unwrap());
    let other = thread::spawn(move || {
        let one = 1u64;
        // SAFETY: eight bytes, as an eventfd wants them.
        assert_eq!(unsafe { libc::write(theirs.as_raw_fd(), (&raw const one).cast(), 8) }, 8);
    });
    assert!(sleep(rig.ring.wake_fd(), 20_000));
    rig.ring.woke();
    other.join().unwrap();
    // Hot: completions leave the eventfd alone.
    let (mut client, token) = rig.pair();
    client.write_all(b"x").unwrap();
    let spin = std::time::Instant::now();
    while rig.one(token).data.is_empty() && spin.elapsed().as_secs() < 20 {
        rig.harvest();
    }
    assert_eq!(rig.one(token).data, b"x");
    assert!(!sleep(rig.ring.wake_fd(), 0));
    // Asleep is refused while something waits.
    client.write_all(b"y").unwrap();
    rig.ring.close(token, Close::Now);
    assert!(!rig.ring.prepare_sleep().unwrap());
}

#[test]
fn waiting_ends_by_data_by_a_wake_or_by_time() {
    let wake = super::wake_eventfd().unwrap();
    let theirs = wake.try_clone().unwrap();
    let Some(mut rig) = Rig::new(RingOptions { wake: Some(wake), ..RingOptions::default() }) else { return };
    let forever = Duration::from_secs(3600);
    let write = |fd: i32| {
        let one = 1u64;
        // SAFETY: eight bytes, as an eventfd wants them.
        assert_eq!(unsafe { libc::write(fd, (&raw const one).cast(), 8) }, 8);
    };
    rig.ring.wait(Duration::from_millis(1)).unwrap();
    assert_eq!(rig.harvest(), 0);
    let (mut client, token) = rig.pair();
    for n in 1..20 {
        // Before and during the wait, without anybody ever reading the count.
        write(theirs.as_raw_fd());
        rig.ring.wait(forever).unwrap();
        rig.harvest();
        let theirs = theirs.try_clone().unwrap();
        let other = thread::spawn(move || write(theirs.as_raw_fd()));
        rig.ring.wait(forever).unwrap();
        rig.harvest();
        other.join().unwrap();
        client.write_all(b"x").unwrap();
        while rig.one(token).data.len() < n {
            rig.ring.wait(forever).unwrap();
            rig.harvest();
        }
        // Both kinds of sleep may alternate.
        client.write_all(b"y").unwrap();
        rig.until("y", |rig| rig.one(token).data.ends_with(b"y"));
        rig.seen.get_mut(&token).unwrap().data.truncate(n);
        rig.settle();
    }
    rig.ring.close(token, Close::Now);
    rig.ring.wait(forever).unwrap();
    rig.until("closed", |rig| rig.one(token).closed.is_some());
}

/// Runs in a process of its own, because it lowers the limit of descriptors.
#[test]
fn accept_without_descriptors_is_reported_once_and_recovers() {
    const NAME: &str = "net::ring_tests::accept_without_descriptors_is_reported_once_and_recovers";
    if std::env::var("RINGDOVE_TEST_FEW_DESCRIPTORS").is_err() {
        let done = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--test-threads=1"])
            .env("RINGDOVE_TEST_FEW_DESCRIPTORS", "1")
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
        return;
    }
    let Some(mut rig) = Rig::new(RingOptions::default()) else { return };
    let (listener, address) = rig.listen();
    let mut clients: Vec<_> = (0..10).map(|_| TcpStream::connect(address).unwrap()).collect();
    rig.until("accepts", |rig| rig.accepted.len() == 10);
    let tokens: Vec<_> = std::mem::take(&mut rig.accepted).into_iter().map(|fd| rig.adopt(fd)).collect();
    rig.settle();
    let held = std::fs::File::open("/dev/null").unwrap();
    let limit = libc::rlimit { rlim_cur: held.as_raw_fd() as u64 + 2, rlim_max: 4096 };
    // One more client fits, and then nothing.
    clients.push(TcpStream::connect(address).unwrap());
    rig.until("one more", |rig| rig.accepted.len() == 1);
    // SAFETY: a valid rlimit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    drop(held);
    // The kernel keeps the limit of the moment at which an accept was started.
    rig.ring.pause_accept(listener);
    rig.settle();
    rig.ring.resume_accept(listener);
    let Ok(late) = TcpStream::connect(address) else { panic!("the client needs the last descriptor") };
    rig.until("refusal", |rig| rig.accept_errors.len() == 1);
    assert_eq!(rig.accept_errors[0].raw_os_error(), Some(libc::EMFILE));
    rig.settle();
    assert_eq!(rig.accept_errors.len(), 1, "it must not spin");
    rig.ring.resume_accept(listener);
    rig.settle();
    assert_eq!(rig.accept_errors.len(), 2, "asked again, refused again");
    rig.ring.close(tokens[0], Close::Now);
    rig.until("the late one", |rig| rig.accepted.len() == 2);
    drop(late);
}

#[test]
fn non_blocking_descriptors_are_served_too() {
    let Some(mut rig) = Rig::new(RingOptions::default()) else { return };
    let (mut client, server) = UnixStream::pair().unwrap();
    server.set_nonblocking(true).unwrap();
    let token = rig.adopt(server.into());
    rig.settle();
    client.write_all(b"x").unwrap();
    rig.until("data", |rig| rig.one(token).data == b"x");
    // SAFETY: the ring keeps the descriptor open.
    let fd = unsafe { BorrowedFd::borrow_raw(rig.ring.fd(token).unwrap()) };
    assert_eq!(super::peer_text(fd, "/s"), "/s:0");
}

#[test]
fn queues_that_overflow_lose_nothing() {
    let Some(mut rig) = Rig::small(64, 64) else { return };
    // More operations in one turn than either queue has entries.
    let sockets: Vec<_> = (0..2500).map(|_| rig.pair()).collect();
    for (n, (client, token)) in sockets.iter().enumerate() {
        (&*client).write_all(&pattern(n, 100)).unwrap();
        rig.ring.send(*token, pattern(n, 50)).unwrap();
    }
    rig.until("all of it", |rig| rig.seen.values().all(|one| one.data.len() == 100 && one.sent.len() == 1));
    for (n, (client, token)) in sockets.iter().enumerate() {
        assert_eq!(rig.one(*token).data, pattern(n, 100));
        let mut got = [0; 50];
        (&*client).read_exact(&mut got).unwrap();
        assert_eq!(got[..], pattern(n, 50));
        rig.ring.close(*token, Close::Now);
    }
    rig.until("all closed", |rig| rig.seen.values().all(Seen::over));
}
