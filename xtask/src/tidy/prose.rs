//! Words and sentences in comments.

use super::source::{CommentLine, SourceFile};

/// Words that stand for a person or for nothing, where a thing or a role has a name.
pub(crate) const PERSONS: &[&str] = &[
    "who",
    "whoever",
    "whom",
    "whose",
    "nobody",
    "somebody",
    "everybody",
];

/// Words for speech, where a program reports, returns or prints.
pub(crate) const SPEECH: &[&str] = &["told", "tell", "tells"];

/// Words that begin a question, where an item's documentation begins with a noun or a verb.
pub(crate) const QUESTIONS: &[&str] = &[
    "What", "Whether", "Who", "Whom", "Whose", "Whoever", "How", "Where",
];

/// The words of a text, in lower case.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|character: char| !character.is_ascii_alphabetic() && character != '\'')
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
}

/// The first line of each item's documentation.
pub(crate) fn item_docs<'f, 'a>(
    file: &'f SourceFile<'a>,
) -> impl Iterator<Item = &'f CommentLine<'a>> {
    let mut previous = 0;
    file.comments.iter().filter(move |comment| {
        if !comment.is_item_doc {
            return false;
        }
        let is_first = comment.line != previous + 1;
        previous = comment.line;
        is_first
    })
}

/// Returns true if documentation begins like a question.
pub(crate) fn begins_like_a_question(doc: &CommentLine<'_>) -> bool {
    doc.text
        .split(' ')
        .next()
        .is_some_and(|word| QUESTIONS.contains(&word))
}
