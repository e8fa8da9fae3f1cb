//! Low-rank adapters (Hu et al., 2021) as a rewrite of the model graph.
//!
//! A layer whose weight `W` is [out, in, ...] gives what it gave, plus `alpha / rank` times its input
//! through `lora_A` [rank, in, ...] and `lora_B` [out, rank]. The names, the first values (`lora_A`
//! as PyTorch draws a linear layer's weight, `lora_B` zero) and the dropout before `lora_A` are those
//! of the `peft` package. All parameters that the part had before are frozen.

use std::collections::BTreeMap;

use syncarp_diag::{Located, Source};
use syncarp_ir::core_ops::{INPUT, STATE, STEP_INPUT};
use syncarp_ir::{
    Attrs, BuildError, DType, Dim, Distribution, Graph, Initial, Node, Plan, Rewriter, Role, State,
    StateEntry, StateKind, StreamKey, TRAIN, TensorType, Value,
};
use syncarp_sweep::{Lora, glob_matches};

use crate::context::join;
use crate::cut::path_of;
use crate::draft::{Draft, MODEL};
use crate::freeze::Frozen;
use crate::init::torch_uniform;

/// How many layers are named in a message.
const NAMED: usize = 12;

/// What kind of layer reads a weight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// `linear x, w`: w is [out, in].
    Linear,
    /// `matmul x, w`: w is [in, out].
    Matmul,
    /// A convolution without groups: w is [out, in, kernel...].
    Conv,
}

/// A layer that gets an adapter.
struct Target<'p> {
    lora: &'p Lora,
    /// The layer's path.
    path: String,
    kind: Kind,
    dtype: DType,
    out: u64,
    /// The input's channels, and the kernel of a convolution.
    into: Vec<u64>,
}

/// The states of an adapter.
struct Adapter {
    a: State,
    b: State,
}

