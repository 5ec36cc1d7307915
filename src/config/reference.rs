//! `docs/configuration.md`, written from the table.

use super::foreign::FOREIGN;
use super::parameter::{Form, Kind, Parameter, Severity, Status};
use super::table::THEMES;
use super::text::write_memory;

const INTRO: &str = "\
# Configuration

Ringdove reads the configuration file of Redis and takes its flags. This page is written from the table that the
program itself uses (`UPDATE_DOCS=1 cargo test config::`).

## The file

One directive a line: its name, in any case, and its values. Values may stand in double quotes, with `\\n`, `\\r`,
`\\t`, `\\a`, `\\b`, `\\\\`, `\\\"` and `\\xff` inside, or in single quotes. Lines that begin with `#` are comments. Redis refuses
a comment after a value; Ringdove accepts it once the directive has all its values, so `requirepass #secret` still
sets the password `#secret`.

- Sizes: `1k` is 1000 bytes, `1kb` 1024; `m`, `mb`, `g` and `gb` likewise, in any case.
- `include <path>` reads another file at that place. With `*`, `?` or `[` it reads all that match, and none is no error.
- `rename-command <command> <name>` gives a command another name; `\"\"` removes it.
- `user <name> <rule> ...` defines an ACL user. **Refused**: access control lists are not built yet; only
  `user default on nopass ~* &* +@all`, which CONFIG REWRITE of Redis writes, is accepted.
- A directive that appears again overrides the earlier one; `save`, `locality-rule` and the classes of
  `client-output-buffer-limit` add up.

## The command line

`ringdove [file] [--name value ...] [-]`: flags are read as lines after the file, `-` as first or last word reads
standard input between the two. `--check-config` reads all of it, says what is wrong, and exits.

## At run time

`CONFIG GET pattern ...`, `CONFIG SET name value ...` (all or nothing) and `CONFIG REWRITE`, which keeps comments and
order. Parameters marked *at start* are fixed at start. `protected` ones need `enable-protected-configs`.

Where a feature is not built yet, its parameters say so: **refused** means the server does not start with such a value,
since ignoring it would cost data or safety; **no effect** means it starts, keeps the value, and names it in the log.
";

/// The whole page.
pub fn reference_page() -> String {
    let mut page = INTRO.to_owned();
    for theme in THEMES {
        page += &format!("\n## {}\n\n{}\n", theme.title, theme.intro);
        for row in theme.rows.iter().filter(|row| !row.hidden) {
            page += &describe(row);
        }
    }
    page += "\n## For tests\n\nNot shown by `CONFIG GET *`.\n";
    for row in THEMES.iter().flat_map(|theme| theme.rows).filter(|row| row.hidden) {
        page += &describe(row);
    }
    page += "\n## Names of other versions\n\n| name | what happens |\n|---|---|\n";
    for known in FOREIGN.iter().filter(|known| !known.why.starts_with("takes")) {
        let what = if known.refused {
            known.why.to_owned()
        } else {
            format!("ignored with a warning: it {}", known.why)
        };
        page += &format!("| `{}` | {what} |\n", known.name);
    }
    page
}

fn describe(row: &Parameter) -> String {
    let mut facts = vec![values(row), format!("default {}", default(row))];
    if !row.unit.is_empty() {
        facts.insert(1, format!("in {}", row.unit));
    }
    facts.extend(row.immutable.then(|| "*at start*".to_owned()));
    facts.extend(row.protected.then(|| "protected".to_owned()));
    facts.extend(row.alias.map(|alias| format!("also `{alias}`")));
    let status = match row.status {
        Status::Works => String::new(),
        Status::NoEffect(why) => format!(" **No effect**: {why}."),
        Status::Later { feature, severity } => {
            let what = match severity {
                Severity::Refuse => "Refused",
                Severity::Warn => "No effect",
                Severity::WarnAtStart => "No effect, and refused by CONFIG SET",
            };
            format!(" **{what}**: {feature} not built yet.")
        }
    };
    let facts = facts.join(", ");
    let facts = format!("{}{}", facts[..1].to_uppercase(), &facts[1..]);
    format!("\n### `{}`\n\n{facts}.\n\n{}{status}\n", row.name, row.doc)
}

fn values(row: &Parameter) -> String {
    match row.kind {
        Kind::YesNo { .. } => "`yes` or `no`".to_owned(),
        Kind::Text { .. } => "text".to_owned(),
        Kind::Word { words, .. } => format!("one of `{}`", words.join("`, `")),
        Kind::Special { shape, .. } => format!("`{shape}`"),
        Kind::Number { form, min, max, .. } => {
            let what = match form {
                Form::Plain => "number",
                Form::Octal => return format!("octal number from {min:o} to {max:o}"),
                Form::Memory => "size",
                Form::MemoryOrPercent => return "size, or percentage from 0% to 100%".to_owned(),
            };
            let least = if form == Form::Memory { size(min) } else { min.to_string() };
            match max {
                max if max >= i128::from(i32::MAX) && min > i128::from(i32::MIN) => {
                    format!("{what} from {least}")
                }
                max if max >= i128::from(i32::MAX) => what.to_owned(),
                max => format!("{what} from {least} to {max}"),
            }
        }
    }
}

fn default(row: &Parameter) -> String {
    match row.kind {
        _ if row.default.is_empty() => "empty".to_owned(),
        Kind::Number { form: Form::Memory, .. } => format!("`{}`", size(row.default.parse().unwrap_or(0))),
        _ => format!("`{}`", row.default),
    }
}

fn size(bytes: i128) -> String {
    write_memory(u64::try_from(bytes).unwrap_or(0))
}
