//! Readable schedules: events go in one by one, and what came out is compared as text.
//!
//! Models, devices, assemblies and requests are written as `m1`, `d1`, `a1` and `r1`; times are
//! seconds. Every step is checked by the oracle as well.

use std::num::NonZeroU32;
use std::time::Duration;

use syncarp_runtime::{
    AssemblyId, Attempt, BatchLimit, Command, Config, Device, DeviceId, EngineEvent, Event,
    ModelEvent, ModelId, PlannedAssembly, Point, RawMetric, RawValue, Report, RequestId, Scheduler,
    Time,
};

use crate::oracle::Oracle;

/// So many devices on one host, and ten seconds of waiting.
pub fn devices(count: u32) -> Config {
    let devices = (0..count)
        .map(|index| Device {
            host: "host".into(),
            index,
        })
        .collect();
    Config {
        batch_waiting_time: Duration::from_secs(10),
        ..Config::new(devices)
    }
}

/// The same without waiting.
pub fn hasty(count: u32) -> Config {
    Config {
        batch_waiting_time: Duration::ZERO,
        ..devices(count)
    }
}

pub fn concurrency(max: u32, config: Config) -> Config {
    Config {
        max_concurrency: NonZeroU32::new(max),
        ..config
    }
}

pub fn per_device(limit: u32, config: Config) -> Config {
    let limit = NonZeroU32::new(limit).expect("a limit");
    Config {
        batch_limit: BatchLimit::PerDevice(limit),
        ..config
    }
}

/// A scheduler and what has happened to it.
pub struct Script {
    pub scheduler: Scheduler,
    pub oracle: Oracle,
    pub history: Vec<(Time, Event)>,
    /// What the last event led to.
    pub commands: Vec<Command>,
    now: Time,
    /// What came out and was not compared yet.
    said: Vec<String>,
    /// Whether nobody is going to compare.
    mute: bool,
}

impl Script {
    pub fn new(config: Config) -> Self {
        Script {
            oracle: Oracle::new(config.clone()),
            scheduler: Scheduler::new(config).expect("the settings are right"),
            history: Vec::new(),
            commands: Vec::new(),
            now: Time::ZERO,
            said: Vec::new(),
            mute: false,
        }
    }

    /// A script of which nothing is compared as text.
    pub fn mute(config: Config) -> Self {
        Script {
            mute: true,
            ..Script::new(config)
        }
    }

    /// Goes on with another scheduler in the same state.
    pub fn replace(&mut self, scheduler: Scheduler) {
        assert_eq!(self.scheduler, scheduler);
        self.scheduler = scheduler;
    }

    pub fn send(&mut self, event: Event) -> &mut Self {
        self.commands.clear();
        let now = self.now;
        self.scheduler.step(now, event.clone(), &mut self.commands);
        self.oracle
            .check(now, &event, &self.commands, &self.scheduler);
        self.history.push((now, event));
        if !self.mute {
            self.said.extend(self.commands.iter().map(show));
        }
        self
    }

    /// Compares everything that came out since the last time.
    #[track_caller]
    pub fn expect(&mut self, expected: &[&str]) -> &mut Self {
        assert_eq!(std::mem::take(&mut self.said), expected);
        self
    }

    /// Takes everything that came out since the last time as settled.
    pub fn ignore(&mut self) -> &mut Self {
        self.said.clear();
        self
    }

    pub fn at(&mut self, seconds: u64) -> &mut Self {
        self.now = Time::from_micros(seconds * 1_000_000);
        self
    }

    /// Lets time pass without an event.
    pub fn pass(&mut self, micros: u64) {
        self.now = Time::from_micros(self.now.as_micros() + micros);
    }

    pub fn submit(&mut self, models: &[u32]) -> &mut Self {
        for &model in models {
            self.send(Event::Submit {
                model: ModelId(model),
            });
        }
        self
    }

    /// Submits models at one moment, as company for each other.
    pub fn submit_together(&mut self, models: &[u32]) -> &mut Self {
        let models = models.iter().copied().map(ModelId).collect();
        self.send(Event::SubmitAll { models })
    }

    pub fn close(&mut self) -> &mut Self {
        self.send(Event::Close)
    }

    pub fn tick(&mut self) -> &mut Self {
        self.send(Event::Tick)
    }

    pub fn stop(&mut self, model: u32) -> &mut Self {
        self.send(Event::StopModel {
            model: ModelId(model),
        })
    }

    /// Answers a request with assemblies, each of models and devices, and with leftovers.
    pub fn plan(
        &mut self,
        request: u32,
        assemblies: &[(&[u32], &[u32])],
        leftover: &[u32],
    ) -> &mut Self {
        let assemblies = assemblies
            .iter()
            .map(|(models, devices)| PlannedAssembly {
                models: models.iter().copied().map(ModelId).collect(),
                devices: devices.iter().copied().map(DeviceId).collect(),
            })
            .collect();
        let leftover = leftover.iter().copied().map(ModelId).collect();
        self.send(Event::Planned {
            request: RequestId(request),
            assemblies,
            leftover,
        })
    }

