//! DUMP and RESTORE as commands; what payloads look like is tested in `snapshot`.

use crate::command::testing::{Bench, START, expect};
use crate::config::EventClasses;
use crate::config::words::MaxmemoryPolicy;
use crate::snapshot::payload;
use crate::structure::Value;

/// What DUMP answers.
fn dumped(b: &mut Bench, key: &str) -> Vec<u8> {
    let reply = b.run(["DUMP", key]);
    let (head, rest) = reply.split_at(reply.iter().position(|byte| *byte == b'\n').unwrap() + 1);
    assert_eq!(head, format!("${}\r\n", rest.len() - 2).as_bytes());
    rest[..rest.len() - 2].to_vec()
}

/// RESTORE with these words behind the payload.
fn restore(b: &mut Bench, key: &str, ttl: &str, payload: &[u8], options: &str) -> String {
    let words = options.split(' ').filter(|word| !word.is_empty()).map(str::as_bytes);
    let head = [b"RESTORE", key.as_bytes(), ttl.as_bytes(), payload];
    String::from_utf8_lossy(&b.run(head.into_iter().chain(words))).trim_end().to_owned()
}

#[test]
fn every_type_is_dumped_and_restored_over_any_shards() {
    for shards in [1, 3] {
        let mut b = Bench::with_shards(shards);
        for line in [
            "SET s text",
            "SET i 12345",
            "RPUSH l a b 3",
            "SADD ints 1 2 3",
            "SADD words a b c",
            "ZADD z 1 a 2.5 b -inf c",
            "HSET h f v g 2",
            "XADD x 5-1 f v",
            "XGROUP CREATE x g 0",
            "XREADGROUP GROUP g me STREAMS x >",
        ] {
            b.line(line);
        }
        b.line("HSET dated f v g w");
        b.line("HPEXPIRE dated 5000 FIELDS 1 f");
        let before = b.state();
        let keys: Vec<String> =
            before.iter().map(|(_, key, ..)| String::from_utf8(key.clone()).unwrap()).collect();
        let payloads: Vec<Vec<u8>> = keys.iter().map(|key| dumped(&mut b, key)).collect();
        assert_eq!(b.line("FLUSHALL"), "+OK");
        for (key, payload) in keys.iter().zip(&payloads) {
            assert_eq!(restore(&mut b, key, "0", payload, ""), "+OK");
        }
        assert_eq!(b.state(), before);
        // Fields' deadlines are kept, and filed.
        b.now += 5001;
        assert_eq!(b.expire_fields(100).len(), 1);
        assert_eq!(b.line("HGETALL dated"), "*2 $1 g $1 w");
        assert_eq!(b.line("DUMP nothing"), "$-1");
    }
}

#[test]
fn what_cannot_be_restored_is_told_in_redis_s_words() {
    let mut b = Bench::new();
    b.line("SET k v");
    let good = dumped(&mut b, "k");
    let mut bad = good.clone();
    bad[1] = 9;
    let mut early = good.clone();
    early.remove(3);
    let refused = "-ERR DUMP payload version or checksum are wrong";
    for (key, ttl, payload, options, reply) in [
        ("k", "0", &good, "", "-BUSYKEY Target key name already exists."),
        ("k", "x", &bad, "", "-BUSYKEY Target key name already exists."),
        ("n", "-1", &good, "", "-ERR Invalid TTL value, must be >= 0"),
        ("n", "x", &good, "", "-ERR value is not an integer or out of range"),
        ("n", "0", &bad, "", refused),
        ("n", "0", &early, "", refused),
        ("n", "0", &good, "IDLETIME", "-ERR syntax error"),
        ("n", "0", &good, "FREQ", "-ERR syntax error"),
        ("n", "0", &good, "WHAT", "-ERR syntax error"),
        ("n", "0", &good, "IDLETIME 5 FREQ 5", "-ERR syntax error"),
        ("n", "0", &good, "FREQ 5 IDLETIME 5", "-ERR syntax error"),
        ("n", "0", &good, "IDLETIME -1", "-ERR Invalid IDLETIME value, must be >= 0"),
        ("n", "0", &good, "IDLETIME x", "-ERR value is not an integer or out of range"),
        ("n", "0", &good, "FREQ 256", "-ERR Invalid FREQ value, must be >= 0 and <= 255"),
        ("n", "0", &good, "FREQ -1", "-ERR Invalid FREQ value, must be >= 0 and <= 255"),
        ("n", "0", &good, "replace absttl idletime 5 Replace", "+OK"),
        ("n", "0", &good, "replace freq 255", "+OK"),
    ] {
        assert_eq!(restore(&mut b, key, ttl, payload, options), reply, "{key} {ttl} {options}");
    }
    // A sum that is right over bytes that are no value.
    let no_value = payload(Value::Bytes(b"x"), false);
    let mut module = vec![7];
    module.extend_from_slice(&no_value[1..]);
    assert_eq!(restore(&mut b, "m", "0", &module, ""), refused);
    super::set_skip_checksum(true);
    let skipped = restore(&mut b, "m", "0", &module, "");
    super::set_skip_checksum(false);
    assert_eq!(skipped, "-ERR Bad data format");
}

