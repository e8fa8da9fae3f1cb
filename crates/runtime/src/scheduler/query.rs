//! Questions about the state. None of them changes it.

use super::{MemberPhase, Scheduler};
use crate::{AssemblyId, Config, Device, DeviceId, ModelId, Started, Time};

/// Where a model is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ModelState {
    /// Waiting for a batch or a device.
    Queued,
    /// Waiting to be tried again, alone.
    Retrying,
    /// With the planner.
    Planning,
    /// In a running assembly.
    Running,
    /// Terminal: trained to the end.
    Finished,
    /// Terminal: failed for good.
    Failed,
    /// Terminal: stopped by a user or a shutdown.
    Stopped,
}

impl ModelState {
    /// All states, in the order of a model's way.
    pub const ALL: [ModelState; 7] = [
        ModelState::Queued,
        ModelState::Retrying,
        ModelState::Planning,
        ModelState::Running,
        ModelState::Finished,
        ModelState::Failed,
        ModelState::Stopped,
    ];

    /// Whether a model in this state has had its last event.
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            ModelState::Finished | ModelState::Failed | ModelState::Stopped
        )
    }
}

/// How many models there are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts([usize; 7]);

impl Counts {
    /// How many models are in this state.
    pub fn of(&self, state: ModelState) -> usize {
        self.0[state as usize]
    }

    /// How many models were ever submitted.
    pub fn total(&self) -> usize {
        self.0.iter().sum()
    }

    /// How many models have no terminal event yet.
    pub fn live(&self) -> usize {
        ModelState::ALL
            .iter()
            .filter(|s| !s.is_terminal())
            .map(|&s| self.of(s))
            .sum()
    }

    pub(super) fn enter(&mut self, state: ModelState) {
        self.0[state as usize] += 1;
    }

    pub(super) fn leave(&mut self, state: ModelState) {
        self.0[state as usize] -= 1;
    }
}

/// What the scheduler counts about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Events taken.
    pub events: u64,
    /// Warnings given.
    pub warnings: u64,
    /// Engine events dropped without a warning, because a retry repeated what was delivered or
    /// because they were under way when their model was stopped.
    pub suppressed: u64,
    /// Models and devices looked at, one a search: what the events cost, in a unit that does not
    /// depend on the machine.
    pub visited: u64,
}

/// A running assembly as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningAssembly<'a> {
    /// Which one.
    pub assembly: AssemblyId,
    /// The devices that it holds.
    pub devices: &'a [DeviceId],
    /// The models in it that have not ended, by id.
    pub models: Vec<Started>,
    /// Whether it was told to stop.
    pub stopping: bool,
}

impl Scheduler {
    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The time of the last event. A driver's clock has to go on from here.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The time that was last asked for by [`Command::WakeAt`](crate::Command::WakeAt), unless it
    /// has come.
    pub fn wake_at(&self) -> Option<Time> {
        self.wake.filter(|&time| time > self.now)
    }

    /// Whether submission is closed and every model has had its terminal event.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether submissions are refused.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// A model's state, if it was ever submitted.
    pub fn state(&self, model: ModelId) -> Option<ModelState> {
        self.models.get(&model).map(|record| record.phase.state())
    }

    /// How often a model was started, if it was ever submitted.
    pub fn attempts(&self, model: ModelId) -> Option<u32> {
        self.models.get(&model).map(|record| record.attempts)
    }

    /// All models and their states, by id.
    pub fn models(&self) -> impl Iterator<Item = (ModelId, ModelState)> {
        self.models
            .iter()
            .map(|(&model, record)| (model, record.phase.state()))
    }

    /// The models in one state, by id. Looks at every model.
    pub fn models_in(&self, state: ModelState) -> impl Iterator<Item = ModelId> {
        self.models()
            .filter(move |&(_, s)| s == state)
            .map(|(model, _)| model)
    }

    /// How many models are in each state.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many more models could be given a device at once: the free devices, as far as more
    /// assemblies may run, less the models that wait for one already. Devices with the planner
    /// are not free.
    pub fn idle_capacity(&self) -> usize {
        let could_run = self.free.len().min(self.slots());
        could_run.saturating_sub(self.queue.len() + self.retries.len())
    }

    /// How many assemblies may run beside those that do.
    pub(super) fn slots(&self) -> usize {
        let running = self.assemblies.len();
        let max = self
            .config
            .max_concurrency
            .map_or(usize::MAX, |max| max.get() as usize);
        max.saturating_sub(running)
    }

    /// The devices that no assembly holds and that are not with the planner, in ascending order.
    pub fn free_devices(&self) -> impl Iterator<Item = DeviceId> {
        self.free.iter().copied()
    }

    /// What a device id stands for.
    pub fn device(&self, device: DeviceId) -> Option<&Device> {
        self.config.devices.get(device.0 as usize)
    }

    /// The running assemblies, in the order in which they were started.
    pub fn running(&self) -> impl Iterator<Item = RunningAssembly<'_>> {
        self.assemblies
            .iter()
            .map(|(&assembly, running)| RunningAssembly {
                assembly,
                devices: &running.devices,
                models: running
                    .members
                    .iter()
                    .filter(|(_, member)| member.phase == MemberPhase::Active)
                    .map(|(&model, member)| Started {
                        model,
                        attempt: member.attempt,
                    })
                    .collect(),
                stopping: running.stopping,
            })
    }

    /// What the scheduler has counted about itself.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }
}
