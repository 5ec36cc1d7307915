//! Every place where an answer may differ from `redis-server`'s, or where a command is not sent at
//! all, with the reason. What is not listed here is generated and compared to the byte.

/// How the answers to a command are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compare {
    Exact,
    /// An array whose order is nobody's promise.
    Unordered,
    /// An integer that depends on the clock, in seconds or milliseconds: equal but for the time that
    /// passed between the two servers. Negative numbers are codes and compared exactly.
    Seconds,
    Milliseconds,
    /// The byte, but for the texts of errors.
    OwnErrors,
    /// Payloads of DUMP: the value in them, not their bytes.
    Payload,
    /// Names of encodings, of which 7.2 has more (see `execute::encoding`).
    Encoding,
    /// The same type (null and error included); its content is the server's own.
    Type,
    /// Error or not, nothing more.
    Errorness,
    /// SCAN: cursors mean nothing outside a server. The executor walks to the end, and the set of
    /// names is compared.
    Walk,
    /// Never sent.
    NotSent,
}

use Compare::*;

/// (command or `container|subcommand`, how it is compared, why).
const EXCEPTIONS: &[(&str, Compare, &str)] = &[
    // No defined order.
    ("keys", Unordered, "the order of a hash table"),
    ("scan", Walk, "the order of a hash table, and cursors are the server's own"),
    ("smembers", Unordered, "the order of a hash table"),
    ("sinter", Unordered, "the order of a hash table"),
    ("sunion", Unordered, "the order of a hash table"),
    ("sdiff", Unordered, "the order of a hash table"),
    ("hgetall", Unordered, "the order of a hash table"),
    ("hkeys", Unordered, "the order of a hash table"),
    ("hvals", Unordered, "the order of a hash table"),
    ("sscan", Walk, "the order of a hash table, and cursors are the server's own"),
    ("hscan", Walk, "the order of a hash table, and cursors are the server's own"),
    ("zscan", Walk, "the order of a hash table, and cursors are the server's own"),
    ("srandmember", Type, "chosen at random"),
    ("hrandfield", Type, "chosen at random"),
    ("zrandmember", Type, "chosen at random"),
    ("spop", NotSent, "chosen at random, and gone; in the tests of sets"),
    ("randomkey", Type, "chosen at random; that it is null or not is compared"),
    // Clocks. The servers do not run a command at the same moment.
    ("ttl", Seconds, "clock"),
    ("pttl", Milliseconds, "clock"),
    ("expiretime", Seconds, "clock, for times given relative to now"),
    ("pexpiretime", Milliseconds, "clock, for times given relative to now"),
    ("xpending", Type, "idle times by the clock; in the tests of streams"),
    (
        "xinfo|stream",
        Errorness,
        "idle times by the clock, and fields of later versions; in the tests of streams",
    ),
    ("xinfo|groups", Errorness, "fields of later versions; in the tests of streams"),
    ("xinfo|consumers", Errorness, "idle times by the clock; in the tests of streams"),
    ("xinfo|help", Type, "our own prose"),
    ("xgroup|help", Type, "our own prose"),
    ("time", Type, "clock"),
    ("lastsave", Type, "clock"),
    ("object|idletime", Type, "clock"),
    ("object|freq", Type, "a counter with random steps"),
    // Redis 7.2 is what is built; the oracle is 7.0.
    ("object|encoding", Encoding, "7.2 has listpacks where 7.0 has quicklists and hash tables"),
    ("zrank", OwnErrors, "takes WITHSCORE since 7.2: another arity"),
    ("zrevrank", OwnErrors, "takes WITHSCORE since 7.2: another arity"),
    ("dump", Payload, "how a value lies in memory and is compressed shows in the bytes"),
    // What a server says about itself.
    ("object|refcount", Type, "sharing of values is an implementation's own; ours are never shared"),
    ("object|help", Type, "our own prose"),
    ("client|id", Type, "numbers of connections"),
    ("client|info", Type, "numbers of connections, buffers, ages"),
    ("client|list", Type, "numbers of connections, buffers, ages"),
    ("client|help", Type, "our own prose"),
    ("client|tracking", NotSent, "makes the server send without requests; in the pub/sub tests"),
    ("function|help", Type, "our own prose"),
    ("hello", Errorness, "names the server, its version, the connection's number"),
    ("info", Errorness, "figures of the server"),
    ("lolwut", NotSent, "art; which words are sizes depends on the version asked for"),
    ("memory|usage", Type, "bytes of another memory layout; that it is null or not is compared"),
    ("memory|stats", Errorness, "figures of the server"),
    ("memory|doctor", Errorness, "our own prose"),
    ("memory|malloc-stats", Errorness, "another allocator"),
    ("memory|help", Type, "our own prose"),
    ("slowlog|get", Type, "what was slow differs"),
    ("slowlog|len", Type, "what was slow differs"),
    ("slowlog|help", Type, "our own prose"),
    ("latency|doctor", Errorness, "our own prose"),
    ("latency|graph", Errorness, "what was slow differs"),
    ("latency|histogram", Errorness, "figures of the server"),
    ("latency|history", Type, "what was slow differs"),
    ("latency|latest", Type, "what was slow differs"),
    ("latency|reset", Type, "what was slow differs"),
    ("latency|help", Type, "our own prose"),
    ("config|get", Errorness, "its values are compared in the tests of the configuration"),
    ("config|help", Type, "our own prose"),
    ("role", Errorness, "replication comes later; offsets"),
    // The table is compared with Redis's row by row in `command_table.rs`.
    ("command", Errorness, "there are more commands in Redis; compared in command_table.rs"),
    ("command|count", Type, "there are more commands in Redis"),
    ("command|docs", Errorness, "our own prose; the shape is compared in command_table.rs"),
    ("command|info", Errorness, "compared in command_table.rs"),
    ("command|list", Errorness, "there are more commands in Redis"),
    ("command|help", Type, "our own prose"),
    // Would change the run itself.
    ("subscribe", NotSent, "as many replies as channels, and messages; in the pub/sub tests"),
    ("unsubscribe", NotSent, "as many replies as channels; in the pub/sub tests"),
    ("psubscribe", NotSent, "as many replies as patterns, and messages; in the pub/sub tests"),
    ("punsubscribe", NotSent, "as many replies as patterns; in the pub/sub tests"),
    ("ssubscribe", NotSent, "as many replies as channels, and messages; in the pub/sub tests"),
    ("sunsubscribe", NotSent, "as many replies as channels; in the pub/sub tests"),
    ("pubsub|help", Type, "our own prose"),
    ("script|debug", NotSent, "makes a debugger of the connection; there is none here"),
    ("script|stats", NotSent, "our own"),
    ("script|help", Type, "our own prose"),
    ("quit", NotSent, "ends the connection; in the protocol tests"),
    ("shutdown", NotSent, "ends the server; in the boot tests"),
    ("monitor", NotSent, "replies without requests; in the protocol tests"),
    ("client|kill", NotSent, "ends connections; in the protocol tests"),
    ("client|pause", NotSent, "stops everybody; in the protocol tests"),
    ("client|unpause", NotSent, "with its pair in the protocol tests"),
    ("client|reply", NotSent, "replies would be missing; in the protocol tests"),
    ("config|set", NotSent, "would change both servers for the rounds that follow"),
    ("config|rewrite", NotSent, "there is no file; in the boot tests"),
    (
        "bgrewriteaof",
        NotSent,
        "after it a start finds other encodings, and Redis forks; in the rewrite tests",
    ),
    ("save", NotSent, "Redis counts changes from it; in the snapshot tests"),
    ("bgsave", NotSent, "Redis forks; in the snapshot tests"),
    ("debug", NotSent, "most subcommands stop, crash or slow the server; DIGEST compares every round"),
];

