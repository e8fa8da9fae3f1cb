//! The textual form: what a person reads and writes, `parse(print(plan)) == plan`.
//!
//! ```text
//! syncarp 1
//!
//! model m0 "tiny" data d0 {
//!   "fc.weight" = s0 : f32[10, 64] trainable init(uniform(-0.125, 0.125), stream(_, "fc.weight", 0))
//! }
//!
//! graph "train" {
//!   v0 = input {dims=dims[n, 64], dtype=f32, model=m0, name="x"} : f32[n, 64] @m0
//!   v1 = state {of=s0} : f32[10, 64] @m0 "fc.weight"
//!   v2 = linear v0, v1 : f32[n, 10] @m0 "fc"
//!   result m0 "y" = v2
//! }
//! ```
//!
//! Types, provenance (`@`) and the data stream may be left out; values may have any name; `;`
//! begins a comment. A stream's seed `_` is the evaluator's, once the model meets one.

mod lexer;
mod parse;
mod print;

pub use parse::{Example, parse};
pub(crate) use print::{plain, print_key, print_node, print_node_body};
pub use print::{print, write};
