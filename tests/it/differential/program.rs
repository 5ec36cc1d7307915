//! A program: what which client sends in which order. Written one step a line, so that a failing one
//! can be kept in `tests/seeds` and read by people.
//!
//! ```text
//! # why it is here
//! depth 16                 how many commands of one client go out before replies are awaited
//! 0> SET k1 "two words"
//! 1> GET k1
//! ```

use crate::support::{Words, quote};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub client: usize,
    pub words: Words,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub depth: usize,
    pub steps: Vec<Step>,
}

impl Program {
    pub fn parse(text: &str) -> Program {
        let mut program = Program { depth: 1, steps: Vec::new() };
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
            if let Some(depth) = line.strip_prefix("depth ") {
                program.depth = depth.parse().expect("depth N");
                continue;
            }
            let (client, command) =
                line.split_once("> ").unwrap_or_else(|| panic!("not `CLIENT> ...`: {line}"));
            let client = client.parse().unwrap_or_else(|_| panic!("not a client's number: {line}"));
            program.steps.push(Step { client, words: quote::parse(command) });
        }
        program
    }

    /// How many connections it needs.
    pub fn clients(&self) -> usize {
        self.steps.iter().map(|s| s.client + 1).max().unwrap_or(0)
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "depth {}", self.depth)?;
        for step in &self.steps {
            writeln!(f, "{}> {}", step.client, quote::line(&step.words))?;
        }
        Ok(())
    }
}

/// The argument that gives a time so near that it may run out while a program runs: then two servers
/// differ without a reason. It may stand there by accident, as an argument that was spoiled.
pub fn near_time(words: &Words) -> Option<usize> {
    const NEAR_MS: i64 = 400_000;
    let name = words[0].to_ascii_lowercase();
    let is = |at: usize, token: &[u8]| words[at].eq_ignore_ascii_case(token);
    let near = |at: usize, unit_ms: i64| {
        let text = words.get(at).and_then(|w| std::str::from_utf8(w).ok());
        let n: Option<i64> = text.and_then(|t| t.trim().parse().ok());
        n.is_some_and(|n| n > 0 && n.saturating_mul(unit_ms) < NEAR_MS).then_some(at)
    };
    match &name[..] {
        b"setex" | b"expire" => near(2, 1000),
        b"psetex" | b"pexpire" | b"restore" => near(2, 1),
        b"set" | b"getex" => (2..words.len()).find_map(|at| match () {
            () if is(at, b"EX") => near(at + 1, 1000),
            () if is(at, b"PX") => near(at + 1, 1),
            () => None,
        }),
        _ => None,
    }
}

/// Makes a program smaller as long as `fails` holds: drops ever smaller runs of steps (Zeller's
/// delta debugging), then shortens what is left of the words.
pub fn shrink(program: &Program, mut fails: impl FnMut(&Program) -> bool) -> Program {
    // A shortened number must not become a time that runs out.
    let mut fails = |p: &Program| p.steps.iter().all(|s| near_time(&s.words).is_none()) && fails(p);
    let mut best = program.clone();
    let shallow = Program { depth: 1, ..best.clone() };
    if best.depth > 1 && fails(&shallow) {
        best = shallow;
    }
    let mut size = best.steps.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        let mut smaller = false;
        while at < best.steps.len() {
            let mut candidate = best.clone();
            candidate.steps.drain(at..(at + size).min(best.steps.len()));
            if !candidate.steps.is_empty() && fails(&candidate) {
                best = candidate;
                smaller = true;
            } else {
                at += size;
            }
        }
        if size == 1 && !smaller {
            break;
        }
        if !smaller || size > 1 {
            size = (size / 2).max(1);
        }
    }
    shrink_words(&mut best, &mut fails);
    best
}

fn shrink_words(best: &mut Program, fails: &mut impl FnMut(&Program) -> bool) {
    for at in 0..best.steps.len() {
        for word in (1..best.steps[at].words.len()).rev() {
            let mut without = best.clone();
            without.steps[at].words.remove(word);
            if fails(&without) {
                *best = without;
                continue;
            }
            for length in [1, 8] {
                let mut short = best.clone();
                if short.steps[at].words[word].len() > length {
                    short.steps[at].words[word].truncate(length);
                    if fails(&short) {
                        *best = short;
                        break;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::{Rng, words};

    #[test]
    fn what_is_written_reads_back() {
        let text = "depth 16\n0> SET k \"a b\"\n3> GET \"\\x00\\xff\"\n";
        let program = Program::parse(text);
        assert_eq!(program.to_string(), text);
        assert_eq!((program.depth, program.clients()), (16, 4));
    }

    #[test]
    fn times_that_may_run_out_are_known() {
        let at = |line: &str| near_time(&words(line));
        assert_eq!(at("PSETEX k 1 v"), Some(2));
        assert_eq!(at("set k v px 399999 NX"), Some(4));
        assert_eq!(at("GETEX k EX 5"), Some(3));
        for line in
            ["SET k v EX 1000", "SET k v PX 0", "SET k v EXAT 5", "EXPIRE k -1", "EXPIRE k x", "SET k"]
        {
            assert_eq!(at(line), None, "{line}");
        }
    }

    #[test]
    fn shrinking_keeps_what_the_failure_needs_and_little_else() {
        let mut rng = Rng::new(3);
        let mut steps: Vec<Step> = (0..500)
            .map(|i| Step { client: rng.below(3), words: words(&format!("SET k{i} value")) })
            .collect();
        steps[77].words = words("APPEND a loooooong");
        steps[301].words = words("GETRANGE a 0 -1");
        let program = Program { depth: 16, steps };
        // "Fails" if APPEND stands before GETRANGE with two arguments or more.
        let mut runs = 0;
        let small = shrink(&program, |p| {
            runs += 1;
            let at =
                |name: &[u8], argc| p.steps.iter().position(|s| s.words[0] == name && s.words.len() >= argc);
            matches!((at(b"APPEND", 1), at(b"GETRANGE", 3)), (Some(a), Some(g)) if a < g)
        });
        assert_eq!(small.steps.len(), 2, "{small}");
        assert!(small.steps[0].words.len() == 1 && small.steps[1].words.len() == 3, "{small}");
        assert!(runs < 200, "{runs}");
    }
}
