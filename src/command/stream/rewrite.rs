//! A stream as commands that make it anew, its groups included (`command::rewrite`).
//!
//! A pending entry may be one that the stream has no more (XDEL, trimming). XCLAIM makes only those pending
//! that are there: so such an entry stands in the commands as a ghost, is claimed, and goes again.

use super::IdText;
use crate::command::rewrite::Pen;
use crate::structure::Item;
use crate::structure::stream::{EntryRef, Group, Stream, StreamId};
use std::collections::BTreeSet;

/// Ids in one command.
const IDS_MAX: usize = 64;

pub(in crate::command) fn rewrite(pen: &mut Pen<'_>, key: &[u8], stream: &Stream) {
    let entries = stream.entries();
    let all = || entries.range(StreamId::MIN, StreamId::MAX);
    let pending = stream.groups().iter().flat_map(|group| group.pending_from(StreamId::MIN));
    let ghosts: BTreeSet<StreamId> =
        pending.map(|(id, _)| id).filter(|id| entries.get(*id).is_none()).collect();
    let mut ghosts_left = ghosts.iter().copied().peekable();
    for entry in all() {
        while let Some(ghost) = ghosts_left.next_if(|ghost| *ghost < entry.id) {
            add_ghost(pen, key, ghost);
        }
        add(pen, key, &entry);
    }
    ghosts_left.for_each(|ghost| add_ghost(pen, key, ghost));
    if entries.is_empty() && ghosts.is_empty() {
        // Something must make the key.
        add_ghost(pen, key, entries.last_id().max(StreamId::new(0, 1)));
    }
    for group in stream.groups().iter() {
        add_group(pen, key, group);
    }
    remove_ghosts(pen, key, stream, &ghosts);
    set_ids(pen, key, stream);
}

fn add(pen: &mut Pen<'_>, key: &[u8], entry: &EntryRef<'_>) {
    let mut words: Vec<Vec<u8>> = vec![IdText::new(entry.id).as_bytes().to_vec()];
    let vec = |item: Item<'_>| item.to_vec();
    words.extend(entry.pairs().flat_map(|(field, value)| [vec(field), vec(value)]));
    let words: Vec<&[u8]> = [&b"XADD"[..], key].into_iter().chain(words.iter().map(Vec::as_slice)).collect();
    pen.command(words);
}

fn add_ghost(pen: &mut Pen<'_>, key: &[u8], id: StreamId) {
    pen.command([b"XADD", key, IdText::new(id).as_bytes(), b"x", b"y"]);
}

/// Those before all entries by trimming, which leaves no trace; others were deleted by name, and the
/// greatest such name is set afterwards.
fn remove_ghosts(pen: &mut Pen<'_>, key: &[u8], stream: &Stream, ghosts: &BTreeSet<StreamId>) {
    let first = stream.entries().range(StreamId::MIN, StreamId::MAX).next().map(|entry| entry.id);
    let Some(first) = first else { return pen.command([b"XTRIM", key, b"MAXLEN", b"0"]) };
    if ghosts.first().is_some_and(|ghost| *ghost < first) {
        pen.command([&b"XTRIM"[..], key, b"MINID", IdText::new(first).as_bytes()]);
    }
    let deleted: Vec<StreamId> = ghosts.range(first..).copied().collect();
    for ids in deleted.chunks(IDS_MAX) {
        with_ids(pen, &[b"XDEL", key], ids, &[]);
    }
}

fn with_ids(pen: &mut Pen<'_>, head: &[&[u8]], ids: &[StreamId], tail: &[&[u8]]) {
    let ids: Vec<IdText> = ids.iter().map(|id| IdText::new(*id)).collect();
    let ids = ids.iter().map(IdText::as_bytes);
    let words: Vec<&[u8]> = head.iter().copied().chain(ids).chain(tail.iter().copied()).collect();
    pen.command(words);
}

fn set_ids(pen: &mut Pen<'_>, key: &[u8], stream: &Stream) {
    let entries = stream.entries();
    let (last, deleted) = (entries.last_id(), entries.max_deleted_id());
    let mut added = itoa::Buffer::new();
    let added = added.format(entries.added()).as_bytes();
    let (last_text, deleted_text) = (IdText::new(last), IdText::new(deleted));
    let (last_text, deleted_text) = (last_text.as_bytes(), deleted_text.as_bytes());
    if deleted == StreamId::MIN {
        return pen.command([b"XSETID", key, last_text, b"ENTRIESADDED", added]);
    }
    // No command sets an id before the greatest that was deleted together with that; two do.
    let first = if deleted > last { deleted_text } else { last_text };
    pen.command([&b"XSETID"[..], key, first, b"ENTRIESADDED", added, b"MAXDELETEDID", deleted_text]);
    if deleted > last {
        pen.command([b"XSETID", key, last_text]);
    }
}

fn add_group(pen: &mut Pen<'_>, key: &[u8], group: &Group) {
    let (last_id, mut read) = (IdText::new(group.last_id), itoa::Buffer::new());
    let read = read.format(group.entries_read).as_bytes();
    pen.command([&b"XGROUP"[..], b"CREATE", key, group.name(), last_id.as_bytes(), b"ENTRIESREAD", read]);
    for consumer in group.consumers() {
        pen.command([&b"XGROUP"[..], b"CREATECONSUMER", key, group.name(), consumer.name()]);
        let pending: Vec<_> = consumer
            .pending_from(StreamId::MIN)
            .filter_map(|id| {
                group.get_pending(id).map(|pending| (id, pending.delivered_at, pending.deliveries))
            })
            .collect();
        let same = |a: &(StreamId, u64, u64), b: &(StreamId, u64, u64)| (a.1, a.2) == (b.1, b.2);
        for run in pending.chunk_by(same).flat_map(|run| run.chunks(IDS_MAX)) {
            let ids: Vec<StreamId> = run.iter().map(|(id, ..)| *id).collect();
            let (mut at, mut deliveries) = (itoa::Buffer::new(), itoa::Buffer::new());
            let at = at.format(run[0].1).as_bytes();
            // A count that is no signed integer is refused.
            let deliveries = deliveries.format(run[0].2.min(i64::MAX as u64)).as_bytes();
            let head = [&b"XCLAIM"[..], key, group.name(), consumer.name(), b"0"];
            with_ids(pen, &head, &ids, &[b"TIME", at, b"RETRYCOUNT", deliveries, b"FORCE", b"JUSTID"]);
        }
    }
}
