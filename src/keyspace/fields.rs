//! Fields of hashes whose time has come: removed a few per turn, as `Keyspace::expire_some` does it
//! with keys. Readers do not see such fields anyway; this gives their memory back and tells the
//! journal, the watchers and whoever asked for events. Without any field that expires it costs one
//! look per database.

use super::{KeyEvent, Keyspace};
use crate::base::Millis;
use crate::config::EventClasses;
use crate::journal::ChunkWriter;
use crate::resp::Args;
use crate::structure::heap::taken_by_this_thread;

impl Keyspace {
    /// Removes fields past their time, at most about `budget` steps of work per database, and keys without
    /// a field left. `news`: what to tell of. Returns whether more may be due.
    pub fn expire_fields_some(
        &mut self,
        now: Millis,
        budget: usize,
        news: u32,
        mut effects: Option<&mut ChunkWriter>,
    ) -> bool {
        let mut behind = false;
        let before = taken_by_this_thread();
        let mut aside = 0;
        for index in 0..self.dbs.len() {
            let Keyspace { dbs, watch, blocked, stats, events, tracking, stale, .. } = self;
            let db = &mut dbs[index];
            if db.expiring_hashes() == 0 {
                continue;
            }
            behind |= db.pop_expired_fields(now, budget, |key, names, emptied| {
                let from = taken_by_this_thread();
                stats.expired_fields += names.len() as u64;
                watch.touch(index, key, emptied);
                blocked.touch(index, key);
                stale.extend(tracking.changed(key, news, 0));
                if let Some(effects) = &mut effects {
                    journal(effects, index as u32, key, names, emptied);
                }
                let mut event = |class, name| {
                    if news & class != 0 {
                        events.push(KeyEvent { db: index, class, name, key: key.into() });
                    }
                };
                event(EventClasses::HASH, "hexpired");
                if emptied {
                    event(EventClasses::GENERIC, "del");
                }
                aside += taken_by_this_thread() - from;
            });
        }
        self.heap += taken_by_this_thread() - before - aside;
        if behind {
            self.stats.expire_cycles_capped += 1;
        }
        behind
    }
}

/// What replays it: the fields that went, or the key.
fn journal(effects: &mut ChunkWriter, db: u32, key: &[u8], names: Args<'_>, emptied: bool) {
    if emptied {
        return effects.effect(db, [&b"DEL"[..], key]);
    }
    effects.effect_head(db, names.len() + 2);
    effects.arg(b"HDEL");
    effects.arg(key);
    names.iter().for_each(|name| effects.arg(name));
}
