//! Replication, which is not built.

use super::*;
use crate::config::parameter::{Arity, Severity::*};
use crate::config::special;

pub const THEME: Theme = Theme {
    title: "Replication",
    intro: "Replication is not built yet. What asks for copies is refused, so that nobody believes to have them; the rest is kept so that existing files load.",
    rows: ROWS,
};

const REPLICATION: &str = "replication is";

const ROWS: &[Parameter] = &[
    Parameter::new("replicaof", special!("<host> <port>", Arity::Exactly(2), special::parse_replicaof, special::format_replicaof, special::replicaof_lines), "",
        "Be a copy of that server. `no one` means none.").alias("slaveof").immutable().later(REPLICATION, Refuse),
    Parameter::new("masterauth", text!(masterauth), "", "Password for the master.").sensitive().later(REPLICATION, Warn),
    Parameter::new("masteruser", text!(masteruser), "", "ACL user for the master.").sensitive().later(REPLICATION, Warn),
    Parameter::new("replica-serve-stale-data", yes_no!(replica_serve_stale_data), "yes", "A replica without its master answers with the data it has.").alias("slave-serve-stale-data").later(REPLICATION, Warn),
    Parameter::new("replica-read-only", yes_no!(replica_read_only), "yes", "Clients cannot write to a replica.").alias("slave-read-only").later(REPLICATION, Warn),
    Parameter::new("replica-lazy-flush", yes_no!(replica_lazy_flush), "no", "A replica empties itself in the background before it loads its master's data.").alias("slave-lazy-flush").later(REPLICATION, Warn),
    Parameter::new("replica-ignore-maxmemory", yes_no!(replica_ignore_maxmemory), "yes", "A replica leaves eviction to its master.").alias("slave-ignore-maxmemory").later(REPLICATION, Warn),
    Parameter::new("replica-ignore-disk-write-errors", yes_no!(replica_ignore_disk_write_errors), "no", "A replica goes on when it cannot write its own files.").later(REPLICATION, Warn),
    Parameter::new("replica-priority", number!(replica_priority: u32, 0, INT_MAX), "100", "Sentinel prefers the replica with the lowest number; 0 is never chosen.").alias("slave-priority").later(REPLICATION, Warn),
    Parameter::new("replica-announced", yes_no!(replica_announced), "yes", "Sentinel tells clients of this replica.").later(REPLICATION, Warn),
    Parameter::new("replica-announce-ip", text!(replica_announce_ip), "", "Address told to the master.").alias("slave-announce-ip").later(REPLICATION, Warn),
    Parameter::new("replica-announce-port", number!(replica_announce_port: u16, 0, 65535), "0", "Port told to the master; 0 is the real one.").alias("slave-announce-port").later(REPLICATION, Warn),
    Parameter::new("repl-diskless-sync", yes_no!(repl_diskless_sync), "yes", "Send a full copy without writing it to disk first.").later(REPLICATION, Warn),
    Parameter::new("repl-diskless-sync-delay", number!(repl_diskless_sync_delay: u32, 0, INT_MAX), "5", "Wait for further replicas before a full copy starts.").unit("seconds").later(REPLICATION, Warn),
    Parameter::new("repl-diskless-sync-max-replicas", number!(repl_diskless_sync_max_replicas: u32, 0, INT_MAX), "0", "Stop waiting when so many replicas have come; 0 waits the whole delay.").later(REPLICATION, Warn),
    Parameter::new("repl-diskless-load", word!(repl_diskless_load: ReplDisklessLoad), "disabled", "Load a full copy straight from the socket.").deny_loading().later(REPLICATION, Warn),
    Parameter::new("repl-ping-replica-period", number!(repl_ping_replica_period: u32, 1, INT_MAX), "10", "How often a master pings its replicas.").alias("repl-ping-slave-period").unit("seconds").later(REPLICATION, Warn),
    Parameter::new("repl-timeout", number!(repl_timeout: u32, 1, INT_MAX), "60", "Silence after which the link counts as broken.").unit("seconds").later(REPLICATION, Warn),
    Parameter::new("repl-disable-tcp-nodelay", yes_no!(repl_disable_tcp_nodelay), "no", "Let TCP gather small packets to replicas.").later(REPLICATION, Warn),
    Parameter::new("repl-backlog-size", memory!(repl_backlog_size: u64, 1, LONG_MAX), "1048576", "How much a replica may have missed and still catch up without a full copy.").unit("bytes").later(REPLICATION, Warn),
    Parameter::new("repl-backlog-ttl", number!(repl_backlog_ttl: u64, 0, LONG_MAX), "3600", "Time without replicas after which the backlog is freed; 0 never.").unit("seconds").later(REPLICATION, Warn),
    Parameter::new("min-replicas-to-write", number!(min_replicas_to_write: u32, 0, INT_MAX), "0", "Refuse writes while fewer replicas than this are connected. Refused here above 0: the promise could not be kept.").alias("min-slaves-to-write").later(REPLICATION, Refuse),
    Parameter::new("min-replicas-max-lag", number!(min_replicas_max_lag: u32, 0, INT_MAX), "10", "A replica silent for longer does not count for `min-replicas-to-write`.").alias("min-slaves-max-lag").unit("seconds").later(REPLICATION, Warn),
    Parameter::new("bind-source-addr", text!(bind_source_addr), "", "Address that outgoing connections start from.").later(REPLICATION, Warn),
    Parameter::new("propagation-error-behavior", word!(propagation_error_behavior: PropagationError), "ignore", "What to do when a replicated command fails: go on, or stop the process (for tests).").later(REPLICATION, Warn),
];
