//! The flags that Redis takes and those it refuses.

use super::*;

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
    assert!(crate::config::command_line::version_line().contains(" v=7."));
}

#[test]
fn users_given_twice() {
    assert!(run(&["--user", "foo", "--user", "foo"]).is_err());
}
