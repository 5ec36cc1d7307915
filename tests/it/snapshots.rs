//! Snapshots: written on request, at save points and at the end; loaded at start by any number of shards and by
//! Redis; reloaded at run time beside a journal; and what happens when a file is not whole or cannot be written.

use crate::rewrite::{digest, fill, info};
use crate::support::server::{Scratch, free_port, oracle_is_here};
use crate::support::{Client, Server, Start, wait_until, words};
use std::fs;
use std::path::Path;

const LIBRARY: &str =
    "#!lua name=lib\nredis.register_function('hello', function(keys, args) return 'hi ' .. args[1] end)";

/// More of everything: every encoding, several databases, a library.
fn fill_more(client: &mut Client) {
    fill(client);
    // Of fields' deadlines Redis 7.0 knows nothing.
    assert!(!client.ask("HPERSIST hash:1 FIELDS 2 field:1 field:6").is_error());
    for n in 0..1000 {
        for line in [
            format!("SADD ints {}", n * 100_000),
            format!("SADD many member:{n}"),
            format!("ZADD tree {n}.25 member:{n}"),
            format!("HSET table field:{n} value:{n}"),
            format!("RPUSH queue element:{n}"),
            format!("XADD log {}-0 a {n} b {n}", n + 1),
        ] {
            assert!(!client.ask(&line).is_error(), "{line}");
        }
    }
    let (compressible, plain) =
        ("x".repeat(50_000), (0..300u32).map(|n| (n % 256) as u8).collect::<Vec<_>>());
    for call in [
        vec![&b"SET"[..], b"compressible", compressible.as_bytes()],
        vec![b"SET", b"plain", &plain],
        vec![b"SET", b"", b"empty"],
        vec![b"FUNCTION", b"LOAD", LIBRARY.as_bytes()],
    ] {
        assert!(!client.call(&call).is_error());
    }
    for line in [
        "SADD small a b c",
        "SADD few 1 2 3",
        "ZADD special +inf a -inf b 0 c",
        "SET number -9223372036854775808",
        "SET int8 -128",
        "SET int16 32767",
        "SET int32 2147483647",
        "SETBIT bits 100 1",
        "XGROUP CREATE log empty $",
        "XREADGROUP GROUP empty idle STREAMS log >",
        "XSETID log 2000-0 ENTRIESADDED 5000 MAXDELETEDID 1999-0",
        "SELECT 15",
        "MSET last 1 later 2",
        "PEXPIREAT later 9000000000000",
        "SELECT 0",
    ] {
        assert!(!client.ask(line).is_error(), "{line}");
    }
}

fn start(shards: usize, dir: &Path, args: &str) -> Server {
    Start::ringdove(shards).args(args).dir(dir).start()
}

fn hello(client: &mut Client) -> String {
    client.ask("FCALL hello 0 you").text()
}

#[test]
fn any_number_of_shards_loads_what_another_saved() {
    for (shards, later) in [(1, 4), (4, 1), (8, 3)] {
        let dir = Scratch::new();
        let mut server = start(shards, &dir.path, "");
        let mut client = server.client();
        fill_more(&mut client);
        client.ask("HPEXPIREAT hash:1 9000000000000 FIELDS 2 field:1 field:6");
        assert_ne!(info(&mut client, "rdb_changes_since_last_save"), "0");
        assert!(client.ask("SAVE").is_ok());
        assert_eq!(info(&mut client, "rdb_changes_since_last_save"), "0");
        assert_eq!(info(&mut client, "rdb_saves"), "1");
        let kept = digest(&mut client);
        client.ask("SET lost 1");
        assert_eq!(info(&mut client, "rdb_changes_since_last_save"), "1");
        server.kill();

        let server = start(later, &dir.path, "");
        let mut client = server.client();
        assert_eq!(digest(&mut client), kept, "{shards} shards saved, {later} loaded");
        assert_eq!(hello(&mut client), "hi you");
        assert_eq!(client.ask("XPENDING stream:1 group").items()[0].integer(), 5);
        assert_eq!(
            client.ask("HPEXPIRETIME hash:1 FIELDS 1 field:1").items()[0].integer(),
            9_000_000_000_000
        );
        assert!(client.ask("PTTL number:7").integer() > 80_000_000);
        assert_eq!(info(&mut client, "rdb_changes_since_last_save"), "0");
        assert_ne!(info(&mut client, "rdb_last_load_keys_loaded"), "0");
        assert!(server.log().contains("Done loading RDB, keys loaded: "));
    }
}

