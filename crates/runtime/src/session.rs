//! A session: models submitted at any time, run as devices come free, heard of by subscription.
//!
//! [`Session`] is the running thing and [`Handle`] is what others hold of it; a handle costs
//! little, can be cloned and sent to other threads, and none of its methods waits for planning or
//! training.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use syncarp_engine::{Budget, Engine};
use syncarp_pass::{Manager, PassRegistry, PipelineParseError, RegisterError};
use syncarp_place::Device;
use thiserror::Error;

use crate::beginning::Beginning;
use crate::driver::{DriveError, Driver, Message};
use crate::plan_worker::PlanWorker;
use crate::planner::{Planner, Trial};
use crate::{BatchLimit, Config, Counts, Event, Listener, ModelId, ModelState};

/// What to run beside the models.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// A limit on the steps of every model, for comparisons.
    pub max_steps: Option<u64>,
    /// Whether every step's loss is told.
    pub step_losses: bool,
}

/// What a session is told once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The devices.
    pub devices: Vec<Device>,
    /// How long the oldest queued model may wait for company before a batch is made of what is
    /// there. Nobody waits once submission is closed.
    pub batch_waiting_time: Duration,
    /// How many assemblies may run at once, retries included; none is no limit but the devices.
    pub max_concurrency: Option<NonZeroU32>,
    /// Where everything that happens is written down, so that it can be taken up again.
    pub journal: Option<PathBuf>,
    /// What to run beside the models.
    pub options: RunOptions,
}

impl Settings {
    /// These devices, one second of waiting for company, no limit, no journal.
    pub fn new(devices: Vec<Device>) -> Self {
        Settings {
            devices,
            batch_waiting_time: Duration::from_secs(1),
            max_concurrency: None,
            journal: None,
            options: RunOptions::default(),
        }
    }

    pub(crate) fn config(&self, planner: &Planner) -> Config {
        let named = |d: &Device| crate::Device {
            host: d.host.to_string(),
            index: d.index,
        };
        Config {
            batch_waiting_time: self.batch_waiting_time,
            max_concurrency: self.max_concurrency,
            batch_limit: match planner.policy.models_per_device() {
                Some(models) => BatchLimit::PerDevice(models),
                None => BatchLimit::PerDevice(Config::MODELS_PER_DEVICE),
            },
            ..Config::new(self.devices.iter().map(named).collect())
        }
    }
}

/// The session has ended, so nobody is there to do or to answer anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the session has ended")]
pub struct Ended;

/// Why a pass was not added; the fault is the caller's.
#[derive(Debug, Error)]
pub enum AddPassError {
    /// Its name is taken.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The pipeline names what is not there, or is no pipeline.
    #[error(transparent)]
    Pipeline(#[from] PipelineParseError),
}

/// A model and where it is on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelStatus {
    /// The model.
    pub model: ModelId,
    /// The name it was submitted with.
    pub name: Arc<str>,
    /// Where it is.
    pub state: ModelState,
    /// How often it was started.
    pub attempts: u32,
}

/// What others hold of a running session.
#[derive(Clone)]
pub struct Handle {
    inbox: Sender<Message>,
    next: Arc<AtomicU32>,
    planner: Arc<Mutex<Arc<Planner>>>,
}

