//! Listening, connections, and what one client may occupy.

use super::*;
use crate::config::parameter::{Arity, Severity::*};
use crate::config::special;

pub const THEME: Theme = Theme {
    title: "Network and clients",
    intro: "Where the server listens and what one connection may occupy.",
    rows: ROWS,
};

const ROWS: &[Parameter] = &[
    Parameter::new("bind", special!("<address> ...", Arity::Some, special::parse_bind, special::format_bind, special::bind_lines), "* -::*",
        "The addresses to listen on, up to 16. `*` is every IPv4 address and `::*` every IPv6 one. An address with a `-` before it may be missing from this machine without stopping the start. An empty value means no TCP listener for plain connections. Inside a container, loopback addresses are reachable from that container only."),
    Parameter::new("port", number!(port: u16, 0, 65535), "6379",
        "The TCP port. 0 means no TCP listener. Setting it at run time opens the new port first and closes the old one after."),
    Parameter::new("protected-mode", yes_no!(protected_mode), "yes",
        "While the default user has no password, only clients on this machine are served; others get an error that explains it."),
    Parameter::new("unixsocket", text!(unixsocket), "",
        "Path of a Unix socket to listen on as well. Empty means none. The path has at most 107 bytes.").immutable(),
    Parameter::new("unixsocketperm", numeric!(Octal, unixsocketperm: u32, 0, 0o777), "0",
        "Permissions of the Unix socket, in octal, for example 700. 0 leaves what the umask gives.").immutable(),
    Parameter::new("tcp-backlog", number!(tcp_backlog: i32, 0, INT_MAX), "511",
        "Length of the queue of connections that the kernel has accepted and the server has not. The kernel caps it at `net.core.somaxconn`.").immutable(),
    Parameter::new("tcp-keepalive", number!(tcp_keepalive: u32, 0, INT_MAX), "300",
        "A client silent for this long is probed by TCP, so that a dead peer is found and middle boxes keep the connection. 0 sends no probes.").unit("seconds"),
    Parameter::new("timeout", number!(timeout: u32, 0, INT_MAX), "0",
        "A client idle for this long is disconnected. 0 never does. Subscribers and blocked clients are not idle.").unit("seconds"),
    Parameter::new("blocking-timeout-margin", word!(blocking_timeout_margin: BlockingTimeoutMargin), "auto",
        "Answer blocking commands (BLPOP, BZPOPMIN, XREAD BLOCK ...) a little before their timeouts. `auto` does so for clients whose library gives up at that very moment and takes the connection down: redis-py 8 and later, known by CLIENT SETINFO, whose socket timeout is that of the command. They are answered nil 2 % of the timeout early, 150 ms at most. `no` never answers early.").ours(),
    Parameter::new("blocked-pop-doubt", word!(blocked_pop_doubt: BlockedPopDoubt), "auto",
        "What a blocking command popped goes back to the end it came from if its reply was sent and never read: if the client resets the connection before it is heard of again, for 30 seconds at most. A client does so when it dies or closes with a reply unread, which is how a worker loses a task at its end. `auto` trusts the resets of libraries that close their connections in the ordinary way: redis-py, ioredis, node-redis and go-redis, known by CLIENT SETINFO. `yes` trusts all; some libraries (Jedis) reset every connection they close, and whoever pops and closes with one of these gets the element twice. With `no` an element goes back only if the kernel did not take its reply.").ours(),
    Parameter::new("maxclients", number!(maxclients: u32, 1, UINT_MAX), "10000",
        "Connections served at the same time; one more is told `ERR max number of clients reached` and closed. Lowered at start if the limit of open files does not allow so many."),
    Parameter::new("proto-max-bulk-len", memory!(proto_max_bulk_len: u64, 1024 * 1024, LONG_MAX), "536870912",
        "The largest single argument of a command, and so the largest string value.").unit("bytes"),
    Parameter::new("client-query-buffer-limit", memory!(client_query_buffer_limit: u64, 1024 * 1024, LONG_MAX), "1073741824",
        "A client whose unread input grows past this is disconnected.").unit("bytes"),
    Parameter::new("client-output-buffer-limit", special!("<class> <hard> <soft> <seconds> ...", Arity::Multiple(4), special::parse_buffer_limits, special::format_buffer_limits, special::buffer_limit_lines),
        "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
        "Limits on replies a client does not read, for the classes `normal`, `replica` and `pubsub`. A client is disconnected as soon as it is over the hard limit, or when it has been over the soft limit for the given seconds. 0 means no limit. Classes that are not named keep their limits."),
    Parameter::new("maxmemory-clients", numeric!(MemoryOrPercent, maxmemory_clients: i64, -100, LONG_MAX), "0",
        "Upper bound for the memory of all clients together, absolute or as a percentage of `maxmemory`; past it the largest clients are disconnected. 0 means none.")
        .unit("bytes or percent").later("eviction of clients is", Warn),
    Parameter::new("socket-mark-id", number!(socket_mark_id: u32, 0, UINT_MAX), "0",
        "Mark put on the packets of this server's sockets, for firewall and routing rules. 0 sets none.")
        .immutable().later("marking of sockets is", Warn),
];
