//! What INFO and MEMORY STATS are made of: plain data that the session collects from wherever it
//! lies (settings, counters of the sessions, shards, journal, replication) and that `info` and
//! `memory` only write down. A default is the state of a server that has just begun.

pub use super::shard_facts::{DbFacts, ShardFacts};
use crate::base::Millis;

/// Everything INFO can tell, at one moment.
#[derive(Clone, Default, Debug)]
pub struct Facts {
    pub now: Millis,
    pub server: ServerFacts,
    pub clients: ClientFacts,
    pub memory: MemoryFacts,
    pub persistence: PersistenceFacts,
    pub stats: StatFacts,
    pub replication: ReplicationFacts,
    pub cpu: CpuFacts,
    /// Commands that have been called or refused, in any order.
    pub commands: Vec<CommandFacts>,
    /// Error codes with how often they were answered, in alphabetical order.
    pub errors: Vec<(String, u64)>,
    /// Empty when `latency-tracking` is off.
    pub latencies: Vec<LatencyFacts>,
    pub cluster_enabled: bool,
    /// The sum over all shards.
    pub keyspace: ShardFacts,
    /// Lines of `# Ringdove`: names and values.
    pub own: Vec<(&'static str, String)>,
    /// Scripts and functions that were called, each with its figures.
    pub scripts: Vec<(String, Vec<(&'static str, String)>)>,
}

#[derive(Clone, Default, Debug)]
pub struct ServerFacts {
    /// `Linux 6.1.0 x86_64`.
    pub os: String,
    /// Eight hexadecimal digits of the commit, or zeros.
    pub git_sha1: String,
    pub build_id: String,
    pub process_id: u32,
    pub supervised: bool,
    pub run_id: String,
    pub tcp_port: u16,
    pub started: Millis,
    pub now_usec: u64,
    pub hz: u64,
    pub configured_hz: u64,
    pub executable: String,
    pub config_file: String,
    pub shards: u64,
    pub shutdown_in_ms: Option<u64>,
}

#[derive(Clone, Default, Debug)]
pub struct ClientFacts {
    pub connected: u64,
    pub max: u64,
    pub recent_max_input_buffer: u64,
    pub recent_max_output_buffer: u64,
    pub blocked: u64,
    pub tracking: u64,
    pub pubsub: u64,
    /// Clients, not (client, shard) pairs: only the sessions know.
    pub watching: u64,
    pub in_timeout_table: u64,
}

/// Bytes, unless it says otherwise.
#[derive(Clone, Default, Debug)]
pub struct MemoryFacts {
    pub used: u64,
    pub rss: u64,
    pub peak: u64,
    pub startup: u64,
    /// Handed out, held from the system, and resident, as the allocator counts.
    pub allocated: u64,
    pub active: u64,
    pub resident: u64,
    pub system: u64,
    pub lua_vm: u64,
    pub lua_caches: u64,
    pub cached_scripts: u64,
    pub functions_vm: u64,
    pub functions_caches: u64,
    pub functions: u64,
    pub libraries: u64,
    pub maxmemory: u64,
    pub policy: String,
    pub not_counted_for_evict: u64,
    pub replication_backlog: u64,
    pub replication_buffers: u64,
    pub clients_replicas: u64,
    pub clients_normal: u64,
    pub aof_buffer: u64,
    /// `mimalloc-2.1.7`.
    pub allocator: String,
}

impl MemoryFacts {
    pub fn peak(&self) -> u64 {
        self.peak.max(self.used)
    }

    pub fn peak_percent(&self) -> f64 {
        super::info::ratio(self.used, self.peak()) * 100.0
    }

    /// What has been added since start.
    pub fn net_usage(&self) -> u64 {
        self.used.saturating_sub(self.startup).max(1)
    }
}

impl Facts {
    /// Bytes that are not keys and values.
    pub fn overhead(&self) -> u64 {
        let m = &self.memory;
        m.startup
            + m.replication_backlog
            + m.clients_replicas
            + m.clients_normal
            + m.aof_buffer
            + m.lua_caches
            + m.functions_caches
            + self.keyspace.tables_bytes()
    }

    pub fn dataset(&self) -> u64 {
        self.memory.used.saturating_sub(self.overhead())
    }

    pub fn dataset_percent(&self) -> f64 {
        self.dataset() as f64 * 100.0 / self.memory.net_usage() as f64
    }
}

/// Times are whole seconds; `None` where nothing runs or ever ran.
#[derive(Clone, Default, Debug)]
pub struct PersistenceFacts {
    pub loading: Option<LoadingFacts>,
    pub save_keys_processed: u64,
    pub save_keys_total: u64,
    pub changes_since_save: u64,
    pub bgsave_in_progress: bool,
    pub last_save_time: u64,
    pub last_bgsave_failed: bool,
    pub last_bgsave_sec: Option<u64>,
    pub current_bgsave_sec: Option<u64>,
    pub saves: u64,
    pub last_load_keys_expired: u64,
    pub last_load_keys_loaded: u64,
    pub aof: Option<AofFacts>,
    pub rewrite_in_progress: bool,
    pub rewrite_scheduled: bool,
    pub last_rewrite_sec: Option<u64>,
    pub current_rewrite_sec: Option<u64>,
    pub last_rewrite_failed: bool,
    pub rewrites: u64,
    pub rewrite_failures_in_a_row: u64,
    pub last_write_failed: bool,
}

/// Present while `appendonly` is on.
#[derive(Clone, Default, Debug)]
pub struct AofFacts {
    pub current_size: u64,
    pub base_size: u64,
    pub buffer_length: u64,
    pub pending_fsyncs: u64,
    pub delayed_fsyncs: u64,
}

/// Present while a data set is being read at start.
#[derive(Clone, Default, Debug)]
pub struct LoadingFacts {
    pub start_time: u64,
    pub elapsed_sec: u64,
    pub total_bytes: u64,
    /// The memory the file says it took when it was saved.
    pub rdb_used_mem: u64,
    pub loaded_bytes: u64,
}

#[derive(Clone, Default, Debug)]
pub struct StatFacts {
    pub connections_received: u64,
    pub commands_processed: u64,
    pub ops_per_sec: u64,
    pub net_input_bytes: u64,
    pub net_output_bytes: u64,
    pub net_repl_input_bytes: u64,
    pub net_repl_output_bytes: u64,
    pub input_bytes_per_sec: u64,
    pub output_bytes_per_sec: u64,
    pub repl_input_bytes_per_sec: u64,
    pub repl_output_bytes_per_sec: u64,
    pub rejected_connections: u64,
    pub sync_full: u64,
    pub sync_partial_ok: u64,
    pub sync_partial_err: u64,
    pub expire_cycle_cpu_ms: u64,
    pub evicted_keys: u64,
    pub evicted_clients: u64,
    pub evicted_scripts: u64,
    pub total_eviction_exceeded_ms: u64,
    pub current_eviction_exceeded_ms: u64,
    pub pubsub_channels: u64,
    pub pubsub_patterns: u64,
    pub pubsubshard_channels: u64,
    pub tracking_keys: u64,
    pub tracking_items: u64,
    pub tracking_prefixes: u64,
    pub unexpected_error_replies: u64,
    pub error_replies: u64,
    pub dump_payload_sanitizations: u64,
    pub reads_processed: u64,
    pub writes_processed: u64,
    /// Turns of the shards' loops, their microseconds, and those spent in commands.
    pub eventloop_cycles: u64,
    pub eventloop_usec: u64,
    pub eventloop_command_usec: u64,
    pub acl_denied_auth: u64,
    pub acl_denied_cmd: u64,
    pub acl_denied_key: u64,
    pub acl_denied_channel: u64,
}

#[derive(Clone, Default, Debug)]
pub struct ReplicationFacts {
    /// Set on a replica.
    pub master: Option<MasterFacts>,
    pub replicas: Vec<ReplicaFacts>,
    /// Set while `min-replicas-to-write` is in force.
    pub good_replicas: Option<u64>,
    /// `no-failover`, `waiting-for-sync`, `failover-in-progress`.
    pub failover_state: &'static str,
    pub replid: String,
    pub replid2: String,
    pub offset: u64,
    pub second_offset: Option<u64>,
    pub backlog_active: bool,
    pub backlog_size: u64,
    pub backlog_first_offset: u64,
    pub backlog_histlen: u64,
}

/// The master of a replica, as the replica sees it.
#[derive(Clone, Default, Debug)]
pub struct MasterFacts {
    pub host: String,
    pub port: u16,
    pub link_up: bool,
    pub last_io_sec: Option<u64>,
    pub read_offset: u64,
    pub offset: u64,
    pub sync: Option<SyncFacts>,
    pub link_down_sec: Option<u64>,
    pub priority: u64,
    pub read_only: bool,
    pub announced: bool,
}

/// A full synchronisation on its way in.
#[derive(Clone, Default, Debug)]
pub struct SyncFacts {
    pub total_bytes: u64,
    pub read_bytes: u64,
    pub last_io_sec: u64,
}

/// A replica, as its master sees it.
#[derive(Clone, Default, Debug)]
pub struct ReplicaFacts {
    pub ip: String,
    pub port: u16,
    /// `wait_bgsave`, `send_bulk`, `online`.
    pub state: &'static str,
    pub offset: u64,
    pub lag_sec: u64,
}

/// Microseconds of processor time.
#[derive(Clone, Default, Debug)]
pub struct CpuFacts {
    pub sys: u64,
    pub user: u64,
    pub sys_children: u64,
    pub user_children: u64,
    /// Of the thread that answers, if it was asked for.
    pub thread: Option<(u64, u64)>,
}

#[derive(Clone, Default, Debug)]
pub struct CommandFacts {
    /// `get`, `client|list`.
    pub name: String,
    pub calls: u64,
    pub usec: u64,
    pub rejected: u64,
    pub failed: u64,
}

#[derive(Clone, Default, Debug)]
pub struct LatencyFacts {
    pub name: String,
    /// (percentile, microseconds) in the order of `latency-tracking-info-percentiles`.
    pub percentiles: Vec<(f64, f64)>,
}
