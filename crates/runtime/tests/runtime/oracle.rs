//! What must hold whatever happens, checked from outside: from the events that went in and the
//! commands that came out, with the scheduler's queries as a second opinion.

use std::collections::{BTreeMap, BTreeSet};

use syncarp_runtime::{
    AssemblyId, Attempt, Command, Config, DeviceId, EngineEvent, Event, ModelEvent, ModelId,
    ModelState, Point, RawMetric, RawValue, RequestId, Scheduler, Time,
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
        self.take_event(now, event, commands);
        for command in commands {
            self.take_command(event, command);
        }
        for key in &expected {
            assert!(self.delivered.contains(key), "{key:?} was lost");
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
        let Event::Engine {
            assembly,
            event: EngineEvent::Metrics { metrics },
        } = event
        else {
            return Vec::new();
        };
        let Some(run) = self.runs.get(assembly) else {
            return Vec::new();
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

    fn take_event(&mut self, now: Time, event: &Event, commands: &[Command]) {
        match event {
            Event::Submit { model } => {
                let state = ModelState::Queued;
                let track = Track {
                    state,
                    since: now,
                    attempts: 0,
                    alone: false,
                    refused: false,
                };
                self.models.entry(*model).or_insert(track);
            }
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
                    for &model in run.started.keys() {
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

    fn take_answer(&mut self, asked: &Asked, commands: &[Command]) {
        let starts = commands.iter().any(|c| matches!(c, Command::Start { .. }));
        let ended = asked.models.iter().any(|&model| !self.live(model));
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
                    if run.started.len() > 1 {
                        let models: Vec<ModelId> = run.started.into_keys().collect();
                        self.requeue(&models, true);
                    }
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

    fn check_concurrency(&self, more: usize) {
        if let Some(max) = self.config.max_concurrency {
            assert!(
                self.runs.len() + more <= max.get() as usize,
                "too many assemblies at once"
            );
        }
    }

    fn check_state(&self, now: Time, after: &Scheduler) {
        let states: BTreeMap<ModelId, ModelState> = self
            .models
            .iter()
            .map(|(&model, track)| (model, track.state))
            .collect();
        assert_eq!(after.models().collect::<BTreeMap<_, _>>(), states);
        for state in ModelState::ALL {
            let count = states.values().filter(|&&s| s == state).count();
            assert_eq!(after.counts().of(state), count, "{state:?}");
            assert_eq!(after.models_in(state).count(), count, "{state:?}");
        }
        for (&model, track) in &self.models {
            assert_eq!(after.attempts(model), Some(track.attempts));
        }

        let offered = self.asked.as_ref().map_or(&[][..], |asked| &asked.devices);
        let free: Vec<DeviceId> = (0..self.config.devices.len() as u32)
            .map(DeviceId)
            .filter(|device| !self.held(*device) && !offered.contains(device))
            .collect();
        assert_eq!(
            after.free_devices().collect::<Vec<_>>(),
            free,
            "a device was lost or reused"
        );
        let running: Vec<AssemblyId> = after.running().map(|run| run.assembly).collect();
        assert_eq!(running, self.runs.keys().copied().collect::<Vec<_>>());

        let slots = self
            .config
            .max_concurrency
            .map_or(usize::MAX, |max| max.get() as usize - self.runs.len());
        let count = |state| after.counts().of(state);
        let waiting = count(ModelState::Queued) + count(ModelState::Retrying);
        let idle = free.len().min(slots).saturating_sub(waiting);
        assert_eq!(after.idle_capacity(), idle);

        let all_ended = states.values().all(|state| state.is_terminal());
        assert_eq!(
            self.finished == 1,
            self.closed && all_ended,
            "finished in time"
        );
        assert_eq!(after.is_finished(), self.finished == 1);
        if !free.is_empty() && slots > 0 && self.asked.is_none() {
            self.check_nothing_waits(now, after);
        }
    }

    /// Nothing waits that is due and has a device, and for what is not due there is an alarm.
    fn check_nothing_waits(&self, now: Time, after: &Scheduler) {
        let waiting = |state| {
            let of_state = move |track: &&Track| track.state == state && !track.refused;
            self.models
                .values()
                .filter(of_state)
                .map(|track| track.since)
                .min()
        };
        assert_eq!(
            waiting(ModelState::Retrying),
            None,
            "a retry waits beside a free device"
        );
        if let Some(since) = waiting(ModelState::Queued) {
            assert!(!self.closed, "a closed set waits");
            let deadline = since.after(self.config.batch_waiting_time);
            assert!(
                now < deadline,
                "a model is due and waits beside a free device"
            );
            assert!(
                after.wake_at().is_some_and(|time| time <= deadline),
                "nobody will wake up"
            );
        }
    }
}
