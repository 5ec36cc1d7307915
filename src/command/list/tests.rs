//! What lists answer, journal and tell. The texts and shapes are those of redis-server.

use crate::command::testing::{Bench, expect, expect_journal};
use crate::config::EventClasses;
use crate::structure::List;
use crate::structure::list::Side;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";
const NOT_INTEGER: &str = "-ERR value is not an integer or out of range";

#[test]
fn pushes_and_pops_at_both_ends() {
    expect(
        &mut Bench::new(),
        &[
            ("LPUSHX l a", ":0"),
            ("EXISTS l", ":0"),
            ("RPUSH l a b", ":2"),
            ("LPUSH l 1 2", ":4"),
            ("RPUSHX l c", ":5"),
            ("LPUSHX l 3 4", ":7"),
            ("LRANGE l 0 -1", "*7 $1 4 $1 3 $1 2 $1 1 $1 a $1 b $1 c"),
            ("TYPE l", "+list"),
            ("LPOP l", "$1 4"),
            ("RPOP l", "$1 c"),
            ("RPOP l 2", "*2 $1 b $1 a"),
            ("LPOP l 0", "*0"),
            ("LPOP l 10", "*3 $1 3 $1 2 $1 1"),
            ("EXISTS l", ":0"),
            ("LPOP l", "$-1"),
            ("LPOP l 0", "*-1"),
            ("LPOP l -1", "-ERR value is out of range, must be positive"),
            ("LPOP l x", "-ERR value is out of range, must be positive"),
            ("LPOP l 1 2", "-ERR wrong number of arguments for 'lpop' command"),
            ("SET s 1", "+OK"),
            ("LPUSH s a", WRONG_TYPE),
            ("RPUSHX s a", WRONG_TYPE),
            ("RPOP s", WRONG_TYPE),
            ("RPOP s 0", WRONG_TYPE),
        ],
    );
}

#[test]
fn reads_count_from_both_ends() {
    expect(
        &mut Bench::new(),
        &[
            ("RPUSH l a b c d e", ":5"),
            ("LLEN l", ":5"),
            ("LLEN nope", ":0"),
            ("LINDEX l 0", "$1 a"),
            ("LINDEX l -1", "$1 e"),
            ("LINDEX l 5", "$-1"),
            ("LINDEX l -6", "$-1"),
            ("LINDEX l -9223372036854775808", "$-1"),
            ("LINDEX l x", NOT_INTEGER),
            ("LINDEX nope x", "$-1"),
            ("LRANGE l 1 3", "*3 $1 b $1 c $1 d"),
            ("LRANGE l -2 100", "*2 $1 d $1 e"),
            ("LRANGE l -100 0", "*1 $1 a"),
            ("LRANGE l 3 1", "*0"),
            ("LRANGE l 5 9", "*0"),
            ("LRANGE l 0 -9223372036854775808", "*0"),
            ("LRANGE l -9223372036854775808 9223372036854775807", "*5 $1 a $1 b $1 c $1 d $1 e"),
            ("LRANGE nope 0 -1", "*0"),
            ("LRANGE nope 0 x", NOT_INTEGER),
            ("SET s 1", "+OK"),
            ("LLEN s", WRONG_TYPE),
            ("LINDEX s x", WRONG_TYPE),
            ("LRANGE s 0 -1", WRONG_TYPE),
        ],
    );
}

#[test]
fn lpos_finds_from_both_ends() {
    let cant = "-ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use \
                negative to start from the end of the list";
    expect(
        &mut Bench::new(),
        &[
            ("RPUSH l a b c 1 2 3 c c", ":8"),
            ("LPOS l c", ":2"),
            ("LPOS l c RANK 2", ":6"),
            ("LPOS l c RANK -1", ":7"),
            ("LPOS l c RANK 4", "$-1"),
            ("LPOS l c COUNT 2", "*2 :2 :6"),
            ("LPOS l c COUNT 0", "*3 :2 :6 :7"),
            ("LPOS l c RANK -1 COUNT 2", "*2 :7 :6"),
            ("LPOS l c RANK 2 COUNT 0", "*2 :6 :7"),
            ("LPOS l c MAXLEN 2", "$-1"),
            ("LPOS l c MAXLEN 3 RANK 1", ":2"),
            ("LPOS l c COUNT 0 MAXLEN 7", "*2 :2 :6"),
            ("LPOS l c RANK -1 COUNT 0 MAXLEN 2", "*2 :7 :6"),
            ("LPOS l 2", ":4"),
            ("LPOS l x", "$-1"),
            ("LPOS l x COUNT 1", "*0"),
            ("LPOS nope x", "$-1"),
            ("LPOS nope x COUNT 1", "*0"),
            ("LPOS l c RANK 0", cant),
            ("LPOS l c RANK x", NOT_INTEGER),
            ("LPOS l c COUNT -1", "-ERR COUNT can't be negative"),
            ("LPOS l c COUNT x", "-ERR COUNT can't be negative"),
            ("LPOS l c MAXLEN -1", "-ERR MAXLEN can't be negative"),
            ("LPOS l c MAXLEN", "-ERR syntax error"),
            ("LPOS l c FIRST 1", "-ERR syntax error"),
            ("SET s 1", "+OK"),
            ("LPOS s c", WRONG_TYPE),
        ],
    );
}

