//! What can be wrong with an ONNX file, and whose fault it is.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use syncarp_ir::Violations;
use thiserror::Error;

/// How many nodes of an unsupported op are named.
const NAMED: usize = 5;
/// How many unsupported ops a message lists.
const SHOWN: usize = 40;

/// Why a file could not be imported.
#[derive(Debug, Error)]
pub enum OnnxError {
    /// A file that cannot be read: of the file system, or of the path that was given.
    #[error("{file}: {cause}")]
    File {
        /// The file.
        file: String,
        /// What the operating system says.
        cause: std::io::Error,
    },
    /// A file that is damaged or no ONNX file: of whoever made it.
    #[error("{file}: {place}: {message}")]
    Wrong {
        /// The file.
        file: String,
        /// Where in it: a node, an initialiser, an input.
        place: String,
        /// What is wrong and what was expected.
        message: String,
    },
    /// A model that asks for what there is not here: all of that, by op.
    #[error("{}", unsupported(file, ops))]
    Unsupported {
        /// The file.
        file: String,
        /// Every op that does not fit, in the order of first use.
        ops: Vec<UnsupportedOp>,
    },
    /// An import that gave no sound plan: a bug of this crate or of an op.
    #[error("{file}: was imported to an unsound plan: {violations}")]
    Unsound {
        /// The file.
        file: String,
        /// What is wrong with the plan.
        violations: Violations,
    },
}

impl OnnxError {
    /// The inputs whose values would have to be known while the model is imported, because shapes
    /// depend on them; empty where that would not do.
    pub fn wanted(&self) -> BTreeSet<&str> {
        match self {
            OnnxError::Unsupported { ops, .. } => {
                let wanted = ops.iter().flat_map(|op| &op.wanted);
                wanted.map(String::as_str).collect()
            }
            _ => BTreeSet::new(),
        }
    }
}

/// An op that cannot be taken over, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedOp {
    /// Its name in the file; with its domain where that is not the default one.
    pub op: String,
    /// Why not, and what to do.
    pub reason: String,
    /// Inputs of the model whose values, were they known, would settle it.
    pub wanted: BTreeSet<String>,
    /// How many nodes ask for it.
    pub count: usize,
    /// The first of these nodes.
    pub nodes: Vec<String>,
}

impl UnsupportedOp {
    pub(crate) fn add(&mut self, node: &str) {
        self.count += 1;
        if self.nodes.len() < NAMED {
            self.nodes.push(shown(node));
        }
    }
}

impl fmt::Display for UnsupportedOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = if self.count == 1 { "once" } else { "times" };
        match self.count {
            1 => write!(f, "{} ({times}): {}; at", self.op, self.reason)?,
            n => write!(f, "{} ({n} {times}): {}; at", self.op, self.reason)?,
        }
        for (place, node) in self.nodes.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(f, "{comma} `{node}`")?;
        }
        match self.count - self.nodes.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

fn unsupported(file: &str, ops: &[UnsupportedOp]) -> String {
    let things = if ops.len() == 1 {
        "thing is"
    } else {
        "things are"
    };
    let mut text = format!("{file}: {} {things} not supported:", ops.len());
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
pub(crate) struct Fault {
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

    pub fn in_file(self, file: &Path) -> OnnxError {
        OnnxError::Wrong {
            file: file.display().to_string(),
            place: self.place,
            message: self.message,
        }
    }
}

/// A name from a file, short enough to be shown and on one line.
pub(crate) fn shown(name: &str) -> String {
    const MOST: usize = 120;
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut text: String = name.chars().take(MOST).map(plain).collect();
    if name.chars().nth(MOST).is_some() {
        text.push_str("...");
    }
    text
}
