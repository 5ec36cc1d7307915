//! A set of integers as one sorted array, of as many bytes each as the widest needs.
//!
//! ```text
//! [width u8][v0][v1][v2] ...    little-endian, ascending, 2, 4 or 8 bytes each; all of one width
//! ```
//!
//! The array is Redis's intset behind one byte instead of 8, so a dump of it is a copy. An empty set may
//! have no byte at all; its width is the smallest. The width
//! only ever grows, as there. Found by bisection, changed by moving what lies behind: for some hundred
//! elements. Called by `Set`.

use crate::structure::ThinBuf;

/// Elements beyond which no setting keeps an intset: 2 GiB.
pub const LEN_MAX: usize = 1 << 28;
/// What Redis's header takes.
const REDIS_HEADER: usize = 8;
/// The width.
const HEADER: usize = 1;

/// Bytes of an element.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
enum Width {
    W2 = 2,
    W4 = 4,
    W8 = 8,
}

impl Width {
    fn of(value: i64) -> Width {
        if i16::try_from(value).is_ok() {
            Width::W2
        } else if i32::try_from(value).is_ok() {
            Width::W4
        } else {
            Width::W8
        }
    }
}

/// See the module. Eight bytes.
#[derive(Clone)]
#[repr(transparent)]
pub struct Intset(ThinBuf);

fn value_at<const W: usize>(values: &[[u8; W]], at: usize) -> i64 {
    let mut bytes = [0; 8];
    bytes[..W].copy_from_slice(&values[at]);
    // The sign bit goes up to the top and comes down again.
    let shift = 64 - 8 * W as u32;
    i64::from_le_bytes(bytes) << shift >> shift
}

