//! Shares equal nodes.
