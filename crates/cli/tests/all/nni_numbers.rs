//! Models in NNI's graph format compute what they should, against sums done by hand.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::SafeTensors;
use syncarp_diag::Source;
use syncarp_engine::{Results, Tensor, evaluate};
use syncarp_frontend::LayerRegistry;
use syncarp_frontend::nni::ModelFile;
use syncarp_ir::{DType, OutputKey, TRAIN, TensorData};
use syncarp_logical::bind_inputs;
use syncarp_standard::Registries;

use crate::common::Place;
use crate::files::npz;

/// What a model gives on these inputs, its states as given by path.
fn compute(
    text: &str,
    inputs: &[(&str, &[usize], &[f64])],
    states: &[(&str, &[f64])],
) -> BTreeMap<String, Vec<f64>> {
    let registries = Registries::standard().unwrap();
    let file = ModelFile::parse(Source::new("m.json", text)).unwrap();
    let imported = file.lower("m", &registries.ops, &LayerRegistry::standard(), &[]);
    let mut plan = imported.unwrap().plan;
    let dims = |dims: &[usize]| -> Vec<u64> { dims[1..].iter().map(|d| *d as u64).collect() };
    let columns: Vec<(&str, Vec<u64>)> = inputs
        .iter()
        .map(|(name, shape, _)| (*name, dims(shape)))
        .collect();
    let columns: Vec<(&str, DType, &[u64])> = columns
        .iter()
        .map(|(name, dims)| (*name, DType::F32, &dims[..]))
        .collect();
    bind_inputs(&mut plan, &columns).unwrap();
    let tensor = |(name, dims, data): &(&str, &[usize], &[f64])| {
        ((*name).to_owned(), Tensor::float(dims, data.to_vec()))
    };
    let inputs: BTreeMap<String, Tensor> = inputs.iter().map(tensor).collect();
    let paths = plan.models[0].states.clone();
    let given = |state| {
        let (path, _) = paths.iter().find(|(_, s)| *s == state)?;
        let (_, data) = states.iter().find(|(name, _)| **name == **path)?;
        Some(TensorData::Float(data.to_vec()))
    };
    let results: Results =
        evaluate::<f64>(&plan, TRAIN, &inputs, &given, &registries.kernels).unwrap();
    let named = |(key, tensor): (OutputKey, Tensor)| {
        let name = match key {
            OutputKey::Result(_, name) => name.to_string(),
            OutputKey::Update(state) => {
                let (path, _) = paths.iter().find(|(_, s)| *s == state).unwrap();
                path.to_string()
            }
            other => panic!("{other:?}"),
        };
        let TensorData::Float(data) = tensor.data else {
            panic!("floats")
        };
        (name, data)
    };
    results.into_iter().map(named).collect()
}

fn golden(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/nni/ir");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// Rows of `x` [n, 3] times `w` [4, 3], plus `b`.
fn linear(x: &[f64], w: &[f64], b: &[f64]) -> Vec<f64> {
    let row = |x: &[f64]| -> Vec<f64> {
        let product = |w: &[f64]| -> f64 { w.iter().zip(x).map(|(w, x)| w * x).sum() };
        w.chunks(3).zip(b).map(|(w, b)| product(w) + b).collect()
    };
    x.chunks(3).flat_map(row).collect()
}

fn close(a: &[f64], b: &[f64]) {
    assert_eq!(a.len(), b.len());
    let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-9;
    assert!(a.iter().zip(b).all(near), "{a:?}\n{b:?}");
}

const WA: [f64; 12] = [
    1.0, 2.0, -1.0, 0.5, 0.0, 3.0, -2.0, 1.0, 1.0, 0.25, -0.75, 4.0,
];
const WB: [f64; 12] = [
    -1.0, 0.0, 2.0, 5.0, 1.5, -3.0, 2.0, 2.0, 0.0, 1.0, 1.0, -1.0,
];
const X: [f64; 6] = [1.0, -2.0, 3.0, 0.5, 4.0, -1.0];
const Y: [f64; 6] = [2.0, 0.0, -1.0, 7.0, 1.0, 0.25];

#[test]
fn each_of_two_inputs_goes_where_it_belongs() {
    let (ba, bb) = ([1.0, 2.0, 3.0, 4.0], [-0.5, 0.5, 0.25, 0.0]);
    let given = compute(
        &golden("two_inputs.json"),
        &[("x__1", &[2, 3], &X), ("y__1", &[2, 3], &Y)],
        &[
            ("a.weight", &WA),
            ("a.bias", &ba),
            ("b.weight", &WB),
            ("b.bias", &bb),
        ],
    );
    let (a, b) = (linear(&X, &WA, &ba), linear(&Y, &WB, &bb));
    let sum: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
    close(&given["output"], &sum);
}

#[test]
fn both_of_two_results_come_out() {
    let bias = [1.0, 2.0, 3.0, 4.0];
    let given = compute(
        &golden("two_outputs_tuple.json"),
        &[("x__1", &[2, 3], &X)],
        &[("a.weight", &WA), ("a.bias", &bias)],
    );
    let a = linear(&X, &WA, &bias);
    close(&given["output.0"], &a);
    let doubled: Vec<f64> = a.iter().map(|a| 2.0 * a).collect();
    close(&given["output.1"], &doubled);
}

/// A model that applies one module twice, one after the other.
fn twice(module: &str) -> String {
    format!(
        r#"{{"_model": {{"inputs": ["x"], "nodes": {{"a": {{"operation": {module}}},
"b": {{"operation": {{"type": "shared", "parameters": {{"reference": "a"}}}}}}}},
"edges": [{{"head": ["_inputs", 0], "tail": ["a", null]}}, {{"head": ["a", null], "tail": ["b", null]}},
{{"head": ["b", null], "tail": ["_outputs", null]}}]}}}}"#
    )
}

