//! What must hold whatever happens, checked from outside: from the events that went in and the
//! commands that came out, with the scheduler's queries as a second opinion.

mod state;

use std::collections::{BTreeMap, BTreeSet};

use syncarp_runtime::{
    AssemblyId, Attempt, Command, Config, DeviceId, EngineEvent, Entry, Event, ModelEvent, ModelId,
    ModelState, Point, RawMetric, RawValue, Report, RequestId, Scheduler, Time,
};

/// A request that waits for its answer.
#[derive(Debug, Clone)]
pub struct Asked {
    pub request: RequestId,
    pub models: Vec<ModelId>,
    pub devices: Vec<DeviceId>,
    pub max_assemblies: usize,
    pub alone: bool,
    /// Whether devices were freed since.
    outdated: bool,
}

/// An assembly as the engine knows it.
#[derive(Debug, Clone)]
pub struct Run {
    /// Every model that was started in it.
    pub started: BTreeMap<ModelId, Attempt>,
    /// Those of which the engine may still say what became of them, with the epoch that is next.
    pub training: BTreeMap<ModelId, u64>,
    /// Every model of the plan, in its order.
    pub order: Vec<ModelId>,
    /// Whether it sent a report of the wrong shape, so that it is not listened to any longer.
    pub broken: bool,
    devices: Vec<DeviceId>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Started,
    Metric(String, Point),
    Checkpoint(u64),
}

/// Where the oracle believes a model to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Track {
    pub state: ModelState,
    since: Time,
    /// The how-manieth model it is.
    number: usize,
    attempts: u32,
    alone: bool,
    refused: bool,
}

/// The reference: everything that was ever said and done.
#[derive(Debug, Clone)]
pub struct Oracle {
    config: Config,
    pub models: BTreeMap<ModelId, Track>,
    pub asked: Option<Asked>,
    pub runs: BTreeMap<AssemblyId, Run>,
    delivered: BTreeSet<(ModelId, Key)>,
    closed: bool,
    pub finished: usize,
    shut_down: bool,
}

impl Oracle {
    pub fn new(config: Config) -> Self {
        Oracle {
            config,
            models: BTreeMap::new(),
            asked: None,
            runs: BTreeMap::new(),
            delivered: BTreeSet::new(),
            closed: false,
            finished: 0,
            shut_down: false,
        }
    }

    /// Checks one step.
    pub fn check(&mut self, now: Time, event: &Event, commands: &[Command], after: &Scheduler) {
        let expected = self.expected_metrics(event);
        let failing = self.expected_failures(event);
        self.take_event(now, event, commands);
        for command in commands {
            self.take_command(event, command);
        }
        for key in &expected {
            assert!(self.delivered.contains(key), "{key:?} was lost");
        }
        for model in &failing {
            let state = self.models[model].state;
            assert_eq!(state, ModelState::Failed, "{model} was to fail");
        }
        self.check_state(now, after);
    }

    fn live(&self, model: ModelId) -> bool {
        self.models
            .get(&model)
            .is_some_and(|track| !track.state.is_terminal())
    }

    /// The metrics of an event that have to be delivered.
    fn expected_metrics(&self, event: &Event) -> Vec<(ModelId, Key)> {
        let Event::Engine { assembly, event } = event else {
            return Vec::new();
        };
        let Some(run) = self.runs.get(assembly).filter(|run| !run.broken) else {
            return Vec::new();
        };
        let metrics = match event {
            EngineEvent::Metrics { metrics } => metrics.clone(),
            EngineEvent::Report { at, report } => {
                let attempt = |model: &ModelId| run.started.get(model).copied();
                let members = run.order.iter();
                let members = members.map(|m| (*m, attempt(m).unwrap_or(Attempt(0))));
                report.clone().keyed(*at, members).unwrap_or_default()
            }
            _ => return Vec::new(),
        };
        let good = |raw: &&RawMetric| match raw.value {
            RawValue::Number(value) => raw.at != Point::Final || value.is_finite(),
            RawValue::Other(_) => false,
        };
        metrics
            .iter()
            .filter(good)
            .filter(|raw| self.live(raw.model) && run.started.get(&raw.model) == Some(&raw.attempt))
            .map(|raw| (raw.model, Key::Metric(raw.name.clone(), raw.at)))
            .collect()
    }

    /// The models that an event fails for good.
    fn expected_failures(&self, event: &Event) -> Vec<ModelId> {
        let Event::Engine { assembly, event } = event else {
            return Vec::new();
        };
        let Some(run) = self.runs.get(assembly).filter(|run| !run.broken) else {
            return Vec::new();
        };
        let trains = |model: &ModelId| self.live(*model) && run.training.contains_key(model);
        match event {
            EngineEvent::Report {
                at,
                report: Report::Entries(entries),
            } if entries.len() == run.order.len() => {
                let bad = |entry: &Entry| match entry.values()[0].1 {
                    RawValue::Number(value) => *at == Point::Final && !value.is_finite(),
                    RawValue::Other(_) => true,
                };
                let models = run.order.iter().zip(entries);
                let models = models.filter(|(model, entry)| trains(model) && bad(entry));
                models.map(|(model, _)| *model).collect()
            }
            EngineEvent::Report { .. }
            | EngineEvent::AssemblyFailed { .. }
            | EngineEvent::AssemblyFinished
                if run.started.len() == 1 =>
            {
                run.training.keys().copied().filter(trains).collect()
            }
            EngineEvent::ModelFailed { model, .. } if trains(model) => vec![*model],
            _ => Vec::new(),
        }
    }

