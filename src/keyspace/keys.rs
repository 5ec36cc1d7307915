//! How a command handler reaches keys: the same calls whether it runs on one keyspace or, inside a
//! transaction, on several held ones. Expired keys are gone for every caller; what changes is
//! reported once, here, and becomes the watchers' mark and the journal's effect.

mod meter;

use super::{KeyEvent, Keyspace, Placement, Stale, TrackerId, Wait, news};
use crate::base::{Millis, ShardId};
use crate::config::EventClasses;
use crate::journal::ChunkWriter;
use crate::resp::Args;
use crate::structure::heap::vec_bytes;
use crate::structure::{Collection, Entry, NewValue, Object, Value};
pub use meter::Before;
use meter::Meter;

/// The keyspaces one execution may touch.
pub enum Reach<'a> {
    /// The command's keys all live here.
    One(&'a mut Keyspace),
    /// A transaction holds several, in ascending order of shard.
    Held(Vec<&'a mut Keyspace>),
}

/// What becomes of a key's expiry time when its value is replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ttl {
    Clear,
    Keep,
    At(Millis),
}

/// The key holds another type than the command is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WrongType;

/// A handler's view of the keys. `db` is the database the client has selected.
pub struct Keys<'a> {
    reach: Reach<'a>,
    pub db: usize,
    /// The one time this command (or its whole transaction) sees.
    pub now: Millis,
    pub placement: &'a Placement,
    /// None while nothing is journaled.
    effects: Option<&'a mut ChunkWriter>,
    /// Low 24 bits: what OBJECT IDLETIME counts from, in seconds.
    clock: u32,
    changes: u64,
    own_effect: bool,
    touch_access: bool,
    /// Classes of events that somebody asked for (`notify-keyspace-events`).
    /// With the bits of `keyspace::news`.
    notify: u32,
    /// The client that runs this, if it tracks keys.
    writer: TrackerId,
    meter: Meter,
}

impl<'a> Keys<'a> {
    pub fn new(
        reach: Reach<'a>,
        db: usize,
        now: Millis,
        placement: &'a Placement,
        effects: Option<&'a mut ChunkWriter>,
    ) -> Self {
        let clock = (now / 1000) as u32 & 0xff_ffff;
        Keys {
            meter: Meter::default(),
            reach,
            db,
            now,
            placement,
            effects,
            clock,
            changes: 0,
            own_effect: false,
            touch_access: true,
            notify: 0,
            writer: 0,
        }
    }

    /// CLIENT NO-TOUCH: looking a key up leaves its access time alone.
    pub fn set_no_touch(&mut self, on: bool) {
        self.touch_access = !on;
    }

    /// `notify-keyspace-events`: which events are kept for whoever runs the command.
    pub fn set_notify(&mut self, classes: u32) {
        self.notify = classes;
    }

    /// CLIENT TRACKING: who changes what is changed here; 0 unless it tracks keys itself.
    pub fn set_writer(&mut self, writer: TrackerId) {
        self.writer = writer;
    }

    /// The keyspace that owns a key.
    #[inline]
    pub fn owner(&mut self, key: &[u8]) -> &mut Keyspace {
        match &mut self.reach {
            Reach::One(keyspace) => keyspace,
            Reach::Held(held) => {
                let shard = self.placement.shard(key);
                held_mut(held, shard)
            }
        }
    }

    /// The keyspaces in reach, for commands that look at whole keyspaces.
    pub fn each_keyspace(&mut self, mut visit: impl FnMut(&mut Keyspace)) {
        match &mut self.reach {
            Reach::One(keyspace) => visit(keyspace),
            Reach::Held(held) => held.iter_mut().for_each(|k| visit(k)),
        }
    }

    /// The keyspace of this shard, if it is in reach (SCAN).
    pub fn shard(&mut self, shard: ShardId) -> Option<&mut Keyspace> {
        match &mut self.reach {
            Reach::One(keyspace) => Some(&mut **keyspace).filter(|k| k.shard == shard),
            Reach::Held(held) => held.iter_mut().find(|k| k.shard == shard).map(|k| &mut **k),
        }
    }

    pub fn databases(&self) -> usize {
        match &self.reach {
            Reach::One(keyspace) => keyspace.databases(),
            Reach::Held(held) => held[0].databases(),
        }
    }

    /// The single keyspace of a command that runs once per shard.
    pub fn here(&mut self) -> &mut Keyspace {
        match &mut self.reach {
            Reach::One(keyspace) => keyspace,
            Reach::Held(held) => held[0],
        }
    }

