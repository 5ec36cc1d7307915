//! The library `bit` (Mike Pall's BitOp): operations on 32 bits.

use super::api::set;
use super::lua::{Raise, Results, Stack};

pub(super) fn push(stack: &mut Stack<'_>) {
    stack.push_table(0, 12);
    set(stack, "tobit", |s| unary(s, |a| a));
    set(stack, "bnot", |s| unary(s, |a| !a));
    set(stack, "bswap", |s| unary(s, u32::swap_bytes));
    set(stack, "band", |s| fold(s, |a, b| a & b));
    set(stack, "bor", |s| fold(s, |a, b| a | b));
    set(stack, "bxor", |s| fold(s, |a, b| a ^ b));
    set(stack, "lshift", |s| shift(s, |a, n| a << n));
    set(stack, "rshift", |s| shift(s, |a, n| a >> n));
    set(stack, "arshift", |s| shift(s, |a, n| (a as i32 >> n) as u32));
    set(stack, "rol", |s| shift(s, u32::rotate_left));
    set(stack, "ror", |s| shift(s, u32::rotate_right));
    set(stack, "tohex", tohex);
}

/// An argument as 32 bits: adding this number leaves the integer part, modulo 2^32, in the low half of
/// the double's mantissa.
fn argument(stack: &mut Stack<'_>, index: i32) -> Result<u32, Raise> {
    const SHIFTER: f64 = 6_755_399_441_055_744.0;
    Ok((stack.check_number(index)? + SHIFTER).to_bits() as u32)
}

fn answer(stack: &mut Stack<'_>, bits: u32) -> Results {
    stack.push_number(bits as i32 as f64);
    Ok(1)
}

fn unary(stack: &mut Stack<'_>, f: impl Fn(u32) -> u32) -> Results {
    let bits = argument(stack, 1)?;
    answer(stack, f(bits))
}

/// From the last argument to the second, which decides whose error is told.
fn fold(stack: &mut Stack<'_>, f: impl Fn(u32, u32) -> u32) -> Results {
    let mut bits = argument(stack, 1)?;
    for index in (2..=stack.top()).rev() {
        bits = f(bits, argument(stack, index)?);
    }
    answer(stack, bits)
}

fn shift(stack: &mut Stack<'_>, f: impl Fn(u32, u32) -> u32) -> Results {
    let (bits, by) = (argument(stack, 1)?, argument(stack, 2)? & 31);
    answer(stack, f(bits, by))
}

fn tohex(stack: &mut Stack<'_>) -> Results {
    let bits = argument(stack, 1)?;
    let digits = if stack.top() < 2 { 8 } else { argument(stack, 2)? as i32 };
    let text = match digits < 0 {
        true => format!("{bits:08X}"),
        false => format!("{bits:08x}"),
    };
    let len = (digits.unsigned_abs() as usize).min(8);
    stack.push_bytes(&text.as_bytes()[8 - len..]);
    Ok(1)
}
