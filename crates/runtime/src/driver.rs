//! The driver: real time, a planning thread and an engine around the scheduler.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use syncarp_engine::{Engine, Event as Told, Sink, Snapshot};
use syncarp_place::Device;
use thiserror::Error;

use crate::message::{Message, Seen};
use crate::plan_worker::{Answer, Order, PlanWorker};
use crate::planner::{Planner, Trial};
use crate::settings::RunOptions;
use crate::told::{Heard, hear};
use crate::{
    AssemblyId, Attempt, Command, ConfigError, EngineEvent, Event, Journal, JournalError, Listener,
    ModelEvent, ModelId, PlannedAssembly, RequestId, Scheduler, Started, Time,
};

/// Why models cannot be run at all, or no longer.
#[derive(Debug, Error)]
pub enum DriveError {
    /// The devices are wrong: the fault of the user.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The journal cannot be written, so that nothing could be taken up again: the fault of the
    /// machine. Every model got its terminal event.
    #[error("the journal cannot be written, so everything was stopped")]
    Write(#[source] std::io::Error),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal is of a run on other devices: the fault of the user.
    #[error("the journal is of a run on {journal}, not on {given}")]
    OtherDevices {
        /// The journal's.
        journal: String,
        /// Those that were given.
        given: String,
    },
    /// The thread of the driver panicked: our own bug.
    #[error("the driver panicked")]
    Panic,
}

/// Everything that drives a scheduler. It lives on one thread; others send it messages.
pub(crate) struct Driver<'a> {
    pub engine: &'a mut dyn Engine,
    pub listener: &'a mut dyn Listener,
    pub subscribers: Vec<Box<dyn Listener + Send>>,
    pub scheduler: Scheduler,
    pub journal: Option<Journal<File>>,
    pub devices: Vec<Device>,
    pub options: RunOptions,
    pub planner: Arc<Mutex<Arc<Planner>>>,
    pub worker: PlanWorker,
    pub inbox: Receiver<Message>,
    pub sender: Sender<Message>,
    /// The models that have not ended.
    pub trials: BTreeMap<ModelId, Trial>,
    /// The names of all that were ever submitted.
    pub names: BTreeMap<ModelId, Arc<str>>,
    /// The plan whose assemblies are being started.
    pub plan: Option<Box<Answer>>,
    pub running: BTreeMap<u32, Vec<Started>>,
    /// Checkpoints that the engine gave, until the scheduler says that they are to be delivered.
    pub snapshots: BTreeMap<ModelId, (Option<Arc<Snapshot>>, Arc<Snapshot>)>,
    pub origin: Instant,
    /// The scheduler's time at `origin`: not zero where a journal is taken up again.
    pub before: Time,
    pub wake: Option<Time>,
    pub finished: bool,
    pub failure: Option<DriveError>,
}

