//! Who waits for a key: the clients in BLPOP, BLMOVE, BZPOPMIN, XREAD BLOCK and their kin, in order of
//! arrival. The table lives with the keys, at their owner, beside `WatchTable`.
//!
//! ```text
//!            serve                       stay
//!  WAITING ---------> SERVED    WAITING <------ MOVING ---> SERVED
//!     |  \                                        ^  \
//!     |   +------------------ moves --------------+   \
//!     +---------> CANCELLED <--------------------------+
//! ```
//!
//! A waiter may stand in the queues of several keys, on several shards. One atomic state decides who has
//! it: an owner with something for it (`serve`), or its home, whose client's time is over, who has left or
//! was unblocked (`cancel`). Whoever loses leaves it alone. `MOVING`: what it shall get must go to a key of
//! another shard (BLMOVE); its home runs the command anew, and only its home ends that state, but for
//! `cancel`, which is its home's too.
//!
//! A change of a key somebody waits for makes the key *ready* (`touch`); whoever ran the command serves
//! ready keys right after it (`shard::serve`), before anything else runs on the keyspace. When nobody
//! waits, a change pays one branch.

use super::Keys;
use crate::base::{Millis, ShardId, planted};
use crate::resp::{ArgsBuf, Proto};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::*};

/// What a blocking command leaves behind when there is nothing for it: how to run it again for one key.
pub struct Wait {
    /// When it started, and when it gives up.
    pub since: Millis,
    pub deadline: Option<Millis>,
    pub keys: Vec<WaitKey>,
    /// The command for one key is `head`, the key, what belongs to it, `tail`.
    pub head: ArgsBuf,
    pub tail: ArgsBuf,
    /// A key that it writes to as well (BLMOVE).
    pub destination: Option<Box<[u8]>>,
    /// It is told when a key it waits for is deleted (XREADGROUP).
    pub minds_deletion: bool,
    /// Whether the key at this index has something for it.
    pub ready: fn(&Keys<'_>, &Wait, usize) -> Ready,
}

pub struct WaitKey {
    pub key: Box<[u8]>,
    /// The id that XREAD waits for something beyond of.
    pub extra: Option<Box<[u8]>>,
}

/// What a key has for a waiter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ready {
    No,
    Yes,
    /// What it waited with will never come again: the error that tells so.
    Gone(&'static str),
}

impl Wait {
    /// The command for one of the keys.
    pub fn line(&self, index: usize) -> ArgsBuf {
        let WaitKey { key, extra } = &self.keys[index];
        let extra = extra.as_deref();
        let words = self.head.as_args().iter().chain([&**key]).chain(extra);
        words.chain(self.tail.as_args().iter()).collect()
    }
}

/// Where a waiter's reply belongs: its connection at its home, and which of that connection's replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    pub home: ShardId,
    pub conn: u32,
    /// The low half of the client's id.
    pub client: u32,
    pub slot: u32,
}

/// What a waiter's command runs as.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    pub seat: Seat,
    /// The command's number in the table.
    pub command: u16,
    pub db: u16,
    pub proto: Proto,
    pub no_touch: bool,
    /// Its id if it tracks keys (CLIENT TRACKING), else 0.
    pub tracker: u64,
}

/// A client that waits.
pub struct Waiter {
    state: AtomicU8,
    /// Its place among those who wait for the same key.
    arrival: u64,
    pub asker: Asker,
    pub wait: Wait,
}

const WAITING: u8 = 0;
const MOVING: u8 = 1;
const SERVED: u8 = 2;
const CANCELLED: u8 = 3;

impl Waiter {
    fn change(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, AcqRel, Acquire).is_ok()
    }

    /// An owner takes it, to give it what it waits for.
    pub fn serve(&self) -> bool {
        self.change(WAITING, SERVED)
    }

    /// An owner found something for it that must go to another shard.
    pub fn moves(&self) -> bool {
        self.change(WAITING, MOVING)
    }

    /// Its home's second run found something.
    pub fn moved(&self) -> bool {
        self.change(MOVING, SERVED)
    }

    /// Its home's second run found nothing: it waits on, where it stood.
    pub fn stay(&self) -> bool {
        self.change(MOVING, WAITING)
    }

    /// Its home lets it go. False: it has been served, and its reply is on the way.
    pub fn cancel(&self) -> bool {
        self.change(WAITING, CANCELLED) || self.change(MOVING, CANCELLED)
    }

    pub fn is_moving(&self) -> bool {
        self.state.load(Acquire) == MOVING
    }

    fn is_over(&self) -> bool {
        // Who does not ask whether a waiter is over does not ask here either.
        matches!(self.state.load(Acquire), SERVED | CANCELLED) && !planted!(ServeWithoutAsking)
    }
}

