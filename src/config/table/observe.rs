//! Slow log, latency, events, scripts that run too long.

use super::*;
use crate::config::parameter::{Arity, Severity::*};
use crate::config::special;

pub const THEME: Theme = Theme {
    title: "Slow log, latency, notifications, scripts",
    intro: "What the server tells about itself and its keys.",
    rows: ROWS,
};

const ROWS: &[Parameter] = &[
    Parameter::new("slowlog-log-slower-than", number!(slowlog_log_slower_than: i64, -1, LONG_MAX), "10000",
        "Commands that took at least this long are kept in SLOWLOG. 0 keeps every command, -1 none. Waiting for other clients is not counted.").unit("microseconds"),
    Parameter::new("slowlog-max-len", number!(slowlog_max_len: u64, 0, LONG_MAX), "128",
        "Entries kept by SLOWLOG; the oldest goes first."),
    Parameter::new("latency-tracking", yes_no!(latency_tracking), "yes",
        "Keep a histogram of durations per command, for LATENCY HISTOGRAM and INFO latencystats."),
    Parameter::new("latency-tracking-info-percentiles", special!("<percentile> ...", Arity::Some, special::parse_percentiles, special::format_percentiles, special::percentiles_lines), "50 99 99.9",
        "The percentiles that INFO latencystats prints. Empty prints none."),
    Parameter::new("latency-monitor-threshold", number!(latency_monitor_threshold: i64, 0, LONG_MAX), "0",
        "Events that took at least this long are kept for LATENCY LATEST and LATENCY HISTORY. 0 keeps none.").unit("milliseconds"),
    Parameter::new("notify-keyspace-events", special!("<classes>", Arity::One, special::parse_events, special::format_events, special::events_lines), "",
        "Which changes of keys are published: `K` on channels named by key, `E` on channels named by event, and one or more of `g` generic, `$` strings, `l` lists, `s` sets, `h` hashes, `z` sorted sets, `x` expired, `e` evicted, `t` streams, `d` modules, `m` misses, `n` new keys; `A` is all but `m` and `n`. Empty publishes nothing."),
    Parameter::new("busy-reply-threshold", number!(busy_reply_threshold: i64, 0, LONG_MAX), "5000",
        "A script that runs longer than this lets other clients read a BUSY error and use SCRIPT KILL. 0 never does.").alias("lua-time-limit").unit("milliseconds"),
    Parameter::new("script-intrinsics", yes_no!(script_intrinsics), "yes",
        "Run scripts that Celery, Channels, django-redis, RQ, Huey and redis-py always send as native code, with the same results. `no` has Lua run them all.").ours(),
    Parameter::new("lua-enable-deprecated-api", yes_no!(lua_enable_deprecated_api), "no",
        "Leave functions of Lua visible to scripts that Redis 7 hides, such as `print`.").immutable().hidden().later("showing scripts what Redis 7 hides of Lua is", Warn),
];
