//! Rows of the server family. The session runs most of them; INFO and MEMORY STATS ask every shard
//! for its facts first.

use super::spec::{Group, access, acl, block, flag, int, key, one_of, pattern, string, word};
use super::{CommandSpec, KeySpec, Merge, Run};
use super::{memory, shard_facts};

pub const COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "command",
        arity: -1,
        flags: flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        group: Group::Server,
        since: "2.8.13",
        complexity: "O(N) where N is the number of commands",
        summary: "Describe every command",
        tips: &["nondeterministic_output_order"],
        subcommands: COMMAND,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "config",
        arity: -2,
        group: Group::Server,
        since: "2.0.0",
        complexity: "Depends on the subcommand",
        summary: "Read and change settings",
        subcommands: CONFIG,
        run: Run::Container,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "debug",
        arity: -2,
        flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::SYSCMD | flag::PROTECTED,
        group: Group::Server,
        since: "1.0.0",
        complexity: "Depends on the subcommand",
        summary: "Tools for tests and for finding faults",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "bgrewriteaof",
        arity: 1,
        flags: flag::ADMIN | flag::NOSCRIPT | flag::NO_ASYNC_LOADING,
        group: Group::Server,
        since: "1.0.0",
        complexity: "O(N) where N is the number of elements of all keys",
        summary: "Writes the append only file anew from memory",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "bgsave",
        arity: -1,
        flags: flag::ADMIN | flag::NOSCRIPT | flag::NO_ASYNC_LOADING,
        args: &[word("schedule", "SCHEDULE").opt().since("3.2.2")],
        group: Group::Server,
        since: "1.0.0",
        summary: "Writes a snapshot, and answers before it is on the disk",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "info",
        arity: -1,
        flags: flag::LOADING | flag::STALE,
        acl: acl::DANGEROUS,
        args: &[string("section").many().opt()],
        group: Group::Server,
        since: "1.0.0",
        complexity: "O(N) where N is the number of databases and commands",
        summary: "State and counters of the server by section",
        tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
        run: Run::Every(shard_facts::contribute, Merge::Session),
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "lastsave",
        arity: 1,
        flags: flag::LOADING | flag::STALE | flag::FAST,
        acl: acl::ADMIN | acl::DANGEROUS,
        group: Group::Server,
        since: "1.0.0",
        summary: "When the data set was last saved",
        tips: &["nondeterministic_output"],
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "latency",
        arity: -2,
        group: Group::Server,
        since: "2.8.13",
        complexity: "Depends on the subcommand",
        summary: "What made the server slow, and how long commands take",
        subcommands: LATENCY,
        run: Run::Container,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "lolwut",
        arity: -1,
        flags: flag::READONLY | flag::FAST,
        args: &[int("version").token("VERSION").opt()],
        group: Group::Server,
        since: "5.0.0",
        summary: "Draw a picture and tell the version",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "memory",
        arity: -2,
        group: Group::Server,
        since: "4.0.0",
        complexity: "Depends on the subcommand",
        summary: "What uses memory",
        subcommands: MEMORY,
        run: Run::Container,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "monitor",
        arity: 1,
        flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE,
        group: Group::Server,
        since: "1.0.0",
        complexity: "O(1), and O(N) for each command where N is the number of monitors",
        summary: "Send every command the server runs to this connection",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "role",
        arity: 1,
        flags: flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::FAST,
        acl: acl::ADMIN | acl::DANGEROUS,
        group: Group::Server,
        since: "2.8.12",
        summary: "Whether this is a master or a replica, and of whom",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "save",
        arity: 1,
        flags: flag::ADMIN | flag::NOSCRIPT | flag::NO_ASYNC_LOADING | flag::NO_MULTI,
        group: Group::Server,
        since: "1.0.0",
        complexity: "O(N) where N is the number of keys",
        summary: "Writes a snapshot, and answers when it is on the disk",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "shutdown",
        arity: -1,
        flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::NO_MULTI | flag::ALLOW_BUSY,
        args: &[
            one_of("nosave_save", &[word("nosave", "NOSAVE"), word("save", "SAVE")]).opt(),
            word("now", "NOW").opt().since("7.0.0"),
            word("force", "FORCE").opt().since("7.0.0"),
            word("abort", "ABORT").opt().since("7.0.0"),
        ],
        group: Group::Server,
        since: "1.0.0",
        complexity: "O(N) where N is the number of keys when saving, else O(1)",
        summary: "Save if asked to, and end the server",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "slowlog",
        arity: -2,
        group: Group::Server,
        since: "2.2.12",
        complexity: "Depends on the subcommand",
        summary: "Commands that took longer than the limit",
        subcommands: SLOWLOG,
        run: Run::Container,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "time",
        arity: 1,
        flags: flag::LOADING | flag::STALE | flag::FAST,
        group: Group::Server,
        since: "2.6.0",
        summary: "The server's clock: seconds and microseconds",
        tips: &["nondeterministic_output"],
        ..CommandSpec::DEFAULT
    },
];

