//! What adds and removes entries: XADD, XTRIM, XDEL, and XSETID.
//!
//! Journaled with the id that was given out and, if entries were trimmed, with what that left exactly:
//! `~` and LIMIT decide by how entries lie in nodes, and `*` by the time.

use super::{IdText, parse_id, split_id};
use crate::base::Millis;
use crate::base::num::parse_i64;
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::config::{EventClasses, Settings};
use crate::keyspace::{Keys, Ttl, WrongType};
use crate::resp::Args;
use crate::structure::stream::{Entries, Keep, NODE_BYTES_MAX, NodeLimits, StreamId};
use crate::structure::{Collection, NewValue, Stream};

const SMALL_ID: Error =
    Error::text("ERR The ID specified in XADD is equal or smaller than the target stream top item");

const LIMIT_ALONE: Error = Error::text("ERR syntax error, LIMIT cannot be used without the special ~ option");

/// The id XADD is to give.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum NewId {
    /// `*`
    Now,
    /// `ms-*`
    At(u64),
    Exactly(StreamId),
}

impl NewId {
    fn parse(text: &[u8]) -> Result<NewId, Error> {
        match split_id(text)? {
            (ms, Some(b"*")) => Ok(NewId::At(ms)),
            _ => Ok(NewId::Exactly(parse_id(text, 0)?)),
        }
    }

    /// The id after `last`.
    fn resolve(self, last: StreamId, now: Millis) -> Result<StreamId, Error> {
        let id = match self {
            NewId::Now if now > last.ms => Some(StreamId::new(now, 0)),
            NewId::Now => last.next(),
            NewId::At(ms) if ms == last.ms => last.seq.checked_add(1).map(|seq| StreamId::new(ms, seq)),
            NewId::At(ms) => Some(StreamId::new(ms, 0)),
            NewId::Exactly(id) => Some(id),
        };
        id.filter(|id| *id > last).ok_or(SMALL_ID)
    }
}

/// What to trim.
#[derive(Clone, Copy, Debug)]
struct Trim {
    keep: Keep,
    /// `~`
    whole_nodes: bool,
    limit: u64,
}

/// The options of XADD and XTRIM.
struct Options {
    trim: Option<Trim>,
    no_mkstream: bool,
    id: NewId,
    /// Where XADD's fields begin.
    fields_at: usize,
}

