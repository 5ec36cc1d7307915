//! What needs no Lua to be known: shapes of arguments, journals, counts, and what happens without memory.
//! That a native form does what its script does is shown in `tests/ecosystem/intrinsics.py`.

use super::*;
use crate::command::testing::Bench;
use crate::command::{CommandTable, Run};
use crate::resp::ArgsBuf;

/// Runs a native form; `words` are numkeys and all that follows.
fn run(bench: &mut Bench, name: &str, words: &str) -> String {
    let args = ["EVAL", "body"].into_iter().chain(words.split(' '));
    let out = bench.run_native(name, args);
    String::from_utf8_lossy(&out).replace("\r\n", " ").trim_end().to_owned()
}

fn fits(name: &str, words: &str) -> bool {
    let args: ArgsBuf = ["EVAL", "body"].into_iter().chain(words.split(' ')).collect();
    (ALL.iter().find(|native| native.spec.name == name).unwrap().fits)(args.as_args())
}

#[test]
fn every_script_is_known_once_and_stands_behind_eval_and_evalsha() {
    let table = CommandTable::new(&[]).unwrap();
    for (number, native) in ALL.iter().enumerate() {
        assert_eq!(native.sha.len(), 40);
        assert_eq!(find(native.sha.as_bytes()), Some(number));
        for name in ["eval", "evalsha"] {
            let id = table.native(table.find(name.as_bytes()).unwrap(), number).unwrap();
            assert_eq!(table.spec(id).name, native.spec.name);
            assert_eq!(table.original_name(id), name);
            assert!(table.row(id).is_inner);
        }
        assert!(matches!(native.spec.run, Run::Keys(_) | Run::Split(..)));
        assert!(table.find(native.spec.name.as_bytes()).is_none(), "no client can call it");
    }
    let none = [table.find(b"eval_ro"), table.find(b"get")];
    assert!(none.iter().all(|id| table.native(id.unwrap(), 0).is_none()));
    let renamed = CommandTable::new(&[("zadd".into(), "z".into())]).unwrap();
    assert!(renamed.native(renamed.find(b"eval").unwrap(), 0).is_none());
}

#[test]
fn arguments_that_only_lua_can_judge_do_not_fit() {
    let fitting = [
        ("redis-py-lock-extend", "1 k token 5000 0"),
        ("channels-cleanup", "0 c c$inflight"),
        ("channels-group-send", "2 a b m1 m2 100 100 1700000000.25 60"),
        ("celery-chord-part", "6 j t s d g c id v 1 0 86400 0 30 token"),
        ("rq-enqueue", "2 job queue id R -1"),
        ("rq-schedule", "3 job registry queues id 60 1700000000 queue f v"),
        ("huey-pop-schedule", "1 z 1.7e9"),
    ];
    for (name, words) in fitting {
        assert!(fits(name, words), "{name} {words}");
    }
    let others = [
        ("redis-py-lock-release", "1 k"),
        ("redis-py-lock-release", "2 k token"),
        ("redis-py-lock-extend", "1 k token 1.5 0"),
        ("redis-py-lock-extend", "1 k token -0 0"),
        ("channels-cleanup", "2 c c$inflight"),
        ("channels-cleanup", "0 c"),
        ("channels-group-send", "2 a b m1 m2 100 x 1700000000.25 60"),
        ("channels-group-send", "2 a b m1 m2 100 100 now 60"),
        ("channels-group-send", "2 a b m1 m2 100 100 1700000000.25 0"),
        ("channels-group-send", "2 a b m1 m2 100 100 1700000000.25"),
        ("channels-group-send", "0 1700000000.25 60"),
        ("celery-chord-part", "6 j t s d g c id v 1 0 soon 0 30 token"),
        ("rq-enqueue", "2 job queue id R -1 f"),
        ("rq-enqueue", "2 job queue id R"),
        ("huey-pop-schedule", "1 z inf"),
        ("huey-pop-schedule", "1 z 0x10"),
    ];
    for (name, words) in others {
        assert!(!fits(name, words), "{name} {words}");
    }
}

