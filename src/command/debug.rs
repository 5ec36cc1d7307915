//! The parts of DEBUG that only need keys or nothing at all. The session owns the command (what
//! concerns sockets, files, clocks and crashes is its matter) and calls these, the handlers on the
//! shards that own the keys.
//!
//! The digest is Redis's: two servers with the same keys, values and databases, and expiry times on the
//! same keys, have the same digest, whatever their number of shards, insertion order or encodings.

use super::generic::shown_encoding;
use super::shard_facts::{self, ShardFacts};
use super::spec::{Group, access, flag, int, key, string};
use super::{CommandSpec, Error, Exec, KeySpec, Merge, Run, usage};
use super::{hash, list, set, sorted_set, stream};
use crate::base::{glob, num::parse_i64};
use crate::keyspace::{Keys, Ttl};
use crate::resp::{Args, Reply};
use crate::structure::object::View;
use crate::structure::{Collection, Entry, List, NewValue, Object, Value};
use sha1::{Digest as _, Sha1};
use std::fmt::Write as _;

/// A SHA1 that data is mixed into.
pub type Digest = [u8; 20];

/// Redis's numbers for the types.
const TYPE_STRING: u32 = 0;
const TYPE_LIST: u32 = 1;
const TYPE_SET: u32 = 2;
const TYPE_ZSET: u32 = 3;
const TYPE_HASH: u32 = 4;
const TYPE_STREAM: u32 = 6;

pub(super) fn sha1(bytes: &[u8]) -> Digest {
    Sha1::digest(bytes).into()
}

/// Order does not matter: what is in twice is out again.
fn xor(digest: &mut Digest, other: &Digest) {
    digest.iter_mut().zip(other).for_each(|(a, b)| *a ^= b);
}

/// The data of one element among others: order does not matter.
pub(super) fn xor_hashed(digest: &mut Digest, bytes: &[u8]) {
    xor(digest, &sha1(bytes));
}

/// Order matters.
pub(super) fn mix(digest: &mut Digest, bytes: &[u8]) {
    xor(digest, &sha1(bytes));
    *digest = sha1(digest);
}

/// Mixes a value and whether it will expire (not when: replicas may round) into `digest`.
fn mix_value(digest: &mut Digest, entry: &Entry) {
    match entry.value() {
        Value::Int(n) => {
            mix(digest, &TYPE_STRING.to_be_bytes());
            let mut digits = itoa::Buffer::new();
            mix(digest, digits.format(n).as_bytes());
        }
        Value::Bytes(bytes) => {
            mix(digest, &TYPE_STRING.to_be_bytes());
            mix(digest, bytes);
        }
        Value::Object(object) => mix_object(digest, object),
    }
    if entry.expire_at().is_some() {
        xor(digest, &sha1(b"!!expire!!"));
    }
}

fn mix_object(digest: &mut Digest, object: &Object) {
    let kind = match object.view() {
        View::Bytes(_) => TYPE_STRING,
        View::List(_) => TYPE_LIST,
        View::Set(_) => TYPE_SET,
        View::SortedSet(_) => TYPE_ZSET,
        View::Hash(_) => TYPE_HASH,
        View::Stream(_) => TYPE_STREAM,
    };
    mix(digest, &kind.to_be_bytes());
    match object.view() {
        View::Bytes(bytes) => mix(digest, bytes),
        View::List(list) => list::mix_digest(list, digest),
        View::Set(set) => set::mix_digest(set, digest),
        View::SortedSet(set) => sorted_set::mix_digest(set, digest),
        View::Hash(hash) => hash::mix_digest(hash, digest),
        View::Stream(stream) => stream::mix_digest(stream, digest),
    }
}