impl Handle {
    fn send(&self, message: Message) -> Result<(), Ended> {
        self.inbox.send(message).map_err(|_| Ended)
    }

    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Driver<'_>) -> T + Send + 'static,
    ) -> Result<T, Ended> {
        let (sender, receiver) = channel();
        self.send(Message::Ask(Box::new(move |driver| {
            let _ = sender.send(question(driver));
        })))?;
        receiver.recv().map_err(|_| Ended)
    }

    /// Submits a model and returns at once; what becomes of it is told to the subscribers, exactly
    /// one terminal event at the end.
    ///
    /// # Errors
    /// Where the session has ended.
    pub fn submit(&self, trial: Trial) -> Result<ModelId, Ended> {
        let model = ModelId(self.next.fetch_add(1, Ordering::Relaxed));
        self.send(Message::Submit(vec![(model, trial)]))?;
        Ok(model)
    }

    /// Submits models together: they are company for each other, however short the waiting time.
    ///
    /// # Errors
    /// Where the session has ended.
    pub fn submit_all(
        &self,
        trials: impl IntoIterator<Item = Trial>,
    ) -> Result<Vec<ModelId>, Ended> {
        let trials: Vec<Trial> = trials.into_iter().collect();
        let first = self.next.fetch_add(trials.len() as u32, Ordering::Relaxed);
        let models: Vec<(ModelId, Trial)> = (first..).map(ModelId).zip(trials).collect();
        let numbers = models.iter().map(|(model, _)| *model).collect();
        self.send(Message::Submit(models))?;
        Ok(numbers)
    }

    /// Stops a model, wherever it is on its way; the others go on.
    ///
    /// # Errors
    /// Where the session has ended.
    pub fn stop(&self, model: ModelId) -> Result<(), Ended> {
        self.send(Message::Happened(Event::StopModel { model }))
    }

    /// No more models will come: nobody waits for company any longer, and the session ends when
    /// all models have.
    ///
    /// # Errors
    /// Where the session has ended.
    pub fn close(&self) -> Result<(), Ended> {
        self.send(Message::Happened(Event::Close))
    }

    /// Ends every model that has not ended, queued or running, and then the session.
    ///
    /// # Errors
    /// Where the session has ended.
    pub fn shutdown(&self) -> Result<(), Ended> {
        self.send(Message::Happened(Event::Shutdown))
    }

    /// Adds a listener, which hears what happens from now on, on the driver's thread: it should be
    /// quick. A `Sender<(ModelId, ModelEvent)>` is a listener.
    ///
    /// # Errors
    /// Where the session has ended.
    pub fn subscribe(&self, listener: impl Listener + Send + 'static) -> Result<(), Ended> {
        self.send(Message::Subscribe(Box::new(listener)))
    }

    /// All models that were ever submitted, by number.
    ///
    /// # Errors
    /// Where the session has ended; [`Session::join`] gives the last list.
    pub fn models(&self) -> Result<Vec<ModelStatus>, Ended> {
        self.ask(|driver| driver.statuses())
    }

    /// The models in one state.
    ///
    /// # Errors
    /// Where the session has ended.
    pub fn models_in(&self, state: ModelState) -> Result<Vec<ModelStatus>, Ended> {
        let mut models = self.models()?;
        models.retain(|status| status.state == state);
        Ok(models)
    }

    /// How many models are in each state.
    ///
    /// # Errors
    /// Where the session has ended.
    pub fn counts(&self) -> Result<Counts, Ended> {
        self.ask(|driver| driver.scheduler.counts())
    }

    /// How many more models could be given a device at once: free devices less the models that
    /// wait for one. Never negative; a search submits that many more.
    ///
    /// # Errors
    /// Where the session has ended.
    pub fn idle_capacity(&self) -> Result<usize, Ended> {
        self.ask(|driver| driver.scheduler.idle_capacity())
    }

    /// How much the engine may still compute.
    ///
    /// # Errors
    /// Where the session has ended.
    pub fn budget(&self) -> Result<Budget, Ended> {
        self.ask(|driver| driver.engine.budget())
    }

    /// Adds a pass, of the caller's own crate or of any other, for all batches that are planned
    /// from now on: `register` enters it, and `pipeline` says how it is run, behind the passes
    /// that are run already.
    ///
    /// # Errors
    /// Where its name is taken, or the pipeline is wrong; then nothing has changed.
    pub fn add_pass(
        &self,
        register: impl FnOnce(&mut PassRegistry) -> Result<(), RegisterError>,
        pipeline: &str,
    ) -> Result<(), AddPassError> {
        let mut current = self.planner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut planner = Planner::clone(&current);
        let mut passes = PassRegistry::clone(&planner.passes);
        register(&mut passes)?;
        planner.passes = Arc::new(passes);
        planner.pipeline = match planner.pipeline.trim().is_empty() {
            true => pipeline.to_owned(),
            false => format!("{},{pipeline}", planner.pipeline),
        };
        Manager::new(&planner.passes, &planner.pipeline)?;
        *current = Arc::new(planner);
        Ok(())
    }
}

/// Whether all went well, and how the models are.
type Outcome = (Result<(), DriveError>, Vec<ModelStatus>);

/// A running session. Dropping it shuts it down.
pub struct Session {
    handle: Handle,
    thread: Option<JoinHandle<Outcome>>,
}

impl std::ops::Deref for Session {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Session {
    /// Starts a session to which nothing has been submitted.
    ///
    /// # Errors
    /// Where the devices are wrong, or the journal cannot be created.
    pub fn start(
        settings: Settings,
        planner: Planner,
        engine: impl Engine + 'static,
    ) -> Result<Self, DriveError> {
        let beginning = Beginning::new(&settings, &planner)?;
        Ok(Self::spawn(settings, planner, engine, beginning))
    }

    /// Takes up the session whose journal the settings name. What was queued, being planned or
    /// running is queued again, first in line, under its old number; what was delivered is not
    /// delivered again. `trials` gives the models that had not ended, by name; one that it does
    /// not give fails. A session that was closed stays closed.
    ///
    /// # Errors
    /// Where the journal cannot be read, or is of a run on other devices.
    pub fn resume(
        settings: Settings,
        planner: Planner,
        engine: impl Engine + 'static,
        trials: impl FnMut(&str) -> Option<Trial>,
    ) -> Result<Self, DriveError> {
        let beginning = Beginning::resumed(&settings, &planner, trials)?;
        Ok(Self::spawn(settings, planner, engine, beginning))
    }

