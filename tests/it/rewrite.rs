//! The append only file while the server runs: turned on and off, written anew, loaded again; and the other
//! settings that are more than a value.

use crate::support::server::{Scratch, free_port};
use crate::support::{Client, Server, Start, words};
use std::path::Path;

/// Some of everything, on every shard and in two databases.
pub fn fill(client: &mut Client) {
    for n in 0..200 {
        for line in [
            format!("SET string:{n} value"),
            format!("SET number:{n} {n} PX 90000000"),
            format!("RPUSH list:{} {n} b c", n % 9),
            format!("SADD set:{} {n} member:{n}", n % 5),
            format!("ZADD zset:{} {n}.5 member:{n}", n % 5),
            format!("HSET hash:{} field:{n} {n}", n % 5),
            format!("XADD stream:{} {}-1 field {n}", n % 3, n + 1),
            format!("PFADD pf:{} {n}", n % 3),
        ] {
            assert!(!client.ask(&line).is_error(), "{line}");
        }
    }
    for line in [
        "HPEXPIREAT hash:1 9000000000000 FIELDS 2 field:1 field:6",
        "XGROUP CREATE stream:1 group 0",
        "XREADGROUP GROUP group consumer COUNT 5 STREAMS stream:1 >",
        "XDEL stream:1 2-1",
        "SELECT 3",
        "SET elsewhere 1",
        "SELECT 0",
    ] {
        assert!(!client.ask(line).is_error(), "{line}");
    }
}

pub fn digest(client: &mut Client) -> String {
    client.ask("DEBUG DIGEST").text()
}

fn start(shards: usize, dir: &Path, appendonly: &str) -> Server {
    Start::ringdove(shards).args(&format!("--appendonly {appendonly}")).dir(dir).start()
}

pub fn info(client: &mut Client, field: &str) -> String {
    let info = client.ask("INFO persistence").text();
    let line = info.lines().find_map(|line| line.strip_prefix(&format!("{field}:")).map(str::to_owned));
    line.unwrap_or_else(|| panic!("no {field} in {info}"))
}

