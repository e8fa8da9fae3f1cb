//! Model files: reading them, making submissions of them, writing text forms.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use syncarp_evaluator::{Evaluator, EvaluatorRegistry};
use syncarp_frontend::export;
use syncarp_frontend::nni::{self, ModelFile};
use syncarp_frontend::{FrontendError, LayerRegistry, load_text, save_weights};
use syncarp_ir::{BuildError, Graph, Initial, OutputKey, Plan, Rewriter, StateKind, TensorType};
use syncarp_logical::{Submission, project};
use syncarp_standard::Registries;

use crate::output::write_atomically_by;
use crate::report::Failure;
use crate::shapes::Shapes;

/// Reads a model file in any front end's format. What a front end has to say although it went well
/// goes to standard error. `types` tells what is known of inputs by their names, for formats that
/// need to know it while they are read.
///
/// # Errors
/// Where it cannot be read, or is no model.
pub(crate) fn read(
    path: &Path,
    registries: &Registries,
    types: impl for<'n> FnOnce(&'n [String]) -> Vec<(&'n str, TensorType)>,
) -> Result<Plan, Failure> {
    if export::is_exported(path) {
        return Ok(export::load(path, &registries.ops)?);
    }
    if path.extension().is_none_or(|extension| extension != "json") {
        return Ok(load_text(path, &registries.ops)?);
    }
    let file = ModelFile::read(path)?;
    let inputs = file.inputs();
    let name = nni::model_name(path);
    let layers = LayerRegistry::standard();
    let imported = file.lower(&name, &registries.ops, &layers, &types(&inputs))?;
    for note in imported.notes {
        // Without standard error there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "note: {}", note.place);
    }
    Ok(imported.plan)
}

/// Reads a model file and binds the inputs whose shapes are given.
///
/// # Errors
/// As [`read`], or where a shape does not fit.
pub(crate) fn load(path: &Path, shapes: &Shapes, registries: &Registries) -> Result<Plan, Failure> {
    let mut plan = read(path, registries, |inputs| shapes.types(inputs))?;
    let bound = shapes.bind(&mut plan);
    bound.map_err(|message| Failure::usage(format!("{}: {message}", path.display())))?;
    Ok(plan)
}

/// Every model of some files as a submission of its own, with one evaluator for all. Names that
/// occur again get a number, so that a file given twice is two models.
///
/// # Errors
/// As [`load`].
pub(crate) fn submissions(
    files: &[PathBuf],
    shapes: &Shapes,
    registries: &Registries,
) -> Result<Vec<Submission>, Failure> {
    let evaluator = Arc::new(default_evaluator(&registries.evaluators)?);
    let mut taken = BTreeSet::new();
    let mut submissions = Vec::new();
    for file in files {
        let plan = load(file, shapes, registries)?;
        for model in plan.model_ids() {
            let one = project(&plan, &[model]);
            let name = &plan.model(model).name;
            let numbered = (2..).map(|n| format!("{name}-{n}").into());
            let mut names = std::iter::once(name.clone()).chain(numbered);
            let name: Arc<str> = names
                .find(|n| taken.insert(n.clone()))
                .unwrap_or_else(|| name.clone());
            submissions.push(Submission {
                name,
                plan: Arc::new(one),
                evaluator: evaluator.clone(),
                data: "".into(),
            });
        }
    }
    shapes.all_used()?;
    Ok(submissions)
}

/// The evaluator of models that come without one.
///
/// # Errors
/// Where the built-in parts are not registered, which is a bug of this binary.
pub(crate) fn default_evaluator(registry: &EvaluatorRegistry) -> Result<Evaluator, Failure> {
    let bug = |error: syncarp_evaluator::OptionError| Failure::work(error.to_string());
    Ok(Evaluator {
        loss: registry.loss("cross-entropy", &[]).map_err(bug)?,
        metrics: Vec::new(),
        optimizer: registry.optimizer("adam", &[]).map_err(bug)?,
        schedule: registry.schedule("constant", &[]).map_err(bug)?,
        clip_norm: None,
        epochs: 1,
        seed: 0,
    })
}

/// Whether a plan's states have given content, rather than being drawn from distributions.
pub(crate) fn has_weights(plan: &Plan) -> bool {
    plan.states
        .iter()
        .any(|entry| matches!(entry.initial, Initial::Content(_)))
}

/// The same plan as inference models: nothing is trained or updated, all is in its eval form.
///
/// # Errors
/// Where an op's eval form does not type, which is a bug of the op.
pub(crate) fn frozen(plan: &Plan) -> Result<Plan, BuildError> {
    let mut plan = plan.clone();
    for entry in &mut plan.states {
        entry.kind = StateKind::Frozen;
        entry.owner = None;
    }
    for (_, graph) in &mut plan.graphs {
        let mut rw = Rewriter::new(graph);
        for node in graph.nodes() {
            if !rw.to_eval(node)? {
                rw.copy(node);
            }
        }
        for output in graph.outputs() {
            if !matches!(output.key, OutputKey::Update(_)) {
                let value = rw.get(output.value);
                rw.output(output.key.clone(), value);
            }
        }
        *graph = live(&rw.finish());
    }
    Ok(plan)
}

/// A graph without what no output needs.
pub(crate) fn live(graph: &Graph) -> Graph {
    let live = graph.live();
    let mut rw = Rewriter::new(graph);
    for node in graph.nodes().filter(|node| live[node.index()]) {
        rw.copy(node);
    }
    rw.copy_outputs();
    rw.finish()
}

/// Writes a plan's text form, and beside it its weights where they are there.
///
/// # Errors
/// Where a file cannot be written.
pub(crate) fn save(plan: &Plan, path: &Path) -> Result<(), Failure> {
    if has_weights(plan) {
        let lacks = |initial: &Initial| match initial {
            Initial::Content(hash) => !plan.contents.contains_key(hash),
            Initial::Init(..) => false,
        };
        let lacking = plan
            .states
            .iter()
            .filter(|entry| lacks(&entry.initial))
            .count();
        // Weights first: a text without its weights would be taken for one that needs none.
        match lacking {
            0 => save_weights(plan, &path.with_extension("safetensors"))
                .map_err(FrontendError::from)?,
            n => {
                let note = format!("the data of {n} states is not there; only text is written");
                // Without standard error there is nobody to tell.
                let _ = writeln!(std::io::stderr(), "{note}");
            }
        }
    }
    write_atomically_by(path, |file| syncarp_ir::write(plan, file))
        .map_err(|cause| Failure::file(path, &cause))
}