const COMMAND: &[CommandSpec] = &[
    CommandSpec {
        name: "count",
        arity: 2,
        flags: flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        group: Group::Server,
        since: "2.8.13",
        summary: "How many commands there are",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "docs",
        arity: -2,
        flags: flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        args: &[string("command-name").many().opt()],
        group: Group::Server,
        since: "7.0.0",
        complexity: "O(N) where N is the number of commands asked for",
        summary: "What commands do and take",
        tips: &["nondeterministic_output_order"],
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "getkeys",
        arity: -4,
        flags: flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        args: &[string("command"), string("arg").many().opt()],
        group: Group::Server,
        since: "2.8.13",
        complexity: "O(N) where N is the number of arguments",
        summary: "The keys among the arguments of a command",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "getkeysandflags",
        arity: -4,
        flags: flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        args: &[string("command"), string("arg").many().opt()],
        group: Group::Server,
        since: "7.0.0",
        complexity: "O(N) where N is the number of arguments",
        summary: "The keys among the arguments of a command, and what it does with them",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "help",
        arity: 2,
        flags: flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        group: Group::Server,
        since: "5.0.0",
        summary: "List the subcommands",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "info",
        arity: -2,
        flags: flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        args: &[string("command-name").many().opt()],
        group: Group::Server,
        since: "2.8.13",
        complexity: "O(N) where N is the number of commands asked for",
        summary: "Arity, flags, keys and categories of commands",
        tips: &["nondeterministic_output_order"],
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "list",
        arity: -2,
        flags: flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        args: &[one_of(
            "filterby",
            &[
                string("module-name").token("MODULE"),
                string("category").token("ACLCAT"),
                pattern("pattern").token("PATTERN"),
            ],
        )
        .token("FILTERBY")
        .opt()],
        group: Group::Server,
        since: "7.0.0",
        complexity: "O(N) where N is the number of commands",
        summary: "Names of commands, all or by module, category or pattern",
        tips: &["nondeterministic_output_order"],
        ..CommandSpec::DEFAULT
    },
];

const CONFIG: &[CommandSpec] = &[
    CommandSpec {
        name: "get",
        arity: -3,
        flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE,
        args: &[block("parameter", &[string("parameter")]).many()],
        group: Group::Server,
        since: "2.0.0",
        complexity: "O(N) where N is the number of settings asked for",
        summary: "Settings whose names match, with their values",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "help",
        arity: 2,
        flags: flag::LOADING | flag::STALE,
        group: Group::Server,
        since: "5.0.0",
        summary: "List the subcommands",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "resetstat",
        arity: 2,
        flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE,
        group: Group::Server,
        since: "2.0.0",
        summary: "Start the counters of INFO again at zero",
        run: Run::Every(shard_facts::contribute, Merge::Session),
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "rewrite",
        arity: 2,
        flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE,
        group: Group::Server,
        since: "2.8.0",
        complexity: "O(N) where N is the size of the file",
        summary: "Write the settings in force to the configuration file",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "set",
        arity: -4,
        flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE,
        args: &[block("parameter_value", &[string("parameter"), string("value")]).many()],
        group: Group::Server,
        since: "2.0.0",
        complexity: "O(N) where N is the number of settings given",
        summary: "Change settings of the running server, all of them or none",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        ..CommandSpec::DEFAULT
    },
];

