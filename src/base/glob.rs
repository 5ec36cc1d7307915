//! Glob patterns as KEYS, SCAN, PSUBSCRIBE and CONFIG GET use them: `*`, `?`, `[a-z]`,
//! `[^a-z]`, and `\` to take the next byte as it is.
//!
//! The invariant: the answer is Redis's for every pattern and text, however odd (ranges written
//! backwards, classes that never close, the empty text that not even `*` matches), in time bounded by
//! pattern times text. A failed match goes back to the last `*` only, which suffices because every
//! other element takes exactly one byte.

use std::borrow::Cow;

/// A pattern with more runs of `*` than this (the last byte's aside) matches nothing, as in Redis.
const STARS_MAX: usize = 1000;

/// Whether `pattern` matches the whole of `text`. `nocase` folds ASCII letters.
pub fn matches(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
    // Not even `*` matches the empty text; callers that list everything ask `is_all` first.
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut p, mut t) = (0, 0);
    let mut stars = 0;
    // Where to go on when what follows the last `*` fails: that part of the pattern, and the first
    // byte of the text it has not been tried on.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if t == text.len() && pattern[p..].iter().all(|b| *b == b'*') {
            return true;
        }
        if t < text.len() && p < pattern.len() {
            if pattern[p] == b'*' {
                p += pattern[p..].iter().take_while(|b| **b == b'*').count();
                stars += 1;
                if p == pattern.len() {
                    return true;
                }
                if stars > STARS_MAX {
                    return false;
                }
                retry = Some((p, t));
                match seek(&pattern[p..], text, t, nocase) {
                    Some(at) => t = at,
                    None => return false,
                }
                retry = retry.map(|(p, _)| (p, t + 1));
                continue;
            }
            let (fits, len) = one(&pattern[p..], text[t], nocase);
            if fits {
                p += len;
                t += 1;
                continue;
            }
        }
        // A text used up too early cannot be helped by starting later.
        let Some((from, at)) = retry.filter(|_| t < text.len()) else { return false };
        let Some(at) = seek(&pattern[from..], text, at, nocase) else { return false };
        (p, t) = (from, at);
        retry = Some((from, at + 1));
    }
}

/// The first place at or after `from` where an element that is a plain byte can match; `from` itself
/// for any other element. Nothing if the text ends before.
fn seek(pattern: &[u8], text: &[u8], from: usize, nocase: bool) -> Option<usize> {
    let rest = text.get(from..).filter(|rest| !rest.is_empty())?;
    match pattern[0] {
        b'?' | b'[' | b'\\' => Some(from),
        byte if nocase && byte.is_ascii_alphabetic() => {
            let (lower, upper) = (byte.to_ascii_lowercase(), byte.to_ascii_uppercase());
            memchr::memchr2(lower, upper, rest).map(|at| from + at)
        }
        byte => memchr::memchr(byte, rest).map(|at| from + at),
    }
}

/// Whether the pattern's first element (not a `*`) takes `byte`, and the element's length.
#[inline]
fn one(pattern: &[u8], byte: u8, nocase: bool) -> (bool, usize) {
    match pattern {
        [b'?', ..] => (true, 1),
        [b'[', class @ ..] => {
            let (fits, len) = in_class(class, byte, nocase);
            (fits, len + 1)
        }
        [b'\\', escaped, ..] => (same(*escaped, byte, nocase), 2),
        [literal, ..] => (same(*literal, byte, nocase), 1),
        [] => (false, 0),
    }
}

#[inline]
fn same(a: u8, b: u8, nocase: bool) -> bool {
    a == b || nocase && a.eq_ignore_ascii_case(&b)
}

/// Whether a class (what follows its `[`) takes `byte`, and its length with the closing bracket. The
/// end of the pattern closes an open class.
fn in_class(class: &[u8], byte: u8, nocase: bool) -> (bool, usize) {
    let negated = class.first() == Some(&b'^');
    let mut at = negated as usize;
    let mut found = false;
    loop {
        match &class[at..] {
            [] => break,
            // An escaped byte is compared as it is, even where case does not count.
            [b'\\', escaped, ..] => {
                found |= *escaped == byte;
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [from, b'-', to, ..] => {
                found |= in_range(*from, *to, byte, nocase);
                at += 3;
            }
            [literal, ..] => {
                found |= same(*literal, byte, nocase);
                at += 1;
            }
        }
    }
    (found != negated, at)
}

/// Bytes compare as C's signed `char`, unless case is folded: glibc's `tolower` makes bytes above 127
/// positive again, all but 255. The ends change places before they are folded, so `[Z-a]` without case
/// is empty.
fn in_range(from: u8, to: u8, byte: u8, nocase: bool) -> bool {
    let (from, to) = (from as i8, to as i8);
    let order = |b: u8| match b {
        255 => -1,
        _ if nocase => b.to_ascii_lowercase() as i32,
        _ => b as i8 as i32,
    };
    let (low, high) = (from.min(to) as u8, from.max(to) as u8);
    (order(low)..=order(high)).contains(&order(byte))
}

/// The bytes every match must begin with: the pattern up to its first special byte, unescaped. A
/// walk over sorted names can start there.
pub fn literal_prefix(pattern: &[u8]) -> Cow<'_, [u8]> {
    let plain = pattern.iter().take_while(|b| !matches!(b, b'*' | b'?' | b'[' | b'\\')).count();
    if pattern.get(plain) != Some(&b'\\') {
        return Cow::Borrowed(&pattern[..plain]);
    }
    let mut prefix = pattern[..plain].to_vec();
    let mut rest = &pattern[plain..];
    loop {
        rest = match rest {
            [] | [b'*' | b'?' | b'[', ..] => return Cow::Owned(prefix),
            [b'\\', escaped, rest @ ..] => {
                prefix.push(*escaped);
                rest
            }
            [literal, rest @ ..] => {
                prefix.push(*literal);
                rest
            }
        }
    }
}

/// Whether a listing needs no match at all (Redis: `KEYS *`, `SCAN ... MATCH *`). Only the lone star:
/// `**` leaves the empty key out.
pub fn is_all(pattern: &[u8]) -> bool {
    pattern == b"*"
}

/// Whether the pattern is a plain name: no byte of it is special.
pub fn is_literal(pattern: &[u8]) -> bool {
    !pattern.iter().any(|b| matches!(b, b'*' | b'?' | b'[' | b'\\'))
}

#[cfg(test)]
mod tests;
