//! Who hears what happens to models.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use syncarp_engine::Snapshot;

use crate::{AssemblyId, ModelEvent, ModelId, Planned, Started};

/// Hears what happens, in order. Every method may be left out.
pub trait Listener {
    /// A batch was planned; `models` are the batch's, in the plan's order.
    fn planned(&mut self, _planned: &Planned, _models: &[ModelId]) {}
    /// An assembly starts, the `index`-th of the last plan.
    fn assembly(&mut self, _assembly: AssemblyId, _models: &[Started], _devices: &[String]) {}
    /// A model's event, delivered exactly once.
    fn delivered(&mut self, _model: ModelId, _event: &ModelEvent) {}
    /// A model's checkpoints, as its `Checkpoint` event is delivered.
    fn checkpoint(
        &mut self,
        _model: ModelId,
        _best: Option<&Arc<Snapshot>>,
        _last: &Arc<Snapshot>,
    ) {
    }
    /// An assembly got further.
    fn progress(&mut self, _assembly: AssemblyId, _step: u64, _steps: u64) {}
    /// A model's loss in one step, where asked for.
    fn loss(&mut self, _model: ModelId, _step: u64, _loss: f64) {}
    /// Something came that should not have come.
    fn warning(&mut self, _message: &str) {}
}

/// Nobody listens.
impl Listener for () {}

/// Models' events through a channel, for those who would rather wait than be called. Events for a
/// receiver that is gone are dropped.
impl Listener for Sender<(ModelId, ModelEvent)> {
    fn delivered(&mut self, model: ModelId, event: &ModelEvent) {
        let _ = self.send((model, event.clone()));
    }
}
