//! What COMMAND and its subcommands answer, and the errors for commands that are not there, all read
//! from the table. Pure functions; the session calls them. A new row needs nothing here.
//!
//! Shapes are those of Redis 7.0: sets and maps in RESP3, flat arrays in RESP2 (`Reply` knows which).

use super::spec::{self, Arg, ArgKind, Begin, Find, Group, KeySpec, access, flag};
use super::table::{CommandId, CommandTable, Row};
use super::{CommandSpec, Error};
use crate::base::glob;
use crate::resp::{Args, Reply};

/// Bytes of a name, and of all arguments together, that an error line repeats.
const ECHO_MAX: usize = 128;

/// COMMAND.
pub fn command(table: &CommandTable, reply: &mut Reply<'_>) {
    reply.array(top_level(table).count());
    top_level(table).for_each(|id| write_info(table, id, reply));
}

/// COMMAND COUNT.
pub fn count(table: &CommandTable, reply: &mut Reply<'_>) {
    reply.integer(top_level(table).count() as i64);
}

/// COMMAND INFO [name ...]. `args` is the whole command. An unknown name gives a null.
pub fn info(table: &CommandTable, args: Args<'_>, reply: &mut Reply<'_>) {
    if args.len() == 2 {
        return command(table, reply);
    }
    reply.array(args.len() - 2);
    for name in args.iter().skip(2) {
        match by_full_name(table, name) {
            Some(id) => write_info(table, id, reply),
            None => reply.null(),
        }
    }
}

/// COMMAND DOCS [name ...]. Unknown names are left out.
pub fn docs(table: &CommandTable, args: Args<'_>, reply: &mut Reply<'_>) {
    let named: Vec<CommandId> = if args.len() == 2 {
        top_level(table).collect()
    } else {
        args.iter().skip(2).filter_map(|name| by_full_name(table, name)).collect()
    };
    reply.map(named.len());
    for id in named {
        reply.bulk(table.row(id).full_name.as_bytes());
        write_docs(table, id, reply);
    }
}

/// COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN pattern]: subcommands too.
pub fn list(table: &CommandTable, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (kind, wanted) = match args.len() {
        2 => (None, &b""[..]),
        5 if args.at(2).eq_ignore_ascii_case(b"filterby") => (Some(args.at(3)), args.at(4)),
        _ => return Err(Error::Syntax),
    };
    let category = spec::acl::NAMES.iter().find(|(_, name)| name.as_bytes().eq_ignore_ascii_case(wanted));
    let keep: Box<dyn Fn(&Row) -> bool> = match kind {
        None => Box::new(|_| true),
        // No module has ever brought a command into this table.
        Some(kind) if kind.eq_ignore_ascii_case(b"module") => Box::new(|_| false),
        Some(kind) if kind.eq_ignore_ascii_case(b"aclcat") => {
            Box::new(move |row| category.is_some_and(|(bit, _)| row.spec.categories() & bit != 0))
        }
        Some(kind) if kind.eq_ignore_ascii_case(b"pattern") => {
            Box::new(move |row| glob::matches(wanted, row.full_name.as_bytes(), true))
        }
        Some(_) => return Err(Error::Syntax),
    };
    let mut names = Vec::new();
    for id in top_level(table) {
        let row = table.row(id);
        let family = std::iter::once(row).chain(row.subcommands().iter().map(|sub| table.row(*sub)));
        names.extend(family.filter(|row| keep(row)).map(|row| &row.full_name));
    }
    reply.array(names.len());
    names.iter().for_each(|name| reply.bulk(name.as_bytes()));
    Ok(())
}

/// COMMAND GETKEYS and, `with_access`, COMMAND GETKEYSANDFLAGS. `args` is the whole command.
pub fn get_keys(
    table: &CommandTable,
    args: Args<'_>,
    with_access: bool,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    let asked = args.from(2);
    let spec = by_words(table, asked).ok_or(Error::text("ERR Invalid command specified"))?;
    if spec.keys.iter().all(|k| k.access & access::NOT_KEY != 0) {
        return Err(Error::text("ERR The command has no key arguments"));
    }
    if !spec.arity_fits(asked.len()) {
        return Err(Error::text("ERR Invalid number of arguments specified for command"));
    }
    let keys = keys_of(spec, asked);
    if keys.is_empty() && !spec.has(flag::NO_MANDATORY_KEYS) {
        return Err(Error::text("ERR Invalid arguments specified for command"));
    }
    reply.array(keys.len());
    for (at, bits) in keys {
        if with_access {
            reply.array(2);
        }
        reply.bulk(asked.at(at));
        if with_access {
            write_names(bits, access::NAMES, reply);
        }
    }
    Ok(())
}