/// Words of a command that stand for its row: its name, or `container|subcommand`.
pub fn full_name(words: &[Vec<u8>]) -> String {
    const CONTAINERS: &[&str] = &[
        "acl", "client", "command", "config", "debug", "function", "latency", "memory", "module", "object",
        "pubsub", "script", "slowlog", "xgroup", "xinfo",
    ];
    let lower = |w: &Vec<u8>| String::from_utf8_lossy(w).to_ascii_lowercase();
    let name = words.first().map(lower).unwrap_or_default();
    match words.get(1) {
        Some(sub) if CONTAINERS.contains(&name.as_str()) => format!("{name}|{}", lower(sub)),
        _ => name,
    }
}

/// How to compare the answers of a command (by `full_name`). A container's row holds for those of its
/// subcommands that have none.
pub fn compare(full_name: &str) -> Compare {
    if is_left_out(full_name) {
        return NotSent;
    }
    let find = |name: &str| EXCEPTIONS.iter().find(|(n, ..)| *n == name).map(|e| e.1);
    let container = || full_name.split_once('|').filter(|(c, _)| *c != "command").and_then(|(c, _)| find(c));
    find(full_name).or_else(container).unwrap_or(Exact)
}

/// Commands named in `RINGDOVE_WITHOUT` (`info,debug,memory|usage`) are left out, to look behind a
/// failure that is known.
pub fn is_left_out(full_name: &str) -> bool {
    static NAMES: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| std::env::var("RINGDOVE_WITHOUT").unwrap_or_default());
    let container = full_name.split('|').next();
    NAMES.split(',').any(|n| n == full_name || Some(n) == container)
}

#[test]
fn every_exception_has_a_reason_and_stands_once() {
    for (i, (name, compare, why)) in EXCEPTIONS.iter().enumerate() {
        assert!(!why.is_empty() && *compare != Exact, "{name}");
        assert!(EXCEPTIONS[..i].iter().all(|e| e.0 != *name), "{name} stands twice");
    }
    assert_eq!(compare("get"), Exact);
    assert_eq!(compare("debug|object"), NotSent);
    assert_eq!(compare("command|getkeys"), Exact);
    assert_eq!(full_name(&crate::support::words("CLIENT Setname x")), "client|setname");
}
