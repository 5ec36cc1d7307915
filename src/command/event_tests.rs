//! What the commands on strings and on any key tell of: names, classes and order as Redis 7.0.15 shows
//! them to a client that is subscribed to `*` with `notify-keyspace-events KEAnm`.

use super::testing::{Bench, START};
use crate::config::EventClasses;

/// Runs lines; each must tell exactly this.
fn expect_events(bench: &mut Bench, lines: &[(&str, &[&str])]) {
    for (line, events) in lines {
        bench.line(line);
        assert_eq!(bench.events, *events, "{line}");
    }
}

fn bench(shards: u16) -> Bench {
    let mut bench = Bench::with_shards(shards);
    bench.notify = EventClasses::ALL | EventClasses::NEW | EventClasses::KEY_MISS;
    bench
}

#[test]
fn commands_tell_what_redis_tells() {
    for shards in [1, 4] {
        expect_events(
            &mut bench(shards),
            &[
                ("SET k v", &["new k", "set k"]),
                ("SET k w", &["set k"]),
                ("SET k w EX 100", &["set k", "expire k"]),
                ("SET k w KEEPTTL", &["set k"]),
                ("SET k w NX", &[]),
                ("SET none w XX", &[]),
                ("SET none w XX GET", &["keymiss none"]),
                ("SETNX k v", &[]),
                ("SETEX k 10 v", &["set k", "expire k"]),
                ("PSETEX k2 10000 v", &["new k2", "set k2", "expire k2"]),
                ("MSET k 1 m 2", &["set k", "new m", "set m"]),
                ("MSETNX k 1 z 2", &[]),
                ("MSETNX y 1 z 2", &["new y", "set y", "new z", "set z"]),
                ("GETSET k 5", &["set k"]),
                ("GET none", &["keymiss none"]),
                ("INCR k", &["incrby k"]),
                ("DECRBY fresh 2", &["new fresh", "incrby fresh"]),
                ("INCRBYFLOAT k 1.5", &["incrbyfloat k"]),
                ("APPEND k x", &["append k"]),
                ("APPEND app x", &["new app", "append app"]),
                ("SETRANGE k 1 x", &["setrange k"]),
                ("SETRANGE range 0 \"\"", &[]),
                ("SETRANGE range 1 x", &["new range", "setrange range"]),
                ("GETEX k", &[]),
                ("GETEX k EX 100", &["expire k"]),
                ("GETEX k PERSIST", &["persist k"]),
                ("GETEX k PERSIST", &[]),
                ("GETEX k PXAT 1", &["del k"]),
                ("GETDEL m", &["del m"]),
                ("GETDEL m", &["keymiss m"]),
                ("STRLEN none", &["keymiss none"]),
                ("EXISTS none y", &["keymiss none"]),
                ("TOUCH none", &["keymiss none"]),
                ("TTL none", &["keymiss none"]),
                ("TYPE none", &["keymiss none"]),
                ("OBJECT ENCODING none", &[]),
            ],
        );
    }
}

#[test]
fn commands_on_any_key_tell_what_redis_tells() {
    for shards in [1, 4] {
        expect_events(
            &mut bench(shards),
            &[
                ("MSET a 1 b 2", &["new a", "set a", "new b", "set b"]),
                ("EXPIRE a 100", &["expire a"]),
                ("EXPIRE a 50 GT", &[]),
                ("PERSIST a", &["persist a"]),
                ("PERSIST a", &[]),
                ("RENAME a c", &["new c", "rename_from a", "rename_to c"]),
                ("RENAMENX c b", &[]),
                ("RENAME c b", &["new b", "rename_from c", "rename_to b"]),
                ("RENAME b b", &[]),
                ("COPY b d", &["new d", "copy_to d"]),
                ("COPY b d", &[]),
                ("COPY b d DB 2", &["2: new d", "2: copy_to d"]),
                ("MOVE b 3", &["3: new b", "move_from b", "3: move_to b"]),
                ("COPY none d", &["keymiss none"]),
                ("PEXPIREAT d 1", &["del d"]),
                ("SET e v", &["new e", "set e"]),
                ("DEL e none", &["del e"]),
                ("SET e v", &["new e", "set e"]),
                ("UNLINK e", &["del e"]),
            ],
        );
    }
}

#[test]
fn what_expires_is_told_by_whoever_finds_it_and_by_the_wheel() {
    let mut b = bench(1);
    expect_events(
        &mut b,
        &[
            ("SET a v PX 5", &["new a", "set a", "expire a"]),
            ("SET b v PX 5", &["new b", "set b", "expire b"]),
            ("SET c v PX 5", &["new c", "set c", "expire c"]),
        ],
    );
    b.now += 10;
    expect_events(
        &mut b,
        &[("GET a", &["expired a", "keymiss a"]), ("SET b w", &["expired b", "new b", "set b"])],
    );
    let news = b.notify;
    b.keyspaces[0].expire_some(START + 10, 100, news, None);
    let told: Vec<_> = b.keyspaces[0].events.iter().map(|e| (e.name, &*e.key)).collect();
    assert_eq!(told, [("expired", &b"c"[..])]);
}

#[test]
fn nothing_is_kept_of_what_nobody_asked_for() {
    let mut b = bench(1);
    b.notify = EventClasses::GENERIC;
    expect_events(&mut b, &[("SET a v EX 5", &["expire a"]), ("INCR n", &[]), ("DEL a", &["del a"])]);
}
