//! What is asked of the server as a whole and needs no key: COMMAND, LOLWUT, MONITOR,
//! ROLE, TIME, and the subcommands of MEMORY that look at nothing.

use super::client::help;
use super::{Caller, SessionRun, Threads};
use crate::command::{Error, introspect, lolwut};
use crate::resp::Args;
use crate::session::state;

pub const HANDLERS: &[(&str, SessionRun)] = &[
    ("command", SessionRun::Home(command)),
    ("command|count", SessionRun::Home(command_count)),
    ("command|docs", SessionRun::Home(command_docs)),
    ("command|getkeys", SessionRun::Home(command_getkeys)),
    ("command|getkeysandflags", SessionRun::Home(command_getkeysandflags)),
    ("command|help", SessionRun::Home(help)),
    ("command|info", SessionRun::Home(command_info)),
    ("command|list", SessionRun::Home(command_list)),
    ("lolwut", SessionRun::Home(lolwut)),
    ("memory|help", SessionRun::Home(help)),
    ("memory|malloc-stats", SessionRun::Home(memory_malloc_stats)),
    ("memory|purge", SessionRun::Threads(purge_part, purge_merge)),
    ("monitor", SessionRun::Home(monitor)),
    ("object|help", SessionRun::Home(help)),
    ("xgroup|help", SessionRun::Home(help)),
    ("xinfo|help", SessionRun::Home(help)),
    ("role", SessionRun::Home(role)),
    ("time", SessionRun::Home(time)),
];

fn command(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    introspect::command(&c.node.table, &mut c.reply);
    Ok(())
}

fn command_count(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    introspect::count(&c.node.table, &mut c.reply);
    Ok(())
}

fn command_docs(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    introspect::docs(&c.node.table, args, &mut c.reply);
    Ok(())
}

fn command_getkeys(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    introspect::get_keys(&c.node.table, args, false, &mut c.reply)
}

fn command_getkeysandflags(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    introspect::get_keys(&c.node.table, args, true, &mut c.reply)
}

fn command_info(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    introspect::info(&c.node.table, args, &mut c.reply);
    Ok(())
}

fn command_list(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    introspect::list(&c.node.table, args, &mut c.reply)
}

fn lolwut(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    let picture = lolwut::render(args, c.now_micros ^ c.session.id)?;
    c.reply.verbatim("txt", picture.as_bytes());
    Ok(())
}

/// What Redis says where its allocator has nothing to tell.
fn memory_malloc_stats(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    c.reply.bulk(b"Stats not supported for the current allocator");
    Ok(())
}

/// Each thread has a heap of its own.
fn purge_part(_: &mut Threads<'_>, _: Args<'_>, _: &mut Vec<u8>) {
    crate::structure::heap::purge();
}

fn purge_merge(c: &mut Caller<'_>, _: Args<'_>, _: &[&[u8]]) -> Result<(), Error> {
    c.reply.ok();
    Ok(())
}

fn monitor(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    // Like Redis, a second MONITOR gets no reply.
    if !c.session.is(state::MONITOR) {
        c.session.set(state::MONITOR, true);
        c.node.count_monitor(true);
        c.reply.ok();
    }
    Ok(())
}

fn role(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    c.reply.array(3);
    c.reply.bulk(b"master");
    c.reply.integer(0);
    c.reply.array(0);
    Ok(())
}

fn time(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    c.reply.array(2);
    c.reply.bulk_integer((c.now_micros / 1_000_000) as i64);
    c.reply.bulk_integer((c.now_micros % 1_000_000) as i64);
    Ok(())
}
