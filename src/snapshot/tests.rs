//! What is written comes back, what others wrote is read, and what is damaged is refused or is a value: over all
//! types, against a view of values that knows nothing of how they lie.

mod damage;
mod files;
mod old;
mod streams;

use super::*;
use crate::base::crc64;
use crate::structure::hash::Expiry;
use crate::structure::list::Side;
use crate::structure::object::View;
use crate::structure::{Collection, Entry, Hash, List, NewValue, Set, SortedSet, Value};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

type Text = Vec<u8>;

/// A value as its users see it.
#[derive(Clone, Debug, PartialEq)]
enum Model {
    Text(Text),
    List(Vec<Text>),
    Set(BTreeSet<Text>),
    Scores(BTreeMap<Text, u64>),
    Fields(BTreeMap<Text, (Text, Option<u64>)>),
    Stream(String),
}

impl Model {
    fn of(value: Value<'_>) -> Model {
        let object = match value {
            Value::Int(n) => return Model::Text(n.to_string().into_bytes()),
            Value::Bytes(bytes) => return Model::Text(bytes.to_vec()),
            Value::Object(object) => object,
        };
        match object.view() {
            View::Bytes(bytes) => Model::Text(bytes.clone()),
            View::List(list) => Model::List(list.to_vecs()),
            View::Set(set) => Model::Set(set.iter().map(|member| member.to_vec()).collect()),
            View::SortedSet(set) => {
                let elements = set.elements(0, false);
                Model::Scores(elements.map(|(member, score)| (member.to_vec(), score.to_bits())).collect())
            }
            View::Hash(hash) => {
                let mut fields = BTreeMap::new();
                hash.each(0, |field| {
                    fields.insert(field.name.to_vec(), (field.value.to_vec(), field.expire_at));
                });
                Model::Fields(fields)
            }
            View::Stream(stream) => Model::Stream(format!("{stream:?}")),
        }
    }

    /// None for what is no value: a collection without elements.
    fn build(&self, limits: &Limits) -> Option<NewValue<'static>> {
        fn object<C: Collection>(it: C) -> Option<NewValue<'static>> {
            (!it.is_empty()).then(|| NewValue::Object(it.into_object()))
        }
        match self {
            Model::Text(text) => Some(match crate::base::num::parse_i64(text) {
                Some(n) => NewValue::Int(n),
                None => NewValue::Owned(text.clone()),
            }),
            Model::List(elements) => {
                let mut list = List::new();
                elements.iter().for_each(|element| list.push(Side::Right, element, &limits.list));
                object(list)
            }
            Model::Set(members) => {
                let mut set = Set::default();
                members.iter().for_each(|member| assert!(set.add(member, &limits.set)));
                object(set)
            }
            Model::Scores(scores) => {
                let mut set = SortedSet::new();
                scores.iter().for_each(|(member, score)| {
                    set.insert(member, f64::from_bits(*score), &limits.zset());
                });
                object(set)
            }
            Model::Fields(fields) => {
                let mut hash = Hash::new();
                for (name, (value, deadline)) in fields {
                    let expiry = deadline.map_or(Expiry::Clear, Expiry::At);
                    assert!(hash.set(name, value, expiry, 0, &limits.hash));
                }
                object(hash)
            }
            Model::Stream(_) => None,
        }
    }
}

fn limits(small: usize) -> Limits {
    let hasher = RandomState::with_seeds(1, 2, 3, 4);
    let (entries, value) = (small, small * 2);
    Limits {
        list: list::Limits::new(small as i32, PLAIN_FROM),
        set: set::Limits {
            intset_entries: small,
            listpack_entries: small,
            listpack_value: value,
            hasher: hasher.clone(),
        },
        hash: hash::Limits { entries, value, hasher: hasher.clone() },
        zset_entries: entries,
        zset_value: value,
        hasher,
    }
}

fn held(value: NewValue<'_>) -> Entry {
    Entry::new(b"key", value, None)
}

/// What is in a payload, whatever its checksum.
fn opened(bytes: &[u8], limits: &Limits) -> Result<Entry, PayloadError> {
    read_payload(bytes, limits, false).map(held)
}

