//! XREAD and XREADGROUP: what is new in some streams, for one client or for a group of them.
//!
//! A `Read` is the parsed command; it is checked against all its keys before any of them is read. When
//! it finds nothing and may wait, `$` becomes an id, and the command runs again for each key that has
//! something new.
//!
//! A group's progress is journaled as what it came to (see `journal`), also when a consumer reads its
//! own pending entries again: that counts deliveries.

use super::journal::{self, Of};
use super::{c_text, error_with, parse_id, reply_entries, reply_entry, reply_id};
use crate::base::Millis;
use crate::base::num::parse_i64;
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::config::EventClasses;
use crate::keyspace::{Keys, Ready, Wait, WaitKey};
use crate::resp::{Args, ArgsBuf, Reply};
use crate::structure::Stream;
use crate::structure::stream::{ConsumerNo, Entries, Group as ReadGroup, Pending, StreamId};
use std::num::NonZeroU64;

/// What of a stream is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum After {
    /// Entries behind this one; for a group, those of them that the consumer has pending.
    Id(StreamId),
    /// `>`: entries the group has not delivered yet.
    New,
}

/// Group and consumer.
type Reader<'a> = (&'a [u8], &'a [u8]);

/// How entries are delivered.
#[derive(Clone, Copy)]
struct Delivery<'a> {
    reader: Option<Reader<'a>>,
    /// 0: all.
    count: usize,
    noack: bool,
}

/// A command, parsed. The ids are read when they are needed.
struct Read<'a> {
    how: Delivery<'a>,
    /// BLOCK: for how many milliseconds, 0 without end.
    block_ms: Option<u64>,
    /// As many keys as ids, the ids behind the keys.
    streams: Args<'a>,
}

