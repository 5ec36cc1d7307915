//! What the journal gets of commands whose outcome depends on time and on what was there: the entries
//! that became whose, since when and how often, and where the group stands. All of it in commands that
//! Redis 7.0 understands and that may run twice.

use super::IdText;
use crate::base::Millis;
use crate::keyspace::Keys;
use crate::structure::stream::StreamId;

/// Ids in one command, so that no reader of the file meets an absurd one.
const IDS_MAX: usize = 1000;

/// Whose group at which key.
#[derive(Clone, Copy)]
pub(super) struct Of<'a> {
    pub key: &'a [u8],
    pub group: &'a [u8],
}

/// Entries that a consumer got at this time, each with how often it was delivered by then. `last_id` is
/// the group's, after that.
pub(super) fn claimed(
    keys: &mut Keys<'_>,
    of: Of<'_>,
    consumer: &[u8],
    at: Millis,
    last_id: StreamId,
    entries: &[(StreamId, u64)],
) {
    let same = |a: &(StreamId, u64), b: &(StreamId, u64)| a.1 == b.1;
    for ids in entries.chunk_by(same).flat_map(|run| run.chunks(IDS_MAX)) {
        // Redis refuses a count that is no signed integer.
        let deliveries = ids[0].1.min(i64::MAX as u64);
        keys.effect_with(5 + ids.len() + 8, |effect| {
            [b"XCLAIM", of.key, of.group, consumer, b"0"].into_iter().for_each(|arg| effect.arg(arg));
            ids.iter().for_each(|(id, _)| effect.arg(IdText::new(*id).as_bytes()));
            effect.arg(b"TIME");
            effect.arg(itoa::Buffer::new().format(at).as_bytes());
            effect.arg(b"RETRYCOUNT");
            effect.arg(itoa::Buffer::new().format(deliveries).as_bytes());
            [&b"FORCE"[..], b"JUSTID", b"LASTID"].into_iter().for_each(|arg| effect.arg(arg));
            effect.arg(IdText::new(last_id).as_bytes());
        });
    }
}

/// Entries that are pending no more because they were deleted.
pub(super) fn dropped(keys: &mut Keys<'_>, of: Of<'_>, ids: &[StreamId]) {
    for ids in ids.chunks(IDS_MAX) {
        keys.effect_with(3 + ids.len(), |effect| {
            [b"XACK", of.key, of.group].into_iter().for_each(|arg| effect.arg(arg));
            ids.iter().for_each(|id| effect.arg(IdText::new(*id).as_bytes()));
        });
    }
}

/// Where the group stands.
pub(super) fn position(keys: &mut Keys<'_>, of: Of<'_>, last_id: StreamId, entries_read: i64) {
    keys.effect_with(7, |effect| {
        [&b"XGROUP"[..], b"SETID", of.key, of.group].into_iter().for_each(|arg| effect.arg(arg));
        effect.arg(IdText::new(last_id).as_bytes());
        effect.arg(b"ENTRIESREAD");
        effect.arg(itoa::Buffer::new().format(entries_read).as_bytes());
    });
}

/// A consumer that has nothing yet.
pub(super) fn consumer_created(keys: &mut Keys<'_>, of: Of<'_>, consumer: &[u8]) {
    keys.effect([&b"XGROUP"[..], b"CREATECONSUMER", of.key, of.group, consumer]);
}
