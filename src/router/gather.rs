//! One answer out of several shards' answers.
//!
//! A gather waits for *fragments* (one per shard); each brings the replies of the *pieces* that ran
//! there. A command is made of one piece, or of one per shard, put together as its row's `Merge`
//! says. An EXEC is an array of such commands.

use crate::base::{ShardId, num};
use crate::command::{CommandId, Merge};
use crate::resp::{ArgsBuf, Proto, Reply};

/// Where one command's answers will be found.
pub struct Pieces {
    pub command: CommandId,
    /// As it was sent; only kept for what the session merges.
    pub args: ArgsBuf,
    pub merge: Option<Merge>,
    /// (fragment, number of the reply in it), in the order in which they merge.
    pub at: Vec<(u16, u32)>,
    /// For `Merge::Elements`: for each key the index in `at` of the piece that holds its element.
    pub order: Vec<u16>,
    pub proto: Proto,
    /// An answer known already (PING inside EXEC, a command that could not be planned).
    pub literal: Option<Vec<u8>>,
}

impl Pieces {
    /// A command whose answer comes from no fragment; `Gather::settle` brings it.
    pub fn to_be_settled(command: CommandId, proto: Proto) -> Self {
        let (args, at, order) = Default::default();
        Pieces { command, args, merge: None, at, order, proto, literal: None }
    }
}

struct Fragment {
    shard: ShardId,
    replies: Option<(Vec<u8>, Vec<u32>)>,
}

pub struct Gather {
    /// The answer is an array of the commands' answers (EXEC).
    pub exec: bool,
    pub proto: Proto,
    commands: Vec<Pieces>,
    fragments: Vec<Fragment>,
    missing: usize,
    aborted: bool,
}

impl Gather {
    pub fn new(exec: bool, proto: Proto) -> Self {
        Gather { exec, proto, commands: Vec::new(), fragments: Vec::new(), missing: 0, aborted: false }
    }

    /// The number of the fragment for a shard, new or known.
    pub fn fragment(&mut self, shard: ShardId) -> u16 {
        if let Some(at) = self.fragments.iter().position(|f| f.shard == shard) {
            return at as u16;
        }
        self.fragments.push(Fragment { shard, replies: None });
        self.missing += 1;
        self.fragments.len() as u16 - 1
    }

    pub fn add(&mut self, pieces: Pieces) {
        self.commands.push(pieces);
    }

    /// Brings the answer of a command that no fragment answers.
    pub fn settle(&mut self, command: usize, answer: Vec<u8>) {
        self.commands[command].literal = Some(answer);
    }

    pub fn is_complete(&self) -> bool {
        self.missing == 0
    }

    /// One shard's replies have come. `ends` delimit them inside `replies`.
    pub fn arrived(&mut self, fragment: u16, replies: Vec<u8>, ends: Vec<u32>) {
        let slot = &mut self.fragments[fragment as usize].replies;
        debug_assert!(slot.is_none());
        *slot = Some((replies, ends));
        self.missing -= 1;
    }

    /// A shard found a watched key changed: nothing ran anywhere.
    pub fn abort(&mut self, fragment: u16) {
        self.aborted = true;
        self.arrived(fragment, Vec::new(), Vec::new());
    }

    /// Writes the whole answer. `session` merges what only it can (`Merge::Session`).
    pub fn write(
        &self,
        out: &mut Vec<u8>,
        proto: Proto,
        mut session: impl FnMut(&Pieces, &[&[u8]], &mut Vec<u8>),
    ) {
        if self.aborted {
            return Reply::new(out, proto).null_array();
        }
        if self.exec {
            Reply::new(out, proto).array(self.commands.len());
        }
        for pieces in &self.commands {
            if let Some(literal) = &pieces.literal {
                out.extend_from_slice(literal);
                continue;
            }
            let answers: Vec<&[u8]> = pieces.at.iter().map(|at| self.reply(*at)).collect();
            match pieces.merge {
                None => out.extend_from_slice(answers[0]),
                Some(Merge::Session) => session(pieces, &answers, out),
                Some(merge) => merge_into(merge, &answers, &pieces.order, pieces.proto, out),
            }
        }
    }

    fn reply(&self, (fragment, number): (u16, u32)) -> &[u8] {
        let (replies, ends) =
            self.fragments[fragment as usize].replies.as_ref().expect("all fragments arrived");
        let number = number as usize;
        let from = if number == 0 { 0 } else { ends[number - 1] as usize };
        &replies[from..ends[number] as usize]
    }
}

