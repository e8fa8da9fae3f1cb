//! Assembling: groups of models on devices become assemblies, with copies where an edge crosses
//! devices.

use rustc_hash::FxHashMap;
use syncarp_ir::core_ops::INPUT;
use syncarp_ir::{
    Attrs, BuildError, Context, Device as On, Graph, Model, Node, Origin, Plan, ProvenanceId,
    Rewriter, TensorType, Value, Verified,
};
use syncarp_logical::split;

use crate::policy::PlaceError;
use crate::{Assembly, Device};

/// Some models of a plan and where they run: what becomes an assembly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The models, in the assembly's order.
    pub models: Vec<Model>,
    /// For each model, its device as a number into `devices`.
    pub model_devices: Vec<usize>,
    /// The devices, all of one host.
    pub devices: Vec<Device>,
}

/// Where the inputs of an assembly arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inputs {
    /// On the device of the first model that reads them.
    FirstModel,
    /// In the memory of the devices' host.
    Host,
}

/// Makes assemblies of disjoint parts of a plan. A node runs on its model's device; what several
/// models share, on the first one's. An edge to another device gets one copy for each destination
/// device, placed with its source, which stands for the models that read it there. All parts together take time linear in the plan and in what comes out.
///
/// # Errors
/// Where the plan is broken, or a copy does not type.
///
/// # Panics
/// If a model is in two parts, or a part has not one device of its own for each of its models.
pub fn assemble(
    plan: &Plan,
    parts: Vec<Part>,
    inputs: Inputs,
) -> Result<Vec<Assembly>, PlaceError> {
    let groups: Vec<&[Model]> = parts.iter().map(|part| &*part.models).collect();
    let projections = split(plan, &groups);
    let assemble = |(part, mut plan): (Part, Plan)| {
        for (_, graph) in &mut plan.graphs {
            *graph = Placing::new(graph, &part.model_devices, inputs)
                .run()
                .map_err(PlaceError::Copy)?;
        }
        Ok(Assembly {
            models: part.models,
            model_devices: part.model_devices,
            devices: part.devices,
            plan: Verified::new(plan)?,
        })
    };
    parts.into_iter().zip(projections).map(assemble).collect()
}

struct Placing<'a> {
    rw: Rewriter<'a>,
    /// For every node of the old graph, where it is.
    on: Vec<On>,
    /// For every value that is read elsewhere, the provenance of who reads it there.
    readers: FxHashMap<(Value, On), Vec<ProvenanceId>>,
    copies: FxHashMap<(Value, On), Value>,
}

impl<'a> Placing<'a> {
    fn new(graph: &'a Graph, model_devices: &[usize], inputs: Inputs) -> Self {
        let on_host = match inputs {
            Inputs::FirstModel => None,
            Inputs::Host => graph.registry().find(INPUT),
        };
        let place = |node: Node| {
            if Some(graph.op_id(node)) == on_host {
                return On::HOST;
            }
            let first = graph.models(node).next();
            On::new(first.map_or(0, |model| model_devices[model.index()]))
        };
        let on: Vec<On> = graph.nodes().map(place).collect();
        let mut readers: FxHashMap<(Value, On), Vec<ProvenanceId>> = FxHashMap::default();
        for node in graph.nodes() {
            let here = on[node.index()];
            for value in graph.operands(node) {
                if on[graph.def(*value).index()] != here {
                    let readers = readers.entry((*value, here)).or_default();
                    readers.push(graph.provenance_id(node));
                }
            }
        }
        Placing {
            rw: Rewriter::new(graph),
            on,
            readers,
            copies: FxHashMap::default(),
        }
    }

    fn run(mut self) -> Result<Graph, BuildError> {
        let graph = self.rw.old();
        for node in graph.nodes() {
            let on = self.on[node.index()];
            let here = |value: &Value| self.on[graph.def(*value).index()] == on;
            if graph.operands(node).iter().all(here) {
                self.rw.copy(node);
                let new = Node::new(self.rw.builder().graph().len() - 1);
                self.rw.set_device(new, Some(on));
            } else {
                self.fetch(node, on)?;
            }
        }
        self.rw.copy_outputs();
        Ok(self.rw.finish())
    }

    /// Copies a node some of whose operands are elsewhere.
    fn fetch(&mut self, node: Node, on: On) -> Result<(), BuildError> {
        let graph = self.rw.old();
        let mut operands = Vec::with_capacity(graph.operands(node).len());
        for value in graph.operands(node) {
            operands.push(if self.on[graph.def(*value).index()] == on {
                self.rw.get(*value)
            } else {
                self.copied(*value, on)?
            });
        }
        let types: Vec<TensorType> = graph.results(node).map(|v| graph.ty(v).clone()).collect();
        let provenance = graph.provenance_id(node);
        let device = Some(on);
        let b = self.rw.builder();
        b.set_context(Context { provenance, device });
        let attrs = graph.attrs(node).clone();
        let values = b.emit_id(graph.op_id(node), &operands, attrs, Some(&types))?;
        self.rw.stand_for(node, &values);
        Ok(())
    }

    /// The copy of a value for a device.
    fn copied(&mut self, value: Value, to: On) -> Result<Value, BuildError> {
        if let Some(copy) = self.copies.get(&(value, to)) {
            return Ok(*copy);
        }
        let provenance = self.copy_provenance(value, to);
        let source = self.rw.get(value);
        let device = Some(self.on[self.rw.old().def(value).index()]);
        let b = self.rw.builder();
        b.set_context(Context { provenance, device });
        // The destination is an attribute, so that copies to two devices stay two.
        let number = to.index().expect("an input reads nothing");
        let copy = b.emit1(
            "to_device",
            &[source],
            Attrs::new().with("to", number as i64),
        )?;
        self.copies.insert((value, to), copy);
        Ok(copy)
    }

    /// A copy comes from where its source does, as far as that is of the models that read it: so
    /// it runs with them, and leaves with the last of them.
    fn copy_provenance(&mut self, value: Value, to: On) -> ProvenanceId {
        let graph = self.rw.old();
        let whole = graph.provenance_id(graph.def(value));
        let readers = self.readers.get(&(value, to)).into_iter().flatten();
        let mut models: Vec<Model> = readers
            .flat_map(|set| graph.provenance().set(*set))
            .map(|origin| origin.model)
            .collect();
        models.sort_unstable();
        models.dedup();
        let origins = graph.provenance().set(whole);
        let own = |model: &Model| {
            let first = origins.partition_point(|origin| origin.model < *model);
            let count = origins[first..].partition_point(|origin| origin.model == *model);
            &origins[first..first + count]
        };
        let kept: Vec<Origin> = models.iter().flat_map(own).copied().collect();
        if kept.is_empty() || kept.len() == origins.len() {
            return whole;
        }
        self.rw.builder().provenance_mut().intern_sorted(&kept)
    }
}
