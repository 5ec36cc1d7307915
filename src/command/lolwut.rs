//! LOLWUT: rings that spread from a few birds over still water and cross each other, in Braille dots.
//! The seed decides everything, so the same seed draws the same picture.

use super::Error;
use super::info::{REDIS_VERSION, RINGDOVE_VERSION};
use crate::base::num::parse_i64;
use crate::resp::Args;

const COLUMNS: usize = 66;
const ROWS: usize = 18;
const SIDE_MAX: i64 = 1000;

/// LOLWUT [VERSION n] [columns [rows]], the whole text. Words that are no sizes change nothing,
/// unless a version was asked for. Every version draws the same kind of picture.
pub fn render(args: Args<'_>, seed: u64) -> Result<String, Error> {
    let mut sizes = args.from(1);
    let mut versioned = false;
    if sizes.len() >= 2 && sizes.at(0).eq_ignore_ascii_case(b"version") {
        parse_i64(sizes.at(1)).ok_or(Error::NotInteger)?;
        sizes = sizes.from(2);
        versioned = true;
    }
    let side = |i: usize, usual: usize| match sizes.get(i).map(parse_i64) {
        None => Ok(usual),
        Some(Some(n)) => Ok(n.clamp(1, SIDE_MAX) as usize),
        Some(None) if versioned => Err(Error::NotInteger),
        Some(None) => Ok(usual),
    };
    let picture = rings(seed, side(0, COLUMNS)?, side(1, ROWS)?);
    Ok(format!("{picture}\nRingdove ver. {RINGDOVE_VERSION}. Redis ver. {REDIS_VERSION}\n"))
}

/// One bird: where it sits, in dots, and how far apart its rings are.
struct Bird {
    x: f64,
    y: f64,
    gap: f64,
}

fn rings(seed: u64, columns: usize, rows: usize) -> String {
    let mut seed = seed;
    let (width, height) = (columns * 2, rows * 4);
    let birds: Vec<Bird> = (0..2 + next(&mut seed) % 3)
        .map(|_| Bird {
            x: (next(&mut seed) % width as u64) as f64,
            y: (next(&mut seed) % height as u64) as f64,
            gap: 2.0 + (next(&mut seed) % 50) as f64 / 10.0,
        })
        .collect();
    let dark = |x: usize, y: usize| {
        let crossed: usize =
            birds.iter().map(|b| ((x as f64 - b.x).hypot(y as f64 - b.y) / b.gap) as usize).sum();
        crossed % 2 == 1
    };
    let mut text = String::with_capacity(rows * (columns * 3 + 1));
    for row in 0..rows {
        for column in 0..columns {
            text.push(braille(|dx, dy| dark(column * 2 + dx, row * 4 + dy)));
        }
        text.push('\n');
    }
    text
}

/// The Braille character with the dots for which `dark` holds: two wide, four high. Unicode numbers
/// the upper three of each column first, the lowest two last.
fn braille(dark: impl Fn(usize, usize) -> bool) -> char {
    const BITS: [[u32; 4]; 2] = [[0, 1, 2, 6], [3, 4, 5, 7]];
    let mut dots = 0;
    for (dx, column) in BITS.iter().enumerate() {
        for (dy, bit) in column.iter().enumerate() {
            dots |= (dark(dx, dy) as u32) << bit;
        }
    }
    char::from_u32(0x2800 + dots).unwrap_or(' ')
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::ArgsBuf;

    fn draw(args: &[&str], seed: u64) -> Result<String, Error> {
        let args: ArgsBuf = args.iter().collect();
        render(args.as_args(), seed)
    }

    #[test]
    fn a_seed_is_a_picture() {
        let picture = draw(&["lolwut"], 7).unwrap();
        assert_eq!(picture, draw(&["LOLWUT", "VERSION", "5"], 7).unwrap());
        assert_ne!(picture, draw(&["lolwut"], 8).unwrap());
        assert_eq!(picture.lines().count(), ROWS + 2);
        assert!(picture.lines().take(ROWS).all(|line| line.chars().count() == COLUMNS));
        assert!(picture.lines().last().unwrap().contains("Redis ver. "));
    }

    #[test]
    fn sizes_are_obeyed_within_reason() {
        let picture = draw(&["lolwut", "version", "6", "4", "2"], 7).unwrap();
        assert_eq!(picture.lines().map(|l| l.chars().count()).take(2).collect::<Vec<_>>(), [4, 4]);
        assert_eq!(draw(&["lolwut", "-5", "0"], 7).unwrap().lines().next().unwrap().chars().count(), 1);
        assert_eq!(draw(&["lolwut", "version", "x"], 7), Err(Error::NotInteger));
        assert!(draw(&["lolwut", "x"], 7).is_ok());
    }
}