/// Puts the answers of one command's pieces together. The first error among them is the answer.
pub fn merge_into(merge: Merge, answers: &[&[u8]], order: &[u16], proto: Proto, out: &mut Vec<u8>) {
    if let Some(error) = answers.iter().find(|a| a.first() == Some(&b'-')) {
        return out.extend_from_slice(error);
    }
    match merge {
        Merge::Ok => out.extend_from_slice(answers[0]),
        Merge::Sum => Reply::new(out, proto).integer(answers.iter().map(|a| header(a).0).sum()),
        Merge::Concat => {
            let total: i64 = answers.iter().map(|a| header(a).0).sum();
            Reply::new(out, proto).array(total as usize);
            answers.iter().for_each(|a| out.extend_from_slice(&a[header(a).1..]));
        }
        Merge::AnyKey => {
            let some = answers.iter().find(|a| !matches!(**a, b"$-1\r\n" | b"_\r\n"));
            out.extend_from_slice(some.unwrap_or(&answers[0]));
        }
        Merge::Elements => {
            Reply::new(out, proto).array(order.len());
            let mut rest: Vec<&[u8]> = answers.iter().map(|a| &a[header(a).1..]).collect();
            for piece in order {
                let rest = &mut rest[*piece as usize];
                let len = element_len(rest);
                out.extend_from_slice(&rest[..len]);
                *rest = &rest[len..];
            }
        }
        Merge::Session => unreachable!("merged by the session"),
    }
}

/// The number in a reply's first line and where that line ends.
fn header(reply: &[u8]) -> (i64, usize) {
    let end = memchr::memchr(b'\r', reply).unwrap_or(reply.len());
    (num::parse_i64(&reply[1..end]).unwrap_or(0), (end + 2).min(reply.len()))
}

/// Length of one bulk string or null at the front of `reply`.
fn element_len(reply: &[u8]) -> usize {
    let (n, end) = header(reply);
    if reply[0] == b'$' && n >= 0 { end + n as usize + 2 } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(merge: Merge, answers: &[&[u8]], order: &[u16]) -> Vec<u8> {
        let mut out = Vec::new();
        merge_into(merge, answers, order, Proto::Resp2, &mut out);
        out
    }

    #[test]
    fn sums_elements_and_arrays_are_put_together() {
        assert_eq!(merged(Merge::Sum, &[b":2\r\n", b":40\r\n"], &[]), b":42\r\n");
        assert_eq!(merged(Merge::Concat, &[b"*1\r\n$1\r\na\r\n", b"*0\r\n"], &[]), b"*1\r\n$1\r\na\r\n");
        let (a, b) = (&b"*2\r\n$1\r\na\r\n$-1\r\n"[..], &b"*1\r\n$0\r\n\r\n"[..]);
        assert_eq!(merged(Merge::Elements, &[a, b], &[0, 1, 0]), b"*3\r\n$1\r\na\r\n$0\r\n\r\n$-1\r\n");
        assert_eq!(merged(Merge::AnyKey, &[b"$-1\r\n", b"$1\r\nk\r\n"], &[]), b"$1\r\nk\r\n");
        assert_eq!(merged(Merge::Ok, &[b"+OK\r\n", b"-OOM x\r\n"], &[]), b"-OOM x\r\n");
    }

    #[test]
    fn an_exec_is_an_array_in_the_order_of_its_commands() {
        let mut g = Gather::new(true, Proto::Resp2);
        let (f0, f1) = (g.fragment(3), g.fragment(1));
        let one = |f, n| Pieces {
            command: 0,
            args: ArgsBuf::new(),
            merge: None,
            at: vec![(f, n)],
            order: vec![],
            proto: Proto::Resp2,
            literal: None,
        };
        g.add(one(f1, 0));
        g.add(one(f0, 0));
        g.add(one(f1, 1));
        assert!(!g.is_complete());
        g.arrived(f1, b":1\r\n:3\r\n".to_vec(), vec![4, 8]);
        g.arrived(f0, b":2\r\n".to_vec(), vec![4]);
        assert!(g.is_complete());
        let mut out = Vec::new();
        g.write(&mut out, Proto::Resp2, |_, _, _| unreachable!());
        assert_eq!(out, b"*3\r\n:1\r\n:2\r\n:3\r\n");
    }
}
