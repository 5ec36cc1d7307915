//! The settings as typed fields: what the rest of the program reads.
//!
//! Invariant: `Settings::default()` is exactly what the default texts of the table say; there is no second list
//! of defaults. A value of this type is plain data: the caller keeps the current one, `set` makes the next one,
//! and rolling back is dropping it.

use super::file::Place;
use super::parameter::Source;
use super::special::{EventClasses, ShutdownFlags};
use super::table;
use super::text::Text;
use super::words::*;

/// Snapshot after `seconds` if at least `changes` were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavePoint {
    pub seconds: u64,
    pub changes: u64,
}

/// 0 means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BufferLimit {
    pub hard_bytes: u64,
    pub soft_bytes: u64,
    pub soft_seconds: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replicaof {
    pub host: Text,
    pub port: u16,
}

/// `rename-command from to`; an empty `to` removes the command. Whether `from` exists and `to` is free is for
/// the owner of the command table to check; `place` is for its error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenamedCommand {
    pub from: Text,
    pub to: Text,
    pub place: Place,
}

/// `user <name> <rule> ...`: the words after `user`. The rules are for the owner of the ACL to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserLine {
    pub words: Vec<Text>,
    pub place: Place,
}

macro_rules! settings {
    ($($(#[$meta:meta])* pub $field:ident: $type:ty,)*) => {
        #[derive(Clone, Debug, PartialEq)]
        pub struct Settings {
            $($(#[$meta])* pub $field: $type,)*
        }

        impl Settings {
            /// Before the table has been applied.
            fn blank() -> Self {
                Settings { $($field: Default::default(),)* }
            }
        }
    };
}

settings! {
        // directives that are not parameters
        pub renamed_commands: Vec<RenamedCommand>,
        pub users: Vec<UserLine>,

        // network
        pub bind: Vec<Text>,
        /// Of normal clients, replicas and subscribers, in this order.
        pub client_output_buffer_limit: [BufferLimit; 3],
        pub port: u16,
        pub protected_mode: bool,
        pub unixsocket: Text,
        pub unixsocketperm: u32,
        pub tcp_backlog: i32,
        pub tcp_keepalive: u32,
        pub timeout: u32,
        pub maxclients: u32,
        pub proto_max_bulk_len: u64,
        pub client_query_buffer_limit: u64,
        /// Bytes; a negative number is a percentage of `maxmemory`.
        pub maxmemory_clients: i64,
        pub socket_mark_id: u32,

        // memory
        pub maxmemory: u64,
        pub maxmemory_policy: MaxmemoryPolicy,
        pub maxmemory_samples: u32,
        pub maxmemory_eviction_tenacity: u8,
        pub lfu_log_factor: u32,
        pub lfu_decay_time: u32,
        pub active_expire_effort: u8,
        pub hz: u32,
        pub dynamic_hz: bool,
        pub lazyfree_lazy_eviction: bool,
        pub lazyfree_lazy_expire: bool,
        pub lazyfree_lazy_server_del: bool,
        pub lazyfree_lazy_user_del: bool,
        pub lazyfree_lazy_user_flush: bool,
        pub activerehashing: bool,
        pub tracking_table_max_keys: u64,

        // append only
        /// As written until the caller makes it absolute, which it must before CONFIG GET and REWRITE.
        pub dir: Text,
        pub appendonly: bool,
        pub appendfilename: Text,
        pub appenddirname: Text,
        pub appendfsync: AppendFsync,
        pub aof_load_truncated: bool,
        pub aof_use_rdb_preamble: bool,
        pub no_appendfsync_on_rewrite: bool,
        pub auto_aof_rewrite_percentage: u32,
        pub auto_aof_rewrite_min_size: u64,
        pub aof_rewrite_incremental_fsync: bool,
        pub aof_disable_auto_gc: bool,
        pub aof_timestamp_enabled: bool,

        // snapshot
        pub save: Vec<SavePoint>,
        /// Somebody set them; else they are the default.
        pub save_is_asked: bool,
        pub dbfilename: Text,
        pub stop_writes_on_bgsave_error: bool,
        pub rdbcompression: bool,
        pub rdbchecksum: bool,
        pub rdb_save_incremental_fsync: bool,
        pub rdb_del_sync_files: bool,
        pub sanitize_dump_payload: SanitizeDumpPayload,
        pub rdb_key_save_delay: i32,
        pub key_load_delay: i32,
        pub loading_process_events_interval_bytes: u64,

        // security
        pub requirepass: Text,
        pub aclfile: Text,
        pub acl_pubsub_default: AclPubsubDefault,
        pub acllog_max_len: u64,
        pub enable_protected_configs: ProtectedAction,
        pub enable_debug_command: ProtectedAction,
        pub enable_module_command: ProtectedAction,

        // observe
        pub latency_tracking_info_percentiles: Vec<f64>,
        pub notify_keyspace_events: EventClasses,
        pub slowlog_log_slower_than: i64,
        pub slowlog_max_len: u64,
        pub latency_tracking: bool,
        pub latency_monitor_threshold: i64,
        pub busy_reply_threshold: i64,
        pub lua_enable_deprecated_api: bool,
        pub script_intrinsics: bool,

        // encodings
        pub hash_max_listpack_entries: u64,
        pub hash_max_listpack_value: u64,
        pub list_max_listpack_size: i32,
        pub list_compress_depth: u32,
        pub set_max_intset_entries: u64,
        pub set_max_listpack_entries: u64,
        pub set_max_listpack_value: u64,
        pub zset_max_listpack_entries: u64,
        pub zset_max_listpack_value: u64,
        pub hll_sparse_max_bytes: u64,
        pub stream_node_max_bytes: u64,
        pub stream_node_max_entries: i64,

        // process
        /// `None` is `auto`.
        pub shards: Option<u16>,
        pub locality_rule: Vec<Text>,
        pub oom_score_adj_values: [i32; 3],
        pub shutdown_on_sigint: ShutdownFlags,
        pub shutdown_on_sigterm: ShutdownFlags,
        pub blocking_timeout_margin: BlockingTimeoutMargin,
        pub blocked_pop_doubt: BlockedPopDoubt,
        pub databases: u32,
        pub daemonize: bool,
        pub supervised: Supervised,
        pub pidfile: Text,
        pub loglevel: LogLevel,
        pub logfile: Text,
        pub syslog_enabled: bool,
        pub syslog_ident: Text,
        pub syslog_facility: SyslogFacility,
        pub shutdown_timeout: u32,
        pub always_show_logo: bool,
        pub set_proc_title: bool,
        pub proc_title_template: Text,
        pub oom_score_adj: OomScoreAdj,
        pub disable_thp: bool,
        pub server_cpulist: Text,
        pub bio_cpulist: Text,
        pub aof_rewrite_cpulist: Text,
        pub bgsave_cpulist: Text,
        pub io_threads: u8,
        pub io_threads_do_reads: bool,
        pub jemalloc_bg_thread: bool,
        pub ignore_warnings: Text,
        pub crash_log_enabled: bool,
        pub crash_memcheck_enabled: bool,
        pub use_exit_on_panic: bool,
        pub watchdog_period: u32,

        // replication
        pub replicaof: Option<Replicaof>,
        pub masterauth: Text,
        pub masteruser: Text,
        pub replica_serve_stale_data: bool,
        pub replica_read_only: bool,
        pub replica_lazy_flush: bool,
        pub replica_ignore_maxmemory: bool,
        pub replica_ignore_disk_write_errors: bool,
        pub replica_priority: u32,
        pub replica_announced: bool,
        pub replica_announce_ip: Text,
        pub replica_announce_port: u16,
        pub repl_diskless_sync: bool,
        pub repl_diskless_sync_delay: u32,
        pub repl_diskless_sync_max_replicas: u32,
        pub repl_diskless_load: ReplDisklessLoad,
        pub repl_ping_replica_period: u32,
        pub repl_timeout: u32,
        pub repl_disable_tcp_nodelay: bool,
        pub repl_backlog_size: u64,
        pub repl_backlog_ttl: u64,
        pub min_replicas_to_write: u32,
        pub min_replicas_max_lag: u32,
        pub bind_source_addr: Text,
        pub propagation_error_behavior: PropagationError,

        // cluster
        pub cluster_enabled: bool,
        pub cluster_config_file: Text,
        pub cluster_node_timeout: i64,
        pub cluster_port: u16,
        pub cluster_announce_ip: Text,
        pub cluster_announce_port: u16,
        pub cluster_announce_tls_port: u16,
        pub cluster_announce_bus_port: u16,
        pub cluster_announce_hostname: Text,
        pub cluster_preferred_endpoint_type: ClusterEndpoint,
        pub cluster_require_full_coverage: bool,
        pub cluster_allow_reads_when_down: bool,
        pub cluster_allow_pubsubshard_when_down: bool,
        pub cluster_allow_replica_migration: bool,
        pub cluster_migration_barrier: u32,
        pub cluster_replica_validity_factor: u32,
        pub cluster_replica_no_failover: bool,
        pub cluster_link_sendbuf_limit: u64,

        // tls
        pub tls_port: u16,
        pub tls_cert_file: Text,
        pub tls_key_file: Text,
        pub tls_key_file_pass: Text,
        pub tls_client_cert_file: Text,
        pub tls_client_key_file: Text,
        pub tls_client_key_file_pass: Text,
        pub tls_ca_cert_file: Text,
        pub tls_ca_cert_dir: Text,
        pub tls_dh_params_file: Text,
        pub tls_auth_clients: TlsAuthClients,
        pub tls_replication: bool,
        pub tls_cluster: bool,
        pub tls_protocols: Text,
        pub tls_ciphers: Text,
        pub tls_ciphersuites: Text,
        pub tls_prefer_server_ciphers: bool,
        pub tls_session_caching: bool,
        pub tls_session_cache_size: u32,
        pub tls_session_cache_timeout: u32,

        // defrag
        pub activedefrag: bool,
        pub active_defrag_ignore_bytes: u64,
        pub active_defrag_threshold_lower: u32,
        pub active_defrag_threshold_upper: u32,
        pub active_defrag_cycle_min: u8,
        pub active_defrag_cycle_max: u8,
        pub active_defrag_max_scan_fields: u64,
}

impl Default for Settings {
    fn default() -> Self {
        let mut settings = Settings::blank();
        for row in table::rows() {
            let args: Vec<Vec<u8>> = match row.takes_many() {
                true => row.default.split(' ').map(|word| word.as_bytes().to_vec()).collect(),
                false => vec![row.default.as_bytes().to_vec()],
            };
            // A special row without a default (no master, no rule) is blank already.
            if row.takes_many() && row.default.is_empty() {
                continue;
            }
            if let Err(reason) = row.assign(&mut settings, &args, Source::ConfigSet) {
                unreachable!("the default of {} does not parse: {reason}", row.name);
            }
        }
        settings.save_is_asked = false;
        settings
    }
}
