//! Addresses of electronic mail. Whether one exists, and which of a provider's spellings reach one box, is not known
//! here: `a.b+c@example.com` is not `ab@example.com`.

use crate::Value;

use super::{domain_cure, refuse_value, trimmed_text};

/// The longest address, in bytes (RFC 5321).
const LONGEST_BYTES: usize = 254;

/// The longest part before the `@`, in bytes (RFC 5321).
const LONGEST_LOCAL_BYTES: usize = 64;

/// The longest text, in bytes, with a name before the address.
const LONGEST_MAILBOX_BYTES: usize = 1024;

/// An address in small letters, without a name: `Ann Lee <Ann@Example.com>` is `ann@example.com`.
///
/// The part before the `@` is case-sensitive in the standard only, for no provider of any size.
/// Letters beyond ASCII in it are accepted with the feature `unicode`; a domain must be ASCII, an
/// international one in its `xn--` form.
///
/// # Errors
///
/// The value is not an address.
pub fn email(value: &Value) -> Result<Value, String> {
    let text = trimmed_text(value, LONGEST_MAILBOX_BYTES);
    let address = text.and_then(normalise_mailbox);
    address.map(Value::from).ok_or_else(|| {
        let domain = text
            .and_then(|text| text.rsplit_once('@'))
            .map(|(_, domain)| domain);
        refuse_value("an address such as `ann@example.com`", value) + domain_cure(domain)
    })
}

fn normalise_mailbox(mailbox: &str) -> Option<String> {
    let address = match mailbox.strip_suffix('>') {
        Some(named) => named.rsplit_once('<')?.1.trim(),
        None => mailbox,
    };
    let (local, domain) = address.rsplit_once('@')?;
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    if !is_local(local) || !domain.split('.').all(is_label) {
        return None;
    }
    let address = format!(
        "{}@{}",
        lowercase_local(local)?,
        domain.to_ascii_lowercase()
    );
    (address.len() <= LONGEST_BYTES).then_some(address)
}

/// Returns true for a part before the `@` in its plain form: not quoted, without comments.
fn is_local(local: &str) -> bool {
    let outlaw = |letter: char| {
        letter.is_whitespace() || letter.is_control() || "\"\\(),:;<>[]@".contains(letter)
    };
    (1..=LONGEST_LOCAL_BYTES).contains(&local.len())
        && !local.contains(outlaw)
        && !local.split('.').any(str::is_empty)
}

fn is_label(label: &str) -> bool {
    let inside = label
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    !label.is_empty() && inside && !label.starts_with('-') && !label.ends_with('-')
}

fn lowercase_local(local: &str) -> Option<String> {
    if local.is_ascii() {
        return Some(local.to_ascii_lowercase());
    }
    #[cfg(feature = "unicode")]
    return Some(super::unicode::fold_case(local)).filter(|folded| is_local(folded));
    #[cfg(not(feature = "unicode"))]
    None
}

#[cfg(test)]
mod tests {
    use crate::json;

    use super::*;

    #[test]
    fn ways_to_write_an_address_are_one() {
        for same in [
            "ann@example.com",
            " Ann@EXAMPLE.com. ",
            "Ann Lee <ann@example.com>",
            "\"Lee, Ann\" < ann@example.com >",
        ] {
            assert_eq!(email(&json!(same)), Ok(json!("ann@example.com")), "{same}");
        }
    }

    #[test]
    fn addresses_that_may_be_two_boxes_stay_two() {
        assert_ne!(
            email(&json!("a.b@example.com")),
            email(&json!("ab@example.com"))
        );
        assert_ne!(
            email(&json!("a+b@example.com")),
            email(&json!("a@example.com"))
        );
    }

    #[test]
    fn an_international_domain_is_refused_with_the_cure() {
        let mistake = email(&json!("ann@bücher.example")).unwrap_err();
        assert!(mistake.ends_with(": write its domain in the `xn--` form"));
        assert_eq!(
            email(&json!("ann@xn--bcher-kva.example")),
            Ok(json!("ann@xn--bcher-kva.example"))
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for odd in [
            "",
            "@",
            "ann",
            "ann@",
            "@example.com",
            "a@b@example.com",
            "ann@exa mple.com",
            "ann@-x.com",
            "ann@x..com",
            ".ann@x.com",
            "a\u{0}@x.com",
            "ann@bücher.example",
            "\"a b\"@x.com",
            "ann@example.com, bob@example.com",
            "ann@example.com>",
        ] {
            assert!(email(&json!(odd)).is_err(), "{odd}");
        }
        assert!(email(&json!(format!("{}@example.com", "a".repeat(65)))).is_err());
        assert!(email(&json!(format!("a@{}com", "example.".repeat(40)))).is_err());
        assert!(email(&json!("<".repeat(1_000_000))).is_err());
    }
}
