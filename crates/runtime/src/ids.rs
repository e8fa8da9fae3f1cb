//! Typed ids and the time that the scheduler counts in.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $word:literal) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($word, " {}"), self.0)
            }
        }
    };
}

id! {
    /// A submitted model. Whoever submits chooses the number, and never uses it twice.
    ModelId, "model"
}
id! {
    /// A device, as an index into [`Config::devices`](crate::Config::devices).
    DeviceId, "device"
}
id! {
    /// One run of an assembly. The scheduler hands the numbers out in the order of starting.
    AssemblyId, "assembly"
}
id! {
    /// One request to the planner. The scheduler hands the numbers out in the order of asking.
    RequestId, "request"
}
id! {
    /// How often a model has been started; the first time is attempt 1.
    Attempt, "attempt"
}

/// A moment in microseconds since some origin that the driver chooses.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Time(u64);

impl Time {
    /// The origin.
    pub const ZERO: Time = Time(0);

    /// The moment that lies this many microseconds after the origin.
    pub const fn from_micros(micros: u64) -> Self {
        Time(micros)
    }

    /// Microseconds since the origin.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The moment that lies `span` later, or the last there is if it lies beyond.
    ///
    /// A span's part below a microsecond counts as a whole one, so that nothing is early.
    pub fn after(self, span: Duration) -> Self {
        let micros = u64::try_from(span.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX);
        Time(self.0.saturating_add(micros))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06} s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}
