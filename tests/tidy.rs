//! The house rules that a compiler does not know, read off the sources: which floor may import which,
//! who may touch a socket, a clock or a thread, where `unsafe` may stand and what must stand before it,
//! how large a file may grow, and that a link in the documents leads somewhere.
//!
//! The floors are parsed from the comments of `src/lib.rs`, so there is one list of them. Everything is
//! text: comments, strings and (for what only the shipped code is held to) test modules are blanked
//! first. A rule that turns out wrong is changed here, in the open, with its reason.

use ringdove::config::parameter::Status;
use ringdove::config::table;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file this long holds two ideas.
const LINES_MAX: usize = 1000;

/// Tells a broken rule: where, and which.
type Broken = Vec<String>;

struct Source {
    /// Relative to the repository, `src/keyspace/db.rs`.
    path: String,
    text: String,
    /// `text` without comments and the insides of strings; same lines.
    code: String,
    /// Lines from which on only tests follow.
    tests_from: usize,
}

impl Source {
    fn read(root: &Path, path: &Path) -> Source {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let path = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
        let code = blank(&text);
        let tests_from = if is_test_file(root, &path) { 0 } else { first_test_line(&code) };
        Source { path, text, code, tests_from }
    }

    /// `src/keyspace/db.rs` -> `keyspace`, `src/main.rs` -> `main`.
    fn module(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap_or("");
        inside.split(['/', '.']).next().unwrap_or("")
    }

    /// Lines of code with their numbers; `shipped` leaves the tests out.
    fn lines(&self, shipped: bool) -> impl Iterator<Item = (usize, &str)> {
        let end = if shipped { self.tests_from } else { usize::MAX };
        self.code.lines().take(end).enumerate().map(|(at, line)| (at + 1, line))
    }
}

/// Whether a whole file is compiled for tests only: by its place, or by how its parent declares it.
fn is_test_file(root: &Path, path: &str) -> bool {
    let Some((dir, name)) = path.rsplit_once('/') else { return false };
    let parents = [format!("{dir}/mod.rs"), format!("{dir}.rs")];
    let declared = || {
        let parent = parents.iter().find_map(|parent| fs::read_to_string(root.join(parent)).ok());
        let module = format!("mod {};", name.trim_end_matches(".rs"));
        parent.is_some_and(|text| text.contains(&format!("#[cfg(test)]\n{module}")))
    };
    path.starts_with("tests/") || name.ends_with("tests.rs") || path.contains("/tests/") || declared()
}

/// The first line of a test module at the end of a file: `#[cfg(test)]` or `#[cfg(all(test, ..))]`
/// before a `mod` with a body.
fn first_test_line(code: &str) -> usize {
    let lines: Vec<&str> = code.lines().collect();
    let starts = |at: &usize| {
        let next = lines.get(at + 1).copied().unwrap_or("");
        let cfg = lines[*at].starts_with("#[cfg(test)]") || lines[*at].starts_with("#[cfg(all(test");
        cfg && next.starts_with("mod ") && next.ends_with('{')
    };
    (0..lines.len()).find(starts).unwrap_or(lines.len())
}

/// Blanks comments and what is inside string and character literals, keeping every newline.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = match &bytes[at..] {
            [b'/', b'/', ..] => text[at..].find('\n').map_or(bytes.len(), |n| at + n),
            [b'/', b'*', ..] => text[at + 2..].find("*/").map_or(bytes.len(), |n| at + n + 4),
            [b'"', ..] => end_of_string(bytes, at),
            [b'r', rest @ ..] if matches!(rest, [b'"' | b'#', ..]) && !after_word(bytes, at) => {
                end_of_raw(text, at).unwrap_or(at + 1)
            }
            [b'\'', b'\\', ..] => {
                bytes[at + 3..].iter().position(|b| *b == b'\'').map_or(bytes.len(), |n| at + n + 4)
            }
            [b'\'', _, b'\'', ..] => at + 3,
            _ => at + 1,
        };
        if end == at + 1 {
            out.push(bytes[at]);
        } else {
            out.extend(bytes[at..end].iter().map(|b| if *b == b'\n' { b'\n' } else { b' ' }));
        }
        at = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn after_word(bytes: &[u8], at: usize) -> bool {
    at > 0 && (bytes[at - 1].is_ascii_alphanumeric() && bytes[at - 1] != b'b' || bytes[at - 1] == b'_')
}

