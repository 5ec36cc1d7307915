//! Numbers as Redis reads and writes them, byte for byte: what a client may send as an integer or a
//! float, and what it gets back. Every command that takes or shows a number comes through here, so
//! that "value is not an integer or out of range" means the same everywhere.
//!
//! Nothing here depends on a locale, and nothing accepts what Redis refuses: a string that Redis
//! would not store as `int` must not become one here, or `OBJECT ENCODING` and `SETRANGE` differ.

mod long_double;

pub use long_double::{IncrFloatError, LongDouble, add_long_double};

/// A signed integer in its one canonical spelling: no `+`, no leading zero, no space, no `-0`
/// (Redis: `string2ll`). What this accepts prints back as the same bytes.
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    match text {
        [b'-', digits @ ..] => match parse_u64(digits)? {
            0 => None,
            magnitude if magnitude <= 1 << 63 => Some((magnitude as i64).wrapping_neg()),
            _ => None,
        },
        digits => parse_u64(digits)?.try_into().ok(),
    }
}

/// An unsigned integer in its one canonical spelling, the full 64 bits.
#[inline]
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    match text {
        [digit @ b'0'..=b'9'] => Some((digit - b'0') as u64),
        [b'1'..=b'9', ..] if text.len() <= 20 => {
            // 19 digits cannot overflow; only the twentieth needs a check.
            let (head, last) = text.split_at(text.len().min(19));
            let mut value = 0u64;
            for digit in head {
                value = value * 10 + ascii_digit(*digit)?;
            }
            match last {
                [] => Some(value),
                [digit, ..] => value.checked_mul(10)?.checked_add(ascii_digit(*digit)?),
            }
        }
        _ => None,
    }
}

/// An unsigned integer as `strtoull` takes it: leading spaces, a sign and leading zeros are allowed,
/// and a negative number that is not canonical wraps (Redis: `string2ull`; the parts of a stream ID).
pub fn parse_u64_lenient(text: &[u8]) -> Option<u64> {
    if let Some(value) = parse_i64(text) {
        return value.try_into().ok();
    }
    let text = skip_spaces(text);
    let (negative, digits) = split_sign(text);
    if digits.is_empty() {
        return None;
    }
    let mut value = 0u64;
    for digit in digits {
        value = value.checked_mul(10)?.checked_add(ascii_digit(*digit)?)?;
    }
    Some(if negative { value.wrapping_neg() } else { value })
}

/// A double as Redis takes it from a client: decimal, hexadecimal (`0x1.8p3`) or an infinity by name.
/// Refused: NaN, spaces, trailing bytes, the empty string, and finite text whose value overflows or
/// vanishes (Redis: `getDoubleFromObject`).
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    if let Some(value) = small_integer(text) {
        return Some(value);
    }
    let value = read_f64(text)?;
    let lost = value == 0.0 && !mantissa_is_zero(text);
    let overflowed = value.is_infinite() && !names_infinity(text);
    (!value.is_nan() && !lost && !overflowed).then_some(value)
}

/// A double as a bare `strtod` takes it: leading spaces are skipped, an empty text is 0, and out of
/// range becomes an infinity or 0. Only score ranges are read like this (`ZRANGEBYSCORE z ( 1e999`);
/// NaN is refused.
pub fn parse_f64_lenient(text: &[u8]) -> Option<f64> {
    if text.is_empty() {
        return Some(0.0);
    }
    read_f64(skip_spaces(text)).filter(|value| !value.is_nan())
}

fn read_f64(text: &[u8]) -> Option<f64> {
    // The standard library's grammar for decimals and names is strtod's without hexadecimals and
    // leading spaces.
    let ascii = std::str::from_utf8(text).ok()?;
    ascii.parse().ok().or_else(|| HexFloat::parse(text).map(|hex| hex.to_f64()))
}

/// Scores and increments are mostly short integers.
#[inline]
fn small_integer(text: &[u8]) -> Option<f64> {
    if text.len() > 15 {
        return None;
    }
    parse_i64(text).map(|n| n as f64)
}