impl Options {
    fn parse(args: Args<'_>, xadd: bool, x: &Exec<'_>) -> Result<Options, Error> {
        let mut o = Options { trim: None, no_mkstream: false, id: NewId::Now, fields_at: args.len() };
        let (mut limit, mut i) = (None, 2);
        while let Some(word) = args.get(i) {
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            let more = i + 1 < args.len();
            if xadd && word == b"*" {
                o.fields_at = i + 1;
                break;
            } else if more && (is("MAXLEN") || is("MINID")) {
                if o.trim.is_some() {
                    return Err(Error::text(
                        "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
                    ));
                }
                let operator = args.at(i + 1);
                let whole_nodes = operator == b"~" && i + 2 < args.len();
                i += if whole_nodes || operator == b"=" && i + 2 < args.len() { 2 } else { 1 };
                let keep = if is("MAXLEN") { parse_maxlen(args.at(i))? } else { parse_minid(args.at(i))? };
                o.trim = Some(Trim { keep, whole_nodes, limit: 0 });
            } else if more && is("LIMIT") {
                i += 1;
                let given = parse_i64(args.at(i)).ok_or(Error::NotInteger)?;
                if given < 0 {
                    return Err(Error::text("ERR The LIMIT argument must be >= 0."));
                }
                limit = Some(given as u64);
            } else if xadd && is("NOMKSTREAM") {
                o.no_mkstream = true;
            } else if xadd {
                o.id = NewId::parse(word)?;
                o.fields_at = i + 1;
                break;
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
        }
        o.set_limit(limit, xadd, x)?;
        Ok(o)
    }

    fn set_limit(&mut self, given: Option<u64>, xadd: bool, x: &Exec<'_>) -> Result<(), Error> {
        let Some(trim) = &mut self.trim else {
            return match (given, xadd) {
                (Some(1..), _) => Err(Error::text(
                    "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
                )),
                (_, false) => {
                    Err(Error::text("ERR syntax error, XTRIM must be called with a trimming strategy"))
                }
                (Some(0), true) if !x.client.replayed => Err(LIMIT_ALONE),
                _ => Ok(()),
            };
        };
        trim.limit = match given {
            // A journal says what came of it.
            _ if x.client.replayed => 0,
            Some(limit) if trim.whole_nodes => limit,
            Some(_) => return Err(LIMIT_ALONE),
            None if trim.whole_nodes => default_limit(x.settings),
            None => 0,
        };
        Ok(())
    }
}

/// Entries that one command trims at most: a hundred nodes' worth.
fn default_limit(settings: &Settings) -> u64 {
    match settings.stream_node_max_entries.wrapping_mul(100) {
        ..=0 => 10_000,
        limit => limit.min(1_000_000) as u64,
    }
}

fn parse_maxlen(text: &[u8]) -> Result<Keep, Error> {
    match parse_i64(text).ok_or(Error::NotInteger)? {
        ..0 => Err(Error::text("ERR The MAXLEN argument must be >= 0.")),
        max => Ok(Keep::Newest(max as u64)),
    }
}

fn parse_minid(text: &[u8]) -> Result<Keep, Error> {
    Ok(Keep::From(parse_id(text, 0)?))
}

fn limits(settings: &Settings) -> NodeLimits {
    NodeLimits {
        bytes: settings.stream_node_max_bytes as usize,
        entries: settings.stream_node_max_entries.max(0) as u64,
    }
}

/// What came of trimming.
#[derive(Default)]
struct Trimmed {
    entries: u64,
    /// What would have trimmed the same whatever the nodes were.
    exactly: Option<Keep>,
    remains: Option<Entries>,
}

impl Trim {
    fn run(self, entries: &mut Entries) -> Trimmed {
        let (deleted, remains) = entries.trim(self.keep, self.whole_nodes, self.limit);
        let exactly = match self.keep {
            Keep::Newest(_) => Keep::Newest(entries.len()),
            Keep::From(_) if self.whole_nodes => Keep::From(entries.first_node_id().unwrap_or(StreamId::MAX)),
            given => given,
        };
        Trimmed { entries: deleted, exactly: (deleted > 0).then_some(exactly), remains }
    }
}

/// Writes `MAXLEN = n` or `MINID = id` with `write`.
fn write_keep(keep: Keep, mut write: impl FnMut(&[u8])) {
    match keep {
        Keep::Newest(max) => {
            write(b"MAXLEN");
            write(b"=");
            write(itoa::Buffer::new().format(max).as_bytes());
        }
        Keep::From(min) => {
            write(b"MINID");
            write(b"=");
            write(IdText::new(min).as_bytes());
        }
    }
}

/// After a trim: tells, and has freed what takes long.
fn after_trim(keys: &mut Keys<'_>, key: &[u8], trimmed: Trimmed) {
    if trimmed.entries > 0 {
        keys.event(EventClasses::STREAM, "xtrim", key);
    }
    if let Some(remains) = trimmed.remains {
        keys.bury(key, Stream::of_entries(remains).into_object());
    }
}

fn xadd(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let o = Options::parse(args, true, x)?;
    let given = args.len().saturating_sub(o.fields_at);
    if given < 2 || !given.is_multiple_of(2) {
        return Err(Error::text("ERR wrong number of arguments for 'xadd' command"));
    }
    if o.id == NewId::Exactly(StreamId::MIN) {
        return Err(Error::text("ERR The ID specified in XADD must be greater than 0-0"));
    }
    let key = args.at(1);
    let (limits, now) = (limits(x.settings), x.keys.now);
    let fields = args.from(o.fields_at);
    let added = x.keys.write_with(key, |entry| {
        let Some(entry) = entry else { return Ok(None) };
        let stream = entry.object_mut().and_then(Stream::of_mut).ok_or(WrongType)?;
        add(stream.entries_mut(), &o, fields, limits, now).map(Some)
    })?;
    let (id, trimmed) = match added {
        Some(added) => added,
        None if o.no_mkstream => {
            x.reply.null();
            return Ok(());
        }
        None => {
            let mut stream = Stream::new();
            let added = add(stream.entries_mut(), &o, fields, limits, now)?;
            x.keys.set(key, NewValue::Object(stream.into_object()), Ttl::Clear);
            added
        }
    };
    let text = IdText::new(id);
    x.reply.bulk(text.as_bytes());
    x.keys.changed(key);
    x.keys.event(EventClasses::STREAM, "xadd", key);
    let trim_args = if trimmed.exactly.is_some() { 3 } else { 0 };
    x.keys.effect_with(3 + trim_args + given, |effect| {
        effect.arg(b"XADD");
        effect.arg(key);
        if let Some(keep) = trimmed.exactly {
            write_keep(keep, |arg| effect.arg(arg));
        }
        effect.arg(text.as_bytes());
        fields.iter().for_each(|arg| effect.arg(arg));
    });
    after_trim(&mut x.keys, key, trimmed);
    Ok(())
}

fn add(
    entries: &mut Entries,
    o: &Options,
    fields: Args<'_>,
    limits: NodeLimits,
    now: Millis,
) -> Result<(StreamId, Trimmed), Error> {
    if entries.last_id() == StreamId::MAX {
        return Err(Error::text(
            "ERR The stream has exhausted the last possible ID, unable to add more items",
        ));
    }
    let id = o.id.resolve(entries.last_id(), now)?;
    if fields.iter().map(<[u8]>::len).sum::<usize>() > NODE_BYTES_MAX {
        return Err(Error::text("ERR Elements are too large to be stored"));
    }
    let pair = move |at: usize| (fields.at(at * 2), fields.at(at * 2 + 1));
    entries.append(id, (0..fields.len() / 2).map(pair), limits);
    let trimmed = o.trim.map_or_else(Trimmed::default, |trim| trim.run(entries));
    Ok((id, trimmed))
}

fn xtrim(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let o = Options::parse(args, false, x)?;
    let key = args.at(1);
    let trimmed = match (x.keys.write_as::<Stream>(key)?, o.trim) {
        (Some(stream), Some(trim)) => trim.run(stream.entries_mut()),
        _ => Trimmed::default(),
    };
    x.reply.integer(trimmed.entries as i64);
    if let Some(keep) = trimmed.exactly {
        x.keys.touched_in(x.keys.db, key);
        x.keys.count_changes(key, trimmed.entries);
        x.keys.effect_with(5, |effect| {
            effect.arg(b"XTRIM");
            effect.arg(key);
            write_keep(keep, |arg| effect.arg(arg));
        });
    }
    after_trim(&mut x.keys, key, trimmed);
    Ok(())
}

fn xdel(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = args.at(1);
    let Some(stream) = x.keys.write_as::<Stream>(key)? else {
        x.reply.integer(0);
        return Ok(());
    };
    // All ids are looked at before any is deleted.
    for arg in args.iter().skip(2) {
        parse_id(arg, 0)?;
    }
    let ids = args.iter().skip(2).filter_map(|arg| parse_id(arg, 0).ok());
    let deleted = ids.filter(|id| stream.entries_mut().delete(*id)).count() as u64;
    if deleted > 0 {
        x.keys.touched_in(x.keys.db, key);
        x.keys.count_changes(key, deleted);
        x.keys.event(EventClasses::STREAM, "xdel", key);
    }
    x.reply.integer(deleted as i64);
    Ok(())
}

fn xsetid(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let id = parse_id(args.at(2), 0)?;
    let (mut added, mut max_deleted, mut i) = (None, None, 3);
    while let Some(word) = args.get(i) {
        match args.get(i + 1) {
            Some(text) if word.eq_ignore_ascii_case(b"ENTRIESADDED") => {
                let given = parse_i64(text).ok_or(Error::NotInteger)?;
                if given < 0 {
                    return Err(Error::text("ERR entries_added must be positive"));
                }
                added = Some(given as u64);
            }
            Some(text) if word.eq_ignore_ascii_case(b"MAXDELETEDID") => {
                let given = parse_id(text, 0)?;
                if id < given {
                    return Err(Error::text(
                        "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                    ));
                }
                // 0-0 stands for none.
                max_deleted = (given != StreamId::MIN).then_some(given);
            }
            _ => return Err(Error::Syntax),
        }
        i += 2;
    }
    let key = args.at(1);
    let entries = x.keys.write_as::<Stream>(key)?.ok_or(Error::NoSuchKey)?.entries_mut();
    if entries.top_id().is_some_and(|top| id < top) {
        return Err(Error::text("ERR The ID specified in XSETID is smaller than the target stream top item"));
    }
    if added.is_some_and(|added| added < entries.len()) {
        return Err(Error::text(
            "ERR The entries_added specified in XSETID is smaller than the target stream length",
        ));
    }
    entries.set_ids(id, added, max_deleted);
    x.keys.count_changes(key, 1);
    x.keys.event(EventClasses::STREAM, "xsetid", key);
    x.reply.ok();
    Ok(())
}

const TRIM: &[Arg] = &[
    one_of("strategy", &[word("maxlen", "MAXLEN"), word("minid", "MINID").since("6.2.0")]),
    one_of("operator", &[word("equal", "="), word("approximately", "~")]).opt(),
    string("threshold"),
    int("count").token("LIMIT").opt().since("6.2.0"),
];

pub(super) const XADD: CommandSpec = CommandSpec {
    name: "xadd",
    arity: -5,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    acl: acl::STREAM,
    keys: &[KeySpec::one(access::RW | access::UPDATE, 1)],
    args: &[
        key("key", 0),
        word("nomkstream", "NOMKSTREAM").opt().since("6.2.0"),
        block("trim", TRIM).opt(),
        one_of("id_or_auto", &[word("auto_id", "*"), string("id")]),
        block("field_value", &[string("field"), string("value")]).many(),
    ],
    group: Group::Stream,
    since: "5.0.0",
    complexity: "O(1), and the number of entries trimmed",
    summary: "Adds an entry to a stream, and trims the stream on demand",
    tips: &["nondeterministic_output"],
    run: Run::Keys(xadd),
    ..CommandSpec::DEFAULT
};

pub(super) const XDEL: CommandSpec = CommandSpec {
    name: "xdel",
    arity: -3,
    flags: flag::WRITE | flag::FAST,
    acl: acl::STREAM,
    keys: &[KeySpec::one(access::RW | access::DELETE, 1)],
    args: &[key("key", 0), string("id").many()],
    group: Group::Stream,
    since: "5.0.0",
    complexity: "O(1) for each entry",
    summary: "Deletes entries by their ids and returns how many there were",
    run: Run::Keys(xdel),
    ..CommandSpec::DEFAULT
};

pub(super) const XSETID: CommandSpec = CommandSpec {
    name: "xsetid",
    arity: -3,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    acl: acl::STREAM,
    keys: &[KeySpec::one(access::RW | access::UPDATE, 1)],
    args: &[
        key("key", 0),
        string("last-id"),
        int("entries_added").token("ENTRIESADDED").opt().since("7.0.0"),
        string("max_deleted_entry_id").token("MAXDELETEDID").opt().since("7.0.0"),
    ],
    group: Group::Stream,
    since: "5.0.0",
    summary: "Sets what a stream remembers of its ids (for files and replicas)",
    run: Run::Keys(xsetid),
    ..CommandSpec::DEFAULT
};

pub(super) const XTRIM: CommandSpec = CommandSpec {
    name: "xtrim",
    arity: -4,
    flags: flag::WRITE,
    acl: acl::STREAM,
    keys: &[KeySpec::one(access::RW | access::DELETE, 1)],
    args: &[key("key", 0), block("trim", TRIM)],
    group: Group::Stream,
    since: "5.0.0",
    complexity: "O(N) in the number of entries removed",
    summary: "Removes the oldest entries of a stream",
    tips: &["nondeterministic_output"],
    run: Run::Keys(xtrim),
    ..CommandSpec::DEFAULT
};
