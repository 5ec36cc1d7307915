//! Random programs, spoken from the command table's own grammar.
//!
//! A program is a list of steps of a few clients. Keys come from a small set, so that commands meet.
//! Most steps are well-formed; some have a wrong argument, a wrong number of arguments, an option that
//! contradicts another, an unknown name. Times are either far away or past: nothing expires while a
//! program runs, so two servers cannot disagree by a millisecond.

use super::exceptions::{Compare, compare};
use super::program::{Program, Step, near_time};
use super::vocabulary;
use crate::support::{Bytes, Rng, Words};
use ringdove::command::spec::{Arg, ArgKind, Group};
use ringdove::command::{CommandId, CommandTable, flag};

pub const CLIENTS: usize = 4;
/// Databases in which programs live; few, so that keys meet there too.
const DATABASES: usize = 3;

/// How often a command is chosen, where ten is not right. Commands without a key say little.
const WEIGHTS: &[(&str, u32)] = &[
    ("set", 40),
    ("get", 15),
    ("append", 15),
    ("setrange", 12),
    ("del", 15),
    ("rename", 20),
    ("copy", 20),
    ("restore", 20),
    ("move", 15),
    ("swapdb", 3),
    ("flushall", 1),
    ("flushdb", 2),
    ("select", 8),
    ("scan", 4),
    ("keys", 4),
    ("lcs", 5),
    ("xgroup|create", 30),
    ("xadd", 30),
    ("xreadgroup", 30),
    ("multi", 30),
    ("exec", 4),
    ("discard", 2),
    ("watch", 12),
    ("unwatch", 2),
    ("reset", 1),
    ("hello", 1),
    ("auth", 1),
    ("object|encoding", 20),
    ("config|resetstat", 1),
    ("latency|reset", 1),
    ("slowlog|reset", 1),
];

fn weight(full_name: &str, has_keys: bool) -> u32 {
    match WEIGHTS.iter().find(|(name, _)| *name == full_name) {
        Some((_, weight)) => *weight,
        None if has_keys => 10,
        None => 2,
    }
}

/// A command that can be generated.
struct Choice {
    /// The words of the name: one, or container and subcommand.
    name: Vec<&'static str>,
    args: &'static [Arg],
    weight: u32,
    group: Group,
    /// May wait outside a transaction: only as long as its well-formed arguments say.
    blocks: bool,
}

pub struct Generator {
    choices: Vec<Choice>,
    weights: Vec<u32>,
    rng: Rng,
    /// Times given in this program: each relative one is used once (see `duration`).
    times: Vec<u64>,
    now: u64,
    in_multi: [bool; CLIENTS],
    /// The family of the command under way.
    group: Group,
    /// It compares members only.
    lexical: bool,
    /// Where its number of keys stands, until the keys are known.
    count_at: Option<usize>,
}

/// Newer than 7.0.15, which the oracle is.
pub fn newer_than_oracle(version: &str) -> bool {
    let mut parts = version.split('.').map(|p| p.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) > (7, 0)
}

/// The rows that are generated, by full name.
pub fn generated_rows(table: &CommandTable) -> Vec<(CommandId, String)> {
    let rows = table.rows().filter(|(_, row)| {
        row.subcommands().is_empty()
            && !row.is_native()
            && !newer_than_oracle(row.spec.since)
            && compare(&row.full_name) != Compare::NotSent
    });
    rows.map(|(id, row)| (id, row.full_name.clone())).collect()
}

impl Generator {
    /// `now`: Unix time in seconds; a program mentions times far from it.
    pub fn new(table: &CommandTable, rng: Rng, now: u64) -> Generator {
        let mut choices = Vec::new();
        for (id, full_name) in generated_rows(table) {
            let row = table.row(id);
            let mut name = vec![row.spec.name];
            if let Some(parent) = row.parent {
                name.insert(0, table.spec(parent).name);
            }
            let blocks = row.spec.has(flag::BLOCKING) && !full_name.starts_with("xread");
            // What waits takes time, its own and everybody's.
            let weight = if blocks { 3 } else { weight(&full_name, !row.spec.keys.is_empty()) };
            choices.push(Choice {
                name,
                args: row.spec.args,
                weight,
                group: row.spec.group,
                blocks: row.spec.has(flag::BLOCKING),
            });
        }
        let weights = choices.iter().map(|c| c.weight).collect();
        let mut generator = Generator {
            choices,
            weights,
            rng,
            times: Vec::new(),
            now,
            in_multi: [false; CLIENTS],
            group: Group::Generic,
            lexical: false,
            count_at: None,
        };
        generator.times = (1..4000).collect();
        generator.rng.shuffle(&mut generator.times);
        generator
    }

