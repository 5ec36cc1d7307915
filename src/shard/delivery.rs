//! What a shard is told for its connections: published messages, and keys that clients must no longer
//! believe to know (CLIENT TRACKING). It travels at the end of a parcel and
//! is written to the connections by the shard's own thread, at the parcel's place in its order.
//!
//! The publisher encodes a message once, in RESP2; a RESP3 subscriber gets the same bytes with another
//! first one. A message for many subscribers of a shard is one `Delivery` with a shared list of them, so
//! a fan-out to a group costs one message per shard.

use crate::resp::{Proto, Reply};
use std::sync::Arc;

/// A connection of a shard: its number there, and the low half of its client id, so that a message never
/// reaches a later connection in the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    pub conn: u32,
    pub client: u32,
}

/// The connections of one shard that a message is for.
#[derive(Clone, Debug)]
pub enum To {
    One(Target),
    Many(Arc<Vec<Target>>),
}

impl To {
    pub fn as_slice(&self) -> &[Target] {
        match self {
            To::One(target) => std::slice::from_ref(target),
            To::Many(targets) => targets,
        }
    }
}

/// A message as RESP2 clients read it.
pub type Frame = Arc<[u8]>;

/// What they are told.
#[derive(Clone, Debug)]
pub enum What {
    Message(Frame),
    /// Cached keys, as an array; none: all of them. `redirected`: another client has read them. `own`: the
    /// client itself made them stale, and is told after the answer to that.
    Stale {
        keys: Option<Frame>,
        redirected: bool,
        own: bool,
    },
    /// The client that should be told of stale keys is gone.
    RedirectBroken(u64),
}

pub struct Delivery {
    pub to: To,
    pub what: What,
}

impl Delivery {
    /// Bytes it will add to the outputs of its connections.
    pub fn bytes(&self) -> usize {
        let each = match &self.what {
            What::Message(frame) | What::Stale { keys: Some(frame), .. } => frame.len(),
            What::Stale { keys: None, .. } | What::RedirectBroken(_) => 32,
        };
        each * self.to.as_slice().len()
    }
}

/// `message channel payload`, or `smessage`.
pub fn message(word: &[u8], channel: &[u8], payload: &[u8]) -> Frame {
    frame(&[word, channel, payload])
}

/// `pmessage pattern channel payload`.
pub fn pattern_message(pattern: &[u8], channel: &[u8], payload: &[u8]) -> Frame {
    frame(&[b"pmessage", pattern, channel, payload])
}

fn frame(parts: &[&[u8]]) -> Frame {
    let mut out = Vec::with_capacity(parts.iter().map(|p| p.len() + 16).sum());
    let mut reply = Reply::new(&mut out, Proto::Resp2);
    reply.push(parts.len());
    parts.iter().for_each(|part| reply.bulk(part));
    out.into()
}

/// Writes a frame to an output of either protocol.
pub fn write_frame(frame: &[u8], proto: Proto, out: &mut Vec<u8>) {
    match proto {
        Proto::Resp2 => out.extend_from_slice(frame),
        Proto::Resp3 => {
            out.push(b'>');
            out.extend_from_slice(&frame[1..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_push_in_resp3_and_an_array_in_resp2() {
        let frame = message(b"message", b"c", b"hello");
        let mut out = Vec::new();
        write_frame(&frame, Proto::Resp2, &mut out);
        assert_eq!(out, b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhello\r\n");
        out.clear();
        write_frame(&pattern_message(b"c*", b"c", b""), Proto::Resp3, &mut out);
        assert_eq!(out, b">4\r\n$8\r\npmessage\r\n$2\r\nc*\r\n$1\r\nc\r\n$0\r\n\r\n");
    }
}