    /// Looks a key up to read its value: counts a hit or a miss, refreshes the access time.
    #[inline]
    pub fn read(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let (db, clock, touch) = (self.db, self.clock, self.touch_access);
        let Some(hash) = self.live(key) else {
            self.owner(key).stats.misses += 1;
            self.event(EventClasses::KEY_MISS, "keymiss", key);
            return None;
        };
        // Of a stream, who reads for a group changes something.
        self.hand_out(key);
        let keyspace = self.owner(key);
        keyspace.stats.hits += 1;
        let entry = keyspace.dbs[db].find_mut(hash, key)?;
        if touch {
            entry.touch(clock);
        }
        Some(entry)
    }

    /// `read` in one probe of the table, for the commands that are most of the traffic. `f` gets the
    /// live entry, or nothing.
    #[inline]
    pub fn read_with<R>(&mut self, key: &[u8], f: impl FnOnce(Option<&mut Entry>) -> R) -> R {
        let (db, now, clock, touch) = (self.db, self.now, self.clock, self.touch_access);
        let hash = self.placement.hash(key);
        let keyspace = self.owner(key);
        match keyspace.dbs[db].find_mut(hash, key) {
            Some(entry) if entry.expire_at().is_none_or(|at| at > now) => {
                keyspace.stats.hits += 1;
                if touch {
                    entry.touch(clock);
                }
                return f(Some(entry));
            }
            Some(_) => {
                self.live(key);
                self.owner(key).stats.misses += 1;
            }
            None => keyspace.stats.misses += 1,
        }
        self.event(EventClasses::KEY_MISS, "keymiss", key);
        f(None)
    }

    /// Looks a key up without reading its value: counts a hit or a miss, leaves the access time alone
    /// (EXISTS, TYPE, TTL, OBJECT).
    pub fn look(&mut self, key: &[u8]) -> Option<&Entry> {
        let hash = self.live(key);
        let db = self.db;
        let keyspace = self.owner(key);
        let stats = &mut keyspace.stats;
        *if hash.is_some() { &mut stats.hits } else { &mut stats.misses } += 1;
        let Some(hash) = hash else {
            self.event(EventClasses::KEY_MISS, "keymiss", key);
            return None;
        };
        self.owner(key).dbs[db].find(hash, key)
    }

    /// Looks a key up and leaves no trace (conditions, DEBUG).
    pub fn peek(&mut self, key: &[u8]) -> Option<&Entry> {
        let hash = self.live(key)?;
        let db = self.db;
        self.owner(key).dbs[db].find(hash, key)
    }

    /// What lies under a key, expired or not (DEBUG OBJECT).
    pub fn find_even_expired(&mut self, key: &[u8]) -> Option<&Entry> {
        let (db, hash) = (self.db, self.placement.hash(key));
        self.owner(key).dbs[db].find(hash, key)
    }

    /// Looks a key up to change it.
    #[inline]
    pub fn write(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let hash = self.live(key)?;
        self.hand_out(key);
        let (db, clock, touch) = (self.db, self.clock, self.touch_access);
        let entry = self.owner(key).dbs[db].find_mut(hash, key)?;
        if touch {
            entry.touch(clock);
        }
        Some(entry)
    }

    /// `write` in one probe of the table (INCR, APPEND). `f` gets the live entry, or nothing.
    #[inline]
    pub fn write_with<R>(&mut self, key: &[u8], f: impl FnOnce(Option<&mut Entry>) -> R) -> R {
        let (db, now, clock, touch) = (self.db, self.now, self.clock, self.touch_access);
        let hash = self.placement.hash(key);
        self.hand_out(key);
        match self.owner(key).dbs[db].find_mut(hash, key) {
            Some(entry) if entry.expire_at().is_none_or(|at| at > now) => {
                if touch {
                    entry.touch(clock);
                }
                return f(Some(entry));
            }
            Some(_) => drop(self.live(key)),
            None => {}
        }
        f(None)
    }

    pub fn exists(&mut self, key: &[u8]) -> bool {
        self.live(key).is_some()
    }

    /// The same in another database (MOVE, COPY ... DB).
    pub fn exists_in(&mut self, db: usize, key: &[u8]) -> bool {
        let selected = std::mem::replace(&mut self.db, db);
        let found = self.exists(key);
        self.db = selected;
        found
    }

