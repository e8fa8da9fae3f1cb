//! What can be wrong with a sweep file, and how mistakes are gathered.

use std::collections::HashSet;
use std::ops::Range;
use std::path::PathBuf;

use syncarp_diag::{Located, Source};

/// The most mistakes that one reading reports.
pub const MAX_MISTAKES: usize = 20;

/// Why a sweep file gives no sweep.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The file cannot be read; the file system's fault, or the path is wrong.
    #[error("cannot read the sweep file {}: {cause}", path.display())]
    Read {
        /// The path as given.
        path: PathBuf,
        /// What the file system said.
        #[source]
        cause: std::io::Error,
    },
    /// The file says something that is not a sweep; the fault of whoever wrote it.
    #[error("{}", joined(mistakes))]
    Invalid {
        /// Every mistake found, in the file's order, at least one and at most [`MAX_MISTAKES`].
        mistakes: Vec<Located>,
    },
}

impl SweepError {
    /// The mistakes in the file; none where it could not be read.
    pub fn mistakes(&self) -> &[Located] {
        match self {
            SweepError::Read { .. } => &[],
            SweepError::Invalid { mistakes } => mistakes,
        }
    }
}

fn joined(mistakes: &[Located]) -> String {
    let texts: Vec<String> = mistakes.iter().map(Located::to_string).collect();
    texts.join("\n\n")
}

/// Gathers mistakes: each place and message once, and no more than [`MAX_MISTAKES`].
pub(crate) struct Reports<'s> {
    pub source: &'s Source,
    mistakes: Vec<Located>,
    seen: HashSet<(usize, String)>,
}

impl<'s> Reports<'s> {
    pub fn new(source: &'s Source) -> Self {
        Reports {
            source,
            mistakes: Vec::new(),
            seen: HashSet::new(),
        }
    }

    pub fn push(&mut self, mistake: Located) {
        if !self.full()
            && self
                .seen
                .insert((mistake.span.start, mistake.message.clone()))
        {
            self.mistakes.push(mistake);
        }
    }

    pub fn say(&mut self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.push(Located::new(self.source, span, message).with_help(help));
    }

    /// Whether no more mistakes will be kept, so that looking for more is wasted.
    pub fn full(&self) -> bool {
        self.mistakes.len() >= MAX_MISTAKES
    }

    /// The mistakes in the file's order, if there are any.
    pub fn into_result(mut self) -> Result<(), Vec<Located>> {
        if self.mistakes.is_empty() {
            return Ok(());
        }
        self.mistakes.sort_by_key(|mistake| mistake.span.start);
        Err(self.mistakes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_kept_once_in_order_and_bounded() {
        let source = Source::new("s", "x".repeat(100));
        let mut reports = Reports::new(&source);
        for place in (0..50).rev() {
            for _ in 0..2 {
                reports.say(place..place + 1, "wrong", "right");
            }
        }
        assert!(reports.full());
        let mistakes = reports.into_result().unwrap_err();
        assert_eq!(mistakes.len(), MAX_MISTAKES);
        assert!(
            mistakes
                .windows(2)
                .all(|pair| pair[0].span.start < pair[1].span.start)
        );
    }
}
