//! The driver: real time and a real engine around the scheduler, for a closed set of models.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use syncarp_engine::{Engine, Event as Told, Sink, Snapshot};
use syncarp_place::Device;
use thiserror::Error;

use crate::planner::{Planned, Planner, Trial};
use crate::{
    AssemblyId, Attempt, Command, Config, ConfigError, EngineEvent, Event, ModelEvent, ModelId,
    PlannedAssembly, Point, RawMetric, RawValue, RequestId, Scheduler, Started, Time,
};

/// Hears what happens, in order. Every method may be left out.
pub trait Listener {
    /// A batch was planned; `models` are the batch's, in the plan's order.
    fn planned(&mut self, _planned: &Planned, _models: &[ModelId]) {}
    /// An assembly starts, the `index`-th of the last plan.
    fn assembly(&mut self, _assembly: AssemblyId, _models: &[Started], _devices: &[String]) {}
    /// A model's event, delivered exactly once.
    fn delivered(&mut self, _model: ModelId, _event: &ModelEvent) {}
    /// A model's checkpoints, as its `Checkpoint` event is delivered.
    fn checkpoint(&mut self, _model: ModelId, _best: Option<&Snapshot>, _last: &Snapshot) {}
    /// An assembly got further.
    fn progress(&mut self, _assembly: AssemblyId, _step: u64, _steps: u64) {}
    /// A model's loss in one step, where asked for.
    fn loss(&mut self, _model: ModelId, _step: u64, _loss: f64) {}
    /// Something came that should not have come.
    fn warning(&mut self, _message: &str) {}
}

impl Listener for () {}

/// Why a set of models cannot be run at all.
#[derive(Debug, Error)]
pub enum DriveError {
    /// The devices are wrong: the fault of the user.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The engine went away without saying how its assemblies ended: the fault of the engine.
    #[error("the engine fell silent with {running} assemblies running")]
    Silent {
        /// How many assemblies were running.
        running: usize,
    },
}

/// What to run beside the models.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// A limit on the steps of every model, for comparisons.
    pub max_steps: Option<u64>,
    /// Whether every step's loss is told.
    pub step_losses: bool,
}

/// Runs a closed set of trials to their ends: every trial gets exactly one terminal event. Model
/// numbers are places in `trials`.
///
/// # Errors
/// Where the devices are wrong, or the engine falls silent.
pub fn run(
    trials: &[Trial],
    devices: &[Device],
    planner: &Planner,
    engine: &mut dyn Engine,
    options: &RunOptions,
    listener: &mut dyn Listener,
) -> Result<(), DriveError> {
    let named = |d: &Device| crate::Device {
        host: d.host.to_string(),
        index: d.index,
    };
    let mut config = Config::new(devices.iter().map(named).collect());
    config.batch_limit = crate::BatchLimit::Unlimited;
    let (sender, receiver) = channel();
    let mut driver = Driver {
        trials,
        devices,
        planner,
        engine,
        options,
        listener,
        scheduler: Scheduler::new(config)?,
        sender,
        start: Instant::now(),
        planned: None,
        running: BTreeMap::new(),
        snapshots: BTreeMap::new(),
        wake: None,
        finished: false,
    };
    for index in 0..trials.len() {
        driver.handle(Event::Submit {
            model: ModelId(index as u32),
        });
    }
    driver.handle(Event::Close);
    driver.drive(&receiver)
}

struct Driver<'a> {
    trials: &'a [Trial],
    devices: &'a [Device],
    planner: &'a Planner,
    engine: &'a mut dyn Engine,
    options: &'a RunOptions,
    listener: &'a mut dyn Listener,
    scheduler: Scheduler,
    sender: Sender<(u32, Told)>,
    start: Instant,
    /// The answer to the last request, until the next.
    planned: Option<(RequestId, Vec<ModelId>, Planned)>,
    running: BTreeMap<u32, Vec<Started>>,
    /// Checkpoints that the engine gave, until the scheduler says that they are to be delivered.
    snapshots: BTreeMap<ModelId, (Option<Arc<Snapshot>>, Arc<Snapshot>)>,
    wake: Option<Time>,
    finished: bool,
}

