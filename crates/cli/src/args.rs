//! The command line's forms. Scripts read them, so they stay as they are.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use syncarp_place::{Device, parse_devices};
use syncarp_runtime::{DEFAULT_PIPELINE, Planner};
use syncarp_standard::Registries;

use crate::report::{Failure, check_pipeline};

/// Trains many models as one: shares what is common, hands each its own metrics.
#[derive(Parser, Debug)]
#[command(name = "syncarp", version, about, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Read models in any front end's format and write their text form; several are fused
    Import(ImportArgs),
    /// Run a model forward, in its eval form
    Eval(EvalArgs),
    /// Run a pipeline of passes on a model's text form
    Opt(OptArgs),
    /// Say what tells two plans apart; exits with 1 where something does
    Diff(DiffArgs),
    /// Draw a plan, or several models fused, as an SVG image or an HTML page
    Show(ShowArgs),
    /// Fuse, rewrite and place models, and say what came of it
    Plan(PlanArgs),
    /// Train the models of a sweep merged
    Run(RunArgs),
    /// Say what is known of a run, while it goes on or after it
    Status(StatusArgs),
    /// Train the models of a sweep merged and alone, and compare every number
    Verify(VerifyArgs),
    /// List the passes that there are
    Passes(ListArgs),
    /// List the ops that there are, or say all about one
    Ops(OpsArgs),
    /// List the placement policies that there are
    Policies(ListArgs),
}

/// Arguments of `import`.
#[derive(clap::Args, Debug)]
pub(crate) struct ImportArgs {
    /// Model files; a file given twice is two models
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Write here instead of to standard output; weights go beside it, in safetensors
    #[arg(short, long, value_name = "OUT")]
    pub output: Option<PathBuf>,
    /// The dims of one sample of an input that a file leaves open, such as `x=1,28,28`
    #[arg(long = "input-shape", value_name = "NAME=DIMS")]
    pub input_shapes: Vec<String>,
    /// Say what was read as JSON; the text form is then written with `-o` only
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `eval`.
#[derive(clap::Args, Debug)]
pub(crate) struct EvalArgs {
    /// The model file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Arrays by the names of the model's inputs, or input_0, input_1, ... in their order
    #[arg(long, value_name = "IN.npz")]
    pub input: PathBuf,
    /// Where to write the results, as output_0, output_1, ...; without it they are summed up
    #[arg(long, value_name = "OUT.npz")]
    pub output: Option<PathBuf>,
}

/// Arguments of `opt`.
#[derive(clap::Args, Debug)]
pub(crate) struct OptArgs {
    /// The model file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The passes, such as `dedup-input,cse,dce`
    #[arg(long, value_name = "PIPELINE")]
    pub passes: String,
    /// Write here instead of to standard output
    #[arg(short, long, value_name = "OUT")]
    pub output: Option<PathBuf>,
}

/// Arguments of `diff`.
#[derive(clap::Args, Debug)]
pub(crate) struct DiffArgs {
    /// The plan as it was
    #[arg(value_name = "BEFORE")]
    pub before: PathBuf,
    /// The plan as it is
    #[arg(value_name = "AFTER")]
    pub after: PathBuf,
}

/// Arguments of `show`.
#[derive(clap::Args, Debug)]
pub(crate) struct ShowArgs {
    /// A plan or model files
    #[arg(required = true, value_name = "PLAN")]
    pub files: Vec<PathBuf>,
    /// Where to write the picture: an .svg of one graph, or an .html page of all
    #[arg(short, long, value_name = "OUT.svg | OUT.html")]
    pub output: PathBuf,
    /// The graph of an .svg; by default `train`, or else the first
    #[arg(long, value_name = "NAME")]
    pub graph: Option<String>,
    /// The dims of one sample of an input that a file leaves open, such as `x=1,28,28`
    #[arg(long = "input-shape", value_name = "NAME=DIMS")]
    pub input_shapes: Vec<String>,
}

/// Where and how models are merged.
#[derive(clap::Args, Debug)]
pub(crate) struct Placing {
    /// Devices such as `cpu:0,cpu:1`; a host's cores are dealt out over its devices
    #[arg(long, value_name = "HOST:N,...", default_value = "cpu:0")]
    pub devices: String,
    /// The placement policy
    #[arg(long, value_name = "POLICY", default_value = "pack")]
    pub policy: String,
    /// The passes on the logical graph
    #[arg(long, value_name = "PIPELINE", default_value = DEFAULT_PIPELINE)]
    pub passes: String,
}

/// Arguments of `plan`.
#[derive(clap::Args, Debug)]
pub(crate) struct PlanArgs {
    /// A sweep file, or model files
    #[arg(required = true, value_name = "SWEEP.toml | FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub placing: Placing,
    /// The dims of one sample of an input of the model files, such as `x=1,28,28`
    #[arg(long = "input-shape", value_name = "NAME=DIMS")]
    pub input_shapes: Vec<String>,
    /// Say it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `run`.
#[derive(clap::Args, Debug)]
pub(crate) struct RunArgs {
    /// The sweep file
    #[arg(value_name = "SWEEP.toml")]
    pub sweep: PathBuf,
    /// The run's folder; by default `runs/<name of the sweep>`
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Then train each model alone, one after another, and say how much faster merging was
    #[arg(long)]
    pub compare: bool,
    #[command(flatten)]
    pub placing: Placing,
    /// How many assemblies may run at once; without it the devices are the limit
    #[arg(long, value_name = "N")]
    pub max_concurrency: Option<NonZeroU32>,
    /// Say the results as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `status`.
#[derive(clap::Args, Debug)]
pub(crate) struct StatusArgs {
    /// The run's folder
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Say it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `verify`.
#[derive(clap::Args, Debug)]
pub(crate) struct VerifyArgs {
    /// The sweep file
    #[arg(value_name = "SWEEP.toml")]
    pub sweep: PathBuf,
    /// Train each model for at most so many steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: Option<u64>,
    #[command(flatten)]
    pub placing: Placing,
    /// Say it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ops`.
#[derive(clap::Args, Debug)]
pub(crate) struct OpsArgs {
    /// An op's name, to say all about it
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Say it as JSON
    #[arg(long)]
    pub json: bool,
    /// Write the reference page of all ops, in Markdown
    #[arg(long, conflicts_with_all = ["name", "json"])]
    pub markdown: bool,
}

/// Arguments of the lists.
#[derive(clap::Args, Debug)]
pub(crate) struct ListArgs {
    /// Say it as JSON
    #[arg(long)]
    pub json: bool,
}

impl Placing {
    /// The devices, with this machine's cores dealt out.
    ///
    /// # Errors
    /// Where the list is wrong.
    pub fn devices(&self) -> Result<Vec<Device>, Failure> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        parse_devices(&self.devices, cores)
            .map_err(|error| Failure::usage(format!("--devices: {error}")))
    }

    /// A planner as asked for.
    ///
    /// # Errors
    /// Where the policy or the pipeline is wrong.
    pub fn planner(&self, registries: &Registries) -> Result<Planner, Failure> {
        check_pipeline(&registries.passes, &self.passes, true)?;
        registries
            .planner(&self.passes, &self.policy)
            .map_err(|error| Failure::usage(format!("--policy: {error}")))
    }
}
