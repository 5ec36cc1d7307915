//! Words with quotes: inline commands and lines of a configuration file are split here, and bytes are
//! made printable for MONITOR, logs and rewritten configuration. What `write_quoted` writes,
//! `split_words` reads back as the same bytes.

use super::num::is_space;
use std::ops::Range;

/// A quote that never closes, or a closing quote with something other than a space after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnbalancedQuotes;

/// Splits a line into words, appends their bytes to `text` and calls `word` with where each lies in
/// it (Redis: `sdssplitargs`).
///
/// In double quotes `\n \r \t \b \a \xHH` and `\` before any other byte work as escapes; in single
/// quotes only `\'`. Quotes may begin inside of a word; a closing quote ends it. A NUL ends the line.
pub fn split_words(
    line: &[u8],
    text: &mut Vec<u8>,
    mut word: impl FnMut(Range<usize>),
) -> Result<(), UnbalancedQuotes> {
    let line = memchr::memchr(0, line).map_or(line, |end| &line[..end]);
    let mut rest = line;
    loop {
        let blanks = rest.iter().take_while(|b| is_space(**b)).count();
        rest = &rest[blanks..];
        if rest.is_empty() {
            return Ok(());
        }
        let start = text.len();
        rest = one_word(rest, text)?;
        word(start..text.len());
    }
}

/// Appends the first word of `rest` and returns what follows it.
fn one_word<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        rest = match rest {
            [] | [b' ' | b'\n' | b'\r' | b'\t', ..] => return Ok(rest),
            [b'"', quoted @ ..] => return double_quoted(quoted, text),
            [b'\'', quoted @ ..] => return single_quoted(quoted, text),
            [byte, rest @ ..] => {
                text.push(*byte);
                rest
            }
        }
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        rest = match rest {
            [b'\\', b'x', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                text.push(hex_value(*high) << 4 | hex_value(*low));
                rest
            }
            [b'\\', escaped, rest @ ..] => {
                text.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                rest
            }
            [b'"', rest @ ..] => return closed(rest),
            [byte, rest @ ..] => {
                text.push(*byte);
                rest
            }
            [] => return Err(UnbalancedQuotes),
        }
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        rest = match rest {
            [b'\\', b'\'', rest @ ..] => {
                text.push(b'\'');
                rest
            }
            [b'\'', rest @ ..] => return closed(rest),
            [byte, rest @ ..] => {
                text.push(*byte);
                rest
            }
            [] => return Err(UnbalancedQuotes),
        }
    }
}

fn closed(rest: &[u8]) -> Result<&[u8], UnbalancedQuotes> {
    match rest.first() {
        Some(byte) if !is_space(*byte) => Err(UnbalancedQuotes),
        _ => Ok(rest),
    }
}

fn hex_value(digit: u8) -> u8 {
    (digit as char).to_digit(16).unwrap_or(0) as u8
}

/// Appends `bytes` in double quotes, everything unprintable escaped (Redis: `sdscatrepr`).
pub fn write_quoted(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => out.extend([b'\\', byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            7 => out.extend(b"\\a"),
            8 => out.extend(b"\\b"),
            b' '..=b'~' => out.push(byte),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend([b'\\', b'x', HEX[byte as usize >> 4], HEX[byte as usize & 15]]);
            }
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &[u8]) -> Result<Vec<Vec<u8>>, UnbalancedQuotes> {
        let (mut text, mut ranges) = (Vec::new(), Vec::new());
        split_words(line, &mut text, |range| ranges.push(range))?;
        Ok(ranges.into_iter().map(|range| text[range].to_vec()).collect())
    }

    fn split(line: &str) -> Vec<Vec<u8>> {
        words(line.as_bytes()).expect("balanced")
    }

    #[test]
    fn blanks_separate_and_quotes_join() {
        assert_eq!(split(""), Vec::<Vec<u8>>::new());
        assert_eq!(split(" \t \x0b\x0c "), Vec::<Vec<u8>>::new());
        assert_eq!(split("set  a\t b "), [b"set", &b"a"[..], b"b"]);
        assert_eq!(split("set 'a b' \"c d\""), [b"set", &b"a b"[..], b"c d"]);
        assert_eq!(split("''"), [b""]);
        assert_eq!(split("pre\"fix\" x"), [b"prefix", &b"x"[..]]);
        // Vertical tab and form feed are skipped before a word but do not end one.
        assert_eq!(split("a\x0bb"), [b"a\x0bb"]);
    }

    #[test]
    fn escapes_work_in_double_quotes_only() {
        assert_eq!(split(r#""\n\r\t\b\a\x41\x4g\q\"\\""#), [b"\n\r\t\x08\x07Ax4gq\"\\"]);
        assert_eq!(split(r"'\n\''"), [br"\n'"]);
        assert_eq!(split(r"\n\x41"), [br"\n\x41"]);
    }

    #[test]
    fn a_closing_quote_needs_a_space_after_it() {
        for line in ["\"a\"b", "'a'b", "\"a", "'a", "\"a\\", "\"a\"'b'", "x\""] {
            assert_eq!(words(line.as_bytes()), Err(UnbalancedQuotes), "{line}");
        }
        assert_eq!(split("\"a\"\x0bb"), [b"a", b"b"]);
    }

    #[test]
    fn a_nul_ends_the_line() {
        assert_eq!(words(b"a \0\"").unwrap(), [b"a"]);
    }

    #[test]
    fn quoted_text_is_printable() {
        let mut out = Vec::new();
        write_quoted(&mut out, b"a\\\"\n\r\t\x07\x08\x00\xff~");
        assert_eq!(out, br#""a\\\"\n\r\t\a\b\x00\xff~""#);
    }

    proptest! {
        #[test]
        fn what_is_quoted_splits_back(all in proptest::collection::vec(any::<Vec<u8>>(), 0..8)) {
            let mut line = Vec::new();
            for word in &all {
                write_quoted(&mut line, word);
                line.push(b' ');
            }
            prop_assert_eq!(words(&line).unwrap(), all);
        }

        #[test]
        fn no_line_panics(line in any::<Vec<u8>>()) {
            let _ = words(&line);
        }
    }
}
