//! INCRBYFLOAT arithmetic without a long double: the x87 80-bit format (64 significant bits, 15 bits
//! of exponent) that Redis computes with on x86-64, in integers.
//!
//! Reading, adding and printing are each exact and then rounded once, ties to even, as glibc and the
//! FPU do; so results equal Redis's on x86-64 Linux bit for bit. They differ from a Redis built where
//! `long double` is something else (AArch64: 113 bits; musl or MSVC: as the platform has it): there
//! the 17th decimal may.

use super::{HexFloat, parse_exponent, round_half_even, split_sign};

/// The unit of the smallest denormal, and the largest exponent of a leading bit.
const UNIT_MIN: i64 = -16445;
const LEADING_MAX: i64 = 16383;

/// Longer text is refused before it is read (Redis: `MAX_LONG_DOUBLE_CHARS`).
const TEXT_MAX: usize = 5 * 1024;

/// Why an increment was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncrFloatError {
    NotAFloat,
    NotFinite,
}

impl IncrFloatError {
    /// Its text without the `ERR ` code.
    pub fn text(self) -> &'static str {
        match self {
            IncrFloatError::NotAFloat => "value is not a valid float",
            IncrFloatError::NotFinite => "increment would produce NaN or Infinity",
        }
    }
}

/// `current + increment` as INCRBYFLOAT and HINCRBYFLOAT store and answer it: `%.17Lf` without
/// trailing zeros.
pub fn add_long_double(current: &[u8], increment: &[u8]) -> Result<String, IncrFloatError> {
    let current = LongDouble::parse(current).ok_or(IncrFloatError::NotAFloat)?;
    let increment = LongDouble::parse(increment).ok_or(IncrFloatError::NotAFloat)?;
    let sum = current.plus(increment).ok_or(IncrFloatError::NotFinite)?;
    Ok(sum.to_text())
}

/// An 80-bit float that is not NaN: `significand * 2^unit`, or an infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongDouble {
    negative: bool,
    infinite: bool,
    /// Zero, or with its top bit set unless the number is denormal.
    significand: u64,
    unit: i64,
}

impl LongDouble {
    const ZERO: LongDouble = LongDouble { negative: false, infinite: false, significand: 0, unit: UNIT_MIN };

    /// What Redis accepts as a long double: `parse_f64`'s grammar, with the larger range.
    pub fn parse(text: &[u8]) -> Option<LongDouble> {
        if text.len() >= TEXT_MAX {
            return None;
        }
        if let Some(hex) = HexFloat::parse(text) {
            let value = LongDouble::round(hex.negative, hex.mantissa, hex.exponent, hex.sticky);
            let lost = value.significand == 0 && hex.mantissa != 0;
            return (!value.infinite && !lost).then_some(value);
        }
        let (negative, rest) = split_sign(text);
        if rest.eq_ignore_ascii_case(b"inf") || rest.eq_ignore_ascii_case(b"infinity") {
            return Some(LongDouble { negative, infinite: true, ..LongDouble::ZERO });
        }
        let decimal = Decimal::parse(rest)?;
        if decimal.digits.is_empty() {
            return Some(LongDouble { negative, ..LongDouble::ZERO });
        }
        let (mantissa, exponent, sticky) = decimal.to_binary()?;
        let value = LongDouble::round(negative, mantissa, exponent, sticky);
        (!value.infinite && value.significand != 0).then_some(value)
    }

    pub fn is_infinite(self) -> bool {
        self.infinite
    }

    /// The sum, or nothing where it would be an infinity or NaN.
    pub fn plus(self, other: LongDouble) -> Option<LongDouble> {
        if self.infinite || other.infinite {
            return None;
        }
        let smaller_first = (self.unit, self.significand) <= (other.unit, other.significand);
        let (small, large) = if smaller_first { (self, other) } else { (other, self) };
        // The larger unit is the larger number (only denormals and zero, of the smallest unit, lack
        // the top bit). 63 bits below it keep every digit that rounding may ask for.
        let distance = large.unit - small.unit;
        let a = (large.significand as u128) << 63;
        let wide = (small.significand as u128) << 63;
        let b = if distance < 128 { wide >> distance } else { 0 };
        let sticky = if distance < 128 { b << distance != wide } else { wide != 0 };
        let sum = if large.negative == small.negative {
            LongDouble::round(large.negative, a + b, large.unit - 63, sticky)
        } else {
            // What was cut off below takes one more away; the sticky bit stands for the rest of it.
            LongDouble::round(large.negative, a - b - sticky as u128, large.unit - 63, sticky)
        };
        (!sum.infinite).then_some(sum)
    }

