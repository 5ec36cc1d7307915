//! CLIENT LIST, INFO and KILL: each shard's thread looks at its own connections; the asker's shard puts
//! the lines in order, or adds up what was killed.

use super::{Caller, MergeParts, ThreadPart, Threads};
use crate::base::{Millis, num};
use crate::command::{CommandTable, Error};
use crate::resp::{Args, Proto};
use crate::session::{Session, Subject, state};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const DEFAULT_USER: &[u8] = b"default";

/// What a connection is to the server. There are no replicas and masters yet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal,
    PubSub,
    Other,
}

impl Kind {
    fn of(session: &Session) -> Kind {
        if session.is(state::SUBSCRIBED) { Kind::PubSub } else { Kind::Normal }
    }
}

fn kind(name: &[u8]) -> Result<Kind, Error> {
    match &name.to_ascii_lowercase()[..] {
        b"normal" => Ok(Kind::Normal),
        b"pubsub" => Ok(Kind::PubSub),
        b"slave" | b"replica" | b"master" => Ok(Kind::Other),
        _ => Err(Error::Bytes([b"ERR Unknown client type '", name, b"'"].concat().into())),
    }
}

/// One line of CLIENT LIST, without its end.
pub fn line(session: &Session, table: &CommandTable, now: Millis, asking: Option<Args<'_>>) -> String {
    let mut flags = String::new();
    for (bit, letter) in [
        (state::MONITOR, 'O'),
        (state::SUBSCRIBED, 'P'),
        (state::MULTI, 'x'),
        (state::PAUSED | state::BLOCKED, 'b'),
        (state::TRACKING, 't'),
        (state::CLOSING, 'c'),
    ] {
        if session.is(bit) {
            flags.push(letter);
        }
        if let Some(tracking) = session.tracking.as_ref().filter(|_| bit == state::TRACKING) {
            flags.extend(tracking.broken.then_some('R'));
            flags.extend(tracking.broadcast.then_some('B'));
        }
    }
    if session.peer.unix {
        flags.push('U');
    }
    if session.no_evict {
        flags.push('e');
    }
    if flags.is_empty() {
        flags.push('N');
    }
    // The command being answered lies in the buffer it was received into, not in `input`.
    let under_way = asking.map_or(0, request_bytes);
    let argv = asking.map_or(0, |args| args.iter().map(<[u8]>::len).sum());
    let multi = session.multi.as_deref();
    let seconds = |since: Millis| now.saturating_sub(since) / 1000;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut line = format!(
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={flags} db={}",
        session.id,
        session.peer.addr,
        session.peer.laddr,
        session.peer.fd,
        text(&session.name),
        seconds(session.created),
        seconds(session.last_active),
        session.db,
    );
    let _ = write!(
        line,
        " sub={} psub={} ssub={} multi={} qbuf={} qbuf-free={} argv-mem={argv} multi-mem={}",
        session.subscribed_to(Subject::Channel),
        session.subscribed_to(Subject::Pattern),
        session.subscribed_to(Subject::ShardChannel),
        multi.map_or(-1, |m| m.queued.len() as i64),
        session.input.len() + under_way,
        session.input.capacity() - session.input.len(),
        multi.map_or(0, |m| m.bytes()),
    );
    let waiting = session.unfinished_bytes() + session.in_flight;
    let _ = write!(
        line,
        " rbs={} rbp={} obl={} oll={} omem={waiting} tot-mem={} events={}",
        session.out.capacity(),
        session.out.len(),
        session.out.len(),
        (waiting > 0) as u8,
        session.buffer_bytes() + size_of::<Session>() + under_way,
        if session.sending { "rw" } else { "r" },
    );
    let _ = write!(
        line,
        " cmd={} user=default redir={} resp={} lib-name={} lib-ver={}",
        session.last_command.map_or("NULL", |id| table.row(id).full_name.as_str()),
        session.tracking.as_ref().map_or(-1, |t| t.redirect as i64),
        if session.proto == Proto::Resp3 { 3 } else { 2 },
        text(&session.lib_name),
        text(&session.lib_ver),
    );
    line
}

