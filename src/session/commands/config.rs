//! CONFIG. Values live in `config`; what follows from a change is applied here or told to the control
//! plane. A setting takes effect for every shard's next command: each looks for a new version of the
//! settings before it reads input.

use super::client::help;
use super::{Caller, SessionRun, control, info};
use crate::bridge::mail;
use crate::command::Error;
use crate::config::{self, Asker, Change, SetError, Settings};
use crate::resp::Args;
use crate::session::Control;
use std::time::Duration;

pub const HANDLERS: &[(&str, SessionRun)] = &[
    ("config|get", SessionRun::Home(get)),
    ("config|help", SessionRun::Home(help)),
    ("config|resetstat", SessionRun::Merge(info::reset_stat)),
    ("config|rewrite", SessionRun::Home(rewrite)),
    ("config|set", SessionRun::Home(set)),
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

/// Parameters whose change at run time Redis applies and this server cannot yet.
const FIXED_AT_START: &[(&str, &str)] = &[
    ("appendonly", "turning the append only file on or off at run time is not built yet"),
    ("bind", "listening on other addresses at run time is not built yet"),
    ("dir", "changing the directory at run time is not built yet"),
    ("port", "Unable to listen on this port before the next start: changing it at run time is not built yet"),
];

fn set(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    let values: Vec<&[u8]> = args.iter().skip(2).collect();
    let loading = c.node.loading.load(std::sync::atomic::Ordering::Acquire);
    let asker = Asker { is_local: super::is_local(c.session), loading };
    let mut changed = Vec::new();
    let result = c.node.change_settings(|settings: &Settings| {
        let change: Change = config::set(settings, &values, asker)?;
        for row in &change.changed {
            if let Some((name, reason)) = FIXED_AT_START.iter().find(|(name, _)| *name == row.name) {
                return Err(SetError::apply(name, *reason));
            }
        }
        change.warnings.iter().for_each(|warning| tracing::warn!("CONFIG SET: {warning}"));
        changed = change.changed.iter().map(|row| row.name).collect();
        Ok(change.settings)
    });
    result.map_err(|error| Error::owned(String::from_utf8_lossy(&error.reply()).into_owned()))?;
    if changed.contains(&"slowlog-max-len") {
        c.node.slowlog.truncate(c.node.settings().slowlog_max_len as usize);
    }
    if !changed.is_empty() {
        // Who sleeps may have something to do about it too.
        c.node.wake_all();
        control(c, Control::SettingsChanged(changed))?;
    }
    c.reply.ok();
    Ok(())
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
    control(c, Control::RewriteConfig { everything, answer: sender })?;
    let outcome = answer.recv_timeout(REWRITE_WAIT).unwrap_or(Err("no answer in time, see the log".into()));
    outcome.map_err(|reason| Error::owned(format!("ERR {failed}: {reason}")))?;
    c.reply.ok();
    Ok(())
}