fn end_of_string(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// The end of `r"..."` or `r#"..."#`; none when it is `r#keyword`.
fn end_of_raw(text: &str, from: usize) -> Option<usize> {
    let hashes = text[from + 1..].bytes().take_while(|b| *b == b'#').count();
    let open = from + 1 + hashes;
    (text.as_bytes().get(open) == Some(&b'"')).then_some(())?;
    let close = format!("\"{}", "#".repeat(hashes));
    Some(text[open + 1..].find(&close).map_or(text.len(), |n| open + 1 + n + close.len()))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `dir` that end in one of `ends`, sorted; build output and hidden folders left out.
fn files(dir: &Path, ends: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_path_buf()];
    while let Some(dir) = todo.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() {
                let skip = ["target", "corpus", "artifacts", ".git", "node_modules", "__pycache__"];
                if !skip.contains(&name.as_str()) {
                    todo.push(path);
                }
            } else if ends.iter().any(|end| name.ends_with(end)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn sources(dirs: &[&str]) -> Vec<Source> {
    let root = root();
    let all = dirs.iter().flat_map(|dir| files(&root.join(dir), &[".rs"]));
    all.map(|path| Source::read(&root, &path)).collect()
}

fn report(rule: &str, broken: Broken) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

/// Whether `word` stands in `line` as a whole path or identifier, not as a part of one.
fn names(line: &str, word: &str) -> bool {
    let part = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    line.match_indices(word).any(|(at, _)| {
        let before = at.checked_sub(1).and_then(|i| line.as_bytes().get(i));
        // A word that ends in punctuation (`std::fs::`) may be followed by anything.
        let open = !word.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        !part(before) && (open || !part(line.as_bytes().get(at + word.len())))
    })
}

/// `module -> floor`, as `src/lib.rs` lists them.
fn floors(lib: &str) -> BTreeMap<String, u32> {
    let mut floors = BTreeMap::new();
    let mut floor = None;
    for line in lib.lines() {
        if let Some(rest) = line.strip_prefix("// floor ") {
            let number = rest.split(':').next().and_then(|n| n.trim().parse().ok());
            floor = Some(number.unwrap_or_else(|| panic!("no number in `{line}`")));
        } else if let Some(name) = line.strip_prefix("pub mod ") {
            let floor = floor.unwrap_or_else(|| panic!("`{line}` stands on no floor"));
            floors.insert(name.trim_end_matches(';').to_string(), floor);
        }
    }
    floors
}

#[test]
fn a_module_imports_from_lower_floors_only() {
    let floors = floors(&fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs"));
    assert!(floors.len() > 10, "the list in src/lib.rs was not understood: {floors:?}");
    let mut broken = Broken::new();
    for source in sources(&["src"]) {
        let module = source.module();
        if module == "main" || module == "lib" {
            continue;
        }
        let Some(own) = floors.get(module) else {
            broken.push(format!("{}: `{module}` is on no floor of src/lib.rs", source.path));
            continue;
        };
        for (at, line) in source.lines(false) {
            for (_, rest) in line.match_indices("crate::").map(|(i, m)| (i, &line[i + m.len()..])) {
                if rest.starts_with('{') {
                    broken.push(format!("{}:{at}: one `use crate::` line for each module", source.path));
                }
                let other: String =
                    rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                if let Some(floor) = floors.get(&other)
                    && other != module
                    && floor >= own
                {
                    let why = format!("{module} (floor {own}) imports {other} (floor {floor})");
                    broken.push(format!("{}:{at}: {why}", source.path));
                }
            }
        }
    }
    report("a file imports from lower floors only", broken);
}

/// What only some modules may name, in shipped code: the name, who may, and why nobody else.
const KEPT: &[(&[&str], &[&str], &str)] = &[
    (&["glommio"], &["server"], "the executor is the driver's; what it drives is told, not asked"),
    (&["actix"], &["control"], "actors are the control plane's"),
    (&["crossbeam", "crossbeam_channel", "rtrb"], &["bridge"], "queues between threads live behind bridge"),
    (&["io_uring", "libc", "socket2"], &["net", "server"], "the kernel is asked by net"),
    (
        &["mlua_sys", "corosensei"],
        &["script/lua.rs", "script/lua/native.rs", "script/lua/state.rs", "script/fiber.rs"],
        "Lua and its stack are entered through one door",
    ),
    (&["nix", "signal_hook"], &["server", "control/mod.rs"], "signals and limits are the process's"),
    (&["Instant", "SystemTime"], &["net", "control", "server"], "time is an argument"),
    (&["std::thread"], &["bridge/cell.rs", "net", "control", "server"], "a shard is one thread"),
    (
        &["std::fs", "fs::read", "fs::write", "fs::File"],
        &["net", "control", "server"],
        "files are behind traits",
    ),
    (&["std::net"], &["net", "server"], "sockets are net's"),
    (&["getrandom"], &["server"], "randomness is an argument"),
    (&["println!", "eprintln!", "print!", "eprint!"], &["server"], "the log is tracing's"),
    (
        &["process::exit", "process::abort"],
        &["main", "server", "control", "session/commands/debug.rs"],
        "ending is decided in few places",
    ),
    (&["tracing"], &["actor", "session", "control", "net", "server"], "handlers answer, they do not log"),
    (
        &["Mutex", "RwLock", "Condvar"],
        &["bridge", "shard/errors.rs", "session", "control", "server"],
        "no lock on data",
    ),
];

#[test]
fn the_outside_world_is_touched_where_it_belongs() {
    let mut broken = Broken::new();
    for source in sources(&["src"]) {
        let inside = source.path.strip_prefix("src/").unwrap_or(&source.path);
        for (names_kept, allowed, why) in KEPT {
            if allowed.iter().any(|a| *a == source.module() || *a == inside) {
                continue;
            }
            for (at, line) in source.lines(true) {
                if let Some(name) = names_kept.iter().find(|name| names(line, name)) {
                    broken.push(format!("{}:{at}: `{name}`: {why} (only {allowed:?})", source.path));
                }
            }
        }
    }
    report("names that belong to few modules", broken);
}

/// Modules that may hold unsafe code, in leaf files that say so at their top.
const UNSAFE: &[&str] = &["structure", "net", "bridge", "script"];

#[test]
fn unsafe_stays_in_leaves_and_says_why_it_is_sound() {
    let mut broken = Broken::new();
    for source in sources(&["src"]) {
        let text: Vec<&str> = source.text.lines().collect();
        let mut first = true;
        for (at, line) in source.lines(false) {
            if !names(line, "unsafe") || line.contains("allow(unsafe_code)") {
                continue;
            }
            if std::mem::take(&mut first) && !UNSAFE.contains(&source.module()) {
                broken.push(format!("{}:{at}: unsafe outside {UNSAFE:?}", source.path));
            }
            let declares =
                ["unsafe fn", "unsafe trait", "unsafe extern"].iter().any(|word| line.contains(word));
            if !declares && !is_justified(&text, at - 1) {
                broken.push(format!("{}:{at}: no `// SAFETY:` before this", source.path));
            }
        }
    }
    report("unsafe code", broken);
}

/// Whether a SAFETY comment stands right before the statement that line `at` (from 0) is a part of.
fn is_justified(text: &[&str], at: usize) -> bool {
    let comment = |line: &str| line.trim_start().starts_with("//");
    let mut line = at;
    while line > 0 {
        let before = text[line - 1].trim_end();
        if before.contains("SAFETY:") {
            return true;
        }
        // Up through the comment, or through the head of a statement that was broken into lines.
        let ends = before.is_empty() || before.ends_with([';', '}']) || before.ends_with("},");
        if ends && !comment(before) || at - line > 12 {
            return false;
        }
        line -= 1;
    }
    false
}

#[test]
fn files_stay_small_and_begin_with_what_they_are() {
    let mut broken = Broken::new();
    let mut sizes = Vec::new();
    for source in sources(&["src", "tests", "benches"]) {
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            broken.push(format!("{}: {lines} lines, {LINES_MAX} at most", source.path));
        }
        if source.path.starts_with("src/") {
            sizes.push(lines);
        }
        if !source.text.starts_with("//!") && !source.path.contains("fuzz_targets") {
            broken.push(format!("{}: no `//!` at its top", source.path));
        }
        let vague = ["util", "utils", "helper", "helpers", "manager", "common", "misc"];
        let stem = source.path.trim_end_matches(".rs").trim_end_matches("/mod").rsplit('/').next();
        if stem.is_some_and(|stem| vague.contains(&stem)) {
            broken.push(format!("{}: a name that says nothing", source.path));
        }
    }
    sizes.sort_unstable();
    let (median, total) = (sizes[sizes.len() / 2], sizes.iter().sum::<usize>());
    println!("src: {} files, {total} lines, median {median}", sizes.len());
    report("sizes and module docs", broken);
}

#[test]
fn nothing_is_left_half_done() {
    let mut broken = Broken::new();
    let unfinished = ["todo!", "unimplemented!", "dbg!", "#[ignore"];
    for source in sources(&["src", "tests", "benches"]) {
        for (at, line) in source.lines(false) {
            if let Some(word) = unfinished.iter().find(|word| line.contains(*word)) {
                broken.push(format!("{}:{at}: {word}", source.path));
            }
        }
    }
    let marks = ["<".repeat(7) + " ", ">".repeat(7) + " "];
    let words = ["TODO", "FIXME", "XXX:"];
    // Places of one machine, by the folders such places start with.
    let places = ["home", "Users", "root", "work", "tmp/w"].map(|dir| format!("/{dir}/"));
    for path in
        files(&root(), &[".rs", ".md", ".toml", ".conf", ".json", ".yml", ".yaml", ".service", ".py", ".sh"])
    {
        if path.ends_with("tests/tidy.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        let shown = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
        for (at, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line)) {
            if marks.iter().any(|mark| line.starts_with(mark.as_str())) {
                broken.push(format!("{shown}:{at}: left over from a merge"));
            }
            if let Some(word) = words.iter().find(|word| names(line, word)) {
                broken.push(format!("{shown}:{at}: {word}"));
            }
            let here = |place: &&String| {
                let starts = |at: usize| at == 0 || b" \"'`=(".contains(&line.as_bytes()[at - 1]);
                line.match_indices(place.as_str()).any(|(at, _)| starts(at))
            };
            if let Some(place) = places.iter().find(here) {
                broken.push(format!("{shown}:{at}: a path of one machine (`{place}`)"));
            }
        }
    }
    report("unfinished or not for others", broken);
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    let root = root();
    let mut broken = Broken::new();
    for path in files(&root, &[".md"]) {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let shown = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next()) {
            let file = link.split('#').next().unwrap_or("");
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            if !path.parent().unwrap_or(&root).join(file).exists() {
                broken.push(format!("{shown}: ({link})"));
            }
        }
    }
    // Comments and documents name files of this repository by their path from its root.
    for path in files(&root, &[".rs", ".md"]) {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let shown = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
        for quoted in text.split('`').skip(1).step_by(2) {
            let of_ours =
                ["src/", "docs/", "tests/", "benches/", "tuning/"].iter().any(|d| quoted.starts_with(d));
            let plain = quoted.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b));
            let a_file =
                quoted.ends_with('/') || quoted.rsplit('/').next().is_some_and(|name| name.contains('.'));
            if of_ours && plain && a_file && !root.join(quoted).exists() {
                broken.push(format!("{shown}: `{quoted}`"));
            }
        }
    }
    report("links and file names that lead nowhere", broken);
}

