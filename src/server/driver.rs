//! Drives one shard actor: a task of a glommio executor that owns the shard's network ring. Brings
//! received bytes and time to the actor, takes its output to the sockets, and sleeps when there is
//! nothing to do.

use crate::actor::Actor;
use crate::base::ShardId;
use crate::bridge::Inbox;
use crate::net::{self, Close, Event, ListenerId, Receipt, Ring, RingError, Token, clock};
use crate::session::{Doubt, Fate, Node, Peer};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Empty looks at the ring before the shard sleeps.
const LOOKS: u32 = 20;
/// The actor's housekeeping, and the longest sleep.
const CRON_MICROS: u64 = 100_000;
/// A peer that closes says at once that it left something unread, but some say first that they will send no
/// more. Who has acknowledged everything and says nothing for so long has read it.
const LAST_WORD_MICROS: u64 = 200_000;
/// What a peer does not acknowledge for so long, after it has said that it will send no more, it has not got.
const OUTSTANDING_MICROS_MAX: u64 = 5_000_000;
/// A session that may not read its input keeps at most this much of it before its socket is left alone.
const UNREAD_MAX: usize = 1 << 20;
/// The shard that accepts.
const ACCEPTS: ShardId = 0;
/// Send buffers kept for the next reply.
const SPARE_MAX: usize = 64;
const SPARE_BYTES_MAX: usize = 64 * 1024;

/// A connection on its way from the shard that accepted it to the one that will serve it.
pub struct Arrival {
    pub fd: OwnedFd,
    pub unix: bool,
}

/// What all drivers share beside the node.
pub struct Doors {
    pub arrivals: Box<[Inbox<Arrival>]>,
    /// One, for the shard that accepts: the TCP sockets to listen on instead of those it has.
    pub moved: Box<[Inbox<Vec<Door>>]>,
    pub stop: AtomicBool,
    /// Path of the Unix socket, for the names of its clients.
    pub unix_path: String,
    /// Whether clients of other machines are turned away (`protected-mode`).
    pub loopback_only: fn(&Node) -> bool,
}

/// A socket to accept on, and whether it is the Unix one.
pub struct Door {
    pub fd: OwnedFd,
    pub unix: bool,
}

pub struct Driver {
    node: Arc<Node>,
    doors: Arc<Doors>,
    me: ShardId,
    ring: Ring,
    actor: Actor,
    /// By slot of the ring's token: the session there.
    sessions: Vec<Option<usize>>,
    /// By session: the connection's token.
    tokens: Vec<Option<Token>>,
    listeners: Vec<(ListenerId, bool)>,
    spare: Vec<Vec<u8>>,
    paused: Vec<usize>,
    /// What was owed to connections that have ended, until it is known whether they got it.
    doubts: Vec<OpenDoubt>,
    next_cron: u64,
}

/// Who ended a connection, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    /// The peer said that it will send no more.
    Eof,
    /// The peer refused what it was sent, or cannot be reached.
    Reset,
    /// We did.
    Expelled,
}

/// What a connection was owed that has ended.
struct OpenDoubt {
    doubt: Doubt,
    left: Left,
    since: u64,
    /// Whose send the kernel still has.
    sending: Option<Token>,
    /// The socket, kept to be asked what its peer did with what it was sent.
    socket: Option<OwnedFd>,
}

/// What a harvest leaves to do once the ring may be used again.
#[derive(Default)]
struct After {
    accepted: Vec<(ListenerId, OwnedFd)>,
    ended: Vec<(Token, Left)>,
    /// With how many bytes the kernel took of the last send.
    closed: Vec<(Token, usize)>,
}

impl Driver {
    pub fn new(node: Arc<Node>, doors: Arc<Doors>, actor: Actor, ring: Ring, listen: Vec<Door>) -> Self {
        let me = actor.shard();
        let mut driver = Driver {
            node,
            doors,
            me,
            ring,
            actor,
            sessions: Vec::new(),
            tokens: Vec::new(),
            listeners: Vec::new(),
            spare: Vec::new(),
            paused: Vec::new(),
            doubts: Vec::new(),
            next_cron: 0,
        };
        for door in listen {
            let id = driver.ring.listen(door.fd);
            driver.listeners.push((id, door.unix));
        }
        driver
    }

