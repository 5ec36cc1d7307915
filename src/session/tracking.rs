//! CLIENT TRACKING at the clients' side: how a session tracks (`Tracking`), and which clients of the process
//! do, where they live, and whom they want told (`Trackers`). Changed by CLIENT TRACKING and by connections
//! that end; read when something has become stale. No command touches it while nobody tracks.

use crate::base::ShardId;
use crate::keyspace::{Stale, TrackerId, news};
use crate::resp::{Proto, Reply};
use crate::shard::{Delivery, Frame, Target, To, What};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// How a session tracks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tracking {
    /// The client that is told instead; 0: this one.
    pub redirect: TrackerId,
    pub broadcast: bool,
    pub optin: bool,
    pub optout: bool,
    pub noloop: bool,
    /// CLIENT CACHING was said: in OPTIN mode the next command's keys are tracked, in OPTOUT mode not.
    pub caching: bool,
    /// The client that should be told is gone.
    pub broken: bool,
    pub prefixes: BTreeSet<Box<[u8]>>,
}

impl Tracking {
    /// Whether the keys the next command reads are to be remembered.
    pub fn remembers(&self) -> bool {
        let said = !self.optin && !self.optout || self.optin == self.caching;
        !self.broadcast && said
    }
}

/// Where every client of the process is, by its id: for those that name one another.
#[derive(Default)]
pub struct Clients(Mutex<HashMap<u64, (ShardId, Target)>>);

impl Clients {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, (ShardId, Target)>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub fn enter(&self, id: u64, shard: ShardId, target: Target) {
        self.lock().insert(id, (shard, target));
    }

    pub fn leave(&self, id: u64) {
        self.lock().remove(&id);
    }

    pub fn find(&self, id: u64) -> Option<(ShardId, Target)> {
        self.lock().get(&id).copied()
    }
}

struct Tracker {
    home: (ShardId, Target),
    redirect: TrackerId,
    broadcast: bool,
    noloop: bool,
}

#[derive(Default)]
struct Inner {
    trackers: BTreeMap<TrackerId, Tracker>,
    prefixes: BTreeMap<Box<[u8]>, BTreeSet<TrackerId>>,
}

#[derive(Default)]
pub struct Trackers {
    inner: RwLock<Inner>,
    clients: AtomicU64,
    prefixes: AtomicU64,
}

impl Trackers {
    /// What commands have to tell of, for the sake of those who track.
    #[inline]
    pub fn news(&self) -> u32 {
        match self.clients.load(Ordering::Acquire) {
            0 => 0,
            _ if self.prefixes() > 0 => news::TRACKED | news::BROADCAST,
            _ => news::TRACKED,
        }
    }

    pub fn clients(&self) -> u64 {
        self.clients.load(Ordering::Acquire)
    }

    pub fn prefixes(&self) -> u64 {
        self.prefixes.load(Ordering::Acquire)
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(|e| e.into_inner())
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(|e| e.into_inner())
    }

    /// A client tracks from here on as it says.
    pub fn enter(&self, id: TrackerId, home: (ShardId, Target), tracking: &Tracking) {
        let mut inner = self.write();
        let Tracking { redirect, broadcast, noloop, .. } = *tracking;
        inner.trackers.insert(id, Tracker { home, redirect, broadcast, noloop });
        for prefix in &tracking.prefixes {
            inner.prefixes.entry(prefix.clone()).or_default().insert(id);
        }
        self.count(&inner);
    }

    pub fn leave(&self, id: TrackerId, tracking: &Tracking) {
        let mut inner = self.write();
        inner.trackers.remove(&id);
        for prefix in &tracking.prefixes {
            if let Some(ids) = inner.prefixes.get_mut(prefix) {
                ids.remove(&id);
                if ids.is_empty() {
                    inner.prefixes.remove(prefix);
                }
            }
        }
        self.count(&inner);
    }

    fn count(&self, inner: &Inner) {
        self.clients.store(inner.trackers.len() as u64, Ordering::Release);
        self.prefixes.store(inner.prefixes.len() as u64, Ordering::Release);
    }

    /// Tells whom it concerns of what has become stale. Keys of one push go to those who want to hear of a
    /// prefix together, sorted.
    pub fn address(&self, clients: &Clients, stale: &[Stale], mut tell: impl FnMut(ShardId, Delivery)) {
        let inner = self.read();
        // By whom last, and whether that was its doing.
        let mut changed: BTreeMap<&[u8], (TrackerId, bool)> = BTreeMap::new();
        let mut send = |id: TrackerId, tracker: &Tracker, keys: Option<Frame>, own: bool| {
            let redirected = tracker.redirect != 0;
            let to = if redirected { clients.find(tracker.redirect) } else { Some(tracker.home) };
            let (shard, target, what) = match to {
                Some((shard, target)) => {
                    // Its own doing is told to a client after the answer to what it did.
                    let own = own && (shard, target) == tracker.home;
                    (shard, target, What::Stale { keys, redirected, own })
                }
                None => (tracker.home.0, tracker.home.1, What::RedirectBroken(tracker.redirect)),
            };
            debug_assert!(id != 0);
            tell(shard, Delivery { to: To::One(target), what });
        };
        for stale in stale {
            let (key, readers, writer) = match stale {
                Stale::All { writer } => {
                    for (id, tracker) in &inner.trackers {
                        send(*id, tracker, None, id == writer);
                    }
                    continue;
                }
                Stale::Forgotten { key, readers } => (key, readers, 0),
                Stale::Key { key, readers, writer, expired } => {
                    changed.insert(key, (*writer, !expired));
                    (key, readers, *writer)
                }
            };
            for id in readers {
                let Some(tracker) = inner.trackers.get(id) else { continue };
                let knows = tracker.noloop && *id == writer;
                if !tracker.broadcast && !knows {
                    send(*id, tracker, Some(key_list([&**key].into_iter())), *id == writer);
                }
            }
        }
        for (prefix, ids) in &inner.prefixes {
            let matching = || changed.iter().filter(|(key, _)| key.starts_with(prefix));
            if matching().next().is_none() {
                continue;
            }
            let all = key_list(matching().map(|(key, _)| *key).collect::<Vec<_>>().into_iter());
            for id in ids {
                let Some(tracker) = inner.trackers.get(id) else { continue };
                let own = matching().any(|(_, (writer, _))| writer == id);
                if !tracker.noloop || !own {
                    send(*id, tracker, Some(Frame::clone(&all)), own);
                    continue;
                }
                // Who reads a key that has expired has not changed it.
                let others = matching().filter(|(_, by)| **by != (*id, true));
                let others: Vec<&[u8]> = others.map(|(key, _)| *key).collect();
                let own = matching().any(|(_, by)| *by == (*id, false));
                if !others.is_empty() {
                    send(*id, tracker, Some(key_list(others.into_iter())), own);
                }
            }
        }
    }
}

