//! The library `cjson` (lua-cjson 2.1): values to and from JSON.
//!
//! Its settings (`cjson.encode_max_depth(n)` ..) last as long as the state, as they do in Redis, and
//! belong to the table of functions they were made for (`cjson.new`): a table that all its functions
//! have as their first upvalue.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

use super::lua::{Raise, Results, Stack, Type};

/// Keys of the table of settings.
#[derive(Clone, Copy)]
enum Setting {
    SparseConvert = 1,
    SparseRatio,
    SparseSafe,
    EncodeMaxDepth,
    DecodeMaxDepth,
    /// 0: an error, 1: as C prints them, 2: null.
    EncodeInvalid,
    DecodeInvalid,
    KeepBuffer,
    Precision,
}

const DEFAULTS: [(Setting, i32); 9] = [
    (Setting::SparseConvert, 0),
    (Setting::SparseRatio, 2),
    (Setting::SparseSafe, 10),
    (Setting::EncodeMaxDepth, 1000),
    (Setting::DecodeMaxDepth, 1000),
    (Setting::EncodeInvalid, 0),
    (Setting::DecodeInvalid, 1),
    (Setting::KeepBuffer, 1),
    (Setting::Precision, 14),
];

pub(super) fn push(stack: &mut Stack<'_>) {
    stack.push_table(0, 16);
    stack.push_table(DEFAULTS.len(), 0);
    for (setting, value) in DEFAULTS {
        stack.push_number(value as f64);
        stack.set_index(-2, setting as i32);
    }
    set(stack, "encode", encode::encode);
    set(stack, "decode", decode::decode);
    set(stack, "encode_sparse_array", |stack| {
        arguments(stack, 3)?;
        switch(stack, 1, Setting::SparseConvert, &["off", "on"])?;
        number(stack, 2, Setting::SparseRatio, 0, i32::MAX)?;
        number(stack, 3, Setting::SparseSafe, 0, i32::MAX)?;
        Ok(3)
    });
    set(stack, "encode_max_depth", |stack| one_number(stack, Setting::EncodeMaxDepth, i32::MAX));
    set(stack, "decode_max_depth", |stack| one_number(stack, Setting::DecodeMaxDepth, i32::MAX));
    set(stack, "encode_number_precision", |stack| one_number(stack, Setting::Precision, 14));
    set(stack, "encode_keep_buffer", |stack| one_switch(stack, Setting::KeepBuffer, &["off", "on"]));
    set(stack, "encode_invalid_numbers", |stack| {
        one_switch(stack, Setting::EncodeInvalid, &["off", "on", "null"])
    });
    set(stack, "decode_invalid_numbers", |stack| one_switch(stack, Setting::DecodeInvalid, &["off", "on"]));
    set(stack, "new", |stack| {
        push(stack);
        Ok(1)
    });
    stack.pop(1);
    stack.push_null();
    stack.set_field(-2, "null");
    for (name, text) in [("_NAME", "cjson"), ("_VERSION", "2.1.0")] {
        stack.push_bytes(text.as_bytes());
        stack.set_field(-2, name);
    }
}

/// A function of the table below the settings, which are on top.
fn set<F>(stack: &mut Stack<'_>, name: &str, native: F)
where
    F: Fn(&mut Stack<'_>) -> Results + Copy + 'static,
{
    stack.copy(-1);
    stack.push_native(native, 1);
    stack.set_field(-3, name);
}

fn get(stack: &mut Stack<'_>, setting: Setting) -> i32 {
    stack.get_index(Stack::upvalue(1), setting as i32);
    let value = stack.number(-1).unwrap_or_default() as i32;
    stack.pop(1);
    value
}

fn put(stack: &mut Stack<'_>, setting: Setting, value: i32) {
    stack.push_number(value as f64);
    stack.set_index(Stack::upvalue(1), setting as i32);
}

/// Fills up missing arguments with nil.
fn arguments(stack: &mut Stack<'_>, count: i32) -> Result<(), Raise> {
    if stack.top() > count {
        return Err(stack.argument_error(count + 1, "found too many arguments"));
    }
    while stack.top() < count {
        stack.push_nil();
    }
    Ok(())
}

fn one_number(stack: &mut Stack<'_>, setting: Setting, max: i32) -> Results {
    arguments(stack, 1)?;
    number(stack, 1, setting, 1, max)
}

fn one_switch(stack: &mut Stack<'_>, setting: Setting, words: &[&str]) -> Results {
    arguments(stack, 1)?;
    switch(stack, 1, setting, words)
}

/// Changes a number if there is an argument, and pushes what it is.
fn number(stack: &mut Stack<'_>, argument: i32, setting: Setting, min: i32, max: i32) -> Results {
    if stack.kind(argument) != Type::Nil {
        let value = stack.check_integer(argument)? as i32;
        if !(min..=max).contains(&value) {
            return Err(stack.argument_error(1, &format!("expected integer between {min} and {max}")));
        }
        put(stack, setting, value);
    }
    let value = get(stack, setting);
    stack.push_number(value as f64);
    Ok(1)
}

/// Changes a setting of words, of which the first two are also false and true.
fn switch(stack: &mut Stack<'_>, argument: i32, setting: Setting, words: &[&str]) -> Results {
    match stack.kind(argument) {
        Type::Nil => {}
        Type::Boolean => {
            let value = stack.truth(argument) as i32;
            put(stack, setting, value);
        }
        _ => {
            let word = stack.check_text(argument)?;
            let word = word.split(|b| *b == 0).next().unwrap_or_default();
            match words.iter().position(|known| known.as_bytes() == word) {
                Some(value) => put(stack, setting, value as i32),
                None => {
                    let text = [b"invalid option '", word, b"'"].concat();
                    stack.push_bytes(&text);
                    return Err(Raise::Argument(argument));
                }
            }
        }
    }
    match get(stack, setting) {
        value @ (0 | 1) => stack.push_bool(value == 1),
        value => stack.push_bytes(words[value as usize].as_bytes()),
    }
    Ok(1)
}