    /// Turns until the process stops. Never yields to the executor: it has no other task, and glommio 0.9
    /// goes to sleep with a task in its queue when its preemption timer fires between its polling and
    /// its look at the queues (`LocalExecutor::run`), as happens on a busy machine. Nothing would ever
    /// wake it.
    pub async fn run(mut self) -> Result<(), RingError> {
        let mut after = After::default();
        let mut empty_looks = 0;
        while !self.doors.stop.load(Ordering::Relaxed) {
            let worked = self.turn(&mut after)?;
            if worked {
                empty_looks = 0;
                continue;
            }
            empty_looks += 1;
            if empty_looks > LOOKS {
                self.sleep()?;
                empty_looks = LOOKS / 2;
            }
        }
        Ok(())
    }

    fn turn(&mut self, after: &mut After) -> Result<bool, RingError> {
        let now = clock::now_micros();
        self.actor.begin_turn(now);
        if now >= self.next_cron {
            self.next_cron = now + CRON_MICROS;
            self.cron(now);
        }
        let mut worked = false;
        if self.actor.has_room() {
            worked = self.harvest(after)?;
        } else {
            self.ring.submit()?;
        }
        worked |= self.take_arrivals() | self.take_doors();
        worked |= self.actor.end_turn();
        // Before the replies: who asked for the sleep hears of it when it is over.
        match self.actor.take_sleep_micros() {
            0 => {}
            micros => {
                self.ring.submit()?;
                std::thread::sleep(Duration::from_micros(micros));
            }
        }
        self.send_and_close()?;
        Ok(worked)
    }

    fn harvest(&mut self, after: &mut After) -> Result<bool, RingError> {
        let Driver { ring, actor, sessions, spare, .. } = self;
        let session =
            |token: Token, sessions: &[Option<usize>]| sessions.get(token.slot()).copied().flatten();
        let events = ring.harvest(|event| match event {
            Event::Data { token, bytes } => {
                if let Some(key) = session(token, sessions) {
                    actor.input(key, bytes);
                }
            }
            Event::Sent { token, buf } => {
                if let Some(key) = session(token, sessions) {
                    actor.sent(key, buf.len());
                }
                keep(spare, buf);
            }
            Event::Accepted { listener, fd } => after.accepted.push((listener, fd)),
            // Shut by CONFIG SET; its end is on the way.
            Event::AcceptFailed { error, .. } if error.raw_os_error() == Some(libc::EINVAL) => {}
            Event::AcceptFailed { error, .. } => tracing::warn!("Accepting client connection: {error}"),
            Event::Eof { token } => after.ended.push((token, Left::Eof)),
            Event::Failed { token, .. } => after.ended.push((token, Left::Reset)),
            Event::SendFailed { token, sent, .. } => {
                if let Some(key) = session(token, sessions) {
                    actor.send_failed(key, sent);
                }
                after.ended.push((token, Left::Reset));
            }
            Event::Closed { token, sent, .. } => after.closed.push((token, sent)),
            Event::Released { .. } => {}
        })?;
        for (listener, fd) in after.accepted.drain(..) {
            let unix = self.listeners.iter().any(|(id, unix)| *id == listener && *unix);
            self.place(Arrival { fd, unix });
        }
        for (token, left) in after.ended.drain(..) {
            self.end(token, left);
        }
        for (token, sent) in after.closed.drain(..) {
            self.forget(token, sent);
        }
        Ok(events > 0)
    }

    /// A new connection goes to the shard with the fewest.
    fn place(&mut self, arrival: Arrival) {
        let connected = |j: &usize| self.node.tallies[*j].connected.get();
        let target = (0..self.node.shards() as usize).min_by_key(connected).unwrap_or(0);
        if target == self.me as usize || connected(&target) >= connected(&(self.me as usize)) {
            return self.open(arrival);
        }
        let mut places = crate::bridge::Places::hold(&self.doors.arrivals, std::iter::once(target));
        places.push(target, arrival);
        drop(places);
        self.node.wakes[target].wake();
    }

    fn take_arrivals(&mut self) -> bool {
        let inbox = &self.doors.arrivals[self.me as usize];
        if !inbox.is_full() {
            return false;
        }
        let mut arrived = Vec::new();
        inbox.take(&mut arrived);
        for arrival in arrived {
            self.open(arrival);
        }
        true
    }