impl<'a> Read<'a> {
    fn parse(args: Args<'a>, grouped: bool, now: Millis, in_script: bool) -> Result<Read<'a>, Error> {
        let mut how = Delivery { reader: None, count: 0, noack: false };
        let (mut block_ms, mut i) = (None, 1);
        let streams = loop {
            let Some(word) = args.get(i) else { return Err(Error::Syntax) };
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            let more = args.len() - i - 1;
            if is("BLOCK") && more > 0 {
                if in_script {
                    let why = b" command is not allowed with BLOCK option from scripts";
                    return Err(error_with(&[b"ERR ", args.at(0), why]));
                }
                i += 1;
                block_ms = Some(parse_timeout(args.at(i), now)?);
            } else if is("COUNT") && more > 0 {
                i += 1;
                how.count = parse_i64(args.at(i)).ok_or(Error::NotInteger)?.max(0) as usize;
            } else if is("STREAMS") && more > 0 {
                break args.from(i + 1);
            } else if is("GROUP") && more >= 2 {
                only_grouped(grouped, "GROUP")?;
                how.reader = Some((args.at(i + 1), args.at(i + 2)));
                i += 2;
            } else if is("NOACK") {
                only_grouped(grouped, "NOACK")?;
                how.noack = true;
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
        };
        if !streams.len().is_multiple_of(2) {
            return Err(Error::text(
                "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
            ));
        }
        if grouped && how.reader.is_none() {
            return Err(Error::text("ERR Missing GROUP option for XREADGROUP"));
        }
        Ok(Read { how, block_ms, streams })
    }

    fn len(&self) -> usize {
        self.streams.len() / 2
    }

    fn key(&self, at: usize) -> &'a [u8] {
        self.streams.at(at)
    }

    /// What is asked of the stream at this place, which may be none.
    fn after(&self, at: usize, stream: Option<&Stream>) -> Result<After, Error> {
        let text = self.streams.at(self.len() + at);
        match (c_text(text), self.how.reader) {
            (b"$", None) => Ok(After::Id(stream.map_or(StreamId::MIN, |it| it.entries().last_id()))),
            (b"$", Some(_)) => Err(Error::text(
                "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of \
                 this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would \
                 just return an empty result set.",
            )),
            (b">", Some(_)) => Ok(After::New),
            (b">", None) => Err(Error::text(
                "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> \
                 <consumer> option.",
            )),
            (_, reader) => match parse_id(text, 0)? {
                // Redis keeps `>` as the largest id.
                StreamId::MAX if reader.is_some() => Ok(After::New),
                id => Ok(After::Id(id)),
            },
        }
    }

    /// Whether all keys are what they must be, and what is asked of each.
    fn check(&self, keys: &mut Keys<'_>, mut found: impl FnMut(After)) -> Result<(), Error> {
        for at in 0..self.len() {
            let key = self.key(at);
            let stream = keys.read_as::<Stream>(key)?;
            if let Some((group, _)) = self.how.reader
                && stream.as_ref().and_then(|stream| stream.groups().get(group)).is_none()
            {
                return Err(error_with(&[
                    b"NOGROUP No such key '",
                    key,
                    b"' or consumer group '",
                    group,
                    b"' in XREADGROUP with GROUP option",
                ]));
            }
            found(self.after(at, stream.as_deref())?);
        }
        Ok(())
    }

    /// Answers with what there is; false if there is nothing, and nothing was written.
    fn serve(&self, x: &mut Exec<'_>) -> Result<bool, Error> {
        let mark = x.reply.mark();
        let mut served = 0;
        for at in 0..self.len() {
            let key = self.key(at);
            let after = self.after(at, x.keys.view_as::<Stream>(key)?)?;
            served += self.how.serve(x, key, after)? as usize;
        }
        match served {
            0 => return Ok(false),
            _ if x.reply.is_resp3() => x.reply.map_at(mark, served),
            _ => x.reply.array_at(mark, served),
        }
        Ok(true)
    }

    /// Lets the client wait, if it said so and may. `name` is that of its command.
    fn wait(&self, x: &mut Exec<'_>, name: &[u8]) -> Result<(), Error> {
        /// Who waited is not sent a whole stream unasked.
        const COUNT: usize = 1000;
        let Some(block_ms) = self.block_ms.filter(|_| !x.client.in_transaction) else {
            x.reply.null_array();
            return Ok(());
        };
        // This belongs to the same command: `$` is what the stream ends with now.
        let mut afters = Vec::with_capacity(self.len());
        self.check(&mut x.keys, |after| afters.push(after))?;
        let keys = afters.into_iter().enumerate().map(|(at, after)| {
            let extra = match after {
                After::New => b">".as_slice().into(),
                After::Id(id) => id.to_string().into_bytes().into(),
            };
            WaitKey { key: self.key(at).into(), extra: Some(extra) }
        });
        let mut head: ArgsBuf = [name].into_iter().collect();
        if let Some((group, consumer)) = self.how.reader {
            [b"GROUP", group, consumer].iter().for_each(|word| head.push(word));
        }
        if self.how.noack {
            head.push(b"NOACK");
        }
        let count = if self.how.count == 0 { COUNT } else { self.how.count };
        let mut digits = itoa::Buffer::new();
        [b"COUNT", digits.format(count).as_bytes(), b"STREAMS"].iter().for_each(|word| head.push(word));
        let since = x.keys.now;
        let wait = Wait {
            since,
            deadline: (block_ms > 0).then(|| since.saturating_add(block_ms)),
            keys: keys.collect(),
            head,
            tail: ArgsBuf::new(),
            destination: None,
            minds_deletion: self.how.reader.is_some(),
            ready: if self.how.reader.is_some() { new_for_group } else { new_for_client },
        };
        x.keys.wait(wait);
        Ok(())
    }
}

/// Whether a stream has entries behind the id that a client waits with.
fn new_for_client(keys: &Keys<'_>, wait: &Wait, index: usize) -> Ready {
    let WaitKey { key, extra } = &wait.keys[index];
    let after = extra.as_deref().and_then(|id| parse_id(id, 0).ok());
    match (keys.view_as::<Stream>(key), after) {
        (Ok(Some(stream)), Some(after)) if stream.entries().top_id() > Some(after) => Ready::Yes,
        _ => Ready::No,
    }
}

/// Whether a stream has entries that a group has not delivered, and whether both are still there.
fn new_for_group(keys: &Keys<'_>, wait: &Wait, index: usize) -> Ready {
    // The name is behind the command's and GROUP.
    let name = wait.head.as_args().at(2);
    let Ok(Some(stream)) = keys.view_as::<Stream>(&wait.keys[index].key) else {
        return Ready::Gone("UNBLOCKED the stream key no longer exists");
    };
    match stream.groups().get(name) {
        None => Ready::Gone("NOGROUP the consumer group this client was blocked on no longer exists"),
        Some(group) if stream.entries().top_id() > Some(group.last_id) => Ready::Yes,
        Some(_) => Ready::No,
    }
}

fn only_grouped(grouped: bool, option: &str) -> Result<(), Error> {
    if grouped {
        return Ok(());
    }
    Err(Error::owned(format!(
        "ERR The {option} option is only supported by XREADGROUP. You called XREAD instead."
    )))
}

/// Milliseconds to wait, 0 without end.
fn parse_timeout(text: &[u8], now: Millis) -> Result<u64, Error> {
    const NO_INTEGER: Error = Error::text("ERR timeout is not an integer or out of range");
    match parse_i64(text).ok_or(NO_INTEGER)? {
        ..0 => Err(Error::text("ERR timeout is negative")),
        // Redis adds the time without a look; what would wrap is without end here.
        ms if (ms as u64).checked_add(now).is_none_or(|at| at > i64::MAX as u64) => Ok(0),
        ms => Ok(ms as u64),
    }
}

/// Where STREAMS stands, for a command whose group or consumer may have that name.
fn streams_at(args: Args<'_>) -> Option<usize> {
    let read = Read::parse(args, true, 0, false).ok()?;
    Some(args.len() - read.streams.len() - 1)
}

/// What a delivery to a group did, for the journal.
#[derive(Default)]
struct Delivered {
    created: bool,
    /// Entries with how often they were delivered, if the journal is to know.
    entries: Vec<(StreamId, u64)>,
    /// Where the group stands now, if that changed.
    moved: Option<(StreamId, i64)>,
    last_id: StreamId,
}

impl<'a> Delivery<'a> {
    /// Writes a stream's name and entries, or nothing if there are none.
    fn serve(self, x: &mut Exec<'_>, key: &[u8], after: After) -> Result<bool, Error> {
        if let Some(reader) = self.reader {
            return self.serve_group(x, key, reader, after);
        }
        let Exec { keys, reply, .. } = x;
        let (Some(stream), After::Id(after)) = (keys.read_as::<Stream>(key)?, after) else {
            return Ok(false);
        };
        let entries = stream.entries();
        let (Some(from), true) = (after.next(), entries.top_id().is_some_and(|top| top > after)) else {
            return Ok(false);
        };
        write_name(reply, key);
        reply_entries(reply, entries.range(from, StreamId::MAX), self.count);
        Ok(true)
    }

