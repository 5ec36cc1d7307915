//! Scripts that have a native form (`command::intrinsic`): recognised here, and then run like any command.
//!
//! A script is told by the bytes of its body, which this shard has hashed once with SHA1, or by the name
//! EVALSHA gives. Its native form is taken only if nobody could tell the difference: not while somebody
//! watches with MONITOR, which shows what a script calls, not for a client that tracks what a script
//! reads, not while writes are refused, and not for arguments that the native form does not know.

use super::Actor;
use crate::command::{CommandId, acl, flag, intrinsic};
use crate::resp::Args;
use crate::router::{self, Plan};
use crate::script::{self, Script};
use crate::session::{Known, Sha, attention, state};
use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Scripts that this shard has seen.
pub(super) struct Seen {
    by_sha: HashMap<Sha, Arc<Known>, ahash::RandomState>,
    by_body: HashSet<ByBody, ahash::RandomState>,
    /// `Scripts::flushed` when they were seen.
    flushed: u64,
}

/// A script under its own text.
struct ByBody(Arc<Known>);

impl Borrow<[u8]> for ByBody {
    fn borrow(&self) -> &[u8] {
        self.0.script.as_ref().map_or(&[], |script| script.body())
    }
}

impl PartialEq for ByBody {
    fn eq(&self, other: &ByBody) -> bool {
        Borrow::<[u8]>::borrow(self) == Borrow::<[u8]>::borrow(other)
    }
}

impl Eq for ByBody {}

impl Hash for ByBody {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Borrow::<[u8]>::borrow(self).hash(state);
    }
}

impl Seen {
    pub(super) fn new(hasher: ahash::RandomState) -> Seen {
        Seen {
            by_sha: HashMap::with_hasher(hasher.clone()),
            by_body: HashSet::with_hasher(hasher),
            flushed: 0,
        }
    }

    pub(super) fn forget(&mut self, flushed: u64) {
        self.by_sha.clear();
        self.by_body.clear();
        self.flushed = flushed;
    }

    /// The script that EVAL's body or EVALSHA's name stands for.
    fn get(&self, by_sha: bool, word: &[u8]) -> Option<&Arc<Known>> {
        match by_sha {
            true => self.by_sha.get(&script::parse_sha(word)?),
            false => self.by_body.get(word).map(|ByBody(known)| known),
        }
    }

    fn insert(&mut self, known: &Arc<Known>) {
        if let Some(script) = &known.script {
            self.by_sha.insert(*script.sha(), Arc::clone(known));
            self.by_body.insert(ByBody(Arc::clone(known)));
        }
    }
}

impl Actor {
    /// The script that EVAL's body or EVALSHA's name stands for, if this shard or another has seen it.
    pub(super) fn seen_script(&mut self, by_sha: bool, word: &[u8]) -> Option<&Arc<Known>> {
        let scripts = &self.node.scripts;
        let flushed = scripts.flushed();
        if self.scripting.seen.flushed != flushed {
            self.scripting.forget(flushed);
        }
        if self.scripting.seen.get(by_sha, word).is_none() {
            let sha = if by_sha { script::parse_sha(word)? } else { script::sha1(word) };
            let known = scripts.find(&sha)?;
            self.scripting.seen.insert(&known);
        }
        self.scripting.seen.get(by_sha, word)
    }

    /// The row of a script's native form, if it has one that can take these arguments now. `learns`: EVAL
    /// puts it into the cache.
    pub(super) fn native(
        &mut self,
        key: usize,
        id: CommandId,
        args: Args<'_>,
        learns: bool,
    ) -> Option<CommandId> {
        const UNLESS: u32 = attention::MONITOR | attention::REFUSES_WRITES | attention::BUSY;
        let first = self.node.table.native(id, 0)?;
        if !self.settings.script_intrinsics
            || self.node.attention() & UNLESS != 0
            || self.sessions[key].is(state::TRACKING)
        {
            return None;
        }
        let (by_sha, word) = (self.node.table.is_by_sha(id), args.at(1));
        let number = match self.seen_script(by_sha, word) {
            Some(known) => known.native?,
            None if by_sha || !learns => return None,
            None => {
                let script = Script::parse(word).ok()?;
                let number = intrinsic::find(script.hex())?;
                if (intrinsic::ALL[number].fits)(args) {
                    // It is known to compile.
                    self.node.scripts.insert(script);
                }
                number
            }
        };
        (intrinsic::ALL[number].fits)(args).then_some(first + number as CommandId)
    }

    /// Who waits for keys of several shards gets what came first: one place must know what that was.
    pub(super) fn feeds_spread_waiters(&self, id: CommandId) -> bool {
        let spec = self.node.table.spec(id);
        spec.has(flag::WRITE) && spec.acl & acl::SORTEDSET != 0 && self.node.has_spread_waiters()
    }

    /// Runs a script in its native form.
    pub(super) fn native_command(&mut self, key: usize, id: CommandId, args: Args<'_>) {
        let silent = self.sessions[key].is(state::REPLY_OFF | state::REPLY_SKIP);
        let plan = router::plan(self.node.table.spec(id), args, &self.node.placement);
        match plan {
            // What runs here writes straight into the output.
            Ok(Plan::One(shard)) if silent => drop(self.forward(key, shard, id, args)),
            _ => self.dispatch(key, id, args),
        }
    }
}
