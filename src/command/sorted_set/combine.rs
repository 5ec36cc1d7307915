//! ZUNION, ZINTER, ZDIFF, their STORE forms, and ZINTERCARD. Plain sets may be among the inputs; their
//! members all have the score 1.
//!
//! The inputs are looked at together where they lie; only the result is made. Scores are added in the
//! order in which Redis adds them, from the smallest input to the largest, as the sum of doubles depends
//! on it.

use super::{growth, parse_count, store, write_element, write_header};
use crate::base::num::parse_f64;
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::keyspace::Keys;
use crate::resp::Args;
use crate::structure::object::View;
use crate::structure::{Collection, Entry, Item, Object, Set, SortedSet, Value};
use ahash::RandomState;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;

type Element<'k> = (Cow<'k, [u8]>, f64);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operation {
    Union,
    Inter,
    Diff,
}

impl Operation {
    fn event(self) -> &'static str {
        match self {
            Operation::Union => "zunionstore",
            Operation::Inter => "zinterstore",
            Operation::Diff => "zdiffstore",
        }
    }
}

#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn of(self, a: f64, b: f64) -> f64 {
        match self {
            // Infinities of both signs make 0.
            Aggregate::Sum => zero_if_nan(a + b),
            Aggregate::Min => {
                if b < a {
                    b
                } else {
                    a
                }
            }
            Aggregate::Max => {
                if b > a {
                    b
                } else {
                    a
                }
            }
        }
    }
}

