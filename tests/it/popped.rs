//! What a blocking command popped for a client that never got it: it goes back to the end it came from, and
//! nothing that was got comes again.

use crate::support::{Client, Server, Start, Value, wait_until, words};

fn field(client: &mut Client, name: &str) -> i64 {
    let info = client.ask("INFO everything").text();
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap_or_else(|| panic!("INFO has no {name}")).trim().parse().unwrap()
}

/// A command that pops, what is there for it, and how to see that all of it is there.
const POPS: &[(&str, &str, &str)] = &[
    ("BLPOP q 0", "RPUSH q a b c", "LRANGE q 0 -1"),
    ("BRPOP other q 0", "RPUSH q a b c", "LRANGE q 0 -1"),
    ("BLMPOP 0 2 other q LEFT COUNT 2", "RPUSH q a b c", "LRANGE q 0 -1"),
    ("BLMPOP 0 1 q RIGHT COUNT 5", "RPUSH q a b c", "LRANGE q 0 -1"),
    ("BZPOPMIN z 0", "ZADD z 1 a 2.5 b -inf c", "ZRANGE z 0 -1 WITHSCORES"),
    ("BZPOPMAX other z 0", "ZADD z 1 a 2.5 b inf c", "ZRANGE z 0 -1 WITHSCORES"),
    ("BZMPOP 0 1 z MIN COUNT 2", "ZADD z 1 a 2.5 b 3 c", "ZRANGE z 0 -1 WITHSCORES"),
    // What was moved is safe where it is, and an entry stays pending.
    ("BLMOVE q d LEFT RIGHT 0", "RPUSH q a b", "LRANGE d 0 -1"),
    ("XREADGROUP GROUP g c BLOCK 0 STREAMS s >", "XADD s 1-1 f v", "XPENDING s g"),
];

fn doubting(shards: usize, who: &str) -> Server {
    Start::ringdove(shards).arg("--blocked-pop-doubt").arg(who).start()
}

fn wait_for_blocked(client: &mut Client, count: i64) {
    wait_until("clients wait", 10, || field(client, "blocked_clients") == count);
}

/// A new client in a pop that is answered, with the answer waiting to be read.
fn popped(server: &Server, hello: &str, feed: &str, pop: &str, waits: bool) -> Client {
    let (mut client, mut other) = (server.client(), server.client());
    assert!(!client.ask(hello).is_error());
    if !waits {
        other.ask(feed);
    }
    client.send(&words(pop)).unwrap();
    if waits {
        wait_for_blocked(&mut other, 1);
        other.ask(feed);
    }
    client.wait_readable();
    client
}

fn gone(other: &mut Client, connected: i64) {
    wait_until("the client has gone", 10, || field(other, "connected_clients") == connected);
    wait_until("nothing is in doubt", 10, || field(other, "blocked_pop_in_doubt") == 0);
}

#[test]
fn what_a_client_left_unread_goes_back_to_the_end_it_came_from() {
    for shards in [1, 4] {
        let server = doubting(shards, "yes");
        let mut other = server.client();
        let connected = field(&mut other, "connected_clients");
        for (pop, feed, all) in POPS {
            for (hello, waits) in [("HELLO 2", true), ("HELLO 3", true), ("HELLO 2", false)] {
                other.ask("FLUSHALL");
                other.ask("XGROUP CREATE s g $ MKSTREAM");
                other.ask(feed);
                let before = (other.ask(all), field(&mut other, "blocked_pop_returned"));
                other.ask("DEL q z");
                other.ask("XTRIM s MAXLEN 0");
                other.ask("XGROUP SETID s g $");
                drop(popped(&server, hello, &feed.replace("1-1", "2-1"), pop, waits));
                gone(&mut other, connected);
                let stays = pop.starts_with("BLMOVE") || pop.starts_with("XREAD");
                let expected = if stays { other.ask(all) } else { before.0 };
                wait_until(&format!("{pop} is undone"), 10, || other.ask(all) == expected);
                assert_eq!(field(&mut other, "blocked_pop_returned"), before.1 + !stays as i64, "{pop}");
                if stays {
                    let kept = expected.items()[0].clone();
                    assert!(kept == Value::Integer(1) || kept.text() == "a", "{pop}: {expected:?}");
                }
            }
        }
    }
}

