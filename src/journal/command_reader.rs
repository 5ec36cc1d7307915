//! One command of an append-only file: a RESP array of bulk strings and nothing else.
//!
//! Stricter than the parser for clients (no inline commands, canonical numbers, CRLF checked),
//! because here whatever is odd is damage. It keeps its place, so that a command that arrives in a
//! thousand pieces is scanned once. Called by `replay`; it never reads behind the command.

use crate::resp::Span;

#[derive(Clone, Debug, Default)]
pub(super) struct CommandReader {
    /// Bytes of the command that have been understood.
    cursor: usize,
    args_left: Option<usize>,
    /// Relative to the first byte of the command.
    pub spans: Vec<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// A whole command of so many bytes; its arguments are in `spans`.
    Whole(usize),
    /// All right so far.
    More,
    /// Not a command: the first byte that is wrong.
    Malformed(usize),
}

/// Longest command; offsets of arguments are 32 bits wide.
const COMMAND_BYTES_MAX: usize = u32::MAX as usize;
const DIGITS_MAX: usize = 10;

impl CommandReader {
    pub fn reset(&mut self) {
        self.cursor = 0;
        self.args_left = None;
        self.spans.clear();
    }

    /// `bytes` begin with the command's first byte, in every call until the command is whole.
    pub fn read(&mut self, bytes: &[u8]) -> Read {
        loop {
            match self.args_left {
                None => match line(bytes, self.cursor, b'*') {
                    Ok(Some((0, _))) => return Read::Malformed(self.cursor + 1),
                    Ok(Some((argc, end))) => {
                        self.args_left = Some(argc);
                        self.cursor = end;
                    }
                    Ok(None) => return Read::More,
                    Err(at) => return Read::Malformed(at),
                },
                Some(0) => return Read::Whole(self.cursor),
                Some(left) => {
                    let (len, start) = match line(bytes, self.cursor, b'$') {
                        Ok(Some(found)) => found,
                        Ok(None) => return Read::More,
                        Err(at) => return Read::Malformed(at),
                    };
                    let end = start + len;
                    if end > COMMAND_BYTES_MAX {
                        return Read::Malformed(self.cursor);
                    }
                    for (i, wanted) in [(end, b'\r'), (end + 1, b'\n')] {
                        match bytes.get(i) {
                            None => return Read::More,
                            Some(&byte) if byte != wanted => return Read::Malformed(i),
                            Some(_) => {}
                        }
                    }
                    self.spans.push(Span { start: start as u32, len: len as u32 });
                    self.cursor = end + 2;
                    self.args_left = Some(left - 1);
                }
            }
        }
    }
}

/// Reads `*12\r\n` at `at`: the number and the offset behind the line.
fn line(bytes: &[u8], at: usize, kind: u8) -> Result<Option<(usize, usize)>, usize> {
    let Some(&first) = bytes.get(at) else { return Ok(None) };
    if first != kind {
        return Err(at);
    }
    let mut value = 0usize;
    let digits = at + 1;
    for i in digits.. {
        let Some(&byte) = bytes.get(i) else { return Ok(None) };
        match byte {
            b'0'..=b'9' if i - digits < DIGITS_MAX && (i == digits || value > 0) => {
                value = value * 10 + (byte - b'0') as usize;
            }
            b'\r' if i > digits => {
                return match bytes.get(i + 1) {
                    None => Ok(None),
                    Some(b'\n') => Ok(Some((value, i + 2))),
                    Some(_) => Err(i + 1),
                };
            }
            _ => return Err(i),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn once(bytes: &[u8]) -> Read {
        CommandReader::default().read(bytes)
    }

    #[test]
    fn reads_a_command_in_pieces_and_stops_behind_it() {
        let bytes = b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n*1\r\n";
        let mut reader = CommandReader::default();
        for n in 0..19 {
            assert_eq!(reader.read(&bytes[..n]), Read::More, "{n}");
        }
        assert_eq!(reader.read(bytes), Read::Whole(19));
        assert_eq!(reader.spans, [Span { start: 8, len: 3 }, Span { start: 17, len: 0 }]);
    }

    #[test]
    fn what_is_odd_is_damage() {
        for (bytes, at) in [
            (&b"PING\r\n"[..], 0),
            (b"*0\r\n", 1),
            (b"*-1\r\n", 1),
            (b"*\r\n", 1),
            (b"*01\r\n", 2),
            (b"*1\n", 2),
            (b"*1\r\r", 3),
            (b"*1\r\n+OK\r\n", 4),
            (b"*1\r\n$1\r\nab", 9),
            (b"*1\r\n$1\r\na\0\0", 9),
            (b"*1\r\n$99999999999\r\n", 15),
            (b"*1\r\n$9999999999\r\n", 4),
        ] {
            assert_eq!(once(bytes), Read::Malformed(at), "{}", bytes.escape_ascii());
        }
    }
}
