//! Random schedules: submissions, stops, answers good and bad, engines that fail, repeat
//! themselves and lie, crashes and shutdowns. The oracle checks every step; at the end everything
//! has to come to an end.

use proptest::prelude::*;
use proptest::test_runner::{Config as Proptest, TestRunner};
use syncarp_runtime::{
    AssemblyId, Attempt, Config, DeviceId, EngineEvent, Event, ModelId, PlannedAssembly, Point,
    RawMetric, RawValue, RequestId, recover,
};

use crate::oracle::{Asked, Run};
use crate::recovery::journal;
use crate::script::{Script, concurrency, devices, hasty, per_device};

/// How many schedules a run of the tests goes through, unless the environment says otherwise.
const SCHEDULES: u32 = 3_000;

/// The environment variable that says otherwise.
const SCHEDULES_VARIABLE: &str = "SYNCARP_SCHEDULES";

/// Something that happens. Numbers choose among what there is at that time.
#[derive(Debug, Clone)]
enum Action {
    Submit,
    SubmitAgain(u32),
    Close,
    Shutdown,
    Restart,
    /// The process ends, and another reads the journal.
    Crash,
    Stop(u32),
    StopUnknown,
    Pass(u64),
    /// A good answer: so many models an assembly and so many devices an assembly.
    Answer(usize, usize),
    /// An answer that finds no room.
    AnswerNothing,
    /// An answer with made-up numbers.
    AnswerWildly(Vec<(Vec<u32>, Vec<u32>)>, Vec<u32>),
    AnswerOutOfTurn(u32),
    PlanFails(Option<u32>),
    Started(u32),
    /// Every model of an assembly goes on by an epoch.
    Train(u32),
    Checkpoint(u32),
    /// A result: a good one, one that is not finite, one that is not a number.
    Result(u32, u8),
    ModelEnds(u32, bool),
    AssemblyBreaks(u32),
    /// Whether or not every model of it has ended.
    AssemblyEnds(u32),
    /// Something that an engine said before, again.
    Repeat(u32),
    /// Something about any model by any assembly.
    Wild(u32, u32, u32),
}

fn action() -> impl Strategy<Value = Action> {
    use Action::*;
    let which = 0u32..1000;
    let small = || prop::collection::vec(0u32..8, 0..4);
    prop_oneof![
        20 => Just(Submit),
        1 => which.clone().prop_map(SubmitAgain),
        1 => Just(Close),
        1 => prop_oneof![4 => Just(Close), 1 => Just(Shutdown)],
        1 => Just(Restart),
        1 => Just(Crash),
        3 => which.clone().prop_map(Stop),
        1 => Just(StopUnknown),
        8 => (0u64..7_000_000).prop_map(Pass),
        16 => (1usize..4, 1usize..3).prop_map(|(models, devices)| Answer(models, devices)),
        2 => Just(AnswerNothing),
        2 => (prop::collection::vec((small(), small()), 0..4), small())
            .prop_map(|(assemblies, leftover)| AnswerWildly(assemblies, leftover)),
        1 => (0u32..9).prop_map(AnswerOutOfTurn),
        2 => prop::option::of(which.clone()).prop_map(PlanFails),
        6 => which.clone().prop_map(Started),
        12 => which.clone().prop_map(Train),
        4 => which.clone().prop_map(Checkpoint),
        4 => (which.clone(), 0u8..6).prop_map(|(model, kind)| Result(model, kind)),
        12 => (which.clone(), any::<bool>()).prop_map(|(model, well)| ModelEnds(model, well)),
        5 => which.clone().prop_map(AssemblyBreaks),
        8 => which.clone().prop_map(AssemblyEnds),
        5 => which.clone().prop_map(Repeat),
        3 => (0u32..8, 0u32..24, 0u32..9).prop_map(|(a, model, kind)| Wild(a, model, kind)),
    ]
}

