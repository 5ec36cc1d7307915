//! Floor 8: the shard actor, one per core: connections, the shard's own keyspace, and its turn.
//!
//! A turn, in the order that makes it right (`docs/architecture.md` has the argument):
//!
//! 1. *Harvest*: the driver brings received bytes (`input`): parse, plan; a command whose keys live here
//!    runs at once if nothing is before it; any other goes into the outbox.
//! 2. *Joint push* (`outbox`): everything in the outbox takes its places in the inboxes concerned, held
//!    together; a shard that sleeps is borrowed instead of woken.
//! 3. *Own inbox* (`inbox`), taken once.
//! 4. *Answers* from other shards find their connections (`answers`).
//! 5. *Release* (`release`): effects go to the journal, replies that depend on nothing unwritten go out.
//!
//! A local command looks at the inbox before it runs and lets what is there go first: whoever learned of
//! an effect elsewhere and then asked here finds that effect's siblings done.
//!
//! Clients in blocking commands: `blocking`.
//!
//! Pure: bytes, time and wake-ups are brought by a driver (`server::driver`, or the simulator in
//! `actor/sim.rs`). Never blocks, never sleeps, never calls a socket.

mod answers;
mod blocking;
mod errand;
mod inbox;
mod input;
mod invalidate;
mod native;
mod outbox;
mod program;
mod publish;
mod release;
mod script;
#[cfg(test)]
mod sim;
mod transaction;
mod walk;
mod watch;

use crate::base::limits::PARCELS_IN_FLIGHT_MAX;
use crate::base::{Millis, ShardId};
use crate::bridge::Owner;
use crate::bridge::lane::{Consumer, Producer, lane};
use crate::config::Settings;
use crate::keyspace::Stale;
use crate::resp::Span;
use crate::session::{Doubt, Node, Peer, Session, Sessions, attention, state};
use crate::shard::{Delivery, Engine, Parcel, Served, Tally};
use publish::Publication;
use release::Release;
use script::Scripting;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use transaction::OpenHold;

/// One shard's thread of execution, without the thread.
// Parcels are boxed because they travel: between shards only the pointer moves.
#[allow(clippy::vec_box)]
pub struct Actor {
    me: ShardId,
    node: Arc<Node>,
    owner: Owner<Engine>,
    settings: Arc<Settings>,
    settings_version: u64,
    pub sessions: Sessions,

    /// For each shard what this turn has for it.
    outbox: Vec<Option<Box<Parcel>>>,
    /// Messages of this turn, published with the outbox.
    publications: Vec<Publication>,
    /// What clients cache and must no longer believe; told with the outbox.
    stale: Vec<Stale>,
    /// The same for clients whose own command is not answered yet.
    deferred: Vec<Delivery>,
    /// Sessions with fragments in the outbox.
    unpushed: Vec<usize>,
    /// What was taken from the own inbox, and how far it has run.
    todo: Vec<Option<Box<Parcel>>>,
    taken: Vec<Box<Parcel>>,
    next_parcel: usize,
    next_item: usize,
    inbox_taken: bool,
    /// The keyspace is with a transaction, in the middle of `todo`.
    lent: bool,
    lanes: Lanes,
    /// Answers to this shard's own parcels: run here, or on a borrowed keyspace.
    answered: Vec<Box<Parcel>>,
    /// Shards that this turn has answered.
    to_wake: Vec<bool>,
    spare: Vec<Box<Parcel>>,
    /// What this thread has given to waiters, not yet on its way to their homes.
    served: Vec<Served>,
    /// Timeouts of blocked connections of this shard: when, which, whose.
    deadlines: BTreeSet<(Millis, usize, u64)>,
    /// Blocked connections whose reply waits for earlier ones.
    unplaced: Vec<usize>,
    /// Connections of this shard whose commands look at all keys, a slice per turn: which, whose.
    walking: VecDeque<(usize, u64)>,
    /// Transactions of connections of this shard that wait for keyspaces.
    holds: Vec<OpenHold>,
    /// Number of the command that runs in a transaction, for the order in which keys become ready.
    stamp: u32,
    /// How many sessions have stood for clients that were not there.
    stand_ins: u64,
    scripting: Scripting,

