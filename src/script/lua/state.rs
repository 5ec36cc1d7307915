//! A Lua state: its memory, its threads, the host of its run, and how it is entered.
#![allow(unsafe_code)]

use super::super::context::Context;
use super::super::fiber::{Back, Door, Fiber};
use super::super::host::Host;
use super::native::hook;
use super::{Kept, SLOTS, Stack};
use mlua_sys as ffi;
use mlua_sys::lua_State;
use std::alloc;
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};
use std::rc::Rc;

/// Instructions between two ticks (Redis: 100,000).
const TICK_INSTRUCTIONS: c_int = if cfg!(test) { 1000 } else { 100_000 };

/// What `State::enter` finds on the stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::script) enum Shape {
    /// Error handler, function.
    Script,
    /// Error handler, function, two arguments.
    Function,
    /// Function.
    Library,
}

/// What all threads of a state share. Its address is the allocator's argument, which is how a native
/// finds it.
pub(super) struct Shared {
    pub(super) used: Cell<usize>,
    pub(super) limit: Cell<usize>,
    /// Rust runs: the allocator does not fail.
    pub(super) soft: Cell<bool>,
    pub(super) host: Cell<Option<NonNull<dyn Host>>>,
    pub(super) door: Rc<Door>,
    /// The thread that was entered last.
    pub(super) run: Cell<*mut lua_State>,
    /// The hook was changed to end a script.
    pub(super) killed: Cell<bool>,
    pub(super) context: UnsafeCell<Context>,
}

impl Shared {
    pub(super) fn is_over(&self) -> bool {
        self.used.get() > self.limit.get()
    }
}

/// Lua's allocator: Rust's, with a limit that holds while Lua runs.
unsafe extern "C" fn allocate(ud: *mut c_void, block: *mut c_void, old: usize, new: usize) -> *mut c_void {
    const ALIGN: usize = 16;
    // SAFETY: `ud` is the `Shared` that `State::new` passed and that outlives the Lua state.
    let shared = unsafe { &*ud.cast::<Shared>() };
    let used = shared.used.get() - old + new;
    if new > old && used > shared.limit.get() && !shared.soft.get() {
        return ptr::null_mut();
    }
    // SAFETY: Lua gives back each block with the size it asked for last, so layouts match; a size of
    // zero means no block, in both directions.
    let moved = unsafe {
        let layout = |size| alloc::Layout::from_size_align_unchecked(size, ALIGN);
        match (old, new) {
            (0, 0) => ptr::null_mut(),
            (0, _) => alloc::alloc(layout(new)),
            (_, 0) => {
                alloc::dealloc(block.cast(), layout(old));
                ptr::null_mut()
            }
            _ => alloc::realloc(block.cast(), layout(old), new),
        }
    };
    if new > 0 && moved.is_null() {
        // Lua would raise where it must not.
        alloc::handle_alloc_error(alloc::Layout::new::<Shared>());
    }
    shared.used.set(used);
    moved.cast()
}

/// # Safety
/// `l` is a live thread of a state made by `State::new`; the result lives as long as that state.
pub(super) unsafe fn shared<'a>(l: *mut lua_State) -> &'a Shared {
    let mut ud = ptr::null_mut();
    // SAFETY: as the caller promises; `allocate` is the allocator, `ud` its `Shared`.
    unsafe {
        ffi::lua_getallocf(l, &mut ud);
        &*ud.cast::<Shared>()
    }
}

/// Raised outside of any protected call: cannot happen, and must not be survived.
unsafe extern "C-unwind" fn panicked(_: *mut lua_State) -> c_int {
    panic!("Lua raised an error outside of a protected call");
}

/// A thread of Lua (a coroutine of its own that scripts do not see) with its own table of globals.
pub(in crate::script) struct Thread {
    l: *mut lua_State,
    kept: Kept,
}

// SAFETY: a thread is reached through its state alone, with which it moves.
unsafe impl Send for Thread {}

/// A Lua state, its memory, and the stack its scripts run on.
pub(in crate::script) struct State {
    main: *mut lua_State,
    shared: Box<Shared>,
    fiber: Fiber,
}

// SAFETY: everything a state points to is its own (memory, stack, the door's count), and is reached
// through `&mut` alone; Lua and what is left on the script's stack refer to nothing of a thread.
unsafe impl Send for State {}

impl State {
    /// An empty state that may use `limit` bytes.
    pub(in crate::script) fn new(limit: usize) -> State {
        let fiber = Fiber::new();
        let shared = Box::new(Shared {
            used: Cell::new(0),
            limit: Cell::new(limit),
            soft: Cell::new(true),
            host: Cell::new(None),
            door: fiber.door(),
            run: Cell::new(ptr::null_mut()),
            killed: Cell::new(false),
            context: UnsafeCell::new(Context::default()),
        });
        let ud = (&raw const *shared).cast_mut().cast();
        // SAFETY: `shared` is boxed and lives as long as the state, which `drop` closes first.
        let main = unsafe { ffi::lua_newstate(allocate, ud) };
        assert!(!main.is_null(), "the allocator does not fail");
        // SAFETY: `main` is live.
        unsafe { ffi::lua_atpanic(main, panicked) };
        State { main, shared, fiber }
    }

