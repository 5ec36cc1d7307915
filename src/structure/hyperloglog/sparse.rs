//! The sparse form: runs of equal registers, one after the other, together all 16384 of them.
//!
//! ```text
//! 00llllll             ZERO    l + 1 registers of rank 0: 1 to 64
//! 01llllll llllllll    XZERO   the same for 1 to 16384
//! 1rrrrrll             VAL     l + 1 registers of rank r + 1: 1 to 4 of rank 1 to 32
//! ```
//!
//! To raise a register, its run is cut in up to three, and then a few runs from the one before on are
//! joined where they can be. The same strings as Redis's come out, because it is the same runs that are
//! cut and looked at.

use super::{Corrupt, HEADER, REGISTERS, dense, invalidate, make_dense};

/// The highest rank that a run can have.
const RANK_MAX: u8 = 32;
const VALUE_LEN_MAX: usize = 4;
const ZERO_LEN_MAX: usize = 64;
/// How many runs are looked at for runs to join.
const JOIN_RUNS: usize = 5;

/// One XZERO over everything.
pub const ALL_ZERO: [u8; 2] = [0x40 | ((REGISTERS - 1) >> 8) as u8, (REGISTERS - 1) as u8];

fn value_byte(rank: u8, len: usize) -> u8 {
    0x80 | ((rank - 1) << 2) | (len - 1) as u8
}

/// Some registers of one rank.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Run {
    Zero(usize),
    XZero(usize),
    Value { rank: u8, len: usize },
}

impl Run {
    /// The run that begins here; a missing second byte counts as 0.
    fn at(runs: &[u8], at: usize) -> Option<Run> {
        let byte = *runs.get(at)?;
        let low = (byte & 0x3f) as usize;
        Some(match byte >> 6 {
            0 => Run::Zero(low + 1),
            1 => Run::XZero(((low << 8) | runs.get(at + 1).copied().unwrap_or(0) as usize) + 1),
            _ => Run::Value { rank: ((byte >> 2) & 0x1f) + 1, len: (byte & 3) as usize + 1 },
        })
    }

    fn zeros(len: usize) -> Run {
        if len > ZERO_LEN_MAX { Run::XZero(len) } else { Run::Zero(len) }
    }

    /// How many registers.
    pub fn registers(self) -> usize {
        match self {
            Run::Zero(len) | Run::XZero(len) | Run::Value { len, .. } => len,
        }
    }

    pub fn rank(self) -> u8 {
        if let Run::Value { rank, .. } = self { rank } else { 0 }
    }

    /// The same with another length.
    fn of_len(self, len: usize) -> Run {
        match self {
            Run::Value { rank, .. } => Run::Value { rank, len },
            _ => Run::zeros(len),
        }
    }

    fn bytes(self) -> usize {
        if matches!(self, Run::XZero(_)) { 2 } else { 1 }
    }

    fn write(self, to: &mut Vec<u8>) {
        match self {
            Run::Zero(len) => to.push((len - 1) as u8),
            Run::XZero(len) => to.extend([0x40 | ((len - 1) >> 8) as u8, (len - 1) as u8]),
            Run::Value { rank, len } => to.push(value_byte(rank, len)),
        }
    }
}

/// The runs as they are, without a check that they add up.
pub fn runs(runs: &[u8]) -> impl Iterator<Item = Run> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let run = Run::at(runs, at)?;
        at += run.bytes();
        Some(run)
    })
}

/// Visits each run as its first register, its length and its rank. What was visited before an error was
/// inside of all registers.
pub fn each_run(bytes: &[u8], mut visit: impl FnMut(usize, usize, u8)) -> Result<(), Corrupt> {
    let mut first = 0;
    for run in runs(bytes) {
        if first + run.registers() > REGISTERS {
            return Err(Corrupt);
        }
        visit(first, run.registers(), run.rank());
        first += run.registers();
    }
    if first == REGISTERS { Ok(()) } else { Err(Corrupt) }
}

/// Where a run begins: its byte behind the header, and its first register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    at: usize,
    first: usize,
}

impl Place {
    pub const START: Place = Place { at: 0, first: 0 };
}

/// The run of a register, and the two before it as far as they were passed.
struct Found {
    run: Run,
    place: Place,
    before: Option<Place>,
    before_that: Option<Place>,
}

fn find(bytes: &[u8], index: usize, from: Place) -> Result<Found, Corrupt> {
    let (mut place, mut before, mut before_that) = (from, None, None);
    while let Some(run) = Run::at(bytes, place.at) {
        if index < place.first + run.registers() {
            return Ok(Found { run, place, before, before_that });
        }
        before_that = before;
        before = Some(place);
        place = Place { at: place.at + run.bytes(), first: place.first + run.registers() };
    }
    Err(Corrupt)
}

pub fn get(bytes: &[u8], index: usize) -> Result<u8, Corrupt> {
    Ok(find(bytes, index, Place::START)?.run.rank())
}

/// See `super::raise`. The search begins at `near`, a run that was passed for a lower register, and moves
/// it on: a caller that goes through the registers in order need not pass all runs for each.
pub fn raise(
    sketch: &mut Vec<u8>,
    index: usize,
    rank: u8,
    sparse_max: usize,
    near: &mut Place,
) -> Result<bool, Corrupt> {
    if rank > RANK_MAX {
        return raise_dense(sketch, index, rank);
    }
    let mut found = find(&sketch[HEADER..], index, *near)?;
    if found.before.is_none() && *near != Place::START {
        // Joined with the run before it meanwhile; what comes before that was not passed.
        found = find(&sketch[HEADER..], index, Place::START)?;
    }
    let Found { run, place, before, before_that } = found;
    // What follows changes nothing before the run before.
    *near = before_that.or(before).unwrap_or(Place::START);
    if run.rank() >= rank {
        return Ok(false);
    }
    let (left, right) = (index - place.first, place.first + run.registers() - 1 - index);
    let mut cut = Vec::with_capacity(5);
    if left > 0 {
        run.of_len(left).write(&mut cut);
    }
    Run::Value { rank, len: 1 }.write(&mut cut);
    if right > 0 {
        run.of_len(right).write(&mut cut);
    }
    if cut.len() > run.bytes() && sketch.len() + cut.len() - run.bytes() > sparse_max {
        return raise_dense(sketch, index, rank);
    }
    let at = HEADER + place.at;
    sketch.splice(at..at + run.bytes(), cut);
    join(sketch, HEADER + before.unwrap_or(Place::START).at);
    invalidate(sketch);
    Ok(true)
}

fn raise_dense(sketch: &mut Vec<u8>, index: usize, rank: u8) -> Result<bool, Corrupt> {
    make_dense(sketch)?;
    Ok(dense::raise(&mut sketch[HEADER..], index, rank))
}

/// Joins neighbours of one rank that one run can hold, from the run at `at` on.
fn join(sketch: &mut Vec<u8>, mut at: usize) {
    for _ in 0..JOIN_RUNS {
        let Some(run) = Run::at(sketch, at) else { return };
        let next = Run::at(sketch, at + run.bytes());
        if let (Run::Value { rank, len }, Some(Run::Value { rank: same, len: more })) = (run, next)
            && rank == same
            && len + more <= VALUE_LEN_MAX
        {
            // Each is one byte. The joined run is looked at again.
            sketch.remove(at);
            sketch[at] = value_byte(rank, len + more);
        } else {
            at += run.bytes();
        }
    }
}
