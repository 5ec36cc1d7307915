//! INFO as text: the session collects `Facts`, `render` writes the sections asked for. Pure.
//!
//! Section names, their order, field names and formats are those of Redis 7.0; a few fields of later
//! versions that tools read are there too. A field that has no meaning here (the AOF's fork, module
//! forks, cluster links, active defragmentation's counters) is left out instead of invented, so
//! every line that is there can be believed. What only we have stands in the section `# Ringdove`.

pub use super::facts::*;
use std::fmt::{Display, Write as _};

/// What clients are told they talk to: the version of Redis whose behaviour is kept.
pub const REDIS_VERSION: &str = "7.0.15";
pub const RINGDOVE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Writes the lines of one section.
type Section = fn(&Facts, &mut Lines<'_>);

/// Sections in the order of the text; those of `default` come with `true`.
const SECTIONS: &[(&str, bool, Section)] = &[
    ("server", true, server),
    ("clients", true, clients),
    ("memory", true, memory),
    ("persistence", true, persistence),
    ("stats", true, stats),
    ("replication", true, replication),
    ("cpu", true, cpu),
    ("modules", true, modules),
    ("commandstats", false, commandstats),
    ("errorstats", true, errorstats),
    ("latencystats", false, latencystats),
    ("cluster", true, cluster),
    ("keyspace", true, keyspace),
    ("ringdove", false, ringdove),
    ("scriptstats", false, scriptstats),
];

/// The text of INFO with these arguments (none: `default`). Unknown names select nothing.
pub fn render(facts: &Facts, sections: &[&str]) -> String {
    let asked = |name: &str| sections.iter().any(|s| s.eq_ignore_ascii_case(name));
    let all = asked("all") || asked("everything");
    let default = sections.is_empty() || asked("default");
    let mut out = String::new();
    for (name, in_default, write) in SECTIONS {
        let alias = *name == "modules" && asked("module_list");
        if all || alias || asked(name) || (default && *in_default) {
            if !out.is_empty() {
                out.push_str("\r\n");
            }
            write(facts, &mut Lines { out: &mut out });
        }
    }
    out
}

/// The end of the text, where lines are added.
struct Lines<'a> {
    out: &'a mut String,
}

impl Lines<'_> {
    fn title(&mut self, title: &str) {
        let _ = write!(self.out, "# {title}\r\n");
    }

    fn field(&mut self, name: &str, value: impl Display) {
        let _ = write!(self.out, "{name}:{value}\r\n");
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.field(name, value as u8);
    }

    fn status(&mut self, name: &str, failed: bool) {
        self.field(name, if failed { "err" } else { "ok" });
    }

    fn fields<T: Display + Copy>(&mut self, fields: &[(&str, T)]) {
        fields.iter().for_each(|(name, value)| self.field(name, value));
    }

    fn two_digits(&mut self, name: &str, value: f64) {
        self.field(name, format_args!("{value:.2}"));
    }

    fn human(&mut self, name: &str, bytes: u64) {
        self.field(name, human(bytes));
    }

    fn seconds(&mut self, name: &str, usec: u64) {
        self.field(name, format_args!("{}.{:06}", usec / 1_000_000, usec % 1_000_000));
    }

    /// `<name>_ratio` and `<name>_bytes`.
    fn beyond(&mut self, name: &str, outer: u64, inner: u64) {
        self.two_digits(&format!("{name}_ratio"), ratio(outer, inner));
        self.field(&format!("{name}_bytes"), outer as i64 - inner as i64);
    }
}

fn server(facts: &Facts, out: &mut Lines<'_>) {
    let s = &facts.server;
    let uptime = facts.now.saturating_sub(s.started) / 1000;
    out.title("Server");
    out.field("redis_version", REDIS_VERSION);
    out.field("ringdove_version", RINGDOVE_VERSION);
    out.field("redis_git_sha1", &s.git_sha1);
    out.field("redis_git_dirty", 0);
    out.field("redis_build_id", &s.build_id);
    out.field("redis_mode", if facts.cluster_enabled { "cluster" } else { "standalone" });
    out.field("os", &s.os);
    out.field("arch_bits", usize::BITS);
    out.field("monotonic_clock", "POSIX clock_gettime");
    out.field("multiplexing_api", "io_uring");
    out.field("process_id", s.process_id);
    out.field("process_supervised", if s.supervised { "systemd" } else { "no" });
    out.field("run_id", &s.run_id);
    out.field("tcp_port", s.tcp_port);
    out.field("server_time_usec", s.now_usec);
    out.field("uptime_in_seconds", uptime);
    out.field("uptime_in_days", uptime / (24 * 3600));
    out.field("hz", s.hz);
    out.field("configured_hz", s.configured_hz);
    out.field("lru_clock", (facts.now / 1000) & 0xff_ffff);
    out.field("executable", &s.executable);
    out.field("config_file", &s.config_file);
    // Every shard does its own input and output; with one there is a single thread, as in Redis.
    out.flag("io_threads_active", s.shards > 1);
    if let Some(ms) = s.shutdown_in_ms {
        out.field("shutdown_in_milliseconds", ms);
    }
}

