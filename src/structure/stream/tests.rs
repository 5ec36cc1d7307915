//! Streams against naive ones: a list of nodes that are lists of entries, and maps of what is pending.

use super::*;
use crate::structure::{Collection, Item};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::num::NonZeroU64;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

#[derive(Clone, Debug)]
struct Entry {
    id: StreamId,
    fields: Fields,
    deleted: bool,
}

/// What `Entries` does, slowly.
#[derive(Clone, Default, Debug)]
struct Model {
    nodes: Vec<Vec<Entry>>,
    last: StreamId,
    max_deleted: StreamId,
    added: u64,
}

impl Model {
    fn live(&self) -> Vec<(StreamId, Fields)> {
        let live = self.nodes.iter().flatten().filter(|entry| !entry.deleted);
        live.map(|entry| (entry.id, entry.fields.clone())).collect()
    }

    fn append(&mut self, id: StreamId, fields: Fields, per_node: usize) {
        if self.nodes.last().is_none_or(|node| node.len() >= per_node) {
            self.nodes.push(Vec::new());
        }
        self.nodes.last_mut().unwrap().push(Entry { id, fields, deleted: false });
        self.last = id;
        self.added += 1;
    }

    fn mark(&mut self, id: StreamId) -> bool {
        let found = self.nodes.iter_mut().flatten().find(|entry| entry.id == id && !entry.deleted);
        let was_there = found.map(|entry| entry.deleted = true).is_some();
        self.nodes.retain(|node| node.iter().any(|entry| !entry.deleted));
        was_there
    }

