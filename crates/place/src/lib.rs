//! Placement: devices, cost, policies, assemblies.

mod assemble;
mod cost;
mod device;
pub mod nni;
mod pack;
mod policy;

use syncarp_ir::Verified;

pub use assemble::{Inputs, Part, assemble};
pub use device::{Device, DeviceError, parse_devices};
pub use nni::Nni;
pub use pack::Pack;
pub use policy::{PlaceError, Placement, Policy, PolicyRegistry, RegisterError, Request};

/// What one worker runs: the graphs of a group of models, with a device for every node.
#[derive(Clone, Debug)]
pub struct Assembly {
    /// The models, as numbered in the plan that was placed, in the assembly's own order.
    pub models: Vec<syncarp_ir::Model>,
    /// For each model, its device as a number into `devices`.
    pub model_devices: Vec<usize>,
    /// The devices that the assembly owns while it runs; nodes name them by their place here.
    pub devices: Vec<Device>,
    /// The graphs.
    pub plan: Verified,
}
