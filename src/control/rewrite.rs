//! The base of the append only file: what a shard that holds all keyspaces makes of them
//! (`command::rewrite`), written aside, and then in force with one change of the manifest.
//!
//! Invariants: a base that is not whole is never named; while it is written nothing else is, for all
//! keyspaces are held; and after a failure the files before it are still what counts, or, if that
//! cannot be known, the journal is over.
//!
//! Called by the persistence actor.

use super::disk::{FileDisk, JournalDisk, reason};
use super::writer::{OpenJournal, Writer};
use crate::bridge::mail::Receiver;
use crate::config::Settings;
use crate::journal::{AofNames, BatchWriter, Manifest, Merger};
use crate::session::BasePart;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

/// A batch of the base.
const BATCH_BYTES: usize = 1 << 20;

/// Why there is no new base.
pub(super) enum RewriteError {
    /// All is as it was before.
    Kept(String),
    /// Nobody can tell which manifest a start would find.
    Unknown(String),
}

/// The disk of a server that has no journal yet.
pub(super) fn new_disk(settings: &Settings) -> Result<Box<dyn JournalDisk>, String> {
    use crate::journal::Disk;
    let names = AofNames::of(settings);
    let mut disk = FileDisk::new(settings.dir.as_path());
    let failed =
        |error: io::Error| format!("Can't open or create append-only dir {}: {}", names.dir, reason(&error));
    disk.create_dir(&names.dir).map_err(failed)?;
    match disk.lock(&names.dir).map_err(failed)? {
        true => Ok(Box::new(disk)),
        false => Err(format!("Another server writes to the append only files in {}", names.dir)),
    }
}

/// What is to follow the base.
pub(super) struct Follows {
    pub path: String,
    pub batch: BatchWriter,
}

/// Writes the parts as the base and brings it into force, with a new increment behind it if one is wanted.
/// How many bytes the base has, and the increment.
pub(super) fn rewrite(
    disk: &mut dyn JournalDisk,
    settings: &Settings,
    parts: &Receiver<BasePart>,
    with_increment: bool,
) -> Result<(u64, Option<Follows>), RewriteError> {
    let names = AofNames::of(settings);
    let manifest = read_manifest(disk, &names).map_err(RewriteError::Kept)?;
    let bytes = match write_base(disk, &names.temp_base(), parts) {
        Ok(bytes) => bytes,
        Err(why) => {
            let _ = disk.remove(&names.temp_base());
            return Err(RewriteError::Kept(why));
        }
    };
    let batch = with_increment.then(|| BatchWriter::new(fresh_salt()));
    let header = batch.as_ref().map(BatchWriter::file_header);
    let plan = names.begin_anew(&manifest, header.as_ref().map(|header| &header[..]));
    let wanted = plan.manifest.clone();
    let manifest = plan.run(disk).map_err(|failed| {
        let _ = disk.remove(&names.temp_base());
        match read_manifest(disk, &names) {
            Ok(there) if there != wanted => RewriteError::Kept(failed.to_string()),
            _ => RewriteError::Unknown(failed.to_string()),
        }
    })?;
    let path = manifest.incr.last().map(|info| names.path(&info.name));
    if !settings.aof_disable_auto_gc
        && let Err(failed) = names.remove_history(&manifest).run(disk)
    {
        tracing::warn!("{failed}");
    }
    let follows = path.zip(batch).map(|(path, batch)| Follows { path, batch });
    Ok((bytes, follows))
}

fn read_manifest(disk: &mut dyn JournalDisk, names: &AofNames) -> Result<Manifest, String> {
    let path = names.manifest();
    match disk.read(&path).map_err(|error| format!("Can't read {path}: {}", reason(&error)))? {
        None => Ok(Manifest::default()),
        Some(bytes) => Manifest::parse(&bytes).map_err(|error| format!("{error}, in {path}")),
    }
}

fn write_base(disk: &mut dyn JournalDisk, path: &str, parts: &Receiver<BasePart>) -> Result<u64, String> {
    let failed = |error: io::Error| format!("Error writing {path}: {}", reason(&error));
    disk.create(path).map_err(failed)?;
    let mut batch = BatchWriter::new(fresh_salt());
    disk.append(path, &batch.file_header()).map_err(failed)?;
    let mut merger = Merger::new(1);
    let mut whole = false;
    while !whole {
        match parts.recv() {
            Ok(BasePart::Chunk(chunk)) => {
                merger.push(chunk, batch.body()).map_err(|error| error.to_string())?;
            }
            Ok(BasePart::End) => whole = true,
            Err(_) => return Err("the writing of the base was given up".into()),
        }
        if batch.len() >= BATCH_BYTES || whole && !batch.is_empty() {
            seal(disk, path, &mut batch).map_err(failed)?;
        }
    }
    // As at an orderly shutdown, an empty batch: any damage before it is damage, and no torn end.
    seal(disk, path, &mut batch).map_err(failed)?;
    Ok(batch.offset())
}

fn seal(disk: &mut dyn JournalDisk, path: &str, batch: &mut BatchWriter) -> io::Result<()> {
    // Nobody reads the file before all of it is synced.
    let all = batch.offset();
    disk.append(path, batch.seal(all))?;
    batch.begin(None);
    Ok(())
}

/// Differs from file to file.
fn fresh_salt() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// A writer of an increment whose shards' next chunks have these numbers.
pub(super) fn writer_from(
    disk: Box<dyn JournalDisk>,
    Follows { path, batch }: Follows,
    base_bytes: u64,
    next: &[u64],
    settings: &Settings,
) -> Writer {
    let open = OpenJournal { disk, path, batch, bytes_before: base_bytes };
    let mut writer = Writer::new(open, next.len() as u16, settings.appendfsync);
    writer.stamps = settings.aof_timestamp_enabled;
    writer.expect(next);
    writer
}