    fn trim(&mut self, keep: Keep, whole_nodes: bool, limit: u64) -> u64 {
        let mut deleted = 0;
        loop {
            let length = self.live().len() as u64;
            let Some(first) = self.nodes.first() else { return deleted };
            let live = first.iter().filter(|entry| !entry.deleted).count() as u64;
            let whole = match keep {
                Keep::Newest(max) if length <= max => return deleted,
                Keep::Newest(max) => length - live >= max,
                Keep::From(min) => first.iter().all(|entry| entry.id < min),
            };
            if limit > 0 && deleted + live > limit || !whole && whole_nodes {
                return deleted;
            }
            if whole {
                self.nodes.remove(0);
                deleted += live;
                continue;
            }
            let go: Vec<StreamId> = match keep {
                Keep::Newest(max) => {
                    self.live().iter().take((length - max) as usize).map(|(id, _)| *id).collect()
                }
                Keep::From(min) => self.live().iter().map(|(id, _)| *id).filter(|id| *id < min).collect(),
            };
            return deleted + go.into_iter().filter(|id| self.mark(*id)).count() as u64;
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Milliseconds and numbers above the last id, and fields.
    Add(u64, u64, Fields),
    Delete(u64),
    Trim(bool, u64, bool, u64),
    SetLast(u64),
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"a".to_vec()),
        Just(b"bb".to_vec()),
        Just(b"-17".to_vec()),
        prop::collection::vec(any::<u8>(), 0..80)
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let fields = prop_oneof![
        text().prop_map(|value| vec![(b"a".to_vec(), value)]),
        prop::collection::vec((text(), text()), 1..4)
    ];
    prop_oneof![
        12 => (0..3u64, 0..3u64, fields).prop_map(|(ms, seq, fields)| Step::Add(ms, seq, fields)),
        6 => (0..60u64).prop_map(Step::Delete),
        2 => (any::<bool>(), 0..60u64, any::<bool>(), 0..9u64)
            .prop_map(|(newest, at, whole, limit)| Step::Trim(newest, at, whole, limit)),
        1 => (0..3u64).prop_map(Step::SetLast),
    ]
}

fn owned(entry: EntryRef<'_>) -> (StreamId, Fields) {
    (entry.id, entry.pairs().map(|(field, value)| (Item::to_vec(field), Item::to_vec(value))).collect())
}

fn borrowed(fields: &Fields) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> + Clone {
    fields.iter().map(|(field, value)| (&field[..], &value[..]))
}

/// An id around those in use: there are few times and few numbers.
fn near(n: u64) -> StreamId {
    StreamId::new(n / 3, n % 3)
}

fn check(entries: &Entries, model: &Model) -> Result<(), TestCaseError> {
    let live = model.live();
    prop_assert_eq!(entries.len(), live.len() as u64);
    prop_assert_eq!(entries.last_id(), model.last);
    prop_assert_eq!(entries.max_deleted_id(), model.max_deleted);
    prop_assert_eq!(entries.added(), model.added);
    prop_assert_eq!(entries.first_id(), live.first().map_or(StreamId::MIN, |(id, _)| *id));
    prop_assert_eq!(entries.top_id(), live.last().map(|(id, _)| *id));
    let nodes: Vec<_> = model
        .nodes
        .iter()
        .map(|node| {
            let dead = node.iter().filter(|entry| entry.deleted).count() as u32;
            (node[0].id, (node.len() as u32 - dead, dead))
        })
        .collect();
    let found: Vec<_> = entries.raw_nodes().map(|(id, counts, _)| (id, counts)).collect();
    prop_assert_eq!(found, nodes);
    for (start, end) in [(0, 1000), (3, 40), (11, 12), (20, 19), (30, 30), (1000, 2000)] {
        let (start, end) = (near(start), near(end));
        let mut wanted: Vec<_> = live.iter().filter(|(id, _)| (start..=end).contains(id)).cloned().collect();
        prop_assert_eq!(&entries.range(start, end).map(owned).collect::<Vec<_>>(), &wanted);
        wanted.reverse();
        prop_assert_eq!(&entries.range_back(start, end).map(owned).collect::<Vec<_>>(), &wanted);
    }
    for (id, fields) in &live {
        prop_assert_eq!(entries.get(*id).map(owned), Some((*id, fields.clone())));
    }
    Ok(())
}

proptest! {
    #[test]
    fn entries_are_a_list_of_lists(steps in prop::collection::vec(step(), 0..80), per_node in 1..7u64) {
        let (mut entries, mut model) = (Entries::default(), Model::default());
        let limits = NodeLimits { bytes: 0, entries: per_node };
        for step in steps {
            match step {
                Step::Add(ms, seq, fields) => {
                    let base = if ms > 0 { 0 } else { model.last.seq + 1 };
                    let id = StreamId::new(model.last.ms + ms, base + seq);
                    entries.append(id, borrowed(&fields), limits);
                    model.append(id, fields, per_node as usize);
                }
                Step::Delete(at) => {
                    let was_there = model.mark(near(at));
                    prop_assert_eq!(entries.delete(near(at)), was_there);
                    if was_there {
                        model.max_deleted = model.max_deleted.max(near(at));
                    }
                }
                Step::Trim(newest, at, whole, limit) => {
                    let keep = if newest { Keep::Newest(at / 4) } else { Keep::From(near(at)) };
                    let (deleted, remains) = entries.trim(keep, whole, limit);
                    prop_assert_eq!(deleted, model.trim(keep, whole, limit));
                    prop_assert!(remains.is_none());
                }
                Step::SetLast(by) => {
                    model.last.ms += by;
                    entries.set_ids(model.last, None, None);
                }
            }
            check(&entries, &model)?;
        }
        let copy = entries.clone();
        prop_assert!(copy == entries);
        prop_assert_eq!(format!("{:?}", copy), format!("{:?}", entries));
        let mut stream = Stream::of_entries(entries);
        while stream.free_some(1) {}
        prop_assert_eq!(stream.entries().nodes(), 0);
    }
}

/// The bytes are those DUMP shows of the same stream in Redis 7.0.15.
#[test]
fn a_node_has_redis_bytes() {
    let mut entries = Entries::default();
    let limits = NodeLimits { bytes: 4096, entries: 100 };
    type Given<'a> = (u64, u64, &'a [(&'a str, &'a str)]);
    let add: [Given<'_>; 4] = [
        (1, 5, &[("a", "b")]),
        (1, 6, &[("a", "-1")]),
        (2, 0, &[("x", "y"), ("z", "5")]),
        (300, 0, &[("a", "hello")]),
    ];
    for (ms, seq, fields) in add {
        let fields = fields.iter().map(|(field, value)| (field.as_bytes(), value.as_bytes()));
        entries.append(StreamId::new(ms, seq), fields, limits);
    }
    entries.delete(StreamId::new(1, 6));
    let (id, counts, bytes) = entries.raw_nodes().next().unwrap();
    assert_eq!((id, counts), (StreamId::new(1, 5), (3, 1)));
    let known = b"\x01\x01\x81a\x02\x00\x01\x02\x01\x00\x01\x00\x01\x81b\x02\x04\x01\x03\x01\x00\x01\x01\x01\
        \xdf\xff\x02\x04\x01\x00\x01\x01\x01\xdf\xfb\x02\x02\x01\x81x\x02\x81y\x02\x81z\x02\x05\x01\x08\x01\
        \x02\x01\xc1\x2b\x02\xdf\xfb\x02\x85hello\x06\x04\x01";
    assert_eq!(bytes.elements(), known);
    assert_eq!(entries.node_bytes().collect::<Vec<_>>(), [79]);
}

