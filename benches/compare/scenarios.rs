//! What is measured, and what the project has promised about it.

use crate::Options;
use crate::client::encode;
use crate::load;
use crate::server::Server;
use std::process::Command;
use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Microseconds of server CPU per operation.
    Cpu,
    /// Operations per second as the load generator saw them.
    Rate,
    /// Milliseconds.
    P50,
    P99,
    /// Bytes of resident memory per key.
    Bytes,
    /// Percent of one core.
    Share,
    /// Milliseconds, the 99.9th percentile and the longest wait of a second client.
    P999,
    Stall,
    /// How many times its 99th percentile without the load.
    Times,
}

impl Metric {
    pub fn name(self) -> &'static str {
        match self {
            Metric::Cpu => "cpu_us",
            Metric::Rate => "per_s",
            Metric::P50 => "p50_ms",
            Metric::P99 => "p99_ms",
            Metric::Bytes => "bytes_per_key",
            Metric::Share => "cpu_percent",
            Metric::P999 => "p99.9_ms",
            Metric::Stall => "max_ms",
            Metric::Times => "p99_times",
        }
    }
}

/// A promise: at most `must`, better `aim`; times the reference's figure if `relative`.
#[derive(Clone, Copy)]
pub struct Limit {
    pub must: f64,
    pub aim: f64,
    pub relative: bool,
}

/// Which table a scenario stands in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Table {
    /// Strings, transactions, the server as a whole: each row with promises of its own.
    General,
    /// The data types: each row at most the better of the peers, and less on the whole.
    Types,
}

impl Table {
    pub const ALL: [Table; 2] = [Table::General, Table::Types];

    /// As `--only` and the marks in the page call it.
    pub fn name(self) -> &'static str {
        match self {
            Table::General => "general",
            Table::Types => "types",
        }
    }
}

pub struct Scenario {
    pub table: Table,
    pub name: &'static str,
    pub title: &'static str,
    pub metric: Metric,
    /// For one shard and for two.
    pub limits: [Option<Limit>; 2],
    /// Needs a fresh server and the machine's memory.
    pub alone: bool,
    pub rounds_alone: usize,
    pub run: fn(&Server, &Options) -> Vec<(Metric, f64)>,
}

const fn times(must: f64, aim: f64) -> Option<Limit> {
    Some(Limit { must, aim, relative: true })
}

const fn at_most(must: f64, aim: f64) -> Option<Limit> {
    Some(Limit { must, aim, relative: false })
}

macro_rules! shape {
    ($name:literal, $title:literal, $test:literal, $depth:literal, $ops:literal, $limits:expr) => {
        Scenario {
            table: Table::General,
            name: $name,
            title: $title,
            metric: Metric::Cpu,
            limits: $limits,
            alone: false,
            rounds_alone: 0,
            run: |server, options| benchmark(server, options, &["-t", $test], $depth, 50, $ops),
        }
    };
}

/// A test of `redis-benchmark` on one key of some type, at both depths. What is prepared is so before every run.
macro_rules! on_type {
    ($name:literal, $title:literal, $words:expr, $depth:literal, $ops:literal, $prepare:expr) => {
        Scenario {
            table: Table::Types,
            name: $name,
            title: $title,
            metric: Metric::Cpu,
            limits: [None, None],
            alone: false,
            rounds_alone: 0,
            run: |server, options| {
                let prepare: fn(&Server, usize) = $prepare;
                prepare(server, scaled($ops, options));
                benchmark(server, options, $words, $depth, 50, $ops)
            },
        }
    };
}

const P1: [Option<Limit>; 2] = [times(1.0, 0.85), times(1.3, 1.05)];
const P16: [Option<Limit>; 2] = [times(0.85, 0.65), times(1.35, 1.0)];
const P50: [Option<Limit>; 2] = [times(0.75, 0.5), times(1.1, 0.7)];

/// Not every version has this test.
const XADD: &[&str] = &["XADD", "mystream", "*", "myfield", "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"];

