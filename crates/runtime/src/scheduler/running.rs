//! What the engines say about running assemblies.

use super::{Assembly, Member, MemberPhase, Scheduler};
use crate::demux::{Admission, demultiplex};
use crate::queue::{Turn, Waiting};
use crate::{
    AssemblyId, Attempt, Cause, Command, EngineEvent, ModelEvent, ModelId, Point, RawMetric,
    RawValue, Report, Warning,
};

/// How an assembly ended.
enum End {
    /// It broke down; these are the engine's words.
    Failed(String),
    /// The engine thinks that all is well.
    Finished,
}

impl Scheduler {
    pub(super) fn engine(
        &mut self,
        assembly: AssemblyId,
        event: EngineEvent,
        commands: &mut Vec<Command>,
    ) {
        self.visit(1);
        if !self.assemblies.contains_key(&assembly) {
            let warning = if assembly.0 < self.next_assembly {
                Warning::EndedAssembly { assembly }
            } else {
                Warning::UnknownAssembly { assembly }
            };
            return self.warn(warning, commands);
        }
        match event {
            EngineEvent::Started { model } => self.started(assembly, model, commands),
            EngineEvent::Metrics { metrics } => self.metrics(assembly, metrics, commands),
            EngineEvent::Report { at, report } => self.report(assembly, at, report, commands),
            EngineEvent::CheckpointWritten {
                model,
                attempt,
                epoch,
            } => {
                self.checkpoint(assembly, model, attempt, epoch, commands);
            }
            EngineEvent::ModelFinished { model } => {
                if let Some(member) = self.outcome(assembly, model, commands) {
                    let attempt = member.attempt;
                    self.end(model, ModelEvent::Finished { attempt }, commands);
                }
            }
            EngineEvent::ModelFailed { model, message } => {
                if self.outcome(assembly, model, commands).is_some() {
                    let cause = Cause::Training { message };
                    self.end(model, ModelEvent::Failed { cause }, commands);
                }
            }
            EngineEvent::AssemblyFailed { message } => {
                self.end_assembly(assembly, End::Failed(message), commands);
            }
            EngineEvent::AssemblyFinished => {
                self.end_assembly(assembly, End::Finished, commands);
            }
        }
    }

    fn started(&mut self, assembly: AssemblyId, model: ModelId, commands: &mut Vec<Command>) {
        let Some(member) = self.active_member(assembly, model, commands) else {
            return;
        };
        let attempt = member.attempt;
        if std::mem::replace(&mut member.started, true) {
            self.warn(Warning::RepeatedStart { assembly, model }, commands);
        } else if self.ledger.admit_start(model) {
            let event = ModelEvent::Started { attempt };
            commands.push(Command::Deliver { model, event });
        } else {
            self.statistics.suppressed += 1;
        }
    }

    fn metrics(
        &mut self,
        assembly: AssemblyId,
        metrics: Vec<RawMetric>,
        commands: &mut Vec<Command>,
    ) {
        self.visit(metrics.len());
        let Some(running) = self.assemblies.get(&assembly) else {
            return;
        };
        let out = demultiplex(metrics, &mut self.ledger, |raw| {
            admit(
                assembly,
                raw.model,
                raw.attempt,
                running.members.get(&raw.model),
            )
        });
        self.statistics.suppressed += out.suppressed;
        for warning in out.warnings {
            self.warn(warning, commands);
        }
        commands.extend(
            out.deliveries
                .into_iter()
                .map(|(model, metric)| Command::Deliver {
                    model,
                    event: ModelEvent::Metric(metric),
                }),
        );
        for (model, cause) in out.failures {
            self.halt(assembly, model, commands);
            self.end(model, ModelEvent::Failed { cause }, commands);
        }
    }

