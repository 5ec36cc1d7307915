//! Words for arguments that mean something to one family of commands: members, scores, ids, groups,
//! ranges. They come from small sets, so that commands meet each other's work.

use crate::support::{Bytes, Rng, payload};
use ringdove::command::spec::Group;

/// Names of keys by family. A key of one family meets commands of another now and then, and what
/// RENAME and COPY leave under a name is anybody's.
pub fn key_of(group: Group, rng: &mut Rng) -> Option<Bytes> {
    let (letter, count) = match group {
        Group::List => ('l', 6),
        Group::Hash => ('h', 5),
        Group::Set => ('s', 6),
        Group::SortedSet => ('z', 6),
        Group::Geo => ('g', 3),
        Group::Stream => ('x', 4),
        Group::Bitmap => ('b', 4),
        Group::HyperLogLog => ('p', 4),
        _ => return None,
    };
    rng.chance(90).then(|| format!("{letter}{}", rng.below(count)).into_bytes())
}

/// Commands that order by members alone, which has a meaning only where all scores are equal.
pub const LEXICAL: &[&str] = &["zrangebylex", "zrevrangebylex", "zlexcount", "zremrangebylex"];

/// A sorted set in which all scores are 0: nobody else uses these keys.
pub fn lexical_key(rng: &mut Rng) -> Bytes {
    format!("y{}", rng.below(2)).into_bytes()
}

/// ZADD to one of them.
pub fn add_lexical(rng: &mut Rng) -> Vec<Bytes> {
    let mut words = vec![b"ZADD".to_vec(), lexical_key(rng)];
    for _ in 0..1 + rng.below(4) {
        words.extend([b"0".to_vec(), member(rng)]);
    }
    words
}

/// Makes a group, and its stream if that is not there.
pub fn make_group(rng: &mut Rng) -> Vec<Bytes> {
    let stream = format!("x{}", rng.below(4));
    ["XGROUP", "CREATE", &stream, "g1", "0", "MKSTREAM"].iter().map(|w| w.as_bytes().to_vec()).collect()
}

/// A key of any family, for commands that take all.
pub fn any_key(rng: &mut Rng) -> Bytes {
    let families = [
        Group::List,
        Group::Hash,
        Group::Set,
        Group::SortedSet,
        Group::Geo,
        Group::Stream,
        Group::Bitmap,
        Group::HyperLogLog,
    ];
    let family = *rng.pick(&families);
    key_of(family, rng).unwrap_or_else(|| format!("k{}", rng.below(9)).into_bytes())
}

fn word(rng: &mut Rng, words: &[&str]) -> Option<Bytes> {
    Some(rng.pick(words).as_bytes().into())
}

/// A text argument that has a meaning of its own; None: any text will do.
pub fn text(group: Group, command: &str, name: &str, rng: &mut Rng) -> Option<Bytes> {
    match (command, name) {
        ("restore", "serialized-value") => Some(serialized(rng)),
        ("xadd" | "xtrim" | "xack" | "xdel" | "xclaim" | "xgroup|setid" | "xgroup|create" | "xsetid", n)
            if n.contains("id") || n == "threshold" =>
        {
            Some(stream_id(rng))
        }
        ("xread" | "xreadgroup", "id" | "ID") => match rng.below(5) {
            0 => word(rng, &["$", ">", "0"]),
            _ => Some(stream_id(rng)),
        },
        ("xautoclaim", "start") => Some(stream_id(rng)),
        ("xrange" | "xrevrange" | "xpending", "start" | "end") => match rng.below(3) {
            0 => word(rng, &["-", "+", "-", "+", "("]),
            1 => Some([b"(", &stream_id(rng)[..]].concat()),
            _ => Some(stream_id(rng)),
        },
        (_, "group" | "groupname") => word(rng, &["g1", "g1", "g1", "g1", "g1", "g2", "nosuch"]),
        (_, "consumer" | "consumername") => word(rng, &["c1", "c2", "c3"]),
        (_, "min-idle-time") => word(rng, &["0", "0", "0", "1000000", "x"]),
        ("bitop", "operation") => word(rng, &["AND", "or", "XOR", "NOT", "NOT", "odd"]),
        ("pfdebug", "subcommand") => word(rng, &["GETREG", "DECODE", "ENCODING", "TODENSE", "odd"]),
        ("bitfield" | "bitfield_ro", "encoding") => {
            word(rng, &["u8", "i8", "u1", "i16", "u32", "i64", "u63", "i5", "u64", "i65", "x8", "u0"])
        }
        ("bitfield" | "bitfield_ro", "offset") => match rng.below(3) {
            0 => Some(format!("#{}", rng.below(12)).into_bytes()),
            _ => Some(rng.below(100).to_string().into_bytes()),
        },
        ("zrangebylex" | "zrevrangebylex" | "zlexcount" | "zremrangebylex", "min" | "max") => lex(rng),
        ("zrange" | "zrangestore", "start" | "stop" | "min" | "max") => match rng.below(3) {
            0 => lex(rng),
            1 => score_bound(rng),
            _ => Some(rng.range(-6, 9).to_string().into_bytes()),
        },
        (_, "min" | "max") => score_bound(rng),
        ("sort" | "sort_ro", _) => word(rng, &["w*", "h*->a", "#", "nosort", "k*", "h1->*", "l*"]),
        ("geosearch" | "geosearchstore", "member")
        | ("georadiusbymember" | "georadiusbymember_ro", "member") => Some(member(rng)),
        _ if matches!(
            group,
            Group::List
                | Group::Hash
                | Group::Set
                | Group::SortedSet
                | Group::Geo
                | Group::HyperLogLog
                | Group::Stream
        ) =>
        {
            // Some values stay long or odd: they turn a compact collection into a large one.
            rng.chance(85).then(|| member(rng))
        }
        _ => None,
    }
}