fn zero_if_nan(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// One input.
#[derive(Clone, Copy)]
enum Input<'a> {
    Absent,
    Sorted(&'a SortedSet),
    Plain(&'a Set),
}

impl<'a> Input<'a> {
    fn len(self) -> usize {
        match self {
            Input::Absent => 0,
            Input::Sorted(set) => set.len(),
            Input::Plain(set) => set.len(),
        }
    }

    fn score(self, member: Item<'_>) -> Option<f64> {
        match self {
            Input::Absent => None,
            Input::Sorted(set) => set.score(member.text(&mut itoa::Buffer::new())),
            Input::Plain(set) => set.contains_item(member).then_some(1.0),
        }
    }

    fn each(self, mut visit: impl FnMut(Item<'a>, f64)) {
        match self {
            Input::Absent => {}
            Input::Sorted(set) => set.elements(0, false).for_each(|(member, score)| visit(member, score)),
            Input::Plain(set) => set.iter().for_each(|member| visit(member, 1.0)),
        }
    }

    fn is_same(self, other: Input<'_>) -> bool {
        match (self, other) {
            (Input::Sorted(a), Input::Sorted(b)) => std::ptr::eq(a, b),
            (Input::Plain(a), Input::Plain(b)) => std::ptr::eq(a, b),
            _ => false,
        }
    }
}

/// What a command says about its inputs.
struct Request {
    operation: Operation,
    /// The arguments that are keys.
    first: usize,
    numkeys: usize,
    weights: Option<usize>,
    aggregate: Aggregate,
    scores: bool,
    limit: usize,
}

/// Which options there are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Reply,
    Store,
    Count,
}

/// `at` is the argument with the number of keys. Checks the keys' types before the options, as Redis does.
fn parse(
    keys: &mut Keys<'_>,
    args: Args<'_>,
    at: usize,
    operation: Operation,
    form: Form,
    name: &str,
) -> Result<Request, Error> {
    let numkeys = parse_count(args.at(at))?;
    if numkeys < 1 {
        return Err(Error::owned(format!("ERR at least 1 input key is needed for '{name}' command")));
    }
    let first = at + 1;
    let numkeys = usize::try_from(numkeys).ok().filter(|n| *n <= args.len() - first).ok_or(Error::Syntax)?;
    for i in first..first + numkeys {
        // Counts the hit and removes what has expired, so that a replay sees the same inputs.
        if let Some(entry) = keys.read(args.at(i)) {
            match entry.value() {
                Value::Object(object) if matches!(object.view(), View::SortedSet(_) | View::Set(_)) => {}
                _ => return Err(Error::WrongType),
            }
        }
    }
    let mut request = Request {
        operation,
        first,
        numkeys,
        weights: None,
        aggregate: Aggregate::Sum,
        scores: false,
        limit: usize::MAX,
    };
    options(&mut request, args, form)?;
    Ok(request)
}

fn options(request: &mut Request, args: Args<'_>, form: Form) -> Result<(), Error> {
    let mut at = request.first + request.numkeys;
    let weighted = request.operation != Operation::Diff && form != Form::Count;
    while at < args.len() {
        let is = |name: &str| args.at(at).eq_ignore_ascii_case(name.as_bytes());
        let remaining = args.len() - at;
        if weighted && remaining > request.numkeys && is("WEIGHTS") {
            request.weights = Some(at + 1);
            for i in 0..request.numkeys {
                let not_float = Error::text("ERR weight value is not a float");
                parse_f64(args.at(at + 1 + i)).ok_or(not_float)?;
            }
            at += 1 + request.numkeys;
        } else if weighted && remaining >= 2 && is("AGGREGATE") {
            request.aggregate = match &args.at(at + 1).to_ascii_lowercase()[..] {
                b"sum" => Aggregate::Sum,
                b"min" => Aggregate::Min,
                b"max" => Aggregate::Max,
                _ => return Err(Error::Syntax),
            };
            at += 2;
        } else if form == Form::Reply && is("WITHSCORES") {
            request.scores = true;
            at += 1;
        } else if form == Form::Count && remaining >= 2 && is("LIMIT") {
            let negative = Error::text("ERR LIMIT can't be negative");
            let limit = crate::base::num::parse_i64(args.at(at + 1)).and_then(|n| usize::try_from(n).ok());
            // 0 is no limit.
            request.limit = limit.map(|n| if n == 0 { usize::MAX } else { n }).ok_or(negative)?;
            at += 2;
        } else {
            return Err(Error::Syntax);
        }
    }
    Ok(())
}

/// An input and its weight.
type Weighted<'a> = (Input<'a>, f64);

impl Request {
    fn inputs<'k>(&self, keys: &'k Keys<'_>, args: Args<'_>) -> Vec<Weighted<'k>> {
        let input =
            |i: usize| match keys.view(args.at(self.first + i)).and_then(Entry::object).map(Object::view) {
                Some(View::SortedSet(set)) => Input::Sorted(set),
                Some(View::Set(set)) => Input::Plain(set),
                _ => Input::Absent,
            };
        let weight = |i: usize| self.weights.and_then(|at| parse_f64(args.at(at + i))).unwrap_or(1.0);
        let mut inputs: Vec<_> = (0..self.numkeys).map(|i| (input(i), weight(i))).collect();
        if self.operation != Operation::Diff {
            inputs.sort_by_key(|(input, _)| input.len());
        }
        inputs
    }

    /// The elements of the result, in no order.
    fn elements<'k>(&self, inputs: &[Weighted<'k>], hasher: RandomState) -> Vec<Element<'k>> {
        match self.operation {
            Operation::Union => self.union(inputs, hasher),
            Operation::Inter => {
                let mut elements = Vec::new();
                self.intersect(inputs, |member, score| {
                    elements.push((text(member), score));
                    true
                });
                elements
            }
            Operation::Diff => diff(inputs),
        }
    }

    fn union<'k>(&self, inputs: &[Weighted<'k>], hasher: RandomState) -> Vec<Element<'k>> {
        let mut scores = HashMap::with_hasher(hasher);
        for (input, weight) in inputs {
            input.each(|member, score| {
                let score = zero_if_nan(weight * score);
                scores
                    .entry(text(member))
                    .and_modify(|sum| *sum = self.aggregate.of(*sum, score))
                    .or_insert(score);
            });
        }
        scores.into_iter().collect()
    }

    /// Visits what all inputs have, from the smallest of them; stops when `visit` says so.
    fn intersect<'k>(&self, inputs: &[Weighted<'k>], mut visit: impl FnMut(Item<'k>, f64) -> bool) {
        let Some(((smallest, weight), others)) = inputs.split_first() else { return };
        let mut done = false;
        smallest.each(|member, own| {
            if done {
                return;
            }
            let mut score = zero_if_nan(weight * own);
            for (other, weight) in others {
                let theirs = if other.is_same(*smallest) { Some(own) } else { other.score(member) };
                let Some(theirs) = theirs else { return };
                score = self.aggregate.of(score, theirs * weight);
            }
            done = !visit(member, score);
        });
    }
}

