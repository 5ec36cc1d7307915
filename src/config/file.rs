//! The configuration file: lines, `include`, the directives that are no parameters, and what to say when a line
//! is wrong.
//!
//! Invariant: nothing in a file is swallowed. A line is obeyed, refused, or named in a warning. Reads other
//! files only through [`Files`]; called at start, and for the flags, which are read as lines after the file.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::foreign;
use super::parameter::{Concern, Parameter, Severity, Source};
use super::settings::{RenamedCommand, Settings, UserLine};
use super::table;
use super::text::{self, Text, Words};

/// How the parser reaches files. Errors are the words of the operating system.
pub trait Files {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String>;
    fn read_stdin(&self) -> Result<Vec<u8>, String>;
    /// Files that match a shell pattern, sorted; none is no error.
    fn expand(&self, pattern: &Path) -> Vec<PathBuf>;
}

/// A line of input, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// A path, `standard input` or `the command line`.
    pub file: String,
    /// From 1.
    pub line: usize,
    pub text: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}", self.file, self.line)
    }
}

/// Something the operator should read in the log. The level is Redis's: notice or warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    pub place: Option<Place>,
    pub is_notice: bool,
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{} ({place})", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// Why the server does not start. `Display` is what goes to standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    pub place: Option<Place>,
    pub reason: String,
}