    pub(in crate::script) fn set_limit(&mut self, limit: usize) {
        self.shared.limit.set(limit);
    }

    pub(in crate::script) fn memory(&self) -> usize {
        self.shared.used.get()
    }

    /// Lua's stack outside of any run.
    pub(in crate::script) fn stack(&mut self) -> Stack<'_> {
        Stack::new(self.main, &self.shared, 0)
    }

    pub(in crate::script) fn thread_stack<'a>(&'a mut self, thread: &Thread) -> Stack<'a> {
        Stack::new(thread.l, &self.shared, 0)
    }

    /// A thread with the globals of the main one, and the hook that counts.
    pub(in crate::script) fn new_thread(&mut self) -> Thread {
        let mut stack = self.stack();
        stack.slot();
        // SAFETY: `main` is live, there is room.
        let l = unsafe { ffi::lua_newthread(stack.l) };
        let kept = stack.keep();
        let thread = Thread { l, kept };
        self.set_hook(&thread);
        thread
    }

    pub(in crate::script) fn drop_thread(&mut self, thread: Thread) {
        self.stack().release(thread.kept);
    }

    /// Puts back the hook that counts, if a script had to be ended with another.
    pub(in crate::script) fn renew_hook(&mut self, thread: &Thread) {
        if self.shared.killed.take() {
            self.set_hook(thread);
        }
    }

    fn set_hook(&mut self, thread: &Thread) {
        // SAFETY: the thread is live.
        unsafe { ffi::lua_sethook(thread.l, Some(hook), ffi::LUA_MASKCOUNT, TICK_INSTRUCTIONS) };
    }

    /// Calls, on the script's stack, what lies on `thread`'s stack in this shape; leaves a result (none
    /// of a library) or an error in the place of the function and its arguments.
    pub(in crate::script) fn enter(&mut self, thread: &Thread, shape: Shape, host: &mut dyn Host) -> Back {
        let (work, values): (fn(*mut c_void) -> i32, i32) = match shape {
            Shape::Script => (call_script, 2),
            Shape::Function => (call_function, 4),
            Shape::Library => (call_library, 1),
        };
        let mut stack = self.thread_stack(thread);
        assert!(stack.top() == values && stack.reserve(SLOTS));
        self.shared.soft.set(false);
        self.shared.run.set(thread.l);
        let back = self.with_host(host, |fiber| fiber.enter((work, thread.l.cast())));
        self.shared.soft.set(true);
        back
    }

    /// Goes on with what left.
    pub(in crate::script) fn resume(&mut self, host: &mut dyn Host) -> Back {
        // Whoever left did so with the allocator soft, and goes on so.
        let back = self.with_host(host, |fiber| fiber.resume());
        self.shared.soft.set(true);
        back
    }

    /// Throws away what left. The thread it ran on must be dropped too.
    pub(in crate::script) fn reset(&mut self) {
        self.fiber.reset();
        self.shared.soft.set(true);
    }

    fn with_host(&mut self, host: &mut dyn Host, run: impl FnOnce(&mut Fiber) -> Back) -> Back {
        let host: NonNull<dyn Host + '_> = NonNull::from(host);
        // SAFETY: the two types differ in their lifetime only; the pointer is taken out again below
        // before the borrow ends, whether `run` returns or panics.
        let host = unsafe { std::mem::transmute::<NonNull<dyn Host + '_>, NonNull<dyn Host>>(host) };
        struct Out<'a>(&'a Shared);
        impl Drop for Out<'_> {
            fn drop(&mut self) {
                self.0.host.set(None);
            }
        }
        self.shared.host.set(Some(host));
        let _out = Out(&self.shared);
        run(&mut self.fiber)
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.reset();
        // SAFETY: nothing runs; `main` is not used again; `shared` still lives.
        unsafe { ffi::lua_close(self.main) };
    }
}

fn call_script(l: *mut c_void) -> i32 {
    // SAFETY: `State::enter` passes a live thread with a handler and a function on its stack.
    unsafe { ffi::lua_pcall(l.cast(), 0, 1, -2) }
}

fn call_function(l: *mut c_void) -> i32 {
    // SAFETY: as `call_script`, with two arguments above the function.
    unsafe { ffi::lua_pcall(l.cast(), 2, 1, -4) }
}

fn call_library(l: *mut c_void) -> i32 {
    // SAFETY: as `call_script`, without a handler.
    unsafe { ffi::lua_pcall(l.cast(), 0, 0, 0) }
}
