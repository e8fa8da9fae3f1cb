//! The engine trait and the embedded engine.

pub mod kernel;
pub mod kernels;
mod real;

pub use real::Real;
