//! LZF, the compression of Redis's formats: short runs of literal bytes, and copies of what came up to 8 KiB
//! before. Fast, and modest in what it saves.
//!
//! ```text
//! 000lllll                     l + 1 literal bytes follow                      1 to 32
//! llloooooo oooooooo           l + 2 bytes from o + 1 before                   l from 1 to 6
//! 111ooooo llllllll oooooooo   l + 9 bytes from o + 1 before
//! ```
//!
//! The format is Marc Lehmann's (liblzf); any compressor's output may be read by any decompressor, so ours need
//! not make the same choices as Redis's. Safe code alone; input may be anything. Called by `structure::list` and
//! `snapshot`.

/// Positions that are remembered by what stands there; fewer for short texts, which would not fill them.
const SLOTS_LOG: u32 = 12;
const SLOTS_LOG_MIN: u32 = 6;
const LITERALS_MAX: usize = 32;
const OFFSET_MAX: usize = 1 << 13;
const MATCH_MIN: usize = 3;
const MATCH_MAX: usize = (1 << 8) + 8;
/// Bytes that are reserved for each byte that is opened.
const RESERVED_RATIO: usize = 4;

/// A place where these three bytes may have stood before.
#[inline]
fn slot(bytes: [u8; 3], slots_log: u32) -> usize {
    let word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]);
    (word.wrapping_mul(0x9e37_79b1) >> (32 - slots_log)) as usize
}

/// Compresses, unless that takes `max` bytes or more.
pub fn compress(input: &[u8], max: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(input.len().min(max));
    // Where each triple was seen last, plus one.
    let slots_log = (input.len().max(1).ilog2() + 1).clamp(SLOTS_LOG_MIN, SLOTS_LOG);
    let mut seen = vec![0u32; 1 << slots_log];
    let (mut at, mut literals) = (0, 0);
    while let Some(triple) = input[at..].first_chunk::<3>() {
        let before = std::mem::replace(&mut seen[slot(*triple, slots_log)], at as u32 + 1) as usize;
        let offset = at.wrapping_add(1).wrapping_sub(before);
        if before == 0 || offset > OFFSET_MAX || input[before - 1..before + 2] != *triple {
            at += 1;
            continue;
        }
        let longest = (input.len() - at).min(MATCH_MAX);
        let same = |n: &usize| input[at + n] == input[before - 1 + n];
        let len = (MATCH_MIN..longest).find(|n| !same(n)).unwrap_or(longest);
        write_literals(&mut out, &input[literals..at]);
        let (short, back) = (len - 2, offset - 1);
        out.push((short.min(7) << 5 | back >> 8) as u8);
        if short >= 7 {
            out.push((short - 7) as u8);
        }
        out.push(back as u8);
        // What lies in the match is found again, too.
        for within in at + 1..at + len {
            let Some(triple) = input[within..].first_chunk::<3>() else { break };
            seen[slot(*triple, slots_log)] = within as u32 + 1;
        }
        at += len;
        literals = at;
        if out.len() >= max {
            return None;
        }
    }
    write_literals(&mut out, &input[literals..]);
    (out.len() < max).then_some(out)
}

fn write_literals(out: &mut Vec<u8>, literals: &[u8]) {
    for run in literals.chunks(LITERALS_MAX) {
        out.push((run.len() - 1) as u8);
        out.extend_from_slice(run);
    }
}

/// What was compressed, if it is that and has exactly `len` bytes.
pub fn decompress(input: &[u8], len: usize) -> Option<Vec<u8>> {
    // A wrong length reserves nothing large; what does become more than this grows as it comes.
    let mut out = Vec::with_capacity(len.min(input.len().saturating_mul(RESERVED_RATIO)));
    let mut rest = input.iter();
    while let Some(head) = rest.next() {
        let head = *head as usize;
        if head < LITERALS_MAX {
            let run = rest.as_slice().get(..head + 1)?;
            out.extend_from_slice(run);
            rest = rest.as_slice()[head + 1..].iter();
        } else {
            let more = if head >> 5 == 7 { *rest.next()? as usize } else { 0 };
            let count = (head >> 5) + 2 + more;
            let offset = ((head & 0x1f) << 8 | *rest.next()? as usize) + 1;
            let from = out.len().checked_sub(offset)?;
            if offset >= count {
                out.extend_from_within(from..from + count);
            } else {
                // What is copied is part of what is written.
                (from..from + count).for_each(|at| out.push(out[at]));
            }
        }
        if out.len() > len {
            return None;
        }
    }
    (out.len() == len).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(input: &[u8]) -> Option<Vec<u8>> {
        let (mut out, mut at) = (Vec::new(), 0);
        while at < input.len() {
            let head = input[at] as usize;
            at += 1;
            if head < 32 {
                for _ in 0..=head {
                    out.push(*input.get(at)?);
                    at += 1;
                }
                continue;
            }
            let mut count = (head >> 5) + 2;
            if count == 9 {
                count += *input.get(at)? as usize;
                at += 1;
            }
            let offset = (head & 31) * 256 + *input.get(at)? as usize + 1;
            at += 1;
            for _ in 0..count {
                let byte = *out.get(out.len().checked_sub(offset)?)?;
                out.push(byte);
            }
        }
        Some(out)
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..400),
            prop::collection::vec(0..3u8, 0..2000),
            (0..3000usize, any::<u8>()).prop_map(|(n, byte)| vec![byte; n]),
            prop::collection::vec(prop::sample::select(vec!["element:", "0001", "value", "x"]), 0..300)
                .prop_map(|words| words.concat().into_bytes()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 12 } else { 256 }, failure_persistence: None, ..ProptestConfig::default()
        })]
        #[test]
        fn what_was_compressed_comes_back(text in text()) {
            let packed = compress(&text, usize::MAX).unwrap();
            prop_assert_eq!(decompress(&packed, text.len()), Some(text.clone()));
            prop_assert_eq!(naive(&packed), Some(text.clone()));
            prop_assert_eq!(compress(&text, packed.len()), None);
            prop_assert_eq!(compress(&text, packed.len() + 1), Some(packed.clone()));
            prop_assert_eq!(decompress(&packed, text.len() + 1), None);
            if !text.is_empty() {
                prop_assert_eq!(decompress(&packed, text.len() - 1), None);
            }
        }

        /// Whatever bytes come, both readers agree about them.
        #[test]
        fn any_input_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            match naive(&bytes) {
                Some(text) => prop_assert_eq!(decompress(&bytes, text.len()), Some(text)),
                None => for len in [0, 1, 10, 100, 1000] {
                    prop_assert_eq!(decompress(&bytes, len), None);
                },
            }
        }
    }

    #[test]
    fn far_repetitions_are_found_up_to_their_limit() {
        for gap in [8_000, 8_189, 8_190, 8_192, 9_000] {
            let mut text = b"a sentence that comes again".to_vec();
            text.extend((0..gap as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8));
            text.extend_from_slice(b"a sentence that comes again");
            let packed = compress(&text, usize::MAX).unwrap();
            assert_eq!(decompress(&packed, text.len()), Some(text), "{gap}");
        }
        assert_eq!(compress(b"", 1), Some(Vec::new()));
    }

    /// As redis-server 7.0.15 writes it (DUMP of the string).
    #[test]
    fn redis_s_own_is_read() {
        assert_eq!(decompress(REDIS, 200).as_deref(), Some(&b"0123456789".repeat(20)[..]));
    }
    const REDIS: &[u8] = &[
        0x0a, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x30, 0xe0, 0xb2, 0x09, 0x01, 0x38,
        0x39,
    ];
}
