//! A Rust source file as rustc's own lexer sees it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use ra_ap_rustc_lexer::{DocStyle, FrontmatterAllowed, TokenKind, tokenize};

/// A token that is neither white space nor a comment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CodeToken<'a> {
    pub(crate) kind: TokenKind,
    pub(crate) text: &'a str,
    pub(crate) line: usize,
}

/// A comment's line, without its slashes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CommentLine<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: usize,
    pub(crate) is_item_doc: bool,
}

/// A source file: its code and its comments, without its inline test modules.
pub(crate) struct SourceFile<'a> {
    /// Relative to the workspace.
    pub(crate) path: PathBuf,
    pub(crate) code: Vec<CodeToken<'a>>,
    pub(crate) comments: Vec<CommentLine<'a>>,
    /// The width of each line that holds code, comments at its end left out, by line number.
    pub(crate) code_widths: Vec<(usize, usize)>,
}

impl<'a> SourceFile<'a> {
    /// Reads the tokens of `text`.
    pub(crate) fn parse(path: PathBuf, text: &'a str) -> Self {
        let mut file = Self {
            path,
            code: Vec::new(),
            comments: Vec::new(),
            code_widths: Vec::new(),
        };
        let mut at = 0;
        let mut line = 1;
        let mut line_start = 0;
        for token in tokenize(text, FrontmatterAllowed::No) {
            let end = at + token.len as usize;
            let content = text.get(at..end).unwrap_or_default();
            match token.kind {
                TokenKind::Whitespace => {}
                TokenKind::LineComment { doc_style } => {
                    file.push_comment(content, line, doc_style);
                }
                TokenKind::BlockComment { doc_style, .. } => {
                    for (offset, part) in content.lines().enumerate() {
                        file.push_comment(part, line + offset, doc_style);
                    }
                }
                kind => {
                    file.push_code(CodeToken {
                        kind,
                        text: content,
                        line,
                    });
                    file.widen(text, line, line_start, at, content);
                }
            }
            if let Some(last) = content.rfind('\n') {
                line += content.matches('\n').count();
                line_start = at + last + 1;
            }
            at = end;
        }
        file.leave_out_test_modules();
        file
    }

    fn push_code(&mut self, token: CodeToken<'a>) {
        self.code.push(token);
    }

    fn push_comment(&mut self, content: &'a str, line: usize, style: Option<DocStyle>) {
        let text = content.trim_start_matches(['/', '!', '*', ' ']).trim_end();
        let is_item_doc = style == Some(DocStyle::Outer);
        self.comments.push(CommentLine {
            text,
            line,
            is_item_doc,
        });
    }

    /// Notes the width of the lines that `content`, code that begins at byte `at`, reaches into.
    fn widen(&mut self, text: &str, line: usize, line_start: usize, at: usize, content: &str) {
        let before = text
            .get(line_start..at)
            .map_or(0, |part| part.chars().count());
        for (offset, part) in content.lines().enumerate() {
            let left = if offset == 0 { before } else { 0 };
            let width = left + part.chars().count();
            match self.code_widths.last_mut() {
                Some((last, known)) if *last == line + offset => *known = width,
                _ => self.code_widths.push((line + offset, width)),
            }
        }
    }

    /// Leaves out what stands in `#[cfg(test)] mod … { … }`.
    fn leave_out_test_modules(&mut self) {
        let mut lines = BTreeSet::new();
        for start in 0..self.code.len() {
            if self
                .texts(start, 7)
                .eq(["#", "[", "cfg", "(", "test", ")", "]"])
                && let Some(end) = self.end_of_module(start + 7)
            {
                lines.extend(self.line_of(start)..=self.line_of(end));
            }
        }
        self.code.retain(|token| !lines.contains(&token.line));
        self.comments
            .retain(|comment| !lines.contains(&comment.line));
        self.code_widths.retain(|(line, _)| !lines.contains(line));
    }

    /// The end of the module that begins at `start`, behind attributes and its visibility, if one with a body does.
    fn end_of_module(&self, start: usize) -> Option<usize> {
        let mut at = start;
        while self.text(at) == "#" {
            at = self.closing(at + 1)? + 1;
        }
        if self.text(at) == "pub" {
            at = if self.text(at + 1) == "(" {
                self.closing(at + 1)? + 1
            } else {
                at + 1
            };
        }
        (self.text(at) == "mod" && self.text(at + 2) == "{").then(|| self.closing(at + 2))?
    }

    /// The text of a token; empty past the end.
    pub(crate) fn text(&self, at: usize) -> &'a str {
        self.code.get(at).map_or("", |token| token.text)
    }

    /// The line of a token.
    pub(crate) fn line_of(&self, at: usize) -> usize {
        self.code.get(at).map_or(0, |token| token.line)
    }

    /// The texts of `count` tokens from `at` on.
    pub(crate) fn texts(&self, at: usize, count: usize) -> impl Iterator<Item = &'a str> {
        self.code
            .iter()
            .skip(at)
            .take(count)
            .map(|token| token.text)
    }

    /// The token that closes the bracket at `open`.
    pub(crate) fn closing(&self, open: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for (at, token) in self.code.iter().enumerate().skip(open) {
            match token.kind {
                TokenKind::OpenBrace | TokenKind::OpenParen | TokenKind::OpenBracket => depth += 1,
                TokenKind::CloseBrace | TokenKind::CloseParen | TokenKind::CloseBracket => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Some(at);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
/// A sum.
pub fn sum() -> u8 { 1 /* one */ + 2 } // three

#[cfg(test)]
mod tests {
    /// Left out.
    fn nothing() {}
}
"#;

    #[test]
    fn code_comments_and_tests_are_kept_apart() {
        let file = SourceFile::parse("sum.rs".into(), TEXT);
        let words: Vec<_> = file.comments.iter().map(|comment| comment.text).collect();
        assert_eq!(words, ["A sum.", "one */", "three"]);
        assert!(
            file.comments
                .first()
                .is_some_and(|comment| comment.is_item_doc)
        );
        assert_eq!(file.code_widths, [(3, 38)]);
        assert_eq!(file.text(2), "sum");
        assert!(!file.code.iter().any(|token| token.text == "nothing"));
    }
}
