//! Small invariants over a few keys: the order inside pipelines, increments that are not lost,
//! decisions over two keys, commands that do all or nothing.

use super::{command, on_every_setup, over_keys};
use crate::support::{Client, Rng, Value, Words};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const PAIRS: usize = 6;

/// `SET a n; SET b n` without waiting: nobody sees b at n and then a before n. Reading clients look
/// one command at a time, in one pipeline, or with MGET; half of the pairs are written the other way
/// round, so both directions between any two shards occur.
#[test]
fn a_pipeline_is_seen_in_its_order() {
    on_every_setup("pipelines", |arena| {
        // names[pair] = (written first, written second)
        let names: Vec<(String, String)> =
            (0..PAIRS).map(|i| (format!("first:{i}"), format!("second:{}", i * 7))).collect();
        let mut client = arena.client();
        for (a, b) in &names {
            assert!(client.call(&["MSET", a, "0", b, "0"]).is_ok());
        }
        let (writes, reads) = (AtomicU64::new(0), AtomicU64::new(0));
        arena.run(PAIRS + 3, |i, mut rng| {
            let mut client = arena.client();
            let mut n = 0;
            while !arena.is_over() {
                if i < PAIRS {
                    let depth = 1 + rng.below(20);
                    let mut pipeline = Vec::new();
                    for _ in 0..depth {
                        n += 1;
                        let n = n.to_string();
                        pipeline.push(command(&["SET", &names[i].0, &n]));
                        if rng.chance(30) {
                            // Something between that goes elsewhere.
                            pipeline.push(command(&["SET", &format!("noise:{}", rng.below(20)), &n]));
                        }
                        pipeline.push(command(&["SET", &names[i].1, &n]));
                    }
                    client.pipeline(&pipeline).unwrap().iter().for_each(|r| assert!(r.is_ok(), "{r:?}"));
                    writes.fetch_add(depth as u64, Relaxed);
                } else {
                    let (a, b) = rng.pick(&names);
                    let (second, first) = read_pair(&mut client, &mut rng, a, b);
                    assert!(first >= second, "{}: {b} was {second}, then {a} was {first}", arena.what);
                    reads.fetch_add(1, Relaxed);
                }
            }
        });
        let (writes, reads) = (writes.into_inner(), reads.into_inner());
        println!("{}: {writes} writes, {reads} reads", arena.what);
        assert!(writes > 100 && reads > 50, "{}: too little happened", arena.what);
    });
}

/// `b`, which is written second, and then `a`.
fn read_pair(client: &mut Client, rng: &mut Rng, a: &str, b: &str) -> (i64, i64) {
    let numbers = |v: &[Value]| (v[0].number().unwrap(), v[1].number().unwrap());
    let get = |key: &str| command(&["GET", key]);
    match rng.below(4) {
        0 => {
            let second = client.call(&get(b));
            numbers(&[second, client.call(&get(a))])
        }
        1 => numbers(&client.pipeline(&[get(b), get(a)]).unwrap()),
        2 => numbers(client.call(&command(&["MGET", b, a])).items()),
        _ => numbers(client.transaction(&[get(a), get(b)]).unwrap().items()).swap(),
    }
}

trait Swap {
    fn swap(self) -> Self;
}

impl Swap for (i64, i64) {
    fn swap(self) -> Self {
        (self.1, self.0)
    }
}

/// Counters incremented by read, compute, write under WATCH: as many as EXECs came through.
#[test]
fn watched_increments_are_not_lost() {
    on_every_setup("increments", |arena| {
        let keys: Vec<String> = (0..3).map(|i| format!("counter:{i}")).collect();
        let done: Vec<AtomicU64> = keys.iter().map(|_| AtomicU64::new(0)).collect();
        let refused = AtomicU64::new(0);
        arena.run(4, |_, mut rng| {
            let mut client = arena.client();
            while !arena.is_over() {
                let i = rng.below(keys.len());
                // A second watched key on another shard, which is not written.
                let other = &keys[(i + 1) % keys.len()];
                let watched =
                    if rng.chance(50) { vec![keys[i].clone()] } else { vec![keys[i].clone(), other.clone()] };
                assert!(client.call(&over_keys("WATCH", &watched)).is_ok());
                let n = client.call(&["GET", &keys[i]]).number().unwrap_or(0);
                let set = command(&["SET", &keys[i], &(n + 1).to_string()]);
                let log = command(&["INCR", &format!("log:{}", rng.below(9))]);
                if client.transaction(&[set, log]).unwrap().is_null() {
                    refused.fetch_add(1, Relaxed);
                } else {
                    done[i].fetch_add(1, Relaxed);
                }
            }
        });
        let mut client = arena.client();
        let mut total = 0;
        for (key, done) in keys.iter().zip(&done) {
            let done = done.load(Relaxed) as i64;
            assert_eq!(client.call(&["GET", key]).number().unwrap_or(0), done, "{}: {key}", arena.what);
            total += done;
        }
        let logged: i64 = (0..9).filter_map(|i| client.call(&["GET", &format!("log:{i}")]).number()).sum();
        assert_eq!(logged, total, "{}: half a transaction", arena.what);
        println!("{}: {total} increments, {} refused", arena.what, refused.into_inner());
        assert!(total > 50, "{}: too little happened", arena.what);
    });
}

