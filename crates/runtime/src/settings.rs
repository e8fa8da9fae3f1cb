//! What a session, or a run of a closed set, is told once.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use syncarp_place::Device;

use crate::planner::Planner;
use crate::{BatchLimit, Config};

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
