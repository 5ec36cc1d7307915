//! Rows of scripts and functions. Who runs them is `actor::script`; what Lua is, `script`.

use super::spec::{Arg, Group, access, acl, flag, int, key, one_of, string, word};
use super::{CommandSpec, KeySpec, Run};

pub const COMMANDS: &[CommandSpec] = &[
    CommandSpec { name: "eval", args: &[string("script"), NUMKEYS, KEYS, ARGS], ..EVAL },
    CommandSpec { name: "evalsha", args: &[string("sha1"), NUMKEYS, KEYS, ARGS], ..EVAL },
    CommandSpec {
        name: "eval_ro",
        args: &[string("script"), NUMKEYS, KEYS, ARGS],
        summary: "Runs a script that may not write",
        ..EVAL_RO
    },
    CommandSpec {
        name: "evalsha_ro",
        args: &[string("sha1"), NUMKEYS, KEYS, ARGS],
        summary: "Runs a script of the cache that may not write",
        ..EVAL_RO
    },
    CommandSpec {
        name: "fcall",
        args: &[string("function"), NUMKEYS, KEYS, ARGS],
        since: "7.0.0",
        complexity: "That of the function",
        summary: "Calls a function of a library",
        ..EVAL
    },
    CommandSpec {
        name: "fcall_ro",
        args: &[string("function"), NUMKEYS, KEYS, ARGS],
        complexity: "That of the function",
        summary: "Calls a function that may not write",
        ..EVAL_RO
    },
    CommandSpec {
        name: "script",
        arity: -2,
        group: Group::Scripting,
        since: "2.6.0",
        complexity: "That of the subcommand",
        summary: "The cache of scripts, and the script that runs",
        subcommands: SCRIPT,
        run: Run::Container,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "function",
        arity: -2,
        group: Group::Scripting,
        since: "7.0.0",
        complexity: "That of the subcommand",
        summary: "Libraries of functions",
        subcommands: FUNCTION,
        run: Run::Container,
        ..CommandSpec::DEFAULT
    },
];

const NUMKEYS: Arg = int("numkeys");
const KEYS: Arg = key("key", 0).opt().many();
const ARGS: Arg = string("arg").opt().many();

const FLAGS: u32 =
    flag::NOSCRIPT | flag::STALE | flag::SKIP_MONITOR | flag::NO_MANDATORY_KEYS | flag::MOVABLEKEYS;

const EVAL: CommandSpec = CommandSpec {
    arity: -3,
    flags: FLAGS | flag::MAY_REPLICATE,
    acl: acl::SCRIPTING,
    keys: &[KeySpec::counted(access::RW | access::ACCESS | access::UPDATE, 2)],
    group: Group::Scripting,
    since: "2.6.0",
    complexity: "That of the script",
    summary: "Runs a script",
    run: Run::Script,
    ..CommandSpec::DEFAULT
};

const EVAL_RO: CommandSpec = CommandSpec {
    flags: FLAGS | flag::READONLY,
    keys: &[KeySpec::counted(access::RO | access::ACCESS, 2)],
    since: "7.0.0",
    ..EVAL
};

const ASYNC: Arg = one_of("async", &[word("async", "ASYNC"), word("sync", "SYNC")]).opt();

const ALL_SHARDS: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];
const ALL_NODES: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];
const KILL: &[&str] = &["request_policy:all_shards", "response_policy:one_succeeded"];

const SCRIPT: &[CommandSpec] = &[
    CommandSpec {
        name: "debug",
        arity: 3,
        args: &[one_of("mode", &[word("yes", "YES"), word("sync", "SYNC"), word("no", "NO")])],
        since: "3.2.0",
        complexity: "O(1)",
        summary: "The debugger, which is not there: only NO is taken",
        ..OF_SCRIPT
    },
    CommandSpec {
        name: "exists",
        arity: -3,
        args: &[string("sha1").many()],
        complexity: "O(N) where N is the number of scripts asked for",
        summary: "Which scripts are in the cache",
        tips: &["request_policy:all_shards", "response_policy:agg_logical_and"],
        ..OF_SCRIPT
    },
    CommandSpec {
        name: "flush",
        arity: -2,
        args: &[ASYNC.since("6.2.0")],
        complexity: "O(N) where N is the number of scripts in the cache",
        summary: "Empty the cache of scripts",
        tips: ALL_NODES,
        ..OF_SCRIPT
    },
    CommandSpec { since: "5.0.0", ..HELP },
    CommandSpec {
        name: "kill",
        arity: 2,
        flags: flag::NOSCRIPT | flag::ALLOW_BUSY,
        complexity: "O(1)",
        summary: "End the script that runs, unless it has written",
        tips: KILL,
        ..OF_SCRIPT
    },
    CommandSpec {
        name: "load",
        arity: 3,
        flags: flag::NOSCRIPT | flag::STALE,
        args: &[string("script")],
        complexity: "O(N) where N is the length of the script",
        summary: "Put a script into the cache",
        tips: ALL_NODES,
        ..OF_SCRIPT
    },
    // Ringdove's own.
    CommandSpec {
        name: "stats",
        arity: 2,
        flags: flag::NOSCRIPT,
        complexity: "O(N) where N is the number of scripts and functions",
        summary: "On how many shards each script and function was run, and how long that took",
        tips: &["nondeterministic_output"],
        ..OF_SCRIPT
    },
];

