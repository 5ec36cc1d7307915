//! Runs a program on one server and brings the answers into a form that can be compared.

use super::exceptions::{Compare, compare, full_name, is_left_out};
use super::program::{Program, Step};
use crate::support::{Client, Server, Value, Words, payload, words};
use std::io;
use std::time::Duration;

/// Longest walk of SCAN before it counts as endless.
const WALK_MAX: usize = 10_000;

/// The answer to one step.
#[derive(Clone, Debug)]
pub struct Answer {
    pub reply: Value,
    /// For EXEC: the commands whose answers `reply` holds.
    pub queue: Vec<Words>,
}

/// A connection and what its replies have told about its state.
struct Speaker {
    client: Client,
    queue: Option<Vec<Words>>,
}

/// Shrinking repeats a hang many times: it must not take long to be sure of one.
fn connect(server: &Server) -> io::Result<Client> {
    let mut client = Client::connect(server.port)?;
    client.set_patience(Duration::from_secs(8));
    Ok(client)
}

/// Empties the server: all databases, nothing else.
pub fn flush(server: &Server) -> io::Result<()> {
    let mut client = connect(server)?;
    let reply = client.try_call(&["FLUSHALL"])?;
    assert!(reply.is_ok(), "FLUSHALL: {reply:?}");
    Ok(())
}

/// A connection that failed, and the last step that was under way.
#[derive(Clone, Debug)]
pub struct Broken {
    pub step: Option<usize>,
    pub why: String,
}

/// Runs a program on fresh connections. Errors are those of the connection: a server that closes it,
/// does not answer, or answers what is not RESP.
pub fn execute(server: &Server, program: &Program) -> Result<Vec<Answer>, Broken> {
    let broken = |step: usize, e: io::Error| Broken { step: Some(step), why: e.to_string() };
    let mut speakers = Vec::new();
    for _ in 0..program.clients() {
        let client = connect(server).map_err(|e| broken(0, e))?;
        speakers.push(Speaker { client, queue: None });
    }
    let mut answers = Vec::with_capacity(program.steps.len());
    let mut at = 0;
    while at < program.steps.len() {
        let end = batch_end(program, at);
        let speaker = &mut speakers[program.steps[at].client];
        speaker.run(&program.steps[at..end], &mut answers).map_err(|e| broken(end - 1, e))?;
        at = end;
    }
    Ok(answers)
}

/// Steps of one client that go out together. SCAN goes alone: it may need further calls.
fn batch_end(program: &Program, at: usize) -> usize {
    let steps = &program.steps;
    let alone = |step: &Step| compare(&full_name(&step.words)) == Compare::Walk;
    let mut end = at + 1;
    while end < steps.len()
        && end - at < program.depth
        && steps[end].client == steps[at].client
        && !alone(&steps[end])
        && !alone(&steps[end - 1])
    {
        end += 1;
    }
    end
}

/// A command to send right behind this one: SET with a past time leaves a key in Redis that nobody
/// sees but DBSIZE and DEBUG DIGEST, until somebody looks at it. So look.
fn settling(words: &Words) -> Option<Words> {
    let absolute = |w: &Vec<u8>| w.eq_ignore_ascii_case(b"EXAT") || w.eq_ignore_ascii_case(b"PXAT");
    let key = words.get(1)?;
    let settles = full_name(words) == "set" && words.iter().any(absolute);
    settles.then(|| vec![b"EXISTS".to_vec(), key.clone()])
}

impl Speaker {
    fn run(&mut self, steps: &[Step], answers: &mut Vec<Answer>) -> io::Result<()> {
        let mut commands: Vec<Words> = Vec::new();
        for step in steps {
            commands.push(step.words.clone());
            commands.extend(settling(&step.words));
        }
        let replies = self.client.pipeline(&commands)?;
        let mut replies = commands.into_iter().zip(replies);
        for step in steps {
            let (words, reply) = replies.next().unwrap();
            answers.push(self.note(words, reply)?);
            if settling(&step.words).is_some() {
                let (words, reply) = replies.next().unwrap();
                self.note(words, reply)?;
            }
        }
        Ok(())
    }

    /// Follows MULTI and EXEC, follows SCAN to its end, sorts what has no order.
    fn note(&mut self, words: Words, reply: Value) -> io::Result<Answer> {
        let name = full_name(&words);
        let mut queue = Vec::new();
        let reply = match &mut self.queue {
            Some(queued) if reply.is_queued() => {
                queued.push(words);
                reply
            }
            Some(_) if matches!(name.as_str(), "exec" | "discard" | "reset") => {
                // A refused DISCARD leaves the transaction open; a refused EXEC does not.
                if !reply.is_error() || matches!(&reply, Value::Error(e) if e.starts_with(b"EXECABORT")) {
                    queue = self.queue.take().unwrap();
                }
                settle_exec(&queue, reply)
            }
            None if name == "multi" && reply.is_ok() => {
                self.queue = Some(Vec::new());
                reply
            }
            None if compare(&name) == Compare::Walk && !reply.is_error() => self.walk(&words, reply)?,
            _ => settle(&name, reply),
        };
        Ok(Answer { reply, queue })
    }

