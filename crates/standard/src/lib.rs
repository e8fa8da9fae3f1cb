//! All that ships, put together: the standard registries, and the way from a sweep to trials.
//!
//! ```
//! use std::time::Duration;
//! use syncarp_diag::Source;
//! use syncarp_place::parse_devices;
//! use syncarp_runtime::{ModelState, Session, Settings, DEFAULT_PIPELINE};
//! use syncarp_standard::{Registries, Submitter};
//! use syncarp_sweep::Sweep;
//!
//! # let folder = tempfile::tempdir()?;
//! # std::fs::write(folder.path().join("points.csv"), "a,b,y\n0,0,0\n0,1,1\n1,0,1\n1,1,0\n")?;
//! let text = r#"
//! data = { source = "points.csv", csv = { has-header = true, target = "y" }, target-kind = "class", batch-size = 4 }
//! evaluator = { loss = "cross-entropy", optimizer = "adam", epochs = 3 }
//! [[model]]
//! name = "small"
//! layers = [{ linear = 8 }, "tanh", { linear = 2 }]
//! "#;
//! let registries = Registries::standard()?;
//! let planner = registries.planner(DEFAULT_PIPELINE, "pack")?;
//! let settings = Settings::new(parse_devices("cpu:0", 1)?);
//! let session = Session::start(settings, planner, registries.engine())?;
//! let sweep = Sweep::parse(Source::new("sweep.toml", text), folder.path())?;
//! for submitted in Submitter::new(&registries).submit(&sweep)? {
//!     session.submit(submitted.trial)?;
//! }
//! assert_eq!(session.join()?[0].state, ModelState::Finished);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod hash;
mod options;
pub mod reference;
mod registries;
mod streams;
mod submit;

pub use error::{PlannerError, RegistryError, SubmitError};
pub use registries::Registries;
pub use submit::{Submitted, Submitter};
