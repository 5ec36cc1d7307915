//! The same random commands to `redis-server` and to Ringdove with 1, 2, 4 and 8 shards: every answer
//! and the state at the end are equal, but for what `exceptions.rs` lists.
//!
//! A failure prints the smallest program that still fails, ready to be kept as a file in
//! `tests/seeds`; those files are run first. `journal.rs` does the same through a restart.

mod exceptions;
mod execute;
mod generate;
mod journal;
mod program;
mod vocabulary;

use crate::need_oracle;
use crate::support::{Rng, Server, Start, Value, env_number, run_seed};
use exceptions::full_name;
use execute::{Answer, Broken, State, agree, execute, flush, state, state_difference};
use generate::{Generator, generated_rows};
use program::{Program, shrink};
use ringdove::command::CommandTable;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub const SHARDS: &[usize] = &[1, 2, 4, 8];
/// Commands that the servers under test get together, unless `RINGDOVE_COMMANDS` says otherwise.
const COMMANDS: u64 = 200_000;
/// From this size on every command of the table must have succeeded at least once.
const COMMANDS_FOR_COVERAGE: u64 = 50_000;
const STEPS: usize = 500;
/// Kinds of failure after which it is enough.
const FAILURES: usize = 12;
const SHRINKING: Duration = Duration::from_secs(120);

/// What one server did with a program.
struct Run {
    answers: Result<Vec<Answer>, Broken>,
    state: Result<State, String>,
}

fn run(server: &Server, program: &Program) -> Run {
    if let Err(e) = flush(server) {
        let broken = Broken { step: None, why: format!("FLUSHALL: {e}") };
        return Run { answers: Err(broken), state: Err("not read".into()) };
    }
    let answers = execute(server, program);
    let state = if answers.is_ok() { state(server) } else { Err("not read".into()) };
    Run { answers, state }
}

/// Runs a program on all servers at once; the milliseconds it took bound how far clocks can differ.
fn run_all(servers: &[&Server], program: &Program) -> (Vec<Run>, i64) {
    let start = Instant::now();
    let runs = std::thread::scope(|scope| {
        let threads: Vec<_> = servers.iter().map(|s| scope.spawn(|| run(s, program))).collect();
        threads.into_iter().map(|t| t.join().expect("a run panicked")).collect()
    });
    (runs, start.elapsed().as_millis() as i64 + 20)
}

/// A difference: what kind (so that shrinking does not turn one failure into another), and its story.
struct Difference {
    kind: String,
    story: String,
    /// Nothing behind this step matters.
    step: Option<usize>,
}

impl Difference {
    fn new(kind: &str, story: String) -> Difference {
        Difference { kind: kind.into(), story, step: None }
    }

    /// A connection that failed because the server panicked is known by the place of the panic.
    fn or_panic(mut self, server: &Server) -> Difference {
        if let ("connection", Some(place)) = (self.kind.as_str(), server.panic()) {
            self.story.push_str(&format!("\n  panicked at {place}"));
            self.kind = place;
        }
        self
    }
}

/// The first difference.
fn difference(program: &Program, right: &Run, got: &Run, late_ms: i64) -> Option<Difference> {
    let right_answers = right.answers.as_ref().unwrap_or_else(|e| panic!("redis-server: {e:?}\n{program}"));
    let got_answers = match &got.answers {
        Ok(answers) => answers,
        Err(e) => {
            let story = format!("the connection failed: {}", e.why);
            return Some(Difference { kind: "connection".into(), story, step: e.step });
        }
    };
    for (i, (a, b)) in right_answers.iter().zip(got_answers).enumerate() {
        let step = &program.steps[i];
        if !agree(&step.words, a, b, late_ms) {
            let command = crate::support::quote::line(&step.words);
            let client = step.client;
            let (a, b) = (brief(&a.reply), brief(&b.reply));
            let story = format!("step {i}: {client}> {command}\n  expected {a}\n  got      {b}");
            let kind = full_name(&step.words);
            return Some(Difference { kind, story, step: Some(i) });
        }
    }
    match (&right.state, &got.state) {
        (Ok(a), Ok(b)) => state_difference(a, b, late_ms)
            .map(|d| Difference::new("state", format!("state at the end: {d}"))),
        (Err(e), _) => panic!("redis-server: {e}\n{program}"),
        (_, Err(e)) => Some(Difference::new("connection", e.clone())),
    }
}

fn brief(reply: &Value) -> String {
    let text = format!("{reply:?}");
    if text.len() < 1000 { text } else { text.chars().take(900).chain("...".chars()).collect() }
}

