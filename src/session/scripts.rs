//! Scripts and functions as the whole process knows them: the cache that EVALSHA looks into, the
//! libraries, what was learned about the keys each script touches, and the scripts that take long.
//!
//! A shard keeps the scripts it has seen (`actor::script`) and asks here only for what it has not, or when
//! `flushed` says that they are gone. A function is looked up here each time, under locks that are only read
//! but for its first call and changes of libraries.

use crate::base::{Millis, ShardId};
use crate::command::intrinsic;
use crate::script::{Libraries, Script};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::*};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};

pub type Sha = [u8; 20];

/// Names and values, for people.
pub type ScriptFigures = Vec<(&'static str, String)>;

/// A script, or a function, with what was learned about it.
pub struct Known {
    /// None for a function.
    pub script: Option<Arc<Script>>,
    pub profile: Profile,
    /// The number of its native form in `intrinsic::ALL`.
    pub native: Option<usize>,
}

/// Which keys a script touches, as far as its runs have shown. A guess: a run that touches others
/// begins again with all shards, so a wrong guess costs time and nothing else.
#[derive(Default)]
pub struct Profile {
    state: AtomicU8,
    /// Arguments that are keys: bit `i` for ARGV[i + 1].
    argv: AtomicU64,
    /// Shards of keys that are neither (spelled out in the script, mostly): bit `i` for shard i.
    fixed: AtomicU64,
    pub calls: AtomicU64,
    /// Runs on one shard, on several, on all of several.
    pub one: AtomicU64,
    pub some: AtomicU64,
    pub all: AtomicU64,
    /// Runs that were undone and begun again with all shards.
    pub repeated: AtomicU64,
    pub micros: AtomicU64,
    /// Runs that were undone because they were about to change a value too large to be copied.
    pub large: AtomicU64,
    /// How many of the runs to come hold all shards at once for that.
    at_once: AtomicU32,
}

/// After a value too large to be copied, so many runs hold all shards from their beginning.
const AT_ONCE: u32 = 64;

/// No run has been seen.
const UNKNOWN: u8 = 0;
/// The keys are KEYS, the arguments in `argv`, and others on the same shards or those in `fixed`.
const FOLLOWS: u8 = 1;
/// Anything.
const ROAMS: u8 = 2;

impl Profile {
    /// The arguments that are keys, and the shards of other keys, as bits; none when the script must have
    /// all shards.
    pub fn keys(&self) -> Option<(u64, u64)> {
        (self.state.load(Relaxed) == FOLLOWS).then(|| (self.argv.load(Relaxed), self.fixed.load(Relaxed)))
    }

    /// Whether a run is to be watched, to learn from it.
    pub fn is_open(&self) -> bool {
        self.state.load(Relaxed) != ROAMS
    }

    /// A run on all shards has shown which arguments are keys, and on which shards others are; none when
    /// that cannot be said.
    pub fn learn(&self, argv: u64, fixed: Option<u64>) {
        self.argv.fetch_or(argv, Relaxed);
        self.fixed.fetch_or(fixed.unwrap_or(0), Relaxed);
        let state = if fixed.is_some() { FOLLOWS } else { ROAMS };
        // Who roams once roams until SCRIPT FLUSH.
        self.state.fetch_max(state, Relaxed);
    }

    /// A run touched a shard it did not hold.
    pub fn missed(&self) {
        let missed = self.repeated.fetch_add(1, Relaxed) + 1;
        if missed >= 2 && missed * 16 > self.calls.load(Relaxed) {
            self.state.store(ROAMS, Relaxed);
        }
    }

    /// A run was about to change a value too large to be copied: the next ones will probably, too.
    pub fn met_large(&self) {
        self.large.fetch_add(1, Relaxed);
        self.at_once.store(AT_ONCE, Relaxed);
    }

    /// Whether the run that begins is better not tried on few shards. Counts it.
    pub fn begins_with_all(&self) -> bool {
        self.at_once.load(Relaxed) > 0
            && self.at_once.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    /// For people: how its keys are found out, and how often it ran in which form.
    fn figures(&self, native: u64) -> ScriptFigures {
        let count = |counter: &AtomicU64| counter.load(Relaxed).to_string();
        vec![
            ("keys", self.form().into()),
            ("native", native.to_string()),
            ("calls", count(&self.calls)),
            ("one_shard", count(&self.one)),
            ("several_shards", count(&self.some)),
            ("all_shards", count(&self.all)),
            ("repeated", count(&self.repeated)),
            ("large_values", count(&self.large)),
            ("usec", count(&self.micros)),
        ]
    }

    fn form(&self) -> &'static str {
        match self.state.load(Relaxed) {
            UNKNOWN => "unknown",
            FOLLOWS if self.keys() == Some((0, 0)) => "declared",
            FOLLOWS => "learned",
            _ => "roams",
        }
    }
}

/// A script that takes longer than `busy-reply-threshold`.
pub struct Running {
    /// The function's name; none for EVAL.
    pub function: Option<Vec<u8>>,
    /// The command that called it.
    pub command: Vec<Vec<u8>>,
    pub started: Millis,
    /// The shards nobody else can use.
    pub shards: Vec<ShardId>,
    /// `UNTOUCHED`, `WROTE` or `KILLED`: who comes first, its first change or the kill.
    state: AtomicU8,
}

/// It has changed nothing so far.
const UNTOUCHED: u8 = 0;
/// It cannot be killed any more.
const WROTE: u8 = 1;
const KILLED: u8 = 2;

impl Running {
    pub fn new(
        function: Option<Vec<u8>>,
        command: Vec<Vec<u8>>,
        started: Millis,
        shards: Vec<ShardId>,
        wrote: bool,
    ) -> Running {
        let state = AtomicU8::new(if wrote { WROTE } else { UNTOUCHED });
        Running { function, command, started, shards, state }
    }

    /// It is about to change something. False when it was killed before.
    pub fn writes(&self) -> bool {
        self.state.compare_exchange(UNTOUCHED, WROTE, AcqRel, Acquire) != Err(KILLED)
    }

    pub fn is_killed(&self) -> bool {
        self.state.load(Acquire) == KILLED
    }

    /// False when it has changed something.
    fn kill(&self) -> bool {
        self.state.compare_exchange(UNTOUCHED, KILLED, AcqRel, Acquire) != Err(WROTE)
    }

    fn wrote(&self) -> bool {
        self.state.load(Acquire) == WROTE
    }
}

#[derive(Default)]
pub struct Scripts {
    cache: RwLock<HashMap<Sha, Arc<Known>>>,
    flushed: AtomicU64,
    libraries: RwLock<Arc<Libraries>>,
    /// One change of the libraries at a time.
    changing: Mutex<()>,
    functions: RwLock<HashMap<Box<[u8]>, Arc<Known>>>,
    running: Mutex<Vec<Arc<Running>>>,
    /// DEBUG SET-DISABLE-DENY-SCRIPTS: scripts may run what they otherwise may not.
    pub run_denied: AtomicBool,
    /// Bytes of Lua memory, per shard.
    memory: Mutex<Vec<usize>>,
}

/// Which kill was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kill {
    Script,
    Function,
}

