//! The items of a source file that carry a name: types, functions, and all that is `pub`.

use std::collections::BTreeSet;

use ra_ap_rustc_lexer::TokenKind;

use super::source::SourceFile;

/// A named item, at its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedItem {
    pub(crate) name: String,
    pub(crate) line: usize,
}

/// A function with a body, from its first line to its last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FunctionBody {
    pub(crate) first: usize,
    pub(crate) last: usize,
}

/// The named items of a file.
#[derive(Debug, Default)]
pub(crate) struct FileItems {
    pub(crate) types: Vec<NamedItem>,
    /// Functions with freely chosen names: not those of traits, nor `new` and `main`.
    pub(crate) functions: Vec<NamedItem>,
    pub(crate) bodies: Vec<FunctionBody>,
    pub(crate) public: Vec<PublicItem>,
}

/// An item that is `pub`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicItem {
    pub(crate) item: NamedItem,
    /// The types in its signature, or in its fields and variants: a user of the item has to do with them.
    pub(crate) types: BTreeSet<String>,
}

/// The owner of a brace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BraceScope {
    /// A trait, or its implementation for a type: the names of its methods are given.
    Trait,
    Other,
}

impl FileItems {
    /// Collects the items of `file`.
    pub(crate) fn collect(file: &SourceFile<'_>) -> Self {
        let mut items = Self::default();
        let mut scopes = Vec::new();
        // Where the head of the next braced thing began.
        let mut head = 0;
        for (at, token) in file.code.iter().enumerate() {
            match token.kind {
                TokenKind::OpenBrace => {
                    scopes.push(scope_of(file, head, at));
                    head = at + 1;
                }
                TokenKind::CloseBrace => {
                    scopes.pop();
                    head = at + 1;
                }
                TokenKind::Semi => head = at + 1,
                TokenKind::Ident => items.note(file, at, scopes.last() == Some(&BraceScope::Trait)),
                _ => {}
            }
        }
        items
    }

    fn note(&mut self, file: &SourceFile<'_>, at: usize, in_trait: bool) {
        let follows_dollar = |at: usize| file.text(at) == "$";
        match file.text(at) {
            "struct" | "enum" | "trait" | "union" if is_type_name(file.text(at + 1)) => {
                self.types.push(named(file, at + 1));
            }
            "fn" if is_identifier(file, at + 1) && !follows_dollar(at + 1) => {
                if let Some(body) = body_of(file, at) {
                    self.bodies.push(body);
                }
                if !in_trait && !["new", "main"].contains(&file.text(at + 1)) {
                    self.functions.push(named(file, at + 1));
                }
            }
            "pub" if file.text(at + 1) != "(" => self.public.extend(public_item(file, at + 1)),
            _ => {}
        }
    }
}

fn named(file: &SourceFile<'_>, at: usize) -> NamedItem {
    NamedItem {
        name: file.text(at).to_owned(),
        line: file.line_of(at),
    }
}

fn is_type_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_uppercase())
}

fn is_identifier(file: &SourceFile<'_>, at: usize) -> bool {
    file.code
        .get(at)
        .is_some_and(|token| token.kind == TokenKind::Ident)
}

/// The scope that begins with the brace at `open`, after the head at `head`.
fn scope_of(file: &SourceFile<'_>, head: usize, open: usize) -> BraceScope {
    let texts: Vec<_> = file.texts(head, open.saturating_sub(head)).collect();
    let is_function = texts.contains(&"fn");
    let implements = texts.contains(&"impl") && texts.contains(&"for");
    if !is_function && (implements || texts.contains(&"trait")) {
        BraceScope::Trait
    } else {
        BraceScope::Other
    }
}

/// The body of the function with its `fn` at `at`, if it has one.
fn body_of(file: &SourceFile<'_>, at: usize) -> Option<FunctionBody> {
    let mut cursor = at;
    loop {
        match file.text(cursor) {
            "(" | "[" => cursor = file.closing(cursor)? + 1,
            "{" => {
                let last = file.line_of(file.closing(cursor)?);
                return Some(FunctionBody {
                    first: file.line_of(at),
                    last,
                });
            }
            ";" | "" => return None,
            _ => cursor += 1,
        }
    }
}

/// The item that `pub` before `at` makes public, if it is one with a name of its own.
fn public_item(file: &SourceFile<'_>, at: usize) -> Option<PublicItem> {
    let mut at = at;
    while ["async", "unsafe", "extern"].contains(&file.text(at))
        || file.text(at).starts_with('"')
        || (file.text(at) == "const" && file.text(at + 1) == "fn")
    {
        at += 1;
    }
    let is_item =
        ["fn", "struct", "enum", "trait", "type", "const", "static"].contains(&file.text(at));
    (is_item && is_identifier(file, at + 1)).then(|| PublicItem {
        item: named(file, at + 1),
        types: types_in(file, at),
    })
}

/// The types named from the keyword at `at` to the end of a signature, or of a type's body.
fn types_in(file: &SourceFile<'_>, at: usize) -> BTreeSet<String> {
    let is_function = file.text(at) == "fn";
    let mut end = at + 2;
    while !["{", ";", ""].contains(&file.text(end)) {
        end += 1;
    }
    if !is_function && file.text(end) == "{" {
        end = file.closing(end).unwrap_or(end);
    }
    file.texts(at + 2, end - (at + 2))
        .filter(|text| is_type_name(text))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
        pub struct Shelf;
        pub(crate) enum BookKind {}
        impl Shelf { pub const fn new() {} pub async fn put_book(&self) { if true { } } fn len(&self) {} }
        impl Drop for Shelf { fn drop(&mut self) {} }
        trait Reader { fn read(&self); }
        type Callback = fn(u8);
    ";

    fn names(items: &[NamedItem]) -> Vec<&str> {
        items.iter().map(|item| &*item.name).collect()
    }

    #[test]
    fn names_are_those_that_the_author_chose() {
        let items = FileItems::collect(&SourceFile::parse("shelf.rs".into(), TEXT));
        assert_eq!(names(&items.types), ["Shelf", "BookKind", "Reader"]);
        assert_eq!(names(&items.functions), ["put_book", "len"]);
        let public = items.public.iter().map(|public| &*public.item.name);
        assert_eq!(public.collect::<Vec<_>>(), ["Shelf", "new", "put_book"]);
        assert_eq!(items.bodies.len(), 4);
    }
}
