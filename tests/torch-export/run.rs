//! Running imported models, and comparing what comes out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use safetensors::SafeTensors;
use syncarp_engine::kernel::{KernelRegistry, Precision};
use syncarp_engine::{Tensor, evaluate, kernels};
use syncarp_ir::core_ops::{CUSTOM, INPUT, STATE, STEP_INPUT};
use syncarp_ir::{
    Attr, Attrs, DType, Graph, Model, OpRegistry, OutputKey, Plan, Rewriter, Role, TRAIN,
    TensorData, Value,
};
use syncarp_pass::{Context, PassRegistry};

/// Tensors by name.
pub type Tensors = BTreeMap<String, Tensor>;

/// All that models are run with.
pub struct Bench {
    pub ops: Arc<OpRegistry>,
    kernels: KernelRegistry,
    passes: PassRegistry,
}

impl Bench {
    pub fn new() -> Self {
        let mut passes = PassRegistry::new();
        syncarp_pass_decompose::register(&mut passes).unwrap();
        Bench {
            ops: Arc::new(syncarp_ops::standard()),
            kernels: kernels::standard().unwrap(),
            passes,
        }
    }

    /// Imports a file, and looks that nothing in it is opaque.
    pub fn import(&self, path: &Path) -> Result<Plan, String> {
        let plan = syncarp_frontend::export::load(path, &self.ops);
        let mut plan = plan.map_err(|error| error.to_string())?;
        let graph = train(&plan);
        assert!(graph.nodes().all(|node| graph.op_name(node) != CUSTOM));
        let graph = seeded(graph);
        plan.set_graph(TRAIN, graph);
        Ok(plan)
    }

    /// What a plan's graph gives, by name: results as they are called, next states as
    /// `update/NAME`.
    pub fn evaluate<T: Precision>(&self, plan: &Plan, inputs: &Tensors) -> Result<Tensors, String> {
        let mut plan = plan.clone();
        self.decompose(&mut plan)?;
        let mut inputs = inputs.clone();
        inputs.insert(STEP_INPUT.to_owned(), Tensor::int(&[], vec![0]));
        let results = evaluate::<T>(&plan, TRAIN, &inputs, &|_| None, &self.kernels);
        let results = results.map_err(|error| error.to_string())?;
        let name = |key: OutputKey| match key {
            OutputKey::Result(_, name) => name.to_string(),
            OutputKey::Loss(_) => "loss".to_owned(),
            OutputKey::Update(state) => {
                let states = &plan.models[0].states;
                let (path, _) = states.iter().find(|(_, s)| *s == state).unwrap();
                format!("update/{path}")
            }
            OutputKey::Metric(..) => unreachable!("nothing is judged here"),
        };
        Ok(results
            .into_iter()
            .map(|(key, tensor)| (name(key), tensor))
            .collect())
    }

