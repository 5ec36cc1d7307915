//! DEBUG DIGEST and its neighbours on keyspaces without a server around them, against a real
//! redis-server 7.0 that holds the same keys. The answer must not depend on the number of shards.

mod oracle;

use oracle::{Oracle, Value, read_value};
use ringdove::base::Millis;
use ringdove::command::intrinsic::{Books, Callee};
use ringdove::command::shard_facts::{self, ShardFacts};
use ringdove::command::{ClientView, Error, Exec, Handler, debug, memory};
use ringdove::config::Settings;
use ringdove::keyspace::{Keys, Keyspace, Placement, Reach, Ttl};
use ringdove::resp::{Args, ArgsBuf, Proto, Reply};
use ringdove::structure::NewValue;

/// No scripts run here.
struct NoBooks;

impl Books for NoBooks {
    fn called(&self, _: Callee, _: u64) {}
    fn failed(&self, _: Callee) {}
    fn is_over_limit(&self) -> bool {
        false
    }
}

const DATABASES: usize = 16;

/// Several shards' keyspaces; commands run on them one shard after the other.
struct Shards {
    keyspaces: Vec<Keyspace>,
    placement: Placement,
    now: Millis,
}

impl Shards {
    fn new(count: u16) -> Shards {
        let placement = Placement::new(count, [1, 2, 3, 4]);
        Shards {
            keyspaces: (0..count).map(|shard| Keyspace::new(shard, DATABASES, &placement)).collect(),
            placement,
            now: 1_700_000_000_000,
        }
    }

    fn set(&mut self, db: usize, key: &[u8], value: NewValue<'_>, ttl: Ttl) {
        let keyspace = &mut self.keyspaces[self.placement.shard(key) as usize];
        let mut keys = Keys::new(Reach::One(keyspace), db, self.now, &self.placement, None);
        keys.set(key, value, ttl);
    }

    /// What each shard that `on` selects writes, or the error of one.
    fn run(
        &mut self,
        db: usize,
        handler: Handler,
        args: Args<'_>,
        on: impl Fn(u16) -> bool,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let settings = Settings::default();
        let mut payloads = Vec::new();
        for keyspace in self.keyspaces.iter_mut().filter(|k| on(k.shard)) {
            let mut out = Vec::new();
            let keys = Keys::new(Reach::One(keyspace), db, self.now, &self.placement, None);
            let reply = Reply::new(&mut out, Proto::Resp2);
            let client = ClientView::default();
            let mut exec = Exec { keys, reply, settings: &settings, random: 0, client, books: &NoBooks };
            handler(&mut exec, args)?;
            payloads.push(out);
        }
        Ok(payloads)
    }

    fn digest(&mut self) -> String {
        let args: ArgsBuf = ["debug", "digest"].iter().collect();
        let payloads = self.run(0, debug::digest_shard, args.as_args(), |_| true).unwrap();
        debug::digest(payloads.iter().rev().map(|p| &p[..]))
    }

    /// A command whose key is its third word.
    fn ask(&mut self, db: usize, handler: Handler, words: &[&str]) -> Result<Value, Error> {
        let args: ArgsBuf = words.iter().collect();
        let owner = self.placement.shard(words[2].as_bytes());
        let payloads = self.run(db, handler, args.as_args(), |shard| shard == owner)?;
        Ok(read_value(&mut &payloads[0][..]))
    }

    fn facts(&mut self) -> ShardFacts {
        let args: ArgsBuf = ["info"].iter().collect();
        let payloads = self.run(0, shard_facts::contribute, args.as_args(), |_| true).unwrap();
        ShardFacts::sum(payloads.iter().map(|p| &p[..])).unwrap()
    }
}

/// (database, key, value, expires)
type Row = (usize, String, String, bool);

fn rows(seed: u64) -> Vec<Row> {
    let mut seed = seed;
    let mut next = move |below: u64| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) % below
    };
    (0..300)
        .map(|i| {
            let value = match next(4) {
                0 => (next(1 << 31) as i64 - (1 << 30)).to_string(),
                1 => "x".repeat(next(30) as usize),
                2 => format!("{:0>200}", next(1000)),
                _ => format!("value {}", next(1000)),
            };
            (next(5) as usize * 3, format!("key:{i}"), value, next(3) == 0)
        })
        .collect()
}

fn fill(shards: &mut Shards, rows: &[Row]) {
    for (db, key, value, expires) in rows {
        let ttl = if *expires { Ttl::At(shards.now + 100_000) } else { Ttl::Clear };
        match value.parse::<i64>().ok().filter(|n| n.to_string() == *value) {
            Some(n) => shards.set(*db, key.as_bytes(), NewValue::Int(n), ttl),
            None => shards.set(*db, key.as_bytes(), NewValue::Bytes(value.as_bytes()), ttl),
        }
    }
}

