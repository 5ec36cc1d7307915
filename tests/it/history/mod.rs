//! Many clients at once on real servers whose shards may outnumber the cores: whatever the order in
//! which things happen, it must be one order for everybody.
//!
//! Each workload runs for a few seconds (`RINGDOVE_SECONDS`) on every setup, checks what it saw, and
//! fails as well when it saw too little. The interleaving is the machine's, not the seed's: a seed
//! repeats what the clients try, not what the scheduler did.
//!
//! * `bank`, `ring`: invariants that hold at every moment
//! * `pairs`: order inside pipelines, lost updates, write skew, all-or-nothing commands
//! * `append`: recorded histories, decided by `checker`

mod append;
mod bank;
mod checker;
mod pairs;
mod ring;

use crate::support::{Client, Rng, Server, Start, Words, env_number, run_seed};
use std::time::{Duration, Instant};

/// Shards and options. With a journal, transactions hold their keys for longer: another path.
const SETUPS: &[(usize, &str)] = &[
    (2, ""),
    (3, "--appendonly yes --appendfsync everysec"),
    (4, "--appendonly yes --appendfsync always"),
    (8, ""),
];

/// A server under one setup, and how long to trouble it.
struct Arena {
    server: Server,
    seed: u64,
    end: Instant,
    what: String,
}

impl Arena {
    fn client(&self) -> Client {
        self.server.client()
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }

    /// Runs `clients` threads, each with a number and random numbers of its own; their results.
    fn run<T: Send>(&self, clients: usize, body: impl Fn(usize, Rng) -> T + Sync) -> Vec<T> {
        let body = &body;
        std::thread::scope(|scope| {
            let start = |i| scope.spawn(move || body(i, Rng::fork(self.seed, i as u64)));
            let threads: Vec<_> = (0..clients).map(start).collect();
            let what = &self.what;
            threads.into_iter().map(|t| t.join().unwrap_or_else(|_| panic!("{what}: see above"))).collect()
        })
    }
}

/// Runs a workload on every setup.
fn on_every_setup(what: &str, workload: impl Fn(&Arena)) {
    let seed = run_seed(what);
    let seconds = env_number("RINGDOVE_SECONDS").unwrap_or(2);
    for (shards, args) in SETUPS {
        let server = Start::ringdove(*shards).args(args).start();
        let end = Instant::now() + Duration::from_secs(seconds);
        let what = format!("{what}, seed {seed}, {shards} shards {args}");
        workload(&Arena { server, seed, end, what });
    }
}

/// A command from its words.
fn command(words: &[&str]) -> Words {
    words.iter().map(|w| w.as_bytes().to_vec()).collect()
}

/// A command over many keys: `MGET` and the like.
fn over_keys(name: &str, keys: &[String]) -> Words {
    let mut words = vec![name.as_bytes().to_vec()];
    words.extend(keys.iter().map(|k| k.as_bytes().to_vec()));
    words
}
