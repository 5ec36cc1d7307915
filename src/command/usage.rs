//! How commands are written down for people: the grammar of their arguments in one line, the HELP
//! subcommand of every container, and `docs/commands.md`. All of it is read from the table.

use super::introspect::group_name;
use super::spec::{Arg, ArgKind, Group, acl};
use super::table::{CommandId, CommandTable};
use super::{CommandSpec, Run};
use crate::resp::Reply;
use std::fmt::Write as _;

/// The arguments in the notation of Redis's HELP texts: `<value>`, `[optional]`, `(A|B)`, `[x ...]`.
pub fn usage(args: &[Arg]) -> String {
    args.iter().map(argument).collect::<Vec<_>>().join(" ")
}

fn argument(arg: &Arg) -> String {
    let mut text = match arg.kind {
        ArgKind::PureToken => arg.token.unwrap_or(arg.name).to_string(),
        ArgKind::OneOf(choices) => {
            let choices = choices.iter().map(argument).collect::<Vec<_>>().join("|");
            // Brackets that will stand around it anyway make parentheses unnecessary.
            let bare = arg.optional && !arg.multiple && arg.token.is_none();
            if bare { choices } else { format!("({choices})") }
        }
        ArgKind::Block(parts) => usage(parts),
        _ => format!("<{}>", arg.name),
    };
    if arg.multiple && !arg.multiple_token {
        text = repeated(&text);
    }
    if let Some(token) = arg.token.filter(|_| arg.kind != ArgKind::PureToken) {
        text = format!("{token} {text}");
    }
    if arg.multiple_token {
        text = repeated(&text);
    }
    if arg.optional { format!("[{text}]") } else { text }
}

/// `x [x ...]`, or `x [...]` where saying `x` twice would hide more than it tells.
fn repeated(text: &str) -> String {
    let again = if text.len() > 40 { "" } else { text };
    format!("{text} [{again} ...]").replace("[ ...]", "[...]")
}

/// `CLIENT HELP` and the like. `called` is the name as the client wrote it.
pub fn help(table: &CommandTable, container: CommandId, called: &[u8], reply: &mut Reply<'_>) {
    let spec = table.spec(container);
    let mut lines = Vec::new();
    if !matches!(spec.run, Run::Container) {
        lines.push(("(no subcommand)".to_string(), spec.summary));
    }
    lines.extend(help_lines(spec.subcommands));
    help_of(called, &lines, reply);
}

/// How to call each subcommand and what it does, HELP itself left out.
pub fn help_lines(subcommands: &'static [CommandSpec]) -> Vec<(String, &'static str)> {
    let told = subcommands.iter().filter(|sub| sub.name != "help");
    told.map(|sub| (call(&sub.name.to_ascii_uppercase(), sub), sub.summary)).collect()
}

