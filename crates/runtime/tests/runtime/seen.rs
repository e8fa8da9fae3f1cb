//! What random schedules have led to, so that nobody believes in schedules that are dull.

use syncarp_runtime::{Command, ModelEvent, Warning};

/// How often what is interesting happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    pub events: u64,
    pub started: u64,
    pub merged: u64,
    pub retried: u64,
    pub metrics: u64,
    pub finished: u64,
    pub failed: u64,
    pub stopped: u64,
    pub suppressed: u64,
    pub broken_up: u64,
    pub refused_plans: u64,
    pub other_warnings: u64,
}

impl Seen {
    pub fn fields(&mut self) -> [&mut u64; 12] {
        [
            &mut self.events,
            &mut self.started,
            &mut self.merged,
            &mut self.retried,
            &mut self.metrics,
            &mut self.finished,
            &mut self.failed,
            &mut self.stopped,
            &mut self.suppressed,
            &mut self.broken_up,
            &mut self.refused_plans,
            &mut self.other_warnings,
        ]
    }

    pub fn add(&mut self, mut other: Seen) {
        for (sum, more) in self.fields().into_iter().zip(other.fields()) {
            *sum += *more;
        }
    }

    pub fn take(&mut self, commands: &[Command]) {
        self.events += 1;
        for command in commands {
            match command {
                Command::Start { models, .. } => {
                    self.started += 1;
                    self.merged += u64::from(models.len() > 1);
                    self.retried += u64::from(models[0].attempt.0 > 1);
                }
                Command::Deliver { event, .. } => match event {
                    ModelEvent::Metric(_) => self.metrics += 1,
                    ModelEvent::Finished { .. } => self.finished += 1,
                    ModelEvent::Failed { .. } => self.failed += 1,
                    ModelEvent::Stopped => self.stopped += 1,
                    ModelEvent::Started { .. } | ModelEvent::Checkpoint { .. } => {}
                },
                Command::Warn { warning } => match warning {
                    Warning::BadReport { .. } => self.broken_up += 1,
                    Warning::BadPlan { .. } => self.refused_plans += 1,
                    _ => self.other_warnings += 1,
                },
                _ => {}
            }
        }
    }
}
