//! Writing: to standard output, which may be closed, and to files, whole or not at all.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::report::Failure;

/// So many models, as people say it.
pub(crate) fn models(count: usize) -> String {
    format!("{count} model{}", if count == 1 { "" } else { "s" })
}

/// Writes a text to standard output.
///
/// # Errors
/// [`Failure::ClosedOutput`] where nobody reads it any more, or what the operating system says.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_pieces(|out| out.write_all(text.as_bytes()))
}

/// Writes what comes in pieces to standard output.
///
/// # Errors
/// As [`print()`].
pub(crate) fn print_pieces(
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = write(&mut out).and_then(|()| out.flush());
    written.map_err(closed)
}

/// Standard output that cannot be written to.
fn closed(error: std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::BrokenPipe => Failure::ClosedOutput,
        _ => Failure::work(format!("standard output: {error}")),
    }
}

/// Writes a JSON value to standard output.
///
/// # Errors
/// As [`print()`].
pub(crate) fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    print(&format!("{value:#}\n"))
}

/// Writes a file whole or not at all: a reader sees the old content or the new one, and so does
/// whoever looks after a crash.
///
/// # Errors
/// What the operating system says.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> std::io::Result<()> {
    write_atomically_by(path, |file| file.write_all(content))
}

/// Writes a file whole or not at all, as [`write_atomically`] does, in pieces.
///
/// # Errors
/// What the operating system or the writer says.
pub(crate) fn write_atomically_by(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = fs::File::create(&temporary)
        .and_then(|mut file| write(&mut file))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // What is half written helps nobody; that it cannot be removed either is no further news.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Rows of cells as an aligned table: numbers to the right, a line under the first row.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let numeric = |column: usize| {
        let body = rows.iter().skip(1).filter_map(|row| row.get(column));
        let mut cells = body
            .filter(|cell| !cell.is_empty() && *cell != "-")
            .peekable();
        cells.peek().is_some() && cells.all(|cell| cell.parse::<f64>().is_ok())
    };
    let shape: Vec<(usize, bool)> = (0..columns).map(|c| (width(c), numeric(c))).collect();
    let mut out = String::new();
    for (place, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (column, (width, right)) in shape.iter().enumerate() {
            let cell = row.get(column).map_or("", String::as_str);
            let pad = " ".repeat(width - cell.chars().count());
            let gap = if column > 0 { "  " } else { "" };
            line += &match right {
                true => format!("{gap}{pad}{cell}"),
                false => format!("{gap}{cell}{pad}"),
            };
        }
        out.push_str(line.trim_end());
        out.push('\n');
        if place == 0 {
            let rules: Vec<String> = shape.iter().map(|(width, _)| "-".repeat(*width)).collect();
            out.push_str(&rules.join("  "));
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let rows = [
            row(["model", "loss"]),
            row(["a", "10.5"]),
            row(["long-one", "-"]),
        ];
        assert_eq!(
            table(&rows),
            "model     loss\n--------  ----\na         10.5\nlong-one     -\n"
        );
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
