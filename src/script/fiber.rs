//! The stack a script runs on: its own, so that a script can be left in the middle (by the hook that
//! counts instructions, or by a call that has to wait) while the shard goes on, and be gone on with, or
//! dropped, later. One stack serves every run of a `Vm`; the way in and out is two switches of a few
//! nanoseconds.
//!
//! ```text
//!   shard's stack    run ──enter──▶                    ◀──Left── resume ──▶   ◀──Done──
//!   script's stack          lua_pcall … hook, leave ───┘                 …  ──┘
//! ```
//!
//! On this stack lie frames of Lua and of natives that hold nothing to be dropped whenever they leave
//! (`lua.rs` sees to that): so it may be thrown away as it is.
#![allow(unsafe_code)]

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::cell::Cell;
use std::ptr;
use std::rc::Rc;

/// Lua nests 200 calls of C functions at most; the largest frame (`string.gsub` with its buffer) takes
/// 9 KiB, which makes 2 MiB. Matching takes another 1 MiB at most (`sandbox::pattern`).
const STACK_BYTES: usize = 4 << 20;

/// What to run on the stack; none: go on with what was left.
type Enter = Option<Work>;
/// A piece of work and what it is done on, as plain values.
pub(super) type Work = (fn(*mut std::ffi::c_void) -> i32, *mut std::ffi::c_void);

/// Why control came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Back {
    /// The work is done, with this result.
    Done(i32),
    /// It left in the middle: `resume` or `reset` must follow.
    Left(Leave),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Leave {
    Pause,
    Abandon,
}

pub(super) struct Fiber {
    /// Always there between two calls.
    coroutine: Option<Coroutine<Enter, Back, (), DefaultStack>>,
    door: Rc<Door>,
}

/// The way out, for code that runs on the stack.
pub(super) struct Door {
    yielder: Cell<*const Yielder<Enter, Back>>,
}

impl Door {
    /// Leaves the stack; comes back when the fiber is resumed.
    pub(super) fn leave(&self, why: Leave) {
        let yielder = self.yielder.get();
        assert!(!yielder.is_null(), "not on a script's stack");
        // SAFETY: `yielder` is set on entry of the coroutine's function and cleared before the function
        // can end, so it points to the yielder of the stack we are on; nobody holds it mutably.
        let work = unsafe { (*yielder).suspend(Back::Left(why)) };
        debug_assert!(work.is_none(), "entered while work was left");
    }
}

impl Fiber {
    pub(super) fn new() -> Fiber {
        let stack = DefaultStack::new(STACK_BYTES).expect("4 MiB of address space for scripts");
        let door = Rc::new(Door { yielder: Cell::new(ptr::null()) });
        Fiber { coroutine: Some(coroutine(stack, &door)), door }
    }

    pub(super) fn door(&self) -> Rc<Door> {
        self.door.clone()
    }

    /// Runs a piece of work on the stack. Nothing may be left on it.
    pub(super) fn enter(&mut self, work: Work) -> Back {
        self.switch(Some(work))
    }

    /// Goes on with what left.
    pub(super) fn resume(&mut self) -> Back {
        self.switch(None)
    }

    fn switch(&mut self, input: Enter) -> Back {
        let coroutine = self.coroutine.as_mut().expect("a coroutine");
        match coroutine.resume(input) {
            CoroutineResult::Yield(back) => back,
            CoroutineResult::Return(()) => unreachable!("the loop on the stack never ends"),
        }
    }

    /// Throws away what lies on the stack.
    pub(super) fn reset(&mut self) {
        let mut coroutine = self.coroutine.take().expect("a coroutine");
        self.door.yielder.set(ptr::null());
        // SAFETY: frames that are not unwound leak what they own and break nothing: frames of Lua own nothing, natives
        // put back what others must find (`lua.rs`), and the loop below owns nothing. What leaks is the text that
        // `load` has gathered when its reader touches a key out of reach.
        unsafe { coroutine.force_reset() };
        self.coroutine = Some(self::coroutine(coroutine.into_stack(), &self.door));
    }
}

impl Drop for Fiber {
    fn drop(&mut self) {
        self.reset();
    }
}

fn coroutine(stack: DefaultStack, door: &Rc<Door>) -> Coroutine<Enter, Back, (), DefaultStack> {
    let door = Rc::as_ptr(door);
    Coroutine::with_stack(stack, move |yielder, mut input: Enter| {
        // SAFETY: the fiber that owns this coroutine holds the door for longer.
        unsafe { (*door).yielder.set(yielder) };
        loop {
            let (work, on) = input.expect("work to begin with");
            input = yielder.suspend(Back::Done(work(on)));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::c_void;

    fn add_one(on: *mut c_void) -> i32 {
        // SAFETY: the tests pass a pointer to an `i32` that outlives the call.
        unsafe { *on.cast::<i32>() += 1 };
        7
    }

    fn leaves(on: *mut c_void) -> i32 {
        // SAFETY: the test passes a pointer to a `Door` that outlives the call.
        let door = unsafe { &*on.cast::<Door>() };
        door.leave(Leave::Pause);
        door.leave(Leave::Abandon);
        3
    }

    #[test]
    fn work_runs_again_and_again_on_one_stack() {
        let (mut fiber, mut count) = (Fiber::new(), 0);
        for _ in 0..1000 {
            assert_eq!(fiber.enter((add_one, (&raw mut count).cast())), Back::Done(7));
        }
        assert_eq!(count, 1000);
    }

    #[test]
    fn what_leaves_comes_back_or_is_thrown_away() {
        let mut fiber = Fiber::new();
        let door = fiber.door();
        let on = Rc::as_ptr(&door).cast_mut().cast();
        assert_eq!(fiber.enter((leaves, on)), Back::Left(Leave::Pause));
        assert_eq!(fiber.resume(), Back::Left(Leave::Abandon));
        assert_eq!(fiber.resume(), Back::Done(3));
        for _ in 0..100 {
            assert_eq!(fiber.enter((leaves, on)), Back::Left(Leave::Pause));
            fiber.reset();
        }
        assert_eq!(fiber.enter((leaves, on)), Back::Left(Leave::Pause));
        drop(fiber);
        assert_eq!(Rc::strong_count(&door), 1);
    }

    #[test]
    fn a_fiber_that_never_ran_can_be_reset() {
        let mut fiber = Fiber::new();
        fiber.reset();
        let door = fiber.door();
        drop(fiber);
        assert_eq!(Rc::strong_count(&door), 1);
    }
}
