//! Evaluating a graph once, on given inputs: for inference, and for checking what passes do.

use std::collections::BTreeMap;

use syncarp_ir::{Bindings, Dim, Graph, OutputKey, Plan, State, TensorData, Value};

use crate::error::EngineError;
use crate::kernel::{KernelRegistry, Precision};
use crate::link::{Runnable, Workspace, read_slot};
use crate::program::compile;
use crate::programs::write_input;
use crate::state::States;

/// A tensor with its dims.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The dims.
    pub dims: Vec<usize>,
    /// The elements, row-major.
    pub data: TensorData,
}

impl Tensor {
    /// A float tensor.
    pub fn float(dims: &[usize], data: Vec<f64>) -> Self {
        Tensor {
            dims: dims.to_vec(),
            data: TensorData::Float(data),
        }
    }

    /// An integer tensor.
    pub fn int(dims: &[usize], data: Vec<i64>) -> Self {
        Tensor {
            dims: dims.to_vec(),
            data: TensorData::Int(data),
        }
    }
}

/// What an evaluation gives: a tensor for each output, in order.
pub type Results = Vec<(OutputKey, Tensor)>;

/// Evaluates a graph of a plan in `T` on inputs by name, states at the first values that the plan
/// declares or `states` gives. Floats of any dtype are computed in `T`; every op must have a
/// kernel. Symbols are bound from the inputs' dims.
///
/// # Errors
/// Where an input is missing or does not fit, a shape stays unbound, or an op has no kernel.
pub fn evaluate<T: Precision>(
    plan: &Plan,
    graph: &str,
    inputs: &BTreeMap<String, Tensor>,
    states: &dyn Fn(State) -> Option<TensorData>,
    kernels: &KernelRegistry,
) -> Result<Results, EngineError> {
    let graph = plan
        .graph(graph)
        .ok_or_else(|| EngineError::NoGraph(graph.to_owned()))?;
    let bindings = bind_inputs(graph, inputs)?;
    let program = compile::<T>(graph, &bindings, kernels, &[1])?;
    let dims: Vec<_> = graph
        .outputs()
        .iter()
        .map(|o| program.args[o.value.index()].dims.clone())
        .collect();
    let mut store = States::new::<T>(plan, states)?;
    let mut workspace = Workspace::new(std::iter::once(&program));
    let runnable = Runnable::new(graph, program, &mut store, &mut workspace);
    for (node, slot) in runnable.inputs() {
        let name = input_name(graph, *node);
        // SAFETY: nothing runs.
        unsafe { write_input::<T>(*slot, &inputs[&name].data, &name)? };
    }
    for level in 0..runnable.levels() {
        runnable.run_level(level, 0, 0);
    }
    let outputs = graph.outputs().iter().zip(dims);
    outputs
        .map(|(output, dims)| {
            let slot = runnable.slot(output.value, 0);
            let slot = slot.ok_or(EngineError::NoValue(output.value))?;
            // SAFETY: nothing runs.
            let data = unsafe { read_slot::<T>(slot) };
            Ok((output.key.clone(), Tensor { dims, data }))
        })
        .collect()
}

fn input_name(graph: &Graph, node: syncarp_ir::Node) -> String {
    graph
        .attrs(node)
        .str("name")
        .map(|n| n.to_string())
        .unwrap_or_default()
}

/// Values for the symbols of a graph's inputs, and a check that all inputs are given and fit.
fn bind_inputs(graph: &Graph, inputs: &BTreeMap<String, Tensor>) -> Result<Bindings, EngineError> {
    let mut bindings = Bindings::new();
    for node in graph
        .nodes()
        .filter(|n| graph.op_name(*n) == syncarp_ir::core_ops::INPUT)
    {
        let input = input_name(graph, node);
        let error = |message: String| EngineError::Input {
            input: input.clone(),
            message,
        };
        let Some(tensor) = inputs.get(&input) else {
            return Err(error("is not given".to_owned()));
        };
        let ty = graph.ty(Value::new(graph.result(node, 0).index()));
        let Some(dims) = ty.dims() else { continue };
        if dims.len() != tensor.dims.len() {
            return Err(error(format!(
                "has dims {:?}, the model takes {ty}",
                tensor.dims
            )));
        }
        for (dim, given) in dims.iter().zip(&tensor.dims) {
            let given = *given as u64;
            let fits = match dim {
                Dim::Known(known) => *known == given,
                Dim::Expr(_) => {
                    let symbols = dim.symbols();
                    if let [symbol] = &symbols[..]
                        && *dim == Dim::symbol(symbol.clone())
                    {
                        *bindings.entry(symbol.clone()).or_insert(given) == given
                    } else {
                        true
                    }
                }
            };
            if !fits {
                return Err(error(format!(
                    "has dims {:?}, the model takes {ty}",
                    tensor.dims
                )));
            }
        }
    }
    Ok(bindings)
}
