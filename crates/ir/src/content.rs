//! Data of states whose first value is given: here, or elsewhere until somebody needs it.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::plan::TensorData;

/// Data that lies elsewhere, in a file mostly.
pub trait Stored: Send + Sync + 'static {
    /// Reads it.
    ///
    /// # Errors
    /// It is not there any more, or damaged.
    fn load(&self) -> Result<TensorData, ContentError>;
}

/// Why stored data could not be read. The fault lies with whoever changed where it lies.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{message}")]
pub struct ContentError {
    /// What is wrong, and where.
    pub message: String,
}

impl ContentError {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        ContentError {
            message: message.into(),
        }
    }
}

/// A tensor's data. Clones are cheap.
#[derive(Clone)]
pub struct Content(Place);

#[derive(Clone)]
enum Place {
    Here(Arc<TensorData>),
    Elsewhere(Arc<dyn Stored>),
}

impl Content {
    /// Data that is here.
    pub fn new(data: TensorData) -> Self {
        Content(Place::Here(Arc::new(data)))
    }

    /// Data that is read each time it is needed, and not kept.
    pub fn stored(stored: impl Stored) -> Self {
        Content(Place::Elsewhere(Arc::new(stored)))
    }

    /// Whether both are one in memory, or one stored tensor.
    pub fn is(&self, other: &Content) -> bool {
        match (&self.0, &other.0) {
            (Place::Here(a), Place::Here(b)) => Arc::ptr_eq(a, b),
            (Place::Elsewhere(a), Place::Elsewhere(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// The data.
    ///
    /// # Errors
    /// It is stored and cannot be read.
    pub fn load(&self) -> Result<Arc<TensorData>, ContentError> {
        match &self.0 {
            Place::Here(data) => Ok(data.clone()),
            Place::Elsewhere(stored) => stored.load().map(Arc::new),
        }
    }
}

/// Equal where they are one, or hold equal data.
impl PartialEq for Content {
    fn eq(&self, other: &Content) -> bool {
        let equal = || match (self.load(), other.load()) {
            (Ok(a), Ok(b)) => a == b,
            _ => false,
        };
        self.is(other) || equal()
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Here(data) => data.fmt(f),
            Place::Elsewhere(_) => f.write_str("Stored"),
        }
    }
}
