//! The thread that plans, so that whoever submits or asks never waits for a plan.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use syncarp_place::Device;

use crate::planner::{Planned, Planner, Trial};
use crate::{ModelId, RequestId};

/// What to plan.
pub(crate) struct Order {
    pub request: RequestId,
    pub planner: Arc<Planner>,
    /// The models to plan together, in order.
    pub models: Vec<ModelId>,
    /// Models that were asked for as well and wait for their turn.
    pub waiting: Vec<ModelId>,
    /// How many assemblies may be started.
    pub most: usize,
    pub trials: Vec<Trial>,
    pub devices: Vec<Device>,
}

/// A plan, or why there is none.
pub(crate) struct Answer {
    pub order: Order,
    pub planned: Result<Planned, PlanFailure>,
}

/// Why there is no plan.
pub(crate) struct PlanFailure {
    /// The model at fault, where one is known.
    pub model: Option<ModelId>,
    pub message: String,
}

/// The thread. It ends with its owner.
pub(crate) struct PlanWorker {
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl PlanWorker {
    /// Starts the thread, which gives every answer to `tell`.
    pub fn new(tell: impl Fn(Box<Answer>) + Send + 'static) -> Self {
        let (sender, receiver) = channel::<Order>();
        let thread = std::thread::spawn(move || {
            for order in receiver {
                let planned = plan(&order);
                tell(Box::new(Answer { order, planned }));
            }
        });
        PlanWorker {
            orders: Some(sender),
            thread: Some(thread),
        }
    }

    pub fn order(&self, order: Order) {
        let orders = self.orders.as_ref();
        let sent = orders.is_some_and(|orders| orders.send(order).is_ok());
        debug_assert!(sent, "the planning thread outlives its owner");
    }
}

impl Drop for PlanWorker {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // What a pass or a policy panics with was caught where it happened.
            let _ = thread.join();
        }
    }
}

/// Plans; a pass or a policy that panics has failed to.
fn plan(order: &Order) -> Result<Planned, PlanFailure> {
    let trials: Vec<&Trial> = order.trials.iter().collect();
    let planned = catch_unwind(AssertUnwindSafe(|| {
        order.planner.plan(&trials, &order.devices)
    }));
    match planned {
        Ok(Ok(planned)) => Ok(planned),
        Ok(Err(error)) => {
            let alone = (trials.len() == 1).then_some(0);
            Err(PlanFailure {
                model: error.culprit(&trials).or(alone).map(|at| order.models[at]),
                message: error.to_string(),
            })
        }
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(PlanFailure {
                model: (trials.len() == 1).then(|| order.models[0]),
                message: format!(
                    "a pass or the policy panicked: {}",
                    said.unwrap_or("no message")
                ),
            })
        }
    }
}