/// Two keys, at most one of which may be set: each client looks at both and sets its own.
#[test]
fn watch_prevents_write_skew() {
    on_every_setup("write skew", |arena| {
        let wins = AtomicU64::new(0);
        // Clients 0 and 1 fight over pair 0, clients 2 and 3 over pair 1.
        arena.run(4, |i, mut rng| {
            let mut client = arena.client();
            let own = format!("claim:{}:{}", i / 2, i % 2);
            let other = format!("claim:{}:{}", i / 2, 1 - i % 2);
            while !arena.is_over() {
                assert!(client.call(&["WATCH", &own, &other]).is_ok());
                let taken = client.call(&["EXISTS", &other, &own]).integer();
                if taken > 0 {
                    assert!(client.ask("UNWATCH").is_ok());
                    continue;
                }
                if client.transaction(&[command(&["SET", &own, "1"])]).unwrap().is_null() {
                    continue;
                }
                wins.fetch_add(1, Relaxed);
                for _ in 0..rng.below(3) {
                    let both = client.call(&["MGET", &own, &other]);
                    assert!(both.items()[1].is_null(), "{}: both claims are held: {both:?}", arena.what);
                }
                assert_eq!(client.call(&["DEL", &own]).integer(), 1);
            }
        });
        println!("{}: {} claims", arena.what, wins.load(Relaxed));
        assert!(wins.into_inner() > 20, "{}: too little happened", arena.what);
    });
}

/// MSETNX sets all or none, DEL of several takes all: a reader sees one writer's mark everywhere, or
/// nothing anywhere.
#[test]
fn msetnx_and_del_are_all_or_nothing() {
    on_every_setup("all or nothing", |arena| {
        let keys: Vec<String> = (0..5).map(|i| format!("part:{i}")).collect();
        let (sets, reads) = (AtomicU64::new(0), AtomicU64::new(0));
        arena.run(5, |i, mut rng| {
            let mut client = arena.client();
            let mut n = 0;
            while !arena.is_over() {
                match i {
                    0..2 => {
                        n += 1;
                        let mark = format!("{i}:{n}");
                        let name = if rng.chance(70) { "MSETNX" } else { "MSET" };
                        let mut set = vec![name.as_bytes().to_vec()];
                        keys.iter().for_each(|k| set.extend(command(&[k, &mark])));
                        let reply = client.call(&set);
                        sets.fetch_add((reply.is_ok() || reply == Value::Integer(1)) as u64, Relaxed);
                    }
                    2 => {
                        let gone = client.call(&over_keys("DEL", &keys)).integer();
                        assert!(gone == 0 || gone == keys.len() as i64, "{}: deleted {gone}", arena.what);
                    }
                    _ => {
                        let seen = if rng.chance(50) {
                            client.call(&over_keys("MGET", &keys))
                        } else {
                            let gets: Vec<Words> = keys.iter().map(|k| command(&["GET", k])).collect();
                            client.transaction(&gets).unwrap()
                        };
                        let first = &seen.items()[0];
                        assert!(seen.items().iter().all(|v| v == first), "{}: {seen:?}", arena.what);
                        let there = client.call(&over_keys("EXISTS", &keys)).integer();
                        assert!(there == 0 || there == keys.len() as i64, "{}: {there} exist", arena.what);
                        reads.fetch_add(1, Relaxed);
                    }
                }
            }
        });
        let (sets, reads) = (sets.into_inner(), reads.into_inner());
        println!("{}: {sets} sets, {reads} reads", arena.what);
        assert!(sets > 20 && reads > 20, "{}: too little happened", arena.what);
    });
}
