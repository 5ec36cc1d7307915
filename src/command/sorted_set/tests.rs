//! Commands on sorted sets: replies, errors, events, what is journaled.

use crate::command::testing::{Bench, START, expect, expect_journal};
use crate::resp::Proto;

#[test]
fn adding_with_conditions() {
    expect(
        &mut Bench::new(),
        &[
            ("ZADD z 1 a 2 b", ":2"),
            ("ZADD z 3 a 4 c", ":1"),
            ("ZADD z CH 5 a 6 d", ":2"),
            ("ZADD z NX 9 a 9 e", ":1"),
            ("ZADD z XX 7 a 7 f", ":0"),
            ("ZADD z GT CH 6 a 8 e 10 b", ":1"),
            ("ZADD z LT CH 6 a 8 e 11 b", ":2"),
            ("ZRANGE z 0 -1 WITHSCORES", "*10 $1 c $1 4 $1 a $1 6 $1 d $1 6 $1 e $1 8 $1 b $2 10"),
        ],
    );
}

#[test]
fn increments() {
    let mut b = Bench::new();
    expect(
        &mut b,
        &[
            ("ZINCRBY z 0.1 a", "$19 0.10000000000000001"),
            ("ZADD z INCR 0.2 a", "$19 0.30000000000000004"),
            ("ZADD z NX INCR 1 a", "$-1"),
            ("ZADD z XX INCR 1 b", "$-1"),
            ("ZADD z INCR 1 a 2 b", "-ERR INCR option supports a single increment-element pair"),
            ("ZADD inf inf a", ":1"),
            ("ZINCRBY inf -inf a", "-ERR resulting score is not a number (NaN)"),
            ("ZSCORE inf a", "$3 inf"),
        ],
    );
    expect_journal(&mut b, "ZINCRBY z 1 a", &["ZADD z 1.3 a"]);
    expect_journal(&mut b, "ZADD z INCR 0.1 a", &["ZADD z 1.4000000000000001 a"]);
    expect_journal(&mut b, "ZADD z NX INCR 1 a", &[]);
    expect_journal(&mut b, "ZINCRBY z 0 a", &[]);
    expect_journal(&mut b, "ZADD z GT 9 a", &["ZADD z GT 9 a"]);
}

