//! PING, ECHO, SELECT, AUTH, HELLO, QUIT, RESET.

use super::{Caller, SessionRun, Then};
use crate::base::num;
use crate::command::Error;
use crate::resp::{Args, Proto};
use crate::session::state;

pub const HANDLERS: &[(&str, SessionRun)] = &[
    ("ping", SessionRun::Home(ping)),
    ("echo", SessionRun::Home(echo)),
    ("select", SessionRun::Home(select)),
    ("auth", SessionRun::Home(auth)),
    ("hello", SessionRun::Home(hello)),
    ("quit", SessionRun::Home(quit)),
    ("reset", SessionRun::Home(reset)),
];

fn ping(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    match args.len() {
        // A subscriber of RESP2 reads arrays only.
        1 | 2 if c.session.is(state::SUBSCRIBED) && !c.reply.is_resp3() => {
            c.reply.array(2);
            c.reply.bulk(b"pong");
            c.reply.bulk(args.get(1).unwrap_or_default());
        }
        1 => c.reply.simple("PONG"),
        2 => c.reply.bulk(args.at(1)),
        _ => return Err(Error::text("ERR wrong number of arguments for 'ping' command")),
    }
    Ok(())
}

fn echo(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    c.reply.bulk(args.at(1));
    Ok(())
}

fn select(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    let index = num::parse_i64(args.at(1)).ok_or(Error::NotInteger)?;
    if i32::try_from(index).is_err() {
        return Err(Error::text("ERR value is out of range, value must between -2147483648 and 2147483647"));
    }
    if index < 0 || index >= c.settings.databases as i64 {
        return Err(Error::text("ERR DB index is out of range"));
    }
    c.session.db = index as usize;
    c.reply.ok();
    Ok(())
}

const WRONG_PASS: Error = Error::text("WRONGPASS invalid username-password pair or user is disabled.");

fn auth(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    match args.len() {
        2 => {
            if c.settings.requirepass.is_empty() {
                return Err(Error::text(
                    "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
                ));
            }
            log_in(c, b"default", args.at(1))?;
        }
        3 => log_in(c, args.at(1), args.at(2))?,
        _ => return Err(Error::Syntax),
    }
    c.reply.ok();
    Ok(())
}

/// The only user there is until ACLs exist: `default`, with `requirepass` as its password.
fn log_in(c: &mut Caller<'_>, user: &[u8], password: &[u8]) -> Result<(), Error> {
    let expected = c.settings.requirepass.as_bytes();
    if user != b"default" || !(expected.is_empty() || same_bytes(expected, password)) {
        return Err(WRONG_PASS);
    }
    c.session.set(state::NEEDS_AUTH, false);
    Ok(())
}

/// Compares in a time that does not tell how much of a guess was right.
fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    let mut differ = a.len() ^ b.len();
    for (i, byte) in a.iter().enumerate() {
        differ |= (byte ^ b.get(i).copied().unwrap_or(!byte)) as usize;
    }
    differ == 0
}

fn hello(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    let mut proto = None;
    let mut at = 1;
    if args.len() > 1 {
        proto = Some(match num::parse_i64(args.at(1)) {
            Some(2) => Proto::Resp2,
            Some(3) => Proto::Resp3,
            Some(_) => return Err(Error::text("NOPROTO unsupported protocol version")),
            None => return Err(Error::text("ERR Protocol version is not an integer or out of range")),
        });
        at = 2;
    }
    // Options take effect one by one, as in Redis: a name stays although a later AUTH fails.
    while at < args.len() {
        let more = args.len() - at - 1;
        if args.at(at).eq_ignore_ascii_case(b"auth") && more >= 2 {
            log_in(c, args.at(at + 1), args.at(at + 2))?;
            at += 3;
        } else if args.at(at).eq_ignore_ascii_case(b"setname") && more >= 1 {
            check_name(args.at(at + 1))?;
            c.session.name = args.at(at + 1).to_vec();
            at += 2;
        } else {
            let option = String::from_utf8_lossy(args.at(at)).into_owned();
            return Err(Error::owned(format!("ERR Syntax error in HELLO option '{option}'")));
        }
    }
    if c.session.is(state::NEEDS_AUTH) {
        return Err(Error::text(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
        ));
    }
    if let Some(proto) = proto {
        c.session.proto = proto;
        c.reply.set_proto(proto);
    }
    let resp = if c.session.proto == Proto::Resp3 { 3 } else { 2 };
    let id = c.session.id as i64;
    let reply = &mut c.reply;
    reply.map(7);
    reply.bulk(b"server");
    reply.bulk(b"redis");
    reply.bulk(b"version");
    reply.bulk(crate::command::info::REDIS_VERSION.as_bytes());
    reply.bulk(b"proto");
    reply.integer(resp);
    reply.bulk(b"id");
    reply.integer(id);
    reply.bulk(b"mode");
    reply.bulk(b"standalone");
    reply.bulk(b"role");
    reply.bulk(b"master");
    reply.bulk(b"modules");
    reply.array(0);
    Ok(())
}

/// Names of clients and libraries: printable, no space.
pub fn check_name(name: &[u8]) -> Result<(), Error> {
    if name.iter().any(|b| !(b'!'..=b'~').contains(b)) {
        return Err(Error::text("ERR Client names cannot contain spaces, newlines or special characters."));
    }
    Ok(())
}

fn quit(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    c.reply.ok();
    c.then = Then::Close;
    Ok(())
}

fn reset(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    let session = &mut c.session;
    if session.is(state::MONITOR) {
        c.node.count_monitor(false);
    }
    session.set(
        state::MULTI
            | state::REPLY_OFF
            | state::REPLY_SKIP
            | state::REPLY_SKIP_NEXT
            | state::MONITOR
            | state::NO_TOUCH,
        false,
    );
    session.set(state::NEEDS_AUTH, !c.settings.requirepass.is_empty());
    session.multi = None;
    session.db = 0;
    session.name.clear();
    session.no_evict = false;
    session.proto = Proto::Resp2;
    c.reply.set_proto(Proto::Resp2);
    c.reply.simple("RESET");
    c.then = Then::Reset;
    Ok(())
}