/// The test itself would fill the list first, and that would count.
const LRANGE: &[&str] = &["LRANGE", "mylist", "0", "99"];

pub const SCENARIOS: &[Scenario] = &[
    shape!("set-1", "SET, 50 connections, no pipeline", "set", 1, 150_000, P1),
    shape!("get-1", "GET, 50 connections, no pipeline", "get", 1, 150_000, P1),
    shape!("set-16", "SET, pipelines of 16", "set", 16, 1_500_000, P16),
    shape!("get-16", "GET, pipelines of 16", "get", 16, 1_500_000, P16),
    shape!("set-50", "SET, pipelines of 50", "set", 50, 3_000_000, P50),
    shape!("get-50", "GET, pipelines of 50", "get", 50, 3_000_000, P50),
    Scenario {
        table: Table::General,
        name: "one",
        title: "GET, one connection: median latency, ms",
        metric: Metric::P50,
        limits: [times(1.1, 0.9), times(1.1, 0.9)],
        alone: false,
        rounds_alone: 0,
        run: |server, options| benchmark(server, options, &["-t", "get"], 1, 1, 40_000),
    },
    Scenario {
        table: Table::General,
        name: "exec-4",
        title: "MULTI, 4 SETs on random keys, EXEC",
        metric: Metric::Cpu,
        limits: [None, times(1.5, 1.0)],
        alone: false,
        rounds_alone: 0,
        run: |server, options| {
            own(server, options, 60_000, |choice, out| {
                encode(out, &["MULTI"]);
                for _ in 0..4 {
                    encode(out, &["SET", &format!("k{}", choice.below(100_000)), "v"]);
                }
                encode(out, &["EXEC"]);
                6
            })
        },
    },
    Scenario {
        table: Table::General,
        name: "mset-10",
        title: "MSET of 10 random keys",
        metric: Metric::Cpu,
        limits: [None, None],
        alone: false,
        rounds_alone: 0,
        run: |server, options| {
            own(server, options, 60_000, |choice, out| {
                let keys: Vec<String> =
                    (0..10).map(|_| format!("key:{:012}", choice.below(100_000))).collect();
                let value = "v".repeat(32);
                let mut words = vec!["MSET"];
                keys.iter().for_each(|key| words.extend([key.as_str(), value.as_str()]));
                encode(out, &words);
                1
            })
        },
    },
    Scenario {
        table: Table::General,
        name: "mget-10",
        title: "MGET of 10 random keys",
        metric: Metric::Cpu,
        limits: [None, None],
        alone: false,
        rounds_alone: 0,
        run: |server, options| {
            own(server, options, 60_000, |choice, out| {
                let keys: Vec<String> =
                    (0..10).map(|_| format!("key:{:012}", choice.below(100_000))).collect();
                let mut words = vec!["MGET"];
                words.extend(keys.iter().map(String::as_str));
                encode(out, &words);
                1
            })
        },
    },
    Scenario {
        table: Table::General,
        name: "idle",
        title: "idle server, one connection: % of a core",
        metric: Metric::Share,
        limits: [at_most(0.5, 0.5), at_most(0.5, 0.5)],
        alone: false,
        rounds_alone: 0,
        run: |server, options| {
            let _open = server.client();
            let seconds = (4.0 * options.scale).max(1.0);
            // What was done just before has an aftermath; let it pass.
            std::thread::sleep(Duration::from_millis(500));
            let before = server.cpu_micros();
            std::thread::sleep(Duration::from_secs_f64(seconds));
            vec![(Metric::Share, (server.cpu_micros() - before) / 1e6 / seconds * 100.0)]
        },
    },
    Scenario {
        table: Table::General,
        name: "scripts-beside",
        title: "5,000 EVALs/s of undeclared keys: p99 of other keys' GETs, times that without",
        metric: Metric::Times,
        limits: [None, at_most(1.2, 1.0)],
        alone: false,
        rounds_alone: 0,
        run: |server, options| {
            const SCRIPT: &str = "redis.call('INCR', ARGV[1]) return redis.call('EXPIRE', ARGV[1], 60)";
            let time = Duration::from_secs_f64((3.0 * options.scale).max(1.0));
            let without = load::with_watcher(server, || std::thread::sleep(time));
            let beside = load::with_watcher(server, || {
                load::paced(server, time, |choice, out| {
                    encode(out, &["EVAL", SCRIPT, "0", &format!("counter:{}", choice.below(10_000))]);
                });
            });
            vec![(Metric::Times, beside.p99 / without.p99), (Metric::P999, beside.p999)]
        },
    },
    on_type!("lpush-1", "LPUSH, no pipeline", &["-t", "lpush"], 1, 100_000, forget),
    on_type!("lpush-16", "LPUSH, pipelines of 16", &["-t", "lpush"], 16, 800_000, forget),
    on_type!("rpop-1", "RPOP, no pipeline", &["-t", "rpop"], 1, 100_000, long_list),
    on_type!("rpop-16", "RPOP, pipelines of 16", &["-t", "rpop"], 16, 800_000, long_list),
    on_type!("sadd-1", "SADD, no pipeline", &["-t", "sadd"], 1, 100_000, nothing),
    on_type!("sadd-16", "SADD, pipelines of 16", &["-t", "sadd"], 16, 800_000, nothing),
    on_type!("hset-1", "HSET, no pipeline", &["-t", "hset"], 1, 100_000, nothing),
    on_type!("hset-16", "HSET, pipelines of 16", &["-t", "hset"], 16, 800_000, nothing),
    on_type!("zadd-1", "ZADD, no pipeline", &["-t", "zadd"], 1, 100_000, nothing),
    on_type!("zadd-16", "ZADD, pipelines of 16", &["-t", "zadd"], 16, 800_000, nothing),
    on_type!("zpopmin-1", "ZPOPMIN, no pipeline", &["-t", "zpopmin"], 1, 100_000, long_zset),
    on_type!("zpopmin-16", "ZPOPMIN, pipelines of 16", &["-t", "zpopmin"], 16, 800_000, long_zset),
    on_type!("lrange-1", "LRANGE of 100, no pipeline", LRANGE, 1, 50_000, short_list),
    on_type!("lrange-16", "LRANGE of 100, pipelines of 16", LRANGE, 16, 200_000, short_list),
    on_type!("xadd-1", "XADD, no pipeline", XADD, 1, 100_000, forget),
    on_type!("xadd-16", "XADD, pipelines of 16", XADD, 16, 800_000, forget),
    on_type!("mset-1", "MSET of 10, no pipeline", &["-t", "mset"], 1, 60_000, forget),
    on_type!("mset-16", "MSET of 10, pipelines of 16", &["-t", "mset"], 16, 150_000, forget),
    Scenario {
        table: Table::General,
        name: "memory",
        title: "bytes of RSS per key, 1 M keys of 16 bytes with values of 32",
        metric: Metric::Bytes,
        limits: [at_most(80.0, 64.0), at_most(80.0, 64.0)],
        alone: true,
        rounds_alone: 1,
        run: |server, _| {
            let keys = 1_000_000;
            std::thread::sleep(Duration::from_millis(300));
            let before = server.rss_bytes();
            load::fill(server, 0..keys, 1000);
            std::thread::sleep(Duration::from_millis(500));
            vec![(Metric::Bytes, (server.rss_bytes() - before) / keys as f64)]
        },
    },
    Scenario {
        table: Table::General,
        name: "growth",
        title: "growth to 10 M keys: longest wait of a second client, ms",
        metric: Metric::Stall,
        limits: [at_most(5.0, 1.0), at_most(5.0, 1.0)],
        alone: true,
        rounds_alone: 1,
        run: |server, _| {
            let keys = 10_000_000;
            // Short pipelines: the second client waits behind one of them at most.
            let waits = load::with_watcher(server, || load::fill(server, 0..keys, 16));
            vec![(Metric::P999, waits.p999), (Metric::Stall, waits.max)]
        },
    },
];