fn hex(digest: &Digest) -> String {
    digest.iter().fold(String::with_capacity(40), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

const DB_RECORD: usize = 4 + 20;

/// Handler of DEBUG DIGEST on a shard. Writes, for each database with a key that has not expired, its
/// number and the combined digest of its keys: raw records of 24 bytes.
pub fn digest_shard(exec: &mut Exec<'_>, _args: Args<'_>) -> Result<(), Error> {
    let now = exec.keys.now;
    let out = exec.reply.buffer();
    exec.keys.each_keyspace(|keyspace| {
        for index in 0..keyspace.databases() {
            let mut all = None;
            let live = keyspace.db(index).table().iter().filter(|e| e.expire_at().is_none_or(|at| at > now));
            for entry in live {
                let mut one = Digest::default();
                mix(&mut one, entry.key());
                mix_value(&mut one, entry);
                // Redis takes each key's digest through SHA1 once more.
                xor(all.get_or_insert_default(), &sha1(&one));
            }
            if let Some(all) = all {
                out.extend_from_slice(&(index as u32).to_be_bytes());
                out.extend_from_slice(&all);
            }
        }
    });
    Ok(())
}

/// The answer to DEBUG DIGEST, of what all shards wrote, in any order.
pub fn digest<'a>(payloads: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut dbs = std::collections::BTreeMap::<u32, Digest>::new();
    for payload in payloads {
        for record in payload.chunks_exact(DB_RECORD) {
            let (index, of_shard) = record.split_at(4);
            let index = u32::from_be_bytes([index[0], index[1], index[2], index[3]]);
            xor(dbs.entry(index).or_default(), of_shard.try_into().unwrap_or(&[0; 20]));
        }
    }
    let mut total = Digest::default();
    for (index, keys) in &dbs {
        mix(&mut total, &index.to_be_bytes());
        xor(&mut total, keys);
    }
    hex(&total)
}

/// Handler of DEBUG DIGEST-VALUE key ...: a line for each, zeros for keys that are absent.
pub fn digest_value(exec: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    exec.reply.array(args.len() - 2);
    for key in args.iter().skip(2) {
        let mut digest = Digest::default();
        if let Some(entry) = exec.keys.peek(key) {
            mix_value(&mut digest, entry);
        }
        exec.reply.simple(&hex(&digest));
    }
    Ok(())
}

/// Handler of DEBUG OBJECT key. `serializedlength` is that of an uncompressed RDB value.
pub fn object(exec: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let clock = (exec.keys.now / 1000) as u32 & 0xff_ffff;
    // Also what is past its time and still there.
    let entry = exec.keys.find_even_expired(args.at(2)).ok_or(Error::NoSuchKey)?;
    let (encoding, length) = match entry.value() {
        Value::Int(n) => ("int", rdb_integer_length(n)),
        Value::Bytes(bytes) => (string_encoding(entry, bytes), rdb_string_length(bytes)),
        Value::Object(object) => (shown_encoding(object), serialized_length(object)),
    };
    let mut line = format!(
        "Value at:{entry:p} refcount:1 encoding:{encoding} serializedlength:{length} lru:{} \
         lru_seconds_idle:{}",
        entry.lru(),
        clock.wrapping_sub(entry.lru()) & 0xff_ffff,
    );
    if let Some(list) = entry.object().and_then(List::of) {
        line.push_str(&list::debug_fields(list, exec.settings));
    }
    exec.reply.simple(&line);
    Ok(())
}

/// Longer strings lie in an allocation of their own in Redis, which OBJECT ENCODING calls `raw`.
const EMBSTR_MAX: usize = 44;

fn string_encoding(entry: &Entry, bytes: &[u8]) -> &'static str {
    if bytes.len() <= EMBSTR_MAX && !entry.is_raw() { "embstr" } else { "raw" }
}

/// Bytes of a string in an RDB file: short decimal numbers as binary, all else behind its length.
pub(super) fn rdb_string_length(bytes: &[u8]) -> usize {
    let number =
        std::str::from_utf8(bytes).ok().filter(|_| bytes.len() <= 11).and_then(|s| s.parse::<i32>().ok());
    match number.filter(|n| n.to_string().as_bytes() == bytes) {
        Some(n) => rdb_integer_length(n as i64),
        None => bytes.len() + rdb_length_length(bytes.len()),
    }
}

fn serialized_length(object: &Object) -> usize {
    match object.view() {
        View::Bytes(bytes) => rdb_string_length(bytes),
        View::List(list) => list::serialized_length(list),
        View::Set(set) => set::serialized_length(set),
        View::SortedSet(set) => sorted_set::serialized_length(set),
        View::Hash(hash) => hash::serialized_length(hash),
        View::Stream(stream) => stream::serialized_length(stream),
    }
}

fn rdb_integer_length(n: i64) -> usize {
    match n {
        _ if i8::try_from(n).is_ok() => 2,
        _ if i16::try_from(n).is_ok() => 3,
        _ if i32::try_from(n).is_ok() => 5,
        _ => 1 + n.to_string().len(),
    }
}

