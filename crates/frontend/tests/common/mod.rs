//! Lowering models that are written as in a sweep.

#![allow(dead_code)]

use std::path::Path;
use std::sync::Arc;

use syncarp_diag::Source;
use syncarp_frontend::{FrontendError, LayerRegistry, lower_model};
use syncarp_ir::{DType, Graph, Initial, OpRegistry, OutputKey, Plan, TRAIN, TensorType, print};
use syncarp_sweep::Sweep;

/// All ops.
pub fn ops() -> Arc<OpRegistry> {
    Arc::new(syncarp_ops::standard())
}

/// A model block, lowered with `x` of this type; `dims` are those of one sample.
pub fn try_lower(block: &str, dtype: DType, dims: &[u64]) -> Result<Plan, FrontendError> {
    let inputs = [("x".to_owned(), dtype, dims.to_vec())];
    lower_in(Path::new("."), block, &inputs)
}

/// A model block, lowered with paths that start at a folder.
pub fn lower_in(
    base: &Path,
    block: &str,
    inputs: &[(String, DType, Vec<u64>)],
) -> Result<Plan, FrontendError> {
    let text = format!(
        "evaluator = {{ loss = \"mse\", optimizer = \"sgd\", epochs = 1 }}\n[[model]]\n\
         name = \"m\"\n{block}\n"
    );
    let source = Source::new("sweep.toml", text);
    let sweep = Sweep::parse(source, base).unwrap_or_else(|error| panic!("{error}"));
    let spec = &sweep.models[0];
    lower_model(
        spec,
        &sweep.source,
        base,
        &ops(),
        &LayerRegistry::standard(),
        inputs,
    )
}

/// A model of these layers over floats.
pub fn lower(layers: &str, dims: &[u64]) -> Plan {
    try_lower(&format!("layers = [{layers}]"), DType::F32, dims)
        .unwrap_or_else(|error| panic!("{layers}: {error}"))
}

/// What is wrong with a model of these layers over floats.
pub fn mistake(layers: &str, dims: &[u64]) -> String {
    match try_lower(&format!("layers = [{layers}]"), DType::F32, dims) {
        Ok(plan) => panic!("{layers} is no mistake:\n{}", print(&plan)),
        Err(error) => error.to_string(),
    }
}

/// The training graph.
pub fn graph(plan: &Plan) -> &Graph {
    plan.graph(TRAIN)
        .expect("a lowered model has a training graph")
}

/// The type of the result.
pub fn output(plan: &Plan) -> &TensorType {
    let graph = graph(plan);
    let key = OutputKey::Result(syncarp_ir::Model::new(0), "output".into());
    graph.ty(graph.output(&key).expect("a result"))
}

/// All states, each as `path: type kind` and what it is drawn from.
pub fn states(plan: &Plan) -> Vec<String> {
    let shown = plan.models[0].states.iter().map(|(path, state)| {
        let entry = plan.state(*state);
        let initial = match &entry.initial {
            Initial::Init(distribution, stream) => {
                assert_eq!(
                    stream.path, *path,
                    "a state is drawn from the stream of its path"
                );
                assert_eq!((stream.seed, stream.occurrence), (None, 0));
                format!("{distribution:?}")
            }
            Initial::Content(hash) => format!("content {}", hash.0),
        };
        format!("{path}: {} {} {initial}", entry.ty, entry.kind.name())
    });
    shown.collect()
}

/// The names of a graph's ops in order, sources left out.
pub fn op_names(plan: &Plan) -> Vec<&'static str> {
    let graph = graph(plan);
    let names = graph.nodes().map(|node| graph.op_name(node));
    names
        .filter(|name| !["input", "state", "constant"].contains(name))
        .collect()
}
