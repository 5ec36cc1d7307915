//! What the process knows of its snapshots: when the last one was taken and how that went, how many changes
//! have been made since, whether one is under way, and what is to be done next.
//!
//! Invariants: at most one background save is under way from the moment somebody asked for it until its file
//! has its name or is given up; `due` is set before shard 0 is woken, so that it is never overlooked. Written by
//! the shards (`commands::snapshot`, once per turn their changes) and by the control plane; nothing here waits.

use super::{Node, attention};
use crate::base::ShardId;
use crate::bridge::mail::{Receiver, Sender};
use crate::config::Settings;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::*};

/// A snapshot to be written to the file that `dbfilename` names.
pub struct SnapshotOrder {
    /// The file, piece by piece. Without `End` it is not whole.
    pub parts: Receiver<SnapshotPart>,
    /// Answered when everything is with the kernel, so that the server goes on while it is synced and gets its
    /// name; else when all of that is done.
    pub background: bool,
    /// Changes counted at the moment whose state it is.
    pub changes: u64,
    pub answer: Sender<Result<(), String>>,
}

pub enum SnapshotPart {
    Bytes(Vec<u8>),
    End,
}

/// What is to be done with all keyspaces held, on no client's behalf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// BGSAVE, or a save point.
    Snapshot,
    /// A signal asked for the end, and for a snapshot before it.
    Shutdown { force: bool, now: bool },
}

const SNAPSHOT: u32 = 1 << 0;
const SHUTDOWN: u32 = 1 << 1;
const FORCE: u32 = 1 << 2;
const NOW: u32 = 1 << 3;

/// A try after one that failed waits so long.
const RETRY_SECONDS: u64 = 5;
/// Points that nobody asked for may take this share of the time at most, and never longer than that at once
/// (`docs/decisions/snapshots.md`).
const UNASKED_SHARE: u64 = 1000;
const UNASKED_HELD_MS_MAX: u64 = 1000;
/// How fast a snapshot is written before one has shown it: bytes of memory per millisecond.
const ASSUMED_BYTES_PER_MS: u64 = 200_000;

/// What a save point leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    NotYet,
    /// So many changes in so many seconds.
    Due {
        changes: u64,
        seconds: u64,
    },
    /// Due, but nobody asked for points, and it would hold the server for so many milliseconds.
    TooLong(u64),
}

#[derive(Default)]
pub struct Snapshots {
    /// Per shard: changes to its keys since start, as of its last turn.
    changes: Box<[AtomicU64]>,
    /// How many of them are in the last snapshot.
    saved: AtomicU64,
    /// Unix time in seconds of the last snapshot, or of the start.
    last_save: AtomicU64,
    /// Of the last try in the background.
    last_try: AtomicU64,
    /// Since when one has been under way in the background; 0: none is.
    since: AtomicU64,
    /// How long the last one in the background took, plus one; 0: there was none.
    took: AtomicU64,
    saves: AtomicU64,
    failed: AtomicBool,
    /// How many milliseconds the last one held the server, and how many bytes of memory it wrote.
    held: Mutex<(u64, u64)>,
    due: AtomicU32,
    /// The warning about points that would hold the server too long was given.
    pub warned: AtomicBool,
    pub keys_loaded: AtomicU64,
    pub keys_expired: AtomicU64,
}

impl Snapshots {
    pub fn new(shards: ShardId, now_seconds: u64) -> Snapshots {
        Snapshots {
            changes: (0..shards).map(|_| AtomicU64::new(0)).collect(),
            last_save: AtomicU64::new(now_seconds),
            ..Snapshots::default()
        }
    }

    /// A shard's keys have seen so many changes.
    #[inline]
    pub fn note_changes(&self, shard: ShardId, changes: u64) {
        self.changes[shard as usize].store(changes, Relaxed);
    }

    /// Of these changes those that are in no snapshot.
    pub fn unsaved(&self, changes: u64) -> u64 {
        changes.saturating_sub(self.saved.load(Relaxed))
    }

    /// What is in memory now is what a file holds, after so many changes.
    pub fn is_saved(&self, changes: u64) {
        self.saved.store(changes, Relaxed);
    }

    pub fn last_save(&self) -> u64 {
        self.last_save.load(Relaxed)
    }

    pub fn saves(&self) -> u64 {
        self.saves.load(Relaxed)
    }

    pub fn failed(&self) -> bool {
        self.failed.load(Relaxed)
    }

    /// Seconds the last one in the background took.
    pub fn took(&self) -> Option<u64> {
        self.took.load(Relaxed).checked_sub(1)
    }

    /// Since when one has been under way in the background.
    pub fn under_way(&self) -> Option<u64> {
        Some(self.since.load(Acquire)).filter(|since| *since > 0)
    }

    /// Has shard 0 take a snapshot soon. False if one is under way.
    pub fn ask(&self, node: &Node, now_seconds: u64) -> bool {
        if self.since.compare_exchange(0, now_seconds.max(1), AcqRel, Acquire).is_err() {
            return false;
        }
        self.last_try.store(now_seconds, Relaxed);
        self.set_due(node, SNAPSHOT);
        true
    }

    /// Has shard 0 take a snapshot and end the server.
    pub fn ask_shutdown(&self, node: &Node, force: bool, now: bool) {
        let force = if force { FORCE } else { 0 };
        self.set_due(node, SHUTDOWN | force | if now { NOW } else { 0 });
    }

    fn set_due(&self, node: &Node, bits: u32) {
        self.due.fetch_or(bits, AcqRel);
        node.wakes[0].wake();
    }

    #[inline]
    pub fn is_due(&self) -> bool {
        self.due.load(Acquire) != 0
    }