    pub fn program(mut self, steps: usize) -> Program {
        let depth = *self.rng.pick(&[1, 3, 16, 64]);
        let mut program = Program { depth, steps: Vec::new() };
        // Half of the connections speak RESP3; one speaks through pipelines of its own length.
        for client in 0..CLIENTS {
            if self.rng.chance(50) {
                program.steps.push(Step { client, words: crate::support::words("HELLO 3") });
            }
        }
        let mut client = 0;
        while program.steps.len() < steps {
            if self.rng.chance(15) {
                client = self.rng.below(CLIENTS);
            }
            let mut words = self.step(client);
            while let Some(at) = near_time(&words) {
                words[at] = self.duration(1000);
            }
            program.steps.push(Step { client, words });
        }
        program
    }

    fn step(&mut self, client: usize) -> Words {
        if self.in_multi[client] && self.rng.chance(12) {
            self.in_multi[client] = false;
            return vec![if self.rng.chance(85) { b"EXEC".to_vec() } else { b"DISCARD".to_vec() }];
        }
        let at = self.rng.weighted(&self.weights);
        let choice = &self.choices[at];
        let (name, args, blocks) = (choice.name.clone(), choice.args, choice.blocks);
        self.group = choice.group;
        self.count_at = None;
        match name[0] {
            "multi" => self.in_multi[client] = true,
            "exec" | "discard" | "reset" => self.in_multi[client] = false,
            _ => {}
        }
        self.lexical = vocabulary::LEXICAL.contains(&name[0]);
        if name[0] == "zadd" && self.rng.chance(15) {
            return vocabulary::add_lexical(&mut self.rng);
        }
        if name[..] == ["xgroup", "create"] && self.rng.chance(60) {
            return vocabulary::make_group(&mut self.rng);
        }
        let mut words: Words = name.iter().map(|w| self.name(w)).collect();
        match name[..] {
            // Their argument is a whole other command.
            ["command", "getkeys" | "getkeysandflags"] if self.rng.chance(95) => {
                let at = self.rng.weighted(&self.weights);
                let (mut name, args) = (self.choices[at].name.clone(), self.choices[at].args);
                // Another arity since 7.2.
                if matches!(name[..], ["zrank" | "zrevrank"]) {
                    name = vec!["zscore"];
                }
                words.extend(name.iter().map(|w| w.as_bytes().to_vec()));
                self.args(&name.join("|"), args, &mut words);
            }
            _ => self.args(&name.join("|"), args, &mut words),
        }
        // An error while queueing ends the transaction: let most come to EXEC.
        // Another arity since 7.2: too many arguments there are none here.
        let fragile = blocks || self.lexical || matches!(name[..], ["zrank" | "zrevrank"]);
        if words.iter().any(|word| word.eq_ignore_ascii_case(b"BYLEX")) {
            let at = if name[0] == "zrangestore" { 2 } else { 1 };
            words[at] = vocabulary::lexical_key(&mut self.rng);
            return words;
        }
        if fragile || self.in_multi[client] && self.rng.chance(80) {
            return words;
        }
        match self.rng.below(100) {
            0..82 => {}
            82..88 => self.spoil_an_argument(&mut words, name.len()),
            88..91 => {
                words.truncate(self.rng.below(words.len()).max(1));
            }
            91..94 => {
                let word = self.junk();
                words.push(word);
            }
            94..98 => self.add_an_option(args, &mut words),
            98 => self.misspell(&mut words),
            _ => {
                let word = self.junk();
                let at = name.len() + self.rng.below(words.len() - name.len() + 1);
                words.insert(at, word);
            }
        }
        words
    }

