//! Passwords, users, and dangerous commands. `user` and `rename-command` are directives, not parameters: see
//! `file.rs`.

use super::*;
use crate::config::parameter::Severity::*;

pub const THEME: Theme =
    Theme { title: "Security", intro: "Who may connect and what is kept from them.", rows: ROWS };

const ROWS: &[Parameter] = &[
    Parameter::new("requirepass", text!(requirepass), "",
        "Password of the default user: clients must AUTH before anything else. Empty means none. The server answers many guesses per second, so choose a long one.").sensitive(),
    Parameter::new("aclfile", text!(aclfile), "",
        "File with the users of ACL, instead of `user` lines in this file.").keeps_empty().immutable().later("access control lists are", Refuse),
    Parameter::new("acl-pubsub-default", word!(acl_pubsub_default: AclPubsubDefault), "resetchannels",
        "Which channels a new ACL user may use: all or none.").later("access control lists are", Warn),
    Parameter::new("acllog-max-len", number!(acllog_max_len: u64, 0, LONG_MAX), "128",
        "Entries kept by ACL LOG.").later("access control lists are", Warn),
    Parameter::new("enable-protected-configs", word!(enable_protected_configs: ProtectedAction), "no",
        "Who may CONFIG SET `dir` and `dbfilename`: nobody, everybody, or clients on this machine (`local`).").immutable(),
    Parameter::new("enable-debug-command", word!(enable_debug_command: ProtectedAction), "no",
        "Who may use DEBUG: nobody, everybody, or clients on this machine (`local`).").immutable(),
    Parameter::new("enable-module-command", word!(enable_module_command: ProtectedAction), "no",
        "In Redis: who may use MODULE.").immutable().no_effect("there are no loadable modules here"),
];