fn clients(facts: &Facts, out: &mut Lines<'_>) {
    let c = &facts.clients;
    out.title("Clients");
    out.fields(&[
        ("connected_clients", c.connected),
        ("maxclients", c.max),
        ("client_recent_max_input_buffer", c.recent_max_input_buffer),
        ("client_recent_max_output_buffer", c.recent_max_output_buffer),
        ("blocked_clients", c.blocked),
        ("tracking_clients", c.tracking),
        ("pubsub_clients", c.pubsub),
        ("watching_clients", c.watching),
        ("clients_in_timeout_table", c.in_timeout_table),
        ("total_watched_keys", facts.keyspace.watched_keys),
        ("total_blocking_keys", facts.keyspace.blocking_keys),
        ("total_blocking_keys_on_nokey", facts.keyspace.blocking_keys_on_nokey),
    ]);
}

fn memory(facts: &Facts, out: &mut Lines<'_>) {
    let m = &facts.memory;
    out.title("Memory");
    out.field("used_memory", m.used);
    out.human("used_memory_human", m.used);
    let heaps: Vec<String> = facts.keyspace.heaps.iter().map(|(shard, n)| format!("{shard}={n}")).collect();
    out.field("used_memory_shards", heaps.join(","));
    out.field("used_memory_rss", m.rss);
    out.human("used_memory_rss_human", m.rss);
    out.field("used_memory_peak", m.peak());
    out.human("used_memory_peak_human", m.peak());
    out.field("used_memory_peak_perc", format_args!("{:.2}%", m.peak_percent()));
    out.field("used_memory_overhead", facts.overhead());
    out.field("used_memory_startup", m.startup);
    out.field("used_memory_dataset", facts.dataset());
    out.field("used_memory_dataset_perc", format_args!("{:.2}%", facts.dataset_percent()));
    out.field("allocator_allocated", m.allocated);
    out.field("allocator_active", m.active);
    out.field("allocator_resident", m.resident);
    out.field("total_system_memory", m.system);
    out.human("total_system_memory_human", m.system);
    out.field("used_memory_lua", m.lua_vm);
    out.field("used_memory_vm_eval", m.lua_vm);
    out.human("used_memory_lua_human", m.lua_vm);
    out.field("used_memory_scripts_eval", m.lua_caches);
    out.field("number_of_cached_scripts", m.cached_scripts);
    out.field("number_of_functions", m.functions);
    out.field("number_of_libraries", m.libraries);
    out.field("used_memory_vm_functions", m.functions_vm);
    out.field("used_memory_vm_total", m.lua_vm + m.functions_vm);
    out.human("used_memory_vm_total_human", m.lua_vm + m.functions_vm);
    out.field("used_memory_functions", m.functions_caches);
    out.field("used_memory_scripts", m.lua_caches + m.functions_caches);
    out.human("used_memory_scripts_human", m.lua_caches + m.functions_caches);
    out.field("maxmemory", m.maxmemory);
    out.human("maxmemory_human", m.maxmemory);
    out.field("maxmemory_policy", &m.policy);
    // What each layer holds beyond the one within it.
    out.beyond("allocator_frag", m.active, m.allocated);
    out.beyond("allocator_rss", m.resident, m.active);
    out.beyond("rss_overhead", m.rss, m.resident);
    out.beyond("mem_fragmentation", m.rss, m.used);
    out.field("mem_not_counted_for_evict", m.not_counted_for_evict);
    out.field("mem_replication_backlog", m.replication_backlog);
    out.field("mem_total_replication_buffers", m.replication_buffers);
    out.field("mem_clients_slaves", m.clients_replicas);
    out.field("mem_clients_normal", m.clients_normal);
    out.field("mem_aof_buffer", m.aof_buffer);
    out.field("mem_allocator", &m.allocator);
    out.field("active_defrag_running", 0);
    out.field("lazyfree_pending_objects", facts.keyspace.lazyfree_pending);
    out.field("lazyfreed_objects", facts.keyspace.lazyfreed);
}