    /// A name in the case most clients use, or in any.
    fn name(&mut self, name: &str) -> Bytes {
        match self.rng.below(10) {
            0 => name.bytes().map(|b| if self.rng.chance(50) { b.to_ascii_uppercase() } else { b }).collect(),
            1 => name.as_bytes().to_vec(),
            _ => name.to_ascii_uppercase().into_bytes(),
        }
    }

    fn args(&mut self, command: &str, args: &'static [Arg], out: &mut Words) {
        // Options may stand in any order: behind the last argument that must be there, shuffle.
        let fixed = args.iter().rposition(|a| !a.optional).map_or(0, |at| at + 1);
        let mut options: Vec<&Arg> = args[fixed..].iter().collect();
        if self.rng.chance(30) {
            self.rng.shuffle(&mut options);
        }
        for arg in args[..fixed].iter().chain(options) {
            self.arg(command, arg, out);
        }
    }

    fn arg(&mut self, command: &str, arg: &'static Arg, out: &mut Words) {
        if arg.optional && !self.rng.chance(35) || arg.since.is_some_and(newer_than_oracle) {
            return;
        }
        let times = if arg.multiple { 1 + self.rng.weighted(&[50, 25, 15, 7, 3]) } else { 1 };
        if let (ArgKind::Key(_), Some(at)) = (arg.kind, self.count_at.take()) {
            let told = if self.rng.chance(95) { times as i64 } else { self.rng.range(-1, 4) };
            out[at] = told.to_string().into_bytes();
        }
        for i in 0..times {
            match arg.token {
                Some(token) if arg.kind != ArgKind::PureToken && (i == 0 || arg.multiple_token) => {
                    out.push(self.name(token));
                }
                _ => {}
            }
            match arg.kind {
                ArgKind::Key(_) => out.push(self.key()),
                ArgKind::String => out.push(self.string(command, arg.name)),
                ArgKind::Integer if arg.name == "numkeys" => {
                    self.count_at = Some(out.len());
                    out.push(b"1".to_vec());
                }
                ArgKind::Integer => out.push(self.integer(command, arg.name)),
                ArgKind::Double => match vocabulary::double(command, arg.name, &mut self.rng) {
                    Some(word) => out.push(word),
                    None => out.push(self.double()),
                },
                // Without a star there is nothing to sort by, and a set comes in whatever order it has.
                ArgKind::Pattern if command.starts_with("sort") => {
                    out.push(self.rng.pick(&["w*", "k*", "l*", "h1->*", "*"]).as_bytes().into());
                }
                ArgKind::Pattern => out.push(self.pattern()),
                ArgKind::UnixTime => out.push(self.unix_time(arg.name)),
                // An id that the clock would give.
                ArgKind::PureToken if arg.token == Some("*") => {
                    out.push(vocabulary::stream_id(&mut self.rng));
                }
                ArgKind::PureToken => out.push(self.name(arg.token.unwrap_or(arg.name))),
                ArgKind::OneOf(choices) => {
                    let old: Vec<&'static Arg> =
                        choices.iter().filter(|c| !c.since.is_some_and(newer_than_oracle)).collect();
                    if !old.is_empty() {
                        let one = *self.rng.pick(&old);
                        self.arg(command, one, out);
                    }
                }
                ArgKind::Block(parts) => self.args(command, parts, out),
            }
        }
    }

    fn key(&mut self) -> Bytes {
        if self.lexical {
            return vocabulary::lexical_key(&mut self.rng);
        }
        if let Some(key) = vocabulary::key_of(self.group, &mut self.rng) {
            return key;
        }
        if self.group == Group::Generic && self.rng.chance(50) {
            return vocabulary::any_key(&mut self.rng);
        }
        match self.rng.below(40) {
            0 => Vec::new(),
            1 => b"bin\x00\xff\r\n".to_vec(),
            2 => vec![b'L'; 300],
            3..6 => b"{tag}a".to_vec(),
            6..9 => b"{tag}b".to_vec(),
            _ => format!("k{}", self.rng.below(9)).into_bytes(),
        }
    }

