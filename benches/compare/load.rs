//! Load that `redis-benchmark` has no shape for: transactions and commands over several keys, and a
//! second client that watches for stalls while the first makes the server grow.

use crate::client::{Client, encode};
use crate::server::Server;
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Connections of the own scenarios.
const CONNECTIONS: usize = 50;

/// A small generator (xorshift): the load must cost less than the server.
pub struct Choice(u64);

impl Choice {
    pub fn new(seed: u64) -> Choice {
        Choice(seed | 1)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// Sends one request on each of 50 connections, then reads all answers, until `requests` are done.
/// Returns microseconds of server CPU per request, and requests per second. `request` writes one
/// request and says how many replies it will have.
pub fn rounds(
    server: &Server,
    requests: usize,
    mut request: impl FnMut(&mut Choice, &mut Vec<u8>) -> usize,
) -> (f64, f64) {
    let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| server.client()).collect();
    let mut choice = Choice::new(0x9e37_79b9);
    let mut bytes = Vec::new();
    let mut turn = |clients: &mut Vec<Client>| {
        let mut replies = [0; CONNECTIONS];
        for (client, replies) in clients.iter_mut().zip(&mut replies) {
            bytes.clear();
            *replies = request(&mut choice, &mut bytes);
            client.send(&bytes);
        }
        clients.iter_mut().zip(replies).for_each(|(client, replies)| client.read_ok(replies));
    };
    turn(&mut clients);
    let (before, start) = (server.cpu_micros(), Instant::now());
    let turns = requests.div_ceil(CONNECTIONS);
    (0..turns).for_each(|_| turn(&mut clients));
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), server.cpu_micros() - before);
    let done = (turns * CONNECTIONS) as f64;
    (cpu / done, done / seconds)
}

/// Writes `keys` new keys of 16 bytes with values of 32, in pipelines of `depth`.
pub fn fill(server: &Server, keys: std::ops::Range<usize>, depth: usize) {
    let value = "v".repeat(32);
    let first = keys.start;
    fill_with(server, keys.len(), depth, |i, out| {
        encode(out, &["SET", &format!("key:{:012}", first + i), &value]);
    });
}

/// Sends `n` commands that `write` appends, in pipelines of `depth`.
pub fn fill_with(server: &Server, n: usize, depth: usize, mut write: impl FnMut(usize, &mut Vec<u8>)) {
    let mut client = server.client();
    let mut bytes = Vec::new();
    for from in (0..n).step_by(depth) {
        let to = n.min(from + depth);
        bytes.clear();
        (from..to).for_each(|i| write(i, &mut bytes));
        client.send(&bytes);
        client.read_ok(to - from);
    }
}

/// Sends what `write` appends (five commands) every millisecond for so long, at the pace of the clock.
pub fn paced(server: &Server, time: Duration, mut write: impl FnMut(&mut Choice, &mut Vec<u8>)) {
    let (mut client, mut choice, mut bytes) = (server.client(), Choice::new(7), Vec::new());
    let start = Instant::now();
    let mut due = start;
    while start.elapsed() < time {
        bytes.clear();
        (0..5).for_each(|_| write(&mut choice, &mut bytes));
        client.send(&bytes);
        client.read_ok(5);
        due += Duration::from_millis(1);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

/// What a second client saw: percentiles and the longest of its waits, in milliseconds.
pub struct Waits {
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// Runs `work` while a second client asks for a key every half millisecond.
pub fn with_watcher(server: &Server, work: impl FnOnce()) -> Waits {
    let stop = AtomicBool::new(false);
    let waits = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut client = server.client();
            let mut waits = Histogram::<u64>::new(3).expect("three digits");
            while !stop.load(Ordering::Relaxed) {
                let asked = Instant::now();
                client.call(&["GET", "probe"]);
                waits.record(asked.elapsed().as_nanos() as u64).expect("it grows as it must");
                std::thread::sleep(Duration::from_micros(500));
            }
            waits
        });
        work();
        stop.store(true, Ordering::Relaxed);
        watcher.join().expect("the watcher ends")
    });
    let millis = |nanos: u64| nanos as f64 / 1e6;
    Waits {
        p99: millis(waits.value_at_quantile(0.99)),
        p999: millis(waits.value_at_quantile(0.999)),
        max: millis(waits.max()),
    }
}
