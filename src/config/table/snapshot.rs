//! RDB snapshots and the loading of data.

use super::*;
use crate::config::parameter::{Arity, Severity::*};
use crate::config::special;

pub const THEME: Theme =
    Theme { title: "Durability: snapshots", intro: "RDB files: the whole data at one moment.", rows: ROWS };

const SNAPSHOTS: &str = "RDB snapshots are";

const ROWS: &[Parameter] = &[
    Parameter::new("save", special!("<seconds> <changes> ...", Arity::Multiple(2), special::parse_save, special::format_save, special::save_lines), "3600 1 300 100 60 10000",
        "Take a snapshot when this many seconds have passed and at least that many changes were made; any of the pairs suffices. Lines in a file add up, the first one replaces the default. `save \"\"` means never.").harmless(&[""]).later(SNAPSHOTS, Warn),
    Parameter::new("dbfilename", text!(dbfilename, checks::dbfilename), "dump.rdb",
        "Name of the snapshot file inside `dir`. A file name, not a path.").protected().later(SNAPSHOTS, Warn),
    Parameter::new("stop-writes-on-bgsave-error", yes_no!(stop_writes_on_bgsave_error), "yes",
        "Refuse writes while the last snapshot failed, so that somebody notices.").later(SNAPSHOTS, Warn),
    Parameter::new("rdbcompression", yes_no!(rdbcompression), "yes",
        "Compress long strings in snapshots.").later(SNAPSHOTS, Warn),
    Parameter::new("rdbchecksum", yes_no!(rdbchecksum), "yes",
        "End snapshots with a checksum, and verify it when loading.").immutable().later(SNAPSHOTS, Warn),
    Parameter::new("rdb-save-incremental-fsync", yes_no!(rdb_save_incremental_fsync), "yes",
        "Sync a snapshot piece by piece while it is written, not all at the end.").later(SNAPSHOTS, Warn),
    Parameter::new("rdb-del-sync-files", yes_no!(rdb_del_sync_files), "no",
        "Delete snapshot files that were only needed to bring up a replica, on servers without persistence.").later(SNAPSHOTS, Warn),
    Parameter::new("sanitize-dump-payload", word!(sanitize_dump_payload: SanitizeDumpPayload), "no",
        "How deeply values from RESTORE and from snapshots are checked before they are used.").later("the choice of how deeply RESTORE checks its payload is", Warn),
    Parameter::new("rdb-key-save-delay", number!(rdb_key_save_delay: i32, INT_MIN, INT_MAX), "0",
        "For tests: wait this long after each key written to a snapshot.").unit("microseconds").hidden().later(SNAPSHOTS, Warn),
    Parameter::new("key-load-delay", number!(key_load_delay: i32, INT_MIN, INT_MAX), "0",
        "For tests: wait this long after each key loaded at start.").unit("microseconds").hidden().later("slow loading for tests is", Warn),
    Parameter::new("loading-process-events-interval-bytes", number!(loading_process_events_interval_bytes: u64, 1024, INT_MAX), "2097152",
        "For tests: how much is loaded between two looks at the clients.").unit("bytes").hidden().later("slow loading for tests is", Warn),
];