fn scaled(ops: usize, options: &Options) -> usize {
    ((ops as f64 * options.scale) as usize).max(1000)
}

/// Forgets the keys of `redis-benchmark`.
fn forget(server: &Server, _: usize) {
    server.client().call(&["DEL", "mylist", "myset", "myhash", "myzset", "mystream"]);
}

fn nothing(_: &Server, _: usize) {}

/// A list of so many elements, and of nothing else.
fn long_list(server: &Server, len: usize) {
    forget(server, 0);
    load::fill_with(server, len, 1000, |_, out| encode(out, &["LPUSH", "mylist", &"v".repeat(32)]));
}

fn short_list(server: &Server, _: usize) {
    long_list(server, 100);
}

/// A sorted set of so many members with random scores.
fn long_zset(server: &Server, len: usize) {
    forget(server, 0);
    let mut choice = load::Choice::new(0x51ed_270b);
    load::fill_with(server, len, 1000, |i, out| {
        let (score, member) = (choice.below(1_000_000).to_string(), format!("element:{i:012}"));
        encode(out, &["ZADD", "myzset", &score, &member]);
    });
}

fn own(
    server: &Server,
    options: &Options,
    requests: usize,
    request: impl FnMut(&mut load::Choice, &mut Vec<u8>) -> usize,
) -> Vec<(Metric, f64)> {
    let (cpu, rate) = load::rounds(server, (requests as f64 * options.scale) as usize, request);
    vec![(Metric::Cpu, cpu), (Metric::Rate, rate)]
}

