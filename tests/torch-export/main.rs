//! Programs that `torch.export` traced, through the front end and the embedded engine, against the
//! numbers that PyTorch gave for them.
//!
//! The models of `tests/models` are run in evaluation and for one step of training. `fixtures` has the
//! small modules that `modules.py` records, `compact` some of the models' archives as
//! `tests/models/compact.py` converts them.

mod hostile;
mod models;
mod modules;
mod run;
