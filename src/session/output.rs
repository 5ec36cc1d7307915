//! The output of a connection as bytes in order: first the pieces of a long reply, then `Session::out`,
//! which everybody appends to. A reply of many megabytes is never copied as a whole, and never one block
//! of memory.

use super::Session;
use std::collections::VecDeque;

/// Pieces of output that come before `Session::out`.
#[derive(Default)]
pub struct Long {
    pieces: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Session {
    /// Bytes of output that the driver has not been given.
    pub fn output_len(&self) -> usize {
        self.long.bytes + self.out.len()
    }

    /// Bytes that are kept for this client beside `out`, and of which nothing has gone.
    pub fn unfinished_bytes(&self) -> usize {
        self.long.bytes + self.pending.bytes() + self.walk.as_ref().map_or(0, |walk| walk.bytes())
    }

    /// Appends a reply in pieces.
    pub fn append_long(&mut self, pieces: impl IntoIterator<Item = Vec<u8>>) {
        let before = std::mem::take(&mut self.out);
        for piece in std::iter::once(before).chain(pieces).filter(|piece| !piece.is_empty()) {
            self.long.bytes += piece.len();
            self.long.pieces.push_back(piece);
        }
    }

    /// Takes output that may go, all of it if it lies in one piece. `spare` is an empty buffer to go on with.
    pub fn take_output(&mut self, spare: &mut Vec<u8>) -> Vec<u8> {
        let ready = self.releasable;
        let output = match self.long.pieces.pop_front() {
            Some(mut piece) => {
                if piece.len() > ready {
                    let rest = piece.split_off(ready);
                    self.long.pieces.push_front(rest);
                }
                self.long.bytes -= piece.len();
                piece
            }
            None if ready == self.out.len() => std::mem::replace(&mut self.out, std::mem::take(spare)),
            None => {
                let rest = self.out.split_off(ready);
                std::mem::replace(&mut self.out, rest)
            }
        };
        self.releasable -= output.len();
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// However replies are written and released, the same bytes leave in the same order.
        #[test]
        fn output_leaves_in_order(steps in prop::collection::vec((0..4u8, 0..50usize), 0..80)) {
            let mut session = Session::new(1, Default::default(), 0);
            let (mut next, mut sent) = (0u8, Vec::new());
            let mut bytes = |len: usize| -> Vec<u8> {
                (0..len).map(|_| { next = next.wrapping_add(1); next }).collect()
            };
            let mut written = Vec::new();
            for (what, len) in steps {
                match what {
                    0 => {
                        let reply = bytes(len);
                        written.extend_from_slice(&reply);
                        session.out.extend_from_slice(&reply);
                    }
                    1 => {
                        let pieces: Vec<_> = (0..len % 4).map(|_| bytes(len)).collect();
                        written.extend(pieces.concat());
                        session.append_long(pieces);
                    }
                    2 => session.releasable = session.output_len().min(session.releasable + len),
                    _ if session.releasable > 0 => sent.extend(session.take_output(&mut Vec::new())),
                    _ => {}
                }
                prop_assert_eq!(session.output_len(), written.len() - sent.len());
            }
            session.releasable = session.output_len();
            while session.releasable > 0 {
                sent.extend(session.take_output(&mut Vec::new()));
            }
            prop_assert_eq!(sent, written);
        }
    }
}