    /// Stores a value, replacing whatever was there. Reports nothing: call `changed` after.
    #[inline]
    pub fn set(&mut self, key: &[u8], value: NewValue<'_>, ttl: Ttl) {
        self.tell_of_set(key);
        let (db, placement, clock) = (self.db, self.placement, self.clock);
        let hash = placement.hash(key);
        let now = self.now;
        match &value {
            NewValue::Object(object) => self.moved(key, || object.bytes_allocated() as i64),
            NewValue::Owned(bytes) => self.moved(key, || vec_bytes(bytes) as i64),
            NewValue::Int(_) | NewValue::Bytes(_) => {}
        }
        self.change(key, |keyspace| {
            let old = || keyspace.dbs[db].find(hash, key).and_then(|e| e.expire_at());
            let expire = match ttl {
                Ttl::Clear => None,
                Ttl::At(at) => Some(at),
                // An expired key's time must not be inherited.
                Ttl::Keep => old().filter(|at| *at > now),
            };
            if let Some(heavy) = keyspace.dbs[db].set(hash, key, value, expire, clock) {
                keyspace.bury_object(heavy);
            }
        });
    }

    /// Something will be stored under a key: tells of it if the key is new, after what was there has
    /// expired.
    #[inline]
    pub fn tell_of_set(&mut self, key: &[u8]) {
        if self.notify & (EventClasses::NEW | EventClasses::EXPIRED) != 0 && !self.exists(key) {
            self.event(EventClasses::NEW, "new", key);
        }
    }

    /// The collection at a key, to read it: counts a hit or a miss, refreshes the access time.
    pub fn read_as<C: Collection>(&mut self, key: &[u8]) -> Result<Option<&mut C>, WrongType> {
        self.read(key).map(typed).transpose()
    }

    /// The collection at a key, to change it.
    pub fn write_as<C: Collection>(&mut self, key: &[u8]) -> Result<Option<&mut C>, WrongType> {
        self.write(key).map(typed).transpose()
    }

    /// The collection at a key, looked at without a trace; several keys may be looked at together. A
    /// command counts its hits with `read` first.
    pub fn view_as<C: Collection>(&self, key: &[u8]) -> Result<Option<&C>, WrongType> {
        match self.view(key).map(Entry::value) {
            None => Ok(None),
            Some(Value::Object(object)) => C::of(object).map(Some).ok_or(WrongType),
            Some(_) => Err(WrongType),
        }
    }

    /// The live entry at a key, looked at without a trace.
    pub fn view(&self, key: &[u8]) -> Option<&Entry> {
        let keyspace = match &self.reach {
            Reach::One(keyspace) => keyspace,
            Reach::Held(held) => {
                let shard = self.placement.shard(key);
                held.iter().find(|k| k.shard == shard).unwrap_or_else(|| not_held(shard))
            }
        };
        let entry = keyspace.dbs[self.db].find(self.placement.hash(key), key)?;
        entry.expire_at().is_none_or(|at| at > self.now).then_some(entry)
    }

    /// Removes a key whose collection has become empty; whether it did. Reports nothing but the event
    /// `del`, which Redis sends after that of the command.
    pub fn remove_if_empty<C: Collection>(&mut self, key: &[u8]) -> bool {
        let empty = matches!(self.view_as::<C>(key), Ok(Some(it)) if it.is_empty());
        if empty {
            self.delete(key);
            self.event(EventClasses::GENERIC, "del", key);
        }
        empty
    }

    /// Tells whoever asked for it (`notify-keyspace-events`) what happened to a key. `class` is one bit of
    /// `EventClasses`, `name` Redis's word.
    #[inline]
    pub fn event(&mut self, class: u32, name: &'static str, key: &[u8]) {
        self.event_in(self.db, class, name, key);
    }

    /// The same for a key of another database.
    #[inline]
    pub fn event_in(&mut self, db: usize, class: u32, name: &'static str, key: &[u8]) {
        if self.notify & class != 0 {
            // Where several keyspaces are held, the first keeps the order.
            self.aside(|keys| keys.here().events.push(KeyEvent { db, class, name, key: key.into() }));
        }
    }

    /// A key that is not there is nobody's business (OBJECT).
    pub fn hide_misses(&mut self) {
        self.notify &= !EventClasses::KEY_MISS;
    }

    /// Takes a live entry out of its database (RENAME, MOVE). Reports nothing.
    pub fn take(&mut self, key: &[u8]) -> Option<Entry> {
        let entry = self.take_out(key)?;
        self.moved(key, || -(entry.bytes_allocated() as i64));
        Some(entry)
    }

    fn take_out(&mut self, key: &[u8]) -> Option<Entry> {
        let hash = self.live(key)?;
        let db = self.db;
        self.change(key, |keyspace| keyspace.dbs[db].remove(hash, key))
    }

