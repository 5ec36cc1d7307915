//! The commands on hashes: replies, events, what is journaled, and that deadlines stay filed wherever a
//! hash goes.

use crate::command::testing::{Bench, START, expect, expect_journal};
use crate::config::EventClasses;
use crate::journal::ChunkWriter;
use crate::resp::Proto;

/// Lets the bench's time pass and fields go, as an actor does between commands.
fn expire(b: &mut Bench, ms: u64) {
    b.now += ms;
    for keyspace in &mut b.keyspaces {
        while keyspace.expire_some(b.now, 64, 0, None) {}
        while keyspace.expire_fields_some(b.now, 64, 0, None) {}
    }
}

/// Hashes that are filed for expiry, over all shards and databases.
fn filed(b: &Bench) -> usize {
    b.keyspaces.iter().flat_map(|k| (0..k.databases()).map(|db| k.db(db).expiring_hashes())).sum()
}

#[test]
fn fields_are_set_and_read() {
    expect(
        &mut Bench::new(),
        &[
            ("HSET h a 1 b two", ":2"),
            ("HSET h a 3 c 4", ":1"),
            ("HSET h a", "-ERR wrong number of arguments for 'hset' command"),
            ("HSET h a 1 b", "-ERR wrong number of arguments for 'hset' command"),
            ("HMSET h a 1 b", "-ERR wrong number of arguments for 'hmset' command"),
            ("HMSET h d 007", "+OK"),
            ("HGET h a", "$1 3"),
            ("HGET h d", "$3 007"),
            ("HGET h x", "$-1"),
            ("HGET nope x", "$-1"),
            ("HMGET h a x b", "*3 $1 3 $-1 $3 two"),
            ("HMGET nope a b", "*2 $-1 $-1"),
            ("HGETALL h", "*8 $1 a $1 3 $1 b $3 two $1 c $1 4 $1 d $3 007"),
            ("HGETALL nope", "*0"),
            ("HKEYS h", "*4 $1 a $1 b $1 c $1 d"),
            ("HVALS h", "*4 $1 3 $3 two $1 4 $3 007"),
            ("HLEN h", ":4"),
            ("HLEN nope", ":0"),
            ("HSTRLEN h b", ":3"),
            ("HSTRLEN h x", ":0"),
            ("HEXISTS h a", ":1"),
            ("HEXISTS h x", ":0"),
            ("HSETNX h a 9", ":0"),
            ("HSETNX h e 9", ":1"),
            ("HDEL h a x b", ":2"),
            ("HDEL nope a", ":0"),
            ("HDEL h c d e f", ":3"),
            ("EXISTS h", ":0"),
            ("SET s 1", "+OK"),
            ("HSET s a 1", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
            ("HGET s a", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
            ("HLEN s", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
        ],
    );
}

#[test]
fn maps_and_nulls_of_resp3() {
    let mut b = Bench::new();
    b.proto = Proto::Resp3;
    expect(
        &mut b,
        &[
            ("HSET h a 1", ":1"),
            ("HGETALL h", "%1 $1 a $1 1"),
            ("HGETALL nope", "%0"),
            ("HKEYS h", "*1 $1 a"),
            ("HMGET h a b", "*2 $1 1 _"),
            ("HRANDFIELD h 5 WITHVALUES", "*1 *2 $1 a $1 1"),
            ("HRANDFIELD h -2 WITHVALUES", "*2 *2 $1 a $1 1 *2 $1 a $1 1"),
            ("HRANDFIELD h -2", "*2 $1 a $1 a"),
            ("HRANDFIELD nope", "_"),
            ("HRANDFIELD nope 3", "*0"),
            ("HGETDEL h FIELDS 2 a b", "*2 $1 1 _"),
        ],
    );
}

#[test]
fn counters() {
    expect(
        &mut Bench::new(),
        &[
            ("HINCRBY h n 5", ":5"),
            ("HINCRBY h n -7", ":-2"),
            ("HINCRBY h n x", "-ERR value is not an integer or out of range"),
            ("HSET h max 9223372036854775807 s abc sp 011", ":3"),
            ("HINCRBY h max 1", "-ERR increment or decrement would overflow"),
            ("HINCRBY h s 1", "-ERR hash value is not an integer"),
            ("HINCRBY h sp 1", "-ERR hash value is not an integer"),
            ("HINCRBYFLOAT h f 10.5", "$4 10.5"),
            ("HINCRBYFLOAT h f 0.1", "$4 10.6"),
            ("HINCRBYFLOAT h n 2", "$1 0"),
            ("HINCRBYFLOAT h s 1", "-ERR hash value is not a float"),
            ("HINCRBYFLOAT h f abc", "-ERR value is not a valid float"),
            ("HINCRBYFLOAT h f inf", "-ERR value is NaN or Infinity"),
        ],
    );
}

#[test]
fn encodings_follow_the_limits() {
    let mut b = Bench::new();
    b.settings.hash_max_listpack_entries = 2;
    b.settings.hash_max_listpack_value = 4;
    expect(
        &mut b,
        &[
            ("HSET h a 1 b 2", ":2"),
            ("OBJECT ENCODING h", "$8 listpack"),
            ("HSET h a 1234 b 2", ":0"),
            ("OBJECT ENCODING h", "$8 listpack"),
            ("HSET h c 3", ":1"),
            ("OBJECT ENCODING h", "$9 hashtable"),
            ("HDEL h b c", ":2"),
            ("OBJECT ENCODING h", "$9 hashtable"),
            ("HSET v a 12345", ":1"),
            ("OBJECT ENCODING v", "$9 hashtable"),
            ("HINCRBY i n 9999", ":9999"),
            ("OBJECT ENCODING i", "$8 listpack"),
            ("HINCRBY i n 1", ":10000"),
            ("OBJECT ENCODING i", "$9 hashtable"),
            ("HSET x a 1", ":1"),
            ("HEXPIRE x 10 FIELDS 1 nope", "*1 :-2"),
            ("OBJECT ENCODING x", "$8 listpack"),
            ("HEXPIRE x 10 FIELDS 1 a", "*1 :1"),
            ("OBJECT ENCODING x", "$10 listpackex"),
            ("HSET x b 1 c 1", ":2"),
            ("OBJECT ENCODING x", "$9 hashtable"),
            ("HTTL x FIELDS 3 a b c", "*3 :10 :-1 :-1"),
        ],
    );
}

#[test]
fn deadlines_are_given_shown_and_taken() {
    for value in [64, 0] {
        let mut b = Bench::new();
        b.settings.hash_max_listpack_value = value;
        expect(
            &mut b,
            &[
                ("HSET h a 1 b 2 c 3", ":3"),
                ("HEXPIRE h 100 FIELDS 2 a x", "*2 :1 :-2"),
                ("HEXPIRE h 10 NX FIELDS 1 a", "*1 :0"),
                ("HEXPIRE h 10 GT FIELDS 2 a b", "*2 :0 :0"),
                ("HEXPIRE h 10 LT FIELDS 1 b", "*1 :1"),
                ("HEXPIRE h 10 XX FIELDS 2 c b", "*2 :0 :1"),
                ("HTTL h FIELDS 4 a b c x", "*4 :100 :10 :-1 :-2"),
                ("HPTTL h FIELDS 1 a", "*1 :100000"),
                ("HEXPIRETIME h FIELDS 1 a", "*1 :1700000100"),
                ("HPEXPIRETIME h FIELDS 1 a", "*1 :1700000100000"),
                ("HPEXPIRE h 1001 FIELDS 1 a", "*1 :1"),
                ("HTTL h FIELDS 1 a", "*1 :2"),
                ("HPERSIST h FIELDS 3 a c x", "*3 :1 :-1 :-2"),
                ("HTTL h FIELDS 1 a", "*1 :-1"),
                ("HEXPIRE h 0 FIELDS 2 c c", "*2 :2 :-2"),
                ("HEXISTS h c", ":0"),
                ("HTTL nope FIELDS 2 a b", "*2 :-2 :-2"),
                ("HEXPIRE nope 1 FIELDS 1 a", "*1 :-2"),
                ("HPERSIST nope FIELDS 1 a", "*1 :-2"),
                ("HEXPIREAT h 1 FIELDS 2 a b", "*2 :2 :2"),
                ("EXISTS h", ":0"),
            ],
        );
        assert_eq!(filed(&b), 0);
    }
}

#[test]
fn errors_of_the_expiring_commands() {
    let mandatory = "-ERR Mandatory argument FIELDS is missing or not at the right position";
    let count = "-ERR The `numfields` parameter must match the number of arguments";
    let wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    let mut b = Bench::new();
    b.line("SET s 1");
    expect(
        &mut b,
        &[
            ("HEXPIRE s x FOO 1 a", wrong_type),
            ("HEXPIRE h x FOO 1 a", "-ERR value is not an integer or out of range"),
            ("HEXPIRE h -1 FOO 1 a", "-ERR invalid expire time, must be >= 0"),
            ("HEXPIRE h 9223372036854775807 FOO 1 a", "-ERR invalid expire time in 'hexpire' command"),
            ("HPEXPIREAT h 70368744177664 FIELDS 1 a", "-ERR invalid expire time in 'hpexpireat' command"),
            ("HPEXPIREAT h 70368744177663 FIELDS 1 a", "*1 :-2"),
            ("HEXPIRE h 1 FOO 1 a", mandatory),
            ("HEXPIRE h 1 NX XX FIELDS 1 a", mandatory),
            ("HEXPIRE h 1 FIELDS 0 a", "-ERR Parameter `numFields` should be greater than 0"),
            ("HEXPIRE h 1 FIELDS 2 a", count),
            ("HEXPIRE h 1 NX FIELDS 1", count),
            ("HTTL s FOO 1 a", wrong_type),
            ("HTTL h FOO 1 a", mandatory),
            ("HTTL h FIELDS x a", "-ERR Number of fields must be a positive integer"),
            ("HTTL h FIELDS 1 a b", count),
            ("HPERSIST h FIELDS 3 a b", count),
            ("HGETDEL s FIELDS 1 a", wrong_type),
            ("HGETDEL h FIELDS 0 a", "-ERR Number of fields must be a positive integer"),
            ("HGETEX h EX 1 FIELDS", "-ERR wrong number of arguments for 'hgetex' command"),
            ("HGETEX h EX 1 EX 2 FIELDS 1 a", mandatory),
            ("HGETEX h EX x FIELDS 1 a", "-ERR value is not an integer or out of range"),
            ("HGETEX h PERSIST FIELDS 2 a", count),
            ("HSETEX s FOO 1 a b", "-ERR unknown argument: FOO"),
            ("HSETEX s FIELDS 1 a b", wrong_type),
            ("HSETEX h FNX FXX FIELDS 1 a b", "-ERR Only one of FXX or FNX arguments can be specified"),
            (
                "HSETEX h EX 1 KEEPTTL FIELDS 1 a b",
                "-ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
            ),
            ("HSETEX h FIELDS 0 a b", "-ERR invalid number of fields"),
            ("HSETEX h FIELDS 2 a b", "-ERR wrong number of arguments for 'hsetex' command"),
            ("HSETEX h FIELDS 1 a b EX 10", "-ERR wrong number of arguments for 'hsetex' command"),
        ],
    );
}

#[test]
fn values_and_deadlines_together() {
    let mut b = Bench::new();
    expect(
        &mut b,
        &[
            ("HSETEX h EX 10 FIELDS 2 a 1 b 2", ":1"),
            ("HTTL h FIELDS 2 a b", "*2 :10 :10"),
            ("HSETEX h KEEPTTL FIELDS 1 a 3", ":1"),
            ("HSETEX h FIELDS 1 b 3", ":1"),
            ("HTTL h FIELDS 2 a b", "*2 :10 :-1"),
            ("HSETEX h FNX FIELDS 2 a 9 z 9", ":0"),
            ("HSETEX h FNX PX 500 FIELDS 1 z 9", ":1"),
            ("HSETEX h FXX FIELDS 2 z 8 y 8", ":0"),
            ("HSETEX h fxx FIELDS 2 z 8 a 8", ":1"),
            ("HSETEX nope FXX FIELDS 1 a 1", ":0"),
            ("EXISTS nope", ":0"),
            ("HGETEX h EXAT 1700000007 FIELDS 2 a nope", "*2 $1 8 $-1"),
            ("HTTL h FIELDS 1 a", "*1 :7"),
            ("HGETEX h FIELDS 1 a", "*1 $1 8"),
            ("HGETEX h PERSIST FIELDS 2 a b", "*2 $1 8 $1 3"),
            ("HTTL h FIELDS 1 a", "*1 :-1"),
            ("HGETEX h PXAT 1 FIELDS 2 a a", "*2 $1 8 $-1"),
            ("HGETDEL h FIELDS 3 b nope b", "*3 $1 3 $-1 $-1"),
            ("HSETEX h EX 0 FIELDS 2 z 1 new 1", ":1"),
            ("EXISTS h", ":0"),
            ("HSETEX h PXAT 5 FIELDS 1 z 1", ":1"),
            ("EXISTS h", ":0"),
            ("HGETEX nope EX 10 FIELDS 2 a b", "*2 $-1 $-1"),
            ("HGETDEL nope FIELDS 1 a", "*1 $-1"),
        ],
    );
}

#[test]
fn expired_fields_are_invisible_before_they_are_gone() {
    for value in [64, 0] {
        let mut b = Bench::new();
        b.settings.hash_max_listpack_value = value;
        b.line("HSET h a 1 b 2 c 3");
        b.line("HPEXPIRE h 5 FIELDS 2 a b");
        b.now += 5;
        expect(
            &mut b,
            &[
                ("HLEN h", ":1"),
                ("HGETALL h", "*2 $1 c $1 3"),
                ("HGET h a", "$-1"),
                ("HEXISTS h b", ":0"),
                ("HSTRLEN h b", ":0"),
                ("HSCAN h 0", "*2 $1 0 *2 $1 c $1 3"),
                ("HRANDFIELD h", "$1 c"),
                ("HRANDFIELD h 3", "*1 $1 c"),
                ("HRANDFIELD h -2", "*2 $1 c $1 c"),
                ("HTTL h FIELDS 2 a c", "*2 :-2 :-1"),
                ("HEXPIRE h 10 FIELDS 1 a", "*1 :-2"),
                ("HDEL h a", ":0"),
                ("HSETNX h a 7", ":1"),
                ("HINCRBY h b 7", ":7"),
                ("HTTL h FIELDS 2 a b", "*2 :-1 :-1"),
                ("HLEN h", ":3"),
            ],
        );
        assert_eq!(filed(&b), 0);
    }
}

#[test]
fn expired_fields_go_and_the_last_takes_its_key_along() {
    let mut b = Bench::with_shards(3);
    for n in 0..20 {
        b.line(&format!("HSET h{n} a 1 b 2"));
        b.line(&format!("HPEXPIRE h{n} {} FIELDS 1 a", 100 + n));
        b.line(&format!("HPEXPIRE h{n} {} FIELDS 1 b", 1000 + n));
    }
    assert_eq!(filed(&b), 20);
    expire(&mut b, 100);
    assert_eq!(b.keyspaces.iter().map(|k| k.stats.expired_fields).sum::<u64>(), 1);
    expire(&mut b, 899);
    assert_eq!((b.line("DBSIZE"), b.line("HLEN h7"), filed(&b)), (":20".into(), ":1".into(), 20));
    expire(&mut b, 500);
    assert_eq!((b.line("DBSIZE"), filed(&b)), (":0".into(), 0));
    assert_eq!(b.keyspaces.iter().map(|k| k.stats.expired_fields).sum::<u64>(), 40);
}

#[test]
fn deadlines_stay_filed_wherever_a_hash_goes() {
    for value in [64, 0] {
        let mut b = Bench::new();
        b.settings.hash_max_listpack_value = value;
        let fill = |b: &mut Bench| {
            b.line("HSET h a 1 b 2");
            b.line("HPEXPIRE h 50 FIELDS 1 a");
        };
        for (line, filed_then) in [
            ("RENAME h g", 1),
            ("COPY h g", 2),
            ("COPY h h DB 3", 2),
            ("MOVE h 2", 1),
            ("SWAPDB 0 1", 1),
            ("DEL h", 0),
            ("SET h v", 0),
            ("FLUSHDB", 0),
            ("FLUSHALL", 0),
            ("HDEL h a", 0),
            ("HSET h a 5", 0),
            ("HPERSIST h FIELDS 1 a", 0),
            ("HGETDEL h FIELDS 1 a", 0),
            ("HSETEX h FIELDS 1 a 1", 0),
            ("HINCRBY h a 1", 1),
            ("HPEXPIRE h 60 FIELDS 1 a", 1),
            ("HPEXPIRE h 20 FIELDS 1 b", 1),
            ("EXPIRE h 0", 0),
            ("PEXPIRE h 40", 1),
            ("GETDEL h", 1),
        ] {
            fill(&mut b);
            b.line(line);
            assert_eq!(filed(&b), filed_then, "{line}");
            expire(&mut b, 30);
            assert_eq!(b.keyspaces[0].stats.expired_fields > 0, line.contains(" 20 "), "{line}");
            expire(&mut b, 50);
            assert_eq!(filed(&b), 0, "{line}");
            b.keyspaces[0].stats.expired_fields = 0;
            b.line("FLUSHALL");
        }
    }
}

#[test]
fn a_million_equal_deadlines_go_a_budget_at_a_time() {
    let mut b = Bench::new();
    b.settings.hash_max_listpack_value = 0;
    for n in 0..500 {
        b.line(&format!("HSETEX h PX 5 FIELDS 1 f{n} v"));
    }
    b.line("HSET h stays 1");
    b.now += 5;
    let mut effects = ChunkWriter::new(0);
    let mut turns = 0;
    while b.keyspaces[0].expire_fields_some(b.now, 64, 0, Some(&mut effects)) {
        turns += 1;
        assert_eq!(b.keyspaces[0].stats.expired_fields, turns * 64);
        assert_eq!(b.line("HLEN h"), ":1");
    }
    assert_eq!((turns, b.keyspaces[0].stats.expired_fields), (7, 500));
    assert_eq!(b.line("HGETALL h"), "*2 $5 stays $1 1");
}

#[test]
fn what_is_journaled_is_what_was_done() {
    let mut b = Bench::new();
    let at = START + 10_000;
    for (line, effects) in [
        ("HSET h a 1 b 2 c 3", &["HSET h a 1 b 2 c 3"][..]),
        ("HSETNX h a 5", &[]),
        ("HSETNX h d 5", &["HSET h d 5"]),
        ("HINCRBY h a 5", &["HINCRBY h a 5"]),
        ("HINCRBY h e 5", &["HSET h e 5"]),
        ("HINCRBYFLOAT h e 0.5", &["HSET h e 5.5"]),
        ("HEXPIRE h 10 FIELDS 2 a x", &[&format!("HPEXPIREAT h {at} FIELDS 1 a")]),
        ("HINCRBYFLOAT h a 0.5", &[&format!("HSETEX h PXAT {at} FIELDS 1 a 6.5")]),
        ("HINCRBY h b 1", &["HINCRBY h b 1"]),
        ("HEXPIRE h 10 XX FIELDS 1 b", &[]),
        ("HGETEX h FIELDS 1 a", &[]),
        ("HGETEX h EX 10 FIELDS 2 x b", &[&format!("HPEXPIREAT h {at} FIELDS 1 b")]),
        ("HGETEX h PERSIST FIELDS 2 c b", &["HPERSIST h FIELDS 1 b"]),
        ("HPERSIST h FIELDS 2 c a", &["HPERSIST h FIELDS 1 a"]),
        ("HPERSIST h FIELDS 1 a", &[]),
        ("HSETEX h EX 10 FIELDS 1 a 1", &[&format!("HSETEX h PXAT {at} FIELDS 1 a 1")]),
        ("HSETEX h KEEPTTL FIELDS 1 a 2", &["HSETEX h KEEPTTL FIELDS 1 a 2"]),
        ("HSETEX h FIELDS 1 f 2", &["HSET h f 2"]),
        ("HSETEX h FXX FIELDS 1 g 2", &[]),
        ("HSETEX h EX 0 FIELDS 2 f 2 g 1", &["HDEL h f"]),
        ("HGETDEL h FIELDS 2 x d", &["HDEL h d"]),
        ("HGETDEL h FIELDS 1 x", &[]),
        ("HDEL h x", &[]),
        ("HDEL h e x", &["HDEL h e x"]),
        ("HPEXPIREAT h 7 FIELDS 2 x b", &["HDEL h b"]),
    ] {
        expect_journal(&mut b, line, effects);
    }
    // Fields past their time are still in the file.
    b.now = at;
    expect_journal(&mut b, "HDEL h a c", &["HDEL h c"]);
    expect_journal(&mut b, "HSETEX h KEEPTTL FIELDS 1 a 1", &["HSET h a 1", "HSETEX h KEEPTTL FIELDS 1 a 1"]);
    b.line("HSET h b 1");
    b.line("HEXPIRE h 1 FIELDS 1 b");
    b.client.replayed = true;
    expect_journal(&mut b, "HPEXPIREAT h 7 FIELDS 1 a", &["HPEXPIREAT h 7 FIELDS 1 a"]);
    b.now += 5000;
    let mut effects = ChunkWriter::new(0);
    b.keyspaces[0].expire_fields_some(b.now, 64, 0, Some(&mut effects));
    let chunk = effects.take().unwrap();
    assert_eq!(chunk.bytes, b"*2\r\n$3\r\nDEL\r\n$1\r\nh\r\n");
}

#[test]
fn watchers_hear_of_fields_that_go() {
    let mut b = Bench::new();
    b.line("HSET h a 1 b 2");
    b.line("HPEXPIRE h 5 FIELDS 1 a");
    let (now, placement) = (b.now, b.placement.clone());
    b.keyspaces[0].watch_key(1, 0, b"h", now, &placement);
    expire(&mut b, 4);
    assert!(!b.keyspaces[0].is_dirty(1, b.now, &placement));
    expire(&mut b, 1);
    assert!(b.keyspaces[0].is_dirty(1, b.now, &placement));
}

#[test]
fn events_of_fields_that_go() {
    let mut b = Bench::new();
    b.line("HSET h a 1 b 2");
    b.line("HPEXPIRE h 5 FIELDS 1 a");
    b.line("HPEXPIRE h 7 FIELDS 1 b");
    let classes = EventClasses::HASH | EventClasses::GENERIC;
    for now in [START + 5, START + 7] {
        b.keyspaces[0].expire_fields_some(now, 64, classes, None);
    }
    let names: Vec<_> = b.keyspaces[0].events.iter().map(|event| event.name).collect();
    assert_eq!(names, ["hexpired", "hexpired", "del"]);
}

#[test]
fn random_fields() {
    for value in [64, 0] {
        let mut b = Bench::new();
        b.settings.hash_max_listpack_value = value;
        for n in 0..100 {
            b.line(&format!("HSET h f{n} {n}"));
        }
        for (line, len) in [
            ("HRANDFIELD h 10", 10),
            ("HRANDFIELD h 60", 60),
            ("HRANDFIELD h 100", 100),
            ("HRANDFIELD h 1000", 100),
            ("HRANDFIELD h -1000", 1000),
            ("HRANDFIELD h 0", 0),
            ("HRANDFIELD h 5 withvalues", 10),
        ] {
            b.random += 1;
            let reply = b.line(line);
            assert_eq!(reply.split(' ').next(), Some(&format!("*{len}")[..]), "{line}");
            if !line.contains('-') && !line.contains("values") {
                let names: std::collections::BTreeSet<_> =
                    reply.split(' ').filter(|w| w.starts_with('f')).collect();
                assert_eq!(names.len(), len, "{line}");
            }
        }
        expect(
            &mut b,
            &[
                ("HRANDFIELD h x", "-ERR value is not an integer or out of range"),
                ("HRANDFIELD h 1 values", "-ERR syntax error"),
                ("HRANDFIELD h 1 withvalues 1", "-ERR syntax error"),
                ("HRANDFIELD h -9223372036854775807 withvalues", "-ERR value is out of range"),
                (
                    "HRANDFIELD h -9223372036854775808",
                    "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
                ),
            ],
        );
    }
}

#[test]
fn scanning() {
    let mut b = Bench::new();
    for n in 0..1000 {
        b.line(&format!("HSET h f{n} {n}"));
    }
    let (mut cursor, mut seen, mut calls) = ("0".to_owned(), std::collections::BTreeSet::new(), 0);
    loop {
        let reply = b.line(&format!("HSCAN h {cursor} COUNT 50 NOVALUES"));
        let words: Vec<_> = reply.split(' ').collect();
        cursor = words[2].to_owned();
        seen.extend(words[4..].iter().filter(|w| w.starts_with('f')).map(|w| w.to_string()));
        calls += 1;
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(seen.len(), 1000);
    assert!((10..=20).contains(&calls), "{calls}");
    expect(
        &mut b,
        &[
            ("HSCAN h 0 MATCH f777 COUNT 2", "*2 $1 0 *2 $4 f777 $3 777"),
            ("HSET s a 1 b 2", ":2"),
            ("HSCAN s 0 COUNT 1", "*2 $1 0 *4 $1 a $1 1 $1 b $1 2"),
            ("HSCAN s 0 MATCH b NOVALUES", "*2 $1 0 *1 $1 b"),
            ("HSCAN s x", "-ERR invalid cursor"),
            ("HSCAN s 0 COUNT 0", "-ERR syntax error"),
            ("HSCAN s 0 COUNT", "-ERR syntax error"),
            ("HSCAN s 0 COUNT x", "-ERR value is not an integer or out of range"),
            ("HSCAN s 0 TYPE hash", "-ERR syntax error"),
            ("HSCAN nope 0 COUNT x", "*2 $1 0 *0"),
        ],
    );
}