fn files(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir.join("appendonlydir")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_journal_begins_and_ends_where_it_is_turned_on_and_off() {
    for (shards, later) in [(1, 4), (4, 1), (8, 3)] {
        let dir = Scratch::new();
        let mut server = start(shards, &dir.path, "no");
        let mut client = server.client();
        fill(&mut client);
        assert!(client.ask("CONFIG SET appendonly yes").is_ok());
        assert_eq!(client.ask("CONFIG GET appendonly").items()[1].text(), "yes");
        assert_eq!(info(&mut client, "aof_enabled"), "1");
        let base = ["appendonly.aof.1.base.aof", "appendonly.aof.1.incr.aof", "appendonly.aof.manifest"];
        assert_eq!(files(&dir.path), base);
        client.ask("INCR after");
        client.ask("RENAME string:1 string:2");
        client.ask("DEL list:1 set:1 hash:2");
        let kept = digest(&mut client);
        server.kill();

        let mut server = start(later, &dir.path, "yes");
        let mut client = server.client();
        assert_eq!(digest(&mut client), kept);
        assert_eq!(client.ask("XPENDING stream:1 group").items()[0].integer(), 5);
        assert!(client.ask("CONFIG SET appendonly no").is_ok());
        assert_eq!(info(&mut client, "aof_enabled"), "0");
        client.ask("SET lost 1");
        server.kill();

        let mut server = start(shards, &dir.path, "yes");
        let mut client = server.client();
        assert_eq!(digest(&mut client), kept);
        // Both in one transaction, and a write before, between and after.
        let lines = ["INCR n", "CONFIG SET appendonly no", "INCR n", "CONFIG SET appendonly yes", "INCR n"];
        let lines: Vec<_> = lines.iter().map(|line| words(line)).collect();
        assert_eq!(client.transaction(&lines).unwrap().items()[4].integer(), 3);
        let kept = digest(&mut client);
        server.kill();
        assert_eq!(digest(&mut start(later, &dir.path, "yes").client()), kept);
    }
}

#[test]
fn a_rewrite_replaces_the_files_before_it() {
    for shards in [1, 4] {
        let dir = Scratch::new();
        let mut server = start(shards, &dir.path, "yes");
        let mut client = server.client();
        fill(&mut client);
        (0..10_000).for_each(|n| drop(client.ask(&format!("INCR number:{}", n % 200))));
        let before: u64 = info(&mut client, "aof_current_size").parse().unwrap();
        for round in 1..=3 {
            let reply = client.ask("BGREWRITEAOF");
            assert_eq!(reply.text(), "Background append only file rewriting started");
            assert_eq!(info(&mut client, "aof_rewrites"), round.to_string());
            client.ask(&format!("SET round {round}"));
        }
        let after: u64 = info(&mut client, "aof_current_size").parse().unwrap();
        assert!(after * 4 < before, "{before} bytes became {after}");
        let names = ["appendonly.aof.3.base.aof", "appendonly.aof.4.incr.aof", "appendonly.aof.manifest"];
        assert_eq!(files(&dir.path), names);
        let kept = digest(&mut client);
        server.kill();
        assert_eq!(digest(&mut start(3, &dir.path, "yes").client()), kept);
    }
}

#[test]
fn without_a_journal_a_rewrite_leaves_a_base() {
    let dir = Scratch::new();
    let mut server = start(2, &dir.path, "no");
    let mut client = server.client();
    fill(&mut client);
    let kept = digest(&mut client);
    assert!(!client.ask("BGREWRITEAOF").is_error());
    assert_eq!(files(&dir.path), ["appendonly.aof.1.base.aof", "appendonly.aof.manifest"]);
    client.ask("SET later 1");
    server.kill();
    assert_eq!(digest(&mut start(1, &dir.path, "yes").client()), kept);
}

#[test]
fn what_cannot_be_written_leaves_everything_as_it_was() {
    let dir = Scratch::new();
    std::fs::write(dir.path.join("appendonlydir"), "in the way").unwrap();
    let server = start(2, &dir.path, "no");
    let mut client = server.client();
    fill(&mut client);
    let refused = "ERR CONFIG SET failed (possibly related to argument 'appendonly') - Unable to turn on AOF. \
                   Check server logs.";
    assert_eq!(client.ask("CONFIG SET maxclients 100 appendonly yes").text(), refused);
    assert_eq!(client.ask("CONFIG GET appendonly").items()[1].text(), "no");
    assert_ne!(client.ask("CONFIG GET maxclients").items()[1].text(), "100");
    assert!(client.ask("BGREWRITEAOF").is_error());
    assert_eq!(info(&mut client, "aof_enabled"), "0");
    assert_eq!(info(&mut client, "aof_last_bgrewrite_status"), "err");
    assert!(client.ask("SET still 1").is_ok());
    std::fs::remove_file(dir.path.join("appendonlydir")).unwrap();
    assert!(client.ask("CONFIG SET appendonly yes").is_ok());
    assert!(client.ask("SET still 2").is_ok());
}

#[test]
fn the_files_are_loaded_again() {
    let dir = Scratch::new();
    let server =
        Start::ringdove(4).args("--appendonly yes --enable-protected-configs yes").dir(&dir.path).start();
    let mut client = server.client();
    fill(&mut client);
    client.ask("BGREWRITEAOF");
    client.ask("SET behind the-base");
    let kept = digest(&mut client);
    assert!(client.ask("DEBUG LOADAOF").is_ok());
    assert_eq!(digest(&mut client), kept);
    // Changes that the journal does not get are gone with it; later ones are there.
    client.ask("DEBUG POPULATE 100");
    assert!(client.ask("DEBUG LOADAOF").is_ok());
    assert_eq!(digest(&mut client), kept);
    client.ask("INCR counter");
    // The journal stays where it began.
    let elsewhere = Scratch::new();
    assert!(client.call(&["CONFIG", "SET", "dir", elsewhere.path.to_str().unwrap()]).is_ok());
    assert!(client.ask("DEBUG LOADAOF").is_ok());
    assert_eq!(client.ask("GET counter").text(), "1");
}

/// Half of what the files hold is nothing to go on with: as Redis, the server ends, and the files are as they were.
#[test]
fn files_that_cannot_be_loaded_again_end_the_server() {
    let dir = Scratch::new();
    let mut server = start(2, &dir.path, "yes");
    let mut client = server.client();
    (0..100).for_each(|n| assert!(client.ask(&format!("SET key:{n} value")).is_ok()));
    let name = files(&dir.path).into_iter().find(|name| name.ends_with(".incr.aof")).unwrap();
    let path = dir.path.join("appendonlydir").join(name);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8].fill(b'!');
    std::fs::write(&path, &bytes).unwrap();
    client.send(&["DEBUG", "LOADAOF"]).unwrap();
    assert!(client.receive().is_err(), "nobody hears of success");
    assert_eq!(server.wait().code(), Some(1));
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn redis_reads_a_base() {
    if !crate::support::server::oracle_is_here() {
        return;
    }
    let dir = Scratch::new();
    let mut server = start(4, &dir.path, "no");
    let mut client = server.client();
    fill(&mut client);
    // Of fields' deadlines Redis 7.0 knows nothing.
    client.ask("DEL hash:1");
    client.ask("CONFIG SET appendonly yes");
    client.ask("SET behind the-base");
    let kept = digest(&mut client);
    server.terminate();
    let redis = Start::oracle().args("--appendonly yes").dir(&dir.path).start();
    assert_eq!(digest(&mut redis.client()), kept);
    assert_eq!(redis.client().ask("XPENDING stream:1 group").items()[0].integer(), 5);
}

#[test]
fn the_port_moves() {
    let server = Start::ringdove(3).start();
    let mut client = server.client();
    let (old, new) = (server.port, free_port());
    assert!(client.ask(&format!("CONFIG SET port {new}")).is_ok());
    assert!(Client::connect(old).is_err(), "nobody is let in by the old door");
    let mut moved = Client::connect(new).unwrap();
    assert!(moved.ask("INFO server").text().contains(&format!("tcp_port:{new}\r")));
    assert_eq!(client.ask("PING").text(), "PONG", "who is in stays in");

    let other = Start::ringdove(1).start();
    let refused = "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this \
                   port. Check server logs.";
    assert_eq!(moved.ask(&format!("CONFIG SET port {}", other.port)).text(), refused);
    assert_eq!(moved.ask("CONFIG GET port").items()[1].text(), new.to_string());
    assert_eq!(Client::connect(new).unwrap().ask("PING").text(), "PONG");
}

#[test]
fn the_addresses_change() {
    let server = Start::ringdove(2).args("--bind 127.0.0.1").start();
    let mut client = server.client();
    let reaches = |address: &str| std::net::TcpStream::connect((address, server.port)).is_ok();
    assert!(!reaches("127.0.0.2"));
    assert!(client.call(&["CONFIG", "SET", "bind", "127.0.0.1 127.0.0.2"]).is_ok());
    assert!(reaches("127.0.0.1") && reaches("127.0.0.2"));
    let refused = "ERR CONFIG SET failed (possibly related to argument 'bind') - Failed to bind to specified \
                   addresses.";
    assert_eq!(client.call(&["CONFIG", "SET", "bind", "999.999.999.999"]).text(), refused);
    assert_eq!(client.ask("CONFIG GET bind").items()[1].text(), "127.0.0.1 127.0.0.2");
    assert_eq!(server.client().ask("PING").text(), "PONG", "the old addresses are back");
    assert!(client.call(&["CONFIG", "SET", "bind", "*"]).is_ok());
    assert!(reaches("127.0.0.3"));
    assert_eq!(server.client().ask("PING").text(), "PONG");
}

#[test]
fn the_directory_changes() {
    let dir = Scratch::new();
    std::fs::create_dir(dir.path.join("sub")).unwrap();
    let server = Start::ringdove(1).args("--enable-protected-configs local").dir(&dir.path).start();
    let mut client = server.client();
    let refused = "ERR CONFIG SET failed (possibly related to argument 'dir') - No such file or directory";
    assert_eq!(client.ask("CONFIG SET dir nowhere").text(), refused);
    assert!(client.ask("CONFIG SET dir sub").is_ok());
    let there = dir.path.join("sub").canonicalize().unwrap();
    assert_eq!(client.ask("CONFIG GET dir").items()[1].text(), there.to_str().unwrap());
    assert!(client.ask("CONFIG SET appendonly yes").is_ok());
    assert!(there.join("appendonlydir").is_dir());
}
