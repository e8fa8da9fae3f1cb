//! The verifier. Its invariants, by number:
//!
//! 1. Every operand is defined by an earlier node.
//! 2. A node has as many operands as its op declares.
//! 3. A node's attributes are those that its op declares, of the declared kinds.
//! 4. A node's results have the types that its op infers, or types that refine them.
//! 5. A `state` node reads a state of the plan and has that state's type.
//! 6. An `input` node and every origin name a model of the plan.
//! 7. Output keys are unique; a loss is a float scalar; an update has its state's type.
//! 8. Only states with an owner are updated.
//! 9. A state has an owner exactly if it is not frozen, and no model lists a state that another
//!    owns.
//! 10. What a model's loss, metrics, results and updates are computed from contains no state that
//!     another model owns: gradients and statistics never leak between models.
//! 11. A random stream has a seed, once the model has met its evaluator (its data stream is known).
//! 12. Either every node of a graph is on a device or in the host's memory, or none is.
//! 13. An `input` and a `state` node stand for no other model's: an input's model and a state's
//!     owner are among the models of the node's provenance.
//!
//! All violations are collected and shown inside the printed graph, each under its node.
//!
//! The [cheap tier](Tier::Cheap) leaves out what has to ask the ops, 3, 4 and 11, and what looks at
//! every node's provenance, 6 and 13; it costs a few nanoseconds a node and runs in every build.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Deref;

use smallvec::SmallVec;

use crate::attr::Attr;
use crate::broken;
use crate::core_ops::{INPUT, STATE};
use crate::entity::{Model, Node, OpId, ProvenanceId, State, TypeId};
use crate::graph::{Graph, OutputKey};
use crate::known::{Known, Signature};
use crate::op::Infer;
use crate::plan::{Plan, StateKind};
use crate::registry::{check_attrs, check_operands};
use crate::types::TensorType;

/// One broken invariant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The graph it is in, if in one.
    pub graph: Option<String>,
    /// The node it is about, if about one.
    pub node: Option<Node>,
    /// The number of the invariant; see the module's documentation.
    pub invariant: u8,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(graph) = &self.graph {
            write!(f, "graph {graph:?}: ")?;
        }
        if let Some(node) = self.node {
            write!(f, "{node}: ")?;
        }
        write!(f, "{} (invariant {})", self.message, self.invariant)
    }
}

/// How much is checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Tier {
    /// What costs next to nothing: order, ownership, outputs.
    Cheap,
    /// Every invariant.
    Full,
}

/// Everything that is wrong with a plan. The fault lies with whoever made it: a pass, mostly.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violations {
    all: Vec<Violation>,
    /// The places in the printed graphs, with what is wrong there.
    shown: String,
}

impl Violations {
    fn of(plan: &Plan, all: Vec<Violation>) -> Self {
        let shown = broken::show(plan, &all);
        Violations { all, shown }
    }

    /// The violations, graph by graph.
    pub fn all(&self) -> &[Violation] {
        &self.all
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, plural) = (self.all.len(), if self.all.len() == 1 { "" } else { "s" });
        write!(
            f,
            "the plan breaks its invariants in {count} place{plural}\n{}",
            self.shown
        )
    }
}

impl std::error::Error for Violations {}

/// A plan that the verifier has seen: what placement and engines take.
#[derive(Clone, Debug)]
pub struct Verified(Plan);

impl Verified {
    /// Verifies a plan.
    ///
    /// # Errors
    /// Where an invariant is broken.
    pub fn new(plan: Plan) -> Result<Self, Violations> {
        check(&plan, Tier::Full)?;
        Ok(Verified(plan))
    }

    /// Gives the plan up for editing; it must be verified anew.
    pub fn into_inner(self) -> Plan {
        self.0
    }
}

impl Deref for Verified {
    type Target = Plan;
    fn deref(&self) -> &Plan {
        &self.0
    }
}

/// All broken invariants of a plan.
pub fn verify(plan: &Plan) -> Vec<Violation> {
    collect(plan, Tier::Full)
}

/// Demands a plan that breaks no invariant of a tier.
///
/// # Errors
/// It breaks some.
pub fn check(plan: &Plan, tier: Tier) -> Result<(), Violations> {
    match collect(plan, tier) {
        found if found.is_empty() => Ok(()),
        found => Err(Violations::of(plan, found)),
    }
}

fn collect(plan: &Plan, tier: Tier) -> Vec<Violation> {
    let mut found = Vec::new();
    verify_states(plan, &mut found);
    for (name, graph) in &plan.graphs {
        let mut report = |node: Option<Node>, invariant: u8, message: String| {
            let graph = Some(name.to_string());
            found.push(Violation {
                graph,
                node,
                invariant,
                message,
            });
        };
        verify_nodes(plan, graph, tier, &mut report);
        if tier == Tier::Full {
            verify_provenance(plan, graph, &mut report);
        }
        verify_outputs(plan, graph, &mut report);
    }
    found
}

