//! Devices: what runs nodes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A device: one of a host's, with threads of its own where it is a share of the host's CPU.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Device {
    /// The host that it belongs to.
    pub host: Arc<str>,
    /// Its number on the host.
    pub index: u32,
    /// Bytes of memory, where limited.
    pub memory: Option<u64>,
    /// Threads that it computes with.
    pub threads: usize,
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.index)
    }
}

/// A mistake in a list of devices; the fault is the user's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeviceError {
    /// An entry is not host:number.
    #[error("`{0}` is not a device; write host:number, such as cpu:0")]
    Form(String),
    /// A device is listed twice.
    #[error("device `{0}` is listed twice")]
    Twice(String),
    /// The list is empty.
    #[error("there are no devices")]
    Empty,
}

/// Reads a list of devices such as `cpu:0,cpu:1`. A host's cores are dealt out evenly over its
/// devices, at least one thread each.
///
/// # Errors
/// Where the list is wrong.
pub fn parse_devices(text: &str, cores: usize) -> Result<Vec<Device>, DeviceError> {
    let mut devices: Vec<Device> = Vec::new();
    for entry in text.split(',').map(str::trim).filter(|e| !e.is_empty()) {
        let form = || DeviceError::Form(entry.to_owned());
        let (host, index) = entry.rsplit_once(':').ok_or_else(form)?;
        let index: u32 = index.parse().map_err(|_| form())?;
        if host.is_empty() {
            return Err(form());
        }
        if devices.iter().any(|d| *d.host == *host && d.index == index) {
            return Err(DeviceError::Twice(entry.to_owned()));
        }
        devices.push(Device {
            host: host.into(),
            index,
            memory: None,
            threads: 1,
        });
    }
    if devices.is_empty() {
        return Err(DeviceError::Empty);
    }
    let hosts: Vec<Arc<str>> = devices.iter().map(|d| d.host.clone()).collect();
    for at in 0..devices.len() {
        let same = |h: &&Arc<str>| **h == devices[at].host;
        let count = hosts.iter().filter(same).count();
        let before = hosts[..at].iter().filter(same).count();
        let threads = cores / count + usize::from(before < cores % count);
        devices[at].threads = threads.max(1);
    }
    Ok(devices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_dealt_out() {
        let devices = parse_devices("a:0,a:1, b:0", 3).unwrap();
        let threads: Vec<_> = devices.iter().map(|d| d.threads).collect();
        assert_eq!(threads, [2, 1, 3]);
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(parse_devices("", 1), Err(DeviceError::Empty));
        assert_eq!(
            parse_devices("a", 1),
            Err(DeviceError::Form("a".to_owned()))
        );
        assert_eq!(
            parse_devices("a:0,a:0", 1),
            Err(DeviceError::Twice("a:0".to_owned()))
        );
    }
}
