//! What the tests of an op say of it, with types as they are printed: `f32[n, 4], i64[3]`.

use syncarp_ir::{Attrs, DType, TensorType};

use crate::testing::{self, dims, inputs};

/// Types from text; `?` stands for an unknown dtype, `*` for unknown dims.
fn types(text: &str) -> Vec<TensorType> {
    let parts = text.split_inclusive(']');
    parts
        .map(|part| {
            let part = part.trim_start_matches([',', ' ']);
            let (dtype, rest) = part.split_once('[').expect("a type has brackets");
            let shape = rest.trim_end_matches(']').replace(' ', "");
            TensorType {
                dtype: DType::from_name(dtype),
                shape: (shape != "*").then(|| dims(&shape).into_iter().collect()),
            }
        })
        .collect()
}

fn listed(types: &[TensorType]) -> String {
    let types: Vec<String> = types.iter().map(ToString::to_string).collect();
    types.join(", ")
}

/// The types of all results.
#[track_caller]
pub(crate) fn results(op: &str, operands: &str, attrs: Attrs) -> String {
    let (mut b, values) = inputs(&types(operands));
    let results = b.emit(op, &values, attrs).expect("the node types");
    let types: Vec<TensorType> = results.iter().map(|v| b.ty(*v).clone()).collect();
    listed(&types)
}

/// The message of a node that must not type.
#[track_caller]
pub(crate) fn error(op: &str, operands: &str, attrs: Attrs) -> String {
    testing::error_of(op, &types(operands), attrs)
}

/// The types of the gradients that the op's rule gives, unknown ones where it gives none.
#[track_caller]
pub(crate) fn gradients(op: &str, operands: &str, attrs: Attrs) -> String {
    listed(&testing::gradients(op, &types(operands), attrs))
}

/// Checks that what the op is made of has its type, and gives the names of those ops.
#[track_caller]
pub(crate) fn parts(op: &str, operands: &str, attrs: Attrs) -> Vec<&'static str> {
    let b = testing::decomposed(op, &types(operands), attrs);
    let graph = b.graph();
    let names = graph.nodes().map(|node| graph.op_name(node));
    names
        .filter(|name| *name != "input" && *name != op)
        .collect()
}
