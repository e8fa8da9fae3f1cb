//! What can be wrong with an exported program, and whose fault it is.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

/// How many places of one unsupported op are named.
const NAMED: usize = 4;
/// How many unsupported ops are shown.
const SHOWN: usize = 60;

/// Why an exported program gave no model graph.
#[derive(Debug, Error)]
pub enum ExportError {
    /// A file that cannot be read: of the file system, or of the path that was given.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        cause: std::io::Error,
    },
    /// A file that is damaged, no exported program, or of another version: of whoever made it.
    #[error("{}: {place}: {message}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Where in it: an entry, a node, a state.
        place: String,
        /// What is wrong and what was expected.
        message: String,
    },
    /// A program that asks for what there is not here: all of that, by op.
    #[error("{}", unsupported(path, ops))]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// Every op that does not fit, in the order of first use.
        ops: Vec<UnsupportedOp>,
    },
}

/// An op that cannot be taken over, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedOp {
    /// Its name in the file, such as `aten.conv2d.default`.
    pub op: String,
    /// Why not, and what to do.
    pub reason: String,
    /// How many nodes ask for it.
    pub count: usize,
    /// The first of these nodes, each with the path of its module.
    pub nodes: Vec<(String, String)>,
}

impl UnsupportedOp {
    pub(super) fn add(&mut self, node: &str, module: &str) {
        self.count += 1;
        if self.nodes.len() < NAMED {
            self.nodes.push((shown(node), shown(module)));
        }
    }
}

impl fmt::Display for UnsupportedOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} times): {}; at", self.op, self.count, self.reason)?;
        for (place, (node, module)) in self.nodes.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            match module.as_str() {
                "" => write!(f, "{comma} `{node}`")?,
                module => write!(f, "{comma} `{node}` in `{module}`")?,
            }
        }
        match self.count - self.nodes.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

fn unsupported(path: &std::path::Path, ops: &[UnsupportedOp]) -> String {
    let mut text = format!(
        "{}: {} things are not supported:",
        path.display(),
        ops.len()
    );
    for op in ops.iter().take(SHOWN) {
        text.push_str(&format!("\n  {op}"));
    }
    if ops.len() > SHOWN {
        text.push_str(&format!("\n  and {} more", ops.len() - SHOWN));
    }
    text
}

/// A mistake at a place of a file that is still to be named.
#[derive(Debug)]
pub(super) struct Fault {
    pub place: String,
    pub message: String,
}

impl Fault {
    pub fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Fault {
            place: place.into(),
            message: message.into(),
        }
    }
}

/// A name from a file, short enough to be shown.
pub(super) fn shown(name: &str) -> String {
    const MOST: usize = 120;
    match name.chars().count() <= MOST {
        true => name.to_owned(),
        false => name.chars().take(MOST).chain("...".chars()).collect(),
    }
}
