//! Tensors in files: what they are recognised by, how their elements are written, and reading them
//! no earlier than somebody needs them.
//!
//! A [`StoredTensor`] is a range of a file; a plan holds it as [`syncarp_ir::Content`] and its
//! elements are read when an engine asks. [`content_hash`] and [`stored_hash`] name equal tensors
//! equally, whichever file they lie in.

mod elements;
mod error;
mod hash;
mod safetensors;
mod stored;

pub use elements::{decode, encode};
pub use error::WeightsError;
pub use hash::{content_hash, stored_hash};
pub use safetensors::{load_weights, save_weights};
pub use stored::{FileBytes, StoredTensor};