    /// Calls SCAN until its cursor is 0 again; all names, each once.
    fn walk(&mut self, first: &Words, reply: Value) -> io::Result<Value> {
        let mut names: Vec<Value> = Vec::new();
        let mut reply = reply;
        for _ in 0..WALK_MAX {
            if reply.is_error() {
                return Ok(reply);
            }
            names.extend_from_slice(reply.items()[1].items());
            let cursor = reply.items()[0].bytes().to_vec();
            // SSCAN, HSCAN and ZSCAN have a key before their cursor.
            let at = if full_name(first) == "scan" { 1 } else { 2 };
            if cursor == b"0" {
                names.sort();
                names.dedup();
                return Ok(Value::Array(vec![Value::Bulk(cursor), Value::Array(names)]));
            }
            let mut next = first.clone();
            next[at] = cursor;
            reply = self.client.try_call(&next)?;
        }
        Err(io::Error::other("SCAN does not come to an end"))
    }
}

fn settle(name: &str, reply: Value) -> Value {
    match (compare(name), reply) {
        (Compare::Unordered, Value::Array(mut items)) => {
            items.sort();
            Value::Array(items)
        }
        (Compare::Unordered, Value::Set(mut items)) => {
            items.sort();
            Value::Set(items)
        }
        (Compare::Unordered, Value::Map(mut pairs)) => {
            pairs.sort();
            Value::Map(pairs)
        }
        (_, reply) => reply,
    }
}

fn settle_exec(queue: &[Words], reply: Value) -> Value {
    match reply {
        Value::Array(items) if items.len() == queue.len() => {
            Value::Array(items.into_iter().zip(queue).map(|(item, w)| settle(&full_name(w), item)).collect())
        }
        other => other,
    }
}

/// Whether an answer is as good as the oracle's. `late_ms`: how much later one of the two may have
/// run.
pub fn agree(step: &Words, right: &Answer, got: &Answer, late_ms: i64) -> bool {
    if let Some(equal) = agree_on_odd_cursor(step, &right.reply, &got.reply) {
        return equal;
    }
    let exec = full_name(step) == "exec";
    match (&right.reply, &got.reply) {
        (Value::Array(a), Value::Array(b)) if exec && a.len() == right.queue.len() => {
            a.len() == b.len()
                && right.queue == got.queue
                && right.queue.iter().zip(a.iter().zip(b)).all(|(words, (a, b))| {
                    // Inside EXEC a walk cannot be followed.
                    match compare(&full_name(words)) {
                        Compare::Walk => a.is_error() == b.is_error(),
                        how => agree_as(how, a, b, late_ms),
                    }
                })
        }
        (a, b) if a.is_queued() || b.is_queued() => a == b,
        (a, b) => agree_as(compare(&full_name(step)), a, b, late_ms),
    }
}

/// A cursor that is not 0 means nothing to another server: whether it is one is all that is compared;
/// and not even that with a NUL in it, where Redis stops reading.
fn agree_on_odd_cursor(step: &Words, right: &Value, got: &Value) -> Option<bool> {
    let name = full_name(step);
    let at = if name == "scan" { 1 } else { 2 };
    let cursor = step.get(at).filter(|_| compare(&name) == Compare::Walk)?;
    let walks = cursor == b"0" || right.is_queued() || got.is_queued();
    (!walks).then(|| cursor.contains(&0) || right.is_error() == got.is_error())
}

fn agree_as(how: Compare, right: &Value, got: &Value, late_ms: i64) -> bool {
    // An error's text is part of the protocol, whatever the command.
    if let (Value::Error(a), Value::Error(b)) = (right, got) {
        return a == b || matches!(how, Compare::Errorness | Compare::OwnErrors);
    }
    match how {
        Compare::Exact | Compare::OwnErrors | Compare::Unordered | Compare::Walk | Compare::NotSent => {
            right == got
        }
        Compare::Payload => match (right, got) {
            (Value::Bulk(a), Value::Bulk(b)) => payload::agree(a, b),
            (a, b) => a == b,
        },
        Compare::Encoding => match (right, got) {
            (Value::Bulk(a), Value::Bulk(b)) => {
                let name = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
                // The type is not known here: either of the two it could be of.
                ["list", "set", "zset", ""]
                    .iter()
                    .any(|kind| encoding(kind, &name(a)) == encoding(kind, &name(b)))
            }
            (a, b) => a == b,
        },
        Compare::Seconds | Compare::Milliseconds => match (right, got) {
            (Value::Integer(a), Value::Integer(b)) if *a >= 0 && *b >= 0 => {
                let unit_ms = if how == Compare::Seconds { 1000 } else { 1 };
                (a - b).abs() * unit_ms <= late_ms + unit_ms
            }
            (a, b) => a == b,
        },
        Compare::Type => std::mem::discriminant(right) == std::mem::discriminant(got),
        Compare::Errorness => right.is_error() == got.is_error(),
    }
}

