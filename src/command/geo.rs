//! Positions on the globe, kept as sorted sets whose scores are numbers of cells (`cells`): GEOADD,
//! GEODIST, GEOHASH, GEOPOS here, finding what is near in `search`.

mod cells;
mod search;
#[cfg(test)]
mod tests;

use super::sorted_set::{Rules, add, look};
use super::spec::*;
use super::{Error, Exec};
use crate::base::num::parse_f64;
use crate::resp::{Args, Reply};
use cells::{Position, WORLD, distance, geohash as geohash_of, position_of, score_of};
use search::{
    georadius, georadius_ro, georadiusbymember, georadiusbymember_ro, geosearch, geosearchstore,
    member_destination, radius_destination,
};
use std::fmt::Write as _;

/// Two arguments that are a position on the map.
fn parse_position(longitude: &[u8], latitude: &[u8]) -> Result<Position, Error> {
    let longitude = parse_f64(longitude).ok_or(Error::NotFloat)?;
    let latitude = parse_f64(latitude).ok_or(Error::NotFloat)?;
    if !WORLD.longitude.contains(longitude) || !WORLD.latitude.contains(latitude) {
        let text = format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}");
        return Err(Error::owned(text));
    }
    Ok(Position { longitude, latitude })
}

/// Metres in a unit of length.
fn parse_unit(text: &[u8]) -> Result<f64, Error> {
    match &text.to_ascii_lowercase()[..] {
        b"m" => Ok(1.0),
        b"km" => Ok(1000.0),
        b"ft" => Ok(0.3048),
        b"mi" => Ok(1609.34),
        _ => Err(Error::text("ERR unsupported unit provided. please use M, KM, FT, MI")),
    }
}

/// A distance with four decimals, rounded as an integer of ten-thousandths.
fn write_distance(reply: &mut Reply<'_>, distance: f64) {
    let scaled = (distance * 1e4).round_ties_even();
    // What is no number is C's smallest integer.
    let scaled = if scaled.abs() < i64::MAX as f64 { scaled as i64 } else { i64::MIN };
    let (sign, units) = (if scaled < 0 { "-" } else { "" }, scaled.unsigned_abs());
    reply.bulk(format!("{sign}{}.{:04}", units / 10_000, units % 10_000).as_bytes());
}

/// A coordinate with up to 17 decimals.
fn write_coordinate(reply: &mut Reply<'_>, value: f64) {
    let mut text = String::new();
    let _ = write!(text, "{value:.17}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let text = if text == "-0" { "0" } else { text };
    if reply.is_resp3() {
        let out = reply.buffer();
        out.push(b',');
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b"\r\n");
    } else {
        reply.bulk(text.as_bytes());
    }
}

fn write_position(reply: &mut Reply<'_>, at: Position) {
    reply.array(2);
    write_coordinate(reply, at.longitude);
    write_coordinate(reply, at.latitude);
}

fn geoadd(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let mut rules = Rules::default();
    let mut first = 2;
    while let Some(word) = args.get(first) {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        if is("NX") {
            rules.nx = true;
        } else if is("XX") {
            rules.xx = true;
        } else if is("CH") {
            rules.ch = true;
        } else {
            break;
        }
        first += 1;
    }
    let count = (args.len() - first) / 3;
    if count == 0 || !(args.len() - first).is_multiple_of(3) || rules.nx && rules.xx {
        return Err(Error::Syntax);
    }
    let mut elements = Vec::with_capacity(count);
    for at in (first..args.len()).step_by(3) {
        let position = parse_position(args.at(at), args.at(at + 1))?;
        elements.push((score_of(position), args.at(at + 2)));
    }
    add(x, args.at(1), rules, elements.iter().copied())
}

fn geodist(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let unit = match args.len() {
        4 => 1.0,
        5 => parse_unit(args.at(4))?,
        _ => return Err(Error::Syntax),
    };
    let apart = look(&mut x.keys, args.at(1), |set| {
        let (a, b) = (set.score(args.at(2))?, set.score(args.at(3))?);
        Some(distance(position_of(a), position_of(b)) / unit)
    })?;
    match apart.flatten() {
        Some(apart) => write_distance(&mut x.reply, apart),
        None => x.reply.null(),
    }
    Ok(())
}

