//! The parser against whole commands, against the same bytes cut anywhere, and against rubbish.

use super::*;
use crate::resp::Args;
use proptest::prelude::*;

const PLAIN: Limits = Limits { bulk_max: 512 << 20, inline_max: INLINE_MAX, authenticated: true };
const STRANGER: Limits = Limits { authenticated: false, ..PLAIN };

type Commands = Vec<Vec<Vec<u8>>>;

/// Everything in `pieces`, as a connection would read it: what came out, what was left, what failed.
fn feed<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    limits: &Limits,
) -> (Commands, usize, Option<ProtocolError>) {
    let (mut parser, mut spans, mut inline) = (Parser::new(), Vec::new(), Vec::new());
    let (mut pending, mut commands) = (Vec::new(), Vec::new());
    for piece in pieces {
        pending.extend_from_slice(piece);
        loop {
            // Another connection used the scratch meanwhile.
            spans.truncate(spans.len() / 2);
            inline.push(b'x');
            let args = |bytes, spans: &[Span]| Args::new(bytes, spans).iter().map(<[u8]>::to_vec).collect();
            let consumed = match parser.next(&pending, limits, &mut spans, &mut inline) {
                Ok(Parsed::Command(n)) => {
                    commands.push(args(&pending, &spans));
                    n
                }
                Ok(Parsed::Inline(n)) => {
                    commands.push(args(&inline, &spans));
                    n
                }
                Ok(Parsed::Skip(n)) => n,
                Ok(Parsed::Incomplete { need }) => {
                    assert!(need > pending.len());
                    break;
                }
                Err(error) => return (commands, pending.len(), Some(error)),
            };
            assert!(consumed > 0 && consumed <= pending.len());
            pending.drain(..consumed);
        }
    }
    (commands, pending.len(), None)
}

fn parse(stream: &[u8]) -> (Commands, usize, Option<ProtocolError>) {
    feed([stream].into_iter(), &PLAIN)
}

fn commands(stream: &[u8]) -> Commands {
    let (commands, left, error) = parse(stream);
    assert_eq!((left, error), (0, None));
    commands
}

fn error(stream: &[u8]) -> String {
    let mut reply = Vec::new();
    parse(stream).2.expect("an error").write_reply(&mut reply);
    String::from_utf8_lossy(&reply).into_owned()
}

fn waits(stream: &[u8]) -> bool {
    let (commands, left, error) = parse(stream);
    commands.is_empty() && left > 0 && error.is_none()
}

fn encode(command: &[Vec<u8>]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", command.len()).into_bytes();
    for arg in command {
        out.extend(format!("${}\r\n", arg.len()).bytes());
        out.extend(arg);
        out.extend(b"\r\n");
    }
    out
}

#[test]
fn a_pipeline_comes_out_command_by_command() {
    let stream = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$11\r\nhello\r\nworl\r\n*1\r\n$4\r\nPING\r\nGET k\r\n";
    let want: Commands = vec![
        vec![b"SET".into(), b"k".into(), b"hello\r\nworl".into()],
        vec![b"PING".into()],
        vec![b"GET".into(), b"k".into()],
    ];
    assert_eq!(commands(stream), want);
}

#[test]
fn empty_commands_are_skipped() {
    assert_eq!(commands(b"*0\r\n*-1\r\n*-10\r\n\r\n\n  \r\nPING\r\n\n").len(), 1);
}

#[test]
fn bytes_after_headers_and_bulks_are_not_verified() {
    assert_eq!(commands(b"*1\rX$4\rYPINGZZ"), [[b"PING"]]);
}

#[test]
fn inline_lines_end_in_lf_with_or_without_cr() {
    assert_eq!(commands(b"set a  b\nget\ta\r\n"), [vec![&b"set"[..], b"a", b"b"], vec![b"get", b"a"]]);
    assert_eq!(commands(b"set a \"x\\r\\n\\x00\" 'it\\'s'\r\n"), [[&b"set"[..], b"a", b"x\r\n\0", b"it's"]]);
    assert_eq!(commands(b"\"\"\n"), [[b""]]);
}

