//! Whole streams, through the public interface: one binary, so that it links once.

mod common;
mod formats;
mod spec;
mod stream;
