//! Values out of a fixed list, each with the spellings `redis.conf` knows.
//!
//! The order of the spellings is the order in which an error text lists them; the first spelling of a
//! variant is the one CONFIG GET prints. Called by the table; used by whoever obeys the setting.

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($word:literal => $variant:ident),* }) => {
        words!($(#[$meta])* $name [$($variant)*] { $($word => $variant),* });
    };
    // Where two spellings mean the same, the variants are listed apart.
    ($(#[$meta:meta])* $name:ident [$first:ident $($rest:ident)*] { $($word:literal => $variant:ident),* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $name { #[default] $first, $($rest),* }

        impl $name {
            const PAIRS: &'static [(&'static str, $name)] = &[$(($word, $name::$variant)),*];
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            pub fn word(self) -> &'static str {
                Self::PAIRS.iter().find(|pair| pair.1 == self).map_or("unknown", |pair| pair.0)
            }

            pub(super) fn at(index: usize) -> Self {
                Self::PAIRS[index].1
            }
        }
    };
}

words!(
    /// What makes room when `maxmemory` is reached.
    MaxmemoryPolicy {
        "volatile-lru" => VolatileLru, "volatile-lfu" => VolatileLfu, "volatile-random" => VolatileRandom,
        "volatile-ttl" => VolatileTtl, "allkeys-lru" => AllkeysLru, "allkeys-lfu" => AllkeysLfu,
        "allkeys-random" => AllkeysRandom, "noeviction" => NoEviction
    }
);
words!(SyslogFacility {
    "user" => User, "local0" => Local0, "local1" => Local1, "local2" => Local2, "local3" => Local3,
    "local4" => Local4, "local5" => Local5, "local6" => Local6, "local7" => Local7
});
words!(LogLevel { "debug" => Debug, "verbose" => Verbose, "notice" => Notice, "warning" => Warning });
words!(Supervised { "upstart" => Upstart, "systemd" => Systemd, "auto" => Auto, "no" => No });
words!(AppendFsync { "everysec" => EverySecond, "always" => Always, "no" => No });
words!(ReplDisklessLoad { "disabled" => Disabled, "on-empty-db" => OnEmptyDb, "swapdb" => SwapDb });
words!(TlsAuthClients { "no" => No, "yes" => Yes, "optional" => Optional });
words!(OomScoreAdj [No Relative Absolute] {
    "no" => No, "yes" => Relative, "relative" => Relative, "absolute" => Absolute
});
words!(AclPubsubDefault { "allchannels" => AllChannels, "resetchannels" => ResetChannels });
words!(SanitizeDumpPayload { "no" => No, "yes" => Yes, "clients" => Clients });
words!(
    /// Who may use a dangerous command or parameter: nobody, everybody, or clients on this host.
    ProtectedAction { "no" => No, "yes" => Yes, "local" => Local }
);
words!(ClusterEndpoint { "ip" => Ip, "hostname" => Hostname, "unknown-endpoint" => Unknown });
words!(PropagationError { "ignore" => Ignore, "panic" => Panic, "panic-on-replicas" => PanicOnReplicas });
words!(
    /// Whose blocking commands are answered a little before their timeouts.
    BlockingTimeoutMargin { "no" => No, "auto" => Auto }
);
words!(
    /// For whom a pop is in doubt until the client is heard of again.
    BlockedPopDoubt { "no" => No, "auto" => Auto, "yes" => Yes }
);

impl ProtectedAction {
    pub fn allows(self, local_client: bool) -> bool {
        match self {
            ProtectedAction::No => false,
            ProtectedAction::Yes => true,
            ProtectedAction::Local => local_client,
        }
    }
}
