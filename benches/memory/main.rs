//! `cargo bench --bench memory`: what collections take in Ringdove and in the servers it is measured by.
//!
//! Every server is filled with the same collections (`shapes.rs`), one fresh server per shape, each
//! element by a command of its own and collections in turn, as they grow in use. Told are, per element:
//!
//! - *usage*: what MEMORY USAGE says of the keys, without samples, the mean of some of them;
//! - *used*: `used_memory`, which has the tables of keys in it;
//! - *RSS*: what the process holds.
//!
//! The servers' defaults decide the encodings. All but usage are differences between before and after,
//! behind a warm-up that touches the buffers. Replaces its table in `docs/performance.md`.
//!
//! ```text
//! cargo bench --bench memory -- [--peer NAME='COMMAND with {port}'] [--only list-5,set-20] [--scale 1.0]
//!                               [--port 21700] [--no-write]
//! ```

#[path = "../compare/client.rs"]
mod client;
#[allow(dead_code)] // Written for `compare`, which needs more of it.
#[path = "../compare/page.rs"]
mod page;
#[allow(dead_code)] // As above.
#[path = "../compare/server.rs"]
mod server;
mod shapes;

use client::{Client, Reply, encode};
use server::{Launch, Server};
use shapes::{SHAPES, Shape};
use std::fmt::Write as _;
use std::time::Duration;

pub struct Options {
    pub peers: Vec<(String, String)>,
    pub only: Vec<String>,
    pub scale: f64,
    pub port: u16,
    pub write: bool,
    pub server_cpus: Option<String>,
}

/// Bytes per element.
#[derive(Clone, Copy)]
struct Bytes {
    usage: f64,
    used: f64,
    rss: f64,
}

/// Keys of which MEMORY USAGE is asked.
const ASKED: usize = 100;
/// Commands in a pipeline.
const PIPELINE: usize = 500;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if !args.iter().any(|arg| arg == "--bench") {
        return println!("memory: only under `cargo bench`");
    }
    let options = match parse(&args) {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("{wrong}\nSee the top of benches/memory/main.rs.");
            std::process::exit(2);
        }
    };
    let launches = launches(&options);
    let mut versions = vec![String::new(); launches.len()];
    let mut rows = Vec::new();
    for shape in SHAPES {
        if !options.only.is_empty() && !options.only.iter().any(|name| name == shape.name) {
            continue;
        }
        let mut row = Vec::new();
        for (at, launch) in launches.iter().enumerate() {
            let server = launch.start(&options);
            versions[at] = server.version();
            let bytes = measure(&server, shape, options.scale);
            println!(
                "{:20} {:10} usage {:8.1}  used {:8.1}  rss {:8.1}",
                shape.name, launch.name, bytes.usage, bytes.used, bytes.rss
            );
            row.push(bytes);
        }
        rows.push((shape, row));
    }
    let text = markdown(&launches, &versions, &rows);
    println!("\n{text}");
    if options.write && options.only.is_empty() {
        page::write("memory", &text);
    }
}

/// Fills a server and asks what that took.
fn measure(server: &Server, shape: &Shape, scale: f64) -> Bytes {
    let mut client = server.client();
    warm_up(&mut client);
    let collections = ((shape.collections as f64 * scale) as usize).max(1);
    send_all(&mut client, (0..collections).flat_map(|key| (shape.prepare)(key)));
    let keys: Vec<String> = (0..collections).step_by(collections.div_ceil(ASKED)).map(shapes::key).collect();
    settle();
    let before = (usage(&mut client, &keys), used(&mut client), server.rss_bytes());
    // Some at a time, so that a collection's blocks have those of others between them.
    for first in (0..collections).step_by(PIPELINE) {
        let some = first..collections.min(first + PIPELINE);
        let commands = (0..shape.steps).flat_map(|step| some.clone().map(move |key| (shape.add)(key, step)));
        send_all(&mut client, commands);
    }
    settle();
    let elements = (collections * shape.elements) as f64;
    let asked = (keys.len() * shape.elements) as f64;
    Bytes {
        usage: (usage(&mut client, &keys) - before.0) / asked,
        used: (used(&mut client) - before.1) / elements,
        rss: (server.rss_bytes() - before.2) / elements,
    }
}

/// Touches the buffers of the connection on both sides.
fn warm_up(client: &mut Client) {
    let value = "w".repeat(4000);
    let sets = (0..2000).map(|_| vec!["SET".to_string(), "warm".to_string(), value.clone()]);
    send_all(client, sets);
    client.call(&["DEL", "warm"]);
    settle();
}

