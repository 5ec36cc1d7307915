//! The table `redis`, and the functions of Lua's own that Redis replaces: `pcall`, `math.random`,
//! `math.randomseed`.

use super::convert::push_number_text;
use super::error::integer;
use super::fiber::Leave;
use super::host::{Called, LogLevel, REPL_ALL, REPL_AOF, REPL_NONE, REPL_SLAVE};
use super::lua::{Raise, Results, Stack, Status, Type};
use super::source::sha1_hex;
use crate::resp::{ArgsBuf, Proto};

/// The Redis this is compatible with.
pub(super) const REDIS_VERSION: &str = "7.0.15";
pub(super) const REDIS_VERSION_NUM: f64 = 0x0007_000f as f64;

/// The table `redis` of EVAL, or of functions.
pub(super) fn push_redis(stack: &mut Stack<'_>, eval: bool) {
    stack.push_table(0, 32);
    push_log(stack);
    set(stack, "call", call);
    set(stack, "pcall", pcall);
    set(stack, "setresp", setresp);
    set(stack, "sha1hex", sha1hex);
    set(stack, "error_reply", error_reply);
    set(stack, "status_reply", status_reply);
    set(stack, "set_repl", set_repl);
    set(stack, "acl_check_cmd", acl_check_cmd);
    let flags = [("NONE", REPL_NONE), ("AOF", REPL_AOF), ("SLAVE", REPL_SLAVE), ("REPLICA", REPL_SLAVE)];
    for (name, value) in flags.into_iter().chain([("ALL", REPL_ALL)]) {
        stack.push_number(value as f64);
        stack.set_field(-2, &format!("REPL_{name}"));
    }
    if eval {
        set(stack, "breakpoint", |stack| {
            stack.push_bool(false);
            Ok(1)
        });
        set(stack, "debug", |_| Ok(0));
        set(stack, "replicate_commands", |stack| {
            stack.push_bool(true);
            Ok(1)
        });
    }
}

/// What scripts and libraries that load share: the log and the version.
pub(super) fn push_log(stack: &mut Stack<'_>) {
    set(stack, "log", log);
    for (n, name) in ["LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING"].iter().enumerate() {
        stack.push_number(n as f64);
        stack.set_field(-2, name);
    }
    stack.push_bytes(REDIS_VERSION.as_bytes());
    stack.set_field(-2, "REDIS_VERSION");
    stack.push_number(REDIS_VERSION_NUM);
    stack.set_field(-2, "REDIS_VERSION_NUM");
}

