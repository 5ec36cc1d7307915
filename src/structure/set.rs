//! A set of strings.

use super::Listpack;
use super::object::{Collection, in_object};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Set(Listpack);

impl Collection for Set {
    const TYPE: &'static str = "set";
    in_object!(Set);

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
