//! Helpers for tests: file tests, snapshots, graph generators.
