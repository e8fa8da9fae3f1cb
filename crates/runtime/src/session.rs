//! A session: models submitted at any time, run as devices come free, heard of by subscription; and
//! the run of a closed set.

use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::Instant;

use syncarp_engine::Engine;

use crate::beginning::Beginning;
use crate::driver::{DriveError, Driver};
use crate::handle::Handle;
use crate::message::{Message, ModelStatus};
use crate::plan_worker::PlanWorker;
use crate::planner::{Planner, Trial};
use crate::settings::Settings;
use crate::{Event, Listener};

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
        let (handle, inbox) = Handle::new(planner, beginning.next());
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
            (ended, driver.seen().statuses())
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
    run_with(trials, settings, planner, engine, listener, |_| {})
}

/// The same; `begun` gets a handle before anything happens, to stop one model or all from elsewhere.
///
/// # Errors
/// As [`run`].
pub fn run_with(
    trials: &[Trial],
    settings: &Settings,
    planner: &Planner,
    engine: &mut dyn Engine,
    listener: &mut dyn Listener,
    begun: impl FnOnce(&Handle),
) -> Result<(), DriveError> {
    let beginning = Beginning::new(settings, planner)?;
    let (handle, inbox) = Handle::new(planner.clone(), 0);
    begun(&handle);
    let mut driver = driver(engine, listener, settings, beginning, (&handle, inbox));
    // The driver is there and takes them before anything else.
    let _ = handle.submit_all(trials.iter().cloned());
    let _ = handle.close();
    drop(handle);
    driver.drive()
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
