//! What every integration test stands on: servers, clients, values, random numbers.

pub mod client;
pub mod payload;
pub mod quote;
pub mod rng;
pub mod server;
pub mod value;

pub use client::Client;
pub use rng::Rng;
pub use server::{Server, Start};
pub use value::Value;

/// One argument of a command.
pub type Bytes = Vec<u8>;

/// A command and its arguments.
pub type Words = Vec<Bytes>;

/// Words of a command written in one literal: `words("SET k v")`.
pub fn words(line: &str) -> Words {
    line.split(' ').filter(|w| !w.is_empty()).map(|w| w.as_bytes().to_vec()).collect()
}

/// The number in an environment variable.
pub fn env_number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}: expected a number")))
}

/// The seed of this run: fixed unless `RINGDOVE_SEED` says otherwise. It is printed, so that a
/// failure can be repeated.
pub fn run_seed(what: &str) -> u64 {
    let seed = match std::env::var("RINGDOVE_SEED").as_deref() {
        Ok("random") => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            now.as_nanos() as u64
        }
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("RINGDOVE_SEED={text}: expected a number")),
        Err(_) => 1,
    };
    println!("{what}: RINGDOVE_SEED={seed}");
    seed
}

/// Polls until `ready` says so; panics with `what` after `seconds`.
pub fn wait_until(what: &str, seconds: u64, mut ready: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    while !ready() {
        assert!(std::time::Instant::now() < end, "waited {seconds} s in vain: {what}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// Ends the calling test, with a word why, when there is no `redis-server` to compare with. In CI
/// that is a failure.
#[macro_export]
macro_rules! need_oracle {
    () => {
        if !$crate::support::server::oracle_is_here() {
            return;
        }
    };
}
