//! Engines and passes that do as a test says.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use syncarp_engine::{Engine, Event as Told, Job, Sink};
use syncarp_ir::{Exactness, Plan};
use syncarp_pass::{
    Changed, Context, Pass, PassDoc, PassError, PassRegistry, RegisterError, Stage,
};

/// An engine that does nothing by itself: a test hears of each job and tells its events.
pub struct Puppet {
    jobs: Sender<Running>,
    running: Vec<(u32, usize, Sink)>,
}

/// A job that the puppet was given.
pub struct Running {
    pub id: u32,
    pub models: usize,
    pub sink: Sink,
}

impl Running {
    pub fn tell(&self, event: Told) {
        (self.sink)(self.id, event);
    }

    pub fn finish(&self) {
        for model in 0..self.models {
            self.tell(Told::Finished { model });
        }
        self.tell(Told::AssemblyFinished);
    }
}

impl Puppet {
    pub fn new() -> (Self, Receiver<Running>) {
        let (jobs, receiver) = channel();
        let running = Vec::new();
        (Puppet { jobs, running }, receiver)
    }
}

impl Engine for Puppet {
    fn start(&mut self, job: Job, sink: Sink) {
        let models = job.evaluators.len();
        self.running.push((job.id, models, sink.clone()));
        let id = job.id;
        let _ = self.jobs.send(Running { id, models, sink });
    }

    fn stop_model(&mut self, _: u32, _: usize) {}

    fn stop(&mut self, job: u32) {
        for (id, _, sink) in &self.running {
            if *id == job {
                sink(job, Told::AssemblyFinished);
            }
        }
    }
}

/// An engine that panics whenever it is to start more than one model.
pub struct Brittle<E>(pub E);

impl<E: Engine> Engine for Brittle<E> {
    fn start(&mut self, job: Job, sink: Sink) {
        assert!(job.evaluators.len() < 2, "too many for me");
        self.0.start(job, sink);
    }

    fn stop_model(&mut self, job: u32, model: usize) {
        self.0.stop_model(job, model);
    }

    fn stop(&mut self, job: u32) {
        self.0.stop(job);
    }
}

/// How often the pass `count` ran.
pub static COUNTED: AtomicUsize = AtomicUsize::new(0);

/// Held while the pass `gate` is to wait.
pub static GATE: Mutex<()> = Mutex::new(());

/// Changes nothing, and counts.
pub fn count(registry: &mut PassRegistry) -> Result<(), RegisterError> {
    registry.register(doc("count"), |_| {
        Ok(Box::new(Deed(|_| {
            COUNTED.fetch_add(1, Ordering::SeqCst);
        })))
    })
}

/// Changes nothing, and waits at the gate.
pub fn gate(registry: &mut PassRegistry) -> Result<(), RegisterError> {
    registry.register(doc("gate"), |_| {
        Ok(Box::new(Deed(|_| {
            drop(GATE.lock().unwrap_or_else(PoisonError::into_inner));
        })))
    })
}

/// Cannot stand a model called `bomb`.
pub fn fuse(registry: &mut PassRegistry) -> Result<(), RegisterError> {
    registry.register(doc("fuse"), |_| {
        Ok(Box::new(Deed(|plan| {
            let bomb = plan.models.iter().any(|model| &*model.name == "bomb");
            assert!(!bomb, "there is a bomb");
        })))
    })
}

fn doc(name: &'static str) -> PassDoc {
    PassDoc {
        name,
        doc: "A test's.",
        stage: Stage::Any,
        exactness: Exactness::Bitwise,
        options: &[],
    }
}

struct Deed(fn(&Plan));

impl Pass for Deed {
    fn run(&self, plan: &mut Plan, _: &mut Context<'_>) -> Result<Changed, PassError> {
        self.0(plan);
        Ok(Changed::from_bool(false))
    }
}
