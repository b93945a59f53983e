//! The numbers of a JSON text, found before it is read.

use super::{
    JsonError,
    number::{NumberError, check_number, is_short_integer},
};
use std::{borrow::Cow, ops::Range};

/// The numbers of a text in their order, and the text with zeros in place of the longer ones. Every line and column
/// stays as it is.
pub(super) struct NumberScan<'t> {
    pub(super) numbers: Vec<&'t str>,
    pub(super) masked: Cow<'t, str>,
}

impl<'t> NumberScan<'t> {
    /// Finds the numbers of a text. One that is not JSON is left for the reader, which refuses it.
    ///
    /// # Errors
    /// A number is past the limits.
    pub(super) fn of(text: &'t str) -> Result<Self, JsonError> {
        let mut scan = Self {
            numbers: Vec::new(),
            masked: Cow::Borrowed(text),
        };
        let mut long: Vec<Range<usize>> = Vec::new();
        let mut offset = 0;
        while let Some(range) = next_number(text.as_bytes(), offset) {
            offset = range.end;
            let number = text.get(range.clone()).unwrap_or_default();
            match check_number(number) {
                Ok(()) => scan.numbers.push(number),
                Err(NumberError::Syntax) => continue,
                Err(problem) => {
                    let (line, column) = position(text.as_bytes(), range.start);
                    return Err(JsonError::Number {
                        line,
                        column,
                        problem,
                    });
                }
            }
            if !is_short_integer(number) {
                long.push(range);
            }
        }
        if !long.is_empty() {
            scan.masked = Cow::Owned(mask(text, &long));
        }
        Ok(scan)
    }
}

/// Writes a zero and blanks in place of each number.
fn mask(text: &str, numbers: &[Range<usize>]) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = 0;
    for range in numbers {
        masked.push_str(text.get(rest..range.start).unwrap_or_default());
        masked.push('0');
        masked.extend(range.clone().skip(1).map(|_| ' '));
        rest = range.end;
    }
    masked.push_str(text.get(rest..).unwrap_or_default());
    masked
}

/// Returns the range of the next number from an offset on that is not within a number or a string.
fn next_number(text: &[u8], mut offset: usize) -> Option<Range<usize>> {
    while let Some(byte) = text.get(offset) {
        match byte {
            // Digits within a string are no number.
            b'"' => offset = end_of_string(text, offset),
            b'-' | b'0'..=b'9' => {
                let rest = text.get(offset..).unwrap_or_default();
                let length = rest
                    .iter()
                    .take_while(|byte| {
                        matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E' | b'0'..=b'9')
                    })
                    .count();
                return Some(offset..offset + length);
            }
            _ => offset += 1,
        }
    }
    None
}

/// Returns the offset after the JSON string that begins at an offset.
fn end_of_string(text: &[u8], start: usize) -> usize {
    let mut offset = start + 1;
    while let Some(byte) = text.get(offset) {
        // An escape takes its next byte with it, so `\"` does not end the string.
        offset += if *byte == b'\\' { 2 } else { 1 };
        if *byte == b'"' {
            break;
        }
    }
    offset
}

/// Line and column of an offset, both from 1.
fn position(text: &[u8], offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before
        .iter()
        .rev()
        .take_while(|byte| **byte != b'\n')
        .count()
        + 1;
    (line, column)
}
