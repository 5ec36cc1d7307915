//! A ring of keys, each holding the next one's number, stays one ring while members are moved; and
//! tokens that are renamed, copied and swapped between keys are neither lost nor doubled.

use super::{Arena, command, on_every_setup, over_keys};
use crate::support::{Client, Rng, Words};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const MEMBERS: usize = 10;

fn names(prefix: &str) -> Vec<String> {
    (0..MEMBERS).map(|i| format!("{prefix}:{i}")).collect()
}

/// All values at once, through MGET or a transaction of GETs.
fn read_all(client: &mut Client, rng: &mut Rng, keys: &[String]) -> Vec<Option<i64>> {
    let reply = if rng.chance(50) {
        client.call(&over_keys("MGET", keys))
    } else {
        let gets: Vec<Words> = keys.iter().map(|k| command(&["GET", k])).collect();
        client.transaction(&gets).unwrap()
    };
    reply.items().iter().map(|v| v.number()).collect()
}

fn assert_ring(next: &[Option<i64>], arena: &Arena) {
    let mut at = 0;
    for step in 1..=next.len() {
        at = next[at].expect("a member is missing") as usize;
        assert_eq!(at == 0, step == next.len(), "{}: not one ring: {next:?}", arena.what);
    }
}

#[test]
fn a_ring_stays_a_ring() {
    on_every_setup("ring", |arena| {
        let keys = names("ring");
        let mut client = arena.client();
        for (i, key) in keys.iter().enumerate() {
            assert!(client.call(&["SET", key, &((i + 1) % MEMBERS).to_string()]).is_ok());
        }
        let (moves, reads) = (AtomicU64::new(0), AtomicU64::new(0));
        arena.run(5, |i, mut rng| {
            let mut client = arena.client();
            while !arena.is_over() {
                if i < 3 {
                    moves.fetch_add(move_a_member(&mut client, &mut rng, &keys) as u64, Relaxed);
                } else {
                    assert_ring(&read_all(&mut client, &mut rng, &keys), arena);
                    reads.fetch_add(1, Relaxed);
                }
            }
        });
        assert_ring(&read_all(&mut client, &mut Rng::new(1), &keys), arena);
        let (moves, reads) = (moves.into_inner(), reads.into_inner());
        println!("{}: {moves} moves, {reads} reads", arena.what);
        assert!(moves > 20 && reads > 20, "{}: too little happened", arena.what);
    });
}

/// Takes the member behind `a` out and puts it behind `d`. Watches the three whose pointers change.
fn move_a_member(client: &mut Client, rng: &mut Rng, keys: &[String]) -> bool {
    let (a, d) = rng.two(keys.len());
    let mut get = |i: usize| client.call(&["GET", &keys[i]]).number().unwrap() as usize;
    let b = get(a);
    if b == d {
        return false;
    }
    assert!(client.call(&["WATCH", &keys[a], &keys[b], &keys[d]]).is_ok());
    let mut get = |i: usize| client.call(&["GET", &keys[i]]).number().unwrap() as usize;
    if get(a) != b {
        assert!(client.ask("UNWATCH").is_ok());
        return false;
    }
    let (c, e) = (get(b), get(d));
    let set = |i: usize, to: usize| command(&["SET", &keys[i], &to.to_string()]);
    !client.transaction(&[set(a, c), set(d, b), set(b, e)]).unwrap().is_null()
}

/// Tokens move between keys by RENAME, alone and in MULTI, by COPY and DEL, by GETDEL and SET. Every
/// reader finds each token exactly once.
#[test]
fn renamed_tokens_are_neither_lost_nor_doubled() {
    on_every_setup("tokens", |arena| {
        let keys = names("slot");
        let all: Vec<i64> = (0..MEMBERS as i64 / 2).collect();
        let mut client = arena.client();
        for (token, key) in all.iter().zip(&keys) {
            assert!(client.call(&["SET", key, &token.to_string()]).is_ok());
        }
        let (moves, reads) = (AtomicU64::new(0), AtomicU64::new(0));
        arena.run(6, |i, mut rng| {
            let mut client = arena.client();
            while !arena.is_over() {
                if i < 4 {
                    move_tokens(&mut client, &mut rng, &keys, i);
                    moves.fetch_add(1, Relaxed);
                } else {
                    let seen = read_all(&mut client, &mut rng, &keys);
                    let mut tokens: Vec<i64> = seen.iter().flatten().copied().collect();
                    tokens.sort();
                    assert_eq!(tokens, all, "{}: {seen:?}", arena.what);
                    reads.fetch_add(1, Relaxed);
                }
            }
        });
        let (moves, reads) = (moves.into_inner(), reads.into_inner());
        println!("{}: {moves} moves, {reads} reads", arena.what);
        assert!(moves > 50 && reads > 20, "{}: too little happened", arena.what);
    });
}

fn move_tokens(client: &mut Client, rng: &mut Rng, keys: &[String], who: usize) {
    let (a, b) = rng.two(keys.len());
    let (a, b) = (keys[a].as_str(), keys[b].as_str());
    match rng.below(4) {
        // Never onto another token.
        0 | 1 => {
            let reply = client.call(&["RENAMENX", a, b]);
            assert!(reply.is_error() || reply.integer() <= 1, "{reply:?}");
        }
        2 => {
            // Exchange the two through a name of this client's own.
            let own = format!("own:{who}");
            client
                .transaction(&[
                    command(&["RENAME", a, &own]),
                    command(&["RENAME", b, a]),
                    command(&["RENAME", &own, b]),
                ])
                .unwrap();
        }
        _ => {
            // COPY fails if the target exists; then DEL must not happen, so look first.
            assert!(client.call(&["WATCH", a, b]).is_ok());
            let there = client.call(&["EXISTS", b]).integer();
            if there == 1 {
                assert!(client.ask("UNWATCH").is_ok());
            } else {
                client.transaction(&[command(&["COPY", a, b]), command(&["DEL", a])]).unwrap();
            }
        }
    }
}