/// A payload of a type and a body, as another server would have written it.
fn foreign(kind: u8, body: &[u8], version: u16) -> Vec<u8> {
    let mut bytes = [&[kind][..], body, &version.to_le_bytes()].concat();
    let sum = crc64::of(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

fn text() -> impl Strategy<Value = Text> {
    let spelled = |n: i64| n.to_string().into_bytes();
    prop_oneof![
        6 => prop::collection::vec(97u8..101, 1..4),
        4 => (-200i64..200).prop_map(spelled),
        2 => any::<i32>().prop_map(|n| n.to_string().into_bytes()),
        2 => any::<i64>().prop_map(spelled),
        1 => prop::sample::select(vec!["", "-0", "007", "+1", "-", "127", "128", "-32769", "4294967296"])
            .prop_map(|text| text.as_bytes().to_vec()),
        2 => prop::collection::vec(any::<u8>(), 0..90),
        1 => (20usize..9000, 0u8..3).prop_map(|(n, byte)| (0..n).map(|i| byte + (i % 7) as u8).collect()),
    ]
}

fn score() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => (-50i32..50).prop_map(f64::from),
        2 => any::<f64>().prop_filter("a score", |score| !score.is_nan()),
        1 => prop::sample::select(vec![0.0, 0.1, 1e300, -2.5e-308, f64::INFINITY, f64::NEG_INFINITY,
            9_007_199_254_740_993.0, 1e17, -1e18]),
    ]
    // In a listpack the zero below zero is the other one, here as in Redis.
    .prop_map(|score| (score + 0.0).to_bits())
}

fn model() -> impl Strategy<Value = Model> {
    let deadline = prop_oneof![4 => Just(None), 1 => (1u64..1 << 40).prop_map(Some)];
    prop_oneof![
        text().prop_map(Model::Text),
        prop::collection::vec(text(), 1..40).prop_map(Model::List),
        prop::collection::btree_set(text(), 1..30).prop_map(Model::Set),
        prop::collection::btree_set(-70_000i64..70_000, 1..30)
            .prop_map(|set| Model::Set(set.iter().map(|n| n.to_string().into_bytes()).collect())),
        prop::collection::btree_map(text(), score(), 1..30).prop_map(Model::Scores),
        prop::collection::btree_map(text(), text().prop_map(|value| (value, None)), 1..30)
            .prop_map(Model::Fields),
        prop::collection::btree_map(text(), (text(), deadline), 1..30).prop_map(Model::Fields),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 8 } else { 256 }, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_dumped_comes_back(
        model in model(), writer in 1usize..24, reader in 1usize..24, compress in any::<bool>(),
    ) {
        let (writer, reader) = (limits(writer), limits(reader));
        let built = held(model.build(&writer).unwrap());
        prop_assert_eq!(&Model::of(built.value()), &model);
        let bytes = payload(built.value(), compress);
        let value = held(read_payload(&bytes, &reader, true).unwrap());
        prop_assert_eq!(&Model::of(value.value()), &model);
        // Where a form follows from the elements alone, it is the one that commands would have made.
        let commands = held(model.build(&reader).unwrap());
        if let (Value::Object(a), Value::Object(b)) = (value.value(), commands.value())
            && matches!(model, Model::Scores(_) | Model::Fields(_))
        {
            prop_assert_eq!(a.encoding(), b.encoding());
        }
        // What is not a whole payload is none.
        prop_assert_eq!(
            read_payload(&bytes[..bytes.len() - 1], &reader, true).err(),
            Some(PayloadError::VersionOrChecksum)
        );
        for end in (10..bytes.len() - 1).step_by(bytes.len() / 40 + 1) {
            let cut = foreign(bytes[0], &bytes[1..end - 9], VERSION);
            prop_assert!(read_payload(&cut, &reader, true).is_err(), "cut at {}", end);
        }
    }
}

