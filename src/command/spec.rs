//! One row per command: the single source for lookup, arity, key extraction, routing, ACL
//! categories, `COMMAND`, `COMMAND DOCS`, `docs/commands.md` and the grammar the fuzzers speak.
//!
//! Every family file (`string.rs`, `generic.rs`, ...) ends with `pub const COMMANDS: &[CommandSpec]`.

use super::{Error, Exec};
use crate::base::Millis;
use crate::keyspace::Keyspace;
use crate::resp::{Args, ArgsBuf, Reply};

/// Runs on the keyspace that owns the command's keys. Writes exactly one reply, or returns an error
/// and what it wrote is taken back. Changes are reported through `Keys::changed`.
pub type Handler = fn(&mut Exec<'_>, Args<'_>) -> Result<(), Error>;

/// Who executes a command, and how an answer is made of several.
#[derive(Clone, Copy)]
pub enum Run {
    /// One place: the shard of its keys. Keys on several shards make it a transaction that holds them
    /// all (RENAME, MSETNX, LCS).
    Keys(Handler),
    /// Each key (with its value, if `KeySpec::step` is 2) stands alone: split by owner, run as
    /// independent fragments, answers merged (MSET, DEL, MGET).
    Split(Handler, Merge),
    /// No key, but every shard's keyspace has a part in it (DBSIZE, FLUSHALL, KEYS, INFO).
    Every(Handler, Merge),
    /// Walks the shards one after the other by cursor (SCAN).
    Cursor(Handler),
    /// A script: its declared keys are a beginning, it may touch any key.
    Script,
    /// Concerns the connection or the server, not the keyspace: run by the session at home.
    Session,
    /// Only a name for its subcommands.
    Container,
}

/// How the answers of the fragments of one command become one answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Merge {
    /// `+OK` of each: one.
    Ok,
    /// Integers: their sum.
    Sum,
    /// One element per key, put back into the order of the arguments (MGET).
    Elements,
    /// Arrays: one after the other (KEYS).
    Concat,
    /// The first that is not null, starting at a random shard (RANDOMKEY).
    AnyKey,
    /// Payloads of an inner format that the session combines (INFO, DEBUG DIGEST, MEMORY STATS).
    Session,
}

/// Bits of `CommandSpec::flags`, named as `COMMAND INFO` names them.
pub mod flag {
    pub const WRITE: u32 = 1 << 0;
    pub const READONLY: u32 = 1 << 1;
    pub const DENYOOM: u32 = 1 << 2;
    pub const ADMIN: u32 = 1 << 3;
    pub const PUBSUB: u32 = 1 << 4;
    pub const NOSCRIPT: u32 = 1 << 5;
    pub const BLOCKING: u32 = 1 << 6;
    pub const LOADING: u32 = 1 << 7;
    pub const STALE: u32 = 1 << 8;
    pub const SKIP_MONITOR: u32 = 1 << 9;
    pub const SKIP_SLOWLOG: u32 = 1 << 10;
    pub const FAST: u32 = 1 << 11;
    pub const NO_AUTH: u32 = 1 << 12;
    pub const MAY_REPLICATE: u32 = 1 << 13;
    pub const NO_MULTI: u32 = 1 << 14;
    pub const MOVABLEKEYS: u32 = 1 << 15;
    pub const ALLOW_BUSY: u32 = 1 << 16;
    /// May be called without any key, although it has key specs (EVAL with `numkeys` 0).
    pub const NO_MANDATORY_KEYS: u32 = 1 << 18;
    pub const NO_ASYNC_LOADING: u32 = 1 << 19;
    /// Meant for the server's own use (COMMAND DOCS' `doc_flags`, not a flag of COMMAND INFO).
    pub const SYSCMD: u32 = 1 << 20;
    /// Redis refuses it by default (`enable-debug-command`); listed nowhere.
    pub const PROTECTED: u32 = 1 << 21;
    /// Listed nowhere by Redis: the arguments are secrets and stay out of MONITOR and SLOWLOG.
    pub const SENTINEL: u32 = 1 << 17;

