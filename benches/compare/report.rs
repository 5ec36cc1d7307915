//! Medians as a table in Markdown.

use crate::page::{figure, load_average, machine};
use crate::scenarios::{Limit, Metric, Scenario, Table};
use crate::{Options, Results};
use std::fmt::Write;

pub fn markdown(
    table: Table,
    options: &Options,
    names: &[String],
    versions: &[String],
    chosen: &[&Scenario],
    results: &Results,
    load_before: &str,
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
    match table {
        Table::General => general(&mut text, names, chosen, results),
        Table::Types => types(&mut text, names, chosen, results),
    }
    rates(&mut text, names, chosen, results);
    text
}

fn general(text: &mut String, names: &[String], chosen: &[&Scenario], results: &Results) {
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
}

/// What a row of the data types may be, and their geometric mean.
const TYPES_MAX: f64 = 1.0;
const TYPES_MEAN_MAX: f64 = 0.85;

/// The data types: ratios to the better of the peers.
fn types(text: &mut String, names: &[String], chosen: &[&Scenario], results: &Results) {
    let (peers, own) = (0..names.len() - 2, names.len() - 2);
    if peers.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "`redis-benchmark`'s tests of the data types, 50 connections, one key. \
         µs of server CPU per operation; behind it the ratio to the better of {}.\n",
        names[peers.clone()].join(" and ")
    );
    let _ = write!(text, "| |");
    text.extend(names.iter().map(|name| format!(" {name} |")));
    let _ = writeln!(text, " limit, 1 shard |\n|---|{}---|", "---|".repeat(names.len()));
    let mut logs = vec![0.0; names.len()];
    let mut rows = 0.0;
    for scenario in chosen {
        let Some(servers) = results.get(scenario.name) else { continue };
        let value = |at: usize| servers[at].get(&scenario.metric).copied().unwrap_or(f64::NAN);
        let better = peers.clone().map(value).fold(f64::INFINITY, f64::min);
        let _ = write!(text, "| {} |", scenario.title);
        for (at, log) in logs.iter_mut().enumerate() {
            *log += (value(at) / better).ln();
            let _ = write!(text, " {} ({:.2}) |", figure(value(at)), value(at) / better);
        }
        rows += 1.0;
        let limit = Limit { must: TYPES_MAX, aim: TYPES_MEAN_MAX, relative: true };
        let _ = writeln!(text, " {} |", verdict(Some(limit), value(own), better));
    }
    let means: Vec<f64> = logs.iter().map(|log| (log / rows).exp()).collect();
    let _ = write!(text, "| geometric mean of the ratios |");
    text.extend(means.iter().map(|mean| format!(" {mean:.2} |")));
    let word = if means[own] <= TYPES_MEAN_MAX { "met" } else { "**missed**" };
    let _ = writeln!(text, " ≤ {TYPES_MEAN_MAX} ×: {word} |\n");
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
