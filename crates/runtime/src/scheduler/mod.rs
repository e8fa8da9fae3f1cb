//! The scheduler: `(state, time, event) -> commands`.
//!
//! - [`planning`] turns queued models into requests, and plans into running assemblies.
//! - [`running`] takes the engines' events.
//! - [`query`] answers questions about the state.
//!
//! Every collection here is either ordered or an index, so the commands follow from the events
//! alone. An event costs the models and devices that it is about, each at the price of a search;
//! it never walks over the queue or over the models that have ended.

mod planning;
mod query;
mod running;

use std::collections::{BTreeMap, BTreeSet};

use crate::queue::{Line, Turn, Waiting};
use crate::{
    AssemblyId, Attempt, Cause, Command, Config, ConfigError, DeviceId, Event, Ledger, ModelEvent,
    ModelId, RequestId, Time, Warning,
};

pub use query::{Counts, ModelState, RunningAssembly, Statistics};

/// The scheduler's whole state. Equal histories give equal states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduler {
    config: Config,
    now: Time,
    closed: bool,
    shut_down: bool,
    /// Whether [`Command::Finished`] was given.
    finished: bool,
    models: BTreeMap<ModelId, Record>,
    counts: Counts,
    /// Models to be merged as the planner sees fit.
    queue: Line,
    /// Models whose assembly broke down with others in it; each runs alone from then on.
    retries: Line,
    next_turn: Turn,
    /// The queue is due up to this turn, whatever becomes of the batch that made it due.
    due_through: Option<Turn>,
    free: BTreeSet<DeviceId>,
    /// The one request that is under way. With one at a time, every offer is all there is, so a
    /// model that needs much cannot miss its chance between two offers of little.
    request: Option<Request>,
    next_request: u32,
    assemblies: BTreeMap<AssemblyId, Assembly>,
    next_assembly: u32,
    wake: Option<Time>,
    ledger: Ledger,
    statistics: Statistics,
}

/// All that is kept of a model; what an ended model costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Record {
    phase: Phase,
    /// How often it was started.
    attempts: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Queued(Turn),
    Retrying(Turn),
    Planning,
    Running(AssemblyId),
    Finished,
    Failed,
    Stopped,
}

/// A request to the planner, and what its devices are kept for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Request {
    id: RequestId,
    /// Whether its models come from the line of retries.
    alone: bool,
    /// The models that still wait for the answer.
    open: BTreeMap<ModelId, (Turn, Waiting)>,
    /// The models that were stopped since.
    stopped: BTreeSet<ModelId>,
    devices: BTreeSet<DeviceId>,
    max_assemblies: usize,
    /// Whether there are more free devices by now than were offered.
    outdated: bool,
}