    /// Puts an entry under its own key into database `db`, replacing what was there. Reports nothing.
    pub fn put(&mut self, db: usize, entry: Entry) {
        let placement = self.placement;
        let hash = placement.hash(entry.key());
        self.event_in(db, EventClasses::NEW, "new", entry.key());
        self.moved(entry.key(), || entry.bytes_allocated() as i64);
        let shard = placement.shard(entry.key());
        self.change_in(shard, |keyspace| {
            if let Some(old) = keyspace.dbs[db].remove(hash, entry.key()) {
                keyspace.bury(old);
            }
            keyspace.dbs[db].insert(hash, entry);
        });
    }

    /// Deletes a live key. Reports nothing; false when there was none.
    pub fn delete(&mut self, key: &[u8]) -> bool {
        let Some(entry) = self.take_out(key) else { return false };
        self.change(key, |keyspace| keyspace.bury(entry));
        true
    }

    /// Has a part of a key's value freed, in slices if that takes long.
    pub fn bury(&mut self, key: &[u8], object: Object) {
        if object.is_heavy() {
            self.moved(key, || object.bytes_allocated() as i64);
            self.change(key, |keyspace| keyspace.bury_object(object));
        }
    }

    /// Sets or clears a live key's expiry time. Reports nothing.
    pub fn set_expire(&mut self, key: &[u8], expire: Option<Millis>) -> bool {
        let Some(hash) = self.live(key) else { return false };
        let db = self.db;
        self.change(key, |keyspace| keyspace.dbs[db].set_expire(hash, key, expire))
    }

    /// A hash was changed in place and its nearest field deadline with it: the database files it anew.
    pub fn refile_fields(&mut self, key: &[u8]) {
        let (db, hash) = (self.db, self.placement.hash(key));
        self.change(key, |keyspace| keyspace.dbs[db].refile_fields(hash, key));
    }

    /// A key of the selected database was changed, created or removed: marks its watchers and has the
    /// command written to the journal.
    #[inline]
    pub fn changed(&mut self, key: &[u8]) {
        self.changed_in(self.db, key);
    }

    /// The same for a key of another database (MOVE, COPY ... DB).
    pub fn changed_in(&mut self, db: usize, key: &[u8]) {
        self.changes += 1;
        self.owner(key).stats.dirty += 1;
        self.touched_in(db, key);
    }

    /// Marks the watchers of one more key of a change that has been counted (the old name of RENAME), and
    /// makes it ready for those who wait for it.
    #[inline]
    pub fn touched_in(&mut self, db: usize, key: &[u8]) {
        let placement = self.placement;
        let keyspace = self.owner(key);
        if !(keyspace.watch.is_empty() & keyspace.blocked.is_empty()) {
            let gone = keyspace.dbs[db].find(placement.hash(key), key).is_none();
            keyspace.watch.touch(db, key, gone);
            self.stirred_in(db, key);
        }
        self.make_stale(key, false);
    }

    /// Whoever caches this key must hear that it is not so any more.
    #[inline]
    fn make_stale(&mut self, key: &[u8], has_expired: bool) {
        let (news, writer) = (self.notify, self.writer);
        if self.owner(key).tracking.is_empty() && news & news::BROADCAST == 0 {
            return;
        }
        self.aside(|keys| {
            let mut stale = keys.owner(key).tracking.changed(key, news, writer);
            if let Some(Stale::Key { expired, .. }) = &mut stale {
                *expired = has_expired;
            }
            keys.here().stale.extend(stale);
        });
    }

    /// All keys of all databases are to be forgotten by whoever caches them (FLUSHALL, FLUSHDB).
    pub fn make_all_stale(&mut self) {
        let (news, writer) = (self.notify, self.writer);
        let mut leads = false;
        self.aside(|keys| {
            keys.each_keyspace(|keyspace| {
                keyspace.tracking.clear();
                leads |= keyspace.shard == 0;
            });
            if leads && news & news::TRACKED != 0 {
                keys.here().stale.push(Stale::All { writer });
            }
        });
    }

    /// Makes a key ready for those who wait for it, whose watchers do not count what has happened as a change
    /// (XGROUP DESTROY).
    pub fn stirred(&mut self, key: &[u8]) {
        self.stirred_in(self.db, key);
    }

    #[inline]
    fn stirred_in(&mut self, db: usize, key: &[u8]) {
        if !self.owner(key).blocked.is_empty() {
            self.aside(|keys| keys.owner(key).blocked.touch(db, key));
        }
    }

    /// The command has found nothing: its client is to wait. The handler writes no reply.
    pub fn wait(&mut self, wait: Wait) {
        self.meter.waits = true;
        self.here().blocked.want(wait);
    }

