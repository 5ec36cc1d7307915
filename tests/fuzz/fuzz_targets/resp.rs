//! The request parser, chunked against whole: however a stream is cut, the same commands and the same
//! error come out, no bytes are invented, and nothing panics.
//!
//! The first byte of the input picks the limits, the second the seed of the cuts; the rest is the
//! stream.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringdove::resp::{Args, Limits, Parsed, Parser, ProtocolError, Span};

type Outcome = (Vec<Vec<Vec<u8>>>, Option<ProtocolError>);

fn read(pieces: impl Iterator<Item = usize>, stream: &[u8], limits: &Limits) -> Outcome {
    let (mut parser, mut spans, mut inline) = (Parser::new(), Vec::new(), Vec::new());
    let (mut commands, mut start, mut end) = (Vec::new(), 0, 0);
    for piece in pieces {
        end = (end + piece).min(stream.len());
        loop {
            let pending = &stream[start..end];
            let copy =
                |bytes: &[u8], spans: &[Span]| Args::new(bytes, spans).iter().map(<[u8]>::to_vec).collect();
            let consumed = match parser.next(pending, limits, &mut spans, &mut inline) {
                Ok(Parsed::Command(consumed)) => {
                    commands.push(copy(pending, &spans));
                    consumed
                }
                Ok(Parsed::Inline(consumed)) => {
                    commands.push(copy(&inline, &spans));
                    consumed
                }
                Ok(Parsed::Skip(consumed)) => consumed,
                Ok(Parsed::Incomplete { need }) => {
                    assert!(need > pending.len());
                    break;
                }
                Err(error) => return (commands, Some(error)),
            };
            assert!(0 < consumed && consumed <= pending.len());
            start += consumed;
        }
        assert!(spans.capacity() <= stream.len() + 16);
        if end == stream.len() {
            break;
        }
    }
    (commands, None)
}

fuzz_target!(|input: &[u8]| {
    let [limit, seed, stream @ ..] = input else { return };
    let limits = Limits {
        bulk_max: if limit & 1 == 0 { 512 << 20 } else { 100 },
        inline_max: if limit & 2 == 0 { 64 * 1024 } else { 40 },
        authenticated: limit & 4 == 0,
    };
    let whole = read(std::iter::once(usize::MAX / 2), stream, &limits);
    let mut state = *seed as usize;
    let cuts = std::iter::repeat_with(|| {
        state = state.wrapping_mul(25214903917).wrapping_add(11);
        1 + (state >> 16) % (1 + *seed as usize / 2)
    });
    assert_eq!(read(cuts, stream, &limits), whole);
    assert_eq!(read(std::iter::repeat(1), stream, &limits), whole);
});
