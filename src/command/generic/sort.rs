//! SORT and SORT_RO: the elements of a list, a set or a sorted set in order, by themselves or by values of
//! other keys, answered or stored as they are or replaced by values of other keys.
//!
//! Keys made from a pattern (BY and GET with a `*`) are not among the arguments and lie on any shard, so
//! such a call holds all shards (`hidden_keys`). Elements that compare equal keep their order, those of a
//! set go by their bytes: the result never depends on how a set is kept. What STORE stored is journaled as
//! the elements themselves. Text is compared byte by byte, whatever the locale.

mod options;
mod texts;

use crate::base::num::{is_space, parse_f64};
use crate::command::spec::*;
use crate::command::{Error, Exec, list};
use crate::config::EventClasses;
use crate::keyspace::{Keys, Ttl};
use crate::resp::{Args, Reply};
use crate::structure::list::Side;
use crate::structure::object::View;
use crate::structure::{Collection, Hash, Item, List, NewValue, Object, Value};
use options::{Options, Pattern};
use std::cmp::Ordering;
use std::ops::Range;
use texts::Texts;

/// An element on its way.
#[derive(Clone, Copy)]
struct Row {
    /// Number in the collection.
    at: usize,
    weight: Weight,
}

/// What an element is sorted by.
#[derive(Clone, Copy)]
enum Weight {
    /// Itself, or nothing.
    None,
    Number(f64),
    /// Number of a text among those that BY led to.
    Text(usize),
}

/// Where the elements come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// A list or sorted set, or nothing: the order means something.
    Ordered,
    Set,
}

/// Copies the elements at a key: all, or where their own order is wanted, those that are.
fn elements(
    keys: &mut Keys<'_>,
    key: &[u8],
    options: &Options<'_>,
    texts: &mut Texts,
) -> Result<Source, Error> {
    let Some(entry) = keys.read(key) else { return Ok(Source::Ordered) };
    let mut copy = |item: Item<'_>| texts.push(item.text(&mut itoa::Buffer::new()));
    let part = |len| if options.unsorted { options.limit(len) } else { 0..len };
    let backwards = options.unsorted && options.desc;
    match entry.object().map(Object::view) {
        Some(View::List(list)) => {
            let part = part(list.len());
            match part.len() {
                0 => {}
                count if backwards => list.each(list.len() - 1 - part.start, count, Side::Left, copy),
                count => list.each(part.start, count, Side::Right, copy),
            }
            Ok(Source::Ordered)
        }
        Some(View::SortedSet(set)) => {
            let part = part(set.len());
            set.elements(part.start, backwards).take(part.len()).for_each(|(member, _)| copy(member));
            Ok(Source::Ordered)
        }
        Some(View::Set(set)) => {
            set.iter().for_each(copy);
            Ok(Source::Set)
        }
        _ => Err(Error::WrongType),
    }
}

/// Shows `f` the value that a pattern leads to from an element; `None` if there is none.
fn follow<R>(
    keys: &mut Keys<'_>,
    pattern: Pattern<'_>,
    element: &[u8],
    name: &mut Vec<u8>,
    f: impl FnOnce(Option<&[u8]>) -> R,
) -> R {
    let (prefix, suffix, field) = match pattern {
        Pattern::Element => return f(Some(element)),
        Pattern::Nothing => return f(None),
        Pattern::Key { prefix, suffix, field } => (prefix, suffix, field),
    };
    name.clear();
    [prefix, element, suffix].iter().for_each(|part| name.extend_from_slice(part));
    let now = keys.now;
    let Some(entry) = keys.read(name) else { return f(None) };
    match (entry.value(), field) {
        (Value::Bytes(bytes), None) => f(Some(bytes)),
        (Value::Int(n), None) => f(Some(itoa::Buffer::new().format(n).as_bytes())),
        (Value::Object(object), Some(field)) => match Hash::of(object).and_then(|hash| hash.find(field, now))
        {
            Some(field) => f(Some(field.value.text(&mut itoa::Buffer::new()))),
            None => f(None),
        },
        _ => f(None),
    }
}

/// A number as C's `strtod` reads the whole of a text.
fn number(text: &[u8]) -> Option<f64> {
    // A C string ends at a zero byte.
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(0.0);
    }
    let spaces = text.iter().take_while(|byte| is_space(**byte)).count();
    parse_f64(&text[spaces..])
}

