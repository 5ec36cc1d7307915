//! Numbers as C prints them.

use super::encode::put_number;

#[test]
fn numbers_are_printed_as_by_c() {
    let print = |value: f64, precision: usize| {
        let mut out = Vec::new();
        put_number(&mut out, value, precision);
        String::from_utf8(out).expect("ASCII")
    };
    assert_eq!(print(0.1, 14), "0.1");
    assert_eq!(print(1e15, 14), "1e+15");
    assert_eq!(print(123456789012345.0, 14), "1.2345678901234e+14");
    assert_eq!(print(1e13, 14), "10000000000000");
    assert_eq!(print(-0.0, 14), "-0");
    assert_eq!(print(0.00001, 14), "1e-05");
    assert_eq!(print(2.0 / 3.0, 3), "0.667");
    assert_eq!(print(999.9, 3), "1e+03");
    assert_eq!(print(1234.0, 3), "1.23e+03");
    assert_eq!(print(f64::INFINITY, 14), "inf");
    assert_eq!(print(1.7976931348623157e308, 14), "1.7976931348623e+308");
}
