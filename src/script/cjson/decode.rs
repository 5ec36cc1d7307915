//! JSON to values. A zero byte outside of a string ends the text, as the C string it is to lua-cjson.

use super::super::lua::{Raise, Results, Stack};
use super::{Setting, get};
use crate::base::num::parse_f64_lenient;

#[derive(Clone, Copy, PartialEq)]
enum Token {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    /// Its text is in `Decoder::text`.
    String,
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

impl Token {
    /// As messages name it.
    fn name(self) -> &'static str {
        match self {
            Token::ObjectBegin => "T_OBJ_BEGIN",
            Token::ObjectEnd => "T_OBJ_END",
            Token::ArrayBegin => "T_ARR_BEGIN",
            Token::ArrayEnd => "T_ARR_END",
            Token::String => "T_STRING",
            Token::Number(_) => "T_NUMBER",
            Token::Boolean(_) => "T_BOOLEAN",
            Token::Null => "T_NULL",
            Token::Colon => "T_COLON",
            Token::Comma => "T_COMMA",
            Token::End => "T_END",
            Token::Error(text) => text,
        }
    }
}

struct Decoder<'a> {
    data: &'a [u8],
    at: usize,
    /// Where the last token began, or where it went wrong.
    index: usize,
    text: Vec<u8>,
    allow_invalid: bool,
    max_depth: i32,
    open: Vec<Open>,
}

/// What was begun; its table lies on the stack, an object's key on top of it.
enum Open {
    Object,
    Array { len: i32 },
}

pub(super) fn decode(stack: &mut Stack<'_>) -> Results {
    if stack.top() != 1 {
        return Err(stack.argument_error(1, "expected 1 argument"));
    }
    let data = stack.check_text(1)?.to_vec();
    if data.len() >= 2 && (data[0] == 0 || data[1] == 0) {
        return Err(stack.error("JSON parser does not support UTF-16 or UTF-32"));
    }
    let mut decoder = Decoder {
        data: &data,
        at: 0,
        index: 0,
        text: Vec::new(),
        allow_invalid: get(stack, Setting::DecodeInvalid) != 0,
        max_depth: get(stack, Setting::DecodeMaxDepth),
        open: Vec::new(),
    };
    decoder.value(stack)?;
    match decoder.token() {
        Token::End => Ok(1),
        token => Err(decoder.unexpected(stack, "the end", token)),
    }
}