    /// Takes a report by place. Where nobody knows which entry is whose, no entry is delivered,
    /// and the assembly goes the way of one that broke down.
    fn report(
        &mut self,
        assembly: AssemblyId,
        at: Point,
        report: Report,
        commands: &mut Vec<Command>,
    ) {
        let Some(running) = self.assemblies.get(&assembly) else {
            return;
        };
        if running.stopping {
            self.statistics.suppressed += 1;
            return;
        }
        let members = running.order.iter();
        let members = members.map(|model| (*model, running.members[model].attempt));
        match report.keyed(at, members) {
            Ok(mut metrics) => {
                // The list has a place for those that have ended, and something has to stand there.
                metrics.retain(|raw| match raw.value {
                    RawValue::Number(_) => true,
                    RawValue::Other(_) => running.members[&raw.model].phase == MemberPhase::Active,
                });
                self.metrics(assembly, metrics, commands);
            }
            Err(fault) => {
                let message = fault.to_string();
                self.warn(Warning::BadReport { assembly, fault }, commands);
                self.break_up(assembly, message, commands);
            }
        }
    }

    fn checkpoint(
        &mut self,
        assembly: AssemblyId,
        model: ModelId,
        attempt: Attempt,
        epoch: u64,
        commands: &mut Vec<Command>,
    ) {
        let Some(running) = self.assemblies.get(&assembly) else {
            return;
        };
        match admit(assembly, model, attempt, running.members.get(&model)) {
            Admission::Unexpected(warning) => self.warn(warning, commands),
            Admission::Overtaken => self.statistics.suppressed += 1,
            Admission::Expected if self.ledger.admit_checkpoint(model, epoch) => {
                let event = ModelEvent::Checkpoint { attempt, epoch };
                commands.push(Command::Deliver { model, event });
            }
            Admission::Expected if attempt.0 > 1 => self.statistics.suppressed += 1,
            Admission::Expected => {
                self.warn(Warning::RepeatedCheckpoint { model, epoch }, commands);
            }
        }
    }

    /// The member of an assembly that an event is about, if the event may be about it.
    fn active_member(
        &mut self,
        assembly: AssemblyId,
        model: ModelId,
        commands: &mut Vec<Command>,
    ) -> Option<&mut Member> {
        let phase = self
            .assemblies
            .get(&assembly)?
            .members
            .get(&model)
            .map(|m| m.phase);
        match phase {
            Some(MemberPhase::Active) => {}
            Some(MemberPhase::Stopping) => self.statistics.suppressed += 1,
            Some(MemberPhase::Done) => self.warn(Warning::LateEvent { assembly, model }, commands),
            None => self.warn(Warning::NotInAssembly { assembly, model }, commands),
        }
        self.assemblies
            .get_mut(&assembly)?
            .members
            .get_mut(&model)
            .filter(|member| member.phase == MemberPhase::Active)
    }

    /// Takes note that the engine is done with a model; gives the member if that ends the model.
    fn outcome(
        &mut self,
        assembly: AssemblyId,
        model: ModelId,
        commands: &mut Vec<Command>,
    ) -> Option<Member> {
        if let Some(member) = self.active_member(assembly, model, commands) {
            member.phase = MemberPhase::Done;
            let member = *member;
            self.assemblies.get_mut(&assembly)?.active -= 1;
            return Some(member);
        }
        // The engine may say once what became of a model that it was told to stop.
        let member = self
            .assemblies
            .get_mut(&assembly)?
            .members
            .get_mut(&model)?;
        member.phase = MemberPhase::Done;
        None
    }

    /// Tells the engine to stop a model, or the assembly if nobody is left in it.
    pub(super) fn halt(
        &mut self,
        assembly: AssemblyId,
        model: ModelId,
        commands: &mut Vec<Command>,
    ) {
        let Some(running) = self.assemblies.get_mut(&assembly) else {
            return;
        };
        let Some(member) = running.members.get_mut(&model) else {
            return;
        };
        member.phase = MemberPhase::Stopping;
        running.active -= 1;
        if running.active > 0 {
            commands.push(Command::StopModel { assembly, model });
        } else if !std::mem::replace(&mut running.stopping, true) {
            commands.push(Command::StopAssembly { assembly });
        }
    }

