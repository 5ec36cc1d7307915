//! Snapshots: SAVE, BGSAVE, LASTSAVE, DEBUG RELOAD, and the saving before SHUTDOWN.
//!
//! Whoever writes one holds all keyspaces and hands the file piece by piece to the control plane, which knows
//! files. SAVE goes on when the file is safe under its name; in the background, when everything is with the
//! kernel. So a snapshot is the state of one moment, and the server stands still for as long as it takes to
//! write it ([`docs/decisions/snapshots.md`]).

use super::persistence::{ask, load_journal, write_base};
use super::{Caller, SessionRun, Then, control};
use crate::base::Millis;
use crate::bridge::mail;
use crate::command::Error;
use crate::command::info::REDIS_VERSION;
use crate::keyspace::{Keyspace, Stale, news};
use crate::resp::Args;
use crate::session::{Control, Errand, Node, Reload, SnapshotOrder, SnapshotPart};
use crate::shard::Engine;
use crate::snapshot::{Access, FileWriter};
use std::sync::atomic::Ordering::Relaxed;

pub const HANDLERS: &[(&str, SessionRun)] = &[
    ("bgsave", SessionRun::Home(bgsave)),
    ("lastsave", SessionRun::Home(lastsave)),
    ("save", SessionRun::Whole(save, |_, _| true, |_, _| Ok(()))),
    ("shutdown", SessionRun::Whole(shutdown_saving, saves_first, shutdown)),
];

/// Pieces of the file under way to the disk.
const PARTS_MAX: usize = 4;
const PART_BYTES: usize = 1 << 20;

const UNDER_WAY: &str = "ERR Background save already in progress";

fn save(c: &mut Caller<'_>, _: Args<'_>, engines: &mut [&mut Engine]) -> Result<(), Error> {
    if c.node.snapshots.under_way().is_some() {
        return Err(Error::text(UNDER_WAY));
    }
    c.node.snapshots.count();
    // Why not stands in the log; Redis's reply says no more than this.
    write(c.node, c.now, engines, false).map_err(|_| Error::text("ERR"))?;
    c.reply.ok();
    Ok(())
}

/// Shard 0 begins it with its next turn; what was done before is in it.
fn bgsave(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    let schedule = args.len() == 2 && args.at(1).eq_ignore_ascii_case(b"schedule");
    if args.len() > 1 && !schedule {
        return Err(Error::Syntax);
    }
    if !c.node.snapshots.ask(c.node, c.now / 1000) {
        return Err(Error::text(UNDER_WAY));
    }
    c.reply.simple(if c.in_exec { "Background saving scheduled" } else { "Background saving started" });
    Ok(())
}

fn lastsave(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    c.reply.integer(c.node.snapshots.last_save() as i64);
    Ok(())
}

/// Changes that these keyspaces have counted.
fn changes(engines: &[&mut Engine]) -> u64 {
    engines.iter().map(|engine| engine.keyspace.stats.dirty).sum()
}

/// Has all keyspaces written to the snapshot's file.
fn write(node: &Node, now: Millis, engines: &[&mut Engine], background: bool) -> Result<(), String> {
    let (sender, parts) = mail::mail(PARTS_MAX);
    let changes = changes(engines);
    let order = |answer| Control::Snapshot(SnapshotOrder { parts, background, changes, answer });
    ask(node, order, || {
        let sent =
            each_part(node, now, engines, &mut |bytes| sender.send(SnapshotPart::Bytes(bytes)).is_ok());
        if sent {
            let _ = sender.send(SnapshotPart::End);
        }
        // Who takes no more of it has a reason, which is the answer.
        drop(sender);
    })
}