/// The weights of all elements.
fn weigh(keys: &mut Keys<'_>, options: &Options<'_>, elements: &Texts) -> Result<(Vec<Row>, Texts), Error> {
    let (mut texts, mut name) = (Texts::default(), Vec::new());
    let mut failed = false;
    let mut weight_of = |text: Option<&[u8]>| match (text, options.alpha) {
        // What is missing weighs nothing.
        (None, true) => Weight::None,
        (None, false) => Weight::Number(0.0),
        (Some(text), true) => {
            texts.push(text);
            Weight::Text(texts.len() - 1)
        }
        (Some(text), false) => {
            let number = number(text);
            failed |= number.is_none();
            Weight::Number(number.unwrap_or(0.0))
        }
    };
    let rows = (0..elements.len()).map(|at| {
        let element = elements.get(at);
        let weight = match options.by {
            Some(pattern) => follow(keys, pattern, element, &mut name, &mut weight_of),
            None if options.alpha => Weight::None,
            None => weight_of(Some(element)),
        };
        Row { at, weight }
    });
    let rows = rows.collect();
    if failed {
        return Err(Error::text("ERR One or more scores can't be converted into double"));
    }
    Ok((rows, texts))
}

/// Puts the rows into order, at least those of `wanted`. No two rows are equal, so the order is one.
fn order(
    rows: &mut Vec<Row>,
    options: &Options<'_>,
    source: Source,
    elements: &Texts,
    weights: &Texts,
    wanted: Range<usize>,
) {
    let bytes = |a: &Row, b: &Row| elements.get(a.at).cmp(elements.get(b.at));
    let by_weight = |a: &Row, b: &Row| match (a.weight, b.weight) {
        (Weight::Number(x), Weight::Number(y)) => {
            x.partial_cmp(&y).unwrap_or(Ordering::Equal).then_with(|| bytes(a, b))
        }
        (Weight::Text(x), Weight::Text(y)) => weights.get(x).cmp(weights.get(y)),
        (Weight::Text(_), _) => Ordering::Greater,
        (_, Weight::Text(_)) => Ordering::Less,
        _ if options.by.is_some() => Ordering::Equal,
        _ => bytes(a, b),
    };
    let compare = |a: &Row, b: &Row| {
        let weighed = by_weight(a, b);
        let weighed = if options.desc { weighed.reverse() } else { weighed };
        let equal = || if source == Source::Set { bytes(a, b) } else { Ordering::Equal };
        weighed.then_with(equal).then_with(|| a.at.cmp(&b.at))
    };
    if wanted.is_empty() {
        return;
    }
    if wanted.end < rows.len() {
        rows.select_nth_unstable_by(wanted.end - 1, compare);
        rows.truncate(wanted.end);
    }
    rows.sort_unstable_by(compare);
}

fn sort(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let options = Options::parse(args.from(2), false, x.settings.cluster_enabled)?;
    run(x, args.at(1), options)
}

fn sort_ro(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let options = Options::parse(args.from(2), true, x.settings.cluster_enabled)?;
    run(x, args.at(1), options)
}

fn run(x: &mut Exec<'_>, key: &[u8], mut options: Options<'_>) -> Result<(), Error> {
    let mut texts = Texts::default();
    let source = elements(&mut x.keys, key, &options, &mut texts)?;
    // The order of a set is nobody's business: what is kept, or seen by a script, is put into one.
    if source == Source::Set && options.unsorted && (options.store.is_some() || x.client.in_script) {
        options.sort_by_text();
    }
    let as_they_are = |part: Range<usize>| part.map(|at| Row { at, weight: Weight::None }).collect();
    let rows: Vec<Row> = match (options.unsorted, source) {
        // Only those that are wanted were copied.
        (true, Source::Ordered) => as_they_are(0..texts.len()),
        (true, Source::Set) => as_they_are(options.limit(texts.len())),
        (false, _) => {
            let wanted = options.limit(texts.len());
            let (mut rows, weights) = weigh(&mut x.keys, &options, &texts)?;
            order(&mut rows, &options, source, &texts, &weights, wanted.clone());
            rows.drain(wanted).collect()
        }
    };
    match options.store {
        Some(to) => store(x, to, &options, &rows, &texts),
        None => answer(&mut x.keys, &mut x.reply, &options, &rows, &texts),
    }
    Ok(())
}

