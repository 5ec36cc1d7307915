//! Clients that wait for keys, over several shards: each element reaches one of them, once; nobody waits
//! for what is there; and what they are told is what Redis tells.

use crate::support::{Bytes, Client, Rng, Server, Start, Value, env_number, run_seed, wait_until, words};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Barrier, Mutex};
use std::time::Duration;

const QUEUES: usize = 6;
const PRODUCERS: usize = 3;
const CONSUMERS: usize = 8;

/// A list's name and an element, `producer:number`, as somebody got it.
type Got = (String, String);

struct Crowd<'a> {
    server: &'a Server,
    seed: u64,
    pushes: usize,
    /// Clients leave, are killed and unblocked, and move elements between lists.
    rough: bool,
    done: AtomicBool,
    delivered: AtomicUsize,
    consumers: Mutex<Vec<i64>>,
}

fn queue(rng: &mut Rng) -> String {
    format!("queue:{}", rng.below(QUEUES))
}

impl Crowd<'_> {
    fn produce(&self, who: usize) {
        let (mut client, mut rng) = (self.server.client(), Rng::fork(self.seed, who as u64));
        let mut n = 0;
        while n < self.pushes {
            let mut batch = Vec::new();
            let multi = rng.chance(40);
            for _ in 0..=rng.below(3) {
                let mut line = words(&format!("RPUSH {}", queue(&mut rng)));
                for _ in 0..=rng.below(2) {
                    line.push(format!("{who}:{n}").into_bytes());
                    n += 1;
                }
                batch.push(line);
            }
            if multi {
                batch.insert(0, words("MULTI"));
                batch.push(words("EXEC"));
            }
            for reply in client.pipeline(&batch).unwrap() {
                assert!(!reply.is_error(), "{reply:?}");
            }
            // Those who wait shall have to.
            if rng.chance(30) {
                std::thread::sleep(Duration::from_micros(rng.below(500) as u64));
            }
        }
    }

    fn consume(&self, who: usize) -> Vec<Got> {
        let (mut client, mut rng) = (self.server.client(), Rng::fork(self.seed, 100 + who as u64));
        let mut got = Vec::new();
        let enter = |client: &mut Client| {
            if let Ok(id) = client.try_call(&["CLIENT", "ID"]) {
                self.consumers.lock().unwrap()[who] = id.integer();
            }
        };
        enter(&mut client);
        while !self.done.load(SeqCst) {
            let line = self.wait_line(&mut rng, who);
            let leaves = self.rough && rng.chance(2);
            if client.send(&line).is_ok() && leaves {
                client.half_close();
            }
            let mut lost = false;
            loop {
                match client.receive() {
                    Ok(reply) => self.note(&mut got, &line, &reply),
                    Err(_) => lost = true,
                }
                // Who leaves hears whatever was said before the server noticed.
                if lost || !leaves {
                    break;
                }
            }
            if lost {
                assert!(self.rough, "nobody was thrown out");
                client = self.server.client();
                enter(&mut client);
            }
        }
        got
    }

    fn wait_line(&self, rng: &mut Rng, who: usize) -> Vec<Bytes> {
        let keys: Vec<String> = (0..=rng.below(3)).map(|_| queue(rng)).collect();
        let timeout = format!("0.0{:02}", 1 + rng.below(60));
        match rng.below(10) {
            0 => words(&format!("BLMPOP {timeout} {} {} LEFT COUNT 3", keys.len(), keys.join(" "))),
            1 if self.rough => words(&format!("BLMOVE {} moved:{who} LEFT RIGHT {timeout}", keys[0])),
            _ => words(&format!("BLPOP {} {timeout}", keys.join(" "))),
        }
    }

    fn note(&self, got: &mut Vec<Got>, line: &[Bytes], reply: &Value) {
        assert!(!reply.is_error() || reply.text().starts_with("UNBLOCKED"), "{reply:?}");
        if reply.is_null() || reply.is_error() || line[0] == b"BLMOVE" {
            return;
        }
        let items = reply.items();
        let elements = if line[0] == b"BLMPOP" { items[1].items() } else { &items[1..] };
        for element in elements {
            got.push((items[0].text(), element.text()));
            self.delivered.fetch_add(1, SeqCst);
        }
    }

    /// Somebody who throws others out and wakes them.
    fn disturb(&self) {
        let (mut client, mut rng) = (self.server.client(), Rng::fork(self.seed, 200));
        while !self.done.load(SeqCst) {
            std::thread::sleep(Duration::from_millis(3));
            let id = *rng.pick(&self.consumers.lock().unwrap());
            let line = match rng.below(3) {
                0 => format!("CLIENT KILL ID {id}"),
                1 => format!("CLIENT UNBLOCK {id} ERROR"),
                _ => format!("CLIENT UNBLOCK {id}"),
            };
            client.ask(&line);
        }
    }
}

