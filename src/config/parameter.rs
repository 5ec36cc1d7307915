//! One row of the table: what a parameter is called, what it may be, whether its feature is built.
//!
//! Invariant: `assign` followed by `text` is the identity on what `text` printed (tested for every row), and a
//! refused value leaves the settings unchanged. Called by the file parser, CONFIG GET, SET and REWRITE, and the
//! reference page. Never knows what a setting does.

use super::settings::Settings;
use super::text::{self, Text};

/// Where a value comes from. A directive repeated in a file may add to the lines before it (`save`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The file and the flags, which Redis reads as one text.
    File {
        first: bool,
    },
    ConfigSet,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    Plain,
    Memory,
    /// Memory, or `5%`, which is kept as -5.
    MemoryOrPercent,
    Octal,
}

pub type Args<'a> = &'a [Vec<u8>];

#[derive(Clone, Copy)]
pub enum Kind {
    YesNo {
        get: fn(&Settings) -> bool,
        set: fn(&mut Settings, bool),
    },
    Number {
        form: Form,
        min: i128,
        max: i128,
        get: fn(&Settings) -> i128,
        set: fn(&mut Settings, i128),
    },
    Text {
        get: fn(&Settings) -> &Text,
        set: fn(&mut Settings, Text),
        check: fn(&[u8]) -> Result<(), &'static str>,
    },
    Word {
        words: &'static [&'static str],
        get: fn(&Settings) -> &'static str,
        set: fn(&mut Settings, usize),
    },
    Special {
        shape: &'static str,
        arity: Arity,
        parse: fn(&mut Settings, Args, Source) -> Result<(), String>,
        format: fn(&Settings) -> Vec<u8>,
        lines: fn(&Settings) -> Lines,
    },
}

/// How many values a directive takes: where a trailing comment may begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arity {
    One,
    /// Any number from one on.
    Some,
    Multiple(usize),
    Exactly(usize),
}

impl Arity {
    pub fn complete(self, values: usize) -> bool {
        match self {
            Arity::One => values == 1,
            Arity::Some => values >= 1,
            Arity::Multiple(of) => values >= 1 && values.is_multiple_of(of),
            Arity::Exactly(count) => values == count,
        }
    }
}

/// What CONFIG REWRITE writes: lines without the name, each forced into the file or only kept where a line of
/// this parameter already stands. Without lines, old lines of the parameter are removed.
pub type Lines = Vec<(Vec<u8>, bool)>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// Ignoring the value would cost data, safety or reachability: do not start, do not set.
    Refuse,
    /// Accepted, kept and shown; a warning names the parameter.
    Warn,
    /// A warning at start, so that an existing file still starts; CONFIG SET is refused, so that a tool that
    /// asks learns the truth.
    WarnAtStart,
}

/// Whether the feature behind a parameter is built. Flip this column when it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    Works,
    /// The directive parses, its feature is not built yet: only the default and the `harmless` values pass
    /// in silence.
    Later {
        feature: &'static str,
        severity: Severity,
    },
    /// There is nothing here that it could act on, and that is meant to stay so.
    NoEffect(&'static str),
}

/// What to say about a value that has no effect yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Concern {
    pub severity: Severity,
    pub text: String,
}

#[derive(Clone, Copy)]
pub struct Parameter {
    pub name: &'static str,
    /// The name before Redis 5 or 7, still accepted and listed.
    pub alias: Option<&'static str>,
    pub kind: Kind,
    /// As CONFIG GET prints it.
    pub default: &'static str,
    /// Further values that ask for nothing that is not built.
    pub harmless: &'static [&'static str],
    pub unit: &'static str,
    pub immutable: bool,
    /// CONFIG SET needs `enable-protected-configs`.
    pub protected: bool,
    /// CONFIG GET shows it only by its exact name.
    pub hidden: bool,
    /// Kept out of logs, SLOWLOG and MONITOR.
    pub sensitive: bool,
    pub deny_loading: bool,
    /// Reported as changed even if the text is the same: a file's content may have changed.
    pub volatile: bool,
    /// CONFIG REWRITE keeps a line with an empty text; otherwise empty means that no line stands.
    pub keeps_empty: bool,
    /// Not a parameter of Redis.
    pub ours: bool,
    pub status: Status,
    pub doc: &'static str,
}

impl Parameter {
    pub const fn new(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Self {
        Parameter {
            name,
            alias: None,
            kind,
            default,
            harmless: &[],
            unit: "",
            immutable: false,
            protected: false,
            hidden: false,
            sensitive: false,
            deny_loading: false,
            volatile: false,
            keeps_empty: false,
            ours: false,
            status: Status::Works,
            doc,
        }
    }

    pub const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    pub const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    pub const fn immutable(mut self) -> Self {
        self.immutable = true;
        self
    }

    pub const fn protected(mut self) -> Self {
        self.protected = true;
        self
    }

    pub const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    pub const fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    pub const fn deny_loading(mut self) -> Self {
        self.deny_loading = true;
        self
    }

    pub const fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    pub const fn keeps_empty(mut self) -> Self {
        self.keeps_empty = true;
        self
    }

    pub const fn ours(mut self) -> Self {
        self.ours = true;
        self
    }

    pub const fn harmless(mut self, values: &'static [&'static str]) -> Self {
        self.harmless = values;
        self
    }

    pub const fn later(mut self, feature: &'static str, severity: Severity) -> Self {
        self.status = Status::Later { feature, severity };
        self
    }

