//! Rows of the connection family. The session runs all of them: they concern who is asking, not the
//! keyspace. This file holds no behaviour, only what the table says about the commands.

use super::spec::{Group, acl, block, flag, int, one_of, string, word};
use super::{CommandSpec, Run};

pub const COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "auth",
        arity: -2,
        flags: flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::FAST | flag::NO_AUTH | flag::ALLOW_BUSY,
        acl: acl::CONNECTION,
        args: &[string("username").opt().since("6.0.0"), string("password")],
        group: Group::Connection,
        since: "1.0.0",
        complexity: "O(N) where N is the number of the user's passwords",
        summary: "Log in with a password, or with a user name and a password",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "client",
        arity: -2,
        group: Group::Connection,
        since: "2.4.0",
        complexity: "Depends on the subcommand",
        summary: "What concerns connections",
        subcommands: CLIENT,
        run: Run::Container,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "echo",
        arity: 2,
        flags: flag::LOADING | flag::STALE | flag::FAST,
        acl: acl::CONNECTION,
        args: &[string("message")],
        group: Group::Connection,
        since: "1.0.0",
        summary: "Send the message back",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "hello",
        arity: -1,
        flags: flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::FAST | flag::NO_AUTH | flag::ALLOW_BUSY,
        acl: acl::CONNECTION,
        args: &[block(
            "arguments",
            &[
                int("protover"),
                block("username_password", &[string("username"), string("password")]).token("AUTH").opt(),
                string("clientname").token("SETNAME").opt(),
            ],
        )
        .opt()],
        group: Group::Connection,
        since: "6.0.0",
        summary: "Choose the protocol version, and log in and name the connection on the way",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "ping",
        arity: -1,
        flags: flag::FAST,
        acl: acl::CONNECTION,
        args: &[string("message").opt()],
        group: Group::Connection,
        since: "1.0.0",
        summary: "Answer PONG, or the message",
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "quit",
        arity: -1,
        flags: flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::FAST | flag::NO_AUTH | flag::ALLOW_BUSY,
        acl: acl::CONNECTION,
        group: Group::Connection,
        since: "1.0.0",
        summary: "Close this connection after the reply",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "reset",
        arity: 1,
        flags: flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::FAST | flag::NO_AUTH | flag::ALLOW_BUSY,
        acl: acl::CONNECTION,
        group: Group::Connection,
        since: "6.2.0",
        summary: "Put this connection into the state of a fresh one",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "select",
        arity: 2,
        flags: flag::LOADING | flag::STALE | flag::FAST,
        acl: acl::CONNECTION,
        args: &[int("index")],
        group: Group::Connection,
        since: "1.0.0",
        summary: "Choose the database this connection works in",
        ..CommandSpec::DEFAULT
    },
];

