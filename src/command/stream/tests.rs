//! Streams as clients see them, and what the journal makes of them.

use crate::command::testing::{Bench, START, expect, expect_journal};
use crate::resp::Proto;
use proptest::prelude::*;

#[test]
fn entries_come_and_go() {
    expect(
        &mut Bench::with_shards(3),
        &[
            ("XADD s * a 1", "$15 1700000000000-0"),
            ("XADD s * a 2 b 3", "$15 1700000000000-1"),
            (
                "XADD s 5-5 a 1",
                "-ERR The ID specified in XADD is equal or smaller than the target stream top item",
            ),
            ("XADD s 1700000000001-* a 1", "$15 1700000000001-0"),
            ("XADD t 0-0 a 1", "-ERR The ID specified in XADD must be greater than 0-0"),
            ("XADD t 0-* a 1", "$3 0-1"),
            ("XADD t 7 a 1", "$3 7-0"),
            ("XADD t a-b a 1", "-ERR Invalid stream ID specified as stream command argument"),
            ("XADD t 8 a", "-ERR wrong number of arguments for 'xadd' command"),
            ("XADD t 8 a 1 b", "-ERR wrong number of arguments for 'xadd' command"),
            ("XADD u NOMKSTREAM * a 1", "$-1"),
            ("EXISTS u", ":0"),
            ("XLEN s", ":3"),
            ("XLEN nope", ":0"),
            ("XRANGE t - +", "*2 *2 $3 0-1 *2 $1 a $1 1 *2 $3 7-0 *2 $1 a $1 1"),
            ("XREVRANGE t + (0-1 COUNT 5", "*1 *2 $3 7-0 *2 $1 a $1 1"),
            ("XRANGE t - + COUNT 0", "*-1"),
            ("XRANGE nope - + COUNT 0", "*0"),
            ("XRANGE t (+ +", "-ERR Invalid stream ID specified as stream command argument"),
            ("XDEL t 0-1 9-9", ":1"),
            ("XDEL t 0-1 x", "-ERR Invalid stream ID specified as stream command argument"),
            ("XTRIM t MAXLEN 0", ":1"),
            ("XLEN t", ":0"),
            ("EXISTS t", ":1"),
            (
                "XADD t 7 a 1",
                "-ERR The ID specified in XADD is equal or smaller than the target stream top item",
            ),
            ("XSETID t 18446744073709551615-18446744073709551615", "+OK"),
            ("XADD t * a 1", "-ERR The stream has exhausted the last possible ID, unable to add more items"),
            ("SET str x", "+OK"),
            ("XADD str * a 1", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
            ("TYPE s", "+stream"),
            ("OBJECT ENCODING s", "$6 stream"),
        ],
    );
}

#[test]
fn a_clock_that_goes_back_does_not_take_ids_back() {
    let mut b = Bench::new();
    b.line("XADD s * a 1");
    b.now -= 5;
    assert_eq!(b.line("XADD s * a 1"), "$15 1700000000000-1");
}

#[test]
fn a_group_delivers_each_entry_once() {
    let mut b = Bench::with_shards(2);
    expect(
        &mut b,
        &[
            (
                "XGROUP CREATE s g $",
                "-ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.",
            ),
            ("XGROUP CREATE s g $ MKSTREAM", "+OK"),
            ("XGROUP CREATE s g 0", "-BUSYGROUP Consumer Group name already exists"),
            ("XREADGROUP GROUP g c STREAMS s >", "*-1"),
            ("XADD s 1-1 a 1", "$3 1-1"),
            ("XADD s 2-1 a 2", "$3 2-1"),
            ("XREADGROUP GROUP g c COUNT 1 STREAMS s >", "*1 *2 $1 s *1 *2 $3 1-1 *2 $1 a $1 1"),
            ("XREADGROUP GROUP g d STREAMS s >", "*1 *2 $1 s *1 *2 $3 2-1 *2 $1 a $1 2"),
            ("XREADGROUP GROUP g d STREAMS s >", "*-1"),
            ("XREADGROUP GROUP g d STREAMS s 0", "*1 *2 $1 s *1 *2 $3 2-1 *2 $1 a $1 2"),
            (
                "XREADGROUP GROUP nope d STREAMS s >",
                "-NOGROUP No such key 's' or consumer group 'nope' in XREADGROUP with GROUP option",
            ),
            (
                "XREADGROUP GROUP g d STREAMS s t > >",
                "-NOGROUP No such key 't' or consumer group 'g' in XREADGROUP with GROUP option",
            ),
            ("XPENDING s g", "*4 :2 $3 1-1 $3 2-1 *2 *2 $1 c $1 1 *2 $1 d $1 1"),
            ("XPENDING s g - + 10 d", "*1 *4 $3 2-1 $1 d :0 :2"),
            ("XDEL s 2-1", ":1"),
            ("XREADGROUP GROUP g d STREAMS s 0", "*1 *2 $1 s *1 *2 $3 2-1 *-1"),
            ("XACK s g 1-1 1-1 2-1 9-9", ":2"),
            ("XPENDING s g", "*4 :0 $-1 $-1 *-1"),
            ("XACK s nope 1-1", ":0"),
            ("XGROUP DELCONSUMER s g c", ":0"),
            ("XGROUP DESTROY s g", ":1"),
            ("XGROUP DESTROY s g", ":0"),
        ],
    );
    b.proto = Proto::Resp3;
    b.line("XADD t 1-1 a 1");
    assert_eq!(
        b.line("XREAD STREAMS s t 0 0"),
        "%2 $1 s *1 *2 $3 1-1 *2 $1 a $1 1 $1 t *1 *2 $3 1-1 *2 $1 a $1 1"
    );
    assert_eq!(b.line("XREAD STREAMS s $"), "_");
}

/// The keyword's name is also a group's, a consumer's and a key's: the keys must be found all the same.
#[test]
fn a_group_may_be_called_streams() {
    let mut b = Bench::with_shards(5);
    for key in ["k", "STREAMS"] {
        b.line(&format!("XGROUP CREATE {key} streams 0 MKSTREAM"));
        b.line(&format!("XADD {key} 1-1 a 1"));
    }
    let spec = crate::command::CommandTable::new(&[]).unwrap();
    let spec = spec.spec(spec.find(b"xreadgroup").unwrap());
    for line in [
        "XREADGROUP COUNT 1 GROUP streams streams STREAMS k STREAMS > >",
        "XREADGROUP NOACK GROUP streams streams STREAMS k STREAMS 0 0",
    ] {
        let args: crate::resp::ArgsBuf = line.split(' ').collect();
        let mut keys = Vec::new();
        spec.each_key(args.as_args(), |at, _| keys.push(args.as_args().at(at).to_vec())).unwrap();
        assert_eq!(keys, [&b"k"[..], b"STREAMS"]);
        assert!(b.line(line).starts_with("*2 "));
    }
}

#[test]
fn blocking_options_are_read_and_inside_a_transaction_nothing_waits() {
    let mut b = Bench::new();
    b.client.in_transaction = true;
    expect(
        &mut b,
        &[
            ("XREAD BLOCK 0 STREAMS s $", "*-1"),
            ("XREAD BLOCK x STREAMS s $", "-ERR timeout is not an integer or out of range"),
            ("XREAD BLOCK -1 STREAMS s $", "-ERR timeout is negative"),
            (
                "XREAD NOACK STREAMS s $",
                "-ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
            ),
            ("XREAD STREAMS s", "-ERR wrong number of arguments for 'xread' command"),
            (
                "XREAD COUNT 1 STREAMS s",
                "-ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
            ),
            (
                "XREAD STREAMS s >",
                "-ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
            ),
        ],
    );
}

#[test]
fn entries_change_hands() {
    let mut b = Bench::new();
    for line in [
        "XADD s 1-0 a 1",
        "XADD s 2-0 a 2",
        "XADD s 3-0 a 3",
        "XGROUP CREATE s g 0",
        "XREADGROUP GROUP g c STREAMS s >",
    ] {
        b.line(line);
    }
    b.now += 100;
    expect(
        &mut b,
        &[
            ("XCLAIM s g d 101 1-0", "*0"),
            ("XCLAIM s g d 100 1-0", "*1 *2 $3 1-0 *2 $1 a $1 1"),
            ("XPENDING s g - + 1", "*1 *4 $3 1-0 $1 d :0 :2"),
            ("XCLAIM s g d 0 1-0 JUSTID IDLE 30 RETRYCOUNT 7", "*1 $3 1-0"),
            ("XPENDING s g - + 1", "*1 *4 $3 1-0 $1 d :30 :7"),
            ("XCLAIM s g d 0 1-0 NOPE", "-ERR Unrecognized XCLAIM option 'NOPE'"),
            ("XDEL s 2-0", ":1"),
            ("XAUTOCLAIM s g e 0 - COUNT 2", "*3 $3 3-0 *1 *2 $3 1-0 *2 $1 a $1 1 *1 $3 2-0"),
            ("XAUTOCLAIM s g e 0 3-0 JUSTID", "*3 $3 0-0 *1 $3 3-0 *0"),
            ("XAUTOCLAIM s g e 0 - COUNT 0", "-ERR COUNT must be > 0"),
            ("XCLAIM s nope e 0 1-0", "-NOGROUP No such key 's' or consumer group 'nope'"),
        ],
    );
}

#[test]
fn who_was_seen_is_told_from_who_got_something() {
    let mut b = Bench::new();
    b.line("XGROUP CREATE s g 0 MKSTREAM");
    b.line("XGROUP CREATECONSUMER s g c");
    b.now += 10;
    b.line("XREADGROUP GROUP g c STREAMS s >");
    b.now += 5;
    let shown = "*1 *8 $4 name $1 c $7 pending :0 $4 idle :5 $8 inactive :-1";
    assert_eq!(b.line("XINFO CONSUMERS s g"), shown);
    b.line("XADD s 1-1 a 1");
    b.line("XREADGROUP GROUP g c STREAMS s >");
    b.now += 7;
    b.line("XREADGROUP GROUP g c STREAMS s >");
    let shown = "*1 *8 $4 name $1 c $7 pending :1 $4 idle :0 $8 inactive :7";
    assert_eq!(b.line("XINFO CONSUMERS s g"), shown);
}

#[test]
fn a_consumer_from_a_file_counts_as_seen_when_somebody_looks() {
    let mut b = Bench::new();
    b.client.replayed = true;
    b.now = 5;
    b.line("XGROUP CREATE s g 0 MKSTREAM");
    b.line("XGROUP CREATECONSUMER s g c");
    b.client.replayed = false;
    b.now = START;
    assert!(b.line("XINFO CONSUMERS s g").contains("idle :0"));
    b.now += 20;
    assert!(b.line("XINFO CONSUMERS s g").contains("idle :20"));
}

#[test]
fn the_journal_says_what_came_of_it() {
    let mut b = Bench::new();
    b.settings.stream_node_max_entries = 2;
    expect_journal(&mut b, "XADD s * a 1", &["XADD s 1700000000000-0 a 1"]);
    expect_journal(&mut b, "XADD s NOMKSTREAM MAXLEN ~ 5 LIMIT 9 * a 2", &["XADD s 1700000000000-1 a 2"]);
    b.line("XADD s 1700000000001-* a 3");
    expect_journal(&mut b, "XADD s MAXLEN ~ 2 * a 4", &["XADD s MAXLEN = 2 1700000000001-1 a 4"]);
    expect_journal(&mut b, "XADD s MINID ~ 1700000000001 * a 5", &["XADD s 1700000000001-2 a 5"]);
    expect_journal(&mut b, "XTRIM s MINID ~ 1700000000001-2", &["XTRIM s MINID = 1700000000001-2"]);
    expect_journal(&mut b, "XTRIM s MINID ~ 5", &[]);
    expect_journal(&mut b, "XDEL s 5", &[]);
    expect_journal(&mut b, "XDEL s 5 1700000000001-2", &["XDEL s 5 1700000000001-2"]);
    expect_journal(&mut b, "XADD s 1700000000005 a 1", &["XADD s 1700000000005-0 a 1"]);
    expect_journal(&mut b, "XGROUP CREATE s g 0", &["XGROUP CREATE s g 0"]);
    let claim =
        "XCLAIM s g c 0 1700000000005-0 TIME 1700000000000 RETRYCOUNT 1 FORCE JUSTID LASTID 1700000000005-0";
    let position = "XGROUP SETID s g 1700000000005-0 ENTRIESREAD 6";
    expect_journal(&mut b, "XREADGROUP GROUP g c STREAMS s >", &[claim, position]);
    expect_journal(&mut b, "XREADGROUP GROUP g c STREAMS s >", &[]);
    let again = claim.replace("RETRYCOUNT 1", "RETRYCOUNT 2");
    expect_journal(&mut b, "XREADGROUP GROUP g c STREAMS s 0", &[&again]);
    expect_journal(&mut b, "XREADGROUP GROUP g d STREAMS s 0", &["XGROUP CREATECONSUMER s g d"]);
    b.line("XADD s 1700000000006 a 1");
    let position = "XGROUP SETID s g 1700000000006-0 ENTRIESREAD 7";
    expect_journal(
        &mut b,
        "XREADGROUP GROUP g e NOACK STREAMS s >",
        &["XGROUP CREATECONSUMER s g e", position],
    );
    let claim =
        "XCLAIM s g e 0 1700000000005-0 TIME 1700000000000 RETRYCOUNT 3 FORCE JUSTID LASTID 1700000000006-0";
    expect_journal(&mut b, "XAUTOCLAIM s g e 0 -", &[claim]);
    b.line("XDEL s 1700000000005-0");
    expect_journal(&mut b, "XCLAIM s g e 0 1700000000005-0 FORCE", &["XACK s g 1700000000005-0"]);
    expect_journal(
        &mut b,
        "XCLAIM s g e 0 1-0 LASTID 1700000000007",
        &["XGROUP SETID s g 1700000000007-0 ENTRIESREAD 7"],
    );
}

/// Templates as in the replay test of all commands. `i` an id to add, `I` any id, `k` a key, `g` a group,
/// `c` a consumer, `n` a small number, `v` a value.
const TEMPLATES: &[&str] = &[
    "XADD k * v v",
    "XADD k i a v",
    "XADD k i a v b v",
    "XADD k MAXLEN ~ n * a v",
    "XADD k MAXLEN n i a v",
    "XADD k MINID ~ I * a v",
    "XADD k MINID I i a v",
    "XTRIM k MAXLEN n",
    "XTRIM k MAXLEN ~ n LIMIT n",
    "XTRIM k MINID ~ I",
    "XTRIM k MINID I",
    "XDEL k I I",
    "XSETID k I",
    "XSETID k I ENTRIESADDED n MAXDELETEDID I",
    "XGROUP CREATE k g I MKSTREAM",
    "XGROUP CREATE k g $ MKSTREAM ENTRIESREAD n",
    "XGROUP CREATE k g 0",
    "XGROUP SETID k g I",
    "XGROUP SETID k g $ ENTRIESREAD n",
    "XGROUP DESTROY k g",
    "XGROUP CREATECONSUMER k g c",
    "XGROUP DELCONSUMER k g c",
    "XREADGROUP GROUP g c STREAMS k >",
    "XREADGROUP GROUP g c COUNT n STREAMS k k > >",
    "XREADGROUP GROUP g c NOACK COUNT 1 STREAMS k >",
    "XREADGROUP GROUP g c COUNT n STREAMS k 0",
    "XREADGROUP GROUP g c STREAMS k I",
    "XACK k g I I",
    "XCLAIM k g c 0 I I",
    "XCLAIM k g c n I IDLE 5 RETRYCOUNT n FORCE",
    "XCLAIM k g c n I JUSTID LASTID I",
    "XAUTOCLAIM k g c 0 -",
    "XAUTOCLAIM k g c n I COUNT n JUSTID",
    "COPY k k REPLACE",
    "RENAME k k",
    "DEL k",
];

fn word(template: &'static str) -> BoxedStrategy<String> {
    match template {
        "k" => "[s-t]".boxed(),
        "v" => prop_oneof![Just("7".to_owned()), "[a-c]{1,3}"].boxed(),
        "n" => (0..6u64).prop_map(|n| n.to_string()).boxed(),
        "g" => "[gh]".boxed(),
        "c" => "[c-e]".boxed(),
        "i" => (0..40u64, 0..3u64).prop_map(|(ms, seq)| format!("{ms}-{seq}")).boxed(),
        "I" => prop_oneof![
            5 => (0..40u64, 0..3u64).prop_map(|(ms, seq)| format!("{ms}-{seq}")),
            2 => (0..60u64).prop_map(|ms| format!("{}-0", START + ms)),
        ]
        .boxed(),
        word => Just(word.to_owned()).boxed(),
    }
}

proptest! {
    /// Replaying what was journaled gives an equal stream: entries, nodes, groups, what is pending.
    #[test]
    fn effects_rebuild_the_streams(
        steps in prop::collection::vec(
            prop::sample::select(TEMPLATES).prop_flat_map(|it| it.split(' ').map(word).collect::<Vec<_>>()), 1..120),
        shards in 1u16..4,
        per_node in 0i64..4,
    ) {
        let mut first = Bench::with_shards(shards);
        let mut second = Bench::new();
        second.now = 7_000_000;
        second.client.replayed = true;
        first.settings.stream_node_max_entries = per_node;
        second.settings.stream_node_max_entries = per_node;
        for args in steps {
            first.now += 1;
            first.run(&args);
            for effect in first.effects.clone() {
                let reply = second.run(&effect.args);
                prop_assert!(!reply.starts_with(b"-"), "{:?}: {}", effect, String::from_utf8_lossy(&reply));
            }
            prop_assert_eq!(first.state(), second.state(), "{:?}", args);
        }
    }
}
