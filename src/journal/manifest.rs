//! The manifest: which files make up the append-only file, in Redis 7's format.
//!
//! ```text
//! file appendonly.aof.2.base.rdb seq 2 type b      at most one base, first
//! file appendonly.aof.1.incr.aof seq 1 type h      history: no longer needed, to be removed
//! file "append only.aof.2.incr.aof" seq 2 type i   increments, sequence rising
//! ```
//!
//! Invariant: what `parse` accepts, `to_bytes` writes so that Redis and `parse` read the same.
//! Called by boot and the persistence actor; `disk` says in which steps it gets to the disk.

/// What a line of the manifest is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    Base,
    History,
    Incr,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    pub name: String,
    pub seq: u64,
    pub kind: FileType,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    pub base: Option<FileInfo>,
    pub history: Vec<FileInfo>,
    pub incr: Vec<FileInfo>,
}

/// Why a manifest is refused; `what` is Redis's sentence, `line` counts from 1 (0: no line).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    pub what: &'static str,
    pub line: usize,
    pub text: String,
}

impl std::fmt::Display for ManifestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.what),
            line => {
                write!(f, "{} (reading the manifest file, at line {line} >>> '{}')", self.what, self.text)
            }
        }
    }
}

impl std::error::Error for ManifestError {}

/// Longest line Redis reads.
const LINE_MAX: usize = 1024;
const INVALID: &str = "Invalid AOF manifest file format";

impl Manifest {
    pub fn parse(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        let mut manifest = Manifest::default();
        if bytes.is_empty() {
            return Err(ManifestError { what: "Found an empty AOF manifest", line: 0, text: String::new() });
        }
        for (i, line) in bytes.split_inclusive(|&b| b == b'\n').enumerate() {
            if line.starts_with(b"#") {
                continue;
            }
            manifest.add_line(line).map_err(|what| ManifestError {
                what,
                line: i + 1,
                text: String::from_utf8_lossy(line.trim_ascii()).into_owned(),
            })?;
        }
        Ok(manifest)
    }

    fn add_line(&mut self, line: &[u8]) -> Result<(), &'static str> {
        // A last line without its end is a torn file to us and a long line to Redis.
        if !line.ends_with(b"\n") || line.len() > LINE_MAX {
            return Err("The AOF manifest file contains too long line");
        }
        let info = parse_line(line)?;
        match info.kind {
            FileType::Base if self.base.is_some() => return Err("Found duplicate base file information"),
            FileType::Base => self.base = Some(info),
            FileType::History => self.history.push(info),
            FileType::Incr if info.seq <= self.incr_seq() => {
                return Err("Found a non-monotonic sequence number");
            }
            FileType::Incr => self.incr.push(info),
        }
        Ok(())
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for info in self.base.iter().chain(&self.history).chain(&self.incr) {
            let kind = match info.kind {
                FileType::Base => 'b',
                FileType::History => 'h',
                FileType::Incr => 'i',
            };
            out.extend_from_slice(b"file ");
            put_name(&info.name, &mut out);
            out.extend_from_slice(format!(" seq {} type {kind}\n", info.seq).as_bytes());
        }
        out
    }

    /// Names no data at all.
    pub fn is_empty(&self) -> bool {
        self.base.is_none() && self.incr.is_empty()
    }

    /// The files to load, in order; true with the last, whose torn end may be cut.
    pub fn to_load(&self) -> impl Iterator<Item = (&FileInfo, bool)> {
        let count = self.incr.len() + self.base.iter().len();
        self.base.iter().chain(&self.incr).enumerate().map(move |(i, info)| (info, i + 1 == count))
    }

    /// Sequence number of the newest increment, 0 if there is none.
    pub fn incr_seq(&self) -> u64 {
        self.incr.last().map_or(0, |info| info.seq)
    }

    pub fn base_seq(&self) -> u64 {
        self.base.as_ref().map_or(0, |info| info.seq)
    }
}

fn parse_line(line: &[u8]) -> Result<FileInfo, &'static str> {
    let words = split_args(line.trim_ascii()).ok_or(INVALID)?;
    // More pairs than three, and keys nobody knows, are for servers to come.
    if words.len() < 6 || words.len() % 2 != 0 {
        return Err(INVALID);
    }
    let (mut name, mut seq, mut kind) = (None, 0, None);
    for pair in words.chunks_exact(2) {
        let (key, value) = (&pair[0], &pair[1]);
        if key.eq_ignore_ascii_case(b"file") {
            if value.iter().any(|b| matches!(b, b'/' | b'\\')) {
                return Err("File can't be a path, just a filename");
            }
            name = Some(String::from_utf8(value.clone()).map_err(|_| INVALID)?);
        } else if key.eq_ignore_ascii_case(b"seq") {
            seq = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok()).unwrap_or(0);
        } else if key.eq_ignore_ascii_case(b"type") {
            kind = value.first().copied();
        }
    }
    let (Some(name), true, Some(kind)) = (name, seq > 0, kind) else { return Err(INVALID) };
    let kind = match kind {
        b'b' => FileType::Base,
        b'h' => FileType::History,
        b'i' => FileType::Incr,
        _ => return Err("Unknown AOF file type"),
    };
    Ok(FileInfo { name, seq, kind })
}

/// Splits a line into words the way Redis's configuration lines are: blanks, `'...'`, and `"..."`
/// with escapes. `None` if a quote is not closed or something follows it at once.
fn split_args(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let (word, after) = word(rest)?;
        words.push(word);
        rest = after.trim_ascii_start();
    }
    Some(words)
}

