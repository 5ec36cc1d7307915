//! INFO and its relatives: sums what the shards contributed and adds what the process knows.
//!
//! Counters only grow, each written by its own thread; CONFIG RESETSTAT keeps their values of that
//! moment as the baseline that INFO takes off.

use super::{Caller, SessionRun};
use crate::command::facts::*;
use crate::command::{CommandId, Error, info, memory};
use crate::resp::Args;
use crate::session::{Node, Subject};
use crate::shard::Tally;
use crate::shard::histogram::bucket_end;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

pub const HANDLERS: &[(&str, SessionRun)] = &[
    ("info", SessionRun::Merge(info)),
    ("memory|doctor", SessionRun::Home(memory_doctor)),
    ("memory|stats", SessionRun::Merge(memory_stats)),
];

/// Values of the counters at the last CONFIG RESETSTAT, taken off what INFO reports.
#[derive(Default)]
pub struct Baseline {
    counters: Counters,
    keyspace: ShardFacts,
    /// By command: calls, ticks, rejected, failed.
    commands: Vec<[u64; 4]>,
    /// Of commands that had been called.
    latencies: BTreeMap<CommandId, Vec<u64>>,
}

/// Counters of the shards' threads, added up.
#[derive(Clone, Default)]
struct Counters {
    processed: u64,
    connections: u64,
    rejected: u64,
    bytes_in: u64,
    bytes_out: u64,
    errors: u64,
    turns: u64,
    forwarded: u64,
    borrowed: u64,
    holds: u64,
    pops_returned: u64,
}

impl Counters {
    fn now(node: &Node) -> Counters {
        Counters {
            processed: node.sum(|t| t.processed.get()),
            connections: node.sum(|t| t.connections_received.get()),
            rejected: node.sum(|t| t.connections_rejected.get()),
            bytes_in: node.sum(|t| t.bytes_in.get()),
            bytes_out: node.sum(|t| t.bytes_out.get()),
            errors: node.sum(|t| t.error_replies.get()),
            turns: node.sum(|t| t.turns.get()),
            forwarded: node.sum(|t| t.forwarded.get()),
            borrowed: node.sum(|t| t.borrowed.get()),
            holds: node.sum(|t| t.holds.get()),
            pops_returned: node.sum(|t| t.pops_returned.get()),
        }
    }

    fn since(&self, then: &Counters) -> Counters {
        Counters {
            processed: self.processed.saturating_sub(then.processed),
            connections: self.connections.saturating_sub(then.connections),
            rejected: self.rejected.saturating_sub(then.rejected),
            bytes_in: self.bytes_in.saturating_sub(then.bytes_in),
            bytes_out: self.bytes_out.saturating_sub(then.bytes_out),
            errors: self.errors.saturating_sub(then.errors),
            turns: self.turns.saturating_sub(then.turns),
            forwarded: self.forwarded.saturating_sub(then.forwarded),
            borrowed: self.borrowed.saturating_sub(then.borrowed),
            holds: self.holds.saturating_sub(then.holds),
            pops_returned: self.pops_returned.saturating_sub(then.pops_returned),
        }
    }
}

/// CONFIG RESETSTAT.
pub fn reset_stat(c: &mut Caller<'_>, _: Args<'_>, payloads: &[&[u8]]) -> Result<(), Error> {
    let node = c.node;
    let ids = (0..node.table.len()).map(|id| id as CommandId);
    let baseline = Baseline {
        counters: Counters::now(node),
        keyspace: keyspace(payloads),
        commands: ids.clone().map(|id| command_counts(node, id)).collect(),
        latencies: ids
            .map(|id| (id, latency_counts(node, id)))
            .filter(|(_, counts)| !counts.is_empty())
            .collect(),
    };
    *node.baseline.lock().unwrap_or_else(|e| e.into_inner()) = baseline;
    node.errors.reset();
    c.reply.ok();
    Ok(())
}

fn keyspace(payloads: &[&[u8]]) -> ShardFacts {
    ShardFacts::sum(payloads.iter().copied()).unwrap_or_default()
}