#[test]
fn errors_in_redis_order() {
    let mut b = Bench::new();
    b.line("SET s 1");
    expect(
        &mut b,
        &[
            ("ZADD s x a", "-ERR value is not a valid float"),
            ("ZADD s 1 a", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
            ("ZADD z nan a", "-ERR value is not a valid float"),
            ("ZADD z 1 a 2", "-ERR syntax error"),
            ("ZADD z NX XX", "-ERR syntax error"),
            ("ZADD z NX XX 1 a", "-ERR XX and NX options at the same time are not compatible"),
            ("ZADD z NX GT 1 a", "-ERR GT, LT, and/or NX options at the same time are not compatible"),
            ("ZINCRBY z nx a", "-ERR syntax error"),
            ("ZRANGEBYSCORE z a b", "-ERR min or max is not a float"),
            ("ZRANGEBYLEX z a b", "-ERR min or max not valid string range item"),
            (
                "ZRANGE z 0 -1 LIMIT 0 1",
                "-ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ),
            (
                "ZRANGE z - + BYLEX WITHSCORES",
                "-ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ),
            ("ZRANGESTORE d z 0 -1 WITHSCORES", "-ERR syntax error"),
            ("ZPOPMIN s 0", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
            ("ZPOPMIN z -1", "-ERR value is out of range, must be positive"),
            ("ZPOPMIN z 1 2", "-ERR syntax error"),
            ("ZMPOP 0 z MIN", "-ERR numkeys should be greater than 0"),
            ("ZMPOP 1 z MIN COUNT 0", "-ERR count should be greater than 0"),
            ("ZMPOP 2 z MIN", "-ERR syntax error"),
            ("ZUNION 0 z", "-ERR at least 1 input key is needed for 'zunion' command"),
            ("ZUNION 2 z", "-ERR syntax error"),
            ("ZUNION 1 s nonsense", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
            ("ZUNION 1 z WEIGHTS x", "-ERR weight value is not a float"),
            ("ZINTERCARD 1 z LIMIT -1", "-ERR LIMIT can't be negative"),
            ("ZDIFF 1 z WEIGHTS 1", "-ERR syntax error"),
            ("ZSCAN nokey 0 nonsense", "*2 $1 0 *0"),
            ("ZSCAN s x", "-ERR invalid cursor"),
            (
                "ZRANDMEMBER z -9223372036854775808",
                "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
            ),
            ("ZRANDMEMBER z -9223372036854770000 WITHSCORES", "-ERR value is out of range"),
        ],
    );
}

#[test]
fn ranks_with_scores() {
    let mut b = Bench::new();
    b.line("ZADD z 1 a 2.5 b 3 c");
    expect(
        &mut b,
        &[
            ("ZRANK z b", ":1"),
            ("ZREVRANK z a", ":2"),
            ("ZRANK z b WITHSCORE", "*2 :1 $3 2.5"),
            ("ZRANK z x WITHSCORE", "*-1"),
            ("ZRANK z x", "$-1"),
            ("ZREVRANK none x WITHSCORE", "*-1"),
            ("ZRANK z b SCORE", "-ERR syntax error"),
            ("ZRANK z b WITHSCORE x", "-ERR wrong number of arguments for 'zrank' command"),
        ],
    );
}

#[test]
fn popping_removes_the_key_with_its_last_member() {
    for shards in [1, 3] {
        let mut b = Bench::with_shards(shards);
        b.line("ZADD z 1 a 2 b 3 c 4 d 5 e");
        expect(
            &mut b,
            &[
                ("ZPOPMIN z", "*2 $1 a $1 1"),
                ("ZPOPMAX z 2", "*4 $1 e $1 5 $1 d $1 4"),
                ("ZMPOP 2 none z MIN", "*2 $1 z *1 *2 $1 b $1 2"),
                ("ZPOPMIN z 0", "*0"),
                ("ZMPOP 2 none z MAX COUNT 10", "*2 $1 z *1 *2 $1 c $1 3"),
                ("EXISTS z", ":0"),
                ("ZPOPMIN z", "*0"),
                ("ZMPOP 1 z MIN", "*-1"),
            ],
        );
        b.line("ZADD z 1 a 2 b 3 c");
        expect_journal(&mut b, "ZMPOP 1 z MAX COUNT 2", &["ZPOPMAX z 2"]);
        expect_journal(&mut b, "ZPOPMIN z 7", &["ZPOPMIN z 7"]);
        expect_journal(&mut b, "ZPOPMIN z", &[]);
    }
}

#[test]
fn replies_of_resp3() {
    let mut b = Bench::new();
    b.proto = Proto::Resp3;
    b.line("ZADD z 1 a 2.5 b");
    expect(
        &mut b,
        &[
            ("ZRANGE z 0 -1 WITHSCORES", "*2 *2 $1 a ,1 *2 $1 b ,2.5"),
            ("ZSCORE z b", ",2.5"),
            ("ZMSCORE z a x", "*2 ,1 _"),
            ("ZADD z INCR 1 a", ",2"),
            ("ZUNION 1 z WITHSCORES", "*2 *2 $1 a ,2 *2 $1 b ,2.5"),
            ("ZRANDMEMBER z 5 WITHSCORES", "*2 *2 $1 a ,2 *2 $1 b ,2.5"),
            ("ZPOPMIN z", "*2 $1 a ,2"),
            ("ZPOPMIN z 1", "*1 *2 $1 b ,2.5"),
            ("ZRANK z a WITHSCORE", "_"),
        ],
    );
}

#[test]
fn ranges_of_every_kind() {
    let mut b = Bench::new();
    b.line("ZADD z 1 a 2 b 3 c 4 d 5 e");
    expect(
        &mut b,
        &[
            ("ZRANGE z 1 -2", "*3 $1 b $1 c $1 d"),
            ("ZREVRANGE z 0 1", "*2 $1 e $1 d"),
            ("ZRANGE z (1 4 BYSCORE", "*3 $1 b $1 c $1 d"),
            ("ZRANGE z 4 (1 BYSCORE REV LIMIT 1 1", "*1 $1 c"),
            ("ZRANGEBYSCORE z -inf +inf LIMIT -1 2", "*0"),
            ("ZRANGEBYSCORE z -inf +inf LIMIT 1 -1", "*4 $1 b $1 c $1 d $1 e"),
            ("ZREVRANGEBYSCORE z +inf (3 WITHSCORES", "*4 $1 e $1 5 $1 d $1 4"),
            ("ZCOUNT z (1 (5", ":3"),
            ("ZREMRANGEBYRANK z 0 0", ":1"),
            ("ZREMRANGEBYSCORE z (4 inf", ":1"),
            ("ZRANGESTORE d z +inf -inf BYSCORE REV LIMIT 0 2", ":2"),
            ("ZRANGE d 0 -1 WITHSCORES", "*4 $1 c $1 3 $1 d $1 4"),
            ("ZRANGESTORE d none 0 -1", ":0"),
            ("EXISTS d", ":0"),
            ("ZADD l 0 a 0 b 0 c 0 d", ":4"),
            ("ZRANGEBYLEX l [b (d", "*2 $1 b $1 c"),
            ("ZREVRANGEBYLEX l + (b", "*2 $1 d $1 c"),
            ("ZLEXCOUNT l - +", ":4"),
            ("ZLEXCOUNT l + -", ":0"),
            ("ZREMRANGEBYLEX l - [c", ":3"),
            ("ZREM l d d", ":1"),
            ("EXISTS l", ":0"),
        ],
    );
}

#[test]
fn combinations() {
    for shards in [1, 3] {
        let mut b = Bench::with_shards(shards);
        b.line("ZADD a 1 x 2 y 3 z");
        b.line("ZADD b 10 y 20 z 30 w");
        expect(
            &mut b,
            &[
                ("ZUNION 2 a b WITHSCORES", "*8 $1 x $1 1 $1 y $2 12 $1 z $2 23 $1 w $2 30"),
                (
                    "ZUNION 3 a b none WEIGHTS 2 1 9 AGGREGATE MAX WITHSCORES",
                    "*8 $1 x $1 2 $1 y $2 10 $1 z $2 20 $1 w $2 30",
                ),
                ("ZINTER 2 a b WITHSCORES", "*4 $1 y $2 12 $1 z $2 23"),
                ("ZINTERCARD 2 a b", ":2"),
                ("ZINTERCARD 2 a b LIMIT 1", ":1"),
                ("ZDIFF 2 a b WITHSCORES", "*2 $1 x $1 1"),
                ("ZDIFF 2 a a", "*0"),
                ("ZINTERSTORE a 2 a b AGGREGATE MIN", ":2"),
                ("ZRANGE a 0 -1 WITHSCORES", "*4 $1 y $1 2 $1 z $1 3"),
                ("ZDIFFSTORE a 2 a b", ":0"),
                ("EXISTS a", ":0"),
                ("SADD s y z 7", ":3"),
                ("ZADD n 5 7", ":1"),
                ("ZUNION 2 b s WITHSCORES", "*8 $1 7 $1 1 $1 y $2 11 $1 z $2 21 $1 w $2 30"),
                ("ZINTER 3 b s s WEIGHTS 1 2 3 WITHSCORES", "*4 $1 y $2 15 $1 z $2 25"),
                ("ZINTER 2 s n WITHSCORES", "*2 $1 7 $1 6"),
                ("ZDIFF 2 s b WITHSCORES", "*2 $1 7 $1 1"),
                ("ZDIFF 2 b s", "*1 $1 w"),
                ("ZADD i inf m", ":1"),
                ("ZUNION 2 i i WEIGHTS 1 -1 WITHSCORES", "*2 $1 m $1 0"),
            ],
        );
    }
}

#[test]
fn an_expired_source_is_gone_for_a_replay_too() {
    let mut b = Bench::with_shards(2);
    b.line("ZADD a 1 x");
    b.line("PEXPIREAT a 1700000000005");
    b.now = START + 10;
    expect_journal(&mut b, "ZUNIONSTORE d 1 a", &["DEL a"]);
    b.line("ZADD a 1 x");
    b.line("PEXPIREAT a 1700000000015");
    b.now = START + 20;
    expect_journal(&mut b, "ZRANGESTORE d a 0 -1", &["DEL a"]);
}

#[test]
fn encodings_follow_the_thresholds() {
    let mut b = Bench::new();
    let long = "x".repeat(65);
    b.line("ZADD z 1 a");
    assert_eq!(b.line("OBJECT ENCODING z"), "$8 listpack");
    b.line(&format!("ZADD z 1 {long}"));
    assert_eq!(b.line("OBJECT ENCODING z"), "$8 skiplist");
    b.line(&format!("ZREM z {long}"));
    assert_eq!(b.line("OBJECT ENCODING z"), "$8 skiplist");
    b.line("ZUNIONSTORE z 1 z");
    assert_eq!(b.line("OBJECT ENCODING z"), "$8 listpack");
}

#[test]
fn scanning_and_random_members() {
    let mut b = Bench::new();
    b.settings.zset_max_listpack_entries = 0;
    for i in 0..500 {
        b.line(&format!("ZADD z {i} m{i}"));
    }
    let (mut cursor, mut seen) = ("0".to_owned(), std::collections::BTreeSet::new());
    loop {
        let shown = b.line(&format!("ZSCAN z {cursor} COUNT 50"));
        let words: Vec<_> = shown.split(' ').collect();
        cursor = words[2].to_owned();
        seen.extend(words.iter().filter(|word| word.starts_with('m')).map(|word| word.to_string()));
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(seen.len(), 500);
    for (count, expected) in [(1, 1), (10, 10), (200, 200), (499, 499), (500, 500), (600, 500)] {
        b.random += 1;
        let shown = b.line(&format!("ZRANDMEMBER z {count}"));
        let members: std::collections::BTreeSet<_> =
            shown.split(' ').filter(|w| w.starts_with('m')).collect();
        assert_eq!(members.len(), expected);
    }
    assert!(b.line("ZRANDMEMBER z -700").starts_with("*700 "));
    assert!(b.line("ZRANDMEMBER z").contains(" m"));
    assert_eq!(b.line("ZRANDMEMBER none"), "$-1");
    assert_eq!(b.line("ZRANDMEMBER none 3"), "*0");
}
