//! How the server is started, told to stop, and what it says when it cannot start: exit codes and
//! messages that launchers rely on.

use crate::need_oracle;
use crate::support::server::{Scratch, binary, free_port, tests_redis};
use crate::support::{Client, Server, Start, wait_until};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs the program to its end.
fn run_program(program: &Path, args: &[&str], input: &str) -> Output {
    let scratch = Scratch::new();
    let mut command = Command::new(program);
    command.args(args).current_dir(&scratch.path);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn run(args: &[&str]) -> Output {
    run_program(&binary(), args, "")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn it_tells_its_version() {
    for flag in ["--version", "-v"] {
        let output = run(&[flag]);
        let text = said(&output);
        assert!(output.status.success(), "{text}");
        assert!(text.contains(" v=") && text.trim_end().lines().count() == 1, "{text}");
    }
}

#[test]
fn it_tells_how_to_use_it() {
    for flag in ["--help", "-h"] {
        let text = said(&run(&[flag]));
        assert!(text.contains("--port") && text.contains("redis.conf"), "{text}");
    }
}

/// Configuration files that are wrong: the file's text, the number of the line, what stands there.
const WRONG: &[(&str, usize, &str)] = &[
    ("nosuch-directive 1\n", 1, "nosuch-directive"),
    ("port 7000\n\n# comment\nmaxmemory lots\n", 4, "maxmemory"),
    ("port abc\n", 1, "port"),
    ("port 70000\n", 1, "port"),
    ("appendonly maybe\n", 1, "appendonly"),
    ("databases 0\n", 1, "databases"),
    ("timeout\n", 1, "timeout"),
    ("timeout 1 2\n", 1, "timeout"),
    ("appendfsync sometimes\n", 1, "appendfsync"),
    ("requirepass \"abc\n", 1, "requirepass"),
    ("client-output-buffer-limit normal\n", 1, "client-output-buffer-limit"),
    ("include /nonexistent/file.conf\n", 1, "/nonexistent/file.conf"),
    ("rename-command NOSUCH x\n", 1, "rename-command"),
];

#[test]
fn a_wrong_line_is_named_and_ends_it() {
    let oracle = crate::support::server::oracle_is_here();
    for (text, line, what) in WRONG {
        let scratch = Scratch::new();
        let file = scratch.path.join("wrong.conf");
        std::fs::write(&file, text).unwrap();
        let file = file.to_string_lossy().into_owned();
        let output = run(&[&file]);
        let told = said(&output);
        assert!(!output.status.success(), "{text:?} was accepted");
        assert!(told.contains(what), "{text:?}: {told}");
        if !tests_redis() {
            assert!(
                told.contains(&format!("line {line}")) || told.contains(&format!(":{line}")),
                "{text:?}: {told}"
            );
            assert!(told.contains("wrong.conf"), "{text:?}: {told}");
        }
        if oracle {
            let right = run_program(Path::new("redis-server"), &[&file], "");
            assert_eq!(output.status.code(), right.status.code(), "{text:?}: {told}");
        }
    }
}

#[test]
fn a_wrong_flag_is_named_and_ends_it() {
    for args in [
        &["--nosuch", "1"][..],
        &["--port", "abc"],
        &["--port"],
        &["--appendonly", "maybe"],
        &["/nonexistent/redis.conf"],
    ] {
        let output = run(args);
        let told = said(&output);
        assert!(!output.status.success(), "{args:?} was accepted");
        assert!(told.contains(args[0].trim_start_matches('-')), "{args:?}: {told}");
    }
}

#[test]
fn a_taken_port_is_named_and_ends_it() {
    let server = Start::ringdove(1).start();
    let port = server.port.to_string();
    let output = run(&["--port", &port, "--save", ""]);
    let told = said(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("Failed listening on port") && told.contains(&port), "{told}");
    assert!(!told.lines().next().unwrap_or("").contains("already in use"), "{told}");
    assert_eq!(server.client().ask("PING").text(), "PONG");
}

/// Starts it with exactly these arguments, and `text` on standard input.
fn start_with(args: &[&str], text: &str, port: u16) -> (std::process::Child, Client, Scratch) {
    let scratch = Scratch::new();
    let mut command = Command::new(binary());
    command.args(args).current_dir(&scratch.path).stdin(Stdio::piped());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let mut client = None;
    wait_until("it answers", 20, || {
        client = Client::connect(port).ok();
        client.as_mut().is_some_and(|c| c.try_call(&["PING"]).is_ok())
    });
    (child, client.unwrap(), scratch)
}

#[test]
fn the_configuration_comes_from_a_file_from_flags_and_from_standard_input() {
    let port = free_port();
    let scratch = Scratch::new();
    let (file, other) = (scratch.path.join("a.conf"), scratch.path.join("b.conf"));
    std::fs::write(&other, "timeout 77\n# nothing\n\nloglevel verbose\n").unwrap();
    let text = format!(
        "# comment\nport 1\n  maxclients   123 \nsave \"\"\ninclude {}\nrequirepass \"a b\\x63\"\ntcp-keepalive 200\n",
        other.display()
    );
    std::fs::write(&file, text).unwrap();
    let file = file.to_string_lossy().into_owned();
    let port_text = port.to_string();
    // Flags win over the file; standard input is read behind it.
    let args = [file.as_str(), "--port", &port_text, "--tcp-keepalive", "99", "--maxmemory", "100mb", "-"];
    let (mut child, mut client, _dir) = start_with(&args, "maxclients 124\ndatabases 5\n", port);
    assert!(client.ask("PING").is_error());
    assert!(client.call(&["AUTH", "a bc"]).is_ok());
    for (name, value) in [
        ("port", port_text.as_str()),
        ("maxclients", "124"),
        ("databases", "5"),
        ("timeout", "77"),
        ("loglevel", "verbose"),
        ("tcp-keepalive", "99"),
        ("maxmemory", "104857600"),
        ("save", ""),
    ] {
        let reply = client.call(&["CONFIG", "GET", name]);
        assert_eq!(reply.items()[1].text(), value, "{name}");
    }
    assert!(client.ask("SELECT 5").is_error());
    client.send(&["SHUTDOWN", "NOSAVE"]).unwrap();
    assert!(client.is_closed());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn config_rewrite_keeps_what_was_set() {
    let port = free_port();
    let scratch = Scratch::new();
    let file = scratch.path.join("a.conf");
    std::fs::write(&file, format!("# mine\nport {port}\nsave \"\"\ntimeout 5\n")).unwrap();
    let name = file.to_string_lossy().into_owned();
    let (mut child, mut client, _dir) = start_with(&[&name], "", port);
    assert!(client.ask("CONFIG SET timeout 6 maxmemory 1gb").is_ok());
    assert!(client.ask("CONFIG REWRITE").is_ok());
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(
        text.contains("# mine\n") && text.contains("timeout 6\n") && text.contains("maxmemory 1gb\n"),
        "{text}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    // On another port: the old one may have been taken.
    let port = free_port();
    let (mut child, mut client, _dir) = start_with(&[&name, "--port", &port.to_string()], "", port);
    assert_eq!(client.ask("CONFIG GET timeout").items()[1].text(), "6");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn check_config_only_checks() {
    if tests_redis() {
        return;
    }
    let scratch = Scratch::new();
    let file = scratch.path.join("a.conf");
    std::fs::write(&file, "port 1\nmaxmemory 1gb\n").unwrap();
    let name = file.to_string_lossy().into_owned();
    let output = run(&[&name, "--check-config"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    std::fs::write(&file, "port 1\nmaxmemory 1xb\n").unwrap();
    let output = run(&[&name, "--check-config"]);
    assert!(!output.status.success() && said(&output).contains("maxmemory"), "{}", said(&output));
}

/// Servers to be stopped: with one shard and several, idle and loaded, with a journal and without.
fn to_be_stopped(mut stop: impl FnMut(&mut Server)) {
    for (shards, args) in [(1, ""), (4, ""), (3, "--appendonly yes")] {
        let mut server = Start::ringdove(shards).args(args).start();
        let mut clients: Vec<Client> = (0..20).map(|_| server.client()).collect();
        for (i, client) in clients.iter_mut().enumerate() {
            assert!(client.call(&["SET", &format!("k{i}"), "v"]).is_ok());
            // Replies on the way, half commands, open transactions.
            client.write(b"PING\r\nMULTI\r\nSET k v\r\n*2\r\n$3\r\n").unwrap();
        }
        stop(&mut server);
        assert!(clients.iter_mut().all(Client::is_closed));
        assert!(server.log().contains("bye bye"), "{}", server.log());
    }
}

#[test]
fn signals_stop_it_cleanly() {
    for signal in [15, 2] {
        to_be_stopped(|server| {
            server.signal(signal);
            assert_eq!(server.wait().code(), Some(0), "signal {signal}\n{}", server.log());
        });
    }
}

#[test]
fn shutdown_stops_it_cleanly() {
    for line in ["SHUTDOWN", "SHUTDOWN NOSAVE", "SHUTDOWN NOW", "SHUTDOWN FORCE NOSAVE"] {
        to_be_stopped(|server| {
            let mut client = server.client();
            client.send(&crate::support::words(line)).unwrap();
            assert!(client.is_closed(), "{line}");
            assert_eq!(server.wait().code(), Some(0), "{line}\n{}", server.log());
        });
    }
}

#[test]
fn a_shutdown_that_makes_no_sense_is_refused() {
    need_oracle!();
    let oracle = Start::oracle().start();
    let server = Start::ringdove(2).start();
    for line in
        ["SHUTDOWN nosuch", "SHUTDOWN SAVE NOSAVE", "SHUTDOWN ABORT", "SHUTDOWN ABORT NOW", "SHUTDOWN a b c"]
    {
        let [right, got] = [&oracle, &server].map(|s| s.client().ask(line));
        assert_eq!(got, right, "{line}");
    }
}

#[test]
fn launchers_find_the_lines_they_wait_for() {
    let server = Start::ringdove(2).start();
    let log = server.log();
    assert!(log.contains("Ready to accept connections"), "{log}");
    let logo = Start::ringdove(1).args("--always-show-logo yes").start();
    wait_until("the line with the process id", 5, || {
        logo.log().contains(&format!(" PID: {}", logo.child.id()))
    });
}