#[test]
fn errors_have_redis_words() {
    let rows: &[(&[u8], &str)] = &[
        (b"*\r\n", "invalid multibulk length"),
        (b"*a\r\n", "invalid multibulk length"),
        (b"*+1\r\n", "invalid multibulk length"),
        (b"*01\r\n", "invalid multibulk length"),
        (b"*2147483648\r\n", "invalid multibulk length"),
        (b"*1\n$4\nPING\r\n", "invalid multibulk length"),
        (b"*3\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$\r\n", "invalid bulk length"),
        (b"*1\r\n$00\r\n", "invalid bulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
        (b"*1\r\n$99999999999999999999\r\n", "invalid bulk length"),
        (b"*1\r\n:1\r\n", "expected '$', got ':'"),
        (b"*1\r\nxyz\r\n", "expected '$', got 'x'"),
        (b"*1\r\n\r\n", "expected '$', got ' '"),
        (b"*1\r\n\n\r\n", "expected '$', got ' '"),
        (b"set \"a\r\n", "unbalanced quotes in request"),
        (b"set 'a'b\r\n", "unbalanced quotes in request"),
    ];
    for (stream, text) in rows {
        assert_eq!(error(stream), format!("-ERR Protocol error: {text}\r\n"), "{:?}", stream.escape_ascii());
    }
}

#[test]
fn a_wrong_kind_is_only_seen_with_its_whole_line() {
    assert!(waits(b"*1\r\nx"));
    assert!(waits(b"*1\r\nxyz\r"));
}

#[test]
fn a_nul_hides_the_rest_of_a_line() {
    assert!(waits(b"PING\0\r\n"));
    assert!(waits(b"*1\0\r\n$4\r\nPING\r\n"));
    assert!(waits(b"*1\r\n$4\0\r\nPING\r\n"));
}

#[test]
fn lines_without_an_end_are_refused_above_64_kib() {
    for (start, text) in [
        ("*", "too big mbulk count string"),
        ("*1\r\n$", "too big bulk count string"),
        ("GET ", "too big inline request"),
    ] {
        let line = start.rfind('$').unwrap_or(0);
        let mut stream = start.as_bytes().to_vec();
        stream.resize(line + INLINE_MAX, b'1');
        assert!(waits(&stream), "{text}");
        stream.push(b'1');
        assert_eq!(error(&stream), format!("-ERR Protocol error: {text}\r\n"));
        assert_eq!(parse(&stream).2, feed(stream.chunks(1), &PLAIN).2);
        stream.extend(b"\r\n");
        assert_eq!(error(&stream), format!("-ERR Protocol error: {text}\r\n"));
    }
}

#[test]
fn strangers_may_send_little() {
    let stranger = |stream: &[u8]| feed([stream].into_iter(), &STRANGER).2;
    assert_eq!(stranger(b"*10\r\n"), None);
    assert_eq!(stranger(b"*11\r\n"), Some(ProtocolError::UnauthenticatedMultibulkLength));
    assert_eq!(stranger(b"*1\r\n$16384\r\n"), None);
    assert_eq!(stranger(b"*1\r\n$16385\r\n"), Some(ProtocolError::UnauthenticatedBulkLength));
    assert_eq!(stranger(b"*1\r\n$536870913\r\n"), Some(ProtocolError::InvalidBulkLength));
}

#[test]
fn an_announced_length_reserves_nothing() {
    let (mut parser, mut spans, mut inline) = (Parser::new(), Vec::new(), Vec::new());
    let got = parser.next(b"*2147483647\r\n$536870912\r\n", &PLAIN, &mut spans, &mut inline);
    assert_eq!(got, Ok(Parsed::Incomplete { need: 25 + 536870912 + 2 }));
    assert_eq!(spans.capacity(), 0);
    assert!(parser.cut.is_none());
}

#[test]
fn a_command_that_does_not_fit_in_32_bits_is_refused() {
    let limits = Limits { bulk_max: i64::MAX, ..PLAIN };
    let fed = |stream: &[u8]| feed([stream].into_iter(), &limits).2;
    assert_eq!(fed(b"*1\r\n$4294967275\r\n"), None);
    assert_eq!(fed(b"*1\r\n$4294967295\r\n"), Some(ProtocolError::InvalidBulkLength));
    assert_eq!(fed(b"*1\r\n$9223372036854775807\r\n"), Some(ProtocolError::InvalidBulkLength));
}

#[test]
fn a_long_command_in_pieces_is_read_once() {
    // Each piece must start where the last one stopped: the first half is overwritten after it was
    // read, and nothing may notice.
    let command: Vec<Vec<u8>> = (0..1000).map(|n| format!("argument-{n}").into_bytes()).collect();
    let mut stream = encode(&command);
    let (mut parser, mut spans, mut inline) = (Parser::new(), Vec::new(), Vec::new());
    let half = stream.len() / 2;
    assert!(matches!(
        parser.next(&stream[..half], &PLAIN, &mut spans, &mut inline),
        Ok(Parsed::Incomplete { .. })
    ));
    stream[1..half - 64].fill(b'?');
    let got = parser.next(&stream, &PLAIN, &mut spans, &mut inline);
    assert_eq!(got, Ok(Parsed::Command(stream.len())));
    assert_eq!(Args::new(&stream, &spans).at(999), b"argument-999");
}

/// The rules again, for a whole buffer and with no thought of speed.
fn naive(mut stream: &[u8]) -> (Commands, usize, Option<ProtocolError>) {
    let mut commands = Vec::new();
    loop {
        match naive_one(stream) {
            Ok(Some((command, rest))) => {
                commands.extend((!command.is_empty()).then_some(command));
                stream = rest;
            }
            Ok(None) => return (commands, stream.len(), None),
            Err(error) => return (commands, stream.len(), Some(error)),
        }
    }
}

type NaiveCommand<'a> = Result<Option<(Vec<Vec<u8>>, &'a [u8])>, ProtocolError>;

