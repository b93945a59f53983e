//! Rows in columns: aligned under a heading on a terminal, separated by tabs elsewhere.

use std::io::{IsTerminal, stdout};

/// The rows as text, for what stdout is.
pub(crate) fn render<const COLUMNS: usize>(
    heading: [&str; COLUMNS],
    rows: &[[String; COLUMNS]],
) -> String {
    if stdout().is_terminal() {
        aligned(heading, rows)
    } else {
        tabbed(rows)
    }
}

fn tabbed<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    rows.iter().map(|row| row.join("\t") + "\n").collect()
}

/// The rows as a person reads them.
pub(crate) fn aligned<const COLUMNS: usize>(
    heading: [&str; COLUMNS],
    rows: &[[String; COLUMNS]],
) -> String {
    let heading = heading.map(str::to_uppercase);
    let all = || std::iter::once(&heading).chain(rows);
    let mut widths = [0; COLUMNS];
    for row in all() {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; COLUMNS]| {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    all().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_aligned_columns_and_a_pipe_gets_tabs() {
        let rows = [
            ["a".to_owned(), "landed".to_owned()],
            ["longer".to_owned(), "held".to_owned()],
        ];
        assert_eq!(
            aligned(["key", "state"], &rows),
            "KEY     STATE\na       landed\nlonger  held\n"
        );
        assert_eq!(tabbed(&rows), "a\tlanded\nlonger\theld\n");
    }
}