#[test]
fn changes_inside_a_list() {
    expect(
        &mut Bench::new(),
        &[
            ("LSET l 0 a", "-ERR no such key"),
            ("LSET l x a", "-ERR no such key"),
            ("RPUSH l a b c", ":3"),
            ("LSET l 1 B", "+OK"),
            ("LSET l -1 C", "+OK"),
            ("LSET l 3 x", "-ERR index out of range"),
            ("LSET l x x", NOT_INTEGER),
            ("LINSERT l BEFORE B 1", ":4"),
            ("LINSERT l after B 2", ":5"),
            ("LINSERT l after nope 2", ":-1"),
            ("LINSERT nope after B 2", ":0"),
            ("LINSERT l beside B 2", "-ERR syntax error"),
            ("LRANGE l 0 -1", "*5 $1 a $1 1 $1 B $1 2 $1 C"),
            ("RPUSH r x y x y x", ":5"),
            ("LREM r 1 x", ":1"),
            ("LREM r -1 x", ":1"),
            ("LRANGE r 0 -1", "*3 $1 y $1 x $1 y"),
            ("LREM r 0 y", ":2"),
            ("LREM r 0 y", ":0"),
            ("LREM r -9223372036854775808 x", ":1"),
            ("EXISTS r", ":0"),
            ("LREM r x y", NOT_INTEGER),
            ("LTRIM l 1 -2", "+OK"),
            ("LRANGE l 0 -1", "*3 $1 1 $1 B $1 2"),
            ("LTRIM l 0 -1", "+OK"),
            ("LTRIM l 5 9", "+OK"),
            ("EXISTS l", ":0"),
            ("LTRIM l 5 x", NOT_INTEGER),
            ("LTRIM l 5 9", "+OK"),
            ("SET s 1", "+OK"),
            ("LSET s 0 a", WRONG_TYPE),
            ("LINSERT s before a b", WRONG_TYPE),
            ("LREM s 0 a", WRONG_TYPE),
            ("LTRIM s 0 1", WRONG_TYPE),
        ],
    );
}

#[test]
fn elements_move_between_lists_and_within_one() {
    for shards in [1, 4] {
        expect(
            &mut Bench::with_shards(shards),
            &[
                ("LMOVE a b LEFT RIGHT", "$-1"),
                ("RPUSH a 1 2 three", ":3"),
                ("LMOVE a b left RIGHT", "$1 1"),
                ("LMOVE a b RIGHT left", "$5 three"),
                ("LRANGE b 0 -1", "*2 $5 three $1 1"),
                ("LMOVE b b LEFT RIGHT", "$5 three"),
                ("LRANGE b 0 -1", "*2 $1 1 $5 three"),
                ("RPOPLPUSH a b", "$1 2"),
                ("EXISTS a", ":0"),
                ("RPOPLPUSH a b", "$-1"),
                ("LRANGE b 0 -1", "*3 $1 2 $1 1 $5 three"),
                ("RPOPLPUSH b b", "$5 three"),
                ("RPUSH one x", ":1"),
                ("LMOVE one one LEFT LEFT", "$1 x"),
                ("LLEN one", ":1"),
                ("SET s 1", "+OK"),
                ("LMOVE s b LEFT LEFT", WRONG_TYPE),
                ("LMOVE b s LEFT LEFT", WRONG_TYPE),
                ("LMOVE nope s LEFT LEFT", "$-1"),
                ("LMOVE b s LEFT MIDDLE", "-ERR syntax error"),
                ("LLEN b", ":3"),
            ],
        );
    }
}

#[test]
fn lmpop_takes_from_the_first_list_that_is_there() {
    for shards in [1, 4] {
        let mut b = Bench::with_shards(shards);
        expect(
            &mut b,
            &[
                ("RPUSH b 1 2 3", ":3"),
                ("LMPOP 2 a b LEFT", "*2 $1 b *1 $1 1"),
                ("LMPOP 2 a b right count 5", "*2 $1 b *2 $1 3 $1 2"),
                ("LMPOP 2 a b LEFT", "*-1"),
                ("LMPOP 0 a LEFT", "-ERR numkeys should be greater than 0"),
                ("LMPOP x a LEFT", "-ERR numkeys should be greater than 0"),
                ("LMPOP 2 a LEFT", "-ERR syntax error"),
                ("LMPOP 9223372036854775807 a LEFT", "-ERR syntax error"),
                ("LMPOP 1 a MIDDLE", "-ERR syntax error"),
                ("LMPOP 1 a LEFT COUNT", "-ERR syntax error"),
                ("LMPOP 1 a LEFT COUNT 0", "-ERR count should be greater than 0"),
                ("LMPOP 1 a LEFT COUNT x", "-ERR count should be greater than 0"),
                ("LMPOP 1 a LEFT COUNT 1 COUNT 1", "-ERR syntax error"),
                ("SET s 1", "+OK"),
                ("LMPOP 2 a s LEFT", WRONG_TYPE),
            ],
        );
    }
}

