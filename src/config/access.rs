//! CONFIG GET and CONFIG SET.
//!
//! Invariant: a SET is all or nothing: it makes new settings from old ones, and whoever cannot apply them drops
//! them. Called by the CONFIG command; applying (new listeners, a new log level) is the caller's.

use crate::base::glob;

use super::parameter::{Concern, Parameter, Severity, Source};
use super::settings::Settings;
use super::table;

/// Names and values for the patterns; each name once. A pattern without `*`, `?` or `[` is a name, which is
/// given back as the client wrote it and may be one that patterns do not show.
pub fn get<P: AsRef<[u8]>>(settings: &Settings, patterns: &[P]) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: &str, row: &Parameter| {
        if !found.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            found.push((name.to_owned(), row.text(settings)));
        }
    };
    for pattern in patterns {
        let pattern = pattern.as_ref();
        if !pattern.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[')) {
            if let (Some((row, _)), Ok(name)) = (table::find(pattern), std::str::from_utf8(pattern)) {
                add(name, row);
            }
            continue;
        }
        for row in table::rows().filter(|row| !row.hidden) {
            for name in [Some(row.name), row.alias].into_iter().flatten() {
                if glob::matches(pattern, name.as_bytes(), true) {
                    add(name, row);
                }
            }
        }
    }
    found
}

/// What CONFIG SET would make.
#[derive(Debug)]
pub struct Change {
    pub settings: Settings,
    /// The rows whose side effects are to be applied, in the order of the arguments.
    pub changed: Vec<&'static Parameter>,
    /// For the log: values that are kept but have no effect yet.
    pub warnings: Vec<String>,
}

impl std::fmt::Debug for Parameter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Parameter({})", self.name)
    }
}

/// Who asks, and when.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asker {
    /// Connected over loopback or the Unix socket.
    pub is_local: bool,
    /// The server is still loading its data.
    pub loading: bool,
}

/// Why nothing was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetError {
    Syntax,
    Loading,
    Unknown(Vec<u8>),
    Failed { name: Vec<u8>, reason: String },
}

impl SetError {
    /// For a value that could not be applied: `SetError::apply("port", "Unable to listen on this port. Check
    /// server logs.")`.
    pub fn apply(name: &str, reason: impl Into<String>) -> Self {
        SetError::Failed { name: name.as_bytes().to_vec(), reason: reason.into() }
    }

    /// The line of the error reply, without `-` and line end.
    pub fn reply(&self) -> Vec<u8> {
        let mut line = match self {
            SetError::Syntax => b"ERR syntax error".to_vec(),
            SetError::Loading => b"LOADING Redis is loading the dataset in memory".to_vec(),
            SetError::Unknown(name) => {
                [b"ERR Unknown option or number of arguments for CONFIG SET - '", name.as_slice(), b"'"]
                    .concat()
            }
            SetError::Failed { name, reason } => [
                b"ERR CONFIG SET failed (possibly related to argument '",
                name.as_slice(),
                b"') - ",
                reason.as_bytes(),
            ]
            .concat(),
        };
        for byte in &mut line {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        line
    }
}

type Found = (&'static Parameter, &'static str);

/// The arguments after `CONFIG SET`: names and values in turn.
pub fn set<A: AsRef<[u8]>>(settings: &Settings, args: &[A], asker: Asker) -> Result<Change, SetError> {
    if args.is_empty() || !args.len().is_multiple_of(2) {
        return Err(SetError::Syntax);
    }
    let mut found: Vec<Found> = Vec::new();
    for pair in args.chunks(2) {
        found.push(admit(settings, pair[0].as_ref(), pair[1].as_ref(), &found, asker)?);
    }
    let mut next = settings.clone();
    let mut warnings = Vec::new();
    for ((row, spelled), pair) in found.iter().zip(args.chunks(2)) {
        let fail = |reason| SetError::Failed { name: spelled.as_bytes().to_vec(), reason };
        row.assign(&mut next, &value_words(row, pair[1].as_ref()), Source::ConfigSet).map_err(fail)?;
        match row.concern(&next) {
            Some(Concern { severity: Severity::Warn, text }) => {
                warnings.push(format!("'{spelled}' has no effect: {text}"));
            }
            // Already so since start: setting it again asks for nothing new.
            Some(concern) if row.text(&next) != row.text(settings) => return Err(fail(concern.text)),
            _ => {}
        }
    }
    let changed = found.iter().map(|(row, _)| *row);
    let changed = changed.filter(|row| row.volatile || row.text(&next) != row.text(settings)).collect();
    Ok(Change { settings: next, changed, warnings })
}

/// Whether this client may set this parameter now.
fn admit(
    settings: &Settings,
    name: &[u8],
    value: &[u8],
    before: &[Found],
    asker: Asker,
) -> Result<Found, SetError> {
    let (row, spelled) = table::find(name).ok_or_else(|| SetError::Unknown(name.to_vec()))?;
    let fail = |reason: &str| Err(SetError::Failed { name: name.to_vec(), reason: reason.to_owned() });
    // Our own parameters show up where a tool of Redis sets every name to the value it read: let it.
    if row.immutable && !(row.ours && row.text(settings) == value) {
        return fail("can't set immutable config");
    }
    if row.protected && !settings.enable_protected_configs.allows(asker.is_local) {
        return fail("can't set protected config");
    }
    if asker.loading && row.deny_loading {
        return Err(SetError::Loading);
    }
    if before.iter().any(|(_, other)| *other == spelled) {
        return fail("duplicate parameter");
    }
    Ok((row, spelled))
}

/// A value for several words is split at each single blank; the empty value is no word.
fn value_words(row: &Parameter, value: &[u8]) -> Vec<Vec<u8>> {
    if !row.takes_many() {
        return vec![value.to_vec()];
    }
    if value.is_empty() {
        return Vec::new();
    }
    value.split(|&byte| byte == b' ').map(<[u8]>::to_vec).collect()
}

/// Whether the value of a parameter must be kept out of logs.
pub fn is_sensitive(name: &[u8]) -> bool {
    table::find(name).is_some_and(|(row, _)| row.sensitive)
}
