//! How much memory, what happens at the limit, and how memory is given back.

use super::*;
use crate::config::parameter::{Form, Kind, Severity::*};

pub const THEME: Theme = Theme {
    title: "Memory, expiry and eviction",
    intro: "How much memory the data may take, what happens at the limit, and when values are freed.",
    rows: ROWS,
};

const EVICTION: &str = "eviction of keys is";

const ROWS: &[Parameter] = &[
    Parameter::new("maxmemory", memory!(maxmemory: u64, 0, ULLONG_MAX), "0",
        "Memory at which commands that could need more are answered with an OOM error (and, with an evicting `maxmemory-policy`, keys make room). 0 means no limit. In a container stay well below the container's own limit: buffers and the allocator need room too.").unit("bytes"),
    Parameter::new("maxmemory-policy", word!(maxmemory_policy: MaxmemoryPolicy), "noeviction",
        "What makes room at `maxmemory`: keys by last use (`lru`), by frequency (`lfu`), at random or by nearest expiry, among all keys or only those with an expiry; or nothing, and commands that need memory fail. Queues, sessions and channel layers need `noeviction`: a whole Celery queue is one key.").later(EVICTION, Warn),
    Parameter::new("maxmemory-samples", number!(maxmemory_samples: u32, 1, INT_MAX), "5",
        "Keys looked at to find one that is worth evicting. More is closer to true LRU or LFU and costs CPU.").later(EVICTION, Warn),
    Parameter::new("maxmemory-eviction-tenacity", number!(maxmemory_eviction_tenacity: u8, 0, 100), "10",
        "How long eviction may hold up commands at a time: 0 hardly, 100 until enough is free.").later(EVICTION, Warn),
    Parameter::new("lfu-log-factor", number!(lfu_log_factor: u32, 0, INT_MAX), "10",
        "How slowly the access counter of LFU saturates.").later(EVICTION, Warn),
    Parameter::new("lfu-decay-time", number!(lfu_decay_time: u32, 0, INT_MAX), "1",
        "Time after which the access counter of LFU is decremented. 0 never does.").unit("minutes").later(EVICTION, Warn),
    Parameter::new("active-expire-effort", number!(active_expire_effort: u8, 1, 10), "1",
        "In Redis: how much work goes into finding expired keys that nobody asks for, from 1 to 10.").no_effect("keys past their time are found by their deadlines, none is looked for"),
    Parameter::new("hz", Kind::Number { form: Form::Plain, min: 0, max: INT_MAX, get: |s| i128::from(s.hz), set: |s, value| s.hz = value.clamp(1, 500) as u32 }, "10",
        "In Redis: how often per second background work runs. Values outside 1 to 500 are moved to that range.").unit("per second").no_effect("background work runs when it is due; what has no due time, ten times a second"),
    Parameter::new("dynamic-hz", yes_no!(dynamic_hz), "yes",
        "In Redis: lets `hz` rise with the number of clients.").no_effect("`hz` has none"),
    Parameter::new("lazyfree-lazy-eviction", yes_no!(lazyfree_lazy_eviction), "no",
        "In Redis: free evicted values in the background.").no_effect("large values are always freed in small steps between commands"),
    Parameter::new("lazyfree-lazy-expire", yes_no!(lazyfree_lazy_expire), "no",
        "In Redis: free expired values in the background.").no_effect("large values are always freed in small steps between commands"),
    Parameter::new("lazyfree-lazy-server-del", yes_no!(lazyfree_lazy_server_del), "no",
        "In Redis: free values in the background that a command deletes on the side, such as the target of RENAME.").no_effect("large values are always freed in small steps between commands"),
    Parameter::new("lazyfree-lazy-user-del", yes_no!(lazyfree_lazy_user_del), "no",
        "In Redis: DEL behaves like UNLINK.").no_effect("large values are always freed in small steps between commands"),
    Parameter::new("lazyfree-lazy-user-flush", yes_no!(lazyfree_lazy_user_flush), "no",
        "FLUSHDB and FLUSHALL without SYNC or ASYNC behave as with ASYNC."),
    Parameter::new("activerehashing", yes_no!(activerehashing), "yes",
        "In Redis: use idle time to move keys into a grown table.").no_effect("tables grow in small steps here, there is nothing to rehash in the background"),
    Parameter::new("tracking-table-max-keys", number!(tracking_table_max_keys: u64, 0, LONG_MAX), "1000000",
        "Keys remembered for CLIENT TRACKING; past it, clients are told to forget some. 0 means no limit."),
];