fn field(client: &mut Client, name: &str) -> i64 {
    let info = client.ask("INFO everything").text();
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap_or_else(|| panic!("INFO has no {name}")).trim().parse().unwrap()
}

fn elements_are_delivered_once(rough: bool, doubt: &str) {
    let seed = run_seed("blocked clients");
    let pushes = env_number("RINGDOVE_PUSHES").unwrap_or(100_000) as usize / PRODUCERS;
    let server = Start::ringdove(4).arg("--blocked-pop-doubt").arg(doubt).start();
    let crowd = Crowd {
        server: &server,
        seed,
        pushes,
        rough,
        done: AtomicBool::new(false),
        delivered: AtomicUsize::new(0),
        consumers: Mutex::new(vec![0; CONSUMERS]),
    };
    let pushed = AtomicI64::new(0);
    let mut all: Vec<Vec<Got>> = Vec::new();
    std::thread::scope(|scope| {
        let consumers: Vec<_> = (0..CONSUMERS)
            .map(|who| {
                scope.spawn({
                    let crowd = &crowd;
                    move || crowd.consume(who)
                })
            })
            .collect();
        if rough {
            scope.spawn(|| crowd.disturb());
        }
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|who| {
                scope.spawn({
                    let crowd = &crowd;
                    move || crowd.produce(who)
                })
            })
            .collect();
        producers.into_iter().for_each(|p| p.join().unwrap());
        let mut client = server.client();
        // What lies in a list somebody will come for.
        wait_until("the lists are empty", 60, || {
            (0..QUEUES).all(|q| client.ask(&format!("EXISTS queue:{q}")).integer() == 0)
        });
        pushed.store(field(&mut client, "blocked_pop_returned"), SeqCst);
        crowd.done.store(true, SeqCst);
        all = consumers.into_iter().map(|c| c.join().unwrap()).collect();
    });
    let mut client = server.client();
    let returned = field(&mut client, "blocked_pop_returned");
    let mut times: HashMap<String, usize> = HashMap::new();
    for (who, got) in all.iter().enumerate() {
        let mut last: HashMap<(&str, &str), usize> = HashMap::new();
        for (key, element) in got {
            *times.entry(element.clone()).or_default() += 1;
            let (producer, number) = element.split_once(':').unwrap();
            let number: usize = number.parse().unwrap();
            let before = last.insert((key, producer), number);
            assert!(rough || before.is_none_or(|b| b < number), "{element} of {key} came late to {who}");
        }
    }
    // What was moved, and what went back when its receiver had left.
    let lists =
        (0..CONSUMERS).map(|who| format!("moved:{who}")).chain((0..QUEUES).map(|q| format!("queue:{q}")));
    for list in lists {
        for element in client.ask(&format!("LRANGE {list} 0 -1")).items() {
            *times.entry(element.text()).or_default() += 1;
        }
    }
    let mut missing = 0;
    for producer in 0..PRODUCERS {
        for n in 0..pushes {
            let element = format!("{producer}:{n}");
            let count = times.get(&element).copied().unwrap_or(0);
            assert!(count <= 1, "{element} was delivered {count} times");
            missing += (count == 0) as usize;
        }
    }
    assert_eq!(missing, 0, "{missing} elements are lost");
    println!("{} elements delivered, {returned} put back", crowd.delivered.load(SeqCst));
    assert!(rough || returned == 0);
    drop(client);
    // Nobody is left behind.
    let mut client = server.client();
    wait_until("all waits are over", 10, || field(&mut client, "blocked_clients") == 0);
    for name in ["clients_in_timeout_table", "total_blocking_keys", "total_blocking_keys_on_nokey"] {
        assert_eq!(field(&mut client, name), 0, "{name}");
    }
}

#[test]
fn elements_reach_clients_that_wait_once_and_in_order() {
    elements_are_delivered_once(false, "auto");
}

#[test]
fn elements_reach_clients_that_wait_once_though_others_leave() {
    elements_are_delivered_once(true, "no");
}