#[derive(Default)]
struct Queue {
    /// By arrival.
    waiting: BTreeMap<u64, Arc<Waiter>>,
    /// How many of them mind that the key is deleted.
    minding: usize,
    /// Listed among the ready keys.
    ready: bool,
}

type Queues = HashMap<Box<[u8]>, Queue, ahash::RandomState>;

/// A key that has changed while somebody waited for it.
pub struct ReadyKey {
    /// Number of the command, inside a transaction, that made it ready.
    stamp: u32,
    pub db: usize,
    pub key: Box<[u8]>,
}

/// One shard's waiters.
pub struct BlockedTable {
    /// By database.
    queues: Vec<Queues>,
    hasher: ahash::RandomState,
    /// Places in queues.
    len: usize,
    /// The latest arrival, here or at a shard that shares a waiter with this one.
    arrivals: u64,
    ready: VecDeque<ReadyKey>,
    stamp: u32,
    /// A command that has just run wants to wait.
    wanted: Option<Box<Wait>>,
    /// `wanted` or `ready` is not empty: what is looked at after each command.
    stirred: bool,
}

impl BlockedTable {
    pub fn new(hasher: ahash::RandomState) -> Self {
        BlockedTable {
            queues: Vec::new(),
            hasher,
            len: 0,
            arrivals: 0,
            ready: VecDeque::new(),
            stamp: 0,
            wanted: None,
            stirred: false,
        }
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Keys that somebody waits for, and those of them whose deletion somebody minds (INFO
    /// `total_blocking_keys`, `total_blocking_keys_on_nokey`).
    pub fn counts(&self) -> (usize, usize) {
        let queues = || self.queues.iter().flat_map(Queues::values);
        (queues().count(), queues().filter(|queue| queue.minding > 0).count())
    }

    /// Whether the command that has just run left something to do here.
    #[inline]
    pub fn is_stirred(&self) -> bool {
        self.stirred
    }

    /// A handler found nothing and wants to wait.
    pub fn want(&mut self, wait: Wait) {
        self.wanted = Some(Box::new(wait));
        self.stirred = true;
    }

    /// Whether the last command wants to wait.
    pub fn wants(&self) -> bool {
        self.wanted.is_some()
    }

    /// What the last command wants to wait for.
    pub fn take_wanted(&mut self) -> Option<Box<Wait>> {
        self.stirred = !self.ready.is_empty();
        self.wanted.take()
    }

    /// Later changes are those of the command with this number.
    pub fn set_stamp(&mut self, stamp: u32) {
        self.stamp = stamp;
    }

    fn file(&mut self, waiter: &Arc<Waiter>, key: &[u8]) {
        let db = waiter.asker.db as usize;
        if self.queues.len() <= db {
            self.queues.resize_with(db + 1, || HashMap::with_hasher(self.hasher.clone()));
        }
        let queues = &mut self.queues[db];
        // Where others wait already, as all workers do for the same lists, the key is not copied.
        let queue = match queues.get_mut(key) {
            Some(queue) => queue,
            None => queues.entry(key.into()).or_default(),
        };
        if queue.waiting.insert(waiter.arrival, Arc::clone(waiter)).is_none() {
            self.len += 1;
            queue.minding += waiter.wait.minds_deletion as usize;
        }
    }

    /// Takes a waiter out of the queues of the keys it waits for here.
    pub fn forget(&mut self, waiter: &Waiter) {
        for WaitKey { key, .. } in &waiter.wait.keys {
            self.remove(waiter.asker.db as usize, key, waiter.arrival);
        }
        if waiter.wait.destination.is_some() {
            // Those behind it may have waited for its second run.
            for WaitKey { key, .. } in &waiter.wait.keys {
                self.touch(waiter.asker.db as usize, key);
            }
        }
    }

    fn remove(&mut self, db: usize, key: &[u8], arrival: u64) {
        let Some(queues) = self.queues.get_mut(db) else { return };
        let Some(queue) = queues.get_mut(key) else { return };
        if let Some(waiter) = queue.waiting.remove(&arrival) {
            self.len -= 1;
            queue.minding -= waiter.wait.minds_deletion as usize;
        }
        if queue.waiting.is_empty() {
            queues.remove(key);
        }
    }

    /// A key has changed: it is ready if somebody waits for it.
    #[inline]
    pub fn touch(&mut self, db: usize, key: &[u8]) {
        if self.len > 0 {
            self.touch_slow(db, key);
        }
    }

    fn touch_slow(&mut self, db: usize, key: &[u8]) {
        let Some(queue) = self.queues.get_mut(db).and_then(|queues| queues.get_mut(key)) else { return };
        if !queue.ready {
            queue.ready = true;
            self.ready.push_back(ReadyKey { stamp: self.stamp, db, key: key.into() });
            self.stirred = true;
        }
    }

    /// A whole database has changed (SWAPDB, FLUSHDB).
    pub fn touch_db(&mut self, db: usize) {
        let Some(queues) = self.queues.get(db) else { return };
        let mut keys: Vec<Box<[u8]>> = queues.keys().cloned().collect();
        keys.sort();
        keys.iter().for_each(|key| self.touch(db, key));
    }

    /// Whether somebody who waits for a key wants to hear that it was deleted.
    pub fn minds_deletion(&self, db: usize, key: &[u8]) -> bool {
        self.queues.get(db).and_then(|queues| queues.get(key)).is_some_and(|queue| queue.minding > 0)
    }

    /// The stamp of the key that became ready first.
    pub fn first_ready(&self) -> Option<u32> {
        self.ready.front().map(|ready| ready.stamp)
    }

    /// Takes the key that became ready first.
    pub fn take_ready(&mut self) -> Option<ReadyKey> {
        let first = self.ready.pop_front();
        self.stirred = !self.ready.is_empty() || self.wanted.is_some();
        let first = first?;
        if let Some(queue) = self.queues.get_mut(first.db).and_then(|queues| queues.get_mut(&first.key)) {
            queue.ready = false;
        }
        Some(first)
    }

    /// Who came first among those who came after `arrival` and still wait for a key, with that key's index.
    /// Those who wait no more are dropped on the way.
    pub fn next(&mut self, db: usize, key: &[u8], arrival: u64) -> Option<(Arc<Waiter>, usize)> {
        loop {
            let queue = self.queues.get(db)?.get(key)?;
            let (_, waiter) = queue.waiting.range(arrival + 1..).next()?;
            if !waiter.is_over() {
                let index = waiter.wait.keys.iter().position(|k| *k.key == *key)?;
                return Some((Arc::clone(waiter), index));
            }
            let over = waiter.arrival;
            self.remove(db, key, over);
        }
    }
}

impl Waiter {
    pub fn arrival(&self) -> u64 {
        self.arrival
    }
}

/// Files a new waiter at the tables of its keys' owners. `tables` are all shards in reach, `owner` tells
/// a key's shard.
pub fn register(
    tables: &mut [(ShardId, &mut BlockedTable)],
    asker: Asker,
    mut wait: Wait,
    owner: impl Fn(&[u8]) -> ShardId,
) -> Arc<Waiter> {
    // A key named twice is waited for once.
    let mut seen: Vec<WaitKey> = Vec::with_capacity(wait.keys.len());
    for key in wait.keys {
        if !seen.iter().any(|k| k.key == key.key) {
            seen.push(key);
        }
    }
    wait.keys = seen;
    // Later than whoever waits at any of these shards.
    let arrival = tables.iter().map(|(_, table)| table.arrivals).max().unwrap_or(0) + 1;
    let waiter = Arc::new(Waiter { state: AtomicU8::new(WAITING), arrival, asker, wait });
    for (shard, table) in tables {
        table.arrivals = arrival;
        for WaitKey { key, .. } in &waiter.wait.keys {
            if owner(key) == *shard {
                table.file(&waiter, key);
            }
        }
    }
    waiter
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> BlockedTable {
        BlockedTable::new(ahash::RandomState::with_seeds(1, 2, 3, 4))
    }

    fn wait(keys: &[&str]) -> Wait {
        Wait {
            since: 0,
            deadline: None,
            keys: keys.iter().map(|k| WaitKey { key: k.as_bytes().into(), extra: None }).collect(),
            head: ["BLPOP"].iter().collect(),
            tail: ["0"].iter().collect(),
            destination: None,
            minds_deletion: false,
            ready: |_, _, _| Ready::Yes,
        }
    }

    fn asker(client: u32) -> Asker {
        let seat = Seat { home: 0, conn: 0, client, slot: 0 };
        Asker { seat, command: 0, db: 0, proto: Proto::Resp2, no_touch: false, tracker: 0 }
    }

    fn add(table: &mut BlockedTable, client: u32, keys: &[&str]) -> Arc<Waiter> {
        register(&mut [(0, table)], asker(client), wait(keys), |_| 0)
    }

    #[test]
    fn waiters_of_a_key_come_in_order_and_those_that_are_over_are_dropped() {
        let mut table = table();
        let waiters: Vec<_> = (0..4).map(|client| add(&mut table, client, &["a", "b", "a"])).collect();
        assert_eq!((table.len, table.counts()), (8, (2, 0)));
        assert!(waiters[0].cancel() && waiters[1].serve() && !waiters[1].cancel());
        let (next, index) = table.next(0, b"b", 0).unwrap();
        assert_eq!((next.asker.seat.client, index), (2, 1));
        let (next, _) = table.next(0, b"b", next.arrival()).unwrap();
        assert_eq!(next.asker.seat.client, 3);
        assert!(table.next(0, b"b", next.arrival()).is_none());
        assert_eq!(table.len, 6);
        waiters.iter().for_each(|w| table.forget(w));
        assert!(table.is_empty() && table.counts() == (0, 0));
    }

    #[test]
    fn keys_are_ready_once_in_the_order_of_their_first_change_if_somebody_waits() {
        let mut table = table();
        let waiter = add(&mut table, 1, &["a", "b"]);
        ["x", "b", "a", "b"].iter().for_each(|k| table.touch(0, k.as_bytes()));
        table.touch(1, b"a");
        assert!(table.is_stirred());
        let ready: Vec<_> = std::iter::from_fn(|| table.take_ready()).map(|r| r.key).collect();
        assert_eq!(ready, [Box::from(&b"b"[..]), Box::from(&b"a"[..])]);
        assert!(!table.is_stirred());
        table.touch_db(0);
        assert_eq!(table.take_ready().map(|r| r.key), Some(Box::from(&b"a"[..])));
        table.forget(&waiter);
        assert!(table.take_ready().is_some() && table.take_ready().is_none());
    }

    #[test]
    fn the_command_for_one_key_is_put_together() {
        let mut w = wait(&["a", "b"]);
        w.keys[1].extra = Some(b"5-1".as_slice().into());
        let words = |i: usize| w.line(i).as_args().iter().map(<[u8]>::to_vec).collect::<Vec<_>>().join(&b' ');
        assert_eq!((words(0), words(1)), (b"BLPOP a 0".to_vec(), b"BLPOP b 5-1 0".to_vec()));
    }

    #[test]
    fn only_one_side_wins_a_waiter() {
        let mut table = table();
        let waiter = add(&mut table, 1, &["a"]);
        assert!(waiter.moves() && !waiter.serve() && waiter.stay() && waiter.moves() && waiter.moved());
        assert!(!waiter.cancel() && !waiter.stay());
        let waiter = add(&mut table, 1, &["a"]);
        assert!(waiter.moves() && waiter.cancel() && !waiter.moved() && !waiter.serve());
    }

    #[test]
    fn arrivals_are_in_one_order_over_shards_that_share_a_waiter() {
        let (mut a, mut b) = (table(), table());
        (0..5).for_each(|client| drop(add(&mut a, client, &["a"])));
        let owner = |key: &[u8]| (key == b"b") as ShardId;
        let both = register(&mut [(0, &mut a), (1, &mut b)], asker(9), wait(&["a", "b"]), owner);
        let later = register(&mut [(1, &mut b)], asker(10), wait(&["b"]), |_| 1);
        assert!(later.arrival() > both.arrival() && both.arrival() == 6);
        assert_eq!((a.len, b.len), (6, 2));
    }
}
