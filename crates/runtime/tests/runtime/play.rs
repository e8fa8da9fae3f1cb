//! A random schedule under way: what each action does, given what there is at that time.

use serde_json::{Value, json};
use syncarp_runtime::{
    AssemblyId, Attempt, Config, DeviceId, EngineEvent, Event, ModelId, PlannedAssembly, Point,
    RawMetric, RawValue, Report, RequestId, recover,
};

use crate::actions::Action;
use crate::oracle::{Asked, Run};
use crate::recovery::journal;
use crate::script::Script;
use crate::seen::Seen;

/// A schedule under way.
pub struct Play {
    pub script: Script,
    submitted: u32,
    /// What engines have said.
    said: Vec<Event>,
    pub seen: Seen,
}

impl Play {
    pub fn new(config: Config) -> Self {
        Play {
            script: Script::mute(config),
            submitted: 0,
            said: Vec::new(),
            seen: Seen::default(),
        }
    }

    fn send(&mut self, event: Event) {
        self.script.send(event);
        self.seen.take(&self.script.commands);
    }

    fn submit_new(&mut self, count: u32) -> Vec<ModelId> {
        let models = (self.submitted..).map(ModelId).take(count as usize);
        self.submitted += count;
        models.collect()
    }

    pub fn act(&mut self, action: Action) {
        match action {
            Action::Submit => {
                let model = self.submit_new(1)[0];
                self.send(Event::Submit { model });
            }
            Action::SubmitTogether(count) => {
                let models = self.submit_new(count);
                self.send(Event::SubmitAll { models });
            }
            Action::SubmitAgain(which) if self.submitted > 0 => {
                let model = ModelId(which % self.submitted);
                self.send(Event::Submit { model });
            }
            Action::Close => self.send(Event::Close),
            Action::Shutdown => self.send(Event::Shutdown),
            Action::Restart => self.send(Event::Restarted),
            Action::Crash => {
                let recovered = recover(journal(&self.script).as_slice()).expect("a whole journal");
                self.script.replace(recovered.scheduler);
                self.send(Event::Restarted);
            }
            Action::Stop(which) if self.submitted > 0 => {
                let model = ModelId(which % self.submitted);
                self.send(Event::StopModel { model });
            }
            Action::StopUnknown => {
                let model = ModelId(9_999);
                self.send(Event::StopModel { model });
            }
            Action::Pass(micros) => {
                self.script.pass(micros.into());
                self.send(Event::Tick);
            }
            Action::Wake => {
                if let Some(time) = self.script.scheduler.wake_at() {
                    let now = self.script.scheduler.now();
                    self.script.pass(time.as_micros() - now.as_micros());
                    self.send(Event::Tick);
                }
            }
            Action::Answer(models, devices) => self.answer(models as usize, devices as usize),
            Action::AnswerNothing => {
                if let Some(asked) = self.script.oracle.asked.clone() {
                    let (request, leftover) = (asked.request, asked.models);
                    let assemblies = Vec::new();
                    self.send(Event::Planned {
                        request,
                        assemblies,
                        leftover,
                    });
                }
            }
            Action::AnswerWildly(assemblies, leftover) => {
                if let Some(asked) = self.script.oracle.asked.clone() {
                    self.answer_wildly(&asked, assemblies, leftover);
                }
            }
            Action::AnswerOutOfTurn(request) => {
                let request = RequestId(request);
                if self
                    .script
                    .oracle
                    .asked
                    .as_ref()
                    .is_none_or(|a| a.request != request)
                {
                    let (assemblies, leftover) = (Vec::new(), Vec::new());
                    self.send(Event::Planned {
                        request,
                        assemblies,
                        leftover,
                    });
                }
            }
            Action::PlanFails(which) => {
                if let Some(asked) = self.script.oracle.asked.clone() {
                    let model = which.map(|which| pick(&asked.models, which));
                    let message = "no".into();
                    self.send(Event::PlanFailed {
                        request: asked.request,
                        model,
                        message,
                    });
                }
            }
            Action::Started(which) => {
                self.with_model(which, |model, _, _| EngineEvent::Started { model })
            }
            Action::Train(which) => self.train(which),
            Action::TrainByPlace(which, entries) => self.train_by_place(which, &entries),
            Action::Misreport(which, kind) => {
                if let Some((assembly, run)) = self.run(which) {
                    let zeros = |count: usize| json!(vec![0; count]);
                    let report = match kind {
                        0 => zeros(run.order.len() - 1),
                        1 => zeros(run.order.len() + 1),
                        2 => json!({"default": 0.5}),
                        _ => Value::Null,
                    };
                    self.report(assembly, Point::Epoch(1), &report);
                }
            }
            Action::Checkpoint(which) => self.with_model(which, |model, attempt, epoch| {
                EngineEvent::CheckpointWritten {
                    model,
                    attempt,
                    epoch,
                }
            }),
            Action::Result(which, kind) => self.with_model(which, |model, attempt, _| {
                let value = match kind {
                    0 => RawValue::Number(f64::NAN),
                    1 => RawValue::Other("a list".into()),
                    _ => RawValue::Number(0.5),
                };
                let (name, at) = ("accuracy".into(), Point::Final);
                EngineEvent::Metrics {
                    metrics: vec![RawMetric {
                        model,
                        attempt,
                        name,
                        at,
                        value,
                    }],
                }
            }),
            Action::ModelEnds(which, well) => self.with_model(which, |model, _, _| match well {
                true => EngineEvent::ModelFinished { model },
                false => EngineEvent::ModelFailed {
                    model,
                    message: "NaN".into(),
                },
            }),
            Action::AssemblyBreaks(which) => {
                if let Some((assembly, _)) = self.run(which) {
                    self.say(
                        assembly,
                        EngineEvent::AssemblyFailed {
                            message: "killed".into(),
                        },
                    );
                }
            }
            Action::AssemblyEnds(which) => {
                if let Some((assembly, _)) = self.run(which) {
                    self.say(assembly, EngineEvent::AssemblyFinished);
                }
            }
            Action::Repeat(which) if !self.said.is_empty() => {
                let event = self.said[which as usize % self.said.len()].clone();
                self.send(event);
            }
            Action::Wild(assembly, model, kind) => self.wild(AssemblyId(assembly), model, kind),
            Action::SubmitAgain(_) | Action::Stop(_) | Action::Repeat(_) => {}
        }
    }