    /// What is to be done next; the end comes before a snapshot of its own.
    pub fn take_due(&self) -> Option<Errand> {
        let due = self.due.load(Acquire);
        let taken = if due & SHUTDOWN != 0 { SHUTDOWN | FORCE | NOW } else { due & SNAPSHOT };
        self.due.fetch_and(!taken, AcqRel);
        match due {
            0 => None,
            _ if due & SHUTDOWN != 0 => {
                Some(Errand::Shutdown { force: due & FORCE != 0, now: due & NOW != 0 })
            }
            _ => Some(Errand::Snapshot),
        }
    }

    /// SAVE, BGSAVE or a save point begins one (`rdb_saves`).
    pub fn count(&self) {
        self.saves.fetch_add(1, Relaxed);
    }

    /// The last one held the server for so long, with so many bytes in memory.
    pub fn held(&self, ms: u64, bytes: u64) {
        *self.held.lock().unwrap_or_else(|e| e.into_inner()) = (ms, bytes);
    }

    /// For about how many milliseconds a snapshot of so many bytes of memory would hold the server.
    fn would_hold(&self, bytes: u64) -> u64 {
        let (ms, then) = *self.held.lock().unwrap_or_else(|e| e.into_inner());
        // What took no time says nothing.
        if then > 0 && ms >= 10 { ms * bytes / then } else { bytes / ASSUMED_BYTES_PER_MS }
    }

    /// How a snapshot ended that began after so many changes.
    pub fn ended(&self, node: &Node, ok: bool, changes: u64, background: bool, now_seconds: u64) {
        if ok {
            self.saved.store(changes, Relaxed);
            self.last_save.store(now_seconds, Relaxed);
        }
        if ok || background {
            self.failed.store(!ok, Relaxed);
        }
        if background {
            let since = self.since.swap(0, AcqRel);
            self.took.store(now_seconds.saturating_sub(since) + 1, Relaxed);
        }
        self.judge(node, &node.settings());
    }

    /// Whether writes are refused, now that a snapshot has ended or a setting has changed. Points that nobody
    /// asked for refuse none.
    pub fn judge(&self, node: &Node, settings: &Settings) {
        let asked = settings.save_is_asked && !settings.save.is_empty();
        node.attend(attention::SAVE_ERROR, self.failed() && asked && settings.stop_writes_on_bgsave_error);
    }

    /// Whether a save point is reached.
    pub fn look(&self, settings: &Settings, memory: u64, now_seconds: u64) -> Verdict {
        let changes = self.unsaved(self.changes.iter().map(|of| of.load(Relaxed)).sum());
        let elapsed = now_seconds.saturating_sub(self.last_save());
        let tried = now_seconds.saturating_sub(self.last_try.load(Relaxed)) > RETRY_SECONDS;
        if self.under_way().is_some() || self.failed() && !tried {
            return Verdict::NotYet;
        }
        let reached = |point: &&crate::config::SavePoint| changes >= point.changes && elapsed > point.seconds;
        let Some(point) = settings.save.iter().find(reached) else { return Verdict::NotYet };
        if !settings.save_is_asked {
            let ms = self.would_hold(memory);
            if ms > UNASKED_HELD_MS_MAX {
                return Verdict::TooLong(ms);
            }
            if elapsed * 1000 < ms * UNASKED_SHARE {
                return Verdict::NotYet;
            }
        }
        Verdict::Due { changes, seconds: point.seconds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SavePoint;

    fn points(list: &[(u64, u64)], asked: bool) -> Settings {
        let save = list.iter().map(|&(seconds, changes)| SavePoint { seconds, changes }).collect();
        Settings { save, save_is_asked: asked, ..Settings::default() }
    }

    #[test]
    fn a_point_needs_its_changes_and_more_than_its_seconds() {
        let it = Snapshots::new(2, 1000);
        let settings = points(&[(60, 5), (10, 100)], true);
        it.note_changes(0, 3);
        it.note_changes(1, 2);
        assert_eq!(it.look(&settings, 0, 1060), Verdict::NotYet);
        assert_eq!(it.look(&settings, 0, 1061), Verdict::Due { changes: 5, seconds: 60 });
        it.note_changes(1, 97);
        assert_eq!(it.look(&settings, 0, 1011), Verdict::Due { changes: 100, seconds: 10 });
        it.is_saved(100);
        assert_eq!(it.look(&settings, 0, 2000), Verdict::NotYet);
        assert_eq!(it.look(&points(&[], true), 0, 9000), Verdict::NotYet);
    }

    #[test]
    fn points_nobody_asked_for_hold_the_server_for_a_thousandth_of_the_time() {
        let it = Snapshots::new(1, 0);
        it.note_changes(0, 10);
        it.held(200, 50_000_000);
        let settings = points(&[(60, 1)], false);
        assert_eq!(it.look(&settings, 50_000_000, 199), Verdict::NotYet);
        assert_eq!(it.look(&settings, 50_000_000, 200), Verdict::Due { changes: 10, seconds: 60 });
        assert_eq!(it.look(&settings, 500_000_000, 9000), Verdict::TooLong(2000));
        // Who asked gets it.
        let due = Verdict::Due { changes: 10, seconds: 60 };
        assert_eq!(it.look(&points(&[(60, 1)], true), 500_000_000, 61), due);
    }

    #[test]
    fn the_end_comes_before_a_snapshot() {
        let it = Snapshots::new(1, 0);
        it.due.store(SNAPSHOT | SHUTDOWN | NOW, Relaxed);
        assert_eq!(it.take_due(), Some(Errand::Shutdown { force: false, now: true }));
        assert_eq!(it.take_due(), Some(Errand::Snapshot));
        assert_eq!(it.take_due(), None);
    }
}