    /// CONFIG SET port, bind: the old sockets, which let nobody in any more, go.
    fn take_doors(&mut self) -> bool {
        if self.me != ACCEPTS || !self.doors.moved[0].is_full() {
            return false;
        }
        let mut moved = Vec::new();
        self.doors.moved[0].take(&mut moved);
        let Some(doors) = moved.pop() else { return false };
        let (stay, go) = std::mem::take(&mut self.listeners).into_iter().partition(|(_, unix)| *unix);
        self.listeners = stay;
        let go: Vec<(ListenerId, bool)> = go;
        go.into_iter().for_each(|(id, _)| self.ring.unlisten(id));
        for door in doors {
            self.listeners.push((self.ring.listen(door.fd), door.unix));
        }
        true
    }

    fn open(&mut self, Arrival { fd, unix }: Arrival) {
        let settings = self.actor.settings().clone();
        let unix_path = if unix { self.doors.unix_path.as_str() } else { "" };
        if let Err(error) = net::prepare_accepted(fd.as_fd(), settings.tcp_keepalive) {
            tracing::debug!("Socket options of a new connection: {error}");
        }
        let addr = net::peer_text(fd.as_fd(), unix_path);
        if !unix && (self.doors.loopback_only)(&self.node) && !is_loopback(&addr) {
            self.node.tallies[self.me as usize].connections_rejected.add(1);
            return turn_away(&fd, PROTECTED);
        }
        if self.node.sum(|t| t.connected.get()) >= settings.maxclients as u64 {
            self.node.tallies[self.me as usize].connections_rejected.add(1);
            return turn_away(&fd, "-ERR max number of clients reached\r\n");
        }
        let laddr = net::local_text(fd.as_fd(), unix_path);
        let peer = Peer { addr, laddr, fd: fd.as_raw_fd(), unix };
        let token = self.ring.adopt(fd);
        let key = self.actor.open(peer, 0);
        grow_to(&mut self.sessions, token.slot());
        grow_to(&mut self.tokens, key);
        self.sessions[token.slot()] = Some(key);
        self.tokens[key] = Some(token);
    }

    /// The peer has gone: so does the session, and the socket as soon as the kernel lets it.
    fn end(&mut self, token: Token, left: Left) {
        self.drop_session(token, left);
        self.ring.close(token, Close::Now);
    }

    fn forget(&mut self, token: Token, sent: usize) {
        self.drop_session(token, Left::Expelled);
        if let Some(at) = self.doubts.iter().position(|open| open.sending == Some(token)) {
            let mut open = self.doubts.swap_remove(at);
            open.sending = None;
            self.settle(open, sent);
            self.count_doubts();
        }
    }

    fn drop_session(&mut self, token: Token, left: Left) {
        let Some(key) = self.sessions.get_mut(token.slot()).and_then(Option::take) else { return };
        if self.tokens[key] != Some(token) {
            self.sessions[token.slot()] = Some(key);
            return;
        }
        self.tokens[key] = None;
        let Some(doubt) = self.actor.closed(key) else { return };
        let asks = left == Left::Eof && doubt.trusts_resets;
        let socket = self.ring.fd(token).filter(|_| asks).and_then(net::duplicate);
        let sending = doubt.sending.then_some(token);
        let open = OpenDoubt { doubt, left, since: clock::now_micros(), sending, socket };
        if open.sending.is_some() {
            self.doubts.push(open);
        } else {
            self.settle(open, 0);
        }
        self.count_doubts();
    }

    fn count_doubts(&self) {
        self.node.tallies[self.me as usize].ends_in_doubt.set(self.doubts.len() as u64);
    }

    /// Settles what can be settled of what a connection was owed whose last send took so many bytes.
    fn settle(&mut self, mut open: OpenDoubt, sent: usize) {
        let age = clock::now_micros().saturating_sub(open.since);
        let receipt = open.socket.as_ref().map(|socket| net::receipt(socket.as_fd()));
        let fate = match (open.left, receipt) {
            (Left::Reset, _) | (_, Some(Receipt::Refused)) => Fate::Lost,
            (_, Some(Receipt::Outstanding)) if age > OUTSTANDING_MICROS_MAX => Fate::Lost,
            (_, Some(Receipt::Acknowledged)) if age > LAST_WORD_MICROS => Fate::Reached,
            (_, Some(_)) => Fate::Open,
            (Left::Eof | Left::Expelled, None) => Fate::Reached,
        };
        if let Some(doubt) = self.actor.resolve(open.doubt, sent, fate) {
            open.doubt = doubt;
            self.doubts.push(open);
        }
    }

