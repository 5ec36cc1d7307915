//! The process as all its shards see it. Everything in here is shared between threads: immutable since
//! start, an atomic, or behind a lock that no command takes on its ordinary path.

use super::commands::{self, SessionRun};
use super::{Clients, JournalMarks, LatencyMonitor, Registry, ScriptFigures, Scripts, Slowlog, Trackers};
use super::{SnapshotOrder, Snapshots};
use crate::base::{Millis, ShardId};
use crate::bridge::{Cell, Inbox, Wake, mail::Receiver, mail::Sender};
use crate::command::{CommandId, CommandTable};
use crate::config::Settings;
use crate::journal::Chunk;
use crate::keyspace::{Placement, Waiter};
use crate::shard::{Engine, ErrorCounts, Parcel, Tally, UnitId};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering::*};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

/// What a shard has for the control plane.
pub enum Control {
    /// A turn's effects, for the journal.
    Chunk(Chunk),
    /// CONFIG SET changed these parameters (a log level, the fsync policy ...).
    SettingsChanged(Vec<&'static str>),
    /// Write the configuration file anew, with `everything` parameters at their defaults too; a reason
    /// or nothing goes back.
    RewriteConfig { everything: bool, answer: Sender<Result<(), String>> },
    /// Stop the process, as SHUTDOWN or a signal asked; with a snapshot taken, or without.
    Shutdown { force: bool, now: bool, saved: bool },
    /// Write everything handed over so far, then answer (DEBUG LOADAOF).
    Flush(Sender<Result<(), String>>),
    /// Make a new base of all keyspaces, which are held meanwhile (BGREWRITEAOF, CONFIG SET appendonly yes).
    Rewrite(BaseOrder),
    /// Write and sync what was handed over, and be done (CONFIG SET appendonly no).
    EndJournal(Sender<Result<(), String>>),
    /// Write what is in memory to the snapshot's file.
    Snapshot(SnapshotOrder),
}

/// A base to be written.
pub struct BaseOrder {
    /// The base, piece by piece. Without `End` it is not whole.
    pub parts: Receiver<BasePart>,
    /// With it the journal begins, and these are the numbers of the shards' next chunks; else it goes on, or
    /// there is none.
    pub begin: Option<Vec<u64>>,
    pub answer: Sender<Result<(), String>>,
}

pub enum BasePart {
    /// Of the one stream that the base is.
    Chunk(Chunk),
    End,
}

/// What only the process as a whole can do for a command.
pub trait Host: Send + Sync {
    /// Brings a changed parameter into force that is more than a value (`port`, `bind`, `dir`), or says why not
    /// in the words of the error reply. All is then as before. May write the parameter's value in full.
    fn apply(&self, name: &'static str, settings: &mut Settings) -> Result<(), String>;
    /// Fills empty keyspaces with what the append only files hold (DEBUG LOADAOF).
    fn load(&self, node: &Node, engines: &mut [&mut Engine], now: Millis) -> Result<(), String>;
    /// Adds what the snapshot's file holds (DEBUG RELOAD).
    fn load_snapshot(
        &self,
        node: &Node,
        engines: &mut [&mut Engine],
        now: Millis,
        reload: Reload,
    ) -> Result<(), String>;
}

/// How a snapshot is loaded into keyspaces that serve.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reload {
    /// What is there already is replaced by what the file holds; else it refuses the file.
    pub merge: bool,
    /// Keys past their time are loaded too: the journal has no DEL for them yet.
    pub keep_expired: bool,
}

/// Facts fixed at start, for INFO and friends.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub run_id: String,
    pub executable: String,
    pub config_file: String,
    pub pid: u32,
    pub tcp_port: u16,
    pub started: Millis,
    pub os: String,
    pub total_system_memory: u64,
    pub ticks_per_micro: f64,
    /// `used_memory` before the first client.
    pub startup_memory: u64,
}

/// What only the operating system knows of the process. Times are microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    pub rss: u64,
    pub cpu_sys: u64,
    pub cpu_user: u64,
    pub cpu_sys_children: u64,
    pub cpu_user_children: u64,
    /// System and user time of the thread that asks.
    pub cpu_thread: Option<(u64, u64)>,
}

