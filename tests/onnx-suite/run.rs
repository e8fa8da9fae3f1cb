//! Running one case.

use std::collections::BTreeMap;
use std::sync::Arc;

use syncarp_engine::kernel::KernelRegistry;
use syncarp_engine::{Tensor, evaluate, kernels};
use syncarp_ir::core_ops::{CUSTOM, INPUT, STATE, STEP_INPUT};
use syncarp_ir::{DType, OpRegistry, Plan, TRAIN, TensorData, TensorType};
use syncarp_onnx::{Given, OnnxFile, read_tensor};
use syncarp_pass::{Context, PassRegistry};

use super::cases::Case;

/// All that cases are run with.
pub struct Bench {
    ops: Arc<OpRegistry>,
    kernels: KernelRegistry,
    passes: PassRegistry,
}

type Typed = (TensorType, TensorData);

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

    /// Runs a case on each of its sets of data.
    pub fn run(&self, case: &Case) -> Result<(), String> {
        let model = &case.files["model.onnx"];
        let file = OnnxFile::read("model.onnx", model.clone().into()).map_err(text)?;
        let names = file.inputs();
        let (rtol, atol) = tolerance(&case.files["tolerance.json"]);
        for set in 0.. {
            let of = |side: &str, at: usize| {
                case.files
                    .get(&format!("test_data_set_{set}/{side}_{at}.pb"))
            };
            if of("output", 0).is_none() {
                return match set {
                    0 => Err("the case has no outputs".to_owned()),
                    _ => Ok(()),
                };
            }
            let mut inputs = BTreeMap::new();
            for (at, name) in names.iter().enumerate() {
                if let Some(bytes) = of("input", at) {
                    let tensor = read_tensor(bytes.clone().into()).map_err(text)?;
                    inputs.insert(name.clone(), tensor);
                }
            }
            let plan = self.import(&file, &inputs)?;
            let results = self.results(&plan, &inputs)?;
            for (at, (dtype, result)) in results.iter().enumerate() {
                let Some(bytes) = of("output", at) else {
                    continue;
                };
                let expected = read_tensor(bytes.clone().into()).map_err(text)?;
                let same = compare(*dtype, result, &expected, rtol, atol);
                same.map_err(|difference| format!("output {at}: {difference}"))?;
            }
        }
        Ok(())
    }

    /// Imports a model as it stands; where shapes depend on values of inputs, with those, and where
    /// they depend on shapes that the file does not say, with those.
    fn import(&self, file: &OnnxFile, inputs: &BTreeMap<String, Typed>) -> Result<Plan, String> {
        let mut given = Given::default();
        let mut last = String::new();
        for _ in 0..5 {
            let error = match file.import(&self.ops, &given) {
                Ok(imported) => return Ok(imported.plan),
                Err(error) => error,
            };
            let message = error.to_string();
            let before = given.values.len();
            for name in error.wanted() {
                if let Some(value) = inputs.get(name) {
                    given.values.insert(name.to_owned(), value.clone());
                }
            }
            if given.values.len() == before {
                if !given.types.is_empty() {
                    return Err(message);
                }
                let types = inputs
                    .iter()
                    .map(|(name, (ty, _))| (name.clone(), ty.clone()));
                given.types = types.collect();
            }
            last = message;
        }
        Err(last)
    }

    fn results(
        &self,
        plan: &Plan,
        inputs: &BTreeMap<String, Typed>,
    ) -> Result<Vec<(Option<DType>, Tensor)>, String> {
        let mut plan = plan.clone();
        let has = |op: &str| op == INPUT || op == STATE || self.kernels.has(op);
        let mut cx = Context::new(&[], &has);
        for (_, pass) in self.passes.resolve("decompose").unwrap() {
            let _changed = pass.run(&mut plan, &mut cx).map_err(text)?;
        }
        let graph = plan.graph(TRAIN).unwrap();
        assert!(graph.nodes().all(|node| graph.op_name(node) != CUSTOM));
        let tensor = |(ty, data): &Typed| Tensor {
            dims: ty.numbers().unwrap().to_vec(),
            data: data.clone(),
        };
        let mut tensors: BTreeMap<String, Tensor> = inputs
            .iter()
            .map(|(name, input)| (name.clone(), tensor(input)))
            .collect();
        tensors.insert(STEP_INPUT.to_owned(), Tensor::int(&[], vec![0]));
        let types = graph.outputs().iter().map(|o| graph.ty(o.value).dtype);
        let types: Vec<Option<DType>> = types.collect();
        let all = graph.types().iter();
        let double = all.clone().any(|ty| ty.dtype == Some(DType::F64));
        let results = match double {
            true => evaluate::<f64>(&plan, TRAIN, &tensors, &|_| None, &self.kernels),
            false => evaluate::<f32>(&plan, TRAIN, &tensors, &|_| None, &self.kernels),
        };
        let results = results.map_err(text)?.into_iter().map(|(_, tensor)| tensor);
        Ok(types.into_iter().zip(results).collect())
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn tolerance(json: &[u8]) -> (f64, f64) {
    let json: serde_json::Value = serde_json::from_slice(json).unwrap();
    (
        json["rtol"].as_f64().unwrap(),
        json["atol"].as_f64().unwrap(),
    )
}

/// The difference of neighbouring numbers of a narrow float, relative to them: what computing in
/// single precision and rounding once may be off from rounding each step.
fn unit(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 2f64.powi(-10),
        DType::BF16 => 2f64.powi(-7),
        _ => 0.0,
    }
}

fn compare(
    dtype: Option<DType>,
    given: &Tensor,
    expected: &Typed,
    rtol: f64,
    atol: f64,
) -> Result<(), String> {
    let (ty, data) = expected;
    if dtype != ty.dtype {
        return Err(format!("is of {dtype:?}, expected {ty}"));
    }
    let dims = ty.numbers().unwrap();
    if given.dims != dims[..] {
        return Err(format!("has dims {:?}, expected {ty}", given.dims));
    }
    let rtol = rtol.max(unit(ty.dtype.unwrap()));
    match (&given.data, data) {
        (TensorData::Int(given), TensorData::Int(expected)) => {
            let differ = given.iter().zip(expected).position(|(a, b)| a != b);
            match differ {
                None => Ok(()),
                Some(at) => {
                    let (a, b) = (given[at], expected[at]);
                    Err(format!("element {at} is {a}, expected {b}"))
                }
            }
        }
        (TensorData::Float(given), TensorData::Float(expected)) => {
            let close = |a: f64, b: f64| {
                a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= atol + rtol * b.abs()
            };
            let differ = given.iter().zip(expected).position(|(a, b)| !close(*a, *b));
            match differ {
                None => Ok(()),
                Some(at) => {
                    let (a, b) = (given[at], expected[at]);
                    Err(format!("element {at} is {a}, expected {b}"))
                }
            }
        }
        _ => Err("is of another kind of numbers".to_owned()),
    }
}
