//! The door to Lua: its C interface as a [`Stack`] whose methods cannot raise, a [`State`] that owns the
//! memory (`state.rs`), and natives (functions of ours that Lua calls, `native.rs`). Everything else of
//! `script` but `fiber.rs` is safe code on top of these.
//!
//! Lua raises errors with `longjmp`, which would pass over Rust frames and what they own. So it never
//! happens there: while Rust runs, the allocator never fails (`soft`), `Stack` has no method that may
//! call Lua code except [`Stack::call`], which is protected, and the few arguments Lua would raise about
//! are refused before. A native returns [`Raise`] when it wants an error, and the frame below it, which
//! owns nothing, raises it. A limit exceeded meanwhile is raised there too.
//!
//! Indexes are Lua's: from 1 up, or negative from the top. They are this module's own constants, never a
//! client's; test builds of Lua check them.
#![allow(unsafe_code)]

mod native;
mod state;

pub(super) use state::{Shape, State, Thread};

use super::context::Context;
use super::fiber::Leave;
use super::host::{Host, Tick};
use mlua_sys as ffi;
use mlua_sys::{lua_Debug, lua_State};
use native::{enter, enter_before};
use state::Shared;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr;
use std::slice;

/// Free slots a native is called with.
const SLOTS: u32 = ffi::LUA_MINSTACK as u32;

/// What a native wants raised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Raise {
    /// The value on top of the stack, as it is.
    Value,
    /// The text on top of the stack, after the caller's `source:line: `.
    Text,
    /// `bad argument #n to 'f' (..)`, the text on top of the stack in the brackets.
    Argument(i32),
}

/// How many values on top of the stack a native returns.
pub(super) type Results = Result<i32, Raise>;

/// What a native that stands before a function of Lua's decided.
pub(super) enum Before {
    /// The function is to be called, with the arguments as they are now.
    Call,
    Return(i32),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Type {
    None,
    Nil,
    Boolean,
    LightUserdata,
    Number,
    String,
    Table,
    Function,
    Userdata,
    Thread,
}

impl Type {
    fn from(code: c_int) -> Type {
        match code {
            ffi::LUA_TNIL => Type::Nil,
            ffi::LUA_TBOOLEAN => Type::Boolean,
            ffi::LUA_TLIGHTUSERDATA => Type::LightUserdata,
            ffi::LUA_TNUMBER => Type::Number,
            ffi::LUA_TSTRING => Type::String,
            ffi::LUA_TTABLE => Type::Table,
            ffi::LUA_TFUNCTION => Type::Function,
            ffi::LUA_TUSERDATA => Type::Userdata,
            ffi::LUA_TTHREAD => Type::Thread,
            _ => Type::None,
        }
    }

    /// As Lua's messages name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Type::None => "no value",
            Type::Nil => "nil",
            Type::Boolean => "boolean",
            Type::LightUserdata | Type::Userdata => "userdata",
            Type::Number => "number",
            Type::String => "string",
            Type::Table => "table",
            Type::Function => "function",
            Type::Thread => "thread",
        }
    }
}

/// How a protected call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Status {
    Ok,
    /// The error is on top of the stack.
    Failed,
}

impl Status {
    /// Of Lua's code, as `State::enter` and `State::resume` bring it back.
    pub(super) fn of(code: i32) -> Status {
        if code == ffi::LUA_OK { Status::Ok } else { Status::Failed }
    }
}

/// The libraries of Lua's own that scripts get.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Builtin {
    Base,
    Table,
    String,
    Math,
}

/// Where a call stands in its source.
pub(super) struct Place {
    pub(super) source: Vec<u8>,
    pub(super) line: i32,
    /// In a native or a function of Lua's own.
    pub(super) is_c: bool,
}

/// Lua's stack as the code that runs now sees it.
pub(super) struct Stack<'a> {
    l: *mut lua_State,
    shared: &'a Shared,
    /// Slots known to be free.
    room: u32,
    _one: PhantomData<&'a mut ()>,
}

