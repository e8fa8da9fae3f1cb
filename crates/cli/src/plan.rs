//! `plan`: fuses, rewrites and places models, and says what came of it.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use syncarp_data::{Array, Batching, Column, DataParts, DataStream, Dataset, Difference};
use syncarp_ir::{Bindings, Graph, Model, Plan, TRAIN};
use syncarp_place::Assembly;
use syncarp_runtime::{PlanError, Planned, Trial};

use crate::args::PlanArgs;
use crate::models::{frozen, has_weights, submissions};
use crate::opt::pipeline_failure;
use crate::output::{models, print, print_json, table};
use crate::report::{Failure, Outcome};
use crate::shapes::Shapes;
use syncarp_standard::{Registries, Submitter};
use syncarp_sweep::Sweep;

/// Plans a sweep or model files.
///
/// # Errors
/// Where the input is wrong, or cannot be placed.
pub(crate) fn plan(args: &PlanArgs) -> Result<Outcome, Failure> {
    let registries = Registries::standard()?;
    let planner = args.placing.planner(&registries)?;
    let devices = args.placing.devices()?;
    let is_sweep = |file: &PathBuf| file.extension().is_some_and(|e| e == "toml");
    let trials = match &args.files[..] {
        [sweep] if is_sweep(sweep) => {
            if !args.input_shapes.is_empty() {
                let message = "--input-shape is for model files; a sweep's data has shapes";
                return Err(Failure::usage(message));
            }
            let submitted = Submitter::new(&registries).submit(&Sweep::load(sweep)?)?;
            submitted.into_iter().map(|s| s.trial).collect()
        }
        files if files.iter().any(is_sweep) => {
            return Err(Failure::usage(
                "a sweep is planned alone, without other files",
            ));
        }
        files => file_trials(files, &Shapes::parse(&args.input_shapes)?, &registries)?,
    };
    let borrowed: Vec<&Trial> = trials.iter().collect();
    let planned = planner
        .plan(&borrowed, &devices)
        .map_err(|error| match error {
            PlanError::Pipeline(error) => pipeline_failure(&args.placing.passes, error),
            other => Failure::usage(other.to_string()),
        })?;
    let costs = model_flops(&planned.fused);
    let views: Vec<View> = planned
        .placement
        .assemblies
        .iter()
        .map(|a| View::new(a, &planned, &costs))
        .collect();
    match args.json {
        true => print_json(&as_json(&planned, &views))?,
        false => print(&as_text(&planned, &views, &trials))?,
    }
    Ok(Outcome::Done)
}

/// Trials of plain model files: with weights they are inference models, frozen, without they are
/// to be trained. Nothing is trained here, so one row of nothing stands for their data.
fn file_trials(
    files: &[PathBuf],
    shapes: &Shapes,
    registries: &Registries,
) -> Result<Vec<Trial>, Failure> {
    let data = placeholder().map_err(|error| Failure::work(error.to_string()))?;
    let mut trials = Vec::new();
    for mut submission in submissions(files, shapes, registries)? {
        if has_weights(&submission.plan) {
            let plan = frozen(&submission.plan);
            let plan = plan.map_err(|error| Failure::work(error.to_string()))?;
            submission.plan = Arc::new(plan);
        }
        trials.push(Trial {
            submission,
            data: data.clone(),
        });
    }
    Ok(trials)
}

fn placeholder() -> Result<Arc<DataStream>, syncarp_data::DataError> {
    let x = Column::new("x", [1], Array::F32(vec![0.0]));
    let y = Column::new("y", [], Array::F32(vec![0.0]));
    let parts = DataParts::new(Dataset::new(vec![x], vec![y])?, None, None)?;
    Ok(Arc::new(DataStream::from_parts(
        parts,
        Batching::default(),
    )?))
}

/// The graph that is counted: the one that trains, or the only one.
fn main_graph(plan: &Plan) -> Option<&Graph> {
    plan.graph(TRAIN)
        .or_else(|| plan.graphs.first().map(|(_, graph)| graph))
}

fn one_sample() -> Bindings {
    Bindings::from([("n".into(), 1)])
}

/// For each model of a fused plan, whose nodes are each one model's, the operations of a sample.
fn model_flops(fused: &Plan) -> Vec<Option<u64>> {
    let mut sums = vec![Some(0u64); fused.models.len()];
    let Some(graph) = main_graph(fused) else {
        return sums;
    };
    let bindings = one_sample();
    for node in graph.nodes() {
        let flops = graph.cost(node, &bindings).map(|cost| cost.flops);
        for model in graph.models(node) {
            let sum = &mut sums[model.index()];
            *sum = sum
                .zip(flops)
                .and_then(|(sum, flops)| sum.checked_add(flops));
        }
    }
    sums
}

/// One assembly in numbers.
struct View {
    models: Vec<(String, String)>,
    devices: Vec<String>,
    /// The first model, as the batch numbers it.
    first: Option<Model>,
    nodes: usize,
    edges: usize,
    copies: usize,
    flops_one_by_one: Option<u64>,
    flops_merged: Option<u64>,
}

