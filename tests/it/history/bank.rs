//! A bank: transfers between accounts on many shards, in every way there is; whoever reads all
//! accounts at once sees the same sum.

use super::{Arena, command, on_every_setup, over_keys};
use crate::support::{Client, Rng, Value, Words};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const ACCOUNTS: usize = 12;
const START: i64 = 1000;

fn accounts() -> Vec<String> {
    (0..ACCOUNTS).map(|i| format!("account:{i}")).collect()
}

fn sum(values: &[Value]) -> i64 {
    values.iter().map(|v| v.number().expect("an account is missing")).sum()
}

#[test]
fn a_bank_loses_and_makes_no_money() {
    on_every_setup("bank", |arena| {
        let keys = accounts();
        let mut setup = vec![b"MSET".to_vec()];
        for key in &keys {
            setup.extend(command(&[key, &START.to_string()]));
        }
        assert!(arena.client().call(&setup).is_ok());
        let (transfers, refused, reads) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        arena.run(7, |i, mut rng| {
            let mut client = arena.client();
            while !arena.is_over() {
                match i {
                    0..2 => blind_transfer(&mut client, &mut rng, &keys),
                    2 => match watched_transfer(&mut client, &mut rng, &keys) {
                        true => 0,
                        false => refused.fetch_add(1, Relaxed),
                    },
                    3 => match watched_mset(&mut client, &mut rng, &keys) {
                        true => 0,
                        false => refused.fetch_add(1, Relaxed),
                    },
                    4 => vandal(arena, &mut rng, &keys),
                    _ => {
                        let sum = if rng.chance(50) {
                            sum(client.call(&over_keys("MGET", &keys)).items())
                        } else {
                            let gets: Vec<Words> = keys.iter().map(|k| command(&["GET", k])).collect();
                            sum(client.transaction(&gets).unwrap().items())
                        };
                        assert_eq!(sum, ACCOUNTS as i64 * START, "{}: a reader saw the sum", arena.what);
                        reads.fetch_add(1, Relaxed)
                    }
                };
                transfers.fetch_add((i < 5) as u64, Relaxed);
            }
        });
        let total = sum(arena.client().call(&over_keys("MGET", &keys)).items());
        assert_eq!(total, ACCOUNTS as i64 * START, "{}: the sum at the end", arena.what);
        let (transfers, reads) = (transfers.into_inner(), reads.into_inner());
        println!("{}: {transfers} transfers, {} refused, {reads} reads", arena.what, refused.into_inner());
        assert!(transfers > 100 && reads > 20, "{}: too little happened", arena.what);
    });
}

fn blind_transfer(client: &mut Client, rng: &mut Rng, keys: &[String]) -> u64 {
    let (from, to) = rng.two(keys.len());
    let amount = rng.range(1, 50).to_string();
    let done = client
        .transaction(&[
            command(&["DECRBY", &keys[from], &amount]),
            command(&["GET", &keys[from]]),
            command(&["INCRBY", &keys[to], &amount]),
        ])
        .unwrap();
    assert_eq!(done.items()[0].integer(), done.items()[1].number().unwrap(), "a transaction sees itself");
    0
}

/// Reads two balances, writes both if nobody touched them meanwhile. Whether it came through.
fn watched_transfer(client: &mut Client, rng: &mut Rng, keys: &[String]) -> bool {
    let (from, to) = rng.two(keys.len());
    let (from, to) = (keys[from].as_str(), keys[to].as_str());
    assert!(client.call(&["WATCH", from, to]).is_ok());
    let a = client.call(&["GET", from]).number().unwrap();
    let b = client.call(&["GET", to]).number().unwrap();
    let amount = rng.range(1, 50);
    let done = client
        .transaction(&[
            command(&["SET", from, &(a - amount).to_string()]),
            command(&["SET", to, &(b + amount).to_string()]),
        ])
        .unwrap();
    !done.is_null()
}

/// Watches four accounts, reads and writes them with MGET and MSET.
fn watched_mset(client: &mut Client, rng: &mut Rng, keys: &[String]) -> bool {
    let mut chosen = keys.to_vec();
    rng.shuffle(&mut chosen);
    chosen.truncate(4);
    assert!(client.call(&over_keys("WATCH", &chosen)).is_ok());
    let read = client.call(&over_keys("MGET", &chosen));
    let mut balances: Vec<i64> = read.items().iter().map(|v| v.number().unwrap()).collect();
    balances.rotate_left(1);
    let mut write = vec![b"MSET".to_vec()];
    for (key, balance) in chosen.iter().zip(&balances) {
        write.extend(command(&[key, &balance.to_string()]));
    }
    !client.transaction(&[write]).unwrap().is_null()
}

/// Sends a transfer and goes away: before the end, in the middle of a command, or with the reply on
/// its way. It may happen or not, as a whole.
fn vandal(arena: &Arena, rng: &mut Rng, keys: &[String]) -> u64 {
    let (from, to) = rng.two(keys.len());
    let mut bytes = Vec::new();
    for words in [
        command(&["MULTI"]),
        command(&["DECRBY", &keys[from], "7"]),
        command(&["INCRBY", &keys[to], "7"]),
        command(&["EXEC"]),
    ] {
        crate::support::client::encode(&words, &mut bytes);
    }
    if rng.chance(50) {
        bytes.truncate(1 + rng.below(bytes.len() - 1));
    }
    let mut client = arena.client();
    client.write(&bytes).unwrap();
    0
}
