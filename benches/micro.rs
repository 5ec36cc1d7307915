//! `cargo bench --bench micro`: the path of a command without sockets, part by part: the parser, the
//! table, the wheel, and the engine from arguments to reply. Nanoseconds per operation, the best of
//! several rounds (interruptions only ever add). Uses the allocator of the server, so that what is
//! measured is what runs.

use ringdove::command::{ClientView, CommandTable, Looked};
use ringdove::config::Settings;
use ringdove::keyspace::{Keyspace, Placement};
use ringdove::resp::{Args, ArgsBuf, Limits, Parsed, Parser, Proto};
use ringdove::shard::{Engine, Env, ErrorCounts, Job, Tally, run_job};
use ringdove::structure::heap::CountingHeap;
use ringdove::structure::{Entry, NewValue, Table, Wheel};
use std::hint::black_box;
use std::time::Instant;

#[global_allocator]
static HEAP: CountingHeap = CountingHeap;

const ROUNDS: usize = 7;

/// Runs `work`, which does `ops` operations, and prints the best time per operation.
fn measure(what: &str, ops: usize, mut work: impl FnMut()) {
    let best = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_nanos() as f64 / ops as f64
        })
        .fold(f64::INFINITY, f64::min);
    println!("{what:44} {best:8.1} ns");
}

/// Visits `0..n` in an order that no prefetcher knows (a multiplicative walk; `n` is a power of two).
fn scattered(n: usize) -> impl Iterator<Item = usize> {
    (0..n).map(move |i| i.wrapping_mul(0x9e37_79b1) & (n - 1))
}

fn key(i: usize) -> Vec<u8> {
    format!("key:{i:012}").into_bytes()
}

fn parser() {
    let mut pipeline = Vec::new();
    for i in 0..16 {
        let value = "v".repeat(32);
        pipeline.extend_from_slice(
            format!("*3\r\n$3\r\nSET\r\n$16\r\nkey:{i:012}\r\n$32\r\n{value}\r\n").as_bytes(),
        );
    }
    let limits = Limits::new(512 << 20, true);
    let (mut parser, mut spans, mut inline) = (Parser::new(), Vec::new(), Vec::new());
    measure("parse SET key value, pipeline of 16", 16 * 10_000, || {
        for _ in 0..10_000 {
            let mut at = 0;
            while at < pipeline.len() {
                match parser.next(&pipeline[at..], &limits, &mut spans, &mut inline) {
                    Ok(Parsed::Command(len)) => at += len,
                    _ => unreachable!("whole commands only"),
                }
                black_box(Args::new(&pipeline, &spans).len());
            }
        }
    });
}

fn table(n: usize) {
    let placement = Placement::new(1, [1, 2, 3, 4]);
    let mut table = Table::new(placement.hasher());
    let keys: Vec<Vec<u8>> = (0..n).map(key).collect();
    let start = Instant::now();
    for key in &keys {
        let hash = table.hash(key);
        table.insert_new(hash, Entry::new(key, NewValue::Bytes(&[b'v'; 32]), None));
    }
    let took = start.elapsed().as_nanos() as f64 / n as f64;
    println!("{:44} {took:8.1} ns", format!("table: insert, up to {n} keys (once)"));
    measure(&format!("table: find among {n} keys"), n, || {
        for i in scattered(n) {
            let hash = table.hash(&keys[i]);
            black_box(table.find(hash, &keys[i]));
        }
    });
}

fn wheel() {
    let mut wheel = Wheel::new(0);
    let n = 1 << 16;
    measure("wheel: insert and cancel a deadline", n, || {
        for i in scattered(n) {
            let handle = wheel.insert(1 + (i as u64) * 37 % 86_400_000, i as u64);
            wheel.cancel(black_box(handle));
        }
    });
}

/// Everything `run_job` needs, with one shard.
struct Bed {
    placement: Placement,
    settings: Settings,
    table: CommandTable,
    tally: Tally,
    errors: ErrorCounts,
    engine: Engine,
}

impl Bed {
    fn new() -> Bed {
        let placement = Placement::new(1, [1, 2, 3, 4]);
        let table = CommandTable::new(&[]).expect("nothing is renamed");
        Bed {
            engine: Engine::new(Keyspace::new(0, 16, &placement)),
            placement,
            settings: Settings::default(),
            tally: Tally::new(table.len()),
            table,
            errors: ErrorCounts::default(),
        }
    }

    /// Looks the command up and runs it, as a shard does with what the parser gave it.
    fn run(&mut self, args: Args<'_>, out: &mut Vec<u8>) {
        let Looked::Found(command) = self.table.look_up(args.at(0), args.get(1)) else {
            unreachable!("known")
        };
        let job = Job {
            command,
            db: 0,
            now: 1_700_000_000_000,
            proto: Proto::Resp2,
            view: ClientView::default(),
            random: 0,
        };
        let env = Env {
            placement: &self.placement,
            settings: &self.settings,
            table: &self.table,
            tally: &self.tally,
            errors: &self.errors,
            over_limit: false,
            news: 0,
        };
        assert!(run_job(env, &mut self.engine, job, args, out));
    }
}

fn engine(n: usize, journaling: bool) {
    let mut bed = Bed::new();
    bed.engine.journaling = journaling;
    let value = vec![b'v'; 32];
    let command = |name: &[u8], i: usize, value: Option<&[u8]>| -> ArgsBuf {
        let key = key(i);
        [name, &key].into_iter().chain(value).collect()
    };
    let sets: Vec<ArgsBuf> = (0..n).map(|i| command(b"SET", i, Some(&value))).collect();
    let gets: Vec<ArgsBuf> = (0..n).map(|i| command(b"GET", i, None)).collect();
    let counters: Vec<ArgsBuf> = (0..n).map(|i| command(b"INCR", n + i, None)).collect();
    let mut out = Vec::new();
    let journal = if journaling { ", journaled" } else { "" };
    for (name, commands) in [("SET", &sets), ("GET", &gets), ("INCR", &counters)] {
        if journaling && name == "GET" {
            continue;
        }
        measure(&format!("engine: {name}, {n} keys{journal}"), n, || {
            for (turn, i) in scattered(n).enumerate() {
                bed.run(commands[i].as_args(), &mut out);
                if turn % 256 == 255 {
                    out.clear();
                    // A turn ends: its effects go to the journal.
                    black_box(bed.engine.effects_to_send());
                }
            }
        });
    }
}

fn main() {
    // `cargo test --all-targets` starts benches too, without this word.
    if !std::env::args().any(|arg| arg == "--bench") {
        return println!("micro: only under `cargo bench`");
    }
    parser();
    table(1 << 17);
    table(1 << 21);
    wheel();
    engine(1 << 17, false);
    engine(1 << 17, true);
}
