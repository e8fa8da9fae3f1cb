//! A world of simulated time around the scheduler: devices, a planner, and a record of what
//! happens. Engines are played by the tests.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use syncarp_place::PolicyRegistry;
use syncarp_runtime::{
    AssemblyId, BatchLimit, Command, Config, DeviceId, EngineEvent, Event, ModelEvent, ModelId,
    ModelState, PlannedAssembly, Planner, Point, Report, RequestId, Scheduler, Time, Trial,
};

use crate::common::{MLP, evaluator, passes, trial_with};

/// One run of an assembly.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    pub at: Time,
    pub assembly: AssemblyId,
    pub models: Vec<u32>,
    /// As the recordings write them.
    pub devices: Vec<String>,
}

pub struct World {
    pub scheduler: Scheduler,
    pub starts: Vec<Start>,
    /// What listeners heard.
    pub told: Vec<(Time, u32, ModelEvent)>,
    pub warnings: Vec<String>,
    now: Time,
    planner: Planner,
    devices: Vec<syncarp_place::Device>,
    /// What was submitted, by model.
    trials: Vec<Trial>,
}

/// Seconds as the recordings count them.
pub fn seconds(value: &Value) -> Time {
    let seconds = value.as_f64().expect("a time in seconds");
    Time::from_micros((seconds * 1e6).round() as u64)
}

/// The entries of a list of texts.
pub fn texts(value: &Value) -> Vec<String> {
    let text = |v: &Value| v.as_str().expect("a text").to_owned();
    value.as_array().expect("a list").iter().map(text).collect()
}

/// The entries of a list of numbers.
pub fn numbers(value: &Value) -> Vec<u32> {
    let number = |v: &Value| v.as_u64().expect("a number") as u32;
    let list = value.as_array().expect("a list");
    list.iter().map(number).collect()
}

impl World {
    /// Devices as the recordings write them, and the settings of the seed system.
    pub fn new(devices: &[String], waiting: Duration, max_concurrency: Option<u32>) -> Self {
        let split = |name: &String| {
            let (host, index) = name.split_once("/gpu").expect("host/gpuK");
            (host.to_owned(), index.parse().expect("a number"))
        };
        let named = devices.iter().map(split);
        let named = named.map(|(host, index)| syncarp_runtime::Device { host, index });
        let policy = PolicyRegistry::standard()
            .get("nni")
            .expect("it is built in");
        let config = Config {
            batch_waiting_time: waiting,
            max_concurrency: max_concurrency.and_then(NonZeroU32::new),
            batch_limit: BatchLimit::PerDevice(policy.models_per_device().expect("the seed's")),
            ..Config::new(named.collect())
        };
        let placed = |(host, index): (String, u32)| syncarp_place::Device {
            host: Arc::from(host),
            index,
            memory: None,
            threads: 1,
        };
        World {
            scheduler: Scheduler::new(config).expect("the settings are right"),
            starts: Vec::new(),
            told: Vec::new(),
            warnings: Vec::new(),
            now: Time::ZERO,
            planner: Planner {
                passes: passes(),
                pipeline: "dedup-input".into(),
                policy,
                execute: None,
            },
            devices: devices.iter().map(split).map(placed).collect(),
            trials: Vec::new(),
        }
    }

    /// Submits a model for each letter; equal letters are equal evaluators.
    pub fn submit(&mut self, evaluators: &str) -> Vec<ModelId> {
        let first = self.trials.len() as u32;
        for letter in evaluators.chars() {
            let name = format!("model{}", self.trials.len());
            let rate = f64::from(u32::from(letter)) / 1e4;
            let evaluator = evaluator("sgd", rate, 1);
            self.trials.push(trial_with(MLP, &name, evaluator));
        }
        let models: Vec<ModelId> = (first..self.trials.len() as u32).map(ModelId).collect();
        self.send(Event::SubmitAll {
            models: models.clone(),
        });
        models
    }