/// Where `value` is, or where it belongs.
fn bisect<const W: usize>(bytes: &[u8], value: i64) -> Result<usize, usize> {
    let values = bytes.as_chunks::<W>().0;
    let (mut low, mut high) = (0, values.len());
    // Ascending insertion is common, and ends here.
    match high.checked_sub(1).map(|last| value_at(values, last).cmp(&value)) {
        None | Some(std::cmp::Ordering::Less) => return Err(high),
        Some(std::cmp::Ordering::Equal) => return Ok(high - 1),
        Some(std::cmp::Ordering::Greater) => {}
    }
    while low < high {
        let middle = (low + high) / 2;
        if value_at(values, middle) < value {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if low < values.len() && value_at(values, low) == value { Ok(low) } else { Err(low) }
}

impl Default for Intset {
    fn default() -> Intset {
        Intset::new()
    }
}

impl Intset {
    pub fn new() -> Intset {
        Intset(ThinBuf::new())
    }

    #[inline]
    fn width(&self) -> Width {
        match self.0.as_slice().first() {
            Some(8) => Width::W8,
            Some(4) => Width::W4,
            _ => Width::W2,
        }
    }

    #[inline]
    fn step(&self) -> usize {
        self.width() as usize
    }

    fn values(&self) -> &[u8] {
        self.0.as_slice().get(HEADER..).unwrap_or_default()
    }

    pub fn len(&self) -> usize {
        self.values().len() / self.step()
    }

    pub fn is_empty(&self) -> bool {
        self.values().is_empty()
    }

    /// The element with this number, in ascending order. Panics past the end.
    pub fn get(&self, at: usize) -> i64 {
        let bytes = self.values();
        match self.width() {
            Width::W2 => value_at(bytes.as_chunks::<2>().0, at),
            Width::W4 => value_at(bytes.as_chunks::<4>().0, at),
            Width::W8 => value_at(bytes.as_chunks::<8>().0, at),
        }
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = i64> + '_ {
        (0..self.len()).map(|at| self.get(at))
    }

    pub fn min(&self) -> Option<i64> {
        (!self.is_empty()).then(|| self.get(0))
    }

    pub fn max(&self) -> Option<i64> {
        self.len().checked_sub(1).map(|last| self.get(last))
    }

    /// Where the value is, or where it belongs. A value wider than the elements belongs at an end.
    fn position(&self, value: i64) -> Result<usize, usize> {
        if Width::of(value) > self.width() {
            return Err(if value < 0 { 0 } else { self.len() });
        }
        let bytes = self.values();
        match self.width() {
            Width::W2 => bisect::<2>(bytes, value),
            Width::W4 => bisect::<4>(bytes, value),
            Width::W8 => bisect::<8>(bytes, value),
        }
    }

    pub fn contains(&self, value: i64) -> bool {
        self.position(value).is_ok()
    }

    /// Whether it was not there.
    pub fn insert(&mut self, value: i64) -> bool {
        let Err(at) = self.position(value) else { return false };
        self.widen(Width::of(value));
        let step = self.step();
        if self.0.is_empty() {
            self.0.splice(0, 0, &[&[step as u8], &value.to_le_bytes()[..step]]);
        } else {
            self.0.splice(HEADER + at * step, 0, &[&value.to_le_bytes()[..step]]);
        }
        true
    }

    /// Whether it was there.
    pub fn remove(&mut self, value: i64) -> bool {
        let found = self.position(value);
        if let Ok(at) = found {
            self.remove_at(at);
        }
        found.is_ok()
    }

    pub fn remove_at(&mut self, at: usize) {
        let step = self.step();
        self.0.splice(HEADER + at * step, step, &[]);
    }

    /// Keeps the elements for which `keep` says so; asked in ascending order.
    pub fn retain(&mut self, mut keep: impl FnMut(i64) -> bool) {
        let step = self.step();
        let mut kept = HEADER;
        for at in 0..self.len() {
            if keep(self.get(at)) {
                let from = HEADER + at * step;
                self.0.as_mut_slice().copy_within(from..from + step, kept);
                kept += step;
            }
        }
        if let Some(gone) = self.0.len().checked_sub(kept) {
            self.0.splice(kept, gone, &[]);
        }
    }

    fn widen(&mut self, width: Width) {
        if width <= self.width() {
            return;
        }
        let step = width as usize;
        let mut wider = Vec::with_capacity(HEADER + (self.len() + 1) * step);
        wider.push(step as u8);
        self.iter().for_each(|value| wider.extend_from_slice(&value.to_le_bytes()[..step]));
        self.0.assign(ThinBuf::from(&wider[..]));
    }

    /// Bytes of each element, and all of them.
    pub fn raw(&self) -> (usize, &[u8]) {
        (self.step(), self.values())
    }

    /// Bytes of Redis's form of it, header included.
    pub fn bytes(&self) -> usize {
        REDIS_HEADER + self.values().len()
    }

    pub fn bytes_allocated(&self) -> usize {
        self.0.bytes_allocated()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_width_is_that_of_the_widest() {
        let mut set = Intset::new();
        for (value, bytes) in [(5, 2), (-6, 4), (32768, 12), (-32769, 16), (1 << 31, 40), (i64::MIN, 48)] {
            assert!(set.insert(value));
            assert_eq!(set.bytes() - REDIS_HEADER, bytes, "{value}");
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [i64::MIN, -32769, -6, 5, 32768, 1 << 31]);
        assert!(!set.contains(6) && !set.contains(i64::MAX) && set.contains(-6));
        set.retain(|value| value == 5);
        assert_eq!((set.bytes() - REDIS_HEADER, set.min(), set.max()), (8, Some(5), Some(5)));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(i64),
        Remove(i64),
        Retain(i64),
    }

    fn value() -> impl Strategy<Value = i64> {
        prop_oneof![
            20 => -20i64..20,
            1 => any::<i16>().prop_map(i64::from),
            1 => any::<i32>().prop_map(i64::from),
            1 => any::<i64>(),
            1 => prop::sample::select(vec![i64::MIN, i64::MAX, 32767, 32768, -32768, -32769, 1 << 31, -(1 << 31)]),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 6 } else { 256 }, failure_persistence: None, ..ProptestConfig::default()
        })]

        #[test]
        fn an_intset_is_an_ordered_set(steps in prop::collection::vec(prop_oneof![
            10 => value().prop_map(Step::Insert),
            5 => value().prop_map(Step::Remove),
            1 => (2i64..4).prop_map(Step::Retain),
        ], 0..200)) {
            let (mut set, mut model) = (Intset::new(), BTreeSet::new());
            for step in steps {
                match step {
                    Step::Insert(value) => prop_assert_eq!(set.insert(value), model.insert(value)),
                    Step::Remove(value) => prop_assert_eq!(set.remove(value), model.remove(&value)),
                    Step::Retain(n) => {
                        set.retain(|value| value % n != 0);
                        model.retain(|value| value % n != 0);
                    }
                }
                prop_assert!(set.iter().eq(model.iter().copied()));
                prop_assert_eq!(set.len(), model.len());
                prop_assert_eq!(set.min(), model.first().copied());
                prop_assert_eq!(set.max(), model.last().copied());
            }
            for value in model {
                prop_assert!(set.contains(value));
            }
        }
    }
}
