//! What the base holds must make what was there: random commands on several keyspaces, their rewrite run
//! on a fresh one, and both must hold the same, expired keys and fields included.

use super::rewrite;
use crate::command::replay_tests::{Step, step_of};
use crate::command::testing::{Bench, decoded};
use crate::keyspace::Keyspace;
use crate::structure::object::View;
use crate::structure::stream::StreamId;
use crate::structure::{Entry, Item, Stream, Value};
use proptest::prelude::*;

/// In the notation of `replay_tests::TEMPLATES`, whose `x` and `y` are those of a stream: a key and an id.
const STREAMS: &[&str] = &[
    "XADD x y f v",
    "XADD x y f v f v",
    "XADD x MAXLEN 3 y f v",
    "XADD x MINID y y f v",
    "XDEL x y y",
    "XTRIM x MAXLEN 2",
    "XSETID x y",
    "XSETID x y ENTRIESADDED 9 MAXDELETEDID y",
    "XGROUP CREATE x v y MKSTREAM",
    "XGROUP CREATE x g 0 MKSTREAM ENTRIESREAD 3",
    "XGROUP CREATE x g $",
    "XGROUP SETID x g y",
    "XGROUP DESTROY x g",
    "XGROUP CREATECONSUMER x g f",
    "XGROUP DELCONSUMER x g f",
    "XREADGROUP GROUP g f COUNT 2 STREAMS x >",
    "XREADGROUP GROUP g f STREAMS x >",
    "XREADGROUP GROUP g f COUNT 1 STREAMS x y",
    "XCLAIM x g f 0 y y FORCE",
    "XCLAIM x g f 0 y RETRYCOUNT 7 FORCE JUSTID",
    "XAUTOCLAIM x g f 0 0 COUNT 2",
    "XACK x g y",
    "COPY x x REPLACE",
    "DEL x",
];

/// A list, so that order shows.
const LISTS: &[&str] = &["RPUSH l v v n v", "LPUSH l v", "LSET l 0 v", "PEXPIREAT l T"];

/// Everything of a value but what a rewrite does not keep.
fn normal(entry: &Entry) -> String {
    match entry.value() {
        Value::Int(n) => format!("{:?}", n.to_string().as_bytes()),
        Value::Bytes(bytes) => format!("{bytes:?}"),
        Value::Object(object) => match object.view() {
            View::Bytes(bytes) => format!("{bytes:?}"),
            View::Stream(it) => normal_stream(it),
            View::Hash(hash) => {
                let mut fields = Vec::new();
                hash.each(0, |f| fields.push((f.name.to_vec(), f.value.to_vec(), f.expire_at)));
                fields.sort();
                format!("{fields:?}")
            }
            View::Set(set) => {
                let mut members: Vec<_> = set.iter().map(|member| member.to_vec()).collect();
                members.sort();
                format!("{members:?}")
            }
            View::List(list) => format!("{:?}", list.to_vecs()),
            View::SortedSet(set) => {
                let element = |(m, s): (Item<'_>, f64)| (m.to_vec(), s.to_bits());
                format!("{:?}", set.elements(0, false).map(element).collect::<Vec<_>>())
            }
        },
    }
}

fn normal_stream(stream: &Stream) -> String {
    let entries = stream.entries();
    let ids = (entries.last_id(), entries.max_deleted_id(), entries.added(), entries.len());
    let pairs = |pairs: crate::structure::stream::Pairs<'_>| {
        pairs.map(|(field, value)| (field.to_vec(), value.to_vec())).collect::<Vec<_>>()
    };
    let all = entries.range(StreamId::MIN, StreamId::MAX).map(|entry| (entry.id, pairs(entry.pairs())));
    let mut text = format!("{ids:?} {:?}", all.collect::<Vec<_>>());
    for group in stream.groups().iter() {
        text += &format!(" {:?} {:?} {}", group.name(), group.last_id, group.entries_read);
        for consumer in group.consumers() {
            let pending = consumer.pending_from(StreamId::MIN).map(|id| {
                let pending = group.get_pending(id).expect("it is in both maps");
                (id, pending.delivered_at, pending.deliveries)
            });
            text += &format!(" {:?} {:?}", consumer.name(), pending.collect::<Vec<_>>());
        }
    }
    text
}

