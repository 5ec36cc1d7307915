//! `kill -9` under load: whatever was answered, a write as well as what a read showed, is there when
//! the server starts again; transactions are there whole or not at all. The process dies, the page
//! cache does not: this says nothing about power cuts.
//!
//! The same directory goes through many deaths, each with another number of shards, so that later
//! journals stand on what earlier ones left.

use crate::support::server::Scratch;
use crate::support::{Client, Rng, Server, Start, Words, env_number, run_seed, words};
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::{Duration, Instant};

const WRITERS: usize = 5;
const READERS: usize = 2;

/// What one writer was told, and what it may have done beyond that.
#[derive(Clone, Default, Debug)]
struct Account {
    /// Transactions answered / sent.
    acked: i64,
    sent: i64,
    /// Elements of its list answered / sent.
    list_acked: i64,
    list_sent: i64,
}

/// The highest counters that anybody was shown.
#[derive(Default)]
struct Shown {
    counters: [AtomicI64; WRITERS],
}

#[test]
fn what_was_answered_survives_kill_9() {
    let seed = run_seed("crash");
    let seconds = env_number("RINGDOVE_SECONDS").unwrap_or(2);
    for fsync in ["always", "everysec", "no"] {
        let dir = Scratch::new();
        let mut accounts = vec![Account::default(); WRITERS];
        let shown = Shown::default();
        let mut rng = Rng::fork(seed, fsync.len() as u64);
        let end = Instant::now() + Duration::from_secs(seconds * 2);
        let mut deaths = 0;
        while Instant::now() < end {
            let shards = *rng.pick(&[1, 2, 3, 4, 8]);
            let args = format!("--appendonly yes --appendfsync {fsync}");
            let mut server = Start::ringdove(shards).args(&args).dir(&dir.path).start();
            let what = format!("seed {seed}, appendfsync {fsync}, start {deaths}, {shards} shards");
            verify(&mut server.client(), &mut accounts, &shown, &what);
            let life_ms = 50 + rng.below(400) as u64;
            let rewriting = rng.chance(50);
            trouble(&server, &mut accounts, &shown, &mut rng, life_ms, rewriting);
            server.kill();
            deaths += 1;
        }
        let server = Start::ringdove(2).args("--appendonly yes").dir(&dir.path).start();
        verify(&mut server.client(), &mut accounts, &shown, &format!("seed {seed}, {fsync}, the last start"));
        let acked: i64 = accounts.iter().map(|a| a.acked + a.list_acked).sum();
        println!("appendfsync {fsync}: {deaths} deaths, {acked} answered writes, none lost");
        assert!(deaths >= 2 && acked > 100, "too little happened");
    }
}

/// A launcher starts a dead server again at once, on the port it had. (The kernel takes an io_uring
/// ring down behind the process's back, and a listening socket may outlive its process by that.)
#[test]
fn a_killed_server_can_be_started_again_on_its_port() {
    for shards in [1, 4] {
        let mut server = Start::ringdove(shards).start();
        for _ in 0..4 {
            let mut clients: Vec<Client> = (0..10).map(|_| server.client()).collect();
            assert!(clients.iter_mut().all(|c| c.ask("PING").text() == "PONG"));
            server.kill();
            let again = Start::ringdove(shards).try_start(server.port);
            server = again.unwrap_or_else(|log| panic!("{shards} shards: {log}"));
        }
    }
}

/// Loads the server until it is killed; what each writer was told goes into its account. With `rewriting` the
/// journal is written anew all the time, or ends and begins again between two other commands.
fn trouble(
    server: &Server,
    accounts: &mut [Account],
    shown: &Shown,
    rng: &mut Rng,
    life_ms: u64,
    rewriting: bool,
) {
    std::thread::scope(|scope| {
        if rewriting {
            let mut client = server.client();
            let anew = ["CONFIG SET appendonly no", "CONFIG SET appendonly yes"].map(words);
            scope.spawn(
                move || while client.try_call(&["BGREWRITEAOF"]).and(client.transaction(&anew)).is_ok() {},
            );
        }
        for (i, account) in accounts.iter_mut().enumerate() {
            let (client, rng) = (server.client(), Rng::new(rng.next()));
            scope.spawn(move || write_until_death(client, rng, i, account));
        }
        for _ in 0..READERS {
            let mut client = server.client();
            scope.spawn(move || {
                while let Some(counters) = read_counters(&mut client) {
                    for (i, n) in counters.iter().enumerate() {
                        shown.counters[i].fetch_max(*n, SeqCst);
                    }
                }
            });
        }
        std::thread::sleep(Duration::from_millis(life_ms));
        server.signal(9);
    });
}

