//! Rows of the pub/sub family. No keyspace has a part in it: the home shard of the publisher sends messages
//! to the homes of the subscribers (`actor::publish`), and what PUBSUB tells is in `session::Registry`.

use super::spec::{ArgKind, Group, access, flag, pattern, string};
use super::{CommandSpec, KeySpec, Run, spec::Arg};

const LISTEN: u32 = flag::PUBSUB | flag::NOSCRIPT | flag::LOADING | flag::STALE;
const PUBLISH: u32 = flag::PUBSUB | flag::LOADING | flag::STALE | flag::FAST | flag::MAY_REPLICATE;

const BASE: CommandSpec = CommandSpec {
    group: Group::PubSub,
    since: "2.0.0",
    complexity: "O(N) where N is the number of names",
    ..CommandSpec::DEFAULT
};

/// Clients of a cluster find the node of a shard channel as they find that of a key.
const SHARD_CHANNELS: &[KeySpec] = &[KeySpec::range(access::NOT_KEY, 1, -1, 1)];

pub const COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "psubscribe",
        arity: -2,
        flags: LISTEN | flag::SENTINEL,
        args: &[Arg::new("pattern", ArgKind::Block(&[pattern("pattern")])).many()],
        summary: "Receive the messages of all channels whose names match these patterns",
        ..BASE
    },
    CommandSpec {
        name: "publish",
        arity: 3,
        flags: PUBLISH | flag::SENTINEL,
        args: &[string("channel"), string("message")],
        complexity: "O(N+M) where N is the number of subscribers and M the number of patterns anybody is subscribed to",
        summary: "Send a message to whoever is subscribed to the channel",
        ..BASE
    },
    CommandSpec {
        name: "pubsub",
        arity: -2,
        since: "2.8.0",
        complexity: "Depends on the subcommand",
        summary: "What is subscribed to, and by how many",
        subcommands: PUBSUB,
        run: Run::Container,
        ..BASE
    },
    CommandSpec {
        name: "punsubscribe",
        arity: -1,
        flags: LISTEN | flag::SENTINEL,
        args: &[pattern("pattern").opt().many()],
        summary: "End subscriptions to patterns, or to all of them",
        ..BASE
    },
    CommandSpec {
        name: "spublish",
        arity: 3,
        flags: PUBLISH,
        keys: &[KeySpec::one(access::NOT_KEY, 1)],
        args: &[string("shardchannel"), string("message")],
        since: "7.0.0",
        complexity: "O(N) where N is the number of subscribers",
        summary: "Send a message to whoever is subscribed to the shard channel",
        ..BASE
    },
    CommandSpec {
        name: "ssubscribe",
        arity: -2,
        flags: LISTEN,
        keys: SHARD_CHANNELS,
        args: &[string("shardchannel").many()],
        since: "7.0.0",
        summary: "Receive the messages of these shard channels",
        ..BASE
    },
    CommandSpec {
        name: "subscribe",
        arity: -2,
        flags: LISTEN | flag::SENTINEL,
        args: &[string("channel").many()],
        summary: "Receive the messages of these channels",
        ..BASE
    },
    CommandSpec {
        name: "sunsubscribe",
        arity: -1,
        flags: LISTEN,
        keys: SHARD_CHANNELS,
        args: &[string("shardchannel").opt().many()],
        since: "7.0.0",
        summary: "End subscriptions to shard channels, or to all of them",
        ..BASE
    },
    CommandSpec {
        name: "unsubscribe",
        arity: -1,
        flags: LISTEN | flag::SENTINEL,
        args: &[string("channel").opt().many()],
        summary: "End subscriptions to channels, or to all of them",
        ..BASE
    },
];

const ASK: u32 = flag::PUBSUB | flag::LOADING | flag::STALE;

const PUBSUB: &[CommandSpec] = &[
    CommandSpec {
        name: "channels",
        arity: -2,
        flags: ASK,
        args: &[pattern("pattern").opt()],
        since: "2.8.0",
        complexity: "O(N) where N is the number of channels",
        summary: "The channels somebody is subscribed to",
        ..BASE
    },
    CommandSpec {
        name: "help",
        arity: 2,
        flags: flag::LOADING | flag::STALE,
        since: "6.2.0",
        complexity: "O(1)",
        summary: "What the subcommands do",
        ..BASE
    },
    CommandSpec {
        name: "numpat",
        arity: 2,
        flags: ASK,
        since: "2.8.0",
        complexity: "O(1)",
        summary: "How many patterns somebody is subscribed to",
        ..BASE
    },
    CommandSpec {
        name: "numsub",
        arity: -2,
        flags: ASK,
        args: &[string("channel").opt().many()],
        since: "2.8.0",
        summary: "How many are subscribed to each of these channels",
        ..BASE
    },
    CommandSpec {
        name: "shardchannels",
        arity: -2,
        flags: ASK,
        args: &[pattern("pattern").opt()],
        since: "7.0.0",
        complexity: "O(N) where N is the number of shard channels",
        summary: "The shard channels somebody is subscribed to",
        ..BASE
    },
    CommandSpec {
        name: "shardnumsub",
        arity: -2,
        flags: ASK,
        args: &[string("shardchannel").opt().many()],
        since: "7.0.0",
        summary: "How many are subscribed to each of these shard channels",
        ..BASE
    },
];
