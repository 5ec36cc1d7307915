//! KEYS over many keys: it looks at them a slice at a time, so others are served meanwhile, and it is right
//! all the same.

use crate::support::{Bytes, Client, Server, Start, words};
use std::collections::HashSet;

const KEYS: usize = 200_000;

fn filled(shards: usize) -> Server {
    let server = Start::ringdove(shards).start();
    let mut client = server.client();
    let line = |from: usize| -> Vec<Bytes> {
        let mut line = words("MSET");
        (from..from + 1000).for_each(|n| line.extend([format!("key:{n}").into_bytes(), b"v".to_vec()]));
        line
    };
    for reply in client.pipeline(&(0..KEYS).step_by(1000).map(line).collect::<Vec<_>>()).unwrap() {
        assert!(reply.is_ok());
    }
    server
}

/// How many KEYS have ended.
fn ended(client: &mut Client) -> usize {
    let info = client.ask("INFO commandstats").text();
    let row = info.lines().find_map(|line| line.strip_prefix("cmdstat_keys:calls=")).unwrap_or("0");
    row.split(',').next().unwrap().parse().unwrap()
}

/// Lets clients ask for all keys, until one of them is seen at it by somebody else, who has been served in the
/// middle. Who asks, and how many had ended before.
fn caught_in_the_middle(server: &Server) -> (Client, usize) {
    let mut other = server.client();
    for _ in 0..50 {
        let (mut asker, before) = (server.client(), ended(&mut other));
        let id = asker.ask("CLIENT ID").integer();
        asker.send(&words("KEYS *")).unwrap();
        for _ in 0..20 {
            let seen = other.ask(&format!("CLIENT LIST ID {id}")).text();
            let has_some = !seen.contains(" omem=0 ");
            if seen.contains(" cmd=keys ") && has_some && ended(&mut other) == before {
                return (asker, before);
            }
        }
        assert_eq!(asker.receive().unwrap().items().len(), KEYS);
    }
    panic!("nobody is served while KEYS is under way");
}

#[test]
fn others_are_served_between_the_slices_of_keys() {
    for shards in [1, 3] {
        let server = filled(shards);
        let (mut asker, before) = caught_in_the_middle(&server);
        // Its reply counts as output of its own, and what it waits for comes whole.
        let answer = asker.receive().unwrap();
        let keys: HashSet<&[u8]> = answer.items().iter().map(|key| key.bytes()).collect();
        assert_eq!((answer.items().len(), keys.len()), (KEYS, KEYS));
        assert!((0..KEYS).all(|n| keys.contains(format!("key:{n}").as_bytes())));
        let mut other = server.client();
        assert_eq!(ended(&mut other), before + 1);
        assert_eq!(asker.ask("KEYS key:199999").items().len(), 1);
        assert_eq!(asker.ask("KEYS nothing*").items().len(), 0);
        let exec = asker.transaction(&[words("KEYS key:1999*"), words("KEYS *")]).unwrap();
        let found: Vec<usize> = exec.items().iter().map(|reply| reply.items().len()).collect();
        assert_eq!(found, [111, KEYS]);
    }
}

#[test]
fn keys_for_a_client_that_has_gone_goes_no_further() {
    let server = filled(2);
    let mut other = server.client();
    let abandoned = (0..50).any(|_| {
        let (asker, before) = caught_in_the_middle(&server);
        drop(asker);
        // Slices are given in turn: who began later ends later.
        assert_eq!(other.ask("KEYS *").items().len(), KEYS);
        ended(&mut other) == before + 1
    });
    assert!(abandoned, "it went on to its end for nobody");
}

#[test]
fn what_keys_has_found_counts_as_output() {
    let server = filled(2);
    let (mut client, mut other) = (server.client(), server.client());
    assert!(other.call(&["CONFIG", "SET", "client-output-buffer-limit", "normal 500000 0 0"]).is_ok());
    client.send(&words("KEYS *")).unwrap();
    assert!(client.receive().is_err());
    assert_eq!(server.log().matches("output buffer limits").count(), 1);
    assert_eq!(ended(&mut other), 0);
}

/// What a pipeline has before KEYS is in it, what it has behind is not.
#[test]
fn keys_has_its_place_in_a_pipeline() {
    let server = filled(3);
    let mut client = server.client();
    let lines = ["SET new 1", "DEL key:7", "KEYS *", "SET newer 1", "DEL new", "EXISTS key:7 new newer"];
    let replies = client.pipeline(&lines.map(words)).unwrap();
    let keys: HashSet<&[u8]> = replies[2].items().iter().map(|key| key.bytes()).collect();
    assert_eq!(keys.len(), KEYS);
    assert!(keys.contains(&b"new"[..]) && !keys.contains(&b"newer"[..]) && !keys.contains(&b"key:7"[..]));
    assert_eq!(replies[5].integer(), 1);
}
