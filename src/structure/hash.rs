//! A hash: fields with values.

use super::Listpack;
use super::object::{Collection, in_object};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hash(Listpack);

impl Collection for Hash {
    const TYPE: &'static str = "hash";
    in_object!(Hash);

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
