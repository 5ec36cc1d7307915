//! Streams: their nodes as they are, groups, consumers and what is pending; and the forms that other versions
//! wrote.

use super::*;
use crate::structure::stream::{Keep, NodeLimits, Pending, StreamId};
use crate::structure::{Object, Stream};
use std::num::NonZeroU64;

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// How much later, and with which fields.
    Add(u64, Vec<(Text, Text)>),
    Delete(prop::sample::Index),
    Trim(u64),
    /// Name, up to where it has read, and how many entries that were.
    Group(u8, u64, i64),
    Deliver(u8, u8, u64, u64),
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let same = prop::collection::vec(text(), 2).prop_map(|mut values| {
        let (last, first) = (values.pop().unwrap(), values.pop().unwrap());
        vec![(b"first".to_vec(), first), (b"last".to_vec(), last)]
    });
    let fields = prop_oneof![same, prop::collection::vec((text(), text()), 1..4)];
    prop::collection::vec(
        prop_oneof![
            8 => (1u64..5000, fields).prop_map(|(after, fields)| Step::Add(after, fields)),
            2 => any::<prop::sample::Index>().prop_map(Step::Delete),
            1 => (0u64..8).prop_map(Step::Trim),
            2 => (0u8..3, 0u64..9000, -1i64..20).prop_map(|(name, last, read)| Step::Group(name, last, read)),
            4 => (0u8..3, 0u8..12, 1u64..9000, 0u64..100).prop_map(|(g, c, id, n)| Step::Deliver(g, c, id, n)),
        ],
        0..60,
    )
}

/// Ids have times that double as numbers, so that both parts of them matter.
fn id(n: u64) -> StreamId {
    StreamId::new(n / 7, n % 7)
}

pub(super) fn built(steps: &[Step]) -> Stream {
    let mut stream = Stream::new();
    let limits = NodeLimits { bytes: 200, entries: 5 };
    let mut last = 1;
    for step in steps {
        let entries = stream.entries_mut();
        match step {
            Step::Add(after, fields) => {
                last += after;
                let fields: Vec<(&[u8], &[u8])> = fields.iter().map(|(a, b)| (&a[..], &b[..])).collect();
                entries.append(id(last), fields.iter().copied(), limits);
            }
            Step::Delete(at) => {
                let ids: Vec<StreamId> =
                    entries.range(StreamId::MIN, StreamId::MAX).map(|entry| entry.id).collect();
                if !ids.is_empty() {
                    entries.delete(*at.get(&ids));
                }
            }
            Step::Trim(keep) => drop(entries.trim(Keep::Newest(*keep), false, 0)),
            Step::Group(name, last, read) => drop(stream.groups_mut().create(&[*name], id(*last), *read)),
            Step::Deliver(group, consumer, at, deliveries) => {
                let Some(group) = stream.groups_mut().get_mut(&[*group]) else { continue };
                let name = [b'c', *consumer];
                let seen = NonZeroU64::new(at * 3);
                let no = group.find_consumer(&name).or_else(|| group.create_consumer(&name, seen));
                let pending =
                    Pending { consumer: no.unwrap(), delivered_at: at * 2, deliveries: *deliveries };
                group.set_pending(id(*at), pending);
            }
        }
    }
    stream
}

pub(super) fn entry_of(stream: Stream) -> Entry {
    held(NewValue::Object(stream.into_object()))
}

