//! Errors that are flattened into text, so that a caller can no longer decide by their kind or follow their source.

use super::source::SourceFile;

/// Returns the lines of `map_err` calls that keep an error's text alone.
pub(crate) fn flattened_errors(file: &SourceFile<'_>) -> Vec<usize> {
    (0..file.code.len())
        .filter(|at| file.texts(*at, 3).eq([".", "map_err", "("]))
        .filter(|at| is_to_string(file, at + 3))
        .map(|at| file.line_of(at))
        .collect()
}

/// `ToString::to_string)` or `|error| error.to_string())`.
fn is_to_string(file: &SourceFile<'_>, at: usize) -> bool {
    let by_path = ["ToString", ":", ":", "to_string", ")"];
    let parameter = file.text(at + 1);
    let by_closure = [
        "|",
        parameter,
        "|",
        parameter,
        ".",
        "to_string",
        "(",
        ")",
        ")",
    ];
    file.texts(at, by_path.len()).eq(by_path) || file.texts(at, by_closure.len()).eq(by_closure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        flattened_errors(&SourceFile::parse("errors.rs".into(), text))
    }

    #[test]
    fn an_error_that_becomes_its_text_is_found() {
        assert_eq!(lines("fn f() { g().map_err(|e| e.to_string()) }"), [1]);
        assert_eq!(lines("fn f() {\n g().map_err(ToString::to_string) }"), [2]);
    }

    #[test]
    fn an_error_that_becomes_another_error_is_not() {
        assert!(lines("fn f() { g().map_err(OpenError::Store) }").is_empty());
        assert!(lines("fn f() { g().map_err(|e| Open { text: e.to_string() }) }").is_empty());
    }
}