const LATENCY: &[CommandSpec] = &[
    CommandSpec {
        name: "doctor",
        arity: 2,
        flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE,
        group: Group::Server,
        since: "2.8.13",
        summary: "An account of latency spikes in sentences",
        tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "graph",
        arity: 3,
        flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE,
        args: &[string("event")],
        group: Group::Server,
        since: "2.8.13",
        summary: "The spikes of an event as a picture",
        tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "help",
        arity: 2,
        flags: flag::LOADING | flag::STALE,
        group: Group::Server,
        since: "2.8.13",
        summary: "List the subcommands",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "histogram",
        arity: -2,
        flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE,
        args: &[string("command").many().opt()],
        group: Group::Server,
        since: "7.0.0",
        complexity: "O(N) where N is the number of commands that have been called",
        summary: "How long calls of commands took, as cumulative counts",
        tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "history",
        arity: 3,
        flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE,
        args: &[string("event")],
        group: Group::Server,
        since: "2.8.13",
        summary: "Times and lengths of an event's spikes",
        tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "latest",
        arity: 2,
        flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE,
        group: Group::Server,
        since: "2.8.13",
        summary: "The latest and the longest spike of each event",
        tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "reset",
        arity: -2,
        flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE,
        args: &[string("event").many().opt()],
        group: Group::Server,
        since: "2.8.13",
        summary: "Forget the spikes of events",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        ..CommandSpec::DEFAULT
    },
];

const MEMORY: &[CommandSpec] = &[
    CommandSpec {
        name: "doctor",
        arity: 2,
        group: Group::Server,
        since: "4.0.0",
        summary: "Advice on the use of memory",
        tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "help",
        arity: 2,
        flags: flag::LOADING | flag::STALE,
        group: Group::Server,
        since: "4.0.0",
        summary: "List the subcommands",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "malloc-stats",
        arity: 2,
        group: Group::Server,
        since: "4.0.0",
        complexity: "Depends on the allocator, may be slow",
        summary: "What the allocator says of itself",
        tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "purge",
        arity: 2,
        group: Group::Server,
        since: "4.0.0",
        complexity: "Depends on the allocator, may be slow",
        summary: "Ask the allocator to give memory back",
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "stats",
        arity: 2,
        group: Group::Server,
        since: "4.0.0",
        summary: "Use of memory in numbers",
        tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
        run: Run::Every(shard_facts::contribute, Merge::Session),
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "usage",
        arity: -3,
        flags: flag::READONLY,
        keys: &[KeySpec::one(access::RO, 2)],
        args: &[key("key", 0), int("count").token("SAMPLES").opt()],
        group: Group::Server,
        since: "4.0.0",
        complexity: "O(N) where N is the number of elements looked at",
        summary: "The bytes a key and its value take",
        run: Run::Keys(memory::usage),
        ..CommandSpec::DEFAULT
    },
];

const SLOWLOG: &[CommandSpec] = &[
    CommandSpec {
        name: "get",
        arity: -2,
        flags: flag::ADMIN | flag::LOADING | flag::STALE,
        args: &[int("count").opt()],
        group: Group::Server,
        since: "2.2.12",
        complexity: "O(N) where N is the number of entries given back",
        summary: "The latest slow commands",
        tips: &["request_policy:all_nodes", "nondeterministic_output"],
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "help",
        arity: 2,
        flags: flag::LOADING | flag::STALE,
        group: Group::Server,
        since: "6.2.0",
        summary: "List the subcommands",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "len",
        arity: 2,
        flags: flag::ADMIN | flag::LOADING | flag::STALE,
        group: Group::Server,
        since: "2.2.12",
        summary: "How many slow commands are kept",
        tips: &["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"],
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "reset",
        arity: 2,
        flags: flag::ADMIN | flag::LOADING | flag::STALE,
        group: Group::Server,
        since: "2.2.12",
        complexity: "O(N) where N is the number of entries",
        summary: "Forget the slow commands",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        ..CommandSpec::DEFAULT
    },
];