impl Decoder<'_> {
    /// Pushes one value with all that is in it; without recursion.
    fn value(&mut self, stack: &mut Stack<'_>) -> Result<(), Raise> {
        let mut token = self.token();
        loop {
            if stack.is_over() {
                return Err(stack.error("not enough memory"));
            }
            match token {
                Token::String => stack.push_bytes(&self.text),
                Token::Number(value) => stack.push_number(value),
                Token::Boolean(value) => stack.push_bool(value),
                Token::Null => stack.push_null(),
                Token::ObjectBegin => {
                    self.descend(stack, 3)?;
                    let key = self.token();
                    if key != Token::ObjectEnd {
                        self.open.push(Open::Object);
                        token = self.key(stack, key)?;
                        continue;
                    }
                }
                Token::ArrayBegin => {
                    self.descend(stack, 2)?;
                    let first = self.token();
                    if first != Token::ArrayEnd {
                        self.open.push(Open::Array { len: 0 });
                        token = first;
                        continue;
                    }
                }
                other => return Err(self.unexpected(stack, "value", other)),
            }
            match self.place(stack)? {
                Some(next) => token = next,
                None => return Ok(()),
            }
        }
    }

    /// Puts the value on top where it belongs, closes what is complete, and reads the token the next
    /// value begins with; none when the whole is complete.
    fn place(&mut self, stack: &mut Stack<'_>) -> Result<Option<Token>, Raise> {
        loop {
            match self.open.last_mut() {
                None => return Ok(None),
                Some(Open::Object) => {
                    stack.set(-3);
                    match self.token() {
                        Token::ObjectEnd => {}
                        Token::Comma => {
                            let key = self.token();
                            return self.key(stack, key).map(Some);
                        }
                        token => return Err(self.unexpected(stack, "comma or object end", token)),
                    }
                }
                Some(Open::Array { len }) => {
                    *len += 1;
                    let len = *len;
                    stack.set_index(-2, len);
                    match self.token() {
                        Token::ArrayEnd => {}
                        Token::Comma => return Ok(Some(self.token())),
                        token => return Err(self.unexpected(stack, "comma or array end", token)),
                    }
                }
            }
            self.open.pop();
        }
    }

    /// Pushes a key and reads the token its value begins with.
    fn key(&mut self, stack: &mut Stack<'_>, key: Token) -> Result<Token, Raise> {
        if key != Token::String {
            return Err(self.unexpected(stack, "object key string", key));
        }
        stack.push_bytes(&self.text);
        match self.token() {
            Token::Colon => Ok(self.token()),
            token => Err(self.unexpected(stack, "colon", token)),
        }
    }

    fn descend(&mut self, stack: &mut Stack<'_>, slots: u32) -> Result<(), Raise> {
        let depth = self.open.len() as i32 + 1;
        if depth > self.max_depth || !stack.reserve(slots) {
            let at = self.at;
            let text = format!("Found too many nested data structures ({depth}) at character {at}");
            return Err(stack.error(&text));
        }
        stack.push_table(0, 0);
        Ok(())
    }

    fn unexpected(&self, stack: &mut Stack<'_>, expected: &str, found: Token) -> Raise {
        let (found, at) = (found.name(), self.index + 1);
        stack.error(&format!("Expected {expected} but found {found} at character {at}"))
    }

    fn byte(&self, at: usize) -> u8 {
        self.data.get(at).copied().unwrap_or(0)
    }

    fn rest(&self) -> &[u8] {
        self.data.get(self.at..).unwrap_or_default()
    }

    /// An error, told where reading stopped.
    fn wrong(&mut self, text: &'static str) -> Token {
        self.index = self.at;
        Token::Error(text)
    }

    fn token(&mut self) -> Token {
        while matches!(self.byte(self.at), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        self.index = self.at;
        let single = match self.byte(self.at) {
            b'{' => Token::ObjectBegin,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ArrayBegin,
            b']' => Token::ArrayEnd,
            b',' => Token::Comma,
            b':' => Token::Colon,
            0 => return Token::End,
            b'"' => return self.string(),
            b'-' | b'0'..=b'9' if !self.allow_invalid && self.is_invalid_number() => {
                return self.wrong("invalid number");
            }
            b'-' | b'0'..=b'9' => return self.number(),
            b'f' | b'i' | b'I' | b'n' | b'N' | b't' | b'+' => return self.word(),
            _ => return self.wrong("invalid token"),
        };
        self.at += 1;
        single
    }

    fn word(&mut self) -> Token {
        let words = [("true", Token::Boolean(true)), ("false", Token::Boolean(false)), ("null", Token::Null)];
        for (word, token) in words {
            if self.rest().starts_with(word.as_bytes()) {
                self.at += word.len();
                return token;
            }
        }
        if self.allow_invalid && self.is_invalid_number() {
            return self.number();
        }
        self.wrong("invalid token")
    }

    /// Numbers that C reads and JSON does not have.
    fn is_invalid_number(&self) -> bool {
        let rest = match self.rest() {
            [b'+', ..] => return true,
            [b'-', rest @ ..] | rest => rest,
        };
        match rest {
            [b'0', next, ..] => next | 0x20 == b'x' || next.is_ascii_digit(),
            [b'0'] => false,
            [first, ..] if *first <= b'9' => false,
            _ => rest
                .get(..3)
                .is_some_and(|word| word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"nan")),
        }
    }

    fn number(&mut self) -> Token {
        match leading_number(self.rest()) {
            Some((value, len)) => {
                self.at += len;
                Token::Number(value)
            }
            None => self.wrong("invalid number"),
        }
    }

    fn string(&mut self) -> Token {
        self.text.clear();
        self.at += 1;
        loop {
            // Plain bytes go over in one piece.
            let rest = self.data.get(self.at..).unwrap_or_default();
            let plain = rest.iter().take_while(|b| !matches!(b, b'"' | b'\\' | 0)).count();
            self.text.extend_from_slice(&rest[..plain]);
            self.at += plain;
            match self.byte(self.at) {
                b'"' => {
                    self.at += 1;
                    return Token::String;
                }
                b'\\' => {
                    let byte = match self.byte(self.at + 1) {
                        b @ (b'"' | b'\\' | b'/') => b,
                        b'b' => 8,
                        b't' => b'\t',
                        b'n' => b'\n',
                        b'f' => 12,
                        b'r' => b'\r',
                        b'u' => match self.unicode() {
                            Some(()) => continue,
                            None => return self.wrong("invalid unicode escape code"),
                        },
                        _ => return self.wrong("invalid escape code"),
                    };
                    self.text.push(byte);
                    self.at += 2;
                }
                _ => return self.wrong("unexpected end of string"),
            }
        }
    }

    /// `\uXXXX`, or two of them that make a pair, as UTF-8.
    fn unicode(&mut self) -> Option<()> {
        let mut code = self.hex4(self.at + 2)?;
        let mut len = 6;
        if code & 0xF800 == 0xD800 {
            if code & 0x400 != 0 || self.byte(self.at + 6) != b'\\' || self.byte(self.at + 7) != b'u' {
                return None;
            }
            let low = self.hex4(self.at + 8)?;
            if low & 0xFC00 != 0xDC00 {
                return None;
            }
            code = ((code & 0x3FF) << 10 | low & 0x3FF) + 0x10000;
            len = 12;
        }
        let mut utf8 = [0; 4];
        self.text.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut utf8).as_bytes());
        self.at += len;
        Some(())
    }

    fn hex4(&self, at: usize) -> Option<u32> {
        (at..at + 4).try_fold(0, |code, at| Some(code << 4 | (self.byte(at) as char).to_digit(16)?))
    }
}