    /// Stops an assembly that cannot be listened to any longer. Its models go on without it; its
    /// devices come back as it says that it has ended.
    fn break_up(&mut self, id: AssemblyId, message: String, commands: &mut Vec<Command>) {
        let Some(assembly) = self.assemblies.get_mut(&id) else {
            return;
        };
        let lost = assembly.lost();
        let alone = assembly.size == 1;
        for member in assembly.members.values_mut() {
            if member.phase == MemberPhase::Active {
                member.phase = MemberPhase::Stopping;
            }
        }
        assembly.active = 0;
        assembly.stopping = true;
        self.visit(lost.len());
        commands.push(Command::StopAssembly { assembly: id });
        self.scatter(lost, alone, &End::Failed(message), commands);
    }

    /// Frees the devices, and finds an end or a second chance for every model that has had none.
    fn end_assembly(&mut self, id: AssemblyId, end: End, commands: &mut Vec<Command>) {
        let Some(assembly) = self.assemblies.remove(&id) else {
            return;
        };
        self.visit(assembly.members.len() + assembly.devices.len());
        let lost = assembly.lost();
        self.release(assembly.devices);
        if let End::Finished = end {
            for &model in &lost {
                let assembly = id;
                self.warn(Warning::NoOutcome { assembly, model }, commands);
            }
        }
        self.scatter(lost, assembly.size == 1, &end, commands);
    }

    /// Ends a model whose assembly was lost with it alone, and has all others tried again, alone.
    fn scatter(&mut self, lost: Vec<ModelId>, alone: bool, end: &End, commands: &mut Vec<Command>) {
        for model in lost {
            if alone {
                let cause = match end {
                    End::Failed(message) => Cause::Engine {
                        message: message.clone(),
                    },
                    End::Finished => Cause::NoOutcome,
                };
                self.end(model, ModelEvent::Failed { cause }, commands);
            } else {
                let turn = self.turn();
                let waiting = Waiting {
                    model,
                    since: self.now,
                    singly: false,
                };
                self.line_up(true, turn, waiting);
            }
        }
    }

    /// Devices are free again, so whoever found no room may find some now.
    fn release(&mut self, devices: impl IntoIterator<Item = crate::DeviceId>) {
        self.free.extend(devices);
        self.queue.reconsider();
        self.retries.reconsider();
        if let Some(request) = &mut self.request {
            request.outdated = true;
        }
    }

    /// Everything under way is lost by nobody's fault: back to where it stood in line, due at once.
    pub(super) fn restarted(&mut self) {
        if let Some(mut request) = self.request.take() {
            self.release(std::mem::take(&mut request.devices));
            self.visit(request.open.len());
            self.line_up_again(request);
        }
        for (_, assembly) in std::mem::take(&mut self.assemblies) {
            self.visit(assembly.members.len() + assembly.devices.len());
            self.release(assembly.devices);
            for (model, member) in assembly.members {
                if member.phase == MemberPhase::Active {
                    let waiting = Waiting {
                        model,
                        since: self.now,
                        singly: false,
                    };
                    self.line_up(assembly.alone, member.turn, waiting);
                }
            }
        }
        // The clock that was to wake the driver is gone as well.
        self.wake = None;
    }
}

impl Assembly {
    /// The models that have had no end, first in line first.
    fn lost(&self) -> Vec<ModelId> {
        let active = self.members.iter();
        let active = active.filter(|(_, member)| member.phase == MemberPhase::Active);
        let mut lost: Vec<(Turn, ModelId)> = active
            .map(|(&model, member)| (member.turn, model))
            .collect();
        lost.sort_unstable();
        lost.into_iter().map(|(_, model)| model).collect()
    }
}

/// Whether something that a model sent may be delivered.
fn admit(
    assembly: AssemblyId,
    model: ModelId,
    attempt: Attempt,
    member: Option<&Member>,
) -> Admission {
    let Some(member) = member else {
        return Admission::Unexpected(Warning::NotInAssembly { assembly, model });
    };
    match member.phase {
        MemberPhase::Active if member.attempt == attempt => Admission::Expected,
        MemberPhase::Active => {
            let expected = member.attempt;
            let found = attempt;
            Admission::Unexpected(Warning::WrongAttempt {
                assembly,
                model,
                found,
                expected,
            })
        }
        MemberPhase::Stopping => Admission::Overtaken,
        MemberPhase::Done => Admission::Unexpected(Warning::LateEvent { assembly, model }),
    }
}
