//! Options of losses, metrics, optimizers and schedules, as people write them.

use thiserror::Error;

/// One option's value.
#[derive(Clone, Debug, PartialEq)]
pub enum OptionValue {
    /// A number.
    Number(f64),
    /// A truth value.
    Bool(bool),
    /// A word.
    Text(String),
    /// A list of numbers.
    Numbers(Vec<f64>),
}

/// A wrong option. The fault is the evaluator's author's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OptionError {
    /// Nothing of this name is registered.
    #[error("no {kind} is called `{name}`; there are: {known}")]
    UnknownName {
        /// What was asked for: a loss, a metric, an optimizer or a schedule.
        kind: &'static str,
        /// The name that was given.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// The option is not one of these.
    #[error("`{owner}` has no option `{option}`; it has: {known}")]
    Unknown {
        /// Whose option it would be.
        owner: String,
        /// The option that was given.
        option: String,
        /// The options that there are.
        known: String,
    },
    /// The option's value is of the wrong kind or out of range.
    #[error("option `{option}` of `{owner}` must be {expected}")]
    Value {
        /// Whose option it is.
        owner: String,
        /// The option.
        option: String,
        /// What was expected.
        expected: String,
    },
    /// The option must be given.
    #[error("`{owner}` needs option `{option}`: {expected}")]
    Missing {
        /// Whose option it is.
        owner: String,
        /// The option.
        option: String,
        /// What is expected.
        expected: String,
    },
}

impl OptionError {
    /// The option that is wrong, where one is.
    pub fn option(&self) -> Option<&str> {
        match self {
            OptionError::UnknownName { .. } => None,
            OptionError::Unknown { option, .. }
            | OptionError::Value { option, .. }
            | OptionError::Missing { option, .. } => Some(option),
        }
    }
}

/// Options that are taken out one by one; what is left over at the end is an error.
#[derive(Clone, Debug)]
pub struct Options {
    owner: String,
    left: Vec<(String, OptionValue)>,
    known: Vec<&'static str>,
}

impl Options {
    /// Options of `owner`. `-` and `_` in names are one.
    pub fn new(owner: &str, given: &[(String, OptionValue)]) -> Self {
        let left = given
            .iter()
            .map(|(k, v)| (k.replace('_', "-"), v.clone()))
            .collect();
        Options {
            owner: owner.to_owned(),
            left,
            known: Vec::new(),
        }
    }

    fn take(&mut self, name: &'static str) -> Option<OptionValue> {
        self.known.push(name);
        let at = self.left.iter().position(|(k, _)| k == name)?;
        Some(self.left.remove(at).1)
    }

    fn value(&self, option: &str, expected: &str) -> OptionError {
        OptionError::Value {
            owner: self.owner.clone(),
            option: option.to_owned(),
            expected: expected.to_owned(),
        }
    }

    /// A finite number in a closed range, or the default.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn number(
        &mut self,
        name: &'static str,
        default: f64,
        range: std::ops::RangeInclusive<f64>,
    ) -> Result<f64, OptionError> {
        match self.take(name) {
            None => Ok(default),
            Some(OptionValue::Number(v)) if v.is_finite() && range.contains(&v) => Ok(v),
            Some(_) => {
                let (low, high) = (range.start(), range.end());
                let expected = match (low.is_finite(), high.is_finite() && *high < f64::MAX) {
                    (true, true) => format!("a number from {low} to {high}"),
                    (true, false) => format!("a number of at least {low}"),
                    _ => "a number".to_owned(),
                };
                Err(self.value(name, &expected))
            }
        }
    }

    /// A number that must be given.
    ///
    /// # Errors
    /// Where it is missing or something else.
    pub fn required(
        &mut self,
        name: &'static str,
        range: std::ops::RangeInclusive<f64>,
        expected: &str,
    ) -> Result<f64, OptionError> {
        if !self.left.iter().any(|(k, _)| k == name) {
            return Err(OptionError::Missing {
                owner: self.owner.clone(),
                option: name.to_owned(),
                expected: expected.to_owned(),
            });
        }
        self.number(name, 0.0, range)
    }

    /// A truth value, or the default.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn bool(&mut self, name: &'static str, default: bool) -> Result<bool, OptionError> {
        match self.take(name) {
            None => Ok(default),
            Some(OptionValue::Bool(v)) => Ok(v),
            Some(_) => Err(self.value(name, "true or false")),
        }
    }

    /// A list of numbers, or the default.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn numbers(
        &mut self,
        name: &'static str,
        default: &[f64],
    ) -> Result<Vec<f64>, OptionError> {
        match self.take(name) {
            None => Ok(default.to_vec()),
            Some(OptionValue::Numbers(v)) => Ok(v),
            Some(_) => Err(self.value(name, "a list of numbers")),
        }
    }

    /// Demands that nothing is left.
    ///
    /// # Errors
    /// Where an option is unknown.
    pub fn finish(self) -> Result<(), OptionError> {
        match self.left.into_iter().next() {
            None => Ok(()),
            Some((option, _)) => {
                let known = if self.known.is_empty() {
                    "none".to_owned()
                } else {
                    self.known.join(", ")
                };
                Err(OptionError::Unknown {
                    owner: self.owner,
                    option,
                    known,
                })
            }
        }
    }
}
