//! Reference pages, written from what is registered: ops, layers, ATen's functions.

mod aten;
mod layers;
mod ops;

pub use aten::aten_page;
pub use layers::layers_page;
pub use ops::{OpFacts, ReferenceError, op_text, ops_page, signature};

/// What a page says of itself, so that nobody edits it by hand.
fn generated(what: &str) -> String {
    format!(
        "<!-- Written from what is registered. `BLESS=1 cargo test -p syncarp-standard --test \
         reference` writes it anew{what}. -->\n\n"
    )
}

/// A text within a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
