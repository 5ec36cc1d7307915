//! Numbers at their limits, and every parser against its printer.

use super::*;
use proptest::prelude::*;

#[test]
fn integers_have_one_spelling() {
    let good: &[(&str, i64)] = &[
        ("0", 0),
        ("-1", -1),
        ("10", 10),
        ("9223372036854775807", i64::MAX),
        ("-9223372036854775808", i64::MIN),
    ];
    for (text, value) in good {
        assert_eq!(parse_i64(text.as_bytes()), Some(*value), "{text}");
    }
    for text in [
        "",
        "-",
        "-0",
        "+1",
        "01",
        "-01",
        " 1",
        "1 ",
        "1.0",
        "0x1",
        "00",
        "1_0",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "99999999999999999999999",
    ] {
        assert_eq!(parse_i64(text.as_bytes()), None, "{text}");
    }
    assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
    assert_eq!(parse_u64(b"18446744073709551616"), None);
    assert_eq!(parse_u64(b"-1"), None);
}

#[test]
fn lenient_integers_follow_strtoull() {
    assert_eq!(parse_u64_lenient(b"007"), Some(7));
    assert_eq!(parse_u64_lenient(b" +7"), Some(7));
    assert_eq!(parse_u64_lenient(b"-1"), None);
    assert_eq!(parse_u64_lenient(b"-01"), Some(u64::MAX));
    for text in ["", " ", "+", "7 ", "18446744073709551616"] {
        assert_eq!(parse_u64_lenient(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn floats_that_redis_takes() {
    let good: &[(&str, f64)] = &[
        ("1", 1.0),
        ("-0", -0.0),
        ("+5", 5.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("3.0e3", 3000.0),
        ("1E+2", 100.0),
        ("inf", f64::INFINITY),
        ("+InF", f64::INFINITY),
        ("-infinity", f64::NEG_INFINITY),
        ("0x10", 16.0),
        ("-0x1.8p3", -12.0),
        ("0x.8", 0.5),
        ("0X1P-1074", 5e-324),
        ("0x1.fffffffffffff8p0", 2.0),
        ("4.9e-324", 5e-324),
        ("0e999", 0.0),
        ("0x0p9999", 0.0),
        ("1.7976931348623157e308", f64::MAX),
    ];
    for (text, value) in good {
        let got = parse_f64(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(got.to_bits(), value.to_bits(), "{text}");
    }
    for text in [
        "",
        " 1",
        "1 ",
        "nan",
        "-nan",
        "nan(1)",
        "1e",
        "e5",
        ".",
        "-",
        "+",
        "0x",
        "0x.",
        "0x1p",
        "infinit",
        "1e400",
        "-1e400",
        "1e-400",
        "0x1p1024",
        "0x1p-1076",
        "1_0",
        "1,5",
        "--1",
        "1.2.3",
        "\u{661}",
    ] {
        assert_eq!(parse_f64(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn score_bounds_are_read_by_strtod_alone() {
    assert_eq!(parse_f64_lenient(b""), Some(0.0));
    assert_eq!(parse_f64_lenient(b" 5"), Some(5.0));
    assert_eq!(parse_f64_lenient(b"1e999"), Some(f64::INFINITY));
    assert_eq!(parse_f64_lenient(b"1e-999"), Some(0.0));
    assert_eq!(parse_f64_lenient(b"nan"), None);
    assert_eq!(parse_f64_lenient(b" "), None);
}

// The digits are the point: halfway cases and what C prints for them.
#[test]
#[allow(clippy::excessive_precision, clippy::approx_constant)]
fn doubles_print_seventeen_digits() {
    let rows: &[(f64, &str)] = &[
        (0.0, "0"),
        (-0.0, "-0"),
        (3.0, "3"),
        (-1.5, "-1.5"),
        (0.1, "0.10000000000000001"),
        (3.14, "3.1400000000000001"),
        (1e16, "10000000000000000"),
        (1e17, "1e+17"),
        (1e20, "1e+20"),
        (123456789012345680.0, "1.2345678901234568e+17"),
        (1e-4, "0.0001"),
        (1e-5, "1.0000000000000001e-05"),
        (0.00025, "0.00025000000000000001"),
        (f64::MAX, "1.7976931348623157e+308"),
        (5e-324, "4.9406564584124654e-324"),
        (-1e100, "-1e+100"),
        (100.5, "100.5"),
        // Halfway between two texts: the even digit.
        (1125899906842624.25, "1125899906842624.2"),
        (1125899906842624.75, "1125899906842624.8"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
        (f64::NAN, "nan"),
    ];
    for (value, text) in rows {
        let mut out = String::new();
        write_double(&mut out, *value);
        assert_eq!(out, *text);
    }
}

#[test]
fn human_bytes() {
    let rows = [
        (0, "0B"),
        (1023, "1023B"),
        (1024, "1.00K"),
        (1_289_748, "1.23M"),
        (1 << 30, "1.00G"),
        (1 << 40, "1.00T"),
        (3 << 49, "1.50P"),
        (1 << 60, "1152921504606846976B"),
        (1152, "1.12K"),
    ];
    for (bytes, text) in rows {
        assert_eq!(bytes_human(bytes), text);
    }
}

#[test]
fn increments_add_as_long_doubles() {
    let rows = [
        ("0.1", "0.2", "0.3"),
        ("3.0e3", "200", "3200"),
        ("5.0e3", "2.0e2", "5200"),
        ("17179869184", "1.5", "17179869185.5"),
        ("1", "-1.1", "-0.1"),
        ("10.50", "0.1", "10.6"),
        ("0", "-0", "0"),
        ("1", "-1", "0"),
        ("0x10", ".5", "16.5"),
        ("0", "1e-18", "0"),
        ("0", "-1e-18", "0"),
        ("1e20", "1", "100000000000000000000"),
        ("9223372036854775807", "1", "9223372036854775808"),
        ("18446744073709551615", "1", "18446744073709551616"),
        ("1e19", "0.5", "10000000000000000000"),
        ("1e20", "0.5", "100000000000000000000"),
    ];
    for (current, increment, want) in rows {
        let got = add_long_double(current.as_bytes(), increment.as_bytes());
        assert_eq!(got.as_deref(), Ok(want), "{current} + {increment}");
    }
}

#[test]
fn increments_that_are_refused() {
    let add = |a: &str, b: &str| add_long_double(a.as_bytes(), b.as_bytes());
    for text in ["", "abc", "nan", " 1", "1 ", "1e5000", "1e-5000", "0x1p16384", "1e"] {
        assert_eq!(add(text, "1"), Err(IncrFloatError::NotAFloat), "{text}");
        assert_eq!(add("1", text), Err(IncrFloatError::NotAFloat), "{text}");
    }
    assert_eq!(add(&"1".repeat(5120), "1"), Err(IncrFloatError::NotAFloat));
    assert_eq!(add("1", "inf"), Err(IncrFloatError::NotFinite));
    assert_eq!(add("-inf", "inf"), Err(IncrFloatError::NotFinite));
    assert_eq!(add("1.1e4932", "1.1e4932"), Err(IncrFloatError::NotFinite));
}

proptest! {
    #[test]
    fn integers_round_trip(n: i64, u: u64) {
        prop_assert_eq!(parse_i64(n.to_string().as_bytes()), Some(n));
        prop_assert_eq!(parse_u64(u.to_string().as_bytes()), Some(u));
    }

    #[test]
    fn accepted_integers_print_back(text in "[-+ 0-9]{0,21}") {
        if let Some(n) = parse_i64(text.as_bytes()) {
            prop_assert_eq!(n.to_string(), text);
        }
    }

    #[test]
    fn doubles_round_trip(bits: u64) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        let text = DoubleText::new(value);
        prop_assert_eq!(parse_f64(text.as_bytes()).map(f64::to_bits), Some(bits));
    }

    #[test]
    fn integers_add_exactly(a in -(1i64 << 62)..(1i64 << 62), b in -(1i64 << 62)..(1i64 << 62)) {
        let sum = add_long_double(a.to_string().as_bytes(), b.to_string().as_bytes());
        prop_assert_eq!(sum, Ok((a + b).to_string()));
    }

    #[test]
    fn no_text_panics(text in r"[-+.0-9eExXpPinfa]{0,24}", any_text: Vec<u8>) {
        let _ = (parse_f64(text.as_bytes()), parse_f64_lenient(&any_text), parse_u64_lenient(&any_text));
        let _ = add_long_double(text.as_bytes(), b"1");
        let _ = (parse_f64(&any_text), LongDouble::parse(&any_text), parse_i64(&any_text));
    }
}
