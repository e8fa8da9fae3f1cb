//! What others hold of a running session. A handle costs little, can be cloned and sent to other
//! threads, and none of its methods waits for planning or training.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use syncarp_engine::Budget;
use syncarp_pass::{Manager, PassRegistry, PipelineParseError, RegisterError};
use thiserror::Error;

use crate::message::{Message, ModelStatus, Seen};
use crate::planner::{Planner, Trial};
use crate::{Counts, Event, Listener, ModelId, ModelState};

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

/// What others hold of a running session.
#[derive(Clone)]
pub struct Handle {
    pub(crate) inbox: Sender<Message>,
    next: Arc<AtomicU32>,
    pub(crate) planner: Arc<Mutex<Arc<Planner>>>,
}

impl Handle {
    /// A handle whose first model gets the number `next`, and what it sends.
    pub(crate) fn new(planner: Planner, next: u32) -> (Self, Receiver<Message>) {
        let (inbox, messages) = channel();
        let handle = Handle {
            inbox,
            next: Arc::new(AtomicU32::new(next)),
            planner: Arc::new(Mutex::new(Arc::new(planner))),
        };
        (handle, messages)
    }

    fn send(&self, message: Message) -> Result<(), Ended> {
        self.inbox.send(message).map_err(|_| Ended)
    }

    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Seen<'_>) -> T + Send + 'static,
    ) -> Result<T, Ended> {
        let (sender, receiver) = channel();
        self.send(Message::Ask(Box::new(move |seen| {
            let _ = sender.send(question(seen));
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
    /// Where the session has ended; [`Session::join`](crate::Session::join) gives the last list.
    pub fn models(&self) -> Result<Vec<ModelStatus>, Ended> {
        self.ask(|seen| seen.statuses())
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
        self.ask(|seen| seen.scheduler.counts())
    }

    /// How many more models could be given a device at once: free devices less the models that
    /// wait for one. Never negative; a search submits that many more.
    ///
    /// # Errors
    /// Where the session has ended.
    pub fn idle_capacity(&self) -> Result<usize, Ended> {
        self.ask(|seen| seen.scheduler.idle_capacity())
    }

    /// How much the engine may still compute.
    ///
    /// # Errors
    /// Where the session has ended.
    pub fn budget(&self) -> Result<Budget, Ended> {
        self.ask(|seen| seen.engine.budget())
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
