//! The Redis 7.0.15 Tcl suite against this server, and the page that says what does not pass.
//!
//! `tests/tcl/run.py` runs the units and knows the rules; `tests/tcl/expected.tsv` lists what fails
//! and why. The suite is not part of this repository: `RINGDOVE_TCL_SUITE` names its folder
//! (`.ci/tcl-suite DIR` fetches it), without it these tests are left out.

#[path = "ecosystem/needs.rs"]
mod needs;

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

/// From outside.
const UNITS: &[&str] = &[
    "unit/type/string",
    "unit/type/incr",
    "unit/type/list",
    "unit/type/list-2",
    "unit/type/list-3",
    "unit/type/set",
    "unit/type/hash",
    "unit/type/zset",
    "unit/type/stream",
    "unit/type/stream-cgroups",
    "unit/dump",
    "unit/sort",
    "unit/bitops",
    "unit/bitfield",
    "unit/geo",
    "unit/hyperloglog",
    "unit/keyspace",
    "unit/scan",
    "unit/expire",
    "unit/lazyfree",
    "unit/tracking",
    "unit/other",
    "unit/multi",
    "unit/protocol",
    "unit/introspection",
    "unit/introspection-2",
    "unit/scripting",
    "unit/functions",
    "unit/pubsub",
    "unit/pubsubshard",
    "unit/info",
    "unit/auth",
    "unit/quit",
    "unit/querybuf",
    "unit/limits",
];

/// Units whose tests differ when the suite starts the server itself, and those that are quick.
const SPAWNED: &[&str] = &[
    "unit/type/string",
    "unit/type/incr",
    "unit/keyspace",
    "unit/expire",
    "unit/multi",
    "unit/protocol",
    "unit/scan",
    "unit/introspection",
    "unit/info",
    "unit/auth",
    "unit/quit",
    "unit/querybuf",
    "unit/limits",
];

fn run_suite(mode: &str, shards: usize, units: &[&str]) {
    let _alone = needs::alone();
    if !needs::programs(&["python3", "tclsh", "redis-cli", "redis-benchmark"]) {
        return;
    }
    let Some(suite) = needs::path("RINGDOVE_TCL_SUITE", "the source of Redis 7.0.15") else { return };
    let mut command = Command::new("python3");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tcl/run.py"));
    command.arg("--suite").arg(suite).arg("--binary").arg(needs::server());
    command.args(["--mode", mode, "--shards", &shards.to_string()]).args(units);
    needs::run(command);
}

#[test]
fn suite_passes_from_outside_with_two_shards() {
    run_suite("external", 2, UNITS);
}

#[test]
fn suite_passes_from_outside_with_one_shard() {
    run_suite("external", 1, SPAWNED);
}

#[test]
fn suite_passes_in_place_of_redis_server() {
    run_suite("spawn", 2, SPAWNED);
}

/// One line of `expected.tsv`.
struct Failure {
    mode: String,
    unit: String,
    test: String,
    reason: String,
}

fn failures(list: &str) -> Vec<Failure> {
    let lines = list.lines().enumerate().filter(|(_, line)| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|(at, line)| {
            match <[String; 4]>::try_from(line.split('\t').map(String::from).collect::<Vec<_>>()) {
                Ok([mode, unit, test, reason]) => Failure { mode, unit, test, reason },
                Err(fields) => panic!("expected.tsv, line {}: four fields, not {fields:?}", at + 1),
            }
        })
        .collect()
}

/// The list as a table for each unit.
fn tables(failures: &[Failure]) -> String {
    let mut page = String::new();
    for unit in UNITS {
        let mut of_unit = failures.iter().filter(|f| f.unit == *unit).peekable();
        if of_unit.peek().is_none() {
            let _ = writeln!(page, "### `{unit}`\n\nEverything passes.\n");
            continue;
        }
        let _ = writeln!(page, "### `{unit}`\n\n| test | why it does not pass |\n|---|---|");
        for Failure { mode, test, reason, .. } in of_unit {
            let mode = match mode.as_str() {
                "both" => "",
                "spawn" => " (runs only when the suite starts the server)",
                _ => " (only when the suite connects to a server)",
            };
            let _ = writeln!(page, "| {}{mode} | {reason} |", test.replace('|', "\\|"));
        }
        page.push('\n');
    }
    page
}

const BEGIN: &str =
    "<!-- tests: written from tests/tcl/expected.tsv by UPDATE_DOCS=1 cargo test --test tcl -->\n";

#[test]
fn compatibility_page_lists_every_test_that_does_not_pass() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let failures = failures(&fs::read_to_string(root.join("tests/tcl/expected.tsv")).unwrap());
    assert!(failures.iter().all(|f| UNITS.contains(&f.unit.as_str())));
    let path = root.join("docs/compatibility.md");
    let page = fs::read_to_string(&path).unwrap();
    let (prose, old) = page.split_once(BEGIN).expect("the line where the tables begin");
    let new = format!("\n{}", tables(&failures).trim_end().to_owned() + "\n");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{prose}{BEGIN}{new}")).unwrap();
    } else {
        assert!(old == new, "docs/compatibility.md is out of date: UPDATE_DOCS=1 cargo test --test tcl");
    }
}