fn read_counters(client: &mut Client) -> Option<Vec<i64>> {
    let mut all = words("MGET");
    all.extend((0..WRITERS).map(|i| format!("a:{i}").into_bytes()));
    let reply = client.try_call(&all).ok()?;
    Some(reply.items().iter().map(|v| v.number().unwrap_or(0)).collect())
}

fn write_until_death(mut client: Client, mut rng: Rng, i: usize, account: &mut Account) {
    loop {
        let done = match rng.below(3) {
            0 | 1 => {
                account.sent += 1;
                let done = client.transaction(&transaction(i, account.sent)).map(|_| ());
                account.acked += done.is_ok() as i64;
                done
            }
            _ => {
                let count = 1 + rng.below(10) as i64;
                let element = |n: i64| words(&format!("APPEND list:{i} {n:08}"));
                let pipeline: Vec<Words> = (0..count).map(|n| element(account.list_sent + n)).collect();
                account.list_sent += count;
                match client.pipeline(&pipeline) {
                    Ok(_) => {
                        account.list_acked = account.list_sent;
                        Ok(())
                    }
                    Err(e) => Err(e),
                }
            }
        };
        if done.is_err() {
            return;
        }
    }
}

/// The n-th transaction of a writer: four keys, some of them on other shards, change together.
fn transaction(i: usize, n: i64) -> Vec<Words> {
    vec![
        words(&format!("SET a:{i} {n}")),
        words(&format!("INCR b:{i}")),
        words(&format!("SET c:{i}:{n} {n} EX 100000")),
        words(&format!("DEL c:{i}:{}", n - 1)),
        words(&format!("RENAME a:{i} d:{i}")),
        words(&format!("COPY d:{i} a:{i} REPLACE")),
    ]
}

/// Compares what is there with what was told, and takes it as the new beginning.
fn verify(client: &mut Client, accounts: &mut [Account], shown: &Shown, what: &str) {
    for (i, account) in accounts.iter_mut().enumerate() {
        let mut get = |key: String| client.call(&["GET", &key]);
        let n = get(format!("a:{i}")).number().unwrap_or(0);
        assert!(n >= account.acked, "{what}: writer {i} was told {}, and {n} is there", account.acked);
        assert!(n <= account.sent, "{what}: writer {i} sent {}, and {n} is there", account.sent);
        let seen = shown.counters[i].load(SeqCst);
        assert!(n >= seen, "{what}: {seen} was read from a:{i}, and {n} is there");
        // b counts transactions since the beginning; a transaction that got lost is not counted in a.
        let b = get(format!("b:{i}")).number().unwrap_or(0);
        let d = get(format!("d:{i}")).number().unwrap_or(0);
        let c = get(format!("c:{i}:{n}")).number().unwrap_or(0);
        assert_eq!((d, c), (n, n), "{what}: writer {i}: half a transaction (b is {b})");
        assert!(get(format!("c:{i}:{}", n - 1)).is_null(), "{what}: writer {i}: half a transaction");
        assert_eq!(b, n, "{what}: writer {i}: half a transaction");
        if n > 0 {
            let ttl = client.call(&["TTL", &format!("c:{i}:{n}")]).integer();
            assert!((1..=100_000).contains(&ttl), "{what}: the expiry time became {ttl}");
        }
        let list = client.call(&["GET", &format!("list:{i}")]);
        let text = if list.is_null() { String::new() } else { list.text() };
        let elements: Vec<i64> =
            text.as_bytes().chunks(8).map(|c| std::str::from_utf8(c).unwrap().parse().unwrap()).collect();
        let there = elements.len() as i64;
        assert!(
            (account.list_acked..=account.list_sent).contains(&there)
                && elements.iter().enumerate().all(|(at, e)| *e == at as i64),
            "{what}: writer {i} was told of {} elements of {}, and there are {there}",
            account.list_acked,
            account.list_sent
        );
        // What was not answered and is not there will not come back.
        *account = Account { acked: n, sent: n, list_acked: there, list_sent: there };
    }
}
