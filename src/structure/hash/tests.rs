//! A hash against a map from names to values and deadlines.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Name to value and deadline; what has expired stays until it is taken away.
type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>;

fn limits(entries: usize, value: usize) -> Limits {
    Limits { entries, value, hasher: RandomState::with_seeds(1, 2, 3, 4) }
}

#[derive(Clone, Debug)]
enum Step {
    Set(Vec<u8>, Vec<u8>, Expiry),
    SetExpire(Vec<u8>, Option<u64>),
    Remove(Vec<u8>),
    Expire(usize),
    Wait(u64),
    Copy,
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (0..12u32).prop_map(|n| n.to_string().into_bytes()),
        4 => "[a-f]{1,2}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..30),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        3 => prop::collection::vec(any::<u8>(), 0..20),
        1 => Just(vec![b'x'; 3000]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let expiry = prop_oneof![
        2 => Just(Expiry::Clear),
        1 => Just(Expiry::Keep),
        2 => (1..60u64).prop_map(Expiry::At),
    ];
    prop_oneof![
        8 => (name(), value(), expiry).prop_map(|(name, value, expiry)| Step::Set(name, value, expiry)),
        4 => (name(), prop::option::of(1..60u64)).prop_map(|(name, at)| Step::SetExpire(name, at)),
        3 => name().prop_map(Step::Remove),
        1 => (0..4usize).prop_map(Step::Expire),
        1 => (0..5u64).prop_map(Step::Wait),
        1 => Just(Step::Copy),
    ]
}

fn is_live(deadline: Option<u64>, now: u64) -> bool {
    deadline.is_none_or(|at| at > now)
}

fn text(item: Item<'_>) -> Vec<u8> {
    item.to_vec()
}

/// Does one step to both and compares what they tell.
fn run(step: Step, hash: &mut Hash, model: &mut Model, now: &mut u64, limits: &Limits) {
    match step {
        Step::Set(name, value, expiry) => {
            let old = model.get(&name).filter(|(_, at)| is_live(*at, *now)).cloned();
            let expire_at = match expiry {
                Expiry::At(at) => Some(at),
                Expiry::Keep => old.as_ref().and_then(|(_, at)| *at),
                Expiry::Clear => None,
            };
            assert_eq!(hash.set(&name, &value, expiry, *now, limits), old.is_none());
            model.insert(name, (value, expire_at));
        }
        Step::SetExpire(name, at) => {
            assert_eq!(hash.set_expire(&name, at), model.contains_key(&name));
            model.entry(name).and_modify(|it| it.1 = at);
        }
        Step::Remove(name) => {
            let there = model.get(&name).is_some_and(|(_, at)| is_live(*at, *now));
            assert_eq!(hash.remove(&name, *now), there);
            if there {
                model.remove(&name);
            }
        }
        Step::Expire(max) => {
            let mut gone = Vec::new();
            let count = hash.expire(*now, max, |name| gone.push(name.to_vec()));
            assert_eq!(count, gone.len());
            let due = model.values().filter(|(_, at)| !is_live(*at, *now)).count();
            assert_eq!(count, due.min(max));
            let mut last = 0;
            for name in gone {
                let (_, at) = model.remove(&name).expect("a field that was there");
                assert!(at >= Some(last) && !is_live(at, *now), "the earliest first");
                last = at.unwrap_or(0);
            }
        }
        Step::Wait(ms) => *now += ms,
        Step::Copy => {
            let copy = hash.clone();
            assert!(copy == *hash && copy.filed().is_none());
            *hash = copy;
        }
    }
}

fn compare(hash: &Hash, model: &Model, now: u64) {
    assert_eq!(hash.len(), model.len());
    assert_eq!(hash.nearest(), model.values().filter_map(|(_, at)| *at).min());
    let live: Model =
        model.iter().filter(|(_, it)| is_live(it.1, now)).map(|(k, v)| (k.clone(), v.clone())).collect();
    assert_eq!(hash.live(now), live.len());
    let mut seen = Model::new();
    hash.each(now, |field| {
        let old = seen.insert(text(field.name), (text(field.value), field.expire_at));
        assert!(old.is_none(), "a field twice");
    });
    assert_eq!(seen, live);
    let (mut scanned, mut cursor) = (Model::new(), 0);
    loop {
        cursor = hash.scan(cursor, 3, now, |field| {
            scanned.insert(text(field.name), (text(field.value), field.expire_at));
        });
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(scanned, live);
    for (name, (value, at)) in model {
        let found = hash.find(name, now).map(|field| (text(field.value), field.expire_at));
        assert_eq!(found, is_live(*at, now).then(|| (value.clone(), *at)));
    }
    assert_eq!(hash.find(b"never there", now), None);
    let random = hash.random(&mut Random::new(now), now).map(|field| text(field.name));
    assert_eq!(random.is_some(), !live.is_empty());
    assert!(random.is_none_or(|name| live.contains_key(&name)));
}

proptest! {
    /// Whatever its encoding and whenever that changes.
    #[test]
    fn a_hash_is_a_map(steps in prop::collection::vec(step(), 0..120), entries in 0..20usize, long in any::<bool>()) {
        let limits = limits(if long { 1000 } else { entries }, if long { 10_000 } else { 25 });
        let (mut hash, mut model, mut now) = (Hash::new(), Model::new(), 10);
        for step in steps {
            run(step, &mut hash, &mut model, &mut now, &limits);
            compare(&hash, &model, now);
        }
        let encoding = hash.encoding();
        prop_assert!(encoding == "hashtable" || hash.len() <= limits.entries);
        prop_assert!(encoding != "listpack" || hash.nearest().is_none());
        prop_assert!(!long || encoding != "hashtable");
        while hash.free_some(3) {}
        prop_assert!(hash.bytes_allocated() == 0 || encoding != "hashtable");
    }
}

#[test]
fn a_hash_grows_out_of_its_encodings_and_keeps_its_handle() {
    let limits = limits(3, 10);
    let mut hash = Hash::new();
    assert_eq!((hash.encoding(), hash.bytes_allocated()), ("listpack", 0));
    hash.set(b"a", b"1", Expiry::Clear, 0, &limits);
    hash.set_expire(b"nope", None);
    assert_eq!(hash.encoding(), "listpack");
    hash.set_expire(b"a", Some(7));
    assert_eq!((hash.encoding(), hash.nearest()), ("listpackex", Some(7)));
    hash.set_filed(Some(42));
    for name in [b"b", b"c", b"a"] {
        hash.set(name, b"2", Expiry::Keep, 0, &limits);
    }
    assert_eq!(hash.encoding(), "listpackex");
    hash.set(b"d", b"2", Expiry::Clear, 0, &limits);
    assert_eq!((hash.encoding(), hash.nearest(), hash.filed()), ("hashtable", Some(7), Some(42)));
    hash.set_expire(b"a", None);
    assert_eq!((hash.nearest(), hash.filed()), (None, Some(42)));
    hash.set_filed(None);
    assert_eq!(hash.filed(), None);

    let mut long = Hash::new();
    long.set(b"name", b"01234567890", Expiry::Clear, 0, &limits);
    assert_eq!(long.encoding(), "hashtable");
    let mut room = Hash::new();
    room.make_room([1, 10].into_iter(), &limits);
    assert_eq!(room.encoding(), "listpack");
    room.make_room([11].into_iter(), &limits);
    assert_eq!(room.encoding(), "hashtable");
}

#[test]
fn triples_lie_in_the_order_of_their_deadlines() {
    let limits = limits(100, 100);
    let mut hash = Hash::new();
    for (name, expiry) in [
        (b"a", Expiry::Clear),
        (b"b", Expiry::At(5)),
        (b"c", Expiry::At(3)),
        (b"d", Expiry::At(5)),
        (b"e", Expiry::Clear),
    ] {
        hash.set(name, b"", expiry, 0, &limits);
    }
    let order = |hash: &Hash| {
        let mut names = Vec::new();
        hash.each(0, |field| names.extend(text(field.name)));
        String::from_utf8(names).unwrap()
    };
    assert_eq!(order(&hash), "cbdae");
    hash.set_expire(b"a", Some(4));
    hash.set_expire(b"c", None);
    assert_eq!(order(&hash), "abdec");
    let mut gone = Vec::new();
    assert_eq!(hash.expire(5, 2, |name| gone.extend_from_slice(name)), 2);
    assert_eq!(hash.expire(5, 2, |name| gone.extend_from_slice(name)), 1);
    assert_eq!(hash.expire(5, 2, |_| panic!("a field that has not expired")), 0);
    assert_eq!((&gone[..], order(&hash)), (&b"abd"[..], "ec".to_owned()));
}

#[test]
fn a_huge_hash_is_freed_in_slices() {
    let limits = limits(0, 0);
    let mut hash = Hash::new();
    for n in 0..1000u64 {
        hash.set(n.to_string().as_bytes(), b"v", Expiry::At(n + 1), 0, &limits);
    }
    assert!(hash.bytes_allocated() > 1000 * 24);
    let mut calls = 0;
    while hash.free_some(100) {
        calls += 1;
    }
    assert!((10..=25).contains(&calls), "{calls}");
    assert!(hash.is_empty());
}

#[test]
fn an_update_alone_takes_a_listpack_over_a_lowered_limit() {
    let mut hash = Hash::new();
    for name in [b"a", b"b", b"c"] {
        hash.set(name, b"1", Expiry::Clear, 0, &limits(3, 64));
    }
    assert!(!hash.set(b"b", b"2", Expiry::Clear, 0, &limits(3, 64)));
    assert_eq!(hash.encoding(), "listpack");
    assert!(!hash.set(b"b", b"3", Expiry::Clear, 0, &limits(2, 64)));
    assert_eq!((hash.encoding(), hash.len()), ("hashtable", 3));
}
