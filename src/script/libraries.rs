//! What FUNCTION keeps: libraries by name, functions by name. A value: changed by FUNCTION's commands on
//! whichever shard runs them, then handed to all shards as an `Arc`, where each `Vm` loads what it
//! calls. Knows no clock: how long a library may take to load is asked of the caller.

use super::source::ScriptFlags;
use super::vm::Vm;
use std::sync::Arc;

/// A function of a library.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Function {
    pub name: Box<[u8]>,
    pub description: Option<Box<[u8]>>,
    pub flags: ScriptFlags,
}

/// A library: its code, and what the code registered.
#[derive(PartialEq, Eq, Debug)]
pub struct Library {
    pub name: Box<[u8]>,
    /// All of it, shebang included.
    pub code: Box<[u8]>,
    pub functions: Vec<Function>,
}

/// FUNCTION RESTORE's last argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RestorePolicy {
    Flush,
    #[default]
    Append,
    Replace,
}

/// All libraries. Clones share them.
#[derive(Clone, Default)]
pub struct Libraries;

impl Libraries {
    /// FUNCTION LOAD: the library's name, or the text after `-ERR `. `expired` is asked every
    /// 100,000 instructions whether loading has taken too long (Redis: 500 ms).
    pub fn load(
        &mut self,
        _vm: &mut Vm,
        _code: &[u8],
        _replace: bool,
        _expired: &mut dyn FnMut() -> bool,
    ) -> Result<Box<[u8]>, Vec<u8>> {
        unimplemented!()
    }

    /// FUNCTION DELETE: whether there was one.
    pub fn delete(&mut self, _name: &[u8]) -> bool {
        unimplemented!()
    }

    /// FUNCTION FLUSH.
    pub fn flush(&mut self) {
        unimplemented!()
    }

    /// FUNCTION LIST's source, in order of names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Library>> {
        [].iter()
    }

    /// The flags of a function; its name is looked up without regard to case.
    pub fn flags(&self, _function: &[u8]) -> Option<ScriptFlags> {
        unimplemented!()
    }

    /// FUNCTION DUMP's payload.
    pub fn dump(&self) -> Vec<u8> {
        unimplemented!()
    }

    /// FUNCTION RESTORE. The error is the text after `-ERR `; nothing has changed then.
    pub fn restore(
        &mut self,
        _vm: &mut Vm,
        _payload: &[u8],
        _policy: RestorePolicy,
        _expired: &mut dyn FnMut() -> bool,
    ) -> Result<(), Vec<u8>> {
        unimplemented!()
    }

    /// FUNCTION STATS: `(libraries, functions)`.
    pub fn counts(&self) -> (usize, usize) {
        unimplemented!()
    }

    /// Bytes held (INFO's `used_memory_functions`).
    pub fn memory(&self) -> usize {
        unimplemented!()
    }
}
