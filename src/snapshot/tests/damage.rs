//! Payloads that are not what they were: never a panic, and what is read nevertheless is a value like any other.

use super::streams::{built, entry_of, steps};
use super::*;

#[derive(Clone, Debug)]
enum Edit {
    Set(prop::sample::Index, u8),
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    /// A run of bytes put elsewhere.
    Copy(prop::sample::Index, prop::sample::Index, usize),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    use prop::sample::Index;
    let telling = prop::sample::select(vec![0u8, 1, 2, 0x3f, 0x7f, 0x80, 0x81, 0xc3, 0xf0, 0xf4, 0xfe, 0xff]);
    prop::collection::vec(
        prop_oneof![
            3 => (any::<Index>(), telling).prop_map(|(at, byte)| Edit::Set(at, byte)),
            3 => (any::<Index>(), 0u8..8).prop_map(|(at, bit)| Edit::Flip(at, 1 << bit)),
            1 => (any::<Index>(), prop::collection::vec(any::<u8>(), 1..6)).prop_map(|(at, b)| Edit::Insert(at, b)),
            1 => (any::<Index>(), 1usize..6).prop_map(|(at, n)| Edit::Remove(at, n)),
            1 => (any::<Index>(), any::<Index>(), 1usize..12).prop_map(|(a, b, n)| Edit::Copy(a, b, n)),
        ],
        1..4,
    )
}

fn apply(bytes: &mut Vec<u8>, edits: &[Edit]) {
    for edit in edits {
        if bytes.is_empty() {
            return;
        }
        let len = bytes.len();
        match edit {
            Edit::Set(at, byte) => bytes[at.index(len)] = *byte,
            Edit::Flip(at, bit) => bytes[at.index(len)] ^= bit,
            Edit::Insert(at, added) => {
                drop(bytes.splice(at.index(len)..at.index(len), added.iter().copied()))
            }
            Edit::Remove(at, n) => drop(bytes.drain(at.index(len)..(at.index(len) + n).min(len))),
            Edit::Copy(from, to, n) => {
                let run = bytes[from.index(len)..(from.index(len) + n).min(len)].to_vec();
                bytes.splice(to.index(len)..to.index(len), run);
            }
        }
    }
}

/// Reads it; what is a value is written and read once more, and changed the way commands do.
fn survives(bytes: &[u8], limits: &Limits) -> Result<(), TestCaseError> {
    let Ok(entry) = opened(bytes, limits) else { return Ok(()) };
    let seen = Model::of(entry.value());
    let again = held(read_payload(&payload(entry.value(), true), limits, true).unwrap());
    prop_assert_eq!(Model::of(again.value()), seen);
    if let Value::Object(object) = again.value() {
        object.bytes_allocated();
        let mut copy = object.clone();
        while copy.free_some(3) {}
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 8 } else { 2000 }, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn damaged_values_are_values_or_refused(
        model in model(), small in 1usize..24, compress in any::<bool>(), edits in edits(),
    ) {
        let limits = limits(small);
        let mut bytes = payload(held(model.build(&limits).unwrap()).value(), compress);
        bytes.truncate(bytes.len() - 10);
        apply(&mut bytes, &edits);
        let kind = bytes.first().copied().unwrap_or(0);
        survives(&foreign(kind, bytes.get(1..).unwrap_or_default(), VERSION), &limits)?;
    }

    #[test]
    fn damaged_streams_are_streams_or_refused(steps in steps(), edits in edits()) {
        let mut bytes = payload(entry_of(built(&steps)).value(), false);
        bytes.truncate(bytes.len() - 10);
        apply(&mut bytes, &edits);
        let kind = bytes.first().copied().unwrap_or(0);
        survives(&foreign(kind, bytes.get(1..).unwrap_or_default(), VERSION), &limits(10))?;
    }

    /// Bytes of no origin, as every type.
    #[test]
    fn any_bytes_are_read_or_refused(kind in 0u8..27, body in prop::collection::vec(any::<u8>(), 0..60)) {
        for version in [10, 80] {
            survives(&foreign(kind, &body, version), &limits(10))?;
        }
    }
}
