//! `nni`: the placement of NNI 3.0's Cross-Graph Optimization, one model a device.

use std::num::NonZeroU32;

use rustc_hash::{FxHashMap, FxHashSet};
use syncarp_ir::{Model, Plan};

use crate::Device;
use crate::assemble::{Inputs, Part, assemble};
use crate::policy::{PlaceError, Placement, Policy, Request};

/// The policy.
pub struct Nni;

impl Policy for Nni {
    fn name(&self) -> &'static str {
        "nni"
    }

    fn doc(&self) -> &'static str {
        "As NNI's Cross-Graph Optimization: one model a device, dealt in turn. Neighbours in the \
         order of submission share an assembly where a pass has joined nodes of theirs and their \
         evaluators are equal. Inputs arrive in the host's memory and are copied once to each \
         device. A group on several hosts becomes one assembly a host; what would need a device \
         that is taken waits."
    }

    fn models_per_device(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(1)
    }

    fn place(&self, request: &Request<'_>) -> Result<Placement, PlaceError> {
        let devices = request.devices;
        if devices.is_empty() {
            return Err(PlaceError::NoDevices);
        }
        let groups = groups(request.plan, request.evaluators, devices.len());
        let mut taken: FxHashSet<usize> = FxHashSet::default();
        // Devices within a group differ, so only earlier groups can have taken one.
        let free = |group: &&Group| group.iter().all(|(_, device)| taken.insert(*device));
        let started = groups.iter().take_while(free).count();
        let parts = groups[..started]
            .iter()
            .flat_map(|group| by_host(group, devices))
            .collect();
        let waiting = groups[started..].iter().flatten();
        Ok(Placement {
            assemblies: assemble(request.plan, parts, Inputs::Host)?,
            leftover: waiting.map(|(model, _)| *model).collect(),
        })
    }
}

/// Neighbouring models, each with its device as a number into the list of devices.
pub type Group = Vec<(Model, usize)>;

/// NNI's grouping. Models are taken in order; a group ends before a model that shares no node with
/// one of the group, or whose evaluator is another, and when it has as many members as there are
/// devices. Model *i* gets device *i* modulo their number. `evaluators` has a number for each model,
/// equal for equal evaluators on equal data streams.
///
/// # Panics
/// If a model has no number, or there are no devices.
pub fn groups(plan: &Plan, evaluators: &[usize], devices: usize) -> Vec<Group> {
    let nearest = nearest(plan);
    let mut groups: Vec<Group> = Vec::new();
    for model in plan.model_ids() {
        let index = model.index();
        let member = (model, index % devices);
        let joins = |group: &&mut Group| {
            let first = group[0].0;
            group.len() < devices
                && evaluators[first.index()] == evaluators[index]
                && nearest[index].is_some_and(|near| near >= first)
        };
        match groups.last_mut().filter(joins) {
            Some(group) => group.push(member),
            None => groups.push(vec![member]),
        }
    }
    groups
}

/// For each model the greatest smaller one that shares a node with it. Since a group is a run of
/// models, a model shares a node with one of it exactly if this one is in it.
fn nearest(plan: &Plan) -> Vec<Option<Model>> {
    let mut nearest: Vec<Option<Model>> = vec![None; plan.models.len()];
    for (_, graph) in &plan.graphs {
        let mut seen = vec![false; graph.provenance().len()];
        for node in graph.nodes() {
            let set = graph.provenance_id(node).index();
            if std::mem::replace(&mut seen[set], true) {
                continue;
            }
            let mut before = None;
            for model in graph.models(node) {
                nearest[model.index()] = nearest[model.index()].max(before);
                before = Some(model);
            }
        }
    }
    nearest
}

/// A group as one part for each host, hosts in order of first appearance.
pub fn by_host(group: &[(Model, usize)], devices: &[Device]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut of_host: FxHashMap<&str, usize> = FxHashMap::default();
    for (model, device) in group {
        let device = &devices[*device];
        let at = *of_host.entry(&device.host).or_insert(parts.len());
        if at == parts.len() {
            parts.push(Part::default());
        }
        let part = &mut parts[at];
        part.models.push(*model);
        part.model_devices.push(part.devices.len());
        part.devices.push(device.clone());
    }
    parts
}