/// Encodings change early, so that programs see both sides of each threshold.
pub const THRESHOLDS: &str = "--hash-max-listpack-entries 6 --hash-max-listpack-value 40 \
    --zset-max-listpack-entries 6 --zset-max-listpack-value 40 --set-max-intset-entries 6 \
    --list-max-listpack-size 5 --stream-node-max-entries 4 --hll-sparse-max-bytes 60";

fn start_subject(shards: usize) -> Server {
    Start::ringdove(shards).args(THRESHOLDS).start()
}

/// Servers of one comparison: the oracle first.
struct Bench {
    oracle: Server,
    subjects: Vec<(usize, Server)>,
}

impl Bench {
    fn start() -> Bench {
        let start = |shards: &usize| (*shards, start_subject(*shards));
        Bench {
            oracle: Start::oracle().args(THRESHOLDS).start(),
            subjects: SHARDS.iter().map(start).collect(),
        }
    }

    /// Runs a program everywhere. `None` if all agree; otherwise the subject's index and why.
    fn check(&self, program: &Program, coverage: Option<&mut Coverage>) -> Option<(usize, Difference)> {
        let mut servers = vec![&self.oracle];
        servers.extend(self.subjects.iter().map(|(_, s)| s));
        let (runs, late_ms) = run_all(&servers, program);
        if let (Some(coverage), Ok(answers)) = (coverage, &runs[0].answers) {
            coverage.note(program, answers);
        }
        let found = |(i, got): (usize, &Run)| {
            let found = difference(program, &runs[0], got, late_ms)?;
            Some((i, found.or_panic(&self.subjects[i].1)))
        };
        runs[1..].iter().enumerate().find_map(found)
    }

    fn check_one(&self, subject: usize, program: &Program) -> Option<Difference> {
        let (runs, late_ms) = run_all(&[&self.oracle, &self.subjects[subject].1], program);
        let found = difference(program, &runs[0], &runs[1], late_ms)?;
        Some(found.or_panic(&self.subjects[subject].1))
    }

    /// The smallest program that shows what `program` showed, with its story.
    fn shrink(&mut self, what: &str, program: &Program, subject: usize, found: Difference) -> String {
        let shards = self.subjects[subject].0;
        println!("{what}: differs with {shards} shards, shrinking\n{}", found.story);
        self.revive(subject, Some(&found));
        let end = Instant::now() + SHRINKING;
        let mut program = program.clone();
        program.steps.truncate(found.step.map_or(usize::MAX, |i| i + 1));
        let small = shrink(&program, |candidate| {
            if Instant::now() > end {
                return false;
            }
            let got = self.check_one(subject, candidate);
            self.revive(subject, got.as_ref());
            got.is_some_and(|d| d.kind == found.kind)
        });
        let found = self.check_one(subject, &small).unwrap_or(found);
        self.revive(subject, Some(&found));
        format!(
            "{what}, {shards} shards: {}\n--- the smallest program that shows it:\n{small}---\n",
            found.story
        )
    }

    /// Starts a server again that has died or does not answer.
    fn revive(&mut self, subject: usize, found: Option<&Difference>) {
        let (shards, server) = &mut self.subjects[subject];
        let alive = server.is_alive();
        if !alive {
            println!("--- a server with {shards} shards has died\n{}\n---", server.log());
        }
        if !alive || found.is_some_and(|d| d.story.contains("connection failed")) {
            *server = start_subject(*shards);
        }
    }
}

/// Failures of different kinds, collected so that one does not hide the others.
#[derive(Default)]
struct Failures {
    kinds: Vec<String>,
    stories: Vec<String>,
}

impl Failures {
    fn add(&mut self, bench: &mut Bench, what: &str, program: &Program, subject: usize, found: Difference) {
        if !self.kinds.contains(&found.kind) {
            self.kinds.push(found.kind.clone());
            self.stories.push(bench.shrink(what, program, subject, found));
        } else {
            bench.revive(subject, Some(&found));
        }
    }

    fn are_enough(&self) -> bool {
        self.stories.len() >= FAILURES
    }

    fn report(self) {
        let keep = "a program kept as tests/seeds/NAME.txt is run first from now on";
        assert!(self.stories.is_empty(), "{keep}\n{}", self.stories.join("\n"));
    }
}

/// What the generator made, and what became of it.
#[derive(Default)]
struct Coverage {
    /// By full name: calls, errors.
    rows: BTreeMap<String, (u64, u64)>,
    transactions: u64,
    aborted: u64,
    dirty: u64,
}