pub const BUSY_SCRIPT: &str =
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
const UNKILLABLE: &str = "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.";
pub const BUSY_FUNCTION: &str =
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.";

impl Scripts {
    pub fn find(&self, sha: &Sha) -> Option<Arc<Known>> {
        self.cache.read().unwrap_or_else(|e| e.into_inner()).get(sha).cloned()
    }

    /// Puts a script into the cache, unless it is there.
    pub fn insert(&self, script: Script) -> Arc<Known> {
        let mut cache = self.cache.write().unwrap_or_else(|e| e.into_inner());
        let sha = *script.sha();
        let make = || {
            let native = intrinsic::find(script.hex());
            Arc::new(Known { script: Some(Arc::new(script)), profile: Profile::default(), native })
        };
        Arc::clone(cache.entry(sha).or_insert_with(make))
    }

    /// SCRIPT FLUSH.
    pub fn flush(&self) {
        self.cache.write().unwrap_or_else(|e| e.into_inner()).clear();
        self.flushed.fetch_add(1, Release);
    }

    /// How often the cache was emptied: a shard forgets its own when this changes.
    pub fn flushed(&self) -> u64 {
        self.flushed.load(Acquire)
    }

    /// How many scripts are cached, and the bytes they take.
    pub fn counts(&self) -> (usize, usize) {
        let cache = self.cache.read().unwrap_or_else(|e| e.into_inner());
        let bytes =
            |known: &Arc<Known>| known.script.as_ref().map_or(0, |s| s.body().len()) + size_of::<Known>();
        (cache.len(), cache.values().map(bytes).sum())
    }

