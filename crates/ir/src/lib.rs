//! The IR: typed SSA graphs of registered ops, with a text form and a verifier.
//!
//! A [`Plan`] holds named [`Graph`]s over one table of models and one table of state. Graphs are
//! made by a [`GraphBuilder`] and turned into others by a [`Rewriter`]; they are never edited.
//! [`Op`] is the one trait that an op implements.
//!
//! ```
//! use std::sync::Arc;
//! use syncarp_diag::Source;
//! use syncarp_ir::{OpRegistry, parse, print, verify};
//!
//! let text = r#"syncarp 1
//!
//! model m0 "tiny" {}
//!
//! graph "eval" {
//!   v0 = input {dims=dims[n, 4], dtype=f32, model=m0, name="x"} : f32[n, 4] @m0
//!   result m0 "y" = v0
//! }
//! "#;
//! let ops = Arc::new(OpRegistry::new());
//! let plan = parse(&Source::new("tiny.syn", text), &ops)?;
//! assert!(verify(&plan).is_empty());
//! assert_eq!(print(&plan), text);
//! # Ok::<(), syncarp_diag::Located>(())
//! ```

mod append;
mod attr;
mod broken;
mod builder;
mod content;
pub mod core_ops;
mod diff;
mod dim;
mod entity;
mod graph;
mod intern;
mod known;
mod op;
mod plan;
mod provenance;
mod registry;
mod rewrite;
mod sheet;
mod sources;
mod spec;
mod spell;
pub mod stream;
mod text;
mod types;
mod verify;

pub use append::{Appender, Renaming};
pub use attr::{Attr, AttrKind, Attrs};
pub use builder::{BuildError, Context, GraphBuilder, Values};
pub use content::{Content, ContentError, Stored};
pub use diff::diff;
pub use dim::{Bindings, Dim};
pub use entity::{AttrsId, Data, Device, Model, Node, OpId, ProvenanceId, State, TypeId, Value};
pub use graph::{Graph, Output, OutputKey};
pub use intern::Interner;
pub use op::{
    Cost, Exactness, Expand, Gradient, GradientError, Infer, Op, Purity, TypeError, Types,
    broadcast, normalize_axis, numbers,
};
pub use plan::{
    ContentHash, Contents, EVAL, Initial, Interface, ModelEntry, Plan, STEP, StateEntry, StateKind,
    TRAIN, TensorData,
};
pub use provenance::{Origin, Provenance, Role};
pub use registry::{Family, OpRegistry, RegisterError, check_attrs, check_operands};
pub use rewrite::Rewriter;
pub use sheet::{Differentiable, Part, Sheet, SheetError};
pub use sources::Sources;
pub use spec::{Arity, AttrDefault, AttrSpec, Operand};
pub use spell::nearest;
pub use stream::{Distribution, StreamKey};
pub use text::{Example, parse, print, write};
pub use types::{DType, Shape, TensorType};
pub use verify::{Tier, Verified, Violation, Violations, check, verify};