fn benchmark(
    server: &Server,
    options: &Options,
    test: &[&str],
    depth: usize,
    connections: usize,
    ops: usize,
) -> Vec<(Metric, f64)> {
    let ops = scaled(ops, options);
    let port = server.port.to_string();
    let numbers = [connections, ops, depth].map(|n| n.to_string());
    let words = [
        "-p",
        &port,
        "-c",
        &numbers[0],
        "-n",
        &numbers[1],
        "-P",
        &numbers[2],
        "-r",
        "100000",
        "-d",
        "32",
        "--csv",
    ];
    let mut command = match &options.client_cpus {
        Some(cpus) => {
            let mut command = Command::new("taskset");
            command.args(["-c", cpus, &options.benchmark]);
            command
        }
        None => Command::new(&options.benchmark),
    };
    command.args(words).args(test);
    // The program sometimes ends without its row (a client of its own timed out): then once more.
    let (cpu, fields) = (0..3)
        .find_map(|_| {
            let before = server.cpu_micros();
            let output = command.output().unwrap_or_else(|error| panic!("{}: {error}", options.benchmark));
            let cpu = server.cpu_micros() - before;
            let row = row(&String::from_utf8_lossy(&output.stdout));
            if row.is_none() {
                eprintln!("{}: no result: {}", options.benchmark, String::from_utf8_lossy(&output.stderr));
            }
            Some((cpu, row?))
        })
        .expect("one of three runs has a result");
    vec![
        (Metric::Cpu, cpu / ops as f64),
        (Metric::Rate, fields[0]),
        (Metric::P50, fields[1]),
        (Metric::P99, fields[2]),
    ]
}

/// Rate, median and 99th percentile from the last line of `--csv`.
fn row(text: &str) -> Option<[f64; 3]> {
    let mut lines = text.lines().rev().filter(|line| line.starts_with('"'));
    let (row, head) = (lines.next()?, lines.next()?);
    let field = |name: &str| {
        let at = head.split(',').position(|column| column.trim_matches('"') == name)?;
        row.split(',').nth(at)?.trim_matches('"').parse::<f64>().ok()
    };
    Some([field("rps")?, field("p50_latency_ms")?, field("p99_latency_ms")?])
}
