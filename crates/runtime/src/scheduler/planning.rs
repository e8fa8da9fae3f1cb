//! From queued models to requests, and from plans to running assemblies.

use std::collections::{BTreeMap, BTreeSet};

use super::{Assembly, Member, MemberPhase, Phase, Request, Scheduler};
use crate::queue::{Turn, Waiting};
use crate::{
    AssemblyId, Attempt, Cause, Command, DeviceId, ModelEvent, ModelId, PlanFault, PlannedAssembly,
    RequestId, Started, Warning,
};

impl Scheduler {
    /// Asks the planner for whatever is due and has something to run on: retries first.
    pub(super) fn pump(&mut self, commands: &mut Vec<Command>) {
        let slots = self.slots();
        if self.shut_down || self.request.is_some() || self.free.is_empty() || slots == 0 {
            return;
        }
        self.visit(2);
        let alone = self.retries.head().is_some();
        let taken = if alone {
            // Each of them needs a device of its own, so more than that would only come back.
            self.retries.take(self.free.len().min(slots))
        } else if self.is_due(commands) {
            let batch = self.queue.take(self.config.batch_limit.of(self.free.len()));
            // Whoever comes along with a batch and is left over has been due once, and stays so.
            self.due_through = self.due_through.max(batch.last().map(|(turn, _)| *turn));
            batch
        } else {
            return;
        };
        self.visit(taken.len() + self.free.len());
        for (_, waiting) in &taken {
            self.set_phase(waiting.model, Phase::Planning);
        }
        let id = RequestId(self.next_request);
        self.next_request += 1;
        let devices = std::mem::take(&mut self.free);
        let max_assemblies = slots.min(devices.len());
        commands.push(Command::Plan {
            request: id,
            models: taken.iter().map(|(_, waiting)| waiting.model).collect(),
            devices: devices.iter().copied().collect(),
            max_assemblies,
            alone,
        });
        self.request = Some(Request {
            id,
            alone,
            open: taken
                .into_iter()
                .map(|entry| (entry.1.model, entry))
                .collect(),
            stopped: BTreeSet::new(),
            devices,
            max_assemblies,
            outdated: false,
        });
    }

    /// Whether a batch is due. If one is only going to be, asks to be woken then.
    fn is_due(&mut self, commands: &mut Vec<Command>) -> bool {
        let Some((turn, head)) = self.queue.head() else {
            return false;
        };
        let deadline = head.since.after(self.config.batch_waiting_time);
        if self.closed || deadline <= self.now {
            // Whoever is here now belongs to the batch: those for whom there is no device yet
            // have had their company and need not wait for more.
            self.due_through = self.due_through.max(self.queue.last_turn());
        }
        if Some(turn) <= self.due_through {
            return true;
        }
        if self.wake != Some(deadline) {
            self.wake = Some(deadline);
            commands.push(Command::WakeAt { time: deadline });
        }
        false
    }

    /// The request that an answer is for, taken off.
    fn answered(&mut self, id: RequestId, commands: &mut Vec<Command>) -> Option<Request> {
        match self.request.take_if(|request| request.id == id) {
            Some(request) => Some(request),
            None => {
                self.warn(Warning::UnknownRequest { request: id }, commands);
                None
            }
        }
    }

    /// Starts what a plan says and puts the rest back in line.
    pub(super) fn planned(
        &mut self,
        id: RequestId,
        assemblies: Vec<PlannedAssembly>,
        leftover: Vec<ModelId>,
        commands: &mut Vec<Command>,
    ) {
        let Some(mut request) = self.answered(id, commands) else {
            return;
        };
        let offered_all = request.devices.len() == self.config.devices.len();
        let mut fault = None;
        let mut started = 0;
        for (index, planned) in assemblies.into_iter().enumerate() {
            self.visit(planned.models.len() + planned.devices.len());
            let fits = if started == request.max_assemblies {
                Err(PlanFault::TooMany { index })
            } else {
                check(&request, index, &planned)
            };
            match fits {
                Err(wrong) => {
                    fault = fault.or(Some(wrong));
                    self.warn(
                        Warning::BadPlan {
                            request: id,
                            fault: wrong,
                        },
                        commands,
                    );
                }
                Ok(()) => {
                    started += usize::from(self.start(&mut request, index, planned, commands))
                }
            }
        }
        self.check_leftover(&request, &leftover, fault.is_some(), commands);
        self.visit(request.open.len() + request.devices.len());
        self.free.append(&mut request.devices);

        let mut rest = in_line(request.open);
        let progress = started > 0 || !request.stopped.is_empty();
        if !progress && offered_all && !rest.is_empty() {
            // Nothing that could still happen gives the planner more than it had. One model goes,
            // not all, because it may be the one that stood in the way of the others.
            let (_, first) = rest.remove(0);
            let cause = match fault {
                Some(fault) => Cause::BadPlan { fault },
                None => Cause::DoesNotFit,
            };
            self.end(first.model, ModelEvent::Failed { cause }, commands);
        } else if !progress && !request.outdated {
            let line = if request.alone {
                &mut self.retries
            } else {
                &mut self.queue
            };
            if let Some((last, _)) = rest.last() {
                line.refuse_through(*last);
            }
        }
        for (turn, waiting) in rest {
            self.line_up(request.alone, turn, waiting);
        }
    }

