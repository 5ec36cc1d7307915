//! The table and everything that reads it, together.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::parameter::{Arity, Kind, Source, Status};
use super::table;
use super::*;

#[derive(Default)]
struct Memory(HashMap<PathBuf, Vec<u8>>);

impl Memory {
    fn with(files: &[(&str, &str)]) -> Self {
        Memory(files.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect())
    }
}

impl Files for Memory {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        self.0.get(path).cloned().ok_or_else(|| "No such file or directory".to_owned())
    }

    fn read_stdin(&self) -> Result<Vec<u8>, String> {
        self.read(Path::new("-"))
    }

    /// Enough of a shell: `*` at the end.
    fn expand(&self, pattern: &Path) -> Vec<PathBuf> {
        let start = pattern.to_string_lossy().trim_end_matches('*').to_owned();
        let mut found: Vec<_> =
            self.0.keys().filter(|path| path.to_string_lossy().starts_with(&start)).cloned().collect();
        found.sort();
        found
    }
}

fn load_text(text: &[u8]) -> Result<Loaded, ConfigError> {
    let files = Memory(HashMap::from([(PathBuf::from("/redis.conf"), text.to_vec())]));
    load(&Sources { file: Some("/redis.conf".into()), ..Sources::default() }, &files)
}

fn loaded(text: &str) -> Loaded {
    load_text(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    load_text(text.as_bytes()).expect_err(text).to_string()
}

fn value(settings: &Settings, name: &str) -> String {
    let found = get(settings, &[name]);
    assert_eq!(found.len(), 1, "{name}");
    String::from_utf8(found[0].1.clone()).unwrap()
}

fn run(args: &[&str]) -> Result<Loaded, ConfigError> {
    let files =
        Memory::with(&[("/redis.conf", include_str!("tests/default.conf")), ("-", "maxclients 77\n")]);
    match parse_command_line(args).unwrap() {
        Invocation::Run(sources) => load(&sources, &files),
        other => panic!("{other:?}"),
    }
}

// --- the table -----------------------------------------------------------------------------------------------

#[test]
fn names_are_unique_and_documented() {
    let mut names: Vec<&str> = table::rows().flat_map(|row| [Some(row.name), row.alias]).flatten().collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    for row in table::rows() {
        assert!(row.doc.ends_with('.'), "{}", row.name);
        assert!(!row.name.bytes().any(|byte| byte.is_ascii_uppercase()), "{}", row.name);
        assert!(foreign::find(row.name.as_bytes()).is_none(), "{}", row.name);
    }
}

#[test]
fn every_name_of_redis_7_0_15_is_known_with_its_default() {
    let settings = Settings::default();
    let listed = get(&settings, &["*"]);
    for line in include_str!("tests/redis-7.0.15-defaults.txt").lines() {
        let (name, default) = line.split_once('\t').unwrap();
        let found = listed.iter().find(|(known, _)| known == name);
        let found = found.unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(String::from_utf8_lossy(&found.1), default, "{name}");
    }
    let ours = ["shards", "locality-rule", "pipeline-order"];
    let redis = include_str!("tests/redis-7.0.15-defaults.txt").lines().count();
    assert_eq!(listed.len(), redis + ours.len());
}

#[test]
fn defaults_are_those_of_the_table() {
    let settings = Settings::default();
    for row in table::rows() {
        assert_eq!(String::from_utf8(row.text(&settings)).unwrap(), row.default, "{}", row.name);
        assert_eq!(row.concern(&settings), None, "{}", row.name);
    }
    assert_eq!((settings.port, settings.databases, settings.maxclients), (6379, 16, 10000));
    assert_eq!(settings.save.len(), 3);
    assert_eq!(settings.bind, ["*", "-::*"]);
}

#[test]
fn a_later_row_says_so_and_a_working_one_does_not() {
    for row in table::rows() {
        if let Status::Later { feature, .. } = row.status {
            assert!(
                feature.ends_with(" is") || feature.ends_with(" are"),
                "{}: {feature} not built yet",
                row.name
            );
        }
    }
}

/// Values a row might get: its own kind of them, mostly good.
fn candidate(row: &'static Parameter) -> BoxedStrategy<Vec<Vec<u8>>> {
    let words = |count: usize, word: &'static str| {
        proptest::collection::vec(word.prop_map(String::into_bytes), count..=count).boxed()
    };
    match row.kind {
        Kind::YesNo { .. } => words(1, "yes|no|YES|maybe"),
        Kind::Word { words: known, .. } => {
            proptest::sample::select(known).prop_map(|word| vec![word.as_bytes().to_vec()]).boxed()
        }
        Kind::Number { .. } => words(1, "-?[0-9]{1,20}(kb|mb|gb|%|)"),
        Kind::Text { .. } => proptest::collection::vec(any::<Vec<u8>>(), 1).boxed(),
        Kind::Special { arity: Arity::One, .. } => {
            words(1, "auto|[0-9]{1,4}|[A-Zgx$lshzeKEtmdn]{0,5}|/[a-z]{1,5}")
        }
        Kind::Special { arity: Arity::Exactly(count), .. } => words(count, "-?[0-9]{1,4}"),
        Kind::Special { arity: Arity::Multiple(4), .. } => {
            ("normal|slave|replica|pubsub|master", "[0-9]{1,4}(mb|)", "[0-9]{1,4}", "[0-9]{1,3}")
                .prop_map(|(a, b, c, d)| vec![a.into_bytes(), b.into_bytes(), c.into_bytes(), d.into_bytes()])
                .boxed()
        }
        Kind::Special { arity, .. } => {
            let words = "[0-9]{1,5}|[0-9]{1,2}\\.[0-9]{1,3}|now|force|save|nosave|default";
            let count = if arity == Arity::Some { 1..4 } else { 2..3 };
            proptest::collection::vec(words.prop_map(String::into_bytes), count).boxed()
        }
    }
}

