//! The `syncarp` command: trains, plans, evaluates and rewrites many models as one.
//!
//! Exit codes: 0 where all went well, 1 where a model failed or a check did not hold, 2 where the
//! command line or what it names is wrong.

mod args;
mod diff;
mod draw;
mod eval;
mod folder;
mod import;
mod inputs;
mod list;
mod models;
mod npz;
mod opt;
mod output;
mod plan;
mod record;
mod report;
mod run;
mod shapes;
mod show;
mod state_file;
mod status;
mod verify;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};
use report::{Failure, Outcome};

fn main() -> ExitCode {
    let args = Args::parse();
    match dispatch(args.command) {
        Ok(Outcome::Done) | Err(Failure::ClosedOutput) => ExitCode::SUCCESS,
        Ok(Outcome::Wanting) => ExitCode::from(1),
        Err(failure) => {
            failure.show();
            ExitCode::from(failure.code())
        }
    }
}

fn dispatch(command: Command) -> Result<Outcome, Failure> {
    match command {
        Command::Import(args) => import::import(&args),
        Command::Eval(args) => eval::eval(&args),
        Command::Opt(args) => opt::opt(&args),
        Command::Diff(args) => diff::diff(&args),
        Command::Show(args) => draw::show(&args),
        Command::Plan(args) => plan::plan(&args),
        Command::Run(args) => run::run(&args),
        Command::Status(args) => status::status(&args),
        Command::Verify(args) => verify::verify(&args),
        Command::Passes(args) => list::passes(&args),
        Command::Ops(args) => list::ops(&args),
        Command::Policies(args) => list::policies(&args),
    }
}