/// Shows each text of the result, or that there is none.
fn each_result(
    keys: &mut Keys<'_>,
    options: &Options<'_>,
    rows: &[Row],
    texts: &Texts,
    mut show: impl FnMut(Option<&[u8]>),
) {
    let mut name = Vec::new();
    for row in rows {
        let element = texts.get(row.at);
        if options.get.is_empty() {
            show(Some(element));
        }
        for pattern in &options.get {
            follow(keys, *pattern, element, &mut name, &mut show);
        }
    }
}

fn answer(keys: &mut Keys<'_>, reply: &mut Reply<'_>, options: &Options<'_>, rows: &[Row], texts: &Texts) {
    reply.array(rows.len() * options.get.len().max(1));
    each_result(keys, options, rows, texts, |text| match text {
        Some(text) => reply.bulk(text),
        None => reply.null(),
    });
}

/// How many elements one effect holds.
const EFFECT_ELEMENTS: usize = 512;

fn store(x: &mut Exec<'_>, to: &[u8], options: &Options<'_>, rows: &[Row], texts: &Texts) {
    let mut result = Texts::default();
    // What is missing is stored as an empty string.
    each_result(&mut x.keys, options, rows, texts, |text| result.push(text.unwrap_or_default()));
    x.reply.integer(result.len() as i64);
    let keys = &mut x.keys;
    let replaces = keys.exists(to);
    if result.len() == 0 {
        if replaces {
            keys.delete(to);
            keys.event(EventClasses::GENERIC, "del", to);
            keys.changed(to);
            keys.effect([b"DEL", to]);
        }
        return;
    }
    let mut list = List::new();
    list.extend(Side::Right, result.iter(), &list::limits(x.settings));
    keys.set(to, NewValue::Object(list.into_object()), Ttl::Clear);
    keys.event(EventClasses::LIST, "sortstore", to);
    keys.changed(to);
    keys.owner(to).stats.dirty += result.len() as u64 - 1;
    keys.unit(|keys| {
        if replaces {
            keys.effect([b"DEL", to]);
        }
        let elements: Vec<&[u8]> = result.iter().collect();
        for some in elements.chunks(EFFECT_ELEMENTS) {
            keys.effect([&[b"RPUSH", to], some].concat());
        }
    });
}

const PATTERNS: KeySpec = KeySpec::unknown(access::RO | access::ACCESS);
const ORDER: &[Arg] = &[word("asc", "ASC"), word("desc", "DESC")];

/// What the two rows have in common.
const ROW: CommandSpec = CommandSpec {
    arity: -2,
    acl: acl::SET | acl::SORTEDSET | acl::LIST | acl::DANGEROUS,
    complexity: "O(N+M*log(M)) in the number of elements and of those returned",
    ..CommandSpec::DEFAULT
};

pub(super) const SORT: CommandSpec = CommandSpec {
    name: "sort",
    flags: flag::WRITE | flag::DENYOOM,
    keys: &[
        KeySpec::one(access::RO | access::ACCESS, 1),
        PATTERNS,
        KeySpec::unknown(access::OW | access::UPDATE),
    ],
    hidden_keys: Some(options::hidden_keys),
    args: &[
        key("key", 0),
        pattern("pattern").of_keys(1).token("BY").opt(),
        block("offset_count", &[int("offset"), int("count")]).token("LIMIT").opt(),
        pattern("pattern").of_keys(1).token("GET").many_tokens().opt(),
        one_of("order", ORDER).opt(),
        word("sorting", "ALPHA").opt(),
        key("destination", 2).token("STORE").opt(),
    ],
    summary: "Returns or stores the elements of a list, a set or a sorted set in order",
    run: Run::Keys(sort),
    ..ROW
};

pub(super) const SORT_RO: CommandSpec = CommandSpec {
    name: "sort_ro",
    flags: flag::READONLY,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1), PATTERNS],
    hidden_keys: Some(options::hidden_keys_ro),
    args: &[
        key("key", 0),
        pattern("pattern").of_keys(1).token("BY").opt(),
        block("offset_count", &[int("offset"), int("count")]).token("LIMIT").opt(),
        pattern("pattern").of_keys(1).token("GET").many_tokens().opt(),
        one_of("order", ORDER).opt(),
        word("sorting", "ALPHA").opt(),
    ],
    since: "7.0.0",
    summary: "Returns the elements of a list, a set or a sorted set in order",
    run: Run::Keys(sort_ro),
    ..ROW
};

#[cfg(test)]
mod tests;
