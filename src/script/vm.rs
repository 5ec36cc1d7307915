//! One Lua state: compiles, runs, pauses.

use super::host::Host;
use super::libraries::Libraries;
use super::source::Script;
use crate::resp::Args;
use crate::resp::Proto;
use std::sync::Arc;

/// What a `Vm` is held to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of Lua memory; a script that needs more fails.
    pub memory: usize,
}

/// How `run` and `resume` come back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The reply was appended to `out`. `counted`: it is an error that a command answered and was
    /// counted for already (Redis: `ignore_error_stats_update`).
    Done { counted: bool },
    /// The host paused it; `resume` or `abandon` must follow before anything else runs.
    Paused,
    /// The host abandoned it; nothing was written to `out`.
    Abandoned,
}

/// A Lua state with all that scripts find in it. Lives on one thread.
pub struct Vm {
    _thread: std::marker::PhantomData<*const ()>,
}

impl Vm {
    pub fn new(_limits: Limits) -> Vm {
        unimplemented!()
    }

    /// Compiles a script and keeps it. The error is the text after `-ERR `.
    pub fn compile(&mut self, _script: &Script) -> Result<(), Vec<u8>> {
        unimplemented!()
    }

    /// Runs a script; compiles it first if it has to. `args` are what follows numkeys, the first
    /// `keys` of them are KEYS. The reply goes to the end of `out` in `proto`.
    pub fn run(
        &mut self,
        _script: &Arc<Script>,
        _args: Args<'_>,
        _keys: usize,
        _proto: Proto,
        _host: &mut dyn Host,
        _out: &mut Vec<u8>,
    ) -> Outcome {
        unimplemented!()
    }

    /// FCALL: as `run`. Loads the libraries first if they are not those it has; a name none of them
    /// has answers `ERR Function not found`.
    #[allow(clippy::too_many_arguments)]
    pub fn call_function(
        &mut self,
        _libraries: &Arc<Libraries>,
        _name: &[u8],
        _args: Args<'_>,
        _keys: usize,
        _proto: Proto,
        _host: &mut dyn Host,
        _out: &mut Vec<u8>,
    ) -> Outcome {
        unimplemented!()
    }

    /// Goes on with what was paused.
    pub fn resume(&mut self, _host: &mut dyn Host, _out: &mut Vec<u8>) -> Outcome {
        unimplemented!()
    }

    /// Forgets what was paused.
    pub fn abandon(&mut self) {
        unimplemented!()
    }

    pub fn is_paused(&self) -> bool {
        unimplemented!()
    }

    /// SCRIPT FLUSH.
    pub fn forget_all(&mut self) {
        unimplemented!()
    }

    /// Bytes of Lua memory.
    pub fn memory(&self) -> usize {
        unimplemented!()
    }
}
