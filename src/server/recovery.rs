//! From the files of the journal back to the keys, before the shards run; and the journal made ready for
//! what comes.
//!
//! ```text
//! lock -> manifest -> each file: blocks -> Replay -> Loader -> engines -> cut a torn end -> go on in
//!                                                                        the last file, or a new one
//! ```
//!
//! Invariant: what is loaded is a prefix of what was written, and all of it wherever the journal can
//! tell; otherwise the server does not start. Placement is not in the files, so any number of shards
//! may load what any other number wrote. Called once by boot; a key whose time has passed is removed
//! here too, with a DEL in the journal, because later effects take it for gone.

use super::snapshot::{self, SnapshotError};
use crate::base::limits::LUA_MEMORY_MAX;
use crate::base::{Millis, ShardId};
use crate::bridge::Owner;
use crate::command::{ClientView, CommandId, CommandTable, Looked, Run};
use crate::config::Settings;
use crate::control::{FileDisk, OpenJournal, reason};
use crate::journal::{AofNames, BatchWriter, Disk, Manifest, ManifestError, Refusal, Replay, Resume, Sink};
use crate::journal::{FileInfo, FileType, StepFailed};
use crate::keyspace::{KeyspaceStats, Placement};
use crate::resp::{Args, ArgsBuf, Proto};
use crate::router::{self, Plan};
use crate::script::{Limits, Vm};
use crate::session::commands::{self, LibraryChange, SessionRun};
use crate::session::{Node, Scripts};
use crate::shard::{Engine, Env, ErrorCounts, Job, Tally, run_held, run_job};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::Instant;

/// Why the server does not start. `Display` is the line for the log; exit with 1.
#[derive(Debug)]
pub enum RecoveryError {
    /// Another process writes to this directory.
    Locked(String),
    Manifest(String, ManifestError),
    Missing(String),
    Read(String, io::Error),
    Refused(Refusal),
    Plan(StepFailed),
    Snapshot(SnapshotError),
}