/// The keys among a command's arguments and what it does with each; none if the arguments are wrong.
pub fn keys_of(spec: &CommandSpec, args: Args<'_>) -> Vec<(usize, u32)> {
    let mut keys = Vec::new();
    let told = spec.each_key(args, |at, bits| {
        if bits & access::NOT_KEY == 0 {
            keys.push((at, actual_access(spec, args, bits)));
        }
    });
    if told.is_err() {
        keys.clear();
    }
    keys
}

/// What a command does with its key, where that depends on its options.
fn actual_access(spec: &CommandSpec, args: Args<'_>, bits: u32) -> u32 {
    if bits & access::VARIABLE_FLAGS == 0 {
        return bits;
    }
    const CHANGE: u32 = access::RW | access::ACCESS | access::UPDATE;
    match spec.name {
        "set" if args.iter().skip(3).any(|a| a.eq_ignore_ascii_case(b"get")) => CHANGE,
        "set" => access::OW | access::UPDATE,
        "bitfield" if bitfield_only_reads(args) => access::RO | access::ACCESS,
        "bitfield" => CHANGE,
        _ => bits,
    }
}

fn bitfield_only_reads(args: Args<'_>) -> bool {
    let mut at = 2;
    while let Some(word) = args.get(at) {
        at += match word {
            w if w.eq_ignore_ascii_case(b"get") && at + 2 < args.len() => 3,
            w if w.eq_ignore_ascii_case(b"overflow") && at + 1 < args.len() => 2,
            _ => return false,
        };
    }
    true
}

/// The line for a name that is no command: it and the beginning of its arguments are repeated.
pub fn unknown_command(args: Args<'_>) -> Vec<u8> {
    let mut line = b"ERR unknown command '".to_vec();
    line.extend_from_slice(echo(args.at(0), ECHO_MAX));
    line.extend_from_slice(b"', with args beginning with: ");
    let start = line.len();
    for arg in args.iter().skip(1) {
        let room = ECHO_MAX.saturating_sub(line.len() - start);
        if room == 0 {
            break;
        }
        line.push(b'\'');
        line.extend_from_slice(echo(arg, room));
        line.extend_from_slice(b"' ");
    }
    on_one_line(line)
}

/// The line for a container's name followed by no subcommand of it. `args` is the whole command.
pub fn unknown_subcommand(args: Args<'_>) -> Vec<u8> {
    let mut line = b"ERR unknown subcommand '".to_vec();
    line.extend_from_slice(echo(args.get(1).unwrap_or_default(), ECHO_MAX));
    line.extend_from_slice(b"'. Try ");
    line.extend_from_slice(&args.at(0).to_ascii_uppercase());
    line.extend_from_slice(b" HELP.");
    on_one_line(line)
}

/// What a command with subcommands of its own making (DEBUG) says to a word it does not know, or
/// that came with the wrong number of arguments.
pub fn subcommand_syntax(args: Args<'_>) -> String {
    let mut line = b"ERR unknown subcommand or wrong number of arguments for '".to_vec();
    line.extend_from_slice(echo(args.get(1).unwrap_or_default(), ECHO_MAX));
    line.extend_from_slice(b"'. Try ");
    line.extend_from_slice(&args.at(0).to_ascii_uppercase());
    line.extend_from_slice(b" HELP.");
    one_line(line)
}

/// `full_name` is `Row::full_name`: `get`, `client|kill`.
pub fn wrong_arity(full_name: &str) -> String {
    format!("ERR wrong number of arguments for '{full_name}' command")
}

/// What MONITOR, SLOWLOG and logs show in the place of a secret.
pub const REDACTED: &[u8] = b"(redacted)";