fn text(member: Item<'_>) -> Cow<'_, [u8]> {
    match member {
        Item::Bytes(bytes) => Cow::Borrowed(bytes),
        Item::Int(n) => Cow::Owned(itoa::Buffer::new().format(n).as_bytes().to_vec()),
    }
}

fn diff<'k>(inputs: &[Weighted<'k>]) -> Vec<Element<'k>> {
    let mut elements = Vec::new();
    if let Some(((first, _), others)) = inputs.split_first() {
        if others.iter().any(|(other, _)| other.is_same(*first)) {
            return elements;
        }
        first.each(|member, score| {
            if others.iter().all(|(other, _)| other.score(member).is_none()) {
                elements.push((text(member), score));
            }
        });
    }
    elements
}

fn sort(elements: &mut [Element<'_>]) {
    elements.sort_unstable_by(|(a, x), (b, y)| {
        x.partial_cmp(y).unwrap_or(Ordering::Equal).then_with(|| a.cmp(b))
    });
}

fn reply(x: &mut Exec<'_>, args: Args<'_>, operation: Operation, name: &str) -> Result<(), Error> {
    let request = parse(&mut x.keys, args, 1, operation, Form::Reply, name)?;
    let mut elements = request.elements(&request.inputs(&x.keys, args), x.keys.placement.hasher());
    sort(&mut elements);
    write_header(&mut x.reply, elements.len(), request.scores);
    for (member, score) in &elements {
        write_element(&mut x.reply, Item::Bytes(member), *score, request.scores);
    }
    Ok(())
}

fn store_result(x: &mut Exec<'_>, args: Args<'_>, operation: Operation, name: &str) -> Result<(), Error> {
    let request = parse(&mut x.keys, args, 2, operation, Form::Store, name)?;
    let hasher = x.keys.placement.hasher();
    let growth = growth(x.settings, &hasher);
    let mut elements = request.elements(&request.inputs(&x.keys, args), hasher.clone());
    sort(&mut elements);
    let longest = elements.iter().map(|(member, _)| member.len()).max().unwrap_or(0);
    let mut set = SortedSet::for_members(elements.len(), longest, &growth);
    elements.iter().for_each(|(member, score)| set.add(member, *score, &growth));
    let len = set.len();
    drop(elements);
    store(&mut x.keys, args.at(1), set, operation.event());
    x.reply.integer(len as i64);
    Ok(())
}

fn zintercard(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let request = parse(&mut x.keys, args, 1, Operation::Inter, Form::Count, "zintercard")?;
    let mut count = 0;
    request.intersect(&request.inputs(&x.keys, args), |_, _| {
        count += 1;
        count < request.limit
    });
    x.reply.integer(count as i64);
    Ok(())
}

fn zunion(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    reply(x, args, Operation::Union, "zunion")
}

fn zinter(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    reply(x, args, Operation::Inter, "zinter")
}

fn zdiff(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    reply(x, args, Operation::Diff, "zdiff")
}

fn zunionstore(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    store_result(x, args, Operation::Union, "zunionstore")
}

fn zinterstore(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    store_result(x, args, Operation::Inter, "zinterstore")
}

fn zdiffstore(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    store_result(x, args, Operation::Diff, "zdiffstore")
}

const WEIGHTS: Arg = int("weight").token("WEIGHTS").opt().many();
const AGGREGATE: Arg = one_of("aggregate", &[word("sum", "SUM"), word("min", "MIN"), word("max", "MAX")])
    .token("AGGREGATE")
    .opt();

pub(super) const ZDIFF: CommandSpec = CommandSpec {
    name: "zdiff",
    arity: -3,
    flags: flag::READONLY | flag::MOVABLEKEYS,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::counted(access::RO | access::ACCESS, 1)],
    args: &[int("numkeys"), key("key", 0).many(), word("withscores", "WITHSCORES").opt()],
    group: Group::SortedSet,
    since: "6.2.0",
    complexity: "O(L+K*log(K)) for L members in all and K of the result",
    summary: "Returns the members of the first sorted set that no other has",
    run: Run::Keys(zdiff),
    ..CommandSpec::DEFAULT
};

