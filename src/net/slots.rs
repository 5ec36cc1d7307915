//! Connections by token: a slab whose keys carry a generation, so that a token kept too long names
//! nothing instead of naming the next connection that got the same slot.
//!
//! ```text
//! token     0000 | generation, 28 bits | slot, 32 bits
//! user_data kind | generation, 28 bits | slot, 32 bits      (see `kernel.rs`)
//! ```

/// Names one connection of one ring for as long as it lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(u64);

const GENERATION_BITS: u32 = 28;
const GENERATION_MASK: u32 = (1 << GENERATION_BITS) - 1;

impl Token {
    /// Bits that a token never uses; the kind of an operation goes there.
    pub(super) const KIND_SHIFT: u32 = 32 + GENERATION_BITS;

    fn new(slot: u32, generation: u32) -> Token {
        Token(u64::from(generation & GENERATION_MASK) << 32 | u64::from(slot))
    }

    pub(super) fn from_bits(bits: u64) -> Token {
        Token(bits & ((1 << Token::KIND_SHIFT) - 1))
    }

    pub(super) fn bits(self) -> u64 {
        self.0
    }

    /// Index of the connection: small, dense, reused. A caller may keep its own table by it, next to
    /// the token it belongs to.
    pub fn slot(self) -> usize {
        self.0 as u32 as usize
    }

    fn generation(self) -> u32 {
        (self.0 >> 32) as u32 & GENERATION_MASK
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({}.{})", self.slot(), self.generation())
    }
}

struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

/// The slab. Free slots are reused last in, first out, which keeps the table short and warm.
pub(super) struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

impl<T> Slots<T> {
    pub(super) fn new() -> Slots<T> {
        Slots { slots: Vec::new(), free: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn insert(&mut self, value: T) -> Token {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                let slot = u32::try_from(self.slots.len()).expect("fewer connections than descriptors");
                self.slots.push(Slot { generation: 0, value: None });
                slot
            }
        };
        let entry = &mut self.slots[slot as usize];
        entry.value = Some(value);
        Token::new(slot, entry.generation)
    }

    #[inline]
    pub(super) fn get(&self, token: Token) -> Option<&T> {
        let entry = self.slots.get(token.slot())?;
        if entry.generation == token.generation() { entry.value.as_ref() } else { None }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let entry = self.slots.get_mut(token.slot())?;
        if entry.generation == token.generation() { entry.value.as_mut() } else { None }
    }

    pub(super) fn remove(&mut self, token: Token) -> Option<T> {
        self.get(token)?;
        let entry = &mut self.slots[token.slot()];
        entry.generation = (entry.generation + 1) & GENERATION_MASK;
        self.free.push(token.slot() as u32);
        entry.value.take()
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> {
        self.free.clear();
        std::mem::take(&mut self.slots).into_iter().filter_map(|slot| slot.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn behaves_as_a_map_from_every_token_ever_given(steps in prop::collection::vec(any::<(bool, u16)>(), 1..400)) {
            let mut slots = Slots::new();
            let mut model: HashMap<Token, usize> = HashMap::new();
            let mut given = vec![];
            for (at, (insert, pick)) in steps.into_iter().enumerate() {
                if insert || given.is_empty() {
                    let token = slots.insert(at);
                    prop_assert!(model.insert(token, at).is_none(), "a token was given twice");
                    prop_assert_eq!(Token::from_bits(token.bits() | 0xf << Token::KIND_SHIFT), token);
                    given.push(token);
                } else {
                    let token = given[usize::from(pick) % given.len()];
                    prop_assert_eq!(slots.remove(token), model.remove(&token));
                }
                for token in &given {
                    prop_assert_eq!(slots.get(*token), model.get(token));
                }
                prop_assert_eq!(slots.len(), model.len());
            }
        }
    }

    #[test]
    fn generations_wrap_within_their_bits() {
        let mut slots = Slots::new();
        slots.slots.push(Slot { generation: GENERATION_MASK, value: None::<u8> });
        slots.free.push(0);
        let last = slots.insert(1);
        assert_eq!(slots.remove(last), Some(1));
        let next = slots.insert(2);
        assert_eq!((next.slot(), next.generation()), (0, 0));
        assert_eq!(slots.get(last), None);
    }
}
