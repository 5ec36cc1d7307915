//! A stream: entries with ids, and its consumer groups.

use super::Listpack;
use super::object::{Collection, in_object};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream(Listpack);

impl Collection for Stream {
    const TYPE: &'static str = "stream";
    in_object!(Stream);

    fn len(&self) -> usize {
        self.0.len()
    }

    fn encoding(&self) -> &'static str {
        "stream"
    }

    fn bytes_allocated(&self) -> usize {
        self.0.bytes_allocated()
    }

    fn free_some(&mut self, _budget: usize) -> bool {
        false
    }
}
