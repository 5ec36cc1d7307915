//! Scripts against a host that holds a few strings. The answers were taken from Redis 7.0.15.

mod libraries;
mod limits;
mod round_trips;
mod runs;
mod sandbox;
mod values;

use super::*;
use crate::resp::{Args, ArgsBuf, Proto, Reply};
use std::collections::BTreeMap;

/// What the host does when it is asked whether to go on, or to run `WAIT`.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Go,
    Pause,
    Abandon,
    Kill,
}

struct Keys {
    strings: BTreeMap<Vec<u8>, Vec<u8>>,
    mood: Mood,
    calls: usize,
    ticks: usize,
    log: Vec<(LogLevel, String)>,
    repl: Vec<u32>,
}

impl Keys {
    fn new(mood: Mood) -> Keys {
        Keys { strings: BTreeMap::new(), mood, calls: 0, ticks: 0, log: Vec::new(), repl: Vec::new() }
    }
}

impl Host for Keys {
    fn call(&mut self, args: Args<'_>, proto: Proto, out: &mut Vec<u8>) -> Called {
        self.calls += 1;
        let mut reply = Reply::new(out, proto);
        let words: Vec<&[u8]> = args.iter().collect();
        match words[..] {
            [b"GET", key] => match self.strings.get(key) {
                Some(value) => reply.bulk(value),
                None => reply.null(),
            },
            [b"SET", key, value] => {
                self.strings.insert(key.into(), value.into());
                reply.ok();
            }
            [b"ECHO", text] => reply.bulk(text),
            // A reply in RESP3, as it is.
            [b"RAW", text] => reply.raw(text),
            [b"WAIT"] if self.mood == Mood::Pause => {
                self.mood = Mood::Go;
                return Called::Wait;
            }
            [b"WAIT"] if self.mood == Mood::Abandon => return Called::Abandon,
            [b"WAIT"] => reply.ok(),
            [b"LPUSH", ..] => {
                reply.error("WRONGTYPE Operation against a key holding the wrong kind of value");
            }
            _ => reply.error("ERR Unknown Redis command called from script"),
        }
        Called::Replied
    }

    fn log(&mut self, level: LogLevel, text: &[u8]) {
        self.log.push((level, String::from_utf8_lossy(text).into_owned()));
    }

    fn set_repl(&mut self, flags: u32) {
        self.repl.push(flags);
    }

    fn acl_check(&mut self, args: Args<'_>) -> Option<bool> {
        [b"GET".as_slice(), b"SET"].contains(&args.at(0)).then_some(args.at(0) == b"GET")
    }

    fn tick(&mut self) -> Tick {
        self.ticks += 1;
        match self.mood {
            Mood::Go => Tick::Go,
            Mood::Pause => Tick::Pause,
            Mood::Abandon => Tick::Abandon,
            Mood::Kill => Tick::Kill("Script killed by user with SCRIPT KILL..."),
        }
    }
}

struct Bench {
    vm: Vm,
    keys: Keys,
}

const LIMIT: usize = 4 << 20;

impl Bench {
    fn new() -> Bench {
        Bench { vm: Vm::new(Limits { memory: LIMIT }), keys: Keys::new(Mood::Go) }
    }

    /// EVAL with KEYS `k` and ARGV as given; what is paused is gone on with.
    fn reply(&mut self, code: &[u8], argv: &[&[u8]], proto: Proto) -> Vec<u8> {
        let script = match Script::parse(code) {
            Ok(script) => script,
            Err(text) => return [b"-ERR ", &text[..], b"\r\n"].concat(),
        };
        let args: ArgsBuf = [b"k".as_slice()].iter().chain(argv).collect();
        let mut out = Vec::new();
        let mut outcome = self.vm.run(&script, args.as_args(), 1, proto, &mut self.keys, &mut out);
        while outcome == Outcome::Paused {
            assert!(out.is_empty());
            outcome = self.vm.resume(&mut self.keys, &mut out);
        }
        out
    }

    fn text(&mut self, code: &str, proto: Proto) -> String {
        let reply = self.reply(code.as_bytes(), &[], proto);
        String::from_utf8_lossy(&reply).replace("\r\n", "|")
    }

    /// The reply in RESP2, line ends as `|`.
    fn eval(&mut self, code: &str) -> String {
        self.text(code, Proto::Resp2)
    }
}

/// Line by line: the script, and its reply with `SHA` for its name.
fn all(proto: Proto, cases: &[(&str, &str)]) {
    let mut bench = Bench::new();
    for (code, want) in cases {
        let sha = String::from_utf8_lossy(&sha1_hex(code.as_bytes())).into_owned();
        assert_eq!(bench.text(code, proto).replace(&sha, "SHA"), *want, "{code}");
    }
}