fn persistence(facts: &Facts, out: &mut Lines<'_>) {
    let p = &facts.persistence;
    let running = p.bgsave_in_progress || p.rewrite_in_progress;
    out.title("Persistence");
    out.flag("loading", p.loading.is_some());
    out.flag("async_loading", false);
    // Snapshots are taken without fork: there are no pages to copy.
    out.field("current_cow_peak", 0);
    out.field("current_cow_size", 0);
    out.field("current_cow_size_age", 0);
    let done = if running { ratio(p.save_keys_processed, p.save_keys_total) * 100.0 } else { 0.0 };
    out.two_digits("current_fork_perc", done);
    out.field("current_save_keys_processed", p.save_keys_processed);
    out.field("current_save_keys_total", p.save_keys_total);
    out.field("rdb_changes_since_last_save", p.changes_since_save);
    out.flag("rdb_bgsave_in_progress", p.bgsave_in_progress);
    out.field("rdb_last_save_time", p.last_save_time);
    out.status("rdb_last_bgsave_status", p.last_bgsave_failed);
    out.field("rdb_last_bgsave_time_sec", or_minus_one(p.last_bgsave_sec));
    out.field("rdb_current_bgsave_time_sec", or_minus_one(p.current_bgsave_sec));
    out.field("rdb_saves", p.saves);
    out.field("rdb_last_cow_size", 0);
    out.field("rdb_last_load_keys_expired", p.last_load_keys_expired);
    out.field("rdb_last_load_keys_loaded", p.last_load_keys_loaded);
    out.flag("aof_enabled", p.aof.is_some());
    out.flag("aof_rewrite_in_progress", p.rewrite_in_progress);
    out.flag("aof_rewrite_scheduled", p.rewrite_scheduled);
    out.field("aof_last_rewrite_time_sec", or_minus_one(p.last_rewrite_sec));
    out.field("aof_current_rewrite_time_sec", or_minus_one(p.current_rewrite_sec));
    out.status("aof_last_bgrewrite_status", p.last_rewrite_failed);
    out.field("aof_rewrites", p.rewrites);
    out.field("aof_rewrites_consecutive_failures", p.rewrite_failures_in_a_row);
    out.status("aof_last_write_status", p.last_write_failed);
    out.field("aof_last_cow_size", 0);
    if let Some(aof) = &p.aof {
        out.field("aof_current_size", aof.current_size);
        out.field("aof_base_size", aof.base_size);
        out.flag("aof_pending_rewrite", p.rewrite_scheduled);
        out.field("aof_buffer_length", aof.buffer_length);
        out.field("aof_pending_bio_fsync", aof.pending_fsyncs);
        out.field("aof_delayed_fsync", aof.delayed_fsyncs);
    }
    if let Some(l) = &p.loading {
        let total = if l.total_bytes > 0 { l.total_bytes } else { l.rdb_used_mem };
        let left = total.saturating_sub(l.loaded_bytes).max(1);
        let eta = if l.elapsed_sec == 0 { 1 } else { l.elapsed_sec * left / (l.loaded_bytes + 1) };
        out.field("loading_start_time", l.start_time);
        out.field("loading_total_bytes", l.total_bytes);
        out.field("loading_rdb_used_mem", l.rdb_used_mem);
        out.field("loading_loaded_bytes", l.loaded_bytes);
        out.two_digits("loading_loaded_perc", (ratio(l.loaded_bytes, total) * 100.0).min(100.0));
        out.field("loading_eta_seconds", eta);
    }
}

