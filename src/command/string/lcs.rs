//! LCS: the longest common subsequence of two strings, as a string, a length, or the ranges that match.
//!
//! The textbook table of prefix lengths, (n+1)(m+1) words, bounded by `proto-max-bulk-len`. Where two
//! subsequences are equally long the walk back drops a byte of the second string first, as Redis
//! does, so that the same one is found.

use super::as_string;
use crate::base::num::parse_i64;
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::resp::{Args, Reply};

#[derive(Default)]
struct Options {
    len: bool,
    idx: bool,
    with_match_len: bool,
    match_len_min: i64,
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Options, Error> {
        let mut o = Options::default();
        let mut i = 0;
        while let Some(word) = args.get(i) {
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            if is("LEN") {
                o.len = true;
            } else if is("IDX") {
                o.idx = true;
            } else if is("WITHMATCHLEN") {
                o.with_match_len = true;
            } else if is("MINMATCHLEN") && i + 1 < args.len() {
                i += 1;
                o.match_len_min = parse_i64(args.at(i)).ok_or(Error::NotInteger)?;
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
        }
        if o.len && o.idx {
            return Err(Error::text("ERR If you want both the length and indexes, please just use IDX."));
        }
        Ok(o)
    }
}

/// Lengths of the longest common subsequences of all pairs of prefixes.
struct Prefixes<'a> {
    a: &'a [u8],
    b: &'a [u8],
    lengths: Vec<u32>,
}

/// A run of bytes that both strings share: where it starts in each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Match {
    a: usize,
    b: usize,
    len: usize,
}

impl<'a> Prefixes<'a> {
    fn new(a: &'a [u8], b: &'a [u8]) -> Prefixes<'a> {
        let width = b.len() + 1;
        let mut lengths = vec![0u32; (a.len() + 1) * width];
        for (i, byte) in a.iter().enumerate() {
            let (above, row) = lengths[i * width..][..2 * width].split_at_mut(width);
            for (j, other) in b.iter().enumerate() {
                row[j + 1] = if byte == other { above[j] + 1 } else { above[j + 1].max(row[j]) };
            }
        }
        Prefixes { a, b, lengths }
    }

    fn at(&self, i: usize, j: usize) -> u32 {
        self.lengths[i * (self.b.len() + 1) + j]
    }

    fn len(&self) -> u32 {
        self.at(self.a.len(), self.b.len())
    }

    /// The runs of one longest subsequence, the last one first.
    fn matches(&self) -> Vec<Match> {
        let mut runs: Vec<Match> = Vec::new();
        let (mut i, mut j) = (self.a.len(), self.b.len());
        while i > 0 && j > 0 {
            if self.a[i - 1] == self.b[j - 1] {
                (i, j) = (i - 1, j - 1);
                match runs.last_mut() {
                    Some(run) if run.a == i + 1 && run.b == j + 1 => {
                        *run = Match { a: i, b: j, len: run.len + 1 };
                    }
                    _ => runs.push(Match { a: i, b: j, len: 1 }),
                }
            } else if self.at(i - 1, j) > self.at(i, j - 1) {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        runs
    }
}

fn lcs(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let a = value(x, args.at(1))?;
    let b = value(x, args.at(2))?;
    let options = Options::parse(args.from(3))?;
    if a.len().max(b.len()) >= u32::MAX as usize - 1 {
        return Err(Error::text("ERR String too long for LCS"));
    }
    let cells = (a.len() as u64 + 1) * (b.len() as u64 + 1);
    if cells.saturating_mul(4) > x.settings.proto_max_bulk_len {
        return Err(Error::text(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ));
    }
    let prefixes = Prefixes::new(&a, &b);
    if options.len {
        x.reply.integer(prefixes.len() as i64);
    } else if options.idx {
        reply_matches(&mut x.reply, &prefixes, &options);
    } else {
        let runs = prefixes.matches();
        let found: Vec<u8> = runs.iter().rev().flat_map(|run| &a[run.a..run.a + run.len]).copied().collect();
        x.reply.bulk(&found);
    }
    Ok(())
}

/// A copy of the string under a key: the other key's owner may be another keyspace.
fn value(x: &mut Exec<'_>, key: &[u8]) -> Result<Vec<u8>, Error> {
    let Some(entry) = x.keys.read(key) else { return Ok(Vec::new()) };
    let text =
        as_string(entry).map_err(|_| Error::text("ERR The specified keys must contain string values"))?;
    Ok(text.bytes(&mut itoa::Buffer::new()).to_vec())
}

fn reply_matches(reply: &mut Reply<'_>, prefixes: &Prefixes<'_>, options: &Options) {
    let mut runs = prefixes.matches();
    runs.retain(|run| run.len as i64 >= options.match_len_min);
    reply.map(2);
    reply.bulk(b"matches");
    reply.array(runs.len());
    for run in runs {
        reply.array(2 + options.with_match_len as usize);
        for from in [run.a, run.b] {
            reply.array(2);
            reply.integer(from as i64);
            reply.integer((from + run.len - 1) as i64);
        }
        if options.with_match_len {
            reply.integer(run.len as i64);
        }
    }
    reply.bulk(b"len");
    reply.integer(prefixes.len() as i64);
}

pub(super) const LCS: CommandSpec = CommandSpec {
    name: "lcs",
    arity: -3,
    flags: flag::READONLY,
    acl: acl::STRING,
    keys: &[KeySpec::range(access::RO | access::ACCESS, 1, 2, 1)],
    args: &[
        key("key1", 0),
        key("key2", 0),
        word("len", "LEN").opt(),
        word("idx", "IDX").opt(),
        int("len").token("MINMATCHLEN").opt(),
        word("withmatchlen", "WITHMATCHLEN").opt(),
    ],
    group: Group::String,
    since: "7.0.0",
    complexity: "O(N*M) in the lengths of the strings",
    summary: "Finds the longest common subsequence of two strings",
    run: Run::Keys(lcs),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, expect};

    #[test]
    fn the_example_of_the_documentation() {
        let mut b = Bench::with_shards(3);
        b.line("MSET key1 ohmytext key2 mynewtext");
        expect(
            &mut b,
            &[
                ("LCS key1 key2", "$6 mytext"),
                ("LCS key1 key2 LEN", ":6"),
                ("LCS key1 key2 IDX", "*4 $7 matches *2 *2 *2 :4 :7 *2 :5 :8 *2 *2 :2 :3 *2 :0 :1 $3 len :6"),
                (
                    "LCS key1 key2 IDX MINMATCHLEN 4 WITHMATCHLEN",
                    "*4 $7 matches *1 *3 *2 :4 :7 *2 :5 :8 :4 $3 len :6",
                ),
                ("LCS key1 nope", "$0"),
                ("LCS nope nope IDX", "*4 $7 matches *0 $3 len :0"),
                (
                    "LCS key1 key2 IDX LEN",
                    "-ERR If you want both the length and indexes, please just use IDX.",
                ),
                ("LCS key1 key2 MINMATCHLEN", "-ERR syntax error"),
                ("LCS key1 key2 MINMATCHLEN x", "-ERR value is not an integer or out of range"),
                ("LCS key1 key2 LENGTH", "-ERR syntax error"),
            ],
        );
    }

    #[test]
    fn the_table_is_bounded() {
        let mut b = Bench::new();
        b.run([&b"SET"[..], b"a", &[b'x'; 20_000]]);
        assert_eq!(
            b.line("LCS a a LEN"),
            "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
        );
    }
}