/// CLIENT PAUSE: until when, and whether reads pause too.
#[derive(Clone, Copy, Default, Debug)]
pub struct Pause {
    pub until: Millis,
    pub all: bool,
}

/// Bits of `Node::attention`: why commands cannot simply run.
pub mod attention {
    pub const PAUSE: u32 = 1 << 0;
    /// Somebody watches with MONITOR.
    pub const MONITOR: u32 = 1 << 1;
    /// The journal has failed: writes are refused.
    pub const WRITE_ERROR: u32 = 1 << 2;
    /// DEBUG SLEEP: every shard's thread is to sleep.
    pub const SLEEP: u32 = 1 << 3;
    /// A script takes longer than `busy-reply-threshold`.
    pub const BUSY: u32 = 1 << 4;
    /// The last snapshot failed: writes are refused (`stop-writes-on-bgsave-error`).
    pub const SAVE_ERROR: u32 = 1 << 5;
    /// Either.
    pub const REFUSES_WRITES: u32 = WRITE_ERROR | SAVE_ERROR;
}

/// What Redis says then.
const SAVE_ERROR: &str = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to \
     persist to disk. Commands that may modify the data set are disabled, because this instance is configured \
     to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please \
     check the Redis logs for details about the RDB error.";

pub struct Node {
    pub placement: Placement,
    pub table: CommandTable,
    pub cells: Box<[Cell<Engine>]>,
    session_runs: Box<[Option<SessionRun>]>,
    pub inboxes: Box<[Inbox<Box<Parcel>>]>,
    pub wakes: Box<[Wake]>,
    pub tallies: Box<[Tally]>,
    pub journal: JournalMarks,
    pub snapshots: Snapshots,
    pub slowlog: Slowlog,
    /// Who is subscribed to what.
    pub registry: Registry,
    pub clients: Clients,
    pub trackers: Trackers,
    pub scripts: Scripts,
    pub latency: LatencyMonitor,
    pub errors: ErrorCounts,
    pub facts: Facts,
    pub control: Sender<Control>,
    /// Wakes the control plane when something was sent.
    pub control_wake: Wake,
    /// Bits of `attention`.
    pub attention: AtomicU32,
    pub active_expire: AtomicBool,
    /// DEBUG PAUSE-CRON.
    pub cron_paused: AtomicBool,
    pub loading: AtomicBool,
    settings: RwLock<Arc<Settings>>,
    settings_version: AtomicU64,
    pause: Mutex<Pause>,
    next_client: AtomicU64,
    next_unit: AtomicU64,
    /// Clients that wait for keys of several shards.
    spread_waiters: AtomicU64,
    /// Connections over all shards, against `maxclients`.
    pub connected: AtomicU64,
    /// Clients in MONITOR.
    monitors: Mutex<u32>,
    /// DEBUG SLEEP: until when, in microseconds since the epoch.
    asleep_until: AtomicU64,
    process: OnceLock<fn() -> Process>,
    host: OnceLock<Box<dyn Host>>,
    /// Bytes the process has allocated, refreshed by the shards every turn (`used_memory`), and the most so far.
    pub used_memory: AtomicU64,
    pub used_memory_peak: AtomicU64,
    /// INFO's instantaneous rates, refreshed by the metrics actor.
    pub ops_per_sec: AtomicU64,
    pub input_kbps: AtomicU64,
    pub output_kbps: AtomicU64,
    /// Counters' values at the last CONFIG RESETSTAT.
    pub baseline: Mutex<super::commands::info::Baseline>,
    pub journal_errors: Mutex<Option<String>>,
    /// Of all files of the journal, and of its base.
    pub journal_bytes: AtomicU64,
    pub base_bytes: AtomicU64,
    /// The `dir` of the running journal: it stays where it began when CONFIG SET moves the server.
    journal_dir: Mutex<PathBuf>,
    /// Bases written since start, and whether the last could not be.
    pub rewrites: AtomicU64,
    pub rewrite_failed: AtomicBool,
    pub clock_offset: AtomicI64,
}