type Kept = (usize, Vec<u8>, String, Option<u64>);

fn kept(keyspaces: &[Keyspace]) -> Vec<Kept> {
    let mut kept = Vec::new();
    for keyspace in keyspaces {
        for db in 0..keyspace.databases() {
            let entry = |e: &Entry| (db, e.key().to_vec(), normal(e), e.expire_at());
            kept.extend(keyspace.db(db).table().iter().map(entry));
        }
    }
    kept.sort();
    kept
}

/// A bench that holds what the rewrite of another makes.
fn made_anew(bench: &Bench) -> Bench {
    let mut fresh = Bench::new();
    fresh.now = 0;
    fresh.client.replayed = true;
    let keyspaces: Vec<&Keyspace> = bench.keyspaces.iter().collect();
    let whole = rewrite(&[], &keyspaces, &mut |chunk| {
        for effect in decoded(&chunk) {
            assert!(effect.args.len() <= 2 + 2 * super::ITEMS_PER_COMMAND + 8, "{:?}", effect.args[0]);
            fresh.db = effect.db;
            let reply = fresh.run(&effect.args);
            assert!(!reply.starts_with(b"-"), "{effect:?}: {:?}", String::from_utf8_lossy(&reply));
        }
        true
    });
    assert!(whole);
    fresh
}

proptest! {
    #[test]
    fn a_rewrite_makes_what_was_there(
        steps in proptest::collection::vec(step_of(&[STREAMS, LISTS]), 1..80),
        shards in 1u16..4,
    ) {
        let mut bench = Bench::with_shards(shards);
        for (i, step) in steps.iter().enumerate() {
            match step {
                Step::Wait(ms) => bench.now += ms,
                Step::Expire(budget) => drop(bench.expire_fields(*budget)),
                Step::Run(db, args) => {
                    bench.db = *db;
                    bench.random = i as u64;
                    bench.run(args);
                }
            }
        }
        prop_assert_eq!(kept(&made_anew(&bench).keyspaces), kept(&bench.keyspaces));
    }
}

#[test]
fn large_collections_are_written_in_pieces() {
    let mut bench = Bench::with_shards(2);
    for n in 0..1000 {
        for line in ["RPUSH l", "SADD s", "PFADD p", "HSET h f", "ZADD z 1.5"] {
            bench.line(&format!(
                "{line}{} value:{n}",
                if line.ends_with('f') { n.to_string() } else { String::new() }
            ));
        }
        bench.line(&format!("XADD x {}-1 f {n}", n + 1));
        bench.line(&format!("SADD ints {n}"));
    }
    bench.line("HPEXPIREAT h 1700000900000 FIELDS 3 f1 f2 f999");
    bench.line("XGROUP CREATE x g 0");
    bench.line("XREADGROUP GROUP g c STREAMS x >");
    bench.line("XDEL x 5-1 900-1 1000-1");
    bench.line("XTRIM x MAXLEN 900");
    assert_eq!(kept(&made_anew(&bench).keyspaces), kept(&bench.keyspaces));
}

#[test]
fn it_ends_where_nobody_takes_any_more() {
    let mut bench = Bench::new();
    let value = "v".repeat(super::CHUNK_BYTES / 2);
    (0..9).for_each(|n| drop(bench.line(&format!("SET k{n} {value}"))));
    let mut taken = 0;
    let keyspaces: Vec<&Keyspace> = bench.keyspaces.iter().collect();
    let whole = rewrite(&[], &keyspaces, &mut |_| {
        taken += 1;
        taken < 2
    });
    assert_eq!((whole, taken), (false, 2));
}
