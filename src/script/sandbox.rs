//! What scripts find in a fresh state, and what keeps them from changing it.
//!
//! Redis's Lua can mark a table read-only. Ours cannot, so every table that all scripts share is an
//! empty *front*: its metatable's `__index` is the table with the content, which no script ever holds,
//! and its `__newindex` raises what Redis raises. Functions of Lua's own that would look past a
//! metatable (`next`, `rawget`, `rawset`, `getmetatable` ..) are told apart: before them stands a native
//! that puts the content in the front's place, or raises.
//!
//! ```text
//!   _G (front, empty) ── metatable ── __index ──▶ content: redis ──▶ front of redis
//!                            │                             string ─▶ front of string ..
//!                            └── FRONT ──▶ content; LOGICAL ──▶ front of what `getmetatable` shows
//! ```

use super::lua::{Before, Builtin, Raise, Results, Stack, Status, Type};
use super::{api, bit, cjson, cmsgpack, convert, error, pack};

const READONLY: &str = "Attempt to modify a readonly table";
/// Tables in the globals that scripts and functions share.
const LIBRARIES: [&str; 8] = ["string", "table", "math", "coroutine", "cjson", "cmsgpack", "struct", "bit"];
/// Fields of a front's metatable.
const FRONT: &str = "front of";
const LOGICAL: &str = "metatable of";