    fn string(&mut self, command: &str, name: &str) -> Bytes {
        match (command, name) {
            ("scan", "type") => {
                return self
                    .rng
                    .pick(&["string", "list", "STRING", "hash", "zset", "nosuch"])
                    .as_bytes()
                    .into();
            }
            ("client|setname", _) | (_, "clientname") => {
                return self.rng.pick(&["name", "n2", "two words", "", "line\n"]).as_bytes().into();
            }
            ("info", _) => {
                return self.rng.pick(&["server", "keyspace", "all", "nosuch"]).as_bytes().into();
            }
            _ => {}
        }
        if let Some(word) = vocabulary::text(self.group, command, name, &mut self.rng) {
            return word;
        }
        match self.rng.below(20) {
            0..8 => self.number(),
            8 => self.double(),
            9 => Vec::new(),
            10 => {
                let length = 1 + self.rng.below(8);
                self.rng.bytes(length)
            }
            // Around the length at which a string is no longer embstr, and far beyond it.
            11..13 => vec![b'e'; 42 + self.rng.below(6)],
            13 => vec![b'x'; 1 + self.rng.below(3000)],
            14 if self.rng.chance(10) => vec![b'y'; 20_000 + self.rng.below(80_000)],
            _ => {
                let length = 1 + self.rng.below(12);
                (0..length).map(|_| *self.rng.pick(b"abcde")).collect()
            }
        }
    }

    /// Numbers as they stand in values and increments.
    fn number(&mut self) -> Bytes {
        let near = [
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "-9223372036854775809",
            "9223372036854775800",
            "0",
            "-0",
            "-1",
            "+1",
            "01",
            " 1",
            "1 ",
            "1e2",
            "4294967296",
            "",
        ];
        match self.rng.below(10) {
            0..8 => self.rng.range(-20, 200).to_string().into_bytes(),
            8 => self.rng.range(-1_000_000_000_000, 1_000_000_000_000).to_string().into_bytes(),
            _ => self.rng.pick(&near).as_bytes().into(),
        }
    }

    fn integer(&mut self, command: &str, name: &str) -> Bytes {
        let rng = &mut self.rng;
        if let Some(chosen) = vocabulary::integer(self.group, command, name, rng) {
            return chosen.to_string().into_bytes();
        }
        let chosen = match (command, name) {
            ("restore", "ttl") if rng.chance(50) => 0,
            ("restore", "ttl") => match rng.chance(50) {
                true => return self.unix_time("milliseconds"),
                false => return self.duration(1000),
            },
            ("restore", "seconds") => *rng.pick(&[0, 1, 50_000, -1]),
            ("restore", "frequency") => *rng.pick(&[0, 1, 255, 256, -1]),
            (_, "seconds") => return self.duration(1),
            (_, "milliseconds") => return self.duration(1000),
            ("select" | "move" | "swapdb" | "copy", _) => match rng.below(20) {
                0 => *rng.pick(&[-1, 15, 16, 17, 1000, 4_294_967_296]),
                _ => rng.below(DATABASES) as i64,
            },
            // A walk starts at the beginning and is followed to its end by the executor.
            ("scan", "cursor") => 0,
            ("scan", _) => *rng.pick(&[1, 2, 3, 10, 1000, 0, -1]),
            ("setrange", "offset") => match rng.below(20) {
                0 => *rng.pick(&[-1, 536_870_912, 1 << 40, i64::MAX]),
                1 => rng.range(0, 4000),
                _ => rng.range(0, 60),
            },
            ("hello", _) => *rng.pick(&[2, 2, 3, 3, 3, 4, 1, 0]),
            (_, "increment" | "decrement") => return self.number(),
            (_, "start" | "end" | "len") => match rng.below(12) {
                0 => *rng.pick(&[i64::MIN, i64::MAX, -4_294_967_296, 4_294_967_296]),
                _ => rng.range(-12, 50),
            },
            _ => rng.range(-2, 20),
        };
        chosen.to_string().into_bytes()
    }