    fn round(negative: bool, mantissa: u128, exponent: i64, sticky: bool) -> LongDouble {
        if mantissa == 0 {
            return LongDouble { negative, ..LongDouble::ZERO };
        }
        let bits = 128 - mantissa.leading_zeros() as i64;
        let unit = (exponent + bits - 64).max(UNIT_MIN);
        let (significand, unit) = round_half_even(mantissa, exponent, sticky, unit);
        let infinite = unit + 63 > LEADING_MAX;
        LongDouble { negative, infinite, significand, unit }
    }

    /// `%.17Lf` without trailing zeros, a zero never negative.
    pub fn to_text(self) -> String {
        if self.infinite {
            return if self.negative { "-inf" } else { "inf" }.into();
        }
        let mut text = String::new();
        if self.negative {
            text.push('-');
        }
        if self.unit >= 0 {
            text.push_str(&Big::from_u64(self.significand).shifted(self.unit as usize).into_decimal());
        } else {
            self.push_fraction(&mut text);
        }
        if text == "-0" { "0".into() } else { text }
    }

    fn push_fraction(self, text: &mut String) {
        use std::fmt::Write as _;
        const SCALE: u128 = 100_000_000_000_000_000;
        // 64 bits times 57 bits fit, and what is smaller than half of the last place is zero.
        let scaled = self.significand as u128 * SCALE;
        let shift = -self.unit;
        let mut rounded = scaled.checked_shr(shift as u32).unwrap_or(0);
        if shift < 128 {
            let rest = scaled & ((1 << shift) - 1);
            let half = 1u128 << (shift - 1);
            rounded += (rest > half || rest == half && rounded & 1 == 1) as u128;
        }
        let _ = write!(text, "{}", rounded / SCALE);
        if !rounded.is_multiple_of(SCALE) {
            let _ = write!(text, ".{:017}", rounded % SCALE);
            text.truncate(text.trim_end_matches('0').len());
        }
    }
}

/// `digits * 10^exponent`; the digits have no leading zero and are empty for zero.
struct Decimal {
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    /// Unsigned decimal text: digits with at most one point, then perhaps an exponent.
    fn parse(text: &[u8]) -> Option<Decimal> {
        let end = text.iter().position(|b| matches!(b, b'e' | b'E')).unwrap_or(text.len());
        let mut exponent = match &text[end..] {
            [] => 0,
            [_, power @ ..] => parse_exponent(power)?,
        };
        let mut digits = Vec::with_capacity(end);
        let (mut point, mut any) = (false, false);
        for &byte in &text[..end] {
            match byte {
                b'0'..=b'9' => {
                    any = true;
                    exponent -= point as i64;
                    if byte != b'0' || !digits.is_empty() {
                        digits.push(byte - b'0');
                    }
                }
                b'.' if !point => point = true,
                _ => return None,
            }
        }
        let trailing = digits.iter().rev().take_while(|d| **d == 0).count();
        digits.truncate(digits.len() - trailing);
        exponent += trailing as i64;
        any.then_some(Decimal { digits, exponent })
    }

    /// As `mantissa * 2^exponent` with at least 65 bits where it is not exact (and then `sticky`).
    /// Nothing where it is so large or so small that it cannot be a long double.
    fn to_binary(&self) -> Option<(u128, i64, bool)> {
        let scale = self.digits.len() as i64 + self.exponent;
        if !(-4970..=4940).contains(&scale) {
            return None;
        }
        self.to_binary_short().or_else(|| Some(self.to_binary_long()))
    }

    /// What fits in 128 bits: nearly everything people count.
    fn to_binary_short(&self) -> Option<(u128, i64, bool)> {
        if self.digits.len() > 38 {
            return None;
        }
        let mantissa = self.digits.iter().fold(0u128, |n, d| n * 10 + *d as u128);
        match self.exponent {
            0..=38 => {
                let scaled = mantissa.checked_mul(5u128.pow(self.exponent as u32))?;
                Some((scaled, self.exponent, false))
            }
            // 5^27 has 63 bits, so the quotient keeps at least 65.
            -27..0 => {
                let shift = mantissa.leading_zeros();
                let divisor = 5u128.pow(-self.exponent as u32);
                let wide = mantissa << shift;
                let exponent = self.exponent - shift as i64;
                Some((wide / divisor, exponent, wide % divisor != 0))
            }
            _ => None,
        }
    }

