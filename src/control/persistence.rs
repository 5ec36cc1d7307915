//! The actor that writes the journal, and reads what else the shards have for the control plane.
//!
//! ```text
//! shards --mail--> drain: Chunk        -> Writer; one write per batch, then marks, then wakes
//!   |              the rest            -> here or to the supervisor, in the order of the queue
//!   +--Wake------> Drain (only while this actor sleeps)
//! sync thread <--job-- once a second under `everysec`;  --Synced--> here
//! ```
//!
//! Invariant: the queue is read in order, so whoever asks for a flush or for the end gets everything
//! that was handed over before. It runs on a thread of its own: a disk that stalls stops answers that
//! depend on it, and nothing else. After a failure chunks are still taken out of the queue, so that no
//! shard waits for room, and thrown away; nothing they hold is ever acknowledged.

use super::disk::{SyncJob, reason};
use super::rewrite::{self, Follows, RewriteError};
use super::snapshot;
use super::supervisor::{Changed, Finished, Rewrite, ShutdownAsked, Supervisor};
use super::writer::{JournalError, Writer};
use super::{Stop, now_seconds};
use crate::bridge::mail::{Receiver, Sender, TryRecvError, mail};
use crate::config::words::AppendFsync;
use crate::journal::Chunk;
use crate::session::{BaseOrder, BasePart, Control, Node, SnapshotOrder, attention};
use actix::prelude::*;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// A batch is written when it has grown to this, even if more waits.
const BATCH_BYTES: usize = 1 << 20;
const SYNC_PERIOD: Duration = Duration::from_secs(1);
/// An fsync that takes longer is worth a line in the log (Redis's figure).
const SLOW_SYNC: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(100);

/// Something is in the queue.
pub(super) struct Drain;

/// Write and sync everything, answer the supervisor, and take nothing more.
pub(super) struct Finish;

/// What became of an fsync elsewhere.
struct Synced {
    /// Of which increment, of those that were written to since start.
    increment: u64,
    up_to: u64,
    result: io::Result<()>,
}

impl Message for Drain {
    type Result = ();
}
impl Message for Finish {
    type Result = ();
}
impl Message for Synced {
    type Result = ();
}

pub(super) struct Persistence {
    node: Arc<Node>,
    mail: Receiver<Control>,
    supervisor: Addr<Supervisor>,
    journal: Option<Writer>,
    /// Counts the increments: what becomes of one that is left is nobody's business.
    increment: u64,
    /// Jobs for the sync thread, each with its increment and the length that it covers.
    sync_jobs: Option<Sender<(SyncJob, u64, u64)>>,
    /// To the thread that writes snapshots, once there was one.
    snapshots: Option<Sender<SnapshotOrder>>,
    last_sync: Instant,
    /// Since when an fsync has been under way, and whether its slowness was told.
    syncing: Option<(Instant, bool)>,
    /// A tick is on its way.
    ticking: bool,
    finished: bool,
}

impl Persistence {
    pub fn new(
        node: Arc<Node>,
        mail: Receiver<Control>,
        journal: Option<Writer>,
        supervisor: Addr<Supervisor>,
    ) -> Self {
        Persistence {
            node,
            mail,
            supervisor,
            journal,
            increment: 0,
            sync_jobs: None,
            snapshots: None,
            last_sync: Instant::now(),
            syncing: None,
            ticking: false,
            finished: false,
        }
    }

    fn drain(&mut self, ctx: &mut Context<Self>) {
        self.take_queue();
        self.sync_if_due(ctx);
        self.tick_later(ctx);
        if self.finished {
            return;
        }
        // Sleep only if nothing came between the last look and the announcement.
        self.node.control_wake.announce();
        if !self.mail.is_empty() {
            self.node.control_wake.retract();
            ctx.address().do_send(Drain);
        }
    }