    fn take_event(&mut self, now: Time, event: &Event, commands: &[Command]) {
        match event {
            Event::Submit { model } => self.enter(now, *model),
            Event::SubmitAll { models } => models.iter().for_each(|model| self.enter(now, *model)),
            Event::Close => self.closed = true,
            Event::Shutdown => {
                self.closed = true;
                self.shut_down = true;
            }
            Event::Planned { request, .. } => {
                if let Some(asked) = self.asked.take_if(|asked| asked.request == *request) {
                    self.take_answer(&asked, commands);
                }
            }
            Event::PlanFailed { request, model, .. } => {
                if let Some(asked) = self.asked.take_if(|asked| asked.request == *request) {
                    let known = model.is_some_and(|model| asked.models.contains(&model));
                    self.requeue(&asked.models, asked.alone || !known);
                }
            }
            Event::Restarted => {
                if let Some(asked) = self.asked.take() {
                    self.requeue(&asked.models, asked.alone);
                }
                for (_, run) in std::mem::take(&mut self.runs) {
                    let models = run.started.keys().filter(|_| !run.broken);
                    for &model in models {
                        let alone = self.models[&model].alone;
                        self.requeue(&[model], alone);
                    }
                }
                self.freed();
            }
            Event::Engine { assembly, event } => self.take_engine(*assembly, event),
            Event::StopModel { .. } | Event::Tick => {}
        }
    }

    fn enter(&mut self, now: Time, model: ModelId) {
        let track = Track {
            state: ModelState::Queued,
            since: now,
            number: self.models.len(),
            attempts: 0,
            alone: false,
            refused: false,
        };
        self.models.entry(model).or_insert(track);
    }

    fn take_answer(&mut self, asked: &Asked, commands: &[Command]) {
        let starts = commands.iter().any(|c| matches!(c, Command::Start { .. }));
        let ends = commands
            .iter()
            .any(|c| matches!(c, Command::Deliver { event, .. } if event.is_terminal()));
        let ended = ends || asked.models.iter().any(|&model| !self.live(model));
        self.requeue(&asked.models, asked.alone);
        if !starts && !ended && !asked.outdated {
            for model in &asked.models {
                self.models
                    .get_mut(model)
                    .expect("it was asked for")
                    .refused = true;
            }
        }
    }

    fn requeue(&mut self, models: &[ModelId], alone: bool) {
        for model in models {
            let track = self
                .models
                .get_mut(model)
                .expect("only what was submitted runs");
            if !track.state.is_terminal() {
                track.alone |= alone;
                track.state = if track.alone {
                    ModelState::Retrying
                } else {
                    ModelState::Queued
                };
            }
        }
    }

    /// Devices were freed, so no refusal stands.
    fn freed(&mut self) {
        self.models
            .values_mut()
            .for_each(|track| track.refused = false);
        if let Some(asked) = &mut self.asked {
            asked.outdated = true;
        }
    }

    fn take_engine(&mut self, assembly: AssemblyId, event: &EngineEvent) {
        match event {
            EngineEvent::ModelFinished { model } | EngineEvent::ModelFailed { model, .. } => {
                if let Some(run) = self.runs.get_mut(&assembly) {
                    run.training.remove(model);
                }
            }
            EngineEvent::AssemblyFailed { .. } | EngineEvent::AssemblyFinished => {
                if let Some(run) = self.runs.remove(&assembly) {
                    self.freed();
                    if run.started.len() > 1 && !run.broken {
                        let models: Vec<ModelId> = run.started.into_keys().collect();
                        self.requeue(&models, true);
                    }
                }
            }
            EngineEvent::Report { report, .. } => {
                let Some(run) = self.runs.get_mut(&assembly) else {
                    return;
                };
                let fits = matches!(report, Report::Entries(e) if e.len() == run.order.len());
                if fits || run.broken {
                    return;
                }
                run.broken = true;
                let training = std::mem::take(&mut run.training);
                if run.started.len() > 1 {
                    let models: Vec<ModelId> = training.into_keys().collect();
                    self.requeue(&models, true);
                }
            }
            _ => {}
        }
    }