/// Bytes of a command as clients send it.
fn request_bytes(args: Args<'_>) -> usize {
    let header = |n: usize| n.max(1).ilog10() as usize + 4;
    header(args.len()) + args.iter().map(|a| header(a.len()) + a.len() + 2).sum::<usize>()
}

pub fn info(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    let line = line(c.session, &c.node.table, c.now, Some(args)) + "\n";
    c.reply.verbatim("txt", line.as_bytes());
    Ok(())
}

/// Whom CLIENT LIST shows.
enum Wanted {
    All,
    Kind(Kind),
    Ids(Vec<i64>),
}

fn wanted(args: Args<'_>) -> Result<Wanted, Error> {
    let option = |name: &[u8]| args.get(2).is_some_and(|a| a.eq_ignore_ascii_case(name));
    match args.len() {
        2 => Ok(Wanted::All),
        4 if option(b"type") => kind(args.at(3)).map(Wanted::Kind),
        n if n > 3 && option(b"id") => {
            let ids = args.iter().skip(3).map(num::parse_i64).collect::<Option<Vec<_>>>();
            ids.map(Wanted::Ids).ok_or(Error::text("ERR Invalid client ID"))
        }
        _ => Err(Error::Syntax),
    }
}

pub const LIST: (ThreadPart, MergeParts) = (list_part, list_merge);

fn list_part(threads: &mut Threads<'_>, args: Args<'_>, out: &mut Vec<u8>) {
    let Ok(wanted) = wanted(args) else { return };
    for (_, session) in threads.sessions.iter() {
        let shown = match &wanted {
            Wanted::All => true,
            Wanted::Kind(kind) => *kind == Kind::of(session),
            Wanted::Ids(ids) => ids.contains(&(session.id as i64)),
        };
        if shown {
            let asking = threads.is_asker(session).then_some(args);
            out.extend_from_slice(line(session, &threads.node.table, threads.now, asking).as_bytes());
            out.push(b'\n');
        }
    }
}

/// All lines in the order of their numbers, as Redis has them, or in the order asked for.
fn list_merge(c: &mut Caller<'_>, args: Args<'_>, payloads: &[&[u8]]) -> Result<(), Error> {
    let wanted = wanted(args)?;
    let lines = payloads.iter().flat_map(|p| p.split_inclusive(|b| *b == b'\n'));
    let by_id: BTreeMap<i64, &[u8]> = lines.filter_map(|line| Some((id_of(line)?, line))).collect();
    let text: Vec<u8> = match wanted {
        Wanted::Ids(ids) => ids.iter().filter_map(|id| by_id.get(id)).copied().flatten().copied().collect(),
        _ => by_id.into_values().flatten().copied().collect(),
    };
    c.reply.verbatim("txt", &text);
    Ok(())
}

fn id_of(line: &[u8]) -> Option<i64> {
    let digits = line.strip_prefix(b"id=")?;
    num::parse_i64(&digits[..memchr::memchr(b' ', digits)?])
}

/// Whom CLIENT KILL closes: all conditions must hold.
struct Filter<'a> {
    addr: Option<&'a [u8]>,
    laddr: Option<&'a [u8]>,
    kind: Option<Kind>,
    id: Option<u64>,
    age_seconds_min: Option<i64>,
    skip_me: bool,
}