    fn say(&mut self, assembly: AssemblyId, event: EngineEvent) {
        let event = Event::Engine { assembly, event };
        self.said.push(event.clone());
        self.send(event);
    }

    fn run(&self, which: u32) -> Option<(AssemblyId, Run)> {
        let runs: Vec<_> = self.script.oracle.runs.iter().collect();
        let (assembly, run) = runs.get(which as usize % runs.len().max(1))?;
        Some((**assembly, (*run).clone()))
    }

    /// Says something about a model that trains, given its attempt and epoch.
    fn with_model(&mut self, which: u32, event: impl Fn(ModelId, Attempt, u64) -> EngineEvent) {
        let Some((assembly, run)) = self.run(which) else {
            return;
        };
        let models: Vec<_> = run.training.into_iter().collect();
        if models.is_empty() {
            return;
        }
        let (model, epoch) = pick(&models, which / 7);
        self.say(assembly, event(model, run.started[&model], epoch));
    }

    fn train(&mut self, which: u32) {
        let Some((assembly, run)) = self.run(which) else {
            return;
        };
        let metric = |(&model, &epoch): (&ModelId, &u64)| RawMetric {
            model,
            attempt: run.started[&model],
            name: "loss".into(),
            at: Point::Epoch(epoch),
            value: RawValue::Number(if which.is_multiple_of(9) {
                f64::NAN
            } else {
                0.5
            }),
        };
        let metrics = run.training.iter().map(metric).collect();
        if let Some(run) = self.script.oracle.runs.get_mut(&assembly) {
            run.training.values_mut().for_each(|epoch| *epoch += 1);
        }
        self.say(assembly, EngineEvent::Metrics { metrics });
    }

    /// As [`Play::train`], with entries good and bad, for those that have ended as well.
    fn train_by_place(&mut self, which: u32, entries: &[u32]) {
        let Some((assembly, run)) = self.run(which) else {
            return;
        };
        let epoch = run.training.values().copied().max().unwrap_or(1);
        if let Some(run) = self.script.oracle.runs.get_mut(&assembly) {
            run.training.values_mut().for_each(|next| *next = epoch + 1);
        }
        let entry = |place: usize| match entries[place % entries.len()] {
            0 => Value::Null,
            1 => json!("high"),
            2 => json!({"loss": 0.5}),
            3 => json!("NaN"),
            4..=9 => json!({"default": 0.5, "loss": 0.25, "note": "x"}),
            10 => json!(true),
            _ => json!(0.5),
        };
        let report: Vec<Value> = (0..run.order.len()).map(entry).collect();
        let at = match entries[0] {
            0..=4 => Point::Final,
            _ => Point::Epoch(epoch),
        };
        self.report(assembly, at, &Value::Array(report));
    }

