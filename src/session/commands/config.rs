//! CONFIG. Values live in `config`; what follows from a change is applied here or told to the control
//! plane. A setting takes effect for every shard's next command: each looks for a new version of the
//! settings before it reads input.

use super::client::help;
use super::{Caller, SessionRun, control, info, persistence};
use crate::bridge::mail;
use crate::command::Error;
use crate::config::{self, Asker, Change, SetError, Settings};
use crate::resp::Args;
use crate::session::{Control, Node};
use crate::shard::Engine;
use std::time::Duration;

pub const HANDLERS: &[(&str, SessionRun)] = &[
    ("config|get", SessionRun::Home(get)),
    ("config|help", SessionRun::Home(help)),
    ("config|resetstat", SessionRun::Merge(info::reset_stat)),
    ("config|rewrite", SessionRun::Home(rewrite)),
    ("config|set", SessionRun::Whole(change, touches_journal, set)),
];

fn get(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    let patterns: Vec<&[u8]> = args.iter().skip(2).collect();
    let found = config::get(&c.node.settings(), &patterns);
    c.reply.map(found.len());
    for (name, value) in found {
        c.reply.bulk(name.as_bytes());
        c.reply.bulk(&value);
    }
    Ok(())
}

fn set(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    change(c, args, &mut [])
}

/// The journal begins or ends at one point of all shards' histories.
fn touches_journal(_: &Node, args: Args<'_>) -> bool {
    args.iter().skip(2).step_by(2).any(|name| name.eq_ignore_ascii_case(b"appendonly"))
}

fn change(c: &mut Caller<'_>, args: Args<'_>, engines: &mut [&mut Engine]) -> Result<(), Error> {
    let values: Vec<&[u8]> = args.iter().skip(2).collect();
    let loading = c.node.loading.load(std::sync::atomic::Ordering::Acquire);
    let asker = Asker { is_local: super::is_local(c.session), loading };
    let refused = |error: SetError| Error::owned(String::from_utf8_lossy(&error.reply()).into_owned());
    let mut wanted = config::set(&c.node.settings(), &values, asker).map_err(refused)?;
    apply_all(c, &mut wanted, engines).map_err(refused)?;
    let mut changed = Vec::new();
    // Made anew: another connection may have set something meanwhile.
    let made = c.node.change_settings(|settings: &Settings| {
        let mut change: Change = config::set(settings, &values, asker)?;
        change.warnings.iter().for_each(|warning| tracing::warn!("CONFIG SET: {warning}"));
        changed = change.changed.iter().map(|row| row.name).collect();
        if changed.contains(&"dir") {
            change.settings.dir = wanted.settings.dir.clone();
        }
        Ok(change.settings)
    });
    made.map_err(refused)?;
    if changed.contains(&"slowlog-max-len") {
        c.node.slowlog.truncate(c.node.settings().slowlog_max_len as usize);
    }
    if !changed.is_empty() {
        // Who sleeps may have something to do about it too.
        c.node.wake_all();
        c.node.snapshots.judge(c.node, &c.node.settings());
        control(c.node, Control::SettingsChanged(changed))?;
    }
    c.reply.ok();
    Ok(())
}

/// Parameters that are more than a value. `port` and `bind` go together.
const APPLIED: &[&str] = &["bind", "dir", "port"];

/// Brings into force what can fail, all of it or nothing.
fn apply_all(c: &Caller<'_>, wanted: &mut Change, engines: &mut [&mut Engine]) -> Result<(), SetError> {
    let before = c.node.settings();
    let names: Vec<&'static str> = wanted.changed.iter().map(|row| row.name).collect();
    let mut done = Vec::new();
    let mut result = Ok(());
    for name in names.iter().copied().filter(|name| APPLIED.contains(name)) {
        // New sockets for the one are new sockets for the other.
        let again = name != "dir" && done.iter().any(|done| *done != "dir");
        let Some(host) = c.node.host().filter(|_| !again) else { continue };
        result = host.apply(name, &mut wanted.settings).map_err(|reason| SetError::apply(name, reason));
        if result.is_err() {
            break;
        }
        done.push(name);
    }
    if result.is_ok() && names.contains(&"appendonly") {
        let (turned, failed) = match wanted.settings.appendonly {
            true => (persistence::turn_on(c, engines), "Unable to turn on AOF. Check server logs."),
            false => (persistence::turn_off(c, engines), "Unable to turn off AOF. Check server logs."),
        };
        result = turned.map_err(|why| {
            tracing::warn!("CONFIG SET appendonly: {why}");
            SetError::apply("appendonly", failed)
        });
    }
    if result.is_err() {
        for name in done {
            if let Some(Err(why)) = c.node.host().map(|host| host.apply(name, &mut Settings::clone(&before)))
            {
                tracing::warn!("CONFIG SET: {name} can't be set back: {why}");
            }
        }
    }
    result
}

/// How long a shard waits for the control plane to write a small file. Redis writes it in its only
/// thread, so waiting is what a client expects; a disk that hangs must not hang the shard.
const REWRITE_WAIT: Duration = Duration::from_secs(10);

fn rewrite(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    if c.node.facts.config_file.is_empty() {
        return Err(Error::text("ERR The server is running without a config file"));
    }
    write_file(c, false, "Rewriting config file")
}

/// Has the file written; `failed` begins the error line.
pub fn write_file(c: &mut Caller<'_>, everything: bool, failed: &str) -> Result<(), Error> {
    let (sender, answer) = mail::mail(1);
    control(c.node, Control::RewriteConfig { everything, answer: sender })?;
    let outcome = answer.recv_timeout(REWRITE_WAIT).unwrap_or(Err("no answer in time, see the log".into()));
    outcome.map_err(|reason| Error::owned(format!("ERR {failed}: {reason}")))?;
    c.reply.ok();
    Ok(())
}
