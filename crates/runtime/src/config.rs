//! What the scheduler is told once, before the first event.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A device by the names that people use: which host, and which one on it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Device {
    /// The host that the device belongs to.
    pub host: String,
    /// The device's index on that host.
    pub index: u32,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.index)
    }
}

/// How many queued models one request to the planner may hold.
///
/// A bound keeps an event's cost independent of the length of the queue: what the planner could
/// not place goes back into the queue, and that must not be thousands of models each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchLimit {
    /// At most this many for each device offered. One a device is the seed system's rule.
    PerDevice(NonZeroU32),
    /// Everything that is queued.
    Unlimited,
}

impl BatchLimit {
    /// The limit for an offer of so many devices.
    pub fn of(self, devices: usize) -> usize {
        match self {
            BatchLimit::PerDevice(each) => devices.saturating_mul(each.get() as usize),
            BatchLimit::Unlimited => usize::MAX,
        }
    }
}

/// The scheduler's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The devices; a [`DeviceId`](crate::DeviceId) is an index into this list.
    pub devices: Vec<Device>,
    /// How long the oldest queued model may wait for company before a batch is made of what is
    /// there. A closed set does not wait.
    pub batch_waiting_time: Duration,
    /// How many assemblies may run at once, retries included; `None` is no limit but the devices.
    pub max_concurrency: Option<NonZeroU32>,
    /// How many models one request to the planner may hold.
    pub batch_limit: BatchLimit,
}

impl Config {
    /// The most models that one device's worth of a request holds if nothing else is said. It is
    /// meant to be out of reach of a device's memory, so that memory decides and not this number.
    pub const MODELS_PER_DEVICE: NonZeroU32 = NonZeroU32::new(256).expect("256 is not zero");

    /// These devices, the seed system's waiting time of 60 seconds, and no limit on concurrency.
    pub fn new(devices: Vec<Device>) -> Self {
        Config {
            devices,
            batch_waiting_time: Duration::from_secs(60),
            max_concurrency: None,
            batch_limit: BatchLimit::PerDevice(Self::MODELS_PER_DEVICE),
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if u32::try_from(self.devices.len()).is_err() {
            return Err(ConfigError::TooManyDevices {
                count: self.devices.len(),
            });
        }
        let mut seen = BTreeSet::new();
        match self.devices.iter().find(|device| !seen.insert(*device)) {
            Some(device) => Err(ConfigError::DuplicateDevice {
                device: device.clone(),
            }),
            None => Ok(()),
        }
    }
}

/// Settings that no scheduler can follow. The fault is the caller's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Two entries of the device list are the same device, which would then be used twice.
    #[error("the configured device list names {device} twice")]
    DuplicateDevice {
        /// The device in question.
        device: Device,
    },
    /// The list is longer than device ids can count.
    #[error("the configured device list has {count} entries, more than a device id can count")]
    TooManyDevices {
        /// The length of the list.
        count: usize,
    },
}
