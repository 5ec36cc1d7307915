//! Entries against a struct with a `Vec` for everything.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Naive {
    key: Vec<u8>,
    value: NaiveValue,
    raw: bool,
    expire: Option<u64>,
    handle: Option<u32>,
    lru: u32,
}

#[derive(Clone, Debug, PartialEq)]
enum NaiveValue {
    Int(i64),
    Bytes(Vec<u8>),
}

impl NaiveValue {
    fn new_value(&self, owned: bool) -> NewValue<'_> {
        match self {
            NaiveValue::Int(n) => NewValue::Int(*n),
            NaiveValue::Bytes(bytes) if owned => NewValue::Owned(bytes.clone()),
            NaiveValue::Bytes(bytes) => NewValue::Bytes(bytes),
        }
    }

    fn text(&self) -> Vec<u8> {
        match self {
            NaiveValue::Int(n) => n.to_string().into_bytes(),
            NaiveValue::Bytes(bytes) => bytes.clone(),
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Set(NaiveValue, bool),
    Append(Vec<u8>),
    SetRange(usize, Vec<u8>),
    Expire(Option<u64>),
    Handle(Option<u32>),
    Rename(Vec<u8>),
    Touch(u32),
    Mark(u16),
    Copy(Vec<u8>),
    PushToObject(u8),
    Replace(NaiveValue),
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => prop::collection::vec(any::<u8>(), 0..64),
        2 => prop::collection::vec(any::<u8>(), 0..600),
        1 => (1000usize..1100, any::<u8>()).prop_map(|(n, b)| vec![b; n]),
        1 => (0usize..5000, any::<u8>()).prop_map(|(n, b)| vec![b; n]),
    ]
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        20 => prop::collection::vec(any::<u8>(), 0..40),
        2 => prop::collection::vec(any::<u8>(), 0..700),
        1 => (65_500usize..65_600, any::<u8>()).prop_map(|(n, b)| vec![b; n]),
    ]
}

fn value() -> impl Strategy<Value = NaiveValue> {
    prop_oneof![
        any::<i64>().prop_map(NaiveValue::Int),
        any::<i32>().prop_map(|n| NaiveValue::Int(n as i64)),
        bytes().prop_map(NaiveValue::Bytes),
        bytes().prop_map(NaiveValue::Bytes),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (value(), any::<bool>()).prop_map(|(v, owned)| Step::Set(v, owned)),
        bytes().prop_map(Step::Append),
        (0usize..1500, bytes()).prop_map(|(at, b)| Step::SetRange(at, b)),
        any::<Option<u64>>().prop_map(Step::Expire),
        any::<Option<u32>>().prop_map(|h| Step::Handle(h.filter(|h| *h != NO_WHEEL_HANDLE))),
        key().prop_map(Step::Rename),
        any::<u32>().prop_map(Step::Touch),
        any::<u16>().prop_map(Step::Mark),
        key().prop_map(Step::Copy),
        any::<u8>().prop_map(Step::PushToObject),
        value().prop_map(Step::Replace),
    ]
}

fn same(entry: &Entry, naive: &Naive) {
    assert_eq!(entry.key(), naive.key);
    match (&naive.value, entry.value()) {
        (NaiveValue::Int(n), Value::Int(m)) => assert_eq!(*n, m),
        (NaiveValue::Bytes(a), Value::Bytes(b)) => assert_eq!(a, b),
        (a, b) => panic!("{a:?} became {b:?}"),
    }
    assert_eq!(entry.is_raw(), naive.raw);
    assert_eq!(entry.expire_at(), naive.expire);
    assert_eq!(entry.wheel_handle(), naive.handle);
    let lru = if entry.header().has(Header::BARE) { 0 } else { naive.lru & 0xff_ffff };
    assert_eq!(entry.lru(), lru);
    assert!(entry.bytes_allocated() >= naive.key.len());
}

fn run(first: NaiveValue, expire: Option<u64>, steps: Vec<Step>) {
    let naive = Naive { key: b"k".to_vec(), value: first, raw: false, expire, handle: None, lru: 0 };
    let entry = Entry::new(&naive.key, naive.value.new_value(false), expire);
    run_from(entry, naive, steps);
}