impl View {
    fn new(assembly: &Assembly, planned: &Planned, costs: &[Option<u64>]) -> Self {
        let device = |index: &usize| assembly.devices[*index].to_string();
        let models = assembly.models.iter().zip(&assembly.model_devices);
        let name = |model: &Model| planned.logical.model(*model).name.to_string();
        let graph = main_graph(&assembly.plan);
        let copy = |graph: &&Graph| {
            graph
                .nodes()
                .filter(|node| graph.op_name(*node) == "to_device")
                .count()
        };
        View {
            models: models
                .map(|(model, index)| (name(model), device(index)))
                .collect(),
            devices: assembly.devices.iter().map(ToString::to_string).collect(),
            first: assembly.models.first().copied(),
            nodes: graph.map_or(0, Graph::len),
            edges: graph.map_or(0, Graph::edge_count),
            copies: graph.as_ref().map_or(0, copy),
            flops_one_by_one: assembly.models.iter().try_fold(0u64, |sum, model| {
                costs[model.index()].and_then(|flops| sum.checked_add(flops))
            }),
            flops_merged: graph.and_then(|graph| graph.flops(&one_sample())),
        }
    }
}

fn leftover(planned: &Planned) -> Vec<String> {
    let leftover = planned.placement.leftover.iter();
    leftover
        .map(|model| planned.logical.model(*model).name.to_string())
        .collect()
}

fn as_json(planned: &Planned, views: &[View]) -> Json {
    let assemblies: Vec<Json> = views
        .iter()
        .map(|view| {
            let models = view.models.iter();
            let models = models.map(|(name, device)| json!({ "name": name, "device": device }));
            json!({
                "models": models.collect::<Vec<_>>(),
                "devices": view.devices,
                "nodes": view.nodes,
                "edges": view.edges,
                "copies": view.copies,
                "flops_one_by_one": view.flops_one_by_one,
                "flops_merged": view.flops_merged,
            })
        })
        .collect();
    let passes = planned.passes.iter().map(|report| {
        let statistics: serde_json::Map<String, Json> = report
            .statistics
            .iter()
            .map(|(name, n)| ((*name).to_owned(), json!(n)))
            .collect();
        json!({
            "name": report.name,
            "changed": report.changed,
            "nodes_before": report.nodes.0,
            "nodes_after": report.nodes.1,
            "statistics": statistics,
        })
    });
    json!({
        "assemblies": assemblies,
        "leftover": leftover(planned),
        "passes": passes.collect::<Vec<_>>(),
    })
}

fn as_text(planned: &Planned, views: &[View], trials: &[Trial]) -> String {
    let mut text = String::new();
    for report in &planned.passes {
        let (before, after) = report.nodes;
        let counts: Vec<String> = report
            .statistics
            .iter()
            .map(|(name, n)| format!("{name} {n}"))
            .collect();
        let counts = match counts.is_empty() {
            true => String::new(),
            false => format!(" ({})", counts.join(", ")),
        };
        text += &format!("pass {}: {before} nodes -> {after}{counts}\n", report.name);
    }
    for (number, view) in views.iter().enumerate() {
        let devices = view.devices.join(", ");
        text += &format!(
            "\nassembly {number}: {} on {devices}\n",
            models(view.models.len())
        );
        let flops = |flops: Option<u64>| flops.map_or("unknown".to_owned(), |n| n.to_string());
        text += &format!(
            "  {} nodes, {} edges, {} copies between devices\n",
            view.nodes, view.edges, view.copies
        );
        text += &format!(
            "  forward FLOPs of a sample: {} one by one, {} merged\n",
            flops(view.flops_one_by_one),
            flops(view.flops_merged)
        );
        let mut rows = vec![vec!["model".to_owned(), "device".to_owned()]];
        rows.extend(
            view.models
                .iter()
                .map(|(name, device)| vec![name.clone(), device.clone()]),
        );
        for line in table(&rows).lines() {
            text += &format!("  {line}\n");
        }
    }
    for name in leftover(planned) {
        text += &format!("\nnot placed, since no device has room now: {name}\n");
    }
    text + &apart(views, trials)
}

/// What keeps models in different assemblies: settings of their data.
fn apart(views: &[View], trials: &[Trial]) -> String {
    let data = |view: &View| view.first.map(|model| &trials[model.index()].data);
    let mut text = String::new();
    let mut told: Vec<&str> = Vec::new();
    for (number, view) in views.iter().enumerate().skip(1) {
        let (Some(first), Some(own)) = (data(&views[0]), data(view)) else {
            continue;
        };
        let key = own.key().as_str();
        if first.key() == own.key() || told.contains(&key) {
            continue;
        }
        told.push(key);
        let differences: Vec<String> = first
            .differences(own)
            .iter()
            .map(Difference::to_string)
            .collect();
        text += &format!(
            "\nassemblies 0 and {number} are apart because their data differ: {}\n",
            differences.join("; ")
        );
    }
    text
}