/// A payload of RESTORE; some are damaged.
fn serialized(rng: &mut Rng) -> Bytes {
    let word = |rng: &mut Rng| if rng.chance(90) { member(rng) } else { vec![b'w'; 30 + rng.below(60)] };
    let mut payload = payload::random(rng, word);
    if rng.chance(5) {
        let at = rng.below(payload.len());
        payload[at] ^= 1;
    }
    payload
}

/// Members, fields, elements: some are integers.
fn member(rng: &mut Rng) -> Bytes {
    match rng.below(10) {
        0..4 => rng.range(-3, 20).to_string().into_bytes(),
        4 => rng.pick(&["70000", "-5000000000", "9223372036854775807", "007"]).as_bytes().into(),
        5..9 => vec![b'a' + rng.below(14) as u8],
        _ => format!("member-{}", rng.below(12)).into_bytes(),
    }
}

/// Ids of stream entries: explicit, because `*` is the clock.
pub fn stream_id(rng: &mut Rng) -> Bytes {
    match rng.below(20) {
        0 => rng
            .pick(&["0-0", "0", "18446744073709551615-18446744073709551615", "x", "1-", "-1"])
            .as_bytes()
            .into(),
        1..3 => format!("{}-*", rng.below(60)).into_bytes(),
        3..6 => rng.below(60).to_string().into_bytes(),
        _ => format!("{}-{}", rng.below(60), rng.below(4)).into_bytes(),
    }
}

fn lex(rng: &mut Rng) -> Option<Bytes> {
    match rng.below(10) {
        0 => word(rng, &["-", "+"]),
        1 => word(rng, &["a", "", "("]),
        n => Some([&[b"[("[n % 2]], &member(rng)[..]].concat()),
    }
}

fn score_bound(rng: &mut Rng) -> Option<Bytes> {
    match rng.below(10) {
        0..2 => word(rng, &["-inf", "+inf", "inf", "(-inf", "(inf", "(", "nan", "(abc"]),
        2..5 => Some(format!("({}", rng.range(-10, 20)).into_bytes()),
        _ => Some(rng.range(-10, 20).to_string().into_bytes()),
    }
}

/// An integer argument that has a meaning of its own.
pub fn integer(group: Group, command: &str, name: &str, rng: &mut Rng) -> Option<i64> {
    Some(match (command, name) {
        ("setbit" | "getbit", "offset") => match rng.below(20) {
            0 => *rng.pick(&[-1, 4_294_967_296, 1 << 40]),
            1 => rng.range(0, 30_000),
            _ => rng.range(0, 100),
        },
        ("setbit", "value") | ("bitpos", "bit") => match rng.below(15) {
            0 => 2,
            _ => rng.range(0, 1),
        },
        ("bitcount" | "bitpos", _) => match rng.below(12) {
            0 => *rng.pick(&[i64::MIN, i64::MAX]),
            _ => rng.range(-12, 30),
        },
        (_, "cursor") => 0,
        // Short: nobody will come to end the wait.
        (_, "timeout" | "milliseconds") if group == Group::Stream => rng.range(1, 3),
        (_, "min-idle-time" | "idle" | "ms" | "unix-time-milliseconds") => 0,
        // The lowest integer is refused since 7.2.
        (_, "rank") => rng.range(-4, 4),
        // As many elements as asked for, were it four thousand millions.
        ("hrandfield" | "srandmember", "count") => rng.range(-8, 10),
        (_, "count") if rng.chance(85) => rng.range(1, 8),
        (_, "limit") if rng.chance(85) => rng.range(0, 4),
        _ if matches!(group, Group::List | Group::SortedSet | Group::Set | Group::Hash | Group::Stream) => {
            match rng.below(15) {
                0 => *rng.pick(&[i64::MIN, i64::MAX, 4_294_967_296, -4_294_967_296]),
                _ => rng.range(-8, 10),
            }
        }
        _ => return None,
    })
}

/// A floating-point argument: scores and weights from few values, places on the globe.
pub fn double(command: &str, name: &str, rng: &mut Rng) -> Option<Bytes> {
    let beyond = !rng.chance(95);
    let within = |limit: i64, rng: &mut Rng| {
        Some(format!("{}.{:03}", rng.range(-limit, limit), rng.below(1000)).into_bytes())
    };
    match name {
        "longitude" => within(if beyond { 400 } else { 179 }, rng),
        "latitude" => within(if beyond { 200 } else { 84 }, rng),
        "radius" | "width" | "height" => Some((rng.below(9) * 1000).to_string().into_bytes()),
        "timeout" => word(rng, &["0.01", "0.002", "0.001", "-1", "x"]),
        _ if rng.chance(70) && !command.ends_with("float") => {
            Some(rng.range(-5, 12).to_string().into_bytes())
        }
        _ => None,
    }
}
