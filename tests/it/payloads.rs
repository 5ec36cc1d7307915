//! DUMP and RESTORE beside `redis-server`: what either of them dumps the other one restores, for every type in
//! every encoding, and it is the same value with the same encoding.

use crate::need_oracle;
use crate::support::server::Scratch;
use crate::support::{Client, Server, Start, Value, payload, words};
use ringdove::snapshot::{self, Access, FileReader, FileWriter, Key, Record};
use ringdove::structure::Entry;

/// Keys and the commands that make them. `{n}` stands for the numbers from 1 to n, each in the words that
/// follow up to `}`: `{3 m# #}` is `m1 1 m2 2 m3 3`.
const VALUES: &[(&str, &[&str])] = &[
    ("text", &["SET text word"]),
    ("raw", &["APPEND raw x", "SETRANGE raw 0 y"]),
    ("long", &["APPEND long {300 pattern-#-}", "SETRANGE long 5000 end"]),
    ("tiny", &["SET tiny -128"]),
    ("small", &["SET small 32767"]),
    ("int", &["SET int -2147483648"]),
    ("large", &["SET large 9223372036854775807"]),
    ("list", &["RPUSH list a b 1 -70000 5000000000"]),
    ("list of many", &["RPUSH list-of-many {500 element-#}"]),
    (
        "list of long",
        &["RPUSH list-of-long {90 a-long-element-that-fills-a-node-soon-enough-as-there-are-many-of-it-#}"],
    ),
    ("ints", &["SADD ints {40 #}"]),
    ("wide ints", &["SADD wide-ints 1 70000 -5000000000"]),
    ("many ints", &["SADD many-ints {900 #}"]),
    ("set", &["SADD set a b c 1"]),
    ("large set", &["SADD large-set {300 member-#}"]),
    ("zset", &["ZADD zset 1 a 2.5 b -inf c inf d 0.1 e -0 f 1e300 g 3 7"]),
    ("large zset", &["ZADD large-zset {400 #.25 member-#}"]),
    ("geo", &["GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania"]),
    ("hash", &["HSET hash {9 f# #}"]),
    ("large hash", &["HSET large-hash {300 field-# value-#}"]),
    (
        "hash of long",
        &[
            "HSET hash-of-long f a-value-that-is-longer-than-the-sixty-four-bytes-which-a-listpack-would-hold g 1",
        ],
    ),
    ("bits", &["SETBIT bits 7000 1"]),
    ("sketch", &["PFADD sketch {50 e#}"]),
    (
        "stream",
        &["XADD stream 1-1 f v", "XADD stream 1-2 f w", "XADD stream 2-0 g 5 h -6", "XDEL stream 1-2"],
    ),
    (
        "groups",
        &[
            "XADD groups 1-1 f v",
            "XADD groups 2-1 f w",
            "XADD groups 3-1 g 5 h -6",
            "XGROUP CREATE groups g1 0",
            "XGROUP CREATE groups g2 2-1 ENTRIESREAD 2",
            "XREADGROUP GROUP g1 c1 COUNT 2 STREAMS groups >",
            "XREADGROUP GROUP g1 c2 STREAMS groups >",
            "XGROUP CREATECONSUMER groups g2 idle",
            "XDEL groups 2-1",
        ],
    ),
    ("no entries", &["XGROUP CREATE no-entries g $ MKSTREAM"]),
];

/// Replaces `{n words}`.
fn spelled(line: &str) -> String {
    let Some((before, rest)) = line.split_once('{') else { return line.to_owned() };
    let (inner, after) = rest.split_once('}').expect("a closing brace");
    let (count, pattern) = inner.split_once(' ').expect("a number and a pattern");
    let count: usize = count.parse().expect("a number");
    // Elements stand apart, but for those of one text.
    let glue = if pattern.ends_with('-') { "" } else { " " };
    let all: Vec<String> = (1..=count).map(|n| pattern.replace('#', &n.to_string())).collect();
    format!("{before}{}{after}", all.join(glue))
}

struct Pair {
    redis: Client,
    ringdove: Client,
}

fn dump(client: &mut Client, key: &str) -> Vec<u8> {
    match client.call(&[b"DUMP", key.as_bytes()]) {
        Value::Bulk(payload) => payload,
        other => panic!("DUMP {key}: {other:?}"),
    }
}

fn restore(client: &mut Client, key: &str, payload: &[u8]) -> Value {
    client.call(&[b"RESTORE", key.as_bytes(), b"0", payload, b"REPLACE"])
}

/// What a key holds, in few words: its encoding, and a digest of its value.
fn shown(client: &mut Client, key: &str) -> String {
    let encoding = client.call(&["OBJECT", "ENCODING", key]);
    let digest = client.call(&["DEBUG", "DIGEST-VALUE", key]);
    format!("{encoding:?} {digest:?}")
}

fn start() -> (Server, Server, Pair) {
    let (redis, ringdove) = (Start::oracle().start(), Start::ringdove(2).start());
    let pair = Pair { redis: redis.admin(), ringdove: ringdove.admin() };
    (redis, ringdove, pair)
}

/// Makes all keys.
fn fill(client: &mut Client) {
    for (name, lines) in VALUES {
        for line in lines.iter().map(|line| words(&spelled(line))) {
            let reply = client.call(&line);
            assert!(!reply.is_error(), "{name}: {reply:?}");
        }
    }
}