impl ConfigError {
    pub fn new(place: Option<Place>, reason: impl Into<String>) -> Self {
        ConfigError { place, reason: reason.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n*** FATAL CONFIG FILE ERROR (Ringdove {}) ***", env!("CARGO_PKG_VERSION"))?;
        if let Some(place) = &self.place {
            writeln!(f, "Reading the configuration file, at line {} of {}", place.line, place.file)?;
            writeln!(f, ">>> '{}'", place.text)?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for ConfigError {}

/// What a start asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    pub file: Option<PathBuf>,
    pub stdin: bool,
    /// The flags, written as lines of a file; see `command_line`.
    pub options: Vec<u8>,
}

#[derive(Debug)]
pub struct Loaded {
    pub settings: Settings,
    pub warnings: Vec<Warning>,
    /// Where each parameter was set last.
    places: HashMap<&'static str, Place>,
}

impl Loaded {
    /// The error for a value that parsed but cannot be applied (a directory that does not exist).
    pub fn reject(&self, parameter: &str, reason: impl Into<String>) -> ConfigError {
        ConfigError::new(self.places.get(parameter).cloned(), reason)
    }
}

/// Reads the file, then standard input, then the flags: the last value of a parameter wins.
pub fn load(sources: &Sources, files: &dyn Files) -> Result<Loaded, ConfigError> {
    let mut loader = Loader {
        files,
        settings: Settings::default(),
        warnings: Vec::new(),
        places: HashMap::new(),
        concerns: Vec::new(),
    };
    if let Some(path) = &sources.file {
        loader.file(path, None, 0)?;
    }
    if sources.stdin {
        let content = files.read_stdin().map_err(|reason| unreadable(None, Path::new("-"), &reason))?;
        loader.lines(&content, "standard input", 0)?;
    }
    loader.lines(&sources.options, "the command line", 0)?;
    loader.finish()
}

/// A file that includes itself must not run the stack out.
const INCLUDE_DEPTH_MAX: usize = 16;

struct Loader<'a> {
    files: &'a dyn Files,
    settings: Settings,
    warnings: Vec<Warning>,
    places: HashMap<&'static str, Place>,
    /// Rows whose last value asks for something that is not built.
    concerns: Vec<(&'static str, Concern)>,
}

fn unreadable(place: Option<Place>, path: &Path, reason: &str) -> ConfigError {
    ConfigError::new(place, format!("Fatal error, can't open config file '{}': {reason}", path.display()))
}

impl Loader<'_> {
    fn file(&mut self, path: &Path, included_at: Option<&Place>, depth: usize) -> Result<(), ConfigError> {
        if depth > INCLUDE_DEPTH_MAX {
            let reason = "include is nested too deep; does a file include itself?";
            return Err(ConfigError::new(included_at.cloned(), reason));
        }
        let content =
            self.files.read(path).map_err(|reason| unreadable(included_at.cloned(), path, &reason))?;
        self.lines(&content, &path.display().to_string(), depth)
    }

    fn lines(&mut self, content: &[u8], name: &str, depth: usize) -> Result<(), ConfigError> {
        let mut commented = Vec::new();
        for (index, line) in content.split(|&byte| byte == b'\n').enumerate() {
            let line = trim(line);
            if line.is_empty() || line[0] == b'#' {
                continue;
            }
            let text = String::from_utf8_lossy(line).into_owned();
            let place = Place { file: name.to_owned(), line: index + 1, text };
            if self.line(line, &place, depth)? {
                commented.push((index + 1).to_string());
            }
        }
        if !commented.is_empty() {
            let lines = commented.join(", ");
            let text = format!(
                "comments after a value were skipped in {name}, line {lines}: Redis itself refuses them"
            );
            self.warnings.push(Warning { place: None, is_notice: true, text });
        }
        Ok(())
    }

    /// Obeys one line; whether a comment stood after its values.
    fn line(&mut self, line: &[u8], place: &Place, depth: usize) -> Result<bool, ConfigError> {
        let fail = |reason: String| ConfigError::new(Some(place.clone()), reason);
        if line.contains(&0) {
            return Err(fail("NUL byte in configuration line".to_owned()));
        }
        let directive =
            read_directive(line).map_err(|_| fail("Unbalanced quotes in configuration line".to_owned()))?;
        let Directive { name, args, comment } = directive;
        if let Some((row, spelled)) = table::find(&name) {
            self.parameter(row, spelled, args, place).map_err(fail)?;
            return Ok(comment.is_some());
        }
        match (name.as_slice(), args.as_slice()) {
            (b"include", [path]) => self.include(path, place, depth)?,
            (b"rename-command", [from, to]) => self.settings.renamed_commands.push(RenamedCommand {
                from: Text::new(from.as_slice()),
                to: Text::new(to.as_slice()),
                place: place.clone(),
            }),
            (b"user", [_, ..]) => self.user(&args, place).map_err(fail)?,
            _ => match foreign::find(&name) {
                Some(known) if known.refused => {
                    return Err(fail(format!("'{}' {}", known.name, known.why)));
                }
                Some(known) => self.warnings.push(Warning {
                    place: Some(place.clone()),
                    is_notice: false,
                    text: format!("'{}' is ignored: it {}", known.name, known.why),
                }),
                None if name.contains(&b'.') => {
                    return Err(fail(
                        "parameters of modules are refused: there are no loadable modules here".to_owned(),
                    ));
                }
                None => return Err(fail("Bad directive or wrong number of arguments".to_owned())),
            },
        }
        Ok(comment.is_some())
    }

    fn parameter(
        &mut self,
        row: &'static Parameter,
        spelled: &str,
        args: Vec<Vec<u8>>,
        place: &Place,
    ) -> Result<(), String> {
        if !row.takes_many() && args.len() != 1 {
            return Err("wrong number of arguments".to_owned());
        }
        // One quoted value stands for several: `--save "900 1 300 10"`.
        let args = match args.as_slice() {
            [only] if row.takes_many() && !only.is_empty() => {
                text::split(only).map_err(|_| "Unbalanced quotes in configuration line")?
            }
            _ => args,
        };
        let first = !self.places.contains_key(row.name);
        row.assign(&mut self.settings, &args, Source::File { first })?;
        self.places.insert(row.name, place.clone());
        self.concerns.retain(|(name, _)| *name != row.name);
        if let Some(concern) = row.concern(&self.settings) {
            if concern.severity == Severity::Refuse {
                return Err(format!("'{spelled}' is refused: {}", concern.text));
            }
            self.concerns.push((row.name, concern));
        }
        Ok(())
    }

    fn include(&mut self, path: &[u8], place: &Place, depth: usize) -> Result<(), ConfigError> {
        let here = matches!(self.settings.dir.as_bytes(), b"." | b"./");
        let written = Path::new(OsStr::from_bytes(path));
        let path = if here { written.to_path_buf() } else { self.settings.dir.as_path().join(written) };
        let is_pattern = written.as_os_str().as_bytes().iter().any(|byte| matches!(byte, b'*' | b'?' | b'['));
        let paths = if is_pattern { self.files.expand(&path) } else { vec![path] };
        for path in paths {
            self.file(&path, Some(place), depth + 1)?;
        }
        Ok(())
    }

    fn user(&mut self, args: &[Vec<u8>], place: &Place) -> Result<(), String> {
        let words: Vec<Text> = args.iter().map(|word| Text::new(word.as_slice())).collect();
        if self.settings.users.iter().any(|other| other.words[0] == words[0]) {
            let name = &words[0];
            return Err(format!("Error in user declaration '{name}': Duplicate user '{name}' found"));
        }
        if !USERS_ARE_BUILT && !is_default_user(args) {
            return Err("'user' is refused: access control lists are not built yet".to_owned());
        }
        self.settings.users.push(UserLine { words, place: place.clone() });
        Ok(())
    }

    fn finish(mut self) -> Result<Loaded, ConfigError> {
        let cluster_replica = self.settings.cluster_enabled && self.settings.replicaof.is_some();
        if cluster_replica {
            return Err(ConfigError::new(None, "replicaof directive not allowed in cluster mode"));
        }
        for (name, concern) in &self.concerns {
            let text = format!("'{name}' has no effect: {}", concern.text);
            self.warnings.push(Warning { place: self.places.get(name).cloned(), is_notice: false, text });
        }
        Ok(Loaded { settings: self.settings, warnings: self.warnings, places: self.places })
    }
}

/// `user` lines are no parameter, so their status stands here.
const USERS_ARE_BUILT: bool = false;

/// The user that exists anyway, allowed everything without a password: CONFIG REWRITE of Redis writes it into every
/// file, so it must load.
fn is_default_user(args: &[Vec<u8>]) -> bool {
    const RULES: [&[u8]; 9] = [
        b"on",
        b"nopass",
        b"sanitize-payload",
        b"~*",
        b"allkeys",
        b"&*",
        b"allchannels",
        b"+@all",
        b"allcommands",
    ];
    let [name, rules @ ..] = args else { return false };
    let has = |one: &[u8], other: &[u8]| rules.iter().any(|rule| rule == one || rule == other);
    name == b"default"
        && rules.iter().all(|rule| RULES.contains(&rule.as_slice()))
        && has(b"on", b"on")
        && has(b"nopass", b"nopass")
        && has(b"~*", b"allkeys")
        && has(b"+@all", b"allcommands")
}

/// A line taken apart.
pub(super) struct Directive<'a> {
    /// In lower case.
    pub name: Vec<u8>,
    pub args: Vec<Vec<u8>>,
    /// From its `#` on.
    pub comment: Option<&'a [u8]>,
}

/// Splits a line. Once a directive has all its values, a word that begins with a bare `#` begins a comment;
/// before that it is a value (`requirepass #secret`), and rules of a `user` may always begin with `#`.
pub(super) fn read_directive(line: &[u8]) -> Result<Directive<'_>, text::Unbalanced> {
    let mut words = Words::new(line);
    let name = words.next_word()?.unwrap_or_default().to_ascii_lowercase();
    let row = table::find(&name).map(|(row, _)| row);
    let complete = |values: usize| match (row, name.as_slice()) {
        (Some(row), _) => row.arity().complete(values),
        (None, b"include") => values == 1,
        (None, b"rename-command") => values == 2,
        (None, b"user") => false,
        (None, _) => values >= 1,
    };
    let mut args = Vec::new();
    while let Some(rest) = words.peek() {
        if rest[0] == b'#' && complete(args.len()) {
            return Ok(Directive { name, args, comment: Some(rest) });
        }
        args.extend(words.next_word()?);
    }
    Ok(Directive { name, args, comment: None })
}

pub(super) fn trim(line: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let start = line.iter().take_while(|byte| blank(byte)).count();
    let end = line.len() - line[start..].iter().rev().take_while(|byte| blank(byte)).count();
    &line[start..end]
}