/// The allocators of some servers give back in the background.
fn settle() {
    std::thread::sleep(Duration::from_millis(300));
}

fn send_all(client: &mut Client, commands: impl Iterator<Item = Vec<String>>) {
    let (mut bytes, mut waiting) = (Vec::new(), 0);
    for command in commands {
        encode(&mut bytes, &command.iter().map(String::as_str).collect::<Vec<_>>());
        waiting += 1;
        if waiting == PIPELINE {
            client.send(&bytes);
            client.read_ok(waiting);
            bytes.clear();
            waiting = 0;
        }
    }
    client.send(&bytes);
    client.read_ok(waiting);
}

fn usage(client: &mut Client, keys: &[String]) -> f64 {
    let mut sum = 0;
    for key in keys {
        match client.call(&["MEMORY", "USAGE", key, "SAMPLES", "0"]) {
            Reply::Integer(bytes) => sum += bytes,
            Reply::Null => {}
            other => panic!("MEMORY USAGE: {other:?}"),
        }
    }
    sum as f64
}

fn used(client: &mut Client) -> f64 {
    let Reply::Bulk(info) = client.call(&["INFO", "memory"]) else { panic!("INFO memory is text") };
    let info = String::from_utf8_lossy(&info).into_owned();
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    line.and_then(|value| value.trim().parse().ok()).expect("used_memory is a number")
}

fn launches(options: &Options) -> Vec<Launch> {
    let mut all: Vec<Launch> = Vec::new();
    for (name, command) in &options.peers {
        all.push(Launch { name: name.clone(), command: command.clone() });
    }
    let binary = env!("CARGO_BIN_EXE_ringdove");
    let command = format!("'{binary}' --port {{port}} --shards 1 --save ''");
    all.push(Launch { name: "ringdove".into(), command });
    all
}

fn markdown(launches: &[Launch], versions: &[String], rows: &[(&Shape, Vec<Bytes>)]) -> String {
    let mut text = String::new();
    let listed: Vec<String> = launches
        .iter()
        .zip(versions)
        .map(|(launch, version)| format!("{}: {version}", launch.name))
        .collect();
    let _ = writeln!(text, "Machine: {}. Servers: {}.\n", page::machine(), listed.join("; "));
    let _ = writeln!(
        text,
        "Bytes per element: MEMORY USAGE / `used_memory` / RSS; behind Ringdove's the ratios to {0}. *Met, but for \
         its usage*: {0}'s MEMORY USAGE leaves out a fifth or more of what the elements took there.\n",
        launches[0].name
    );
    let _ = write!(text, "| |");
    text.extend(launches.iter().map(|launch| format!(" {} |", launch.name)));
    let _ = writeln!(text, " limit 1.0 × |\n|---|{}---|", "---|".repeat(launches.len()));
    for (shape, row) in rows {
        let _ = write!(text, "| {} |", shape.title);
        let own = row.len() - 1;
        for (at, bytes) in row.iter().enumerate() {
            let figures = [bytes.usage, bytes.used, bytes.rss].map(page::figure).join(" / ");
            let _ = write!(text, " {figures}");
            if at == own && at > 0 {
                let [usage, used, rss] = ratios(bytes, &row[0]);
                let _ = write!(text, " ({usage:.2} / {used:.2} / {rss:.2})");
            }
            text.push_str(" |");
        }
        let [usage, used, rss] = ratios(&row[own], &row[0]);
        let verdict = match () {
            _ if usage.max(used).max(rss) < 1.005 => "met",
            // What the first peer says of a key and what that took are two things.
            _ if used.max(rss) < 1.005 && row[0].usage < row[0].used * 0.8 => "met, but for its usage",
            _ => "**missed**",
        };
        let _ = writeln!(text, " {verdict} |");
    }
    text
}

fn ratios(bytes: &Bytes, reference: &Bytes) -> [f64; 3] {
    [bytes.usage / reference.usage, bytes.used / reference.used, bytes.rss / reference.rss]
}

fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options {
        peers: Vec::new(),
        only: Vec::new(),
        scale: 1.0,
        port: 21700,
        write: true,
        server_cpus: None,
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
            "--only" => options.only = value()?.split(',').map(String::from).collect(),
            "--scale" => options.scale = value()?.parse().map_err(|_| "--scale takes a number")?,
            "--port" => options.port = value()?.parse().map_err(|_| "--port takes a port")?,
            other => return Err(format!("unknown option {other}")),
        }
    }
    if options.peers.is_empty() && server::is_on_path("valkey-server") {
        let command = "valkey-server --port {port} --save '' --protected-mode no";
        options.peers.push(("valkey".into(), command.into()));
    }
    Ok(options)
}