    /// Lets time pass up to a moment, with every alarm on the way.
    pub fn pass_until(&mut self, time: Time) {
        while let Some(alarm) = self.scheduler.wake_at().filter(|&alarm| alarm <= time) {
            self.now = alarm;
            self.send(Event::Tick);
        }
        self.now = self.now.max(time);
    }

    pub fn engine(&mut self, assembly: AssemblyId, event: EngineEvent) {
        self.send(Event::Engine { assembly, event });
    }

    /// Ends the `index`-th assembly that was started: all is well with each model of it.
    pub fn finish(&mut self, index: usize) {
        let start = self.starts[index].clone();
        for model in start.models.into_iter().map(ModelId) {
            self.engine(start.assembly, EngineEvent::ModelFinished { model });
        }
        self.engine(start.assembly, EngineEvent::AssemblyFinished);
    }

    /// Ends the `index`-th assembly that was started: it breaks down.
    pub fn fail(&mut self, index: usize) {
        let message = "killed".into();
        let assembly = self.starts[index].assembly;
        self.engine(assembly, EngineEvent::AssemblyFailed { message });
    }

    /// The `index`-th assembly that was started reports by place.
    pub fn report(&mut self, index: usize, at: Point, report: &Value) {
        let report = Report::from(report);
        let assembly = self.starts[index].assembly;
        self.engine(assembly, EngineEvent::Report { at, report });
    }

    /// Feeds the scheduler an event, and the planner's answers to what follows from that.
    pub fn send(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        let mut commands = Vec::new();
        while let Some(event) = events.pop_front() {
            self.scheduler.step(self.now, event, &mut commands);
            for command in commands.drain(..) {
                events.extend(self.carry_out(command));
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
                let count = if alone { 1 } else { models.len() };
                return Some(self.plan(request, &models, count, &devices, max_assemblies));
            }
            Command::Start {
                assembly,
                models,
                devices,
                ..
            } => self.starts.push(Start {
                at: self.now,
                assembly,
                models: models.iter().map(|started| started.model.0).collect(),
                devices: devices.iter().map(|device| self.name(*device)).collect(),
            }),
            Command::Deliver { model, event } => self.told.push((self.now, model.0, event)),
            Command::Warn { warning } => self.warnings.push(warning.to_string()),
            _ => {}
        }
        None
    }

    /// Plans the first of the models, so many, on the devices that are free.
    fn plan(
        &self,
        request: RequestId,
        models: &[ModelId],
        count: usize,
        free: &[DeviceId],
        max_assemblies: usize,
    ) -> Event {
        let trials = models[..count].iter();
        let trials: Vec<&Trial> = trials.map(|m| &self.trials[m.0 as usize]).collect();
        let device = |id: &DeviceId| self.devices[id.0 as usize].clone();
        let devices: Vec<_> = free.iter().map(device).collect();
        let planned = self.planner.plan(&trials, &devices).expect("a plan");
        let place = |device: &syncarp_place::Device| {
            let at = devices.iter().position(|d| d == device);
            free[at.expect("only what was offered is used")]
        };
        let assemblies = planned.placement.assemblies.iter().take(max_assemblies);
        let assemblies: Vec<PlannedAssembly> = assemblies
            .map(|assembly| PlannedAssembly {
                models: assembly.models.iter().map(|m| models[m.index()]).collect(),
                devices: assembly.devices.iter().map(place).collect(),
            })
            .collect();
        let started: Vec<ModelId> = assemblies.iter().flat_map(|a| a.models.clone()).collect();
        let leftover = models.iter().copied().filter(|m| !started.contains(m));
        Event::Planned {
            request,
            leftover: leftover.collect(),
            assemblies,
        }
    }

    fn name(&self, device: DeviceId) -> String {
        let device = &self.devices[device.0 as usize];
        format!("{}/gpu{}", device.host, device.index)
    }

    /// The free devices as the recordings write them.
    pub fn free(&self) -> Vec<String> {
        let free = self.scheduler.free_devices();
        free.map(|device| self.name(device)).collect()
    }

    pub fn count(&self, state: ModelState) -> usize {
        self.scheduler.counts().of(state)
    }
}
