//! Rows in columns: aligned under a heading on a terminal, separated by tabs elsewhere.

use std::io::{IsTerminal, stdout};

/// Returns the rows as text for stdout: a terminal gets aligned columns, a pipe gets tabs.
pub(crate) fn render_table<const COLUMNS: usize>(
    heading: [&str; COLUMNS],
    rows: &[[String; COLUMNS]],
) -> String {
    if stdout().is_terminal() {
        align_columns(heading, rows)
    } else {
        separate_by_tabs(rows)
    }
}

fn separate_by_tabs<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    rows.iter().map(|row| row.join("\t") + "\n").collect()
}

/// Returns the rows under their heading, each column as wide as its longest cell.
pub(crate) fn align_columns<const COLUMNS: usize>(
    heading: [&str; COLUMNS],
    rows: &[[String; COLUMNS]],
) -> String {
    let heading = heading.map(str::to_uppercase);
    let all_rows = || std::iter::once(&heading).chain(rows);
    let mut widths = [0; COLUMNS];
    for row in all_rows() {
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
    all_rows().map(line).collect()
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
            align_columns(["key", "state"], &rows),
            "KEY     STATE\na       landed\nlonger  held\n"
        );
        assert_eq!(separate_by_tabs(&rows), "a\tlanded\nlonger\theld\n");
    }
}