fn verify_states(plan: &Plan, found: &mut Vec<Violation>) {
    let mut report = |message: String| {
        found.push(Violation {
            graph: None,
            node: None,
            invariant: 9,
            message,
        });
    };
    for (index, entry) in plan.states.iter().enumerate() {
        let state = State::new(index);
        if (entry.kind == StateKind::Frozen) != entry.owner.is_none() {
            report(format!(
                "{state} is {} with owner {:?}",
                entry.kind.name(),
                entry.owner
            ));
        }
        if entry.owner.is_some_and(|m| m.index() >= plan.models.len()) {
            report(format!("{state} is owned by no model of the plan"));
        }
    }
    for (index, model) in plan.models.iter().enumerate() {
        for (path, state) in &model.states {
            match plan.states.get(state.index()) {
                None => report(format!("m{index} lists {state}, which is not there")),
                Some(entry) if entry.owner.is_some_and(|m| m != Model::new(index)) => {
                    report(format!(
                        "m{index} lists {path:?}, a state that another model owns"
                    ));
                }
                Some(_) => {}
            }
        }
    }
}

type Report<'a> = &'a mut dyn FnMut(Option<Node>, u8, String);

fn verify_nodes(plan: &Plan, graph: &Graph, tier: Tier, report: Report<'_>) {
    let placed = graph
        .nodes()
        .next()
        .is_some_and(|n| graph.device(n).is_some());
    let sources = (graph.registry.find(STATE), graph.registry.find(INPUT));
    let mut known = Known::default();
    for node in graph.nodes() {
        let mut fail = |invariant, message: String| {
            report(
                Some(node),
                invariant,
                format!("`{}`: {message}", graph.op_name(node)),
            );
        };
        let operands = graph.operands(node);
        if operands
            .iter()
            .any(|v| v.index() >= graph.value_count() || graph.def(*v) >= node)
        {
            fail(1, "uses a value before it is defined".to_owned());
            continue;
        }
        if graph.device(node).is_some() != placed {
            fail(12, "some nodes are on a device and some are not".to_owned());
        }
        let op = graph.op(node);
        if let Err(error) = check_operands(op, operands.len()) {
            fail(2, error.message);
            continue;
        }
        if tier == Tier::Full {
            verify_types(graph, node, &mut known, &mut fail);
            verify_attrs(plan, graph, node, &mut fail);
        }
        verify_source(plan, graph, node, (sources, tier), &mut fail);
    }
}

fn verify_provenance(plan: &Plan, graph: &Graph, report: Report<'_>) {
    let mut carried = vec![false; graph.provenance().len()];
    for node in graph.nodes() {
        carried[graph.provenance_id(node).index()] = true;
    }
    for (set, _) in carried.into_iter().enumerate().filter(|(_, c)| *c) {
        for origin in graph.provenance().set(ProvenanceId::new(set)) {
            if origin.model.index() >= plan.models.len() {
                report(
                    None,
                    6,
                    format!("provenance names {}, no model of the plan", origin.model),
                );
            }
        }
    }
}

fn verify_types(graph: &Graph, node: Node, known: &mut Known, fail: &mut dyn FnMut(u8, String)) {
    let results: SmallVec<[TypeId; 2]> = graph.results(node).map(|v| graph.type_id(v)).collect();
    let signature = Signature {
        op: graph.op_id(node),
        attrs: graph.attrs_id(node),
        operands: graph.operands(node),
        stated: Some(&results),
    };
    if known.find(graph, &signature).is_some() {
        return;
    }
    let mut right = true;
    check_types(graph, node, &mut |invariant, message| {
        right = false;
        fail(invariant, message);
    });
    if right {
        known.remember(graph, &signature, node);
    }
}

fn check_types(graph: &Graph, node: Node, fail: &mut dyn FnMut(u8, String)) {
    let op = graph.op(node);
    let attrs = graph.attrs(node);
    if let Err(error) = check_attrs(op, attrs) {
        return fail(3, error.message);
    }
    let operands = graph.operand_types(node);
    match op.infer(&Infer {
        operands: &operands,
        attrs,
    }) {
        Err(error) => fail(4, error.message),
        Ok(types) if types.len() != graph.result_count(node) => {
            fail(
                4,
                format!(
                    "has {} results, not {}",
                    graph.result_count(node),
                    types.len()
                ),
            );
        }
        Ok(types) => {
            for (inferred, value) in types.iter().zip(graph.results(node)) {
                let ty = graph.ty(value);
                if inferred.meet(ty).as_ref() != Some(ty) {
                    fail(4, format!("{value} is {ty}, but {inferred} is inferred"));
                }
            }
        }
    }
}

