//! Values as they are written: byte strings, the line syntax of `redis.conf`, and numbers.
//!
//! Invariant: `split` after `quote` gives back the same bytes. Called by the file parser, CONFIG SET and
//! CONFIG REWRITE. Knows no parameter and no file.

use crate::base::quote::write_quoted;
use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A value that may hold any bytes: passwords, paths, patterns.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Vec<u8>);

impl Text {
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Text(bytes.into())
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// For messages and for values that are always plain text in practice; bad UTF-8 is replaced.
    pub fn to_str_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text(text.as_bytes().to_vec())
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_str_lossy(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_str_lossy())
    }
}

/// The quotes of a line do not pair up, or a closing quote is followed by something.
#[derive(Debug, PartialEq, Eq)]
pub struct Unbalanced;

/// C's `isspace`, which is what separates words.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Words of a line, taken one by one so that the caller may stop where a comment begins: a comment is
/// free text and its quotes need not pair up.
pub struct Words<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Words<'a> {
    pub fn new(line: &'a [u8]) -> Self {
        Words { line, at: 0 }
    }

    /// The first byte of the next word as written, quotes included, and all of the line from there.
    pub fn peek(&mut self) -> Option<&'a [u8]> {
        while self.at < self.line.len() && is_space(self.line[self.at]) {
            self.at += 1;
        }
        (self.at < self.line.len()).then(|| &self.line[self.at..])
    }

    pub fn next_word(&mut self) -> Result<Option<Vec<u8>>, Unbalanced> {
        if self.peek().is_none() {
            return Ok(None);
        }
        let mut word = Vec::new();
        // A quote may also begin in the middle of a word (`ab"c d"`); it always ends the word.
        while let Some(&byte) = self.line.get(self.at) {
            self.at += 1;
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => break,
                b'"' => {
                    self.double_quoted(&mut word)?;
                    break;
                }
                b'\'' => {
                    self.single_quoted(&mut word)?;
                    break;
                }
                _ => word.push(byte),
            }
        }
        Ok(Some(word))
    }

    fn double_quoted(&mut self, word: &mut Vec<u8>) -> Result<(), Unbalanced> {
        loop {
            match (self.byte(0)?, self.line.get(self.at + 1).copied()) {
                (b'"', after) => return self.close(after),
                (b'\\', Some(b'x')) if self.hex(2).is_some() && self.hex(3).is_some() => {
                    word.push(self.hex(2).unwrap_or(0) * 16 + self.hex(3).unwrap_or(0));
                    self.at += 4;
                }
                (b'\\', Some(escaped)) => {
                    word.push(match escaped {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'b' => 8,
                        b'a' => 7,
                        other => other,
                    });
                    self.at += 2;
                }
                (byte, _) => {
                    word.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    fn single_quoted(&mut self, word: &mut Vec<u8>) -> Result<(), Unbalanced> {
        loop {
            match (self.byte(0)?, self.line.get(self.at + 1).copied()) {
                (b'\'', after) => return self.close(after),
                (b'\\', Some(b'\'')) => {
                    word.push(b'\'');
                    self.at += 2;
                }
                (byte, _) => {
                    word.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    fn close(&mut self, after: Option<u8>) -> Result<(), Unbalanced> {
        self.at += 1;
        if after.is_none_or(is_space) { Ok(()) } else { Err(Unbalanced) }
    }

    fn byte(&self, ahead: usize) -> Result<u8, Unbalanced> {
        self.line.get(self.at + ahead).copied().ok_or(Unbalanced)
    }

    fn hex(&self, ahead: usize) -> Option<u8> {
        let digit = *self.line.get(self.at + ahead)? as char;
        digit.to_digit(16).map(|value| value as u8)
    }
}

/// All words of a line.
pub fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, Unbalanced> {
    let mut words = Words::new(line);
    let mut found = Vec::new();
    while let Some(word) = words.next_word()? {
        found.push(word);
    }
    Ok(found)
}

/// A word in double quotes that `split` reads back as `bytes`.
pub fn quote(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_quoted(&mut out, bytes);
    out
}

/// A decimal integer without sign tricks or leading zeros (Redis: `string2ll`).
pub fn strict_integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let plain = match digits {
        [] => false,
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if plain { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}

/// An integer as C's `strtoll` reads a whole string: blanks and a sign before it, nothing after it, and the
/// empty string is 0. Too large a number stops at the limits of 64 bits.
pub fn lenient_integer(text: &[u8], radix: u32) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let text = &text[text.iter().take_while(|&&byte| is_space(byte)).count()..];
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value: i64 = 0;
    for &digit in digits {
        let digit = i64::from((digit as char).to_digit(radix)?);
        value = value.saturating_mul(i64::from(radix)).saturating_add(digit);
    }
    Some(if negative { -value } else { value })
}

/// `100`, `1k` (1000), `1kb` (1024), `5mb`, `2gb`; the unit in any case. Digits past 64 bits stop at the limit, as
/// in Redis; a unit that carries the value past it is refused (Redis: wraps around).
pub fn memory(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    let mut value: u64 = 0;
    for &digit in number {
        value = value.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    }
    value.checked_mul(factor)
}

/// The shortest spelling of a size that `memory` reads back.
pub fn write_memory(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "gb"), (1 << 20, "mb"), (1 << 10, "kb")] {
        if bytes != 0 && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &str) -> Vec<String> {
        split(line.as_bytes())
            .unwrap()
            .into_iter()
            .map(|w| String::from_utf8_lossy(&w).into_owned())
            .collect()
    }

    #[test]
    fn words_and_quotes_as_redis_splits_them() {
        assert_eq!(words("  save  900 1 "), ["save", "900", "1"]);
        assert_eq!(words(r#"a "b c" 'd e' """#), ["a", "b c", "d e", ""]);
        assert_eq!(words(r#"x "\x41\n\"\q" 'it\'s'"#), ["x", "A\n\"q", "it's"]);
        assert_eq!(words(r#"ab"c d" e"#), ["abc d", "e"]);
        for bad in [r#""a"#, "'a", r#""a"b"#, "'a'b", r#""a\"#] {
            assert_eq!(split(bad.as_bytes()), Err(Unbalanced), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("1", 1), ("1b", 1), ("2k", 2000), ("2KB", 2048), ("3m", 3_000_000), ("2Gb", 2 << 30)]
        {
            assert_eq!(memory(text.as_bytes()), Some(bytes));
        }
        for bad in ["-1", "1tb", "x", "1 mb", "99999999999999999999k", "99999999999999gb"] {
            assert_eq!(memory(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(write_memory(64 << 20), "64mb");
        assert_eq!(write_memory(0), "0");
        assert_eq!(write_memory(1000), "1000");
    }

    #[test]
    fn integers() {
        assert_eq!(strict_integer(b"-12"), Some(-12));
        for bad in ["", "-", "-0", "007", "+1", " 1", "1 ", "9223372036854775808"] {
            assert_eq!(strict_integer(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(lenient_integer(b" +7", 10), Some(7));
        assert_eq!(lenient_integer(b"", 10), Some(0));
        assert_eq!(lenient_integer(b"0700", 8), Some(448));
        assert_eq!(lenient_integer(b"8", 8), None);
        assert_eq!(lenient_integer(b"1x", 10), None);
    }

    proptest! {
        #[test]
        fn quote_then_split_gives_the_same_bytes(values in proptest::collection::vec(any::<Vec<u8>>(), 0..5)) {
            let line = values.iter().map(|value| quote(value)).collect::<Vec<_>>().join(&b' ');
            prop_assert_eq!(split(&line), Ok(values));
        }

        #[test]
        fn any_line_splits_or_is_refused(line in any::<Vec<u8>>()) {
            let _ = split(&line);
        }

        #[test]
        fn memory_reads_what_it_wrote(bytes in any::<u64>()) {
            prop_assert_eq!(memory(write_memory(bytes).as_bytes()), Some(bytes));
        }
    }
}
