//! Long pipelines, many arguments, large values.

use crate::need_oracle;
use crate::support::{Start, Value, Words, words};

#[test]
fn a_pipeline_of_ten_thousand_is_answered_in_order() {
    for (shards, args) in [(1, ""), (4, ""), (3, "--appendonly yes")] {
        let server = Start::ringdove(shards).args(args).start();
        let mut client = server.client();
        let mut commands: Vec<Words> = Vec::new();
        for i in 0..2500 {
            commands.push(words(&format!("SET key:{i} value:{i}")));
            commands.push(words(&format!("GET key:{i}")));
            commands.push(words(&format!("MGET key:{i} key:{} nothing", i / 2)));
            commands.push(words("INCR counter"));
        }
        let replies = client.pipeline(&commands).unwrap();
        for (i, four) in replies.chunks(4).enumerate() {
            assert!(four[0].is_ok());
            assert_eq!(four[1], Value::Bulk(format!("value:{i}").into_bytes()));
            assert_eq!(four[2].items()[0].text(), format!("value:{i}"));
            assert_eq!(four[2].items()[1].text(), format!("value:{}", i / 2));
            assert!(four[2].items()[2].is_null());
            assert_eq!(four[3], Value::Integer(i as i64 + 1));
        }
    }
}

#[test]
fn a_command_of_a_hundred_thousand_arguments_is_served() {
    for shards in [1, 4] {
        let server = Start::ringdove(shards).start();
        let mut client = server.client();
        let keys: Vec<Vec<u8>> = (0..50_000).map(|i| format!("k{i}").into_bytes()).collect();
        let mut set = words("MSET");
        keys.iter().for_each(|k| set.extend([k.clone(), [b"v".as_slice(), k].concat()]));
        assert!(client.call(&set).is_ok());
        let with = |name: &str| {
            let mut all = words(name);
            all.extend_from_slice(&keys);
            all
        };
        let got = client.call(&with("MGET"));
        assert!(got.items().iter().zip(&keys).all(|(v, k)| v.bytes()[1..] == **k));
        assert_eq!(client.call(&with("EXISTS")), Value::Integer(50_000));
        assert_eq!(client.ask("DBSIZE"), Value::Integer(50_000));
        assert_eq!(client.call(&with("DEL")), Value::Integer(50_000));
        assert_eq!(client.ask("DBSIZE"), Value::Integer(0));
    }
}

#[test]
fn a_transaction_of_ten_thousand_commands_is_served() {
    let server = Start::ringdove(4).start();
    let commands: Vec<Words> = (0..10_000).map(|i| words(&format!("INCRBY n{} {i}", i % 100))).collect();
    let reply = server.client().transaction(&commands).unwrap();
    assert_eq!(reply.items().len(), 10_000);
    assert_eq!(reply.items()[9_999], Value::Integer((0..100).map(|i| i * 100 + 99).sum()));
}

#[test]
fn a_bulk_of_64_megabytes_comes_back_whole() {
    for (shards, args) in [(1, ""), (4, "--appendonly yes")] {
        let server = Start::ringdove(shards).args(args).start();
        let mut client = server.client();
        let mut value: Vec<u8> = (0..64 << 20).map(|i: u32| (i ^ (i >> 9)) as u8).collect();
        assert!(client.call(&[b"SET".as_slice(), b"big", &value]).is_ok());
        assert_eq!(client.ask("STRLEN big"), Value::Integer(64 << 20));
        assert!(client.ask("GET big") == Value::Bulk(value.clone()), "the value has changed");
        // Two large replies and a small one in one pipeline.
        let replies = client.pipeline(&[words("GET big"), words("PING"), words("GET big")]).unwrap();
        assert!(replies[0] == replies[2] && replies[0].bytes().len() == 64 << 20);
        assert_eq!(replies[1].text(), "PONG");
        assert_eq!(client.ask("APPEND big !"), Value::Integer((64 << 20) + 1));
        value.push(b'!');
        assert!(server.client().ask("GET big") == Value::Bulk(value), "APPEND has changed the value");
        assert_eq!(client.ask("DEL big"), Value::Integer(1));
    }
}

#[test]
fn a_bulk_longer_than_allowed_is_refused_as_redis_refuses_it() {
    need_oracle!();
    let args = "--proto-max-bulk-len 1mb";
    let oracle = Start::oracle().args(args).start();
    let server = Start::ringdove(2).args(args).start();
    for length in [1 << 20, (1 << 20) + 1] {
        let head = format!("*2\r\n$4\r\nECHO\r\n${length}\r\n");
        let bytes = [head.as_bytes(), &vec![b'x'; length], b"\r\n"].concat();
        let (right, got) = super::converse(&oracle, &server, &bytes, &[]);
        assert!(got == right, "{length}: expected {}, got {}", super::show(&right), super::show(&got));
    }
    let grow = [
        words("SET k x"),
        words("SETRANGE k 1048575 yy"),
        words("SETRANGE k 1048575 y"),
        words("APPEND k z"),
    ];
    let [right, got] = [&oracle, &server].map(|s| s.client().pipeline(&grow).unwrap());
    assert_eq!(got, right);
}
