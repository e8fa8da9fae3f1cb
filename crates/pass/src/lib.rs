//! The pass interface: trait, registry, textual pipelines, instrumentation.
