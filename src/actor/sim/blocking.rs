//! Clients that wait for keys, in the simulation: producers push to lists that consumers wait for, over
//! several shards, in transactions and on borrowed keyspaces, with timeouts, CLIENT UNBLOCK and KILL,
//! clients that leave, and sends that are lost with their connections. Checked:
//!
//! - each element is delivered once, or is still in a list; never both, never neither;
//! - while nobody leaves, elements of one producer in one list reach a consumer in their order;
//! - at rest nobody waits for a key that has something for him, and no queue holds a waiter that is over;
//! - what a client leaves unread when it goes is not lost, and what it has read does not come again;
//! - a client is told of nothing that a kill would bring back.

use super::*;
use crate::config::words::BlockedPopDoubt;
use crate::keyspace::{Keys, Reach, Ready};
use std::collections::HashSet;

const PRODUCERS: usize = 3;
const CONSUMERS: usize = 6;
pub(super) const CLIENTS: usize = PRODUCERS + CONSUMERS;
const QUEUES: usize = 5;

struct Crowd {
    clients: Vec<Client>,
    /// Per client, the numbers of replies that show an element without delivering it.
    moves: Vec<HashSet<usize>>,
    /// Everything that was ever pushed.
    pushed: Vec<String>,
    /// What clients that have left had received.
    gone: Vec<(Client, HashSet<usize>)>,
    /// Producers that were killed: some of what they sent may never have arrived.
    killed: HashSet<usize>,
    leave: bool,
}

fn queue(choice: &mut Choice) -> String {
    format!("queue:{}", choice.below(QUEUES))
}

impl Crowd {
    fn element(&mut self, producer: usize) -> String {
        self.pushed.push(format!("e:{producer}:{}", self.pushed.len()));
        self.pushed.last().unwrap().clone()
    }

    fn produce(&mut self, choice: &mut Choice, who: usize) {
        let times = 1 + choice.below(2);
        let elements: Vec<String> = (0..times).map(|_| self.element(who)).collect();
        let client = &mut self.clients[who];
        match choice.below(4) {
            0 | 1 => {
                let key = queue(choice);
                let mut words = vec!["RPUSH", &key];
                words.extend(elements.iter().map(String::as_str));
                client.send(&words);
            }
            2 => {
                client.send(&["MULTI"]);
                for element in &elements {
                    client.send(&["RPUSH", &queue(choice), element]);
                }
                // Something over shards, so that the keyspaces are held.
                if choice.one_in(2) {
                    client.send(&["RENAME", "nothing", &queue(choice)]);
                }
                client.send(&["EXEC"]);
            }
            // Put in another place first, then moved into place.
            _ => {
                let key = format!("aside:{who}");
                for element in &elements {
                    client.send(&["RPUSH", &key, element]);
                }
                for _ in &elements {
                    client.send(&["LMOVE", &key, &queue(choice), "LEFT", "RIGHT"]);
                    self.moves[who].insert(client.expected - 1);
                }
            }
        }
    }

    fn consume(&mut self, choice: &mut Choice, who: usize) {
        let client = &mut self.clients[who];
        let keys: Vec<String> = (0..1 + choice.below(3)).map(|_| queue(choice)).collect();
        let timeout = ["0", "0.003", "0.01", "0.05"][choice.below(4)];
        match choice.below(10) {
            0..=4 => {
                let mut words = vec!["BLPOP"];
                words.extend(keys.iter().map(String::as_str));
                words.push(timeout);
                client.send(&words);
            }
            5 => {
                let count = keys.len().to_string();
                let mut words = vec!["BLMPOP", timeout, &count];
                words.extend(keys.iter().map(String::as_str));
                words.extend(["LEFT", "COUNT", "2"]);
                client.send(&words);
            }
            6 => {
                client.send(&["BLMOVE", &keys[0], &queue(choice), "LEFT", "RIGHT", timeout]);
                self.moves[who].insert(client.expected - 1);
            }
            // What a client that leaves popped like this is lost with it, as in Redis.
            7 if !self.leave => {
                client.send(&["MULTI"]);
                client.send(&["BLPOP", &keys[0], "0"]);
                client.send(&["BLPOP", &queue(choice), "0"]);
                client.send(&["EXEC"]);
            }
            8 => {
                client.send(&["CLIENT", "UNBLOCK", &choice.below(20).to_string()]);
                if !self.leave {
                    client.send(&["LPOP", &keys[0]]);
                }
            }
            _ => client.send(&["PING"]),
        }
        if choice.one_in(3) {
            client.send(&["GET", "nothing"]);
        }
        if self.leave && choice.one_in(40) {
            client.send(&["CLIENT", "KILL", "ID", &(1 + choice.below(20)).to_string()]);
        }
    }

    /// What clients have got, in order.
    fn delivered(&self) -> Vec<(usize, Vec<String>)> {
        let there = self.clients.iter().zip(&self.moves);
        let all = there.chain(self.gone.iter().map(|(client, moves)| (client, moves)));
        all.enumerate().map(|(who, (client, moves))| (who, delivered_to(client, moves))).collect()
    }
}

