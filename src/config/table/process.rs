//! The process: shards, log, signals, the operating system.

use super::*;
use crate::config::parameter::{Arity, Severity::*};
use crate::config::special::{self, ShutdownFlags};

pub const SHARDS: Theme = Theme {
    title: "Shards",
    intro: "Parameters that only Ringdove has. They are fixed at start.",
    rows: OURS,
};
pub const THEME: Theme = Theme {
    title: "Process, log and shutdown",
    intro: "How the process runs, what it logs, how it ends.",
    rows: ROWS,
};

const OURS: &[Parameter] = &[
    Parameter::new("shards", special!("auto | <count>", Arity::One, special::parse_shards, special::format_shards, special::shards_lines), "auto",
        "How many shards share the keys, each with a core of its own. `auto` is the number of CPUs the process may really use: its affinity mask and its CPU quota count.").immutable().ours(),
    Parameter::new("locality-rule", special!("<pattern> ...", Arity::Some, special::parse_locality_rule, special::format_locality_rule, special::locality_rule_lines), "",
        "Further patterns of keys that belong on one shard, looked at before the built-in ones. `*` stands for anything; keys whose part in braces is the same live together (`tenant:{*}:*`), without braces all keys that match. Never changes an answer, only what it costs. Lines add up.").immutable().ours(),
];

const ROWS: &[Parameter] = &[
    Parameter::new("databases", number!(databases: u32, 1, INT_MAX), "16",
        "Databases that SELECT can choose, from 0.").immutable(),
    Parameter::new("daemonize", yes_no!(daemonize), "no",
        "Leave the terminal and run in the background.").immutable(),
    Parameter::new("supervised", word!(supervised: Supervised), "no",
        "Tell upstart or systemd when the server is ready.").immutable().harmless(&["auto", "systemd"]).later("telling upstart that the server is ready is", Warn),
    Parameter::new("pidfile", text!(pidfile), "",
        "File that holds the process id while the server runs. A path that cannot be written is reported and nothing more.").immutable(),
    Parameter::new("loglevel", word!(loglevel: LogLevel), "notice",
        "How much is logged: `debug`, `verbose`, `notice` or `warning`."),
    Parameter::new("logfile", text!(logfile), "",
        "File the log is appended to. Empty means standard output.").keeps_empty().immutable(),
    Parameter::new("syslog-enabled", yes_no!(syslog_enabled), "no", "Log to syslog as well.").immutable().later("logging to syslog is", Warn),
    Parameter::new("syslog-ident", text!(syslog_ident), "redis", "Name in syslog.").immutable().later("logging to syslog is", Warn),
    Parameter::new("syslog-facility", word!(syslog_facility: SyslogFacility), "local0", "Facility in syslog.").immutable().later("logging to syslog is", Warn),
    Parameter::new("shutdown-timeout", number!(shutdown_timeout: u32, 0, INT_MAX), "10",
        "How long a shutdown waits for replicas that lag behind.").unit("seconds").later("replication is", Warn),
    Parameter::new("shutdown-on-sigint", special!("default | save | nosave | now | force ...", Arity::Some, |s, args, _| { s.shutdown_on_sigint = ShutdownFlags::read(args)?; Ok(()) }, |s| s.shutdown_on_sigint.write(), |s| s.shutdown_on_sigint.lines()), "default",
        "What SIGINT asks of SHUTDOWN. `default` saves if there are save points and waits for replicas."),
    Parameter::new("shutdown-on-sigterm", special!("default | save | nosave | now | force ...", Arity::Some, |s, args, _| { s.shutdown_on_sigterm = ShutdownFlags::read(args)?; Ok(()) }, |s| s.shutdown_on_sigterm.write(), |s| s.shutdown_on_sigterm.lines()), "default",
        "What SIGTERM asks of SHUTDOWN, in the same words."),
    Parameter::new("always-show-logo", yes_no!(always_show_logo), "no",
        "In Redis: print the logo at start even when the log is not a terminal.").immutable().no_effect("there is no logo"),
    Parameter::new("set-proc-title", yes_no!(set_proc_title), "yes",
        "Show address and mode in the process list.").immutable().harmless(&["no"]).later("the process title is", Warn),
    Parameter::new("proc-title-template", text!(proc_title_template, checks::proc_title_template), "{title} {listen-addr} {server-mode}",
        "What to show in the process list. Variables: title, listen-addr, server-mode, config-file, port, tls-port, unixsocket.").later("the process title is", Warn),
    Parameter::new("oom-score-adj", word!(oom_score_adj: OomScoreAdj), "no",
        "Whether to tell the kernel's OOM killer how dear this process is.").later("setting oom_score_adj is", Warn),
    Parameter::new("oom-score-adj-values", special!("<master> <replica> <child>", Arity::Exactly(3), special::parse_oom_values, special::format_oom_values, special::oom_values_lines), "0 200 800",
        "The scores for a master, a replica and a background child.").later("setting oom_score_adj is", Warn),
    Parameter::new("disable-thp", yes_no!(disable_thp), "yes",
        "Turn transparent huge pages off for this process where the system has them on.").immutable(),
    Parameter::new("server_cpulist", text!(server_cpulist), "", "CPUs of the shards, as in `taskset` (`0-7:2`, `1,3`). One each where there are enough for all, else all for every shard.").keeps_empty().immutable(),
    Parameter::new("bio_cpulist", text!(bio_cpulist), "", "CPUs of the threads beside the shards: control plane, journal.").keeps_empty().immutable(),
    Parameter::new("aof_rewrite_cpulist", text!(aof_rewrite_cpulist), "", "In Redis: CPUs of the process that rewrites the append only file.").immutable().no_effect("no process is made for it; `bio_cpulist` holds for the thread that writes"),
    Parameter::new("bgsave_cpulist", text!(bgsave_cpulist), "", "In Redis: CPUs of the process that writes a snapshot.").immutable().no_effect("no process is made for it; `bio_cpulist` holds for the thread that writes"),
    Parameter::new("io-threads", number!(io_threads: u8, 1, 128), "1",
        "In Redis: threads that read and write sockets.").immutable().no_effect("every shard reads and writes its own sockets; choose the number with shards"),
    Parameter::new("io-threads-do-reads", yes_no!(io_threads_do_reads), "no",
        "In Redis: whether those threads read as well.").immutable().no_effect("every shard reads and writes its own sockets"),
    Parameter::new("jemalloc-bg-thread", yes_no!(jemalloc_bg_thread), "yes",
        "In Redis: let jemalloc give memory back in a thread of its own.").no_effect("the allocator here is not jemalloc"),
    Parameter::new("ignore-warnings", text!(ignore_warnings), "",
        "In Redis: start in spite of a known kernel bug on ARM64.").keeps_empty().no_effect("no start is stopped by such a warning"),
    Parameter::new("crash-log-enabled", yes_no!(crash_log_enabled), "yes",
        "In Redis: log registers and stack when the process crashes.").harmless(&["no"]).later("the crash log is", Warn),
    Parameter::new("crash-memcheck-enabled", yes_no!(crash_memcheck_enabled), "yes",
        "In Redis: test the memory after a crash.").harmless(&["no"]).later("the memory test after a crash is", Warn),
    Parameter::new("use-exit-on-panic", yes_no!(use_exit_on_panic), "no",
        "For tests: exit instead of abort when an assertion fails.").hidden().later("exiting where an assertion fails is", Warn),
    Parameter::new("watchdog-period", number!(watchdog_period: u32, 0, INT_MAX), "0",
        "For tests: log the stack when the server hangs for so long.").unit("milliseconds").hidden().later("the software watchdog is", Warn),
];
