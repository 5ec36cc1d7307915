//! Errors as scripts see them: tables with a field `err`, and where they happened.

use super::lua::{Place, Raise, Results, Stack, Type};

impl Stack<'_> {
    /// Pushes the table of an error. `-CODE text` keeps its code, any other text is an `ERR`.
    pub(super) fn push_error(&mut self, text: &[u8]) {
        // Such texts are C strings to Redis.
        let text = text.split(|b| *b == 0).next().unwrap_or_default();
        let (code, message) = match text.strip_prefix(b"-") {
            None => (b"ERR".as_slice(), text),
            Some(text) => match text.iter().position(|b| *b == b' ') {
                Some(space) => (&text[..space], &text[space + 1..]),
                None => (b"ERR".as_slice(), text),
            },
        };
        let whole = [code, b" ", trimmed(message)].concat();
        self.push_table(0, 1);
        self.push_bytes(&whole);
        self.set_field(-2, "err");
    }

    /// Raises the table of an error.
    pub(super) fn fail(&mut self, text: &str) -> Raise {
        self.set_top(0);
        self.push_error(text.as_bytes());
        Raise::Value
    }

    /// Raises a text with its place (C: `luaL_error`). All else leaves the stack, which may be full.
    pub(super) fn error(&mut self, text: &str) -> Raise {
        self.set_top(0);
        self.push_bytes(text.as_bytes());
        Raise::Text
    }

    pub(super) fn argument_error(&mut self, argument: i32, text: &str) -> Raise {
        self.set_top(0);
        self.push_bytes(text.as_bytes());
        Raise::Argument(argument)
    }

    pub(super) fn type_error(&mut self, argument: i32, expected: &str) -> Raise {
        let got = self.kind(argument).name();
        self.argument_error(argument, &format!("{expected} expected, got {got}"))
    }

    /// An argument that must be a string, or a number, which becomes one.
    pub(super) fn check_text(&mut self, argument: i32) -> Result<&[u8], Raise> {
        match self.kind(argument) {
            Type::String | Type::Number => Ok(self.text(argument).unwrap_or_default()),
            _ => Err(self.type_error(argument, "string")),
        }
    }

    pub(super) fn check_number(&mut self, argument: i32) -> Result<f64, Raise> {
        self.to_number(argument).ok_or(()).map_err(|()| self.type_error(argument, "number"))
    }

    /// As C converts: towards zero, and out of range to the least integer.
    pub(super) fn check_integer(&mut self, argument: i32) -> Result<i64, Raise> {
        self.check_number(argument).map(integer)
    }

    pub(super) fn check_table(&mut self, argument: i32) -> Result<(), Raise> {
        match self.kind(argument) {
            Type::Table => Ok(()),
            _ => Err(self.type_error(argument, "table")),
        }
    }

    pub(super) fn is_none_or_nil(&self, argument: i32) -> bool {
        matches!(self.kind(argument), Type::None | Type::Nil)
    }
}

/// A double as x86-64 converts it to a 64-bit integer.
pub(super) fn integer(value: f64) -> i64 {
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value) {
        value as i64
    } else {
        i64::MIN
    }
}

fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [b'\r' | b'\n', rest @ ..] | [rest @ .., b'\r' | b'\n'] = text {
        text = rest;
    }
    text
}

/// The handler of a run's errors: makes a table of what is not one, and writes into it where it
/// happened. An error of a native is told at the line that called it.
pub(super) fn handler(stack: &mut Stack<'_>) -> Results {
    let place = stack.place(1).and_then(|place| if place.is_c { stack.place(2) } else { Some(place) });
    stack.set_top(stack.top().min(1));
    if stack.kind(1) != Type::Table {
        let text = printed(stack);
        stack.set_top(0);
        stack.push_table(0, 3);
        stack.push_bytes(&[b"ERR ", &text[..]].concat());
        stack.set_field(1, "err");
    }
    if let Some(Place { source, line, .. }) = place {
        stack.push_bytes(&source);
        stack.set_field(1, "source");
        stack.push_number(line as f64);
        stack.set_field(1, "line");
    }
    Ok(1)
}

/// What `tostring` makes of the value at 1, if that takes no code of the script.
fn printed(stack: &mut Stack<'_>) -> Vec<u8> {
    match stack.kind(1) {
        Type::String | Type::Number => stack.text(1).unwrap_or_default().to_vec(),
        Type::Boolean => stack.truth(1).to_string().into_bytes(),
        kind @ (Type::None | Type::Nil) => kind.name().as_bytes().to_vec(),
        kind => match stack.address(1) {
            0 => format!("{}: (nil)", kind.name()).into_bytes(),
            at => format!("{}: {at:#x}", kind.name()).into_bytes(),
        },
    }
}

/// An error as a reply needs it.
#[derive(Default, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) text: Option<Vec<u8>>,
    /// `source:line`.
    pub(super) place: Option<Vec<u8>>,
    /// It was counted when a command answered it.
    pub(super) counted: bool,
}

impl Stack<'_> {
    /// Reads the error table on top of the stack; nothing of the script's runs meanwhile.
    pub(super) fn failure(&mut self) -> Failure {
        let text = self.field_text("err");
        let (source, line) = (self.field_text("source"), self.field_text("line"));
        let place = source.zip(line).map(|(source, line)| [&source[..], b":", &line[..]].concat());
        self.get_field(-1, "ignore_error_stats_update");
        let counted = self.kind(-1) == Type::Boolean && self.truth(-1);
        self.pop(1);
        Failure { text, place, counted }
    }

    /// A field of the table on top, as a C string.
    fn field_text(&mut self, name: &str) -> Option<Vec<u8>> {
        self.get_field(-1, name);
        let text = self.text(-1).map(|text| text.split(|b| *b == 0).next().unwrap_or_default().to_vec());
        self.pop(1);
        text
    }
}