impl Coverage {
    fn note(&mut self, program: &Program, answers: &[Answer]) {
        for (step, answer) in program.steps.iter().zip(answers) {
            let name = full_name(&step.words);
            if name == "exec" && !answer.reply.is_error() {
                self.transactions += 1;
                self.dirty += answer.reply.is_null() as u64;
                if let Value::Array(items) = &answer.reply {
                    for (words, item) in answer.queue.iter().zip(items) {
                        self.count(full_name(words), item.is_error());
                    }
                }
            }
            self.aborted += answer.reply.is_error() as u64
                * matches!(&answer.reply, Value::Error(e) if e.starts_with(b"EXECABORT")) as u64;
            if !answer.reply.is_queued() {
                self.count(name, answer.reply.is_error());
            }
        }
    }

    fn count(&mut self, name: String, error: bool) {
        let row = self.rows.entry(name).or_default();
        row.0 += 1;
        row.1 += error as u64;
    }

    fn print(&self, table: &CommandTable) {
        println!("{:<28}{:>10}{:>10}", "command", "calls", "errors");
        let mut unknown = (0, 0);
        let known: Vec<String> = table.rows().map(|(_, r)| r.full_name.clone()).collect();
        for (name, (calls, errors)) in &self.rows {
            if known.contains(name) {
                println!("{name:<28}{calls:>10}{errors:>10}");
            } else {
                unknown = (unknown.0 + calls, unknown.1 + errors);
            }
        }
        println!("{:<28}{:>10}{:>10}", "(unknown to the table)", unknown.0, unknown.1);
        println!(
            "EXEC that ran: {}, of these stopped by WATCH: {}; refused for an error in the queue: {}",
            self.transactions, self.dirty, self.aborted
        );
    }

    /// Rows that never succeeded: the test is blind to them.
    fn blind_spots(&self, table: &CommandTable) -> Vec<String> {
        let succeeded = |name: &String| self.rows.get(name).is_some_and(|(calls, errors)| calls > errors);
        // Refused in every state a program can bring about: AUTH without a password, FREQ without an
        // LFU policy, CACHING without TRACKING, the graph of an event that never happened. Their
        // errors are compared.
        let mut cannot = vec!["auth", "object|freq", "client|caching", "latency|graph"];
        // Random bytes are no Lua and no SHA1, and no script runs for long: the suite's units of scripts and
        // functions, and tests/ecosystem/intrinsics.py, have real ones.
        cannot.extend(["evalsha", "evalsha_ro", "fcall", "fcall_ro", "script|kill", "script|load"]);
        cannot.extend(["function|delete", "function|kill", "function|load", "function|restore"]);
        let rows = generated_rows(table).into_iter().map(|(_, name)| name);
        rows.filter(|name| !succeeded(name) && !cannot.contains(&name.as_str())).collect()
    }
}

fn unix_now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// Programs kept from earlier failures: (file name, program).
pub fn kept_programs() -> Vec<(String, Program)> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/seeds");
    let files = std::fs::read_dir(dir).unwrap().map(|f| f.unwrap().path());
    let mut files: Vec<_> = files.filter(|f| f.extension().is_some_and(|e| e == "txt")).collect();
    files.sort();
    let read = |f: std::path::PathBuf| {
        let name = f.file_name().unwrap().to_string_lossy().into_owned();
        (name, Program::parse(&std::fs::read_to_string(&f).unwrap()))
    };
    files.into_iter().map(read).collect()
}

#[test]
fn kept_programs_agree_with_redis() {
    need_oracle!();
    let mut bench = Bench::start();
    let mut failures = Failures::default();
    for (name, program) in kept_programs() {
        if let Some((subject, found)) = bench.check(&program, None) {
            failures.add(&mut bench, &name, &program, subject, found);
        }
    }
    failures.report();
}

#[test]
fn random_programs_agree_with_redis() {
    need_oracle!();
    let seed = run_seed("differential");
    let table = CommandTable::new(&[]).unwrap();
    let commands = env_number("RINGDOVE_COMMANDS").unwrap_or(COMMANDS);
    let rounds = commands.div_ceil((STEPS * SHARDS.len()) as u64);
    let mut bench = Bench::start();
    let mut coverage = Coverage::default();
    let mut failures = Failures::default();
    // One round again and again, for what fails only now and then.
    let only = env_number("RINGDOVE_ROUND");
    for round in 0..rounds {
        let round = only.unwrap_or(round);
        let program = Generator::new(&table, Rng::fork(seed, round), unix_now()).program(STEPS);
        if let Some((subject, found)) = bench.check(&program, Some(&mut coverage)) {
            let what = format!("seed {seed}, round {round}");
            failures.add(&mut bench, &what, &program, subject, found);
            if failures.are_enough() {
                break;
            }
        }
    }
    failures.report();
    coverage.print(&table);
    if commands >= COMMANDS_FOR_COVERAGE && only.is_none() {
        let blind = coverage.blind_spots(&table);
        assert!(blind.is_empty(), "never generated successfully: {blind:?}");
    }
}
