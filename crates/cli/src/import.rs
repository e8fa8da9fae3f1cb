//! `import`: reads model files and writes their text form, several fused into one.

use serde_json::json;
use syncarp_ir::{Plan, StateKind};
use syncarp_logical::fuse;
use syncarp_standard::Registries;

use crate::args::ImportArgs;
use crate::inputs::data_inputs;
use crate::models::{load, save, submissions};
use crate::output::{print, print_json};
use crate::report::{Failure, Outcome};
use crate::shapes::Shapes;

/// Imports model files.
///
/// # Errors
/// Where a file cannot be read or written, or the models do not fuse.
pub(crate) fn import(args: &ImportArgs) -> Result<Outcome, Failure> {
    let registries = Registries::standard()?;
    let shapes = Shapes::parse(&args.input_shapes)?;
    let plan = match &args.files[..] {
        [file] => {
            let plan = load(file, &shapes, &registries)?;
            shapes.all_used()?;
            plan
        }
        files => {
            let submissions = submissions(files, &shapes, &registries)?;
            fuse(&submissions).map_err(|error| Failure::usage(error.to_string()))?
        }
    };
    if let Some(out) = &args.output {
        save(&plan, out)?;
    }
    if args.json {
        print_json(&describe(&plan))?;
    } else if args.output.is_none() {
        print(&syncarp_ir::print(&plan))?;
    }
    Ok(Outcome::Done)
}

/// What a plan holds, in numbers.
fn describe(plan: &Plan) -> serde_json::Value {
    let models = plan.models.iter().map(|entry| {
        let trainable = |state: &syncarp_ir::State| {
            let entry = plan.state(*state);
            (entry.kind == StateKind::Trainable).then(|| entry.ty.elements())
        };
        let sizes = entry
            .states
            .iter()
            .filter_map(|(_, state)| trainable(state));
        // Null where a shape is not known yet.
        let parameters = sizes.sum::<Option<u64>>();
        json!({ "name": entry.name, "states": entry.states.len(), "parameters": parameters })
    });
    let graphs = plan.graphs.iter().map(|(name, graph)| {
        let inputs = data_inputs(graph);
        let inputs = inputs
            .iter()
            .map(|(name, ty)| json!({ "name": name, "type": ty.to_string() }));
        json!({
            "name": name,
            "nodes": graph.len(),
            "edges": graph.edge_count(),
            "inputs": inputs.collect::<Vec<_>>(),
        })
    });
    json!({ "models": models.collect::<Vec<_>>(), "graphs": graphs.collect::<Vec<_>>() })
}
