//! `redis.call` for the native form of a script.

use crate::base::num::parse_i64;
use crate::command::{CommandSpec, Error, Exec, Run, flag};
use crate::command::{generic, hash, list, server, set, sorted_set, string};
use crate::resp::{ArgsBuf, Proto, Reply};

/// Keeps account of what a script calls; the engine.
pub trait Books {
    /// Calls of a command have ended, none of them in an error.
    fn called(&self, what: Callee, calls: u64);
    /// One has failed.
    fn failed(&self, what: Callee);
    /// Memory is over `maxmemory`.
    fn is_over_limit(&self) -> bool;
}

macro_rules! callees {
    ($($callee:ident: $family:expr, $name:literal;)*) => {
        /// A command that a native form calls.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Callee { $($callee,)* }

        impl Callee {
            pub const ALL: &[Callee] = &[$(Callee::$callee,)*];

            pub fn spec(self) -> &'static CommandSpec {
                const ROWS: &[&CommandSpec] = &[$(row($family, $name),)*];
                ROWS[self as usize]
            }
        }
    };
}

callees! {
    Del: generic::COMMANDS, "del";
    Exists: generic::COMMANDS, "exists";
    Expire: generic::COMMANDS, "expire";
    Get: string::COMMANDS, "get";
    Hset: hash::COMMANDS, "hset";
    Incrby: string::COMMANDS, "incrby";
    Llen: list::COMMANDS, "llen";
    Lpush: list::COMMANDS, "lpush";
    Pexpire: generic::COMMANDS, "pexpire";
    Pttl: generic::COMMANDS, "pttl";
    Rpush: list::COMMANDS, "rpush";
    Sadd: set::COMMANDS, "sadd";
    Set: string::COMMANDS, "set";
    Sismember: set::COMMANDS, "sismember";
    Time: server::COMMANDS, "time";
    Zadd: sorted_set::COMMANDS, "zadd";
    Zcount: sorted_set::COMMANDS, "zcount";
    Zrange: sorted_set::COMMANDS, "zrange";
    Zrangebyscore: sorted_set::COMMANDS, "zrangebyscore";
    Zrem: sorted_set::COMMANDS, "zrem";
    Zremrangebyscore: sorted_set::COMMANDS, "zremrangebyscore";
}

