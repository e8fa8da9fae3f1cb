//! The `syncarp` command.

fn main() {}