fn fill_redis(redis: &mut Oracle, rows: &[Row]) {
    redis.ask(&["FLUSHALL"]);
    for (db, key, value, expires) in rows {
        redis.ask(&["SELECT", &db.to_string()]);
        match expires {
            true => redis.ask(&["SET", key, value, "EX", "1000"]),
            false => redis.ask(&["SET", key, value]),
        };
    }
}

#[test]
fn the_digest_is_redis_whatever_the_number_of_shards() {
    let Some(mut redis) = Oracle::start() else { return };
    for seed in 0..4 {
        let rows = rows(seed);
        fill_redis(&mut redis, &rows);
        let theirs = redis.ask(&["DEBUG", "DIGEST"]);
        for count in [1, 2, 5] {
            let mut shards = Shards::new(count);
            fill(&mut shards, &rows);
            assert_eq!(shards.digest(), theirs.text(), "seed {seed}, {count} shards");
        }
    }
    redis.ask(&["FLUSHALL"]);
    assert_eq!(Shards::new(3).digest(), redis.ask(&["DEBUG", "DIGEST"]).text());
}

#[test]
fn an_expired_key_has_no_part_in_the_digest() {
    let mut shards = Shards::new(2);
    shards.set(0, b"gone", NewValue::Int(1), Ttl::At(shards.now + 5));
    assert_ne!(shards.digest(), "0".repeat(40));
    shards.now += 5;
    assert_eq!(shards.digest(), "0".repeat(40));
}

#[test]
fn single_values_have_redis_digests_too() {
    let Some(mut redis) = Oracle::start() else { return };
    let rows = rows(9);
    fill_redis(&mut redis, &rows);
    let mut shards = Shards::new(3);
    fill(&mut shards, &rows);
    for (db, key, ..) in rows.iter().chain([&(0, "absent".to_string(), String::new(), false)]) {
        redis.ask(&["SELECT", &db.to_string()]);
        let words = ["DEBUG", "DIGEST-VALUE", key];
        assert_eq!(shards.ask(*db, debug::digest_value, &words).unwrap(), redis.ask(&words), "{key}");
    }
}

/// Address, time and counter differ; encoding and length of short strings do not.
#[test]
fn debug_object_tells_encoding_and_length() {
    let Some(mut redis) = Oracle::start() else { return };
    redis.ask(&["CONFIG", "SET", "rdbcompression", "no"]);
    let mut values: Vec<String> = [0i64, -1, 127, 128, -129, 32767, 32768, 2147483647, 2147483648, i64::MIN]
        .iter()
        .map(i64::to_string)
        .collect();
    values.extend([0, 1, 11, 44, 45, 63, 64, 16383, 16384, 70000].map(|n| "z".repeat(n)));
    values.extend(["007", "+5", "12345678901", " 1"].map(String::from));
    let mut shards = Shards::new(2);
    for value in &values {
        let row = (0, "k".to_string(), value.clone(), false);
        fill(&mut shards, std::slice::from_ref(&row));
        redis.ask(&["SET", "k", value]);
        let words = ["DEBUG", "OBJECT", "k"];
        let told = |reply: Value| -> Vec<String> {
            reply
                .text()
                .split(' ')
                .filter(|w| w.starts_with("encoding") || w.starts_with("serial"))
                .map(String::from)
                .collect()
        };
        assert_eq!(
            told(shards.ask(0, debug::object, &words).unwrap()),
            told(redis.ask(&words)),
            "{value:.20}"
        );
    }
    let absent = ["DEBUG", "OBJECT", "absent"];
    let error = shards.ask(0, debug::object, &absent).unwrap_err();
    assert_eq!(Value::Error(String::from_utf8_lossy(error.line()).into_owned()), redis.ask(&absent));
    let string = ["DEBUG", "HTSTATS-KEY", "k"];
    let error = shards.ask(0, debug::htstats_key, &string).unwrap_err();
    assert_eq!(Value::Error(String::from_utf8_lossy(error.line()).into_owned()), redis.ask(&string));
}

