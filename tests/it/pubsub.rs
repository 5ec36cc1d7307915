//! Pub/sub over several shards: who is subscribed gets everything, once, in order, and not before what its
//! publisher wrote; who is not gets nothing; and the numbers that PUBLISH tells are true.

use crate::support::{Client, Rng, Server, Start, Value, env_number, run_seed, wait_until, words};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

const PUBLISHERS: usize = 4;
const CHANNELS: usize = 3;

/// What publisher `p` said as its `n`-th word: `p:n`.
fn parse(payload: &str) -> (usize, i64) {
    let (p, n) = payload.split_once(':').unwrap_or_else(|| panic!("a strange message: {payload}"));
    (p.parse().unwrap(), n.parse().unwrap())
}

/// One publisher: numbers its messages, writes each number under a key before it publishes it, in pipelines
/// and transactions. Returns how many receivers it was told of.
fn publish(server: &Server, who: usize, stop: &AtomicBool, seed: u64) -> i64 {
    let (mut client, mut rng) = (server.client(), Rng::fork(seed, who as u64));
    let (mut n, mut receivers) = (0, 0);
    while !stop.load(SeqCst) {
        let mut batch = Vec::new();
        for _ in 0..=rng.below(3) {
            n += 1;
            let command = [
                words(&format!("SET said:{who} {n}")),
                words(&format!("PUBLISH channel:{} {who}:{n}", rng.below(CHANNELS))),
            ];
            if rng.chance(40) {
                batch.push(words("MULTI"));
                batch.extend(command);
                batch.push(words("EXEC"));
            } else {
                batch.extend(command);
            }
            if rng.chance(20) {
                batch.push(words(&format!("INCR counter:{}", rng.below(20))));
            }
        }
        let replies = client.pipeline(&batch).unwrap();
        for (words, reply) in batch.iter().zip(&replies) {
            assert!(!reply.is_error(), "{reply:?}");
            match (&words[0][..], reply) {
                (b"PUBLISH", Value::Integer(count)) => receivers += count,
                (b"EXEC", reply) => receivers += reply.items()[1].integer(),
                _ => {}
            }
        }
    }
    receivers
}

/// One subscriber: checks the order of each publisher's words, and, with another connection, that what
/// was written before is there. Comes and goes. Returns how many messages it got.
fn listen(server: &Server, who: usize, stop: &AtomicBool, ready: &AtomicUsize, seed: u64) -> i64 {
    let mut rng = Rng::fork(seed, 100 + who as u64);
    let (mut client, mut reader) = (server.client(), server.client());
    let resp3 = who % 2 == 1;
    if resp3 {
        client.ask("HELLO 3");
    }
    client.set_patience(Duration::from_millis(20));
    let names: Vec<String> = (0..CHANNELS).map(|c| format!("channel:{c}")).chain(["chan*".into()]).collect();
    let mut got = 0;
    let mut last: HashMap<(String, String, usize), i64> = HashMap::new();
    let mut subscribed = vec![false; names.len()];
    ready.fetch_add(1, SeqCst);
    // Replies to (un)subscriptions that are on their way.
    let mut awaited = 0;
    loop {
        let stopping = stop.load(SeqCst);
        if awaited == 0 && !stopping && rng.chance(3) {
            let at = rng.below(names.len());
            let name = &names[at];
            let pattern = if name.ends_with('*') { "P" } else { "" };
            let word = if subscribed[at] { "UNSUBSCRIBE" } else { "SUBSCRIBE" };
            client.send(&words(&format!("{pattern}{word} {name}"))).unwrap();
            awaited = 1;
        }
        let message = match client.receive() {
            Ok(message) => message,
            Err(_) if stopping && awaited == 0 => return got,
            Err(_) => continue,
        };
        let (items, push) = match &message {
            Value::Push(items) => (items, true),
            Value::Array(items) => (items, false),
            other => panic!("{other:?}"),
        };
        assert_eq!(push, resp3);
        let kind = items[0].text();
        match kind.as_str() {
            "message" | "pmessage" => {
                let name = items[1].text();
                let at = names.iter().position(|n| *n == name).unwrap();
                assert!(subscribed[at], "a message after the end of the subscription");
                let channel = items[items.len() - 2].text();
                let (p, n) = parse(&items[items.len() - 1].text());
                let before = last.insert((kind, channel, p), n).unwrap_or(0);
                assert!(before < n, "publisher {p} said {n} after {before}");
                got += 1;
                if rng.chance(10) {
                    let written = reader.ask(&format!("GET said:{p}")).number().unwrap_or(0);
                    assert!(written >= n, "told {n}, found {written}");
                }
            }
            _ => {
                let at = names.iter().position(|n| *n == items[1].text()).unwrap();
                subscribed[at] = kind.ends_with("subscribe") && !kind.contains("un");
                let count = subscribed.iter().filter(|s| **s).count() as i64;
                assert_eq!(items[2], Value::Integer(count));
                awaited -= 1;
            }
        }
    }
}

