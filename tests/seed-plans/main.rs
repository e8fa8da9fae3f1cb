//! What NNI plans, planned here: every recorded grouping and assembly.
