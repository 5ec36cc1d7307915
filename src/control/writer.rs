//! Chunks in, a file and settled marks out: the journal's one writer.
//!
//! ```text
//! take(chunk) ... take(chunk)  ->  commit: one append [, one fsync if `always`], then settle
//! ```
//!
//! Invariant: a shard's mark moves only after everything up to it was appended whole, and under
//! `appendfsync always` synced; after the first append or fsync that failed no mark ever moves again.
//! A failed append may have left a part of the batch behind: the file is cut back to the last whole
//! batch. If that fails too, the part is a torn tail to the next start. Neither is tried again.
//!
//! Called by the persistence actor. Knows no clock, no thread and no file: the disk is a trait.

use super::disk::{JournalDisk, SyncJob};
use crate::base::ShardId;
use crate::config::words::AppendFsync;
use crate::journal::{BatchWriter, Chunk, MergeError, Merger};
use crate::session::JournalMarks;
use std::io;

/// Why the journal takes nothing any more.
#[derive(Debug)]
pub enum JournalError {
    Write(io::Error),
    Sync(io::Error),
    Merge(MergeError),
    /// It failed before; that was reported then.
    Latched,
}

/// The increment that recovery opened, or went on with.
pub struct OpenJournal {
    pub disk: Box<dyn JournalDisk>,
    /// Of the increment, relative to the disk.
    pub path: String,
    /// At the end of what the increment holds; all of it is synced.
    pub batch: BatchWriter,
    /// Bytes of the files before this one in the manifest, for INFO.
    pub bytes_before: u64,
}

pub struct Writer {
    disk: Box<dyn JournalDisk>,
    path: String,
    merger: Merger,
    batch: BatchWriter,
    pub policy: AppendFsync,
    /// `aof-timestamp-enabled`
    pub stamps: bool,
    /// Length of the file that a successful fsync covers.
    synced: u64,
    settled: Vec<u64>,
    failed: bool,
    bytes_before: u64,
}

impl Writer {
    pub fn new(open: OpenJournal, shards: ShardId, policy: AppendFsync) -> Self {
        let OpenJournal { disk, path, batch, bytes_before } = open;
        let synced = batch.offset();
        let (merger, settled) = (Merger::new(shards), vec![0; shards as usize]);
        Writer {
            disk,
            path,
            merger,
            batch,
            policy,
            stamps: false,
            synced,
            settled,
            failed: false,
            bytes_before,
        }
    }

    /// The first chunks will have these numbers; what came before them is not the journal's.
    pub fn expect(&mut self, next: &[u64]) {
        self.merger.expect(next);
        self.settled = next.iter().map(|next| next - 1).collect();
    }

    pub fn disk(&mut self) -> &mut dyn JournalDisk {
        &mut *self.disk
    }

    /// Nothing that was taken waits to be written.
    pub fn is_drained(&self) -> bool {
        self.merger.is_drained() && self.batch.is_empty()
    }

    /// Goes on in another increment, behind files of so many bytes. Only when drained.
    pub fn go_on_in(&mut self, path: String, batch: BatchWriter, bytes_before: u64) {
        self.merger.file_changed();
        self.synced = batch.offset();
        (self.path, self.batch, self.bytes_before) = (path, batch, bytes_before);
    }

    /// Adds a turn's effects to the batch. A chunk that waits for other shards' parts of its unit stays
    /// with the merger.
    pub fn take(&mut self, chunk: Chunk) -> Result<(), JournalError> {
        if self.failed {
            return Err(JournalError::Latched);
        }
        self.merger.push(chunk, self.batch.body()).map_err(|error| {
            self.failed = true;
            JournalError::Merge(error)
        })
    }

    /// Bytes that wait for `commit`.
    pub fn batch_bytes(&self) -> usize {
        self.batch.len()
    }

    /// Writes what was taken, syncs it if the policy says so, and settles it. `now_s` stamps the next
    /// batch. True if any shard's mark moved.
    pub fn commit(&mut self, now_s: u64, marks: &JournalMarks) -> Result<bool, JournalError> {
        if self.failed {
            return Err(JournalError::Latched);
        }
        if !self.batch.is_empty() {
            self.append(now_s)?;
        }
        if self.policy == AppendFsync::Always {
            self.sync()?;
        }
        let mut moved = false;
        for shard in 0..self.settled.len() {
            let written = self.merger.written_up_to(shard as ShardId);
            if written > self.settled[shard] {
                self.settled[shard] = written;
                marks.settle(shard as ShardId, written);
                moved = true;
            }
        }
        Ok(moved)
    }

    fn append(&mut self, now_s: u64) -> Result<(), JournalError> {
        let start = self.batch.offset();
        // Where no fsyncs are made nothing can be said about what is on the disk.
        let known = if self.policy == AppendFsync::No { start } else { self.synced };
        let bytes = self.batch.seal(known);
        if let Err(error) = self.disk.append(&self.path, bytes) {
            self.failed = true;
            let _ = self.disk.truncate(&self.path, start);
            return Err(JournalError::Write(error));
        }
        self.batch.begin(Some(now_s).filter(|_| self.stamps));
        Ok(())
    }

    /// Forces everything written so far to the disk.
    pub fn sync(&mut self) -> Result<(), JournalError> {
        if self.failed {
            return Err(JournalError::Latched);
        }
        if self.has_unsynced() {
            if let Err(error) = self.disk.sync(&self.path) {
                self.failed = true;
                return Err(JournalError::Sync(error));
            }
            self.synced = self.batch.offset();
        }
        Ok(())
    }

    pub fn has_unsynced(&self) -> bool {
        self.synced < self.batch.offset()
    }

    /// An fsync for another thread, and the length of the file that it will cover.
    pub fn sync_job(&mut self) -> Result<(SyncJob, u64), JournalError> {
        match self.disk.sync_job(&self.path) {
            Ok(job) => Ok((job, self.batch.offset())),
            Err(error) => {
                self.failed = true;
                Err(JournalError::Sync(error))
            }
        }
    }

    /// What became of a `sync_job`.
    pub fn synced(&mut self, up_to: u64, result: io::Result<()>) -> Result<(), JournalError> {
        match result {
            Ok(()) => self.synced = self.synced.max(up_to),
            Err(error) => {
                self.failed = true;
                return Err(JournalError::Sync(error));
            }
        }
        Ok(())
    }

    /// The end of an orderly shutdown: everything is on the disk, and an empty batch says so to the next
    /// start, which can then tell any damage from a torn tail.
    pub fn finish(&mut self, now_s: u64, marks: &JournalMarks) -> Result<(), JournalError> {
        self.commit(now_s, marks)?;
        self.sync()?;
        self.append(now_s)?;
        self.sync()
    }

    /// Bytes of all files of the journal.
    pub fn file_bytes(&self) -> u64 {
        self.bytes_before + self.batch.offset()
    }

    /// Bytes of chunks that wait for other shards' parts.
    pub fn waiting_bytes(&self) -> usize {
        self.merger.pending_bytes()
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
