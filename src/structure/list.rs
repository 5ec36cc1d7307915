//! A list of strings.

use super::Listpack;
use super::object::{Collection, in_object};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct List(Listpack);

impl Collection for List {
    const TYPE: &'static str = "list";
    in_object!(List);

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
