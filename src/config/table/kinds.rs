//! Shorthand for the kind of a row: which field it sets, and what it may be.

macro_rules! yes_no {
    ($field:ident) => {
        $crate::config::parameter::Kind::YesNo { get: |s| s.$field, set: |s, value| s.$field = value }
    };
}

macro_rules! numeric {
    ($form:ident, $field:ident: $type:ty, $min:expr, $max:expr) => {
        $crate::config::parameter::Kind::Number {
            form: $crate::config::parameter::Form::$form,
            min: $min,
            max: $max,
            get: |s| s.$field as i128,
            set: |s, value| s.$field = value as $type,
        }
    };
}

macro_rules! number {
    ($($rest:tt)*) => { numeric!(Plain, $($rest)*) };
}

macro_rules! memory {
    ($($rest:tt)*) => { numeric!(Memory, $($rest)*) };
}

macro_rules! text {
    ($field:ident) => {
        text!($field, |_| Ok(()))
    };
    ($field:ident, $check:expr) => {
        $crate::config::parameter::Kind::Text {
            get: |s| &s.$field,
            set: |s, value| s.$field = value,
            check: $check,
        }
    };
}

macro_rules! word {
    ($field:ident: $type:ident) => {
        $crate::config::parameter::Kind::Word {
            words: $crate::config::words::$type::WORDS,
            get: |s| s.$field.word(),
            set: |s, index| s.$field = $crate::config::words::$type::at(index),
        }
    };
}

macro_rules! special {
    ($shape:expr, $arity:expr, $parse:expr, $format:expr, $lines:expr) => {
        $crate::config::parameter::Kind::Special {
            shape: $shape,
            arity: $arity,
            parse: $parse,
            format: $format,
            lines: $lines,
        }
    };
}
