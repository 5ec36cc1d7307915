//! What clients can do to each other and to themselves: names, KILL, PAUSE, LIST, MONITOR, sockets.

use crate::need_oracle;
use crate::support::server::Scratch;
use crate::support::{Client, Server, Start, Value, wait_until};
use std::time::Duration;

#[test]
fn a_unix_socket_serves_like_any_other() {
    for shards in [1, 4] {
        let scratch = Scratch::new();
        let path = scratch.path.join("s");
        let server = Start::ringdove(shards).args(&format!("--unixsocket {}", path.display())).start();
        let mut client = Client::connect_unix(&path).unwrap();
        assert!(client.ask("SET k v").is_ok());
        assert_eq!(server.client().ask("GET k").text(), "v");
        let many = client.pipeline(&vec![crate::support::words("INCR n"); 3000]).unwrap();
        assert_eq!(many[2999], Value::Integer(3000));
        let line = client.ask("CLIENT INFO").text();
        assert!(line.contains(&format!("addr={}:0", path.display())), "{line}");
    }
}

/// Fields of a line of CLIENT LIST.
fn fields(line: &str) -> Vec<String> {
    line.split_whitespace().map(|f| f.split('=').next().unwrap().to_string()).collect()
}

#[test]
fn client_list_has_the_fields_of_redis() {
    need_oracle!();
    let oracle = Start::oracle().start();
    let server = Start::ringdove(3).start();
    for line in ["CLIENT LIST", "CLIENT INFO", "CLIENT LIST TYPE normal"] {
        let [right, got] = [&oracle, &server].map(|s| {
            let text = s.client().ask(line).text();
            fields(text.lines().next().unwrap_or(""))
        });
        // A newer Redis may have told more.
        assert!(right.iter().all(|f| got.contains(f)), "{line}: {right:?}, got {got:?}");
    }
    let mut clients: Vec<Client> = (0..10).map(|_| server.client()).collect();
    for (i, client) in clients.iter_mut().enumerate() {
        assert!(client.ask(&format!("CLIENT SETNAME c{i}")).is_ok());
        assert!(client.ask(&format!("SELECT {i}")).is_ok());
    }
    let list = server.client().ask("CLIENT LIST").text();
    for i in 0..10 {
        let lines: Vec<&str> = list.lines().filter(|l| l.contains(&format!("name=c{i} "))).collect();
        assert_eq!(lines.len(), 1, "{list}");
        assert!(lines[0].contains(&format!("db={i} ")), "{}", lines[0]);
    }
    let ids: Vec<i64> = clients.iter_mut().map(|c| c.ask("CLIENT ID").integer()).collect();
    let two = server.client().ask(&format!("CLIENT LIST ID {} {}", ids[2], ids[5])).text();
    assert_eq!(two.lines().count(), 2, "{two}");
}

#[test]
fn killed_clients_are_closed_and_others_are_not() {
    for shards in [1, 4] {
        let server = Start::ringdove(shards).start();
        let mut victims: Vec<Client> = (0..6).map(|_| server.client()).collect();
        let ids: Vec<i64> = victims.iter_mut().map(|c| c.ask("CLIENT ID").integer()).collect();
        let mut killer = server.client();
        assert_eq!(killer.ask(&format!("CLIENT KILL ID {}", ids[0])), Value::Integer(1));
        assert!(victims[0].is_closed());
        assert_eq!(killer.ask(&format!("CLIENT KILL ID {}", ids[0])), Value::Integer(0));
        let line = victims[1].ask("CLIENT INFO").text();
        let address = line.split_whitespace().find_map(|f| f.strip_prefix("addr=")).unwrap().to_string();
        assert!(killer.ask(&format!("CLIENT KILL {address}")).is_ok());
        assert!(victims[1].is_closed());
        assert!(killer.ask("CLIENT KILL 1.2.3.4:5").is_error());
        // A victim may be in the middle of a transaction.
        assert!(victims[2].ask("MULTI").is_ok());
        assert!(victims[2].ask("SET k v").is_queued());
        assert!(killer.ask("CLIENT KILL TYPE normal").integer() >= 4);
        assert!(victims[2..].iter_mut().all(Client::is_closed));
        assert_eq!(killer.ask("EXISTS k").integer(), 0);
        assert_eq!(killer.ask("CLIENT KILL TYPE normal SKIPME no").integer(), 1);
        assert!(killer.is_closed());
        assert_eq!(server.client().ask("PING").text(), "PONG");
    }
}

