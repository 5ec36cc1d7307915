//! Pub/sub in the simulation. Publishers write a number and publish it, in pipelines and transactions;
//! listeners come and go. Whatever the order of turns:
//!
//! - PUBLISH counts as many receivers as messages arrive;
//! - nobody gets a message before the reply to his SUBSCRIBE, or after that to his UNSUBSCRIBE;
//! - a publisher's messages come in order, and any two messages in the same order to all;
//! - whoever got a message finds what its publisher wrote before it.

use super::*;

const PUBLISHERS: usize = 3;
const LISTENERS: usize = 4;
const CHANNELS: usize = 2;

/// The elements of a reply of one level, as text.
fn elements(reply: &str) -> Vec<String> {
    let mut lines = reply.split("\r\n").skip(1);
    let mut elements = Vec::new();
    while let Some(line) = lines.next() {
        match line.chars().next() {
            Some('$') if !line.starts_with("$-") => elements.extend(lines.next().map(String::from)),
            Some(_) => elements.push(line[1..].to_string()),
            None => {}
        }
    }
    elements
}

/// Publisher and number of a message.
fn said(payload: &str) -> (usize, u64) {
    let (who, n) = payload.split_once(':').expect("who:n");
    (who.parse().unwrap(), n.parse().unwrap())
}

/// What a publisher's replies mean.
#[derive(Clone, Copy, PartialEq)]
enum Asked {
    Count,
    Exec,
    Other,
}

struct Listener {
    subscribed: Vec<bool>,
    /// Events seen so far.
    seen: usize,
    /// Channel and payload of its `message`s.
    messages: Vec<(String, String)>,
    patterns: usize,
}

impl Listener {
    /// Looks at one thing it has read; returns who said what if it is a message.
    fn hear(&mut self, reply: &str) -> Option<(usize, u64)> {
        let parts = elements(reply);
        let index = |name: &str| match name {
            "channel:*" => CHANNELS,
            name => name.strip_prefix("channel:").unwrap().parse().unwrap(),
        };
        let at = index(&parts[1]);
        match parts[0].as_str() {
            "subscribe" | "psubscribe" => self.subscribed[at] = true,
            "unsubscribe" | "punsubscribe" => self.subscribed[at] = false,
            "message" | "pmessage" => {
                assert!(self.subscribed[at], "a message outside a subscription: {parts:?}");
                let (channel, payload) = (&parts[parts.len() - 2], &parts[parts.len() - 1]);
                if parts[0] == "message" {
                    self.messages.push((channel.clone(), payload.clone()));
                } else {
                    self.patterns += 1;
                }
                return Some(said(payload));
            }
            other => panic!("{other}"),
        }
        None
    }
}

fn run(seed: u64, shards: ShardId, journaling: bool) -> (World, usize) {
    let mut world = World::new(seed, shards, journaling);
    // Publishers, then listeners, then for each listener one who looks.
    let mut clients: Vec<Client> = (0..PUBLISHERS + 2 * LISTENERS).map(|_| world.connect()).collect();
    world.told = vec![0; clients.len()];
    let mut numbers = [0u64; PUBLISHERS];
    let mut asked: Vec<Vec<Asked>> = vec![Vec::new(); PUBLISHERS];
    let mut listeners: Vec<Listener> = (0..LISTENERS)
        .map(|_| Listener { subscribed: vec![false; CHANNELS + 1], seen: 0, messages: vec![], patterns: 0 })
        .collect();
    let mut wants = vec![vec![false; CHANNELS + 1]; LISTENERS];
    let mut bounds: Vec<Vec<u64>> = vec![Vec::new(); LISTENERS];
    for step in 0..250 {
        if step < 200 {
            let mut choice = world.choice.clone();
            if choice.one_in(2) {
                let who = choice.below(PUBLISHERS);
                numbers[who] += 1;
                let (n, channel) = (numbers[who].to_string(), format!("channel:{}", choice.below(CHANNELS)));
                let (key, payload) = (format!("said:{who}"), format!("{who}:{n}"));
                let (client, log) = (&mut clients[who], &mut asked[who]);
                if choice.one_in(3) {
                    client.send(&["SET", &format!("noise:{}", choice.below(9)), &n]);
                    log.push(Asked::Other);
                }
                if choice.one_in(2) {
                    client.send(&["MULTI"]);
                    client.send(&["SET", &key, &n]);
                    client.send(&["PUBLISH", &channel, &payload]);
                    client.send(&["EXEC"]);
                    log.extend([Asked::Other, Asked::Other, Asked::Other, Asked::Exec]);
                } else {
                    client.send(&["SET", &key, &n]);
                    client.send(&["PUBLISH", &channel, &payload]);
                    log.extend([Asked::Other, Asked::Count]);
                }
            } else if choice.one_in(3) {
                let (who, at) = (choice.below(LISTENERS), choice.below(CHANNELS + 1));
                let wanted = &mut wants[who][at];
                *wanted = !*wanted;
                let name = if at == CHANNELS { "channel:*".into() } else { format!("channel:{at}") };
                let word = match (at == CHANNELS, *wanted) {
                    (false, true) => "SUBSCRIBE",
                    (false, false) => "UNSUBSCRIBE",
                    (true, true) => "PSUBSCRIBE",
                    (true, false) => "PUNSUBSCRIBE",
                };
                clients[PUBLISHERS + who].send(&[word, &name]);
            }
            world.choice = choice;
        } else if step == 200 {
            world.settle(&mut clients);
        }
        for _ in 0..1 + world.choice.below(6) {
            world.step(&mut clients);
        }
        for (at, listener) in listeners.iter_mut().enumerate() {
            let replies = clients[PUBLISHERS + at].replies();
            for reply in &replies[listener.seen..] {
                if let Some((who, n)) = listener.hear(reply) {
                    clients[PUBLISHERS + LISTENERS + at].send(&["GET", &format!("said:{who}")]);
                    bounds[at].push(n);
                }
            }
            listener.seen = replies.len();
        }
    }
    world.settle(&mut clients);
    check(&clients, &listeners, &asked, &bounds);
    let heard = listeners.iter().map(|l| l.messages.len() + l.patterns).sum();
    (world, heard)
}

