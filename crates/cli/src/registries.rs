//! What this binary knows: ops, layers, kernels, passes and parts of evaluators. A crate that adds
//! one of these is named here and nowhere else.

use std::sync::Arc;

use syncarp_engine::Embedded;
use syncarp_engine::kernel::KernelRegistry;
use syncarp_evaluator::EvaluatorRegistry;
use syncarp_frontend::{Frontend, LayerRegistry};
use syncarp_ir::OpRegistry;
use syncarp_ir::core_ops::{INPUT, STATE};
use syncarp_pass::{PassRegistry, RegisterError};
use syncarp_runtime::Planner;

use crate::args::Placing;
use crate::report::{Failure, check_pipeline};

/// Everything that is registered.
pub(crate) struct Registries {
    pub ops: Arc<OpRegistry>,
    pub kernels: Arc<KernelRegistry>,
    pub passes: Arc<PassRegistry>,
    pub evaluators: EvaluatorRegistry,
}

impl Registries {
    /// All that is built in.
    ///
    /// # Errors
    /// Where two entries have one name, which is a bug of this binary.
    pub fn standard() -> Result<Self, Failure> {
        let bug = |error: &dyn std::fmt::Display| Failure::work(error.to_string());
        Ok(Registries {
            ops: Arc::new(syncarp_ops::standard()),
            kernels: Arc::new(syncarp_engine::kernels::standard().map_err(|e| bug(&e))?),
            passes: Arc::new(passes().map_err(|e| bug(&e))?),
            evaluators: EvaluatorRegistry::standard(),
        })
    }

    /// A frontend for the layers of sweeps.
    pub fn frontend(&self) -> Frontend {
        Frontend::new(self.ops.clone(), LayerRegistry::standard())
    }

    /// The embedded engine.
    pub fn engine(&self) -> Embedded {
        Embedded::new(self.kernels.clone(), self.passes.clone())
    }

    /// Whether the embedded engine runs an op as it is.
    pub fn has_kernel(&self, op: &str) -> bool {
        op == INPUT || op == STATE || self.kernels.has(op)
    }

    /// A planner as the command line asks for.
    ///
    /// # Errors
    /// Where the policy or the pipeline is wrong.
    pub fn planner(&self, placing: &Placing) -> Result<Planner, Failure> {
        check_pipeline(&self.passes, &placing.passes, true)?;
        Ok(Planner {
            passes: self.passes.clone(),
            pipeline: placing.passes.clone(),
            policy: placing.policy()?,
        })
    }
}

fn passes() -> Result<PassRegistry, RegisterError> {
    let mut registry = PassRegistry::new();
    syncarp_pass_cse::register(&mut registry)?;
    syncarp_pass_dce::register(&mut registry)?;
    syncarp_pass_decompose::register(&mut registry)?;
    syncarp_pass_dedup_input::register(&mut registry)?;
    syncarp_pass_differentiate::register(&mut registry)?;
    syncarp_pass_to_eval::register(&mut registry)?;
    Ok(registry)
}