#[test]
fn elements_reach_clients_that_wait_once_though_resets_are_trusted() {
    elements_are_delivered_once(true, "yes");
}

type Jobs<'a> = Vec<Box<dyn FnOnce() + Send + 'a>>;

/// Runs all of them at the same time.
fn at_once(jobs: Jobs<'_>) {
    let start = &Barrier::new(jobs.len());
    std::thread::scope(|scope| {
        for job in jobs {
            scope.spawn(move || {
                start.wait();
                job()
            });
        }
    });
}

/// Dragonfly issue 945: two clients wait for the same three keys, which live on different shards, and a
/// third begins to, while all three keys get an element at the same time. There an owner served one client,
/// the next owner the next, and each looked at all keys anew: they took each other's elements.
#[test]
fn clients_that_wait_for_the_same_keys_do_not_snatch_from_one_another() {
    let server = Start::ringdove(4).start();
    let mut waiters: Vec<Client> = (0..3).map(|_| server.client()).collect();
    let mut pushers: Vec<Client> = (0..3).map(|_| server.client()).collect();
    let mut other = server.client();
    for round in 0..300 {
        let brpop = words(&format!("BRPOP k0:{round} k1:{round} k2:{round} 0"));
        waiters[..2].iter_mut().for_each(|waiter| waiter.send(&brpop).unwrap());
        wait_for_blocked(&mut other, 2);
        let mut jobs: Jobs<'_> = Vec::new();
        for (n, pusher) in pushers.iter_mut().enumerate() {
            let line = format!("LPUSH k{n}:{round} {n}");
            jobs.push(Box::new(move || assert_eq!(pusher.ask(&line).integer(), 1)));
        }
        let late = &mut waiters[2];
        jobs.push(Box::new(|| late.send(&brpop).unwrap()));
        at_once(jobs);
        let mut got: Vec<String> = waiters
            .iter_mut()
            .map(|waiter| {
                let reply = waiter.receive().unwrap();
                assert!(reply.items()[0].text().starts_with(&format!("k{}:", reply.items()[1].text())));
                reply.items()[1].text()
            })
            .collect();
        got.sort();
        assert_eq!(got, ["0", "1", "2"], "round {round}");
        let left = other.ask(&format!("EXISTS k0:{round} k1:{round} k2:{round}"));
        assert_eq!(left.integer(), 0, "round {round}");
    }
}

/// Dragonfly issue 7650: a library sends one BRPOPLPUSH behind the other on the same connection, without
/// waiting for replies. There elements moved whose replies were dropped.
#[test]
fn every_element_moved_for_a_pipeline_of_waits_is_told_of_in_order() {
    const MOVES: usize = 400;
    for shards in [1, 4] {
        let server = Start::ringdove(shards).start();
        let lists = [("wait", "active"), ("{b}wait", "{b}active"), ("w3", "a3"), ("w4", "a4")];
        let consume = |(from, to): (&str, &str)| {
            let mut client = server.client();
            let line = words(&format!("BRPOPLPUSH {from} {to} 0"));
            let pings = (0..MOVES).flat_map(|n| [line.clone(), words(&format!("ECHO {n}"))]);
            for line in pings {
                client.send(&line).unwrap();
            }
            for n in 0..MOVES {
                assert_eq!(client.receive().unwrap().text(), n.to_string(), "{from}");
                assert_eq!(client.receive().unwrap().text(), n.to_string(), "{from}");
            }
        };
        let produce = |(from, _): (&str, &str)| {
            let (mut client, mut n) = (server.client(), 0);
            let mut rng = Rng::new(n as u64 + shards as u64);
            while n < MOVES {
                let batch = (1 + rng.below(3)).min(MOVES - n);
                let elements: Vec<String> = (n..n + batch).map(|n| n.to_string()).collect();
                client.ask(&format!("LPUSH {from} {}", elements.join(" ")));
                n += batch;
            }
        };
        let mut jobs: Jobs<'_> = Vec::new();
        for pair in lists {
            jobs.push(Box::new(move || consume(pair)));
            jobs.push(Box::new(move || produce(pair)));
        }
        at_once(jobs);
        let mut other = server.client();
        for (from, to) in lists {
            assert_eq!(other.ask(&format!("EXISTS {from}")).integer(), 0);
            assert_eq!(other.ask(&format!("LLEN {to}")).integer(), MOVES as i64);
        }
    }
}