#[test]
fn every_message_reaches_whoever_it_is_counted_for_in_order_and_after_what_was_written() {
    let seed = run_seed("pubsub");
    let seconds = env_number("RINGDOVE_SECONDS").unwrap_or(3);
    for (shards, args) in [(4, ""), (4, "--appendonly yes"), (1, "")] {
        let server = Start::ringdove(shards).args(args).start();
        let (stop, quiet, ready) = (AtomicBool::new(false), AtomicBool::new(false), AtomicUsize::new(0));
        let (told, got) = (AtomicI64::new(0), AtomicI64::new(0));
        std::thread::scope(|s| {
            let listeners: Vec<_> = (0..6)
                .map(|who| {
                    let (server, quiet, ready) = (&server, &quiet, &ready);
                    s.spawn(move || listen(server, who, quiet, ready, seed))
                })
                .collect();
            wait_until("listeners", 20, || ready.load(SeqCst) == 6);
            let publishers: Vec<_> = (0..PUBLISHERS)
                .map(|who| {
                    let (server, stop) = (&server, &stop);
                    s.spawn(move || publish(server, who, stop, seed))
                })
                .collect();
            std::thread::sleep(Duration::from_secs(seconds));
            stop.store(true, SeqCst);
            publishers.into_iter().for_each(|p| _ = told.fetch_add(p.join().unwrap(), SeqCst));
            quiet.store(true, SeqCst);
            listeners.into_iter().for_each(|l| _ = got.fetch_add(l.join().unwrap(), SeqCst));
        });
        let (told, got) = (told.load(SeqCst), got.load(SeqCst));
        println!("{shards} shards {args}: {got} messages");
        assert_eq!(told, got, "PUBLISH counted {told} receivers, {got} messages came");
        assert!(got > 100, "a test in which nothing happens");
    }
}

#[test]
fn after_the_reply_to_subscribe_no_message_is_missed_and_after_that_to_unsubscribe_none_comes() {
    let server = Start::ringdove(4).start();
    let mut rng = Rng::new(run_seed("subscribe"));
    let mut clients: Vec<Client> = (0..8).map(|_| server.client()).collect();
    for round in 0..300 {
        let (a, b) = rng.two(clients.len());
        let channel = format!("c{}", rng.below(5));
        let (word, many) = if rng.chance(50) { ("SUBSCRIBE", "") } else { ("PSUBSCRIBE", "*") };
        clients[a].ask(&format!("{word} {channel}{many}"));
        let publish = format!("PUBLISH {channel} {round}");
        assert_eq!(clients[b].ask(&publish), Value::Integer(1));
        let message = clients[a].receive().unwrap();
        assert_eq!(message.items().last().unwrap().text(), round.to_string());
        let un = if many.is_empty() { "UNSUBSCRIBE" } else { "PUNSUBSCRIBE" };
        clients[a].ask(&format!("{un} {channel}{many}"));
        assert_eq!(clients[b].ask(&publish), Value::Integer(0));
        assert_eq!(clients[a].ask("PING").text(), "PONG");
    }
    // Connections that end leave nothing behind.
    for client in &mut clients {
        client.ask("SUBSCRIBE left");
    }
    assert_eq!(server.client().ask("PUBSUB NUMSUB left").items()[1], Value::Integer(8));
    drop(clients);
    let mut other = server.client();
    wait_until("subscriptions end with their connections", 20, || {
        other.ask("PUBSUB CHANNELS").items().is_empty()
    });
    assert_eq!(other.ask("PUBLISH left x"), Value::Integer(0));
}

