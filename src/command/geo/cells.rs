//! Positions as scores: the world divided into cells, and the distance between two positions.
//!
//! A cell of step n is one of 2^n by 2^n that the world is divided into; its number interleaves the bits
//! of its column and its row, the column's bit above the row's. A score is the number of a cell of step
//! 26, 52 bits that a double holds, so a larger cell is a range of scores:
//!
//! ```text
//! step 1   01 11      10 -> 1000...0 up to 1100...0
//!          00 10
//! ```
//!
//! The world ends at 85.05 degrees of latitude, as on a Mercator map. All arithmetic is in the order in
//! which Redis does it, as positions and distances are compared to the last digit. Called by `geo`.

use std::f64::consts::PI;

/// Cells of this step are as fine as a score tells.
const FINEST: u32 = 26;
const EARTH_RADIUS_M: f64 = 6_372_797.560856;
/// Half of the equator on the map, in metres.
const HALF_WORLD_M: f64 = 20_037_726.37;
const RADIANS_PER_DEGREE: f64 = PI / 180.0;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Position {
    pub(super) longitude: f64,
    pub(super) latitude: f64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Interval {
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Interval {
    fn width(self) -> f64 {
        self.max - self.min
    }

    pub(super) fn contains(self, at: f64) -> bool {
        at >= self.min && at <= self.max
    }

    fn middle(self) -> f64 {
        (self.min + self.max) / 2.0
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub(super) longitude: Interval,
    pub(super) latitude: Interval,
}

/// What scores divide into cells.
pub(super) const WORLD: Area = Area {
    longitude: Interval { min: -180.0, max: 180.0 },
    latitude: Interval { min: -85.05112878, max: 85.05112878 },
};

/// What everybody else's geohashes divide.
const GLOBE: Area = Area { longitude: WORLD.longitude, latitude: Interval { min: -90.0, max: 90.0 } };

/// One cell of the 4^step that the world is divided into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    bits: u64,
    step: u32,
}

/// Puts a zero above each bit.
fn spread(half: u32) -> u64 {
    let mut bits = half as u64;
    for (shift, mask) in [
        (16, 0x0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, ROWS),
    ] {
        bits = (bits | bits << shift) & mask;
    }
    bits
}

/// Takes every second bit, from the lowest on.
fn gather(bits: u64) -> u32 {
    let mut bits = bits & ROWS;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ] {
        bits = (bits | bits >> shift) & mask;
    }
    bits as u32
}

/// The bits of a number that are its row's; the others are its column's.
const ROWS: u64 = 0x5555_5555_5555_5555;

impl Cell {
    /// The cell of this step in which a position lies. The position must be in the area.
    fn in_area(at: Position, step: u32, area: &Area) -> Cell {
        let row = (at.latitude - area.latitude.min) / area.latitude.width();
        let column = (at.longitude - area.longitude.min) / area.longitude.width();
        let cells = (1u64 << step) as f64;
        Cell { bits: spread((row * cells) as u32) | spread((column * cells) as u32) << 1, step }
    }

    pub(super) fn at(at: Position, step: u32) -> Cell {
        Cell::in_area(at, step, &WORLD)
    }

    pub(super) fn area(self) -> Area {
        let cells = (1u64 << self.step) as f64;
        let interval = |index: u32, of: Interval| {
            let edge = |index: u32| of.min + (index as f64 * 1.0 / cells) * of.width();
            Interval { min: edge(index), max: edge(index.wrapping_add(1)) }
        };
        Area {
            longitude: interval(gather(self.bits >> 1), WORLD.longitude),
            latitude: interval(gather(self.bits), WORLD.latitude),
        }
    }

    /// The cell so many columns to the east and rows to the north, around the edge of the world.
    pub(super) fn neighbor(self, east: i64, north: i64) -> Cell {
        let mask = (1u64 << self.step) - 1;
        // The eastern and the northern edge of the world lie just outside of all cells. Such a cell
        // stays outside in a direction in which nobody moves.
        let moved = |index: u32, by: i64| match by {
            0 => index,
            by => ((index as u64).wrapping_add_signed(by) & mask) as u32,
        };
        let column = moved(gather(self.bits >> 1), east);
        let row = moved(gather(self.bits), north);
        Cell { bits: spread(row) | spread(column) << 1, step: self.step }
    }

    /// The scores of the positions in it: from, and up to but not including.
    pub(super) fn scores(self) -> (f64, f64) {
        let shift = 2 * (FINEST - self.step);
        ((self.bits << shift) as f64, ((self.bits + 1) << shift) as f64)
    }
}

/// The score of a position.
pub(super) fn score_of(at: Position) -> f64 {
    Cell::at(at, FINEST).bits as f64
}

/// The middle of the cell that a score is the number of. Any score is taken for one.
pub(super) fn position_of(score: f64) -> Position {
    let area = Cell { bits: as_unsigned(score), step: FINEST }.area();
    let inside = |at: f64, of: Interval| at.min(of.max).max(of.min);
    Position {
        longitude: inside(area.longitude.middle(), WORLD.longitude),
        latitude: inside(area.latitude.middle(), WORLD.latitude),
    }
}

/// What C programs on x86 make of a double that is no unsigned integer: negative numbers wrap around.
fn as_unsigned(score: f64) -> u64 {
    const HALF: f64 = (1u64 << 63) as f64;
    let signed = |score: f64| if score < HALF { score as i64 } else { i64::MIN };
    if score < HALF { signed(score) as u64 } else { signed(score - HALF) as u64 ^ 1 << 63 }
}

/// The standard geohash of a position that a score stands for: 11 characters, of which 52 bits are
/// known and the last is always `0`.
pub(super) fn geohash(score: f64) -> [u8; 11] {
    const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
    let bits = Cell::in_area(position_of(score), FINEST, &GLOBE).bits;
    let mut text = [b'0'; 11];
    for (i, letter) in text.iter_mut().take(10).enumerate() {
        *letter = ALPHABET[(bits >> (52 - 5 * (i + 1))) as usize & 31];
    }
    text
}

fn radians(degrees: f64) -> f64 {
    degrees * RADIANS_PER_DEGREE
}

/// Metres between two latitudes.
pub(super) fn latitude_distance(a: f64, b: f64) -> f64 {
    EARTH_RADIUS_M * (radians(b) - radians(a)).abs()
}

/// Metres between two positions on a sphere (haversine).
pub(super) fn distance(a: Position, b: Position) -> f64 {
    let v = ((radians(b.longitude) - radians(a.longitude)) / 2.0).sin();
    if v == 0.0 {
        return latitude_distance(a.latitude, b.latitude);
    }
    let (lat_a, lat_b) = (radians(a.latitude), radians(b.latitude));
    let u = ((lat_b - lat_a) / 2.0).sin();
    let h = u * u + lat_a.cos() * lat_b.cos() * v * v;
    2.0 * EARTH_RADIUS_M * h.sqrt().asin()
}

/// The rectangle of longitudes and latitudes around a centre, this far in each direction, in metres.
/// Its width is that at the edge nearer to the pole.
pub(super) fn around(center: Position, width: f64, height: f64) -> Area {
    let degrees = |radians: f64| radians / RADIANS_PER_DEGREE;
    let north = degrees(height / EARTH_RADIUS_M);
    let edge = if center.latitude < 0.0 { center.latitude - north } else { center.latitude + north };
    let east = degrees(width / EARTH_RADIUS_M / radians(edge).cos());
    Area {
        longitude: Interval { min: center.longitude - east, max: center.longitude + east },
        latitude: Interval { min: center.latitude - north, max: center.latitude + north },
    }
}

/// The step of cells of which nine cover a circle of this radius, mostly.
pub(super) fn step_for(radius_m: f64, latitude: f64) -> u32 {
    if radius_m == 0.0 {
        return FINEST;
    }
    let (mut step, mut reach) = (-1i32, radius_m);
    while reach < HALF_WORLD_M {
        reach *= 2.0;
        step += 1;
    }
    // Cells are narrower near the poles.
    step -= (latitude.abs() > 66.0) as i32 + (latitude.abs() > 80.0) as i32;
    step.clamp(1, FINEST as i32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreading_is_undone_by_gathering() {
        for half in [0, 1, 0b1011, 0x03ff_ffff, u32::MAX, 0x1234_5678] {
            assert_eq!(gather(spread(half)), half);
            assert_eq!(gather(spread(half) << 1 >> 1), half);
        }
        assert_eq!(spread(0b111), 0b10101);
    }

    #[test]
    fn a_cell_lies_between_its_neighbors() {
        let cell = Cell::at(Position { longitude: 13.361389, latitude: 38.115556 }, 8);
        let (here, east, north) = (cell.area(), cell.neighbor(1, 0).area(), cell.neighbor(0, 1).area());
        assert_eq!(here.longitude.max, east.longitude.min);
        assert_eq!(here.latitude.max, north.latitude.min);
        assert_eq!(cell.neighbor(1, -1).neighbor(-1, 1), cell);
        let corner = Cell { bits: 0, step: 3 };
        assert_eq!(corner.neighbor(-1, -1), Cell { bits: 0b11_1111, step: 3 });
    }

    #[test]
    fn palermo_and_catania() {
        let palermo = Position { longitude: 13.361389, latitude: 38.115556 };
        let catania = Position { longitude: 15.087269, latitude: 37.502669 };
        assert_eq!(score_of(palermo), 3479099956230698.0);
        assert_eq!(score_of(catania), 3479447370796909.0);
        assert_eq!(&geohash(3479099956230698.0), b"sqc8b49rny0");
        let apart = distance(position_of(score_of(palermo)), position_of(score_of(catania)));
        assert_eq!(format!("{apart:.4}"), "166274.1516");
    }
}