    fn double(&mut self) -> Bytes {
        let odd = [
            "3.0",
            "1e10",
            "-2.5e-3",
            "0.1",
            "5.0e3",
            "inf",
            "-inf",
            "nan",
            "+1.5",
            "1.",
            ".5",
            "0x10",
            "1e400",
            "17179869184",
            "-0",
            "1e17",
            "123456789.123456789",
            "1.0e",
            "abc",
            "",
        ];
        match self.rng.below(10) {
            0..4 => format!("{}.{}", self.rng.range(-50, 50), self.rng.below(1000)).into_bytes(),
            4..6 => self.rng.range(-1000, 1000).to_string().into_bytes(),
            _ => self.rng.pick(&odd).as_bytes().into(),
        }
    }

    fn pattern(&mut self) -> Bytes {
        let patterns = [
            "*", "k*", "k?", "k[1-4]", "k[^1-4]", "*[ab]", "{tag}*", "nosuch", "\\k1", "k[", "**a", "", "?*",
        ];
        self.rng.pick(&patterns).as_bytes().into()
    }

    /// A relative time. Each is used once in a program and they are 1000 seconds apart, so that GT and
    /// LT never depend on the milliseconds that pass between two commands.
    fn duration(&mut self, unit: u64) -> Bytes {
        let odd = [
            "0",
            "-1",
            "-1000",
            "9223372036854775807",
            "9223372036854775",
            "-9223372036854775808",
            "x",
            "1.5",
        ];
        match self.rng.below(20) {
            0..2 => self.rng.pick(&odd).as_bytes().into(),
            _ => {
                let time = self.times.pop().expect("times for one program") * 1000 * unit;
                time.to_string().into_bytes()
            }
        }
    }

    /// An absolute time: 500 seconds off every relative one (which leaves time for shrinking), from a
    /// few, so that equal ones meet.
    fn unix_time(&mut self, name: &str) -> Bytes {
        let unit = if name.contains("milli") { 1000 } else { 1 };
        let odd = ["0", "-1", "1", "1000", "9223372036854775807", "-9223372036854775808", "x"];
        match self.rng.below(20) {
            0..3 => self.rng.pick(&odd).as_bytes().into(),
            3 => ((self.now - 50) * unit).to_string().into_bytes(),
            _ => {
                let at = self.now + 500 + 1000 * (1 + self.rng.below(40) as u64 * 100);
                (at * unit).to_string().into_bytes()
            }
        }
    }

    /// Something that may stand anywhere and mean anything.
    fn junk(&mut self) -> Bytes {
        match self.rng.below(8) {
            0 => Vec::new(),
            1 => self.key(),
            2 => self.number(),
            3 => self.double(),
            4 => vec![b'z'; 200],
            5 => self
                .rng
                .pick(&["NX", "XX", "GET", "EX", "REPLACE", "COUNT", "ASYNC", "DB", "LEN"])
                .as_bytes()
                .into(),
            _ => {
                let length = self.rng.below(6);
                self.rng.bytes(length)
            }
        }
    }

    fn spoil_an_argument(&mut self, words: &mut Words, from: usize) {
        if words.len() > from {
            let at = from + self.rng.below(words.len() - from);
            words[at] = self.junk();
        }
    }

    /// Any option of the command once more, at the end: it contradicts what stands there, or not.
    fn add_an_option(&mut self, args: &'static [Arg], words: &mut Words) {
        let mut leaves: Vec<&'static Arg> = Vec::new();
        collect_tokens(args, &mut leaves);
        let Some(arg) = (!leaves.is_empty()).then(|| *self.rng.pick(&leaves)) else { return };
        words.push(self.name(arg.token.unwrap_or(arg.name)));
        match arg.kind {
            ArgKind::Integer => words.push(self.integer("", arg.name)),
            ArgKind::UnixTime => words.push(self.unix_time(arg.name)),
            ArgKind::PureToken => {}
            _ => words.push(self.junk()),
        }
    }

    fn misspell(&mut self, words: &mut Words) {
        let at = self.rng.below(words.len().min(2));
        words[at].push(b'q');
    }
}

fn collect_tokens(args: &'static [Arg], out: &mut Vec<&'static Arg>) {
    for arg in args {
        if arg.token.is_some() && !arg.since.is_some_and(newer_than_oracle) {
            out.push(arg);
        }
        if let ArgKind::OneOf(inner) | ArgKind::Block(inner) = arg.kind {
            collect_tokens(inner, out);
        }
    }
}