pub(super) fn rdb_length_length(n: usize) -> usize {
    match n {
        0..64 => 1,
        64..16_384 => 2,
        16_384..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// Handler of DEBUG HTSTATS-KEY key, for what OBJECT ENCODING calls a hash table or a skip list (which has
/// one). There are no chains to tell of.
pub fn htstats_key(exec: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let object = exec.keys.peek(args.at(2)).ok_or(Error::NoSuchKey)?.object();
    let object = object.filter(|object| matches!(shown_encoding(object), "hashtable" | "skiplist")).ok_or(
        Error::text("ERR The value stored at the specified key is not represented using an hash table"),
    )?;
    let stats = table_stats(object.elements() as u64);
    exec.reply.verbatim("txt", stats.as_bytes());
    Ok(())
}

/// DEBUG HTSTATS dbid, of the sum of what all shards contributed (`shard_facts::contribute`). The
/// headings are Redis's; buckets and chains there are none.
pub fn htstats(facts: &ShardFacts, databases: usize, args: Args<'_>) -> Result<String, Error> {
    let index = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    if !(0..databases as i64).contains(&index) {
        return Err(Error::text("ERR Out of range database"));
    }
    let db = facts.dbs.iter().find(|d| d.index == index as u64).copied().unwrap_or_default();
    let (keys, expires) = (table_stats(db.keys), table_stats(db.expires));
    Ok(format!("[Dictionary HT]\n{keys}[Expires HT]\n{expires}"))
}

fn table_stats(elements: u64) -> String {
    match elements {
        0 => "Hash table 0 stats (main hash table):\nNo stats available for empty dictionaries\n".into(),
        n => format!("Hash table 0 stats (main hash table):\n number of elements: {n}\n"),
    }
}

/// Handler of DEBUG POPULATE count [prefix] [size] on a shard: creates those of the keys that the
/// shard owns and that are absent. Nothing goes into the journal; watchers are told.
pub fn populate(exec: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let count = positive(args.at(2))?;
    let prefix = args.get(3).unwrap_or(b"key");
    let size = args.get(4).map_or(Ok(0), positive)? as usize;
    let mut mine = Vec::new();
    exec.keys.each_keyspace(|keyspace| mine.push(keyspace.shard));
    let (mut key, mut value) = (prefix.to_vec(), Vec::new());
    key.push(b':');
    let head = key.len();
    let mut digits = itoa::Buffer::new();
    for n in 0..count {
        let digits = digits.format(n).as_bytes();
        key.truncate(head);
        key.extend_from_slice(digits);
        if !mine.contains(&exec.keys.placement.shard(&key)) || exec.keys.exists(&key) {
            continue;
        }
        value.clear();
        value.extend_from_slice(b"value:");
        value.extend_from_slice(digits);
        if size > 0 {
            value.resize(size, 0);
        }
        add_unlogged(&mut exec.keys, &key, &value);
    }
    exec.reply.ok();
    Ok(())
}

fn add_unlogged(keys: &mut Keys<'_>, key: &[u8], value: &[u8]) {
    keys.set(key, NewValue::Bytes(value), Ttl::Clear);
    let db = keys.db;
    keys.owner(key).watch.touch(db, key, false);
}

/// Redis says the same of what is no number and of what is negative.
fn positive(arg: &[u8]) -> Result<i64, Error> {
    let number = parse_i64(arg).filter(|n| *n >= 0);
    number.ok_or(Error::text("ERR value is out of range, must be positive"))
}

/// Tests of clients expect exactly these digits, not those of pi.
#[allow(clippy::approx_constant)]
const PROTOCOL_DOUBLE: f64 = 3.141;

/// DEBUG PROTOCOL kind: a reply of that kind, for tests of clients.
pub fn protocol(kind: &[u8], reply: &mut Reply<'_>) -> Result<(), Error> {
    match &kind.to_ascii_lowercase()[..] {
        b"string" => reply.bulk(b"Hello World"),
        b"integer" => reply.integer(12345),
        b"double" => reply.double(PROTOCOL_DOUBLE),
        b"bignum" => reply.big_number("1234567999999999999999999999999999999"),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            (0..3).for_each(|n| reply.integer(n));
        }
        b"set" => {
            reply.set(3);
            (0..3).for_each(|n| reply.integer(n));
        }
        b"map" => {
            reply.map(3);
            for n in 0..3 {
                reply.integer(n);
                reply.boolean(n == 1);
            }
        }
        b"attrib" => {
            if reply.is_resp3() {
                reply.attribute(1);
                reply.bulk(b"key-popularity");
                reply.array(2);
                reply.bulk(b"key:123");
                reply.integer(90);
            }
            reply.bulk(b"Some real reply following the attribute");
        }
        b"push" if !reply.is_resp3() => {
            return Err(Error::text("ERR RESP2 is not supported by this command"));
        }
        b"push" => {
            reply.push(2);
            reply.bulk(b"server-cpu-usage");
            reply.integer(42);
            reply.bulk(b"Some real reply following the push reply");
        }
        b"true" => reply.boolean(true),
        b"false" => reply.boolean(false),
        b"verbatim" => reply.verbatim("txt", b"This is a verbatim\nstring"),
        _ => {
            return Err(Error::text(
                "ERR Wrong protocol type name. Please use one of the following: \
                 string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(())
}

/// DEBUG STRINGMATCH-LEN length pattern: whether the pattern matches that many `a`, for tests of what
/// long texts and hostile patterns cost.
pub fn stringmatch_len(args: Args<'_>) -> Result<bool, Error> {
    const LENGTH_MAX: i64 = 64 << 20;
    let length = positive(args.at(2))?.min(LENGTH_MAX) as usize;
    Ok(glob::matches(args.at(3), &vec![b'a'; length], false))
}

/// DEBUG HELP: the subcommands here, and those of the session's `own`.
pub fn help(own: &[(&str, &str)], called: &[u8], reply: &mut Reply<'_>) {
    let mut lines = usage::help_lines(SUBCOMMANDS);
    lines.extend(own.iter().map(|(call, summary)| (call.to_string(), *summary)));
    lines.sort();
    usage::help_of(called, &lines, reply);
}

/// The subcommand in `args`, if it is one of this file and has the right number of arguments. Its
/// `keys` and `run` tell how it is spread over the shards, as those of any command do.
pub fn subcommand(args: Args<'_>) -> Option<&'static CommandSpec> {
    let name = args.get(1)?;
    SUBCOMMANDS
        .iter()
        .find(|spec| spec.name.as_bytes().eq_ignore_ascii_case(name))
        .filter(|spec| spec.arity_fits(args.len()) && (spec.name != "populate" || args.len() <= 5))
}

const SUBCOMMAND: CommandSpec = CommandSpec {
    flags: flag::ADMIN | flag::NOSCRIPT | flag::PROTECTED,
    group: Group::Server,
    ..CommandSpec::DEFAULT
};

/// Not in the command table, since Redis shows DEBUG as a command without subcommands.
pub const SUBCOMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "digest",
        arity: 2,
        complexity: "O(N) where N is the size of the data set",
        summary: "One hexadecimal number for the whole data set",
        run: Run::Every(digest_shard, Merge::Session),
        ..SUBCOMMAND
    },
    CommandSpec {
        name: "digest-value",
        arity: -2,
        keys: &[KeySpec::range(access::RO, 2, -1, 1)],
        args: &[key("key", 0).many()],
        complexity: "O(N) where N is the size of the values",
        summary: "The same for the values of single keys",
        run: Run::Split(digest_value, Merge::Elements),
        ..SUBCOMMAND
    },
    CommandSpec {
        name: "htstats",
        arity: 3,
        args: &[int("dbid")],
        summary: "How many keys a database has, and how many of them expire",
        run: Run::Every(shard_facts::contribute, Merge::Session),
        ..SUBCOMMAND
    },
    CommandSpec {
        name: "htstats-key",
        arity: 3,
        keys: &[KeySpec::one(access::RO, 2)],
        args: &[key("key", 0)],
        summary: "The same for the hash table that a value is kept in",
        run: Run::Keys(htstats_key),
        ..SUBCOMMAND
    },
    CommandSpec {
        name: "object",
        arity: 3,
        keys: &[KeySpec::one(access::RO, 2)],
        args: &[key("key", 0)],
        summary: "How a value is kept",
        run: Run::Keys(object),
        ..SUBCOMMAND
    },
    CommandSpec {
        name: "populate",
        arity: -3,
        args: &[int("count"), string("prefix").opt(), int("size").opt()],
        complexity: "O(N) where N is the number of keys",
        summary: "Create string keys <prefix>:<n>, outside of the journal",
        run: Run::Every(populate, Merge::Ok),
        ..SUBCOMMAND
    },
    CommandSpec {
        name: "protocol",
        arity: 3,
        args: &[string("type")],
        summary: "A reply of this type, for tests of clients",
        ..SUBCOMMAND
    },
    CommandSpec {
        name: "stringmatch-len",
        arity: 4,
        args: &[int("length"), string("pattern")],
        complexity: "O(N*M) where N is the length and M that of the pattern",
        summary: "Match a pattern against that many times the letter a",
        ..SUBCOMMAND
    },
];
