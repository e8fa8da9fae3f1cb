//! The embedded engine: trains on this machine's cores, with nothing but this crate.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use syncarp_pass::PassRegistry;

use crate::engine::{Budget, Engine, Event, Job, Sink};
use crate::error::EngineError;
use crate::kernel::KernelRegistry;
use crate::requests::Requests;
use crate::train::Training;

/// What makes an assembly's graphs ready to run: ops that have kernels, a step graph, no waste.
pub const ASSEMBLY_PIPELINE: &str = "to-eval,decompose,differentiate,decompose,cse,dce";

/// The embedded engine.
pub struct Embedded {
    kernels: Arc<KernelRegistry>,
    passes: Arc<PassRegistry>,
    pipeline: String,
    /// Training steps of a model that are left, where they are limited.
    budget: Option<Arc<AtomicU64>>,
    running: BTreeMap<u32, (Arc<Requests>, JoinHandle<()>)>,
}

impl Embedded {
    /// An engine with these kernels, which readies assemblies with these passes.
    pub fn new(kernels: Arc<KernelRegistry>, passes: Arc<PassRegistry>) -> Self {
        let pipeline = ASSEMBLY_PIPELINE.to_owned();
        Embedded {
            kernels,
            passes,
            pipeline,
            budget: None,
            running: BTreeMap::new(),
        }
    }

    /// Counts down from so many training steps of a model, an epoch of a model at a time.
    #[must_use]
    pub fn with_budget(mut self, steps: u64) -> Self {
        self.budget = Some(Arc::new(AtomicU64::new(steps)));
        self
    }

    /// Takes another pipeline to ready assemblies; it must contain `differentiate`.
    #[must_use]
    pub fn with_pipeline(mut self, pipeline: &str) -> Self {
        self.pipeline = pipeline.to_owned();
        self
    }
}

impl Engine for Embedded {
    fn start(&mut self, job: Job, sink: Sink) {
        self.running.retain(|_, (_, thread)| !thread.is_finished());
        let requests = Arc::new(Requests::default());
        let (kernels, passes) = (self.kernels.clone(), self.passes.clone());
        let (pipeline, asked, id) = (self.pipeline.clone(), requests.clone(), job.id);
        let budget = self.budget.clone();
        let thread = std::thread::spawn(move || {
            let spent = Mutex::new(vec![0; job.evaluators.len()]);
            let tell = |event| {
                if let (Some(budget), Event::Epoch { model, report }) = (&budget, &event) {
                    let mut spent = spent.lock().unwrap_or_else(PoisonError::into_inner);
                    let before = std::mem::replace(&mut spent[*model], report.step);
                    let steps = report.step.saturating_sub(before);
                    let less = |left: u64| Some(left.saturating_sub(steps));
                    let _ = budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
                }
                sink(id, event);
            };
            let run = || -> Result<(), EngineError> {
                Training::new(&job, &kernels, &passes, &pipeline)?.run(&tell, &asked)
            };
            let cause = match catch_unwind(AssertUnwindSafe(run)) {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some(EngineError::Panic.to_string()),
            };
            match cause {
                None => tell(Event::AssemblyFinished),
                Some(cause) => tell(Event::AssemblyFailed { cause }),
            }
        });
        self.running.insert(id, (requests, thread));
    }

    fn stop_model(&mut self, job: u32, model: usize) {
        if let Some((requests, _)) = self.running.get(&job) {
            requests.ask_model(model);
        }
    }

    fn stop(&mut self, job: u32) {
        if let Some((requests, _)) = self.running.get(&job) {
            requests.ask_stop();
        }
    }

    fn budget(&self) -> Budget {
        let left = |steps: &Arc<AtomicU64>| Budget::Steps(steps.load(Ordering::Relaxed));
        self.budget.as_ref().map_or(Budget::Unlimited, left)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        for (requests, _) in self.running.values() {
            requests.ask_stop();
        }
        for (_, (_, thread)) in std::mem::take(&mut self.running) {
            // A job that panicked was already told as failed.
            let _ = thread.join();
        }
    }
}
