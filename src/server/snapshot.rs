//! From a snapshot's file to the keys: at start, for DEBUG RELOAD, and where an append only file begins with one
//! (a base of Redis's, `aof-use-rdb-preamble yes`).
//!
//! Invariant: what is loaded at start is all that the file holds, or the server does not start. Placement is not
//! in the file, so any number of shards may load it. Keys past their time are left out; not so at the head of a
//! journal, whose later effects take them for there until their DEL.

use super::recovery::Loader;
use crate::base::Millis;
use crate::config::Settings;
use crate::control::reason;
use crate::keyspace::Loaded;
use crate::session::{Node, Reload};
use crate::shard::Engine;
use crate::snapshot::{FileError, FileReader, Limits, Record};
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// Why a snapshot is not loaded. `Display` is for the log.
#[derive(Debug)]
pub enum SnapshotError {
    Open(String, io::Error),
    File(String, FileError),
    /// What it holds cannot be here.
    Rejected(String, u64, String),
    Databases(usize),
}

impl std::fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SnapshotError::Open(file, error) => {
                write!(f, "Fatal error: can't open the RDB file {file} for reading: {}", reason(error))
            }
            SnapshotError::File(file, error) => write!(f, "The RDB file {file} cannot be loaded: {error}"),
            SnapshotError::Rejected(file, offset, why) => {
                write!(f, "The RDB file {file} cannot be loaded: {why}, at byte {offset}")
            }
            SnapshotError::Databases(databases) => write!(
                f,
                "FATAL: Data file was created with a Redis server configured to handle more than {databases} \
                 databases. Exiting"
            ),
        }
    }
}

/// What is done with keys that cannot simply go in.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    pub replace: bool,
    pub keep_expired: bool,
}

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub keys: u64,
    pub expired: u64,
    pub empty: u64,
}

/// Loads what the snapshot's file holds, at start and without a journal. A file that is missing is an empty one.
pub fn recover(node: &Node, loader: &mut Loader<'_>, settings: &Settings) -> Result<(), SnapshotError> {
    let started = Instant::now();
    if !is_there(settings) {
        return Ok(());
    }
    let counts = load_file(loader, settings, How::default())?;
    note(node, counts);
    tracing::info!("DB loaded from disk: {:.3} seconds", started.elapsed().as_secs_f64());
    Ok(())
}

/// DEBUG RELOAD.
pub fn load_again(
    node: &Node,
    engines: &mut [&mut Engine],
    now: Millis,
    Reload { merge, keep_expired }: Reload,
) -> Result<(), SnapshotError> {
    let settings = node.settings();
    let how = How { replace: merge, keep_expired };
    let engines = engines.iter_mut().map(|engine| &mut **engine).collect();
    let mut loader = Loader::new(engines, &node.placement, &node.table, &node.scripts, &settings, now);
    note(node, load_file(&mut loader, &settings, how)?);
    Ok(())
}

fn note(node: &Node, counts: Counts) {
    node.snapshots.keys_loaded.store(counts.keys, Relaxed);
    node.snapshots.keys_expired.store(counts.expired, Relaxed);
}

fn path_of(settings: &Settings) -> PathBuf {
    settings.dir.as_path().join(settings.dbfilename.as_path())
}

/// Whether there is a snapshot.
pub fn is_there(settings: &Settings) -> bool {
    // What cannot be looked at is there: opening it says why.
    path_of(settings).try_exists().unwrap_or(true)
}

fn load_file(loader: &mut Loader<'_>, settings: &Settings, how: How) -> Result<Counts, SnapshotError> {
    let path = path_of(settings);
    let name = path.display().to_string();
    let mut file = File::open(&path).map_err(|error| SnapshotError::Open(name.clone(), error))?;
    let mut reader = FileReader::new(&mut file, settings.rdbchecksum)
        .map_err(|error| SnapshotError::File(name.clone(), error))?;
    load(&mut reader, loader, &name, how)
}

/// Reads the head of an append only file. What follows it has come already as far as is returned, beginning at
/// that offset.
pub fn load_preamble(
    source: &mut dyn Read,
    loader: &mut Loader<'_>,
    name: &str,
    verify: bool,
) -> Result<(u64, Vec<u8>), SnapshotError> {
    let mut reader =
        FileReader::new(source, verify).map_err(|error| SnapshotError::File(name.to_owned(), error))?;
    load(&mut reader, loader, name, How { replace: false, keep_expired: true })?;
    Ok((reader.offset(), reader.rest().to_vec()))
}

fn load(
    reader: &mut FileReader<'_>,
    loader: &mut Loader<'_>,
    name: &str,
    how: How,
) -> Result<Counts, SnapshotError> {
    let limits = Limits::new(loader.settings, loader.placement.hasher());
    let mut counts = Counts::default();
    let mut db = 0;
    loop {
        let record = reader.next(&limits).map_err(|error| SnapshotError::File(name.to_owned(), error))?;
        let rejected = |why: String| SnapshotError::Rejected(name.to_owned(), reader.offset(), why);
        match record {
            Record::Aux { name, value } => tell(&name, &value, loader.now),
            Record::Library(code) => loader.library(&code, how.replace).map_err(rejected)?,
            Record::Database(number) => {
                let databases = loader.engines[0].keyspace.databases();
                if number >= databases {
                    return Err(SnapshotError::Databases(databases));
                }
                db = number;
            }
            Record::Sizes { .. } => {}
            Record::ModuleAux(module) => {
                tracing::warn!("What the module {module} kept in the RDB file {name} is left out");
            }
            Record::Key(key) => {
                if !how.keep_expired && key.expire_at.is_some_and(|at| at < loader.now) {
                    counts.expired += 1;
                    continue;
                }
                let seconds = (loader.now / 1000).saturating_sub(key.idle_sec.unwrap_or(0));
                let (hash, shard) = (loader.placement.hash(&key.key), loader.placement.shard(&key.key));
                let shown = key.key.escape_ascii().to_string();
                let loaded = Loaded {
                    db,
                    hash,
                    key: key.key,
                    value: key.value,
                    expire_at: key.expire_at,
                    clock: seconds as u32 & 0xff_ffff,
                };
                if !loader.engines[shard as usize].keyspace.load(loaded, how.replace) {
                    return Err(rejected(format!("RDB has duplicated key '{shown}' in DB {db}")));
                }
                counts.keys += 1;
            }
            Record::End => break,
        }
    }
    counts.empty = reader.empty_keys();
    let Counts { keys, expired, empty } = counts;
    tracing::info!(
        "Done loading RDB, keys loaded: {keys}, keys expired: {expired}, empty keys skipped: {empty}."
    );
    Ok(counts)
}

/// Says what the file says of itself.
fn tell(name: &[u8], value: &[u8], now: Millis) {
    let text = String::from_utf8_lossy(value);
    match name {
        b"redis-ver" => tracing::info!("Loading RDB produced by version {text}"),
        b"ctime" => {
            let age = (now / 1000).saturating_sub(text.parse().unwrap_or(now / 1000));
            tracing::info!("RDB age {age} seconds");
        }
        b"used-mem" => {
            let bytes: f64 = text.parse().unwrap_or(0.0);
            tracing::info!("RDB memory usage when created {:.2} Mb", bytes / (1024.0 * 1024.0));
        }
        _ => tracing::debug!("RDB '{}' is {text}", name.escape_ascii()),
    }
}
