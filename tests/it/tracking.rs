//! CLIENT TRACKING beside Redis: what three connections hear, command by command.

use crate::support::{Client, Server, Start, Value, words};

/// Commands with the number of the client that sends them. `{n}` stands for the id of a client. The clients
/// speak RESP3, unless they say otherwise; nothing expires by itself.
type Scenario = &'static [(usize, &'static str)];

const SCENARIOS: &[Scenario] = &[
    // Every read is told of once, and a client's own doing too.
    &[
        (0, "CLIENT TRACKING ON"),
        (0, "GET a"),
        (1, "SET a 1"),
        (1, "SET a 2"),
        (0, "GET a"),
        (0, "MGET a b c"),
        (0, "SET a 3"),
        (1, "MSET a 4 b 5 c 6 d 7"),
        (0, "CLIENT TRACKING OFF"),
        (0, "GET a"),
        (1, "SET a 5"),
        (0, "CLIENT TRACKING ON"),
        (1, "SET a 6"),
    ],
    // What is remembered stays so while tracking is off.
    &[
        (0, "CLIENT TRACKING ON"),
        (0, "MGET a b"),
        (0, "CLIENT TRACKING OFF"),
        (1, "SET a 1"),
        (0, "CLIENT TRACKING ON NOLOOP"),
        (1, "SET b 1"),
        (0, "GET c"),
        (0, "SET c 1"),
        (0, "GET c"),
        (1, "SET c 2"),
        (0, "CLIENT TRACKINGINFO"),
        (0, "GET d"),
        (0, "CLIENT TRACKING ON"),
        (0, "SET d 1"),
        (0, "CLIENT TRACKINGINFO"),
    ],
    // Which changes count.
    &[
        (0, "CLIENT TRACKING ON"),
        (1, "SADD set x"),
        (1, "HSET hash f v"),
        (1, "RPUSH list x y"),
        (1, "ZADD zset 1 x"),
        (1, "SET text 5"),
        (1, "XADD stream 1-1 f v"),
        (0, "EXISTS set hash list zset text stream none"),
        (1, "SADD set x"),
        (1, "HSET hash f v"),
        (1, "ZADD zset 1 x"),
        (1, "LREM list 0 nothing"),
        (1, "DEL none"),
        (1, "SETNX text 6"),
        (1, "EXPIRE none 100"),
        (1, "PERSIST text"),
        (1, "EXPIRE text 100"),
        (0, "EXISTS text hash"),
        (1, "PERSIST text"),
        (1, "GETEX text"),
        (0, "EXISTS text"),
        (1, "GETEX text EX 100"),
        (0, "EXISTS text"),
        (1, "APPEND text 1"),
        (0, "EXISTS text"),
        (1, "SET text 51 KEEPTTL"),
        (1, "XGROUP CREATE stream g 0"),
        (0, "EXISTS stream"),
        (1, "XREADGROUP GROUP g c STREAMS stream >"),
        (0, "EXISTS stream"),
        (1, "XACK stream g 1-1"),
        (0, "EXISTS stream"),
        (1, "XTRIM stream MAXLEN 0"),
        (0, "EXISTS list other"),
        (1, "LMOVE list other LEFT RIGHT"),
        (0, "EXISTS list other"),
        (1, "RENAME other third"),
        (0, "EXISTS list third other"),
        (1, "COPY list third REPLACE"),
        (0, "EXISTS list third other"),
        (1, "SORT list ALPHA STORE third"),
        (0, "EXISTS set zset third"),
        (1, "ZUNIONSTORE third 2 zset set"),
        (1, "SMOVE set other x"),
        (0, "EXISTS set other third"),
        (1, "SINTERSTORE third set other"),
        (1, "PFADD pf1 a"),
        (0, "EXISTS pf1 pf2"),
        (1, "PFADD pf1 a"),
        (1, "PFMERGE pf2 pf1"),
        (0, "EXISTS pf1 pf2"),
        (1, "PFCOUNT pf1 pf2"),
        (1, "SETBIT text 3 1"),
        (0, "EXISTS text bits"),
        (1, "BITOP NOT bits text"),
        (1, "MOVE text 3"),
        (0, "EXISTS text bits"),
        (1, "SWAPDB 0 3"),
        (1, "SWAPDB 0 3"),
        (1, "UNLINK bits"),
    ],
    // Which reads count, also those that fail.
    &[
        (1, "RPUSH l x y"),
        (1, "HSET h f v"),
        (1, "XADD s 1-1 f v"),
        (1, "GEOADD g 13.3 38.1 here"),
        (0, "CLIENT TRACKING ON"),
        (0, "GET l"),
        (1, "RPUSH l z"),
        (0, "TYPE l"),
        (1, "RPUSH l z"),
        (0, "OBJECT ENCODING l"),
        (1, "RPUSH l z"),
        (0, "OBJECT FREQ l"),
        (1, "RPUSH l z"),
        (0, "TOUCH l"),
        (1, "RPUSH l z"),
        (0, "SORT_RO l ALPHA"),
        (1, "RPUSH l z"),
        (0, "SORT l ALPHA"),
        (1, "RPUSH l z"),
        (0, "LMPOP 1 nothing LEFT"),
        (1, "RPUSH nothing z"),
        (0, "HGETALL h"),
        (1, "HSET h g v"),
        (0, "HSCAN h 0"),
        (1, "HDEL h g"),
        (0, "XREAD STREAMS s 0"),
        (1, "XADD s 2-1 f v"),
        (0, "XREAD BLOCK 1 STREAMS s $"),
        (1, "XADD s 3-1 f v"),
        (0, "XINFO STREAM s"),
        (1, "XADD s 4-1 f v"),
        (0, "GEOSEARCH g FROMMEMBER here BYRADIUS 5 km"),
        (1, "ZADD g 7 there"),
        (0, "WATCH g"),
        (1, "ZADD g 8 there"),
        (0, "UNWATCH"),
        (1, "DEL l h s g nothing"),
        (0, "SUBSTR t 0 1"),
        (0, "MEMORY USAGE t"),
        (0, "STRLEN"),
        (1, "SET t 1"),
        (0, "BITFIELD_RO t GET u8 0"),
        (0, "BITFIELD t GET u8 0"),
        (1, "SET t 2"),
        (0, "BITFIELD t GET u8 0"),
        (1, "SET t 2"),
    ],
    // OPTIN and OPTOUT.
    &[
        (0, "CLIENT CACHING YES"),
        (0, "CLIENT TRACKING ON OPTIN"),
        (0, "GET a"),
        (1, "SET a 1"),
        (0, "CLIENT CACHING NO"),
        (0, "CLIENT CACHING x"),
        (0, "CLIENT CACHING YES"),
        (0, "CLIENT TRACKINGINFO"),
        (0, "GET a"),
        (0, "GET b"),
        (0, "CLIENT TRACKINGINFO"),
        (1, "MSET a 1 b 2"),
        (0, "CLIENT CACHING YES"),
        (0, "NOTHING"),
        (0, "GET a"),
        (1, "SET a 1"),
        (0, "CLIENT CACHING YES"),
        (0, "CLIENT ID"),
        (0, "GET a"),
        (1, "SET a 1"),
        (0, "CLIENT CACHING YES"),
        (0, "MULTI"),
        (0, "GET a"),
        (0, "GET b"),
        (0, "EXEC"),
        (0, "GET c"),
        (1, "MSET a 1 b 2 c 3"),
        (0, "MULTI"),
        (0, "GET a"),
        (0, "CLIENT CACHING YES"),
        (0, "GET b"),
        (0, "EXEC"),
        (1, "MSET a 1 b 2"),
        (0, "CLIENT TRACKING ON OPTOUT"),
        (0, "CLIENT TRACKING ON"),
        (0, "CLIENT TRACKING OFF"),
        (0, "CLIENT TRACKING ON OPTOUT"),
        (0, "CLIENT CACHING YES"),
        (0, "CLIENT CACHING NO"),
        (0, "CLIENT TRACKINGINFO"),
        (0, "GET a"),
        (0, "GET b"),
        (1, "MSET a 1 b 2"),
    ],
    // BCAST.
    &[
        (0, "CLIENT TRACKING ON BCAST PREFIX a: PREFIX b:"),
        (0, "CLIENT TRACKING ON BCAST PREFIX a:b"),
        (0, "CLIENT TRACKING ON BCAST PREFIX c: PREFIX c:d"),
        (0, "CLIENT TRACKING ON BCAST PREFIX c:"),
        (2, "CLIENT TRACKING ON BCAST NOLOOP"),
        (0, "CLIENT TRACKINGINFO"),
        (1, "MSET a:1 1 b:1 1 d:1 1 a:2 2"),
        (1, "SET c:1 1"),
        (1, "DEL a:1 nothing:1 a:nothing"),
        (0, "SET a:3 1"),
        (2, "SET a:3 2"),
        (2, "MSET a:4 1 b:4 2 z 3"),
        (1, "MULTI"),
        (1, "SET a:5 1"),
        (1, "SET b:5 1"),
        (1, "SET a:5 2"),
        (1, "EXEC"),
        (0, "CLIENT TRACKING ON"),
        (0, "CLIENT TRACKING ON BCAST OPTIN"),
        (0, "CLIENT TRACKING OFF"),
        (1, "SET a:6 1"),
        (0, "CLIENT TRACKING ON PREFIX a"),
        (0, "CLIENT TRACKING ON BCAST"),
        (0, "CLIENT TRACKINGINFO"),
        (1, "SET y 1"),
        (0, "RESET"),
        (1, "SET y 2"),
    ],
    // A client that reads what it then only hears of as one of many.
    &[
        (0, "CLIENT TRACKING ON"),
        (0, "MGET a b"),
        (0, "CLIENT TRACKING OFF"),
        (0, "CLIENT TRACKING ON BCAST PREFIX b"),
        (1, "MSET a 1 b 2"),
    ],
    // Redirected.
    &[
        (0, "CLIENT TRACKING ON REDIRECT {2}"),
        (0, "CLIENT GETREDIR"),
        (0, "GET a"),
        (1, "SET a 1"),
        (0, "GET a"),
        (0, "SET a 2"),
        (0, "CLIENT TRACKING ON REDIRECT {2} NOLOOP"),
        (0, "GET a"),
        (0, "SET a 3"),
        (1, "SET a 4"),
        (2, "HELLO 2"),
        (0, "GET a"),
        (1, "SET a 5"),
        (2, "SUBSCRIBE other"),
        (0, "GET a"),
        (1, "SET a 6"),
        (0, "GET a"),
        (0, "CLIENT TRACKINGINFO"),
        (0, "GET a"),
        (2, "QUIT"),
        (1, "SET a 7"),
        (0, "CLIENT TRACKINGINFO"),
        (0, "GET a"),
        (1, "SET a 8"),
        (1, "FLUSHALL"),
        (0, "CLIENT TRACKING ON REDIRECT {2}"),
        (0, "CLIENT TRACKING ON REDIRECT {0}"),
        (0, "CLIENT TRACKINGINFO"),
        (0, "GET a"),
        (0, "SET a 9"),
        (0, "GET a"),
        (1, "SET a 9"),
    ],
    &[
        (0, "CLIENT TRACKING ON BCAST REDIRECT {2} PREFIX a"),
        (1, "MSET a 1 b 2 aa 3"),
        (0, "SET a 2"),
        (0, "HELLO 2"),
        (1, "SET a 3"),
        (2, "QUIT"),
        (1, "SET a 4"),
        (0, "CLIENT TRACKINGINFO"),
    ],
    // Everything is gone.
    &[
        (0, "CLIENT TRACKING ON NOLOOP"),
        (2, "CLIENT TRACKING ON BCAST PREFIX x"),
        (0, "GET a"),
        (1, "FLUSHALL"),
        (0, "FLUSHALL"),
        (1, "SET a 1"),
        (1, "SELECT 4"),
        (1, "FLUSHDB"),
        (1, "FLUSHDB ASYNC"),
        (0, "MULTI"),
        (0, "SET a 1"),
        (0, "FLUSHALL"),
        (0, "GET a"),
        (0, "EXEC"),
        (1, "SELECT 0"),
        (1, "SET a 2"),
    ],
    // What has expired, found by others and by oneself.
    &[
        (0, "CLIENT TRACKING ON"),
        (2, "CLIENT TRACKING ON BCAST NOLOOP"),
        (1, "SET k v PX 300"),
        (0, "GET k"),
        (1, "DEBUG SLEEP 0.4"),
        (1, "GET k"),
        (1, "SET k v PX 300"),
        (0, "EXISTS k"),
        (1, "DEBUG SLEEP 0.4"),
        (0, "GET k"),
        (1, "SET k v PX 300"),
        (1, "DEBUG SLEEP 0.4"),
        (2, "GET k"),
        (0, "CLIENT TRACKING ON NOLOOP"),
        (1, "SET k v PX 300"),
        (0, "GET k"),
        (1, "DEBUG SLEEP 0.4"),
        (0, "GET k"),
        (1, "SET k v"),
        (1, "PEXPIRE k -1"),
    ],
    // Refusals.
    &[
        (0, "CLIENT TRACKING"),
        (0, "CLIENT TRACKING MAYBE"),
        (0, "CLIENT TRACKING ON WHATEVER"),
        (0, "CLIENT TRACKING ON REDIRECT x"),
        (0, "CLIENT TRACKING ON REDIRECT 9999"),
        (0, "CLIENT TRACKING ON REDIRECT {1} REDIRECT {2}"),
        (0, "CLIENT TRACKING ON OPTIN OPTOUT"),
        (0, "CLIENT TRACKING ON BCAST OPTOUT"),
        (0, "CLIENT TRACKING ON PREFIX"),
        (0, "CLIENT TRACKING OFF BCAST PREFIX a"),
        (0, "CLIENT GETREDIR"),
        (0, "CLIENT TRACKINGINFO"),
    ],
];