/// An array of keys, the same in both protocols.
fn key_list<'a>(keys: impl ExactSizeIterator<Item = &'a [u8]>) -> Frame {
    let mut out = Vec::new();
    let mut reply = Reply::new(&mut out, Proto::Resp2);
    reply.array(keys.len());
    keys.for_each(|key| reply.bulk(key));
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(n: u32) -> (ShardId, Target) {
        (0, Target { conn: n, client: n })
    }

    /// What whom is told, as `client keys`, `client all` or `client broken`; `!` for its own doing.
    fn told(trackers: &Trackers, clients: &Clients, stale: &[Stale]) -> Vec<String> {
        let mut told = Vec::new();
        trackers.address(clients, stale, |_, delivery| {
            let who = delivery.to.as_slice()[0].client;
            told.push(match delivery.what {
                What::Stale { keys: Some(keys), own, .. } => {
                    let text = String::from_utf8_lossy(&keys).into_owned();
                    let keys: Vec<&str> = text.split("\r\n").skip(2).step_by(2).collect();
                    format!("{who} {}{}", keys.join(","), if own { "!" } else { "" })
                }
                What::Stale { keys: None, own, .. } => format!("{who} all{}", if own { "!" } else { "" }),
                What::RedirectBroken(to) => format!("{who} broken {to}"),
                What::Message(_) => unreachable!(),
            });
        });
        told
    }

    fn key(key: &str, readers: &[TrackerId], writer: TrackerId) -> Stale {
        Stale::Key { key: key.as_bytes().into(), readers: readers.into(), writer, expired: false }
    }

    #[test]
    fn readers_are_told_unless_they_wrote_it_and_do_not_care() {
        let (trackers, clients) = (Trackers::default(), Clients::default());
        assert_eq!(trackers.news(), 0);
        trackers.enter(1, home(1), &Tracking::default());
        trackers.enter(2, home(2), &Tracking { noloop: true, ..Tracking::default() });
        assert_eq!(trackers.news(), news::TRACKED);
        assert_eq!(told(&trackers, &clients, &[key("a", &[1, 2, 3], 2)]), ["1 a"]);
        assert_eq!(told(&trackers, &clients, &[key("a", &[1, 2], 1)]), ["1 a!", "2 a"]);
        assert_eq!(told(&trackers, &clients, &[Stale::All { writer: 2 }]), ["1 all", "2 all!"]);
        trackers.leave(1, &Tracking::default());
        trackers.leave(2, &Tracking::default());
        assert_eq!(trackers.news(), 0);
    }

    #[test]
    fn a_redirection_to_nobody_is_told_to_who_asked_for_it() {
        let (trackers, clients) = (Trackers::default(), Clients::default());
        trackers.enter(1, home(1), &Tracking { redirect: 9, ..Tracking::default() });
        assert_eq!(told(&trackers, &clients, &[key("a", &[1], 0)]), ["1 broken 9"]);
        let (shard, target) = home(9);
        clients.enter(9, shard, target);
        assert_eq!(told(&trackers, &clients, &[key("a", &[1], 1)]), ["9 a"]);
    }

    #[test]
    fn prefixes_hear_of_every_key_once_and_sorted() {
        let (trackers, clients) = (Trackers::default(), Clients::default());
        let broadcast = |prefixes: &[&str], noloop| Tracking {
            broadcast: true,
            noloop,
            prefixes: prefixes.iter().map(|p| p.as_bytes().into()).collect(),
            ..Tracking::default()
        };
        trackers.enter(1, home(1), &broadcast(&["a:", "b:"], false));
        trackers.enter(2, home(2), &broadcast(&[""], true));
        assert_eq!((trackers.clients(), trackers.prefixes()), (2, 3));
        let stale = [key("b:2", &[], 0), key("a:1", &[1], 2), key("b:1", &[], 0), key("b:2", &[], 0)];
        assert_eq!(told(&trackers, &clients, &stale), ["2 b:1,b:2", "1 a:1", "1 b:1,b:2"]);
        let forgotten = Stale::Forgotten { key: (*b"a:1").into(), readers: vec![1] };
        assert_eq!(told(&trackers, &clients, &[forgotten]), [""; 0]);
    }
}
