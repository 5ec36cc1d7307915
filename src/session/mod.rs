//! Floor 7: who is asking. `Session` is the state of one connection at its home shard; `Pending` keeps
//! its replies in the order of its commands; `Node` is the process as all its shards see it;
//! `commands` are the commands that concern the connection or the server rather than the keys.
//!
//! Pure: a session knows no socket. Bytes are brought to it and taken from it by the shard's driver.

mod blocked;
pub mod commands;
mod journal_mark;
mod latency;
mod multi;
mod node;
mod output;
mod pending;
mod registry;
mod scripts;
mod slowlog;
mod snapshots;
mod tracking;
mod walk;

pub use blocked::{Blocked, Doubt, Fate, Owed};
pub use journal_mark::JournalMarks;
pub use latency::{LatencyMonitor, Spike, Spikes};
pub use multi::Multi;
pub use node::{BaseOrder, BasePart, Control, Facts, Host, Node, Pause, Process, Reload, attention};
pub use output::Long;
pub use pending::Pending;
pub use registry::{Registry, Route, Subject, Subscriptions};
pub use scripts::{BUSY_SCRIPT, Kill, Known, Profile, Running, ScriptFigures, Scripts, Sha};
pub use slowlog::{Slowlog, SlowlogEntry};
pub use snapshots::{Errand, SnapshotOrder, SnapshotPart, Snapshots, Verdict};
pub use tracking::{Clients, Trackers, Tracking};
pub use walk::Walk;

use crate::base::Millis;
use crate::command::{ClientView, CommandId};
use crate::resp::{Parser, Proto};
use crate::shard::Target;

/// Connections of one shard by number.
pub type Sessions = slab::Slab<Session>;

/// Reasons to leave the fast path, as bits: a session with none of them runs plain commands at once.
pub mod state {
    /// Must AUTH first.
    pub const NEEDS_AUTH: u32 = 1 << 0;
    pub const MULTI: u32 = 1 << 1;
    /// Something under way may change what later commands mean: they wait.
    pub const GATED: u32 = 1 << 2;
    /// Reads nothing more; closes when its last reply is out.
    pub const CLOSING: u32 = 1 << 3;
    pub const REPLY_OFF: u32 = 1 << 4;
    /// CLIENT REPLY SKIP: the next command's reply is dropped.
    pub const REPLY_SKIP_NEXT: u32 = 1 << 5;
    pub const REPLY_SKIP: u32 = 1 << 6;
    pub const MONITOR: u32 = 1 << 7;
    pub const NO_TOUCH: u32 = 1 << 8;
    /// Waits for the end of a CLIENT PAUSE.
    pub const PAUSED: u32 = 1 << 9;
    /// Waits for a key (always with GATED, which holds its input).
    pub const BLOCKED: u32 = 1 << 10;
    /// Subscribed to something.
    pub const SUBSCRIBED: u32 = 1 << 16;
    /// CLIENT TRACKING is on.
    pub const TRACKING: u32 = 1 << 18;
    /// The next command waits until all earlier ones are answered.
    pub const DRAINS: u32 = 1 << 17;

    /// What takes a command off the fast path.
    pub const SLOW: u32 = NEEDS_AUTH
        | MULTI
        | GATED
        | CLOSING
        | REPLY_OFF
        | REPLY_SKIP_NEXT
        | REPLY_SKIP
        | MONITOR
        | NO_TOUCH
        | PAUSED
        | SUBSCRIBED
        | TRACKING
        | DRAINS;
    /// What keeps a session from reading its input.
    pub const HOLDS_INPUT: u32 = GATED | CLOSING | PAUSED | DRAINS;
}

/// Where a connection comes from, as CLIENT LIST shows it.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    pub addr: String,
    pub laddr: String,
    pub fd: i32,
    pub unix: bool,
}