    /// Names in the order in which Redis lists them; `MAY_REPLICATE` is listed nowhere.
    pub const NAMES: &[(u32, &str)] = &[
        (WRITE, "write"),
        (READONLY, "readonly"),
        (DENYOOM, "denyoom"),
        (ADMIN, "admin"),
        (PUBSUB, "pubsub"),
        (NOSCRIPT, "noscript"),
        (BLOCKING, "blocking"),
        (LOADING, "loading"),
        (STALE, "stale"),
        (SKIP_MONITOR, "skip_monitor"),
        (SKIP_SLOWLOG, "skip_slowlog"),
        (FAST, "fast"),
        (NO_AUTH, "no_auth"),
        (NO_MANDATORY_KEYS, "no_mandatory_keys"),
        (NO_ASYNC_LOADING, "no_async_loading"),
        (NO_MULTI, "no_multi"),
        (MOVABLEKEYS, "movablekeys"),
        (ALLOW_BUSY, "allow_busy"),
    ];
}

/// ACL category bits of a row. `write`, `read`, `admin`, `dangerous` (of admin), `pubsub`, `fast`,
/// `slow`, `blocking` follow from the flags, see `CommandSpec::categories`.
pub mod acl {
    pub const KEYSPACE: u32 = 1 << 0;
    pub const READ: u32 = 1 << 1;
    pub const WRITE: u32 = 1 << 2;
    pub const SET: u32 = 1 << 3;
    pub const SORTEDSET: u32 = 1 << 4;
    pub const LIST: u32 = 1 << 5;
    pub const HASH: u32 = 1 << 6;
    pub const STRING: u32 = 1 << 7;
    pub const BITMAP: u32 = 1 << 8;
    pub const HYPERLOGLOG: u32 = 1 << 9;
    pub const GEO: u32 = 1 << 10;
    pub const STREAM: u32 = 1 << 11;
    pub const PUBSUB: u32 = 1 << 12;
    pub const ADMIN: u32 = 1 << 13;
    pub const FAST: u32 = 1 << 14;
    pub const SLOW: u32 = 1 << 15;
    pub const BLOCKING: u32 = 1 << 16;
    pub const DANGEROUS: u32 = 1 << 17;
    pub const CONNECTION: u32 = 1 << 18;
    pub const TRANSACTION: u32 = 1 << 19;
    pub const SCRIPTING: u32 = 1 << 20;

    pub const NAMES: &[(u32, &str)] = &[
        (KEYSPACE, "keyspace"),
        (READ, "read"),
        (WRITE, "write"),
        (SET, "set"),
        (SORTEDSET, "sortedset"),
        (LIST, "list"),
        (HASH, "hash"),
        (STRING, "string"),
        (BITMAP, "bitmap"),
        (HYPERLOGLOG, "hyperloglog"),
        (GEO, "geo"),
        (STREAM, "stream"),
        (PUBSUB, "pubsub"),
        (ADMIN, "admin"),
        (FAST, "fast"),
        (SLOW, "slow"),
        (BLOCKING, "blocking"),
        (DANGEROUS, "dangerous"),
        (CONNECTION, "connection"),
        (TRANSACTION, "transaction"),
        (SCRIPTING, "scripting"),
    ];
}

/// The group a command is documented under (`COMMAND DOCS`, `COMMAND LIST`'s pages).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    Generic,
    String,
    List,
    Set,
    SortedSet,
    Hash,
    PubSub,
    Transactions,
    Connection,
    Server,
    Scripting,
    HyperLogLog,
    Cluster,
    Geo,
    Stream,
    Bitmap,
}

/// What a command does with a key (Redis's key-spec flags).
pub mod access {
    pub const RW: u32 = 1 << 0;
    pub const RO: u32 = 1 << 1;
    pub const OW: u32 = 1 << 2;
    pub const RM: u32 = 1 << 3;
    pub const ACCESS: u32 = 1 << 4;
    pub const UPDATE: u32 = 1 << 5;
    pub const INSERT: u32 = 1 << 6;
    pub const DELETE: u32 = 1 << 7;
    pub const NOT_KEY: u32 = 1 << 8;
    pub const INCOMPLETE: u32 = 1 << 9;
    pub const VARIABLE_FLAGS: u32 = 1 << 10;