/// Whether argument `at` of a command (`Row::full_name`) is a secret. `sensitive` tells it of the names
/// of settings.
pub fn is_secret(full_name: &str, args: Args<'_>, at: usize, sensitive: impl Fn(&[u8]) -> bool) -> bool {
    match full_name {
        "auth" => at > 0,
        "hello" => {
            let mut option = 2;
            while option < at && option < args.len() {
                match args.at(option) {
                    o if o.eq_ignore_ascii_case(b"auth") && at <= option + 2 => return true,
                    o if o.eq_ignore_ascii_case(b"auth") => option += 3,
                    _ => option += 2,
                }
            }
            false
        }
        "config|set" => at >= 3 && at % 2 == 1 && sensitive(args.at(at - 1)),
        "acl|setuser" => at >= 2,
        _ => false,
    }
}

/// At most `max` bytes of an argument, and none after a NUL, as C prints it.
fn echo(arg: &[u8], max: usize) -> &[u8] {
    let arg = &arg[..arg.len().min(max)];
    &arg[..memchr::memchr(0, arg).unwrap_or(arg.len())]
}

fn one_line(line: Vec<u8>) -> String {
    String::from_utf8_lossy(&on_one_line(line)).into_owned()
}

fn on_one_line(mut line: Vec<u8>) -> Vec<u8> {
    line.iter_mut().filter(|b| matches!(**b, b'\r' | b'\n')).for_each(|b| *b = b' ');
    line
}

/// Commands that clients can call by name, without subcommands and without what was renamed away.
fn top_level(table: &CommandTable) -> impl Iterator<Item = CommandId> {
    table.rows().filter(|(_, row)| row.parent.is_none() && !row.name.is_empty()).map(|(id, _)| id)
}

/// `get`, `config`, `config|get`.
fn by_full_name(table: &CommandTable, name: &[u8]) -> Option<CommandId> {
    match memchr::memchr(b'|', name) {
        None => table.find(name),
        Some(at) => subcommand(table, table.find(&name[..at])?, &name[at + 1..]),
    }
}

