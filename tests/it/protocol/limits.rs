//! Limits that protect the server from its clients.

use crate::support::{Client, Server, Start, wait_until};
use std::time::Duration;

/// A field of INFO.
fn info(server: &Server, field: &str) -> String {
    let text = server.client().ask("INFO").text();
    let line = text.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("INFO has no {field}")).to_string()
}

#[test]
fn a_client_that_never_reads_is_closed_at_its_output_limit() {
    for shards in [1, 4] {
        let limit = ["--client-output-buffer-limit", "normal 4mb 0 0"];
        let server = Start::ringdove(shards).arg(limit[0]).arg(limit[1]).start();
        let mut other = server.client();
        let value = vec![b'v'; 1 << 20];
        assert!(other.call(&[b"SET".as_slice(), b"big", &value]).is_ok());
        let mut deaf = server.client();
        deaf.set_patience(Duration::from_secs(20));
        // 100 MB of replies: more than socket buffers and the limit together hold.
        for _ in 0..100 {
            if deaf.send(&["GET", "big"]).is_err() {
                break;
            }
        }
        wait_until("the deaf client is gone", 30, || info(&server, "connected_clients") == "2");
        assert!(deaf.is_closed(), "the connection is still open");
        assert_eq!(other.ask("PING").text(), "PONG");
        assert_eq!(other.ask("STRLEN big").integer(), 1 << 20);
    }
}

#[test]
fn a_slow_reader_below_its_limit_gets_everything() {
    for shards in [1, 4] {
        let server = Start::ringdove(shards).start();
        let value = vec![b'v'; 1 << 20];
        assert!(server.client().call(&[b"SET".as_slice(), b"big", &value]).is_ok());
        let mut slow = server.client();
        (0..60).for_each(|_| slow.send(&["GET", "big"]).unwrap());
        // Others are served while its replies wait.
        let mut other = server.client();
        for i in 0..200 {
            assert!(other.call(&["SET", &format!("k{i}"), "v"]).is_ok());
        }
        for _ in 0..60 {
            assert_eq!(slow.receive().unwrap().bytes().len(), 1 << 20);
        }
        assert_eq!(slow.ask("PING").text(), "PONG");
    }
}

#[test]
fn a_query_buffer_that_grows_too_long_is_closed() {
    for shards in [1, 2] {
        let server = Start::ringdove(shards).args("--client-query-buffer-limit 1mb").start();
        let mut greedy = server.client();
        let _ = greedy.write(b"*2\r\n$4\r\nECHO\r\n$8000000\r\n");
        let _ = greedy.write(&vec![b'x'; 8_000_000]);
        assert!(greedy.is_closed(), "the connection is still open");
        assert_eq!(server.client().ask("PING").text(), "PONG");
    }
}

#[test]
fn clients_that_leave_in_the_middle_of_a_command_leave_nothing_behind() {
    for shards in [1, 4] {
        let server = Start::ringdove(shards).start();
        let halves: &[&[u8]] = &[
            b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100\r\nhalf",
            b"*3\r\n",
            b"*1",
            b"GET k",
            b"MULTI\r\nSET k v\r\n",
            b"WATCH a b c\r\nMULTI\r\nSET k v\r\n*1\r\n$4\r\nEX",
            b"PING\r\nPING\r\nGET k\r\n",
            b"",
        ];
        for round in 0..30 {
            let mut clients: Vec<Client> = halves.iter().map(|_| server.client()).collect();
            for (client, half) in clients.iter_mut().zip(halves) {
                client.write(half).unwrap();
                if round % 2 == 0 {
                    client.half_close();
                }
            }
        }
        wait_until("all are gone", 30, || info(&server, "connected_clients") == "1");
        let mut client = server.client();
        assert_eq!(client.ask("EXISTS k").integer(), 0);
        assert!(client.ask("SET k v").is_ok());
    }
}

#[test]
fn one_client_more_than_maxclients_is_told_so() {
    for shards in [1, 4] {
        let server = Start::ringdove(shards).args("--maxclients 5").start();
        // The connection that asked whether the server is up may not be gone yet.
        wait_until("five clients fit", 10, || {
            let mut five: Vec<Client> = (0..5).map(|_| server.client()).collect();
            five.iter_mut().all(|c| c.try_call(&["PING"]).is_ok_and(|r| !r.is_error()))
        });
        let mut clients = Vec::new();
        wait_until("they are gone again", 10, || {
            let mut client = server.client();
            let fits = client.try_call(&["PING"]).is_ok_and(|r| !r.is_error());
            if fits {
                clients.push(client);
            }
            clients.len() == 5
        });
        let mut sixth = server.client();
        assert_eq!(sixth.read_to_end(), b"-ERR max number of clients reached\r\n");
        assert!(clients.iter_mut().all(|c| c.ask("PING").text() == "PONG"));
        clients.pop();
        wait_until("there is room again", 10, || {
            server.client().try_call(&["PING"]).is_ok_and(|r| !r.is_error())
        });
    }
}

#[test]
fn an_idle_client_is_closed_after_its_timeout() {
    for shards in [1, 2] {
        let server = Start::ringdove(shards).args("--timeout 1").start();
        let mut idle = server.client();
        assert_eq!(idle.ask("PING").text(), "PONG");
        assert!(idle.is_closed(), "the connection is still open");
        let mut fresh = server.client();
        assert!(fresh.ask("CONFIG SET timeout 0").is_ok());
        assert_eq!(fresh.ask("PING").text(), "PONG");
    }
}
