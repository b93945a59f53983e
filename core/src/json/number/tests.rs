#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use proptest::prelude::*;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

fn number(text: &str) -> JsonNumber {
    JsonNumber::parse(text).unwrap()
}

fn hash(number: &JsonNumber) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(number)
}

#[test]
fn ways_to_write_a_number_are_one_number_with_one_text() {
    for (ways, text) in [
        (
            &["1.10", "1.1", "11e-1", "0.11E+1", "1.1e0", "110.00e-2"][..],
            "1.1",
        ),
        (
            &["0", "-0", "0.0", "-0.00e5", "0e9999999999999999999999"],
            "0",
        ),
        (&["100", "1e2", "100.0", "1E+2", "1000e-1"], "100"),
        (&["-0.5", "-5e-1", "-0.50"], "-0.5"),
        (
            &["9007199254740993", "9007199254740993.0"],
            "9007199254740993",
        ),
        (&["1e21", "1000000000000000000000"], "1e+21"),
        (&["1e20", "100000000000000000000"], "100000000000000000000"),
        (&["123456789012345678901"], "123456789012345678901"),
        (&["1234567890123456789012"], "1.234567890123456789012e+21"),
        (&["123456789012345678901.25"], "123456789012345678901.25"),
        (&["0.000001", "1e-6"], "0.000001"),
        (&["0.0000001", "1e-7", "10e-8"], "1e-7"),
        (&["0.00000012", "12e-8"], "1.2e-7"),
        (&["1e1000000"], "1e+1000000"),
    ] {
        for way in ways {
            assert_eq!(number(way).canonical(), text, "{way}");
            assert_eq!(number(way), number(text), "{way}");
            assert_eq!(hash(&number(way)), hash(&number(text)), "{way}");
            assert_eq!(number(way).as_str(), *way);
        }
    }
}

#[test]
fn neighbours_that_a_double_would_merge_are_two() {
    for (one, other) in [
        ("1.1", "1.100000000000000001"),
        ("9007199254740992", "9007199254740993"),
        ("18446744073709551615", "18446744073709551616"),
        ("1e308", "1.0000000000000000001e308"),
        ("1e400", "1e401"),
        ("1", "-1"),
        ("12", "1.2"),
        ("0", "1e-1000000"),
    ] {
        assert_ne!(number(one), number(other));
        assert_ne!(number(one).canonical(), number(other).canonical());
    }
}

#[test]
fn a_number_past_the_limits_is_refused_in_words() {
    let nines = "9".repeat(NUMBER_DIGITS_MAX);
    assert!(JsonNumber::parse(&nines).is_ok());
    assert!(JsonNumber::parse(&format!("0.{nines}")).is_ok());
    assert!(JsonNumber::parse(&format!("{nines}{}", "0".repeat(2_000))).is_ok());
    assert_eq!(
        JsonNumber::parse(&format!("{nines}.9"))
            .unwrap_err()
            .to_string(),
        "a number with 1001 digits, more than 1000: send it as a text"
    );
    for fine in ["1e1000000", "1e-1000000", "10e999999", "0e1000001"] {
        assert!(JsonNumber::parse(fine).is_ok(), "{fine}");
    }
    for large in [
        "10e1000000",
        "1e1000001",
        "-1e-1000001",
        "0.1e-1000000",
        "1e99999999999999999999",
    ] {
        assert_eq!(
            JsonNumber::parse(large).unwrap_err().to_string(),
            "a number with an exponent beyond 1000000 or below -1000000: send it as a text",
            "{large}"
        );
    }
}

#[test]
fn only_the_numbers_of_json_are_numbers() {
    for odd in [
        "", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "1.e5", "1 ", "0x1", "NaN",
        "Infinity", "1e1.5", "１",
    ] {
        assert_eq!(JsonNumber::parse(odd), Err(NumberError::Syntax), "{odd}");
    }
}

#[test]
fn a_whole_number_is_read_however_it_is_written() {
    assert_eq!(number("10.0").as_i64(), Some(10));
    assert_eq!(number("1e1").as_u64(), Some(10));
    assert_eq!(number("-0").as_u64(), Some(0));
    assert_eq!(number("18446744073709551615").as_u64(), Some(u64::MAX));
    assert_eq!(number("18446744073709551616").as_u64(), None);
    assert_eq!(number("-9223372036854775808").as_i64(), Some(i64::MIN));
    assert_eq!(
        (number("1.5").as_i64(), number("1e300").as_i64()),
        (None, None)
    );
}

proptest! {
    #[test]
    fn the_text_of_a_double_is_that_of_ecmascript(double in any::<f64>()) {
        prop_assume!(double.is_finite());
        let written = serde_json::Number::from_f64(double).unwrap();
        let mut buffer = ryu_js::Buffer::new();
        prop_assert_eq!(JsonNumber::from(&written).canonical(), buffer.format(double));
    }

    #[test]
    fn a_canonical_text_is_its_own(text in "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?") {
        let number = number(&text);
        let canonical = number.canonical();
        prop_assert_eq!(JsonNumber::parse(&canonical).unwrap().canonical(), canonical.clone());
        prop_assert_eq!(JsonNumber::parse(&canonical).unwrap(), number.clone());
        prop_assert_eq!(canonical.parse::<f64>().unwrap().abs(), number.as_str().parse::<f64>().unwrap().abs());
    }
}
