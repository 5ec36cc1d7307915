//! The byte counts of shards, in the simulation: commands of all types here, on borrowed keyspaces, in units
//! and holds, with clients that wait, watch and track. Checked: after FLUSHALL every shard has what it began
//! with, however often; and with keys in it, what its values say they take.

use super::*;
use crate::structure::Entry;

/// A letter with a digit to come is a key of that type, on any shard; `v` a value, `n` a number.
const LINES: &[&str] = &[
    "SET k v",
    "SET k v PX 3",
    "APPEND k v",
    "INCR c",
    "MSET k v k v k v",
    "MSETNX k v k v",
    "RENAME k k",
    "RENAME h h",
    "RENAME z z",
    "COPY l l REPLACE",
    "COPY x x REPLACE",
    "DEL k l s z h x",
    "UNLINK h z",
    "EXPIRE k 100",
    "PEXPIRE h 2",
    "RPUSH l v v v v v v v v v v",
    "LMOVE l l LEFT RIGHT",
    "LPOP l 3",
    "LMPOP 3 l l l LEFT COUNT 3",
    "SORT l ALPHA STORE l",
    "SADD s v v v v v n n n",
    "SMOVE s s v",
    "SUNIONSTORE s s s",
    "SINTERSTORE s s s",
    "SPOP s 2",
    "ZADD z n v n v n v n v",
    "ZUNIONSTORE z 2 z z",
    "ZRANGESTORE z z 0 -1",
    "ZMPOP 2 z z MIN COUNT 2",
    "HSET h v v v v v v",
    "HDEL h v v",
    "HPEXPIRE h 3 FIELDS 2 v v",
    "HPEXPIRE h 900000 FIELDS 2 v v",
    "XADD x * v v",
    "XGROUP CREATE x g 0 MKSTREAM",
    "XREADGROUP GROUP g c COUNT 2 STREAMS x x > >",
    "XDEL x 1-1",
    "PFADD p v v v",
    "PFMERGE p p p",
    "BITOP OR k k k",
    "GEOADD y 1 n v",
    "GEOSEARCHSTORE y y FROMLONLAT 0 0 BYRADIUS 3000 km",
    "GET k",
    "MGET k k k",
    "WATCH k h",
    "CLIENT TRACKING ON",
    "BLPOP l l 0.002",
    "BLMOVE l l LEFT RIGHT 0.002",
    "BZPOPMIN z 0.002",
    "FLUSHDB ASYNC",
    "SWAPDB 0 1",
    "SELECT 1",
    "SELECT 0",
    "LRANGE l 0 -1",
    "NOSUCH k",
    "GETEX k PX 4",
];

fn line(choice: &mut Choice) -> Vec<String> {
    let words = LINES[choice.below(LINES.len())].split(' ');
    let fill = |word: &str, choice: &mut Choice| match word {
        "v" => match choice.below(8) {
            0 => "w".repeat(choice.below(300)),
            _ => format!("value:{}", choice.below(300)),
        },
        "n" => choice.below(1000).to_string(),
        _ if word.len() == 1 && word != "*" && word != ">" && word != "0" && word != "g" && word != "2" => {
            format!("{word}{}", choice.below(6))
        }
        word => word.to_owned(),
    };
    words.map(|word| fill(word, choice)).collect()
}

fn heaps(world: &mut World) -> Vec<i64> {
    let shards = 0..world.shards.len();
    let mut heap = |shard: usize| {
        world.rouse(shard);
        world.shards[shard].actor.owner.get().expect("at rest no keyspace is lent").keyspace.heap_bytes()
    };
    shards.map(&mut heap).collect()
}

/// What a shard's values, tables and wheels say they take.
fn said(world: &mut World, shard: usize) -> i64 {
    world.rouse(shard);
    let engine = world.shards[shard].actor.owner.get().expect("at rest no keyspace is lent");
    let dbs = (0..engine.keyspace.databases()).map(|db| engine.keyspace.db(db));
    let of_db = |db: &crate::keyspace::Db| {
        let entries: usize = db.table().iter().map(Entry::bytes_allocated).sum();
        db.table().bytes() + db.wheel_bytes() + entries
    };
    dbs.map(of_db).sum::<usize>() as i64
}

fn send(world: &mut World, clients: &mut [Client], words: &[&str]) {
    clients[0].send(words);
    world.settle(clients);
}

/// Everybody's waits end, what was flushed is freed.
fn calm(world: &mut World, clients: &mut [Client]) {
    for _ in 0..300 {
        world.now_micros += 1000;
        (0..world.shards.len()).for_each(|shard| world.turn(shard, clients));
    }
    world.settle(clients);
}

fn run(seed: u64, shards: ShardId) {
    let mut world = World::new(seed, shards, seed % 2 == 1);
    world.crashes = false;
    let mut clients: Vec<Client> = (0..3).map(|_| world.connect()).collect();
    calm(&mut world, &mut clients);
    let began = heaps(&mut world);
    let said_then: Vec<i64> = (0..world.shards.len()).map(|shard| said(&mut world, shard)).collect();
    for round in 0..12 {
        for _ in 0..150 {
            let who = world.choice.below(clients.len());
            let mut choice = world.choice.clone();
            let exec = choice.one_in(5);
            if exec {
                clients[who].send(&["MULTI"]);
            }
            for _ in 0..1 + choice.below(3) {
                let line = line(&mut choice);
                clients[who].send(&line.iter().map(String::as_str).collect::<Vec<_>>());
            }
            if exec {
                clients[who].send(&["EXEC"]);
            }
            world.choice = choice;
            (0..world.choice.below(4)).for_each(|_| world.step(&mut clients));
        }
        calm(&mut world, &mut clients);
        for (shard, heap) in heaps(&mut world).into_iter().enumerate() {
            let said = said(&mut world, shard) - said_then[shard];
            let heap = heap - began[shard];
            // The tables' own bytes are no whole size classes.
            let slack = 3000 + said / 8;
            assert!((heap - said).abs() <= slack, "shard {shard} counts {heap}, its values say {said}");
        }
        send(&mut world, &mut clients, &["FLUSHALL"]);
        calm(&mut world, &mut clients);
        for (shard, (heap, began)) in heaps(&mut world).into_iter().zip(&began).enumerate() {
            // The list of what is to be freed keeps its room.
            assert!(
                (0..=2048).contains(&(heap - began)),
                "round {round}: shard {shard} kept {}",
                heap - began
            );
        }
    }
}

#[test]
fn byte_counts_do_not_drift_in_whatever_way_commands_run() {
    each_seed(run, |()| {});
}