    /// Warns of models that the plan leaves over without having had them, or forgets. Where an
    /// assembly was refused, its models are in neither list, which is no fault of its own.
    fn check_leftover(
        &mut self,
        request: &Request,
        leftover: &[ModelId],
        refused: bool,
        commands: &mut Vec<Command>,
    ) {
        let mut named = BTreeSet::new();
        for &model in leftover {
            let known = request.open.contains_key(&model) || request.stopped.contains(&model);
            if !known || !named.insert(model) {
                let fault = PlanFault::Model { model };
                self.warn(
                    Warning::BadPlan {
                        request: request.id,
                        fault,
                    },
                    commands,
                );
            }
        }
        let missing = request.open.keys().find(|model| !named.contains(model));
        if let (Some(&model), false) = (missing, refused) {
            let fault = PlanFault::Missing { model };
            self.warn(
                Warning::BadPlan {
                    request: request.id,
                    fault,
                },
                commands,
            );
        }
    }

    /// Starts one assembly of a plan that was found to be right. False if all of its models have
    /// been stopped meanwhile, so that there is nothing to start.
    fn start(
        &mut self,
        request: &mut Request,
        index: usize,
        planned: PlannedAssembly,
        commands: &mut Vec<Command>,
    ) -> bool {
        let id = AssemblyId(self.next_assembly);
        let mut models = Vec::with_capacity(planned.models.len());
        let mut without = Vec::new();
        let mut members = BTreeMap::new();
        for &model in &planned.models {
            let (attempt, turn, phase) = match request.open.remove(&model) {
                Some((turn, _)) => {
                    let attempt = self.next_attempt(model);
                    models.push(Started { model, attempt });
                    self.set_phase(model, Phase::Running(id));
                    (attempt, turn, MemberPhase::Active)
                }
                None => {
                    // It is a member all the same, lest the engine's echo of it cause a warning.
                    without.push(model);
                    (Attempt(0), Turn::MAX, MemberPhase::Stopping)
                }
            };
            members.insert(
                model,
                Member {
                    attempt,
                    turn,
                    phase,
                    started: false,
                },
            );
        }
        if models.is_empty() {
            return false;
        }
        self.next_assembly += 1;
        for device in &planned.devices {
            request.devices.remove(device);
        }
        let assembly = Assembly {
            alone: request.alone,
            devices: planned.devices.clone(),
            members,
            order: planned.models,
            size: models.len(),
            active: models.len(),
            stopping: false,
        };
        self.assemblies.insert(id, assembly);
        let devices = planned.devices;
        let request = request.id;
        commands.push(Command::Start {
            assembly: id,
            request,
            index,
            models,
            without,
            devices,
        });
        true
    }

    fn next_attempt(&mut self, model: ModelId) -> Attempt {
        let attempts = self.models.get_mut(&model).map(|record| {
            record.attempts += 1;
            record.attempts
        });
        Attempt(attempts.unwrap_or(1))
    }

    /// Fails the model at fault; where nobody knows which it is, has each planned by itself.
    pub(super) fn plan_failed(
        &mut self,
        id: RequestId,
        culprit: Option<ModelId>,
        message: String,
        commands: &mut Vec<Command>,
    ) {
        let Some(mut request) = self.answered(id, commands) else {
            return;
        };
        self.visit(request.open.len() + request.devices.len());
        self.free.append(&mut request.devices);
        if let Some(model) = culprit {
            if request.open.remove(&model).is_some() {
                let cause = Cause::Planning { message };
                self.end(model, ModelEvent::Failed { cause }, commands);
                return self.line_up_again(request);
            }
            if request.stopped.contains(&model) {
                return self.line_up_again(request);
            }
            let fault = PlanFault::Model { model };
            self.warn(Warning::BadPlan { request: id, fault }, commands);
        }
        if request.open.len() + request.stopped.len() == 1 {
            if let Some((model, _)) = request.open.pop_first() {
                self.end(
                    model,
                    ModelEvent::Failed {
                        cause: Cause::Planning { message },
                    },
                    commands,
                );
            }
            return;
        }
        for (turn, waiting) in in_line(request.open) {
            // Retries keep their turn; the others join behind those that are there.
            let turn = if request.alone { turn } else { self.turn() };
            self.line_up(
                true,
                turn,
                Waiting {
                    singly: true,
                    ..waiting
                },
            );
        }
    }

    /// Puts the models of a request back where they stood.
    pub(super) fn line_up_again(&mut self, request: Request) {
        for (turn, waiting) in request.open.into_values() {
            self.line_up(request.alone, turn, waiting);
        }
    }

    pub(super) fn line_up(&mut self, alone: bool, turn: Turn, waiting: Waiting) {
        let (line, phase) = if alone {
            (&mut self.retries, Phase::Retrying(turn))
        } else {
            (&mut self.queue, Phase::Queued(turn))
        };
        line.insert(turn, waiting);
        self.set_phase(waiting.model, phase);
    }
}

/// Models in the order of their turns.
fn in_line(open: BTreeMap<ModelId, (Turn, Waiting)>) -> Vec<(Turn, Waiting)> {
    let mut line: Vec<(Turn, Waiting)> = open.into_values().collect();
    line.sort_unstable_by_key(|(turn, _)| *turn);
    line
}

/// Whether an assembly keeps to what was asked and offered and is not used up yet.
fn check(request: &Request, index: usize, planned: &PlannedAssembly) -> Result<(), PlanFault> {
    if planned.models.is_empty() {
        return Err(PlanFault::NoModels { index });
    }
    if planned.devices.is_empty() {
        return Err(PlanFault::NoDevices { index });
    }
    if request.alone && planned.models.len() > 1 {
        return Err(PlanFault::NotAlone { index });
    }
    let mut devices = BTreeSet::<DeviceId>::new();
    for &device in &planned.devices {
        if !request.devices.contains(&device) || !devices.insert(device) {
            return Err(PlanFault::Device { device });
        }
    }
    let mut models = BTreeSet::<ModelId>::new();
    for &model in &planned.models {
        let known = request.open.contains_key(&model) || request.stopped.contains(&model);
        if !known || !models.insert(model) {
            return Err(PlanFault::Model { model });
        }
    }
    Ok(())
}