    pub const NAMES: &[(u32, &str)] = &[
        (RW, "RW"),
        (RO, "RO"),
        (OW, "OW"),
        (RM, "RM"),
        (ACCESS, "access"),
        (UPDATE, "update"),
        (INSERT, "insert"),
        (DELETE, "delete"),
        (NOT_KEY, "not_key"),
        (INCOMPLETE, "incomplete"),
        (VARIABLE_FLAGS, "variable_flags"),
    ];
}

/// Where a command's keys stand among its arguments.
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    pub access: u32,
    pub begin: Begin,
    pub find: Find,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Argument number (the command's name is 0).
    Index(usize),
    /// The argument after this keyword, looked for from `from` on (negative: from the end).
    Keyword { word: &'static str, from: i32 },
    /// Only the command's own code knows (`CommandSpec::hidden_keys`).
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    /// `last` counts from the first key; negative counts from the end of the arguments (-1 = last).
    Range { last: i32, step: usize, limit: usize },
    /// Relative to the start: the number of keys at `num`, the first at `first`.
    Num { num: usize, first: usize, step: usize },
    /// Only the command's own code knows (`CommandSpec::hidden_keys`).
    Unknown,
}

/// Keys of one call that key specs cannot tell.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct HiddenKeys {
    /// The number of an argument that is a key, and what is done with it.
    pub key: Option<(usize, u32)>,
    /// Whether keys are touched that are no arguments, on any shard: the command then holds all of them.
    pub anywhere: bool,
}

impl KeySpec {
    /// Keys from argument `first` to `last` (negative: from the end, as in Redis's tables), every `step`.
    pub const fn range(access: u32, first: usize, last: i32, step: usize) -> KeySpec {
        let last = if last < 0 { last } else { last - first as i32 };
        KeySpec { access, begin: Begin::Index(first), find: Find::Range { last, step, limit: 0 } }
    }

    /// One key at argument `index`.
    pub const fn one(access: u32, index: usize) -> KeySpec {
        KeySpec::range(access, index, index as i32, 1)
    }

    /// `numkeys` at argument `at`, the keys behind it.
    pub const fn counted(access: u32, at: usize) -> KeySpec {
        KeySpec { access, begin: Begin::Index(at), find: Find::Num { num: 0, first: 1, step: 1 } }
    }

    /// Keys that only `CommandSpec::hidden_keys` knows.
    pub const fn unknown(access: u32) -> KeySpec {
        KeySpec { access, begin: Begin::Unknown, find: Find::Unknown }
    }
}

/// What an argument is, for `COMMAND DOCS` and for the grammar of the fuzzers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ArgKind {
    /// A key, described by the key spec with this index.
    Key(u8),
    String,
    Integer,
    Double,
    Pattern,
    UnixTime,
    /// A bare word: the argument is its token.
    PureToken,
    OneOf(&'static [Arg]),
    Block(&'static [Arg]),
}

/// One argument of a command's grammar. Built with the functions below, read left to right:
/// `int("seconds").token("EX")`, `key("key", 0).many()`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arg {
    pub name: &'static str,
    pub kind: ArgKind,
    /// For a pattern of keys: the index of their key spec.
    pub key_spec: Option<u8>,
    pub token: Option<&'static str>,
    pub optional: bool,
    pub multiple: bool,
    pub multiple_token: bool,
    pub since: Option<&'static str>,
}

impl Arg {
    pub const fn new(name: &'static str, kind: ArgKind) -> Arg {
        Arg {
            name,
            kind,
            key_spec: None,
            token: None,
            optional: false,
            multiple: false,
            multiple_token: false,
            since: None,
        }
    }

    /// A pattern's key spec.
    pub const fn of_keys(mut self, spec: u8) -> Arg {
        self.key_spec = Some(spec);
        self
    }