impl Node {
    pub fn new(
        placement: Placement,
        table: CommandTable,
        settings: Settings,
        facts: Facts,
        control: Sender<Control>,
        cells: Box<[Cell<Engine>]>,
    ) -> Node {
        let shards = placement.shards();
        let commands = table.len();
        let registry = Registry::new(placement.hasher(), shards);
        let session_runs = table.rows().map(|(_, row)| commands::find(&row.full_name)).collect();
        Node {
            placement,
            table,
            cells,
            session_runs,
            inboxes: (0..shards).map(|_| Inbox::default()).collect(),
            wakes: (0..shards).map(|_| Wake::default()).collect(),
            tallies: (0..shards).map(|_| Tally::new(commands)).collect(),
            journal: JournalMarks::new(shards),
            snapshots: Snapshots::new(shards, facts.started / 1000),
            slowlog: Slowlog::default(),
            registry,
            clients: Clients::default(),
            trackers: Trackers::default(),
            scripts: Scripts::default(),
            latency: LatencyMonitor::default(),
            errors: ErrorCounts::default(),
            facts,
            control,
            control_wake: Wake::default(),
            attention: AtomicU32::new(0),
            active_expire: AtomicBool::new(true),
            cron_paused: AtomicBool::new(false),
            loading: AtomicBool::new(false),
            settings: RwLock::new(Arc::new(settings)),
            settings_version: AtomicU64::new(1),
            pause: Mutex::new(Pause::default()),
            next_client: AtomicU64::new(1),
            next_unit: AtomicU64::new(1),
            spread_waiters: AtomicU64::new(0),
            connected: AtomicU64::new(0),
            monitors: Mutex::new(0),
            asleep_until: AtomicU64::new(0),
            process: OnceLock::new(),
            host: OnceLock::new(),
            used_memory: AtomicU64::new(0),
            used_memory_peak: AtomicU64::new(0),
            ops_per_sec: AtomicU64::new(0),
            input_kbps: AtomicU64::new(0),
            output_kbps: AtomicU64::new(0),
            baseline: Mutex::default(),
            journal_errors: Mutex::new(None),
            journal_bytes: AtomicU64::new(0),
            base_bytes: AtomicU64::new(0),
            journal_dir: Mutex::default(),
            rewrites: AtomicU64::new(0),
            rewrite_failed: AtomicBool::new(false),
            clock_offset: AtomicI64::new(0),
        }
    }

    pub fn shards(&self) -> ShardId {
        self.placement.shards()
    }

    /// The handler of a command that concerns the session.
    pub fn session_run(&self, id: CommandId) -> Option<SessionRun> {
        self.session_runs[id as usize]
    }

    /// Why the journal stopped taking effects, if it has.
    pub fn journal_error(&self) -> String {
        self.journal_errors.lock().unwrap_or_else(|e| e.into_inner()).clone().unwrap_or_default()
    }

    /// The error line for a command that writes, when writes are refused.
    pub fn write_refusal(&self) -> Option<String> {
        let attention = self.attention();
        if attention & attention::WRITE_ERROR != 0 {
            return Some(format!("MISCONF Errors writing to the AOF file: {}", self.journal_error()));
        }
        (attention & attention::SAVE_ERROR != 0).then(|| SAVE_ERROR.to_owned())
    }

    pub fn next_client(&self) -> u64 {
        self.next_client.fetch_add(1, Relaxed)
    }

    pub fn next_unit(&self) -> UnitId {
        self.next_unit.fetch_add(1, Relaxed)
    }