fn info(c: &mut Caller<'_>, args: Args<'_>, payloads: &[&[u8]]) -> Result<(), Error> {
    let sections: Vec<String> =
        args.iter().skip(1).map(|s| String::from_utf8_lossy(s).into_owned()).collect();
    let sections: Vec<&str> = sections.iter().map(String::as_str).collect();
    // The histograms are read only if they are shown: there are kilobytes of them for each command.
    let latency_shown =
        |s: &&str| ["latencystats", "all", "everything"].iter().any(|name| s.eq_ignore_ascii_case(name));
    let with_latencies = c.settings.latency_tracking && sections.iter().any(latency_shown);
    let facts = facts(c, keyspace(payloads), with_latencies);
    c.reply.verbatim("txt", info::render(&facts, &sections).as_bytes());
    Ok(())
}

fn memory_stats(c: &mut Caller<'_>, _: Args<'_>, payloads: &[&[u8]]) -> Result<(), Error> {
    let facts = facts(c, keyspace(payloads), false);
    memory::stats(&facts, &mut c.reply);
    Ok(())
}

fn memory_doctor(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    let facts = facts(c, ShardFacts::default(), false);
    c.reply.verbatim("txt", memory::doctor(&facts).as_bytes());
    Ok(())
}

/// What came to this shard on its way while RESETSTAT ran may be older than the baseline.
fn take(now: &mut u64, before: u64) {
    *now = now.saturating_sub(before);
}

fn facts(c: &Caller<'_>, mut keyspace: ShardFacts, with_latencies: bool) -> Facts {
    let node = c.node;
    let process = node.process();
    let baseline = node.baseline.lock().unwrap_or_else(|e| e.into_inner());
    let counters = Counters::now(node).since(&baseline.counters);
    let in_doubt = node.sum(|t| t.pops_in_doubt.get() + t.ends_in_doubt.get());
    take(&mut keyspace.hits, baseline.keyspace.hits);
    take(&mut keyspace.misses, baseline.keyspace.misses);
    take(&mut keyspace.expired, baseline.keyspace.expired);
    take(&mut keyspace.expired_fields, baseline.keyspace.expired_fields);
    take(&mut keyspace.expire_cycles_capped, baseline.keyspace.expire_cycles_capped);
    take(&mut keyspace.lazyfreed, baseline.keyspace.lazyfreed);
    Facts {
        now: c.now,
        server: server(c),
        clients: clients(c),
        memory: memory(c, &process),
        persistence: persistence(node, &keyspace, c.now / 1000),
        stats: StatFacts {
            connections_received: counters.connections,
            commands_processed: counters.processed,
            ops_per_sec: node.ops_per_sec.load(Relaxed),
            net_input_bytes: counters.bytes_in,
            net_output_bytes: counters.bytes_out,
            input_bytes_per_sec: node.input_kbps.load(Relaxed),
            output_bytes_per_sec: node.output_kbps.load(Relaxed),
            rejected_connections: counters.rejected,
            error_replies: counters.errors,
            eventloop_cycles: counters.turns,
            eventloop_command_usec: micros(
                node,
                (0..node.table.len())
                    .map(|id| {
                        let [_, ticks, ..] = command_counts(node, id as CommandId);
                        ticks.saturating_sub(baseline.commands.get(id).map_or(0, |b| b[1]))
                    })
                    .sum(),
            ),
            tracking_keys: keyspace.tracked_keys,
            tracking_items: keyspace.tracked_items,
            tracking_prefixes: node.trackers.prefixes(),
            pubsub_channels: node.registry.count(Subject::Channel),
            pubsub_patterns: node.registry.count(Subject::Pattern),
            pubsubshard_channels: node.registry.count(Subject::ShardChannel),
            ..StatFacts::default()
        },
        replication: ReplicationFacts {
            replid: node.facts.run_id.clone(),
            replid2: "0".repeat(40),
            backlog_size: c.settings.repl_backlog_size,
            ..ReplicationFacts::default()
        },
        cpu: CpuFacts {
            sys: process.cpu_sys,
            user: process.cpu_user,
            sys_children: process.cpu_sys_children,
            user_children: process.cpu_user_children,
            thread: process.cpu_thread,
        },
        commands: commands(node, &baseline),
        errors: node.errors.snapshot(),
        latencies: if with_latencies { latency_rows(c, &baseline) } else { Vec::new() },
        cluster_enabled: false,
        keyspace,
        scripts: node.script_figures(),
        own: vec![
            ("commands_forwarded", counters.forwarded.to_string()),
            ("commands_borrowed", counters.borrowed.to_string()),
            ("transactions_held", counters.holds.to_string()),
            ("blocked_pop_returned", counters.pops_returned.to_string()),
            ("blocked_pop_in_doubt", in_doubt.to_string()),
        ],
    }
}

