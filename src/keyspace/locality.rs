//! Locality rules: which part of a key decides on its shard, so that keys that are used together live
//! together. The built-in ones know the client libraries; the configuration adds its own.

/// The part of a key that decides where it lives, by the rules that are always there.
///
/// - `{...}`: Redis Cluster's hash tags.
/// - kombu: a queue's priorities (`q`, `q\x06\x163`, ...) together; `unacked`, `unacked_index` and
///   `unacked_mutex` together.
/// - channels_redis: `<channel>$inflight` with `<channel>`.
/// - Celery chords: `celery-taskset-meta-<id>` with its `.j .t .s .d .c`.
/// - BullMQ: everything of one queue (`bull:<queue>:...`); RQ: `rq:queue:<q>` with `:intermediate`.
pub fn built_in(key: &[u8]) -> &[u8] {
    if let Some(at) = memchr::memchr3(b'{', 0x06, b'$', key) {
        match key[at] {
            b'{' => {
                if let Some(len) = memchr::memchr(b'}', &key[at + 1..]).filter(|len| *len > 0) {
                    return &key[at + 1..at + 1 + len];
                }
            }
            0x06 if key.len() == at + 3 && key[at + 1] == 0x16 => return &key[..at],
            b'$' if &key[at..] == b"$inflight" => return &key[..at],
            _ => {}
        }
    }
    match key.first() {
        Some(b'u') if key.starts_with(b"unacked") => match &key[7..] {
            b"" | b"_index" | b"_mutex" => &key[..7],
            _ => key,
        },
        Some(b'c') if key.starts_with(b"celery-taskset-meta-") => match key {
            [stem @ .., b'.', b'j' | b't' | b's' | b'd' | b'c'] => stem,
            _ => key,
        },
        Some(b'b') if key.starts_with(b"bull:") => match memchr::memchr(b':', &key[5..]) {
            Some(len) => &key[..5 + len],
            None => key,
        },
        Some(b'r') if key.starts_with(b"rq:queue:") => key.strip_suffix(b":intermediate").unwrap_or(key),
        _ => key,
    }
}

/// A rule of the configuration: text in which `*` stands for anything, with one part in braces that is the
/// tag: `tenant:{*}:*`. Without braces, all keys that match live together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pattern: Box<[u8]>,
    pieces: Box<[Piece]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<[u8]>),
    Star,
    Open,
    Close,
}

impl Rule {
    /// Errors say what is wrong with the pattern.
    pub fn parse(pattern: &[u8]) -> Result<Rule, &'static str> {
        let (mut pieces, mut text) = (Vec::new(), Vec::new());
        let (mut open, mut closed) = (false, false);
        for byte in pattern {
            let piece = match byte {
                b'*' => Piece::Star,
                b'{' if open || closed => return Err("a locality rule has one part in braces"),
                b'{' => {
                    open = true;
                    Piece::Open
                }
                b'}' if !open => return Err("a closing brace without an opening one"),
                b'}' => {
                    (open, closed) = (false, true);
                    Piece::Close
                }
                other => {
                    text.push(*other);
                    continue;
                }
            };
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text).into()));
            }
            pieces.push(piece);
        }
        if open {
            return Err("an opening brace without a closing one");
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text.into()));
        }
        Ok(Rule { pattern: pattern.into(), pieces: pieces.into() })
    }

    /// The tag of a key that matches; a star takes as little as it can.
    pub fn tag<'k>(&'k self, key: &'k [u8]) -> Option<&'k [u8]> {
        let (mut at, mut starred) = (0, false);
        // Braces behind a star stand where the next text is found.
        let (mut from, mut to) = (None, None);
        let (mut from_waits, mut to_waits) = (false, false);
        for (i, piece) in self.pieces.iter().enumerate() {
            match piece {
                Piece::Star => starred = true,
                Piece::Open if starred => from_waits = true,
                Piece::Open => from = Some(at),
                Piece::Close if starred => to_waits = true,
                Piece::Close => to = Some(at),
                Piece::Text(text) => {
                    let last = self.pieces[i + 1..].iter().all(|p| matches!(p, Piece::Open | Piece::Close));
                    let found = match (starred, last) {
                        (false, _) => key[at..].starts_with(text).then_some(at)?,
                        (true, true) => key[at..].ends_with(text).then(|| key.len() - text.len())?,
                        (true, false) => at + memchr::memmem::find(&key[at..], text)?,
                    };
                    from = if std::mem::take(&mut from_waits) { Some(found) } else { from };
                    to = if std::mem::take(&mut to_waits) { Some(found) } else { to };
                    (at, starred) = (found + text.len(), false);
                }
            }
        }
        if !starred && at < key.len() {
            return None;
        }
        let from = if from_waits { Some(key.len()) } else { from };
        let to = if to_waits { Some(key.len()) } else { to };
        Some(match (from, to) {
            (Some(from), Some(to)) => &key[from..to],
            _ => &self.pattern,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_keep_the_keys_of_one_client_library_together() {
        for (key, expected) in [
            (&b"plain"[..], &b"plain"[..]),
            (b"a{tag}b", b"tag"),
            (b"a{}b", b"a{}b"),
            (b"a{b", b"a{b"),
            (b"celery\x06\x163", b"celery"),
            (b"celery", b"celery"),
            (b"unacked_index", b"unacked"),
            (b"unacked_other", b"unacked_other"),
            (b"asgispecific.ab!$inflight", b"asgispecific.ab!"),
            (b"celery-taskset-meta-7.j", b"celery-taskset-meta-7"),
            (b"bull:mail:42:lock", b"bull:mail"),
            (b"rq:queue:low:intermediate", b"rq:queue:low"),
        ] {
            assert_eq!(built_in(key), expected);
        }
    }

    #[test]
    fn a_rule_finds_its_tag_or_does_not_match() {
        for (pattern, key, tag) in [
            ("tenant:{*}:*", "tenant:a:b:c", Some("a")),
            ("tenant:{*}:*", "tenant:a", None),
            ("tenant:{*}", "tenant:a:b", Some("a:b")),
            ("{*}.meta", "x.meta.meta", Some("x.meta")),
            ("{job*}:*", "job7:x", Some("job7")),
            ("*:{*}:lock", "a:b:lock", Some("b")),
            ("cache:*", "cache:1", Some("cache:*")),
            ("cache:*", "cach", None),
            ("exact", "exact", Some("exact")),
            ("exact", "exactly", None),
            ("a*a", "a", None),
        ] {
            let rule = Rule::parse(pattern.as_bytes()).unwrap();
            assert_eq!(rule.tag(key.as_bytes()), tag.map(str::as_bytes), "{pattern} {key}");
        }
        for wrong in ["{a", "a}", "{a}{b}", "{{a}}"] {
            assert!(Rule::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
