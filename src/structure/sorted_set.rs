//! A sorted set: members with scores, in their order.

use super::Listpack;
use super::object::{Collection, in_object};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct SortedSet(Listpack);

impl Collection for SortedSet {
    const TYPE: &'static str = "zset";
    in_object!(SortedSet);

    fn len(&self) -> usize {
        self.0.len()
    }

    fn encoding(&self) -> &'static str {
        "listpack"
    }

    fn bytes_allocated(&self) -> usize {
        self.0.bytes_allocated()
    }

    fn free_some(&mut self, _budget: usize) -> bool {
        false
    }
}
