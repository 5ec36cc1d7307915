//! `cargo bench --bench compare`: Ringdove beside the servers it is measured by, on this machine, now.
//!
//! Runs Ringdove with `--shards 1` and `--shards 2` and every peer it is given, interleaved, several
//! rounds, and prints medians; then replaces the tables in `docs/performance.md` of which it has all rows. The figure that counts
//! is the server's own CPU time per operation (all its threads, from `/proc/PID/task/*/schedstat`): it
//! is what a shared machine measures best. Compare within a row: the rows of one run saw the same
//! machine in the same minutes, other runs did not.
//!
//! ```text
//! cargo bench --bench compare -- [--peer NAME='COMMAND with {port}'] [--rounds 5] [--scale 1.0]
//!                                [--only types,set-16] [--port 21500] [--benchmark redis-benchmark]
//!                                [--no-write] [--server-cpus 0,1] [--client-cpus 0,1]
//! ```
//!
//! Without `--peer`, `valkey-server` and `redis-server` are taken from the PATH, where they are there.
//! The first peer is what ratios refer to. `--scale` shortens or lengthens the standard shapes. The load comes from `redis-benchmark` for the standard
//! shapes, from `load.rs` for the rest.

mod client;
mod load;
mod page;
mod report;
mod scenarios;
mod server;

use scenarios::{Metric, SCENARIOS, Scenario, Table};
use server::Launch;
use std::collections::BTreeMap;

pub struct Options {
    pub peers: Vec<(String, String)>,
    pub rounds: usize,
    pub scale: f64,
    pub only: Vec<String>,
    pub port: u16,
    pub benchmark: String,
    pub write: bool,
    pub server_cpus: Option<String>,
    pub client_cpus: Option<String>,
}

/// Medians by scenario, server and metric.
pub type Results = BTreeMap<&'static str, Vec<BTreeMap<Metric, f64>>>;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` starts benches too, without this word.
    if !args.iter().any(|arg| arg == "--bench") {
        return println!("compare: only under `cargo bench`");
    }
    let options = match parse(&args) {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("{wrong}\nSee the top of benches/compare/main.rs.");
            std::process::exit(2);
        }
    };
    let launches = launches(&options);
    let chosen: Vec<&Scenario> = SCENARIOS
        .iter()
        .filter(|scenario| {
            let wanted = |name: &String| name == scenario.name || name == scenario.table.name();
            options.only.is_empty() || options.only.iter().any(wanted)
        })
        .collect();
    let load_before = page::load_average();
    let mut results = Results::new();
    let names: Vec<String> = launches.iter().map(|launch| launch.name.clone()).collect();
    let mut versions = vec![String::new(); launches.len()];
    run_together(&options, &launches, &chosen, &mut results, &mut versions);
    run_alone(&options, &launches, &chosen, &mut results, &mut versions);
    for table in Table::ALL {
        let rows: Vec<&Scenario> =
            chosen.iter().copied().filter(|scenario| scenario.table == table).collect();
        let whole = SCENARIOS.iter().filter(|scenario| scenario.table == table).count();
        if !rows.is_empty() {
            let text = report::markdown(table, &options, &names, &versions, &rows, &results, &load_before);
            println!("\n{text}");
            if options.write && rows.len() == whole {
                page::write(&format!("compare, {}", table.name()), &text);
            }
        }
    }
}

/// The scenarios for which all servers are up at once, round by round, server after server.
fn run_together(
    options: &Options,
    launches: &[Launch],
    chosen: &[&Scenario],
    results: &mut Results,
    versions: &mut [String],
) {
    let together: Vec<_> = chosen.iter().filter(|scenario| !scenario.alone).collect();
    if together.is_empty() {
        return;
    }
    let servers: Vec<_> = launches.iter().map(|launch| launch.start(options)).collect();
    servers.iter().zip(versions.iter_mut()).for_each(|(server, version)| *version = server.version());
    for scenario in together {
        let mut rounds: Vec<BTreeMap<Metric, Vec<f64>>> = vec![BTreeMap::new(); servers.len()];
        for round in 0..options.rounds {
            // Each round begins with another server, so that none always follows the same one.
            for turn in 0..servers.len() {
                let at = (turn + round) % servers.len();
                for (metric, value) in (scenario.run)(&servers[at], options) {
                    rounds[at].entry(metric).or_default().push(value);
                }
            }
        }
        keep(scenario, launches, &rounds, results);
    }
}

