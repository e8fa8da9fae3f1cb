//! `opt`: text in, a pipeline of passes, text out.

use std::sync::Arc;

use syncarp_evaluator::Evaluator;
use syncarp_pass::{Context, Manager, PipelineError};

use crate::args::OptArgs;
use crate::models::{default_evaluator, load, save};
use crate::output::print_pieces;
use crate::report::{Failure, Outcome, check_pipeline, pipeline_mistake};
use crate::shapes::Shapes;
use syncarp_standard::Registries;

/// Runs a pipeline on a model's text form.
///
/// # Errors
/// Where the file or the pipeline is wrong, or a pass gives up.
pub(crate) fn opt(args: &OptArgs) -> Result<Outcome, Failure> {
    let registries = Registries::standard()?;
    check_pipeline(&registries.passes, &args.passes, false)?;
    let mut plan = load(&args.file, &Shapes::default(), &registries)?;
    let evaluator = Arc::new(default_evaluator(&registries.evaluators)?);
    let evaluators: Vec<Arc<Evaluator>> = plan.models.iter().map(|_| evaluator.clone()).collect();
    let has_kernel = |op: &str| registries.has_kernel(op);
    let mut cx = Context::new(&evaluators, &has_kernel).with_execute(&*registries.kernels);
    let failed = |error: PipelineError| pipeline_failure(&args.passes, error);
    let mut manager =
        Manager::new(&registries.passes, &args.passes).map_err(|error| failed(error.into()))?;
    manager.set_verify(true);
    manager.run(&mut plan, &mut cx, &mut ()).map_err(failed)?;
    match &args.output {
        Some(out) => save(&plan, out)?,
        None => print_pieces(|out| syncarp_ir::write(&plan, out))?,
    }
    Ok(Outcome::Done)
}

/// A pipeline that stopped: the user's mistake, or a pass's own.
pub(crate) fn pipeline_failure(text: &str, error: PipelineError) -> Failure {
    match error {
        PipelineError::Parse(error) => pipeline_mistake(text, &error),
        PipelineError::Pass { .. } => Failure::usage(error.to_string()),
        PipelineError::Broken { .. } | PipelineError::Interface { .. } => {
            Failure::work(error.to_string())
        }
    }
}