fn mantissa_is_zero(text: &[u8]) -> bool {
    let hex = matches!(split_sign(text).1, [b'0', b'x' | b'X', ..]);
    let exponent: &[u8] = if hex { b"pP" } else { b"eE" };
    let mantissa = text.iter().take_while(|b| !exponent.contains(b));
    mantissa.filter(|b| b.is_ascii_hexdigit()).all(|b| *b == b'0')
}

fn names_infinity(text: &[u8]) -> bool {
    matches!(split_sign(text).1, [b'i' | b'I', ..])
}

fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    }
}

/// C's `isspace` in the C locale.
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn skip_spaces(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|b| is_space(**b)).count();
    &text[spaces..]
}

#[inline]
fn ascii_digit(byte: u8) -> Option<u64> {
    let digit = byte.wrapping_sub(b'0');
    (digit < 10).then_some(digit as u64)
}

/// A hexadecimal float, exact but for a sticky bit: `mantissa * 2^exponent`, and a little more if
/// `sticky`.
struct HexFloat {
    negative: bool,
    mantissa: u128,
    exponent: i64,
    sticky: bool,
}

impl HexFloat {
    fn parse(text: &[u8]) -> Option<HexFloat> {
        let (negative, rest) = split_sign(text);
        let [b'0', b'x' | b'X', rest @ ..] = rest else { return None };
        let mut hex = HexFloat { negative, mantissa: 0, exponent: 0, sticky: false };
        let (mut digits, mut point, mut at) = (0, false, 0);
        while let Some(&byte) = rest.get(at) {
            match (byte as char).to_digit(16) {
                Some(digit) => {
                    digits += 1;
                    hex.push(digit, point);
                }
                None if byte == b'.' && !point => point = true,
                None => break,
            }
            at += 1;
        }
        if digits == 0 {
            return None;
        }
        match &rest[at..] {
            [] => {}
            [b'p' | b'P', power @ ..] => hex.exponent += parse_exponent(power)?,
            _ => return None,
        }
        Some(hex)
    }

    fn push(&mut self, digit: u32, after_point: bool) {
        if self.mantissa >> 120 == 0 {
            self.mantissa = self.mantissa << 4 | digit as u128;
            self.exponent -= if after_point { 4 } else { 0 };
        } else {
            self.sticky |= digit != 0;
            self.exponent += if after_point { 0 } else { 4 };
        }
    }

    fn to_f64(&self) -> f64 {
        let bits = 128 - self.mantissa.leading_zeros() as i64;
        let (mantissa, unit) = round_half_even(
            self.mantissa,
            self.exponent,
            self.sticky,
            (self.exponent + bits - 53).max(f64::MIN_EXP as i64 - 53),
        );
        if mantissa == 0 {
            return if self.negative { -0.0 } else { 0.0 };
        }
        // A carry out of the mantissa lands in the exponent, where it belongs.
        let magnitude = match unit + 1075 {
            1..2047 if mantissa >> 52 != 0 => {
                f64::from_bits((((unit + 1075) as u64) << 52) + (mantissa - (1 << 52)))
            }
            1 => f64::from_bits(mantissa),
            _ => f64::INFINITY,
        };
        if self.negative { -magnitude } else { magnitude }
    }
}

/// The digits of an exponent with their sign, saturated far outside of any float's range.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = split_sign(text);
    if digits.is_empty() {
        return None;
    }
    let mut value = 0i64;
    for digit in digits {
        value = (value * 10 + ascii_digit(*digit)? as i64).min(1 << 40);
    }
    Some(if negative { -value } else { value })
}

/// `mantissa * 2^exponent` (plus a little if `sticky`) as a multiple of `2^unit`, ties to even. The
/// caller picks `unit` so that the result has at most 64 bits before it is rounded; a carry may make
/// it `1 << 64`, which is returned as `1 << 63` with a larger unit. `sticky` needs `unit > exponent`.
fn round_half_even(mantissa: u128, exponent: i64, sticky: bool, unit: i64) -> (u64, i64) {
    let drop = unit - exponent;
    if drop <= 0 {
        debug_assert!(!sticky);
        let shift = (-drop).min(127) as u32;
        return ((mantissa << shift) as u64, unit);
    }
    if drop > 128 {
        return (0, unit);
    }
    let half = 1u128 << (drop - 1);
    let below = mantissa & (half - 1) != 0 || sticky;
    let mut kept = mantissa.checked_shr(drop as u32).unwrap_or(0);
    if mantissa & half != 0 && (below || kept & 1 == 1) {
        kept += 1;
    }
    if kept >> 64 != 0 { ((kept >> 1) as u64, unit + 1) } else { (kept as u64, unit) }
}

