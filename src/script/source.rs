//! A script as a client sends it: its body, its name, and the flags of a shebang line. What is said in
//! the first line is settled here; whether the rest is Lua is the `Vm`'s to say.

use crate::base::quote::split_words;
use sha1::{Digest, Sha1};

/// What a script or a function declares about itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ScriptFlags(u8);

impl ScriptFlags {
    pub const NO_WRITES: ScriptFlags = ScriptFlags(1);
    pub const ALLOW_OOM: ScriptFlags = ScriptFlags(2);
    pub const ALLOW_STALE: ScriptFlags = ScriptFlags(4);
    pub const NO_CLUSTER: ScriptFlags = ScriptFlags(8);
    pub const ALLOW_CROSS_SLOT: ScriptFlags = ScriptFlags(16);

    /// All flags and their names, in the order FUNCTION LIST shows them.
    pub const NAMES: [(ScriptFlags, &'static str); 5] = [
        (Self::NO_WRITES, "no-writes"),
        (Self::ALLOW_OOM, "allow-oom"),
        (Self::ALLOW_STALE, "allow-stale"),
        (Self::NO_CLUSTER, "no-cluster"),
        (Self::ALLOW_CROSS_SLOT, "allow-cross-slot-keys"),
    ];

    pub fn contains(self, flag: ScriptFlags) -> bool {
        self.0 & flag.0 != 0
    }

    pub fn insert(&mut self, flag: ScriptFlags) {
        self.0 |= flag.0;
    }

    /// The names of what is set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(flag, _)| self.contains(*flag)).map(|(_, name)| name)
    }
}

/// A script of EVAL or SCRIPT LOAD.
#[derive(Debug)]
pub struct Script {
    sha: [u8; 20],
    hex: [u8; 40],
    body: Box<[u8]>,
    /// Where Lua begins: the line feed after the shebang, so that line numbers stay.
    code_from: usize,
    flags: Option<ScriptFlags>,
}

impl Script {
    /// Reads the shebang. The error is the text after `-ERR `.
    pub fn parse(body: &[u8]) -> Result<Script, Vec<u8>> {
        let (code_from, flags) = match body.starts_with(b"#!") {
            true => shebang(body).map(|(end, flags)| (end, Some(flags)))?,
            false => (0, None),
        };
        let sha: [u8; 20] = Sha1::digest(body).into();
        Ok(Script { sha, hex: hex(&sha), body: body.into(), code_from, flags })
    }

    pub fn sha(&self) -> &[u8; 20] {
        &self.sha
    }

    /// The name clients know it by: 40 lower case digits.
    pub fn hex(&self) -> &[u8; 40] {
        &self.hex
    }

    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// What Lua compiles.
    pub fn code(&self) -> &[u8] {
        &self.body[self.code_from..]
    }

    /// None for a script without a shebang, which is held to nothing.
    pub fn flags(&self) -> Option<ScriptFlags> {
        self.flags
    }
}

/// The SHA1 of a script's body as clients write it.
pub fn sha1_hex(body: &[u8]) -> [u8; 40] {
    hex(&Sha1::digest(body).into())
}

fn hex(sha: &[u8; 20]) -> [u8; 40] {
    let mut hex = [0; 40];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(sha) {
        pair.copy_from_slice(&[
            b"0123456789abcdef"[(byte >> 4) as usize],
            b"0123456789abcdef"[(byte & 15) as usize],
        ]);
    }
    hex
}

/// The end of the shebang line, and the flags in it.
fn shebang(body: &[u8]) -> Result<(usize, ScriptFlags), Vec<u8>> {
    let end = line_end(body).ok_or("Invalid script shebang")?;
    let parts = words(&body[..end]).filter(|parts| !parts.is_empty());
    let parts = parts.ok_or("Invalid engine in script shebang")?;
    if parts[0] != b"#!lua" {
        return Err([b"Unexpected engine in script shebang: ", &parts[0][..]].concat());
    }
    let mut flags = ScriptFlags::default();
    for part in &parts[1..] {
        let Some(list) = part.strip_prefix(b"flags=") else {
            return Err([b"Unknown lua shebang option: ", &part[..]].concat());
        };
        // An empty list has no flags; an empty flag in a list is unknown.
        for name in list.split(|b| *b == b',').filter(|_| !list.is_empty()) {
            let known = ScriptFlags::NAMES.iter().find(|(_, known)| known.as_bytes() == name);
            match known {
                Some((flag, _)) => flags.insert(*flag),
                None => return Err([b"Unexpected flag in script shebang: ".as_slice(), name].concat()),
            }
        }
    }
    Ok((end, flags))
}

/// The words of a shebang line; none when a quote in it never closes.
pub(super) fn words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut text, mut ranges) = (Vec::new(), Vec::new());
    split_words(line, &mut text, |range| ranges.push(range)).ok()?;
    Some(ranges.into_iter().map(|range| text[range].to_vec()).collect())
}

/// Where the first line ends, as C sees it: a zero byte ends the search.
pub(super) fn line_end(body: &[u8]) -> Option<usize> {
    let at = body.iter().position(|b| matches!(b, b'\n' | 0))?;
    (body[at] == b'\n').then_some(at)
}
