//! Configuration files: comments, errors, warnings, `include`.

use super::*;

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
    assert_eq!(warnings("maxmemory-policy allkeys-lru\nmaxmemory-policy volatile-ttl").len(), 1);
    assert_eq!(warnings("save 900 1\nsave 300 10"), [""; 0]);
    assert_eq!(warnings("replicaof no one\ntls-port 0\ncluster-enabled no\nset-proc-title no"), [""; 0]);
    assert_eq!(warnings("hide-user-data-from-log yes").len(), 1);
}

#[test]
fn save_lines_add_up_after_the_first_replaced_the_default() {
    assert_eq!(value(&loaded("save 900 1\nsave 300 10").settings, "save"), "900 1 300 10");
    assert_eq!(value(&loaded("save \"900 1 300 10\"").settings, "save"), "900 1 300 10");
    assert_eq!(value(&loaded("save 900 1\nsave ''\nsave 5 5").settings, "save"), "5 5");
    assert_eq!(value(&loaded("").settings, "save"), "3600 1 300 100 60 10000");
    assert!(loaded("save 3600 1").settings.save_is_asked && !loaded("port 1").settings.save_is_asked);
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
    let loaded = loaded(include_str!("tutorial.conf"));
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
    assert_eq!(named, ["maxmemory-policy"]);
}