    fn serve_group(
        self,
        x: &mut Exec<'_>,
        key: &[u8],
        (name, consumer): Reader<'_>,
        after: After,
    ) -> Result<bool, Error> {
        let (now, remember) = (x.keys.now, x.keys.is_journaled());
        let Exec { keys, reply, .. } = x;
        let Some(stream) = keys.read_as::<Stream>(key)? else { return Ok(false) };
        let (entries, groups) = stream.parts_mut();
        let Some(group) = groups.get_mut(name) else { return Ok(false) };
        let known = group.find_consumer(consumer);
        if let Some(no) = known {
            group.consumer_mut(no).seen_at = NonZeroU64::new(now);
        }
        if after == After::New && entries.top_id().is_none_or(|top| top <= group.last_id) {
            return Ok(false);
        }
        let mut done = Delivered { created: known.is_none(), ..Delivered::default() };
        let no = match known.or_else(|| group.create_consumer(consumer, NonZeroU64::new(now))) {
            Some(no) => no,
            None => return Ok(false),
        };
        write_name(reply, key);
        let mark = reply.mark();
        let note = |id: StreamId, deliveries: u64, done: &mut Delivered| {
            if remember {
                done.entries.push((id, deliveries));
            }
        };
        let sent = match after {
            After::New => {
                let before = (group.last_id, group.entries_read);
                let sent = self.send_new(entries, group, no, now, reply, |id| note(id, 1, &mut done));
                let moved = (group.last_id, group.entries_read);
                done.moved = (moved != before).then_some(moved);
                sent
            }
            After::Id(after) => {
                self.send_pending(entries, group, no, after, now, reply, |id, n| note(id, n, &mut done))
            }
        };
        done.last_id = group.last_id;
        reply.array_at(mark, sent);
        report(keys, Of { key, group: name }, consumer, done);
        Ok(true)
    }

    /// Entries behind the group's last, which become the consumer's. How many.
    fn send_new(
        self,
        entries: &Entries,
        group: &mut ReadGroup,
        no: ConsumerNo,
        now: Millis,
        reply: &mut Reply<'_>,
        mut note: impl FnMut(StreamId),
    ) -> usize {
        let mut sent = 0;
        let Some(from) = group.last_id.next() else { return 0 };
        for entry in entries.range(from, StreamId::MAX) {
            group.advance(entries, entry.id);
            reply_entry(reply, &entry);
            if !self.noack {
                group.set_pending(entry.id, Pending { consumer: no, delivered_at: now, deliveries: 1 });
                note(entry.id);
            }
            sent += 1;
            if sent == self.count {
                break;
            }
        }
        if !self.noack {
            group.consumer_mut(no).active_at = NonZeroU64::new(now);
        }
        sent
    }