#[test]
fn the_journal_gets_what_was_really_popped() {
    let mut b = Bench::new();
    let b = &mut b;
    expect_journal(b, "RPUSH l a b c d e", &["RPUSH l a b c d e"]);
    expect_journal(b, "LPUSHX nope a", &[]);
    expect_journal(b, "LPOP l", &["LPOP l"]);
    expect_journal(b, "LPOP l 0", &[]);
    expect_journal(b, "LMPOP 2 nope l RIGHT COUNT 2", &["RPOP l 2"]);
    expect_journal(b, "LMPOP 1 nope RIGHT COUNT 2", &[]);
    expect_journal(b, "LTRIM l 0 -1", &[]);
    expect_journal(b, "LREM l 0 nope", &[]);
    expect_journal(b, "LINSERT l BEFORE nope x", &[]);
    expect_journal(b, "LMOVE l m LEFT RIGHT", &["LMOVE l m LEFT RIGHT"]);
    expect_journal(b, "LTRIM l 1 0", &["LTRIM l 1 0"]);
    expect_journal(b, "LTRIM l 1 0", &[]);
    expect_journal(b, "LMOVE l m LEFT RIGHT", &[]);
    expect_journal(b, "LSET m 0 x", &["LSET m 0 x"]);
}

#[test]
fn changes_count_as_elements_do() {
    let mut b = Bench::new();
    for (line, dirty) in [
        ("RPUSH l a b c d e f", 6),
        ("LPOP l", 7),
        ("RPOP l 2", 9),
        ("LMOVE l m LEFT LEFT", 10),
        ("LTRIM l 1 1", 11),
        ("LTRIM l 0 -1", 11),
        ("LREM l 0 d", 12),
    ] {
        b.line(line);
        assert_eq!(b.keyspaces[0].stats.dirty, dirty, "{line}");
    }
}

#[test]
fn a_list_over_the_limit_is_a_quicklist_and_goes_in_slices() {
    let mut b = Bench::new();
    let word = "x".repeat(100);
    for _ in 0..100 {
        b.line(&format!("RPUSH l {word}"));
    }
    assert_eq!(b.line("OBJECT ENCODING l"), "$9 quicklist");
    assert_eq!(b.line("RPUSH s 1 2 3"), ":3");
    assert_eq!(b.line("OBJECT ENCODING s"), "$9 quicklist");
    b.settings.list_max_listpack_size = 2;
    assert_eq!(b.line("LPUSH s 0"), ":4");
    assert_eq!(b.line("OBJECT ENCODING s"), "$9 quicklist");
    assert_eq!(b.line("COPY l c"), ":1");
    assert_eq!(b.line("DEL l"), ":1");
    while b.keyspaces[0].free_some(10) {}
    assert_eq!(b.line("LLEN c"), ":100");
}

/// The names of events with their keys, in order.
fn events(b: &mut Bench, line: &str) -> Vec<String> {
    b.line(line);
    b.events.clone()
}

#[test]
fn events_come_in_redis_order() {
    let mut b = Bench::new();
    b.notify = EventClasses::ALL;
    for (line, expected) in [
        ("RPUSH l a b c d", &["rpush l"][..]),
        ("LPUSHX l x", &["lpush l"]),
        ("LPUSHX nope x", &[]),
        ("LSET l 0 y", &["lset l"]),
        ("LINSERT l BEFORE y z", &["linsert l"]),
        ("LINSERT l BEFORE nope z", &[]),
        ("LREM l 0 z", &["lrem l"]),
        ("LREM l 0 z", &[]),
        ("LTRIM l 0 -1", &["ltrim l"]),
        ("LMOVE l m LEFT RIGHT", &["rpush m", "lpop l"]),
        ("RPOPLPUSH m l", &["lpush l", "rpop m", "del m"]),
        ("RPOPLPUSH l l", &["lpush l", "rpop l"]),
        ("RPOP l 2", &["rpop l"]),
        ("RPOP l 0", &[]),
        ("LMPOP 2 m l LEFT COUNT 2", &["lpop l"]),
        ("RPUSH l a a", &["rpush l"]),
        ("LPOP l", &["lpop l"]),
        ("LREM l 1 a", &["lrem l"]),
        ("LTRIM l 1 0", &["ltrim l", "del l"]),
    ] {
        assert_eq!(events(&mut b, line), expected, "{line}");
    }
}

/// The fields and figures of redis-server 7.0.15.
#[test]
fn debug_object_tells_of_the_nodes_of_a_list() {
    let settings = crate::config::Settings::default();
    let mut list = List::new();
    let elements = [&b"a"[..], b"b", b"300"];
    list.extend(Side::Right, elements.into_iter(), &super::limits(&settings));
    assert_eq!(
        super::debug_fields(&list, &settings),
        " ql_nodes:1 ql_avg_node:3.00 ql_listpack_max:-2 ql_compressed:0 ql_uncompressed_size:16"
    );
}