/// Opens the libraries into the globals of `stack`'s thread, which become EVAL's.
pub(super) fn open(stack: &mut Stack<'_>) {
    convert::keep_fields(stack);
    for library in [Builtin::Base, Builtin::Table, Builtin::String, Builtin::Math] {
        stack.open(library);
    }
    stack.push_globals();
    // Not for scripts: files, output, other functions' globals, userdata.
    for name in ["dofile", "loadfile", "print", "newproxy", "setfenv", "getfenv", "module", "require"] {
        stack.push_nil();
        stack.set_field(-2, name);
    }
    guard_base(stack);
    guard_strings(stack);
    api::set(stack, "pcall", api::protected_call);
    stack.get_field(-1, "math");
    api::set(stack, "random", api::random);
    api::set(stack, "randomseed", api::randomseed);
    stack.pop(1);
    for (name, push) in [
        ("bit", bit::push as fn(&mut Stack<'_>)),
        ("cjson", cjson::push),
        ("cmsgpack", cmsgpack::push),
        ("struct", pack::push),
    ] {
        push(stack);
        stack.set_field(-2, name);
    }
    for name in LIBRARIES {
        stack.get_field(-1, name);
        push_front(stack);
        stack.remove(-2);
        stack.set_field(-2, name);
    }
    front_strings(stack);
    stack.pop(1);
}

/// The globals of EVAL: on top of what `open` made, left on top of the stack as a front.
pub(super) fn push_eval_globals(stack: &mut Stack<'_>) {
    push_copy_of_globals(stack);
    api::push_redis(stack, true);
    stack.set_field(-2, "redis");
    api::set(stack, "__redis__err__handler", error::handler);
    finish_globals(stack);
}

/// The globals of functions.
pub(super) fn push_function_globals(stack: &mut Stack<'_>) {
    push_copy_of_globals(stack);
    api::push_redis(stack, false);
    stack.set_field(-2, "redis");
    finish_globals(stack);
}

/// What a library sees while it loads: `redis`, with little in it.
pub(super) fn push_load_globals(stack: &mut Stack<'_>) {
    stack.push_table(0, 1);
    stack.push_table(0, 8);
    api::push_log(stack);
    api::set(stack, "register_function", super::register::register_function);
    refuse_unknown(stack);
    push_front(stack);
    stack.remove(-2);
    stack.set_field(-2, "redis");
    refuse_unknown(stack);
}

fn push_copy_of_globals(stack: &mut Stack<'_>) {
    stack.push_table(0, 64);
    stack.push_globals();
    stack.push_nil();
    while stack.next(-2) {
        stack.copy(-2);
        stack.insert(-2);
        stack.set(-5);
    }
    stack.pop(1);
}

/// The table of globals on top becomes the content of a front, and so does its `redis`.
fn finish_globals(stack: &mut Stack<'_>) {
    refuse_unknown(stack);
    stack.get_field(-1, "redis");
    push_front(stack);
    stack.remove(-2);
    stack.set_field(-2, "redis");
    push_front(stack);
    stack.copy(-1);
    stack.set_field(-3, "_G");
    stack.remove(-2);
}

/// Gives the table on top a metatable that raises about what is not in it.
fn refuse_unknown(stack: &mut Stack<'_>) {
    stack.push_table(0, 1);
    api::set(stack, "__index", unknown_global);
    stack.set_metatable(-2);
}

/// Pushes a front of the table on top.
fn push_front(stack: &mut Stack<'_>) {
    stack.push_table(0, 0);
    stack.push_table(0, 4);
    stack.copy(-3);
    stack.set_field(-2, "__index");
    stack.copy(-3);
    stack.set_field(-2, FRONT);
    api::set(stack, "__newindex", refuse_write);
    if stack.push_metatable(-3) {
        push_front(stack);
        stack.remove(-2);
        stack.set_field(-2, LOGICAL);
    }
    stack.set_metatable(-2);
}

/// Makes the front at `index` show the content at the top, which leaves the stack.
pub(super) fn set_content(stack: &mut Stack<'_>, index: i32) {
    assert!(stack.push_metatable(index), "a front");
    stack.copy(-2);
    stack.set_field(-2, "__index");
    stack.copy(-2);
    stack.set_field(-2, FRONT);
    stack.pop(2);
}

/// Pushes the content of the front at `index`.
pub(super) fn push_content(stack: &mut Stack<'_>, index: i32) {
    stack.copy(index);
    let found = unwrap(stack, -1);
    assert!(found, "a front");
}

/// Replaces a front at `index` by its content; whether it was one.
pub(super) fn unwrap(stack: &mut Stack<'_>, index: i32) -> bool {
    if stack.kind(index) != Type::Table || !stack.push_metatable(index) {
        return false;
    }
    stack.get_field(-1, FRONT);
    stack.remove(-2);
    let found = stack.kind(-1) == Type::Table;
    if found {
        // `index` counts from the top as it was.
        stack.replace(if index < 0 { index - 1 } else { index });
    } else {
        stack.pop(1);
    }
    found
}

fn is_front(stack: &mut Stack<'_>, index: i32) -> bool {
    stack.copy(index);
    let found = unwrap(stack, -1);
    stack.pop(1);
    found
}

/// `__newindex` of a front.
fn refuse_write(stack: &mut Stack<'_>) -> Results {
    Err(stack.error(READONLY))
}

/// `__index` behind a front.
fn unknown_global(stack: &mut Stack<'_>) -> Results {
    if stack.top() != 2 {
        return Err(stack.error("Wrong number of arguments to luaProtectedTableError"));
    }
    if !matches!(stack.kind(2), Type::String | Type::Number) {
        return Err(stack.error("Second argument to luaProtectedTableError must be a string or number"));
    }
    let name = stack.text(2).unwrap_or_default();
    let name = name.split(|b| *b == 0).next().unwrap_or_default();
    let text = [b"Script attempted to access nonexistent global variable '", name, b"'"].concat();
    stack.push_bytes(&text);
    Err(Raise::Text)
}

/// What Lua raises from within a function of its own: without a place.
fn refuse_raw_write(stack: &mut Stack<'_>) -> Raise {
    stack.push_bytes(READONLY.as_bytes());
    Raise::Value
}

fn guard_base(stack: &mut Stack<'_>) {
    before(stack, "next", read_content);
    before(stack, "rawget", read_content);
    before(stack, "rawset", |stack| {
        let complete = stack.top() >= 3;
        if complete && is_front(stack, 1) {
            return Err(refuse_raw_write(stack));
        }
        Ok(Before::Call)
    });
    before(stack, "unpack", check_unpack);
    before(stack, "collectgarbage", |stack| {
        stack.context().collector_changed = true;
        Ok(Before::Call)
    });
    // `pairs` hands out `next`, ours.
    stack.get_field(-1, "next");
    stack.push_native(pairs, 1);
    stack.set_field(-2, "pairs");
    api::set(stack, "getmetatable", getmetatable);
    api::set(stack, "setmetatable", setmetatable);
    api::set(stack, "load", load);
    api::set(stack, "loadstring", loadstring);
    stack.get_field(-1, "coroutine");
    // Scripts run on a thread that is not Lua's main one; they are not to see it.
    stack.get_field(-1, "running");
    stack.push_native(running, 1);
    stack.set_field(-2, "running");
    stack.pop(1);
    stack.get_field(-1, "table");
    before(stack, "foreach", read_content);
    before(stack, "insert", |stack| {
        let complete = matches!(stack.top(), 2 | 3);
        if complete && is_front(stack, 1) {
            return Err(refuse_raw_write(stack));
        }
        Ok(Before::Call)
    });
    stack.pop(1);
}

/// Puts a native before a function in the table on top.
fn before<F>(stack: &mut Stack<'_>, name: &str, native: F)
where
    F: Fn(&mut Stack<'_>) -> Result<Before, Raise> + Copy + 'static,
{
    stack.get_field(-1, name);
    stack.put_before(native);
    stack.set_field(-2, name);
}

fn read_content(stack: &mut Stack<'_>) -> Result<Before, Raise> {
    unwrap(stack, 1);
    Ok(Before::Call)
}

fn pairs(stack: &mut Stack<'_>) -> Results {
    stack.check_table(1)?;
    stack.copy(Stack::upvalue(1));
    stack.copy(1);
    stack.push_nil();
    Ok(3)
}

/// Lua counts the results in an `int`; a range that does not fit would be none to it.
fn check_unpack(stack: &mut Stack<'_>) -> Result<Before, Raise> {
    stack.check_table(1)?;
    let from = if stack.is_none_or_nil(2) { 1 } else { stack.check_integer(2)? as i32 };
    let to = if stack.is_none_or_nil(3) { stack.len(1) as i32 } else { stack.check_integer(3)? as i32 };
    if from <= to && i64::from(to) - i64::from(from) >= i64::from(i32::MAX) {
        return Err(stack.error("too many results to unpack"));
    }
    Ok(Before::Call)
}

fn getmetatable(stack: &mut Stack<'_>) -> Results {
    if stack.kind(1) == Type::None {
        return Err(stack.argument_error(1, "value expected"));
    }
    if !stack.push_metatable(1) {
        stack.push_nil();
        return Ok(1);
    }
    stack.get_field(-1, FRONT);
    if stack.kind(-1) == Type::Table {
        stack.get_field(-2, LOGICAL);
        return Ok(1);
    }
    stack.pop(1);
    stack.get_field(-1, "__metatable");
    if stack.kind(-1) == Type::Nil {
        stack.pop(1);
    }
    Ok(1)
}

fn setmetatable(stack: &mut Stack<'_>) -> Results {
    let kind = stack.kind(2);
    stack.check_table(1)?;
    if !matches!(kind, Type::Nil | Type::Table) {
        return Err(stack.argument_error(2, "nil or table expected"));
    }
    if stack.push_metatable(1) {
        stack.get_field(-1, FRONT);
        if stack.kind(-1) == Type::Table {
            return Err(refuse_raw_write(stack));
        }
        stack.get_field(-2, "__metatable");
        if stack.kind(-1) != Type::Nil {
            return Err(stack.error("cannot change a protected metatable"));
        }
    }
    stack.set_top(2);
    stack.set_metatable(1);
    Ok(1)
}

fn running(stack: &mut Stack<'_>) -> Results {
    if stack.is_run() {
        stack.push_nil();
        return Ok(1);
    }
    stack.set_top(0);
    stack.copy(Stack::upvalue(1));
    match stack.call(0, 1) {
        Status::Ok => Ok(1),
        Status::Failed => Err(Raise::Value),
    }
}

fn loadstring(stack: &mut Stack<'_>) -> Results {
    let code = stack.check_text(1)?.to_vec();
    let name = match stack.is_none_or_nil(2) {
        true => code.clone(),
        false => stack.check_text(2)?.to_vec(),
    };
    Ok(loaded(stack, &code, &name))
}

/// Lua calls the function for one piece after the other while it compiles; here all pieces come first.
fn load(stack: &mut Stack<'_>) -> Results {
    let name = match stack.is_none_or_nil(2) {
        true => b"=(load)".to_vec(),
        false => stack.check_text(2)?.to_vec(),
    };
    if stack.kind(1) != Type::Function {
        return Err(stack.type_error(1, "function"));
    }
    let mut code = Vec::new();
    loop {
        stack.copy(1);
        if stack.call(0, 1) != Status::Ok {
            return Ok(failed(stack));
        }
        match stack.kind(-1) {
            Type::Nil => break,
            Type::String | Type::Number => {}
            _ => {
                stack.push_bytes(b"reader function must return a string");
                return Ok(failed(stack));
            }
        }
        let piece = stack.text(-1).unwrap_or_default();
        if piece.is_empty() {
            break;
        }
        code.extend_from_slice(piece);
        stack.pop(1);
        if !stack.has_memory(code.len()) {
            stack.push_bytes(b"not enough memory");
            return Ok(failed(stack));
        }
    }
    Ok(loaded(stack, &code, &name))
}

fn loaded(stack: &mut Stack<'_>, code: &[u8], name: &[u8]) -> i32 {
    match stack.load(code, name) {
        Status::Ok => 1,
        Status::Failed => failed(stack),
    }
}

/// Nil and the error on top.
fn failed(stack: &mut Stack<'_>) -> i32 {
    stack.push_nil();
    stack.insert(-2);
    2
}

/// Items of a pattern that matching may have to come back to; each takes a frame or two (about 200
/// bytes) of the C stack while the rest is matched.
const PATTERN_CHOICES_MAX: usize = 4000;

fn guard_strings(stack: &mut Stack<'_>) {
    stack.get_field(-1, "string");
    for name in ["find", "match", "gmatch", "gfind", "gsub"] {
        before(stack, name, check_pattern);
    }
    before(stack, "rep", check_repeat);
    stack.pop(1);
}

/// Strings look for their methods in what scripts see as `string`, and show a metatable that says so.
/// The table of globals is on top.
fn front_strings(stack: &mut Stack<'_>) {
    stack.push_bytes(b"");
    let found = stack.push_metatable(-1);
    assert!(found, "strings have a metatable");
    stack.get_field(-3, "string");
    stack.set_field(-2, "__index");
    stack.push_table(0, 1);
    stack.get_field(-4, "string");
    stack.set_field(-2, "__index");
    push_front(stack);
    stack.remove(-2);
    stack.set_field(-2, "__metatable");
    stack.pop(2);
}

/// Matching recurses on C's stack for each choice in a pattern, without a limit of its own.
fn check_pattern(stack: &mut Stack<'_>) -> Result<Before, Raise> {
    let long = stack.bytes(2).is_some_and(|pattern| {
        pattern.len() > PATTERN_CHOICES_MAX
            && pattern.iter().filter(|b| b"*+-?()".contains(b)).count() > PATTERN_CHOICES_MAX
    });
    match long {
        true => Err(stack.error("pattern too complex")),
        false => Ok(Before::Call),
    }
}

/// A result that cannot be held is refused before the time is spent on it.
fn check_repeat(stack: &mut Stack<'_>) -> Result<Before, Raise> {
    let len = stack.check_text(1)?.len();
    let times = stack.check_integer(2)? as i32;
    if len == 0 {
        stack.push_bytes(b"");
        return Ok(Before::Return(1));
    }
    match stack.has_memory(len.saturating_mul(times.max(0) as usize)) {
        true => Ok(Before::Call),
        false => {
            stack.push_bytes(b"not enough memory");
            Err(Raise::Value)
        }
    }
}
