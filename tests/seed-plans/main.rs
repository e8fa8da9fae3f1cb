//! What NNI plans, planned here: every recorded grouping and assembly.
//!
//! Recordings and plans are compared as [`view::View`]s, on the level of the nodes of NNI's graphs.
//! Where a recording shows a defect of NNI's, the test demands the right answer and names it.

#[path = "../common/mod.rs"]
mod common;
mod forks;
mod merged;
mod mnist;
mod patterns;
mod processes;
mod recordings;
mod setup;
mod training;
mod view;