/// Answers with an array, an element for each member: its score, if it has one.
fn each_member(
    x: &mut Exec<'_>,
    args: Args<'_>,
    mut write: impl FnMut(&mut Reply<'_>, Option<f64>),
) -> Result<(), Error> {
    let members = args.from(2);
    let Exec { keys, reply, .. } = x;
    let found = look(keys, args.at(1), |set| {
        reply.array(members.len());
        members.iter().for_each(|member| write(reply, set.score(member)));
    })?;
    if found.is_none() {
        reply.array(members.len());
        members.iter().for_each(|_| write(reply, None));
    }
    Ok(())
}

fn geohash(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    each_member(x, args, |reply, score| match score {
        Some(score) => reply.bulk(&geohash_of(score)),
        None => reply.null(),
    })
}

fn geopos(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    each_member(x, args, |reply, score| match score {
        Some(score) => write_position(reply, position_of(score)),
        None => reply.null_array(),
    })
}

pub const COMMANDS: &[CommandSpec] = &[
    GEOADD,
    GEODIST,
    GEOHASH,
    GEOPOS,
    GEORADIUS,
    GEORADIUSBYMEMBER,
    GEORADIUSBYMEMBER_RO,
    GEORADIUS_RO,
    GEOSEARCH,
    GEOSEARCHSTORE,
];

const UNIT: Arg = one_of("unit", &[word("m", "M"), word("km", "KM"), word("ft", "FT"), word("mi", "MI")]);
const FROM: Arg = one_of(
    "from",
    &[
        string("member").token("FROMMEMBER"),
        block("longitude_latitude", &[double("longitude"), double("latitude")]).token("FROMLONLAT"),
    ],
);
const BY: Arg = one_of(
    "by",
    &[
        block("circle", &[double("radius").token("BYRADIUS"), UNIT]),
        block("box", &[double("width").token("BYBOX"), double("height"), UNIT]),
    ],
);
const ORDER: Arg = one_of("order", &[word("asc", "ASC"), word("desc", "DESC")]).opt();
const COUNT: Arg = block("count", &[int("count").token("COUNT"), word("any", "ANY").opt()]).opt();
/// As Redis has it of two of the older commands: they are from before ANY.
const COUNT_ANY_LATER: Arg =
    block("count", &[int("count").token("COUNT"), word("any", "ANY").opt().since("6.2.0")]).opt();
const WITHCOORD: Arg = word("withcoord", "WITHCOORD").opt();
const WITHDIST: Arg = word("withdist", "WITHDIST").opt();
const WITHHASH: Arg = word("withhash", "WITHHASH").opt();

const GEOADD: CommandSpec = CommandSpec {
    name: "geoadd",
    arity: -5,
    flags: flag::WRITE | flag::DENYOOM,
    acl: acl::GEO,
    keys: &[KeySpec::one(access::RW | access::UPDATE, 1)],
    args: &[
        key("key", 0),
        one_of("condition", &[word("nx", "NX"), word("xx", "XX")]).opt().since("6.2.0"),
        word("change", "CH").opt().since("6.2.0"),
        block("longitude_latitude_member", &[double("longitude"), double("latitude"), string("member")])
            .many(),
    ],
    group: Group::Geo,
    since: "3.2.0",
    complexity: "O(log(N)) for each member",
    summary: "Adds members at longitudes and latitudes",
    run: Run::Keys(geoadd),
    ..CommandSpec::DEFAULT
};

const GEODIST: CommandSpec = CommandSpec {
    name: "geodist",
    arity: -4,
    flags: flag::READONLY,
    acl: acl::GEO,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), string("member1"), string("member2"), UNIT.opt()],
    group: Group::Geo,
    since: "3.2.0",
    complexity: "O(1)",
    summary: "Tells how far two members are apart",
    run: Run::Keys(geodist),
    ..CommandSpec::DEFAULT
};

const GEOHASH: CommandSpec = CommandSpec {
    name: "geohash",
    arity: -2,
    flags: flag::READONLY,
    acl: acl::GEO,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), string("member").many()],
    group: Group::Geo,
    since: "3.2.0",
    complexity: "O(M) for M members",
    summary: "Returns the standard geohashes of members",
    run: Run::Keys(geohash),
    ..CommandSpec::DEFAULT
};

const GEOPOS: CommandSpec = CommandSpec {
    name: "geopos",
    arity: -2,
    flags: flag::READONLY,
    acl: acl::GEO,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), string("member").many()],
    group: Group::Geo,
    since: "3.2.0",
    complexity: "O(M) for M members",
    summary: "Returns the longitudes and latitudes of members",
    run: Run::Keys(geopos),
    ..CommandSpec::DEFAULT
};

const GEORADIUS: CommandSpec = CommandSpec {
    name: "georadius",
    arity: -6,
    flags: flag::WRITE | flag::DENYOOM | flag::MOVABLEKEYS,
    acl: acl::GEO,
    keys: &[
        KeySpec::one(access::RO | access::ACCESS, 1),
        KeySpec {
            access: access::OW | access::UPDATE,
            begin: Begin::Keyword { word: "STORE", from: 6 },
            find: Find::Range { last: 0, step: 1, limit: 0 },
        },
        KeySpec {
            access: access::OW | access::UPDATE,
            begin: Begin::Keyword { word: "STOREDIST", from: 6 },
            find: Find::Range { last: 0, step: 1, limit: 0 },
        },
    ],
    hidden_keys: Some(radius_destination),
    args: &[
        key("key", 0),
        double("longitude"),
        double("latitude"),
        double("radius"),
        UNIT,
        WITHCOORD,
        WITHDIST,
        WITHHASH,
        COUNT_ANY_LATER,
        ORDER,
        key("key", 1).token("STORE").opt(),
        key("key", 2).token("STOREDIST").opt(),
    ],
    group: Group::Geo,
    since: "3.2.0",
    complexity: "O(N+log(M)) for N members near the circle and M in its cells",
    summary: "Finds the members within a circle",
    deprecated: Some(("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument")),
    run: Run::Keys(georadius),
    ..CommandSpec::DEFAULT
};

