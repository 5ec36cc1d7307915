//! SORT against what redis-server answers, and a part of an order against the whole.

use super::*;
use crate::command::testing::{Bench, expect, expect_journal};
use proptest::prelude::*;

#[test]
fn numbers_and_texts_are_sorted_both_ways() {
    expect(
        &mut Bench::new(),
        &[
            ("RPUSH l 10 9 -1 2.5 1e1", ":5"),
            ("SORT l", "*5 $2 -1 $3 2.5 $1 9 $2 10 $3 1e1"),
            ("SORT l DESC", "*5 $3 1e1 $2 10 $1 9 $3 2.5 $2 -1"),
            ("SORT l ALPHA", "*5 $2 -1 $2 10 $3 1e1 $3 2.5 $1 9"),
            ("SORT l asc alpha desc", "*5 $1 9 $3 2.5 $3 1e1 $2 10 $2 -1"),
            ("SORT_RO l LIMIT 1 2", "*2 $3 2.5 $1 9"),
            ("SORT l LIMIT -5 1", "*1 $2 -1"),
            ("SORT l LIMIT 3 -1", "*2 $2 10 $3 1e1"),
            ("SORT l LIMIT 5 1", "*0"),
            ("SORT l LIMIT 0 0", "*0"),
            ("SORT l LIMIT 9223372036854775807 9223372036854775807", "*0"),
            ("SORT l BY nosort", "*5 $2 10 $1 9 $2 -1 $3 2.5 $3 1e1"),
            ("SORT l BY nosort DESC LIMIT 1 2", "*2 $3 2.5 $2 -1"),
            ("SORT nope", "*0"),
            ("SORT l LIMIT 1", "-ERR syntax error"),
            ("SORT l LIMIT a b", "-ERR value is not an integer or out of range"),
            ("SORT l BY", "-ERR syntax error"),
            ("SORT l GET", "-ERR syntax error"),
            ("SORT l STORE", "-ERR syntax error"),
            ("SORT_RO l STORE d", "-ERR syntax error"),
            ("SORT l ALPHABETICALLY", "-ERR syntax error"),
            ("RPUSH words b a", ":2"),
            ("SORT words", "-ERR One or more scores can't be converted into double"),
            ("SORT words STORE d", "-ERR One or more scores can't be converted into double"),
            ("SORT words ALPHA", "*2 $1 a $1 b"),
            ("SET s x", "+OK"),
            ("SORT s", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
        ],
    );
}

#[test]
fn keys_made_from_patterns_lie_anywhere() {
    for shards in [1, 4] {
        expect(
            &mut Bench::with_shards(shards),
            &[
                ("RPUSH l 1 2 3 4", ":4"),
                ("MSET w_1 30 w_2 10 w_3 20 o_1 one o_2 two o_4 four", "+OK"),
                ("SORT l BY w_*", "*4 $1 4 $1 2 $1 3 $1 1"),
                ("SORT l BY w_* DESC", "*4 $1 1 $1 3 $1 2 $1 4"),
                ("SORT l BY w_* GET o_*", "*4 $4 four $3 two $-1 $3 one"),
                ("SORT l BY w_* GET # GET o_* LIMIT 1 1", "*2 $1 2 $3 two"),
                ("SORT l BY o_* ALPHA", "*4 $1 3 $1 4 $1 1 $1 2"),
                ("SORT l BY o_* ALPHA DESC", "*4 $1 2 $1 1 $1 4 $1 3"),
                ("SORT l BY x_* ALPHA DESC", "*4 $1 1 $1 2 $1 3 $1 4"),
                ("SORT l BY x_* DESC", "*4 $1 4 $1 3 $1 2 $1 1"),
                ("SORT l BY o_*", "-ERR One or more scores can't be converted into double"),
                ("SORT l GET constant GET w_*->", "*8 $-1 $-1 $-1 $-1 $-1 $-1 $-1 $-1"),
                ("SORT l BY w_* GET o_* STORE d", ":4"),
                ("LRANGE d 0 -1", "*4 $4 four $3 two $0  $3 one"),
                ("SORT d ALPHA LIMIT 0 2 STORE d", ":2"),
                ("LRANGE d 0 -1", "*2 $0  $4 four"),
                ("SORT nope STORE d", ":0"),
                ("EXISTS d", ":0"),
                ("HSET h_1 f 9 g one", ":2"),
                ("HSET h_2 f 8", ":1"),
                ("SORT l BY h_*->f GET # GET h_*->g LIMIT 2 9", "*4 $1 2 $-1 $1 1 $3 one"),
                ("SORT l BY h_* DESC", "*4 $1 4 $1 3 $1 2 $1 1"),
                ("SORT l BY w_*->f GET h_*->", "*4 $-1 $-1 $-1 $-1"),
            ],
        );
    }
}

#[test]
fn a_sorted_set_has_an_order_of_its_own() {
    expect(
        &mut Bench::new(),
        &[
            ("ZADD z 1 30 2 4 3 100 4 20", ":4"),
            ("SORT z", "*4 $1 4 $2 20 $2 30 $3 100"),
            ("SORT z BY nosort", "*4 $2 30 $1 4 $3 100 $2 20"),
            ("SORT z BY nosort DESC", "*4 $2 20 $3 100 $1 4 $2 30"),
            ("SORT z BY nosort LIMIT 1 2", "*2 $1 4 $3 100"),
            ("SORT z BY nosort DESC LIMIT 1 2", "*2 $3 100 $1 4"),
            ("SORT z BY nosort LIMIT 4 2", "*0"),
            ("SORT z BY nosort DESC LIMIT 0 0", "*0"),
        ],
    );
}

#[test]
fn a_set_has_an_order_only_where_it_is_seen_again() {
    for shards in [1, 4] {
        let mut b = Bench::with_shards(shards);
        expect(
            &mut b,
            &[
                ("SADD n 10 9 100 8", ":4"),
                ("SORT n", "*4 $1 8 $1 9 $2 10 $3 100"),
                ("SORT n DESC LIMIT 1 2", "*2 $2 10 $1 9"),
                ("SADD t c a b", ":3"),
                ("SORT t BY nosort STORE d", ":3"),
                ("LRANGE d 0 -1", "*3 $1 a $1 b $1 c"),
                ("SORT t BY x_* ALPHA DESC", "*3 $1 a $1 b $1 c"),
                ("SORT t BY x_* DESC", "*3 $1 c $1 b $1 a"),
            ],
        );
        b.client.in_script = true;
        assert_eq!(b.line("SORT t BY nosort DESC LIMIT 0 2"), "*2 $1 c $1 b");
    }
}

#[test]
fn the_journal_gets_what_was_stored() {
    let mut b = Bench::with_shards(3);
    let b = &mut b;
    b.line("RPUSH l 3 1 2");
    expect_journal(b, "SORT l", &[]);
    expect_journal(b, "SORT nope STORE d", &[]);
    expect_journal(b, "SORT l STORE d", &["RPUSH d 1 2 3"]);
    expect_journal(b, "SORT l BY x DESC STORE d", &["DEL d", "RPUSH d 2 1 3"]);
    expect_journal(b, "SORT nope STORE d", &["DEL d"]);
    b.line("SET s 1");
    expect_journal(b, "SORT l STORE s", &["DEL s", "RPUSH s 1 2 3"]);
    b.line(&format!("RPUSH long{}", " 1".repeat(1000)));
    b.line("SORT long STORE d");
    assert_eq!(b.effects.iter().map(|effect| effect.args.len()).collect::<Vec<_>>(), [514, 490]);
}

#[test]
fn numbers_are_what_strtod_makes_of_the_whole_text() {
    for (text, value) in [
        ("", Some(0.0)),
        (" 1", Some(1.0)),
        ("1 ", None),
        (" ", None),
        ("0x10", Some(16.0)),
        ("inf", Some(f64::INFINITY)),
        ("-Infinity", Some(f64::NEG_INFINITY)),
        ("1e999", None),
        ("nan", None),
        ("+5", Some(5.0)),
        ("1\0x", Some(1.0)),
        ("\0", Some(0.0)),
        ("x", None),
    ] {
        assert_eq!(number(text.as_bytes()), value, "{text:?}");
    }
}

proptest! {
    /// A part of the order is that part of the whole order.
    #[test]
    fn a_limit_cuts_out_of_the_sorted_whole(
        numbers in prop::collection::vec(-9..10i32, 1..40), offset in 0..45usize, count in 0..45usize, desc: bool)
    {
        let mut b = Bench::new();
        let texts: Vec<String> = numbers.iter().map(i32::to_string).collect();
        b.line(&format!("RPUSH l {}", texts.join(" ")));
        let mut sorted = numbers;
        sorted.sort();
        if desc {
            sorted.reverse();
        }
        let order = if desc { "DESC" } else { "ASC" };
        b.line(&format!("SORT l {order} LIMIT {offset} {count} STORE d"));
        let wanted: Vec<String> = sorted.iter().skip(offset).take(count).map(i32::to_string).collect();
        let expected = wanted.iter().map(|t| format!(" ${} {t}", t.len())).collect::<String>();
        prop_assert_eq!(b.line("LRANGE d 0 -1"), format!("*{}{expected}", wanted.len()));
    }
}