impl<'a> Stack<'a> {
    fn new(l: *mut lua_State, shared: &'a Shared, room: u32) -> Stack<'a> {
        Stack { l, shared, room, _one: PhantomData }
    }

    pub(super) fn context(&mut self) -> &mut Context {
        // SAFETY: one `Stack` acts at a time: another is made only inside of `call` and by Lua, both of
        // which need this one mutably; so the borrow is the only one.
        unsafe { &mut *self.shared.context.get() }
    }

    /// The surroundings of the run, if something runs.
    pub(super) fn host(&mut self) -> Option<&mut dyn Host> {
        // SAFETY: `State::with_host` holds the host mutably for as long as the pointer is set, and one
        // `Stack` acts at a time.
        self.shared.host.get().map(|mut host| unsafe { host.as_mut() })
    }

    /// On the thread of the run itself, not in a coroutine of the script's.
    pub(super) fn is_run(&self) -> bool {
        self.l == self.shared.run.get()
    }

    pub(super) fn has_host(&self) -> bool {
        self.shared.host.get().is_some()
    }

    /// Leaves the script's stack. The caller holds nothing that is to be dropped.
    pub(super) fn leave(&mut self, why: Leave) {
        self.shared.door.leave(why);
    }

    /// More than the limit is in use. A native that goes on allocating should end with any error; Lua's
    /// own is raised instead.
    pub(super) fn is_over(&self) -> bool {
        self.shared.is_over()
    }

    /// Room for `more` bytes within the limit.
    pub(super) fn has_memory(&self, more: usize) -> bool {
        self.shared.used.get().saturating_add(more) <= self.shared.limit.get()
    }

    /// True: the error to raise is on top of the stack.
    fn tick(&mut self) -> bool {
        loop {
            let tick = self.host().map_or(Tick::Go, |host| host.tick());
            match tick {
                Tick::Go => return false,
                Tick::Pause => {
                    self.leave(Leave::Pause);
                    return false;
                }
                Tick::Abandon => self.leave(Leave::Abandon),
                Tick::Kill(text) => {
                    self.push_error(text.as_bytes());
                    return true;
                }
            }
        }
    }

    // -- room

    /// Makes sure of room for `n` more values: false when Lua's stack may not grow that far.
    pub(super) fn reserve(&mut self, n: u32) -> bool {
        // SAFETY: `l` is live; `lua_checkstack` is protected and does not raise.
        let grown = n <= self.room || unsafe { ffi::lua_checkstack(self.l, n as c_int) } != 0;
        if grown {
            self.room = self.room.max(n);
        }
        grown
    }

    #[inline]
    fn slot(&mut self) {
        if self.room == 0 {
            assert!(self.reserve(SLOTS), "a native uses more of Lua's stack than there is");
        }
        self.room -= 1;
    }

    // -- places

    pub(super) fn top(&self) -> i32 {
        // SAFETY: `l` is live.
        unsafe { ffi::lua_gettop(self.l) }
    }

    pub(super) fn set_top(&mut self, top: i32) {
        // SAFETY: `l` is live; growing is not asked for here.
        unsafe {
            let now = ffi::lua_gettop(self.l);
            assert!(top <= now);
            ffi::lua_settop(self.l, top);
            self.room += (now - top) as u32;
        }
    }

    #[inline]
    pub(super) fn pop(&mut self, n: i32) {
        debug_assert!(n <= self.top());
        // SAFETY: `l` is live and there are `n` values.
        unsafe { ffi::lua_settop(self.l, -n - 1) };
        self.room += n as u32;
    }

    pub(super) fn copy(&mut self, index: i32) {
        self.slot();
        // SAFETY: `l` is live, there is room.
        unsafe { ffi::lua_pushvalue(self.l, index) };
    }

    /// Puts the top value at `index`, moving up what is there.
    pub(super) fn insert(&mut self, index: i32) {
        // SAFETY: `l` is live, `index` is an actual position.
        unsafe { ffi::lua_insert(self.l, index) };
    }

    /// Puts the top value in the place of what is at `index`.
    pub(super) fn replace(&mut self, index: i32) {
        // SAFETY: as for `insert`.
        unsafe { ffi::lua_replace(self.l, index) };
        self.room += 1;
    }

    pub(super) fn remove(&mut self, index: i32) {
        // SAFETY: as for `insert`.
        unsafe { ffi::lua_remove(self.l, index) };
        self.room += 1;
    }

    /// The index of a native's `n`th upvalue.
    pub(super) fn upvalue(n: i32) -> i32 {
        ffi::lua_upvalueindex(n)
    }

    // -- looking

    #[inline]
    pub(super) fn kind(&self, index: i32) -> Type {
        // SAFETY: `l` is live; a place above the top has no value.
        Type::from(unsafe { ffi::lua_type(self.l, index) })
    }

    /// The bytes of a string; none for anything else, numbers included.
    #[inline]
    pub(super) fn bytes(&self, index: i32) -> Option<&[u8]> {
        if self.kind(index) != Type::String {
            return None;
        }
        let mut len = 0;
        // SAFETY: it is a string, so nothing is converted; the bytes live as long as the string lies on
        // the stack, which the borrow of `self` keeps it from leaving.
        unsafe {
            let at = ffi::lua_tolstring(self.l, index, &mut len);
            Some(slice::from_raw_parts(at.cast(), len))
        }
    }

    /// As `bytes`, after a number at `index` was made a string.
    pub(super) fn text(&mut self, index: i32) -> Option<&[u8]> {
        if self.kind(index) == Type::Number {
            // SAFETY: `l` is live; a number becomes a string in its place. (Not during `next`: callers
            // convert copies.)
            unsafe { ffi::lua_tolstring(self.l, index, ptr::null_mut()) };
        }
        self.bytes(index)
    }

    /// A number; none for anything else, strings included.
    #[inline]
    pub(super) fn number(&self, index: i32) -> Option<f64> {
        // SAFETY: `l` is live.
        (self.kind(index) == Type::Number).then(|| unsafe { ffi::lua_tonumber(self.l, index) })
    }

    /// A number, or a string that reads as one.
    pub(super) fn to_number(&self, index: i32) -> Option<f64> {
        // SAFETY: `l` is live.
        unsafe { (ffi::lua_isnumber(self.l, index) != 0).then(|| ffi::lua_tonumber(self.l, index)) }
    }

    /// Anything but nil and false.
    pub(super) fn truth(&self, index: i32) -> bool {
        // SAFETY: `l` is live.
        unsafe { ffi::lua_toboolean(self.l, index) != 0 }
    }

    /// A light userdata that is the null pointer (`cjson.null`).
    pub(super) fn is_null(&self, index: i32) -> bool {
        // SAFETY: `l` is live.
        self.kind(index) == Type::LightUserdata && unsafe { ffi::lua_touserdata(self.l, index) }.is_null()
    }

    /// The address Lua's messages show (`function: 0x..`).
    pub(super) fn address(&self, index: i32) -> usize {
        // SAFETY: `l` is live.
        unsafe { ffi::lua_topointer(self.l, index) as usize }
    }

    /// The length of a table as Lua's `#` tells it, or of a string.
    pub(super) fn len(&self, index: i32) -> usize {
        // SAFETY: `l` is live.
        unsafe { ffi::lua_objlen(self.l, index) }
    }

    // -- pushing

    pub(super) fn push_nil(&mut self) {
        self.slot();
        // SAFETY: `l` is live, there is room; so in all that follow.
        unsafe { ffi::lua_pushnil(self.l) };
    }

    pub(super) fn push_bool(&mut self, value: bool) {
        self.slot();
        // SAFETY: see `push_nil`.
        unsafe { ffi::lua_pushboolean(self.l, value as c_int) };
    }

    #[inline]
    pub(super) fn push_number(&mut self, value: f64) {
        self.slot();
        // SAFETY: see `push_nil`.
        unsafe { ffi::lua_pushnumber(self.l, value) };
    }

    #[inline]
    pub(super) fn push_bytes(&mut self, bytes: &[u8]) {
        self.slot();
        // SAFETY: see `push_nil`; the allocator does not fail now, and C does not read past the end.
        unsafe { ffi::lua_pushlstring_(self.l, bytes.as_ptr().cast(), bytes.len()) };
    }

    /// The null pointer as light userdata.
    pub(super) fn push_null(&mut self) {
        self.slot();
        // SAFETY: see `push_nil`.
        unsafe { ffi::lua_pushlightuserdata(self.l, ptr::null_mut()) };
    }

    #[inline]
    pub(super) fn push_table(&mut self, array: usize, fields: usize) {
        self.slot();
        let hint = |n: usize| n.min(1 << 20) as c_int;
        // SAFETY: see `push_nil`.
        unsafe { ffi::lua_createtable(self.l, hint(array), hint(fields)) };
    }

    /// A native with the top `upvalues` values as its own.
    pub(super) fn push_native<F>(&mut self, native: F, upvalues: i32)
    where
        F: Fn(&mut Stack<'_>) -> Results + Copy + 'static,
    {
        const { assert!(size_of::<F>() == 0) };
        let _ = native;
        self.slot();
        // SAFETY: see `push_nil`; the upvalues are there.
        unsafe { ffi::lua_pushcclosure(self.l, enter::<F>, upvalues) };
        self.room += upvalues as u32;
    }

    /// Puts `native` before the function of Lua's own on top of the stack.
    pub(super) fn put_before<F>(&mut self, native: F)
    where
        F: Fn(&mut Stack<'_>) -> Result<Before, Raise> + Copy + 'static,
    {
        const { assert!(size_of::<F>() == 0) };
        let _ = native;
        // SAFETY: `l` is live; the top value leaves and two come and one goes.
        unsafe {
            let original = ffi::lua_tocfunction(self.l, -1).expect("a function of Lua's own");
            ffi::lua_settop(self.l, -2);
            ffi::lua_pushlightuserdata(self.l, original as *mut c_void);
            ffi::lua_pushcclosure(self.l, enter_before::<F>, 1);
        }
    }

    /// What a library of Lua's own is: opens it into the globals.
    pub(super) fn open(&mut self, library: Builtin) {
        let (open, name): (ffi::lua_CFunction, &CStr) = match library {
            Builtin::Base => (ffi::luaopen_base, c""),
            Builtin::Table => (ffi::luaopen_table, c"table"),
            Builtin::String => (ffi::luaopen_string, c"string"),
            Builtin::Math => (ffi::luaopen_math, c"math"),
        };
        assert!(self.reserve(SLOTS));
        // SAFETY: `l` is live, there is room; the libraries open without errors in a fresh state.
        unsafe {
            ffi::lua_pushcclosure(self.l, open, 0);
            ffi::lua_pushstring_(self.l, name.as_ptr());
            ffi::lua_call(self.l, 1, 0);
        }
        self.room = 0;
    }

    // -- tables, all without metamethods

    /// The table of global variables of this thread.
    pub(super) fn push_globals(&mut self) {
        self.copy(ffi::LUA_GLOBALSINDEX);
    }

    /// Makes the table on top of the stack this thread's table of globals.
    pub(super) fn set_globals(&mut self) {
        self.replace(ffi::LUA_GLOBALSINDEX);
    }

    /// Replaces the key on top of the stack by its value in the table at `index`.
    pub(super) fn get(&mut self, index: i32) {
        debug_assert_eq!(self.kind(index), Type::Table);
        // SAFETY: `l` is live, a table is at `index`.
        unsafe { ffi::lua_rawget_(self.l, index) };
    }

    pub(super) fn get_index(&mut self, index: i32, n: i32) {
        debug_assert_eq!(self.kind(index), Type::Table);
        self.slot();
        // SAFETY: as for `get`, and there is room.
        unsafe { ffi::lua_rawgeti_(self.l, index, n) };
    }

    pub(super) fn get_field(&mut self, index: i32, name: &str) {
        let index = self.absolute(index);
        self.push_bytes(name.as_bytes());
        self.get(index);
    }

    /// Takes key and value off the stack and sets them; a key that cannot be one (nil, NaN) is passed
    /// over.
    pub(super) fn set(&mut self, index: i32) {
        debug_assert_eq!(self.kind(index), Type::Table);
        let key = self.kind(-2);
        if key == Type::Nil || self.number(-2).is_some_and(f64::is_nan) {
            return self.pop(2);
        }
        // SAFETY: `l` is live, a table is at `index`, the key is not one Lua raises about.
        unsafe { ffi::lua_rawset(self.l, index) };
        self.room += 2;
    }

    pub(super) fn set_index(&mut self, index: i32, n: i32) {
        debug_assert_eq!(self.kind(index), Type::Table);
        // SAFETY: as for `set`.
        unsafe { ffi::lua_rawseti_(self.l, index, n) };
        self.room += 1;
    }

    /// Takes a value off the stack and sets it as a field.
    pub(super) fn set_field(&mut self, index: i32, name: &str) {
        let index = self.absolute(index);
        self.push_bytes(name.as_bytes());
        self.insert(-2);
        self.set(index);
    }

    /// Replaces the key on top of the stack by the next key and its value; none left: takes it off.
    pub(super) fn next(&mut self, index: i32) -> bool {
        debug_assert_eq!(self.kind(index), Type::Table);
        self.slot();
        // SAFETY: `l` is live, a table is at `index`, there is room; the key came from this table, or is
        // nil, so Lua does not raise.
        let found = unsafe { ffi::lua_next(self.l, index) } != 0;
        if !found {
            self.room += 2;
        }
        found
    }

    /// The metatable of what is at `index`, if there is one.
    pub(super) fn push_metatable(&mut self, index: i32) -> bool {
        self.slot();
        // SAFETY: `l` is live, there is room.
        let found = unsafe { ffi::lua_getmetatable(self.l, index) } != 0;
        if !found {
            self.room += 1;
        }
        found
    }

    /// Takes a table or nil off the stack as the metatable of what is at `index`.
    pub(super) fn set_metatable(&mut self, index: i32) {
        // SAFETY: `l` is live.
        unsafe { ffi::lua_setmetatable(self.l, index) };
        self.room += 1;
    }

    fn absolute(&self, index: i32) -> i32 {
        if index < 0 && index > ffi::LUA_REGISTRYINDEX { self.top() + 1 + index } else { index }
    }

    // -- references that last

    /// Takes a value off the stack and keeps it.
    pub(super) fn keep(&mut self) -> Kept {
        // SAFETY: `l` is live; the registry is a table.
        let kept = Kept(unsafe { ffi::luaL_ref(self.l, ffi::LUA_REGISTRYINDEX) });
        self.room += 1;
        kept
    }

    pub(super) fn push_kept(&mut self, kept: &Kept) {
        self.slot();
        // SAFETY: `l` is live, there is room.
        unsafe { ffi::lua_rawgeti_(self.l, ffi::LUA_REGISTRYINDEX, kept.0) };
    }

    /// Pushes the name of a field, see `Context::fields`.
    pub(super) fn push_field(&mut self, field: usize) {
        let name = self.context().fields[field].0;
        self.push_kept(&Kept(name));
    }

    pub(super) fn release(&mut self, kept: Kept) {
        assert!(self.reserve(2));
        // SAFETY: `l` is live, there is room.
        unsafe { ffi::luaL_unref(self.l, ffi::LUA_REGISTRYINDEX, kept.0) };
    }

    // -- code

    /// Calls the function below the top `arguments` values, protected; Lua's limits hold meanwhile.
    /// `results` below 0: all of them.
    pub(super) fn call(&mut self, arguments: i32, results: i32) -> Status {
        assert!(self.reserve(SLOTS));
        self.shared.soft.set(false);
        // SAFETY: `l` is live, function and arguments are there.
        let code = unsafe { ffi::lua_pcall(self.l, arguments, results, 0) };
        self.shared.soft.set(true);
        self.room = 0;
        Status::of(code)
    }

    /// Compiles a text (never precompiled code) to a function on top of the stack, or an error there.
    /// `name` is shown as Lua shows chunk names (`@user_script`, `=(load)`, or code).
    pub(super) fn load(&mut self, code: &[u8], name: &[u8]) -> Status {
        // Code that begins like precompiled code is a syntax error, as in a Lua that cannot load it.
        let spaced: Vec<u8>;
        let code = match code.first() {
            Some(b'\x1b') => {
                spaced = [b" ", code].concat();
                &spaced
            }
            _ => code,
        };
        let name: Vec<u8> = name.iter().copied().take_while(|b| *b != 0).chain([0]).collect();
        self.slot();
        // SAFETY: `l` is live, there is room; `name` ends in a zero byte; loading is protected, so the
        // limit may hold meanwhile.
        unsafe {
            self.shared.soft.set(false);
            let code = ffi::luaL_loadbuffer(self.l, code.as_ptr().cast(), code.len(), name.as_ptr().cast());
            self.shared.soft.set(true);
            Status::of(code)
        }
    }

    /// Where the function at `level` stands: 0 is the running native, 1 what called it.
    pub(super) fn place(&mut self, level: i32) -> Option<Place> {
        let mut record = MaybeUninit::<lua_Debug>::zeroed();
        // SAFETY: `l` is live; zeroes are a valid record; Lua fills in the fields asked for, whose texts
        // are copied before anything else happens.
        unsafe {
            if ffi::lua_getstack(self.l, level, record.as_mut_ptr()) == 0 {
                return None;
            }
            ffi::lua_getinfo(self.l, c"Sl".as_ptr(), record.as_mut_ptr());
            let record = record.assume_init();
            let text = |text: *const c_char| CStr::from_ptr(text).to_bytes();
            Some(Place {
                source: text(record.source).to_vec(),
                line: record.currentline,
                is_c: text(record.what) == b"C",
            })
        }
    }

    /// A whole collection of garbage.
    pub(super) fn collect(&mut self) {
        // SAFETY: `l` is live; no finalizer of ours or of scripts exists.
        unsafe { ffi::lua_gc(self.l, ffi::LUA_GCCOLLECT, 0) };
    }

    /// The collector as Lua starts it.
    pub(super) fn restore_collector(&mut self) {
        // SAFETY: as for `collect`.
        unsafe {
            ffi::lua_gc(self.l, ffi::LUA_GCRESTART, 0);
            ffi::lua_gc(self.l, ffi::LUA_GCSETPAUSE, 200);
            ffi::lua_gc(self.l, ffi::LUA_GCSETSTEPMUL, 200);
        }
    }
}

/// A value kept in the registry. Must be given back with `release`.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Kept(c_int);