fn server(c: &Caller<'_>) -> ServerFacts {
    let facts = &c.node.facts;
    ServerFacts {
        os: facts.os.clone(),
        git_sha1: "00000000".into(),
        build_id: "0".into(),
        process_id: facts.pid,
        supervised: false,
        run_id: facts.run_id.clone(),
        tcp_port: c.settings.port,
        started: facts.started,
        now_usec: c.now_micros,
        hz: c.settings.hz as u64,
        configured_hz: c.settings.hz as u64,
        executable: facts.executable.clone(),
        config_file: facts.config_file.clone(),
        shards: c.node.shards() as u64,
        shutdown_in_ms: None,
    }
}

fn clients(c: &Caller<'_>) -> ClientFacts {
    let most = |counter: fn(&Tally) -> u64| c.node.tallies.iter().map(counter).max().unwrap_or(0);
    ClientFacts {
        connected: c.node.sum(|t| t.connected.get()),
        max: c.settings.maxclients as u64,
        recent_max_input_buffer: most(|t| t.largest_input.get()),
        recent_max_output_buffer: most(|t| t.largest_output.get()),
        blocked: c.node.sum(|t| t.blocked.get()) + c.node.waiting(),
        in_timeout_table: c.node.sum(|t| t.in_timeout_table.get()),
        watching: c.node.sum(|t| t.watching.get()),
        pubsub: c.node.sum(|t| t.subscribed.get()),
        tracking: c.node.trackers.clients(),
    }
}

fn memory(c: &Caller<'_>, process: &crate::session::Process) -> MemoryFacts {
    let node = c.node;
    let used = crate::structure::heap::used();
    node.used_memory_peak.fetch_max(used, Relaxed);
    let (cached_scripts, lua_caches) = node.scripts.counts();
    let libraries = node.scripts.libraries();
    let (library_count, functions) = libraries.counts();
    MemoryFacts {
        used,
        rss: process.rss,
        peak: node.used_memory_peak.load(Relaxed),
        startup: node.facts.startup_memory,
        allocated: used,
        // The allocator tells neither what it holds nor what of it is resident: the process's own share
        // is all there is to see.
        active: process.rss.max(used),
        resident: process.rss.max(used),
        system: node.facts.total_system_memory,
        // One Lua state of a shard runs scripts and functions.
        lua_vm: node.scripts.memory() as u64,
        lua_caches: lua_caches as u64,
        cached_scripts: cached_scripts as u64,
        functions_caches: libraries.memory() as u64,
        functions: functions as u64,
        libraries: library_count as u64,
        maxmemory: c.settings.maxmemory,
        policy: String::from_utf8_lossy(&setting(c, "maxmemory-policy")).into_owned(),
        clients_normal: node.sum(|t| t.client_bytes.get()),
        allocator: "mimalloc".into(),
        ..MemoryFacts::default()
    }
}

fn setting(c: &Caller<'_>, name: &str) -> Vec<u8> {
    crate::config::get(c.settings, &[name]).pop().map(|(_, value)| value).unwrap_or_default()
}