    fn report(&mut self, assembly: AssemblyId, at: Point, report: &Value) {
        let report = Report::from(report);
        self.say(assembly, EngineEvent::Report { at, report });
    }

    fn wild(&mut self, assembly: AssemblyId, model: u32, kind: u32) {
        let (model, attempt) = (ModelId(model), Attempt(kind % 3));
        let event = match kind {
            0 => EngineEvent::Started { model },
            1 => EngineEvent::ModelFinished { model },
            2 => EngineEvent::ModelFailed {
                model,
                message: "wild".into(),
            },
            3 => EngineEvent::AssemblyFinished,
            4 => EngineEvent::AssemblyFailed {
                message: "wild".into(),
            },
            5 => EngineEvent::CheckpointWritten {
                model,
                attempt,
                epoch: 1,
            },
            _ => {
                let (name, at) = ("loss".into(), Point::Step(1));
                let value = RawValue::Number(1.0);
                let metric = RawMetric {
                    model,
                    attempt,
                    name,
                    at,
                    value,
                };
                EngineEvent::Metrics {
                    metrics: vec![metric.clone(), metric],
                }
            }
        };
        self.say(assembly, event);
    }

    /// A good answer: models in line, so many an assembly, as far as devices and slots go.
    fn answer(&mut self, models: usize, devices: usize) {
        let Some(asked) = self.script.oracle.asked.clone() else {
            return;
        };
        let models = if asked.alone { 1 } else { models };
        let devices = devices.min(asked.devices.len());
        let assemblies: Vec<PlannedAssembly> = asked
            .models
            .chunks(models)
            .zip(asked.devices.chunks_exact(devices))
            .take(asked.max_assemblies)
            .map(|(models, devices)| PlannedAssembly {
                models: models.to_vec(),
                devices: devices.to_vec(),
            })
            .collect();
        let placed: usize = assemblies
            .iter()
            .map(|assembly| assembly.models.len())
            .sum();
        let leftover = asked.models[placed..].to_vec();
        self.send(Event::Planned {
            request: asked.request,
            assemblies,
            leftover,
        });
    }

    /// An answer that picks models and devices at random, mostly among those asked for.
    fn answer_wildly(
        &mut self,
        asked: &Asked,
        assemblies: Vec<(Vec<u32>, Vec<u32>)>,
        leftover: Vec<u32>,
    ) {
        let model = |which: u32| match which {
            7 => ModelId(9_999),
            _ => pick(&asked.models, which),
        };
        let device = |which: u32| match which {
            7 => DeviceId(9_999),
            6 => DeviceId(0),
            _ => pick(&asked.devices, which),
        };
        let assemblies = assemblies
            .into_iter()
            .map(|(models, devices)| PlannedAssembly {
                models: models.into_iter().map(model).collect(),
                devices: devices.into_iter().map(device).collect(),
            })
            .collect();
        let leftover = leftover.into_iter().map(model).collect();
        self.send(Event::Planned {
            request: asked.request,
            assemblies,
            leftover,
        });
    }

    /// From here on everybody behaves. The number of rounds is bounded, so whoever waits for ever
    /// is found out.
    pub fn drain(&mut self) {
        if !self.script.scheduler.is_closed() {
            self.send(Event::Close);
        }
        for _ in 0..4 * self.submitted + 40 {
            let oracle = &self.script.oracle;
            if oracle.finished > 0 && oracle.runs.is_empty() && oracle.asked.is_none() {
                break;
            }
            self.answer(2, 1);
            for (assembly, run) in self.script.oracle.runs.clone() {
                for model in run.training.into_keys() {
                    self.say(assembly, EngineEvent::ModelFinished { model });
                }
                self.say(assembly, EngineEvent::AssemblyFinished);
            }
        }
    }
}

fn pick<T: Copy>(from: &[T], which: u32) -> T {
    from[which as usize % from.len()]
}
