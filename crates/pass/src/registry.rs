//! The passes that a program knows.

use std::collections::BTreeMap;

use syncarp_ir::nearest;
use thiserror::Error;

use crate::options::{PassOptionError, PassOptions};
use crate::pipeline::{Pipeline, PipelineParseError};
use crate::{Pass, PassDoc};

type Make = fn(&PassOptions) -> Result<Box<dyn Pass>, PassOptionError>;

/// Passes to run in order, with what is written about each.
pub type Passes = Vec<(PassDoc, Box<dyn Pass>)>;

/// A registered pass.
#[derive(Clone, Copy)]
pub struct PassInfo {
    /// What is written about it.
    pub doc: PassDoc,
    make: Make,
}

/// A mistake in registering; the fault is the registering crate's.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RegisterError {
    /// Two passes of one name.
    #[error("pass `{0}` is registered twice")]
    Duplicate(&'static str),
}

/// Passes by name.
#[derive(Clone, Default)]
pub struct PassRegistry {
    passes: BTreeMap<&'static str, PassInfo>,
}

impl PassRegistry {
    /// No passes.
    pub fn new() -> Self {
        PassRegistry::default()
    }

    /// Adds a pass.
    ///
    /// # Errors
    /// Where the name is taken.
    pub fn register(&mut self, doc: PassDoc, make: Make) -> Result<(), RegisterError> {
        match self.passes.insert(doc.name, PassInfo { doc, make }) {
            None => Ok(()),
            Some(_) => Err(RegisterError::Duplicate(doc.name)),
        }
    }

    /// All passes by name.
    pub fn iter(&self) -> impl Iterator<Item = &PassInfo> {
        self.passes.values()
    }

    /// The pass of this name.
    pub fn get(&self, name: &str) -> Option<&PassInfo> {
        self.passes.get(name)
    }

    /// Reads a pipeline and makes its passes.
    ///
    /// # Errors
    /// Where the text is no pipeline, a pass is unknown or an option is wrong.
    pub fn resolve(&self, text: &str) -> Result<Passes, PipelineParseError> {
        let pipeline = Pipeline::parse(text)?;
        let mut passes = Vec::new();
        for stage in pipeline.stages {
            let error = |message| PipelineParseError {
                span: stage.span.clone(),
                message,
            };
            let Some(info) = self.passes.get(&*stage.name) else {
                let known: Vec<_> = self.passes.keys().copied().collect();
                let near = nearest(&stage.name, known.iter().copied());
                let near = near.map_or(String::new(), |n| format!("; did you mean `{n}`?"));
                let known = known.join(", ");
                return Err(error(format!(
                    "no pass is called `{}`{near} (there are: {known})",
                    stage.name
                )));
            };
            for (key, _) in &stage.options.0 {
                if !info.doc.options.iter().any(|(name, _)| name == key) {
                    let known: Vec<_> = info.doc.options.iter().map(|(n, _)| *n).collect();
                    let known = if known.is_empty() {
                        "none".to_owned()
                    } else {
                        known.join(", ")
                    };
                    return Err(error(format!(
                        "pass `{}` has no option `{key}`; it has: {known}",
                        stage.name
                    )));
                }
            }
            let pass = (info.make)(&stage.options).map_err(|e| error(e.to_string()))?;
            passes.push((info.doc, pass));
        }
        Ok(passes)
    }
}
