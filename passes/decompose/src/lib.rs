//! Replaces ops that an engine lacks by simpler ones.
