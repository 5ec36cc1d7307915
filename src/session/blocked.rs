//! A client in a blocking command, as its home sees it; and pops whose replies have not reached it.

use crate::base::Millis;
use crate::keyspace::Waiter;
use crate::resp::ArgsBuf;
use std::sync::Arc;

/// A blocking command that has no reply yet.
pub struct Blocked {
    pub slot: u32,
    /// None until its owner has answered that it waits.
    pub waiter: Option<Arc<Waiter>>,
    /// When its timeout is to be answered, if it has one.
    pub fires: Option<Millis>,
}

/// A pop whose reply the kernel has not taken: if it never does, the element goes back.
pub struct Owed {
    pub slot: u32,
    /// Where its reply ends in all that this connection is sent, once that is known.
    pub end: Option<u64>,
    /// The command that puts it back, and its database.
    pub line: ArgsBuf,
    pub db: u16,
}

/// What a connection was owed that ended with a send under way: the kernel has not said how much of it
/// it took.
pub struct Doubt {
    /// Bytes it had taken before.
    pub taken: u64,
    pub owed: Vec<Owed>,
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

    /// The kernel has taken everything up to `bytes_out`.
    pub fn settle_owed(&mut self) {
        let taken = self.bytes_out;
        self.owed.retain(|owed| owed.end.is_none_or(|end| end > taken));
    }
}
