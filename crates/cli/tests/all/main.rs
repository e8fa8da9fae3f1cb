//! The command as scripts use it: what it prints, writes and exits with.

mod common;
mod files;
mod mistakes;
mod nni;
mod nni_numbers;
mod plan;
mod plans;
mod run;
mod status;
mod verify;