fn persistence(node: &Node, keyspace: &ShardFacts, now_seconds: u64) -> PersistenceFacts {
    let snapshots = &node.snapshots;
    let size = node.journal_bytes.load(Relaxed);
    PersistenceFacts {
        loading: node.loading.load(Acquire).then(LoadingFacts::default),
        changes_since_save: snapshots.unsaved(keyspace.dirty),
        last_save_time: snapshots.last_save(),
        bgsave_in_progress: snapshots.under_way().is_some(),
        current_bgsave_sec: snapshots.under_way().map(|since| now_seconds.saturating_sub(since)),
        last_bgsave_failed: snapshots.failed(),
        last_bgsave_sec: snapshots.took(),
        saves: snapshots.saves(),
        last_load_keys_loaded: snapshots.keys_loaded.load(Relaxed),
        last_load_keys_expired: snapshots.keys_expired.load(Relaxed),
        aof: node.journal.is_on().then(|| AofFacts {
            current_size: size,
            base_size: node.base_bytes.load(Relaxed),
            ..AofFacts::default()
        }),
        rewrites: node.rewrites.load(Relaxed),
        last_rewrite_failed: node.rewrite_failed.load(Relaxed),
        last_write_failed: !node.journal_error().is_empty(),
        ..PersistenceFacts::default()
    }
}

fn command_counts(node: &Node, id: CommandId) -> [u64; 4] {
    let sum = |count: fn(&crate::shard::CommandTally) -> u64| node.sum(|t| count(&t.commands[id as usize]));
    [sum(|c| c.calls.get()), sum(|c| c.ticks.get()), sum(|c| c.rejected.get()), sum(|c| c.failed.get())]
}

fn micros(node: &Node, ticks: u64) -> u64 {
    (ticks as f64 / node.facts.ticks_per_micro.max(f64::MIN_POSITIVE)) as u64
}

/// Rows by name; what DEBUG does with keys counts as DEBUG.
fn commands(node: &Node, baseline: &Baseline) -> Vec<CommandFacts> {
    let mut rows: Vec<CommandFacts> = Vec::new();
    for (id, row) in node.table.rows() {
        let mut counts = command_counts(node, id);
        if let Some(before) = baseline.commands.get(id as usize) {
            counts.iter_mut().zip(before).for_each(|(now, before)| take(now, *before));
        }
        let [calls, ticks, rejected, failed] = counts;
        let usec = micros(node, ticks);
        match rows.last_mut() {
            Some(shown) if row.is_inner => {
                shown.calls += calls;
                shown.usec += usec;
                shown.rejected += rejected;
                shown.failed += failed;
            }
            _ => rows.push(CommandFacts { name: row.full_name.clone(), calls, usec, rejected, failed }),
        }
    }
    rows
}

fn latency_counts(node: &Node, id: CommandId) -> Vec<u64> {
    let mut counts = Vec::new();
    node.tallies.iter().for_each(|t| t.commands[id as usize].latency.add_to(&mut counts));
    counts
}

fn latencies_since(node: &Node, id: CommandId, baseline: &Baseline) -> Vec<u64> {
    let mut counts = latency_counts(node, id);
    if let Some(before) = baseline.latencies.get(&id) {
        counts.iter_mut().zip(before).for_each(|(now, before)| take(now, *before));
    }
    counts
}

/// Calls of a command by how many ticks they took (`histogram::bucket_end`), since the last RESETSTAT.
pub fn latencies(node: &Node, id: CommandId) -> Vec<u64> {
    latencies_since(node, id, &node.baseline.lock().unwrap_or_else(|e| e.into_inner()))
}

fn latency_rows(c: &Caller<'_>, baseline: &Baseline) -> Vec<LatencyFacts> {
    let node = c.node;
    let rows = node.table.rows().filter(|(_, row)| !row.is_inner);
    rows.filter_map(|(id, row)| {
        let counts = latencies_since(node, id, baseline);
        let calls: u64 = counts.iter().sum();
        let wanted = &c.settings.latency_tracking_info_percentiles;
        let percentiles = wanted.iter().map(|p| (*p, percentile_micros(node, &counts, calls, *p))).collect();
        (calls > 0).then(|| LatencyFacts { name: row.full_name.clone(), percentiles })
    })
    .collect()
}

/// Within how many microseconds this share of the calls ended.
fn percentile_micros(node: &Node, counts: &[u64], calls: u64, percentile: f64) -> f64 {
    let rank = ((percentile / 100.0 * calls as f64).ceil() as u64).clamp(1, calls.max(1));
    let mut sum = 0;
    let bucket = counts.iter().position(|n| {
        sum += n;
        sum >= rank
    });
    bucket_end(bucket.unwrap_or(0)) as f64 / node.facts.ticks_per_micro.max(f64::MIN_POSITIVE)
}
