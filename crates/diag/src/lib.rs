//! Errors that point at a place in a source text: file, line, column and a caret.
//!
//! Libraries carry the place; the binary decides how to draw it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A named text that errors can point into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What the person calls it, usually the path as they gave it.
    pub name: Arc<str>,
    /// The whole text.
    pub text: Arc<str>,
}

impl Source {
    /// A source of this name and text.
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        Source {
            name: name.into(),
            text: text.into(),
        }
    }

    /// The one-based line and column (in characters) of a byte offset.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &self.text[..offset];
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |i| i + 1);
        (line, before[start..].chars().count() + 1)
    }
}

/// A mistake at a place: what is wrong, where, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The text that the mistake is in.
    pub source: Source,
    /// The bytes it concerns.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What was expected, or how to mend it.
    pub help: Option<String>,
}

impl Located {
    /// A mistake in `source` at `span`.
    pub fn new(source: &Source, span: Range<usize>, message: impl Into<String>) -> Self {
        Located {
            source: source.clone(),
            span,
            message: message.into(),
            help: None,
        }
    }

    /// Adds what was expected or how to mend it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The one-based line and column where it starts.
    pub fn line_column(&self) -> (usize, usize) {
        self.source.line_column(self.span.start)
    }
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_column();
        writeln!(f, "{}:{line}:{column}: {}", self.source.name, self.message)?;
        let text = self.source.text.lines().nth(line - 1).unwrap_or("");
        let rest = text.chars().count().saturating_sub(column - 1).max(1);
        let width = self.span.len().clamp(1, rest);
        writeln!(f, "  | {text}")?;
        write!(f, "  | {}{}", " ".repeat(column - 1), "^".repeat(width))?;
        if let Some(help) = &self.help {
            write!(f, "\n  = {help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Located {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_at_the_place() {
        let source = Source::new("a.txt", "one\ntwo three\n");
        let error = Located::new(&source, 8..13, "unknown word").with_help("expected `four`");
        assert_eq!(
            error.to_string(),
            "a.txt:2:5: unknown word\n  | two three\n  |     ^^^^^\n  = expected `four`"
        );
    }

    #[test]
    fn a_place_past_the_end_or_inside_a_character_is_still_a_place() {
        let source = Source::new("a", "é");
        assert_eq!(source.line_column(1), (1, 1));
        assert_eq!(source.line_column(99), (1, 2));
        assert!(!Located::new(&source, 50..60, "m").to_string().is_empty());
    }
}