/// Hands the file to `take` in pieces. `take` says whether to go on; whether it did to the end.
fn each_part(
    node: &Node,
    now: Millis,
    engines: &[&mut Engine],
    take: &mut dyn FnMut(Vec<u8>) -> bool,
) -> bool {
    let settings = node.settings();
    let mut file = FileWriter::new(settings.rdbcompression, settings.rdbchecksum);
    for (name, value) in [
        (&b"redis-ver"[..], REDIS_VERSION.to_owned()),
        (b"redis-bits", "64".into()),
        (b"ctime", (now / 1000).to_string()),
        (b"used-mem", node.used_memory.load(Relaxed).to_string()),
        (b"aof-base", "0".into()),
    ] {
        file.aux(name, value.as_bytes());
    }
    for library in node.scripts.libraries().iter() {
        file.library(&library.code);
    }
    let keyspaces: Vec<&Keyspace> = engines.iter().map(|engine| &engine.keyspace).collect();
    for db in 0..keyspaces.first().map_or(0, |keyspace| keyspace.databases()) {
        let dbs = || keyspaces.iter().map(|keyspace| keyspace.db(db));
        let keys: usize = dbs().map(|db| db.len()).sum();
        if keys == 0 {
            continue;
        }
        let with_deadline: usize = dbs().map(|db| db.expires()).sum();
        file.database(db, keys as u64, with_deadline as u64);
        for entry in dbs().flat_map(|db| db.table().iter()) {
            file.entry(entry, Access::Untold);
            if file.len() >= PART_BYTES && !take(file.take()) {
                return false;
            }
        }
    }
    file.end();
    take(file.take())
}

/// What is due on no client's behalf, with all keyspaces held.
pub fn run_errand(node: &Node, now: Millis, errand: Errand, engines: &mut [&mut Engine]) {
    match errand {
        // How it went is told by INFO and the log.
        Errand::Snapshot => {
            node.snapshots.count();
            drop(write(node, now, engines, true));
        }
        Errand::Shutdown { force, now: at_once } => {
            if end(node, now, engines, force, at_once).is_err() {
                tracing::warn!("Errors trying to shut down the server. Check the logs for more information.");
            }
        }
    }
}

/// DEBUG RELOAD [MERGE] [NOFLUSH] [NOSAVE].
///
/// The journal, if there is one, holds afterwards what memory does, and nothing of this twice. What was saved
/// and is loaded again is what it holds already, if keys past their time stay until they go with their DEL.
/// After anything else a new base is written. A file that is refused leaves what the journal holds; without one,
/// like Redis, whatever had been loaded by then.
pub fn reload(c: &mut Caller<'_>, args: Args<'_>, engines: &mut [&mut Engine]) -> Result<(), Error> {
    let (mut merge, mut flush, mut save) = (false, true, true);
    for option in args.iter().skip(2) {
        match &option.to_ascii_lowercase()[..] {
            b"merge" => merge = true,
            b"noflush" => flush = false,
            b"nosave" => save = false,
            _ => {
                let line = "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.";
                return Err(Error::text(line));
            }
        }
    }
    let node = c.node;
    if save {
        write(node, c.now, engines, false).map_err(|_| Error::text("ERR"))?;
    }
    let journaled = node.journal.is_on();
    let before = changes(engines);
    if flush {
        empty(node, c.now, engines);
    }
    let host = node.host().ok_or_else(|| Error::text(LOAD_FAILED))?;
    let how = Reload { merge, keep_expired: journaled && save && flush };
    let loaded = host.load_snapshot(node, engines, c.now, how);
    let kept = match (&loaded, journaled) {
        (Err(_), true) => load_journal(node, c.now, engines),
        (Ok(()), true) if !(save && flush) => write_base(node, engines, false),
        _ => Ok(()),
    };
    if let Err(why) = &loaded {
        tracing::warn!("DEBUG RELOAD: {why}");
    }
    if let Err(why) = kept {
        tracing::warn!("DEBUG RELOAD: the journal does not hold what memory does: {why}");
        return Err(Error::text(LOAD_FAILED));
    }
    if loaded.is_err() {
        return Err(Error::text(LOAD_FAILED));
    }
    debug_assert!(before <= changes(engines), "loading changes nothing");
    tracing::warn!("DB reloaded by DEBUG RELOAD");
    c.reply.ok();
    Ok(())
}

const LOAD_FAILED: &str = "ERR Error trying to load the RDB dump";

