//! Laws: what holds of every plan and every pass.

mod canonical;
mod folding;
mod generate;
mod passes;
mod text;
mod verifier;

use std::sync::Arc;

use syncarp_diag::Source;
use syncarp_ir::{OpRegistry, Plan, parse};
use syncarp_pass::PassRegistry;

fn ops() -> Arc<OpRegistry> {
    Arc::new(syncarp_ops::standard())
}

fn pass_registry() -> PassRegistry {
    let mut registry = PassRegistry::new();
    syncarp_pass_canonicalize::register(&mut registry).unwrap();
    syncarp_pass_cse::register(&mut registry).unwrap();
    syncarp_pass_dce::register(&mut registry).unwrap();
    syncarp_pass_decompose::register(&mut registry).unwrap();
    syncarp_pass_dedup_input::register(&mut registry).unwrap();
    syncarp_pass_differentiate::register(&mut registry).unwrap();
    syncarp_pass_to_eval::register(&mut registry).unwrap();
    registry
}

fn plan(text: &str) -> Plan {
    parse(&Source::new("test.syn", text), &ops()).unwrap_or_else(|e| panic!("{e}"))
}
