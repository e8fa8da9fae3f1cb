//! The engine trait and the embedded engine.