/// Everything a server holds, a line per key; times are kept apart, because they may differ a little.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// `database key`: type, encoding, value.
    pub keys: Vec<(String, String)>,
    /// Milliseconds that each key has left, or what PTTL says instead.
    pub pttl: Vec<i64>,
    pub digest: String,
}

pub fn state(server: &Server) -> Result<State, String> {
    read_state(server).map_err(|e| format!("{e}, while the state was read"))
}

fn read_state(server: &Server) -> io::Result<State> {
    let mut client = connect(server)?;
    let databases: Vec<String> = (0..16).map(|i| i.to_string()).collect();
    let mut listing = Vec::new();
    for db in &databases {
        listing.push(words(&format!("SELECT {db}")));
        listing.push(words("KEYS *"));
    }
    let listing = client.pipeline(&listing)?;
    let mut state = State::default();
    for (db, names) in databases.iter().zip(listing.chunks(2)) {
        let mut names: Vec<&[u8]> = names[1].items().iter().map(Value::bytes).collect();
        if names.is_empty() {
            continue;
        }
        names.sort();
        let of = |command: &[&str], name: &[u8]| -> Words {
            let mut words: Words = command.iter().map(|w| w.as_bytes().to_vec()).collect();
            words.push(name.to_vec());
            words
        };
        let mut questions = vec![words(&format!("SELECT {db}"))];
        for name in &names {
            questions.extend([of(&["TYPE"], name), of(&["OBJECT", "ENCODING"], name), of(&["PTTL"], name)]);
        }
        let facts = client.pipeline(&questions)?;
        let mut readers = Vec::new();
        for (name, fact) in names.iter().zip(facts[1..].chunks(3)) {
            readers.push(reader(&fact[0].text(), name));
        }
        let values = client.pipeline(&readers)?;
        for ((name, fact), mut value) in names.iter().zip(facts[1..].chunks(3)).zip(values) {
            match (fact[0].bytes(), &mut value) {
                (b"set", Value::Array(items)) => items.sort(),
                (b"hash", Value::Array(items)) => {
                    let mut pairs: Vec<_> = items.chunks(2).map(<[Value]>::to_vec).collect();
                    pairs.sort();
                    *items = pairs.concat();
                }
                _ => {}
            }
            let key = format!("db {db} key {}", crate::support::quote::quote(name));
            let encoding = encoding(&fact[0].text(), &fact[1].text());
            state.keys.push((key, format!("{:?} {encoding} {value:?}", fact[0])));
            state.pttl.push(fact[2].integer());
        }
    }
    if !is_left_out("debug") {
        state.digest = client.try_call(&["DEBUG", "DIGEST"])?.text();
    }
    Ok(state)
}

/// An encoding by the name it has in Redis 7.2: 7.0 calls every list a quicklist, and has no listpacks of
/// strings for sets. One word (`journal` drops it).
fn encoding(kind: &str, encoding: &str) -> String {
    match (kind, encoding) {
        ("list", "listpack" | "quicklist") => "list",
        ("set", "listpack" | "hashtable") => "listpack/hashtable",
        // SORT of a small sorted set leaves it a skiplist in Redis.
        ("zset", "listpack" | "skiplist") => "listpack/skiplist",
        (_, encoding) => encoding,
    }
    .to_string()
}

/// The command that reads a whole value of this type.
fn reader(kind: &str, key: &[u8]) -> Words {
    let words: &[&[u8]] = match kind {
        // Gone between two questions: what PTTL says shows it.
        "string" | "none" => &[b"GET", key],
        "list" => &[b"LRANGE", key, b"0", b"-1"],
        "set" => &[b"SMEMBERS", key],
        "hash" => &[b"HGETALL", key],
        "zset" => &[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"],
        "stream" => &[b"XRANGE", key, b"-", b"+"],
        other => panic!("teach the differential test to read a {other}"),
    };
    words.iter().map(|w| w.to_vec()).collect()
}

/// What differs between two states; nothing if they are equal.
pub fn state_difference(right: &State, got: &State, late_ms: i64) -> Option<String> {
    let names = |s: &State| s.keys.iter().map(|k| k.0.clone()).collect::<Vec<_>>();
    let (a, b) = (names(right), names(got));
    if a != b {
        let missing: Vec<_> = a.iter().filter(|k| !b.contains(k)).collect();
        let surplus: Vec<_> = b.iter().filter(|k| !a.contains(k)).collect();
        return Some(format!("missing keys: {missing:?}, surplus keys: {surplus:?}"));
    }
    for (i, ((key, a), (_, b))) in right.keys.iter().zip(&got.keys).enumerate() {
        if a != b {
            return Some(format!("{key}\n  expected {a}\n  got      {b}"));
        }
        let (a, b) = (right.pttl[i], got.pttl[i]);
        if (a < 0 || b < 0) && a != b || (a - b).abs() > late_ms {
            return Some(format!("{key}\n  expected PTTL {a}\n  got           {b}"));
        }
    }
    let digests = right.digest != got.digest;
    digests.then(|| format!("DEBUG DIGEST\n  expected {}\n  got      {}", right.digest, got.digest))
}
