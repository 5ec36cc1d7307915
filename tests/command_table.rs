//! Compares what the command table says with what a real redis-server 7.0 says about the same
//! commands: arity, flags, key positions, categories, tips, key specs, subcommands, in both protocol
//! versions. A command Redis does not know must be marked as newer than 7.0, or be our own.
//!
//! Needs `redis-server` in the path: without it the test says so and passes, except when `CI=true`.

mod oracle;

use oracle::{Oracle, Value, read_value};
use ringdove::command::{CommandTable, introspect};
use ringdove::resp::{ArgsBuf, Proto, Reply};
use std::collections::{BTreeMap, BTreeSet};

/// Commands of ours that no Redis has.
const OWN: &[&str] = &["script|stats"];

/// Commands whose grammar later versions of Redis have described better.
const OTHER_GRAMMAR: &[&str] =
    &["client|kill", "command|getkeys", "command|getkeysandflags", "hscan", "zrank", "zrevrank"];

/// Commands to which later versions of Redis have added optional arguments where there were none.
const OTHER_ARITY: &[&str] = &["zrank", "zrevrank"];

fn ours(proto: Proto, write: impl FnOnce(&mut Reply<'_>)) -> Value {
    let mut out = Vec::new();
    write(&mut Reply::new(&mut out, proto));
    read_value(&mut &out[..])
}

/// The order within flags, categories, tips and key specs' flags means nothing; notes are prose.
fn normal(value: &Value) -> Value {
    match value {
        Value::Set(items) => {
            let mut items: Vec<Value> = items.iter().map(normal).collect();
            items.sort();
            Value::Set(items)
        }
        Value::Array(items) => {
            // A map of RESP2 that begins with a note.
            let noted = matches!(items.first(), Some(Value::Bulk(name)) if name == "notes");
            Value::Array(items.iter().skip(if noted { 2 } else { 0 }).map(normal).collect())
        }
        Value::Map(pairs) => Value::Map(
            pairs.iter().filter(|(k, _)| k.text() != "notes").map(|(k, v)| (normal(k), normal(v))).collect(),
        ),
        other => other.clone(),
    }
}

const FIELDS: [&str; 10] = [
    "name",
    "arity",
    "flags",
    "first key",
    "last key",
    "step",
    "categories",
    "tips",
    "key specs",
    "subcommands",
];

/// What differs between two entries of COMMAND INFO, subcommands last.
fn differences(ours: &Value, theirs: &Value, found: &mut Vec<String>) {
    let (mine, redis) = (ours.items(), theirs.items());
    let name = mine[0].text();
    for (i, field) in FIELDS.iter().enumerate().take(9) {
        let longer = *field == "arity" && OTHER_ARITY.contains(&name);
        if !longer && normal(&mine[i]) != normal(&redis[i]) {
            found.push(format!("{name}: {field}: {:?}, Redis has {:?}", mine[i], redis[i]));
        }
    }
    let subs: BTreeMap<&str, &Value> = redis[9].items().iter().map(|s| (s.items()[0].text(), s)).collect();
    for sub in mine[9].items() {
        if let Some(theirs) = subs.get(sub.items()[0].text()) {
            differences(sub, theirs, found);
        }
    }
}

#[test]
fn the_table_says_of_commands_what_redis_says() {
    let Some(mut redis) = Oracle::start() else { return };
    let table = CommandTable::new(&[]).unwrap();
    let commands = table.rows().filter(|(_, row)| !row.is_native());
    let names: Vec<String> = commands.map(|(_, row)| row.full_name.clone()).collect();
    let mut found = Vec::new();
    for proto in [Proto::Resp2, Proto::Resp3] {
        redis.ask(&["HELLO", if proto == Proto::Resp2 { "2" } else { "3" }]);
        for name in &names {
            let request = ["COMMAND", "INFO", name];
            let theirs = redis.ask(&request).items()[0].clone();
            let args: ArgsBuf = request.iter().collect();
            let mine = ours(proto, |r| introspect::info(&table, args.as_args(), r)).items()[0].clone();
            let id = table.rows().find(|(_, row)| row.full_name == *name).unwrap().0;
            let newer = matches!(table.spec(id).since.split('.').collect::<Vec<_>>()[..],
                [major, minor, _] if (major.parse::<u32>().unwrap(), minor.parse::<u32>().unwrap()) > (7, 0));
            match theirs {
                // DEBUG's subcommands are rows here and code there.
                Value::Null if newer || name.starts_with("debug|") || OWN.contains(&name.as_str()) => {}
                Value::Null => found.push(format!("{name}: Redis 7.0 has no such command")),
                theirs => {
                    differences(&mine, &theirs, &mut found);
                    if proto == Proto::Resp2 {
                        shapes_match(&mine, &theirs, name, &mut found);
                    }
                }
            }
        }
    }
    let found: BTreeSet<String> = found.into_iter().collect();
    assert!(found.is_empty(), "{}", found.into_iter().collect::<Vec<_>>().join("\n"));
}

/// In RESP2 sets and maps are flat arrays: the kinds of all elements must agree.
fn shapes_match(mine: &Value, theirs: &Value, name: &str, found: &mut Vec<String>) {
    let (a, b) = (mine.items(), theirs.items());
    for (i, field) in FIELDS.iter().enumerate() {
        if std::mem::discriminant(&a[i]) != std::mem::discriminant(&b[i]) {
            found.push(format!("{name}: {field} is another kind of value in RESP2"));
        }
    }
}

/// Summaries and complexities are in words of our own; what can be compared is the rest.
#[test]
fn the_docs_have_redis_shape() {
    let Some(mut redis) = Oracle::start() else { return };
    let table = CommandTable::new(&[]).unwrap();
    let mut found = Vec::new();
    for proto in [Proto::Resp2, Proto::Resp3] {
        redis.ask(&["HELLO", if proto == Proto::Resp2 { "2" } else { "3" }]);
        for (_, row) in table.rows() {
            let request = ["COMMAND", "DOCS", &row.full_name];
            let theirs = redis.ask(&request);
            let args: ArgsBuf = request.iter().collect();
            let mine = ours(proto, |r| introspect::docs(&table, args.as_args(), r));
            assert_eq!(std::mem::discriminant(&mine), std::mem::discriminant(&theirs));
            let (mine, theirs) = (mine.pairs(), theirs.pairs());
            let Some(theirs) = theirs.get(&row.full_name) else { continue };
            let (mine, theirs) = (mine[&row.full_name].pairs(), theirs.pairs());
            for field in ["since", "group", "doc_flags", "deprecated_since", "replaced_by", "arguments"] {
                if field == "arguments" && OTHER_GRAMMAR.contains(&row.full_name.as_str()) {
                    continue;
                }
                if mine.get(field).map(normal) != theirs.get(field).map(normal) {
                    found.push(format!(
                        "{}: {field}: {:?}, Redis has {:?}",
                        row.full_name,
                        mine.get(field),
                        theirs.get(field)
                    ));
                }
            }
        }
    }
    let found: BTreeSet<String> = found.into_iter().collect();
    assert!(found.is_empty(), "{}", found.into_iter().collect::<Vec<_>>().join("\n"));
}

/// The lines for commands that are not there, from the server and from us.
#[test]
fn errors_for_unknown_commands_are_redis_own() {
    let Some(mut redis) = Oracle::start() else { return };
    let long = "y".repeat(300);
    let cases: &[&[&str]] = &[
        &["nosuch"],
        &["nosuch", "a", "b"],
        &["No\r\nSuch", "a\nb", "c"],
        &["nosuch", &long, "b"],
        &[&long, "b"],
        &["nosuch", &long[..120], "abcdefghij", "klm"],
        &["nosuch", &long[..126], "abc"],
        &["nosuch", &long[..124], "abc", "d"],
        &["nosuch", "a\0b", "c"],
        &["nosuch", "", ""],
    ];
    for case in cases {
        let args: ArgsBuf = case.iter().collect();
        assert_eq!(
            Value::Error(String::from_utf8(introspect::unknown_command(args.as_args())).unwrap()),
            redis.ask(case)
        );
    }
    for case in [&["config", "nosuch"][..], &["Client", "\r\nx", "y"], &["client", &long], &["client", ""]] {
        let args: ArgsBuf = case.iter().collect();
        assert_eq!(
            Value::Error(String::from_utf8(introspect::unknown_subcommand(args.as_args())).unwrap()),
            redis.ask(case)
        );
    }
    for case in [&["debug", "nosuch"][..], &["debug", "sleep"]] {
        let args: ArgsBuf = case.iter().collect();
        assert_eq!(Value::Error(introspect::subcommand_syntax(args.as_args())), redis.ask(case));
    }
    assert_eq!(Value::Error(introspect::wrong_arity("get")), redis.ask(&["get"]));
    assert_eq!(Value::Error(introspect::wrong_arity("client|kill")), redis.ask(&["client", "kill"]));
    assert_eq!(Value::Error(introspect::wrong_arity("client")), redis.ask(&["CLIENT"]));
}

/// COMMAND GETKEYS: keys, or the reason why there are none.
#[test]
fn keys_are_found_where_redis_finds_them() {
    let Some(mut redis) = Oracle::start() else { return };
    let table = CommandTable::new(&[]).unwrap();
    let cases: &[&[&str]] = &[
        &["memory", "usage", "k"],
        &["memory", "usage", "k", "samples", "3"],
        &["memory", "usage"],
        &["memory", "nosuch"],
        &["memory", "stats"],
        &["watch", "a", "b", "c"],
        &["ping", "x"],
        &["nosuch", "x"],
        &["WATCH", "a"],
        &["get", "a"],
        &["get", "a", "b"],
        &["set", "a", "b"],
        &["set", "a", "b", "GET"],
        &["set", "a", "b", "EX", "10", "get"],
        &["mset", "a", "1", "b", "2"],
        &["mset", "a", "1", "b"],
        &["mget", "a", "b"],
        &["rename", "a", "b"],
        &["copy", "a", "b"],
        &["lcs", "a", "b"],
        &["del", "a", "b", "c"],
        &["object", "encoding", "a"],
        &["rpoplpush", "a", "b"],
        &["lmpop", "2", "a", "b", "LEFT"],
        &["lmpop", "3", "a", "LEFT"],
        &["lmpop", "x", "a", "LEFT"],
        &["sort", "a"],
        &["sort", "a", "by", "w_*", "get", "#", "limit", "0", "1", "store", "b", "store", "c"],
        &["sort", "a", "get", "store", "asc"],
        &["sort", "a", "store"],
        &["sort_ro", "a", "get", "x"],
    ];
    for case in cases {
        let known = table.find(case[0].as_bytes()).is_some() || case[0] == "nosuch";
        for sub in ["GETKEYS", "GETKEYSANDFLAGS"] {
            let request: Vec<&str> = ["COMMAND", sub].iter().chain(case.iter()).copied().collect();
            let theirs = redis.ask(&request);
            let args: ArgsBuf = request.iter().collect();
            let mine = ours(Proto::Resp2, |r| {
                if let Err(e) = introspect::get_keys(&table, args.as_args(), sub != "GETKEYS", r) {
                    r.error_bytes(e.line());
                }
            });
            assert!(!known || mine == theirs, "{request:?}: {mine:?}, Redis has {theirs:?}");
        }
    }
}

/// COMMAND LIST: the same answer to the same filter, as far as both know the commands.
#[test]
fn filters_of_command_list_select_what_redis_selects() {
    let Some(mut redis) = Oracle::start() else { return };
    let table = CommandTable::new(&[]).unwrap();
    let all = |v: &Value| -> BTreeSet<String> { v.items().iter().map(|n| n.text().into()).collect() };
    let known = all(&redis.ask(&["COMMAND", "LIST"]));
    let mine_known: BTreeSet<String> = table.rows().map(|(_, row)| row.full_name.clone()).collect();
    let cases: &[&[&str]] = &[
        &[],
        &["filterby", "pattern", "c*"],
        &["FILTERBY", "PATTERN", "config|*re*"],
        &["filterby", "pattern", "CL*help"],
        &["filterby", "aclcat", "dangerous"],
        &["filterby", "aclcat", "Transaction"],
        &["filterby", "aclcat", "nosuch"],
        &["filterby", "module", "nosuch"],
        &["filterby", "nosuch", "x"],
        &["filterby"],
        &["nosuch"],
        &["filterby", "pattern", "a", "b"],
    ];
    for case in cases {
        let request: Vec<&str> = ["COMMAND", "LIST"].iter().chain(case.iter()).copied().collect();
        let theirs = redis.ask(&request);
        let args: ArgsBuf = request.iter().collect();
        let mine = ours(Proto::Resp2, |r| {
            if let Err(e) = introspect::list(&table, args.as_args(), r) {
                r.error_bytes(e.line());
            }
        });
        match (&mine, &theirs) {
            (Value::Array(_), Value::Array(_)) => {
                let both = |a: BTreeSet<String>, b: &BTreeSet<String>| -> Vec<String> {
                    a.intersection(b).cloned().collect()
                };
                assert_eq!(both(all(&mine), &known), both(all(&theirs), &mine_known), "{request:?}");
            }
            _ => assert_eq!(mine, theirs, "{request:?}"),
        }
    }
}