/// The scenarios that need a fresh server and the whole memory: one server after the other.
fn run_alone(
    options: &Options,
    launches: &[Launch],
    chosen: &[&Scenario],
    results: &mut Results,
    versions: &mut [String],
) {
    for scenario in chosen.iter().filter(|scenario| scenario.alone) {
        let mut rounds: Vec<BTreeMap<Metric, Vec<f64>>> = vec![BTreeMap::new(); launches.len()];
        for _ in 0..scenario.rounds_alone.min(options.rounds) {
            for (at, launch) in launches.iter().enumerate() {
                let server = launch.start(options);
                versions[at] = server.version();
                for (metric, value) in (scenario.run)(&server, options) {
                    rounds[at].entry(metric).or_default().push(value);
                }
            }
        }
        keep(scenario, launches, &rounds, results);
    }
}

fn keep(
    scenario: &Scenario,
    launches: &[Launch],
    rounds: &[BTreeMap<Metric, Vec<f64>>],
    results: &mut Results,
) {
    for (launch, metrics) in launches.iter().zip(rounds) {
        let medians: BTreeMap<Metric, f64> =
            metrics.iter().map(|(metric, values)| (*metric, page::median(values))).collect();
        let shown: Vec<String> =
            medians.iter().map(|(metric, value)| format!("{}={value:.4}", metric.name())).collect();
        println!("{:12} {:14} {}", scenario.name, launch.name, shown.join("  "));
        results.entry(scenario.name).or_default().push(medians);
    }
}

fn launches(options: &Options) -> Vec<Launch> {
    let mut all = Vec::new();
    for (name, command) in &options.peers {
        all.push(Launch { name: name.clone(), command: command.clone() });
    }
    for shards in [1u16, 2] {
        let binary = env!("CARGO_BIN_EXE_ringdove");
        all.push(Launch {
            name: format!("ringdove {shards}"),
            command: format!("'{binary}' --port {{port}} --shards {shards} --save ''"),
        });
    }
    all
}

fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options {
        peers: Vec::new(),
        rounds: 5,
        scale: 1.0,
        only: Vec::new(),
        port: 21500,
        benchmark: "redis-benchmark".into(),
        write: true,
        server_cpus: None,
        client_cpus: None,
    };
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let mut value = || rest.next().cloned().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--bench" => {}
            "--no-write" => options.write = false,
            "--peer" => {
                let value = value()?;
                let (name, command) = value.split_once('=').ok_or("--peer NAME=COMMAND")?;
                options.peers.push((name.into(), command.into()));
            }
            "--rounds" => options.rounds = value()?.parse().map_err(|_| "--rounds takes a number")?,
            "--scale" => options.scale = value()?.parse().map_err(|_| "--scale takes a number")?,
            "--port" => options.port = value()?.parse().map_err(|_| "--port takes a port")?,
            "--only" => options.only = value()?.split(',').map(String::from).collect(),
            "--benchmark" => options.benchmark = value()?,
            "--server-cpus" => options.server_cpus = Some(value()?),
            "--client-cpus" => options.client_cpus = Some(value()?),
            other => return Err(format!("unknown option {other}")),
        }
    }
    if options.peers.is_empty() {
        for program in ["valkey-server", "redis-server"] {
            if server::is_on_path(program) {
                let command = format!("{program} --port {{port}} --save '' --protected-mode no");
                options.peers.push((program.trim_end_matches("-server").into(), command));
            }
        }
    }
    Ok(options)
}