impl Driver<'_> {
    fn now(&self) -> Time {
        Time::from_micros(self.start.elapsed().as_micros() as u64)
    }

    fn drive(&mut self, receiver: &Receiver<(u32, Told)>) -> Result<(), DriveError> {
        while !self.finished || !self.running.is_empty() {
            let told = match self.wake {
                None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(time) => {
                    let left = time.as_micros().saturating_sub(self.now().as_micros());
                    receiver.recv_timeout(Duration::from_micros(left))
                }
            };
            match told {
                Ok((id, event)) => self.told(id, event),
                Err(RecvTimeoutError::Timeout) => {
                    self.wake = None;
                    self.handle(Event::Tick);
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(DriveError::Silent {
                        running: self.running.len(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Feeds the scheduler an event and carries out what it commands, and what follows from that.
    fn handle(&mut self, event: Event) {
        let mut events = vec![event];
        let mut commands = Vec::new();
        while let Some(event) = events.pop() {
            commands.clear();
            let now = self.now();
            self.scheduler.step(now, event, &mut commands);
            for command in commands.drain(..) {
                if let Some(answer) = self.carry_out(command) {
                    events.push(answer);
                }
            }
        }
    }

    fn carry_out(&mut self, command: Command) -> Option<Event> {
        match command {
            Command::Plan {
                request,
                models,
                devices,
                max_assemblies,
                alone,
            } => {
                let devices = devices
                    .iter()
                    .map(|d| self.devices[d.0 as usize].clone())
                    .collect();
                return Some(self.plan(request, models, devices, max_assemblies, alone));
            }
            Command::Start {
                assembly,
                request,
                index,
                models,
                without,
                devices,
            } => {
                self.begin(assembly, request, index, models, &without);
                let names: Vec<_> = devices
                    .iter()
                    .map(|d| self.devices[d.0 as usize].to_string())
                    .collect();
                let models = self.running.get(&assembly.0).cloned().unwrap_or_default();
                self.listener.assembly(assembly, &models, &names);
            }
            Command::StopModel { assembly, model } => {
                let models = self.running.get(&assembly.0);
                let place = models.and_then(|m| m.iter().position(|s| s.model == model));
                if let Some(place) = place {
                    self.engine.stop_model(assembly.0, place);
                }
            }
            Command::StopAssembly { assembly } => self.engine.stop(assembly.0),
            Command::Deliver { model, event } => {
                self.listener.delivered(model, &event);
                if let ModelEvent::Checkpoint { .. } = event
                    && let Some((best, last)) = self.snapshots.remove(&model)
                {
                    self.listener.checkpoint(model, best.as_deref(), &last);
                }
            }
            Command::WakeAt { time } => self.wake = Some(time),
            Command::Warn { warning } => self.listener.warning(&warning.to_string()),
            Command::Finished => self.finished = true,
        }
        None
    }

    fn plan(
        &mut self,
        request: RequestId,
        models: Vec<ModelId>,
        devices: Vec<Device>,
        max_assemblies: usize,
        alone: bool,
    ) -> Event {
        // One model alone, or all that may be merged: the first of those that must be alone is
        // planned now, and the rest waits its turn.
        let count = if alone { 1 } else { models.len() };
        let trials: Vec<&Trial> = models[..count]
            .iter()
            .map(|m| &self.trials[m.0 as usize])
            .collect();
        let planned = match self.planner.plan(&trials, &devices) {
            Ok(planned) => planned,
            Err(error) => {
                let model = (count == 1 && models.len() == 1).then(|| models[0]);
                return Event::PlanFailed {
                    request,
                    model,
                    message: error.to_string(),
                };
            }
        };
        let place_of = |d: &Device| {
            let at = self
                .devices
                .iter()
                .position(|x| x.host == d.host && x.index == d.index);
            crate::DeviceId(at.unwrap_or(0) as u32)
        };
        let all = planned.placement.assemblies.iter();
        let assemblies: Vec<PlannedAssembly> = all
            .take(max_assemblies)
            .map(|a| PlannedAssembly {
                models: a.models.iter().map(|m| models[m.index()]).collect(),
                devices: a.devices.iter().map(place_of).collect(),
            })
            .collect();
        let placed: std::collections::BTreeSet<ModelId> = assemblies
            .iter()
            .flat_map(|a| a.models.iter().copied())
            .collect();
        let leftover = models
            .iter()
            .copied()
            .filter(|m| !placed.contains(m))
            .collect();
        self.listener.planned(&planned, &models[..count]);
        self.planned = Some((request, models[..count].to_vec(), planned));
        Event::Planned {
            request,
            assemblies,
            leftover,
        }
    }

    fn begin(
        &mut self,
        assembly: AssemblyId,
        request: RequestId,
        index: usize,
        models: Vec<Started>,
        without: &[ModelId],
    ) {
        let Some((planned_for, batch, planned)) = &self.planned else {
            return;
        };
        debug_assert_eq!(*planned_for, request, "a start refers to the last plan");
        let trials: Vec<&Trial> = batch.iter().map(|m| &self.trials[m.0 as usize]).collect();
        let mut job = self.planner.job(assembly.0, planned, index, &trials);
        job.max_steps = self.options.max_steps;
        job.step_losses = self.options.step_losses;
        let order: Vec<ModelId> = job
            .assembly
            .models
            .iter()
            .map(|m| batch[m.index()])
            .collect();
        let attempt_of = |model: &ModelId| {
            let found = models.iter().find(|s| s.model == *model);
            found.map_or(Attempt(0), |s| s.attempt)
        };
        let started = order
            .iter()
            .map(|m| Started {
                model: *m,
                attempt: attempt_of(m),
            })
            .collect();
        self.running.insert(assembly.0, started);
        let sender = self.sender.clone();
        // Nobody listens any more only when the run has ended.
        let sink: Sink = Arc::new(move |id, event| drop(sender.send((id, event))));
        self.engine.start(job, sink);
        for (place, model) in order.iter().enumerate() {
            if without.contains(model) {
                self.engine.stop_model(assembly.0, place);
            }
        }
    }

    /// Hands on what the engine told, keyed by model and attempt.
    fn told(&mut self, id: u32, event: Told) {
        let assembly = AssemblyId(id);
        let Some(models) = self.running.get(&id) else {
            return;
        };
        let of = |place: usize| models[place];
        let metric = |place: usize, name: &str, at: Point, value: f64| {
            let Started { model, attempt } = of(place);
            RawMetric {
                model,
                attempt,
                name: name.to_owned(),
                at,
                value: RawValue::Number(value),
            }
        };
        let event = match event {
            Told::Started { model } => EngineEvent::Started {
                model: of(model).model,
            },
            Told::Progress { step, steps } => {
                return self.listener.progress(assembly, step, steps);
            }
            Told::Loss { model, step, loss } => {
                let model = of(model).model;
                return self.listener.loss(model, step, loss);
            }
            Told::Epoch { model, report } => {
                let at = Point::Epoch(report.epoch);
                let mut metrics = vec![metric(model, "train_loss", at, report.train_loss)];
                let rest = report.metrics.iter();
                metrics.extend(rest.map(|(name, value)| metric(model, name, at, *value)));
                EngineEvent::Metrics { metrics }
            }
            Told::Test { model, metrics } => {
                let named = metrics.iter().map(|(name, value)| {
                    metric(model, &format!("test_{name}"), Point::Final, *value)
                });
                EngineEvent::Metrics {
                    metrics: named.collect(),
                }
            }
            Told::Checkpoint { model, best, last } => {
                let Started { model, attempt } = of(model);
                let epoch = last.epoch;
                self.snapshots.insert(model, (best, last));
                EngineEvent::CheckpointWritten {
                    model,
                    attempt,
                    epoch,
                }
            }
            Told::Finished { model } => EngineEvent::ModelFinished {
                model: of(model).model,
            },
            Told::Failed { model, cause } => EngineEvent::ModelFailed {
                model: of(model).model,
                message: cause,
            },
            Told::AssemblyFailed { cause } => EngineEvent::AssemblyFailed { message: cause },
            Told::AssemblyFinished => EngineEvent::AssemblyFinished,
        };
        let ended = matches!(
            event,
            EngineEvent::AssemblyFailed { .. } | EngineEvent::AssemblyFinished
        );
        self.handle(Event::Engine { assembly, event });
        if ended {
            self.running.remove(&id);
        }
    }
}