fn word(line: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    let mut i = 0;
    while let Some(&byte) = line.get(i) {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => break,
            quote @ (b'"' | b'\'') => {
                i += 1;
                loop {
                    match (*line.get(i)?, line.get(i + 1)) {
                        (b, _) if b == quote => break,
                        (b'\\', Some(b'\'')) if quote == b'\'' => {
                            word.push(b'\'');
                            i += 2;
                        }
                        (b'\\', Some(_)) if quote == b'"' => {
                            let (value, used) = unescape(&line[i + 1..]);
                            word.push(value);
                            i += 1 + used;
                        }
                        (b, _) => {
                            word.push(b);
                            i += 1;
                        }
                    }
                }
                let after = &line[i + 1..];
                let closed = after.first().is_none_or(|b| b.is_ascii_whitespace());
                return closed.then_some((word, after));
            }
            byte => {
                word.push(byte);
                i += 1;
            }
        }
    }
    Some((word, &line[i..]))
}

/// The byte that the characters behind a backslash mean, and how many they are.
fn unescape(escape: &[u8]) -> (u8, usize) {
    if let [b'x', high, low, ..] = *escape {
        let digit = |d: u8| (d as char).to_digit(16);
        if let (Some(high), Some(low)) = (digit(high), digit(low)) {
            return ((high * 16 + low) as u8, 3);
        }
    }
    let value = match escape[0] {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        other => other,
    };
    (value, 1)
}

/// Bare where Redis writes it bare, otherwise in quotes; also with a `'`, which Redis 7.0 writes bare
/// and then cannot read.
fn put_name(name: &str, out: &mut Vec<u8>) {
    if name.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'\'')) {
        out.extend_from_slice(name.as_bytes());
        return;
    }
    out.push(b'"');
    for byte in name.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            7 => out.extend_from_slice(b"\\a"),
            8 => out.extend_from_slice(b"\\b"),
            b' ' => out.push(b' '),
            byte if byte.is_ascii_graphic() => out.push(byte),
            byte => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REDIS: &str = "file appendonly.aof.2.base.rdb seq 2 type b\n\
                         file appendonly.aof.1.incr.aof seq 1 type h\n\
                         file appendonly.aof.4.incr.aof seq 4 type i\n\
                         file appendonly.aof.5.incr.aof seq 5 type i\n";

    #[test]
    fn what_redis_writes_comes_back_the_same() {
        let m = Manifest::parse(REDIS.as_bytes()).unwrap();
        assert_eq!((m.base_seq(), m.incr_seq(), m.history.len()), (2, 5, 1));
        assert_eq!(m.to_bytes(), REDIS.as_bytes());
        let order: Vec<_> = m.to_load().map(|(info, last)| (info.seq, last)).collect();
        assert_eq!(order, [(2, false), (4, false), (5, true)]);
    }

    #[test]
    fn comments_unknown_keys_case_and_quotes_are_read() {
        let m = Manifest::parse(b"# hello\n  FILE \"a \\x41\\\"b\" Seq 3 size 12 type incr\n").unwrap();
        assert_eq!(m.incr, [FileInfo { name: "a A\"b".into(), seq: 3, kind: FileType::Incr }]);
        let m = Manifest::parse(b"file 'it\\'s' seq 1 type b\n").unwrap();
        assert_eq!(m.base.unwrap().name, "it's");
    }

    #[test]
    fn errors_are_named_as_redis_names_them() {
        for (text, what) in [
            ("", "Found an empty AOF manifest"),
            ("file a seq 1 type b", "The AOF manifest file contains too long line"),
            ("\n", INVALID),
            ("file a seq 1\n", INVALID),
            ("file a seq 1 type b x\n", INVALID),
            ("file a seq 0 type b\n", INVALID),
            ("file a seq x type b\n", INVALID),
            ("name a seq 1 type b\n", INVALID),
            ("file \"a seq 1 type b\n", INVALID),
            ("file \"a\"b seq 1 type b\n", INVALID),
            ("file d/a seq 1 type b\n", "File can't be a path, just a filename"),
            ("file a seq 1 type x\n", "Unknown AOF file type"),
            ("file a seq 1 type b\nfile b seq 2 type b\n", "Found duplicate base file information"),
            ("file a seq 2 type i\nfile b seq 2 type i\n", "Found a non-monotonic sequence number"),
        ] {
            assert_eq!(Manifest::parse(text.as_bytes()).unwrap_err().what, what, "{text:?}");
        }
        let long = format!("file {} seq 1 type b\n", "a".repeat(1100));
        let error = Manifest::parse(long.as_bytes()).unwrap_err();
        assert_eq!((error.what, error.line), ("The AOF manifest file contains too long line", 1));
        let error = Manifest::parse(b"file a seq 1 type b\nbad\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "Invalid AOF manifest file format (reading the manifest file, at line 2 >>> 'bad')"
        );
    }

    proptest! {
        #[test]
        fn any_name_survives(name in "[^/\\\\]{1,40}", seq in 1u64..) {
            let m = Manifest {
                base: Some(FileInfo { name, seq, kind: FileType::Base }),
                ..Manifest::default()
            };
            prop_assert_eq!(Manifest::parse(&m.to_bytes()), Ok(m));
        }

        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Manifest::parse(&bytes);
        }
    }
}
