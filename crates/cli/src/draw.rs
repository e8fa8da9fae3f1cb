//! `show`: a plan as a picture.

use std::path::Path;

use syncarp_ir::{Graph, Plan, TRAIN};
use syncarp_logical::fuse;
use syncarp_standard::Registries;

use crate::args::ShowArgs;
use crate::models::{load, submissions};
use crate::output::write_atomically;
use crate::report::{Failure, Outcome};
use crate::shapes::Shapes;

/// Draws a plan, or several models fused.
///
/// # Errors
/// Where a file cannot be read or written, or there is no such graph.
pub(crate) fn show(args: &ShowArgs) -> Result<Outcome, Failure> {
    let registries = Registries::standard()?;
    let shapes = Shapes::parse(&args.input_shapes)?;
    let plan = match &args.files[..] {
        [file] => load(file, &shapes, &registries)?,
        files => {
            let submissions = submissions(files, &shapes, &registries)?;
            fuse(&submissions).map_err(|error| Failure::usage(error.to_string()))?
        }
    };
    shapes.all_used()?;
    let extension = args.output.extension().and_then(|e| e.to_str());
    let drawn = match (extension, &args.graph) {
        (Some("svg"), name) => syncarp_draw::svg(&plan, graph(&plan, name.as_deref())?),
        (Some("html"), None) => syncarp_draw::html(&plan, &title(&args.files[0])),
        (Some("html"), Some(_)) => {
            return Err(Failure::usage("a page has all graphs; leave out --graph"));
        }
        _ => {
            let out = args.output.display();
            let message = format!("{out}: a picture is an .svg or an .html file");
            return Err(Failure::usage(message));
        }
    };
    let written = write_atomically(&args.output, drawn.as_bytes());
    written.map_err(|cause| Failure::file(&args.output, &cause))?;
    Ok(Outcome::Done)
}

/// The graph of a name, else the one that trains, else the only one.
fn graph<'p>(plan: &'p Plan, name: Option<&str>) -> Result<&'p Graph, Failure> {
    let found = match name {
        Some(name) => plan.graph(name),
        None => plan
            .graph(TRAIN)
            .or_else(|| plan.graphs.first().map(|(_, graph)| graph)),
    };
    found.ok_or_else(|| {
        let known: Vec<&str> = plan.graphs.iter().map(|(name, _)| &**name).collect();
        let known = known.join(", ");
        Failure::usage(match name {
            Some(name) => format!("no graph is called `{name}`; there are: {known}"),
            None => "there is no graph to draw".to_owned(),
        })
    })
}

fn title(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