fn config() -> impl Strategy<Value = Config> {
    let waiting = any::<bool>();
    let max = prop::option::weighted(0.4, 1u32..4);
    let limit = prop::option::weighted(0.4, 1u32..4);
    let counts = prop_oneof![1 => Just(0u32), 20 => 1u32..5];
    (counts, waiting, max, limit).prop_map(|(count, waiting, max, limit)| {
        let config = if waiting {
            devices(count)
        } else {
            hasty(count)
        };
        let config = match max {
            Some(max) => concurrency(max, config),
            None => config,
        };
        match limit {
            Some(limit) => per_device(limit, config),
            None => config,
        }
    })
}

/// A schedule under way.
struct Play {
    script: Script,
    submitted: u32,
    /// What engines have said.
    said: Vec<Event>,
}

impl Play {
    fn act(&mut self, action: Action) {
        match action {
            Action::Submit => {
                self.script.submit(&[self.submitted]);
                self.submitted += 1;
            }
            Action::SubmitAgain(which) if self.submitted > 0 => {
                self.script.submit(&[which % self.submitted]);
            }
            Action::Close => drop(self.script.close()),
            Action::Shutdown => drop(self.script.send(Event::Shutdown)),
            Action::Restart => drop(self.script.send(Event::Restarted)),
            Action::Crash => {
                let recovered = recover(journal(&self.script).as_slice()).expect("a whole journal");
                self.script.replace(recovered.scheduler);
                self.script.send(Event::Restarted);
            }
            Action::Stop(which) if self.submitted > 0 => {
                self.script.stop(which % self.submitted);
            }
            Action::StopUnknown => drop(self.script.stop(9_999)),
            Action::Pass(micros) => {
                self.script.pass(micros);
                self.script.tick();
            }
            Action::Answer(models, devices) => self.answer(models, devices),
            Action::AnswerNothing => {
                if let Some(asked) = self.script.oracle.asked.clone() {
                    let (request, leftover) = (asked.request, asked.models);
                    let assemblies = Vec::new();
                    self.script.send(Event::Planned {
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
                    self.script.send(Event::Planned {
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
                    self.script.send(Event::PlanFailed {
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
                self.script.send(event);
            }
            Action::Wild(assembly, model, kind) => self.wild(AssemblyId(assembly), model, kind),
            Action::SubmitAgain(_) | Action::Stop(_) | Action::Repeat(_) => {}
        }
    }

    fn say(&mut self, assembly: AssemblyId, event: EngineEvent) {
        let event = Event::Engine { assembly, event };
        self.said.push(event.clone());
        self.script.send(event);
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
        self.script.send(Event::Planned {
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
        self.script.send(Event::Planned {
            request: asked.request,
            assemblies,
            leftover,
        });
    }

    /// From here on everybody behaves. The number of rounds is bounded, so whoever waits for ever
    /// is found out.
    fn drain(&mut self) {
        if !self.script.scheduler.is_closed() {
            self.script.close();
        }
        for _ in 0..4 * self.submitted + 40 {
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

#[test]
fn whatever_happens_every_model_ends_once_and_no_device_is_lost() {
    let cases = std::env::var(SCHEDULES_VARIABLE).map_or(SCHEDULES, |text| {
        text.parse().expect("a number of schedules")
    });
    let proptest = Proptest {
        cases,
        failure_persistence: None,
        ..Proptest::default()
    };
    let schedules = (config(), prop::collection::vec(action(), 0..120));
    let outcome = TestRunner::new(proptest).run(&schedules, |(config, actions)| {
        let count = config.devices.len();
        let mut play = Play {
            script: Script::new(config),
            submitted: 0,
            said: Vec::new(),
        };
        for action in actions {
            play.act(action);
        }
        play.drain();
        let Play { script, .. } = play;
        prop_assert_eq!(script.oracle.finished, 1);
        prop_assert_eq!(script.scheduler.counts().live(), 0);
        prop_assert_eq!(script.scheduler.free_devices().count(), count);
        let recovered = recover(journal(&script).as_slice()).expect("a whole journal");
        prop_assert_eq!(recovered.scheduler, script.scheduler);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