/// The HELP reply with these lines.
pub fn help_of(called: &[u8], lines: &[(String, &str)], reply: &mut Reply<'_>) {
    reply.array(lines.len() * 2 + 3);
    let called = String::from_utf8_lossy(called).to_ascii_uppercase();
    reply.simple(&format!("{called} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    for (call, summary) in lines {
        reply.simple(call);
        reply.simple(&format!("    {}.", summary.trim_end_matches('.')));
    }
    reply.simple("HELP");
    reply.simple("    Prints this help.");
}

fn call(name: &str, spec: &CommandSpec) -> String {
    match usage(spec.args) {
        args if args.is_empty() => name.to_string(),
        args => format!("{name} {args}"),
    }
}

const GROUPS: [(Group, &str); 16] = [
    (Group::Generic, "Keys"),
    (Group::String, "Strings"),
    (Group::List, "Lists"),
    (Group::Set, "Sets"),
    (Group::SortedSet, "Sorted sets"),
    (Group::Hash, "Hashes"),
    (Group::Stream, "Streams"),
    (Group::Geo, "Geo"),
    (Group::Bitmap, "Bitmaps"),
    (Group::HyperLogLog, "HyperLogLog"),
    (Group::PubSub, "Pub/Sub"),
    (Group::Transactions, "Transactions"),
    (Group::Scripting, "Scripts and functions"),
    (Group::Connection, "Connection"),
    (Group::Server, "Server"),
    (Group::Cluster, "Cluster"),
];

/// `docs/commands.md`.
pub fn markdown(table: &CommandTable) -> String {
    let mut page = String::from(
        "# Commands\n\n\
         Written by a test from the command table (`UPDATE_DOCS=1 cargo test --lib docs_commands`); do not edit.\n\
         Each line ends with the version of Redis that brought the command, its cost and its ACL categories.\n",
    );
    for (group, title) in GROUPS {
        let mut rows: Vec<&CommandSpec> = table
            .rows()
            .filter(|(_, r)| r.parent.is_none() && r.spec.group == group)
            .map(|(_, r)| r.spec)
            .collect();
        if rows.is_empty() {
            continue;
        }
        rows.sort_by_key(|spec| spec.name);
        let _ = write!(page, "\n## {title} (`{}`)\n\n", group_name(group));
        for spec in rows {
            let name = spec.name.to_ascii_uppercase();
            if !matches!(spec.run, Run::Container) {
                write_line(&mut page, &name, spec);
            }
            for sub in spec.subcommands {
                write_line(&mut page, &format!("{name} {}", sub.name.to_ascii_uppercase()), sub);
            }
        }
    }
    page
}

fn write_line(page: &mut String, name: &str, spec: &CommandSpec) {
    let categories: Vec<String> = acl::NAMES
        .iter()
        .filter(|(bit, _)| spec.categories() & bit != 0)
        .map(|(_, name)| format!("@{name}"))
        .collect();
    let _ = write!(page, "- `{}`: {}.", call(name, spec), spec.summary.trim_end_matches('.'));
    if let Some((since, instead)) = spec.deprecated {
        let _ = write!(page, " Deprecated since {since}: use {}.", instead.replace('!', ""));
    }
    let _ = writeln!(page, " *{}; {}; {}*", spec.since, spec.complexity, categories.join(" "));
}

#[cfg(test)]
mod tests {
    use super::super::spec::{block, int, key, one_of, string, word};
    use super::*;
    use crate::resp::Proto;

    #[test]
    fn the_grammar_is_written_as_redis_writes_it() {
        const CASES: &[(&[Arg], &str)] = &[
            (&[], ""),
            (&[string("a"), int("b").opt()], "<a> [<b>]"),
            (&[key("key", 0).many()], "<key> [<key> ...]"),
            (&[one_of("m", &[word("a", "ON"), word("b", "OFF")])], "(ON|OFF)"),
            (&[one_of("m", &[word("a", "NX"), word("b", "XX")]).opt()], "[NX|XX]"),
            (&[one_of("m", &[word("a", "x"), word("b", "y")]).token("TYPE").opt()], "[TYPE (x|y)]"),
            (&[string("p").token("PREFIX").many_tokens().opt()], "[PREFIX <p> [PREFIX <p> ...]]"),
            (&[block("b", &[int("id").many()]).token("ID").opt()], "[ID <id> [<id> ...]]"),
            (&[block("kv", &[string("k"), string("v")]).many()], "<k> <v> [<k> <v> ...]"),
        ];
        for (args, text) in CASES {
            assert_eq!(usage(args), *text);
        }
    }

    #[test]
    fn help_lists_every_subcommand_and_itself_last() {
        let table = CommandTable::new(&[]).unwrap();
        for (id, row) in table.rows().filter(|(_, row)| row.subcommands().iter().any(|_| true)) {
            let mut out = Vec::new();
            help(&table, id, row.name.as_bytes(), &mut Reply::new(&mut out, Proto::Resp2));
            let text = String::from_utf8(out).unwrap();
            let lines: Vec<&str> = text.split("\r\n").collect();
            let head = format!(
                "+{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
                row.name.to_ascii_uppercase()
            );
            assert_eq!(lines[0], format!("*{}", lines.len() - 2));
            assert_eq!(lines[1], head);
            assert_eq!(lines[lines.len() - 3..], ["+HELP", "+    Prints this help.", ""]);
            for sub in row.spec.subcommands {
                let name = format!("+{}", sub.name.to_ascii_uppercase());
                assert!(lines.iter().any(|l| *l == name || l.starts_with(&format!("{name} "))), "{name}");
            }
        }
    }

    #[test]
    fn every_row_says_what_it_does() {
        let table = CommandTable::new(&[]).unwrap();
        for (_, row) in table.rows() {
            assert!(!row.spec.summary.is_empty(), "{}", row.full_name);
            assert!(!row.spec.complexity.is_empty(), "{}", row.full_name);
        }
    }

    #[test]
    fn docs_commands_md_is_what_the_table_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/commands.md");
        let page = markdown(&CommandTable::new(&[]).unwrap());
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).unwrap();
            std::fs::write(path, &page).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(kept == page, "docs/commands.md is out of date: run with UPDATE_DOCS=1");
    }
}