/// A running assembly.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Assembly {
    alone: bool,
    devices: Vec<DeviceId>,
    members: BTreeMap<ModelId, Member>,
    /// The members in the plan's order.
    order: Vec<ModelId>,
    /// How many models were started in it.
    size: usize,
    /// How many of them have not ended.
    active: usize,
    /// Whether it was told to stop.
    stopping: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Member {
    attempt: Attempt,
    /// Where it stood in line, in case that it has to go back.
    turn: Turn,
    phase: MemberPhase,
    started: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MemberPhase {
    /// The engine is to say what becomes of it.
    Active,
    /// The scheduler ended it; what the engine still says of it was under way.
    Stopping,
    /// The engine said what became of it.
    Done,
}

impl Scheduler {
    /// A scheduler to which nothing has happened.
    ///
    /// # Errors
    /// Where the settings contradict themselves.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        let free = (0..).map(DeviceId).take(config.devices.len()).collect();
        Ok(Scheduler {
            config,
            now: Time::ZERO,
            closed: false,
            shut_down: false,
            finished: false,
            models: BTreeMap::new(),
            counts: Counts::default(),
            queue: Line::default(),
            retries: Line::default(),
            next_turn: 0,
            due_through: None,
            free,
            request: None,
            next_request: 0,
            assemblies: BTreeMap::new(),
            next_assembly: 0,
            wake: None,
            ledger: Ledger::default(),
            statistics: Statistics::default(),
        })
    }

    /// Takes an event and appends what is to be done about it.
    ///
    /// No event is an error: what does not fit the state gives a [`Command::Warn`] and is
    /// otherwise without effect. A time before the one of the last event counts as the latter.
    pub fn step(&mut self, now: Time, event: Event, commands: &mut Vec<Command>) {
        self.statistics.events += 1;
        if now < self.now {
            self.warn(
                Warning::TimeWentBack {
                    from: self.now,
                    to: now,
                },
                commands,
            );
        }
        self.now = self.now.max(now);
        match event {
            Event::Submit { model } => self.submit(model, commands),
            Event::SubmitAll { models } => {
                models
                    .into_iter()
                    .for_each(|model| self.submit(model, commands));
            }
            Event::Close if self.closed => self.warn(Warning::AlreadyClosed, commands),
            Event::Close => self.closed = true,
            Event::Planned {
                request,
                assemblies,
                leftover,
            } => {
                self.planned(request, assemblies, leftover, commands);
            }
            Event::PlanFailed {
                request,
                model,
                message,
            } => {
                self.plan_failed(request, model, message, commands);
            }
            Event::Engine { assembly, event } => self.engine(assembly, event, commands),
            Event::StopModel { model } => self.stop(model, commands),
            Event::Shutdown => self.shutdown(commands),
            Event::Restarted => self.restarted(),
            Event::Tick => {}
        }
        self.pump(commands);
        if self.closed && !self.finished && self.counts.live() == 0 {
            self.finished = true;
            commands.push(Command::Finished);
        }
    }

    fn submit(&mut self, model: ModelId, commands: &mut Vec<Command>) {
        self.visit(1);
        if self.models.contains_key(&model) {
            return self.warn(Warning::AlreadySubmitted { model }, commands);
        }
        let turn = self.turn();
        let record = Record {
            phase: Phase::Queued(turn),
            attempts: 0,
        };
        self.models.insert(model, record);
        self.counts.enter(record.phase.state());
        if self.closed {
            self.end(
                model,
                ModelEvent::Failed {
                    cause: Cause::Closed,
                },
                commands,
            );
        } else if self.config.devices.is_empty() {
            self.end(
                model,
                ModelEvent::Failed {
                    cause: Cause::NoDevices,
                },
                commands,
            );
        } else {
            self.queue.insert(
                turn,
                Waiting {
                    model,
                    since: self.now,
                    singly: false,
                },
            );
        }
    }

    fn stop(&mut self, model: ModelId, commands: &mut Vec<Command>) {
        self.visit(1);
        let Some(record) = self.models.get(&model) else {
            return self.warn(Warning::UnknownModel { model }, commands);
        };
        match record.phase {
            Phase::Finished | Phase::Failed | Phase::Stopped => {
                return self.warn(Warning::AlreadyEnded { model }, commands);
            }
            Phase::Queued(turn) => self.queue.remove(turn),
            Phase::Retrying(turn) => self.retries.remove(turn),
            Phase::Planning => {
                if let Some(request) = &mut self.request {
                    request.open.remove(&model);
                    request.stopped.insert(model);
                }
            }
            Phase::Running(assembly) => self.halt(assembly, model, commands),
        }
        self.end(model, ModelEvent::Stopped, commands);
    }

    /// Ends every model, nearest to its end first. Nothing is planned or started after that; the
    /// devices come back as the assemblies say that they have ended.
    fn shutdown(&mut self, commands: &mut Vec<Command>) {
        if self.shut_down {
            return self.warn(Warning::AlreadyShutDown, commands);
        }
        self.shut_down = true;
        self.closed = true;
        let mut models = Vec::with_capacity(self.counts.live());
        for (&id, assembly) in &mut self.assemblies {
            for (&model, member) in &mut assembly.members {
                if member.phase == MemberPhase::Active {
                    member.phase = MemberPhase::Stopping;
                    models.push(model);
                }
            }
            assembly.active = 0;
            if !std::mem::replace(&mut assembly.stopping, true) {
                commands.push(Command::StopAssembly { assembly: id });
            }
        }
        if let Some(request) = &mut self.request {
            let open = std::mem::take(&mut request.open);
            models.extend(open.keys());
            request.stopped.extend(open.into_keys());
        }
        models.extend(self.retries.drain().map(|waiting| waiting.model));
        models.extend(self.queue.drain().map(|waiting| waiting.model));
        self.visit(models.len());
        for model in models {
            self.end(model, ModelEvent::Stopped, commands);
        }
    }

    /// Gives a model its terminal event. The only place that does.
    fn end(&mut self, model: ModelId, event: ModelEvent, commands: &mut Vec<Command>) {
        let phase = match event {
            ModelEvent::Finished { .. } => Phase::Finished,
            ModelEvent::Failed { .. } => Phase::Failed,
            _ => Phase::Stopped,
        };
        debug_assert!(event.is_terminal());
        self.set_phase(model, phase);
        self.ledger.forget(model);
        commands.push(Command::Deliver { model, event });
    }

    fn set_phase(&mut self, model: ModelId, phase: Phase) {
        self.visit(1);
        let Some(record) = self.models.get_mut(&model) else {
            return;
        };
        debug_assert!(
            !record.phase.state().is_terminal(),
            "{model} ended and moved on"
        );
        self.counts.leave(record.phase.state());
        self.counts.enter(phase.state());
        record.phase = phase;
    }

    fn turn(&mut self) -> Turn {
        let turn = self.next_turn;
        self.next_turn += 1;
        turn
    }

    fn warn(&mut self, warning: Warning, commands: &mut Vec<Command>) {
        self.statistics.warnings += 1;
        commands.push(Command::Warn { warning });
    }

    /// Counts what an event looks at, so that a test can tell that it is not too much.
    fn visit(&mut self, count: usize) {
        self.statistics.visited += count as u64;
    }
}