#[test]
fn redis_and_we_load_each_others_snapshots() {
    if !oracle_is_here() {
        return;
    }
    let dir = Scratch::new();
    for rounds in 0..2 {
        let mut server = start(3, &dir.path, "");
        let mut client = server.client();
        if rounds == 0 {
            fill_more(&mut client);
        }
        let kept = digest(&mut client);
        assert!(client.ask("SAVE").is_ok());
        server.kill();
        let mut redis = Start::oracle().dir(&dir.path).start();
        let mut client = redis.client();
        assert_eq!(digest(&mut client), kept);
        assert_eq!(hello(&mut client), "hi you");
        assert_eq!(client.ask("XPENDING stream:1 group").items()[0].integer(), 5);
        assert_eq!(client.ask("XINFO STREAM log").items()[11].integer(), 5000);
        (0..300).for_each(|n| drop(client.ask(&format!("LPUSH by:{} redis:{n}", n % 5))));
        let kept = digest(&mut client);
        assert!(client.ask("SAVE").is_ok());
        redis.kill();
        let mut server = start(2, &dir.path, "");
        assert_eq!(digest(&mut server.client()), kept);
        server.kill();
    }
}

#[test]
fn the_end_is_saved_when_there_are_save_points() {
    for (args, how, kept) in [
        ("--save 3600 1", "TERM", true),
        ("", "TERM", false),
        ("--save 3600 1 --shutdown-on-sigterm nosave", "TERM", false),
        ("--shutdown-on-sigterm save", "TERM", true),
        ("--save 3600 1", "SHUTDOWN", true),
        ("", "SHUTDOWN", false),
        ("", "SHUTDOWN SAVE", true),
        ("--save 3600 1", "SHUTDOWN NOSAVE", false),
    ] {
        let dir = Scratch::new();
        let mut server = start(3, &dir.path, args);
        let mut client = server.client();
        (0..50).for_each(|n| assert!(client.ask(&format!("SET key:{n} {n}")).is_ok()));
        match how {
            "TERM" => server.signal(15),
            // The connection ends with the process.
            line => drop(client.try_call(&words(line))),
        }
        assert_eq!(server.wait().code(), Some(0), "{args} {how}");
        let keys = start(2, &dir.path, "").client().ask("DBSIZE").integer();
        assert_eq!(keys, if kept { 50 } else { 0 }, "{args} {how}");
        let left: Vec<_> = fs::read_dir(&dir.path).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("temp-")), "{left:?}");
    }
}

/// Nothing is done any more once the last snapshot has been begun.
#[test]
fn what_was_answered_before_the_end_is_in_the_last_snapshot() {
    for shards in [1, 4] {
        let dir = Scratch::new();
        let mut server = start(shards, &dir.path, "--save 3600 1");
        let acked: Vec<i64> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..6)
                .map(|n| {
                    let mut client = server.client();
                    scope.spawn(move || {
                        let mut acked = 0;
                        let line = words(&format!("INCR counter:{n}"));
                        while let Ok(reply) = client.try_call(&line) {
                            acked = reply.integer();
                        }
                        acked
                    })
                })
                .collect();
            let mut watcher = server.client();
            let mut counted = |n| {
                let reply = watcher.ask(&format!("GET counter:{n}"));
                !reply.is_null() && reply.text().len() > 2
            };
            wait_until("the writers are at it", 30, || (0..6).all(&mut counted));
            server.signal(15);
            writers.into_iter().map(|writer| writer.join().unwrap()).collect()
        });
        assert_eq!(server.wait().code(), Some(0));
        let server = start(2, &dir.path, "");
        let mut client = server.client();
        for (n, acked) in acked.into_iter().enumerate() {
            let kept: i64 = client.ask(&format!("GET counter:{n}")).text().parse().unwrap();
            assert!(kept == acked || kept == acked + 1, "{acked} answered, {kept} kept, {shards} shards");
        }
    }
}

