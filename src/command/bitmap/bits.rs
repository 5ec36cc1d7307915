//! Bits of plain bytes, a word at a time: how many are set, where the first is, and several strings
//! combined. Pure.

const WORD: usize = 8;

/// Strings are combined in blocks that stay in the nearest cache however many strings there are.
const BLOCK: usize = 8 * 1024;

/// Bits that are set.
pub fn count(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<WORD>();
    let words: u64 = words.iter().map(|word| u64::from_ne_bytes(*word).count_ones() as u64).sum();
    words + rest.iter().map(|byte| byte.count_ones() as u64).sum::<u64>()
}

/// Bits that are set from bit `from` to bit `to`, both included and inside.
pub fn count_between(bytes: &[u8], from: u64, to: u64) -> u64 {
    let (first, last) = ((from / 8) as usize, (to / 8) as usize);
    let before = bytes[first] & !(0xff >> (from % 8));
    let behind = bytes[last] & !(0xff << (7 - to % 8));
    count(&bytes[first..=last]) - (before.count_ones() + behind.count_ones()) as u64
}

/// The first bit that is `wanted` from bit `from` to bit `to`, both included and inside.
pub fn find_between(bytes: &[u8], wanted: bool, from: u64, to: u64) -> Option<u64> {
    let (first, last) = ((from / 8) as usize, (to / 8) as usize);
    // Turned so that a set bit is looked for; what is outside of the range is cleared.
    let turn = if wanted { 0 } else { 0xff };
    let head = (bytes[first] ^ turn) & 0xff >> (from % 8);
    let at = if head != 0 { first } else { first + 1 + skip(&bytes[first + 1..=last.max(first)], turn) };
    let byte = if at == first { head } else { bytes.get(at)? ^ turn };
    let found = at as u64 * 8 + byte.leading_zeros() as u64;
    (at <= last && byte != 0 && found <= to).then_some(found)
}

/// How many bytes at the front are just `byte`.
fn skip(bytes: &[u8], byte: u8) -> usize {
    let word = [byte; WORD];
    let words = bytes.as_chunks::<WORD>().0.iter().take_while(|found| **found == word).count();
    let rest = bytes[words * WORD..].iter().take_while(|found| **found == byte).count();
    words * WORD + rest
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    And,
    Or,
    Xor,
    Not,
}

/// Combines strings as if the shorter ones ended in zeros. NOT takes the first only.
pub fn combine(operation: Operation, strings: &[&[u8]]) -> Vec<u8> {
    let len = strings.iter().map(|string| string.len()).max().unwrap_or(0);
    let mut result = vec![0; len];
    for (block, at) in result.chunks_mut(BLOCK).zip((0..).step_by(BLOCK)) {
        let mut parts = strings.iter().map(|string| string.get(at..).unwrap_or_default());
        let first = parts.next().unwrap_or_default();
        let there = first.len().min(block.len());
        block[..there].copy_from_slice(&first[..there]);
        match operation {
            Operation::Not => block.iter_mut().for_each(|byte| *byte = !*byte),
            Operation::Or => parts.for_each(|part| each(block, part, |a, b| *a |= b)),
            Operation::Xor => parts.for_each(|part| each(block, part, |a, b| *a ^= b)),
            Operation::And => {
                for part in parts {
                    each(block, part, |a, b| *a &= b);
                    let end = part.len().min(block.len());
                    block[end..].fill(0);
                }
            }
        }
    }
    result
}

/// The compiler makes vectors of it.
#[inline(always)]
fn each(block: &mut [u8], part: &[u8], change: impl Fn(&mut u8, u8)) {
    block.iter_mut().zip(part).for_each(|(a, b)| change(a, *b));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bit(bytes: &[u8], at: u64) -> bool {
        bytes[(at / 8) as usize] >> (7 - at % 8) & 1 == 1
    }

    /// Mostly zeros or mostly ones, so that there is something to skip.
    fn string() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![8 => Just(0u8), 1 => any::<u8>()];
        (prop::collection::vec(byte, 1..60), any::<bool>())
            .prop_map(|(bytes, turned)| bytes.into_iter().map(|b| if turned { !b } else { b }).collect())
    }

    proptest! {
        #[test]
        fn ranges_of_bits_are_counted_and_searched(
            bytes in string(), wanted: bool, a: prop::sample::Index, b: prop::sample::Index,
        ) {
            let len = bytes.len() * 8;
            let (a, b) = (a.index(len) as u64, b.index(len) as u64);
            let (from, to) = (a.min(b), a.max(b));
            prop_assert_eq!(count_between(&bytes, from, to), (from..=to).filter(|at| bit(&bytes, *at)).count() as u64);
            prop_assert_eq!(count(&bytes), (0..len as u64).filter(|at| bit(&bytes, *at)).count() as u64);
            prop_assert_eq!(
                find_between(&bytes, wanted, from, to),
                (from..=to).find(|at| bit(&bytes, *at) == wanted)
            );
        }

        #[test]
        fn strings_are_combined_byte_by_byte(
            strings in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..5),
            long in prop::option::of(BLOCK - 20..BLOCK * 2 + 20),
        ) {
            let mut strings = strings;
            if let Some(long) = long {
                strings.push((0..long).map(|n| (n * 7) as u8).collect());
                let cut = strings[0].repeat(BLOCK / 16);
                strings[0] = cut;
            }
            let parts: Vec<&[u8]> = strings.iter().map(Vec::as_slice).collect();
            let len = parts.iter().map(|part| part.len()).max().unwrap();
            let byte = |part: &[u8], at: usize| part.get(at).copied().unwrap_or(0);
            for operation in [Operation::And, Operation::Or, Operation::Xor, Operation::Not] {
                let parts = if operation == Operation::Not { &parts[..1] } else { &parts[..] };
                let len = if operation == Operation::Not { parts[0].len() } else { len };
                let expected: Vec<u8> = (0..len).map(|at| {
                    let all = parts.iter().map(|part| byte(part, at));
                    match operation {
                        Operation::And => all.reduce(|a, b| a & b).unwrap(),
                        Operation::Or => all.reduce(|a, b| a | b).unwrap(),
                        Operation::Xor => all.reduce(|a, b| a ^ b).unwrap(),
                        Operation::Not => !byte(parts[0], at),
                    }
                }).collect();
                prop_assert_eq!(combine(operation, parts), expected);
            }
        }
    }
}
