//! Joins equal inputs of models with equal data streams.