    with_output: Vec<usize>,
    /// Sessions whose gate has opened: their input waits to be read.
    resumed: Vec<usize>,
    /// Connections to close without waiting for their output.
    closing: Vec<usize>,
    /// Connections with output that may go.
    sendable: Vec<usize>,
    /// Per shard: the journal chunk this turn's replies depend on.
    depends: Vec<u64>,
    releases: VecDeque<Release>,

    now: Millis,
    now_micros: u64,
    ticks: fn() -> u64,
    last_tick: u64,
    /// `slowlog-log-slower-than` in ticks.
    slow_ticks: u64,
    /// DEBUG SLEEP: the driver puts the whole thread to sleep for so long.
    sleep_micros: u64,
    random: u64,
    over_limit: bool,
    /// Some session waits for the end of a CLIENT PAUSE.
    has_paused: bool,
    turn_worked: bool,
    last_expire: Millis,
    /// Keys past their time are left, or memory to give back in slices.
    expiring: bool,
    freeing: bool,
    /// Something is due that is done with all keyspaces.
    errand_seen: bool,

    // Scratch, kept for its capacity.
    spans: Vec<Span>,
    inline: Vec<u8>,
    scratch: Vec<u8>,
}

/// The lanes to and from every other shard.
pub struct Lanes {
    pub to: Vec<Option<Producer<Box<Parcel>>>>,
    pub from: Vec<Option<Consumer<Box<Parcel>>>>,
    /// Parcels of this shard that another has and has not answered.
    pub in_flight: Vec<usize>,
}

impl Lanes {
    /// The lanes of all shards, each shard's by its number.
    pub fn all(shards: ShardId) -> Vec<Lanes> {
        let n = shards as usize;
        let mut all: Vec<Lanes> = (0..n)
            .map(|_| Lanes {
                to: (0..n).map(|_| None).collect(),
                from: (0..n).map(|_| None).collect(),
                in_flight: vec![0; n],
            })
            .collect();
        for i in 0..n {
            for j in (0..n).filter(|j| *j != i) {
                // Room for every parcel that may be under way from j to i and come back.
                let (producer, consumer) = lane(PARCELS_IN_FLIGHT_MAX);
                all[i].to[j] = Some(producer);
                all[j].from[i] = Some(consumer);
            }
        }
        all
    }
}

impl Actor {
    /// `seed` is this shard's share of randomness; `ticks` is a fast clock for command times.
    pub fn new(
        node: Arc<Node>,
        me: ShardId,
        owner: Owner<Engine>,
        lanes: Lanes,
        seed: u64,
        ticks: fn() -> u64,
    ) -> Self {
        let shards = node.shards() as usize;
        let mut actor = Actor {
            me,
            settings: node.settings(),
            settings_version: node.settings_version(),
            scripting: Scripting::new(node.placement.hasher()),
            node,
            owner,
            sessions: Sessions::new(),
            outbox: (0..shards).map(|_| None).collect(),
            publications: Vec::new(),
            stale: Vec::new(),
            deferred: Vec::new(),
            unpushed: Vec::new(),
            todo: Vec::new(),
            taken: Vec::new(),
            next_parcel: 0,
            next_item: 0,
            inbox_taken: false,
            lent: false,
            lanes,
            answered: Vec::new(),
            to_wake: vec![false; shards],
            spare: Vec::new(),
            served: Vec::new(),
            deadlines: BTreeSet::new(),
            unplaced: Vec::new(),
            walking: VecDeque::new(),
            holds: Vec::new(),
            stamp: 0,
            stand_ins: 0,
            with_output: Vec::new(),
            resumed: Vec::new(),
            closing: Vec::new(),
            sendable: Vec::new(),
            depends: vec![0; shards],
            releases: VecDeque::new(),
            now: 0,
            now_micros: 0,
            ticks,
            last_tick: 0,
            slow_ticks: u64::MAX,
            sleep_micros: 0,
            random: seed | 1,
            over_limit: false,
            has_paused: false,
            turn_worked: false,
            last_expire: 0,
            expiring: false,
            freeing: false,
            errand_seen: false,
            spans: Vec::new(),
            inline: Vec::new(),
            scratch: Vec::new(),
        };
        actor.apply_settings();
        actor
    }