impl Phase {
    fn state(self) -> ModelState {
        match self {
            Phase::Queued(_) => ModelState::Queued,
            Phase::Retrying(_) => ModelState::Retrying,
            Phase::Planning => ModelState::Planning,
            Phase::Running(_) => ModelState::Running,
            Phase::Finished => ModelState::Finished,
            Phase::Failed => ModelState::Failed,
            Phase::Stopped => ModelState::Stopped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, EngineEvent, PlannedAssembly, Point, RawMetric, RawValue};

    #[test]
    fn an_ended_model_is_no_more_than_its_record() {
        let config = Config::new(vec![Device {
            host: "host".into(),
            index: 0,
        }]);
        let mut scheduler = Scheduler::new(config).expect("the settings are right");
        let model = ModelId(0);
        let metric = RawMetric {
            model,
            attempt: Attempt(1),
            name: "loss".into(),
            at: Point::Epoch(1),
            value: RawValue::Number(0.5),
        };
        let planned = PlannedAssembly {
            models: vec![model],
            devices: vec![DeviceId(0)],
        };
        let engine = |event| Event::Engine {
            assembly: AssemblyId(0),
            event,
        };
        let history = [
            Event::Submit { model },
            Event::Close,
            Event::Planned {
                request: RequestId(0),
                assemblies: vec![planned],
                leftover: vec![],
            },
            engine(EngineEvent::Metrics {
                metrics: vec![metric],
            }),
            engine(EngineEvent::ModelFinished { model }),
        ];
        let mut commands = Vec::new();
        for event in history {
            scheduler.step(Time::ZERO, event, &mut commands);
        }
        assert!(
            scheduler.ledger.is_empty(),
            "the ledger is for models that have not ended"
        );
        scheduler.step(
            Time::ZERO,
            engine(EngineEvent::AssemblyFinished),
            &mut commands,
        );
        assert!(scheduler.assemblies.is_empty() && scheduler.request.is_none());
        assert_eq!((scheduler.queue.len(), scheduler.retries.len()), (0, 0));
        assert_eq!(scheduler.models.len(), 1);
        assert!(size_of::<Record>() <= 24);
    }
}