#[test]
fn a_file_that_is_not_whole_is_refused() {
    let dir = Scratch::new();
    let path = dir.path.join("dump.rdb");
    let mut server = start(2, &dir.path, "");
    let mut client = server.client();
    fill(&mut client);
    client.ask("SELECT 3");
    client.ask("SAVE");
    server.kill();
    let whole = fs::read(&path).unwrap();
    let refused = |bytes: &[u8], args: &str| {
        fs::write(&path, bytes).unwrap();
        let start = Start::ringdove(2).args(args).dir(&dir.path);
        start.try_start(free_port()).err().expect("refused")
    };
    let cut = refused(&whole[..whole.len() / 2], "");
    assert!(
        cut.contains("dump.rdb") && cut.contains("at byte") && cut.contains("ended with exit status: 1"),
        "{cut}"
    );
    let mut flipped = whole.clone();
    flipped[whole.len() - 30] ^= 1;
    let flipped = refused(&flipped, "");
    assert!(flipped.contains("cannot be loaded"), "{flipped}");
    assert!(refused(b"not a snapshot", "").contains("signature"));
    assert!(refused(b"REDIS9999", "").contains("version"));
    let small = refused(&whole, "--databases 2");
    assert!(
        small.contains(
            "FATAL: Data file was created with a Redis server configured to handle more than 2 databases"
        ),
        "{small}"
    );
    // Without an append only file beside the snapshot nothing of it is lost, and the log says so.
    fs::write(&path, &whole).unwrap();
    let server = start(2, &dir.path, "--appendonly yes");
    assert_eq!(server.client().ask("DBSIZE").integer(), 0);
    assert!(server.log().contains("is not loaded beside one"));
}

#[test]
fn keys_past_their_time_are_left_out_and_counted() {
    let dir = Scratch::new();
    let mut server = start(1, &dir.path, "");
    let mut client = server.client();
    client.ask("DEBUG SET-ACTIVE-EXPIRE 0");
    client.ask("MSET stays 1 forever 2");
    client.ask("PEXPIREAT stays 9000000000000");
    (0..10).for_each(|n| drop(client.ask(&format!("SET short:{n} 1 PX 1"))));
    wait_until("they are past it", 10, || client.ask("EXISTS short:9").integer() == 0);
    client.ask("SAVE");
    server.kill();
    let server = start(3, &dir.path, "");
    let mut client = server.client();
    assert_eq!(client.ask("DBSIZE").integer(), 2);
    assert_eq!(info(&mut client, "rdb_last_load_keys_loaded"), "2");
    let expired: u64 = info(&mut client, "rdb_last_load_keys_expired").parse().unwrap();
    assert!((9..=10).contains(&expired), "{expired}");
}

#[test]
fn a_snapshot_in_the_background_ends_with_its_file() {
    let dir = Scratch::new();
    let mut server = start(4, &dir.path, "");
    let mut client = server.client();
    fill(&mut client);
    let kept = digest(&mut client);
    let began = client.ask("LASTSAVE").integer();
    assert_eq!(client.ask("BGSAVE").text(), "Background saving started");
    client.ask("SET later 1");
    wait_until("it ends", 30, || info(&mut client, "rdb_bgsave_in_progress") == "0");
    assert_eq!(info(&mut client, "rdb_last_bgsave_status"), "ok");
    assert!(client.ask("LASTSAVE").integer() >= began);
    assert_eq!(
        client.transaction(&[words("BGSAVE")]).unwrap().items()[0].text(),
        "Background saving scheduled"
    );
    wait_until("it ends", 30, || info(&mut client, "rdb_bgsave_in_progress") == "0");
    assert_eq!(info(&mut client, "rdb_changes_since_last_save"), "0");
    client.ask("DEL later");
    assert_eq!(client.ask("BGSAVE SCHEDULE").text(), "Background saving started");
    wait_until("it ends", 30, || info(&mut client, "rdb_bgsave_in_progress") == "0");
    assert_eq!(client.ask("BGSAVE NOW").text(), "ERR syntax error");
    server.kill();
    assert_eq!(digest(&mut start(2, &dir.path, "").client()), kept);
}

