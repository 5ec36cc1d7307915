//! What the journal gets must rebuild what was there: random commands on one keyspace, their effects
//! on a fresh one, and both must hold the same keys, values and deadlines at every later time.

use super::testing::Bench;
use proptest::prelude::*;

#[derive(Clone, Debug)]
pub(super) enum Step {
    Run(usize, Vec<String>),
    Wait(u64),
    /// Fields of hashes that are past their time go, at most so many at once.
    Expire(usize),
}

/// Arguments for a template: `k` a key, `h` a key of a hash, `f` a field, `v` a value, `n` an integer, `t` a relative time in ms, `s`
/// in seconds, `T` an absolute time, `d` a database, `x` a key of a stream, `y` an id. Other words stand for themselves.
const TEMPLATES: &[&str] = &[
    "SET k v",
    "SET k v EX s",
    "ZADD k n v n v",
    "ZADD k GT n v",
    "ZINCRBY k n v",
    "ZPOPMIN k",
    "ZMPOP 2 k k MAX COUNT 2",
    "ZREM k v",
    "ZREMRANGEBYSCORE k n 5",
    "ZRANGESTORE k k 1 -1",
    "ZUNIONSTORE k 2 k k",
    "ZDIFFSTORE k 2 k k",
    "GEOADD k n n v",
    "GEOSEARCHSTORE k k FROMLONLAT 0 0 BYRADIUS 300 km",
    "SET k v PX t",
    "SET k v PXAT T",
    "SET k v KEEPTTL",
    "SET k v NX GET",
    "SET k v XX KEEPTTL",
    "SETNX k v",
    "SETEX k s v",
    "PSETEX k t v",
    "GETSET k v",
    "GETDEL k",
    "GETEX k",
    "GETEX k PX t",
    "GETEX k PXAT T",
    "GETEX k PERSIST",
    "GET k",
    "MGET k k",
    "MSET k v k v",
    "MSETNX k v k v",
    "INCR k",
    "DECRBY k n",
    "INCRBYFLOAT k n",
    "APPEND k v",
    "SETRANGE k 3 v",
    "DEL k k",
    "UNLINK k",
    "EXISTS k",
    "TOUCH k",
    "EXPIRE k s",
    "PEXPIRE k t NX",
    "PEXPIRE k t XX",
    "PEXPIRE k t GT",
    "PEXPIREAT k T LT",
    "PERSIST k",
    "RENAME k k",
    "RENAMENX k k",
    "COPY k k",
    "COPY k k REPLACE",
    "COPY k k DB d",
    "MOVE k d",
    "SWAPDB d d",
    "FLUSHDB",
    "FLUSHALL ASYNC",
    "RANDOMKEY",
    "SCAN 0",
    "KEYS *",
    "TTL k",
    "HSET h f v f v",
    "HSETNX h f v",
    "HDEL h f f",
    "HINCRBY h f n",
    "HINCRBYFLOAT h f n",
    "HPEXPIRE h t FIELDS 2 f f",
    "HPEXPIREAT h T LT FIELDS 1 f",
    "HEXPIRE h s NX FIELDS 1 f",
    "HPERSIST h FIELDS 2 f f",
    "HGETEX h PX t FIELDS 2 f f",
    "HGETEX h PERSIST FIELDS 1 f",
    "HSETEX h PX t FIELDS 2 f v f v",
    "HSETEX h PXAT T FIELDS 1 f v",
    "HSETEX h KEEPTTL FIELDS 2 f v f v",
    "HSETEX h FNX KEEPTTL FIELDS 1 f v",
    "HGETDEL h FIELDS 2 f f",
    "RENAME h h",
    "COPY h h REPLACE",
    "MOVE h d",
    "PEXPIRE h t",
    "SADD k v v v",
    "SADD k n n n",
    "SREM k v n",
    "SMOVE k k v",
    "SPOP k",
    "SPOP k 2",
    "SUNIONSTORE k k k",
    "SINTERSTORE k k k",
    "SDIFFSTORE k k k",
    "SETBIT k 9 1",
    "BITOP XOR k k k",
    "BITFIELD k OVERFLOW FAIL INCRBY u2 7 1 SET i5 30 n",
    "PFADD k v v",
    "PFCOUNT k",
    "PFCOUNT k k",
    "PFMERGE k k k",
];

fn word(template: &'static str) -> BoxedStrategy<String> {
    let start = super::testing::START;
    match template {
        "k" => "[a-e]".boxed(),
        "h" => "[h-j]".boxed(),
        "f" => "[p-t]".boxed(),
        "x" => "[x-z]".boxed(),
        "y" => (0u64..20, 0u64..2).prop_map(|(ms, seq)| format!("{ms}-{seq}")).boxed(),
        "v" => prop_oneof![Just("7".to_owned()), Just("-0".to_owned()), "[a-c]{1,3}", "[0-9]{60}"].boxed(),
        "n" => (-5i64..5).prop_map(|n| n.to_string()).boxed(),
        "t" => (-2i64..30).prop_map(|n| n.to_string()).boxed(),
        "s" => (0i64..3).prop_map(|n| n.to_string()).boxed(),
        "T" => (start - 5..start + 200).prop_map(|n| n.to_string()).boxed(),
        "d" => (0usize..3).prop_map(|n| n.to_string()).boxed(),
        word => Just(word.to_owned()).boxed(),
    }
}

fn step() -> impl Strategy<Value = Step> {
    step_of(&[])
}

/// A step of these templates, or of those here.
pub(super) fn step_of(more: &[&[&'static str]]) -> impl Strategy<Value = Step> + use<> {
    let templates: Vec<&str> = more.iter().copied().flatten().chain(TEMPLATES).copied().collect();
    let command = proptest::sample::select(templates)
        .prop_flat_map(|template| template.split(' ').map(word).collect::<Vec<_>>());
    prop_oneof![
        9 => (0usize..3, command).prop_map(|(db, args)| Step::Run(db, args)),
        1 => (1u64..20).prop_map(Step::Wait),
        1 => (1usize..4).prop_map(Step::Expire),
    ]
}

proptest! {
    #[test]
    fn effects_rebuild_the_keyspace(steps in proptest::collection::vec(step(), 1..60), shards in 1u16..4) {
        let mut first = Bench::with_shards(shards);
        let mut second = Bench::new();
        // A replay runs at the beginning of time: nothing expires but by a DEL in the journal.
        second.now = 0;
        second.client.replayed = true;
        for (i, step) in steps.iter().enumerate() {
            match step {
                Step::Wait(ms) => first.now += ms,
                Step::Expire(budget) => {
                    for effect in first.expire_fields(*budget) {
                        second.db = effect.db;
                        second.run(&effect.args);
                    }
                }
                Step::Run(db, args) => {
                    first.db = *db;
                    first.random = i as u64;
                    first.run(args);
                    for effect in first.effects.clone() {
                        second.db = effect.db;
                        let reply = second.run(&effect.args);
                        prop_assert!(!reply.starts_with(b"-"), "{:?}: {:?}", effect, reply);
                    }
                }
            }
        }
        for later in [0, 10, 1000, 3000] {
            first.now += later;
            second.now = first.now;
            prop_assert_eq!(first.state(), second.state());
        }
    }
}
