//! Reads the recorded cases, and compares with them. Whatever checks ops against PyTorch includes
//! this file as a module.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value as Json;
use syncarp_engine::Tensor;
use syncarp_ir::TensorData;

/// Why a case fails.
pub type Failure = Box<dyn std::error::Error>;
/// Tensors by name.
pub type Tensors = BTreeMap<String, Tensor>;

/// The families of ops, each a file.
pub const FAMILIES: &[&str] = &[
    "activation",
    "convolve",
    "elementwise",
    "indexing",
    "losses",
    "normalize",
    "optimize",
    "pool",
    "product",
    "random",
    "reduce",
    "shape",
];

/// How far results in f32 may lie from PyTorch's in f64, where a case does not say.
const SINGLE: f64 = 1e-5;

/// A recorded case.
pub struct Case {
    pub name: String,
    pub op: String,
    pub text: String,
    /// Whether finite differences tell nothing.
    pub kinks: bool,
    pub single: f64,
    pub inputs: Tensors,
    pub outputs: Tensors,
    pub differentiate: Vec<String>,
    pub cotangents: Tensors,
    pub gradients: Tensors,
}

impl Case {
    fn read(json: &Json) -> Option<Case> {
        let inputs = tensors(&json["inputs"])?;
        let outputs = tensors(&json["outputs"])?;
        let lines = json["graph"].as_array()?.iter().map(Json::as_str);
        Some(Case {
            name: json["name"].as_str()?.to_owned(),
            op: json["op"].as_str()?.to_owned(),
            text: lines.collect::<Option<Vec<_>>>()?.join("\n"),
            kinks: json["kinks"].as_bool().unwrap_or(false),
            single: json["f32"].as_f64().unwrap_or(SINGLE),
            differentiate: names(&json["differentiate"])?,
            cotangents: like(&json["cotangents"], &outputs)?,
            gradients: like(&json["gradients"], &inputs)?,
            inputs,
            outputs,
        })
    }
}

fn names(json: &Json) -> Option<Vec<String>> {
    json.as_array()?
        .iter()
        .map(|name| Some(name.as_str()?.to_owned()))
        .collect()
}

fn numbers(json: &Json) -> Option<Vec<f64>> {
    // JSON has no word for what is no finite number, so those are strings.
    let number = |x: &Json| x.as_f64().or_else(|| x.as_str()?.parse().ok());
    json.as_array()?.iter().map(number).collect()
}

fn tensors(json: &Json) -> Option<Tensors> {
    let tensor = |(name, json): (&String, &Json)| {
        let dims = json["dims"]
            .as_array()?
            .iter()
            .map(|d| Some(d.as_u64()? as usize));
        let dims: Vec<usize> = dims.collect::<Option<_>>()?;
        let values = numbers(&json["values"])?;
        let tensor = match json["dtype"].as_str() {
            Some(dtype) if !dtype.starts_with('f') => {
                Tensor::int(&dims, values.iter().map(|x| *x as i64).collect())
            }
            _ => Tensor::float(&dims, values),
        };
        Some((name.clone(), tensor))
    };
    json.as_object()?.iter().map(tensor).collect()
}

/// Lists of numbers that have the dims of tensors of the same names.
fn like(json: &Json, tensors: &Tensors) -> Option<Tensors> {
    let tensor = |(name, json): (&String, &Json)| {
        let dims = &tensors.get(name)?.dims;
        Some((name.clone(), Tensor::float(dims, numbers(json)?)))
    };
    json.as_object()?.iter().map(tensor).collect()
}

/// The cases of a family.
pub fn cases(family: &str) -> Vec<Case> {
    // Every crate of the workspace lies two folders below its root.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/ops");
    let path = root.join(family).with_extension("json");
    let text = std::fs::read_to_string(&path);
    let text = text.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let json: Json = serde_json::from_str(&text).expect("the recorded cases are JSON");
    let cases = json["cases"].as_array().expect("a family has cases");
    let read = |case: &Json| Case::read(case).unwrap_or_else(|| panic!("no case: {case}"));
    cases.iter().map(read).collect()
}

/// The elements as floats, whatever they are.
pub fn floats(tensor: &Tensor) -> Vec<f64> {
    match &tensor.data {
        TensorData::Float(values) => values.clone(),
        TensorData::Int(values) => values.iter().map(|x| *x as f64).collect(),
    }
}

/// The largest magnitude among finite numbers.
pub fn largest(values: &[f64]) -> f64 {
    values
        .iter()
        .filter(|x| x.is_finite())
        .fold(0.0, |most, x| most.max(x.abs()))
}

/// Compares a tensor with the recorded one, relative to the largest recorded element.
pub fn close(what: &str, got: &Tensor, want: &Tensor, tolerance: f64) -> Result<(), Failure> {
    if got.dims != want.dims {
        return Err(format!("{what} has dims {:?}, not {:?}", got.dims, want.dims).into());
    }
    let (got, want) = (floats(got), floats(want));
    // What is zero but for rounding is compared with rounding errors of numbers near one.
    let bound = tolerance * largest(&want).max(1e-3);
    for (place, (got, want)) in got.iter().zip(&want).enumerate() {
        let same = got == want || (got.is_nan() && want.is_nan()) || (got - want).abs() <= bound;
        if !same {
            return Err(format!("{what}[{place}] is {got:e}, not {want:e}").into());
        }
    }
    Ok(())
}