/// The number C's `strtod` reads at the beginning of a text, and its length.
fn leading_number(text: &[u8]) -> Option<(f64, usize)> {
    let sign = matches!(text.first(), Some(b'-' | b'+')) as usize;
    let body = &text[sign..];
    let word = |word: &[u8]| body.get(..word.len()).is_some_and(|text| text.eq_ignore_ascii_case(word));
    let signed = |value: f64| if text[0] == b'-' { -value } else { value };
    if word(b"infinity") {
        return Some((signed(f64::INFINITY), sign + 8));
    }
    if word(b"inf") {
        return Some((signed(f64::INFINITY), sign + 3));
    }
    if word(b"nan") {
        // `nan(letters)` is one word.
        let rest = &body[3..];
        let inside = rest.iter().skip(1).take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
        let tail = rest.first() == Some(&b'(') && rest.get(inside + 1) == Some(&b')');
        return Some((signed(f64::NAN), sign + 3 + if tail { inside + 2 } else { 0 }));
    }
    let hex = word(b"0x") && {
        let digit = |at: usize| body.get(at).is_some_and(u8::is_ascii_hexdigit);
        digit(2) || body.get(2) == Some(&b'.') && digit(3)
    };
    let len = sign
        + if hex {
            number_len(body, 2, u8::is_ascii_hexdigit, b'p')?
        } else {
            number_len(body, 0, u8::is_ascii_digit, b'e')?
        };
    Some((parse_f64_lenient(&text[..len])?, len))
}

/// How much of `text` is digits, a point among them, and an exponent.
fn number_len(text: &[u8], from: usize, digit: fn(&u8) -> bool, exponent: u8) -> Option<usize> {
    let digits = |at: usize| text.iter().skip(at).take_while(|b| digit(b)).count();
    let whole = digits(from);
    let mut at = from + whole;
    let mut any = whole > 0;
    if text.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        any |= fraction > 0;
        if any {
            at += 1 + fraction;
        }
    }
    if !any {
        return None;
    }
    if text.get(at).is_some_and(|b| b | 0x20 == exponent) {
        let sign = matches!(text.get(at + 1), Some(b'-' | b'+')) as usize;
        let decimals = text.iter().skip(at + 1 + sign).take_while(|b| b.is_ascii_digit()).count();
        if decimals > 0 {
            at += 1 + sign + decimals;
        }
    }
    Some(at)
}