    pub const fn no_effect(mut self, why: &'static str) -> Self {
        self.status = Status::NoEffect(why);
        self
    }

    /// Redis's MULTI_ARG: several words in a file; one value split at its blanks elsewhere.
    pub fn takes_many(&self) -> bool {
        self.arity() != Arity::One
    }

    pub fn arity(&self) -> Arity {
        match self.kind {
            Kind::Special { arity, .. } => arity,
            _ => Arity::One,
        }
    }

    /// The value as CONFIG GET prints it.
    pub fn text(&self, settings: &Settings) -> Vec<u8> {
        match self.kind {
            Kind::YesNo { get, .. } => yes_no(get(settings)).as_bytes().to_vec(),
            Kind::Word { get, .. } => get(settings).as_bytes().to_vec(),
            Kind::Text { get, .. } => get(settings).as_bytes().to_vec(),
            Kind::Number { form, get, .. } => write_number(form, get(settings)).into_bytes(),
            Kind::Special { format, .. } => format(settings),
        }
    }

    /// Sets the value or says, in Redis's words, what was expected instead.
    pub fn assign(&self, settings: &mut Settings, args: Args, source: Source) -> Result<(), String> {
        if let Kind::Special { parse, .. } = self.kind {
            return parse(settings, args, source);
        }
        let [value] = args else { return Err("wrong number of arguments".to_owned()) };
        match self.kind {
            Kind::YesNo { set, .. } => {
                let yes = value.eq_ignore_ascii_case(b"yes");
                if !yes && !value.eq_ignore_ascii_case(b"no") {
                    return Err("argument must be 'yes' or 'no'".to_owned());
                }
                set(settings, yes);
            }
            Kind::Word { words, set, .. } => set(settings, word_index(words, value)?),
            Kind::Text { set, check, .. } => {
                check(value)?;
                set(settings, Text::new(value.as_slice()));
            }
            Kind::Number { form, min, max, set, .. } => set(settings, read_number(form, min, max, value)?),
            Kind::Special { .. } => {}
        }
        Ok(())
    }

    /// What there is to say if these settings were asked for: nothing where the feature works or the value
    /// asks for nothing.
    pub fn concern(&self, settings: &Settings) -> Option<Concern> {
        if self.status == Status::Works {
            return None;
        }
        let value = self.text(settings);
        let silent = |harmless: &&str| value.eq_ignore_ascii_case(harmless.as_bytes());
        if silent(&self.default) || self.harmless.iter().any(silent) {
            return None;
        }
        match self.status {
            Status::Later { feature, severity } => {
                Some(Concern { severity, text: format!("{feature} not built yet") })
            }
            Status::NoEffect(why) => Some(Concern { severity: Severity::Warn, text: why.to_owned() }),
            Status::Works => None,
        }
    }

    /// What CONFIG REWRITE writes for this row.
    pub fn lines(&self, settings: &Settings) -> Lines {
        let value = self.text(settings);
        let changed = value != self.default.as_bytes();
        match self.kind {
            Kind::Special { lines, .. } => lines(settings),
            Kind::Text { .. } if value.is_empty() && self.default.is_empty() && !self.keeps_empty => {
                Vec::new()
            }
            Kind::Text { .. } => vec![(text::quote(&value), changed)],
            Kind::Number { form: Form::Memory | Form::MemoryOrPercent, get, .. } => {
                let line = match u64::try_from(get(settings)) {
                    Ok(bytes) => text::write_memory(bytes).into_bytes(),
                    Err(_) => value,
                };
                vec![(line, changed)]
            }
            _ => vec![(value, changed)],
        }
    }
}

pub(super) fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

pub(super) fn word_index(words: &[&str], value: &[u8]) -> Result<usize, String> {
    words
        .iter()
        .position(|word| value.eq_ignore_ascii_case(word.as_bytes()))
        .ok_or_else(|| format!("argument(s) must be one of the following: {}", words.join(", ")))
}

fn write_number(form: Form, value: i128) -> String {
    match form {
        Form::Octal => format!("{value:o}"),
        Form::MemoryOrPercent if value < 0 => format!("{}%", -value),
        _ => value.to_string(),
    }
}

fn read_number(form: Form, min: i128, max: i128, value: &[u8]) -> Result<i128, String> {
    let parsed = match form {
        Form::Plain => text::strict_integer(value).map(i128::from),
        Form::Octal => text::lenient_integer(value, 8).map(i128::from),
        Form::Memory => text::memory(value).map(i128::from),
        Form::MemoryOrPercent => text::memory(value).map(i128::from).or_else(|| read_percent(value)),
    };
    let expected = match form {
        Form::Plain => "argument couldn't be parsed into an integer",
        Form::Octal => "argument couldn't be parsed as an octal number",
        Form::Memory => "argument must be a memory value",
        Form::MemoryOrPercent => "argument must be a memory or percent value",
    };
    let number = parsed.ok_or(expected)?;
    if (min..=max).contains(&number) {
        return Ok(number);
    }
    Err(match form {
        Form::Octal => format!("argument must be between {min:o} and {max:o} inclusive"),
        Form::MemoryOrPercent if number < 0 => {
            format!("percentage argument must be less or equal to {}", -min)
        }
        _ => format!("argument must be between {min} and {max} inclusive"),
    })
}

fn read_percent(value: &[u8]) -> Option<i128> {
    let percent = text::strict_integer(value.strip_suffix(b"%")?)?;
    (percent >= 0).then_some(-i128::from(percent))
}
