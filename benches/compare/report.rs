//! Medians as a table in Markdown, and that table into `docs/performance.md`.

use crate::scenarios::{Limit, Metric, Scenario};
use crate::{Options, Results};
use std::fmt::Write;
use std::path::Path;

const FILE: &str = "docs/performance.md";
const BEGIN: &str = "<!-- written by cargo bench --bench compare: begin -->";
const END: &str = "<!-- written by cargo bench --bench compare: end -->";

pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

pub fn load_average() -> String {
    let line = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    line.split(' ').next().unwrap_or("?").to_string()
}

fn machine() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpuinfo.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(':').nth(1));
    let cpus = std::thread::available_parallelism().map_or(0, |n| n.get());
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cpus} × {}, Linux {}", model.unwrap_or("unknown CPU").trim(), kernel.trim())
}

pub fn markdown(
    options: &Options,
    names: &[String],
    versions: &[String],
    chosen: &[&Scenario],
    results: &Results,
    load_before: String,
) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "Machine: {}. Load average {load_before} before the run, {} after it.",
        machine(),
        load_average()
    );
    let listed: Vec<String> =
        names.iter().zip(versions).map(|(name, version)| format!("{name}: {version}")).collect();
    let _ = writeln!(
        text,
        "Servers: {}. {} rounds, interleaved, medians; load from the same machine over loopback.\n",
        listed.join("; "),
        options.rounds
    );
    let _ = writeln!(
        text,
        "µs of server CPU per operation unless the row says otherwise; behind it the ratio to {}.\n",
        names[0]
    );
    let _ = write!(text, "| |");
    text.extend(names.iter().map(|name| format!(" {name} |")));
    let _ = writeln!(text, " limit, 1 shard | limit, 2 shards |");
    let _ = writeln!(text, "|---|{}---|---|", "---|".repeat(names.len()));
    for scenario in chosen {
        let Some(servers) = results.get(scenario.name) else { continue };
        let value = |at: usize| servers[at].get(&scenario.metric).copied().unwrap_or(f64::NAN);
        let reference = value(0);
        let _ = write!(text, "| {} |", scenario.title);
        for at in 0..names.len() {
            let _ = match at {
                0 => write!(text, " {} |", figure(value(at))),
                _ if scenario.metric == Metric::Share => write!(text, " {} |", figure(value(at))),
                _ => write!(text, " {} ({:.2}) |", figure(value(at)), value(at) / reference),
            };
        }
        for (limit, at) in scenario.limits.iter().zip([names.len() - 2, names.len() - 1]) {
            let _ = write!(text, " {} |", verdict(*limit, value(at), reference));
        }
        text.push('\n');
    }
    text.push('\n');
    rates(&mut text, names, chosen, results);
    text
}

/// What the load generator saw beside it: operations per second and waiting times.
fn rates(text: &mut String, names: &[String], chosen: &[&Scenario], results: &Results) {
    let _ = writeln!(
        text,
        "What the clients saw in the same runs (the load generator takes its part of the same cores):\n"
    );
    let _ = write!(text, "| |");
    text.extend(names.iter().map(|name| format!(" {name} |")));
    let _ = writeln!(text, "\n|---|{}", "---|".repeat(names.len()));
    for scenario in chosen {
        let Some(servers) = results.get(scenario.name) else { continue };
        let shown: Vec<String> = servers.iter().map(seen).collect();
        if shown.iter().any(|cell| !cell.is_empty()) {
            let _ = writeln!(text, "| {} | {} |", scenario.name, shown.join(" | "));
        }
    }
}

fn seen(metrics: &std::collections::BTreeMap<Metric, f64>) -> String {
    let mut parts = Vec::new();
    if let Some(rate) = metrics.get(&Metric::Rate) {
        parts.push(format!("{:.0} k/s", rate / 1000.0));
    }
    if let (Some(p50), Some(p99)) = (metrics.get(&Metric::P50), metrics.get(&Metric::P99)) {
        parts.push(format!("p50 {p50:.3}, p99 {p99:.3} ms"));
    }
    if let Some(p999) = metrics.get(&Metric::P999) {
        parts.push(format!("p99.9 {p999:.2} ms"));
    }
    parts.join(", ")
}

fn verdict(limit: Option<Limit>, value: f64, reference: f64) -> String {
    let Some(limit) = limit else { return String::new() };
    let got = if limit.relative { value / reference } else { value };
    let word = match () {
        _ if got.is_nan() => "not measured",
        _ if got <= limit.aim => "aim met",
        _ if got <= limit.must => "met",
        _ => "**missed**",
    };
    let times = if limit.relative { " ×" } else { "" };
    format!("≤ {}{times}, aim {}{times}: {word}", limit.must, limit.aim)
}

fn figure(value: f64) -> String {
    match value.abs() {
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Replaces what stands between the marks.
pub fn write(text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{FILE}: {error}"));
    let (Some(begin), Some(end)) = (page.find(BEGIN), page.find(END)) else {
        return eprintln!("{FILE} has no place for the table: nothing written");
    };
    let page = format!("{}\n\n{text}\n{}", &page[..begin + BEGIN.len()], &page[end..]);
    std::fs::write(&path, page).unwrap_or_else(|error| panic!("{FILE}: {error}"));
    println!("{FILE} has the table now");
}
