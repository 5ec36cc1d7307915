//! HRANDFIELD: random fields, each as likely as any other. A negative count may give a field several
//! times; a positive one gives each at most once.

use super::{bulk, read};
use crate::base::random::Random;
use crate::command::draw::Draw;
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::resp::{Args, Reply};
use crate::structure::Hash;
use crate::structure::hash::Field;
use std::collections::HashSet;

/// Asking for at least this part of the fields, it is cheaper to take from a list of all than to pick
/// until enough are different.
const LIST_FROM_PART: usize = 3;

fn hrandfield(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let mut random = Random::new(x.random);
    let Some(count) = args.get(2) else {
        return read(x, args.at(1), |hash, now, reply| {
            match hash.and_then(|hash| hash.random(&mut random, now)) {
                Some(field) => bulk(reply, field.name),
                None => reply.null(),
            }
        });
    };
    let draw = Draw::read(count)?;
    let (values, draw) = match args.get(3) {
        None => (false, draw),
        Some(word) if args.len() == 4 && word.eq_ignore_ascii_case(b"WITHVALUES") => (true, draw.of_pairs()?),
        Some(_) => return Err(Error::Syntax),
    };
    read(x, args.at(1), |hash, now, reply| {
        let Some((hash, live)) = hash.map(|hash| (hash, hash.live(now))).filter(|(_, live)| *live > 0) else {
            reply.array(0);
            return Ok(());
        };
        match draw.bounded()? {
            Draw::Repeated(n) => {
                repeatable(hash, now, n, &mut random, &mut Writer::open(reply, n, values));
            }
            Draw::Different(n) => {
                let n = n.min(live);
                distinct(hash, now, n, live, &mut random, &mut Writer::open(reply, n, values));
            }
        }
        Ok(())
    })?
}

/// `n` picks that know nothing of each other.
fn repeatable(hash: &Hash, now: u64, n: usize, random: &mut Random, out: &mut Writer<'_, '_>) {
    if hash.pack_bytes().is_some() {
        // A place in a listpack is far to walk to.
        let all = list(hash, now);
        (0..n).for_each(|_| out.field(all[random.below(all.len())]));
    } else {
        (0..n).filter_map(|_| hash.random(random, now)).for_each(|field| out.field(field));
    }
}

/// `n` different ones of `live` fields.
fn distinct(hash: &Hash, now: u64, n: usize, live: usize, random: &mut Random, out: &mut Writer<'_, '_>) {
    if n == live {
        return hash.each(now, |field| out.field(field));
    }
    if hash.pack_bytes().is_some() || n > live / LIST_FROM_PART {
        let mut all = list(hash, now);
        for at in 0..n {
            let picked = at + random.below(all.len() - at);
            all.swap(at, picked);
            out.field(all[at]);
        }
        return;
    }
    let mut seen = HashSet::with_capacity(n);
    let mut digits = itoa::Buffer::new();
    while seen.len() < n
        && let Some(field) = hash.random(random, now)
    {
        // Names in a table are bytes; `text` copies nothing.
        if seen.insert(field.name.text(&mut digits).to_vec()) {
            out.field(field);
        }
    }
}

fn list(hash: &Hash, now: u64) -> Vec<Field<'_>> {
    let mut all = Vec::new();
    hash.each(now, |field| all.push(field));
    all
}

/// Writes fields, with their values if that was asked for: as pairs in RESP3, in turn in RESP2.
struct Writer<'a, 'r> {
    reply: &'a mut Reply<'r>,
    values: bool,
}

impl<'a, 'r> Writer<'a, 'r> {
    fn open(reply: &'a mut Reply<'r>, fields: usize, values: bool) -> Writer<'a, 'r> {
        reply.array(if values && !reply.is_resp3() { 2 * fields } else { fields });
        Writer { reply, values }
    }

    fn field(&mut self, field: Field<'_>) {
        if self.values && self.reply.is_resp3() {
            self.reply.array(2);
        }
        bulk(self.reply, field.name);
        if self.values {
            bulk(self.reply, field.value);
        }
    }
}

pub(super) const HRANDFIELD: CommandSpec = CommandSpec {
    name: "hrandfield",
    arity: -2,
    flags: flag::READONLY,
    acl: acl::HASH,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), block("options", &[int("count"), word("withvalues", "WITHVALUES").opt()]).opt()],
    group: Group::Hash,
    since: "6.2.0",
    complexity: "O(N) in the number of fields returned",
    summary: "Returns random fields",
    tips: &["nondeterministic_output"],
    run: Run::Keys(hrandfield),
    ..CommandSpec::DEFAULT
};