#[test]
fn what_a_script_changes_is_journaled_as_one_unit_of_what_it_called() {
    let mut bench = Bench::new();
    bench.line("ZADD c$inflight 1.5 b 1 a 2 c");
    assert_eq!(run(&mut bench, "channels-cleanup", "0 c c$inflight"), "$-1");
    let journal = ["zadd c 2 c", "zadd c 1.5 b", "zadd c 1 a", "del c$inflight"];
    assert_eq!(bench.journal(), journal);
    assert_eq!(bench.line("ZRANGE c 0 -1"), "*3 $1 a $1 b $1 c");
    let called = bench.books.called.borrow().clone();
    assert_eq!(called.into_iter().collect::<Vec<_>>(), [("del", 1), ("zadd", 3), ("zrange", 1)]);
    // Nothing in flight: nothing happens.
    assert_eq!(run(&mut bench, "channels-cleanup", "0 c c$inflight"), "$-1");
    assert!(bench.journal().is_empty() && bench.changes == 0);
}

#[test]
fn a_group_message_goes_where_there_is_room() {
    let mut bench = Bench::new();
    bench.line("ZADD full 1 x 2 y");
    let words = "3 new full some m1 m2 m3 5 2 1 1700000000.25 60";
    assert_eq!(run(&mut bench, "channels-group-send", words), ":1");
    let at = bench.now + 60_000;
    let added =
        |key, message| [format!("ZADD {key} 1700000000.25 {message}"), format!("PEXPIREAT {key} {at}")];
    assert_eq!(bench.journal(), [added("new", "m1"), added("some", "m3")].concat());
    assert_eq!(bench.line("ZSCORE some m3"), "$13 1700000000.25");
    assert_eq!(bench.line("PTTL new"), ":60000");
    assert_eq!(bench.line("PTTL full"), ":-1");
    let called = bench.books.called.borrow().clone();
    assert_eq!(called.into_iter().collect::<Vec<_>>(), [("expire", 2), ("zadd", 2), ("zcount", 3)]);
}

#[test]
fn an_error_ends_a_script_where_it_is_and_names_its_line() {
    let mut bench = Bench::new();
    bench.line("SET text x");
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value script:";
    let words = "3 a text b m m m 9 9 9 1700000000.25 60";
    let sha = channels::GROUP_SEND.sha;
    let error = run(&mut bench, "channels-group-send", words);
    assert_eq!(error, format!("{wrong} {sha}, on @user_script:6."));
    assert_eq!(bench.journal().len(), 2, "what came before stays");
    assert_eq!(bench.line("EXISTS a b"), ":1");
    assert_eq!(*bench.books.failed.borrow(), ["zcount"]);
    let sha = lock::RELEASE.sha;
    bench.line("SADD set x");
    let error = run(&mut bench, "redis-py-lock-release", "1 set token");
    assert_eq!(error, format!("{wrong} {sha}, on @user_script:2."));
}

#[test]
fn a_script_without_memory_fails_at_its_first_write_that_needs_some() {
    let mut bench = Bench::new();
    bench.line("ZADD c$inflight 1 a");
    bench.line("SET lock token PX 1000");
    bench.books.over_limit = true;
    let refused = "-OOM command not allowed when used memory > 'maxmemory'. script:";
    let error = run(&mut bench, "channels-cleanup", "0 c c$inflight");
    assert_eq!(error, format!("{refused} {}, on @user_script:4.", channels::CLEANUP.sha));
    let error = run(&mut bench, "channels-group-send", "1 c m 1 1700000000.25 60");
    assert_eq!(error, format!("{refused} {}, on @user_script:7.", channels::GROUP_SEND.sha));
    assert_eq!(run(&mut bench, "channels-group-send", "1 c$inflight m 1 1700000000.25 60"), ":1");
    assert_eq!(run(&mut bench, "redis-py-lock-release", "1 lock token"), ":1");
    assert_eq!(bench.line("EXISTS c lock c$inflight"), ":1");
}

#[test]
fn numbers_come_back_as_lua_leaves_them() {
    let mut bench = Bench::new();
    for (value, shown) in [
        ("9007199254740992", ":9007199254740992"),
        ("9007199254740993", ":9007199254740992"),
        ("9223372036854775807", ":-9223372036854775808"),
        ("-9223372036854775808", ":-9223372036854775808"),
    ] {
        bench.line("DEL n");
        assert_eq!(run(&mut bench, "django-redis-incr", &format!("1 n {value}")), shown);
        assert_eq!(bench.line("GET n"), format!("${} {value}", value.len()));
    }
    assert_eq!(run(&mut bench, "django-redis-incr-existing", "1 none 1"), "$-1");
}
