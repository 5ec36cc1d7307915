//! DEBUG: what concerns the process and the connection. The subcommands that look at keys have rows of
//! their own (`command::debug`) and come here only to be merged.

use super::{Caller, SessionRun, Then};
use crate::command::Error;
use crate::command::debug;
use crate::command::generic;
use crate::command::list;
use crate::command::shard_facts::ShardFacts;
use crate::resp::Args;
use crate::session::Node;
use crate::shard::Engine;
use std::sync::atomic::Ordering::Relaxed;

pub const HANDLERS: &[(&str, SessionRun)] = &[
    ("debug", SessionRun::Whole(load, loads, run)),
    ("debug|digest", SessionRun::Merge(digest)),
    ("debug|htstats", SessionRun::Merge(htstats)),
    ("debug|protocol", SessionRun::Home(protocol)),
    ("debug|stringmatch-len", SessionRun::Home(stringmatch_len)),
];

/// How the subcommands of this file are called, for HELP.
const HELP: &[(&str, &str)] = &[
    ("CONFIG-REWRITE-FORCE-ALL", "Like CONFIG REWRITE, with all parameters that have their defaults"),
    ("ERROR <string>", "Answer with this error line"),
    ("LOADAOF", "Empty all databases and load the append only files"),
    ("LOG <message>", "Write a line to the server's log"),
    ("PANIC", "End the process at once, as a failed assertion would"),
    ("PAUSE-CRON (0|1)", "Stop the housekeeping that runs ten times a second"),
    ("QUICKLIST-PACKED-THRESHOLD <size>", "Give list elements of at least this size nodes of their own"),
    (
        "RELOAD [option ...]",
        "Save the snapshot and load it; NOSAVE loads the file there is, NOFLUSH keeps the keys",
    ),
    ("SEGFAULT", "End the process at once"),
    ("SET-ACTIVE-EXPIRE (0|1)", "Leave keys in memory whose time has passed, until somebody asks for them"),
    ("SLEEP <seconds>", "Stop the whole server for so long"),
];

fn run(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    match (&args.at(1).to_ascii_lowercase()[..], args.len()) {
        (b"help", 2) => debug::help(HELP, args.at(0), &mut c.reply),
        (b"sleep", 3) => {
            let micros = (leading_number(args.at(2)) * 1e6) as u64;
            c.node.sleep_until(c.now_micros.saturating_add(micros));
            c.then = Then::Sleep(micros);
            c.reply.ok();
        }
        (b"set-active-expire", 3) => {
            c.node.active_expire.store(is_on(args.at(2)), Relaxed);
            c.reply.ok();
        }
        (b"pause-cron", 3) => {
            c.node.cron_paused.store(is_on(args.at(2)), Relaxed);
            c.reply.ok();
        }
        (b"log", 3) => {
            tracing::warn!("DEBUG LOG: {}", String::from_utf8_lossy(args.at(2)));
            c.reply.ok();
        }
        (b"error", 3) => c.reply.error_bytes(args.at(2)),
        (b"panic", _) => {
            tracing::error!("DEBUG PANIC called at Unix time {}", c.now / 1000);
            std::process::abort();
        }
        (b"segfault", _) => {
            tracing::error!("DEBUG SEGFAULT called");
            std::process::abort();
        }
        (b"config-rewrite-force-all", 2) => {
            return super::config::write_file(c, true, "CONFIG-REWRITE-FORCE-ALL failed");
        }
        (b"replybuffer", 4) => return not_built("REPLYBUFFER", "resizing reply buffers by the clock is"),
        (b"quicklist-packed-threshold", 3) => {
            list::set_packed_threshold(args.at(2))?;
            c.reply.ok();
        }
        (b"set-disable-deny-scripts", 3) => {
            c.node.scripts.run_denied.store(is_on(args.at(2)), Relaxed);
            c.reply.ok();
        }
        (b"set-skip-checksum-validation", 3) => {
            generic::set_skip_checksum(is_on(args.at(2)));
            c.reply.ok();
        }
        _ => return Err(super::subcommand_syntax(args)),
    }
    Ok(())
}

/// DEBUG LOADAOF, DEBUG RELOAD.
fn loads(_: &Node, args: Args<'_>) -> bool {
    args.len() == 2 && args.at(1).eq_ignore_ascii_case(b"loadaof") || reloads(args)
}

fn reloads(args: Args<'_>) -> bool {
    args.at(1).eq_ignore_ascii_case(b"reload")
}

fn load(c: &mut Caller<'_>, args: Args<'_>, engines: &mut [&mut Engine]) -> Result<(), Error> {
    match reloads(args) {
        true => super::snapshot::reload(c, args, engines),
        false => super::persistence::load(c, args, engines),
    }
}

fn not_built(name: &str, what: &str) -> Result<(), Error> {
    Err(Error::owned(format!("ERR DEBUG {name} is not available: {what} not built yet")))
}

/// As C's `atoi` sees it.
fn is_on(arg: &[u8]) -> bool {
    leading_number(arg).trunc() != 0.0
}

/// The number at the front of an argument, 0 without one.
fn leading_number(arg: &[u8]) -> f64 {
    let text = String::from_utf8_lossy(arg);
    let text = text.trim_start();
    (0..=text.len())
        .rev()
        .filter(|end| text.is_char_boundary(*end))
        .find_map(|end| text[..end].parse().ok())
        .unwrap_or(0.0)
}

fn digest(c: &mut Caller<'_>, _: Args<'_>, payloads: &[&[u8]]) -> Result<(), Error> {
    c.reply.simple(&debug::digest(payloads.iter().copied()));
    Ok(())
}

fn htstats(c: &mut Caller<'_>, args: Args<'_>, payloads: &[&[u8]]) -> Result<(), Error> {
    let facts = ShardFacts::sum(payloads.iter().copied()).unwrap_or_default();
    let text = debug::htstats(&facts, c.settings.databases as usize, args)?;
    c.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn protocol(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    debug::protocol(args.at(2), &mut c.reply)
}

fn stringmatch_len(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    let matches = debug::stringmatch_len(args)?;
    c.reply.integer(matches as i64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::debug::SUBCOMMANDS;

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        for (text, number) in [("0.5", 0.5), (" 2", 2.0), ("1x", 1.0), ("x", 0.0), ("", 0.0), ("-1", -1.0)] {
            assert_eq!(leading_number(text.as_bytes()), number, "{text}");
        }
        assert!(is_on(b"1") && !is_on(b"0") && !is_on(b"0.5"));
    }

    #[test]
    fn every_word_of_the_table_is_told_apart_from_those_here() {
        for word in SUBCOMMANDS {
            assert!(
                HELP.iter().all(|(call, _)| !call.to_ascii_lowercase().starts_with(word.name)),
                "{}",
                word.name
            );
        }
    }
}
