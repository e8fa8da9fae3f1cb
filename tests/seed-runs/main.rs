//! What NNI schedules and demultiplexes, done here: every recorded timeline and report.
