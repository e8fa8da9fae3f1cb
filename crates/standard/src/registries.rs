//! What ships: ops, layers, kernels, passes and parts of evaluators. A crate that adds one of these
//! is named here and nowhere else.

use std::sync::Arc;

use syncarp_engine::Embedded;
use syncarp_engine::kernel::KernelRegistry;
use syncarp_evaluator::EvaluatorRegistry;
use syncarp_frontend::{Frontend, LayerRegistry};
use syncarp_ir::OpRegistry;
use syncarp_ir::core_ops::{INPUT, STATE};
use syncarp_pass::{PassRegistry, RegisterError};
use syncarp_place::PolicyRegistry;
use syncarp_runtime::Planner;

use crate::error::{PlannerError, RegistryError};

/// Everything that is registered. A program adds its own before it uses them.
#[derive(Clone)]
pub struct Registries {
    /// The ops.
    pub ops: Arc<OpRegistry>,
    /// The embedded engine's kernels.
    pub kernels: Arc<KernelRegistry>,
    /// The passes.
    pub passes: Arc<PassRegistry>,
    /// Losses, metrics, optimizers and schedules.
    pub evaluators: Arc<EvaluatorRegistry>,
    /// The placement policies.
    pub policies: PolicyRegistry,
}

impl Registries {
    /// All that ships.
    ///
    /// # Errors
    /// Where two entries have one name, which is a bug.
    pub fn standard() -> Result<Self, RegistryError> {
        Ok(Registries {
            ops: Arc::new(syncarp_ops::standard()),
            kernels: Arc::new(syncarp_engine::kernels::standard()?),
            passes: Arc::new(passes()?),
            evaluators: Arc::new(EvaluatorRegistry::standard()),
            policies: PolicyRegistry::standard(),
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

    /// A planner with a pipeline of logical passes and a placement policy.
    ///
    /// # Errors
    /// Where there is no such policy, or the text is no pipeline.
    pub fn planner(&self, pipeline: &str, policy: &str) -> Result<Planner, PlannerError> {
        self.passes.resolve(pipeline)?;
        Ok(Planner {
            passes: self.passes.clone(),
            pipeline: pipeline.to_owned(),
            policy: self.policies.get(policy)?,
            execute: Some(self.kernels.clone()),
        })
    }
}

fn passes() -> Result<PassRegistry, RegisterError> {
    let mut registry = PassRegistry::new();
    syncarp_pass_canonicalize::register(&mut registry)?;
    syncarp_pass_cse::register(&mut registry)?;
    syncarp_pass_dce::register(&mut registry)?;
    syncarp_pass_decompose::register(&mut registry)?;
    syncarp_pass_dedup_input::register(&mut registry)?;
    syncarp_pass_differentiate::register(&mut registry)?;
    syncarp_pass_fold_batch_norm::register(&mut registry)?;
    syncarp_pass_fold_constants::register(&mut registry)?;
    syncarp_pass_to_eval::register(&mut registry)?;
    Ok(registry)
}