    /// Asks what became of the output of connections that have ended.
    fn settle_doubts(&mut self) {
        for open in std::mem::take(&mut self.doubts) {
            if open.sending.is_some() {
                self.doubts.push(open);
            } else {
                self.settle(open, 0);
            }
        }
        self.count_doubts();
    }

    fn send_and_close(&mut self) -> Result<(), RingError> {
        // What somebody is owed goes while it is known that he is there.
        let mut urgent = false;
        // First, so that who is thrown out hears nothing more.
        for key in self.actor.take_closing() {
            if let Some(token) = self.tokens.get(key).copied().flatten() {
                self.end(token, Left::Expelled);
            }
        }
        while let Some(key) = self.actor.next_sendable() {
            let Some(token) = self.tokens.get(key).copied().flatten() else { continue };
            self.actor.check_output(key);
            let owed = self.actor.is_owed(key);
            if owed && self.ring.fd(token).is_some_and(net::has_hung_up) {
                self.end(token, Left::Eof);
                continue;
            }
            if self.ring.can_send(token) {
                let mut spare = self.spare.pop().unwrap_or_default();
                if let Some(output) = self.actor.take_output(key, &mut spare) {
                    let refused = self.ring.send(token, output);
                    debug_assert!(refused.is_ok(), "asked can_send before");
                    urgent |= owed;
                } else {
                    self.spare.push(spare);
                }
            }
            if self.actor.may_close(key) {
                self.drop_session(token, Left::Expelled);
                self.ring.close(token, Close::Flush);
            }
        }
        if urgent { self.ring.submit() } else { Ok(()) }
    }

    /// Leaves sockets alone whose sessions may not read what they have, and takes them up again.
    fn balance_reading(&mut self) {
        let unread = |actor: &Actor, key: usize| actor.sessions.get(key).map_or(0, |s| s.input.len());
        for key in std::mem::take(&mut self.paused) {
            let Some(token) = self.tokens.get(key).copied().flatten() else { continue };
            if unread(&self.actor, key) > UNREAD_MAX / 2 {
                self.paused.push(key);
            } else {
                self.ring.resume_recv(token);
            }
        }
        let held = crate::session::state::HOLDS_INPUT;
        for (key, session) in &self.actor.sessions {
            let floods = session.is(held) && session.input.len() > UNREAD_MAX && !self.paused.contains(&key);
            if floods && let Some(token) = self.tokens.get(key).copied().flatten() {
                self.ring.pause_recv(token);
                self.paused.push(key);
            }
        }
    }

    fn cron(&mut self, now: u64) {
        self.actor.cron(now / 1000);
        if !self.doubts.is_empty() {
            self.settle_doubts();
        }
        self.balance_reading();
        for (listener, _) in &self.listeners {
            self.ring.resume_accept(*listener);
        }
    }

    fn sleep(&mut self) -> Result<(), RingError> {
        if self.doors.arrivals[self.me as usize].is_full() || !self.actor.prepare_sleep() {
            return Ok(());
        }
        let result = if self.doors.arrivals[self.me as usize].is_full() {
            Ok(())
        } else {
            let now = clock::now_micros();
            let deadline = self.actor.next_deadline().map_or(u64::MAX, |millis| millis * 1000);
            let until = self.next_cron.min(deadline);
            self.ring.wait(Duration::from_micros(until.saturating_sub(now).max(100)))
        };
        self.actor.woke();
        result
    }
}

const PROTECTED: &str = "-DENIED Ringdove is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface. To connect from other machines, set a password (requirepass), or switch protected mode off with 'CONFIG SET protected-mode no' from the same host or 'protected-mode no' in the configuration, if the port cannot be reached from the internet.\r\n";

/// A last word to somebody who is not let in.
fn turn_away(fd: &OwnedFd, line: &str) {
    let socket = socket2::SockRef::from(fd);
    let _ = socket.set_nonblocking(true);
    let _ = socket.send(line.as_bytes());
}

fn is_loopback(addr: &str) -> bool {
    addr.starts_with("127.")
        || addr.starts_with("[::1]")
        || addr.starts_with("::1")
        || addr.starts_with("[::ffff:127.")
}

fn keep(spare: &mut Vec<Vec<u8>>, mut buf: Vec<u8>) {
    if spare.len() < SPARE_MAX && buf.capacity() <= SPARE_BYTES_MAX {
        buf.clear();
        spare.push(buf);
    }
}

fn grow_to<T>(slots: &mut Vec<Option<T>>, index: usize) {
    while slots.len() <= index {
        slots.push(None);
    }
}