/// The command a client's words name; a container followed by a word means that subcommand.
fn by_words(table: &CommandTable, words: Args<'_>) -> Option<&'static CommandSpec> {
    let id = table.find(words.at(0))?;
    match words.get(1).filter(|_| !table.row(id).subcommands().is_empty()) {
        None => Some(table.spec(id)),
        Some(sub) => subcommand(table, id, sub).map(|sub| table.spec(sub)),
    }
}

fn subcommand(table: &CommandTable, container: CommandId, name: &[u8]) -> Option<CommandId> {
    let subs = table.row(container).subcommands().iter().copied();
    subs.into_iter().find(|sub| table.row(*sub).name.as_bytes().eq_ignore_ascii_case(name))
}

/// The ten elements of COMMAND INFO.
fn write_info(table: &CommandTable, id: CommandId, reply: &mut Reply<'_>) {
    let row = table.row(id);
    let spec = row.spec;
    let legacy = LegacyRange::of(spec.keys);
    reply.array(10);
    reply.bulk(row.full_name.as_bytes());
    reply.integer(spec.arity as i64);
    let movable = if legacy.movable { flag::MOVABLEKEYS } else { 0 };
    write_names(spec.flags | movable, flag::NAMES, reply);
    [legacy.first, legacy.last, legacy.step].into_iter().for_each(|n| reply.integer(n));
    write_categories(spec.categories(), reply);
    write_tips(spec, reply);
    reply.set(spec.keys.len());
    spec.keys.iter().for_each(|key| write_key_spec(key, reply));
    // Redis announces no subcommands as an empty set and some as an array.
    match row.subcommands() {
        [] => reply.set(0),
        subs => {
            reply.array(subs.len());
            subs.iter().for_each(|sub| write_info(table, *sub, reply));
        }
    }
}

/// The map of COMMAND DOCS: only fields that say something.
fn write_docs(table: &CommandTable, id: CommandId, reply: &mut Reply<'_>) {
    let row = table.row(id);
    let spec = row.spec;
    let text: [(&str, &str); 4] = [
        ("summary", spec.summary.trim_end_matches('.')),
        ("since", spec.since),
        ("group", group_name(spec.group)),
        ("complexity", spec.complexity),
    ];
    let doc_flags: Vec<&str> =
        [(spec.deprecated.is_some(), "deprecated"), (spec.has(flag::SYSCMD), "syscmd")]
            .into_iter()
            .filter_map(|(is, name)| is.then_some(name))
            .collect();
    let fields = text.iter().filter(|(_, value)| !value.is_empty()).count()
        + !doc_flags.is_empty() as usize
        + spec.deprecated.map_or(0, |_| 2)
        + !spec.args.is_empty() as usize
        + !row.subcommands().is_empty() as usize;
    reply.map(fields);
    for (name, value) in text.iter().filter(|(_, value)| !value.is_empty()) {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    if !doc_flags.is_empty() {
        reply.bulk(b"doc_flags");
        reply.set(doc_flags.len());
        doc_flags.iter().for_each(|name| reply.simple(name));
    }
    if let Some((since, replaced_by)) = spec.deprecated {
        reply.bulk(b"deprecated_since");
        reply.bulk(since.as_bytes());
        reply.bulk(b"replaced_by");
        reply.bulk(replaced_by.as_bytes());
    }
    if !spec.args.is_empty() {
        reply.bulk(b"arguments");
        write_arguments(spec.args, reply);
    }
    if !row.subcommands().is_empty() {
        reply.bulk(b"subcommands");
        reply.map(row.subcommands().len());
        for sub in row.subcommands() {
            reply.bulk(table.row(*sub).full_name.as_bytes());
            write_docs(table, *sub, reply);
        }
    }
}

fn write_arguments(arguments: &[Arg], reply: &mut Reply<'_>) {
    reply.array(arguments.len());
    for arg in arguments {
        let parts = match arg.kind {
            ArgKind::OneOf(parts) | ArgKind::Block(parts) => Some(parts),
            _ => None,
        };
        let key = match arg.kind {
            ArgKind::Key(spec) => Some(spec),
            _ => arg.key_spec,
        };
        let flags: Vec<&str> =
            [(arg.optional, "optional"), (arg.multiple, "multiple"), (arg.multiple_token, "multiple_token")]
                .into_iter()
                .filter_map(|(is, name)| is.then_some(name))
                .collect();
        reply.map(
            2 + key.is_some() as usize
                + arg.token.is_some() as usize
                + arg.since.is_some() as usize
                + !flags.is_empty() as usize
                + parts.is_some() as usize,
        );
        reply.bulk(b"name");
        reply.bulk(arg.name.as_bytes());
        reply.bulk(b"type");
        reply.bulk(kind_name(arg.kind).as_bytes());
        if let Some(spec) = key {
            reply.bulk(b"key_spec_index");
            reply.integer(spec as i64);
        }
        for (name, value) in [("token", arg.token), ("since", arg.since)] {
            if let Some(value) = value {
                reply.bulk(name.as_bytes());
                reply.bulk(value.as_bytes());
            }
        }
        if !flags.is_empty() {
            reply.bulk(b"flags");
            reply.set(flags.len());
            flags.iter().for_each(|name| reply.simple(name));
        }
        if let Some(parts) = parts {
            reply.bulk(b"arguments");
            write_arguments(parts, reply);
        }
    }
}

fn write_names(bits: u32, names: &[(u32, &str)], reply: &mut Reply<'_>) {
    reply.set(names.iter().filter(|(bit, _)| bits & bit != 0).count());
    names.iter().filter(|(bit, _)| bits & bit != 0).for_each(|(_, name)| reply.simple(name));
}

fn write_categories(bits: u32, reply: &mut Reply<'_>) {
    let names = spec::acl::NAMES.iter().filter(|(bit, _)| bits & bit != 0);
    reply.set(names.clone().count());
    names.for_each(|(_, name)| reply.simple(&format!("@{name}")));
}

fn write_tips(spec: &CommandSpec, reply: &mut Reply<'_>) {
    reply.set(spec.tips.len());
    spec.tips.iter().for_each(|tip| reply.bulk(tip.as_bytes()));
}

fn write_key_spec(key: &KeySpec, reply: &mut Reply<'_>) {
    reply.map(3);
    reply.bulk(b"flags");
    write_names(key.access, access::NAMES, reply);
    reply.bulk(b"begin_search");
    match key.begin {
        Begin::Unknown => write_search("unknown", &[], reply),
        Begin::Index(index) => write_search("index", &[("index", index as i64)], reply),
        Begin::Keyword { word, from } => {
            reply.map(2);
            reply.bulk(b"type");
            reply.bulk(b"keyword");
            reply.bulk(b"spec");
            reply.map(2);
            reply.bulk(b"keyword");
            reply.bulk(word.as_bytes());
            reply.bulk(b"startfrom");
            reply.integer(from as i64);
        }
    }
    reply.bulk(b"find_keys");
    match key.find {
        Find::Range { last, step, limit } => {
            let fields = [("lastkey", last as i64), ("keystep", step as i64), ("limit", limit as i64)];
            write_search("range", &fields, reply)
        }
        Find::Num { num, first, step } => {
            let fields = [("keynumidx", num as i64), ("firstkey", first as i64), ("keystep", step as i64)];
            write_search("keynum", &fields, reply)
        }
        Find::Unknown => write_search("unknown", &[], reply),
    }
}

fn write_search(kind: &str, fields: &[(&str, i64)], reply: &mut Reply<'_>) {
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
    reply.map(fields.len());
    for (name, value) in fields {
        reply.bulk(name.as_bytes());
        reply.integer(*value);
    }
}

/// First key, last key and step, which is all that clients older than key specs understand. `movable`
/// when the three do not tell the whole truth.
struct LegacyRange {
    first: i64,
    last: i64,
    step: i64,
    movable: bool,
}

impl LegacyRange {
    fn of(keys: &[KeySpec]) -> LegacyRange {
        let mut range = LegacyRange { first: 0, last: 0, step: 0, movable: false };
        let mut previous_last = 0;
        for key in keys {
            range.movable |= key.access & access::INCOMPLETE != 0;
            let (Begin::Index(first), Find::Range { last, step, .. }) = (key.begin, key.find) else {
                range.movable = true;
                continue;
            };
            let (first, last) = (first as i64, last as i64);
            let last = if last >= 0 { last + first } else { last };
            if keys.len() == 1 {
                return LegacyRange { first, last, step: step as i64, ..range };
            }
            // Several specs make one range only if each begins where the one before ends.
            if step != 1 || (previous_last != 0 && previous_last != first - 1) {
                range.movable = true;
                continue;
            }
            if range.first == 0 {
                range.first = first;
            }
            // A last key counted from the end lies behind every other.
            if last < 0 || (range.last >= 0 && last > range.last) {
                range.last = last;
            }
            range.step = 1;
            previous_last = range.last;
        }
        range
    }
}

pub fn group_name(group: Group) -> &'static str {
    match group {
        Group::Generic => "generic",
        Group::String => "string",
        Group::List => "list",
        Group::Set => "set",
        Group::SortedSet => "sorted-set",
        Group::Hash => "hash",
        Group::PubSub => "pubsub",
        Group::Transactions => "transactions",
        Group::Connection => "connection",
        Group::Server => "server",
        Group::Scripting => "scripting",
        Group::HyperLogLog => "hyperloglog",
        Group::Cluster => "cluster",
        Group::Geo => "geo",
        Group::Stream => "stream",
        Group::Bitmap => "bitmap",
    }
}

fn kind_name(kind: ArgKind) -> &'static str {
    match kind {
        ArgKind::Key(_) => "key",
        ArgKind::String => "string",
        ArgKind::Integer => "integer",
        ArgKind::Double => "double",
        ArgKind::Pattern => "pattern",
        ArgKind::UnixTime => "unix-time",
        ArgKind::PureToken => "pure-token",
        ArgKind::OneOf(_) => "oneof",
        ArgKind::Block(_) => "block",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::ArgsBuf;

    #[test]
    fn secrets_are_known_wherever_they_stand() {
        let cases: &[(&str, &[&str], &[usize])] = &[
            ("auth", &["AUTH", "pw"], &[1]),
            ("auth", &["auth", "user", "pw"], &[1, 2]),
            ("hello", &["hello", "3", "AUTH", "user", "pw"], &[3, 4]),
            ("hello", &["hello", "3", "setname", "auth", "auth", "u", "p"], &[5, 6]),
            ("hello", &["hello", "3", "auth", "u", "p", "setname", "n"], &[3, 4]),
            ("hello", &["hello", "3"], &[]),
            ("config|set", &["config", "set", "maxmemory", "1", "requirepass", "x"], &[5]),
            ("acl|setuser", &["acl", "setuser", "u", ">x"], &[2, 3]),
            ("set", &["set", "auth", "x"], &[]),
        ];
        for (name, words, secret) in cases {
            let args: ArgsBuf = words.iter().collect();
            let args = args.as_args();
            let found: Vec<usize> =
                (0..args.len()).filter(|at| is_secret(name, args, *at, |s| s == b"requirepass")).collect();
            assert_eq!(found, *secret, "{words:?}");
        }
    }
}