fn delivered_to(client: &Client, moves: &HashSet<usize>) -> Vec<String> {
    let replies = client.replies().into_iter().enumerate();
    replies.filter(|(n, _)| !moves.contains(n)).flat_map(|(_, reply)| elements_in(&reply)).collect()
}

/// The elements in a reply, each behind the key it came from.
fn elements_in(reply: &str) -> Vec<String> {
    let mut key = "";
    let mut found = Vec::new();
    for line in reply.split("\r\n") {
        if line.starts_with("queue:") {
            key = line;
        } else if line.starts_with("e:") {
            found.push(format!("{key} {line}"));
        }
    }
    found
}

fn element_of(delivered: &str) -> &str {
    delivered.rsplit(' ').next().unwrap()
}

/// Turns every shard until all timeouts have come and nothing moves.
fn rest(world: &mut World, crowd: &mut Crowd) {
    // A pipeline may wait again and again, each time for its own timeout, with a few turns in between.
    let waits = |world: &World| world.shards.iter().any(|s| !s.actor.deadlines.is_empty());
    let mut quiet = 0;
    for round in 0..3000 {
        quiet = if waits(world) { 0 } else { quiet + 1 };
        if round >= 100 && quiet >= 20 {
            break;
        }
        world.now_micros += 1000;
        for shard in 0..world.shards.len() {
            world.turn(shard, &mut crowd.clients);
        }
        if round % 4 == 0 {
            world.disk();
        }
    }
    world.disk_all();
    for shard in 0..world.shards.len() {
        let actor = &world.shards[shard].actor;
        assert!(actor.lanes.in_flight.iter().all(|n| *n == 0), "every parcel comes home");
        assert!(actor.deadlines.is_empty(), "every timeout is answered");
    }
    world.rouse_all();
}

impl World {
    /// The disk has taken everything.
    fn disk_all(&mut self) {
        while !self.arrived.is_empty() || !self.mail.is_empty() {
            self.disk();
        }
    }

    fn rouse_all(&mut self) {
        (0..self.shards.len()).for_each(|shard| self.rouse(shard));
    }
}

/// Nobody waits for what is there, and only who waits stands in a queue.
fn check_rest(world: &mut World, crowd: &Crowd) {
    let open = crowd.clients.iter().filter(|c| c.open);
    let mut waiting = 0;
    for client in open {
        let session = &world.shards[client.shard].actor.sessions[client.key];
        let Some(blocked) = &session.blocked else {
            assert!(client.sending.is_empty() && client.got == client.expected, "a command lies unanswered");
            continue;
        };
        let waiter = blocked.waiter.clone().expect("its owners have answered");
        waiting += 1;
        for index in 0..waiter.wait.keys.len() {
            let shard = world.node.placement.shard(&waiter.wait.keys[index].key) as usize;
            let engine = world.shards[shard].actor.owner.get().expect("at rest no keyspace is lent");
            let placement = &world.node.placement;
            let keys = Keys::new(Reach::One(&mut engine.keyspace), 0, 0, placement, None);
            let ready = (waiter.wait.ready)(&keys, &waiter.wait, index);
            assert_eq!(ready, Ready::No, "somebody waits for what is there");
        }
    }
    assert_eq!(world.node.waiting(), waiting, "as many wait as are counted");
}

pub(super) fn run(seed: u64, shards: ShardId, journaling: bool) -> World {
    let mut world = World::new(seed ^ 0xb10c, shards, journaling);
    world.slow_network = world.choice.one_in(2);
    // Who leaves may have left something unread.
    let doubting =
        |old: &Settings| Ok::<_, ()>(Settings { blocked_pop_doubt: BlockedPopDoubt::Yes, ..old.clone() });
    world.node.change_settings(doubting).unwrap();
    let count = CLIENTS;
    let mut crowd = Crowd {
        clients: (0..count).map(|_| world.connect()).collect(),
        moves: vec![HashSet::new(); count],
        pushed: Vec::new(),
        gone: Vec::new(),
        killed: HashSet::new(),
        leave: !seed.is_multiple_of(3),
    };
    let mut told: Vec<String> = Vec::new();
    for _ in 0..160 {
        let who = world.choice.below(count);
        let mut choice = world.choice.clone();
        crowd.clients[who].read();
        if who < PRODUCERS {
            // Those who consume shall have to wait.
            if choice.one_in(2) {
                crowd.produce(&mut choice, who);
            }
        } else if crowd.clients[who].expected - crowd.clients[who].got < 6 {
            crowd.consume(&mut choice, who);
        }
        world.choice = choice;
        for _ in 0..world.choice.below(8) {
            world.step(&mut crowd.clients);
        }
        let killed = (0..count).find(|at| !crowd.clients[*at].open);
        let leaves =
            (crowd.leave && world.choice.one_in(12)).then(|| PRODUCERS + world.choice.below(CONSUMERS));
        if let Some(who) = killed.or(leaves) {
            if crowd.clients[who].open {
                let mut leaving = std::mem::replace(&mut crowd.clients[who], world.connect());
                world.close(&mut leaving);
                crowd.gone.push((leaving, std::mem::take(&mut crowd.moves[who])));
            } else {
                replace_killed(&mut world, &mut crowd);
            }
        }
        if journaling && world.choice.one_in(20) {
            told = told_survives(&world, &crowd, told);
        }
    }
    rest(&mut world, &mut crowd);
    replace_killed(&mut world, &mut crowd);
    crowd.clients.iter_mut().for_each(Client::read);
    check_rest(&mut world, &crowd);
    check_elements(&mut world, &crowd);
    // Everybody leaves: nothing stays behind.
    for who in 0..count {
        let mut leaving = std::mem::replace(&mut crowd.clients[who], world.connect());
        world.close(&mut leaving);
        crowd.gone.push((leaving, std::mem::take(&mut crowd.moves[who])));
    }
    rest(&mut world, &mut crowd);
    check_elements(&mut world, &crowd);
    assert_eq!(world.node.waiting(), 0);
    for shard in 0..world.shards.len() {
        let engine = world.shards[shard].actor.owner.get().expect("at rest no keyspace is lent");
        assert!(engine.keyspace.blocked.is_empty(), "a waiter was not forgotten");
    }
    let state = world.state();
    if journaling {
        assert_eq!(replay(&world.journal), state, "the journal says what the keys say");
    }
    world.borrowed_seen = world.node.sum(|t| t.borrowed.get());
    world
}