/// Ids as what they stand for.
fn anonymous(value: Value, ids: &[i64]) -> Value {
    match value {
        Value::Integer(n) if n > 0 => match ids.iter().position(|id| *id == n) {
            Some(at) => Value::Simple(format!("client {at}").into_bytes()),
            None => Value::Integer(n),
        },
        Value::Push(items) => Value::Push(items.into_iter().map(|item| anonymous(item, ids)).collect()),
        Value::Array(items) => Value::Array(items.into_iter().map(|item| anonymous(item, ids)).collect()),
        Value::Map(items) => Value::Map(
            items.into_iter().map(|(key, item)| (anonymous(key, ids), anonymous(item, ids))).collect(),
        ),
        other => other,
    }
}

/// What all clients hear after each command: whose, and what.
fn heard(server: &Server, scenario: Scenario) -> Vec<String> {
    let mut other = server.client();
    for line in ["FLUSHALL", "DEBUG SET-ACTIVE-EXPIRE 0"] {
        assert!(other.ask(line).is_ok());
    }
    let mut clients: Vec<Option<Client>> = (0..3).map(|_| Some(server.client())).collect();
    let mut ids = Vec::new();
    for client in clients.iter_mut().flatten() {
        client.ask("HELLO 3");
        ids.push(client.ask("CLIENT ID").integer());
    }
    let (mut seen, mut in_multi) = (Vec::new(), [false; 3]);
    for (step, (who, text)) in scenario.iter().enumerate() {
        let mut line = (*text).to_owned();
        ids.iter().enumerate().for_each(|(n, id)| line = line.replace(&format!("{{{n}}}"), &id.to_string()));
        clients[*who].as_mut().unwrap().send(&words(&line)).unwrap();
        let mut order = vec![*who];
        order.extend((0..3).filter(|n| n != who));
        for n in order {
            let Some(client) = &mut clients[n] else { continue };
            let mut note = |value: Value| {
                let names_clients = line.starts_with("CLIENT") || line.starts_with("HELLO");
                let named = names_clients || matches!(value, Value::Push(_));
                let value = if named { anonymous(value, &ids) } else { value };
                seen.push(format!("{step} {text} -> {n} {value:?}"));
            };
            if n == *who {
                loop {
                    let value = client.receive().unwrap();
                    let is_push = matches!(&value, Value::Push(items) if items[0].text() != "subscribe");
                    note(value);
                    if !is_push {
                        break;
                    }
                }
                if line == "QUIT" {
                    clients[n] = None;
                    continue;
                }
            }
            if n == *who {
                in_multi[n] = line == "MULTI" || in_multi[n] && line != "EXEC";
            }
            if in_multi[n] {
                continue;
            }
            // Whatever it was told before it asks now.
            let fence = format!("fence-{step}");
            client.send(&["PING", &fence]).unwrap();
            loop {
                let value = client.receive().unwrap();
                if format!("{value:?}").contains(&format!("{:?}", Value::Bulk(fence.clone().into_bytes()))) {
                    break;
                }
                note(value);
            }
        }
    }
    seen
}

#[test]
fn clients_that_track_hear_what_redis_tells() {
    crate::need_oracle!();
    let oracle = Start::oracle().start();
    for shards in [1, 4] {
        let server = Start::ringdove(shards).start();
        for scenario in SCENARIOS {
            let (mut ours, mut theirs) = (heard(&server, scenario), heard(&oracle, scenario));
            if shards > 1 {
                // What one command changes on several shards is told by each of them, in no order.
                ours.sort();
                theirs.sort();
            }
            let apart = ours.iter().zip(&theirs).find(|(a, b)| a != b);
            assert!(apart.is_none() && ours.len() == theirs.len(), "{shards} shards: {apart:#?}");
        }
    }
}
