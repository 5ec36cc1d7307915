//! The append only file.

use super::*;
use crate::config::parameter::{Arity, Severity::*};
use crate::config::special;

pub const THEME: Theme = Theme {
    title: "Durability: the append only file",
    intro: "The journal of every change. The files are those of Redis: `appendonlydir`, a manifest, a base and increments.",
    rows: ROWS,
};

const REWRITING: &str = "rewriting the append only file while the shards go on is";
const PREAMBLE: &str = "writing a base in RDB format is";

const ROWS: &[Parameter] = &[
    Parameter::new("dir", special!("<path>", Arity::One, special::parse_dir, special::format_dir, special::dir_lines), ".",
        "The working directory: data files live here, and relative paths start here. CONFIG GET prints it absolute.").protected().deny_loading(),
    Parameter::new("appendonly", yes_no!(appendonly), "no",
        "Keep every change in the append only file and load it at start. Without it the snapshot is loaded at start, and what came after it is lost.").deny_loading(),
    Parameter::new("appendfilename", text!(appendfilename, checks::appendfilename), "appendonly.aof",
        "Prefix of the names of the append only files. A file name, not a path.").immutable(),
    Parameter::new("appenddirname", text!(appenddirname, checks::appenddirname), "appendonlydir",
        "The directory inside `dir` that holds the append only files and their manifest. A name, not a path.").immutable(),
    Parameter::new("appendfsync", word!(appendfsync: AppendFsync), "everysec",
        "When the file is forced to disk: `always` before a change is answered, `everysec` once a second, `no` when the operating system likes. Under each of them a change that was answered survives the end of the process; only `always` survives a power cut without loss."),
    Parameter::new("aof-load-truncated", yes_no!(aof_load_truncated), "yes",
        "If the file ends in the middle of a command, as after a power cut, drop that end, say so, and start. With `no` the server refuses to start."),
    Parameter::new("aof-use-rdb-preamble", yes_no!(aof_use_rdb_preamble), "yes",
        "Write the base of the append only file in RDB format when it is rewritten. Such bases are loaded, and written as commands.").harmless(&["no"]).later(PREAMBLE, Warn),
    Parameter::new("no-appendfsync-on-rewrite", yes_no!(no_appendfsync_on_rewrite), "no",
        "Do not sync the append only file while it is being rewritten.").later(REWRITING, Warn),
    Parameter::new("auto-aof-rewrite-percentage", number!(auto_aof_rewrite_percentage: u32, 0, INT_MAX), "100",
        "Rewrite the append only file when it has grown by this much over its size after the last rewrite. 0 never does by itself.").unit("percent").harmless(&["0"]).later(REWRITING, Warn),
    Parameter::new("auto-aof-rewrite-min-size", memory!(auto_aof_rewrite_min_size: u64, 0, LONG_MAX), "67108864",
        "Below this size the append only file is not rewritten by itself.").unit("bytes").later(REWRITING, Warn),
    Parameter::new("aof-rewrite-incremental-fsync", yes_no!(aof_rewrite_incremental_fsync), "yes",
        "Sync a file that is being rewritten piece by piece, not all at the end.").later(REWRITING, Warn),
    Parameter::new("aof-disable-auto-gc", yes_no!(aof_disable_auto_gc), "no",
        "Keep the append only files that a rewrite made superfluous."),
    Parameter::new("aof-timestamp-enabled", yes_no!(aof_timestamp_enabled), "no",
        "Write the time between the commands of the append only file, for recovery up to a moment."),
];
