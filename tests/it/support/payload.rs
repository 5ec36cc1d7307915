//! Payloads of RESTORE: random ones, and whether two of them hold the same value.

use super::{Bytes, Rng};
use ringdove::config::Settings;
use ringdove::snapshot::{Limits, payload, read_payload};
use ringdove::structure::hash::Expiry;
use ringdove::structure::list::Side;
use ringdove::structure::object::View;
use ringdove::structure::stream::{NodeLimits, Pending, StreamId};
use ringdove::structure::{
    Collection, Entry, Hash, List, NewValue, Set, SortedSet, Stream, Value, sorted_set,
};
use std::sync::LazyLock;

/// Thresholds of `differential::THRESHOLDS`, as far as forms depend on them.
static LIMITS: LazyLock<Limits> = LazyLock::new(|| {
    let settings = Settings {
        hash_max_listpack_entries: 6,
        hash_max_listpack_value: 40,
        zset_max_listpack_entries: 6,
        zset_max_listpack_value: 40,
        set_max_intset_entries: 6,
        list_max_listpack_size: 5,
        ..Settings::default()
    };
    Limits::new(&settings, ahash::RandomState::with_seeds(1, 2, 3, 4))
});

pub fn limits() -> &'static Limits {
    &LIMITS
}

/// The value of a random type that `word` fills, as Ringdove dumps it.
pub fn random(rng: &mut Rng, word: impl FnMut(&mut Rng) -> Bytes) -> Bytes {
    let (count, compress) = (1 + rng.below(12), rng.chance(50));
    random_of(rng, count, compress, word)
}

/// The same of about so many elements.
pub fn random_of(
    rng: &mut Rng,
    count: usize,
    compress: bool,
    mut word: impl FnMut(&mut Rng) -> Bytes,
) -> Bytes {
    let limits = &*LIMITS;
    let value = match rng.below(6) {
        0 => match rng.chance(50) {
            true => NewValue::Int(rng.range(-300, 100_000)),
            false => NewValue::Owned(word(rng)),
        },
        1 => {
            let mut list = List::new();
            (0..count).for_each(|_| list.push(Side::Right, &word(rng), &limits.list));
            NewValue::Object(list.into_object())
        }
        2 => {
            let (mut set, ints) = (Set::default(), rng.chance(50));
            for _ in 0..count {
                let member = if ints { rng.range(-9, 70_000).to_string().into_bytes() } else { word(rng) };
                set.add(&member, &limits.set);
            }
            NewValue::Object(set.into_object())
        }
        3 => {
            let growth = sorted_set::Growth {
                entries_max: limits.zset_entries,
                value_max: limits.zset_value,
                hasher: &limits.hasher,
            };
            let mut set = SortedSet::new();
            (0..count).for_each(|_| set.insert(&word(rng), rng.range(-8, 8) as f64 / 4.0, &growth));
            NewValue::Object(set.into_object())
        }
        4 => {
            let mut hash = Hash::new();
            for _ in 0..count {
                hash.set(&word(rng), &word(rng), Expiry::Clear, 0, &limits.hash);
            }
            NewValue::Object(hash.into_object())
        }
        _ => NewValue::Object(stream(rng, count, word).into_object()),
    };
    payload(Entry::new(b"", value, None).value(), compress)
}

fn stream(rng: &mut Rng, count: usize, mut word: impl FnMut(&mut Rng) -> Bytes) -> Stream {
    let mut stream = Stream::new();
    let limits = NodeLimits { bytes: 4096, entries: 4 };
    let ids: Vec<StreamId> = (0..count as u64).map(|n| StreamId::new(1 + n / 3, n % 3)).collect();
    for id in &ids {
        let pairs: Vec<(Bytes, Bytes)> = (0..1 + rng.below(2)).map(|_| (word(rng), word(rng))).collect();
        stream.entries_mut().append(*id, pairs.iter().map(|(name, value)| (&name[..], &value[..])), limits);
    }
    if rng.chance(30) {
        stream.entries_mut().delete(*rng.pick(&ids));
    }
    if rng.chance(50) {
        stream.groups_mut().create(b"g1", ids[count / 2], -1);
        let group = stream.groups_mut().get_mut(b"g1").expect("just created");
        let consumer = group.create_consumer(b"c1", None).expect("the first of its name");
        for id in &ids[..=count / 2] {
            group.set_pending(*id, Pending { consumer, delivered_at: 1000, deliveries: 1 });
        }
    }
    stream
}

/// Whether both are payloads of the same value. When a stream's entries were delivered depends on the clock,
/// and is left out.
pub fn agree(a: &[u8], b: &[u8]) -> bool {
    let read = |bytes: &[u8]| read_payload(bytes, &LIMITS, true).map(|value| Entry::new(b"", value, None));
    let (Ok(a), Ok(b)) = (read(a), read(b)) else { return false };
    match (a.value(), b.value()) {
        (Value::Object(a), Value::Object(b)) => match (a.view(), b.view()) {
            (View::Stream(a), View::Stream(b)) => {
                let groups = |it: &Stream| -> Vec<_> { it.groups().iter().map(group_shown).collect() };
                a.entries() == b.entries() && groups(a) == groups(b)
            }
            _ => a == b,
        },
        // A long string lies elsewhere than a short one, and is the same.
        (a, b) => a == b,
    }
}

fn group_shown(group: &ringdove::structure::stream::Group) -> String {
    let consumers = group.consumers().map(|it| (it.name().to_vec(), it.pending()));
    let pending = group.pending_from(StreamId::MIN).map(|(id, it)| (id, it.deliveries));
    let name = group.name().to_vec();
    format!(
        "{name:?} {} {:?} {:?}",
        group.last_id,
        consumers.collect::<Vec<_>>(),
        pending.collect::<Vec<_>>()
    )
}
