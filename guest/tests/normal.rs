//! What models write differently and mean alike has one form, and what has that form keeps it.
//!
//! An agent tries a refund of `10`, gets no answer, and tries `"10.00"`: with two forms there would be two refunds.

#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use proptest::prelude::*;
use semel_guest::{Value, json, normal};

/// Anything JSON can hold, and texts that nearly are what the normalisers take.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,4})?"
            .prop_map(|number| Value::parse(&number).unwrap()),
        any::<String>().prop_map(Value::from),
        "[-+ ]?[0-9.]{0,30}".prop_map(Value::from),
        "[0-9]{4}-[01][0-9]-[0-3][0-9]([Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,9})?([zZ]|[+-][0-2][0-9]:[0-5][0-9]))?"
            .prop_map(Value::from),
        "[A-Za-zß.+<> ]{1,8}@[A-Za-z.-]{1,12}>?".prop_map(Value::from),
        "(tel:)?\\+[0-9 ()./-]{5,20}".prop_map(Value::from),
        "[a-zA-Z]{1,5}:(//([a-z%@]{0,4}@)?[A-Za-z.%0-9:\\[\\]]{0,8})?[a-zA-Z0-9/.%?#&é {}]{0,24}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 6, |inner| {
        prop::collection::vec(inner, 0..6).prop_map(Value::from)
    })
}

/// The text, with a case drawn for each letter.
fn any_case(text: String) -> impl Strategy<Value = String> {
    let upper = prop::collection::vec(any::<bool>(), text.len());
    upper.prop_map(move |upper| {
        let letters = text.chars().zip(upper);
        letters
            .map(|(letter, upper)| {
                if upper {
                    letter.to_ascii_uppercase()
                } else {
                    letter
                }
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_normal_form_is_its_own_normal_form(value in any_value()) {
        for (name, normaliser) in normal::ALL {
            if let Ok(once) = normaliser(&value) {
                prop_assert_eq!(normaliser(&once), Ok(once), "{}", name);
            }
        }
    }

    #[test]
    fn a_mistake_is_short_whatever_was_given(text in "\\PC{0,2000}") {
        for (name, normaliser) in normal::ALL {
            if let Err(mistake) = normaliser(&json!(text)) {
                prop_assert!(mistake.len() < 600, "{} {}", name, mistake);
            }
        }
    }
}

proptest! {
    #[test]
    fn zeros_signs_and_quotes_change_no_amount(whole in 0_u64..1_000_000_000, cents in 0_u32..100, zeros in 0_usize..5) {
        let number: f64 = format!("{whole}.{cents:02}").parse().unwrap();
        let padded = format!(" +{}{whole}.{cents:02}{} ", "0".repeat(zeros), "0".repeat(zeros));
        prop_assert_eq!(normal::money(&json!(number)), normal::money(&json!(padded)));
        prop_assert!(normal::money(&json!(number)).is_ok());
        prop_assert_ne!(normal::money(&json!(number)), normal::money(&json!(format!("{whole}.{cents:02}1"))));
    }

    #[test]
    fn a_whole_number_is_one_however_quoted(number in any::<i64>()) {
        for same in [json!(number), json!(number.to_string()), json!(format!(" {number}.0"))] {
            prop_assert_eq!(normal::integer(&same), Ok(json!(number.to_string())));
        }
        prop_assert_eq!(normal::identifier(&json!(number)), normal::identifier(&json!(format!("{number} "))));
    }

    #[test]
    fn an_offset_changes_no_point_in_time(day in 2_u32..28, hour in 0_u32..24, minute in 0_u32..60, offset in -1439_i32..1440) {
        let local = i32::try_from(day * 1440 + hour * 60 + minute).unwrap() + offset;
        let (sign, size) = if offset < 0 { ('-', -offset) } else { ('+', offset) };
        let shifted = format!(
            "2026-02-{:02}t{:02}:{:02}:07.50{sign}{:02}:{:02}",
            local / 1440, local % 1440 / 60, local % 60, size / 60, size % 60,
        );
        let utc = format!("2026-02-{day:02}T{hour:02}:{minute:02}:07.5Z");
        if local / 1440 >= 1 && local / 1440 <= 28 {
            prop_assert_eq!(normal::timestamp(&json!(shifted)), Ok(json!(utc)));
        }
    }

    #[test]
    fn order_changes_no_set_and_repetition_no_distinct_list(items in prop::collection::vec(any_value(), 0..8), at in any::<prop::sample::Index>()) {
        let mut shuffled: Vec<Value> = items.iter().rev().cloned().collect();
        prop_assert_eq!(normal::set(&json!(items)), normal::set(&json!(shuffled)));
        if !items.is_empty() {
            let again = at.get(&items).clone();
            shuffled.insert(at.index(shuffled.len()), again);
            prop_assert_ne!(normal::set(&json!(items)), normal::set(&json!(shuffled)));
        }
        prop_assert_eq!(normal::distinct(&json!(items)), normal::distinct(&json!(shuffled)));
    }

    #[test]
    fn case_and_a_name_change_no_address(address in "[a-z0-9]{1,9}@[a-z0-9]{1,9}\\.[a-z]{2,5}", written in ("[a-z ]{0,9}", any::<u64>())) {
        let case = address.chars().enumerate().map(|(index, letter)| {
            if written.1 >> (index % 64) & 1 == 1 { letter.to_ascii_uppercase() } else { letter }
        });
        let named = format!("{} <{}>", written.0, case.collect::<String>());
        prop_assert_eq!(normal::email(&json!(named)), Ok(json!(address)));
    }

    #[test]
    fn what_stands_between_digits_changes_no_telephone(digits in "[1-9][0-9]{6,14}", between in "[ .()/-]{15}") {
        let spaced: String = digits.chars().zip(between.chars()).flat_map(|(digit, mark)| [digit, mark]).collect();
        prop_assume!(!spaced.contains("(0)"));
        prop_assert_eq!(normal::phone(&json!(format!("+{spaced}"))), Ok(json!(format!("+{digits}"))));
    }

    #[test]
    fn case_and_needless_escapes_change_no_url(
        host in "[a-z]{1,9}\\.[a-z]{2,4}".prop_flat_map(|host| (Just(host.clone()), any_case(host))),
        path in "(/[a-zA-Z0-9~_-]{1,6}){1,4}",
    ) {
        let escaped: String = path.bytes().map(|byte| if byte == b'/' { "/./".into() } else { format!("%{byte:02x}") }).collect();
        let same = format!("HTTPS://{}:443{escaped}", host.1);
        prop_assert_eq!(normal::url(&json!(same)), Ok(json!(format!("https://{}{path}", host.0))));
    }
}

#[cfg(feature = "unicode")]
proptest! {
    #[test]
    fn composition_and_space_around_change_no_text(text in "[a-zé-ü\u{300}-\u{304}ǅΰ가-힣]{1,12}") {
        use unicode_normalization::UnicodeNormalization;
        let decomposed = format!("\t{} ", text.nfd());
        prop_assert_eq!(normal::text(&json!(text)), normal::text(&json!(decomposed)));
        prop_assert_eq!(normal::folded(&json!(text)), normal::folded(&json!(decomposed)));
    }

    #[test]
    fn case_changes_nothing_where_folded(text in "[a-zß-üα-ωа-я]{1,12}") {
        prop_assert_eq!(normal::folded(&json!(text)), normal::folded(&json!(text.to_uppercase())));
    }
}