const fn row(family: &'static [CommandSpec], name: &str) -> &'static CommandSpec {
    let mut at = 0;
    while !is_same(family[at].name.as_bytes(), name.as_bytes()) {
        at += 1;
    }
    &family[at]
}

const fn is_same(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

/// What a command has answered its script.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Answer<'a> {
    Integer(i64),
    Bulk(&'a [u8]),
    /// What Lua sees as `false`.
    Null,
    Status,
    /// The elements, after the header.
    Array(usize, &'a [u8]),
}

impl<'a> Answer<'a> {
    /// Reads one whole reply of RESP2.
    fn read(reply: &'a [u8]) -> Answer<'a> {
        let (kind, n, rest) = header(reply);
        match kind {
            b':' => Answer::Integer(n),
            b'$' if n >= 0 => Answer::Bulk(&rest[..n as usize]),
            b'*' if n >= 0 => Answer::Array(n as usize, rest),
            b'+' => Answer::Status,
            _ => Answer::Null,
        }
    }

    /// Whether it is this string (`redis.call(...) == ARGV[1]`).
    pub fn is(self, text: &[u8]) -> bool {
        self == Answer::Bulk(text)
    }

    pub fn integer(self) -> i64 {
        if let Answer::Integer(n) = self { n } else { 0 }
    }

    pub fn bulk(self) -> Option<&'a [u8]> {
        if let Answer::Bulk(bytes) = self { Some(bytes) } else { None }
    }

    /// The strings of an array.
    pub fn strings(self) -> impl Iterator<Item = &'a [u8]> {
        let (len, mut rest) = if let Answer::Array(len, rest) = self { (len, rest) } else { (0, &[][..]) };
        (0..len).map(move |_| {
            let (_, n, tail) = header(rest);
            let (string, tail) = tail.split_at(n.max(0) as usize);
            rest = &tail[2..];
            string
        })
    }
}

/// The first line of a reply: its kind, its number, and what comes after it.
fn header(reply: &[u8]) -> (u8, i64, &[u8]) {
    let end = memchr::memchr(b'\r', reply).unwrap_or(reply.len() - 2);
    (reply[0], parse_i64(&reply[1..end]).unwrap_or(0), &reply[end + 2..])
}

/// What a script returns.
pub(super) enum Returned {
    Nil,
    /// Lua's numbers are doubles, and so is what an integer comes back as.
    Number(i64),
    Strings(Vec<Vec<u8>>),
    /// A table of numbers and of strings, which may be `false`.
    Table(Vec<Item>),
}

pub(super) enum Item {
    Number(i64),
    String(Option<Vec<u8>>),
}

/// A script at work. What it journals is one unit.
pub(super) struct Calls<'x, 'e> {
    x: &'x mut Exec<'e>,
    sha: &'static str,
    /// Where the replies of its commands begin, which are no part of its own.
    from: usize,
    wrote: bool,
    words: ArgsBuf,
}

impl Calls<'_, '_> {
    /// Runs the native form of the script with this SHA1, and answers for it.
    pub fn run(
        x: &mut Exec<'_>,
        sha: &'static str,
        body: impl FnOnce(&mut Calls<'_, '_>) -> Result<Returned, Error>,
    ) -> Result<(), Error> {
        let (proto, from) = (x.reply.proto(), x.reply.mark());
        // Scripts that do not ask for more speak RESP2 with their commands.
        x.reply.set_proto(Proto::Resp2);
        x.keys.begin_unit();
        let mut calls = Calls { x, sha, from, wrote: false, words: ArgsBuf::new() };
        let returned = body(&mut calls);
        x.keys.end_unit();
        x.reply.set_proto(proto);
        let returned = returned?;
        x.reply.buffer().truncate(from);
        returned.write(&mut x.reply);
        Ok(())
    }

    /// `redis.call`. `line` is where it stands in the script.
    pub fn call<'w>(
        &mut self,
        line: u32,
        what: Callee,
        args: impl IntoIterator<Item = &'w [u8]>,
    ) -> Result<Answer<'_>, Error> {
        let spec = what.spec();
        let (Run::Keys(handler) | Run::Split(handler, _)) = spec.run else {
            unreachable!("a native form calls commands that run on keys")
        };
        self.words.clear();
        self.words.push(spec.name.as_bytes());
        args.into_iter().for_each(|arg| self.words.push(arg));
        self.x.reply.buffer().truncate(self.from);
        // A script that has written is let through to its end.
        let refused = spec.has(flag::DENYOOM) && !self.wrote && self.x.books.is_over_limit();
        let result = if refused {
            Err(Error::OutOfMemory)
        } else {
            self.wrote |= spec.has(flag::WRITE);
            let before = self.x.keys.take_outcome();
            let result = handler(self.x, self.words.as_args());
            let (changes, own_effect) = self.x.keys.take_outcome();
            if changes > 0 && !own_effect {
                self.x.keys.effect_as_sent(spec.name, self.words.as_args());
            }
            self.x.keys.put_outcome(before.0 + changes, true);
            result
        };
        match result {
            Ok(()) => self.x.books.called(what, 1),
            Err(error) => {
                self.x.books.failed(what);
                return Err(in_script(error, self.sha, line));
            }
        }
        Ok(Answer::read(&self.x.reply.buffer()[self.from..]))
    }

    /// A call whose answer nobody looks at.
    pub fn tell<'w>(
        &mut self,
        line: u32,
        what: Callee,
        args: impl IntoIterator<Item = &'w [u8]>,
    ) -> Result<(), Error> {
        self.call(line, what, args).map(drop)
    }

    /// `redis.call('TIME')`, in milliseconds.
    pub fn time(&mut self) -> i64 {
        self.x.books.called(Callee::Time, 1);
        self.x.keys.now as i64
    }

    /// An error of Lua's own.
    pub fn fails(&self, line: u32, text: &str) -> Error {
        let text = format!("ERR user_script:{line}: {text}");
        in_script(Error::owned(text), self.sha, line)
    }
}

/// The error of a command, as the script's error.
pub(super) fn in_script(error: Error, sha: &str, line: u32) -> Error {
    let at = format!(" script: {sha}, on @user_script:{line}.");
    Error::Bytes([error.line(), at.as_bytes()].concat().into())
}

/// What is left of an integer that has gone through Lua. C makes of 2^63, which has no place in 64
/// bits, the smallest number.
fn through_lua(n: i64) -> i64 {
    let double = n as f64;
    if double >= -(i64::MIN as f64) { i64::MIN } else { double as i64 }
}

impl Returned {
    fn write(self, reply: &mut Reply<'_>) {
        match self {
            Returned::Strings(strings) => {
                reply.array(strings.len());
                strings.iter().for_each(|string| reply.bulk(string));
            }
            Returned::Nil => reply.null(),
            Returned::Number(n) => reply.integer(through_lua(n)),
            Returned::Table(items) => {
                reply.array(items.len());
                for item in items {
                    match item {
                        Item::Number(n) => reply.integer(through_lua(n)),
                        Item::String(Some(bytes)) => reply.bulk(&bytes),
                        Item::String(None) => reply.null(),
                    }
                }
            }
        }
    }
}