/// Removes all keys and libraries. Clients that watch or track a key learn that it has gone; it is no change
/// that a snapshot lacks.
fn empty(node: &Node, now: Millis, engines: &mut [&mut Engine]) {
    node.scripts.empty_libraries();
    for engine in engines {
        let stats = engine.keyspace.stats;
        for db in 0..engine.keyspace.databases() {
            engine.keyspace.empty(db, now, &node.placement);
        }
        engine.keyspace.tracking.clear();
        if engine.keyspace.shard == 0 && node.trackers.news() & news::TRACKED != 0 {
            engine.keyspace.stale.push(Stale::All { writer: 0 });
        }
        engine.keyspace.stats = stats;
    }
}

/// Words of SHUTDOWN.
#[derive(Default)]
struct Shutdown {
    nosave: bool,
    save: bool,
    now: bool,
    force: bool,
    abort: bool,
}

impl Shutdown {
    fn parse(args: Args<'_>) -> Option<Shutdown> {
        let mut it = Shutdown::default();
        for word in args.iter().skip(1) {
            *match &word.to_ascii_lowercase()[..] {
                b"nosave" => &mut it.nosave,
                b"save" => &mut it.save,
                b"now" => &mut it.now,
                b"force" => &mut it.force,
                b"abort" => &mut it.abort,
                _ => return None,
            } = true;
        }
        let other = it.nosave || it.save || it.now || it.force;
        (!(it.abort && other || it.nosave && it.save)).then_some(it)
    }

    /// With save points, unless told not to.
    fn saves(&self, node: &Node) -> bool {
        self.save || !self.nosave && !self.abort && !node.settings().save.is_empty()
    }
}

/// Whether a snapshot is taken first. While a script keeps the server busy the answer is known without.
fn saves_first(node: &Node, args: Args<'_>) -> bool {
    Shutdown::parse(args).is_some_and(|it| it.saves(node)) && node.scripts.busy(None).is_none()
}

/// SHUTDOWN [NOSAVE|SAVE] [NOW] [FORCE] [ABORT]. No reply comes: the connection ends with the process.
fn shutdown(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    let it = Shutdown::parse(args).ok_or(Error::Syntax)?;
    if it.abort {
        // A shutdown waits for nothing here, so none is ever under way for long.
        return Err(Error::text("ERR No shutdown in progress."));
    }
    if let Some(line) = c.node.scripts.busy(None).filter(|_| !it.nosave) {
        return Err(Error::text(line));
    }
    control(c.node, Control::Shutdown { force: it.force, now: it.now, saved: false })?;
    c.then = Then::Hold;
    Ok(())
}

fn shutdown_saving(c: &mut Caller<'_>, args: Args<'_>, engines: &mut [&mut Engine]) -> Result<(), Error> {
    let it = Shutdown::parse(args).ok_or(Error::Syntax)?;
    tracing::warn!("User requested shutdown...");
    end(c.node, c.now, engines, it.force, it.now)
}

/// Saves, and ends the server with all keyspaces held, so that nothing follows that is not in the file.
fn end(
    node: &Node,
    now: Millis,
    engines: &mut [&mut Engine],
    force: bool,
    at_once: bool,
) -> Result<(), Error> {
    super::persistence::hand_over(node, engines).map_err(|_| Error::text(SHUTDOWN_FAILED))?;
    tracing::info!("Saving the final RDB snapshot before exiting.");
    if write(node, now, engines, false).is_err() {
        if !force {
            tracing::warn!("Error trying to save the DB, can't exit.");
            return Err(Error::text(SHUTDOWN_FAILED));
        }
        tracing::warn!("Error trying to save the DB, but the end was forced.");
    }
    control(node, Control::Shutdown { force, now: at_once, saved: true })?;
    // Nobody ever answers: the process ends.
    let (never, end) = mail::mail::<()>(1);
    let _ = end.recv();
    drop(never);
    Ok(())
}

const SHUTDOWN_FAILED: &str = "ERR Errors trying to SHUTDOWN. Check logs.";
