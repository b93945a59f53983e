//! Text as people read it: without the sequences that set a terminal's colours and titles (ECMA-48).

use std::borrow::Cow;

const ESCAPE: char = '\u{1b}';

/// Returns the text without escape sequences.
pub(crate) fn without_escapes(text: &str) -> Cow<'_, str> {
    if !text.contains(ESCAPE) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(ESCAPE) {
        plain.push_str(before);
        rest = after_sequence(after);
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// The text after a sequence that began with an escape character. A sequence without an end takes the rest.
fn after_sequence(text: &str) -> &str {
    let mut letters = text.chars();
    match letters.next() {
        Some('[') => after_final(letters.as_str(), '@'),
        // Such as the choice of a character set.
        Some(' '..='/') => after_final(letters.as_str(), '0'),
        // A title or a link ends with a bell, or with the next sequence.
        Some(']') => {
            let text = letters.as_str();
            let end = text.find(['\u{7}', ESCAPE]).unwrap_or(text.len());
            let rest = text.get(end..).unwrap_or("");
            rest.strip_prefix('\u{7}').unwrap_or(rest)
        }
        _ => letters.as_str(),
    }
}

/// The text after the character that ends a sequence: the first from `least` to `~`.
fn after_final(text: &str, least: char) -> &str {
    text.split_once(|letter: char| (least..='~').contains(&letter))
        .map_or("", |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_titles_and_links_are_left_out() {
        for (text, plain) in [
            ("plain", "plain"),
            ("\u{1b}[31mError:\u{1b}[0m closed", "Error: closed"),
            ("\u{1b}]0;title\u{7}Error", "Error"),
            (
                "\u{1b}]8;;https://x\u{1b}\\link\u{1b}]8;;\u{1b}\\.",
                "link.",
            ),
            ("\u{1b}(BError", "Error"),
            ("cut\u{1b}[31", "cut"),
            ("cut\u{1b}", "cut"),
        ] {
            assert_eq!(without_escapes(text), plain, "{text:?}");
        }
    }
}