fn verify_attrs(plan: &Plan, graph: &Graph, node: Node, fail: &mut dyn FnMut(u8, String)) {
    for (name, value) in graph.attrs(node).iter() {
        match value {
            Attr::Model(m) if m.index() >= plan.models.len() => {
                fail(6, format!("`{name}` is {m}, no model of the plan"));
            }
            Attr::State(s) if s.index() >= plan.states.len() => {
                fail(5, format!("`{name}` is {s}, no state of the plan"));
            }
            Attr::Stream(stream) if stream.seed.is_none() => {
                let met = |m: Model| plan.models.get(m.index()).is_some_and(|e| e.data.is_some());
                if graph.models(node).any(met) {
                    fail(11, format!("`{name}` has no seed"));
                }
            }
            _ => {}
        }
    }
}

fn verify_source(
    plan: &Plan,
    graph: &Graph,
    node: Node,
    ((state_op, input_op), tier): ((Option<OpId>, Option<OpId>), Tier),
    fail: &mut dyn FnMut(u8, String),
) {
    let attrs = graph.attrs(node);
    let stands_for = |model| tier < Tier::Full || graph.models(node).any(|m| m == model);
    let op = Some(graph.op_id(node));
    if op == state_op {
        let entry = attrs.state("of").and_then(|s| plan.states.get(s.index()));
        let Some(entry) = entry else {
            return fail(5, "reads no state of the plan".to_owned());
        };
        let ty = graph.ty(graph.result(node, 0));
        if *ty != entry.ty {
            fail(5, format!("is {ty}, but the state is {}", entry.ty));
        }
        if entry.owner.is_some_and(|owner| !stands_for(owner)) {
            let message = "its owner is not among the models it stands for";
            fail(13, message.to_owned());
        }
    } else if op == input_op {
        let model = attrs.model("model");
        if model.is_some_and(|model| !stands_for(model)) {
            let message = "its model is not among the models it stands for";
            fail(13, message.to_owned());
        }
    }
}

/// Whose states something is computed from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Nobody,
    One(Model),
    Several,
}

fn verify_outputs(plan: &Plan, graph: &Graph, report: Report<'_>) {
    let mut keys = BTreeSet::new();
    let owners = owners(plan, graph);
    for output in graph.outputs() {
        let key = &output.key;
        if output.value.index() >= graph.value_count() {
            report(None, 1, format!("{key:?} is a value that is not there"));
            continue;
        }
        let node = graph.def(output.value);
        let mut fail = |invariant, message: String| report(Some(node), invariant, message);
        if !keys.insert(key.clone()) {
            fail(7, format!("{key:?} is given twice"));
        }
        let ty = graph.ty(output.value);
        let float_scalar = TensorType {
            dtype: ty.dtype,
            shape: Some(Default::default()),
        };
        let is_float = ty.dtype.is_none_or(crate::DType::is_float);
        if matches!(key, OutputKey::Loss(_)) && !(is_float && ty.meet(&float_scalar).is_some()) {
            fail(7, format!("a loss is a float scalar, not {ty}"));
        }
        let mut model = key.model();
        if let OutputKey::Update(state) = key {
            let Some(entry) = plan.states.get(state.index()) else {
                fail(7, format!("{state} is no state of the plan"));
                continue;
            };
            if entry.ty.meet(ty).is_none() {
                fail(7, format!("{state} is {}, its update {ty}", entry.ty));
            }
            model = entry.owner;
            if model.is_none() {
                fail(8, format!("{state} is frozen and must not be updated"));
            }
        }
        match (owners[node.index()], model) {
            (Owner::Nobody, _) => {}
            (Owner::One(owner), Some(model)) if owner == model => {}
            _ => fail(
                10,
                format!("{key:?} is computed from another model's state"),
            ),
        }
    }
}

fn owners(plan: &Plan, graph: &Graph) -> Vec<Owner> {
    let state_op = graph.registry.find(STATE);
    let mut owners = vec![Owner::Nobody; graph.len()];
    for node in graph.nodes() {
        let mut owner = Owner::Nobody;
        if Some(graph.op_id(node)) == state_op {
            let state = graph.attrs(node).state("of");
            let entry = state.and_then(|s| plan.states.get(s.index()));
            owner = entry
                .and_then(|e| e.owner)
                .map_or(Owner::Nobody, Owner::One);
        }
        for value in graph.operands(node) {
            // A value defined too late is reported as such; here it must only not be followed.
            let def = (value.index() < graph.value_count()).then(|| graph.def(*value));
            let Some(def) = def.filter(|d| *d < node) else {
                continue;
            };
            owner = match (owner, owners[def.index()]) {
                (a, Owner::Nobody) => a,
                (Owner::Nobody, b) => b,
                (a, b) if a == b => a,
                _ => Owner::Several,
            };
        }
        owners[node.index()] = owner;
    }
    owners
}
