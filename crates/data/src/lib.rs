//! The data streams of evaluators: what a model is trained and judged on.
//!
//! A [`DataSpec`] is what a user writes: files, format, target, preprocessing, split and batching.
//! [`DataStream::load`] resolves it to a [`DataStream`]: rows in memory and the order in which an
//! epoch visits them. Two models read the same stream, and so may be merged, exactly when the
//! [`DataKey`]s of their streams are equal; [`DataStream::differences`] names what keeps two apart.
//!
//! The way of the data is one direction: `spec` and `source` (what is asked for), `resolve` (files
//! and their hashes), `csv`, `npz`, `idx` (readers), `split`, `preprocess`, `dataset` (typed
//! columns), `stream` (orders, batches and gathering).
//!
//! Everything is deterministic: equal specs and equal file contents give equal rows in equal order
//! on every machine.

mod arrays;
mod csv;
mod dataset;
mod elements;
mod error;
mod files;
mod idx;
mod load;
mod npy;
mod npz;
mod one_or_many;
mod preprocess;
mod random;
mod resolve;
mod source;
mod spec;
mod split;
mod stream;
mod zip;

pub use arrays::{Numbers, read_arrays};
pub use dataset::{Array, Column, DataParts, Dataset};
pub use error::DataError;
pub use resolve::{DataKey, Difference, Resolved, ResolvedFile};
pub use source::{PartSource, Source};
pub use spec::{ColumnRef, CsvOptions, DataSpec, Format, Split, Step, TargetKind};
pub use stream::{Batching, DataStream};
