//! Appending one graph to another under renaming: how models are fused and taken apart again.

use smallvec::SmallVec;

use crate::attr::Attr;
use crate::builder::GraphBuilder;
use crate::entity::{AttrsId, Device, Model, ProvenanceId, State, TypeId, Value};
use crate::graph::Graph;
use crate::provenance::Origin;
use crate::stream::StreamKey;

/// What becomes of the names in an appended graph.
pub trait Renaming {
    /// The new model of an origin; none drops the origin.
    fn model(&self, model: Model) -> Option<Model>;
    /// The new state.
    fn state(&self, state: State) -> State;
    /// The new random stream.
    fn stream(&self, stream: &StreamKey) -> StreamKey;
    /// The new device.
    fn device(&self, device: Device) -> Option<Device> {
        Some(device)
    }
}

/// Appends the nodes of a graph that `keep` marks, with every operand of a kept node kept too, and
/// says which new value stands for each old one. Outputs are the caller's to name.
///
/// An `input` whose own model is dropped goes over to the first model that it still stands for.
///
/// # Panics
/// If an operand of a kept node is not kept, or a kept node stands for no model that is left.
pub fn append(
    b: &mut GraphBuilder,
    graph: &Graph,
    keep: &[bool],
    renaming: &dyn Renaming,
) -> Vec<Option<Value>> {
    let mut attrs: Vec<Option<AttrsId>> = vec![None; graph.all_attrs().len()];
    let mut types: Vec<Option<TypeId>> = vec![None; graph.types().len()];
    let mut sets: Vec<Option<ProvenanceId>> = vec![None; graph.provenance().len()];
    let mut paths: Vec<Option<u32>> = vec![None; graph.provenance().paths().len()];
    let mut map: Vec<Option<Value>> = vec![None; graph.value_count()];
    let mut origins: Vec<Origin> = Vec::new();
    let before = b.context();
    for node in graph.nodes().filter(|n| keep[n.index()]) {
        let operands: SmallVec<[Value; 4]> = graph
            .operands(node)
            .iter()
            .map(|v| map[v.index()].expect("operands of kept nodes are kept"))
            .collect();
        let results: SmallVec<[TypeId; 2]> = graph
            .results(node)
            .map(|v| {
                let id = graph.type_id(v);
                *types[id.index()].get_or_insert_with(|| b.intern_type(graph.ty(v).clone()))
            })
            .collect();
        let set = graph.provenance_id(node);
        let provenance = *sets[set.index()].get_or_insert_with(|| {
            origins.clear();
            for origin in graph.provenance().set(set) {
                let Some(model) = renaming.model(origin.model) else {
                    continue;
                };
                let path = *paths[origin.path as usize].get_or_insert_with(|| {
                    b.provenance_mut()
                        .intern_path(graph.provenance().path(origin.path))
                });
                origins.push(Origin {
                    model,
                    path,
                    role: origin.role,
                });
            }
            origins.sort_unstable();
            origins.dedup();
            b.provenance_mut().intern_sorted(&origins)
        });
        let first = || {
            b.graph()
                .provenance()
                .set(provenance)
                .first()
                .map(|o| o.model)
        };
        let id = graph.attrs_id(node);
        let new_attrs = match attrs[id.index()] {
            Some(new) => new,
            None => {
                // Attributes that name a dropped model depend on the node; all others are
                // renamed once.
                let mut cacheable = true;
                let renamed = graph.attrs(node).map(|value| match value {
                    Attr::State(s) => Attr::State(renaming.state(*s)),
                    Attr::Stream(s) => Attr::Stream(renaming.stream(s)),
                    Attr::Model(m) => Attr::Model(renaming.model(*m).unwrap_or_else(|| {
                        cacheable = false;
                        first().expect("a kept node stands for a model that is left")
                    })),
                    other => other.clone(),
                });
                let new = b.intern_attrs(renamed);
                if cacheable {
                    attrs[id.index()] = Some(new);
                }
                new
            }
        };
        let device = graph.device(node).and_then(|d| renaming.device(d));
        b.set_context(crate::Context { provenance, device });
        let values = b.push(graph.op_id(node), new_attrs, &operands, &results);
        for (old, new) in graph.results(node).zip(values) {
            map[old.index()] = Some(new);
        }
    }
    b.set_context(before);
    map
}
