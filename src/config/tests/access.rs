//! CONFIG GET and CONFIG SET.

use super::*;

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
    let warned: Vec<&str> = change.warnings.iter().filter_map(|text| text.split('\'').nth(1)).collect();
    assert_eq!(warned, ["hz", "slave-read-only"]);
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
        let mut next = change.unwrap_or_else(|error| panic!("{name}: {error:?}")).settings;
        // The default points are asked for then.
        assert_eq!(std::mem::take(&mut next.save_is_asked), name == "save");
        assert_eq!(next, settings, "{name}");
    }
}

/// Measured: `name`, value, reply and the value afterwards, from a server with default settings.
#[test]
fn set_answers_as_redis_7_0_15_did() {
    let settings = Settings::default();
    for line in include_str!("redis-7.0.15-config-set.txt").lines() {
        let [name, value, reply, after] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let (ours, next) = match set(&settings, &[name, value], Asker::default()) {
            Ok(change) => ("+OK".to_owned(), change.settings),
            Err(error) => (format!("-{}", String::from_utf8(error.reply()).unwrap()), settings.clone()),
        };
        assert_eq!(ours, reply, "{name} {value:?}");
        assert_eq!(super::value(&next, name), after, "{name} {value:?}");
    }
}
