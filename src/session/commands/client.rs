//! CLIENT, except the subcommands that look at all connections (`client_list`).

use super::connection::check_name;
use super::{Caller, SessionRun, Threads, client_list, tracking};
use crate::base::num;
use crate::command::{Error, usage};
use crate::resp::Args;
use crate::session::{Pause, state};

pub const HANDLERS: &[(&str, SessionRun)] = &[
    ("client|caching", SessionRun::Home(tracking::caching)),
    ("client|getname", SessionRun::Home(getname)),
    ("client|getredir", SessionRun::Home(tracking::getredir)),
    ("client|help", SessionRun::Home(help)),
    ("client|id", SessionRun::Home(id)),
    ("client|info", SessionRun::Home(client_list::info)),
    ("client|kill", SessionRun::Threads(client_list::KILL.0, client_list::KILL.1)),
    ("client|list", SessionRun::Threads(client_list::LIST.0, client_list::LIST.1)),
    ("client|no-evict", SessionRun::Home(no_evict)),
    ("client|no-touch", SessionRun::Home(no_touch)),
    ("client|pause", SessionRun::Home(pause)),
    ("client|reply", SessionRun::Home(reply)),
    ("client|setinfo", SessionRun::Home(setinfo)),
    ("client|setname", SessionRun::Home(setname)),
    ("client|tracking", SessionRun::Home(tracking::tracking)),
    ("client|trackinginfo", SessionRun::Home(tracking::trackinginfo)),
    ("client|unblock", SessionRun::Threads(unblock_part, unblock_merge)),
    ("client|unpause", SessionRun::Home(unpause)),
];

/// The HELP subcommand of any container.
pub fn help(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    let container = c.node.table.row(c.command).parent.unwrap_or(c.command);
    usage::help(&c.node.table, container, args.at(0), &mut c.reply);
    Ok(())
}

fn id(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    c.reply.integer(c.session.id as i64);
    Ok(())
}

fn getname(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    if c.session.name.is_empty() {
        c.reply.null();
    } else {
        c.reply.bulk(&c.session.name);
    }
    Ok(())
}

fn setname(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    check_name(args.at(2))?;
    c.session.name = args.at(2).to_vec();
    c.reply.ok();
    Ok(())
}

fn setinfo(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    let (attribute, value) = (args.at(2), args.at(3));
    let shown = String::from_utf8_lossy(attribute);
    let field = match () {
        _ if attribute.eq_ignore_ascii_case(b"lib-name") => &mut c.session.lib_name,
        _ if attribute.eq_ignore_ascii_case(b"lib-ver") => &mut c.session.lib_ver,
        _ => return Err(Error::owned(format!("ERR Unrecognized option '{shown}'"))),
    };
    if check_name(value).is_err() {
        let line = format!("ERR {shown} cannot contain spaces, newlines or special characters.");
        return Err(Error::owned(line));
    }
    *field = value.to_vec();
    c.reply.ok();
    Ok(())
}

fn on_or_off(arg: &[u8]) -> Result<bool, Error> {
    match arg {
        a if a.eq_ignore_ascii_case(b"on") => Ok(true),
        a if a.eq_ignore_ascii_case(b"off") => Ok(false),
        _ => Err(Error::Syntax),
    }
}

fn no_evict(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    c.session.no_evict = on_or_off(args.at(2))?;
    c.reply.ok();
    Ok(())
}

fn no_touch(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    let on = on_or_off(args.at(2))?;
    c.session.set(state::NO_TOUCH, on);
    c.reply.ok();
    Ok(())
}

/// OFF and SKIP have no reply themselves.
fn reply(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    match &args.at(2).to_ascii_lowercase()[..] {
        b"on" => {
            c.session.set(state::REPLY_OFF | state::REPLY_SKIP | state::REPLY_SKIP_NEXT, false);
            c.reply.ok();
        }
        b"off" => c.session.set(state::REPLY_OFF, true),
        b"skip" if !c.session.is(state::REPLY_OFF) => c.session.set(state::REPLY_SKIP_NEXT, true),
        b"skip" => {}
        _ => return Err(Error::Syntax),
    }
    Ok(())
}

fn pause(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    let all = match args.get(3) {
        None => true,
        Some(mode) if mode.eq_ignore_ascii_case(b"all") => true,
        Some(mode) if mode.eq_ignore_ascii_case(b"write") => false,
        Some(_) => return Err(Error::text("ERR CLIENT PAUSE mode must be WRITE or ALL")),
    };
    if args.len() > 4 {
        return Err(super::subcommand_syntax(args));
    }
    let timeout =
        num::parse_i64(args.at(2)).ok_or(Error::text("ERR timeout is not an integer or out of range"))?;
    if timeout < 0 {
        return Err(Error::text("ERR timeout is negative"));
    }
    if timeout > 0 {
        let until = c.now.checked_add(timeout as u64).filter(|until| *until <= i64::MAX as u64);
        let until = until.ok_or(Error::text("ERR timeout is out of range"))?;
        c.node.set_pause(Pause { until, all });
        c.node.wake_all();
    }
    c.reply.ok();
    Ok(())
}

fn unpause(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    c.node.set_pause(Pause::default());
    // Clients of other shards wait for its end too.
    c.node.wake_all();
    c.reply.ok();
    Ok(())
}

/// Whom CLIENT UNBLOCK wakes, and whether with an error.
fn unblock_args(args: Args<'_>) -> Result<(i64, bool), Error> {
    let with_error = match args.get(3) {
        None => false,
        Some(reason) if reason.eq_ignore_ascii_case(b"timeout") => false,
        Some(reason) if reason.eq_ignore_ascii_case(b"error") => true,
        Some(_) => return Err(Error::text("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")),
    };
    if args.len() > 4 {
        return Err(super::subcommand_syntax(args));
    }
    Ok((num::parse_i64(args.at(2)).ok_or(Error::NotInteger)?, with_error))
}

/// A byte if the client is one of this thread's and waits for a key.
fn unblock_part(threads: &mut Threads<'_>, args: Args<'_>, out: &mut Vec<u8>) {
    let Ok((id, with_error)) = unblock_args(args) else { return };
    let Some((key, session)) = threads.sessions.iter().find(|(_, s)| s.id as i64 == id) else { return };
    let waiter = session.blocked.as_ref().and_then(|blocked| blocked.waiter.as_ref());
    if waiter.is_some_and(|waiter| waiter.cancel()) {
        threads.unblock.push((key, with_error));
        out.push(b'1');
    }
}

fn unblock_merge(c: &mut Caller<'_>, args: Args<'_>, payloads: &[&[u8]]) -> Result<(), Error> {
    unblock_args(args)?;
    c.reply.integer(payloads.iter().map(|p| p.len() as i64).sum());
    Ok(())
}
