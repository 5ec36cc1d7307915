//! From a command and its arguments to the shards concerned.

use crate::base::ShardId;
use crate::command::spec::{Begin, KeysError};
use crate::command::{CommandSpec, Run};
use crate::keyspace::Placement;
use crate::resp::{Args, ArgsBuf};

/// A small ordered set of shards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardSet(Vec<ShardId>);

impl ShardSet {
    pub fn all(shards: ShardId) -> Self {
        ShardSet((0..shards).collect())
    }

    pub fn insert(&mut self, shard: ShardId) {
        if let Err(at) = self.0.binary_search(&shard) {
            self.0.insert(at, shard);
        }
    }

    pub fn extend(&mut self, other: &ShardSet) {
        other.0.iter().for_each(|s| self.insert(*s));
    }

    pub fn as_slice(&self) -> &[ShardId] {
        &self.0
    }

    /// The only member.
    pub fn single(&self) -> Option<ShardId> {
        if let [one] = self.0[..] { Some(one) } else { None }
    }
}

/// The form in which a command runs.
#[derive(Debug, PartialEq, Eq)]
pub enum Plan {
    /// At home, by the session.
    Session,
    /// As it is, on this shard.
    One(ShardId),
    /// In parts, on these shards.
    Split(ShardSet),
    /// On every shard.
    Every,
    /// On keyspaces held together.
    Hold(ShardSet),
}

/// Plans one command of a valid arity.
pub fn plan(spec: &CommandSpec, args: Args<'_>, placement: &Placement) -> Result<Plan, KeysError> {
    Ok(match spec.run {
        Run::Session | Run::Container => Plan::Session,
        Run::Every(..) => Plan::Every,
        // Who knows the script may find that fewer shards will do.
        Run::Script => Plan::Hold(ShardSet::all(placement.shards())),
        Run::Cursor(_) => Plan::One(cursor_shard(args, placement)),
        Run::Keys(_) if placement.shards() > 1 && spec.hidden_keys.is_some_and(|of| of(args).anywhere) => {
            Plan::Hold(ShardSet::all(placement.shards()))
        }
        Run::Keys(_) => {
            // Keys that are not where the command says they are (LMPOP 2 key LEFT): the handler refuses
            // the command before it looks at any, wherever it runs.
            let Ok(shards) = shards_of(spec, args, placement) else { return Ok(Plan::One(0)) };
            match shards.as_slice() {
                [] => Plan::One(0),
                [one] => Plan::One(*one),
                _ => Plan::Hold(shards),
            }
        }
        Run::Split(..) => {
            let shards = shards_of(spec, args, placement)?;
            match shards.as_slice() {
                [] => Plan::One(0),
                [one] => Plan::One(*one),
                // A key without its value: whoever gets it whole says what is wrong with it.
                [any, ..] if !(args.len() - 1).is_multiple_of(split_step(spec)) => Plan::One(*any),
                _ => Plan::Split(shards),
            }
        }
    })
}

fn shards_of(spec: &CommandSpec, args: Args<'_>, placement: &Placement) -> Result<ShardSet, KeysError> {
    let mut shards = ShardSet::default();
    spec.each_key(args, |at, _| shards.insert(placement.shard(args.at(at))))?;
    Ok(shards)
}

/// The shard a SCAN cursor stands in: its low bits. A cursor that is no number goes anywhere and is
/// refused there.
fn cursor_shard(args: Args<'_>, placement: &Placement) -> ShardId {
    let cursor: u64 = args.get(1).and_then(|c| std::str::from_utf8(c).ok()?.parse().ok()).unwrap_or(0);
    let shard = cursor & ((1 << crate::base::limits::SHARD_BITS) - 1);
    if shard < placement.shards() as u64 { shard as ShardId } else { 0 }
}

