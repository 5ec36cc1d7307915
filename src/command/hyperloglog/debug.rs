//! PFDEBUG: what a sketch is made of, for tests.

use super::{put, sketch_of};
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::resp::Args;
use crate::structure::hyperloglog::{self as hll, Encoding, HEADER, sparse};

fn pfdebug(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (word, key) = (args.at(1), args.at(2));
    let Exec { keys, reply, .. } = x;
    let entry = keys.write(key).ok_or(Error::text("ERR The specified key does not exist"))?;
    let (sketch, encoding) = sketch_of(entry)?;
    let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    if is("ENCODING") {
        reply.simple(if encoding == Encoding::Dense { "dense" } else { "sparse" });
    } else if is("DECODE") {
        if encoding != Encoding::Sparse {
            return Err(Error::text("ERR HLL encoding is not sparse"));
        }
        let runs = sparse::runs(&sketch[HEADER..]).map(|run| match run {
            sparse::Run::Zero(len) => format!("z:{len}"),
            sparse::Run::XZero(len) => format!("Z:{len}"),
            sparse::Run::Value { rank, len } => format!("v:{rank},{len}"),
        });
        reply.bulk(runs.collect::<Vec<_>>().join(" ").as_bytes());
    } else if is("GETREG") || is("TODENSE") {
        let mut sketch = sketch.to_vec();
        let converted = hll::make_dense(&mut sketch)?;
        if is("TODENSE") {
            reply.integer(converted as i64);
        } else {
            let mut registers = [0; hll::REGISTERS];
            hll::merge(&mut registers, &sketch)?;
            reply.array(registers.len());
            registers.iter().for_each(|rank| reply.integer(*rank as i64));
        }
        if converted {
            put(entry, &sketch)?;
            keys.changed(key);
        }
    } else {
        let text = [b"ERR Unknown PFDEBUG subcommand '", word, b"'"].concat();
        return Err(Error::Bytes(text.into()));
    }
    Ok(())
}

pub(super) const PFDEBUG: CommandSpec = CommandSpec {
    name: "pfdebug",
    arity: 3,
    flags: flag::WRITE | flag::DENYOOM | flag::ADMIN | flag::SYSCMD,
    acl: acl::HYPERLOGLOG,
    keys: &[KeySpec::one(access::RW | access::ACCESS, 2)],
    args: &[string("subcommand"), key("key", 0)],
    group: Group::HyperLogLog,
    since: "2.8.9",
    complexity: "O(1)",
    summary: "Shows what a HyperLogLog is made of, for tests",
    run: Run::Keys(pfdebug),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, expect};

    #[test]
    fn subcommands() {
        let mut b = Bench::new();
        expect(
            &mut b,
            &[
                ("PFDEBUG DECODE h", "-ERR The specified key does not exist"),
                ("PFADD h", ":1"),
                ("PFDEBUG decode h", "$7 Z:16384"),
                ("PFADD h a", ":1"),
                ("PFDEBUG FROB h", "-ERR Unknown PFDEBUG subcommand 'FROB'"),
                ("PFDEBUG ENCODING h", "+sparse"),
            ],
        );
        assert!(b.line("PFDEBUG GETREG h").starts_with("*16384 :0 :0"));
        expect(
            &mut b,
            &[
                ("PFDEBUG ENCODING h", "+dense"),
                ("PFDEBUG DECODE h", "-ERR HLL encoding is not sparse"),
                ("PFDEBUG TODENSE h", ":0"),
                ("PFCOUNT h", ":1"),
            ],
        );
    }
}