    pub fn settings(&self) -> Arc<Settings> {
        self.settings.read().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// Changes whenever the settings do: shards compare it once per turn.
    #[inline]
    pub fn settings_version(&self) -> u64 {
        self.settings_version.load(Acquire)
    }

    /// Replaces the settings if `change` makes new ones; only one change at a time.
    pub fn change_settings<E>(&self, change: impl FnOnce(&Settings) -> Result<Settings, E>) -> Result<(), E> {
        let mut current = self.settings.write().unwrap_or_else(|e| e.into_inner());
        *current = Arc::new(change(&current)?);
        self.settings_version.fetch_add(1, Release);
        Ok(())
    }

    pub fn attend(&self, bit: u32, on: bool) {
        if on {
            self.attention.fetch_or(bit, Release);
        } else {
            self.attention.fetch_and(!bit, Release);
        }
    }

    #[inline]
    pub fn attention(&self) -> u32 {
        self.attention.load(Acquire)
    }

    pub fn pause(&self) -> Pause {
        *self.pause.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// CLIENT PAUSE and UNPAUSE. A pause is never shortened by a later, weaker one (Redis's rule), except
    /// by UNPAUSE (`until` 0).
    pub fn set_pause(&self, wanted: Pause) {
        let mut pause = self.pause.lock().unwrap_or_else(|e| e.into_inner());
        *pause = if wanted.until == 0 {
            wanted
        } else {
            Pause { until: pause.until.max(wanted.until), all: wanted.all || pause.all && pause.until > 0 }
        };
        self.attend(attention::PAUSE, pause.until > 0);
    }

    /// A client has entered or left MONITOR.
    pub fn count_monitor(&self, enters: bool) {
        let mut monitors = self.monitors.lock().unwrap_or_else(|e| e.into_inner());
        *monitors = if enters { *monitors + 1 } else { monitors.saturating_sub(1) };
        self.attend(attention::MONITOR, *monitors > 0);
    }

    /// DEBUG SLEEP: all shards stop until then, as the only thread of Redis does.
    pub fn sleep_until(&self, until_micros: u64) {
        self.asleep_until.fetch_max(until_micros, AcqRel);
        self.attend(attention::SLEEP, true);
        self.wake_all();
    }

    /// For how many microseconds this thread is to sleep.
    pub fn sleeps_for(&self, now_micros: u64) -> u64 {
        let left = self.asleep_until.load(Acquire).saturating_sub(now_micros);
        if left == 0 {
            self.attend(attention::SLEEP, false);
        }
        left
    }

    /// Whether a waiter's keys live on several shards.
    pub fn waits_over_shards(&self, waiter: &Waiter) -> bool {
        let mut shards = waiter.wait.keys.iter().map(|k| self.placement.shard(&k.key));
        let first = shards.next();
        shards.any(|shard| Some(shard) != first)
    }

    /// A client begins or ends to wait for keys of several shards.
    pub fn count_spread_waiter(&self, begins: bool) {
        if begins {
            self.spread_waiters.fetch_add(1, AcqRel);
        } else {
            self.spread_waiters.fetch_sub(1, AcqRel);
        }
    }

    pub fn has_spread_waiters(&self) -> bool {
        self.spread_waiters.load(Acquire) > 0
    }

    /// How the state of the process is found out; this floor reads no files. Set once, at boot.
    pub fn set_process_probe(&self, probe: fn() -> Process) {
        let _ = self.process.set(probe);
    }

    /// A journal begins below the `dir` of these settings.
    pub fn journal_begins(&self, settings: &Settings) {
        *self.journal_dir.lock().unwrap_or_else(|e| e.into_inner()) = settings.dir.as_path().into();
    }

    /// Where the files of the journal are, or would be if there were one.
    pub fn journal_dir(&self) -> PathBuf {
        match self.journal.is_on() {
            true => self.journal_dir.lock().unwrap_or_else(|e| e.into_inner()).clone(),
            false => self.settings().dir.as_path().into(),
        }
    }

    /// Set once, at boot.
    pub fn set_host(&self, host: Box<dyn Host>) {
        let _ = self.host.set(host);
    }

    /// None in tests that run no process.
    pub fn host(&self) -> Option<&dyn Host> {
        self.host.get().map(|host| &**host)
    }

    pub fn process(&self) -> Process {
        self.process.get().map(|probe| probe()).unwrap_or_default()
    }

    /// Wakes every shard, so that each looks at what has changed.
    pub fn wake_all(&self) {
        self.wakes.iter().for_each(Wake::wake);
    }

    /// Clients that wait for keys.
    pub fn waiting(&self) -> u64 {
        let ended = self.sum(|t| t.waits_ended.get());
        self.sum(|t| t.waits_begun.get()).saturating_sub(ended)
    }

    /// How every script and function that was called has run, by its name.
    pub fn script_figures(&self) -> Vec<(String, ScriptFigures)> {
        self.scripts.figures(|number| {
            let calls = |id: CommandId| self.sum(|t| t.commands[id as usize].calls.get());
            self.table.natives(number).map_or(0, |ids| ids.into_iter().map(calls).sum())
        })
    }

    /// Sums a counter over the shards.
    pub fn sum(&self, counter: impl Fn(&Tally) -> u64) -> u64 {
        self.tallies.iter().map(counter).sum()
    }
}
