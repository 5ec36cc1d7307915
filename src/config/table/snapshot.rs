//! RDB snapshots and the loading of data.

use super::*;
use crate::config::parameter::{Arity, Severity::*};
use crate::config::special;

pub const THEME: Theme =
    Theme { title: "Durability: snapshots", intro: "RDB files: the whole data at one moment.", rows: ROWS };

const REPLICATION: &str = "replication is";

const ROWS: &[Parameter] = &[
    Parameter::new(
        "save",
        special!(
            "<seconds> <changes> ...",
            Arity::Multiple(2),
            special::parse_save,
            special::format_save,
            special::save_lines
        ),
        "3600 1 300 100 60 10000",
        "Take a snapshot when this many seconds have passed and at least that many changes were made; any of the pairs suffices. Lines in a file add up, the first one replaces the default. `save \"\"` means never, not even at the end. While a snapshot is written the server stands still; by the default points, which nobody asked for, it does so for a thousandth of the time at most, and never longer than a second.",
    ),
    Parameter::new(
        "dbfilename",
        text!(dbfilename, checks::dbfilename),
        "dump.rdb",
        "Name of the snapshot file inside `dir`. A file name, not a path.",
    )
    .protected(),
    Parameter::new(
        "stop-writes-on-bgsave-error",
        yes_no!(stop_writes_on_bgsave_error),
        "yes",
        "Refuse writes while the last snapshot in the background failed, so that somebody notices. Only with save points that somebody asked for.",
    ),
    Parameter::new("rdbcompression", yes_no!(rdbcompression), "yes", "Compress long strings in snapshots."),
    Parameter::new(
        "rdbchecksum",
        yes_no!(rdbchecksum),
        "yes",
        "End snapshots with a checksum, and verify it when loading.",
    )
    .immutable(),
    Parameter::new(
        "rdb-save-incremental-fsync",
        yes_no!(rdb_save_incremental_fsync),
        "yes",
        "Sync a snapshot piece by piece while it is written, not all at the end.",
    )
    .no_effect("a snapshot is synced when the server goes on again, by a thread of its own"),
    Parameter::new(
        "rdb-del-sync-files",
        yes_no!(rdb_del_sync_files),
        "no",
        "Delete snapshot files that were only needed to bring up a replica, on servers without persistence.",
    )
    .later(REPLICATION, Warn),
    Parameter::new(
        "sanitize-dump-payload",
        word!(sanitize_dump_payload: SanitizeDumpPayload),
        "no",
        "How deeply values from RESTORE and from snapshots are checked before they are used.",
    )
    .no_effect("RESTORE and snapshots are always checked as `yes` says"),
    Parameter::new(
        "rdb-key-save-delay",
        number!(rdb_key_save_delay: i32, INT_MIN, INT_MAX),
        "0",
        "For tests: wait this long after each key written to a snapshot.",
    )
    .unit("microseconds")
    .hidden()
    .no_effect("the server stands still while a snapshot is written"),
    Parameter::new(
        "key-load-delay",
        number!(key_load_delay: i32, INT_MIN, INT_MAX),
        "0",
        "For tests: wait this long after each key loaded at start.",
    )
    .unit("microseconds")
    .hidden()
    .later("slow loading for tests is", Warn),
    Parameter::new(
        "loading-process-events-interval-bytes",
        number!(loading_process_events_interval_bytes: u64, 1024, INT_MAX),
        "2097152",
        "For tests: how much is loaded between two looks at the clients.",
    )
    .unit("bytes")
    .hidden()
    .later("slow loading for tests is", Warn),
];
