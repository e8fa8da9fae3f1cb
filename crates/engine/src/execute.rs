//! Numbers for passes.

use std::collections::BTreeMap;

use syncarp_ir::{Plan, TensorData};
use syncarp_pass::{Execute, ExecuteError};

use crate::evaluate::evaluate;
use crate::kernel::KernelRegistry;

/// As the embedded engine computes: floats in 32 bits.
impl Execute for KernelRegistry {
    fn evaluate(&self, plan: &Plan, graph: &str) -> Result<Vec<TensorData>, ExecuteError> {
        let results = evaluate::<f32>(plan, graph, &BTreeMap::new(), &|_| None, self);
        let results = results.map_err(|error| ExecuteError(error.to_string()))?;
        Ok(results.into_iter().map(|(_, tensor)| tensor.data).collect())
    }
}
