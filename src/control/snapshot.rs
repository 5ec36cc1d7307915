//! The snapshot's file: written aside, synced, and then under its name with one rename, so that whoever looks
//! for `dbfilename`, also after a crash, finds a whole file or the one before.
//!
//! ```text
//! shard that holds all keyspaces --parts--> thread "rdb-save": create, append ..., sync, rename, sync dir
//! ```
//!
//! One thread writes one after the other, so an older one never replaces a newer. Its queue is short: whoever
//! asks holds all keyspaces, and in the background one at most is under way. The persistence actor hands orders
//! on and does not wait. `look` says when a save point is due.

use super::disk::{FileDisk, reason};
use super::now_seconds;
use crate::bridge::mail::{Receiver, Sender, mail};
use crate::config::Settings;
use crate::journal::Disk;
use crate::session::{Node, SnapshotOrder, SnapshotPart, Verdict};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// Orders that wait: one in the background, and one whose keyspaces are held.
const ORDERS_MAX: usize = 4;

/// The names of a snapshot, below `dir`.
pub(super) struct Names {
    file: String,
    temp: String,
}

impl Names {
    pub fn of(settings: &Settings, pid: u32) -> Names {
        Names { file: settings.dbfilename.to_str_lossy().into_owned(), temp: format!("temp-{pid}.rdb") }
    }
}

/// Starts the thread that writes.
pub(super) fn start(node: Arc<Node>) -> Sender<SnapshotOrder> {
    let (orders, queue) = mail::<SnapshotOrder>(ORDERS_MAX);
    let run = move || {
        while let Ok(order) = queue.recv() {
            save(&node, order);
        }
    };
    std::thread::Builder::new()
        .name("rdb-save".into())
        .spawn(run)
        .unwrap_or_else(|error| panic!("no thread for snapshots: {error}"));
    orders
}

fn save(node: &Node, SnapshotOrder { parts, background, changes, answer }: SnapshotOrder) {
    let settings = node.settings();
    let mut disk = FileDisk::new(settings.dir.as_path());
    let names = Names::of(&settings, node.facts.pid);
    let started = Instant::now();
    if background {
        tracing::info!("Background saving started");
    }
    let written = write(&mut disk, &names, &parts);
    // Whoever still sends parts shall not wait.
    drop(parts);
    if background {
        node.snapshots.held(started.elapsed().as_millis() as u64, node.used_memory.load(Relaxed));
        let _ = answer.try_send(written.clone());
    }
    let result = written.and_then(|()| put_in_place(&mut disk, &names));
    match (&result, background) {
        (Ok(()), false) => tracing::info!("DB saved on disk"),
        (Ok(()), true) => tracing::info!("Background saving terminated with success"),
        (Err(why), _) => {
            let _ = disk.remove(&names.temp);
            tracing::warn!("{why}");
            if background {
                tracing::warn!("Background saving error");
            }
        }
    }
    node.snapshots.ended(node, result.is_ok(), changes, background, now_seconds());
    if !background {
        let _ = answer.try_send(result);
    }
}

/// Writes the parts aside.
pub(super) fn write(
    disk: &mut impl Disk,
    names: &Names,
    parts: &Receiver<SnapshotPart>,
) -> Result<(), String> {
    let failed = |error: io::Error| format!("Write error saving DB on disk: {}", reason(&error));
    disk.create(&names.temp).map_err(|error| {
        format!("Failed opening the temp RDB file {} for saving: {}", names.temp, reason(&error))
    })?;
    loop {
        match parts.recv() {
            Ok(SnapshotPart::Bytes(bytes)) => disk.append(&names.temp, &bytes).map_err(failed)?,
            Ok(SnapshotPart::End) => return Ok(()),
            Err(_) => return Err("the writing of the snapshot was given up".into()),
        }
    }
}

/// What is written aside becomes the snapshot.
pub(super) fn put_in_place(disk: &mut impl Disk, names: &Names) -> Result<(), String> {
    let Names { file, temp } = names;
    disk.sync(temp).map_err(|error| format!("Write error saving DB on disk: {}", reason(&error)))?;
    disk.rename(temp, file).map_err(|error| {
        format!("Error moving temp DB file {temp} on the final destination {file}: {}", reason(&error))
    })?;
    disk.sync_dir("").map_err(|error| format!("Failed to fsync the directory of {file}: {}", reason(&error)))
}

/// What a process that ends now leaves behind of a snapshot that is under way.
pub(super) fn give_up(node: &Node) {
    if node.snapshots.under_way().is_some() {
        let settings = node.settings();
        let _ = FileDisk::new(settings.dir.as_path()).remove(&Names::of(&settings, node.facts.pid).temp);
    }
}

/// Has a snapshot taken if a save point is reached.
pub(super) fn look(node: &Node) {
    let (settings, now) = (node.settings(), now_seconds());
    let memory = node.used_memory.load(Relaxed);
    match node.snapshots.look(&settings, memory, now) {
        Verdict::NotYet => {}
        Verdict::Due { changes, seconds } => {
            tracing::info!("{changes} changes in {seconds} seconds. Saving...");
            node.snapshots.ask(node, now);
        }
        Verdict::TooLong(ms) => {
            if !node.snapshots.warned.swap(true, Relaxed) {
                tracing::warn!(
                    "A snapshot is due by the default save points, but would hold the server for about {ms} \
                     ms, so none is taken before the end. Set 'save' to have it, or 'appendonly yes'"
                );
            }
        }
    }
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
