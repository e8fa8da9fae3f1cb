//! Assembling: a group of models on devices becomes an assembly, with copies where an edge crosses
//! devices.

use rustc_hash::FxHashMap;
use syncarp_ir::{
    Attrs, BuildError, Context, Graph, Model, Plan, Rewriter, TensorType, Value, Verified,
};
use syncarp_logical::project;

use crate::policy::PlaceError;
use crate::{Assembly, Device};

/// Makes an assembly of some models of a plan. `model_devices` gives each model's device, as a
/// number into `devices`. A node runs on its model's device; what several models share, on the
/// first one's; an edge to another device gets one copy for each destination device, placed with
/// its source.
pub(crate) fn assemble(
    plan: &Plan,
    models: Vec<Model>,
    model_devices: Vec<usize>,
    devices: Vec<Device>,
) -> Result<Assembly, PlaceError> {
    let mut projected = project(plan, &models);
    for (_, graph) in &mut projected.graphs {
        *graph = place(graph, &model_devices).map_err(PlaceError::Copy)?;
    }
    let plan = Verified::new(projected)?;
    Ok(Assembly {
        models,
        model_devices,
        devices,
        plan,
    })
}

fn place(graph: &Graph, model_devices: &[usize]) -> Result<Graph, BuildError> {
    let mut rw = Rewriter::new(graph);
    let mut copies: FxHashMap<(Value, usize), Value> = FxHashMap::default();
    let device_of = |node| {
        let first = graph.models(node).next();
        first.map_or(0, |m| model_devices[m.index()])
    };
    for node in graph.nodes() {
        let device = device_of(node);
        let mut operands = Vec::with_capacity(graph.operands(node).len());
        for value in graph.operands(node) {
            let from = device_of(graph.def(*value));
            if from == device {
                operands.push(rw.get(*value));
                continue;
            }
            operands.push(match copies.get(&(*value, device)) {
                Some(copy) => *copy,
                None => {
                    let source = rw.get(*value);
                    let provenance = graph.provenance_id(graph.def(*value));
                    let device_id = Some(syncarp_ir::Device::new(from));
                    let b = rw.builder();
                    b.set_context(Context {
                        provenance,
                        device: device_id,
                    });
                    // The destination is an attribute, so that copies to two devices stay two.
                    let attrs = Attrs::new().with("to", device as i64);
                    let copy = b.emit1("to_device", &[source], attrs)?;
                    copies.insert((*value, device), copy);
                    copy
                }
            });
        }
        let types: Vec<TensorType> = graph.results(node).map(|v| graph.ty(v).clone()).collect();
        let provenance = graph.provenance_id(node);
        let device = Some(syncarp_ir::Device::new(device));
        let b = rw.builder();
        b.set_context(Context { provenance, device });
        let attrs = graph.attrs(node).clone();
        let values = b.emit_id(graph.op_id(node), &operands, attrs, Some(&types))?;
        rw.stand_for(node, &values);
    }
    rw.copy_outputs();
    Ok(rw.finish())
}
