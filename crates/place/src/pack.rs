//! `pack`: models with equal data streams share assemblies, dealt to devices by estimated cost.

use std::cmp::Reverse;

use syncarp_ir::{Data, Model, Plan};

use crate::Device;
use crate::assemble::{Inputs, Part, assemble};
use crate::cost::{ModelCost, model_costs};
use crate::policy::{PlaceError, Placement, Policy, Request};

/// The default policy.
pub struct Pack;

impl Policy for Pack {
    fn name(&self) -> &'static str {
        "pack"
    }

    fn doc(&self) -> &'static str {
        "Models with equal data streams share one assembly a host. They are dealt to its devices \
         dearest first, each to the least loaded device that has memory for it, any number a \
         device. What does not fit waits."
    }

    fn place(&self, request: &Request<'_>) -> Result<Placement, PlaceError> {
        if request.devices.is_empty() {
            return Err(PlaceError::NoDevices);
        }
        let costs = model_costs(request.plan, request.batch_sizes);
        let mut placement = Placement::default();
        let mut free: Vec<Device> = request.devices.to_vec();
        let mut all: Vec<Part> = Vec::new();
        for group in groups(request.plan) {
            if free.is_empty() {
                placement.leftover.extend(group);
                continue;
            }
            let taken = free.len().min(group.len());
            let devices: Vec<Device> = free.drain(..taken).collect();
            let (dealt, leftover) = deal(request.plan, &group, &costs, &devices)?;
            placement.leftover.extend(leftover);
            all.extend(parts(&dealt, devices, &mut free));
        }
        placement.assemblies = assemble(request.plan, all, Inputs::FirstModel)?;
        placement.leftover.sort_unstable();
        Ok(placement)
    }
}

/// Models by data stream, in order of first appearance; models without one are equal in that.
fn groups(plan: &Plan) -> Vec<Vec<Model>> {
    let mut groups: Vec<(Option<Data>, Vec<Model>)> = Vec::new();
    let mut at: std::collections::BTreeMap<Option<Data>, usize> = Default::default();
    for model in plan.model_ids() {
        let data = plan.model(model).data;
        let index = *at.entry(data).or_insert_with(|| {
            groups.push((data, Vec::new()));
            groups.len() - 1
        });
        groups[index].1.push(model);
    }
    groups.into_iter().map(|(_, models)| models).collect()
}

type Dealt = (Vec<(Model, usize)>, Vec<Model>);

/// Gives each model a device, dearest first to the least loaded that has room (Graham's longest
/// processing time first), the speed of a device being its number of threads.
fn deal(
    plan: &Plan,
    group: &[Model],
    costs: &[ModelCost],
    devices: &[Device],
) -> Result<Dealt, PlaceError> {
    let mut order: Vec<Model> = group.to_vec();
    order.sort_by_key(|m| (Reverse(costs[m.index()].work), *m));
    let mut load = vec![0u64; devices.len()];
    let mut room: Vec<u64> = devices
        .iter()
        .map(|d| d.memory.unwrap_or(u64::MAX))
        .collect();
    let mut dealt = Vec::new();
    let mut leftover = Vec::new();
    for model in order {
        let cost = costs[model.index()];
        if devices
            .iter()
            .all(|d| d.memory.is_some_and(|m| m < cost.bytes))
        {
            let (model, need) = (plan.model(model).name.clone(), cost.bytes);
            return Err(PlaceError::TooLarge { model, need });
        }
        let fits = (0..devices.len()).filter(|d| room[*d] >= cost.bytes);
        let time = |d: usize| (load[d] + cost.work) / devices[d].threads.max(1) as u64;
        match fits.min_by_key(|d| (time(*d), *d)) {
            None => leftover.push(model),
            Some(device) => {
                load[device] += cost.work;
                room[device] = room[device].saturating_sub(cost.bytes);
                dealt.push((model, device));
            }
        }
    }
    dealt.sort_unstable();
    Ok((dealt, leftover))
}

/// One part for each host that got models; devices that got none are given back.
fn parts(dealt: &[(Model, usize)], devices: Vec<Device>, free: &mut Vec<Device>) -> Vec<Part> {
    let mut hosts: Vec<&str> = Vec::new();
    for device in &devices {
        if !hosts.contains(&&*device.host) {
            hosts.push(&device.host);
        }
    }
    let mut parts = Vec::new();
    for host in hosts {
        let used: Vec<usize> = (0..devices.len())
            .filter(|d| *devices[*d].host == *host && dealt.iter().any(|(_, on)| on == d))
            .collect();
        let here: Vec<&(Model, usize)> = dealt.iter().filter(|(_, d)| used.contains(d)).collect();
        if here.is_empty() {
            continue;
        }
        let local = |d: usize| used.iter().position(|u| *u == d).unwrap_or(0);
        parts.push(Part {
            models: here.iter().map(|(m, _)| *m).collect(),
            model_devices: here.iter().map(|(_, d)| local(*d)).collect(),
            devices: used.iter().map(|d| devices[*d].clone()).collect(),
        });
    }
    let unused = (0..devices.len()).filter(|d| !dealt.iter().any(|(_, on)| on == d));
    free.extend(unused.map(|d| devices[d].clone()));
    parts
}