fn run_from(mut entry: Entry, mut naive: Naive, steps: Vec<Step>) {
    same(&entry, &naive);
    let mut mark = entry.mark();
    for step in steps {
        match step {
            Step::Set(value, owned) => {
                entry.set_value(value.new_value(owned));
                (naive.value, naive.raw) = (value, false);
            }
            Step::Append(tail) => {
                let mut text = naive.value.text();
                text.extend_from_slice(&tail);
                assert_eq!(entry.append(&tail), text.len());
                (naive.value, naive.raw) = (NaiveValue::Bytes(text), true);
            }
            Step::SetRange(at, bytes) => {
                let mut text = naive.value.text();
                if !bytes.is_empty() {
                    text.resize(text.len().max(at + bytes.len()), 0);
                    text[at..at + bytes.len()].copy_from_slice(&bytes);
                    (naive.value, naive.raw) = (NaiveValue::Bytes(text.clone()), true);
                }
                assert_eq!(entry.set_range(at, &bytes), text.len());
            }
            Step::Expire(expire) => {
                entry.set_expire(expire);
                naive.expire = expire;
                naive.handle = naive.handle.filter(|_| expire.is_some());
            }
            Step::Handle(handle) => {
                if naive.expire.is_some() {
                    entry.set_wheel_handle(handle);
                    naive.handle = handle;
                }
            }
            Step::Rename(key) => {
                entry.rename(&key);
                naive.key = key;
            }
            Step::Touch(clock) => {
                entry.touch(clock);
                // A bare entry has no access clock, and none that it had comes back.
                naive.lru = if entry.header().has(Header::BARE) { 0 } else { clock };
            }
            Step::Mark(new) => {
                entry.set_mark(new);
                mark = new;
            }
            Step::Copy(key) => {
                let copy = entry.clone_with_key(&key);
                same(&entry, &naive);
                (naive.key, naive.handle) = (key, None);
                let old = std::mem::replace(&mut entry, copy);
                entry.set_mark(old.mark());
            }
            Step::PushToObject(byte) => {
                if let Some(string) = entry.object_mut().and_then(Object::bytes_mut) {
                    string.push(byte);
                    let mut text = naive.value.text();
                    text.push(byte);
                    naive.value = NaiveValue::Bytes(text);
                }
            }
            Step::Replace(value) => {
                let old = entry.replace(Entry::new(&naive.key, value.new_value(false), naive.expire));
                same(&old, &naive);
                (naive.value, naive.raw, naive.handle, naive.lru) = (value, false, None, 0);
            }
        }
        same(&entry, &naive);
        assert_eq!(entry.mark(), mark);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 12 } else { 400 }, failure_persistence: None, ..ProptestConfig::default()
    })]
    #[test]
    fn an_entry_is_its_parts(
        first in value(),
        expire in any::<Option<u64>>(),
        steps in prop::collection::vec(step(), 0..if cfg!(miri) { 12 } else { 40 }),
    ) {
        run(first, expire, steps);
    }

    /// What was a key and nothing else becomes what it is made to be.
    #[test]
    fn a_bare_entry_is_one_with_an_empty_value(
        key in key(),
        steps in prop::collection::vec(step(), 0..if cfg!(miri) { 6 } else { 8 }),
    ) {
        let entry = Entry::bare(&key);
        assert!(!entry.header().has(Header::BARE) || entry.bytes_allocated() == good_size(key.len() + 2));
        let value = NaiveValue::Bytes(Vec::new());
        run_from(entry, Naive { key, value, raw: false, expire: None, handle: None, lru: 0 }, steps);
    }
}

#[test]
fn a_small_key_and_value_take_what_they_need() {
    let entry = Entry::new(&[b'k'; 16], NewValue::Bytes(&[b'v'; 32]), None);
    assert_eq!(entry.bytes_allocated(), 56);
    let entry = Entry::new(&[b'k'; 16], NewValue::Bytes(&[b'v'; 32]), Some(1));
    assert_eq!(entry.bytes_allocated(), 80);
    let entry = Entry::new(&[b'k'; 16], NewValue::Int(7), None);
    assert_eq!(entry.bytes_allocated(), 32);
}

#[test]
fn set_value_keeps_a_block_that_fits_and_leaves_one_that_is_half_empty() {
    let mut entry = Entry::new(b"key", NewValue::Bytes(&[1; 200]), None);
    let block = entry.block();
    entry.set_value(NewValue::Bytes(&[2; 190]));
    assert_eq!(entry.block(), block);
    entry.set_value(NewValue::Bytes(&[3; 20]));
    assert_eq!(entry.bytes_allocated(), 32);
}

#[test]
fn appending_byte_by_byte_moves_seldom() {
    let mut entry = Entry::new(b"key", NewValue::Bytes(b""), None);
    let (mut moves, mut block) = (0, entry.block());
    for n in 0..INLINE_MAX {
        assert_eq!(entry.append(b"x"), n + 1);
        if entry.block() != block {
            (moves, block) = (moves + 1, entry.block());
        }
    }
    assert!(moves < 20, "{moves} moves");
    assert!(entry.object().is_none());
    entry.append(b"x");
    assert!(entry.object().is_some() && entry.is_raw());
}
