//! From what people write to model graphs: lists of layers and the text form.
//!
//! A [`Frontend`] lowers the resolved models of a sweep with the layers of a [`LayerRegistry`], to
//! which a crate of somebody else's adds its own by one line. [`load_text`] reads a model's text
//! form with its weights.
//!
//! ```
//! use std::{path::Path, sync::Arc};
//! use syncarp_diag::Source;
//! use syncarp_frontend::{LayerRegistry, lower_model};
//! use syncarp_ir::DType;
//! use syncarp_sweep::Sweep;
//!
//! let text = r#"
//! evaluator = { loss = "mse", optimizer = "sgd", epochs = 1 }
//! [[model]]
//! name = "two"
//! layers = ["relu", "tanh"]
//! "#;
//! let sweep = Sweep::parse(Source::new("sweep.toml", text), ".")?;
//! let ops = Arc::new(syncarp_ops::standard());
//! let layers = LayerRegistry::standard();
//! let inputs = [("x".to_owned(), DType::F32, vec![64])];
//! let model = &sweep.models[0];
//! let plan = lower_model(model, &sweep.source, Path::new("."), &ops, &layers, &inputs)?;
//! assert!(syncarp_ir::print(&plan).contains("tanh"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod apply;
mod aten;
mod context;
mod cut;
mod draft;
mod error;
pub mod export;
mod freeze;
mod init;
mod layers;
mod lora;
mod lower;
pub mod nni;
mod part_file;
mod registry;
mod text;

pub use aten::{AtenFunction, aten_functions};
pub use context::LayerContext;
pub use error::FrontendError;
pub use init::{torch_uniform, xavier_uniform};
pub use lower::{Frontend, lower_model};
pub use registry::{Argument, Layer, LayerError, LayerFn, LayerRegistry, Only};
pub use syncarp_weights::{WeightsError, content_hash, load_weights, save_weights};
pub use text::{load_text, save_text};
