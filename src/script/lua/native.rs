//! Where Lua calls Rust and Rust goes back: the frames that may raise, and so own nothing.
#![allow(unsafe_code)]

use super::state::{Shared, shared};
use super::{Before, Raise, Results, SLOTS, Stack};
use mlua_sys as ffi;
use mlua_sys::{lua_Debug, lua_State};
use std::ffi::{c_int, c_void};
use std::ptr::NonNull;

/// The entry of the native `F` from Lua.
pub(super) unsafe extern "C-unwind" fn enter<F: Fn(&mut Stack<'_>) -> Results + Copy + 'static>(
    l: *mut lua_State,
) -> c_int {
    // SAFETY: Lua calls this with a live thread.
    let shared = unsafe { shared(l) };
    shared.soft.set(true);
    let results = {
        // SAFETY: `F` has no size (`Stack::push_native` checks), so there is nothing to read; it is a
        // function item or a closure without captures, which exists.
        let native = unsafe { NonNull::<F>::dangling().read() };
        native(&mut Stack::new(l, shared, SLOTS))
    };
    // SAFETY: nothing on this frame is to be dropped from here on.
    unsafe { leave(l, shared, results) }
}

/// The entry of a native before a function of Lua's own, which is upvalue 1.
pub(super) unsafe extern "C-unwind" fn enter_before<F>(l: *mut lua_State) -> c_int
where
    F: Fn(&mut Stack<'_>) -> Result<Before, Raise> + Copy + 'static,
{
    // SAFETY: Lua calls this with a live thread.
    let shared = unsafe { shared(l) };
    shared.soft.set(true);
    let decided = {
        // SAFETY: as in `enter`.
        let native = unsafe { NonNull::<F>::dangling().read() };
        native(&mut Stack::new(l, shared, SLOTS))
    };
    let results = match decided {
        Ok(Before::Call) => {
            // SAFETY: upvalue 1 is what `lua_tocfunction` gave `Stack::push_before`: a C function, which
            // runs as if it had been called in our place. It may raise; this frame owns nothing.
            unsafe {
                let original = ffi::lua_touserdata(l, ffi::lua_upvalueindex(1));
                let original = std::mem::transmute::<*mut c_void, ffi::lua_CFunction>(original);
                shared.soft.set(false);
                return original(l);
            }
        }
        Ok(Before::Return(n)) => Ok(n),
        Err(raise) => Err(raise),
    };
    // SAFETY: nothing on this frame is to be dropped from here on.
    unsafe { leave(l, shared, results) }
}

/// The end of a native: returns to Lua, or raises.
///
/// # Safety
/// `l` is live, the frames up to Lua's own hold nothing to be dropped.
unsafe fn leave(l: *mut lua_State, shared: &Shared, results: Results) -> c_int {
    // SAFETY: as the caller promises, raising is allowed; the texts raised are on top of the stack,
    // where `Raise` says they are, and stay there while C reads them.
    unsafe {
        if let Err(Raise::Text | Raise::Argument(_)) = results {
            // Nothing but the text is needed, and Lua's stack may be full.
            if ffi::lua_gettop(l) > 1 {
                ffi::lua_replace(l, 1);
                ffi::lua_settop(l, 1);
            }
        }
        match results {
            Ok(n) if !shared.is_over() => {
                shared.soft.set(false);
                return n;
            }
            Ok(_) => {
                ffi::lua_settop(l, 0);
                ffi::lua_pushlstring_(l, c"not enough memory".as_ptr(), 17);
            }
            Err(Raise::Value) => {}
            Err(Raise::Text) => {
                ffi::luaL_where(l, 1);
                ffi::lua_insert(l, -2);
                ffi::lua_concat(l, 2);
            }
            Err(Raise::Argument(n)) => {
                shared.soft.set(false);
                return ffi::luaL_argerror(l, n, ffi::lua_tostring(l, 1));
            }
        }
        shared.soft.set(false);
        ffi::lua_error(l)
    }
}

/// Lua's count hook.
pub(super) unsafe extern "C-unwind" fn hook(l: *mut lua_State, _: *mut lua_Debug) {
    // SAFETY: Lua calls this with a live thread; after the block nothing on this frame is to be dropped.
    unsafe {
        let shared = shared(l);
        shared.soft.set(true);
        let killed = Stack::new(l, shared, 0).tick();
        if killed {
            // From now on at every line, so that a `pcall` of the script does not get far.
            ffi::lua_sethook(l, Some(hook), ffi::LUA_MASKLINE, 0);
            shared.killed.set(true);
            shared.soft.set(false);
            ffi::lua_error(l);
        }
        shared.soft.set(false);
    }
}