/// Room for a double's text: a sign, 17 digits, a point, three zeros after it or `e-308`.
const DOUBLE_TEXT_MAX: usize = 32;

/// A double as text, on the stack.
#[derive(Clone, Copy)]
pub struct DoubleText {
    bytes: [u8; DOUBLE_TEXT_MAX],
    len: u8,
}

impl DoubleText {
    /// The text Redis 7.0 sends for a double: C's `%.17g`, so 0.1 is `0.10000000000000001`, 3.0 is
    /// `3` and 1e20 is `1e+20`; `inf`, `-inf`, `nan`.
    pub fn new(value: f64) -> DoubleText {
        let mut text = DoubleText { bytes: [0; DOUBLE_TEXT_MAX], len: 0 };
        if value.is_nan() {
            text.push(b"nan");
        } else if value.is_infinite() {
            text.push(if value > 0.0 { b"inf" } else { b"-inf" });
        } else if value.trunc() == value && value.abs() < 1e17 {
            if value == 0.0 && value.is_sign_negative() {
                text.push(b"-");
            }
            text.push(itoa::Buffer::new().format(value as i64).as_bytes());
        } else {
            text.general(value);
        }
        text
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len as usize]
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// `%.17g` of a finite number that is not a short integer.
    fn general(&mut self, value: f64) {
        use std::fmt::Write as _;
        let mut scientific = DoubleText { bytes: [0; DOUBLE_TEXT_MAX], len: 0 };
        let _ = write!(scientific, "{:.16e}", value.abs());
        let (mantissa, exponent) = scientific.as_str().split_once('e').unwrap_or_default();
        let exponent: i32 = exponent.parse().unwrap_or_default();
        let mut digits = [b'0'; 17];
        mantissa.bytes().filter(u8::is_ascii_digit).zip(&mut digits).for_each(|(b, d)| *d = b);
        let significant = 17 - digits.iter().rev().take_while(|b| **b == b'0').count();
        let digits = &digits[..significant.max(1)];

        if value < 0.0 {
            self.push(b"-");
        }
        match exponent {
            0..17 => {
                let whole = exponent as usize + 1;
                if digits.len() <= whole {
                    self.push(digits);
                    self.push(&[b'0'; 17][..whole - digits.len()]);
                } else {
                    self.push(&digits[..whole]);
                    self.push(b".");
                    self.push(&digits[whole..]);
                }
            }
            -4..0 => {
                self.push(&b"0.000"[..1 + (-exponent) as usize]);
                self.push(digits);
            }
            _ => {
                self.push(&digits[..1]);
                if digits.len() > 1 {
                    self.push(b".");
                    self.push(&digits[1..]);
                }
                let _ = write!(self, "e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
            }
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let from = self.len as usize;
        self.bytes[from..from + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len() as u8;
    }
}

impl std::fmt::Write for DoubleText {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        self.push(s.as_bytes());
        Ok(())
    }
}

/// A double as Redis 7.0 prints it in replies (see [`DoubleText::new`]).
pub fn write_double(out: &mut String, value: f64) {
    out.push_str(DoubleText::new(value).as_str());
}

/// Bytes as INFO's `*_human` fields show them: `512B`, `1.23M`; from a petabyte on, plain again above
/// 1024P.
pub fn bytes_human(bytes: u64) -> String {
    const UNITS: [char; 5] = ['K', 'M', 'G', 'T', 'P'];
    let magnitude = (63 - (bytes | 1).leading_zeros()) as usize / 10;
    match magnitude.checked_sub(1).and_then(|unit| UNITS.get(unit)) {
        Some(unit) => format!("{:.2}{unit}", bytes as f64 / (1u64 << (10 * magnitude)) as f64),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests;
