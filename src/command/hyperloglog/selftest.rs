//! PFSELFTEST: that registers keep what is put into them, that both forms of a sketch agree, and that
//! estimates are as near as the theory says. Takes its time, like Redis's own, on one shard.

use super::sparse_max;
use crate::base::random::Random;
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::resp::Args;
use crate::structure::hyperloglog::{self as hll, Encoding, HEADER, REGISTERS, dense};

/// How often all registers are filled.
const FILLS: usize = 1000;
/// Elements that are added, and counted whenever their number is a power of ten.
const ELEMENTS: u64 = 10_000_000;

fn failed(what: &str) -> Error {
    Error::owned(format!("ERR TESTFAILED {what}"))
}

fn dense_sketch() -> Result<Vec<u8>, Error> {
    let mut sketch = hll::empty();
    hll::make_dense(&mut sketch)?;
    Ok(sketch)
}

fn registers_keep_what_is_put_into_them(random: &mut Random) -> Result<(), Error> {
    let mut ranks = [0u8; REGISTERS];
    for _ in 0..FILLS {
        let mut sketch = dense_sketch()?;
        let registers = &mut sketch[HEADER..];
        for (index, rank) in ranks.iter_mut().enumerate() {
            *rank = random.below(64) as u8;
            dense::raise(registers, index, *rank);
        }
        for (index, rank) in ranks.iter().enumerate() {
            let got = dense::get(registers, index);
            if got != *rank {
                return Err(failed(&format!("Register {index} should be {rank} but is {got}")));
            }
        }
    }
    Ok(())
}

fn estimates_are_near(random: &mut Random, sparse_max: usize) -> Result<(), Error> {
    let (mut dense, mut sparse) = (dense_sketch()?, hll::empty());
    let (seed, mut checkpoint) = (random.bits(), 1);
    for n in 1..=ELEMENTS {
        let (index, rank) = hll::place(&(n ^ seed).to_le_bytes());
        hll::raise(&mut dense, index, rank, sparse_max)?;
        hll::raise(&mut sparse, index, rank, sparse_max)?;
        if n < checkpoint {
            continue;
        }
        if n < sparse_max as u64 / 2 && hll::encoding(&sparse) != Some(Encoding::Sparse) {
            return Err(failed("sparse encoding not used"));
        }
        let count = hll::count(&dense)?;
        if hll::count(&sparse)? != count {
            return Err(failed("dense/sparse disagree"));
        }
        // Six standard errors; of ten elements two may well fall into one register.
        let standard = 1.04 / (REGISTERS as f64).sqrt();
        let error_max = if n == 10 { 1 } else { (standard * 6.0 * n as f64).ceil() as u64 };
        let error = count.abs_diff(n);
        if error > error_max {
            return Err(failed(&format!("Too big error. card:{n} abserr:{error}")));
        }
        checkpoint *= 10;
    }
    Ok(())
}

fn pfselftest(x: &mut Exec<'_>, _: Args<'_>) -> Result<(), Error> {
    let mut random = Random::new(x.random);
    registers_keep_what_is_put_into_them(&mut random)?;
    estimates_are_near(&mut random, sparse_max(x))?;
    x.reply.ok();
    Ok(())
}

pub(super) const PFSELFTEST: CommandSpec = CommandSpec {
    name: "pfselftest",
    arity: 1,
    flags: flag::ADMIN | flag::SYSCMD,
    acl: acl::HYPERLOGLOG,
    group: Group::HyperLogLog,
    since: "2.8.9",
    complexity: "O(1), some seconds",
    summary: "Tests HyperLogLog on made-up elements",
    run: Run::Keys(pfselftest),
    ..CommandSpec::DEFAULT
};
