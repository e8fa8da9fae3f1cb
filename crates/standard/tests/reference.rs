//! The reference pages in `docs` are those that what is registered gives; `BLESS=1` writes them.

use std::path::Path;

use syncarp_frontend::LayerRegistry;
use syncarp_standard::{Registries, reference};

fn check(file: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(file);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, page).unwrap();
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = written.lines().zip(page.lines()).position(|(a, b)| a != b);
    assert!(
        written == page,
        "docs/{file} is stale, from line {} on; set BLESS=1 to write it anew",
        differs.unwrap_or_else(|| written.lines().count().min(page.lines().count())) + 1
    );
}

#[test]
fn the_ops_are_those_registered() {
    let registries = Registries::standard().unwrap();
    check(
        "reference-ops.md",
        &reference::ops_page(&registries).unwrap(),
    );
}

#[test]
fn the_layers_are_those_registered() {
    let page = reference::layers_page(&LayerRegistry::standard());
    check("reference-layers.md", &page);
}

#[test]
fn the_functions_are_those_registered() {
    let registries = Registries::standard().unwrap();
    check("reference-aten.md", &reference::aten_page(&registries.ops));
}

#[test]
fn every_op_runs_somewhere() {
    let registries = Registries::standard().unwrap();
    for (id, op) in registries.ops.iter() {
        let facts = reference::OpFacts::of(&registries, id).unwrap();
        let parts = facts.sheet.is_some_and(|s| s.decomposition.is_some());
        assert!(
            facts.kernel || parts || op.name() == "custom",
            "{}",
            op.name()
        );
    }
}
