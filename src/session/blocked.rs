//! A client in a blocking command, as its home sees it; and pops whose replies have not reached it.

use crate::base::Millis;
use crate::keyspace::Waiter;
use crate::resp::ArgsBuf;
use std::sync::Arc;

/// A blocking command that has no reply yet.
pub struct Blocked {
    pub slot: u32,
    /// As it was sent, if SLOWLOG may want to know.
    pub line: Option<ArgsBuf>,
    /// None until its owner has answered that it waits.
    pub waiter: Option<Arc<Waiter>>,
    /// When its timeout is to be answered, if it has one.
    pub fires: Option<Millis>,
}

/// A pop whose reply has not reached its client for certain: if it never does, the element goes back.
pub struct Owed {
    pub slot: u32,
    /// Where its reply ends in all that this connection is sent, once that is known.
    pub end: Option<u64>,
    /// When the kernel had taken it, if it is in doubt since (`blocked-pop-doubt`): the client may have gone
    /// without reading it.
    pub taken: Option<Millis>,
    /// The command that puts it back, and its database.
    pub line: ArgsBuf,
    pub db: u16,
}

/// What a connection was owed that has ended.
pub struct Doubt {
    /// Bytes the kernel had taken before the end.
    pub taken: u64,
    /// A send was under way then: how much of it was taken is not known yet.
    pub sending: bool,
    /// Whether what the kernel took may be lost all the same (`blocked-pop-doubt`).
    pub trusts_resets: bool,
    pub owed: Vec<Owed>,
}

/// What became of the output that the kernel had taken when its connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// The peer has it, and has not said that it left it unread.
    Reached,
    /// The peer has gone without reading all of it.
    Lost,
    /// The peer has said that it will send no more: whether it still reads will be known in a moment.
    Open,
}

impl super::Session {
    /// Bytes sent, under way and waiting: where the next reply begins.
    fn output_end(&self) -> u64 {
        self.bytes_out + (self.in_flight + self.output_len()) as u64
    }

    /// Looks where replies of pops end that have been written by now. Nothing else of this connection may
    /// have been written after them.
    pub fn place_owed(&mut self) {
        let end = self.output_end();
        for owed in self.owed.iter_mut().filter(|owed| owed.end.is_none()) {
            if self.pending.has_passed(owed.slot) {
                owed.end = Some(end);
            }
        }
    }

    /// The kernel has taken everything up to `bytes_out`; what it took is in doubt from now on, or settled.
    pub fn settle_owed(&mut self, in_doubt: Option<Millis>) {
        let taken = self.bytes_out;
        for owed in self.owed.iter_mut().filter(|owed| owed.end.is_some_and(|end| end <= taken)) {
            owed.taken = owed.taken.or(in_doubt);
        }
        self.owed.retain(|owed| owed.taken.is_some() || owed.end.is_none_or(|end| end > taken));
    }

    /// The client has sent something: it has read what it had been sent.
    pub fn heard(&mut self) {
        self.owed.retain(|owed| owed.taken.is_none());
    }

    /// Nothing is in doubt that the kernel took before this. Returns how much still is.
    pub fn settle_doubts(&mut self, before: Millis) -> usize {
        self.owed.retain(|owed| owed.taken.is_none_or(|at| at > before));
        self.owed.iter().filter(|owed| owed.taken.is_some()).count()
    }
}
