//! Examples in documentation that the tests compile.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{measures::package_of, source::SourceFile};
use crate::workspace;

/// The packages with a library among `files` whose documentation has no example, each by its `src/lib.rs`.
pub(crate) fn libraries_without_example(files: &[SourceFile<'_>]) -> Vec<PathBuf> {
    let mut examples: BTreeMap<PathBuf, bool> = BTreeMap::new();
    for file in files {
        let has_example = file
            .comments
            .iter()
            .any(|comment| is_compiled_fence(comment.text));
        *examples.entry(package_of(&file.path)).or_default() |= has_example;
    }
    examples
        .into_iter()
        .filter(|(package, has_example)| !has_example && !shows_readme(package))
        .map(|(package, _)| package.join("src/lib.rs"))
        .filter(|library| workspace::root().join(library).exists())
        .collect()
}

/// The first line of a block of Rust that rustdoc compiles.
fn is_compiled_fence(text: &str) -> bool {
    text.strip_prefix("```").is_some_and(|tags| {
        tags.split(',')
            .all(|tag| ["", "rust", "no_run", "should_panic"].contains(&tag.trim()))
    })
}

/// Returns true if the package's README is its first page, and shows Rust.
fn shows_readme(package: &Path) -> bool {
    let read = |path: &str| {
        fs::read_to_string(workspace::root().join(package).join(path)).unwrap_or_default()
    };
    read("src/lib.rs").contains("include_str!(\"../README.md\")")
        && read("README.md").contains("```rust")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blocks_that_are_compiled_count() {
        assert!(is_compiled_fence("```"));
        assert!(is_compiled_fence("```rust,no_run"));
        assert!(!is_compiled_fence("```text"));
        assert!(!is_compiled_fence("```ignore"));
    }
}