    pub const fn token(mut self, token: &'static str) -> Arg {
        self.token = Some(token);
        self
    }

    pub const fn opt(mut self) -> Arg {
        self.optional = true;
        self
    }

    pub const fn many(mut self) -> Arg {
        self.multiple = true;
        self
    }

    /// Repeated with its token (`GET a GET b`).
    pub const fn many_tokens(mut self) -> Arg {
        self.multiple = true;
        self.multiple_token = true;
        self
    }

    pub const fn since(mut self, version: &'static str) -> Arg {
        self.since = Some(version);
        self
    }
}

pub const fn key(name: &'static str, spec: u8) -> Arg {
    Arg::new(name, ArgKind::Key(spec))
}
pub const fn string(name: &'static str) -> Arg {
    Arg::new(name, ArgKind::String)
}
pub const fn int(name: &'static str) -> Arg {
    Arg::new(name, ArgKind::Integer)
}
pub const fn double(name: &'static str) -> Arg {
    Arg::new(name, ArgKind::Double)
}
pub const fn pattern(name: &'static str) -> Arg {
    Arg::new(name, ArgKind::Pattern)
}
pub const fn unix_time(name: &'static str) -> Arg {
    Arg::new(name, ArgKind::UnixTime)
}
pub const fn word(name: &'static str, token: &'static str) -> Arg {
    Arg::new(name, ArgKind::PureToken).token(token)
}
pub const fn one_of(name: &'static str, choices: &'static [Arg]) -> Arg {
    Arg::new(name, ArgKind::OneOf(choices))
}
pub const fn block(name: &'static str, parts: &'static [Arg]) -> Arg {
    Arg::new(name, ArgKind::Block(parts))
}

/// See `CommandSpec::split`; asks of each key whether it is the shard's.
pub type Split = fn(Args<'_>, &mut dyn FnMut(&[u8]) -> bool) -> ArgsBuf;

/// Everything about one command (or subcommand).
#[derive(Clone, Copy)]
pub struct CommandSpec {
    /// Lower case; a subcommand's own name without its container's.
    pub name: &'static str,
    /// As Redis counts: the name included; negative means "at least".
    pub arity: i32,
    pub flags: u32,
    /// Categories beyond those that follow from the flags.
    pub acl: u32,
    pub keys: &'static [KeySpec],
    /// For key specs with `Begin::Unknown`.
    pub hidden_keys: Option<fn(Args<'_>) -> HiddenKeys>,
    pub args: &'static [Arg],
    pub group: Group,
    pub since: &'static str,
    pub complexity: &'static str,
    pub summary: &'static str,
    /// Since which version the command is deprecated, and what takes its place.
    pub deprecated: Option<(&'static str, &'static str)>,
    /// `nondeterministic_output`, `request_policy:all_shards` and the like.
    pub tips: &'static [&'static str],
    pub subcommands: &'static [CommandSpec],
    /// Where the keyword of the key spec really stands, for a command that may have the same word before
    /// it as an argument (XREADGROUP GROUP streams ...). None: where the key spec says.
    pub keyword: Option<fn(Args<'_>) -> Option<usize>>,
    /// Makes a `Run::Split` command of the keys that a shard has, where that is more than leaving out the
    /// others.
    pub split: Option<Split>,
    pub run: Run,
    /// Outside a transaction it runs in slices, so that others come between; inside one as `run` says.
    pub slice: Option<Slice>,
}

/// A piece of a command that looks at every key of a shard (KEYS): what it finds from a position on goes to
/// the reply, as elements of an array whose head is written when all have been found.
pub type Slice = fn(&Keyspace, Slicing<'_>, &mut Reply<'_>) -> Sliced;

/// What a slice looks at.
#[derive(Clone, Copy)]
pub struct Slicing<'a> {
    pub args: Args<'a>,
    pub db: usize,
    pub now: Millis,
    /// 0 at the beginning.
    pub position: u64,
    /// About so many keys.
    pub keys: usize,
}

/// What came of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sliced {
    /// Where the next begins; 0 after the last.
    pub next: u64,
    /// Elements in its reply.
    pub found: usize,
}

