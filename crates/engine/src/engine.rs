//! The engine trait: small enough to fake in ten lines.

use std::sync::Arc;

use syncarp_data::DataStream;
use syncarp_evaluator::Evaluator;
use syncarp_ir::TensorData;
use syncarp_place::Assembly;

/// An assembly to be run, with all that it needs.
#[derive(Clone)]
pub struct Job {
    /// Names the assembly in events.
    pub id: u32,
    /// What to run.
    pub assembly: Arc<Assembly>,
    /// The evaluators of its models, in the assembly's order.
    pub evaluators: Vec<Arc<Evaluator>>,
    /// The data stream of all of them.
    pub data: Arc<DataStream>,
    /// A limit on steps, for comparisons; none to train to the last epoch.
    pub max_steps: Option<u64>,
    /// Whether every step's loss is told, for comparisons.
    pub step_losses: bool,
}

/// One tensor of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// Its path in the submitted model; an optimizer's slot has the parameter's path before it.
    pub path: Arc<str>,
    /// Its dims.
    pub dims: Vec<usize>,
    /// Its elements.
    pub data: TensorData,
    /// Whether it is the optimizer's.
    pub slot: bool,
}

/// A model's states at the end of an epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Epochs done.
    pub epoch: u64,
    /// Steps done.
    pub step: u64,
    /// The learning rate that the next step would have.
    pub rate: f64,
    /// The states.
    pub tensors: Vec<NamedTensor>,
}

/// What a model's numbers are after an epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochReport {
    /// Epochs done.
    pub epoch: u64,
    /// Steps done.
    pub step: u64,
    /// Mean training loss over the epoch's samples.
    pub train_loss: f64,
    /// The part that was evaluated: `validation`, or `train` where there is no such part.
    pub part: &'static str,
    /// Loss, then metrics, on that part.
    pub metrics: Vec<(Arc<str>, f64)>,
}

/// What an engine tells. Models are numbered in the assembly's order.
#[derive(Clone, Debug)]
pub enum Event {
    /// A model's training began.
    Started {
        /// The model.
        model: usize,
    },
    /// The assembly got further; for showing, not for deciding.
    Progress {
        /// Steps done.
        step: u64,
        /// Steps that the longest training of the assembly takes.
        steps: u64,
    },
    /// A model's loss in one step, where asked for.
    Loss {
        /// The model.
        model: usize,
        /// The step, counted from 0.
        step: u64,
        /// The loss.
        loss: f64,
    },
    /// A model's numbers after an epoch.
    Epoch {
        /// The model.
        model: usize,
        /// The numbers.
        report: EpochReport,
    },
    /// A model's numbers on the test part, at the end.
    Test {
        /// The model.
        model: usize,
        /// Loss, then metrics.
        metrics: Vec<(Arc<str>, f64)>,
    },
    /// A model's states, of its best epoch and of its last.
    Checkpoint {
        /// The model.
        model: usize,
        /// The best epoch's, by the first metric, or the loss where there is none.
        best: Option<Arc<Snapshot>>,
        /// The last epoch's, with the optimizer's tensors.
        last: Arc<Snapshot>,
    },
    /// A model is trained.
    Finished {
        /// The model.
        model: usize,
    },
    /// A model failed by its own fault.
    Failed {
        /// The model.
        model: usize,
        /// What happened.
        cause: String,
    },
    /// The assembly failed and nobody knows by whom.
    AssemblyFailed {
        /// What happened.
        cause: String,
    },
    /// The assembly ended; nothing of it follows.
    AssemblyFinished,
}

/// Takes an engine's events: the job's id and the event. Called from the engine's threads.
pub type Sink = Arc<dyn Fn(u32, Event) + Send + Sync>;

/// How much an engine may still compute. It is for whoever submits models to ask and to heed; what
/// was started is trained to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// As much as one likes.
    Unlimited,
    /// So many more training steps of a model.
    Steps(u64),
}

impl Budget {
    /// Whether nothing is left.
    pub fn is_exhausted(self) -> bool {
        self == Budget::Steps(0)
    }
}

/// What executes assemblies.
pub trait Engine: Send {
    /// Begins to run a job and returns; what happens is told to the sink.
    fn start(&mut self, job: Job, sink: Sink);

    /// Asks that a model of a running job be stopped; it gets no further events.
    fn stop_model(&mut self, job: u32, model: usize);

    /// Asks that a running job be stopped as a whole.
    fn stop(&mut self, job: u32);

    /// How much it may still compute.
    fn budget(&self) -> Budget {
        Budget::Unlimited
    }
}
