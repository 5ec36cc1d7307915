//! A stream.
//!
//! ```text
//! nodes: count, (id of 16 bytes as a string, big-endian; listpack as a string)
//! entries | last id | from type 19: first id, largest deleted id, entries ever added
//! groups: count, (name, last id, from 19: entries read,
//!   pending: count, (id, delivered at u64, deliveries),
//!   consumers: count, (name, seen at u64, from 21: active at u64, pending: count, id))
//! ```
//!
//! A node's listpack begins with how many of its entries live and how many are deleted; what follows is drawn
//! in `structure::stream::node`. Type 15 (Redis 5 and 6) lacks the counters, which are then told from the
//! entries, as far as they can be.

use super::packed::listpack;
use crate::snapshot::kind;
use crate::snapshot::{Fault, Input};
use crate::structure::Stream;
use crate::structure::stream::{Group, Moment, Pending, READ_UNKNOWN, StreamId};
use std::num::NonZeroU64;

const TIME: Fault = Fault::Corrupt("a time beyond all time");

pub(super) fn read(kind: u8, input: &mut Input<'_>) -> Result<Stream, Fault> {
    let mut stream = Stream::new();
    let mut text = Vec::new();
    for _ in 0..input.count()? {
        input.string_into(&mut text)?;
        let id = text.first_chunk().filter(|_| text.len() == 16).map(raw_id);
        let id = id.ok_or(Fault::Corrupt("an id of a stream's node that is none"))?;
        input.string_into(&mut text)?;
        let node = listpack(&text)?;
        if !stream.entries_mut().append_node(id, node) {
            return Err(Fault::Corrupt("a node of a stream that is damaged"));
        }
    }
    read_numbers(kind, input, &mut stream)?;
    for _ in 0..input.count()? {
        read_group(kind, input, &mut stream)?;
    }
    Ok(stream)
}

fn read_numbers(kind: u8, input: &mut Input<'_>, stream: &mut Stream) -> Result<(), Fault> {
    let entries = stream.entries_mut();
    let (len, last) = (input.number()?, read_id(input)?);
    let (deleted, added) = if kind == kind::STREAM {
        (StreamId::MIN, len)
    } else {
        // Which entry is the first is seen from the entries.
        read_id(input)?;
        (read_id(input)?, input.number()?)
    };
    if len != entries.len() || added < len || entries.newest_id().is_some_and(|id| id > last) {
        return Err(Fault::Corrupt("counters of a stream that do not fit its entries"));
    }
    entries.set_ids(last, Some(added), Some(deleted));
    Ok(())
}

fn read_group(kind: u8, input: &mut Input<'_>, stream: &mut Stream) -> Result<(), Fault> {
    let (name, last) = (input.string()?, read_id(input)?);
    let read = if kind == kind::STREAM {
        stream.entries().added_up_to(last).map_or(READ_UNKNOWN, |read| read as i64)
    } else {
        input.number()? as i64
    };
    if read < READ_UNKNOWN {
        return Err(Fault::Corrupt("a count of entries read that is none"));
    }
    if !stream.groups_mut().create(&name, last, read) {
        return Err(Fault::Corrupt("a group that is there twice"));
    }
    let group = stream.groups_mut().get_mut(&name).expect("just created");
    // Whose they are is told by the consumers.
    let mut pending: Vec<(StreamId, u64, u64)> = Vec::new();
    for _ in 0..input.count()? {
        let id = raw_id(&input.array()?);
        let (at, deliveries) = (input.u64_le()?, input.number()?);
        if i64::try_from(at).is_err() {
            return Err(TIME);
        }
        if pending.last().is_some_and(|(last, ..)| *last >= id) {
            return Err(Fault::Corrupt("pending entries that are out of order"));
        }
        pending.push((id, at, deliveries));
    }
    for _ in 0..input.count()? {
        read_consumer(kind, input, group, &pending)?;
    }
    if group.pending() != pending.len() {
        return Err(Fault::Corrupt("a pending entry that no consumer has"));
    }
    Ok(())
}

fn read_consumer(
    kind: u8,
    input: &mut Input<'_>,
    group: &mut Group,
    pending: &[(StreamId, u64, u64)],
) -> Result<(), Fault> {
    let name = input.string()?;
    let seen = moment(input)?;
    let no = group.create_consumer(&name, seen).ok_or(Fault::Corrupt("a consumer that is there twice"))?;
    if kind == kind::STREAM_3 {
        group.consumer_mut(no).active_at = moment(input)?;
    }
    for _ in 0..input.count()? {
        let id = raw_id(&input.array()?);
        let known = pending.binary_search_by_key(&id, |(id, ..)| *id).ok().map(|at| pending[at]);
        let (_, delivered_at, deliveries) =
            known.ok_or(Fault::Corrupt("a consumer's pending entry that its group has not"))?;
        if group.get_pending(id).is_some() {
            return Err(Fault::Corrupt("a pending entry that two consumers have"));
        }
        group.set_pending(id, Pending { consumer: no, delivered_at, deliveries });
    }
    Ok(())
}

/// A time in ms; below 1 it is not known.
fn moment(input: &mut Input<'_>) -> Result<Moment, Fault> {
    let at = input.u64_le()? as i64;
    Ok(NonZeroU64::new(at.max(0) as u64))
}

fn read_id(input: &mut Input<'_>) -> Result<StreamId, Fault> {
    Ok(StreamId::new(input.number()?, input.number()?))
}

fn raw_id(bytes: &[u8; 16]) -> StreamId {
    let id = u128::from_be_bytes(*bytes);
    StreamId::new((id >> 64) as u64, id as u64)
}