    fn to_binary_long(&self) -> (u128, i64, bool) {
        const FIVES: u32 = 13;
        let mut number = Big::default();
        for chunk in self.digits.chunks(9) {
            let value = chunk.iter().fold(0, |n, d| n * 10 + *d as u32);
            number.multiply(10u32.pow(chunk.len() as u32), value);
        }
        let mut exponent = self.exponent;
        let mut sticky = false;
        let mut powers = self.exponent.unsigned_abs() as u32;
        if self.exponent < 0 {
            // 5^k has at most 7k/3 + 1 bits.
            let wanted = powers as usize * 7 / 3 + 70;
            let shift = wanted.saturating_sub(number.bits());
            number = number.shifted(shift);
            exponent -= shift as i64;
        }
        while powers > 0 {
            let step = powers.min(FIVES);
            if self.exponent < 0 {
                sticky |= number.divide(5u32.pow(step)) != 0;
            } else {
                number.multiply(5u32.pow(step), 0);
            }
            powers -= step;
        }
        let (mantissa, dropped, rest) = number.top();
        (mantissa, exponent + dropped as i64, sticky || rest)
    }
}

/// An unsigned integer of any size, least limb first, no leading zero limb.
#[derive(Default)]
struct Big(Vec<u32>);

impl Big {
    fn from_u64(value: u64) -> Big {
        let mut big = Big(vec![value as u32, (value >> 32) as u32]);
        big.trim();
        big
    }

    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn bits(&self) -> usize {
        self.0.len() * 32 - self.0.last().map_or(0, |limb| limb.leading_zeros() as usize)
    }

    fn multiply(&mut self, factor: u32, plus: u32) {
        let mut carry = plus as u64;
        for limb in &mut self.0 {
            carry += *limb as u64 * factor as u64;
            *limb = carry as u32;
            carry >>= 32;
        }
        if carry != 0 {
            self.0.push(carry as u32);
        }
    }

    /// Divides in place and returns the remainder.
    fn divide(&mut self, divisor: u32) -> u32 {
        let mut rest = 0u64;
        for limb in self.0.iter_mut().rev() {
            rest = rest << 32 | *limb as u64;
            *limb = (rest / divisor as u64) as u32;
            rest %= divisor as u64;
        }
        self.trim();
        rest as u32
    }

    fn shifted(&self, by: usize) -> Big {
        let mut limbs = vec![0; by / 32];
        let mut carry = 0u64;
        for limb in &self.0 {
            carry |= (*limb as u64) << (by % 32);
            limbs.push(carry as u32);
            carry >>= 32;
        }
        limbs.push(carry as u32);
        let mut big = Big(limbs);
        big.trim();
        big
    }

    /// The upper (up to) 128 bits in whole limbs, how many bits lie below, whether any of them is set.
    fn top(&self) -> (u128, usize, bool) {
        let below = self.0.len().saturating_sub(4);
        let (low, high) = self.0.split_at(below);
        let mantissa = high.iter().rev().fold(0, |n, limb| n << 32 | *limb as u128);
        (mantissa, below * 32, low.iter().any(|limb| *limb != 0))
    }

    fn into_decimal(mut self) -> String {
        use std::fmt::Write as _;
        let mut groups = Vec::new();
        while !self.0.is_empty() {
            groups.push(self.divide(1_000_000_000));
        }
        let mut text = groups.pop().unwrap_or(0).to_string();
        for group in groups.iter().rev() {
            let _ = write!(text, "{group:09}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_short_way_and_the_long_way_agree(text in "[1-9][0-9]{0,36}", exponent in -27i64..=19) {
            let digits = text.bytes().map(|b| b - b'0').collect();
            let decimal = Decimal { digits, exponent };
            let round = |(mantissa, exponent, sticky)| LongDouble::round(false, mantissa, exponent, sticky);
            if let Some(short) = decimal.to_binary_short() {
                prop_assert_eq!(round(short), round(decimal.to_binary_long()));
            }
        }

        #[test]
        fn addition_commutes_and_zero_is_neutral(a in "-?[0-9]{1,25}(\\.[0-9]{1,25})?(e-?[0-9]{1,4})?", b in "-?[0-9]{1,25}(e-?[0-9]{1,2})?") {
            if let (Some(a), Some(b)) = (LongDouble::parse(a.as_bytes()), LongDouble::parse(b.as_bytes())) {
                prop_assert_eq!(a.plus(b).map(LongDouble::to_text), b.plus(a).map(LongDouble::to_text));
                prop_assert_eq!(a.plus(LongDouble::ZERO).map(LongDouble::to_text), Some(a.to_text()));
            }
        }
    }
}
