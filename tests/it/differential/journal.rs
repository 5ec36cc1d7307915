//! What a server holds after a restart is what it held before, whatever ended it and however many
//! shards the next one has: the journal has every change, once, in an order that makes sense.

use super::execute::{State, state_difference};
use super::generate::Generator;
use super::program::{Program, shrink};
use super::{Run, SHARDS, kept_programs, run, unix_now};
use crate::support::server::Scratch;
use crate::support::{Rng, Start, env_number, run_seed};
use ringdove::command::CommandTable;
use std::time::Instant;

const COMMANDS: u64 = 30_000;
const STEPS: usize = 1000;
const SHRINKS: usize = 100;

/// One way to run, end and start again.
#[derive(Clone, Copy, Debug)]
struct Way {
    shards_before: usize,
    shards_after: usize,
    fsync: &'static str,
    kill: bool,
    base: Base,
}

/// Whether all is in the increment, or in a base that was written at the end.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Base {
    None,
    Rewritten,
    /// The journal was only turned on then.
    TurnedOn,
}

impl Way {
    fn random(rng: &mut Rng) -> Way {
        Way {
            shards_before: *rng.pick(SHARDS),
            shards_after: *rng.pick(SHARDS),
            fsync: ["always", "everysec", "no"][rng.below(3)],
            kill: rng.chance(70),
            base: *rng.pick(&[Base::None, Base::Rewritten, Base::TurnedOn]),
        }
    }

    /// The first difference between what was held before the end and what is held after.
    fn check(self, program: &Program) -> Option<String> {
        let start = Instant::now();
        let dir = Scratch::new();
        let with = |shards: usize, on: &str| {
            let args = format!("--appendonly {on} --appendfsync {} {}", self.fsync, super::THRESHOLDS);
            Start::ringdove(shards).args(&args).dir(&dir.path)
        };
        let on = if self.base == Base::TurnedOn { "no" } else { "yes" };
        let mut server = with(self.shards_before, on).start();
        // Answers are the other test's business; here only what is held counts.
        let before = match run(&server, program) {
            Run { state: Ok(state), .. } => state,
            Run { answers: Err(e), .. } => return Some(format!("before the restart: {}", e.why)),
            Run { state: Err(e), .. } => return Some(format!("before the restart: {e}")),
        };
        let order = match self.base {
            Base::None => "PING",
            Base::Rewritten => "BGREWRITEAOF",
            Base::TurnedOn => "CONFIG SET appendonly yes",
        };
        let reply = server.admin().ask(order);
        if reply.is_error() {
            return Some(format!("{order}: {}", reply.text()));
        }
        if self.kill {
            server.kill();
        } else {
            let status = server.terminate();
            if !status.success() {
                return Some(format!("ended with {status} after SIGTERM\n{}", server.log()));
            }
        }
        let server = with(self.shards_after, "yes").start();
        let after = match super::state(&server) {
            Ok(state) => state,
            Err(e) => return Some(format!("after the restart: {e}")),
        };
        let late_ms = start.elapsed().as_millis() as i64 + 20;
        let kept = match self.base {
            Base::None => forget_spelling,
            Base::Rewritten | Base::TurnedOn => forget_encodings,
        };
        let found = state_difference(&kept(before), &kept(after), late_ms);
        found.map(|found| format!("after the restart: {found}"))
    }

    fn check_or_fail(self, what: &str, program: &Program) {
        let Some(why) = self.check(program) else { return };
        println!("{what}, {self:?}: differs, shrinking\n{why}");
        let mut left = SHRINKS;
        let small = shrink(program, |candidate| {
            left = left.saturating_sub(1);
            left > 0 && self.check(candidate).is_some()
        });
        let why = self.check(&small).unwrap_or(why);
        panic!("{what}, {self:?}: {why}\n\n--- the smallest program that shows it:\n{small}---");
    }
}

/// A journal says what a string became, not how it was made: a number that INCRBYFLOAT or APPEND left
/// as text is an `int` once it has been replayed, as it is in Redis.
fn forget_spelling(mut state: State) -> State {
    for (_, value) in &mut state.keys {
        for encoding in ["int", "embstr", "raw"] {
            if let Some(text) = value.strip_prefix(&format!("+string {encoding} ")) {
                *value = format!("+string {text}");
                break;
            }
        }
    }
    state
}

/// A base says what a value is, not how it came to be held as it is: a table that has shrunk is packed again.
fn forget_encodings(mut state: State) -> State {
    for (_, value) in &mut state.keys {
        let mut words = value.splitn(3, ' ');
        if let (Some(kind), Some(_), Some(rest)) = (words.next(), words.next(), words.next()) {
            *value = format!("{kind} {rest}");
        }
    }
    state
}

#[test]
fn random_programs_survive_a_restart() {
    let seed = run_seed("journal");
    let table = CommandTable::new(&[]).unwrap();
    let mut rng = Rng::fork(seed, u64::MAX);
    for (name, program) in kept_programs() {
        Way::random(&mut rng).check_or_fail(&name, &program);
    }
    let rounds = env_number("RINGDOVE_COMMANDS").map_or(COMMANDS, |n| n / 5).div_ceil(STEPS as u64);
    for round in 0..rounds {
        let way = Way::random(&mut rng);
        // Every second program ends in a state with much in it: nothing was flushed on the way.
        let mut program = Generator::new(&table, Rng::fork(seed, round), unix_now()).program(STEPS);
        if round % 2 == 0 {
            program.steps.retain(|s| !s.words[0].to_ascii_lowercase().starts_with(b"flush"));
        }
        way.check_or_fail(&format!("seed {seed}, round {round}"), &program);
    }
}
