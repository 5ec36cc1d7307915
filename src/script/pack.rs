//! The library `struct` (Roberto Ierusalimschy's): values to and from the bytes of C structures.
//!
//! A format ends at a zero byte. Sizes and alignments are those of C on x86-64; what C leaves undefined
//! (numbers out of range, integers of more than 8 bytes) is what gcc makes of it there.

use super::api::set;
use super::error::integer;
use super::lua::{Raise, Results, Stack, Type};

const INTEGER_BYTES_MAX: i32 = 32;
/// The alignment `!` means without a number.
const ALIGN_MAX: i32 = 8;

pub(super) fn push(stack: &mut Stack<'_>) {
    stack.push_table(0, 3);
    set(stack, "pack", pack);
    set(stack, "unpack", unpack);
    set(stack, "size", size);
}

struct Format {
    text: Vec<u8>,
    at: usize,
    big: bool,
    align: usize,
}

impl Format {
    fn new(stack: &mut Stack<'_>) -> Result<Format, Raise> {
        let text = stack.check_text(1)?;
        let text = text.split(|b| *b == 0).next().unwrap_or_default().to_vec();
        Ok(Format { text, at: 0, big: false, align: 1 })
    }

    fn option(&mut self) -> Option<u8> {
        let option = self.text.get(self.at).copied()?;
        self.at += 1;
        Some(option)
    }

    /// The number that follows, if one does.
    fn number(&mut self, stack: &mut Stack<'_>, default: i32) -> Result<i32, Raise> {
        let mut number = None;
        while let Some(digit) = self.text.get(self.at).filter(|b| b.is_ascii_digit()) {
            let next =
                number.unwrap_or(0i32).checked_mul(10).and_then(|n| n.checked_add((digit - b'0') as i32));
            number = Some(next.ok_or(()).map_err(|()| stack.error("integral size overflow"))?);
            self.at += 1;
        }
        Ok(number.unwrap_or(default))
    }

    /// Bytes of what `option` stands for; 0 for what is not of a fixed size.
    fn size(&mut self, stack: &mut Stack<'_>, option: u8) -> Result<usize, Raise> {
        Ok(match option {
            b'B' | b'b' | b'x' => 1,
            b'H' | b'h' => 2,
            b'f' => 4,
            b'L' | b'l' | b'T' | b'd' => 8,
            b'c' => self.number(stack, 1)? as usize,
            b'i' | b'I' => {
                let size = self.number(stack, 4)?;
                if size > INTEGER_BYTES_MAX {
                    let text = format!("integral size {size} is larger than limit of {INTEGER_BYTES_MAX}");
                    return Err(stack.error(&text));
                }
                size as usize
            }
            _ => 0,
        })
    }

    /// Bytes to skip before an element of this size at `at`.
    fn padding(&self, at: usize, option: u8, size: usize) -> usize {
        if size == 0 || option == b'c' {
            return 0;
        }
        let size = size.min(self.align);
        size.wrapping_sub(at & (size - 1)) & (size - 1)
    }

    /// What is not an element.
    fn control(&mut self, stack: &mut Stack<'_>, option: u8) -> Result<(), Raise> {
        match option {
            b' ' => {}
            b'>' => self.big = true,
            b'<' => self.big = false,
            b'!' => {
                let align = self.number(stack, ALIGN_MAX)?;
                if align <= 0 || align & (align - 1) != 0 {
                    return Err(stack.error(&format!("alignment {align} is not a power of 2")));
                }
                self.align = align as usize;
            }
            _ => {
                stack.push_bytes(&[b"invalid format option '", &[option][..], b"'"].concat());
                return Err(Raise::Argument(1));
            }
        }
        Ok(())
    }
}

fn pack(stack: &mut Stack<'_>) -> Results {
    let mut format = Format::new(stack)?;
    // What is missing after the arguments is nil, once.
    stack.push_nil();
    let (mut out, mut argument) = (Vec::new(), 1);
    while let Some(option) = format.option() {
        let size = format.size(stack, option)?;
        let padding = format.padding(out.len(), option, size);
        out.resize(out.len() + padding, 0);
        match option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                argument += 1;
                let value = unsigned(stack.check_number(argument)?);
                put_integer(&mut out, value, size, format.big);
            }
            b'x' => out.push(0),
            b'f' => {
                argument += 1;
                let value = stack.check_number(argument)? as f32;
                out.extend(if format.big { value.to_be_bytes() } else { value.to_le_bytes() });
            }
            b'd' => {
                argument += 1;
                let value = stack.check_number(argument)?;
                out.extend(if format.big { value.to_be_bytes() } else { value.to_le_bytes() });
            }
            b'c' | b's' => {
                argument += 1;
                let text = stack.check_text(argument)?;
                let size = if size == 0 { text.len() } else { size };
                match text.get(..size) {
                    Some(text) => out.extend_from_slice(text),
                    None => return Err(stack.argument_error(argument + 1, "string too short")),
                }
                if option == b's' {
                    out.push(0);
                }
            }
            _ => format.control(stack, option)?,
        }
        if !stack.has_memory(out.len()) {
            return Err(stack.error("not enough memory"));
        }
    }
    stack.push_bytes(&out);
    Ok(1)
}

