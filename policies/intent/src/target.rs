//! The system behind the tool: the place of its key, and the effect of a repeat.

use semel_guest::{Form, Place, Repeats, Target};

use crate::pointer;
use crate::settings::{SettingTable, SettingValue};
use crate::span;

const KEYS: &[&str] = &[
    "header",
    "argument",
    "appended",
    "metadata",
    "form",
    "repeats",
    "remembers",
];

const PLACES: &str = "`header`, `argument`, `appended` or `metadata`";

const REPEATS: &[(&str, Repeats)] = &[
    ("replayed", Repeats::Replayed),
    ("rejected", Repeats::Rejected),
    ("harmless", Repeats::Harmless),
    ("effective", Repeats::Effective),
];

/// Reads the settings, if they do not contradict each other.
pub(crate) fn read(at: &SettingValue<'_>) -> Result<Target, String> {
    let table = at.table(KEYS)?;
    let repeats = table.need("repeats")?.choice(REPEATS)?;
    let places = read_places(&table)?;
    check_consistency(&table, repeats, !places.is_empty())?;
    let mut target = places
        .into_iter()
        .fold(Target::new(), Target::place)
        .repeats(repeats);
    target.remembers_seconds = table.read("remembers", span::memory_seconds)?;
    Ok(match table.read("form", read_form)? {
        Some(form) => target.form(form),
        None => target,
    })
}

fn read_places(table: &SettingTable<'_>) -> Result<Vec<Place>, String> {
    let places = [
        table.read("header", read_name)?.map(Place::Header),
        table.read("argument", pointer::read)?.map(Place::Argument),
        table.read("appended", pointer::read)?.map(Place::Appended),
        table.read("metadata", read_name)?.map(Place::Metadata),
    ];
    Ok(places.into_iter().flatten().collect())
}

/// A name that is valid in a header or in metadata.
fn read_name(at: &SettingValue<'_>) -> Result<String, String> {
    let name = at.text()?;
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(at.wrong(format!("`{name}` is not a valid name")));
    }
    Ok(name.to_owned())
}

fn check_consistency(
    table: &SettingTable<'_>,
    repeats: Repeats,
    has_place: bool,
) -> Result<(), String> {
    if !has_place && repeats != Repeats::Harmless {
        let mistake =
            format!("repeats are recognised by a key, and it has no place: give {PLACES}");
        return Err(table.wrong(mistake));
    }
    if !has_place && table.get("form").is_some() {
        return Err(table.mistake_at(
            "form",
            format!("the key has no place: give {PLACES}, or leave the form out"),
        ));
    }
    if repeats == Repeats::Effective && table.get("remembers").is_some() {
        let mistake = "a target on which repeats take effect recognises no key: leave it out";
        return Err(table.mistake_at("remembers", mistake));
    }
    Ok(())
}

/// `uuid4`, `uuid5`, `uuid8`, or `hex32` to `hex64`.
fn read_form(at: &SettingValue<'_>) -> Result<Form, String> {
    let text = at.text()?;
    let digits = text
        .strip_prefix("hex")
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let hex = digits
        .and_then(|digits| digits.parse().ok())
        .filter(|digits| (32..=64).contains(digits));
    match (text, hex) {
        ("uuid4", _) => Ok(Form::Uuid(4)),
        ("uuid5", _) => Ok(Form::Uuid(5)),
        ("uuid8", _) => Ok(Form::Uuid(8)),
        (_, Some(digits)) => Ok(Form::Hex(digits)),
        _ => Err(at.wrong(format!(
            "`{text}` is not a form: use `uuid4`, `uuid5`, `uuid8`, or `hex32` to `hex64`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use semel_guest::json;

    use super::*;

    #[test]
    fn forms_are_those_of_the_contract() {
        assert_eq!(
            read_form(&SettingValue::settings_root(&json!("uuid8"))),
            Ok(Form::Uuid(8))
        );
        assert_eq!(
            read_form(&SettingValue::settings_root(&json!("hex40"))),
            Ok(Form::Hex(40))
        );
        for text in ["uuid", "uuid1", "hex", "hex31", "hex65", "hex+40", ""] {
            assert!(
                read_form(&SettingValue::settings_root(&json!(text))).is_err(),
                "{text}"
            );
        }
    }
}