pub(super) const ZDIFFSTORE: CommandSpec = CommandSpec {
    name: "zdiffstore",
    arity: -4,
    flags: flag::WRITE | flag::DENYOOM | flag::MOVABLEKEYS,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::OW | access::UPDATE, 1), KeySpec::counted(access::RO | access::ACCESS, 2)],
    args: &[key("destination", 0), int("numkeys"), key("key", 1).many()],
    group: Group::SortedSet,
    since: "6.2.0",
    complexity: "O(L+K*log(K)) for L members in all and K of the result",
    summary: "Stores the members of the first sorted set that no other has",
    run: Run::Keys(zdiffstore),
    ..CommandSpec::DEFAULT
};

pub(super) const ZINTER: CommandSpec = CommandSpec {
    name: "zinter",
    arity: -3,
    flags: flag::READONLY | flag::MOVABLEKEYS,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::counted(access::RO | access::ACCESS, 1)],
    args: &[int("numkeys"), key("key", 0).many(), WEIGHTS, AGGREGATE, word("withscores", "WITHSCORES").opt()],
    group: Group::SortedSet,
    since: "6.2.0",
    complexity: "O(N*K)+O(M*log(M)) for the smallest of K with N members, and M of the result",
    summary: "Returns the members that all sorted sets have",
    run: Run::Keys(zinter),
    ..CommandSpec::DEFAULT
};

pub(super) const ZINTERCARD: CommandSpec = CommandSpec {
    name: "zintercard",
    arity: -3,
    flags: flag::READONLY | flag::MOVABLEKEYS,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::counted(access::RO | access::ACCESS, 1)],
    args: &[int("numkeys"), key("key", 0).many(), int("limit").token("LIMIT").opt()],
    group: Group::SortedSet,
    since: "7.0.0",
    complexity: "O(N*K) for the smallest of K with N members",
    summary: "Tells how many members all sorted sets have",
    run: Run::Keys(zintercard),
    ..CommandSpec::DEFAULT
};

pub(super) const ZINTERSTORE: CommandSpec = CommandSpec {
    name: "zinterstore",
    arity: -4,
    flags: flag::WRITE | flag::DENYOOM | flag::MOVABLEKEYS,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::OW | access::UPDATE, 1), KeySpec::counted(access::RO | access::ACCESS, 2)],
    args: &[key("destination", 0), int("numkeys"), key("key", 1).many(), WEIGHTS, AGGREGATE],
    group: Group::SortedSet,
    since: "2.0.0",
    complexity: "O(N*K)+O(M*log(M)) for the smallest of K with N members, and M of the result",
    summary: "Stores the members that all sorted sets have",
    run: Run::Keys(zinterstore),
    ..CommandSpec::DEFAULT
};

pub(super) const ZUNION: CommandSpec = CommandSpec {
    name: "zunion",
    arity: -3,
    flags: flag::READONLY | flag::MOVABLEKEYS,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::counted(access::RO | access::ACCESS, 1)],
    args: &[int("numkeys"), key("key", 0).many(), WEIGHTS, AGGREGATE, word("withscores", "WITHSCORES").opt()],
    group: Group::SortedSet,
    since: "6.2.0",
    complexity: "O(N)+O(M*log(M)) for N members in all and M of the result",
    summary: "Returns the members that any of the sorted sets has",
    run: Run::Keys(zunion),
    ..CommandSpec::DEFAULT
};

pub(super) const ZUNIONSTORE: CommandSpec = CommandSpec {
    name: "zunionstore",
    arity: -4,
    flags: flag::WRITE | flag::DENYOOM | flag::MOVABLEKEYS,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::OW | access::UPDATE, 1), KeySpec::counted(access::RO | access::ACCESS, 2)],
    args: &[key("destination", 0), int("numkeys"), key("key", 1).many(), WEIGHTS, AGGREGATE],
    group: Group::SortedSet,
    since: "2.0.0",
    complexity: "O(N)+O(M*log(M)) for N members in all and M of the result",
    summary: "Stores the members that any of the sorted sets has",
    run: Run::Keys(zunionstore),
    ..CommandSpec::DEFAULT
};