/// A directive that nothing reads is one that is swallowed, unless its row says that it has no effect.
#[test]
fn every_directive_is_read_or_says_why_not() {
    let sources = sources(&["src"]);
    let is_table = |path: &str| {
        let own = ["table/", "settings.rs", "special.rs", "advice.rs", "words.rs"];
        path.strip_prefix("src/config/").is_some_and(|rest| own.iter().any(|own| rest.starts_with(own)))
    };
    let code: Vec<&str> = sources
        .iter()
        .filter(|source| !is_table(&source.path))
        .flat_map(|source| source.lines(true).map(|(_, line)| line))
        .collect();
    let mut broken = Broken::new();
    for row in table::rows().filter(|row| row.status == Status::Works) {
        let field = format!(".{}", row.name.replace('-', "_"));
        let reads = |line: &&str| {
            line.match_indices(&field).any(|(at, _)| {
                let next = line.as_bytes().get(at + field.len());
                !next.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
            })
        };
        if !code.iter().any(reads) {
            broken.push(row.name.to_string());
        }
    }
    report("directives that nothing reads", broken);
}

#[test]
fn the_profiles_in_tuning_are_accepted() {
    let mut broken = Broken::new();
    let profiles = files(&root().join("tuning"), &[".conf"]);
    assert!(profiles.len() >= 2, "tuning/ has its profiles");
    for path in profiles {
        let output = Command::new(env!("CARGO_BIN_EXE_ringdove"))
            .arg(&path)
            .arg("--check-config")
            .output()
            .expect("ringdove runs");
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            broken.push(format!("{}: {said}", path.display()));
        }
    }
    report("ringdove --check-config", broken);
}

/// The reader of sources is itself worth a test: a rule that sees nothing holds always.
#[test]
fn the_rules_see_what_they_should() {
    let blanked = blank("a /* x\ny */ b \"unsafe \\\" c\" d 'e' '\\n' r#\"todo!\"# // crate::x\nfn f<'a>()");
    assert_eq!(blanked.lines().count(), 3);
    for gone in ["unsafe", "todo!", "crate::x", "y */"] {
        assert!(!blanked.contains(gone), "{gone} in {blanked}");
    }
    assert!(blanked.contains("fn f<'a>()"));
    assert!(names("use std::time::Instant;", "Instant") && !names("Instants", "Instant"));
    assert!(names("std::fs::read(x)", "std::fs") && !names("my_std::fs", "std::fs"));
    assert!(is_justified(&["// SAFETY: so.", "let x =", "unsafe {"], 2));
    assert!(!is_justified(&["// SAFETY: so.", "let x = 1;", "unsafe {"], 2));
    assert_eq!(floors("// floor 3: x\npub mod a;\npub mod b;\n// floor 4\npub mod c;")["c"], 4);
    assert_eq!(first_test_line("fn a() {}\n#[cfg(test)]\nmod tests {\n}\n"), 1);
}