/// A node of deleted entries and one that goes: MINID reaches up to a deleted entry at the node's end.
#[test]
fn a_trim_leaves_no_node_without_a_live_entry() {
    let mut entries = Entries::default();
    let limits = NodeLimits { bytes: 0, entries: 3 };
    for ms in 1..=6 {
        entries.append(StreamId::new(ms, 0), [(&b"a"[..], &b"b"[..])].into_iter(), limits);
    }
    entries.delete(StreamId::new(3, 0));
    assert_eq!(entries.trim(Keep::From(StreamId::new(3, 0)), false, 0).0, 2);
    assert_eq!((entries.nodes(), entries.first_id()), (1, StreamId::new(4, 0)));
}

#[test]
fn what_is_large_is_freed_in_slices() {
    let (mut stream, limits) = (Stream::new(), NodeLimits { bytes: 0, entries: 1 });
    assert!(stream.pieces() < 64);
    for ms in 1..=1000 {
        stream.entries_mut().append(StreamId::new(ms, 0), [(&b"a"[..], &b"b"[..])].into_iter(), limits);
    }
    let (trimmed, remains) = stream.entries_mut().trim(Keep::Newest(10), true, 0);
    assert_eq!((trimmed, remains.map(|it| it.nodes())), (990, Some(990)));
    assert!(stream.groups_mut().create(b"g", StreamId::MIN, 0));
    let group = stream.groups_mut().get_mut(b"g").unwrap();
    let no = group.create_consumer(b"c", None).unwrap();
    for ms in 1..=20_000 {
        let pending = Pending { consumer: no, delivered_at: 0, deliveries: 1 };
        group.set_pending(StreamId::new(ms, 0), pending);
    }
    assert!(stream.pieces() >= 64);
    let mut slices = 0;
    while stream.free_some(10) {
        slices += 1;
    }
    assert!((20..200).contains(&slices), "{slices}");
    assert!(stream.entries().nodes() == 0 && stream.groups().is_empty());
}

#[test]
fn small_streams_take_little() {
    assert_eq!((size_of::<Stream>(), size_of::<Body>(), size_of::<Group>()), (8, 104, 64));
    assert_eq!(size_of::<Consumer>(), 40);
    let (mut stream, limits) = (Stream::new(), NodeLimits { bytes: 4096, entries: 100 });
    assert_eq!(stream.bytes_allocated(), 112);
    let value = b"xxx";
    for ms in 1..=1000 {
        stream.entries_mut().append(StreamId::new(ms, 0), [(&b"f"[..], &value[..])].into_iter(), limits);
    }
    let each = (stream.bytes_allocated() - 128) as f64 / 1000.0;
    assert!(each < 17.0, "{each} bytes for an entry");
    assert!(stream.groups_mut().create(b"g", StreamId::MIN, 0));
    let before = stream.bytes_allocated();
    let group = stream.groups_mut().get_mut(b"g").unwrap();
    let no = group.create_consumer(b"c", None).unwrap();
    for ms in 1..=1000 {
        let pending = Pending { consumer: no, delivered_at: 0, deliveries: 1 };
        group.set_pending(StreamId::new(ms, 0), pending);
    }
    let each = (stream.bytes_allocated() - before) as f64 / 1000.0;
    assert!(each < 65.0, "{each} bytes for a pending entry");
}