/// A double as C on x86-64 converts it: negative ones as signed.
fn unsigned(value: f64) -> u64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    if value >= HALF { integer(value - HALF) as u64 ^ 1 << 63 } else { integer(value) as u64 }
}

fn put_integer(out: &mut Vec<u8>, value: u64, size: usize, big: bool) {
    let bytes = value.to_le_bytes();
    let little = |n: usize| bytes.get(n).copied().unwrap_or(0);
    match big {
        true => out.extend((0..size).rev().map(little)),
        false => out.extend((0..size).map(little)),
    }
}

fn get_integer(bytes: &[u8], big: bool, signed: bool) -> f64 {
    let join = |n: u64, b: &u8| n << 8 | *b as u64;
    let value = if big { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) };
    if !signed {
        return value as f64;
    }
    let mask = u64::MAX.wrapping_shl((bytes.len() as u32).wrapping_mul(8).wrapping_sub(1));
    (if value & mask != 0 { value | mask } else { value }) as i64 as f64
}

fn unpack(stack: &mut Stack<'_>) -> Results {
    let mut format = Format::new(stack)?;
    let data = stack.check_text(2)?.to_vec();
    let from = if stack.is_none_or_nil(3) { 1 } else { stack.check_integer(3)? };
    if from == 0 {
        return Err(stack.argument_error(3, "offset must be 1 or greater"));
    }
    // A negative offset lies far behind the end.
    let (mut at, mut count) = (from as usize - 1, 0);
    while let Some(option) = format.option() {
        let size = format.size(stack, option)?;
        at = at.wrapping_add(format.padding(at, option, size));
        let mut size = in_data(stack, &data, at, size)?;
        if !stack.reserve(2) {
            return Err(stack.error("stack overflow (too many results)"));
        }
        let bytes = data.get(at..at + size).unwrap_or_default();
        match option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                stack.push_number(get_integer(bytes, format.big, option.is_ascii_lowercase()));
                count += 1;
            }
            b'x' => {}
            b'f' => {
                let raw = bytes.try_into().unwrap_or_default();
                let value = if format.big { f32::from_be_bytes(raw) } else { f32::from_le_bytes(raw) };
                stack.push_number(value as f64);
                count += 1;
            }
            b'd' => {
                let raw = bytes.try_into().unwrap_or_default();
                stack.push_number(if format.big { f64::from_be_bytes(raw) } else { f64::from_le_bytes(raw) });
                count += 1;
            }
            b'c' => {
                if size == 0 {
                    let number = if count == 0 { None } else { stack.to_number(-1) };
                    let Some(number) = number else {
                        return Err(stack.error("format 'c0' needs a previous size"));
                    };
                    stack.pop(1);
                    count -= 1;
                    size = in_data(stack, &data, at, unsigned(number) as usize)?;
                }
                stack.push_bytes(&data[at..at + size]);
                count += 1;
            }
            b's' => {
                let Some(len) = memchr::memchr(0, &data[at..]) else {
                    return Err(stack.error("unfinished string in data"));
                };
                stack.push_bytes(&data[at..at + len]);
                size = len + 1;
                count += 1;
            }
            _ => format.control(stack, option)?,
        }
        at += size;
    }
    stack.push_number((at as i64).wrapping_add(1) as f64);
    Ok(count + 1)
}

/// `size`, if so much data is left.
fn in_data(stack: &mut Stack<'_>, data: &[u8], at: usize, size: usize) -> Result<usize, Raise> {
    match size <= data.len() && at <= data.len() - size {
        true => Ok(size),
        false => Err(stack.argument_error(2, "data string too short")),
    }
}

fn size(stack: &mut Stack<'_>) -> Results {
    let mut format = Format::new(stack)?;
    let mut at = 0usize;
    while let Some(option) = format.option() {
        let size = format.size(stack, option)?;
        at = at.wrapping_add(format.padding(at, option, size));
        match (option, size) {
            (b's', _) => return Err(stack.argument_error(1, "option 's' has no fixed size")),
            (b'c', 0) => return Err(stack.argument_error(1, "option 'c0' has no fixed size")),
            (option, _) if !option.is_ascii_alphanumeric() => format.control(stack, option)?,
            _ => {}
        }
        at = at.wrapping_add(size);
    }
    debug_assert_ne!(stack.kind(1), Type::None);
    stack.push_number(at as i64 as f64);
    Ok(1)
}