    /// Takes what is in the queue now, not what comes meanwhile, and writes it.
    fn take_queue(&mut self) {
        for _ in 0..self.mail.len() {
            match self.mail.try_recv() {
                Ok(Control::Chunk(chunk)) => {
                    self.take(chunk);
                    if self.journal.as_ref().is_some_and(|journal| journal.batch_bytes() >= BATCH_BYTES) {
                        self.commit();
                    }
                }
                Ok(other) => {
                    self.commit();
                    self.handle_control(other);
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        self.commit();
    }

    fn take(&mut self, chunk: Chunk) {
        if self.finished {
            return;
        }
        match &mut self.journal {
            Some(journal) => {
                if let Err(error) = journal.take(chunk) {
                    self.failed(error);
                }
            }
            // Switched off meanwhile: nothing waits for this any more but what had been promised before.
            None if self.node.attention() & attention::WRITE_ERROR == 0 => {
                self.node.journal.settle(chunk.shard, chunk.seq);
            }
            None => {}
        }
    }

    fn commit(&mut self) {
        let Some(journal) = &mut self.journal else { return };
        match journal.commit(now_seconds(), &self.node.journal) {
            Ok(true) => {
                self.node.journal_bytes.store(journal.file_bytes(), Relaxed);
                // A reply at one shard may depend on a chunk of another, so any of them may be waiting.
                self.node.wake_all();
            }
            Ok(false) => {}
            Err(error) => self.failed(error),
        }
    }

    fn handle_control(&mut self, control: Control) {
        match control {
            Control::Chunk(chunk) => self.take(chunk),
            Control::SettingsChanged(names) => {
                self.settings_changed();
                self.supervisor.do_send(Changed(names));
            }
            Control::RewriteConfig { everything, answer } => {
                self.supervisor.do_send(Rewrite { everything, answer });
            }
            Control::Shutdown { force, now, saved } => {
                let stop = Stop { force, now, save: Some(false), saved, signal: None };
                self.supervisor.do_send(ShutdownAsked(stop));
            }
            Control::Flush(answer) => {
                // A caller that has gone away needs no answer.
                let _ = answer.try_send(self.flushed());
            }
            Control::Rewrite(order) => self.rewrite(order),
            Control::Snapshot(order) => {
                let node = &self.node;
                let orders = self.snapshots.get_or_insert_with(|| snapshot::start(Arc::clone(node)));
                // There is room; if the thread has gone, so has the process.
                let _ = orders.try_send(order);
            }
            Control::EndJournal(answer) => {
                let _ = answer.try_send(self.switch_off());
            }
        }
    }

    fn flushed(&self) -> Result<(), String> {
        match self.node.attention() & attention::WRITE_ERROR {
            0 => Ok(()),
            _ => Err(self.node.journal_error()),
        }
    }

    fn settings_changed(&mut self) {
        let settings = self.node.settings();
        if let Some(journal) = &mut self.journal {
            journal.policy = settings.appendfsync;
            journal.stamps = settings.aof_timestamp_enabled;
        }
    }

    /// CONFIG SET appendonly no: the file ends here, whole and synced. All keyspaces are held meanwhile, so
    /// nothing follows. A journal that has failed is over anyway, and with it what it refused.
    fn switch_off(&mut self) -> Result<(), String> {
        if let Some(journal) = &mut self.journal {
            tracing::info!("Calling fsync() on the AOF file.");
            if let Err(error) = journal.finish(now_seconds(), &self.node.journal) {
                self.failed(error);
                return Err(self.node.journal_error());
            }
        }
        self.journal = None;
        self.increment += 1;
        self.node.journal.switch(false);
        *self.node.journal_errors.lock().unwrap_or_else(|e| e.into_inner()) = None;
        self.node.attend(attention::WRITE_ERROR, false);
        self.node.wake_all();
        Ok(())
    }

    /// Writes a new base, and goes on behind it. All keyspaces are held until this is answered.
    fn rewrite(&mut self, BaseOrder { parts, begin, answer }: BaseOrder) {
        let started = Instant::now();
        let result = self.try_rewrite(&parts, begin.as_deref());
        // Whoever still sends parts shall not wait.
        drop(parts);
        match &result {
            Ok(()) => {
                let seconds = started.elapsed().as_secs_f64();
                tracing::info!("AOF rewrite finished successfully: {seconds:.3} seconds");
                self.node.rewrites.fetch_add(1, Relaxed);
            }
            Err(why) => tracing::warn!("AOF rewrite failed: {why}"),
        }
        self.node.rewrite_failed.store(result.is_err(), Relaxed);
        let _ = answer.try_send(result);
        self.node.wake_all();
    }

    fn try_rewrite(&mut self, parts: &Receiver<BasePart>, begin: Option<&[u64]>) -> Result<(), String> {
        if self.finished {
            return Err("the server is ending".into());
        }
        self.flushed()?;
        let settings = self.node.settings();
        let mut made = None;
        let with_increment = self.journal.is_some() || begin.is_some();
        let disk = match &mut self.journal {
            Some(journal) if !journal.is_drained() => return Err("units are not whole".into()),
            Some(journal) => journal.disk(),
            None => &mut **made.insert(rewrite::new_disk(&settings)?),
        };
        let (base_bytes, follows) = match rewrite::rewrite(disk, &settings, parts, with_increment) {
            Ok(done) => done,
            Err(RewriteError::Kept(why)) => return Err(why),
            Err(RewriteError::Unknown(why)) => {
                if self.journal.is_some() {
                    self.failed(JournalError::Write(io::Error::other(why.clone())));
                }
                return Err(why);
            }
        };
        self.increment += 1;
        self.node.base_bytes.store(base_bytes, Relaxed);
        match (&mut self.journal, made, follows, begin) {
            (Some(journal), _, Some(Follows { path, batch }), _) => journal.go_on_in(path, batch, base_bytes),
            (none, Some(disk), Some(follows), Some(next)) => {
                self.node.journal_begins(&settings);
                *none = Some(rewrite::writer_from(disk, follows, base_bytes, next, &settings));
                for (shard, next) in next.iter().enumerate() {
                    self.node.journal.settle(shard as u16, next - 1);
                }
                self.node.journal.switch(true);
            }
            _ => {}
        }
        if let Some(journal) = &self.journal {
            self.node.journal_bytes.store(journal.file_bytes(), Relaxed);
        }
        Ok(())
    }

    /// Nothing is acknowledged from here on.
    fn failed(&mut self, error: JournalError) {
        let why = match &error {
            JournalError::Latched => return,
            JournalError::Write(error) => {
                let why = reason(error);
                tracing::error!("Error writing to the AOF file: {why}");
                why
            }
            JournalError::Sync(error) => {
                let why = reason(error);
                tracing::error!("Fail to fsync the AOF file: {why}");
                why
            }
            JournalError::Merge(error) => {
                tracing::error!("{error}");
                error.to_string()
            }
        };
        *self.node.journal_errors.lock().unwrap_or_else(|e| e.into_inner()) = Some(why.clone());
        self.node.attend(attention::WRITE_ERROR, true);
        let policy = self.journal.as_ref().map(|journal| journal.policy);
        // The writer has latched; without it chunks are only thrown away.
        self.journal = None;
        if policy == Some(AppendFsync::Always) {
            match error {
                JournalError::Sync(_) => tracing::error!(
                    "Can't persist AOF for fsync error when the AOF fsync policy is 'always': {why}. Exiting..."
                ),
                _ => tracing::error!(
                    "Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting..."
                ),
            }
            super::exit_now(1);
        }
        tracing::error!("Nothing is written to the AOF any more: writes are refused until a restart");
        self.node.wake_all();
    }

    /// While something waits for an fsync: under load the queue sees to it, this is for the last writes
    /// before a pause. Without, the thread sleeps.
    fn tick_later(&mut self, ctx: &mut Context<Self>) {
        let waits = |journal: &Writer| journal.policy == AppendFsync::EverySecond && journal.has_unsynced();
        if !self.ticking && (self.journal.as_ref().is_some_and(waits) || self.syncing.is_some()) {
            self.ticking = true;
            ctx.run_later(TICK, |me, ctx| {
                me.ticking = false;
                me.sync_if_due(ctx);
                me.tick_later(ctx);
            });
        }
    }

    fn sync_if_due(&mut self, ctx: &mut Context<Self>) {
        if let Some((since, told)) = &mut self.syncing {
            if !*told && since.elapsed() > SLOW_SYNC {
                *told = true;
                tracing::info!("Asynchronous AOF fsync is taking too long (disk is busy?)");
            }
            return;
        }
        let Some(journal) = &mut self.journal else { return };
        let due = journal.policy == AppendFsync::EverySecond
            && journal.has_unsynced()
            && self.last_sync.elapsed() >= SYNC_PERIOD;
        if !due {
            return;
        }
        let job = match journal.sync_job() {
            Ok(job) => job,
            Err(error) => return self.failed(error),
        };
        let now = Instant::now();
        (self.last_sync, self.syncing) = (now, Some((now, false)));
        let jobs = self.sync_jobs.get_or_insert_with(|| start_sync_thread(ctx.address()));
        let (job, up_to) = job;
        // One at a time, so there is room; a thread that is gone has ended the process.
        let _ = jobs.try_send((job, self.increment, up_to));
    }
}

fn start_sync_thread(to: Addr<Persistence>) -> Sender<(SyncJob, u64, u64)> {
    let (jobs, queue) = mail::<(SyncJob, u64, u64)>(1);
    let run = move || {
        while let Ok((job, increment, up_to)) = queue.recv() {
            to.do_send(Synced { increment, up_to, result: job() });
        }
    };
    std::thread::Builder::new()
        .name("aof-fsync".into())
        .spawn(run)
        .unwrap_or_else(|error| panic!("no thread for fsync: {error}"));
    jobs
}

impl Actor for Persistence {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let me = ctx.address();
        self.node.control_wake.connect(move || me.do_send(Drain));
        self.drain(ctx);
    }
}

impl Handler<Drain> for Persistence {
    type Result = ();

    fn handle(&mut self, _: Drain, ctx: &mut Self::Context) {
        self.node.control_wake.retract();
        self.drain(ctx);
    }
}

impl Handler<Synced> for Persistence {
    type Result = ();

    fn handle(&mut self, Synced { increment, up_to, result }: Synced, _: &mut Self::Context) {
        self.syncing = None;
        let Some(journal) = self.journal.as_mut().filter(|_| increment == self.increment) else { return };
        if let Err(error) = journal.synced(up_to, result) {
            self.failed(error);
        }
    }
}

impl Handler<Finish> for Persistence {
    type Result = ();

    fn handle(&mut self, _: Finish, _: &mut Self::Context) {
        self.take_queue();
        if let Some(journal) = &mut self.journal {
            tracing::info!("Calling fsync() on the AOF file.");
            if let Err(error) = journal.finish(now_seconds(), &self.node.journal) {
                self.failed(error);
            }
            self.node.wake_all();
        }
        self.journal = None;
        self.finished = true;
        self.supervisor.do_send(Finished(self.flushed()));
    }
}