#[test]
fn a_transaction_that_does_not_run_publishes_nothing() {
    for shards in [1, 4] {
        let server = Start::ringdove(shards).start();
        let (mut listener, mut other) = (server.client(), server.client());
        let mut clients: Vec<Client> = (0..4).map(|_| server.client()).collect();
        listener.ask("SUBSCRIBE c");
        for n in 0..40 {
            let client = &mut clients[n % 4];
            let key = format!("key:{n}");
            client.ask(&format!("WATCH {key}"));
            other.ask(&format!("SET {key} changed"));
            let commands = [words(&format!("SET {key} x")), words(&format!("PUBLISH c lost:{n}"))];
            assert!(client.transaction(&commands).unwrap().is_null());
            let commands = [words(&format!("SET {key} y")), words(&format!("PUBLISH c found:{n}"))];
            assert_eq!(client.transaction(&commands).unwrap().items()[1], Value::Integer(1));
            assert_eq!(listener.receive().unwrap().items()[2].text(), format!("found:{n}"));
        }
    }
}

#[test]
fn a_subscriber_that_does_not_read_is_closed_at_its_limit() {
    for shards in [1, 4] {
        let server = Start::ringdove(shards).start();
        let mut admin = server.client();
        assert!(admin.call(&["CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 0 0"]).is_ok());
        let mut slow = server.client();
        slow.ask("SUBSCRIBE c");
        let list = admin.ask("CLIENT LIST TYPE pubsub").text();
        assert!(list.lines().count() == 1 && list.contains("flags=P") && list.contains(" sub=1 "), "{list}");
        let payload = "x".repeat(100_000);
        let end = Instant::now() + Duration::from_secs(30);
        while admin.call(&["PUBLISH", "c", &payload]) != Value::Integer(0) {
            assert!(Instant::now() < end, "a slow subscriber is kept for ever");
        }
        assert!(slow.is_closed());
        assert!(admin.ask("CLIENT LIST TYPE pubsub").text().is_empty());
    }
}

#[test]
fn events_of_keys_come_before_their_writer_is_answered_and_in_order() {
    for shards in [1, 4] {
        let server = Start::ringdove(shards).args("--notify-keyspace-events KEA").start();
        let mut listeners: Vec<Client> = (0..3).map(|_| server.client()).collect();
        for listener in &mut listeners {
            listener.ask("PSUBSCRIBE __keyspace@0__:*");
        }
        let mut writers: Vec<Client> = (0..4).map(|_| server.client()).collect();
        for n in 0..60 {
            let (key, to) = (format!("k{n}"), format!("to{n}"));
            let commands = [
                words(&format!("SET {key} 1 EX 100")),
                words(&format!("INCR {key}")),
                words(&format!("RENAME {key} {to}")),
                words(&format!("DEL {to}")),
            ];
            let writer = &mut writers[n % 4];
            if n % 3 == 0 {
                writer.transaction(&commands).unwrap();
            } else {
                writer.pipeline(&commands).unwrap();
            }
            let expected = [
                (&key, "set"),
                (&key, "expire"),
                (&key, "incrby"),
                (&key, "rename_from"),
                (&to, "rename_to"),
                (&to, "del"),
            ];
            for listener in &mut listeners {
                for (key, event) in expected {
                    let items = listener.receive().unwrap().items().to_vec();
                    assert_eq!(items[2].text(), format!("__keyspace@0__:{key}"));
                    assert_eq!(items[3].text(), event);
                }
            }
        }
        writers[0].ask("SET short 1 PX 1");
        let told: Vec<String> = (0..3).map(|_| listeners[0].receive().unwrap().items()[3].text()).collect();
        assert_eq!(told, ["set", "expire", "expired"]);
    }
}

#[test]
fn what_a_client_caches_is_called_back_before_it_can_hear_of_the_change() {
    for shards in [1, 4] {
        let server = Start::ringdove(shards).start();
        let mut writer = server.client();
        let mut readers: Vec<Client> = (0..4).map(|_| server.client()).collect();
        for reader in &mut readers {
            reader.ask("HELLO 3");
            assert!(reader.ask("CLIENT TRACKING ON").is_ok());
        }
        for n in 0..100 {
            let key = format!("k{}", n % 7);
            for reader in &mut readers {
                reader.ask(&format!("GET {key}"));
            }
            assert!(writer.ask(&format!("SET {key} {n}")).is_ok());
            // The writer has been answered: everybody has been told, and only once.
            for reader in &mut readers {
                let told = Value::Push(vec![
                    Value::Bulk(b"invalidate".to_vec()),
                    Value::Array(vec![Value::Bulk(key.clone().into_bytes())]),
                ]);
                assert_eq!(reader.receive().unwrap(), told);
                assert_eq!(reader.ask("PING").text(), "PONG");
            }
        }
        let info = writer.ask("INFO").text();
        assert!(info.contains("tracking_clients:4\r") && info.contains("tracking_total_keys:0\r"));
    }
}