#[test]
fn every_shard_populates_its_own_keys() {
    let Some(mut redis) = Oracle::start() else { return };
    let cases: &[&[&str]] = &[
        &["debug", "populate", "100"],
        &["debug", "populate", "50", "other"],
        &["debug", "populate", "50", "short", "3"],
        &["debug", "populate", "50", "long", "100"],
        &["debug", "populate", "0"],
        &["debug", "populate", "120"],
    ];
    for count in [1, 3] {
        redis.ask(&["FLUSHALL"]);
        let mut shards = Shards::new(count);
        for case in cases {
            redis.ask(case);
            let args: ArgsBuf = case.iter().collect();
            shards.run(0, debug::populate, args.as_args(), |_| true).unwrap();
            assert_eq!(shards.digest(), redis.ask(&["DEBUG", "DIGEST"]).text(), "{case:?}");
        }
        assert_eq!(shards.facts().keys(), 270);
        for case in [["debug", "populate", "x"], ["debug", "populate", "-1"]] {
            let args: ArgsBuf = case.iter().collect();
            let error = shards.run(0, debug::populate, args.as_args(), |_| true).unwrap_err();
            assert_eq!(Value::Error(String::from_utf8_lossy(error.line()).into_owned()), redis.ask(&case));
        }
    }
}

#[test]
fn protocol_shows_every_kind_of_reply() {
    let Some(mut redis) = Oracle::start() else { return };
    for kind in [
        "string", "integer", "Double", "null", "array", "set", "map", "true", "false", "verbatim", "push",
        "x",
    ] {
        let mut out = Vec::new();
        let mut reply = Reply::new(&mut out, Proto::Resp2);
        if let Err(e) = debug::protocol(kind.as_bytes(), &mut reply) {
            reply.error_bytes(e.line());
        }
        assert_eq!(read_value(&mut &out[..]), redis.ask(&["DEBUG", "PROTOCOL", kind]), "{kind}");
    }
}

#[test]
fn facts_of_the_shards_add_up() {
    let mut shards = Shards::new(3);
    fill(&mut shards, &rows(1));
    let facts = shards.facts();
    assert_eq!(facts.keys(), 300);
    assert!(facts.dbs.windows(2).all(|pair| pair[0].index < pair[1].index));
    let expiring: u64 = facts.dbs.iter().map(|d| d.expires).sum();
    assert_eq!(expiring, rows(1).iter().filter(|r| r.3).count() as u64);
    assert!(facts.dbs.iter().filter(|d| d.expires > 0).all(|d| d.avg_ttl(shards.now) == 100_000));
    let args: ArgsBuf = ["debug", "htstats", "0"].iter().collect();
    assert!(debug::htstats(&facts, DATABASES, args.as_args()).unwrap().contains("number of elements: "));
    let args: ArgsBuf = ["debug", "htstats", "16"].iter().collect();
    assert_eq!(
        debug::htstats(&facts, DATABASES, args.as_args()),
        Err(Error::text("ERR Out of range database"))
    );
}

#[test]
fn memory_usage_counts_a_key_and_checks_its_options() {
    let Some(mut redis) = Oracle::start() else { return };
    let mut shards = Shards::new(1);
    shards.set(0, b"k", NewValue::Bytes(&[b'x'; 1000]), Ttl::Clear);
    redis.ask(&["SET", "k", "v"]);
    let Value::Integer(bytes) = shards.ask(0, memory::usage, &["memory", "usage", "k"]).unwrap() else {
        panic!()
    };
    assert!(bytes >= 1001);
    for words in [
        &["memory", "usage", "absent"][..],
        &["memory", "usage", "k", "samples"],
        &["memory", "usage", "k", "samples", "-1"],
        &["memory", "usage", "k", "samples", "x"],
        &["memory", "usage", "k", "nosuch", "1"],
    ] {
        let mine = shards
            .ask(0, memory::usage, words)
            .unwrap_or_else(|e| Value::Error(String::from_utf8_lossy(e.line()).into_owned()));
        assert_eq!(mine, redis.ask(words), "{words:?}");
    }
}

#[test]
fn subcommands_are_taken_with_the_right_number_of_arguments_only() {
    let taken = |words: &[&str]| {
        let args: ArgsBuf = words.iter().collect();
        debug::subcommand(args.as_args()).map(|spec| spec.name)
    };
    assert_eq!(taken(&["debug", "DIGEST"]), Some("digest"));
    assert_eq!(taken(&["debug", "digest", "x"]), None);
    assert_eq!(taken(&["debug", "digest-value"]), Some("digest-value"));
    assert_eq!(taken(&["debug", "populate", "1", "p", "2"]), Some("populate"));
    assert_eq!(taken(&["debug", "populate", "1", "p", "2", "x"]), None);
    assert_eq!(taken(&["debug", "nosuch"]), None);
    let mut out = Vec::new();
    debug::help(
        &[("SLEEP <seconds>", "Stop for a while")],
        b"debug",
        &mut Reply::new(&mut out, Proto::Resp2),
    );
    let lines: Vec<Value> = read_value(&mut &out[..]).items().to_vec();
    assert_eq!(lines.len(), 3 + 2 * 9);
    assert!(lines[0].text().starts_with("DEBUG <subcommand>"));
}