impl std::fmt::Display for RecoveryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RecoveryError::Locked(dir) => {
                write!(f, "Another server writes to the append only files in {dir}. Exiting.")
            }
            RecoveryError::Manifest(path, error) => {
                write!(f, "FATAL AOF MANIFEST FILE ERROR: {error}, in {path}")
            }
            RecoveryError::Missing(path) => {
                write!(
                    f,
                    "The append log file {path} doesn't exist, and the manifest names it. Restore it from a copy"
                )
            }
            RecoveryError::Read(path, error) => {
                let reason = reason(error);
                write!(f, "Fatal error: can't open the append log file {path} for reading: {reason}")
            }
            RecoveryError::Refused(refusal) => write!(f, "{refusal}"),
            RecoveryError::Plan(failed) => write!(f, "{failed}"),
            RecoveryError::Snapshot(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for RecoveryError {}

/// Loads what `appendonly yes` has kept and opens the journal; without it, what the snapshot holds. `owners`
/// are the shards' engines in order, empty so far. `salt` is random.
pub fn recover(
    node: &Node,
    owners: &mut [Owner<Engine>],
    now: Millis,
    salt: u64,
) -> Result<Option<OpenJournal>, RecoveryError> {
    let settings = node.settings();
    node.loading.store(true, Release);
    let engines = owners.iter_mut().filter_map(Owner::get).collect();
    let mut loader = Loader::new(engines, &node.placement, &node.table, &node.scripts, &settings, now);
    if !settings.appendonly {
        let loaded = snapshot::recover(node, &mut loader, &settings);
        node.loading.store(false, Release);
        return loaded.map(|()| None).map_err(RecoveryError::Snapshot);
    }
    let opened = open(&mut loader, &settings, salt);
    node.base_bytes.store(loader.base_bytes, Relaxed);
    node.journal_begins(&settings);
    node.loading.store(false, Release);
    opened.map(Some)
}

/// `recover` on engines.
fn open(loader: &mut Loader<'_>, settings: &Settings, salt: u64) -> Result<OpenJournal, RecoveryError> {
    let names = AofNames::of(settings);
    let mut disk = FileDisk::new(settings.dir.as_path());
    let started = Instant::now();
    take_directory(&mut disk, &names)?;
    let mut manifest = read_manifest(&mut disk, &names)?;
    if !manifest.history.is_empty() && !settings.aof_disable_auto_gc {
        manifest = names.remove_history(&manifest).run(&mut disk).map_err(RecoveryError::Plan)?;
    }
    let (mut bytes, mut resume) = (0, None);
    for (info, last) in manifest.to_load() {
        let loaded = load_file(&mut disk, &names, info, last, settings.aof_load_truncated, loader)?;
        if let Some(cut) = loaded.truncated {
            let path = names.path(&info.name);
            tracing::warn!("!!! Warning: short read while loading the AOF file {path}!!!");
            tracing::warn!("!!! Truncating the AOF {path} at offset {} !!!", cut.offset);
            tracing::warn!(
                dropped_bytes = cut.dropped,
                "AOF {path} loaded anyway because aof-load-truncated is enabled"
            );
            let plan = names.truncate(&manifest, &info.name, cut.offset);
            plan.run(&mut disk).map_err(RecoveryError::Plan)?;
        }
        let length = disk.len(&names.path(&info.name)).ok().flatten().unwrap_or(0);
        bytes += length;
        if info.kind == FileType::Base {
            loader.base_bytes = length;
        }
        resume = loaded.resume.filter(|_| last && info.kind == FileType::Incr);
    }
    if manifest.is_empty() && snapshot::is_there(settings) {
        tracing::warn!(
            "There is no append only file yet, and the RDB file {} is not loaded beside one. To take its keys \
             along, start with 'appendonly no' and then CONFIG SET appendonly yes",
            settings.dbfilename
        );
    }
    if !manifest.is_empty() {
        let seconds = started.elapsed().as_secs_f64();
        tracing::info!("DB loaded from append only file: {seconds:.3} seconds");
    }
    loader.finish();
    open_increment(disk, &names, manifest, resume, bytes, salt)
}

/// Runs what the files hold on engines that are empty and held (DEBUG LOADAOF). Writes nothing.
pub fn load_again(node: &Node, engines: &mut [&mut Engine], now: Millis) -> Result<(), RecoveryError> {
    let settings = node.settings();
    let names = AofNames::of(&settings);
    let mut disk = FileDisk::new(node.journal_dir());
    let manifest = read_manifest(&mut disk, &names)?;
    let before: Vec<_> = engines.iter().map(|engine| (engine.journaling, engine.keyspace.stats)).collect();
    engines.iter_mut().for_each(|engine| engine.journaling = false);
    let engines_again = engines.iter_mut().map(|engine| &mut **engine).collect();
    // The files hold the libraries too.
    node.scripts.empty_libraries();
    let mut loader = Loader::new(engines_again, &node.placement, &node.table, &node.scripts, &settings, now);
    for (info, last) in manifest.to_load() {
        // Nothing has cut these files: they were written by this process, and whole.
        load_file(&mut disk, &names, info, last, false, &mut loader)?;
    }
    loader.finish();
    for (engine, (journaling, stats)) in engines.iter_mut().zip(before) {
        engine.journaling = journaling;
        if !journaling {
            // What it wrote of expired keys concerns nobody.
            drop(engine.effects.take());
        }
        engine.keyspace.stats = KeyspaceStats { dirty: 0, ..stats };
    }
    tracing::info!("Append Only File loaded by DEBUG LOADAOF");
    Ok(())
}

fn take_directory(disk: &mut FileDisk, names: &AofNames) -> Result<(), RecoveryError> {
    let failed = |error| RecoveryError::Read(names.dir.clone(), error);
    disk.create_dir(&names.dir).map_err(failed)?;
    match disk.lock(&names.dir).map_err(failed)? {
        true => Ok(()),
        false => Err(RecoveryError::Locked(names.dir.clone())),
    }
}

/// The manifest, after the move of an old file where there is one.
fn read_manifest(disk: &mut FileDisk, names: &AofNames) -> Result<Manifest, RecoveryError> {
    let path = names.manifest();
    let failed = |error| RecoveryError::Read(path.clone(), error);
    let manifest = match disk.read(&path).map_err(failed)? {
        None => None,
        Some(bytes) => {
            Some(Manifest::parse(&bytes).map_err(|error| RecoveryError::Manifest(path.clone(), error))?)
        }
    };
    if let Some(plan) = names.upgrade(manifest.as_ref(), disk).map_err(failed)? {
        let manifest = plan.run(disk).map_err(RecoveryError::Plan)?;
        tracing::info!("Successfully migrated an old-style AOF, {}, into the AOF directory", names.file);
        return Ok(manifest);
    }
    Ok(manifest.unwrap_or_default())
}

/// A block of a file, as it is read and handed to `Replay`.
const BLOCK_BYTES: usize = 1 << 20;

fn load_file(
    disk: &mut FileDisk,
    names: &AofNames,
    info: &FileInfo,
    last: bool,
    load_truncated: bool,
    loader: &mut Loader<'_>,
) -> Result<crate::journal::Loaded, RecoveryError> {
    let path = names.path(&info.name);
    let failed = |error| RecoveryError::Read(path.clone(), error);
    let started = Instant::now();
    let Some(mut file) = disk.open(&path).map_err(failed)? else {
        return Err(RecoveryError::Missing(path));
    };
    let mut replay = Replay::new(&path, last, load_truncated);
    let mut block = vec![0; BLOCK_BYTES];
    if begins_with_snapshot(&mut file).map_err(failed)? {
        tracing::info!("Reading RDB base file on AOF loading...");
        let verify = loader.settings.rdbchecksum;
        let (offset, rest) =
            snapshot::load_preamble(&mut file, loader, &path, verify).map_err(RecoveryError::Snapshot)?;
        replay = Replay::behind(&path, last, load_truncated, offset);
        replay.feed(&rest, loader).map_err(RecoveryError::Refused)?;
    }
    loop {
        match file.read(&mut block) {
            Ok(0) => break,
            Ok(n) => replay.feed(&block[..n], loader).map_err(RecoveryError::Refused)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let loaded = replay.finish().map_err(RecoveryError::Refused)?;
    let (kind, seconds) = (if info.kind == FileType::Base { "base" } else { "incr" }, started.elapsed());
    let seconds = seconds.as_secs_f64();
    tracing::info!(
        commands = loaded.commands,
        "DB loaded from {kind} file {}: {seconds:.3} seconds",
        info.name
    );
    Ok(loaded)
}

/// Whether a file is a snapshot, or begins with one, as Redis writes its bases. It is read from its beginning.
fn begins_with_snapshot(file: &mut File) -> io::Result<bool> {
    let mut head = Vec::new();
    file.by_ref().take(SNAPSHOT.len() as u64).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(head == SNAPSHOT)
}

const SNAPSHOT: &[u8] = b"REDIS";

/// Goes on in the last increment if it is ours and whole, else in a new one.
fn open_increment(
    mut disk: FileDisk,
    names: &AofNames,
    manifest: Manifest,
    resume: Option<Resume>,
    bytes: u64,
    salt: u64,
) -> Result<OpenJournal, RecoveryError> {
    if let (Some(Resume { salt, offset }), Some(last)) = (resume, manifest.incr.last()) {
        let path = names.path(&last.name);
        // Batches say what is known to be on the disk; who wrote these may have died before an fsync.
        disk.sync(&path).map_err(|error| RecoveryError::Read(path.clone(), error))?;
        tracing::info!("Opening AOF incr file {} on server start", last.name);
        let bytes_before = bytes.saturating_sub(offset);
        return Ok(OpenJournal {
            disk: Box::new(disk),
            path,
            batch: BatchWriter::resume(salt, offset),
            bytes_before,
        });
    }
    let batch = BatchWriter::new(salt);
    let plan = names.open_incr(&manifest, &batch.file_header());
    let manifest = plan.run(&mut disk).map_err(RecoveryError::Plan)?;
    let name = manifest.incr.last().map(|info| info.name.as_str()).unwrap_or_default();
    tracing::info!("Creating AOF incr file {name} on server start");
    Ok(OpenJournal { path: names.path(name), disk: Box::new(disk), batch, bytes_before: bytes })
}

/// Runs the commands of the journal on the engines.
pub(super) struct Loader<'a> {
    pub(super) engines: Vec<&'a mut Engine>,
    pub(super) placement: &'a Placement,
    table: &'a CommandTable,
    scripts: &'a Scripts,
    /// For FUNCTION LOAD; made when the first comes.
    vm: Option<Vm>,
    /// Under their own names: `rename-command` does not reach what is in the files.
    names: CommandTable,
    pub(super) settings: &'a Settings,
    tally: Tally,
    errors: ErrorCounts,
    pub(super) now: Millis,
    out: Vec<u8>,
    /// Length of the base that was loaded.
    base_bytes: u64,
}

/// `Entry` keeps this many seconds' worth of access time.
const CLOCK_MASK: u64 = 0xff_ffff;
/// Effects of one shard's removals at start; what is left is removed while serving.
const EXPIRED_EFFECTS_BYTES: usize = 1 << 20;

impl<'a> Loader<'a> {
    pub(super) fn new(
        engines: Vec<&'a mut Engine>,
        placement: &'a Placement,
        table: &'a CommandTable,
        scripts: &'a Scripts,
        settings: &'a Settings,
        now: Millis,
    ) -> Self {
        let names = CommandTable::new(&[]).unwrap_or_else(|why| unreachable!("nothing is renamed: {why}"));
        let tally = Tally::new(table.len());
        let errors = ErrorCounts::default();
        Loader {
            engines,
            placement,
            table,
            scripts,
            vm: None,
            names,
            settings,
            tally,
            errors,
            now,
            out: Vec::new(),
            base_bytes: 0,
        }
    }

    fn look_up(&self, args: Args<'_>) -> Option<CommandId> {
        let (name, sub) = (args.at(0), args.get(1));
        // Both tables give a command the same number.
        [self.table, &self.names].into_iter().find_map(|table| match table.look_up(name, sub) {
            Looked::Found(id) => Some(id),
            _ => None,
        })
    }

    /// The time a command runs at. Nothing may expire by itself while effects are replayed: they hold a
    /// DEL for whatever had. So it is a time before all deadlines that has the access clock of today.
    /// Only times relative to "now", which we never write and old files of others hold, need the real
    /// one.
    fn time_for(&self, name: &[u8], args: Args<'_>) -> Millis {
        let relative = match name.len() {
            3 | 5
                if args.len() > 3
                    && (name.eq_ignore_ascii_case(b"set") || name.eq_ignore_ascii_case(b"getex")) =>
            {
                args.iter()
                    .skip(2)
                    .any(|arg| arg.eq_ignore_ascii_case(b"ex") || arg.eq_ignore_ascii_case(b"px"))
            }
            5 => name.eq_ignore_ascii_case(b"setex"),
            6 => name.eq_ignore_ascii_case(b"expire") || name.eq_ignore_ascii_case(b"psetex"),
            7 => name.eq_ignore_ascii_case(b"pexpire"),
            _ => false,
        };
        if relative { self.now } else { ((self.now / 1000) & CLOCK_MASK) * 1000 }
    }

    fn run(&mut self, id: CommandId, db: usize, args: Args<'_>) -> Result<(), String> {
        let spec = self.table.spec(id);
        let job = Job {
            command: id,
            db,
            now: self.time_for(spec.name.as_bytes(), args),
            proto: Proto::Resp2,
            view: ClientView { replayed: true, in_transaction: true, ..ClientView::default() },
            random: 0,
        };
        let env = Env {
            placement: self.placement,
            settings: self.settings,
            table: self.table,
            tally: &self.tally,
            errors: &self.errors,
            over_limit: false,
            news: 0,
        };
        let out = &mut self.out;
        out.clear();
        let mut on = |engine: &mut Engine, args: Args<'_>| run_job(env, engine, job, args, out);
        let single = self.table.single_key(id).map(|at| self.placement.shard(args.at(at)));
        let plan = match single {
            Some(shard) => Plan::One(shard),
            None => router::plan(spec, args, self.placement)
                .map_err(|_| "Invalid arguments specified for command".to_owned())?,
        };
        let ok = match plan {
            Plan::One(shard) => on(self.engines[shard as usize], args),
            Plan::Split(shards) => shards.as_slice().iter().all(|&shard| {
                let part = router::split(spec, args, self.placement, shard, |_| {});
                on(self.engines[shard as usize], part.as_args())
            }),
            Plan::Every => self.engines.iter_mut().all(|engine| on(engine, args)),
            Plan::Hold(shards) => {
                let concerned = |shard: usize| shards.as_slice().contains(&(shard as ShardId));
                let engines = self.engines.iter_mut().enumerate().filter(|(shard, _)| concerned(*shard));
                let held = engines.map(|(_, engine)| &mut engine.keyspace).collect();
                run_held(env, held, None, job, args, out)
            }
            Plan::Session => return Err(format!("Command '{}' cannot be loaded", spec.name)),
        };
        if ok { Ok(()) } else { Err(error_text(&self.out)) }
    }

    /// A library that could once be loaded is given all the time it takes.
    fn change_libraries(&mut self, change: LibraryChange, args: Args<'_>) -> Result<(), String> {
        let vm = self.vm.get_or_insert_with(|| Vm::new(Limits { memory: LUA_MEMORY_MAX }));
        let changed = commands::change_libraries(
            self.scripts,
            change,
            args,
            vm,
            &mut commands::Loading { expired: || false },
        );
        changed.map(drop).map_err(|error| String::from_utf8_lossy(error.line()).into_owned())
    }

    /// A library that came with a snapshot.
    pub(super) fn library(&mut self, code: &[u8], replace: bool) -> Result<(), String> {
        let args: ArgsBuf = match replace {
            true => [&b"FUNCTION"[..], b"LOAD", b"REPLACE", code].into_iter().collect(),
            false => [&b"FUNCTION"[..], b"LOAD", code].into_iter().collect(),
        };
        self.change_libraries(LibraryChange::Load, args.as_args())
    }

    /// Loading is over: statistics begin, and what is past its time goes.
    fn finish(&mut self) {
        for engine in &mut self.engines {
            engine.keyspace.stats = Default::default();
            engine.journaling = true;
            loop {
                let (keyspace, mut effects) = engine.split();
                let keys_left = keyspace.expire_some(self.now, 1024, 0, effects.as_deref_mut());
                let fields_left = keyspace.expire_fields_some(self.now, 1024, 0, effects.as_deref_mut());
                let more = keys_left || fields_left;
                if !more || effects.is_none_or(|effects| effects.bytes_len() > EXPIRED_EFFECTS_BYTES) {
                    break;
                }
            }
        }
    }
}

impl Sink for Loader<'_> {
    fn command(&mut self, db: u32, args: Args<'_>) -> Result<(), String> {
        let name = || String::from_utf8_lossy(args.at(0)).into_owned();
        let Some(id) = self.look_up(args) else { return Err(format!("Unknown command '{}'", name())) };
        let spec = self.table.spec(id);
        if !spec.arity_fits(args.len()) {
            return Err(format!("Wrong number of arguments for '{}' command", name()));
        }
        match (spec.run, commands::find(&self.table.row(id).full_name)) {
            (Run::Session, Some(SessionRun::Libraries(change))) => {
                return self.change_libraries(change, args);
            }
            (Run::Container | Run::Session | Run::Script, _) => {
                return Err(format!("Command '{}' cannot be loaded", name()));
            }
            _ => {}
        }
        if db as usize >= self.engines[0].keyspace.databases() {
            let databases = self.engines[0].keyspace.databases();
            return Err(format!("DB index {db} is out of range: 'databases' is {databases}"));
        }
        self.run(id, db as usize, args)
    }
}

/// The text of an error reply.
fn error_text(reply: &[u8]) -> String {
    let line = String::from_utf8_lossy(reply);
    line.trim_start_matches('-').trim_end().to_owned()
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