/// Freezes what parts with adapters had, and adds the adapters.
///
/// # Errors
/// A target names no layer that can have one.
pub(crate) fn apply(plan: &mut Plan, parts: &[Frozen<'_>], source: &Source) -> Result<(), Located> {
    if parts.iter().all(|part| part.part.lora.is_none()) {
        return Ok(());
    }
    let Some(graph) = plan.take_graph(TRAIN) else {
        return Ok(());
    };
    let kinds = kinds(plan, &graph);
    let mut targets: BTreeMap<State, Target<'_>> = BTreeMap::new();
    for part in parts {
        if let Some(lora) = &part.part.lora {
            freeze(plan, part);
            choose(plan, part, lora, &kinds, source, &mut targets)?;
        }
    }
    let adapters = enter(plan, &targets);
    let graph = rewrite(&graph, plan, &targets, &adapters).map_err(|error| {
        let span = targets
            .values()
            .next()
            .map_or(0..0, |t| t.lora.span.clone());
        Located::new(source, span, format!("the adapters do not fit: {error}"))
    })?;
    plan.set_graph(TRAIN, graph);
    Ok(())
}

fn freeze(plan: &mut Plan, part: &Frozen<'_>) {
    let states = plan.models[MODEL].states[part.states.clone()].to_vec();
    for (_, state) in states {
        let entry = &mut plan.states[state.index()];
        if entry.kind == StateKind::Trainable {
            entry.kind = StateKind::Frozen;
            entry.owner = None;
        }
    }
}

/// For each state that is a layer's weight, what kind of layer reads it.
fn kinds(plan: &Plan, graph: &Graph) -> BTreeMap<State, Kind> {
    let readers = graph.nodes().filter_map(|node| {
        let state = weight(graph, node)?;
        let kind = kind(plan, graph, node, state)?;
        Some((state, kind))
    });
    readers.collect()
}

/// The state that a node reads as its second operand.
fn weight(graph: &Graph, node: Node) -> Option<State> {
    let def = graph.def(*graph.operands(node).get(1)?);
    let state = graph.attrs(def).state("of")?;
    (graph.op_name(def) == STATE).then_some(state)
}

fn kind(plan: &Plan, graph: &Graph, node: Node, state: State) -> Option<Kind> {
    let rank = plan.state(state).ty.numbers()?.len();
    match (graph.op_name(node), rank) {
        ("linear", 2) => Some(Kind::Linear),
        ("matmul", 2) => Some(Kind::Matmul),
        ("conv1d", 3) | ("conv2d", 4) | ("conv3d", 5) => {
            let groups = graph.attrs(node).int("groups").unwrap_or(1);
            (groups == 1).then_some(Kind::Conv)
        }
        _ => None,
    }
}

/// Finds the layers of a part that get adapters.
fn choose<'p>(
    plan: &Plan,
    part: &Frozen<'p>,
    lora: &'p Lora,
    kinds: &BTreeMap<State, Kind>,
    source: &Source,
    targets: &mut BTreeMap<State, Target<'p>>,
) -> Result<(), Located> {
    let mut used = vec![false; lora.targets.len()];
    let mut known: Vec<&str> = Vec::new();
    for (path, state) in &plan.models[MODEL].states[part.states.clone()] {
        let Some(kind) = kinds.get(state).copied() else {
            continue;
        };
        let layer = path.rsplit_once('.').map_or(&**path, |(layer, _)| layer);
        let within = part.within(layer);
        known.push(within);
        let fits = |at: &usize| glob_matches(&lora.targets[*at].value, within);
        let fitting: Vec<usize> = (0..used.len()).filter(fits).collect();
        let entry = plan.state(*state);
        let (Some(dims), Some(dtype)) = (entry.ty.numbers(), entry.ty.dtype) else {
            continue;
        };
        if fitting.is_empty() {
            continue;
        }
        fitting.into_iter().for_each(|at| used[at] = true);
        let dims: Vec<u64> = dims.iter().map(|d| *d as u64).collect();
        let (out, into) = match kind {
            Kind::Matmul => (dims[1], vec![dims[0]]),
            Kind::Linear | Kind::Conv => (dims[0], dims[1..].to_vec()),
        };
        targets.entry(*state).or_insert_with(|| Target {
            lora,
            path: layer.to_owned(),
            kind,
            dtype,
            out,
            into,
        });
    }
    let Some(unused) = used.iter().position(|used| !used) else {
        return Ok(());
    };
    let pattern = &lora.targets[unused];
    let message = format!(
        "`{}` is the path of no layer that can have an adapter",
        pattern.value
    );
    let shown: Vec<&str> = known.iter().copied().take(NAMED).collect();
    let more = if known.len() > NAMED { ", ..." } else { "" };
    let help = match known.is_empty() {
        true => "linear layers and convolutions without groups can; the part has none".to_owned(),
        false => format!("there are: {}{more}", shown.join(", ")),
    };
    Err(Located::new(source, pattern.span.clone(), message).with_help(help))
}

/// Enters the adapters' states in the plan.
fn enter(plan: &mut Plan, targets: &BTreeMap<State, Target<'_>>) -> BTreeMap<State, Adapter> {
    let mut state = |path: String, dtype, dims: &[u64], distribution| {
        let stream = StreamKey::unbound(path.as_str(), 0);
        let entry = StateEntry {
            ty: TensorType::fixed(dtype, dims),
            kind: StateKind::Trainable,
            owner: Some(Draft::model()),
            initial: Initial::Init(distribution, stream),
        };
        plan.add_state(Draft::model(), &path, entry)
    };
    let mut adapters = BTreeMap::new();
    for (weight, target) in targets {
        let rank = target.lora.rank;
        let fan_in = target.into.iter().product();
        let first: Vec<u64> = [&[rank], target.into.as_slice()].concat();
        // What comes after a convolution is one over single elements.
        let mut second = vec![target.out, rank];
        second.resize(first.len(), 1);
        let path = |name| join(&target.path, name);
        let (dtype, zero) = (target.dtype, Distribution::Constant(0.0));
        let a = state(path("lora_A.weight"), dtype, &first, torch_uniform(fan_in));
        let b = state(path("lora_B.weight"), dtype, &second, zero);
        adapters.insert(*weight, Adapter { a, b });
    }
    adapters
}