    fn spawn(
        settings: Settings,
        planner: Planner,
        mut engine: impl Engine + 'static,
        beginning: Beginning,
    ) -> Self {
        let (handle, inbox) = handle(planner, beginning.next());
        let own = handle.clone();
        let thread = std::thread::spawn(move || {
            let mut nobody = ();
            let mut driver = driver(
                &mut engine,
                &mut nobody,
                &settings,
                beginning,
                (&own, inbox),
            );
            drop(own);
            let ended = driver.drive();
            (ended, driver.statuses())
        });
        Session {
            handle,
            thread: Some(thread),
        }
    }

    /// A handle to be cloned and sent to others.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Closes submission, waits until every model has ended, and tells how.
    ///
    /// # Errors
    /// Where the journal could no longer be written, so that everything was stopped.
    pub fn join(mut self) -> Result<Vec<ModelStatus>, DriveError> {
        // Where it ended meanwhile, it need not be closed.
        let _ = self.handle.close();
        self.wait()
    }

    /// Ends every model that has not ended, waits until the devices are free, and tells how the
    /// models ended.
    ///
    /// # Errors
    /// As [`Session::join`].
    pub fn shutdown_and_wait(mut self) -> Result<Vec<ModelStatus>, DriveError> {
        let _ = self.handle.shutdown();
        self.wait()
    }

    fn wait(&mut self) -> Result<Vec<ModelStatus>, DriveError> {
        let Some(thread) = self.thread.take() else {
            return Ok(Vec::new());
        };
        let (ended, statuses) = thread.join().map_err(|_| DriveError::Panic)?;
        ended.map(|()| statuses)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.thread.is_some() {
            let _ = self.handle.shutdown();
            let _ = self.wait();
        }
    }
}

/// Runs a closed set of trials to their ends on the calling thread: every trial gets exactly one
/// terminal event. Model numbers are places in `trials`.
///
/// # Errors
/// Where the devices are wrong, or the journal cannot be written.
pub fn run(
    trials: &[Trial],
    settings: &Settings,
    planner: &Planner,
    engine: &mut dyn Engine,
    listener: &mut dyn Listener,
) -> Result<(), DriveError> {
    let beginning = Beginning::new(settings, planner)?;
    let (handle, inbox) = handle(planner.clone(), 0);
    listener.begun(&handle);
    let mut driver = driver(engine, listener, settings, beginning, (&handle, inbox));
    // The driver is there and takes them before anything else.
    let _ = handle.submit_all(trials.iter().cloned());
    let _ = handle.close();
    drop(handle);
    driver.drive()
}

fn handle(planner: Planner, next: u32) -> (Handle, Receiver<Message>) {
    let (inbox, messages) = channel();
    let handle = Handle {
        inbox,
        next: Arc::new(AtomicU32::new(next)),
        planner: Arc::new(Mutex::new(Arc::new(planner))),
    };
    (handle, messages)
}

fn driver<'a>(
    engine: &'a mut dyn Engine,
    listener: &'a mut dyn Listener,
    settings: &Settings,
    beginning: Beginning,
    (handle, inbox): (&Handle, Receiver<Message>),
) -> Driver<'a> {
    let answers = handle.inbox.clone();
    // Where the driver has ended, nobody needs the answer.
    let worker = PlanWorker::new(move |answer| drop(answers.send(Message::Planned(answer))));
    let mut driver = Driver {
        engine,
        listener,
        subscribers: Vec::new(),
        before: beginning.scheduler.now(),
        finished: beginning.scheduler.is_finished(),
        scheduler: beginning.scheduler,
        journal: beginning.journal,
        devices: settings.devices.clone(),
        options: settings.options.clone(),
        planner: handle.planner.clone(),
        worker,
        inbox,
        sender: handle.inbox.clone(),
        trials: beginning.trials,
        names: beginning.names,
        plan: None,
        running: BTreeMap::new(),
        snapshots: BTreeMap::new(),
        origin: Instant::now(),
        wake: None,
        failure: None,
    };
    if beginning.resumed {
        driver.handle(Event::Restarted);
    }
    driver
}

impl Driver<'_> {
    fn statuses(&self) -> Vec<ModelStatus> {
        let unnamed: Arc<str> = "".into();
        let status = |(model, state)| ModelStatus {
            model,
            name: self
                .names
                .get(&model)
                .cloned()
                .unwrap_or_else(|| unnamed.clone()),
            state,
            attempts: self.scheduler.attempts(model).unwrap_or(0),
        };
        self.scheduler.models().map(status).collect()
    }
}