    pub fn plan_fails(&mut self, request: u32, culprit: Option<u32>) -> &mut Self {
        let message = "shapes differ".into();
        let model = culprit.map(ModelId);
        self.send(Event::PlanFailed {
            request: RequestId(request),
            model,
            message,
        })
    }

    pub fn engine(&mut self, assembly: u32, event: EngineEvent) -> &mut Self {
        self.send(Event::Engine {
            assembly: AssemblyId(assembly),
            event,
        })
    }

    pub fn started(&mut self, assembly: u32, model: u32) -> &mut Self {
        self.engine(
            assembly,
            EngineEvent::Started {
                model: ModelId(model),
            },
        )
    }

    pub fn loss(
        &mut self,
        assembly: u32,
        model: u32,
        attempt: u32,
        at: Point,
        value: f64,
    ) -> &mut Self {
        let metrics = vec![raw(model, attempt, at, value)];
        self.engine(assembly, EngineEvent::Metrics { metrics })
    }

    /// A report by place, as JSON.
    pub fn reports(&mut self, assembly: u32, at: Point, report: serde_json::Value) -> &mut Self {
        let report = Report::from(&report);
        self.engine(assembly, EngineEvent::Report { at, report })
    }

    pub fn checkpoint(&mut self, assembly: u32, model: u32, attempt: u32, epoch: u64) -> &mut Self {
        let (model, attempt) = (ModelId(model), Attempt(attempt));
        self.engine(
            assembly,
            EngineEvent::CheckpointWritten {
                model,
                attempt,
                epoch,
            },
        )
    }

    pub fn finishes(&mut self, assembly: u32, model: u32) -> &mut Self {
        self.engine(
            assembly,
            EngineEvent::ModelFinished {
                model: ModelId(model),
            },
        )
    }

    pub fn fails(&mut self, assembly: u32, model: u32) -> &mut Self {
        let message = "the loss is NaN".into();
        self.engine(
            assembly,
            EngineEvent::ModelFailed {
                model: ModelId(model),
                message,
            },
        )
    }

    pub fn breaks(&mut self, assembly: u32) -> &mut Self {
        self.engine(
            assembly,
            EngineEvent::AssemblyFailed {
                message: "killed".into(),
            },
        )
    }

    pub fn ends(&mut self, assembly: u32) -> &mut Self {
        self.engine(assembly, EngineEvent::AssemblyFinished)
    }
}

/// A measurement of the loss.
pub fn raw(model: u32, attempt: u32, at: Point, value: f64) -> RawMetric {
    RawMetric {
        model: ModelId(model),
        attempt: Attempt(attempt),
        name: "loss".into(),
        at,
        value: RawValue::Number(value),
    }
}

fn list<T>(letter: char, items: &[T], number: impl Fn(&T) -> u32) -> String {
    items
        .iter()
        .map(|item| format!(" {letter}{}", number(item)))
        .collect()
}

/// A command on one line.
pub fn show(command: &Command) -> String {
    match command {
        Command::Plan {
            request,
            models,
            devices,
            max_assemblies,
            alone,
        } => format!(
            "plan r{}{}:{} on{}{}",
            request.0,
            if *alone { " alone" } else { "" },
            list('m', models, |m| m.0),
            list('d', devices, |d| d.0),
            if *max_assemblies < devices.len() {
                format!(", at most {max_assemblies}")
            } else {
                String::new()
            },
        ),
        Command::Start {
            assembly,
            request: _,
            index: _,
            models,
            without,
            devices,
        } => {
            let models: String = models
                .iter()
                .map(|s| format!(" m{}#{}", s.model.0, s.attempt.0))
                .collect();
            let without = match without.as_slice() {
                [] => String::new(),
                some => format!(" without{}", list('m', some, |m| m.0)),
            };
            format!(
                "start a{}:{models}{without} on{}",
                assembly.0,
                list('d', devices, |d| d.0)
            )
        }
        Command::StopModel { assembly, model } => format!("stop m{} of a{}", model.0, assembly.0),
        Command::StopAssembly { assembly } => format!("stop a{}", assembly.0),
        Command::Deliver { model, event } => format!("m{} {}", model.0, show_event(event)),
        Command::WakeAt { time } => format!("wake at {}", time.as_micros() / 1_000_000),
        Command::Warn { warning } => format!("warning: {warning}"),
        Command::Finished => "finished".into(),
    }
}

fn show_event(event: &ModelEvent) -> String {
    match event {
        ModelEvent::Started { attempt } => format!("started #{}", attempt.0),
        ModelEvent::Metric(metric) => {
            format!("{} at {} = {}", metric.name, metric.at, metric.value)
        }
        ModelEvent::Checkpoint { epoch, .. } => format!("checkpoint {epoch}"),
        ModelEvent::Finished { attempt } => format!("done #{}", attempt.0),
        ModelEvent::Failed { cause } => format!("failed: {cause}"),
        ModelEvent::Stopped => "stopped".into(),
    }
}
