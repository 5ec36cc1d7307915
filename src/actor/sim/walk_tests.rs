//! KEYS in slices, in the simulation: some clients ask for all keys while others write, delete and rename, the
//! tables grow and shrink, databases are flushed and clients leave in the middle. Checked, of every answer:
//!
//! - a key that was there from before the question until after the answer is in it, and no key is twice;
//! - what stands before KEYS in its pipeline is in it, and what stands behind it is not;
//! - others are answered between its slices;
//! - at rest no walk is left, nor is one of a client that has gone.

use super::*;
use std::collections::HashSet;

/// Keys that nobody touches.
const STABLE: usize = 150;
const CLIENTS: usize = 5;

/// What an answer to KEYS must have and must not have.
struct Expected {
    reply: usize,
    there: Vec<String>,
    absent: Vec<String>,
    all: bool,
}

/// One client's commands, some of them questions.
fn act(choice: &mut Choice, client: &mut Client, id: usize, serial: &mut u64, asked: &mut Vec<Expected>) {
    *serial += 1;
    let key = |n: usize| format!("v:{n}");
    match choice.below(8) {
        0..=2 => {
            let (before, gone, after) =
                (format!("b:{id}:{serial}"), format!("g:{id}:{serial}"), format!("a:{id}:{serial}"));
            client.send(&["SET", &before, "1"]);
            client.send(&["SET", &gone, "1"]);
            client.send(&["DEL", &gone]);
            let pattern = ["*", "*:*", "[sbga]:*"][choice.below(3)];
            client.send(&["KEYS", pattern]);
            let reply = client.expected - 1;
            client.send(&["SET", &after, "1"]);
            client.send(&["DEL", &before]);
            asked.push(Expected { reply, there: vec![before], absent: vec![gone, after], all: true });
        }
        // Hardly anything matches: many slices find nothing.
        3 => {
            let sought = format!("s:{}", choice.below(STABLE));
            client.send(&["KEYS", &sought]);
            asked.push(Expected {
                reply: client.expected - 1,
                there: vec![sought],
                absent: vec![],
                all: false,
            });
        }
        // Tables that grow and shrink.
        4 => (0..40).for_each(|n| client.send(&["SET", &format!("v:{}", n * 7 % 97), "1"])),
        5 => {
            let names: Vec<String> = (0..97).map(key).collect();
            let mut words = vec!["DEL"];
            words.extend(names.iter().map(String::as_str));
            client.send(&words);
        }
        6 => client.send(&["RENAME", &key(choice.below(97)), &key(choice.below(97))]),
        _ => {
            client.send(&["PING"]);
            client.send(&["SELECT", "1"]);
            client.send(&["FLUSHDB"]);
            client.send(&["SELECT", "0"]);
        }
    }
}

fn keys_in(reply: &str) -> Vec<&str> {
    reply.split("\r\n").skip(1).filter(|line| line.contains(':') && !line.starts_with(['$', '*'])).collect()
}

fn check(client: &Client, asked: &[Expected]) {
    let replies = client.replies();
    for Expected { reply, there, absent, all } in asked {
        let Some(answer) = replies.get(*reply) else { continue };
        let keys = keys_in(answer);
        let set: HashSet<&str> = keys.iter().copied().collect();
        assert_eq!(set.len(), keys.len(), "a key is in the answer twice");
        assert!(there.iter().all(|key| set.contains(key.as_str())), "{there:?} was there and is not told of");
        assert!(!absent.iter().any(|key| set.contains(key.as_str())), "one of {absent:?} was not there");
        if *all {
            let stable = set.iter().filter(|key| key.starts_with("s:")).count();
            assert_eq!(stable, STABLE, "keys that are there all the time");
        }
    }
}

/// Returns how many slices were asked for, and how many replies others got while one client's KEYS was
/// under way.
fn run(seed: u64, shards: ShardId, journaling: bool) -> (usize, usize) {
    let mut world = World::new(seed ^ 0x3a1c, shards, journaling);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| world.connect()).collect();
    for n in 0..STABLE {
        clients[0].send(&["SET", &format!("s:{n}"), "1"]);
    }
    world.settle(&mut clients);
    let mut asked: Vec<Vec<Expected>> = (0..CLIENTS).map(|_| Vec::new()).collect();
    let (mut serial, mut slices, mut between) = (0, 0, 0);
    for _ in 0..60 {
        let who = world.choice.below(CLIENTS);
        let mut choice = world.choice.clone();
        act(&mut choice, &mut clients[who], who, &mut serial, &mut asked[who]);
        world.choice = choice;
        for _ in 0..world.choice.below(12) {
            let before: Vec<usize> = clients.iter().map(|c| c.received.len()).collect();
            world.step(&mut clients);
            let walks = |c: &Client| c.open && world.shards[c.shard].actor.sessions[c.key].walk.is_some();
            let walking: Vec<bool> = clients.iter().map(walks).collect();
            if walking.contains(&true) {
                slices += 1;
                let others = clients.iter().zip(&before).zip(&walking);
                between += others.filter(|((c, before), w)| !**w && c.received.len() > **before).count();
            }
        }
        if world.choice.one_in(15) {
            check(&clients[who], &asked[who]);
            let mut gone = std::mem::replace(&mut clients[who], world.connect());
            world.close(&mut gone);
            asked[who].clear();
        }
    }
    world.settle(&mut clients);
    for (client, asked) in clients.iter().zip(&asked) {
        assert_eq!(client.got, client.expected, "every command is answered");
        check(client, asked);
    }
    for shard in &world.shards {
        assert!(shard.actor.walking.is_empty(), "a walk is left");
        assert!(shard.actor.sessions.iter().all(|(_, s)| s.walk.is_none()));
    }
    if journaling {
        let state = world.state();
        assert_eq!(replay(&world.journal), state, "the journal says what the keys say");
    }
    (slices, between)
}

#[test]
fn keys_are_told_of_once_while_others_come_between() {
    let (mut slices, mut between) = (0, 0);
    for seed in seeds() {
        let shards = [1, 2, 3, 4, 8][seed as usize % 5];
        let outcome = std::panic::catch_unwind(|| run(seed, shards, seed % 2 == 1));
        let (s, b) = outcome.unwrap_or_else(|panic| {
            eprintln!("failed with RINGDOVE_SIM_SEED={seed} ({shards} shards)");
            std::panic::resume_unwind(panic)
        });
        slices += s;
        between += b;
    }
    println!("{slices} steps with a walk under way, {between} replies to others meanwhile");
    if seeds().len() >= 20 {
        assert!(slices > 1000 && between > 200);
    }
}

/// Each planted bug is found by some seed. The panics it prints are the ones that are wanted.
#[test]
fn planted_bugs_are_caught() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let missed: Vec<Canary> = Canary::OF_WALKS
        .into_iter()
        .filter(|canary| {
            let caught = (0..60u64).any(|seed| {
                plant(Some(*canary));
                std::panic::catch_unwind(|| run(seed, [2, 3, 4][seed as usize % 3], true)).is_err()
            });
            plant(None);
            !caught
        })
        .collect();
    std::panic::set_hook(hook);
    assert!(missed.is_empty(), "the simulation is blind to {missed:?}");
}
