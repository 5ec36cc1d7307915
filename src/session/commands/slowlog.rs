//! SLOWLOG.

use super::client::help;
use super::{Caller, SessionRun};
use crate::base::num;
use crate::command::Error;
use crate::resp::Args;

pub const HANDLERS: &[(&str, SessionRun)] = &[
    ("slowlog|get", SessionRun::Home(get)),
    ("slowlog|help", SessionRun::Home(help)),
    ("slowlog|len", SessionRun::Home(len)),
    ("slowlog|reset", SessionRun::Home(reset)),
];

fn get(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    if args.len() > 3 {
        return Err(super::subcommand_syntax(args));
    }
    let count = args.get(2).map_or(Some(10), num::parse_i64).filter(|n| *n >= -1);
    let count = count.ok_or(Error::text("ERR count should be greater than or equal to -1"))?;
    let entries = c.node.slowlog.newest(if count < 0 { usize::MAX } else { count as usize });
    c.reply.array(entries.len());
    for entry in entries {
        c.reply.array(6);
        c.reply.integer(entry.id as i64);
        c.reply.integer(entry.unix_seconds as i64);
        c.reply.integer(entry.micros as i64);
        c.reply.array(entry.args.len());
        entry.args.iter().for_each(|arg| c.reply.bulk(arg));
        c.reply.bulk(entry.addr.as_bytes());
        c.reply.bulk(&entry.name);
    }
    Ok(())
}

fn len(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    c.reply.integer(c.node.slowlog.len() as i64);
    Ok(())
}

fn reset(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    c.node.slowlog.reset();
    c.reply.ok();
    Ok(())
}