    /// How every script and function that was called has run, by its name. `native` tells how often the native
    /// form with this number did.
    pub fn figures(&self, native: impl Fn(usize) -> u64) -> Vec<(String, ScriptFigures)> {
        let cache = self.cache.read().unwrap_or_else(|e| e.into_inner());
        let hex = |known: &Known| match &known.script {
            Some(script) => String::from_utf8_lossy(script.hex()).into_owned(),
            None => String::new(),
        };
        let functions = self.functions.read().unwrap_or_else(|e| e.into_inner());
        let name = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let scripts = cache.values().map(|known| (hex(known), known));
        let all = scripts.chain(functions.iter().map(|(f, known)| (name(f), known)));
        let mut figures: Vec<_> = all
            .map(|(name, known)| (name, known, known.native.map_or(0, &native)))
            .filter(|(_, known, native)| *native > 0 || known.profile.calls.load(Relaxed) > 0)
            .map(|(name, known, native)| (name, known.profile.figures(native)))
            .collect();
        figures.sort();
        figures
    }

    pub fn libraries(&self) -> Arc<Libraries> {
        Arc::clone(&self.libraries.read().unwrap_or_else(|e| e.into_inner()))
    }

    /// Replaces the libraries by a changed copy. Calls go on with the old ones while it is made, which may run Lua.
    pub fn change_libraries<T, E>(
        &self,
        change: impl FnOnce(&mut Libraries) -> Result<T, E>,
    ) -> Result<T, E> {
        let _changing = self.changing.lock().unwrap_or_else(|e| e.into_inner());
        let mut changed = Libraries::clone(&self.libraries());
        let done = change(&mut changed)?;
        *self.libraries.write().unwrap_or_else(|e| e.into_inner()) = Arc::new(changed);
        self.functions.write().unwrap_or_else(|e| e.into_inner()).clear();
        Ok(done)
    }

    /// As FUNCTION FLUSH.
    pub fn empty_libraries(&self) {
        let emptied: Result<(), ()> = self.change_libraries(|libraries| {
            libraries.flush();
            Ok(())
        });
        emptied.unwrap_or_else(|()| unreachable!("nothing there can fail"));
    }

    /// What is known about a function.
    pub fn function(&self, name: &[u8]) -> Arc<Known> {
        let name = name.to_ascii_lowercase().into_boxed_slice();
        if let Some(known) = self.functions.read().unwrap_or_else(|e| e.into_inner()).get(&name) {
            return Arc::clone(known);
        }
        let mut functions = self.functions.write().unwrap_or_else(|e| e.into_inner());
        let make = || Arc::new(Known { script: None, profile: Profile::default(), native: None });
        Arc::clone(functions.entry(name).or_insert_with(make))
    }

    fn running(&self) -> MutexGuard<'_, Vec<Arc<Running>>> {
        self.running.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// A script turns out to take long. `tell` is called before anybody else can begin or end.
    pub fn begins(&self, begun: Arc<Running>, tell: impl FnOnce()) {
        let mut running = self.running();
        running.push(begun);
        tell();
    }

