//! Draws a plan's graphs, for people to look at: boxes for ops, clusters for models and devices,
//! what several models share marked.
//!
//! States and constants are told by the boxes that read them. A graph of more ops than anybody can
//! look at is drawn module by module, as coarsely as it needs.
//!
//! ```
//! use std::sync::Arc;
//! use syncarp_diag::Source;
//!
//! let text = r#"syncarp 1
//! model m0 "a" {}
//! graph "eval" {
//!   x = input {model=m0, name="x", dtype=f32, dims=dims[n, 4]}
//!   y = relu x
//!   result m0 "y" = y
//! }
//! "#;
//! let ops = Arc::new(syncarp_ops::standard());
//! let plan = syncarp_ir::parse(&Source::new("a.syn", text), &ops)?;
//! let graph = plan.graph("eval").unwrap();
//! let svg = syncarp_draw::svg(&plan, graph);
//! assert!(svg.contains(">relu<"));
//! # Ok::<(), syncarp_diag::Located>(())
//! ```

mod html;
mod layout;
mod svg;
mod view;

use syncarp_ir::{Graph, Plan};

use layout::Layout;
use view::View;

/// One graph of a plan as an SVG image.
pub fn svg(plan: &Plan, graph: &Graph) -> String {
    let view = View::new(plan, graph);
    svg::write(plan, &view, &Layout::of(&view))
}

/// All graphs of a plan as one HTML page without anything outside it, to be zoomed and searched.
pub fn html(plan: &Plan, title: &str) -> String {
    let graphs = plan.graphs.iter();
    let drawn: Vec<(&str, String)> = graphs.map(|(name, g)| (&**name, svg(plan, g))).collect();
    html::write(title, &drawn)
}