fn rewrite(
    graph: &Graph,
    plan: &Plan,
    targets: &BTreeMap<State, Target<'_>>,
    adapters: &BTreeMap<State, Adapter>,
) -> Result<Graph, BuildError> {
    let mut rw = Rewriter::new(graph);
    // Dropout reads the step's number, which may stand anywhere.
    let is_step = |node: &Node| {
        let name = graph.attrs(*node).str("name");
        graph.op_name(*node) == INPUT && name.is_some_and(|name| **name == *STEP_INPUT)
    };
    let step = graph.nodes().find(is_step);
    let mut now = step.map(|node| rw.copy(node)[0]);
    let mut streams: BTreeMap<&str, u32> = BTreeMap::new();
    for node in graph.nodes().filter(|node| Some(*node) != step) {
        let state = weight(graph, node);
        let kind = state.and_then(|state| kind(plan, graph, node, state));
        let target = state.and_then(|state| Some((targets.get(&state)?, adapters.get(&state)?)));
        let fits = target.filter(|(target, _)| Some(target.kind) == kind);
        rw.copy(node);
        let Some((target, adapter)) = fits else {
            continue;
        };
        if target.lora.dropout > 0.0 && now.is_none() {
            now = Some(step_input(&mut rw)?);
        }
        let occurrence = streams.entry(&target.path).or_default();
        let emit = Emit {
            rw: &mut rw,
            plan,
            target,
            stream: StreamKey::unbound(join(&target.path, "lora_dropout").as_str(), *occurrence),
        };
        *occurrence += 1;
        let sum = emit.adapter(graph, node, adapter, now)?;
        rw.stand_for(node, &[sum]);
    }
    rw.copy_outputs();
    Ok(rw.finish())
}

fn step_input(rw: &mut Rewriter<'_>) -> Result<Value, BuildError> {
    let b = rw.builder();
    b.set_origin(Draft::model(), "", Role::Forward);
    let attrs = Attrs::new()
        .with("model", Draft::model())
        .with("name", STEP_INPUT)
        .with("dtype", DType::I64)
        .with("dims", Vec::<Dim>::new());
    b.emit1(INPUT, &[], attrs)
}

/// Emits one adapter beside its layer.
struct Emit<'e, 'g, 'p> {
    rw: &'e mut Rewriter<'g>,
    plan: &'p Plan,
    target: &'p Target<'p>,
    stream: StreamKey,
}

impl Emit<'_, '_, '_> {
    fn adapter(
        self,
        graph: &Graph,
        node: Node,
        adapter: &Adapter,
        step: Option<Value>,
    ) -> Result<Value, BuildError> {
        let Emit {
            rw,
            plan,
            target,
            stream,
        } = self;
        let (lora, dtype) = (target.lora, target.dtype);
        let mut x = rw.get(graph.operands(node)[0]);
        let given = rw.get(graph.result(node, 0));
        let path = path_of(graph, node).to_owned();
        let b = rw.builder();
        let at = |name: &str| join(&target.path, name);
        if let Some(step) = step.filter(|_| lora.dropout > 0.0) {
            b.set_origin(Draft::model(), &at("lora_dropout"), Role::Forward);
            let p = b.constant(dtype, lora.dropout)?;
            let attrs = Attrs::new().with("stream", stream);
            x = b.emit("dropout", &[x, p, step], attrs)?[0];
        }
        let (op, attrs) = match target.kind {
            Kind::Linear | Kind::Matmul => ("linear", Attrs::new()),
            Kind::Conv => (graph.op_name(node), graph.attrs(node).clone()),
        };
        b.set_origin(Draft::model(), &at("lora_A"), Role::Forward);
        let weight = read(b, plan, adapter.a)?;
        x = b.emit1(op, &[x, weight], attrs)?;
        b.set_origin(Draft::model(), &at("lora_B"), Role::Forward);
        let weight = read(b, plan, adapter.b)?;
        x = b.emit1(op, &[x, weight], Attrs::new())?;
        b.set_origin(Draft::model(), &path, Role::Forward);
        let scale = b.constant(dtype, lora.alpha / lora.rank as f64)?;
        x = b.emit1("mul", &[x, scale], Attrs::new())?;
        b.emit1("add", &[given, x], Attrs::new())
    }
}

fn read(b: &mut syncarp_ir::GraphBuilder, plan: &Plan, state: State) -> Result<Value, BuildError> {
    let op = b.graph().registry().find(STATE);
    let op = op.ok_or_else(|| BuildError::UnknownOp {
        op: STATE.to_owned(),
    })?;
    let ty = plan.state(state).ty.clone();
    Ok(b.emit_id(op, &[], Attrs::new().with("of", state), Some(&[ty]))?[0])
}