/// Inside EXEC too every shard's clients are listed, and killed; oneself last.
#[test]
fn a_transaction_can_ask_all_shards_for_their_clients() {
    for shards in [1, 4] {
        let server = Start::ringdove(shards).start();
        let mut others: Vec<Client> = (0..6).map(|_| server.client()).collect();
        for (i, client) in others.iter_mut().enumerate() {
            assert!(client.ask(&format!("CLIENT SETNAME c{i}")).is_ok());
        }
        let mut client = server.client();
        let lines =
            ["MULTI", "SET k v", "CLIENT LIST", "MEMORY PURGE", "CLIENT KILL TYPE normal SKIPME no", "GET k"];
        lines.iter().for_each(|line| assert!(!client.ask(line).is_error(), "{line}"));
        let Value::Array(answers) = client.ask("EXEC") else { panic!("EXEC answers an array") };
        let list = answers[1].text();
        assert_eq!(list.lines().count(), 7, "{list}");
        assert!((0..6).all(|i| list.contains(&format!("name=c{i} "))), "{list}");
        assert!(answers[2].is_ok());
        assert_eq!(answers[3], Value::Integer(7));
        assert_eq!(answers[4].text(), "v");
        assert!(client.is_closed() && others.iter_mut().all(Client::is_closed));
    }
}

#[test]
fn paused_writes_wait_and_reads_do_not() {
    for shards in [1, 4] {
        let server = Start::ringdove(shards).start();
        let mut master = server.client();
        assert!(master.ask("CLIENT PAUSE 60000 WRITE").is_ok());
        let mut writers: Vec<Client> = (0..5).map(|_| server.client()).collect();
        for (i, writer) in writers.iter_mut().enumerate() {
            writer.send(&["SET", &format!("paused:{i}"), "v"]).unwrap();
        }
        for i in 0..5 {
            assert!(master.ask(&format!("GET paused:{i}")).is_null(), "a paused write was done");
        }
        assert!(master.ask("CLIENT UNPAUSE").is_ok());
        assert!(writers.iter_mut().all(|w| w.receive().unwrap().is_ok()));
        // A pause ends by itself.
        assert!(master.ask("CLIENT PAUSE 50 ALL").is_ok());
        assert_eq!(writers[0].ask("GET paused:3").text(), "v");
        assert!(master.ask("CLIENT PAUSE abc").is_error());
    }
}

#[test]
fn monitor_shows_the_commands_of_all_shards() {
    for shards in [1, 4] {
        let server = Start::ringdove(shards).start();
        let mut monitor = server.client();
        assert!(monitor.ask("MONITOR").is_ok());
        let mut clients: Vec<Client> = (0..4).map(|_| server.client()).collect();
        for (i, client) in clients.iter_mut().enumerate() {
            client.ask("SELECT 2");
            client.call(&["SET".as_bytes(), format!("key {i}").as_bytes(), b"\"\n\xff"]);
        }
        for _ in 0..8 {
            let line = monitor.receive().unwrap().text();
            // 1339518083.107412 [0 127.0.0.1:60866] "keys" "*"
            let (time, rest) = line.split_once(' ').unwrap();
            assert!(time.contains('.') && time.split('.').all(|t| t.parse::<u64>().is_ok()), "{line}");
            let right = rest.starts_with("[2 127.0.0.1:") && rest.ends_with("] \"SELECT\" \"2\"")
                || rest.starts_with("[2 127.0.0.1:") && rest.ends_with("\" \"\\\"\\n\\xff\"");
            assert!(right, "{line}");
        }
    }
}

/// Connections come and go by the hundred while others work; nobody is forgotten.
#[test]
fn connections_come_and_go() {
    for shards in [1, 4] {
        let server = Start::ringdove(shards).start();
        std::thread::scope(|scope| {
            for t in 0..4 {
                let server: &Server = &server;
                scope.spawn(move || {
                    for i in 0..300 {
                        let mut client = server.client();
                        client.set_patience(Duration::from_secs(20));
                        let key = format!("t{t}:{i}");
                        assert!(client.call(&["SET", &key, "v"]).is_ok());
                        if i % 3 == 0 {
                            client.send(&["GET", &key]).unwrap();
                        } else {
                            assert_eq!(client.call(&["GET", &key]).text(), "v");
                        }
                    }
                });
            }
        });
        wait_until("all are gone", 30, || {
            let list = server.client().ask("CLIENT LIST").text();
            list.lines().count() == 1
        });
        assert_eq!(server.client().ask("DBSIZE").integer(), 1200);
    }
}