/// Sets a native as a field of the table on top.
pub(super) fn set<F>(stack: &mut Stack<'_>, name: &str, native: F)
where
    F: Fn(&mut Stack<'_>) -> Results + Copy + 'static,
{
    stack.push_native(native, 0);
    stack.set_field(-2, name);
}

fn call(stack: &mut Stack<'_>) -> Results {
    match command(stack)? {
        true => Err(Raise::Value),
        false => Ok(1),
    }
}

fn pcall(stack: &mut Stack<'_>) -> Results {
    // What `redis.call` raises, this returns.
    match command(stack) {
        Ok(_) | Err(Raise::Value) => Ok(1),
        Err(raise) => Err(raise),
    }
}

/// Runs the command on the stack, pushes its reply; whether that is an error.
fn command(stack: &mut Stack<'_>) -> Result<bool, Raise> {
    if !stack.has_host() {
        return Err(stack.fail("redis.call/pcall can only be called inside a script invocation"));
    }
    let mut arguments = std::mem::take(&mut stack.context().arguments);
    let mut reply = std::mem::take(&mut stack.context().reply);
    if let Err(text) = read_arguments(stack, &mut arguments) {
        stack.context().arguments = arguments;
        stack.context().reply = reply;
        return Err(stack.fail(text));
    }
    stack.set_top(0);
    let proto = stack.context().proto;
    loop {
        reply.clear();
        let Some(host) = stack.host() else { unreachable!("checked above") };
        let called = host.call(arguments.as_args(), proto, &mut reply);
        if called == Called::Replied {
            break;
        }
        // This stack may be thrown away while we are off it: nothing may lie on it.
        stack.context().arguments = arguments;
        stack.context().reply = reply;
        stack.leave(if called == Called::Wait { Leave::Pause } else { Leave::Abandon });
        arguments = std::mem::take(&mut stack.context().arguments);
        reply = std::mem::take(&mut stack.context().reply);
    }
    let is_error = stack.push_reply(&reply);
    // A large buffer is not kept for the small replies that follow.
    if reply.capacity() > BUFFER_KEPT_BYTES_MAX {
        reply = Vec::new();
    }
    if arguments.bytes_len() > BUFFER_KEPT_BYTES_MAX {
        arguments = ArgsBuf::new();
    }
    stack.context().arguments = arguments;
    stack.context().reply = reply;
    Ok(is_error)
}

const BUFFER_KEPT_BYTES_MAX: usize = 1 << 20;

/// The values on the stack as a command.
fn read_arguments(stack: &mut Stack<'_>, arguments: &mut ArgsBuf) -> Result<(), &'static str> {
    arguments.clear();
    let count = stack.top();
    if count == 0 {
        return Err("Please specify at least one argument for this redis lib call");
    }
    for index in 1..=count {
        if let Some(bytes) = stack.bytes(index) {
            arguments.push(bytes);
        } else if let Some(number) = stack.number(index) {
            push_number_text(number, |text| arguments.push(text));
        } else {
            return Err("Lua redis lib command arguments must be strings or integers");
        }
    }
    Ok(())
}

fn acl_check_cmd(stack: &mut Stack<'_>) -> Results {
    let mut arguments = std::mem::take(&mut stack.context().arguments);
    let read = read_arguments(stack, &mut arguments);
    let allowed = match (read, stack.host()) {
        (Err(text), _) => Err(text),
        (_, None) => Err("redis.acl_check_cmd can only be called inside a script invocation"),
        (Ok(()), Some(host)) => {
            host.acl_check(arguments.as_args()).ok_or("Invalid command passed to redis.acl_check_cmd()")
        }
    };
    stack.context().arguments = arguments;
    let allowed = allowed.map_err(|text| stack.fail(text))?;
    stack.push_bool(allowed);
    Ok(1)
}

fn log(stack: &mut Stack<'_>) -> Results {
    let count = stack.top();
    if count < 2 {
        return Err(stack.fail("redis.log() requires two arguments or more."));
    }
    let Some(level) = stack.to_number(1) else {
        return Err(stack.fail("First argument must be a number (log level)."));
    };
    let level = match integer(level) as i32 {
        0 => LogLevel::Debug,
        1 => LogLevel::Verbose,
        2 => LogLevel::Notice,
        3 => LogLevel::Warning,
        _ => return Err(stack.fail("Invalid debug level.")),
    };
    let mut text = Vec::new();
    for index in 2..=count {
        if let Some(part) = stack.text(index) {
            if index > 2 {
                text.push(b' ');
            }
            text.extend_from_slice(part);
        }
    }
    if let Some(host) = stack.host() {
        host.log(level, &text);
    }
    Ok(0)
}

fn setresp(stack: &mut Stack<'_>) -> Results {
    if stack.top() != 1 {
        return Err(stack.fail("redis.setresp() requires one argument."));
    }
    let version = integer(stack.to_number(1).unwrap_or(0.0)) as i32;
    stack.context().proto = match version {
        2 => Proto::Resp2,
        3 => Proto::Resp3,
        _ => return Err(stack.fail("RESP version must be 2 or 3.")),
    };
    Ok(0)
}

fn set_repl(stack: &mut Stack<'_>) -> Results {
    if stack.top() != 1 {
        return Err(stack.fail("redis.set_repl() requires two arguments."));
    }
    let flags = integer(stack.to_number(1).unwrap_or(0.0)) as i32;
    if flags & !(REPL_ALL as i32) != 0 {
        let text = "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.";
        return Err(stack.fail(text));
    }
    if let Some(host) = stack.host() {
        host.set_repl(flags as u32);
    }
    Ok(0)
}

fn sha1hex(stack: &mut Stack<'_>) -> Results {
    if stack.top() != 1 {
        return Err(stack.fail("wrong number of arguments"));
    }
    let hex = sha1_hex(stack.text(1).unwrap_or_default());
    stack.push_bytes(&hex);
    Ok(1)
}

fn status_reply(stack: &mut Stack<'_>) -> Results {
    if stack.top() != 1 || stack.kind(1) != Type::String {
        stack.push_error(b"wrong number or type of arguments");
        return Ok(1);
    }
    stack.push_table(0, 1);
    stack.copy(1);
    stack.set_field(-2, "ok");
    Ok(1)
}

fn error_reply(stack: &mut Stack<'_>) -> Results {
    if stack.top() != 1 || stack.kind(1) != Type::String {
        stack.push_error(b"wrong number or type of arguments");
        return Ok(1);
    }
    let mut text = stack.bytes(1).unwrap_or_default().to_vec();
    if text.first() != Some(&b'-') {
        text.insert(0, b'-');
    }
    stack.push_error(&text);
    Ok(1)
}

/// Lua's `pcall`, but of an error's table only the text is returned, as when errors were texts.
pub(super) fn protected_call(stack: &mut Stack<'_>) -> Results {
    let count = stack.top();
    if count == 0 {
        // What Redis finds where a function should be.
        stack.push_bool(false);
        stack.push_bytes(b"attempt to call a boolean value");
        return Ok(2);
    }
    let status = stack.call(count - 1, -1);
    if status == Status::Ok {
        stack.push_bool(true);
        stack.insert(1);
        return Ok(stack.top());
    }
    if stack.kind(-1) == Type::Table {
        stack.get_field(-1, "err");
        if matches!(stack.kind(-1), Type::String | Type::Number) {
            stack.replace(-2);
        } else {
            stack.pop(1);
        }
    }
    stack.push_bool(false);
    stack.insert(-2);
    Ok(2)
}

pub(super) fn random(stack: &mut Stack<'_>) -> Results {
    if !stack.has_host() {
        return Err(stack.error("math.random can only be called inside a script invocation"));
    }
    const MAX: u32 = i32::MAX as u32;
    let r = (stack.context().random.next() % MAX) as f64 / MAX as f64;
    let value = match stack.top() {
        0 => r,
        1 => {
            let high = stack.check_integer(1)? as i32;
            if high < 1 {
                return Err(stack.argument_error(1, "interval is empty"));
            }
            (r * high as f64).floor() + 1.0
        }
        2 => {
            let (low, high) = (stack.check_integer(1)? as i32, stack.check_integer(2)? as i32);
            if low > high {
                return Err(stack.argument_error(2, "interval is empty"));
            }
            // The width wraps around as C's `int` does.
            (r * high.wrapping_sub(low).wrapping_add(1) as f64).floor() + low as f64
        }
        _ => return Err(stack.error("wrong number of arguments")),
    };
    stack.push_number(value);
    Ok(1)
}

pub(super) fn randomseed(stack: &mut Stack<'_>) -> Results {
    if !stack.has_host() {
        return Err(stack.error("math.randomseed can only be called inside a script invocation"));
    }
    let seed = stack.check_integer(1)? as i32;
    stack.context().random.seed(seed);
    Ok(0)
}