fn any_assignment() -> impl Strategy<Value = (&'static Parameter, Vec<Vec<u8>>)> {
    let rows: Vec<&'static Parameter> = table::rows().collect();
    proptest::sample::select(rows).prop_flat_map(|row| (Just(row), candidate(row)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_a_row_prints_it_reads_back((row, args) in any_assignment()) {
        let before = Settings::default();
        let mut settings = before.clone();
        match row.assign(&mut settings, &args, Source::ConfigSet) {
            Err(_) => prop_assert_eq!(settings, before),
            Ok(()) => {
                let mut again = before.clone();
                let text = row.text(&settings);
                let words = match row.takes_many() {
                    true if text.is_empty() => vec![Vec::new()],
                    true => text.split(|&byte| byte == b' ').map(<[u8]>::to_vec).collect(),
                    false => vec![text],
                };
                // No master has no spelling of its own in CONFIG GET.
                if row.name != "replicaof" || settings.replicaof.is_some() {
                    prop_assert_eq!(row.assign(&mut again, &words, Source::ConfigSet), Ok(()));
                }
                prop_assert_eq!(again, settings);
            }
        }
    }

    #[test]
    fn a_rewritten_file_loads_as_the_same_settings(assignments in proptest::collection::vec(any_assignment(), 0..12), everything: bool) {
        let mut settings = Settings::default();
        for (row, args) in assignments {
            let mut next = settings.clone();
            let no_nul = args.iter().all(|arg| !arg.contains(&0));
            let assigned = no_nul && row.assign(&mut next, &args, Source::ConfigSet).is_ok();
            if assigned && row.concern(&next).is_none_or(|concern| concern.severity != parameter::Severity::Refuse) {
                settings = next;
            }
        }
        let old = b"# top\nsave 1 1\nsave 2 2 # twice\n\n\n\ninclude /other\nport 1\nport 2\nslave-priority 3\nbad \"\n";
        let text = rewrite(old, &settings, everything);
        let shown = String::from_utf8_lossy(&text).into_owned();
        let files = Memory(HashMap::from([(PathBuf::from("/redis.conf"), text.clone()), (PathBuf::from("/other"), Vec::new())]));
        let loaded = load(&Sources { file: Some("/redis.conf".into()), ..Sources::default() }, &files);
        prop_assert!(loaded.is_ok(), "{shown}\n{loaded:?}");
        prop_assert_eq!(&loaded.unwrap().settings, &settings, "{}", shown);
        prop_assert_eq!(rewrite(&text, &settings, everything), text);
    }

    #[test]
    fn any_bytes_load_or_are_refused(text in any::<Vec<u8>>()) {
        let _ = load_text(&text);
        let _ = rewrite(&text, &Settings::default(), true);
    }

    #[test]
    fn any_words_after_a_name_load_or_are_refused((row, tail) in (any_assignment(), any::<Vec<u8>>())) {
        let _ = load_text(&[row.0.name.as_bytes(), b" ", tail.as_slice()].concat());
    }

    #[test]
    fn any_flags_load_or_are_refused(args in proptest::collection::vec("-{0,2}[a-z \"'#-]{0,12}", 0..6)) {
        if let Ok(Invocation::Run(sources)) = parse_command_line(&args) {
            let _ = load(&sources, &Memory::default());
        }
    }

    #[test]
    fn any_set_is_all_or_nothing(assignments in proptest::collection::vec(any_assignment(), 1..4)) {
        let settings = Settings::default();
        let args: Vec<Vec<u8>> = assignments.into_iter().flat_map(|(row, words)| [row.name.as_bytes().to_vec(), words.join(&b' ')]).collect();
        if let Err(error) = set(&settings, &args, Asker::default()) {
            prop_assert!(error.reply().starts_with(b"ERR "));
        }
    }
}

// --- the file ------------------------------------------------------------------------------------------------

#[test]
fn comments_after_values_are_skipped_and_named() {
    let conf = "save 900 1     # after 15 minutes, don't ask\nappendfsync everysec # \"safe\"\nrequirepass #secret # a comment\nmaxmemory 2gb # half\nrename-command FLUSHDB \"\" # no\n";
    let loaded = loaded(conf);
    let settings = &loaded.settings;
    assert_eq!(value(settings, "save"), "900 1");
    assert_eq!(settings.requirepass, "#secret");
    assert_eq!(settings.maxmemory, 2 << 30);
    assert_eq!(settings.renamed_commands[0].to, "");
    let notice = loaded.warnings.iter().find(|warning| warning.is_notice).unwrap();
    assert!(notice.text.contains("line 1, 2, 3, 4, 5"), "{notice}");
    assert!(refused("port # no value").contains("wrong number of arguments"));
    assert!(refused("save 900 # odd").contains("Invalid save parameters"));
    assert!(refused("port 1 \"#\"").contains("wrong number of arguments"));
}

#[test]
fn errors_name_line_and_reason() {
    let text = refused("# a\n\nport 6379\n   PORT  x  \n");
    assert!(text.contains("*** FATAL CONFIG FILE ERROR (Ringdove "), "{text}");
    assert!(
        text.contains("Reading the configuration file, at line 4 of /redis.conf\n>>> 'PORT  x'\n"),
        "{text}"
    );
    assert!(text.ends_with("argument couldn't be parsed into an integer"), "{text}");
    for (line, reason) in [
        ("nonsense 1", "Bad directive or wrong number of arguments"),
        ("port \"1", "Unbalanced quotes in configuration line"),
        ("port", "wrong number of arguments"),
        ("port 1 2", "wrong number of arguments"),
        ("port 70000", "argument must be between 0 and 65535 inclusive"),
        ("appendonly maybe", "argument must be 'yes' or 'no'"),
        ("maxmemory lots", "argument must be a memory value"),
        ("unixsocketperm 888", "argument couldn't be parsed as an octal number"),
        ("unixsocketperm 1000", "argument must be between 0 and 777 inclusive"),
        ("loglevel loud", "argument(s) must be one of the following: debug, verbose, notice, warning"),
        ("oom-score-adj x", "argument(s) must be one of the following: no, yes, relative, absolute"),
        ("tls-port 6380", "'tls-port' is refused: TLS is not built yet"),
        ("slaveof a 1", "'slaveof' is refused: replication is not built yet"),
        ("replicaof a b", "Invalid master port"),
        ("cluster-enabled yes", "'cluster-enabled' is refused: cluster mode is not built yet"),
        ("user alice on", "'user' is refused: access control lists are not built yet"),
        ("loadmodule /x.so", "'loadmodule' is refused: there are no loadable modules here"),
        ("mod.thing 1", "parameters of modules are refused: there are no loadable modules here"),
        ("appendfilename a/b", "appendfilename can't be a path, just a filename"),
        ("shutdown-on-sigint save nosave", "shutdown options SAVE and NOSAVE can't be used simultaneously"),
        (
            "client-output-buffer-limit x 1 1 1",
            "Invalid client class specified in buffer limit configuration.",
        ),
        ("notify-keyspace-events Q", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
    ] {
        assert!(refused(line).ends_with(reason), "{line}: {}", refused(line));
    }
}

#[test]
fn values_without_a_built_feature_are_named_once_and_by_their_last_value() {
    let warnings =
        |text: &str| loaded(text).warnings.iter().map(|warning| warning.text.clone()).collect::<Vec<_>>();
    assert_eq!(
        warnings("io-threads 4"),
        [
            "'io-threads' has no effect: every shard reads and writes its own sockets; choose the number with shards"
        ]
    );
    assert_eq!(
        warnings("save 900 1\nsave 300 10"),
        ["'save' has no effect: RDB snapshots are not built yet"]
    );
    assert_eq!(warnings("save 900 1\nsave \"\""), [""; 0]);
    assert_eq!(warnings("replicaof no one\ntls-port 0\ncluster-enabled no\nset-proc-title no"), [""; 0]);
    assert_eq!(warnings("set-max-listpack-entries 128").len(), 1);
}

#[test]
fn save_lines_add_up_after_the_first_replaced_the_default() {
    assert_eq!(value(&loaded("save 900 1\nsave 300 10").settings, "save"), "900 1 300 10");
    assert_eq!(value(&loaded("save \"900 1 300 10\"").settings, "save"), "900 1 300 10");
    assert_eq!(value(&loaded("save 900 1\nsave ''\nsave 5 5").settings, "save"), "5 5");
    assert_eq!(value(&loaded("").settings, "save"), "3600 1 300 100 60 10000");
}

#[test]
fn includes_take_their_place() {
    let files = Memory::with(&[
        ("/a.conf", "port 1\ninclude /b.conf\nmaxclients 5\ninclude /none*\n"),
        ("/b.conf", "port 2\nmaxclients 9\ninclude /d/*"),
        ("/d/1", "timeout 1\n"),
        ("/d/2", "timeout 2\n"),
        ("/loop", "include /loop"),
        ("/bad", "\ninclude /missing"),
        ("/dir", "dir /d\ninclude 2"),
    ]);
    let from = |path: &str| load(&Sources { file: Some(path.into()), ..Sources::default() }, &files);
    let settings = from("/a.conf").unwrap().settings;
    assert_eq!((settings.port, settings.maxclients, settings.timeout), (2, 5, 2));
    assert_eq!(from("/dir").unwrap().settings.timeout, 2);
    assert!(from("/loop").unwrap_err().reason.contains("nested too deep"));
    let missing = from("/bad").unwrap_err();
    assert_eq!(missing.reason, "Fatal error, can't open config file '/missing': No such file or directory");
    assert_eq!(missing.place.unwrap().line, 2);
}

#[test]
fn the_hardened_file_of_a_django_tutorial_loads() {
    let loaded = loaded(include_str!("tests/tutorial.conf"));
    let settings = &loaded.settings;
    assert_eq!(value(settings, "save"), "900 1 300 10 60 10000");
    assert_eq!(settings.bind, ["127.0.0.1", "::1"]);
    assert_eq!(settings.maxmemory, 2 << 30);
    assert!(settings.appendonly && settings.replica_read_only);
    assert_eq!(settings.repl_backlog_size, 1 << 20);
    assert_eq!(value(settings, "notify-keyspace-events"), "AKE");
    let renamed: Vec<String> =
        settings.renamed_commands.iter().map(|renamed| renamed.from.to_string()).collect();
    assert_eq!(renamed, ["FLUSHDB", "FLUSHALL", "CONFIG"]);
    let named: Vec<&str> =
        loaded.warnings.iter().filter(|w| !w.is_notice).map(|w| w.text.split('\'').nth(1).unwrap()).collect();
    assert_eq!(named, ["save", "maxmemory-policy", "notify-keyspace-events"]);
}

// --- the command line ----------------------------------------------------------------------------------------

#[test]
fn flags_that_redis_refuses() {
    for (args, reason) in [
        (&["--port"][..], ">>> 'port'\nwrong number of arguments"),
        (&["--port", "6380", "--loglevel"], ">>> 'loglevel'\nwrong number of arguments"),
        (&["--port", "6379", "6380"], ">>> 'port \"6379\" \"6380\"'\nwrong number of arguments"),
        (
            &["--port", "--loglevel", "verbose"],
            ">>> 'port \"--loglevel\" \"verbose\"'\nwrong number of arguments",
        ),
        (
            &["--port", "--bla", "--loglevel", "verbose"],
            ">>> 'port \"--bla\"'\nargument couldn't be parsed into an integer",
        ),
        (
            &["--logfile", "--my--log--file", "--loglevel", "--bla"],
            ">>> 'loglevel \"--bla\"'\nargument(s) must be one of the following: debug, verbose, notice, warning",
        ),
        (
            &["--shutdown-on-sigint"],
            ">>> 'shutdown-on-sigint'\nargument(s) must be one of the following: default, save, nosave, now, force",
        ),
        (
            &["--shutdown-on-sigint", "now force", "--shutdown-on-sigterm"],
            ">>> 'shutdown-on-sigterm'\nargument(s) must be one of the following: default, save, nosave, now, force",
        ),
        (&["--replicaof", "127.0.0.1", "abc"], ">>> 'replicaof \"127.0.0.1\" \"abc\"'\nInvalid master port"),
        (
            &["--replicaof", "--127.0.0.1", "abc"],
            ">>> 'replicaof \"--127.0.0.1\" \"abc\"'\nInvalid master port",
        ),
        (
            &["--replicaof", "--127.0.0.1", "--abc"],
            ">>> 'replicaof \"--127.0.0.1\"'\nwrong number of arguments",
        ),
        (&["-p", "1"], ">>> '\"-p\" \"1\"'\nBad directive or wrong number of arguments"),
    ] {
        let error = run(args).unwrap_err().to_string();
        assert!(error.ends_with(reason), "{args:?}: {error}");
    }
}

#[test]
fn flags_that_redis_takes() {
    let settings = |args: &[&str]| run(args).unwrap_or_else(|error| panic!("{args:?}: {error}")).settings;
    let file = "/redis.conf";
    assert_eq!(value(&settings(&[file]), "save"), "900 1");
    assert_eq!(value(&settings(&[file, "--save", "100", "100"]), "save"), "900 1 100 100");
    assert_eq!(value(&settings(&["--save", "3600 1 60 1"]), "save"), "3600 1 60 1");
    for args in [
        &[file, "--save", "--loglevel", "verbose"][..],
        &[file, "--loglevel", "verbose", "--save"],
        &[file, "--save", "", "--loglevel", "verbose"],
        &[file, "--loglevel", "verbose", "--save", ""],
        &[file, "--proc-title-template", "--save", "--save", "", "--loglevel", "verbose"],
    ] {
        assert_eq!(value(&settings(args), "save"), "", "{args:?}");
        assert_eq!(value(&settings(args), "loglevel"), "verbose", "{args:?}");
    }
    let bare =
        settings(&[file, "loglevel", "verbose", "--maxmemory '700mb'", "--maxmemory-policy 'volatile-lru'"]);
    assert_eq!(value(&bare, "maxmemory"), "734003200");
    assert_eq!(value(&bare, "maxmemory-policy"), "volatile-lru");
    for args in [
        &["--proc-title-template", "--my--title--template", "--loglevel", "verbose"][..],
        &["--proc-title-template --my--title--template", "--loglevel verbose"],
    ] {
        assert_eq!(value(&settings(args), "proc-title-template"), "--my--title--template");
        assert_eq!(value(&settings(args), "loglevel"), "verbose");
    }
    let signals = settings(&[
        "--shutdown-on-sigint",
        "nosave",
        "force",
        "now",
        "--shutdown-on-sigterm",
        "nosave force",
    ]);
    assert_eq!(value(&signals, "shutdown-on-sigint"), "nosave now force");
    assert_eq!(value(&signals, "shutdown-on-sigterm"), "nosave force");
    assert_eq!(settings(&["-"]).maxclients, 77);
    assert_eq!(settings(&[file, "--port", "7", "-"]).maxclients, 77);
    assert_eq!(settings(&["-", "--maxclients", "8"]).maxclients, 8);
    let pass = settings(&["--appendonly", "yes", "--requirepass", "a b#\" '"]);
    assert_eq!((pass.appendonly, pass.requirepass.to_string().as_str()), (true, "a b#\" '"));
}

#[test]
fn flags_with_an_end_of_their_own() {
    let line = |args: &[&str]| parse_command_line(args);
    assert_eq!(line(&["-v"]), Ok(Invocation::Version));
    assert_eq!(line(&["--help"]), Ok(Invocation::Help));
    assert!(line(&["--test-memory", "64"]).is_err());
    assert!(line(&["/sentinel.conf", "--sentinel"]).is_err());
    let wanted = Sources { file: Some("/x".into()), stdin: false, options: Vec::new() };
    assert_eq!(line(&["--check-config", "/x"]), Ok(Invocation::CheckConfig(wanted.clone())));
    assert_eq!(line(&["/x", "--check-config"]), Ok(Invocation::CheckConfig(wanted)));
    assert_eq!(line(&[]), Ok(Invocation::Run(Sources::default())));
    assert!(command_line::version_line().contains(" v=7."));
}

#[test]
fn users_given_twice() {
    assert!(run(&["--user", "foo", "--user", "foo"]).is_err());
}

// --- CONFIG GET and SET --------------------------------------------------------------------------------------

#[test]
fn get_by_pattern_and_name() {
    let settings = Settings::default();
    let names =
        |patterns: &[&str]| get(&settings, patterns).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(&["PORT"]), ["PORT"]);
    assert_eq!(names(&["key-load-delay"]), ["key-load-delay"]);
    assert_eq!(names(&["key-load*"]), [""; 0]);
    assert_eq!(names(&["nothing"]), [""; 0]);
    assert_eq!(names(&["*of"]), ["replicaof", "slaveof"]);
    assert_eq!(names(&["port", "por?", "PORT", "p[o]rt"]), ["port"]);
    assert!(names(&["maxmemory", "maxmemory*", "bind", "*of"]).len() >= 7);
}

fn set_error(args: &[&str]) -> String {
    String::from_utf8(set(&Settings::default(), args, Asker::default()).unwrap_err().reply()).unwrap()
}

#[test]
fn set_errors_as_redis_words_them() {
    let failed = |name: &str, reason: &str| {
        format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")
    };
    assert_eq!(set_error(&["maxmemory"]), "ERR syntax error");
    assert_eq!(
        set_error(&["nope", "1"]),
        "ERR Unknown option or number of arguments for CONFIG SET - 'nope'"
    );
    assert_eq!(
        set_error(&["port", "1", "no\npe", "1"]),
        "ERR Unknown option or number of arguments for CONFIG SET - 'no pe'"
    );
    assert_eq!(set_error(&["maxmemory", "x"]), failed("maxmemory", "argument must be a memory value"));
    assert_eq!(set_error(&["DAEMONIZE", "yes"]), failed("DAEMONIZE", "can't set immutable config"));
    assert_eq!(set_error(&["dir", "/"]), failed("dir", "can't set protected config"));
    assert_eq!(set_error(&["maxmemory", "1", "maxmemory", "2"]), failed("maxmemory", "duplicate parameter"));
    assert_eq!(
        set_error(&[
            "maxmemory",
            "10000001",
            "maxmemory-clients",
            "200%",
            "client-query-buffer-limit",
            "invalid"
        ]),
        failed("maxmemory-clients", "percentage argument must be less or equal to 100")
    );
    assert_eq!(
        set_error(&["maxclients", "-1"]),
        failed("maxclients", "argument must be between 1 and 4294967295 inclusive")
    );
    assert_eq!(
        set_error(&["oom-score-adj-values", "1 2"]),
        failed("oom-score-adj-values", "wrong number of arguments")
    );
    assert_eq!(set_error(&["save", "1"]), failed("save", "Invalid save parameters"));
    assert_eq!(
        set_error(&["activedefrag", "yes"]),
        failed("activedefrag", "active defragmentation is not built yet")
    );
    assert_eq!(set_error(&["shards", "7"]), failed("shards", "can't set immutable config"));
    assert_eq!(
        set_error(&["slave-priority", "x"]),
        failed("slave-priority", "argument couldn't be parsed into an integer")
    );
    let loading = Asker { loading: true, is_local: true };
    let error = set(&Settings::default(), &["appendonly", "yes"], loading).unwrap_err();
    assert_eq!(error.reply(), b"LOADING Redis is loading the dataset in memory");
    let applied = SetError::apply("port", "Unable to listen on this port. Check server logs.");
    assert_eq!(
        String::from_utf8(applied.reply()).unwrap(),
        failed("port", "Unable to listen on this port. Check server logs.")
    );
}

#[test]
fn set_changes_what_it_says_and_nothing_else() {
    let before = Settings::default();
    let change = set(
        &before,
        &["maxmemory", "1gb", "save", "", "timeout", "0", "hz", "9999", "slave-read-only", "no"],
        Asker::default(),
    )
    .unwrap();
    let names: Vec<&str> = change.changed.iter().map(|row| row.name).collect();
    assert_eq!(names, ["maxmemory", "save", "hz", "replica-read-only"]);
    assert_eq!((change.settings.maxmemory, change.settings.hz), (1 << 30, 500));
    assert_eq!(change.warnings, ["'slave-read-only' has no effect: replication is not built yet"]);
    let limits =
        set(&change.settings, &["client-output-buffer-limit", "replica 1mb 2 3"], Asker::default()).unwrap();
    assert_eq!(
        value(&limits.settings, "client-output-buffer-limit"),
        "normal 0 0 0 slave 1048576 2 3 pubsub 33554432 8388608 60"
    );
    assert_eq!(value(&limits.settings, "maxmemory"), "1073741824");
}

#[test]
fn every_parameter_may_be_set_to_what_get_said() {
    let settings = Settings { enable_protected_configs: words::ProtectedAction::Yes, ..Settings::default() };
    for (name, value) in get(&settings, &["*"]) {
        let row = table::find(name.as_bytes()).unwrap().0;
        if row.immutable && !row.ours {
            continue;
        }
        let change = set(&settings, &[name.as_bytes(), &value], Asker::default());
        assert_eq!(change.unwrap_or_else(|error| panic!("{name}: {error:?}")).settings, settings, "{name}");
    }
}

// --- CONFIG REWRITE ------------------------------------------------------------------------------------------

#[test]
fn rewrite_keeps_order_and_comments() {
    let old = "# my server\nport 6379 # the usual\n\n\n\nsave 900 1\nsave 300 10\ninclude /x.conf\nrename-command FLUSHALL \"\"\nmaxmemory 100mb\nmaxmemory 200mb\nslave-read-only yes\ncolour blue\ntimeout 0\n";
    let mut settings = Settings::default();
    for (name, value) in
        [("port", "7000"), ("save", "60 5"), ("maxmemory", "1gb"), ("requirepass", "a\"b"), ("dir", "/data")]
    {
        let row = table::find(name.as_bytes()).unwrap().0;
        let words: Vec<Vec<u8>> = value.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        row.assign(&mut settings, &words, Source::ConfigSet).unwrap();
    }
    let text = String::from_utf8(rewrite(old.as_bytes(), &settings, false)).unwrap();
    let expected = "# my server\nport 7000 # the usual\n\nsave 60 5\n\ninclude /x.conf\nrename-command FLUSHALL \"\"\nmaxmemory 1gb\n\nreplica-read-only yes\n# ??? colour blue\ntimeout 0\n# Generated by CONFIG REWRITE\n";
    assert!(text.starts_with(expected), "{text}");
    assert_eq!(
        &text[expected.len()..],
        "dir \"/data\"\nrequirepass \"a\\\"b\"\nlatency-tracking-info-percentiles 50 99 99.9\n"
    );
}

/// Found at random: the line of one class took the place of another's, so every rewrite added a line.
#[test]
fn rewriting_again_changes_nothing() {
    let change = set(&Settings::default(), &["client-output-buffer-limit", "slave 0 0 0"], Asker::default()).unwrap();
    let text = rewrite(b"", &change.settings, false);
    assert_eq!(rewrite(&text, &change.settings, false), text);
}

#[test]
fn the_reference_page_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, reference_page()).unwrap();
    }
    let Ok(page) = std::fs::read_to_string(path) else { return };
    assert_eq!(page, reference_page(), "run UPDATE_DOCS=1 cargo test config::");
}
/// Measured: `name`, value, reply and the value afterwards, from a server with default settings.
#[test]
fn set_answers_as_redis_7_0_15_did() {
    let settings = Settings::default();
    for line in include_str!("tests/redis-7.0.15-config-set.txt").lines() {
        let [name, value, reply, after] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let (ours, next) = match set(&settings, &[name, value], Asker::default()) {
            Ok(change) => ("+OK".to_owned(), change.settings),
            Err(error) => (format!("-{}", String::from_utf8(error.reply()).unwrap()), settings.clone()),
        };
        assert_eq!(ours, reply, "{name} {value:?}");
        assert_eq!(self::value(&next, name), after, "{name} {value:?}");
    }
}