/// What is behind it in a pipeline waits with a command that waits; what is before it does not.
#[test]
fn replies_before_a_wait_in_a_pipeline_come_at_once() {
    let server = Start::ringdove(4).start();
    let mut client = server.client();
    let lines = ["SET a 1", "GET a", "MGET a b c d", "PING", "BLPOP x y z 0", "PING"];
    lines.iter().for_each(|line| client.send(&words(line)).unwrap());
    assert!(client.receive().unwrap().is_ok());
    assert_eq!(client.receive().unwrap().text(), "1");
    assert_eq!(client.receive().unwrap().items().len(), 4);
    assert_eq!(client.receive().unwrap().text(), "PONG");
    server.client().ask("RPUSH y 2");
    assert_eq!(client.receive().unwrap().items()[1].text(), "2");
    assert_eq!(client.receive().unwrap().text(), "PONG");
}

#[test]
fn a_wait_of_redis_py_8_ends_a_little_before_its_timeout() {
    let server = Start::ringdove(2).start();
    let wait = |library: &str, version: &str| {
        let mut client = server.client();
        client.ask(&format!("CLIENT SETINFO lib-name {library}"));
        client.ask(&format!("CLIENT SETINFO lib-ver {version}"));
        let began = std::time::Instant::now();
        assert!(client.ask("BZPOPMIN nothing 1").is_null());
        began.elapsed()
    };
    // 20 ms early at the latest; a busy machine may be late, but not by chance early.
    assert!(wait("redis-py", "7.1.0") >= Duration::from_secs(1));
    assert!(wait("ioredis", "8.0.0") >= Duration::from_secs(1));
    assert!((0..20).any(|_| wait("redis-py(django-redis_v6)", "8.0.1") < Duration::from_secs(1)));
}