    /// It has ended. `tell` is called if no other goes on, before one can begin.
    pub fn ends(&self, ended: &Arc<Running>, tell: impl FnOnce()) {
        let mut running = self.running();
        running.retain(|other| !Arc::ptr_eq(other, ended));
        if running.is_empty() {
            tell();
        }
    }

    /// What a client hears whose command concerns these shards (all of them: none given), while a long
    /// script has one of them.
    pub fn busy(&self, shards: Option<&[ShardId]>) -> Option<&'static str> {
        let running = self.running();
        let concerned = |r: &&Arc<Running>| shards.is_none_or(|of| of.iter().any(|s| r.shards.contains(s)));
        let text = |r: &Arc<Running>| if r.function.is_some() { BUSY_FUNCTION } else { BUSY_SCRIPT };
        running.iter().find(concerned).map(text)
    }

    /// The function that runs, or the script, for FUNCTION STATS.
    pub fn slow(&self) -> Option<Arc<Running>> {
        self.running().first().cloned()
    }

    /// SCRIPT KILL and FUNCTION KILL.
    pub fn kill(&self, kill: Kill) -> Result<(), &'static str> {
        let running = self.running();
        if running.is_empty() {
            return Err("NOTBUSY No scripts in execution right now.");
        }
        let killable: Vec<_> = running.iter().filter(|r| !r.wrote()).collect();
        if killable.is_empty() {
            return Err(UNKILLABLE);
        }
        let meant = |r: &&&Arc<Running>| r.function.is_some() == (kill == Kill::Function);
        if !killable.iter().any(|r| meant(&r)) {
            return Err(if kill == Kill::Script { BUSY_FUNCTION } else { BUSY_SCRIPT });
        }
        // What writes at this very moment is too late to be killed.
        match killable.iter().filter(meant).filter(|r| r.kill()).count() {
            0 => Err(UNKILLABLE),
            _ => Ok(()),
        }
    }

    /// A shard tells how much memory its Lua takes.
    pub fn note_memory(&self, shard: ShardId, bytes: usize) {
        let mut memory = self.memory.lock().unwrap_or_else(|e| e.into_inner());
        if memory.len() <= shard as usize {
            memory.resize(shard as usize + 1, 0);
        }
        memory[shard as usize] = bytes;
    }

    pub fn memory(&self) -> usize {
        self.memory.lock().unwrap_or_else(|e| e.into_inner()).iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_misses_again_and_again_is_said_to_roam() {
        let profile = Profile::default();
        assert!(profile.keys().is_none() && profile.is_open());
        profile.learn(0b100, Some(0b1));
        assert_eq!(profile.keys(), Some((0b100, 0b1)));
        profile.calls.store(100, Relaxed);
        (0..6).for_each(|_| profile.missed());
        assert_eq!(profile.form(), "learned");
        profile.missed();
        assert_eq!((profile.form(), profile.is_open()), ("roams", false));
        profile.learn(0, Some(0));
        assert_eq!(profile.form(), "roams");
    }

    #[test]
    fn only_what_has_not_written_is_killed() {
        let scripts = Scripts::default();
        assert!(scripts.kill(Kill::Script).unwrap_err().starts_with("NOTBUSY"));
        let begin = |wrote| {
            let running = Arc::new(Running::new(None, Vec::new(), 0, vec![1], wrote));
            scripts.begins(Arc::clone(&running), || {});
            running
        };
        let wrote = begin(true);
        assert_eq!(scripts.busy(Some(&[0])), None);
        assert_eq!(scripts.busy(None), Some(BUSY_SCRIPT));
        assert!(scripts.kill(Kill::Script).unwrap_err().starts_with("UNKILLABLE"));
        let running = begin(false);
        assert_eq!(scripts.kill(Kill::Function), Err(BUSY_SCRIPT));
        assert_eq!(scripts.kill(Kill::Script), Ok(()));
        assert!(running.is_killed() && !running.writes() && !wrote.is_killed());
        let mut told = false;
        scripts.ends(&wrote, || told = true);
        assert!(!told);
        scripts.ends(&running, || told = true);
        assert!(told);
    }
}
