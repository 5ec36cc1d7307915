//! Rows of FUNCTION. There are no functions yet, so there is nothing to load, call, dump or restore;
//! what can be said and done truly without any is here.

use super::spec::{Group, acl, flag, one_of, string, word};
use super::{CommandSpec, Run};

pub const COMMANDS: &[CommandSpec] = &[CommandSpec {
    name: "function",
    arity: -2,
    group: Group::Scripting,
    since: "7.0.0",
    complexity: "Depends on the subcommand",
    summary: "Libraries of functions, of which there are none",
    subcommands: FUNCTION,
    run: Run::Container,
    ..CommandSpec::DEFAULT
}];

const FUNCTION: &[CommandSpec] = &[
    CommandSpec {
        name: "flush",
        arity: -2,
        flags: flag::WRITE | flag::NOSCRIPT,
        acl: acl::SCRIPTING,
        args: &[one_of("async", &[word("async", "ASYNC"), word("sync", "SYNC")]).opt()],
        group: Group::Scripting,
        since: "7.0.0",
        complexity: "O(N) where N is the number of functions",
        summary: "Delete all libraries",
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "help",
        arity: 2,
        flags: flag::LOADING | flag::STALE,
        acl: acl::SCRIPTING,
        group: Group::Scripting,
        since: "7.0.0",
        summary: "List the subcommands",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "list",
        arity: -2,
        flags: flag::NOSCRIPT,
        acl: acl::SCRIPTING,
        args: &[
            string("library-name-pattern").token("LIBRARYNAME").opt(),
            word("withcode", "WITHCODE").opt(),
        ],
        group: Group::Scripting,
        since: "7.0.0",
        complexity: "O(N) where N is the number of functions",
        summary: "The libraries and their functions",
        tips: &["nondeterministic_output_order"],
        ..CommandSpec::DEFAULT
    },
];