#[test]
fn save_points_take_snapshots_by_themselves() {
    let dir = Scratch::new();
    let mut server = start(2, &dir.path, "--save 1 10");
    let mut client = server.client();
    (0..9).for_each(|n| drop(client.ask(&format!("SET key:{n} {n}"))));
    assert_eq!(info(&mut client, "rdb_saves"), "0");
    client.ask("SET key:9 9");
    wait_until("a snapshot is taken", 30, || info(&mut client, "rdb_changes_since_last_save") == "0");
    assert_eq!(info(&mut client, "rdb_saves"), "1");
    server.kill();
    assert_eq!(start(1, &dir.path, "").client().ask("DBSIZE").integer(), 10);
}

#[test]
fn writes_are_refused_while_snapshots_fail_and_somebody_asked_for_them() {
    let dir = Scratch::new();
    let mut server = start(2, &dir.path, "");
    fs::create_dir(dir.path.join("dump.rdb")).unwrap();
    fs::write(dir.path.join("dump.rdb/in-the-way"), "").unwrap();
    let mut client = server.client();
    assert_eq!(client.ask("SAVE").text(), "ERR");
    assert_eq!(info(&mut client, "rdb_last_bgsave_status"), "ok");
    client.ask("BGSAVE");
    wait_until("it fails", 30, || info(&mut client, "rdb_last_bgsave_status") == "err");
    assert!(client.ask("SET k 1").is_ok(), "nobody asked for snapshots");
    assert!(client.call(&["CONFIG", "SET", "save", "3600 1"]).is_ok());
    let refused = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to \
                   disk. Commands that may modify the data set are disabled, because this instance is configured \
                   to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). \
                   Please check the Redis logs for details about the RDB error.";
    assert_eq!(client.ask("SET k 2").text(), refused);
    assert_eq!(client.ask("PING").text(), refused);
    assert_eq!(client.ask("GET k").text(), "1");
    assert_eq!(client.ask("SHUTDOWN").text(), "ERR Errors trying to SHUTDOWN. Check logs.");
    assert!(client.ask("CONFIG SET stop-writes-on-bgsave-error no").is_ok());
    assert!(client.ask("SET k 2").is_ok());
    assert!(client.ask("CONFIG SET stop-writes-on-bgsave-error yes").is_ok());
    assert_eq!(client.ask("SET k 3").text(), refused);
    fs::remove_dir_all(dir.path.join("dump.rdb")).unwrap();
    assert!(client.ask("SAVE").is_ok());
    assert!(client.ask("SET k 3").is_ok());
    // SIGTERM as well does not end a server whose last snapshot fails; FORCE does.
    fs::remove_file(dir.path.join("dump.rdb")).unwrap();
    fs::create_dir(dir.path.join("dump.rdb")).unwrap();
    fs::write(dir.path.join("dump.rdb/in-the-way"), "").unwrap();
    server.signal(15);
    wait_until("it fails", 30, || server.log().contains("Errors trying to shut down the server"));
    assert!(server.is_alive());
    let _ = client.try_call(&["SHUTDOWN", "FORCE"]);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_reload_leaves_what_there_was() {
    for appendonly in ["no", "yes"] {
        let dir = Scratch::new();
        let mut server = start(3, &dir.path, &format!("--appendonly {appendonly}"));
        let mut client = server.client();
        fill_more(&mut client);
        let kept = digest(&mut client);
        let increment = info(&mut client, "rdb_changes_since_last_save");
        assert_ne!(increment, "0");
        assert!(client.ask("DEBUG RELOAD").is_ok());
        assert_eq!(digest(&mut client), kept);
        assert_eq!(hello(&mut client), "hi you");
        assert_eq!(info(&mut client, "rdb_changes_since_last_save"), "0");
        client.ask("INCR number:1");
        client.ask("DEL list:1");
        let changed = digest(&mut client);
        // The file is older than what is in memory.
        assert!(client.ask("DEBUG RELOAD NOSAVE").is_ok());
        assert_eq!(digest(&mut client), kept);
        client.ask("INCR number:1");
        client.ask("DEL list:1");
        client.ask("SET more 1");
        assert!(client.ask("DEBUG RELOAD NOSAVE NOFLUSH MERGE").is_ok());
        assert_eq!(client.ask("DEL more").integer(), 1);
        assert_eq!(digest(&mut client), kept);
        let failed = "ERR Error trying to load the RDB dump";
        assert_eq!(client.ask("DEBUG RELOAD NOFLUSH").text(), failed, "the library is there already");
        let option = "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.";
        assert_eq!(client.ask("DEBUG RELOAD NOW").text(), option);
        client.ask("INCR number:1");
        client.ask("DEL list:1");
        assert_eq!(digest(&mut client), changed);
        if appendonly == "yes" {
            // What is not in the file is in the journal.
            fs::write(dir.path.join("dump.rdb"), "damaged").unwrap();
            assert_eq!(client.ask("DEBUG RELOAD NOSAVE").text(), failed);
            assert_eq!(digest(&mut client), changed);
            assert_eq!(hello(&mut client), "hi you");
            server.kill();
            let server = start(2, &dir.path, "--appendonly yes");
            let mut client = server.client();
            assert_eq!(digest(&mut client), changed);
        }
    }
}

