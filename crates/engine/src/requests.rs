//! What others ask of a running job, from their threads to the job's.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// What somebody asked of a running job.
#[derive(Default)]
pub(crate) struct Requests {
    stop: AtomicBool,
    models: Mutex<Vec<usize>>,
    any: AtomicBool,
}

impl Requests {
    /// Whether the job was asked to stop.
    pub(crate) fn stop(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Models that were asked to stop since the last call.
    pub(crate) fn take_models(&self) -> Vec<usize> {
        if !self.any.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        let mut models = self.models.lock().unwrap_or_else(|e| e.into_inner());
        std::mem::take(&mut models)
    }

    /// Asks that the job be stopped.
    pub(crate) fn ask_stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Asks that a model be stopped.
    pub(crate) fn ask_model(&self, model: usize) {
        self.models
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .push(model);
        self.any.store(true, Ordering::Release);
    }
}