#[test]
fn payloads_are_exchanged_with_redis() {
    need_oracle!();
    let (_redis, _ringdove, mut pair) = start();
    fill(&mut pair.redis);
    fill(&mut pair.ringdove);
    for (name, _) in VALUES {
        let key = name.replace(' ', "-");
        let Pair { redis, ringdove } = &mut pair;
        let (theirs, ours) = (dump(redis, &key), dump(ringdove, &key));
        assert!(payload::agree(&theirs, &ours), "{name}");
        // Redis makes another form of some values when it loads them: what it holds then is the measure.
        for payload in [&theirs, &ours] {
            assert!(restore(redis, "to", payload).is_ok(), "{name}: redis-server");
            assert!(restore(ringdove, "to", payload).is_ok(), "{name}: ringdove");
            let (there, here) = (shown(redis, "to"), shown(ringdove, "to"));
            assert_eq!(here, there, "{name}");
            assert_eq!(
                shown(redis, &key).split_once(' ').map(|it| it.1),
                there.split_once(' ').map(|it| it.1)
            );
        }
    }
}

/// Elements above `quicklist-packed-threshold` lie in no listpack.
#[test]
fn a_list_of_plain_nodes_is_restored() {
    need_oracle!();
    let (_redis, _ringdove, mut pair) = start();
    let Pair { redis, ringdove } = &mut pair;
    assert!(redis.ask("DEBUG QUICKLIST-PACKED-THRESHOLD 20b").is_ok());
    redis
        .ask("RPUSH list short an-element-of-more-than-twenty-bytes 5 another-one-of-more-than-twenty-bytes");
    let payload = dump(redis, "list");
    assert!(restore(ringdove, "list", &payload).is_ok());
    assert_eq!(redis.ask("LRANGE list 0 -1"), ringdove.ask("LRANGE list 0 -1"));
    let ours = dump(ringdove, "list");
    assert!(restore(redis, "list", &ours).is_ok());
    assert_eq!(redis.ask("LRANGE list 0 -1"), ringdove.ask("LRANGE list 0 -1"));
}

/// RESTORE in transactions and scripts is an ordinary command, also over several shards.
#[test]
fn restore_in_transactions_and_scripts() {
    let server = Start::ringdove(3).start();
    let mut client = server.admin();
    client.ask("RPUSH from a b c");
    let payload = dump(&mut client, "from");
    let commands: Vec<Vec<Vec<u8>>> = ["one", "two", "three", "four"]
        .iter()
        .map(|key| vec![b"RESTORE".to_vec(), key.as_bytes().to_vec(), b"0".to_vec(), payload.clone()])
        .collect();
    let replies = client.transaction(&commands).expect("an answer");
    assert!(replies.items().iter().all(Value::is_ok), "{replies:?}");
    let copy = "return redis.call('RESTORE', KEYS[2], 0, redis.call('DUMP', KEYS[1]))";
    assert!(client.call(&["EVAL", copy, "2", "one", "five"]).is_ok());
    for key in ["one", "two", "three", "four", "five"] {
        assert_eq!(client.call(&["LRANGE", key, "0", "-1"]), client.ask("LRANGE from 0 -1"), "{key}");
    }
}

/// A file that Redis saved is read whole; written anew it is loaded by Redis, and is the same data.
#[test]
fn files_are_exchanged_with_redis() {
    need_oracle!();
    let (there, here) = (Scratch::new(), Scratch::new());
    let redis = Start::oracle().dir(&there.path).start();
    let mut client = redis.admin();
    fill(&mut client);
    assert!(client.ask("PEXPIRE text 100000000") == Value::Integer(1));
    assert!(client.ask("SELECT 3").is_ok() && client.ask("SET other value").is_ok());
    let library = "#!lua name=x\nredis.register_function('f', function() return 1 end)";
    assert!(!client.call(&["FUNCTION", "LOAD", library]).is_error());
    assert!(client.ask("SAVE").is_ok());

    let file = std::fs::read(there.path.join("dump.rdb")).expect("what was saved");
    let mut source = &file[..];
    let mut reader = FileReader::new(&mut source, true).expect("a signature");
    let mut writer = FileWriter::new(true, true);
    let (mut keys, mut database) = (0, 0);
    loop {
        match reader.next(payload::limits()).expect("a record") {
            Record::Aux { name, value } => writer.aux(&name, &value),
            Record::Library(code) => {
                assert_eq!(code, library.as_bytes());
                writer.library(&code);
            }
            Record::Database(number) => database = number,
            Record::Sizes { keys, with_deadline } => writer.database(database, keys, with_deadline),
            Record::ModuleAux(name) => panic!("a module called {name}"),
            Record::Key(Key { key, value, expire_at, .. }) => {
                let entry = Entry::new(&key, value, expire_at);
                client.ask(&format!("SELECT {database}"));
                let name = String::from_utf8(key).expect("a name");
                let ours = snapshot::payload(entry.value(), true);
                assert!(payload::agree(&ours, &dump(&mut client, &name)), "{name}");
                assert_eq!(expire_at.is_some(), name == "text");
                writer.entry(&entry, Access::Untold);
                keys += 1;
            }
            Record::End => break,
        }
    }
    writer.end();
    assert_eq!((keys, reader.offset()), (VALUES.len() + 1, file.len() as u64));
    std::fs::write(here.path.join("dump.rdb"), writer.take()).expect("room for a file");
    let again = Start::oracle().dir(&here.path).start();
    let mut other = again.admin();
    assert_eq!(client.ask("DEBUG DIGEST"), other.ask("DEBUG DIGEST"));
    assert_eq!(client.ask("FUNCTION LIST WITHCODE"), other.ask("FUNCTION LIST WITHCODE"));
}