    pub fn shard(&self) -> ShardId {
        self.me
    }

    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    fn tally(&self) -> &Tally {
        &self.node.tallies[self.me as usize]
    }

    /// A connection was accepted and given to this shard.
    pub fn open(&mut self, peer: Peer, link: u64) -> usize {
        let mut session = Session::new(self.node.next_client(), peer, self.now);
        session.link = link;
        session.set(state::NEEDS_AUTH, !self.settings.requirepass.is_empty());
        self.tally().connections_received.add(1);
        self.tally().connected.add(1);
        let id = session.id;
        let key = self.sessions.insert(session);
        self.node.clients.enter(id, self.me, self.sessions[key].target(key));
        key
    }

    /// A connection has ended, whoever ended it. Answers still under way find nobody; what they popped goes
    /// back. The fate of what was popped for replies that it may have got or not is left to `resolve`.
    pub fn closed(&mut self, key: usize) -> Option<Doubt> {
        let mut session = self.sessions.try_remove(key)?;
        Actor::end_subscriptions(&self.node, self.me, key, &mut session);
        self.node.clients.leave(session.id);
        crate::session::commands::end_tracking(&self.node, &mut session);
        self.tally().connected.sub(1);
        let doubt = self.give_up(key, &mut session);
        if session.is(state::PAUSED) {
            self.tally().blocked.sub(1);
        }
        if session.is(state::MONITOR) {
            self.node.count_monitor(false);
        }
        self.forget_client(&session);
        self.with_output.retain(|k| *k != key);
        self.resumed.retain(|k| *k != key);
        self.unpushed.retain(|k| *k != key);
        self.closing.retain(|k| *k != key);
        self.sendable.retain(|k| *k != key);
        doubt
    }

    /// 64 fresh bits (splitmix64).
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// About to sleep: lets others borrow the keyspace. False when something has come meanwhile; then
    /// turn again.
    pub fn prepare_sleep(&mut self) -> bool {
        self.node.wakes[self.me as usize].announce();
        if !self.lent {
            self.owner.park();
        }
        let something = if self.lent {
            // What waits in the inbox cannot run before the keyspace comes back, and that rings; it can hear BUSY.
            let busy = attention_is_on(&self.node, attention::BUSY);
            self.owner.try_run() || busy && self.node.inboxes[self.me as usize].is_full()
        } else {
            self.node.inboxes[self.me as usize].is_full()
        };
        let something = something
            || self.lanes.from.iter().flatten().any(|lane| !lane.is_empty())
            || self.holds.iter().any(OpenHold::is_ready)
            || self.has_errand() && self.has_room()
            || self.has_releasable()
            || !self.served.is_empty()
            || !self.walking.is_empty() && self.has_room()
            || self.outbox.iter().any(Option::is_some);
        if something {
            self.woke();
        }
        !something
    }

    /// Awake again: takes the keyspace back from whoever borrows it, which takes a moment at most.
    pub fn woke(&mut self) {
        self.node.wakes[self.me as usize].retract();
        if self.lent {
            self.take_back_loan();
        } else {
            self.lent = !self.owner.run();
        }
    }

    /// Whether the keyspace, lent to a transaction, has come back.
    fn take_back_loan(&mut self) {
        if self.lent && self.owner.try_run() {
            self.lent = false;
        }
    }
}

fn attention_is_on(node: &Node, bit: u32) -> bool {
    node.attention() & bit != 0
}

/// What is the same for every command of a turn, borrowed from the fields it needs so that the
/// keyspace can be borrowed beside it.
macro_rules! env {
    ($actor:expr) => {
        $crate::shard::Env {
            placement: &$actor.node.placement,
            settings: &$actor.settings,
            table: &$actor.node.table,
            tally: &$actor.node.tallies[$actor.me as usize],
            errors: &$actor.node.errors,
            over_limit: $actor.over_limit,
            news: Actor::wanted_news(&$actor.node, $actor.settings.notify_keyspace_events),
        }
    };
}
pub(crate) use env;
