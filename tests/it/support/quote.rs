//! Commands as text, quoted as `redis-cli` quotes: what a failing test prints can be pasted into
//! `redis-cli` and into a file of `tests/seeds`.

use super::{Bytes, Words};

/// The word as it is if that is unambiguous, otherwise in double quotes with escapes.
pub fn quote(word: &[u8]) -> String {
    let plain = |b: &u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'\'' | b'#');
    if !word.is_empty() && word.iter().all(plain) {
        return String::from_utf8(word.to_vec()).unwrap();
    }
    let mut out = String::from("\"");
    for byte in word {
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\r' => out.push_str("\\r"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b' '..=b'~' => out.push(*byte as char),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

pub fn line(words: &[Bytes]) -> String {
    words.iter().map(|w| quote(w)).collect::<Vec<_>>().join(" ")
}

/// Reads what `line` wrote.
pub fn parse(line: &str) -> Words {
    let bytes = line.as_bytes();
    let mut words = Vec::new();
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] == b' ' {
            i += 1;
        } else if bytes[i] == b'"' {
            let mut word = Vec::new();
            i += 1;
            while bytes[i] != b'"' {
                if bytes[i] != b'\\' {
                    word.push(bytes[i]);
                    i += 1;
                    continue;
                }
                let (byte, length) = match bytes[i + 1] {
                    b'x' => (u8::from_str_radix(&line[i + 2..i + 4], 16).expect("two hex digits"), 4),
                    b'r' => (b'\r', 2),
                    b'n' => (b'\n', 2),
                    b't' => (b'\t', 2),
                    other => (other, 2),
                };
                word.push(byte);
                i += length;
            }
            i += 1;
            words.push(word);
        } else {
            let end = line[i..].find(' ').map_or(bytes.len(), |at| i + at);
            words.push(bytes[i..end].to_vec());
            i = end;
        }
    }
    words
}

#[test]
fn what_is_quoted_reads_back() {
    let mut rng = super::Rng::new(7);
    for _ in 0..500 {
        let words: Words = (0..1 + rng.below(4))
            .map(|_| {
                let length = rng.below(12);
                rng.bytes(length)
            })
            .collect();
        assert_eq!(parse(&line(&words)), words, "{}", line(&words));
    }
    assert_eq!(line(&super::words("SET k v")), "SET k v");
}