#[test]
fn the_bytes_are_those_of_redis() {
    let limits = limits(10);
    let dumped = |model: Model| payload(held(model.build(&limits).unwrap()).value(), true);
    // As redis-server 7.0.15 dumps them.
    let one = |text: &str| text.as_bytes().to_vec();
    let known: [(Model, &[u8]); 7] = [
        (Model::Text(one("bar")), b"\x00\x03bar\x0a\x00\xe6\xbeI`\xeef\xfd\x17"),
        (Model::Text(one("10")), b"\x00\xc0\x0a\x0a\x00n\x9fWE\x0e\xaec\xbb"),
        (
            Model::List(vec![one("a")]),
            b"\x12\x01\x02\x0a\x0a\x00\x00\x00\x01\x00\x81a\x02\xff\x0a\x00\x09\xb9\xed\xf5\x94\xde\xd9\x95",
        ),
        (
            Model::Set(BTreeSet::from([one("1"), one("2")])),
            b"\x0b\x0c\x02\x00\x00\x00\x02\x00\x00\x00\x01\x00\x02\x00\x0a\x00oy8\xb14\xeb .",
        ),
        (Model::Set(BTreeSet::from([one("a")])), b"\x02\x01\x01a\x0a\x00b\x96\xe9~D\xd2\x1am"),
        (
            Model::Scores(BTreeMap::from([(one("a"), 1.5f64.to_bits())])),
            b"\x11\x0f\x0f\x00\x00\x00\x02\x00\x81a\x02\x831.5\x04\xff\x0a\x00\x08\x0cn\x19\x80\x8e}\x98",
        ),
        (
            Model::Fields(BTreeMap::from([(one("a"), (one("1"), None))])),
            b"\x10\x0c\x0c\x00\x00\x00\x02\x00\x81a\x02\x01\x01\xff\x0a\x00\x84\xa6\x93\xe8\xaa\x17\xe4\xdb",
        ),
    ];
    for (model, bytes) in known {
        assert_eq!(
            dumped(model.clone()).escape_ascii().to_string(),
            bytes.escape_ascii().to_string(),
            "{model:?}"
        );
    }
}

#[test]
fn versions_and_checksums_are_looked_at() {
    let limits = limits(10);
    let read =
        |bytes: &[u8]| read_payload(bytes, &limits, true).map(held).map(|entry| Model::of(entry.value()));
    let refused = Err(PayloadError::VersionOrChecksum);
    let good = foreign(kind::STRING, b"\x03bar", 10);
    assert_eq!(read(&good), Ok(Model::Text(b"bar".to_vec())));
    let mut bad = good.clone();
    bad[2] ^= 1;
    assert_eq!(read(&bad), refused);
    for (version, known) in
        [(1, true), (6, true), (12, true), (13, false), (79, false), (80, true), (81, false)]
    {
        assert_eq!(read(&foreign(kind::STRING, b"\x03bar", version)).is_ok(), known, "{version}");
    }
    assert_eq!(read(b"..."), refused);
    assert_eq!(
        read(&foreign(8, b"\x03bar", 10)),
        Err(PayloadError::Value(Fault::Corrupt("a type of value that is not known")))
    );
    assert_eq!(read(&foreign(kind::MODULE_2, b"\x03bar", 10)), Err(PayloadError::Value(Fault::Module)));
    // Bytes behind the value are let pass, and a length that nothing holds is refused at once.
    assert_eq!(read(&foreign(kind::STRING, b"\x03bar and more", 10)), Ok(Model::Text(b"bar".to_vec())));
    let long = b"\x81\xff\xff\xff\xff\xff\xff\xff\xf7";
    assert_eq!(read(&foreign(kind::STRING, long, 10)), Err(PayloadError::Value(Fault::Short)));
}

#[test]
fn collections_without_elements_are_no_values() {
    let limits = limits(10);
    let packed = b"\x07\x07\x00\x00\x00\x00\x00\xff";
    let cases: [(u8, &[u8]); 9] = [
        (kind::LIST, b"\x00"),
        (kind::SET, b"\x00"),
        (kind::ZSET_2, b"\x00"),
        (kind::HASH, b"\x00"),
        (kind::LIST_QUICKLIST_2, b"\x00"),
        (kind::HASH_LISTPACK, packed),
        (kind::ZSET_LISTPACK, packed),
        (kind::SET_LISTPACK, packed),
        (kind::SET_INTSET, b"\x08\x02\x00\x00\x00\x00\x00\x00\x00"),
    ];
    for (kind, body) in cases {
        let read = opened(&foreign(kind, body, 10), &limits).err();
        assert_eq!(read, Some(PayloadError::Value(Fault::Empty)), "{kind}");
    }
    // A node without elements is left out.
    let nodes = b"\x02\x02\x07\x07\x00\x00\x00\x00\x00\xff\x02\x0a\x0a\x00\x00\x00\x01\x00\x81a\x02\xff";
    let read = opened(&foreign(kind::LIST_QUICKLIST_2, nodes, 10), &limits).unwrap();
    assert_eq!(Model::of(read.value()), Model::List(vec![b"a".to_vec()]));
}
