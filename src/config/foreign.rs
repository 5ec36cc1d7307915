//! Directives that Redis 7.0 does not have as parameters, or not any more, or not yet: each is refused or warned
//! about by name.

pub struct Foreign {
    pub name: &'static str,
    /// Otherwise ignored with a warning.
    pub refused: bool,
    /// Continues "'name' ..." or "it ...".
    pub why: &'static str,
}

const fn refused(name: &'static str, why: &'static str) -> Foreign {
    Foreign { name, refused: true, why }
}

const fn ignored(name: &'static str, why: &'static str) -> Foreign {
    Foreign { name, refused: false, why }
}

const NEWER: &str = "belongs to a Redis later than 7.0";

pub const FOREIGN: &[Foreign] = &[
    refused("loadmodule", "is refused: there are no loadable modules here"),
    refused("sentinel", "is refused: there is no Sentinel mode here"),
    refused("rename-command", "takes a command and its new name"),
    refused("include", "takes one path"),
    refused("user", "takes a name and rules"),
    ignored("list-max-ziplist-entries", "was replaced by list-max-listpack-size"),
    ignored("list-max-ziplist-value", "was replaced by list-max-listpack-size"),
    ignored("lua-replicate-commands", "was removed in Redis 7: effects are always what is replicated"),
    ignored("locale-collate", NEWER),
    ignored("enable-debug-assert", NEWER),
    ignored("hide-user-data-from-log", NEWER),
    ignored("max-new-connections-per-cycle", NEWER),
    ignored("max-new-tls-connections-per-cycle", NEWER),
    ignored("replica-full-sync-buffer-limit", NEWER),
    ignored("cluster-announce-human-nodename", NEWER),
    ignored("cluster-slot-stats-enabled", NEWER),
    ignored("lookahead", NEWER),
];

pub fn find(name: &[u8]) -> Option<&'static Foreign> {
    FOREIGN.iter().find(|known| name.eq_ignore_ascii_case(known.name.as_bytes()))
}