    fn decompose(&self, plan: &mut Plan) -> Result<(), String> {
        let has = |op: &str| op == INPUT || op == STATE || self.kernels.has(op);
        let mut cx = Context::new(&[], &has);
        for (_, pass) in self.passes.resolve("decompose").unwrap() {
            let _changed = pass.run(plan, &mut cx).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// The same plan with the mean cross entropy of its first result against `labels`, and as results
    /// `gradient/NAME` of every trainable state that the loss depends on.
    pub fn step(&self, plan: &Plan, labels: &Tensor) -> Result<Plan, String> {
        let graph = train(plan);
        let mut rw = Rewriter::new(graph);
        for node in graph.nodes() {
            rw.copy(node);
        }
        rw.copy_outputs();
        let logits = rw.get(first_result(graph));
        let b = rw.builder();
        let model = Model::new(0);
        b.set_origin(model, "loss", Role::Loss);
        let rank = b.ty(logits).rank().unwrap();
        let attrs = Attrs::new().with("end", rank as i64 - 2);
        let rows = match rank {
            2 => logits,
            _ => b.emit1("flatten", &[logits], attrs).unwrap(),
        };
        let mut dims = b.ty(logits).dims().unwrap().to_vec();
        dims.pop();
        let attrs = Attrs::new().with("model", model).with("name", "labels");
        let attrs = attrs.with("dtype", DType::I64).with("dims", dims);
        let target = b.emit1(INPUT, &[], attrs).unwrap();
        let target = match labels.dims.len() {
            1 => target,
            _ => b.emit1("flatten", &[target], Attrs::new()).unwrap(),
        };
        let loss = b.emit("cross_entropy", &[rows, target], Attrs::new());
        let loss = loss.map_err(|error| error.to_string())?[0];
        rw.output(OutputKey::Loss(model), loss);
        let mut plan = Plan {
            graphs: vec![(TRAIN.into(), rw.finish())],
            ..plan.clone()
        };
        self.decompose(&mut plan)?;
        let graph = train(&plan);
        let mut rw = Rewriter::new(graph);
        for node in graph.nodes() {
            rw.copy(node);
        }
        rw.copy_outputs();
        let live = graph.live();
        let gradients = syncarp_pass_differentiate::backward(&mut rw, &live, &plan);
        for (state, gradient) in gradients.map_err(|error| error.to_string())? {
            let states = &plan.models[0].states;
            let (path, _) = states.iter().find(|(_, s)| *s == state).unwrap();
            let name = format!("gradient/{path}");
            rw.output(OutputKey::Result(model, name.into()), gradient);
        }
        Ok(Plan {
            graphs: vec![(TRAIN.into(), rw.finish())],
            ..plan.clone()
        })
    }
}

/// The graph with a seed for its random streams, as an evaluator would give one.
fn seeded(graph: &Graph) -> Graph {
    let mut rw = Rewriter::new(graph);
    for node in graph.nodes() {
        let attrs = graph.attrs(node).map(|attr| match attr {
            Attr::Stream(stream) => stream.bind(7).into(),
            other => other.clone(),
        });
        rw.copy_with(node, attrs).unwrap();
    }
    rw.copy_outputs();
    rw.finish()
}

pub fn train(plan: &Plan) -> &Graph {
    plan.graph(TRAIN).unwrap()
}

fn first_result(graph: &Graph) -> Value {
    let is_result = |key: &OutputKey| matches!(key, OutputKey::Result(..));
    graph
        .outputs()
        .iter()
        .find(|output| is_result(&output.key))
        .unwrap()
        .value
}

/// The tensors of a safetensors file.
pub fn tensors(path: &Path) -> Tensors {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let read = |view: safetensors::tensor::TensorView<'_>| {
        let name = format!("{:?}", view.dtype()).to_lowercase();
        let dtype = DType::from_name(&name).unwrap();
        let data = syncarp_weights::decode(dtype, view.data()).unwrap();
        Tensor {
            dims: view.shape().to_vec(),
            data,
        }
    };
    file.iter()
        .map(|(name, view)| (name.to_owned(), read(view)))
        .collect()
}

/// A tensor's elements.
pub fn floats(tensor: &Tensor) -> Vec<f64> {
    match &tensor.data {
        TensorData::Float(items) => items.clone(),
        TensorData::Int(items) => items.iter().map(|item| *item as f64).collect(),
    }
}

/// The largest magnitude that is a number.
pub fn largest(tensor: &Tensor) -> f64 {
    let finite = floats(tensor).into_iter().filter(|x| x.is_finite());
    finite.fold(0.0, |most, x| most.max(x.abs()))
}

/// The greatest difference of two tensors, relative to the greatest element of the expected one, or
/// to `floor` where that is smaller.
pub fn error(given: &Tensor, expected: &Tensor, floor: f64) -> f64 {
    assert_eq!(given.dims, expected.dims);
    let scale = largest(expected).max(floor).max(f64::MIN_POSITIVE);
    let pairs = floats(given).into_iter().zip(floats(expected));
    let differences = pairs.map(|(a, b)| match a == b || (a.is_nan() && b.is_nan()) {
        true => 0.0,
        false => match (a - b).abs() / scale {
            x if x.is_nan() => f64::INFINITY,
            x => x,
        },
    });
    differences.fold(0.0, f64::max)
}

/// Ops that the registry does not have yet: a program that lacks nothing but such is passed over.
const AWAITED: &[&str] = &[
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "max_pool1d",
    "max_pool3d",
    "max_pool2d_indices",
    "max_pool3d_indices",
    "avg_pool1d",
    "avg_pool3d",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "resize",
    "grid_sample",
    "im2col",
    "col2im",
    "lstm",
    "gru",
    "rnn",
];

/// Whether all that is wrong with a program is that such ops are missing.
pub fn waits(message: &str) -> bool {
    let mut lines = message.lines().skip(1);
    let awaited = |line: &str| {
        let op = line
            .split_once("no op is called `")
            .and_then(|(_, rest)| rest.split_once('`'));
        op.is_some_and(|(op, _)| AWAITED.contains(&op)) || line.contains("pad: no attribute `mode`")
    };
    message.contains("not supported") && lines.all(awaited)
}

/// A folder of recorded files.
pub fn fixtures(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}
