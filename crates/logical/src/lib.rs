//! Fusing models into one logical graph.
