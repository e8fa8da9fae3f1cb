//! Workloads for the benches.

mod blocks;
pub mod family;
pub mod measure;

pub use blocks::blocks;

use std::sync::Arc;

use syncarp_evaluator::{Evaluator, EvaluatorRegistry, OptionValue};
use syncarp_ir::core_ops::INPUT;
use syncarp_ir::{
    Attrs, DType, Dim, GraphBuilder, Model, ModelEntry, OpRegistry, OutputKey, Plan, Role, TRAIN,
};
use syncarp_logical::Submission;

/// An evaluator that is not run.
pub fn evaluator() -> Arc<Evaluator> {
    let registry = EvaluatorRegistry::standard();
    let lr = ("lr".to_owned(), OptionValue::Number(0.1));
    Arc::new(Evaluator {
        loss: registry.loss("mse", &[]).expect("a built-in loss"),
        metrics: Vec::new(),
        optimizer: registry
            .optimizer("sgd", &[lr])
            .expect("a built-in optimizer"),
        schedule: registry
            .schedule("constant", &[])
            .expect("a built-in schedule"),
        clip_norm: None,
        epochs: 1,
        seed: 0,
    })
}

/// A chain of so many nodes over one input, as a submission.
pub fn chain(ops: &Arc<OpRegistry>, name: &str, nodes: usize) -> Submission {
    let model = Model::new(0);
    let mut b = GraphBuilder::new(ops.clone());
    let attrs = Attrs::new()
        .with("model", model)
        .with("name", "x")
        .with("dtype", DType::F32);
    let attrs = attrs.with("dims", vec![Dim::symbol("n"), Dim::Known(64)]);
    b.set_origin(model, "x", Role::Forward);
    let mut value = b.emit1(INPUT, &[], attrs).expect("an input types");
    for i in 1..nodes {
        b.set_origin(model, &format!("layer{i}"), Role::Forward);
        let op = ["relu", "tanh", "sigmoid"][i % 3];
        value = b.emit1(op, &[value], Attrs::new()).expect("a chain types");
    }
    b.output(OutputKey::Result(model, "y".into()), value);
    let mut plan = Plan::default();
    plan.models.push(ModelEntry {
        name: name.into(),
        data: None,
        states: Vec::new(),
    });
    plan.set_graph(TRAIN, b.finish());
    let data = "stream".into();
    Submission {
        name: name.into(),
        plan: Arc::new(plan),
        evaluator: evaluator(),
        data,
    }
}
