//! Random plans: families of models over common inputs and frozen states, with dead ends,
//! residuals and repeated subgraphs.

use proptest::prelude::*;
use syncarp_ir::core_ops::{INPUT, STATE};
use syncarp_ir::{
    Attrs, ContentHash, DType, Data, Device, Dim, Distribution, GraphBuilder, Initial, Model,
    ModelEntry, OutputKey, Plan, Role, State, StateEntry, StateKind, StreamKey, TensorType, Value,
};

use crate::ops;

/// One step in making a model: an op and which earlier values it takes.
#[derive(Clone, Debug)]
pub struct Step {
    op: usize,
    a: usize,
    b: usize,
}

/// A family: each model a list of steps, and how many of the first steps all have in common.
#[derive(Clone, Debug)]
pub struct Family {
    pub models: Vec<Vec<Step>>,
    pub prefix: Vec<Step>,
    pub streams: Vec<usize>,
    pub names: Vec<String>,
}

const UNARY: &[&str] = &["relu", "tanh", "sigmoid", "neg", "exp"];
const BINARY: &[&str] = &["add", "mul", "sub", "maximum"];

fn steps(max: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = (
        0..UNARY.len() + BINARY.len(),
        any::<usize>(),
        any::<usize>(),
    );
    prop::collection::vec(step.prop_map(|(op, a, b)| Step { op, a, b }), 0..max)
}

pub fn families() -> impl Strategy<Value = Family> {
    (1..5usize).prop_flat_map(|count| {
        (
            prop::collection::vec(steps(12), count),
            steps(8),
            prop::collection::vec(0..2usize, count),
            prop::collection::vec(any::<String>(), count),
        )
            .prop_map(|(models, prefix, streams, names)| Family {
                models,
                prefix,
                streams,
                names,
            })
    })
}

impl Family {
    /// The family as a fused plan with a graph "train": every model computes the common prefix on
    /// its input and a frozen state, then its own steps on its own parameter.
    pub fn plan(&self) -> Plan {
        let mut plan = Plan::default();
        let ty = TensorType::fixed(DType::F32, &[3]);
        plan.states.push(StateEntry {
            ty: ty.clone(),
            kind: StateKind::Frozen,
            owner: None,
            initial: Initial::Content(ContentHash("c0ffee".into())),
        });
        let mut b = GraphBuilder::new(ops());
        for (index, steps) in self.models.iter().enumerate() {
            let model = Model::new(index);
            plan.models.push(ModelEntry {
                name: self.names[index].as_str().into(),
                data: Some(Data::new(self.streams[index])),
                states: vec![("frozen".into(), State::new(0))],
            });
            let path = format!("w{index}");
            let own = plan.add_state(
                model,
                &path,
                StateEntry {
                    ty: ty.clone(),
                    kind: StateKind::Trainable,
                    owner: Some(model),
                    initial: Initial::Init(
                        Distribution::Uniform(-0.5, 0.1 + index as f64),
                        StreamKey {
                            seed: Some(index as u64),
                            path: "w".into(),
                            occurrence: 0,
                        },
                    ),
                },
            );
            b.set_origin(model, "in", Role::Forward);
            let attrs = Attrs::new().with("model", model).with("name", "x");
            let attrs = attrs.with("dtype", DType::F32);
            let attrs = attrs.with("dims", vec![Dim::symbol("n"), Dim::Known(3)]);
            let x = b.emit1(INPUT, &[], attrs).unwrap();
            let frozen = state(&mut b, State::new(0), &ty);
            let mut values = vec![x, frozen];
            run(&mut b, model, "prefix", &self.prefix, &mut values);
            values.push(state(&mut b, own, &ty));
            run(&mut b, model, "own", steps, &mut values);
            let last = *values.last().unwrap();
            b.output(OutputKey::Result(model, "y".into()), last);
        }
        plan.set_graph("train", b.finish());
        plan
    }
}

fn state(b: &mut GraphBuilder, state: State, ty: &TensorType) -> Value {
    let op = b.graph().registry().find(STATE).unwrap();
    let attrs = Attrs::new().with("of", state);
    b.emit_id(op, &[], attrs, Some(std::slice::from_ref(ty)))
        .unwrap()[0]
}

fn run(b: &mut GraphBuilder, model: Model, path: &str, steps: &[Step], values: &mut Vec<Value>) {
    for (i, step) in steps.iter().enumerate() {
        b.set_origin(model, &format!("{path}.{i}"), Role::Forward);
        let a = values[step.a % values.len()];
        let value = if step.op < UNARY.len() {
            b.emit1(UNARY[step.op], &[a], Attrs::new())
        } else {
            let other = values[step.b % values.len()];
            b.emit1(BINARY[step.op - UNARY.len()], &[a, other], Attrs::new())
        };
        values.push(value.unwrap());
    }
}

/// The same plan with inputs in the host's memory and every other node on the device of its first
/// model.
pub fn on_devices(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    for (_, graph) in &mut plan.graphs {
        let mut rw = syncarp_ir::Rewriter::new(graph);
        for node in graph.nodes() {
            let first = graph.models(node).next().unwrap();
            let value = rw.copy(node)[0];
            let node = rw.builder().graph().def(value);
            let input = rw.builder().graph().op_name(node) == INPUT;
            let device = if input {
                Device::HOST
            } else {
                Device::new(first.index() % 2)
            };
            rw.set_device(node, Some(device));
        }
        rw.copy_outputs();
        *graph = rw.finish();
    }
    plan
}