/// Clients with the commands they send, the last of which waits; what somebody else then does; and what
/// he asks at the end.
type Scenario = (&'static [&'static [&'static str]], &'static [&'static str], &'static [&'static str]);

const GROUP: &str = "XREADGROUP GROUP g c BLOCK 0 STREAMS s >";
const SCENARIOS: &[Scenario] = &[
    (&[&["BLPOP a b 0"]], &["RPUSH b 1 2 3"], &["LRANGE b 0 -1"]),
    (&[&["BLPOP a 0"], &["BRPOP a 0"]], &["RPUSH a 1 2 3"], &["LRANGE a 0 -1"]),
    (&[&["BLPOP a b 0"]], &["MULTI", "RPUSH b 1", "RPUSH a 2", "EXEC"], &["LRANGE a 0 -1", "LRANGE b 0 -1"]),
    (&[&["BLPOP a 0.2"]], &["MULTI", "RPUSH a 1", "DEL a", "EXEC"], &[]),
    (&[&["BLPOP a 0.2"]], &["MULTI", "RPUSH a 1", "DEL a", "SET a x", "EXEC"], &[]),
    (&[&["BLMOVE a d LEFT RIGHT 0"], &["BLPOP d 0"]], &["RPUSH a 1 2"], &["LRANGE d 0 -1", "LRANGE a 0 -1"]),
    (
        &[&["BLMOVE a d LEFT RIGHT 0"], &["BLPOP a 0"]],
        &["RPUSH a 1 2 3"],
        &["LRANGE d 0 -1", "LRANGE a 0 -1"],
    ),
    (&[&["BRPOPLPUSH a d 0"]], &["SET d x", "RPUSH a 1 2"], &["LRANGE a 0 -1"]),
    (&[&["BRPOPLPUSH a b 0"], &["BRPOPLPUSH b a 0"]], &["RPUSH a x"], &["LRANGE a 0 -1", "LRANGE b 0 -1"]),
    (&[&["BRPOPLPUSH a a 0"]], &["RPUSH a x"], &["LRANGE a 0 -1"]),
    (&[&["BLMPOP 0 2 a b LEFT COUNT 2"]], &["RPUSH b 1 2 3"], &["LRANGE b 0 -1"]),
    (&[&["BZPOPMIN a b 0"]], &["ZADD b 1.5 x 2 y"], &["ZRANGE b 0 -1 WITHSCORES"]),
    (&[&["BZMPOP 0 2 a b MAX COUNT 2"]], &["ZADD b 1.5 x 2 y 3 z"], &["ZRANGE b 0 -1 WITHSCORES"]),
    (&[&["BLPOP a 0"]], &["RPUSH x 1 2", "RENAME x a"], &["LRANGE a 0 -1"]),
    (&[&["BLPOP a 0"]], &["RPUSH x 1 2", "COPY x a"], &["LRANGE a 0 -1"]),
    (&[&["SELECT 3", "BLPOP a 0"]], &["RPUSH a 1 2", "MOVE a 3"], &["SELECT 3", "LRANGE a 0 -1"]),
    (&[&["SELECT 3", "BLPOP a 0"]], &["RPUSH a 1 2", "SWAPDB 0 3"], &["SELECT 3", "LRANGE a 0 -1"]),
    (&[&["BLPOP a 0"]], &["RPUSH x 3 1 2", "SORT x STORE a"], &["LRANGE a 0 -1"]),
    (&[&["BZPOPMAX a 0"]], &["ZADD x 3 m 4 n", "ZRANGESTORE a x 0 -1"], &["ZRANGE a 0 -1"]),
    (&[&["BLPOP a 0.2"]], &["MULTI", "RPUSH a 1", "PEXPIRE a -1", "EXEC"], &[]),
    (&[&["XREAD BLOCK 0 STREAMS s $"]], &["MULTI", "XADD s 2-1 f v", "XADD s 2-2 f v", "EXEC"], &[]),
    (&[&["XREAD COUNT 1 BLOCK 0 STREAMS r t 0 5-5"]], &["XADD t 5-5 f v", "XADD t 5-6 f v"], &[]),
    (&[&["XREAD BLOCK 0 STREAMS g-s $"]], &["DEL g-s", "XADD g-s 1-1 f v"], &[]),
    (&[&[GROUP]], &["XADD s 2-1 f v"], &["XPENDING s g"]),
    (&[&[GROUP], &[GROUP]], &["MULTI", "XADD s 2-1 f v", "EXEC", "XADD s 2-3 a b"], &["XPENDING s g"]),
    (&[&[GROUP]], &["DEL s"], &[]),
    (&[&[GROUP]], &["SET s x"], &[]),
    (&[&[GROUP]], &["FLUSHALL"], &[]),
    (&[&[GROUP]], &["RENAME s q"], &[]),
    (&[&[GROUP]], &["PEXPIRE s 20"], &[]),
    (&[&[GROUP]], &["XGROUP DESTROY s g"], &[]),
    (&[&[GROUP]], &["SWAPDB 0 4"], &[]),
    (&[&["HELLO 3", GROUP]], &["XADD s 2-1 f v"], &[]),
    (&[&["HELLO 3", "BZPOPMAX a b 0"]], &["ZADD b 1.5 x 2 y"], &[]),
    (&[&["BLPOP a 0.02"]], &[], &[]),
    (&[&["BLMOVE a b LEFT LEFT 0.02"]], &[], &[]),
    (&[&["BZMPOP 0.02 1 a MIN"]], &[], &[]),
    (&[&["HELLO 3", "XREAD BLOCK 20 STREAMS a $"]], &[], &[]),
];

fn wait_for_blocked(client: &mut Client, count: usize) {
    wait_until("clients wait", 10, || field(client, "blocked_clients") == count as i64);
}

fn play(server: &Server, (clients, then, finally): &Scenario) -> Vec<Value> {
    let mut other = server.client();
    for line in ["FLUSHALL", "XADD s 1-1 f v", "XGROUP CREATE s g $", "XADD g-s 0-5 f v"] {
        assert!(!other.ask(line).is_error());
    }
    let mut waiting = Vec::new();
    for lines in *clients {
        let mut client = server.client();
        let (last, first) = lines.split_last().unwrap();
        first.iter().for_each(|line| drop(client.ask(line)));
        client.send(&words(last)).unwrap();
        waiting.push(client);
        // Those with a timeout may be over at once.
        if !then.is_empty() {
            wait_for_blocked(&mut other, waiting.len());
        }
    }
    let mut seen: Vec<Value> = then.iter().map(|line| other.ask(line)).collect();
    seen.extend(waiting.iter_mut().map(|client| client.receive().unwrap()));
    seen.extend(finally.iter().map(|line| other.ask(line)));
    wait_for_blocked(&mut other, 0);
    seen
}

#[test]
fn clients_that_wait_are_told_what_redis_tells() {
    crate::need_oracle!();
    let oracle = Start::oracle().start();
    for shards in [1, 4] {
        let server = Start::ringdove(shards).start();
        for scenario in SCENARIOS {
            assert_eq!(play(&server, scenario), play(&oracle, scenario), "{scenario:?} with {shards} shards");
        }
    }
}

#[test]
fn client_unblock_answers_as_redis_does() {
    crate::need_oracle!();
    let (oracle, server) = (Start::oracle().start(), Start::ringdove(4).start());
    let told = |server: &Server| {
        let mut other = server.client();
        let mut seen = Vec::new();
        for how in ["", "TIMEOUT", "error"] {
            let mut client = server.client();
            let id = client.ask("CLIENT ID").integer();
            for line in ["BLPOP l m n 0", "XREAD BLOCK 0 STREAMS q $", "BLMOVE a b LEFT LEFT 0"] {
                client.send(&words(line)).unwrap();
                wait_for_blocked(&mut other, 1);
                seen.push(other.ask(&format!("CLIENT UNBLOCK {id} {how}")));
                seen.push(client.receive().unwrap());
                wait_for_blocked(&mut other, 0);
            }
            seen.push(other.ask(&format!("CLIENT UNBLOCK {id} {how}")));
        }
        for line in ["CLIENT UNBLOCK x", "CLIENT UNBLOCK 1 x", "CLIENT UNBLOCK 99999"] {
            seen.push(other.ask(line));
        }
        // What follows in the pipeline waits with its client, and then runs.
        let mut client = server.client();
        for line in ["PING", "BLPOP k 0", "PING", "BLPOP k 0.01", "GET k"] {
            client.send(&words(line)).unwrap();
        }
        wait_for_blocked(&mut other, 1);
        other.ask("RPUSH k v");
        seen.extend((0..5).map(|_| client.receive().unwrap()));
        seen
    };
    assert_eq!(told(&server), told(&oracle));
}

/// A command that waits is in SLOWLOG when it is served, as it was sent, and not when it begins to wait or its
/// wait ends with nothing; and CLIENT UNBLOCK counts as a failed call.
#[test]
fn waits_are_booked_as_redis_books_them() {
    crate::need_oracle!();
    let oracle = Start::oracle().start();
    let expected = booked(&oracle);
    for shards in [1, 4] {
        assert_eq!(booked(&Start::ringdove(shards).start()), expected, "{shards} shards");
    }
}

/// The waits in SLOWLOG.
fn logged(other: &mut Client) -> Vec<String> {
    let log = other.ask("SLOWLOG GET 100");
    let lines = log.items().iter().map(|entry| entry.items()[3].items().iter().map(Value::text));
    let lines = lines.map(|line| line.collect::<Vec<_>>().join(" "));
    lines.filter(|line| line.starts_with(['B', 'X'])).collect()
}

fn booked(server: &Server) -> Vec<Vec<String>> {
    let (mut client, mut other) = (server.client(), server.client());
    other.ask("CONFIG SET slowlog-log-slower-than 0");
    let id = client.ask("CLIENT ID").integer();
    let mut seen = Vec::new();
    for (line, then) in [
        ("BLPOP a b 0", "RPUSH b 1".to_owned()),
        ("BLMPOP 0 2 a b LEFT", "RPUSH b 1".to_owned()),
        ("BLMOVE a d LEFT RIGHT 0", "RPUSH a 1".to_owned()),
        ("BZPOPMIN a b 0", "ZADD a 1 x".to_owned()),
        ("XREAD BLOCK 0 STREAMS a s 0 0", "XADD s 1-1 f v".to_owned()),
        ("BLPOP a b 0.02", String::new()),
        ("BLPOP a b 0", format!("CLIENT UNBLOCK {id}")),
        ("BLMOVE a d LEFT RIGHT 0", format!("CLIENT UNBLOCK {id} ERROR")),
    ] {
        for line in ["DEL a b d s", "CONFIG RESETSTAT", "SLOWLOG RESET"] {
            assert!(!other.ask(line).is_error());
        }
        client.send(&words(line)).unwrap();
        if !then.is_empty() {
            wait_for_blocked(&mut other, 1);
            seen.push(logged(&mut other));
            other.ask(&then);
        }
        client.receive().unwrap();
        seen.push(logged(&mut other));
        let stats = other.ask("INFO commandstats").text();
        let mut rows =
            stats.lines().filter(|row| row.starts_with("cmdstat_b") || row.starts_with("cmdstat_x"));
        let row = rows.find(|row| !row.starts_with("cmdstat_xadd")).expect("it was called").split(',');
        seen.push(row.filter(|field| !field.starts_with("usec")).map(str::to_owned).collect());
    }
    seen
}
