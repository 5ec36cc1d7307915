//! The matcher against tables of Redis's answers, and against a naive matcher on random input.

use super::*;
use proptest::prelude::*;

fn fits(pattern: &str, text: &str) -> bool {
    matches(pattern.as_bytes(), text.as_bytes(), false)
}

#[test]
fn plain_wildcards() {
    assert!(fits("h?llo", "hello") && !fits("h?llo", "hllo"));
    assert!(fits("h*llo", "hllo") && fits("h*llo", "heeeello") && fits("a*", "a"));
    assert!(fits("*a*b*c*", "xxaxxbxxc") && !fits("*a*b*c*", "xxaxxcxxb"));
    assert!(fits("**", "x") && fits("a**", "a") && fits("", ""));
}

#[test]
fn no_star_matches_the_empty_text() {
    assert!(!fits("*", "") && !fits("**", "") && !fits("?", ""));
}

#[test]
fn classes() {
    assert!(fits("h[ae]llo", "hallo") && !fits("h[ae]llo", "hillo"));
    assert!(fits("h[^e]llo", "hallo") && !fits("h[^e]llo", "hello"));
    assert!(fits("h[a-c]llo", "hbllo") && fits("h[c-a]llo", "hbllo"));
    assert!(fits("[\\]]", "]") && fits("[]x", "x") == fits("[]x", "q"));
    // A dash before the bracket makes a range that ends in it.
    assert!(fits("[a-]", "^") && !fits("[a-]", "-"));
}

#[test]
fn an_open_class_ends_with_the_pattern() {
    assert!(fits("[ab", "a") && !fits("[ab", "c") && fits("[^ab", "c"));
    assert!(!fits("[", "[") && fits("[^", "x") && fits("[\\", "\\"));
    assert!(fits("[a-", "-"));
}

#[test]
fn a_backslash_takes_the_next_byte_as_it_is() {
    assert!(fits("a\\*b", "a*b") && !fits("a\\*b", "axb"));
    assert!(fits("a\\", "a\\") && fits("\\\\", "\\"));
}

#[test]
fn nocase_folds_literals_but_not_escapes_in_classes() {
    let nocase = |p: &str, t: &str| matches(p.as_bytes(), t.as_bytes(), true);
    assert!(nocase("MAX*", "maxmemory") && nocase("[a-c]X", "Bx") && nocase("*X", "abcx"));
    assert!(nocase("\\A", "a") && !nocase("[\\A]", "a") && !nocase("[Z-a]", "z"));
}

#[test]
fn ranges_compare_signed_bytes() {
    assert!(matches(b"[\x80-\x7f]", b"a", false) && matches(b"[\xf0-\x10]", b"\x00", false));
    assert!(!matches(b"[a-\xff]", b"z", false));
    assert!(!matches(b"[\xe6-5]", b"0", true) && matches(b"[\xff-5]", b"0", true));
}

#[test]
fn too_many_stars_match_nothing() {
    let text = vec![b'a'; 3000];
    assert!(matches(&b"*a".repeat(1000), &text, false));
    assert!(!matches(&b"*a".repeat(1001), &text, false));
}

#[test]
fn a_pattern_full_of_stars_is_not_exponential() {
    let text = vec![b'a'; 4000];
    let pattern = [&b"*a".repeat(500)[..], b"b"].concat();
    assert!(!matches(&pattern, &text, false));
    let pattern = [&b"*[a]?".repeat(300)[..], b"*b"].concat();
    assert!(!matches(&pattern, &text, true));
}

#[test]
fn prefixes() {
    assert_eq!(&*literal_prefix(b"user:*"), b"user:");
    assert_eq!(&*literal_prefix(b"user\\*\\[x?"), b"user*[x");
    assert_eq!(&*literal_prefix(b"a\\"), b"a\\");
    assert_eq!(&*literal_prefix(b"*"), b"");
    assert!(is_all(b"*") && !is_all(b"**") && is_literal(b"a-b]") && !is_literal(b"a?"));
}

/// The rules element by element, trying every place for every star.
fn oracle(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
    let Some((first, rest)) = text.split_first() else {
        return pattern.iter().all(|b| *b == b'*');
    };
    let fold = |b: u8| if nocase { b.to_ascii_lowercase() } else { b };
    match pattern {
        [] => false,
        [b'*', tail @ ..] => (0..=text.len()).any(|n| oracle(tail, &text[n..], nocase)),
        [b'?', tail @ ..] => oracle(tail, rest, nocase),
        [b'\\', b, tail @ ..] => fold(*b) == fold(*first) && oracle(tail, rest, nocase),
        [b'[', class @ ..] => {
            let (not, mut class) = match class {
                [b'^', class @ ..] => (true, class),
                class => (false, class),
            };
            let mut hit = false;
            loop {
                match class {
                    [] => break,
                    [b'\\', b, tail @ ..] => {
                        hit |= b == first;
                        class = tail;
                    }
                    [b']', tail @ ..] => {
                        class = tail;
                        break;
                    }
                    [a, b'-', z, tail @ ..] => {
                        let (a, z) = if *a as i8 > *z as i8 { (*z, *a) } else { (*a, *z) };
                        // tolower(3) takes a signed char to an unsigned one, but -1 to itself.
                        let signed = |b: u8| b as i8 as i32;
                        let lower = |b: u8| if b == 255 { -1 } else { fold(b) as i32 };
                        let by = |b: u8| if nocase { lower(b) } else { signed(b) };
                        let (a, z, c) = (by(a), by(z), by(*first));
                        hit |= a <= c && c <= z;
                        class = tail;
                    }
                    [b, tail @ ..] => {
                        hit |= fold(*b) == fold(*first);
                        class = tail;
                    }
                }
            }
            hit != not && oracle(class, rest, nocase)
        }
        [b, tail @ ..] => fold(*b) == fold(*first) && oracle(tail, rest, nocase),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn agrees_with_the_oracle(
        pattern in r"[abAB*?\[\]^\\-]{0,10}", text in r"[abAB\]\\-]{1,8}", nocase: bool
    ) {
        let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
        prop_assert_eq!(matches(pattern, text, nocase), oracle(pattern, text, nocase));
    }

    #[test]
    fn agrees_on_any_bytes(pattern: Vec<u8>, text in proptest::collection::vec(any::<u8>(), 1..9), nocase: bool) {
        let pattern = &pattern[..pattern.len().min(9)];
        prop_assert_eq!(matches(pattern, &text, nocase), oracle(pattern, &text, nocase));
    }

    #[test]
    fn a_match_begins_with_the_literal_prefix(pattern in r"[ab*?\[\\]{0,8}", text in "[ab]{1,8}") {
        if matches(pattern.as_bytes(), text.as_bytes(), false) {
            prop_assert!(text.as_bytes().starts_with(&literal_prefix(pattern.as_bytes())));
        }
    }
}
