//! Policies: registered entries that place a plan.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use syncarp_ir::{BuildError, Verified, Violations};
use thiserror::Error;

use crate::{Assembly, Device};

/// What a policy places.
pub struct Request<'a> {
    /// The plan, after logical passes.
    pub plan: &'a Verified,
    /// The devices that may be used.
    pub devices: &'a [Device],
    /// Rows in a batch of each model's data stream, to estimate costs and memory with.
    pub batch_sizes: &'a [u64],
    /// A number for each model, equal for equal evaluators on equal data streams; see
    /// `syncarp_logical::evaluator_classes`.
    pub evaluators: &'a [usize],
}

/// What a policy answers.
#[derive(Clone, Debug, Default)]
pub struct Placement {
    /// The assemblies, whose models and the left-over ones are all models of the plan, each once.
    pub assemblies: Vec<Assembly>,
    /// Models that do not fit now, in order.
    pub leftover: Vec<syncarp_ir::Model>,
}

/// Why a plan cannot be placed.
#[derive(Debug, Error)]
pub enum PlaceError {
    /// No policy has this name: the fault of the user.
    #[error("no policy is called `{name}`; there are: {known}")]
    UnknownPolicy {
        /// The name that was given.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// There are no devices: the fault of the user.
    #[error("there are no devices to place models on")]
    NoDevices,
    /// One model alone is too large for every device: the fault of its submitter.
    #[error("model {model:?} needs about {need} bytes, more than any device has")]
    TooLarge {
        /// The model.
        model: Arc<str>,
        /// What it needs.
        need: u64,
    },
    /// A copy between devices does not type: our own bug.
    #[error("a copy cannot be inserted: {0}")]
    Copy(BuildError),
    /// The policy made a wrong assembly: the fault of the policy.
    #[error("the policy made a wrong assembly: {0}")]
    Broken(#[from] Violations),
}

/// A placement policy.
pub trait Policy: Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// What it does.
    fn doc(&self) -> &'static str;

    /// How many models it may be given for each free device; none where memory alone decides.
    fn models_per_device(&self) -> Option<NonZeroU32> {
        None
    }

    /// Places a plan.
    ///
    /// # Errors
    /// Where that cannot be done.
    fn place(&self, request: &Request<'_>) -> Result<Placement, PlaceError>;
}

/// A mistake in registering; the fault is the registering crate's.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RegisterError {
    /// Two policies of one name.
    #[error("policy `{0}` is registered twice")]
    Duplicate(&'static str),
}

/// Policies by name.
#[derive(Clone, Default)]
pub struct PolicyRegistry {
    policies: BTreeMap<&'static str, Arc<dyn Policy>>,
}

impl PolicyRegistry {
    /// The built-in policies.
    ///
    /// # Panics
    /// Never: their names are distinct.
    pub fn standard() -> Self {
        let mut registry = PolicyRegistry::default();
        let pack = registry.register(crate::Pack);
        pack.and_then(|()| registry.register(crate::Nni))
            .expect("built-in policies have distinct names");
        registry
    }

    /// Adds a policy.
    ///
    /// # Errors
    /// Where the name is taken.
    pub fn register(&mut self, policy: impl Policy + 'static) -> Result<(), RegisterError> {
        let name = policy.name();
        if self.policies.contains_key(name) {
            return Err(RegisterError::Duplicate(name));
        }
        self.policies.insert(name, Arc::new(policy));
        Ok(())
    }

    /// The policy of this name.
    ///
    /// # Errors
    /// Where there is none.
    pub fn get(&self, name: &str) -> Result<Arc<dyn Policy>, PlaceError> {
        self.policies.get(name).cloned().ok_or_else(|| {
            let known: Vec<_> = self.policies.keys().copied().collect();
            PlaceError::UnknownPolicy {
                name: name.to_owned(),
                known: known.join(", "),
            }
        })
    }

    /// All policies by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Policy>> {
        self.policies.values()
    }
}
