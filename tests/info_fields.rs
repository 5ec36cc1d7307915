//! INFO against a real redis-server 7.0: the same sections in the same order, the same fields in the
//! same order, and a reason for every field that only one of the two has.

mod oracle;

use oracle::{Oracle, Value, read_value};
use ringdove::command::info::{self, *};
use ringdove::command::memory;
use ringdove::resp::{Proto, Reply};

/// Fields of ours that 7.0 lacks: from later versions of Redis, or our own.
const NEWER: &[&str] = &[
    "ringdove_version",
    "used_memory_shards",
    "pubsub_clients",
    "expired_subkeys",
    "watching_clients",
    "total_watched_keys",
    "total_blocking_keys",
    "total_blocking_keys_on_nokey",
    "evicted_scripts",
    "eventloop_cycles",
    "eventloop_duration_sum",
    "eventloop_duration_cmd_sum",
    "acl_access_denied_auth",
    "acl_access_denied_cmd",
    "acl_access_denied_key",
    "acl_access_denied_channel",
];

/// Fields of 7.0 that would say nothing true here.
const LEFT_OUT: &[&str] = &[
    // how the C program was built
    "atomicvar_api",
    "gcc_version",
    // modules and cluster links
    "module_fork_in_progress",
    "module_fork_last_cow_size",
    "cluster_connections",
    "mem_cluster_links",
    // deadlines are kept exactly, not sampled
    "expired_stale_perc",
    "slave_expires_tracked_keys",
    // no cache of sockets, no defragmentation, no threads beside the shards, no resizing of buffers
    "migrate_cached_sockets",
    "active_defrag_hits",
    "active_defrag_misses",
    "active_defrag_key_hits",
    "active_defrag_key_misses",
    "total_active_defrag_time",
    "current_active_defrag_time",
    "io_threaded_reads_processed",
    "io_threaded_writes_processed",
    "reply_buffer_shrinks",
    "reply_buffer_expands",
];

/// Section titles and field names in order, without those that depend on the traffic.
fn names(info: &str) -> Vec<String> {
    info.lines()
        .map(|line| line.trim_end())
        .filter(|line| !line.is_empty())
        .map(|line| line.split(':').next().unwrap().to_string())
        .filter(|name| {
            !["cmdstat_", "errorstat_", "latency_percentiles_"].iter().any(|p| name.starts_with(p))
        })
        .collect()
}

fn facts() -> Facts {
    let mut facts =
        Facts { cpu: CpuFacts { thread: Some((1, 2)), ..CpuFacts::default() }, ..Facts::default() };
    facts.keyspace.dbs.push(DbFacts { keys: 1, ..DbFacts::default() });
    facts
}

#[test]
fn fields_stand_where_redis_has_them() {
    let Some(mut redis) = Oracle::start() else { return };
    redis.ask(&["SET", "k", "v"]);
    for aof in ["no", "yes"] {
        redis.ask(&["CONFIG", "SET", "appendonly", aof]);
        let mut facts = facts();
        facts.persistence.aof = (aof == "yes").then(AofFacts::default);
        for section in [
            "default",
            "all",
            "everything",
            "server",
            "clients",
            "memory",
            "persistence",
            "stats",
            "replication",
            "cpu",
            "modules",
            "commandstats",
            "errorstats",
            "latencystats",
            "cluster",
            "keyspace",
            "MEMORY",
            "nosuch",
        ] {
            let theirs = names(redis.ask(&["INFO", section]).text());
            let mine = names(&info::render(&facts, &[section]));
            let kept: Vec<&String> = theirs.iter().filter(|n| !LEFT_OUT.contains(&n.as_str())).collect();
            let known: Vec<&String> =
                mine.iter().filter(|n| !NEWER.contains(&n.as_str()) && !section_of_ours(n, &mine)).collect();
            assert_eq!(known, kept, "INFO {section}");
        }
    }
}

#[test]
fn memory_stats_has_redis_fields_in_redis_order() {
    let Some(mut redis) = Oracle::start() else { return };
    redis.ask(&["SET", "k", "v"]);
    for proto in [Proto::Resp2, Proto::Resp3] {
        redis.ask(&["HELLO", if proto == Proto::Resp2 { "2" } else { "3" }]);
        let mut out = Vec::new();
        memory::stats(&facts(), &mut Reply::new(&mut out, proto));
        let mine = shape(&read_value(&mut &out[..]));
        let theirs = shape(&redis.ask(&["MEMORY", "STATS"]));
        assert_eq!(mine, theirs.replace("cluster.links=i ", ""));
    }
}

