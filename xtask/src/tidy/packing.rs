//! Statements packed into an expression so that a function looks shorter than it is.

use super::source::SourceFile;

/// A packed statement: its kind, and its line.
pub(crate) type PackedStatement = (&'static str, usize);

/// Finds the packed statements of a file.
pub(crate) fn packed_statements(file: &SourceFile<'_>) -> Vec<PackedStatement> {
    let mut found = Vec::new();
    for at in 0..file.code.len() {
        let kind = if packs_bindings(file, at) {
            "let (a, b) = (x, y)"
        } else if discards_result(file, at) {
            "discarded unwrap_or_default()"
        } else if file.texts(at, 6).eq([".", "filter", "(", "|", "_", "|"]) {
            "filter(|_| condition)"
        } else if file
            .texts(at, 7)
            .eq([".", "into_iter", "(", ")", ".", "for_each", "("])
        {
            "into_iter().for_each(…)"
        } else {
            continue;
        };
        found.push((kind, file.line_of(at)));
    }
    found
}

/// `let (a, b) = (x, y)`.
fn packs_bindings(file: &SourceFile<'_>, at: usize) -> bool {
    if file.text(at) != "let" || file.text(at + 1) != "(" {
        return false;
    }
    let Some(close) = file.closing(at + 1) else {
        return false;
    };
    let is_tuple = file.texts(at + 1, close - at).any(|text| text == ",");
    if !is_tuple || file.text(close + 1) != "=" || file.text(close + 2) != "(" {
        return false;
    }
    // A tuple that is a value of its own: `(x, y)` and then the statement's end.
    file.closing(close + 2)
        .is_some_and(|end| file.text(end + 1) == ";")
}

/// A statement that ends in `.unwrap_or_default();` and keeps nothing of it.
fn discards_result(file: &SourceFile<'_>, at: usize) -> bool {
    if !file
        .texts(at, 5)
        .eq([".", "unwrap_or_default", "(", ")", ";"])
    {
        return false;
    }
    let mut depth = 0_usize;
    for before in (0..at).rev() {
        match file.text(before) {
            ")" | "]" | "}" => depth += 1,
            "(" | "[" if depth == 0 => return false,
            "{" | ";" if depth == 0 => return true,
            "(" | "[" | "{" => depth -= 1,
            "let" | "=" | "return" if depth == 0 => return false,
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<&'static str> {
        let file = SourceFile::parse("packed.rs".into(), text);
        packed_statements(&file)
            .into_iter()
            .map(|(kind, _)| kind)
            .collect()
    }

    #[test]
    fn packed_statements_are_found() {
        assert_eq!(
            kinds("fn f() { let (a, b) = (1, g(2)); }"),
            ["let (a, b) = (x, y)"]
        );
        assert_eq!(
            kinds("fn f() { x(); map.insert(1).unwrap_or_default(); }"),
            ["discarded unwrap_or_default()"]
        );
        assert_eq!(
            kinds("fn f() { o.filter(|_| c) }"),
            ["filter(|_| condition)"]
        );
        assert_eq!(
            kinds("fn f() { o.into_iter().for_each(drop) }"),
            ["into_iter().for_each(…)"]
        );
    }

    #[test]
    fn what_is_kept_is_not_packed() {
        assert!(kinds("fn f() { let (a, b) = g((1, 2)); }").is_empty());
        assert!(kinds("fn f() { let a = (x, y).0.unwrap_or_default(); }").is_empty());
        assert!(kinds("fn f() { a = b.unwrap_or_default(); }").is_empty());
        assert!(kinds("fn f() { let (a, b) = (x, y).swap(); }").is_empty());
    }
}