const OF_SCRIPT: CommandSpec = CommandSpec {
    flags: flag::NOSCRIPT,
    acl: acl::SCRIPTING,
    group: Group::Scripting,
    since: "2.6.0",
    ..CommandSpec::DEFAULT
};

const HELP: CommandSpec = CommandSpec {
    name: "help",
    arity: 2,
    flags: flag::LOADING | flag::STALE,
    acl: acl::SCRIPTING,
    group: Group::Scripting,
    since: "7.0.0",
    complexity: "O(1)",
    summary: "List the subcommands",
    ..CommandSpec::DEFAULT
};

const FUNCTION: &[CommandSpec] = &[
    CommandSpec {
        name: "delete",
        arity: 3,
        flags: flag::WRITE | flag::NOSCRIPT,
        args: &[string("library-name")],
        complexity: "O(1)",
        summary: "Delete a library",
        tips: ALL_SHARDS,
        ..OF_FUNCTION
    },
    CommandSpec {
        name: "dump",
        arity: 2,
        complexity: "O(N) where N is the number of functions",
        summary: "All libraries in one serialized value",
        ..OF_FUNCTION
    },
    CommandSpec {
        name: "flush",
        arity: -2,
        flags: flag::WRITE | flag::NOSCRIPT,
        args: &[ASYNC],
        complexity: "O(N) where N is the number of functions",
        summary: "Delete all libraries",
        tips: ALL_SHARDS,
        ..OF_FUNCTION
    },
    HELP,
    CommandSpec {
        name: "kill",
        arity: 2,
        flags: flag::NOSCRIPT | flag::ALLOW_BUSY,
        complexity: "O(1)",
        summary: "End the function that runs, unless it has written",
        tips: KILL,
        ..OF_FUNCTION
    },
    CommandSpec {
        name: "list",
        arity: -2,
        args: &[
            string("library-name-pattern").token("LIBRARYNAME").opt(),
            word("withcode", "WITHCODE").opt(),
        ],
        complexity: "O(N) where N is the number of functions",
        summary: "The libraries and their functions",
        tips: &["nondeterministic_output_order"],
        ..OF_FUNCTION
    },
    CommandSpec {
        name: "load",
        arity: -3,
        flags: flag::WRITE | flag::DENYOOM | flag::NOSCRIPT,
        args: &[word("replace", "REPLACE").opt(), string("function-code")],
        complexity: "O(1), compiling aside",
        summary: "Create a library",
        tips: ALL_SHARDS,
        ..OF_FUNCTION
    },
    CommandSpec {
        name: "restore",
        arity: -3,
        flags: flag::WRITE | flag::DENYOOM | flag::NOSCRIPT,
        args: &[
            string("serialized-value"),
            one_of("policy", &[word("flush", "FLUSH"), word("append", "APPEND"), word("replace", "REPLACE")])
                .opt(),
        ],
        complexity: "O(N) where N is the number of functions in the value",
        summary: "Create the libraries of a serialized value",
        tips: ALL_SHARDS,
        ..OF_FUNCTION
    },
    CommandSpec {
        name: "stats",
        arity: 2,
        flags: flag::NOSCRIPT | flag::ALLOW_BUSY,
        complexity: "O(1)",
        summary: "The function that runs, and how many there are",
        tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
        ..OF_FUNCTION
    },
];

const OF_FUNCTION: CommandSpec = CommandSpec { since: "7.0.0", ..OF_SCRIPT };