/// Names of a map (or the flat array that stands for it) and the kinds of their values.
fn shape(value: &Value) -> String {
    let kind = |v: &Value| match v {
        Value::Integer(_) => "i".to_string(),
        Value::Bulk(_) => "b".to_string(),
        Value::Double(_) => "d".to_string(),
        Value::Array(_) | Value::Map(_) => format!("[{}]", shape(v)),
        other => panic!("{other:?}"),
    };
    match value {
        Value::Map(pairs) => pairs.iter().map(|(k, v)| format!("{}={} ", k.text(), kind(v))).collect(),
        other => other.items().chunks(2).map(|p| format!("{}={} ", p[0].text(), kind(&p[1]))).collect(),
    }
}

/// `# Ringdove` and what follows it.
fn section_of_ours(name: &str, all: &[String]) -> bool {
    let ours = all.iter().position(|n| n == "# Ringdove").unwrap_or(all.len());
    all[ours..].iter().any(|n| n == name)
}

#[test]
fn several_sections_come_in_one_answer_each_once() {
    let Some(mut redis) = Oracle::start() else { return };
    redis.ask(&["SET", "k", "v"]);
    let facts = facts();
    let titles =
        |text: &str| -> Vec<String> { names(text).into_iter().filter(|n| n.starts_with('#')).collect() };
    for sections in [
        &["cpu", "server"][..],
        &["keyspace", "keyspace"],
        &["default", "commandstats"],
        &["all", "memory"],
        &["module_list"],
        &["nosuch", "clients"],
        &[],
    ] {
        let request: Vec<&str> = std::iter::once("INFO").chain(sections.iter().copied()).collect();
        let mut mine = titles(&info::render(&facts, sections));
        mine.retain(|t| t != "# Ringdove" && t != "# Scriptstats");
        assert_eq!(mine, titles(redis.ask(&request).text()), "{request:?}");
    }
}

#[test]
fn lines_end_in_crlf_and_sections_are_parted_by_an_empty_line() {
    let text = info::render(&facts(), &["cpu", "cluster"]);
    assert_eq!(text.matches("\r\n").count(), text.matches('\n').count());
    assert!(text.ends_with("\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n"));
    assert_eq!(info::render(&facts(), &["nosuch"]), "");
}

#[test]
fn statistics_of_commands_errors_and_databases_are_written_as_redis_writes_them() {
    let mut facts = facts();
    facts.now = 1_000;
    facts.commands = vec![
        CommandFacts { name: "get".into(), calls: 3, usec: 10, rejected: 1, failed: 2 },
        CommandFacts { name: "client|list".into(), rejected: 1, ..CommandFacts::default() },
        CommandFacts { name: "set".into(), ..CommandFacts::default() },
    ];
    facts.errors = vec![("ERR".into(), 4), ("a:b".into(), 1)];
    facts.latencies =
        vec![LatencyFacts { name: "get".into(), percentiles: vec![(50.0, 8.031), (99.9, 9.0)] }];
    facts.keyspace.dbs =
        vec![DbFacts { index: 3, keys: 5, expires: 2, deadlines: 3_000, ..DbFacts::default() }];
    let text = info::render(&facts, &["commandstats", "errorstats", "latencystats", "keyspace"]);
    for line in [
        "cmdstat_get:calls=3,usec=10,usec_per_call=3.33,rejected_calls=1,failed_calls=2",
        "cmdstat_client|list:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0",
        "errorstat_ERR:count=4",
        "errorstat_a_b:count=1",
        "latency_percentiles_usec_get:p50=8.031,p99.9=9.000",
        "db3:keys=5,expires=2,avg_ttl=500",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in {text}");
    }
    assert!(!text.contains("cmdstat_set"));
}

#[test]
fn bytes_are_written_for_people() {
    for (bytes, text) in [
        (0, "0B"),
        (1023, "1023B"),
        (1024, "1.00K"),
        (1536 * 1024, "1.50M"),
        (1 << 30, "1.00G"),
        (5 << 40, "5.00T"),
        (1 << 50, "1.00P"),
        (1 << 60, "1152921504606846976B"),
    ] {
        assert_eq!(info::human(bytes), text);
    }
}