    fn take_command(&mut self, event: &Event, command: &Command) {
        match command {
            Command::Plan {
                request,
                models,
                devices,
                max_assemblies,
                alone,
            } => {
                assert!(self.asked.is_none(), "two requests at a time");
                assert!(!self.shut_down, "planning after a shutdown");
                assert!(!models.is_empty() && !devices.is_empty() && *max_assemblies > 0);
                assert!(devices.is_sorted_by(|a, b| a < b));
                assert!(
                    devices.iter().all(|device| !self.held(*device)),
                    "offered a used device"
                );
                self.check_concurrency(*max_assemblies);
                self.check_line(models, *alone);
                for model in models {
                    let track = self
                        .models
                        .get_mut(model)
                        .expect("only what was submitted runs");
                    let state = if *alone {
                        ModelState::Retrying
                    } else {
                        ModelState::Queued
                    };
                    assert_eq!(track.state, state, "{model} was to be planned");
                    assert_eq!(track.alone, *alone, "{model} is alone or not");
                    track.state = ModelState::Planning;
                }
                self.asked = Some(Asked {
                    request: *request,
                    models: models.clone(),
                    devices: devices.clone(),
                    max_assemblies: *max_assemblies,
                    alone: *alone,
                    outdated: false,
                });
            }
            Command::Start {
                assembly,
                request,
                index,
                models,
                without,
                devices,
            } => {
                let Event::Planned {
                    request: answered,
                    assemblies,
                    ..
                } = event
                else {
                    panic!("started without a plan");
                };
                let plan = &assemblies[*index];
                assert_eq!((request, devices), (answered, &plan.devices));
                let mut named: Vec<ModelId> = models.iter().map(|started| started.model).collect();
                named.extend(without);
                named.sort();
                let mut planned = plan.models.clone();
                planned.sort();
                assert_eq!(named, planned);
                assert!(!devices.is_empty() && !models.is_empty());
                for (i, device) in devices.iter().enumerate() {
                    assert!(!self.held(*device), "{device} is used twice");
                    assert!(!devices[..i].contains(device), "{device} is used twice");
                }
                self.check_concurrency(1);
                assert!(without.iter().all(|&model| !self.live(model)));
                for started in models {
                    let track = self
                        .models
                        .get_mut(&started.model)
                        .expect("it was submitted");
                    assert!(matches!(
                        track.state,
                        ModelState::Queued | ModelState::Retrying
                    ));
                    assert!(!track.alone || plan.models.len() == 1, "merged again");
                    track.attempts += 1;
                    track.state = ModelState::Running;
                    assert_eq!(started.attempt, Attempt(track.attempts));
                }
                let started = models.iter().map(|s| (s.model, s.attempt)).collect();
                let training = models.iter().map(|s| (s.model, 1)).collect();
                let run = Run {
                    started,
                    training,
                    order: plan.models.clone(),
                    broken: false,
                    devices: devices.clone(),
                };
                assert!(
                    self.runs.insert(*assembly, run).is_none(),
                    "an assembly's id is reused"
                );
            }
            Command::StopModel { assembly, model } => {
                assert!(self.runs[assembly].started.contains_key(model));
            }
            Command::StopAssembly { assembly } => assert!(self.runs.contains_key(assembly)),
            Command::Deliver { model, event } => self.take_delivery(*model, event),
            Command::Finished => {
                self.finished += 1;
                assert_eq!(self.finished, 1, "finished twice");
                assert!(self.closed, "finished before submission was closed");
                assert!(
                    self.models.keys().all(|&model| !self.live(model)),
                    "finished too early"
                );
            }
            Command::WakeAt { .. } | Command::Warn { .. } => {}
        }
    }

    fn take_delivery(&mut self, model: ModelId, event: &ModelEvent) {
        let track = self
            .models
            .get_mut(&model)
            .expect("only what was submitted is told of");
        assert!(
            !track.state.is_terminal(),
            "{model} was told {event:?} after its end"
        );
        let key = match event {
            ModelEvent::Finished { .. } => {
                track.state = ModelState::Finished;
                return;
            }
            ModelEvent::Failed { .. } => {
                track.state = ModelState::Failed;
                return;
            }
            ModelEvent::Stopped => {
                track.state = ModelState::Stopped;
                return;
            }
            ModelEvent::Started { .. } => Key::Started,
            ModelEvent::Metric(metric) => Key::Metric(metric.name.clone(), metric.at),
            ModelEvent::Checkpoint { epoch, .. } => Key::Checkpoint(*epoch),
        };
        let new = self.delivered.insert((model, key));
        assert!(new, "{model} was told {event:?} twice");
    }

    fn held(&self, device: DeviceId) -> bool {
        self.runs.values().any(|run| run.devices.contains(&device))
    }

    /// Retries come before the queue, and in the queue nobody passes a model that was not refused.
    fn check_line(&self, batch: &[ModelId], alone: bool) {
        let batch: Vec<&Track> = batch.iter().map(|model| &self.models[model]).collect();
        if alone {
            return;
        }
        assert!(batch.is_sorted_by_key(|track| track.number), "out of turn");
        let last = batch.last().map(|track| track.number);
        let waits = |track: &&Track| match track.state {
            ModelState::Retrying => !track.refused,
            ModelState::Queued => !track.refused && Some(track.number) <= last,
            _ => false,
        };
        let ahead = self.models.values().filter(waits).count();
        assert_eq!(ahead, batch.len(), "somebody was passed over");
    }

    fn check_concurrency(&self, more: usize) {
        if let Some(max) = self.config.max_concurrency {
            assert!(
                self.runs.len() + more <= max.get() as usize,
                "too many assemblies at once"
            );
        }
    }
}
