//! What NNI schedules and demultiplexes, done here: every recorded timeline and report.
//!
//! The scheduler runs on simulated time; the planner is the real one with the policy `nni`. Where
//! a recording shows a defect of NNI's, the test demands the right answer and names the defect.

#[path = "../common/mod.rs"]
mod common;
mod free_subset;
mod idle;
mod reports;
mod timelines;
mod world;