fn stats(facts: &Facts, out: &mut Lines<'_>) {
    let (s, k) = (&facts.stats, &facts.keyspace);
    out.title("Stats");
    out.fields(&[
        ("total_connections_received", s.connections_received),
        ("total_commands_processed", s.commands_processed),
        ("instantaneous_ops_per_sec", s.ops_per_sec),
        ("total_net_input_bytes", s.net_input_bytes + s.net_repl_input_bytes),
        ("total_net_output_bytes", s.net_output_bytes + s.net_repl_output_bytes),
        ("total_net_repl_input_bytes", s.net_repl_input_bytes),
        ("total_net_repl_output_bytes", s.net_repl_output_bytes),
    ]);
    out.two_digits("instantaneous_input_kbps", s.input_bytes_per_sec as f64 / 1024.0);
    out.two_digits("instantaneous_output_kbps", s.output_bytes_per_sec as f64 / 1024.0);
    out.two_digits("instantaneous_input_repl_kbps", s.repl_input_bytes_per_sec as f64 / 1024.0);
    out.two_digits("instantaneous_output_repl_kbps", s.repl_output_bytes_per_sec as f64 / 1024.0);
    out.fields(&[
        ("rejected_connections", s.rejected_connections),
        ("sync_full", s.sync_full),
        ("sync_partial_ok", s.sync_partial_ok),
        ("sync_partial_err", s.sync_partial_err),
        ("expired_keys", k.expired),
        ("expired_subkeys", k.expired_fields),
        ("expired_time_cap_reached_count", k.expire_cycles_capped),
        ("expire_cycle_cpu_milliseconds", s.expire_cycle_cpu_ms),
        ("evicted_keys", s.evicted_keys),
        ("evicted_clients", s.evicted_clients),
        ("evicted_scripts", s.evicted_scripts),
        ("total_eviction_exceeded_time", s.total_eviction_exceeded_ms),
        ("current_eviction_exceeded_time", s.current_eviction_exceeded_ms),
        ("keyspace_hits", k.hits),
        ("keyspace_misses", k.misses),
        ("pubsub_channels", s.pubsub_channels),
        ("pubsub_patterns", s.pubsub_patterns),
        ("pubsubshard_channels", s.pubsubshard_channels),
        // Nothing here ever forks.
        ("latest_fork_usec", 0),
        ("total_forks", 0),
        ("tracking_total_keys", s.tracking_keys),
        ("tracking_total_items", s.tracking_items),
        ("tracking_total_prefixes", s.tracking_prefixes),
        ("unexpected_error_replies", s.unexpected_error_replies),
        ("total_error_replies", s.error_replies),
        ("dump_payload_sanitizations", s.dump_payload_sanitizations),
        ("total_reads_processed", s.reads_processed),
        ("total_writes_processed", s.writes_processed),
        ("eventloop_cycles", s.eventloop_cycles),
        ("eventloop_duration_sum", s.eventloop_usec),
        ("eventloop_duration_cmd_sum", s.eventloop_command_usec),
        ("acl_access_denied_auth", s.acl_denied_auth),
        ("acl_access_denied_cmd", s.acl_denied_cmd),
        ("acl_access_denied_key", s.acl_denied_key),
        ("acl_access_denied_channel", s.acl_denied_channel),
    ]);
}

fn replication(facts: &Facts, out: &mut Lines<'_>) {
    let r = &facts.replication;
    out.title("Replication");
    out.field("role", if r.master.is_some() { "slave" } else { "master" });
    if let Some(m) = &r.master {
        out.field("master_host", &m.host);
        out.field("master_port", m.port);
        out.field("master_link_status", if m.link_up { "up" } else { "down" });
        out.field("master_last_io_seconds_ago", or_minus_one(m.last_io_sec));
        out.flag("master_sync_in_progress", m.sync.is_some());
        out.field("slave_read_repl_offset", m.read_offset);
        out.field("slave_repl_offset", m.offset);
        if let Some(sync) = &m.sync {
            out.field("master_sync_total_bytes", sync.total_bytes);
            out.field("master_sync_read_bytes", sync.read_bytes);
            out.field("master_sync_left_bytes", sync.total_bytes as i64 - sync.read_bytes as i64);
            out.two_digits("master_sync_perc", ratio(sync.read_bytes, sync.total_bytes) * 100.0);
            out.field("master_sync_last_io_seconds_ago", sync.last_io_sec);
        }
        if !m.link_up {
            out.field("master_link_down_since_seconds", or_minus_one(m.link_down_sec));
        }
        out.field("slave_priority", m.priority);
        out.flag("slave_read_only", m.read_only);
        out.flag("replica_announced", m.announced);
    }
    out.field("connected_slaves", r.replicas.len());
    if let Some(good) = r.good_replicas {
        out.field("min_slaves_good_slaves", good);
    }
    for (i, s) in r.replicas.iter().enumerate() {
        let line =
            format!("ip={},port={},state={},offset={},lag={}", s.ip, s.port, s.state, s.offset, s.lag_sec);
        out.field(&format!("slave{i}"), line);
    }
    out.field(
        "master_failover_state",
        if r.failover_state.is_empty() { "no-failover" } else { r.failover_state },
    );
    out.field("master_replid", &r.replid);
    out.field("master_replid2", &r.replid2);
    out.field("master_repl_offset", r.offset);
    out.field("second_repl_offset", or_minus_one(r.second_offset));
    out.flag("repl_backlog_active", r.backlog_active);
    out.field("repl_backlog_size", r.backlog_size);
    out.field("repl_backlog_first_byte_offset", r.backlog_first_offset);
    out.field("repl_backlog_histlen", r.backlog_histlen);
}