fn replace_killed(world: &mut World, crowd: &mut Crowd) {
    for who in 0..crowd.clients.len() {
        if !crowd.clients[who].open {
            let killed = std::mem::replace(&mut crowd.clients[who], world.connect());
            crowd.killed.insert(who);
            crowd.gone.push((killed, std::mem::take(&mut crowd.moves[who])));
        }
    }
}

/// Each element is in one place.
fn check_elements(world: &mut World, crowd: &Crowd) {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, value) in world.state() {
        let key = String::from_utf8(key).unwrap();
        for element in String::from_utf8(value).unwrap().split(' ') {
            places.entry(element.to_owned()).or_default().push(key.clone());
        }
    }
    let returned = world.node.sum(|t| t.pops_returned.get()) > 0;
    for (who, delivered) in crowd.delivered() {
        let mut last: BTreeMap<(String, String), usize> = BTreeMap::new();
        for one in delivered {
            places.entry(element_of(&one).to_owned()).or_default().push(format!("client {who}"));
            let (key, element) = one.split_once(' ').unwrap();
            let (producer, number) = element.rsplit_once(':').unwrap();
            let number: usize = number.parse().unwrap();
            // An element that was moved, or put back, comes later than others.
            if !returned && !moved(crowd) {
                let before = last.insert((key.to_owned(), producer.to_owned()), number);
                assert!(before.is_none_or(|before| before < number), "{one} came late");
            }
        }
    }
    for element in &crowd.pushed {
        let found = places.get(element).map_or(0, Vec::len);
        let producer: usize = element.split(':').nth(1).unwrap().parse().unwrap();
        let may_miss = crowd.killed.contains(&producer);
        assert!(found == 1 || found == 0 && may_miss, "{element} is in {:?}", places.get(element));
    }
}

/// Whether a consumer has moved elements between lists.
fn moved(crowd: &Crowd) -> bool {
    crowd.moves[PRODUCERS..].iter().any(|moves| !moves.is_empty())
        || crowd.gone.iter().any(|(_, moves)| !moves.is_empty())
}

/// What was delivered is not in any list that a kill would leave.
fn told_survives(world: &World, crowd: &Crowd, told: Vec<String>) -> Vec<String> {
    let left = replay(&world.journal);
    let lists: HashSet<String> = left
        .values()
        .flat_map(|value| String::from_utf8_lossy(value).split(' ').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let mut now: Vec<String> = crowd.delivered().into_iter().flat_map(|(_, d)| d).collect();
    now.extend(told);
    for one in &now {
        assert!(!lists.contains(element_of(one)), "a kill would bring {one} back");
    }
    now
}

#[test]
fn elements_are_delivered_once_in_every_order_of_turns() {
    let (mut delivered, mut returned, mut holds, mut borrowed) = (0, 0, 0, 0);
    each_seed(
        |seed, shards| run(seed, shards, seed % 2 == 1),
        |world| {
            delivered += world.node.sum(|t| t.waits_ended.get());
            returned += world.node.sum(|t| t.pops_returned.get());
            holds += world.node.sum(|t| t.holds.get());
            borrowed += world.borrowed_seen;
        },
    );
    println!("{delivered} waits, {returned} put back, {borrowed} borrowed, {holds} lent");
    if seeds().len() >= 20 {
        assert!(delivered > 500 && returned > 5 && holds > 100 && borrowed > 100);
    }
}

#[test]
fn planted_bugs_are_caught() {
    catch_planted(&Canary::BLOCKING, 120, |seed, shards| drop(run(seed, shards, true)));
}
