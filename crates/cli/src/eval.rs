//! `eval`: runs a model forward, in its eval form.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use syncarp_data::{Numbers, read_arrays};
use syncarp_engine::kernel::Precision;
use syncarp_engine::{EngineError, Results, Tensor, evaluate};
use syncarp_ir::core_ops::STEP_INPUT;
use syncarp_ir::{
    DType, Dim, EVAL, Graph, OutputKey, Plan, Rewriter, STEP, TRAIN, TensorData, TensorType,
};
use syncarp_logical::bind_inputs;
use syncarp_pass::{Context, Manager};

use crate::args::EvalArgs;
use crate::inputs::data_inputs;
use crate::models::{live, read};
use crate::npz::{Elements, encode};
use crate::opt::pipeline_failure;
use crate::output::{print, write_atomically};
use crate::report::{Failure, Outcome};
use syncarp_standard::Registries;

/// Evaluates a model.
///
/// # Errors
/// Where the model or the arrays are wrong, or do not fit each other.
pub(crate) fn eval(args: &EvalArgs) -> Result<Outcome, Failure> {
    let registries = Registries::standard()?;
    let given = read_arrays(&args.input);
    let mut plan = read(&args.file, &registries, |inputs| {
        array_types(inputs, given.as_deref().unwrap_or_default())
    })?;
    let given = given.map_err(|error| Failure::usage(error.to_string()))?;
    ready(&mut plan, &registries)?;
    let inputs = assign(eval_graph(&plan)?, given, &args.input)?;
    bind(&mut plan, &inputs)?;
    let graph = eval_graph(&plan)?;
    let types: Vec<Option<DType>> = graph
        .outputs()
        .iter()
        .map(|output| graph.ty(output.value).dtype)
        .collect();
    let mut dtypes = plan
        .states
        .iter()
        .map(|entry| entry.ty.dtype)
        .chain(types.iter().copied());
    let double = dtypes.any(|dtype| dtype == Some(DType::F64));
    let results = match double {
        true => compute::<f64>(&plan, &inputs, &registries)?,
        false => compute::<f32>(&plan, &inputs, &registries)?,
    };
    match &args.output {
        Some(out) => write(&results, &types, double, out)?,
        None => print(&summary(&results))?,
    }
    Ok(Outcome::Done)
}

fn eval_graph(plan: &Plan) -> Result<&Graph, Failure> {
    plan.graph(EVAL)
        .ok_or_else(|| Failure::usage("the model has no graph to evaluate"))
}

/// Leaves of a plan what gives its results in eval form, in ops that the engine has.
fn ready(plan: &mut Plan, registries: &Registries) -> Result<(), Failure> {
    let has_kernel = |op: &str| registries.has_kernel(op);
    let mut cx = Context::new(&[], &has_kernel);
    let mut run = |plan: &mut Plan, pipeline: &str| {
        let manager = Manager::new(&registries.passes, pipeline)
            .map_err(|error| pipeline_failure(pipeline, error.into()))?;
        let ran = manager.run(plan, &mut cx, &mut ());
        ran.map(drop)
            .map_err(|error| pipeline_failure(pipeline, error))
    };
    run(plan, "to-eval")?;
    plan.take_graph(TRAIN);
    plan.take_graph(STEP);
    let graph = eval_graph(plan)?;
    // Losses and metrics need targets, which nobody gives here.
    let mut rw = Rewriter::new(graph);
    for node in graph.nodes() {
        rw.copy(node);
    }
    let results = graph
        .outputs()
        .iter()
        .filter(|o| matches!(o.key, OutputKey::Result(..)));
    let mut count = 0;
    for output in results {
        let value = rw.get(output.value);
        rw.output(output.key.clone(), value);
        count += 1;
    }
    if count == 0 {
        return Err(Failure::usage("the model has no result"));
    }
    let graph = live(&rw.finish());
    plan.set_graph(EVAL, graph);
    run(plan, "decompose,dce")
}

/// The types of inputs for which there are arrays, as whole batches.
fn array_types<'n>(
    inputs: &'n [String],
    given: &[(String, Vec<usize>, Numbers)],
) -> Vec<(&'n str, TensorType)> {
    let ty = |(place, name): (usize, &'n String)| {
        let numbered = format!("input_{place}");
        let of = |wanted: &str| given.iter().find(|(name, ..)| name == wanted);
        let (_, dims, numbers) = of(name).or_else(|| of(&numbered))?;
        let dtype = match numbers {
            Numbers::Float(_) => DType::F32,
            Numbers::Int(_) => DType::I64,
        };
        let sample = dims.get(1..)?.iter().map(|dim| Dim::Known(*dim as u64));
        let batch = std::iter::once(Dim::symbol("n"));
        Some((&**name, TensorType::new(dtype, batch.chain(sample))))
    };
    inputs.iter().enumerate().filter_map(ty).collect()
}