/// The part of a `Run::Split` command that belongs to one shard: what stands before its keys and that shard's keys (with
/// their values), in the order given. `took` is told the position of each key among all keys.
pub fn split(
    spec: &CommandSpec,
    args: Args<'_>,
    placement: &Placement,
    shard: ShardId,
    mut took: impl FnMut(usize),
) -> ArgsBuf {
    if let Some(split) = spec.split {
        return split(args, &mut |key| placement.shard(key) == shard);
    }
    let step = split_step(spec);
    let first = match spec.keys[0].begin {
        Begin::Index(first) => first,
        Begin::Keyword { .. } | Begin::Unknown => 1,
    };
    let mut part = ArgsBuf::new();
    args.iter().take(first).for_each(|word| part.push(word));
    for (position, at) in (first..args.len()).step_by(step).enumerate() {
        if placement.shard(args.at(at)) == shard {
            took(position);
            (at..at + step).for_each(|i| part.push(args.at(i)));
        }
    }
    part
}

fn split_step(spec: &CommandSpec) -> usize {
    match spec.keys[0].find {
        crate::command::spec::Find::Range { step, .. } => step,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{CommandTable, intrinsic};

    fn planned(line: &str, shards: ShardId) -> Plan {
        let table = CommandTable::new(&[]).unwrap();
        let args: ArgsBuf = line.split(' ').collect();
        let spec = table.spec(table.find(args.as_args().at(0)).unwrap());
        plan(spec, args.as_args(), &Placement::new(shards, [1, 2, 3, 4])).unwrap()
    }

    #[test]
    fn sort_holds_all_shards_only_for_patterns_of_keys() {
        let everything = Plan::Hold(ShardSet::all(5));
        for line in
            ["SORT k BY w_*", "SORT k GET # GET w_*->f STORE d", "SORT_RO k BY x GET *", "sort k get *"]
        {
            assert_eq!(planned(line, 5), everything, "{line}");
            assert_eq!(planned(line, 1), Plan::One(0), "{line}");
        }
        for line in ["SORT k BY nosort GET #", "SORT k LIMIT GET *", "SORT_RO k", "SORT k STORE {k}*"] {
            assert!(matches!(planned(line, 5), Plan::One(_)), "{line}");
        }
        let apart = (0..)
            .map(|n| format!("SORT k ALPHA STORE d{n}"))
            .find(|line| matches!(planned(line, 5), Plan::Hold(shards) if shards.as_slice().len() == 2));
        assert!(apart.is_some());
    }

    #[test]
    fn a_command_with_wrong_keys_goes_to_who_can_say_so() {
        assert_eq!(planned("LMPOP x k LEFT", 5), Plan::One(0));
        assert_eq!(planned("LMPOP 7 k LEFT", 5), Plan::One(0));
    }

    #[test]
    fn a_group_is_split_into_scripts_of_its_parts() {
        let placement = Placement::new(2, [1, 2, 3, 4]);
        let keys: Vec<String> = (0..6).map(|n| format!("channel{n}")).collect();
        let mut args: ArgsBuf = ["EVAL", "body", "6"].into_iter().collect();
        keys.iter().for_each(|key| args.push(key.as_bytes()));
        keys.iter().for_each(|key| args.push(format!("to-{key}").as_bytes()));
        (0..6).for_each(|n| args.push(n.to_string().as_bytes()));
        ["1700000000.25", "60"].iter().for_each(|word| args.push(word.as_bytes()));
        let group_send = intrinsic::ALL.iter().find(|it| it.spec.name == "channels-group-send").unwrap();
        let mut all = Vec::new();
        for shard in 0..2 {
            let part = split(&group_send.spec, args.as_args(), &placement, shard, |_| ());
            let part = part.as_args();
            assert!((group_send.fits)(part));
            let len = (part.len() - 5) / 3;
            for n in 0..len {
                let [key, message, capacity] = [3, 3 + len, 3 + 2 * len]
                    .map(|from| String::from_utf8_lossy(part.at(from + n)).into_owned());
                assert_eq!(placement.shard(key.as_bytes()), shard);
                assert_eq!(message, format!("to-{key}"));
                assert!(key.ends_with(&capacity));
                all.push(key);
            }
        }
        all.sort();
        assert_eq!(all, keys);
    }
}