#[derive(Clone, Debug)]
enum GroupStep {
    Create(u8),
    Delete(u8),
    Deliver(u64, u8, u64),
    Again(u64),
    Acknowledge(u64),
}

fn group_step() -> impl Strategy<Value = GroupStep> {
    prop_oneof![
        2 => (0..6u8).prop_map(GroupStep::Create),
        1 => (0..6u8).prop_map(GroupStep::Delete),
        8 => (0..60u64, 0..6u8, 0..9u64).prop_map(|(id, to, n)| GroupStep::Deliver(id, to, n)),
        1 => (0..60u64).prop_map(GroupStep::Again),
        3 => (0..60u64).prop_map(GroupStep::Acknowledge),
    ]
}

proptest! {
    /// What is pending is one map for everybody, and each consumer sees its part of it.
    #[test]
    fn a_group_is_a_map_of_who_has_what(steps in prop::collection::vec(group_step(), 0..100)) {
        let mut stream = Stream::new();
        stream.groups_mut().create(b"g", StreamId::MIN, 0);
        let group = stream.groups_mut().get_mut(b"g").unwrap();
        let mut model = BTreeMap::<StreamId, (u8, u64, u64)>::new();
        let mut names = std::collections::BTreeSet::new();
        for (now, step) in steps.into_iter().enumerate() {
            let now = now as u64;
            match step {
                GroupStep::Create(name) => {
                    prop_assert_eq!(group.create_consumer(&[name], NonZeroU64::new(now)).is_some(), names.insert(name));
                }
                GroupStep::Delete(name) => {
                    let before = model.len();
                    model.retain(|_, (owner, ..)| *owner != name);
                    let had = names.remove(&name).then_some(before - model.len());
                    prop_assert_eq!(group.delete_consumer(&[name]), had);
                }
                GroupStep::Deliver(id, to, deliveries) => {
                    if let Some(consumer) = group.find_consumer(&[to]) {
                        group.set_pending(near(id), Pending { consumer, delivered_at: now, deliveries });
                        model.insert(near(id), (to, now, deliveries));
                    }
                }
                GroupStep::Again(id) => {
                    let wanted = model.get_mut(&near(id)).map(|(_, at, n)| {
                        (*at, *n) = (now, *n + 1);
                        (*at, *n)
                    });
                    let got = group.deliver_again(near(id), now).map(|it| (it.delivered_at, it.deliveries));
                    prop_assert_eq!(got, wanted);
                }
                GroupStep::Acknowledge(id) => {
                    prop_assert_eq!(group.acknowledge(near(id)), model.remove(&near(id)).is_some());
                }
            }
            prop_assert_eq!(group.pending(), model.len());
            let shown = |(id, it): (StreamId, &Pending)| {
                (id, (group.consumer(it.consumer).name()[0], it.delivered_at, it.deliveries))
            };
            prop_assert!(group.pending_from(StreamId::MIN).map(shown).eq(model.iter().map(|(id, it)| (*id, *it))));
            let seen: Vec<u8> = group.consumers().map(|consumer| consumer.name()[0]).collect();
            prop_assert!(seen.iter().eq(names.iter()));
            for consumer in group.consumers() {
                let own = model.iter().filter(|(_, it)| it.0 == consumer.name()[0]).map(|(id, _)| *id);
                prop_assert!(consumer.pending_from(StreamId::MIN).eq(own));
            }
        }
        let copy = stream.clone();
        prop_assert!(copy == stream);
    }
}