/// One connection.
pub struct Session {
    /// What the driver calls this connection; means nothing here.
    pub link: u64,
    /// Unique over the life of the process, counted from 1 (CLIENT ID).
    pub id: u64,
    pub peer: Peer,
    pub created: Millis,
    pub last_active: Millis,
    pub db: usize,
    pub proto: Proto,
    pub state: u32,
    pub no_evict: bool,
    pub name: Vec<u8>,
    pub lib_name: Vec<u8>,
    pub lib_ver: Vec<u8>,
    pub last_command: Option<CommandId>,
    pub parser: Parser,
    /// Received and not yet run.
    pub input: Vec<u8>,
    /// Replies on their way out, in order: what lies in `long`, then `out`.
    pub long: Long,
    pub out: Vec<u8>,
    pub pending: Pending,
    /// Fragments of this turn lie in the outbox, not yet pushed: later commands must follow them.
    pub unpushed: bool,
    /// Listed among the connections with output this turn.
    pub has_output: bool,
    /// The driver has a send under way.
    pub sending: bool,
    /// Turns whose output waits for the journal.
    pub held_turns: u32,
    /// Bytes of output behind `releasable` that those turns wrote.
    pub held_bytes: usize,
    /// Listed among the connections with something to send.
    pub sendable_listed: bool,
    /// Bytes of output that may go: the rest waits for the journal.
    pub releasable: usize,
    /// Bytes handed to the driver and not yet acknowledged.
    pub in_flight: usize,
    /// Soft output limit exceeded since.
    pub soft_limit_since: Option<Millis>,
    pub multi: Option<Box<Multi>>,
    /// A blocking command that has no reply yet.
    pub blocked: Option<Box<Blocked>>,
    /// A command that looks at all keys, and what it has found so far.
    pub walk: Option<Box<Walk>>,
    /// Pops whose replies have not reached the client for certain.
    pub owed: Vec<Owed>,
    /// Keys under WATCH, with their database: which shards an EXEC must ask.
    pub watching: Vec<(usize, Box<[u8]>)>,
    pub subscriptions: Option<Box<Subscriptions>>,
    pub tracking: Option<Box<Tracking>>,
    pub commands_run: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

impl Session {
    pub fn new(id: u64, peer: Peer, now: Millis) -> Self {
        Session {
            link: 0,
            id,
            peer,
            created: now,
            last_active: now,
            db: 0,
            proto: Proto::Resp2,
            state: 0,
            no_evict: false,
            name: Vec::new(),
            lib_name: Vec::new(),
            lib_ver: Vec::new(),
            last_command: None,
            parser: Parser::default(),
            input: Vec::new(),
            long: Long::default(),
            out: Vec::new(),
            pending: Pending::default(),
            unpushed: false,
            has_output: false,
            sending: false,
            held_turns: 0,
            held_bytes: 0,
            sendable_listed: false,
            releasable: 0,
            in_flight: 0,
            soft_limit_since: None,
            multi: None,
            blocked: None,
            walk: None,
            owed: Vec::new(),
            watching: Vec::new(),
            subscriptions: None,
            tracking: None,
            commands_run: 0,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    #[inline]
    pub fn is(&self, bits: u32) -> bool {
        self.state & bits != 0
    }

    pub fn set(&mut self, bits: u32, on: bool) {
        if on { self.state |= bits } else { self.state &= !bits }
    }

    /// What travels with a command to wherever it runs.
    #[inline]
    pub fn view(&self) -> ClientView {
        if !self.is(state::NO_TOUCH | state::TRACKING) {
            return ClientView::default();
        }
        let tracking = self.tracking.as_ref();
        ClientView {
            no_touch: self.is(state::NO_TOUCH),
            tracker: if tracking.is_some() { self.id } else { 0 },
            remembers: tracking.is_some_and(|t| t.remembers()),
            ..ClientView::default()
        }
    }

    /// Bytes of memory in buffers (`qbuf`, `omem` and what MULTI has queued).
    pub fn buffer_bytes(&self) -> usize {
        self.input.capacity()
            + self.out.capacity()
            + self.unfinished_bytes()
            + self.multi.as_ref().map_or(0, |m| m.bytes())
            + self.subscriptions.as_ref().map_or(0, |s| s.bytes())
    }

    /// How this connection is named where messages are addressed to it.
    pub fn target(&self, key: usize) -> Target {
        Target { conn: key as u32, client: self.id as u32 }
    }

    /// How many of this it is subscribed to (`sub`, `psub`, `ssub`).
    pub fn subscribed_to(&self, subject: Subject) -> usize {
        self.subscriptions.as_ref().map_or(0, |s| s.len(subject))
    }

    /// Index of its class in `client-output-buffer-limit`.
    pub fn output_class(&self) -> usize {
        if self.is(state::SUBSCRIBED) { 2 } else { 0 }
    }

    /// Reply bytes that have not reached the kernel (`omem`), what output limits look at.
    pub fn output_bytes(&self) -> usize {
        self.out.len() + self.unfinished_bytes() + self.in_flight
    }
}