fn cpu(facts: &Facts, out: &mut Lines<'_>) {
    let c = &facts.cpu;
    out.title("CPU");
    out.seconds("used_cpu_sys", c.sys);
    out.seconds("used_cpu_user", c.user);
    out.seconds("used_cpu_sys_children", c.sys_children);
    out.seconds("used_cpu_user_children", c.user_children);
    if let Some((sys, user)) = c.thread {
        out.seconds("used_cpu_sys_main_thread", sys);
        out.seconds("used_cpu_user_main_thread", user);
    }
}

fn modules(_: &Facts, out: &mut Lines<'_>) {
    out.title("Modules");
}

fn commandstats(facts: &Facts, out: &mut Lines<'_>) {
    out.title("Commandstats");
    for c in facts.commands.iter().filter(|c| c.calls + c.rejected + c.failed > 0) {
        let each = if c.calls == 0 { 0.0 } else { c.usec as f64 / c.calls as f64 };
        let line = format!(
            "calls={},usec={},usec_per_call={each:.2},rejected_calls={},failed_calls={}",
            c.calls, c.usec, c.rejected, c.failed
        );
        out.field(&format!("cmdstat_{}", safe(&c.name)), line);
    }
}

fn errorstats(facts: &Facts, out: &mut Lines<'_>) {
    out.title("Errorstats");
    for (code, count) in &facts.errors {
        out.field(&format!("errorstat_{}", safe(code)), format_args!("count={count}"));
    }
}

fn latencystats(facts: &Facts, out: &mut Lines<'_>) {
    out.title("Latencystats");
    for l in &facts.latencies {
        let values: Vec<String> = l.percentiles.iter().map(|(p, usec)| format!("p{p}={usec:.3}")).collect();
        out.field(&format!("latency_percentiles_usec_{}", safe(&l.name)), values.join(","));
    }
}

fn cluster(facts: &Facts, out: &mut Lines<'_>) {
    out.title("Cluster");
    out.flag("cluster_enabled", facts.cluster_enabled);
}

fn keyspace(facts: &Facts, out: &mut Lines<'_>) {
    out.title("Keyspace");
    for db in &facts.keyspace.dbs {
        let line = format!("keys={},expires={},avg_ttl={}", db.keys, db.expires, db.avg_ttl(facts.now));
        out.field(&format!("db{}", db.index), line);
    }
}

/// How each script and function was run (`SCRIPT STATS`).
fn scriptstats(facts: &Facts, out: &mut Lines<'_>) {
    out.title("Scriptstats");
    for (name, figures) in &facts.scripts {
        let figures: Vec<String> = figures.iter().map(|(what, value)| format!("{what}={value}")).collect();
        out.field(&format!("script_{name}"), figures.join(","));
    }
}

fn ringdove(facts: &Facts, out: &mut Lines<'_>) {
    out.title("Ringdove");
    out.field("ringdove_version", RINGDOVE_VERSION);
    out.field("shards", facts.server.shards);
    facts.own.iter().for_each(|(name, value)| out.field(name, value));
}

/// Bytes in the unit that suits them: `1023B`, `1.50K`, `2.00G`.
pub fn human(bytes: u64) -> String {
    let mut unit = 1024.0;
    for letter in ["K", "M", "G", "T", "P"] {
        if bytes < 1024 {
            break;
        }
        if (bytes as f64) < unit * 1024.0 {
            return format!("{:.2}{letter}", bytes as f64 / unit);
        }
        unit *= 1024.0;
    }
    format!("{bytes}B")
}

pub fn ratio(of: u64, to: u64) -> f64 {
    if to == 0 { 0.0 } else { of as f64 / to as f64 }
}

fn or_minus_one(n: Option<u64>) -> i64 {
    n.map_or(-1, |n| n as i64)
}

/// A name that cannot be taken for the end of its field.
fn safe(name: &str) -> String {
    name.replace(['#', ':', '\n', '\r'], "_")
}
