//! The standard ops: one file an op, registered by one line each.