fn check(clients: &[Client], listeners: &[Listener], asked: &[Vec<Asked>], bounds: &[Vec<u64>]) {
    let mut counted = 0;
    for (client, asked) in clients.iter().zip(asked) {
        let replies = client.replies();
        assert_eq!(replies.len(), asked.len());
        for (reply, asked) in replies.iter().zip(asked) {
            assert!(!reply.starts_with('-'), "{reply}");
            counted += match asked {
                Asked::Count => reply[1..].trim_end().parse::<usize>().unwrap(),
                Asked::Exec => elements(reply)[1].parse::<usize>().unwrap(),
                Asked::Other => 0,
            };
        }
    }
    let heard: usize = listeners.iter().map(|l| l.messages.len() + l.patterns).sum();
    assert_eq!(counted, heard, "PUBLISH counted {counted} receivers, {heard} messages came");
    for (a, one) in listeners.iter().enumerate() {
        for who in 0..PUBLISHERS {
            let numbers: Vec<u64> =
                one.messages.iter().map(|m| said(&m.1)).filter(|m| m.0 == who).map(|m| m.1).collect();
            assert!(numbers.is_sorted_by(|x, y| x < y), "publisher {who} heard out of order: {numbers:?}");
        }
        for other in &listeners[a + 1..] {
            let common = |mine: &Listener, theirs: &Listener| -> Vec<String> {
                let there = |m: &&(String, String)| theirs.messages.contains(m);
                mine.messages.iter().filter(there).map(|m| m.1.clone()).collect()
            };
            assert_eq!(common(one, other), common(other, one), "two orders of the same messages");
        }
        let looked = clients[PUBLISHERS + LISTENERS + a].replies();
        assert_eq!(looked.len(), bounds[a].len());
        for (reply, bound) in looked.iter().zip(&bounds[a]) {
            let found: u64 = reply.split("\r\n").nth(1).and_then(|v| v.parse().ok()).unwrap_or(0);
            assert!(found >= *bound, "heard {bound}, found {found}");
        }
    }
}

#[test]
fn messages_keep_their_promises_in_every_order_of_turns() {
    let (mut heard, mut borrowed) = (0, 0);
    each_seed(
        |seed, shards| run(seed, shards, seed % 2 == 1),
        |(world, messages)| {
            heard += messages;
            borrowed += world.node.sum(|t| t.borrowed.get());
        },
    );
    println!("{heard} messages heard, {borrowed} commands on borrowed keyspaces");
    if seeds().len() >= 20 {
        assert!(heard > 2_000 && borrowed > 100);
    }
}

#[test]
fn planted_bugs_in_messages_are_caught() {
    catch_planted(&Canary::OF_MESSAGES, 400, |seed, shards| drop(run(seed, shards, false)));
}