#[test]
fn deadlines_are_journaled_as_times_and_those_that_have_passed_delete() {
    let mut b = Bench::new();
    b.notify = EventClasses::GENERIC;
    b.line("SET k v");
    let good = dumped(&mut b, "k");
    let effects = |b: &Bench| b.effects.iter().map(|effect| effect.args.clone()).collect::<Vec<_>>();
    let words = |line: &[&[u8]]| vec![line.iter().map(|word| word.to_vec()).collect::<Vec<_>>()];

    assert_eq!(restore(&mut b, "n", "0", &good, ""), "+OK");
    assert_eq!(b.events, ["restore n"]);
    assert_eq!(effects(&b), words(&[b"RESTORE", b"n", b"0", &good]));
    assert_eq!(restore(&mut b, "n", "5000", &good, "REPLACE IDLETIME 7"), "+OK");
    let at = (START + 5000).to_string();
    let sent: &[&[u8]] = &[b"RESTORE", b"n", at.as_bytes(), &good, b"REPLACE", b"IDLETIME", b"7", b"ABSTTL"];
    assert_eq!(effects(&b), words(sent));
    expect(&mut b, &[("PTTL n", ":5000"), ("OBJECT IDLETIME n", ":7"), ("GET n", "$1 v")]);

    let past = (START - 1).to_string();
    assert_eq!(restore(&mut b, "n", &past, &good, "ABSTTL REPLACE"), "+OK");
    assert_eq!((effects(&b), b.events.clone()), (words(&[b"DEL", b"n"]), vec!["del n".to_owned()]));
    let beyond = i64::MAX.to_string();
    assert_eq!(restore(&mut b, "n", &beyond, &good, ""), "+OK");
    assert_eq!(b.line("EXISTS n"), ":0");
    assert_eq!(restore(&mut b, "n", &past, &good, "ABSTTL"), "+OK");
    assert!(b.effects.is_empty() && b.events.is_empty() && b.changes == 0);
    assert_eq!(b.line("EXISTS n"), ":0");
    // As the journal is read the time does not matter yet.
    b.client.replayed = true;
    assert_eq!(restore(&mut b, "n", &past, &good, "ABSTTL"), "+OK");
    assert_eq!(b.keyspaces[0].db(0).len(), 2);
}

#[test]
fn how_often_a_key_was_used_is_taken_over_where_it_is_counted() {
    let mut b = Bench::new();
    b.line("SET k v");
    let good = dumped(&mut b, "k");
    b.settings.maxmemory_policy = MaxmemoryPolicy::AllkeysLfu;
    assert_eq!(restore(&mut b, "a", "0", &good, "FREQ 100"), "+OK");
    assert_eq!(b.line("OBJECT FREQ a"), ":100");
    // The other is not, and neither is under this policy.
    assert_eq!(restore(&mut b, "b", "0", &good, "IDLETIME 9"), "+OK");
    b.settings.maxmemory_policy = MaxmemoryPolicy::NoEviction;
    assert_eq!(b.line("OBJECT IDLETIME b"), ":0");
    assert_eq!(restore(&mut b, "c", "0", &good, "FREQ 100"), "+OK");
    assert_eq!(b.line("OBJECT IDLETIME c"), ":0");
}