fn stream_of(entry: &Entry) -> &Stream {
    match entry.object().map(Object::view) {
        Some(View::Stream(stream)) => stream,
        other => panic!("{other:?} is no stream"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 256 }, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_dumped_comes_back(steps in steps(), compress in any::<bool>()) {
        let entry = entry_of(built(&steps));
        let bytes = payload(entry.value(), compress);
        let again = held(read_payload(&bytes, &limits(10), true).unwrap());
        prop_assert_eq!(stream_of(&again), stream_of(&entry));
        prop_assert_eq!(Model::of(again.value()), Model::of(entry.value()));
        for end in (1..bytes.len() - 10).step_by(bytes.len() / 40 + 1) {
            let cut = foreign(bytes[0], &bytes[1..end], VERSION);
            prop_assert!(read_payload(&cut, &limits(10), true).is_err(), "cut at {}", end);
        }
    }
}

/// The payload of Redis's own test of it: six entries, one deleted, four trimmed, four pending.
#[test]
fn redis_5_s_stream_is_read() {
    let stream = opened(REDIS_5, &limits(10)).unwrap();
    let stream = stream_of(&stream);
    let entries = stream.entries();
    assert_eq!((entries.len(), entries.added(), entries.last_id()), (2, 2, StreamId::new(6, 0)));
    assert_eq!(entries.max_deleted_id(), StreamId::MIN);
    let read: Vec<_> = stream.groups().iter().map(|it| (it.entries_read, it.lag(entries))).collect();
    assert_eq!(read, [(1, Some(1)), (0, Some(2))]);
    let group = stream.groups().get(b"g1").unwrap();
    assert_eq!((group.pending(), group.consumers().next().unwrap().pending()), (4, 4));
}
const REDIS_5: &[u8] = b"\x0f\x01\x10\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\xc3\x40\x4a\x40\x57\x16\x57\0\0\0\
    \x23\0\x02\x01\x04\x01\x01\x01\x84\x64\x61\x74\x61\x05\0\x01\x03\x01\0\x20\x01\x03\x81\x61\x02\x04\x20\
    \x0a\0\x01\x40\x0a\0\x62\x60\x0a\0\x02\x40\x0a\0\x63\x60\x0a\x40\x22\x01\x81\x64\x20\x0a\x40\x39\x20\
    \x0a\0\x65\x60\x0a\0\x05\x40\x0a\0\x66\x20\x0a\0\xff\x02\x06\0\x02\x02\x67\x31\x05\0\x04\0\0\0\0\0\0\0\
    \x01\0\0\0\0\0\0\0\0\x3e\xf7\x83\x43\x7a\x01\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\0\x3e\xf7\x83\x43\
    \x7a\x01\0\0\x01\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\0\x3e\xf7\x83\x43\x7a\x01\0\0\x01\0\0\0\0\0\0\0\x05\0\
    \0\0\0\0\0\0\0\x3e\xf7\x83\x43\x7a\x01\0\0\x01\x01\x03\x63\x31\x31\x3e\xf7\x83\x43\x7a\x01\0\0\x04\0\0\
    \0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\x05\0\0\0\0\0\0\0\0\x02\x67\x32\0\0\0\0\x09\0\x3d\x52\xef\x68\x67\x52\x1d\xfa";

/// As Redis 8.0.6 dumps one entry and a consumer that has read it: when it was active comes along.
#[test]
fn redis_8_s_stream_is_read() {
    let stream = opened(REDIS_8, &limits(10)).unwrap();
    let group = stream_of(&stream).groups().get(b"g").unwrap();
    let consumer = group.consumers().next().unwrap();
    assert_eq!((group.entries_read, group.pending(), consumer.pending()), (1, 1, 1));
    let at = NonZeroU64::new(0x01a1_fa6c_eaee);
    assert_eq!((consumer.seen_at, consumer.active_at), (at, at));
}
const REDIS_8: &[u8] =
    b"\x15\x01\x10\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\x1d\x1d\0\0\0\n\0\x01\x01\0\x01\x01\
    \x01\x81a\x02\0\x01\x02\x01\0\x01\0\x01\x81b\x02\x04\x01\xff\x01\x01\x01\x01\x01\0\0\x01\x01\x01g\x01\
    \x01\x01\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\xee\xeal\xfa\xa1\x01\0\0\x01\x01\x01c\xee\xeal\xfa\xa1\
    \x01\0\0\xee\xeal\xfa\xa1\x01\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\x0c\0\xbe8\xf5X!6\xe6\xa6";

/// Each of these differs from a good one in the bytes that are named.
#[test]
fn streams_that_contradict_themselves_are_refused() {
    let good = REDIS_8;
    assert!(opened(good, &limits(10)).is_ok());
    let at = |part: &[u8]| good.windows(part.len()).position(|window| window == part).unwrap();
    let counters = at(b"\xff\x01\x01\x01\x01\x01") + 1;
    let node = at(b"\n\0\x01\x01\0\x01");
    let pel = at(b"g\x01\x01\x01\x01\0") + 5;
    for (place, byte, what) in [
        (counters, 2, "more entries than there are"),
        (counters + 2, 0, "a last id below an entry's"),
        (counters + 7, 0, "fewer entries ever added than there are"),
        (node + 2, 2, "more live entries than there are"),
        (node + 4, 1, "a deleted entry that is not there"),
        (node + 6, 2, "more names than there are"),
        (node + 13, 1, "an entry that is deleted and counted as live"),
        (node + 13, 5, "a flag that is not known"),
        (pel + 7, 2, "a pending entry whose consumer is not there"),
        (good.len() - 12, 2, "a consumer's pending entry that its group has not"),
    ] {
        let mut bad = good.to_vec();
        bad[place] = byte;
        assert!(matches!(opened(&bad, &limits(10)), Err(PayloadError::Value(Fault::Corrupt(_)))), "{what}");
    }
}

/// A node whose entries are all deleted is left out.
#[test]
fn a_node_without_a_live_entry_is_left_out() {
    let pack = b"\x1d\x00\x00\x00\x0a\x00\x00\x01\x01\x01\x01\x01\x81a\x02\x00\x01\x03\x01\x00\x01\x00\x01\x81b\x02\x04\x01\xff";
    let mut body = b"\x01\x10\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\x1d".to_vec();
    body.extend_from_slice(pack);
    body.extend_from_slice(b"\x00\x01\x01\x00\x00\x01\x01\x01\x00");
    let stream = opened(&foreign(kind::STREAM_2, &body, 10), &limits(10)).unwrap();
    let entries = stream_of(&stream).entries();
    assert_eq!((entries.nodes(), entries.len(), entries.added()), (0, 0, 1));
}