#[test]
fn what_a_client_has_read_does_not_come_again() {
    let server = doubting(2, "yes");
    let mut other = server.client();
    let connected = field(&mut other, "connected_clients");
    for waits in [true, false] {
        // It reads, and closes.
        let mut client = popped(&server, "PING", "RPUSH q a", "BLPOP q 0", waits);
        assert_eq!(client.receive().unwrap().items()[1].text(), "a");
        drop(client);
        gone(&mut other, connected);
        // It reads, asks for something else, and leaves that unread.
        let mut client = popped(&server, "PING", "RPUSH q b", "BLPOP q 0", waits);
        assert_eq!(client.receive().unwrap().items()[1].text(), "b");
        client.send(&["PING"]).unwrap();
        client.wait_readable();
        drop(client);
        gone(&mut other, connected);
        // It sends no more, and reads.
        let mut client = popped(&server, "PING", "RPUSH q c", "BLPOP q 0", waits);
        client.half_close();
        assert_eq!(client.receive().unwrap().items()[1].text(), "c");
        assert!(client.receive().is_err());
        drop(client);
        gone(&mut other, connected);
        assert_eq!(other.ask("EXISTS q").integer(), 0);
        assert_eq!(field(&mut other, "blocked_pop_returned"), 0);
    }
}

#[test]
fn resets_are_trusted_of_those_who_mean_them() {
    for (who, library, returned) in [
        ("auto", "redis-py", 1),
        ("auto", "redis-py(kombu_v5.4)", 1),
        ("auto", "jedis", 0),
        ("auto", "", 0),
        ("no", "redis-py", 0),
        ("yes", "jedis", 1),
    ] {
        let server = doubting(2, who);
        let mut other = server.client();
        let connected = field(&mut other, "connected_clients");
        let hello =
            if library.is_empty() { "PING".to_owned() } else { format!("CLIENT SETINFO lib-name {library}") };
        drop(popped(&server, &hello, "RPUSH q a", "BLPOP q 0", true));
        gone(&mut other, connected);
        wait_until(&format!("{who} {library}"), 10, || other.ask("LLEN q").integer() == returned);
        assert_eq!(field(&mut other, "blocked_pop_returned"), returned, "{who} {library}");
    }
}

/// Whoever is trusted or not: what the kernel has no room for has reached nobody.
#[test]
fn what_was_never_sent_goes_back() {
    let server = doubting(2, "no");
    let mut other = server.client();
    let connected = field(&mut other, "connected_clients");
    other.call(&[b"SET".to_vec(), b"large".to_vec(), vec![b'x'; 1 << 20]]);
    for (pop, feed, all) in &POPS[..7] {
        other.ask("DEL q z");
        other.ask(feed);
        let expected = other.ask(all);
        other.ask("DEL q z");
        let mut client = server.client();
        // More than any socket takes.
        (0..40).for_each(|_| client.send(&["GET", "large"]).unwrap());
        client.send(&words(pop)).unwrap();
        wait_for_blocked(&mut other, 1);
        other.ask(feed);
        wait_for_blocked(&mut other, 0);
        drop(client);
        gone(&mut other, connected);
        wait_until(&format!("{pop} is undone"), 10, || other.ask(all) == expected);
    }
    assert_eq!(field(&mut other, "blocked_pop_returned"), 7);
}

/// A member that has been added again meanwhile is the newer one.
#[test]
fn what_goes_back_overwrites_nothing() {
    let server = doubting(2, "yes");
    let mut other = server.client();
    let connected = field(&mut other, "connected_clients");
    let client = popped(&server, "PING", "ZADD z 1 a", "BZPOPMIN z 0", true);
    other.ask("ZADD z 5 a 6 b");
    drop(client);
    gone(&mut other, connected);
    assert_eq!(field(&mut other, "blocked_pop_returned"), 1);
    assert_eq!(other.ask("ZRANGE z 0 -1 WITHSCORES"), {
        other.ask("ZADD y 5 a 6 b");
        other.ask("ZRANGE y 0 -1 WITHSCORES")
    });
}
