//! Binding: inputs get the types of the data stream's columns, and every type is inferred anew.

use syncarp_ir::core_ops::INPUT;
use syncarp_ir::{BuildError, DType, Dim, Plan, Rewriter, TensorType};
use thiserror::Error;

/// Why a model cannot be bound to a data stream. The fault is the submitter's.
#[derive(Debug, Error)]
pub enum BindError {
    /// The stream has no such column.
    #[error("the model reads an input `{input}`, but the data stream has: {known}")]
    NoColumn {
        /// The input.
        input: String,
        /// The columns that there are.
        known: String,
    },
    /// The types that follow contradict each other.
    #[error("with inputs of these types the model does not type: {0}")]
    Types(#[from] BuildError),
}

/// Gives every data input of a plan the type of its column, batch dim `n` first, and infers all
/// types anew. An input of another name takes the only input column, if there is just one.
/// `columns` are names, element types and the dims of one sample.
///
/// # Errors
/// Where a column is missing or the types that follow contradict each other.
pub fn bind_inputs(plan: &mut Plan, columns: &[(&str, DType, &[u64])]) -> Result<(), BindError> {
    for (_, graph) in &mut plan.graphs {
        let mut rw = Rewriter::new(graph);
        for node in graph.nodes() {
            let attrs = graph.attrs(node);
            let name = attrs.str("name").cloned().unwrap_or_default();
            let is_data = graph.op_name(node) == INPUT
                && attrs.bool("coefficient") != Some(true)
                && &*name != syncarp_ir::core_ops::STEP_INPUT;
            let op = graph.op_id(node);
            let operands = rw.operands(node);
            if !is_data {
                // Inferred anew: what was unknown before may be known now.
                let stated: Option<Vec<TensorType>> = graph
                    .operands(node)
                    .is_empty()
                    .then(|| graph.results(node).map(|v| graph.ty(v).clone()).collect());
                let attrs = attrs.clone();
                let values = rw
                    .at(node)
                    .emit_id(op, &operands, attrs, stated.as_deref())?;
                rw.stand_for(node, &values);
                continue;
            }
            let exact = columns.iter().find(|(n, ..)| **n == *name);
            let inputs: Vec<_> = columns.iter().filter(|(n, ..)| *n != "y").collect();
            let column = exact.or(if inputs.len() == 1 {
                Some(inputs[0])
            } else {
                None
            });
            let Some((name, dtype, dims)) = column else {
                let known: Vec<_> = columns.iter().map(|(n, ..)| *n).collect();
                let (input, known) = (name.to_string(), known.join(", "));
                return Err(BindError::NoColumn { input, known });
            };
            let mut shape = vec![Dim::symbol("n")];
            shape.extend(dims.iter().copied().map(Dim::Known));
            let attrs = attrs.clone().with("name", *name).with("dtype", *dtype);
            let attrs = attrs.with("dims", shape);
            let values = rw.at(node).emit_id(op, &operands, attrs, None)?;
            rw.stand_for(node, &values);
        }
        rw.copy_outputs();
        *graph = rw.finish();
    }
    Ok(())
}
