//! Replies in the order of their commands, although they arrive from several shards.
//!
//! A command that is not answered on the spot reserves a slot. A reply for the first slot goes straight
//! to the output, and so do those behind it that have come already; any other waits aside. When nothing
//! is reserved, replies never come here.

use crate::router::Gather;
use std::collections::VecDeque;

enum Slot {
    Waiting,
    /// The reply lies in `aside`. `dropped`: the client asked for silence (CLIENT REPLY).
    Ready {
        from: usize,
        to: usize,
    },
    Gather(Box<Gather>),
}

#[derive(Default)]
pub struct Pending {
    slots: VecDeque<(Slot, bool)>,
    /// Number of the first slot.
    head: u32,
    aside: Vec<u8>,
}

impl Pending {
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Bytes of replies that wait for earlier ones.
    pub fn bytes(&self) -> usize {
        self.aside.len()
    }

    /// A slot for one reply. `silent`: whatever the reply is, it will not be sent.
    pub fn reserve(&mut self, silent: bool) -> u32 {
        self.slots.push_back((Slot::Waiting, silent));
        self.head.wrapping_add(self.slots.len() as u32 - 1)
    }

    pub fn reserve_gather(&mut self, gather: Gather, silent: bool) -> u32 {
        self.slots.push_back((Slot::Gather(Box::new(gather)), silent));
        self.head.wrapping_add(self.slots.len() as u32 - 1)
    }

    /// The reply for a slot has come.
    pub fn fill(&mut self, number: u32, reply: &[u8], out: &mut Vec<u8>) {
        let at = number.wrapping_sub(self.head) as usize;
        let Some((slot, silent)) = self.slots.get_mut(at) else { return };
        if at == 0 {
            if !*silent {
                out.extend_from_slice(reply);
            }
            self.slots.pop_front();
            self.head = self.head.wrapping_add(1);
            self.advance(out);
        } else {
            let from = self.aside.len();
            self.aside.extend_from_slice(reply);
            *slot = Slot::Ready { from, to: self.aside.len() };
        }
    }

    /// Whether the reply for a slot is the next to be written, and will be sent.
    pub fn is_next(&self, number: u32) -> bool {
        number == self.head && !self.is_silent(number)
    }

    /// Whether the reply for a slot has been written to the output.
    pub fn has_passed(&self, number: u32) -> bool {
        (number.wrapping_sub(self.head) as i32) < 0
    }

    /// Whether the reply for a slot that waits will not be sent.
    pub fn is_silent(&self, number: u32) -> bool {
        self.slots.get(number.wrapping_sub(self.head) as usize).is_some_and(|(_, silent)| *silent)
    }

    /// The gather a fragment's replies belong to.
    pub fn gather(&mut self, number: u32) -> Option<&mut Gather> {
        match self.slots.get_mut(number.wrapping_sub(self.head) as usize) {
            Some((Slot::Gather(gather), _)) => Some(gather),
            _ => None,
        }
    }

    /// Takes a complete gather out of its slot, which then waits for `fill`.
    pub fn take_gather(&mut self, number: u32) -> Option<Box<Gather>> {
        let (slot, _) = self.slots.get_mut(number.wrapping_sub(self.head) as usize)?;
        match std::mem::replace(slot, Slot::Waiting) {
            Slot::Gather(gather) => Some(gather),
            other => {
                *slot = other;
                None
            }
        }
    }

    fn advance(&mut self, out: &mut Vec<u8>) {
        while let Some((Slot::Ready { from, to }, silent)) = self.slots.front() {
            if !silent {
                out.extend_from_slice(&self.aside[*from..*to]);
            }
            self.slots.pop_front();
            self.head = self.head.wrapping_add(1);
        }
        if self.slots.is_empty() {
            self.aside.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the order in which replies come, they leave in the order of their slots.
        #[test]
        fn replies_leave_in_order(order in Just((0..40usize).collect::<Vec<_>>()).prop_shuffle(), silent in any::<u64>()) {
            let mut pending = Pending::default();
            let numbers: Vec<u32> = (0..40).map(|i| pending.reserve(silent >> i & 1 == 1)).collect();
            let mut out = Vec::new();
            for i in order {
                pending.fill(numbers[i], format!("<{i}>").as_bytes(), &mut out);
            }
            let expected: String = (0..40).filter(|i| silent >> i & 1 == 0).map(|i| format!("<{i}>")).collect();
            prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
            prop_assert!(pending.is_empty() && pending.bytes() == 0);
        }
    }
}
