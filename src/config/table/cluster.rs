//! Cluster mode, which is not built.

use super::*;
use crate::config::parameter::Severity::*;

pub const THEME: Theme = Theme {
    title: "Cluster",
    intro: "Cluster mode is not built yet; these parameters are kept so that existing files load.",
    rows: ROWS,
};

const CLUSTER: &str = "cluster mode is";

const ROWS: &[Parameter] = &[
    Parameter::new("cluster-enabled", yes_no!(cluster_enabled), "no",
        "Run as a node of a Redis Cluster. Refused: a client that trusts slots would read and write in the wrong place.").immutable().later(CLUSTER, Refuse),
    Parameter::new("cluster-config-file", text!(cluster_config_file), "nodes.conf",
        "File in which a node keeps what it knows of the cluster.").immutable().later(CLUSTER, Warn),
    Parameter::new("cluster-node-timeout", number!(cluster_node_timeout: i64, 0, LONG_MAX), "15000",
        "Silence after which a node counts as failing.").unit("milliseconds").later(CLUSTER, Warn),
    Parameter::new("cluster-port", number!(cluster_port: u16, 0, 65535), "0",
        "Port of the cluster bus; 0 is the client port plus 10000.").immutable().later(CLUSTER, Warn),
    Parameter::new("cluster-announce-ip", text!(cluster_announce_ip), "",
        "Address told to other nodes.").later(CLUSTER, Warn),
    Parameter::new("cluster-announce-port", number!(cluster_announce_port: u16, 0, 65535), "0",
        "Client port told to other nodes; 0 is the real one.").later(CLUSTER, Warn),
    Parameter::new("cluster-announce-tls-port", number!(cluster_announce_tls_port: u16, 0, 65535), "0",
        "TLS port told to other nodes; 0 is the real one.").later(CLUSTER, Warn),
    Parameter::new("cluster-announce-bus-port", number!(cluster_announce_bus_port: u16, 0, 65535), "0",
        "Bus port told to other nodes; 0 is the real one.").later(CLUSTER, Warn),
    Parameter::new("cluster-announce-hostname", text!(cluster_announce_hostname, checks::announced_hostname), "",
        "Host name told to clients.").later(CLUSTER, Warn),
    Parameter::new("cluster-preferred-endpoint-type", word!(cluster_preferred_endpoint_type: ClusterEndpoint), "ip",
        "What a redirection names: the address, the host name, or nothing.").later(CLUSTER, Warn),
    Parameter::new("cluster-require-full-coverage", yes_no!(cluster_require_full_coverage), "yes",
        "Stop answering when some slots have no node.").later(CLUSTER, Warn),
    Parameter::new("cluster-allow-reads-when-down", yes_no!(cluster_allow_reads_when_down), "no",
        "Answer reads while the cluster is down.").later(CLUSTER, Warn),
    Parameter::new("cluster-allow-pubsubshard-when-down", yes_no!(cluster_allow_pubsubshard_when_down), "yes",
        "Serve sharded pub/sub while the cluster is down.").later(CLUSTER, Warn),
    Parameter::new("cluster-allow-replica-migration", yes_no!(cluster_allow_replica_migration), "yes",
        "Let replicas move to masters that have none.").later(CLUSTER, Warn),
    Parameter::new("cluster-migration-barrier", number!(cluster_migration_barrier: u32, 0, INT_MAX), "1",
        "Replicas a master keeps before one may move away.").later(CLUSTER, Warn),
    Parameter::new("cluster-replica-validity-factor", number!(cluster_replica_validity_factor: u32, 0, INT_MAX), "10",
        "How old a replica's data may be for it to become master; 0 is any age.").alias("cluster-slave-validity-factor").later(CLUSTER, Warn),
    Parameter::new("cluster-replica-no-failover", yes_no!(cluster_replica_no_failover), "no",
        "A replica never becomes master by itself.").alias("cluster-slave-no-failover").later(CLUSTER, Warn),
    Parameter::new("cluster-link-sendbuf-limit", memory!(cluster_link_sendbuf_limit: u64, 0, ULLONG_MAX), "0",
        "Limit on the output waiting on one link of the bus; 0 is none.").unit("bytes").later(CLUSTER, Warn),
];