    /// Counts changes of a key that its watchers are not told of here: they are told with `touched_in`, or, as
    /// Redis has it of the groups of a stream, not at all.
    pub fn count_changes(&mut self, key: &[u8], count: u64) {
        self.changes += count;
        self.owner(key).stats.dirty += count;
    }

    /// Something other than single keys changed (FLUSHDB, SWAPDB).
    pub fn changed_whole(&mut self) {
        self.changes += 1;
    }

    /// Writes this command to the journal as something else than it was sent (absolute times, what was
    /// really done). May be called several times; no call after `changed` means: as it was sent.
    pub fn effect<'b, I>(&mut self, args: I)
    where
        I: IntoIterator<Item = &'b [u8]>,
        I::IntoIter: ExactSizeIterator,
    {
        self.own_effect = true;
        if let Some(effects) = &mut self.effects {
            effects.effect(self.db as u32, args);
        }
    }

    /// What `f` writes to the journal is there whole or not at all.
    pub fn unit(&mut self, f: impl FnOnce(&mut Self)) {
        self.begin_unit();
        f(self);
        self.end_unit();
    }

    /// Begins what is in the journal whole or not at all; `end_unit` must follow.
    pub fn begin_unit(&mut self) {
        if let Some(effects) = &mut self.effects {
            effects.begin_unit();
        }
    }

    pub fn end_unit(&mut self) {
        if let Some(effects) = &mut self.effects {
            effects.end_unit();
        }
    }

    /// The same where the arguments are made one by one: `write` must write `argc` of them.
    pub fn effect_with(&mut self, argc: usize, write: impl FnOnce(&mut ChunkWriter)) {
        self.own_effect = true;
        if let Some(effects) = &mut self.effects {
            effects.effect_head(self.db as u32, argc);
            write(effects);
        }
    }

    /// Whether anything is journaled, for handlers that must remember what they did to say it.
    pub fn is_journaled(&self) -> bool {
        self.effects.is_some()
    }

    /// Writes this command to the journal as it was sent, but by its own name whatever it was renamed to.
    pub fn effect_as_sent(&mut self, name: &str, args: Args<'_>) {
        if let Some(effects) = &mut self.effects {
            effects.effect_head(self.db as u32, args.len());
            effects.arg(name.as_bytes());
            args.from(1).iter().for_each(|arg| effects.arg(arg));
        }
    }

    /// How often `changed` was called, and whether the command wrote its own effects.
    pub fn outcome(&self) -> (u64, bool) {
        (self.changes, self.own_effect)
    }

    /// The outcome so far, which then begins anew: another command runs inside this one.
    pub fn take_outcome(&mut self) -> (u64, bool) {
        (std::mem::take(&mut self.changes), std::mem::take(&mut self.own_effect))
    }

    pub fn put_outcome(&mut self, changes: u64, own_effect: bool) {
        (self.changes, self.own_effect) = (changes, own_effect);
    }

    /// The key's hash if it is present and not past its time; an expired key is removed on the way.
    #[inline]
    fn live(&mut self, key: &[u8]) -> Option<u64> {
        let placement = self.placement;
        let (db, now) = (self.db, self.now);
        let hash = placement.hash(key);
        let keyspace = self.owner(key);
        match keyspace.dbs[db].find(hash, key)?.expire_at() {
            Some(at) if at <= now => {
                self.change_expired(key, |keyspace| {
                    if let Some(old) = keyspace.dbs[db].remove(hash, key) {
                        keyspace.bury(old);
                    }
                });
                let keyspace = self.owner(key);
                keyspace.stats.expired += 1;
                keyspace.watch.touch(db, key, true);
                self.stirred_in(db, key);
                self.make_stale(key, true);
                if let Some(effects) = &mut self.effects {
                    effects.effect(db as u32, [&b"DEL"[..], key]);
                }
                self.event(EventClasses::EXPIRED, "expired", key);
                None
            }
            _ => Some(hash),
        }
    }
}

fn held_mut<'b>(held: &'b mut [&mut Keyspace], shard: ShardId) -> &'b mut Keyspace {
    let at = held.iter().position(|k| k.shard == shard);
    // A command's declared keys are held before it runs; touching another is a bug in its key spec.
    held[at.unwrap_or_else(|| not_held(shard))]
}

fn not_held(shard: ShardId) -> ! {
    panic!("a transaction touched shard {shard}, which it does not hold")
}

fn typed<C: Collection>(entry: &mut Entry) -> Result<&mut C, WrongType> {
    entry.object_mut().and_then(C::of_mut).ok_or(WrongType)
}