const CLIENT: &[CommandSpec] = &[
    CommandSpec {
        name: "caching",
        arity: 3,
        flags: flag::NOSCRIPT | flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        args: &[one_of("mode", &[word("yes", "YES"), word("no", "NO")])],
        group: Group::Connection,
        since: "6.0.0",
        summary: "Track the keys of the next command, or leave them out, in OPTIN and OPTOUT mode",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "getname",
        arity: 2,
        flags: flag::NOSCRIPT | flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        group: Group::Connection,
        since: "2.6.9",
        summary: "The name of this connection",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "getredir",
        arity: 2,
        flags: flag::NOSCRIPT | flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        group: Group::Connection,
        since: "6.0.0",
        summary: "The client that receives the invalidations of this connection",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "help",
        arity: 2,
        flags: flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        group: Group::Connection,
        since: "5.0.0",
        summary: "List the subcommands",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "id",
        arity: 2,
        flags: flag::NOSCRIPT | flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        group: Group::Connection,
        since: "5.0.0",
        summary: "The number of this connection",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "info",
        arity: 2,
        flags: flag::NOSCRIPT | flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        group: Group::Connection,
        since: "6.2.0",
        summary: "This connection's line of CLIENT LIST",
        tips: &["nondeterministic_output"],
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "kill",
        arity: -3,
        flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        args: &[one_of(
            "filter",
            &[
                string("ip:port"),
                one_of(
                    "new-format",
                    &[
                        int("client-id").token("ID").since("2.8.12"),
                        one_of(
                            "normal_master_slave_pubsub",
                            &[
                                word("normal", "NORMAL"),
                                word("master", "MASTER").since("3.2.0"),
                                word("slave", "SLAVE"),
                                word("replica", "REPLICA").since("5.0.0"),
                                word("pubsub", "PUBSUB"),
                            ],
                        )
                        .token("TYPE")
                        .since("2.8.12"),
                        string("username").token("USER"),
                        string("ip:port").token("ADDR"),
                        string("ip:port").token("LADDR").since("6.2.0"),
                        string("yes/no").token("SKIPME"),
                    ],
                )
                .many(),
            ],
        )],
        group: Group::Connection,
        since: "2.4.0",
        complexity: "O(N) where N is the number of connections",
        summary: "Close the connections that a filter selects",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "list",
        arity: -2,
        flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        args: &[
            one_of(
                "normal_master_replica_pubsub",
                &[
                    word("normal", "NORMAL"),
                    word("master", "MASTER"),
                    word("replica", "REPLICA"),
                    word("pubsub", "PUBSUB"),
                ],
            )
            .token("TYPE")
            .opt()
            .since("5.0.0"),
            block("id", &[int("client-id").many()]).token("ID").opt().since("6.2.0"),
        ],
        group: Group::Connection,
        since: "2.4.0",
        complexity: "O(N) where N is the number of connections",
        summary: "All connections, a line each",
        tips: &["nondeterministic_output"],
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "no-evict",
        arity: 3,
        flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        args: &[one_of("enabled", &[word("on", "ON"), word("off", "OFF")])],
        group: Group::Connection,
        since: "7.0.0",
        summary: "Protect this connection from being closed for the memory it uses",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "no-touch",
        arity: 3,
        flags: flag::NOSCRIPT | flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        args: &[one_of("enabled", &[word("on", "ON"), word("off", "OFF")])],
        group: Group::Connection,
        since: "7.2.0",
        summary: "Leave the access time of keys alone while this connection reads them",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "pause",
        arity: -3,
        flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        args: &[
            int("timeout"),
            one_of("mode", &[word("write", "WRITE"), word("all", "ALL")]).opt().since("6.2.0"),
        ],
        group: Group::Connection,
        since: "2.9.50",
        summary: "Hold back the commands of all clients, or their writes, for a time",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "reply",
        arity: 3,
        flags: flag::NOSCRIPT | flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        args: &[one_of("on_off_skip", &[word("on", "ON"), word("off", "OFF"), word("skip", "SKIP")])],
        group: Group::Connection,
        since: "3.2.0",
        summary: "Choose whether this connection gets replies",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "setinfo",
        arity: 4,
        flags: flag::NOSCRIPT | flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        args: &[one_of("attr", &[string("libname").token("LIB-NAME"), string("libver").token("LIB-VER")])],
        group: Group::Connection,
        since: "7.2.0",
        summary: "Tell the server the name or version of the client library",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "setname",
        arity: 3,
        flags: flag::NOSCRIPT | flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        args: &[string("connection-name")],
        group: Group::Connection,
        since: "2.6.9",
        summary: "Name this connection",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "tracking",
        arity: -3,
        flags: flag::NOSCRIPT | flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        args: &[
            one_of("status", &[word("on", "ON"), word("off", "OFF")]),
            int("client-id").token("REDIRECT").opt(),
            string("prefix").token("PREFIX").many_tokens().opt(),
            word("bcast", "BCAST").opt(),
            word("optin", "OPTIN").opt(),
            word("optout", "OPTOUT").opt(),
            word("noloop", "NOLOOP").opt(),
        ],
        group: Group::Connection,
        since: "6.0.0",
        complexity: "O(1), and O(N) where N is the number of prefixes",
        summary: "Turn server-assisted client-side caching on or off",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "trackinginfo",
        arity: 2,
        flags: flag::NOSCRIPT | flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        group: Group::Connection,
        since: "6.2.0",
        summary: "The state of client-side caching of this connection",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "unblock",
        arity: -3,
        flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        args: &[
            int("client-id"),
            one_of("timeout_error", &[word("timeout", "TIMEOUT"), word("error", "ERROR")]).opt(),
        ],
        group: Group::Connection,
        since: "5.0.0",
        summary: "Wake a client that waits in a blocking command",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "unpause",
        arity: 2,
        flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE,
        acl: acl::CONNECTION,
        group: Group::Connection,
        since: "6.2.0",
        complexity: "O(N) where N is the number of paused clients",
        summary: "Let paused clients go on",
        ..CommandSpec::DEFAULT
    },
];