impl<'a> Filter<'a> {
    fn read(args: Args<'a>) -> Result<Filter<'a>, Error> {
        let mut filter =
            Filter { addr: None, laddr: None, kind: None, id: None, age_seconds_min: None, skip_me: true };
        if args.len() == 3 {
            // The old form may kill the asker too.
            return Ok(Filter { addr: Some(args.at(2)), skip_me: false, ..filter });
        }
        for at in (2..args.len()).step_by(2) {
            let value = args.get(at + 1).ok_or(Error::Syntax)?;
            match &args.at(at).to_ascii_lowercase()[..] {
                b"id" => {
                    let id = num::parse_i64(value).filter(|id| *id > 0);
                    filter.id = Some(id.ok_or(Error::text("ERR client-id should be greater than 0"))? as u64);
                }
                b"type" => filter.kind = Some(kind(value)?),
                b"addr" => filter.addr = Some(value),
                b"laddr" => filter.laddr = Some(value),
                b"user" if value == DEFAULT_USER => {}
                b"user" => {
                    let name = String::from_utf8_lossy(value);
                    return Err(Error::owned(format!("ERR No such user '{name}'")));
                }
                b"skipme" if value.eq_ignore_ascii_case(b"yes") => filter.skip_me = true,
                b"skipme" if value.eq_ignore_ascii_case(b"no") => filter.skip_me = false,
                b"maxage" => {
                    let age = num::parse_i64(value);
                    let age = age.ok_or(Error::text("ERR maxage is not an integer or out of range"))?;
                    if age <= 0 {
                        return Err(Error::text("ERR maxage should be greater than 0"));
                    }
                    filter.age_seconds_min = Some(age);
                }
                _ => return Err(Error::Syntax),
            }
        }
        Ok(filter)
    }

    fn selects(&self, session: &Session, now: Millis) -> bool {
        let age = (now.saturating_sub(session.created) / 1000) as i64;
        self.addr.is_none_or(|addr| session.peer.addr.as_bytes() == addr)
            && self.laddr.is_none_or(|laddr| session.peer.laddr.as_bytes() == laddr)
            && self.kind.is_none_or(|kind| kind == Kind::of(session))
            && self.id.is_none_or(|id| session.id == id)
            && self.age_seconds_min.is_none_or(|min| age >= min)
    }
}

pub const KILL: (ThreadPart, MergeParts) = (kill_part, kill_merge);

/// A byte for each connection closed.
fn kill_part(threads: &mut Threads<'_>, args: Args<'_>, out: &mut Vec<u8>) {
    let Ok(filter) = Filter::read(args) else { return };
    for (key, session) in threads.sessions.iter() {
        let spared = filter.skip_me && threads.is_asker(session);
        if !spared && filter.selects(session, threads.now) {
            threads.close.push(key);
            out.push(b'1');
        }
    }
}

fn kill_merge(c: &mut Caller<'_>, args: Args<'_>, payloads: &[&[u8]]) -> Result<(), Error> {
    Filter::read(args)?;
    let killed: usize = payloads.iter().map(|p| p.len()).sum();
    match (args.len(), killed) {
        (3, 0) => return Err(Error::text("ERR No such client")),
        (3, _) => c.reply.ok(),
        _ => c.reply.integer(killed as i64),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::ArgsBuf;

    #[test]
    fn the_bytes_of_a_request_are_those_on_the_wire() {
        let cases: [&[&str]; 3] = [&["client", "list"], &["x"], &["", "0123456789", "a"]];
        for words in cases {
            let args: ArgsBuf = words.iter().collect();
            let mut wire = format!("*{}\r\n", words.len());
            words.iter().for_each(|w| wire += &format!("${}\r\n{w}\r\n", w.len()));
            assert_eq!(request_bytes(args.as_args()), wire.len());
        }
    }

    #[test]
    fn filters_of_client_kill_are_read_as_redis_reads_them() {
        let read = |words: &str| {
            let args: ArgsBuf = words.split(' ').collect();
            Filter::read(args.as_args())
                .map(|f| f.skip_me)
                .map_err(|e| String::from_utf8_lossy(e.line()).into_owned())
        };
        assert_eq!(read("client kill 127.0.0.1:1"), Ok(false));
        assert_eq!(read("client kill id 1 skipme no type normal user default"), Ok(false));
        assert_eq!(read("client kill addr x laddr y"), Ok(true));
        assert_eq!(read("client kill id 0"), Err("ERR client-id should be greater than 0".into()));
        assert_eq!(read("client kill id 1 skipme"), Err("ERR syntax error".into()));
        assert_eq!(read("client kill user me"), Err("ERR No such user 'me'".into()));
        assert_eq!(read("client kill type odd"), Err("ERR Unknown client type 'odd'".into()));
    }
}