/// Gives each input its array: by name, or else as input_0, input_1, ... in order.
fn assign(
    graph: &Graph,
    given: Vec<(String, Vec<usize>, Numbers)>,
    path: &Path,
) -> Result<BTreeMap<String, Tensor>, Failure> {
    let mut given: BTreeMap<String, Tensor> = given
        .into_iter()
        .map(|(name, dims, numbers)| {
            let data = match numbers {
                Numbers::Float(values) => TensorData::Float(values),
                Numbers::Int(values) => TensorData::Int(values),
            };
            (name, Tensor { dims, data })
        })
        .collect();
    let names: Vec<String> = given.keys().map(|name| format!("`{name}`")).collect();
    let mut inputs = BTreeMap::new();
    for (place, (name, ty)) in data_inputs(graph).into_iter().enumerate() {
        let tensor = given
            .remove(&*name)
            .or_else(|| given.remove(&format!("input_{place}")));
        let Some(tensor) = tensor else {
            return Err(Failure::Usage {
                message: format!(
                    "{} has no array for the input `{name}`, {ty}",
                    path.display()
                ),
                help: Some(format!(
                    "name it `{name}` or `input_{place}`; there are: {}",
                    names.join(", ")
                )),
            });
        };
        inputs.insert(name.to_string(), tensor);
    }
    if let Some((name, _)) = given.first_key_value() {
        let known: Vec<String> = inputs.keys().map(|name| format!("`{name}`")).collect();
        return Err(Failure::Usage {
            message: format!("{}: the model has no input `{name}`", path.display()),
            help: Some(format!("its inputs are: {}", known.join(", "))),
        });
    }
    // In evaluation no batch comes before another.
    inputs.insert(STEP_INPUT.to_owned(), Tensor::int(&[], vec![0]));
    Ok(inputs)
}

/// Gives inputs whose types are not known those of their arrays.
fn bind(plan: &mut Plan, inputs: &BTreeMap<String, Tensor>) -> Result<(), Failure> {
    let wanted = data_inputs(eval_graph(plan)?);
    if wanted.iter().all(|(_, ty)| ty.is_complete()) {
        return Ok(());
    }
    let mut columns: Vec<(Arc<str>, DType, Vec<u64>)> = Vec::new();
    for (name, ty) in wanted {
        let tensor = &inputs[&*name];
        let dtype = match &tensor.data {
            TensorData::Float(_) => DType::F32,
            TensorData::Int(_) => DType::I64,
        };
        let sample = tensor.dims.get(1..).ok_or_else(|| {
            Failure::usage(format!(
                "the array for the input `{name}` has no axis of samples"
            ))
        })?;
        let sample = sample.iter().map(|dim| *dim as u64).collect();
        columns.push((name, ty.dtype.unwrap_or(dtype), sample));
    }
    let columns: Vec<(&str, DType, &[u64])> = columns
        .iter()
        .map(|(name, dtype, dims)| (&**name, *dtype, &dims[..]))
        .collect();
    bind_inputs(plan, &columns).map_err(|error| Failure::usage(error.to_string()))
}

fn compute<T: Precision>(
    plan: &Plan,
    inputs: &BTreeMap<String, Tensor>,
    registries: &Registries,
) -> Result<Results, Failure> {
    let computed = evaluate::<T>(plan, EVAL, inputs, &|_| None, &registries.kernels);
    computed.map_err(|error| match error {
        EngineError::NoContent { .. } => Failure::Usage {
            message: error.to_string(),
            help: Some("weights lie beside the text form, as .safetensors".to_owned()),
        },
        EngineError::Panic | EngineError::NoValue(_) => Failure::work(error.to_string()),
        other => Failure::usage(other.to_string()),
    })
}

fn write(
    results: &Results,
    types: &[Option<DType>],
    double: bool,
    out: &Path,
) -> Result<(), Failure> {
    let arrays: Vec<(String, &[usize], Elements<'_>)> = results
        .iter()
        .zip(types)
        .enumerate()
        .map(|(place, ((_, tensor), dtype))| {
            let elements = match &tensor.data {
                TensorData::Float(values) if double => Elements::F64(values),
                TensorData::Float(values) => Elements::F32(values),
                TensorData::Int(values) if *dtype == Some(DType::Bool) => Elements::Bool(values),
                TensorData::Int(values) => Elements::I64(values),
            };
            (format!("output_{place}"), &tensor.dims[..], elements)
        })
        .collect();
    let bytes = encode(&arrays).map_err(Failure::work)?;
    write_atomically(out, &bytes).map_err(|cause| Failure::file(out, &cause))
}

/// Shape, range and first elements of each result.
fn summary(results: &Results) -> String {
    let mut text = String::new();
    for (place, (key, tensor)) in results.iter().enumerate() {
        let values: Vec<f64> = match &tensor.data {
            TensorData::Float(values) => values.clone(),
            TensorData::Int(values) => values.iter().map(|value| *value as f64).collect(),
        };
        let name = match key {
            OutputKey::Result(_, name) => name,
            _ => continue,
        };
        text += &format!("output_{place} \"{name}\" {:?}", tensor.dims);
        if !values.is_empty() {
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let first: Vec<String> = values.iter().take(8).map(|v| format!("{v:.6}")).collect();
            let more = if values.len() > 8 { ", ..." } else { "" };
            text += &format!(
                ": from {least:.6} to {most:.6}, mean {mean:.6}\n    {}{more}",
                first.join(", ")
            );
        }
        text.push('\n');
    }
    text
}
