//! Reverse mode, source to source: the step graph.
