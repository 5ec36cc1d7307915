//! Rows of MULTI and its relatives. The session queues and runs transactions; watched keys live with
//! their owners (`keyspace::WatchTable`).

use super::spec::{Group, access, acl, flag, key};
use super::{CommandSpec, KeySpec};

pub const COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "discard",
        arity: 1,
        flags: flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::FAST | flag::ALLOW_BUSY,
        acl: acl::TRANSACTION,
        group: Group::Transactions,
        since: "2.0.0",
        complexity: "O(N) where N is the number of queued commands",
        summary: "Leave the transaction and forget its queue",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "exec",
        arity: 1,
        flags: flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::SKIP_SLOWLOG,
        acl: acl::TRANSACTION,
        group: Group::Transactions,
        since: "1.2.0",
        complexity: "Depends on the queued commands",
        summary: "Run the queued commands as one, unless a watched key has changed",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "multi",
        arity: 1,
        flags: flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::FAST | flag::ALLOW_BUSY,
        acl: acl::TRANSACTION,
        group: Group::Transactions,
        since: "1.2.0",
        summary: "Open a transaction: queue what follows until EXEC",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "unwatch",
        arity: 1,
        flags: flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::FAST | flag::ALLOW_BUSY,
        acl: acl::TRANSACTION,
        group: Group::Transactions,
        since: "2.2.0",
        complexity: "O(N) where N is the number of watched keys",
        summary: "Forget all watched keys",
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "watch",
        arity: -2,
        flags: flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::FAST | flag::ALLOW_BUSY,
        acl: acl::TRANSACTION,
        keys: &[KeySpec::range(access::RO, 1, -1, 1)],
        args: &[key("key", 0).many()],
        group: Group::Transactions,
        since: "2.2.0",
        complexity: "O(1) for each key",
        summary: "Let the next EXEC fail if one of these keys changes before it",
        ..CommandSpec::DEFAULT
    },
];
