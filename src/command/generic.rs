//! Commands that take any key: whether it exists, what it is called, how long it lives.

mod exists;

use super::CommandSpec;

pub const COMMANDS: &[CommandSpec] = &[exists::DEL, exists::EXISTS, exists::TOUCH, exists::UNLINK];