fn naive_one(stream: &[u8]) -> NaiveCommand<'_> {
    // A line: up to a NUL, and only if its end is there with one byte more for CR.
    let line = |bytes: &[u8], end: u8, extra: usize| {
        let stop = bytes.iter().position(|b| *b == end || *b == 0)?;
        (bytes[stop] == end && stop + 1 + extra <= bytes.len()).then_some(stop)
    };
    if stream.is_empty() {
        return Ok(None);
    }
    if stream[0] != b'*' {
        let Some(end) = line(stream, b'\n', 0) else { return Ok(None) };
        let text = stream[..end].strip_suffix(b"\r").unwrap_or(&stream[..end]);
        let (mut bytes, mut ranges) = (Vec::new(), Vec::new());
        quote::split_words(text, &mut bytes, |r| ranges.push(r))
            .map_err(|_| ProtocolError::UnbalancedQuotes)?;
        return Ok(Some((ranges.into_iter().map(|r| bytes[r].to_vec()).collect(), &stream[end + 1..])));
    }
    let number = |text: &[u8]| {
        let text = std::str::from_utf8(text).ok()?;
        let n: i64 = text.parse().ok()?;
        (n.to_string() == text).then_some(n)
    };
    let Some(end) = line(stream, b'\r', 1) else { return Ok(None) };
    let count = number(&stream[1..end]).filter(|n| *n <= i32::MAX as i64);
    let count = count.ok_or(ProtocolError::InvalidMultibulkLength)?;
    let mut rest = &stream[end + 2..];
    let mut command = Vec::new();
    for _ in 0..count {
        let Some(end) = line(rest, b'\r', 1) else { return Ok(None) };
        if rest[0] != b'$' {
            return Err(ProtocolError::ExpectedBulk(rest[0]));
        }
        let len = number(&rest[1..end]).filter(|n| (0..=PLAIN.bulk_max).contains(n));
        let len = len.ok_or(ProtocolError::InvalidBulkLength)? as usize;
        rest = &rest[end + 2..];
        if rest.len() < len + 2 {
            return Ok(None);
        }
        command.push(rest[..len].to_vec());
        rest = &rest[len + 2..];
    }
    Ok(Some((command, rest)))
}

/// Streams that are mostly right: commands, inline lines, and now and then anything.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let command = proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..30);
    let part = prop_oneof![
        6 => command.prop_map(|c| encode(&c)),
        2 => "[ a-z\"'\\\\]{0,90}\r?\n".prop_map(String::into_bytes),
        1 => "[*$][-0-9]{0,3}\r\n".prop_map(String::into_bytes),
        1 => "[*$\r\n0-9 x\\x00]{0,8}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_split_gives_the_same_commands(stream in streams(), cuts in proptest::collection::vec(1usize..50, 1..20)) {
        let want = naive(&stream);
        prop_assert_eq!(&parse(&stream), &want);
        let mut rest = &stream[..];
        let mut cuts = cuts.iter().cycle();
        let pieces = std::iter::from_fn(|| {
            let (piece, tail) = rest.split_at_checked(*cuts.next()?).unwrap_or((rest, &[]));
            rest = tail;
            (!piece.is_empty()).then_some(piece)
        });
        let got = feed(pieces, &PLAIN);
        prop_assert_eq!((&got.0, got.2), (&want.0, want.2));
        prop_assert!(want.2.is_some() || got.1 == want.1);
        let got = feed(stream.chunks(1), &PLAIN);
        prop_assert_eq!((&got.0, got.2), (&want.0, want.2));
    }

    #[test]
    fn what_is_encoded_parses_back(all in proptest::collection::vec(proptest::collection::vec(any::<Vec<u8>>(), 1..6), 0..6)) {
        let stream: Vec<u8> = all.iter().flat_map(|c| encode(c)).collect();
        prop_assert_eq!(commands(&stream), all);
    }
}
