//! What can go wrong before anything is trained.

use syncarp_diag::Located;
use syncarp_engine::kernel::KernelError;
use syncarp_frontend::FrontendError;
use syncarp_pass::PipelineParseError;
use syncarp_place::PlaceError;
use thiserror::Error;

/// Two entries of one name: our own bug, or that of a crate that adds one.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// Two passes.
    #[error(transparent)]
    Pass(#[from] syncarp_pass::RegisterError),
    /// Two kernels.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

/// A planner that cannot be made; the fault is the user's.
#[derive(Debug, Error)]
pub enum PlannerError {
    /// The text is no pipeline of known passes.
    #[error(transparent)]
    Pipeline(#[from] PipelineParseError),
    /// There is no such policy.
    #[error(transparent)]
    Policy(#[from] PlaceError),
}

/// Why a sweep's models cannot be submitted.
#[derive(Debug, Error)]
pub enum SubmitError {
    /// The sweep, or what it names, is wrong: the fault of the user.
    #[error("{} mistakes, the first: {}", .0.len(), first(.0))]
    Mistakes(Vec<Located>),
    /// A file cannot be read, or a model that was right did not lower.
    #[error(transparent)]
    Frontend(FrontendError),
}

fn first(mistakes: &[Located]) -> String {
    mistakes
        .first()
        .map_or_else(String::new, ToString::to_string)
}

impl From<Located> for SubmitError {
    fn from(mistake: Located) -> Self {
        SubmitError::Mistakes(vec![mistake])
    }
}

impl From<FrontendError> for SubmitError {
    fn from(error: FrontendError) -> Self {
        match error {
            FrontendError::Sweep(place) | FrontendError::Text(place) => place.into(),
            other => SubmitError::Frontend(other),
        }
    }
}