    /// The consumer's pending entries behind this id once more; those that were deleted meanwhile as ids
    /// without fields. How many.
    #[allow(clippy::too_many_arguments)] // the parts of one delivery, borrowed one by one
    fn send_pending(
        self,
        entries: &Entries,
        group: &mut ReadGroup,
        no: ConsumerNo,
        after: StreamId,
        now: Millis,
        reply: &mut Reply<'_>,
        mut note: impl FnMut(StreamId, u64),
    ) -> usize {
        let mut sent = 0;
        let mut from = after.next();
        while let Some(start) = from {
            let Some(id) = group.consumer(no).pending_from(start).next() else { break };
            match entries.get(id) {
                Some(entry) => {
                    reply_entry(reply, &entry);
                    if let Some(pending) = group.deliver_again(id, now) {
                        note(id, pending.deliveries);
                    }
                }
                None => {
                    reply.array(2);
                    reply_id(reply, id);
                    reply.null_array();
                }
            }
            sent += 1;
            if sent == self.count {
                break;
            }
            from = id.next();
        }
        sent
    }
}

/// The name of a stream, which its entries follow: a key in RESP3's map, else the first of two.
fn write_name(reply: &mut Reply<'_>, key: &[u8]) {
    if !reply.is_resp3() {
        reply.array(2);
    }
    reply.bulk(key);
}

fn report(keys: &mut Keys<'_>, of: Of<'_>, consumer: &[u8], done: Delivered) {
    if done.created {
        keys.count_changes(of.key, 1);
        keys.event(EventClasses::STREAM, "xgroup-createconsumer", of.key);
        if done.entries.is_empty() {
            journal::consumer_created(keys, of, consumer);
        }
    }
    if !done.entries.is_empty() {
        journal::claimed(keys, of, consumer, keys.now, done.last_id, &done.entries);
    }
    if let Some((last_id, entries_read)) = done.moved {
        keys.count_changes(of.key, 1);
        journal::position(keys, of, last_id, entries_read);
    }
}

fn xread(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    read(x, args, false)
}

fn xreadgroup(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    read(x, args, true)
}

fn read(x: &mut Exec<'_>, args: Args<'_>, grouped: bool) -> Result<(), Error> {
    let read = Read::parse(args, grouped, x.keys.now, x.client.in_script)?;
    read.check(&mut x.keys, |_| {})?;
    if read.serve(x)? {
        return Ok(());
    }
    read.wait(x, args.at(0))
}

const STREAMS: Arg = block("streams", &[key("key", 0).many(), string("id").many()]).token("STREAMS");

const fn keys_from(from: i32) -> KeySpec {
    KeySpec {
        access: access::RO | access::ACCESS,
        begin: Begin::Keyword { word: "STREAMS", from },
        find: Find::Range { last: -1, step: 1, limit: 2 },
    }
}

pub(super) const XREAD: CommandSpec = CommandSpec {
    name: "xread",
    arity: -4,
    flags: flag::READONLY | flag::BLOCKING | flag::MOVABLEKEYS,
    acl: acl::STREAM,
    keys: &[keys_from(1)],
    args: &[int("count").token("COUNT").opt(), int("milliseconds").token("BLOCK").opt(), STREAMS],
    group: Group::Stream,
    since: "5.0.0",
    complexity: "O(N) in the number of entries returned",
    summary: "Returns the entries of some streams behind given ids, and may wait for them",
    run: Run::Keys(xread),
    ..CommandSpec::DEFAULT
};

pub(super) const XREADGROUP: CommandSpec = CommandSpec {
    name: "xreadgroup",
    arity: -7,
    flags: flag::WRITE | flag::BLOCKING | flag::MOVABLEKEYS,
    acl: acl::STREAM,
    keys: &[keys_from(4)],
    args: &[
        block("group_consumer", &[string("group"), string("consumer")]).token("GROUP"),
        int("count").token("COUNT").opt(),
        int("milliseconds").token("BLOCK").opt(),
        word("noack", "NOACK").opt(),
        STREAMS,
    ],
    group: Group::Stream,
    since: "5.0.0",
    complexity: "O(N) in the number of entries returned",
    summary: "Returns entries that nobody of the group has got yet, or those a consumer has pending",
    keyword: Some(streams_at),
    run: Run::Keys(xreadgroup),
    ..CommandSpec::DEFAULT
};
