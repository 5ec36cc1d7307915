//! `redis.register_function`: what a library says about its functions while it loads.

use super::context::Registered;
use super::libraries::is_name;
use super::lua::{Raise, Results, Stack, Type};
use super::source::ScriptFlags;

pub(super) const BAD_NAME: &str = "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long";

pub(super) fn register_function(stack: &mut Stack<'_>) -> Results {
    if stack.context().loading.is_none() {
        return Err(stack.fail("redis.register_function can only be called on FUNCTION LOAD command"));
    }
    let registered = match stack.top() {
        1 => named(stack)?,
        2 => positional(stack)?,
        _ => return Err(stack.fail("wrong number of arguments to redis.register_function")),
    };
    let loading = stack.context().loading.get_or_insert_default();
    let wrong = match () {
        () if !is_name(&registered.name) => BAD_NAME,
        () if loading.iter().any(|other| other.name == registered.name) => {
            "Function already exists in the library"
        }
        () => {
            loading.push(registered);
            return Ok(0);
        }
    };
    stack.release(registered.callback);
    Err(stack.fail(wrong))
}

fn positional(stack: &mut Stack<'_>) -> Result<Registered, Raise> {
    let Some(name) = text(stack, 1) else {
        return Err(stack.fail("first argument to redis.register_function must be a string"));
    };
    if stack.kind(2) != Type::Function {
        return Err(stack.fail("second argument to redis.register_function must be a function"));
    }
    let callback = stack.keep();
    Ok(Registered { name, description: None, flags: ScriptFlags::default(), callback })
}

fn named(stack: &mut Stack<'_>) -> Result<Registered, Raise> {
    if stack.kind(1) != Type::Table {
        return Err(stack.fail(
            "calling redis.register_function with a single argument is only applicable to Lua table \
             (representing named arguments).",
        ));
    }
    let (mut name, mut description, mut flags) = (None, None, ScriptFlags::default());
    let mut has_callback = false;
    stack.push_nil();
    while stack.next(1) {
        // A number as a key is read as a text; `next` must not see it change.
        stack.copy(-2);
        let key = match stack.kind(-1) {
            Type::String | Type::Number => stack.text(-1).unwrap_or_default().to_ascii_lowercase(),
            _ => {
                return Err(stack.fail("named argument key given to redis.register_function is not a string"));
            }
        };
        stack.pop(1);
        let key = key.split(|b| *b == 0).next().unwrap_or_default();
        let wrong = match key {
            b"function_name" => {
                name = text(stack, -1);
                name.is_none()
                    .then_some("function_name argument given to redis.register_function must be a string")
            }
            b"description" => {
                description = text(stack, -1);
                let text = "description argument given to redis.register_function must be a string";
                description.is_none().then_some(text)
            }
            b"callback" => {
                has_callback = stack.kind(-1) == Type::Function;
                let text = "callback argument given to redis.register_function must be a function";
                (!has_callback).then_some(text)
            }
            b"flags" if stack.kind(-1) != Type::Table => {
                Some("flags argument to redis.register_function must be a table representing function flags")
            }
            b"flags" => match read_flags(stack) {
                Some(read) => {
                    flags = read;
                    None
                }
                None => Some("unknown flag given"),
            },
            _ => Some("unknown argument given to redis.register_function"),
        };
        if let Some(wrong) = wrong {
            return Err(stack.fail(wrong));
        }
        stack.pop(1);
    }
    let Some(name) = name else {
        return Err(stack.fail("redis.register_function must get a function name argument"));
    };
    if !has_callback {
        return Err(stack.fail("redis.register_function must get a callback argument"));
    }
    push_callback(stack);
    let callback = stack.keep();
    Ok(Registered { name, description, flags, callback })
}

/// The last function under a spelling of `callback`.
fn push_callback(stack: &mut Stack<'_>) {
    let mut at = None;
    stack.push_nil();
    while stack.next(1) {
        let is_callback = stack.bytes(-2).is_some_and(|key| key.eq_ignore_ascii_case(b"callback"));
        if is_callback {
            at = Some(stack.bytes(-2).unwrap_or_default().to_vec());
        }
        stack.pop(1);
    }
    stack.push_bytes(&at.unwrap_or_default());
    stack.get(1);
}

/// The flags in the table on top; none when one of them is unknown.
fn read_flags(stack: &mut Stack<'_>) -> Option<ScriptFlags> {
    let mut flags = ScriptFlags::default();
    for n in 1.. {
        stack.get_index(-1, n);
        if stack.kind(-1) == Type::Nil {
            stack.pop(1);
            break;
        }
        let name = text(stack, -1);
        stack.pop(1);
        let name = name?;
        let known = |(_, known): &&(ScriptFlags, &str)| known.as_bytes().eq_ignore_ascii_case(&name);
        flags.insert(ScriptFlags::NAMES.iter().find(known)?.0);
    }
    Some(flags)
}

/// A string, or a number as text.
fn text(stack: &mut Stack<'_>, index: i32) -> Option<Box<[u8]>> {
    stack.text(index).map(Into::into)
}