#[test]
fn a_shared_batch_norm_updates_its_statistics_twice() {
    let module = r#"{"type": "__torch__.torch.nn.BatchNorm1d", "parameters": {"num_features": 1, "eps": 0}}"#;
    let x = [1.0, 3.0, 5.0, 11.0];
    let given = compute(&twice(module), &[("x", &[4, 1], &x)], &[]);
    // The mean is 5 and the variance 14, which running statistics divide by n - 1.
    let normal: Vec<f64> = x.iter().map(|x| (x - 5.0) / 14f64.sqrt()).collect();
    close(&given["output"], &normal);
    close(&given["a.running_mean"], &[0.9 * (0.1 * 5.0)]);
    let once = 0.9 + 0.1 * 14.0 * 4.0 / 3.0;
    close(&given["a.running_var"], &[0.9 * once + 0.1 * 4.0 / 3.0]);
}

/// The gradient of a weight that is used twice is the sum over both uses.
#[test]
fn a_shared_linear_layer_is_trained_as_one() {
    let place = Place::new();
    let module = r#"{"type": "__torch__.torch.nn.Linear",
        "parameters": {"in_features": 1, "out_features": 1, "bias": false, "init": "ones"}}"#;
    place.write("twice.json", &twice(module));
    place.write("one.csv", "2,1\n");
    place.write(
        "sweep.toml",
        r#"
name = "tied"
data = { source = "one.csv", target-kind = "value", batch-size = 1 }
evaluator = { loss = "mse", optimizer = { name = "sgd", lr = 0.01 }, epochs = 1 }

[[model]]
name = "twice"
file = "twice.json"
"#,
    );
    place.run(&["run", "sweep.toml"]).code(0);
    let bytes = std::fs::read(place.path("runs/tied/models/twice/last.safetensors")).unwrap();
    let last = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(last.names(), ["a.weight"]);
    let weight = last.tensor("a.weight").unwrap();
    let weight = f32::from_le_bytes(weight.data().try_into().unwrap());
    // From a weight of 1, x = 2 gives 2 for 1: the slope is 2 (w w x - 1) (2 w x) = 8.
    assert!((weight - 0.92).abs() < 1e-6, "{weight}");
}

/// Arrays tell `eval` the shapes that a model needs to be read at all.
#[test]
fn an_evaluation_takes_shapes_from_its_arrays() {
    let place = Place::new();
    let constant = |value: i64| {
        format!(
            r#"{{"operation": {{"type": "prim::Constant", "parameters": {{"value": {value}}}}}}}"#
        )
    };
    let op = |kind: &str| format!(r#"{{"operation": {{"type": "{kind}"}}}}"#);
    let text = format!(
        r#"{{"_model": {{"inputs": ["image"], "nodes": {{"rest": {}, "six": {}, "list": {}, "view": {}}}, "edges": [
            {{"head": ["rest", null], "tail": ["list", 0]}}, {{"head": ["six", null], "tail": ["list", 1]}},
            {{"head": ["_inputs", 0], "tail": ["view", 0]}}, {{"head": ["list", null], "tail": ["view", 1]}},
            {{"head": ["view", null], "tail": ["_outputs", 0]}}]}}}}"#,
        constant(-1),
        constant(6),
        op("prim::ListConstruct"),
        op("aten::view"),
    );
    place.write("view.json", &text);
    let unbound = place.run(&["import", "view.json"]).code(2);
    assert!(
        unbound.err.contains("the shape has to be known"),
        "{}",
        unbound.err
    );
    let shaped = ["import", "view.json", "--input-shape", "image=2,3"];
    assert!(place.run(&shaped).code(0).out.contains("f32[n, 6]"));
    let values = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0];
    std::fs::write(place.path("in.npz"), npz("input_0", 1, &values)).unwrap();
    let ran = place
        .run(&["eval", "view.json", "--input", "in.npz"])
        .code(0);
    assert!(
        ran.out.contains("output_0 \"output\" [2, 6]"),
        "{}",
        ran.out
    );
}
