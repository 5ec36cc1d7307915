//! What concerns the append only file as a whole: BGREWRITEAOF, CONFIG SET appendonly, DEBUG LOADAOF. Each
//! holds all keyspaces and waits for the control plane meanwhile: the one place where a shard waits for the
//! disk. Until snapshots are taken while the shards go on, that is the price of a base.

use super::{Caller, SessionRun, control};
use crate::base::Millis;
use crate::bridge::mail;
use crate::command::{Error, rewrite};
use crate::keyspace::Keyspace;
use crate::resp::Args;
use crate::session::{BaseOrder, BasePart, Control, Node};
use crate::shard::Engine;

pub const HANDLERS: &[(&str, SessionRun)] =
    &[("bgrewriteaof", SessionRun::Whole(bgrewriteaof, |_, _| true, |_, _| Ok(())))];

/// Pieces of the base under way to the disk.
const PARTS_MAX: usize = 4;

fn bgrewriteaof(c: &mut Caller<'_>, _: Args<'_>, engines: &mut [&mut Engine]) -> Result<(), Error> {
    // Why not stands in the log, as the line says.
    let failed = Error::text(
        "ERR Can't execute an AOF background rewriting. Please check the server logs for more information.",
    );
    write_base(c.node, engines, false).map_err(|_| failed)?;
    c.reply.simple("Background append only file rewriting started");
    Ok(())
}

/// Everything that was done so far goes to the journal.
pub fn hand_over(node: &Node, engines: &mut [&mut Engine]) -> Result<(), String> {
    for engine in engines {
        if let Some(chunk) = engine.effects_to_send() {
            node.control.send(Control::Chunk(chunk)).map_err(|_| NOBODY)?;
        }
    }
    Ok(())
}

const NOBODY: &str = "the control plane takes no orders, see the log";

/// Asks the control plane and waits for its word.
pub fn ask(
    node: &Node,
    order: impl FnOnce(mail::Sender<Result<(), String>>) -> Control,
    meanwhile: impl FnOnce(),
) -> Result<(), String> {
    let (sender, answer) = mail::mail(1);
    control(node, order(sender)).map_err(|_| NOBODY)?;
    meanwhile();
    answer.recv().unwrap_or_else(|_| Err(NOBODY.into()))
}

/// Has all keyspaces written as the base. With `begin` journaling begins right behind it.
pub fn write_base(node: &Node, engines: &mut [&mut Engine], begin: bool) -> Result<(), String> {
    hand_over(node, engines)?;
    let (sender, parts) = mail::mail(PARTS_MAX);
    let begin = begin.then(|| engines.iter().map(|engine| engine.effects.seq()).collect());
    let keyspaces: Vec<&Keyspace> = engines.iter().map(|engine| &engine.keyspace).collect();
    let send_parts = || {
        // Who takes no more of it has a reason, which is the answer.
        let libraries = node.scripts.libraries();
        let codes: Vec<&[u8]> = libraries.iter().map(|library| &*library.code).collect();
        if rewrite(&codes, &keyspaces, &mut |chunk| sender.send(BasePart::Chunk(chunk)).is_ok()) {
            let _ = sender.send(BasePart::End);
        }
        drop(sender);
    };
    ask(node, |answer| Control::Rewrite(BaseOrder { parts, begin, answer }), send_parts)
}

/// CONFIG SET appendonly yes: what is there becomes the base, and from here on everything is journaled.
pub fn turn_on(c: &Caller<'_>, engines: &mut [&mut Engine]) -> Result<(), String> {
    write_base(c.node, engines, true)?;
    engines.iter_mut().for_each(|engine| engine.journaling = true);
    Ok(())
}

/// CONFIG SET appendonly no: nothing is journaled from here on.
pub fn turn_off(c: &Caller<'_>, engines: &mut [&mut Engine]) -> Result<(), String> {
    hand_over(c.node, engines)?;
    ask(c.node, Control::EndJournal, || {})?;
    engines.iter_mut().for_each(|engine| engine.journaling = false);
    Ok(())
}

/// DEBUG LOADAOF: the keyspaces hold what the files do.
pub fn load(c: &mut Caller<'_>, _: Args<'_>, engines: &mut [&mut Engine]) -> Result<(), Error> {
    load_journal(c.node, c.now, engines).map_err(|why| {
        tracing::warn!("DEBUG LOADAOF: {why}");
        Error::text("ERR Error trying to load the AOF files, check server logs")
    })?;
    c.reply.ok();
    Ok(())
}

pub fn load_journal(node: &Node, now: Millis, engines: &mut [&mut Engine]) -> Result<(), String> {
    hand_over(node, engines)?;
    ask(node, Control::Flush, || {})?;
    let host = node.host().ok_or("there is no host")?;
    for engine in engines.iter_mut() {
        for db in 0..engine.keyspace.databases() {
            engine.keyspace.empty(db, now, &node.placement);
        }
    }
    // Redis counts from here, too.
    node.snapshots.is_saved(0);
    host.load(node, engines, now)
}