const GEORADIUS_RO: CommandSpec = CommandSpec {
    name: "georadius_ro",
    arity: -6,
    flags: flag::READONLY,
    acl: acl::GEO,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[
        key("key", 0),
        double("longitude"),
        double("latitude"),
        double("radius"),
        UNIT,
        WITHCOORD,
        WITHDIST,
        WITHHASH,
        COUNT_ANY_LATER,
        ORDER,
    ],
    group: Group::Geo,
    since: "3.2.10",
    complexity: "O(N+log(M)) for N members near the circle and M in its cells",
    summary: "Finds the members within a circle, and stores nothing",
    deprecated: Some(("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument")),
    run: Run::Keys(georadius_ro),
    ..CommandSpec::DEFAULT
};

const GEORADIUSBYMEMBER: CommandSpec = CommandSpec {
    name: "georadiusbymember",
    arity: -5,
    flags: flag::WRITE | flag::DENYOOM | flag::MOVABLEKEYS,
    acl: acl::GEO,
    keys: &[
        KeySpec::one(access::RO | access::ACCESS, 1),
        KeySpec {
            access: access::OW | access::UPDATE,
            begin: Begin::Keyword { word: "STORE", from: 5 },
            find: Find::Range { last: 0, step: 1, limit: 0 },
        },
        KeySpec {
            access: access::OW | access::UPDATE,
            begin: Begin::Keyword { word: "STOREDIST", from: 5 },
            find: Find::Range { last: 0, step: 1, limit: 0 },
        },
    ],
    hidden_keys: Some(member_destination),
    args: &[
        key("key", 0),
        string("member"),
        double("radius"),
        UNIT,
        WITHCOORD,
        WITHDIST,
        WITHHASH,
        COUNT,
        ORDER,
        key("key", 1).token("STORE").opt(),
        key("key", 2).token("STOREDIST").opt(),
    ],
    group: Group::Geo,
    since: "3.2.0",
    complexity: "O(N+log(M)) for N members near the circle and M in its cells",
    summary: "Finds the members within a circle around one of them",
    deprecated: Some((
        "6.2.0",
        "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
    )),
    run: Run::Keys(georadiusbymember),
    ..CommandSpec::DEFAULT
};

const GEORADIUSBYMEMBER_RO: CommandSpec = CommandSpec {
    name: "georadiusbymember_ro",
    arity: -5,
    flags: flag::READONLY,
    acl: acl::GEO,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[
        key("key", 0),
        string("member"),
        double("radius"),
        UNIT,
        WITHCOORD,
        WITHDIST,
        WITHHASH,
        COUNT,
        ORDER,
    ],
    group: Group::Geo,
    since: "3.2.10",
    complexity: "O(N+log(M)) for N members near the circle and M in its cells",
    summary: "Finds the members within a circle around one of them, and stores nothing",
    deprecated: Some(("6.2.0", "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments")),
    run: Run::Keys(georadiusbymember_ro),
    ..CommandSpec::DEFAULT
};

const GEOSEARCH: CommandSpec = CommandSpec {
    name: "geosearch",
    arity: -7,
    flags: flag::READONLY,
    acl: acl::GEO,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), FROM, BY, ORDER, COUNT, WITHCOORD, WITHDIST, WITHHASH],
    group: Group::Geo,
    since: "6.2.0",
    complexity: "O(N+log(M)) for N members near the area and M in its cells",
    summary: "Finds the members within a circle or a box",
    run: Run::Keys(geosearch),
    ..CommandSpec::DEFAULT
};

const GEOSEARCHSTORE: CommandSpec = CommandSpec {
    name: "geosearchstore",
    arity: -8,
    flags: flag::WRITE | flag::DENYOOM,
    acl: acl::GEO,
    keys: &[KeySpec::one(access::OW | access::UPDATE, 1), KeySpec::one(access::RO | access::ACCESS, 2)],
    args: &[
        key("destination", 0),
        key("source", 1),
        FROM,
        BY,
        ORDER,
        COUNT,
        word("storedist", "STOREDIST").opt(),
    ],
    group: Group::Geo,
    since: "6.2.0",
    complexity: "O(N+log(M)) for N members near the area and M in its cells",
    summary: "Stores the members within a circle or a box under another key",
    run: Run::Keys(geosearchstore),
    ..CommandSpec::DEFAULT
};
