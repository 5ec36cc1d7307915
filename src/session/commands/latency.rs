//! LATENCY: spikes over `latency-monitor-threshold`, and how long calls of each command took.

use super::client::help;
use super::{Caller, SessionRun, info};
use crate::command::{CommandId, Error, Looked};
use crate::resp::Args;
use crate::session::Spikes;
use crate::shard::histogram::bucket_end;
use std::fmt::Write as _;

pub const HANDLERS: &[(&str, SessionRun)] = &[
    ("latency|doctor", SessionRun::Home(doctor)),
    ("latency|graph", SessionRun::Home(graph)),
    ("latency|help", SessionRun::Home(help)),
    ("latency|histogram", SessionRun::Home(histogram)),
    ("latency|history", SessionRun::Home(history)),
    ("latency|latest", SessionRun::Home(latest)),
    ("latency|reset", SessionRun::Home(reset)),
];

fn latest(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    let events = c.node.latency.events();
    c.reply.array(events.len());
    for (event, spikes) in events {
        let last = spikes.samples.back().copied();
        c.reply.array(4);
        c.reply.bulk(event.as_bytes());
        c.reply.integer(last.map_or(0, |s| s.unix_seconds) as i64);
        c.reply.integer(last.map_or(0, |s| s.millis) as i64);
        c.reply.integer(spikes.millis_max as i64);
    }
    Ok(())
}

fn history(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    let samples = c.node.latency.event(args.at(2)).map(|(_, spikes)| spikes.samples).unwrap_or_default();
    c.reply.array(samples.len());
    for sample in samples {
        c.reply.array(2);
        c.reply.integer(sample.unix_seconds as i64);
        c.reply.integer(sample.millis as i64);
    }
    Ok(())
}

fn reset(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    let latency = &c.node.latency;
    let forgotten = match args.len() {
        2 => latency.reset(None),
        _ => args.iter().skip(2).map(|event| latency.reset(Some(event))).sum(),
    };
    c.reply.integer(forgotten as i64);
    Ok(())
}

fn doctor(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    let events = c.node.latency.events();
    let mut text = String::new();
    if c.settings.latency_monitor_threshold <= 0 {
        text.push_str("Nothing is watched: CONFIG SET latency-monitor-threshold <milliseconds> begins.\n");
    } else if events.is_empty() {
        text.push_str("No command has taken as long as latency-monitor-threshold.\n");
    }
    for (event, spikes) in events {
        let sum: u64 = spikes.samples.iter().map(|s| s.millis).sum();
        let count = spikes.samples.len().max(1) as u64;
        let _ = writeln!(
            text,
            "{event}: {count} seconds with a spike, {} ms on average, {} ms at most. SLOWLOG GET shows which commands.",
            sum / count,
            spikes.millis_max
        );
    }
    c.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn graph(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    let Some((event, spikes)) = c.node.latency.event(args.at(2)) else {
        let event = String::from_utf8_lossy(args.at(2));
        return Err(Error::owned(format!("ERR No samples available for event '{event}'")));
    };
    c.reply.verbatim("txt", picture(event, &spikes, c.now / 1000).as_bytes());
    Ok(())
}

const COLUMNS: usize = 80;

/// The last spikes as bars, a line each, the newest first.
fn picture(event: &str, spikes: &Spikes, now_seconds: u64) -> String {
    let millis = || spikes.samples.iter().map(|s| s.millis);
    let (high, low) = (millis().max().unwrap_or(0), millis().min().unwrap_or(0));
    let mut text =
        format!("{event} - high {high} ms, low {low} ms (all time high {} ms)\n", spikes.millis_max);
    text.push_str(&"-".repeat(COLUMNS));
    text.push('\n');
    for sample in spikes.samples.iter().rev() {
        let ago = match now_seconds.saturating_sub(sample.unix_seconds) {
            s @ ..60 => format!("{s}s"),
            s @ 60..3600 => format!("{}m", s / 60),
            s @ 3600..86_400 => format!("{}h", s / 3600),
            s => format!("{}d", s / 86_400),
        };
        let bar = (sample.millis as usize * (COLUMNS - 20)).div_ceil(high.max(1) as usize);
        let _ = writeln!(text, "{ago:>4} {:>8} ms {}", sample.millis, "#".repeat(bar));
    }
    text
}

/// LATENCY HISTOGRAM [command ...]: calls that took at most so many microseconds, cumulative.
fn histogram(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    let table = &c.node.table;
    let mut wanted: Vec<CommandId> = Vec::new();
    if args.len() == 2 {
        wanted.extend(table.rows().map(|(id, _)| id));
    }
    for name in args.iter().skip(2) {
        let mut words = name.splitn(2, |b| *b == b'|');
        let (name, sub) = (words.next().unwrap_or_default(), words.next());
        if let Looked::Found(id) = table.look_up(name, sub) {
            wanted.push(id);
            wanted.extend(table.row(id).subcommands());
        }
    }
    let mark = c.reply.mark();
    let mut shown = 0;
    for id in wanted.into_iter().filter(|id| !table.row(*id).is_inner) {
        let counts = info::latencies(c.node, id);
        let calls: u64 = counts.iter().sum();
        if calls > 0 {
            shown += 1;
            c.reply.bulk(table.row(id).full_name.as_bytes());
            write_distribution(c, &counts, calls);
        }
    }
    c.reply.map_at(mark, shown);
    Ok(())
}

/// Steps double from 1,024 ns, and end where a histogram of two significant digits ends its bucket, as
/// Redis has it (1, 2, 4, 8, 16, 33, 66 ... microseconds).
fn write_distribution(c: &mut Caller<'_>, counts: &[u64], calls: u64) {
    let ticks_per_nano = c.node.facts.ticks_per_micro / 1000.0;
    c.reply.map(2);
    c.reply.bulk(b"calls");
    c.reply.integer(calls as i64);
    c.reply.bulk(b"histogram_usec");
    let mark = c.reply.mark();
    let (mut steps, mut before, mut bucket, mut sum) = (0, 0, 0, 0);
    for doubling in 0..64 - 11 {
        let nanos = 1024u64 << doubling;
        let end = nanos + (nanos >> 7) - 1;
        while bucket < counts.len() && bucket_end(bucket) as f64 <= end as f64 * ticks_per_nano {
            sum += counts[bucket];
            bucket += 1;
        }
        if sum > before {
            c.reply.integer((end / 1000) as i64);
            c.reply.integer(sum as i64);
            steps += 1;
            before = sum;
        }
        if sum == calls {
            break;
        }
    }
    c.reply.map_at(mark, steps);
}