/// As in Redis a watched key that was there has been touched by a reload, and one that comes has been created.
#[test]
fn a_reload_touches_watched_and_tracked_keys() {
    let dir = Scratch::new();
    let server = start(2, &dir.path, "");
    let (mut client, mut other) = (server.client(), server.client());
    client.ask("MSET a 1 b 2");
    for (key, touched) in [("a", true), ("absent", false)] {
        other.ask(&format!("WATCH {key}"));
        assert!(client.ask("DEBUG RELOAD").is_ok());
        let outcome = other.transaction(&[words("PING")]).unwrap();
        assert_eq!(outcome.is_null(), touched, "{key}");
    }
}

#[test]
fn append_only_files_that_begin_with_a_snapshot_are_loaded() {
    if !oracle_is_here() {
        return;
    }
    let dir = Scratch::new();
    let mut redis = Start::oracle().args("--appendonly yes").dir(&dir.path).start();
    let mut client = redis.client();
    for n in 0..500 {
        client.ask(&format!("SET string:{n} {n}"));
        client.ask(&format!("RPUSH list:{} {n}", n % 7));
        client.ask(&format!("ZADD zset:{} {n} member:{n}", n % 7));
    }
    client.call(&["FUNCTION", "LOAD", LIBRARY]);
    client.ask("SET short 1 PX 100");
    client.ask("BGREWRITEAOF");
    wait_until("the base is written", 30, || {
        info(&mut client, "aof_rewrite_in_progress") == "0"
            && info(&mut client, "aof_rewrite_scheduled") == "0"
    });
    wait_until("it is past its time", 30, || client.ask("EXISTS short").integer() == 0);
    client.ask("SELECT 2");
    client.ask("RPUSH behind the base");
    client.ask("SELECT 0");
    client.ask("DEL string:7");
    let kept = digest(&mut client);
    redis.terminate();
    let aof = dir.path.join("appendonlydir");
    let named = |end: &str| {
        let names = fs::read_dir(&aof).unwrap().map(|entry| entry.unwrap().path());
        names.into_iter().find(|path| path.to_string_lossy().ends_with(end)).unwrap()
    };
    let base = fs::read(named(".base.rdb")).unwrap();
    assert!(base.starts_with(b"REDIS"));
    // One file, as servers before 7.0 kept it.
    let old = Scratch::new();
    let increments = fs::read(named(".incr.aof")).unwrap();
    fs::write(old.path.join("appendonly.aof"), [&base[..], &increments].concat()).unwrap();
    for dir in [&dir, &old] {
        for shards in [3, 1] {
            let mut server = start(shards, &dir.path, "--appendonly yes");
            let mut client = server.client();
            assert_eq!(digest(&mut client), kept);
            assert_eq!(hello(&mut client), "hi you");
            client.ask("SET ours 1");
            client.ask("DEL ours");
            server.kill();
        }
    }
    // The end of a snapshot that is cut is no torn tail.
    let cut = Scratch::new();
    fs::write(cut.path.join("appendonly.aof"), &base[..base.len() / 2]).unwrap();
    let refused = Start::ringdove(2).args("--appendonly yes").dir(&cut.path);
    let log = refused.try_start(free_port()).err().expect("refused");
    assert!(log.contains("appendonly.aof cannot be loaded") && log.contains("at byte"), "{log}");
}