impl Driver<'_> {
    /// What others may see.
    pub fn seen(&self) -> Seen<'_> {
        Seen {
            scheduler: &self.scheduler,
            names: &self.names,
            engine: &*self.engine,
        }
    }

    fn now(&self) -> Time {
        self.before.after(self.origin.elapsed())
    }

    /// Goes on until submission is closed, every model has ended and no assembly runs.
    pub fn drive(&mut self) -> Result<(), DriveError> {
        while !self.finished || !self.running.is_empty() {
            match self.next() {
                Some(message) => self.take(message),
                None => {
                    self.wake = None;
                    self.handle(Event::Tick);
                }
            }
        }
        self.failure.take().map_or(Ok(()), Err)
    }

    /// The next message; none where it is time for the scheduler to look at its clock.
    fn next(&self) -> Option<Message> {
        let received = match self.wake {
            None => self
                .inbox
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
            Some(time) => {
                let left = time.as_micros().saturating_sub(self.now().as_micros());
                self.inbox.recv_timeout(Duration::from_micros(left))
            }
        };
        match received {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                unreachable!("the driver holds a sender of its own")
            }
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Submit(models) => self.submit(models),
            Message::Happened(event) => self.handle(event),
            Message::Engine(id, told) => self.told(id, told),
            Message::Planned(answer) => self.planned(answer),
            Message::Subscribe(listener) => self.subscribers.push(listener),
            Message::Ask(ask) => ask(&self.seen()),
        }
    }

    fn submit(&mut self, submitted: Vec<(ModelId, Trial)>) {
        let models = submitted.iter().map(|(model, _)| *model).collect();
        for (model, trial) in submitted {
            self.names.insert(model, trial.submission.name.clone());
            self.trials.insert(model, trial);
        }
        self.handle(Event::SubmitAll { models });
    }

    /// Writes an event down, feeds it to the scheduler and carries out what that commands.
    pub fn handle(&mut self, event: Event) {
        let mut commands = Vec::new();
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let now = self.now();
            if let Err(error) = self.write(now, &event) {
                self.journal = None;
                self.failure = Some(DriveError::Write(error));
                // Last in, first out: this event still counts, and then all is over.
                events.push(Event::Shutdown);
                self.tell(|l| l.warning("the journal cannot be written: everything is stopped"));
            }
            self.scheduler.step(now, event, &mut commands);
            for command in commands.drain(..) {
                if let Some(answer) = self.carry_out(command) {
                    events.push(answer);
                }
            }
        }
    }

    fn write(&mut self, now: Time, event: &Event) -> std::io::Result<()> {
        let Some(journal) = &mut self.journal else {
            return Ok(());
        };
        let submitted: &[ModelId] = match event {
            Event::SubmitAll { models } => models,
            _ => &[],
        };
        let names = submitted.iter().filter_map(|model| self.names.get(model));
        let names: Vec<&str> = names.map(|name| &**name).collect();
        journal.append_named(now, event, &names)
    }

    fn tell(&mut self, say: impl Fn(&mut dyn Listener)) {
        say(self.listener);
        for subscriber in &mut self.subscribers {
            say(&mut **subscriber);
        }
    }

    /// Carries a command out; some are answered at once.
    fn carry_out(&mut self, command: Command) -> Option<Event> {
        match command {
            Command::Plan {
                request,
                models,
                devices,
                max_assemblies,
                alone,
            } => {
                // Of models that must be alone, the first is planned now.
                let together = if alone { 1 } else { models.len() };
                return self.order(request, models, together, &devices, max_assemblies);
            }
            Command::Start {
                assembly,
                request,
                index,
                models,
                without,
                devices,
            } => {
                let names: Vec<String> = devices
                    .iter()
                    .map(|d| self.devices[d.0 as usize].to_string())
                    .collect();
                self.begin(assembly, request, index, &models, &without, &names);
            }
            Command::StopModel { assembly, model } => {
                let models = self.running.get(&assembly.0);
                let place = models.and_then(|m| m.iter().position(|s| s.model == model));
                if let Some(place) = place {
                    self.engine.stop_model(assembly.0, place);
                }
            }
            Command::StopAssembly { assembly } => self.engine.stop(assembly.0),
            Command::Deliver { model, event } => self.deliver(model, &event),
            Command::WakeAt { time } => self.wake = Some(time),
            Command::Warn { warning } => {
                let text = warning.to_string();
                self.tell(|l| l.warning(&text));
            }
            Command::Finished => self.finished = true,
        }
        None
    }

    fn deliver(&mut self, model: ModelId, event: &ModelEvent) {
        self.tell(|l| l.delivered(model, event));
        if let ModelEvent::Checkpoint { .. } = event
            && let Some((best, last)) = self.snapshots.remove(&model)
        {
            self.tell(|l| l.checkpoint(model, best.as_ref(), &last));
        }
        if event.is_terminal() {
            self.trials.remove(&model);
            self.snapshots.remove(&model);
        }
    }

    /// Has the first so many models planned; the rest waits its turn.
    fn order(
        &mut self,
        request: RequestId,
        mut models: Vec<ModelId>,
        together: usize,
        devices: &[crate::DeviceId],
        most: usize,
    ) -> Option<Event> {
        let waiting = models.split_off(together);
        let found = models.iter().map(|m| self.trials.get(m).cloned().ok_or(*m));
        let trials = match found.collect::<Result<Vec<Trial>, ModelId>>() {
            Ok(trials) => trials,
            Err(model) => {
                let message = "the model was not handed in again after a restart".to_owned();
                return Some(Event::PlanFailed {
                    request,
                    model: Some(model),
                    message,
                });
            }
        };
        let planner = self.planner.lock();
        let planner = planner.unwrap_or_else(PoisonError::into_inner).clone();
        let device = |d: &crate::DeviceId| self.devices[d.0 as usize].clone();
        self.worker.order(Order {
            request,
            planner,
            models,
            waiting,
            most,
            trials,
            devices: devices.iter().map(device).collect(),
        });
        None
    }

    fn planned(&mut self, answer: Box<Answer>) {
        let request = answer.order.request;
        let event = match &answer.planned {
            Err(failure) => Event::PlanFailed {
                request,
                model: failure.model,
                message: failure.message.clone(),
            },
            Ok(planned) => {
                let batch = &answer.order.models;
                self.tell(|l| l.planned(planned, batch));
                let all = planned.placement.assemblies.iter();
                let assemblies: Vec<PlannedAssembly> = all
                    .take(answer.order.most)
                    .map(|a| PlannedAssembly {
                        models: a.models.iter().map(|m| batch[m.index()]).collect(),
                        devices: a.devices.iter().map(|d| self.id_of(d)).collect(),
                    })
                    .collect();
                let placed: BTreeSet<ModelId> = assemblies
                    .iter()
                    .flat_map(|a| a.models.iter().copied())
                    .collect();
                let all = batch.iter().chain(&answer.order.waiting).copied();
                Event::Planned {
                    request,
                    assemblies,
                    leftover: all.filter(|m| !placed.contains(m)).collect(),
                }
            }
        };
        self.plan = Some(answer);
        self.handle(event);
        self.plan = None;
    }

    /// The number of a device; a policy that makes devices up is found out by the scheduler.
    fn id_of(&self, device: &Device) -> crate::DeviceId {
        let same = |d: &Device| d.host == device.host && d.index == device.index;
        let at = self.devices.iter().position(same);
        crate::DeviceId(at.map_or(u32::MAX, |at| at as u32))
    }

    fn begin(
        &mut self,
        assembly: AssemblyId,
        request: RequestId,
        index: usize,
        models: &[Started],
        without: &[ModelId],
        devices: &[String],
    ) {
        let answer = self.plan.as_ref().filter(|a| a.order.request == request);
        let Some((order, planned)) =
            answer.and_then(|a| Some((&a.order, a.planned.as_ref().ok()?)))
        else {
            unreachable!("an assembly is started while its plan is there");
        };
        let trials: Vec<&Trial> = order.trials.iter().collect();
        let mut job = order.planner.job(assembly.0, planned, index, &trials);
        job.max_steps = self.options.max_steps;
        job.step_losses = self.options.step_losses;
        let members: Vec<ModelId> = job
            .assembly
            .models
            .iter()
            .map(|m| order.models[m.index()])
            .collect();
        let attempts: BTreeMap<ModelId, Attempt> =
            models.iter().map(|s| (s.model, s.attempt)).collect();
        let started = members.iter().map(|model| Started {
            model: *model,
            attempt: attempts.get(model).copied().unwrap_or(Attempt(0)),
        });
        let started: Vec<Started> = started.collect();
        self.tell(|l| l.assembly(assembly, &started, devices));
        self.running.insert(assembly.0, started);
        let sender = self.sender.clone();
        // Nobody listens any more only when the run has ended.
        let sink: Sink = Arc::new(move |id, event| drop(sender.send(Message::Engine(id, event))));
        let engine = &mut self.engine;
        if catch_unwind(AssertUnwindSafe(|| engine.start(job, sink))).is_err() {
            let cause = "the engine panicked when it was to start the assembly".to_owned();
            let failed = Message::Engine(assembly.0, Told::AssemblyFailed { cause });
            // It takes its place behind what the engine may have told before.
            let _ = self.sender.send(failed);
            return;
        }
        for (place, model) in members.iter().enumerate() {
            if without.contains(model) {
                self.engine.stop_model(assembly.0, place);
            }
        }
    }

    /// Hands on what the engine told, keyed by model and attempt.
    fn told(&mut self, id: u32, told: Told) {
        let assembly = AssemblyId(id);
        let Some(models) = self.running.get(&id) else {
            return;
        };
        let event = match hear(models, told) {
            None => {
                let text = format!("{assembly} told something of a model that it does not have");
                return self.tell(|l| l.warning(&text));
            }
            Some(Heard::Progress { step, steps }) => {
                return self.tell(|l| l.progress(assembly, step, steps));
            }
            Some(Heard::Loss { model, step, loss }) => {
                return self.tell(|l| l.loss(model, step, loss));
            }
            Some(Heard::Checkpoint {
                event,
                model,
                best,
                last,
            }) => {
                self.snapshots.insert(model, (best, last));
                event
            }
            Some(Heard::Event(event)) => event,
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
