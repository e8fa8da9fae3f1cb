//! Drops what nothing needs.
