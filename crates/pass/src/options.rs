//! A pass's options, as a pipeline's text gives them.

use thiserror::Error;

/// A wrong option; the fault is the pipeline's author's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("option `{option}`: {message}")]
pub struct PassOptionError {
    /// The option.
    pub option: String,
    /// What was expected.
    pub message: String,
}

/// Options by name; values are words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassOptions(pub Vec<(String, String)>);

impl PassOptions {
    /// The value of an option, as written.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(k, _)| k == name)
            .map(|(_, v)| v.as_str())
    }

    /// A truth value, or the default.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn bool(&self, name: &str, default: bool) -> Result<bool, PassOptionError> {
        self.parsed(name, default, "true or false")
    }

    /// A number, or the default.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn count(&self, name: &str, default: usize) -> Result<usize, PassOptionError> {
        self.parsed(name, default, "a whole number")
    }

    fn parsed<T: std::str::FromStr>(
        &self,
        name: &str,
        default: T,
        expected: &str,
    ) -> Result<T, PassOptionError> {
        match self.get(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| PassOptionError {
                option: name.to_owned(),
                message: format!("expected {expected}, found `{text}`"),
            }),
        }
    }
}