impl CommandSpec {
    /// A row to override with `..CommandSpec::DEFAULT`.
    pub const DEFAULT: CommandSpec = CommandSpec {
        name: "",
        arity: 1,
        flags: 0,
        acl: 0,
        keys: &[],
        hidden_keys: None,
        args: &[],
        group: Group::Generic,
        since: "1.0.0",
        complexity: "O(1)",
        summary: "",
        deprecated: None,
        tips: &[],
        subcommands: &[],
        keyword: None,
        split: None,
        run: Run::Session,
        slice: None,
    };

    pub fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    /// Whether `argc` arguments (the name included) are acceptable.
    #[inline]
    pub fn arity_fits(&self, argc: usize) -> bool {
        if self.arity >= 0 { argc == self.arity as usize } else { argc >= (-self.arity) as usize }
    }

    /// All ACL categories, the implied ones included, as Redis derives them.
    pub fn categories(&self) -> u32 {
        let mut c = self.acl;
        if self.has(flag::WRITE) {
            c |= acl::WRITE;
        }
        if self.has(flag::READONLY) && c & acl::SCRIPTING == 0 {
            c |= acl::READ;
        }
        if self.has(flag::ADMIN) {
            c |= acl::ADMIN | acl::DANGEROUS;
        }
        if self.has(flag::PUBSUB) {
            c |= acl::PUBSUB;
        }
        if self.has(flag::BLOCKING) {
            c |= acl::BLOCKING;
        }
        c | if self.has(flag::FAST) { acl::FAST } else { acl::SLOW }
    }

    /// Calls `visit` with the argument number of each key, in order. Errors when the arguments do not
    /// fit the key specs (Redis: `Invalid arguments specified for command`).
    pub fn each_key(&self, args: Args<'_>, mut visit: impl FnMut(usize, u32)) -> Result<(), KeysError> {
        for spec in self.keys {
            let begin =
                self.keyword.and_then(|find| find(args)).map(|at| at + 1).or_else(|| spec.first(args));
            let Some(begin) = begin.filter(|at| *at < args.len()) else { continue };
            match spec.find {
                Find::Range { last, step, limit } => {
                    let mut end =
                        if last >= 0 { begin as i64 + last as i64 } else { args.len() as i64 + last as i64 };
                    if limit > 1 && last == -1 {
                        end = begin as i64 + (args.len() as i64 - begin as i64) / limit as i64 - 1;
                    }
                    let mut at = begin as i64;
                    while at <= end {
                        if at as usize >= args.len() {
                            return Err(KeysError::Invalid);
                        }
                        visit(at as usize, spec.access);
                        at += step as i64;
                    }
                }
                Find::Num { num, first, step } => {
                    let count = args.get(begin + num).and_then(crate::base::num::parse_i64);
                    let Some(count) = count.filter(|n| *n >= 0) else { return Err(KeysError::Invalid) };
                    for i in 0..count as usize {
                        let at = begin + first + i * step;
                        if at >= args.len() {
                            return Err(KeysError::Invalid);
                        }
                        visit(at, spec.access);
                    }
                }
                Find::Unknown => {}
            }
        }
        if let Some((at, access)) = self.hidden_keys.and_then(|of| of(args).key) {
            visit(at, access);
        }
        Ok(())
    }
}

impl KeySpec {
    fn first(&self, args: Args<'_>) -> Option<usize> {
        match self.begin {
            Begin::Index(i) => (i < args.len()).then_some(i),
            Begin::Keyword { word, from } => {
                let is = |i: &usize| args.at(*i).eq_ignore_ascii_case(word.as_bytes());
                let at = if from >= 0 {
                    (from as usize..args.len()).find(is)
                } else {
                    (1..=args.len().saturating_sub((-from) as usize)).rev().find(is)
                };
                at.map(|i| i + 1).filter(|i| *i < args.len())
            }
            Begin::Unknown => None,
        }
    }
}

/// Why a command's keys could not be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeysError {
    Invalid,
}
