//! What reaches the driver, and what it lets others see.

use std::collections::BTreeMap;
use std::sync::Arc;

use syncarp_engine::{Engine, Event as Told};

use crate::plan_worker::Answer;
use crate::planner::Trial;
use crate::{Event, Listener, ModelId, ModelState, Scheduler};

/// What reaches the driver.
pub(crate) enum Message {
    Submit(Vec<(ModelId, Trial)>),
    Happened(Event),
    Engine(u32, Told),
    Planned(Box<Answer>),
    Subscribe(Box<dyn Listener + Send>),
    Ask(Box<dyn FnOnce(&Seen<'_>) + Send>),
}

/// What a question may look at.
pub(crate) struct Seen<'a> {
    pub scheduler: &'a Scheduler,
    pub names: &'a BTreeMap<ModelId, Arc<str>>,
    pub engine: &'a dyn Engine,
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

impl Seen<'_> {
    /// All models, by number.
    pub fn statuses(&self) -> Vec<ModelStatus> {
        let unnamed: Arc<str> = "".into();
        let status = |(model, state)| ModelStatus {
            model,
            name: self.names.get(&model).unwrap_or(&unnamed).clone(),
            state,
            attempts: self.scheduler.attempts(model).unwrap_or(0),
        };
        self.scheduler.models().map(status).collect()
    }
}
