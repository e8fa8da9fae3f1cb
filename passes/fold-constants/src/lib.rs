//! `fold-constants`: what depends on constants alone is evaluated once, here.
//!
//! The numbers are the engine's own, asked for through [`Execute`](syncarp_pass::Execute), so every
//! result keeps its bits.

use syncarp_ir::core_ops::CONSTANT;
use syncarp_ir::{
    Attr, Attrs, BuildError, Dim, Exactness, Graph, GraphBuilder, Model, ModelEntry, Node,
    OutputKey, Plan, Purity, Rewriter, TensorData, TensorType, Value,
};
use syncarp_pass::{
    Changed, Context, Pass, PassDoc, PassError, PassRegistry, RegisterError, Stage,
};

/// Adds the pass.
///
/// # Errors
/// Where the name is taken.
pub fn register(registry: &mut PassRegistry) -> Result<(), RegisterError> {
    registry.register(DOC, |options| {
        let limit = options.count("limit", LIMIT)?;
        Ok(Box::new(FoldConstants { limit }))
    })
}

/// The most elements that a folded constant has: it is written down in every print of the plan.
const LIMIT: usize = 4096;

const DOC: PassDoc = PassDoc {
    name: "fold-constants",
    doc: "Evaluates ops whose operands are all constants, with the engine's own kernels, and writes \
          the results down. Random and unknown ops stay, and so do ops that the engine has no \
          kernel for.",
    stage: Stage::Any,
    exactness: Exactness::Bitwise,
    options: &[(
        "limit",
        "the most elements that a result may have; 4096 by default",
    )],
};

struct FoldConstants {
    limit: usize,
}

impl Pass for FoldConstants {
    fn run(&self, plan: &mut Plan, cx: &mut Context<'_>) -> Result<Changed, PassError> {
        let Some(execute) = cx.execute else {
            return Err(PassError::Unready(
                "nothing evaluates graphs here, so no constant can be folded".to_owned(),
            ));
        };
        let mut changed = false;
        for at in 0..plan.graphs.len() {
            let graph = &plan.graphs[at].1;
            let folds = self.folds(graph, cx);
            let wanted = wanted(graph, &folds);
            if wanted.is_empty() {
                continue;
            }
            let closed = closed(graph, &folds, &wanted)?;
            let Ok(numbers) = execute.evaluate(&closed, CLOSED) else {
                // A kernel refuses: whoever runs the graph will say so, with the model's name.
                cx.count("refused", 1);
                continue;
            };
            cx.count("folded", wanted.len() as u64);
            let graph = rewrite(graph, &wanted, &numbers)?;
            plan.graphs[at].1 = graph;
            changed = true;
        }
        Ok(Changed::from_bool(changed))
    }
}

/// What the graph of constants is called while it is evaluated.
const CLOSED: &str = "constants";

impl FoldConstants {
    /// For each node, whether it depends on constants alone and may be evaluated.
    fn folds(&self, graph: &Graph, cx: &Context<'_>) -> Vec<bool> {
        let mut folds = vec![false; graph.len()];
        for node in graph.nodes() {
            if graph.op_name(node) == CONSTANT {
                folds[node.index()] = true;
                continue;
            }
            let operands = graph.operands(node);
            let constant = |value: &Value| folds[graph.def(*value).index()];
            let random = |(_, value): (&str, &Attr)| matches!(value, Attr::Stream(_));
            let small = |value: Value| {
                let elements = graph.ty(value).elements();
                elements.is_some_and(|n| n <= self.limit as u64) && graph.ty(value).dtype.is_some()
            };
            folds[node.index()] = graph.op(node).purity() == Purity::Pure
                && operands.iter().all(constant)
                && !graph.attrs(node).iter().any(random)
                && graph.results(node).all(small)
                && (cx.has_kernel)(graph.op_name(node));
        }
        folds
    }
}

/// The results of folding nodes that something else needs, constants as they are apart.
fn wanted(graph: &Graph, folds: &[bool]) -> Vec<Value> {
    let mut needed = vec![false; graph.value_count()];
    for node in graph.nodes().filter(|node| !folds[node.index()]) {
        for value in graph.operands(node) {
            needed[value.index()] = true;
        }
    }
    for output in graph.outputs() {
        needed[output.value.index()] = true;
    }
    let new = |node: &Node| folds[node.index()] && graph.op_name(*node) != CONSTANT;
    let values = graph.nodes().filter(new).flat_map(|n| graph.results(n));
    values.filter(|value| needed[value.index()]).collect()
}

/// A plan of the folding nodes alone, whose results are what is wanted.
fn closed(graph: &Graph, folds: &[bool], wanted: &[Value]) -> Result<Plan, BuildError> {
    let mut needed = vec![false; graph.len()];
    for value in wanted {
        needed[graph.def(*value).index()] = true;
    }
    for node in graph.nodes().rev().filter(|node| folds[node.index()]) {
        if needed[node.index()] {
            for value in graph.operands(node) {
                needed[graph.def(*value).index()] = true;
            }
        }
    }
    let mut b = GraphBuilder::new(graph.registry().clone());
    let mut map: Vec<Option<Value>> = vec![None; graph.value_count()];
    for node in graph.nodes().filter(|node| needed[node.index()]) {
        let operands = graph.operands(node).iter();
        let operands: Option<Vec<Value>> = operands.map(|v| map[v.index()]).collect();
        let operands = operands.expect("what a folding node needs folds");
        let types: Vec<TensorType> = graph.results(node).map(|v| graph.ty(v).clone()).collect();
        let attrs = graph.attrs(node).clone();
        let made = b.emit_id(graph.op_id(node), &operands, attrs, Some(&types))?;
        for (old, new) in graph.results(node).zip(made) {
            map[old.index()] = Some(new);
        }
    }
    for (place, value) in wanted.iter().enumerate() {
        let value = map[value.index()].expect("what is wanted is computed");
        b.output(
            OutputKey::Result(Model::new(0), place.to_string().into()),
            value,
        );
    }
    let mut plan = Plan {
        models: vec![ModelEntry::default()],
        ..Plan::default()
    };
    plan.set_graph(CLOSED, b.finish());
    Ok(plan)
}

/// The graph in which constants stand for what was evaluated. What they were computed from stays,
/// for `dce` to take away.
fn rewrite(graph: &Graph, wanted: &[Value], numbers: &[TensorData]) -> Result<Graph, BuildError> {
    let mut rw = Rewriter::new(graph);
    let mut next = wanted.iter().zip(numbers).peekable();
    for node in graph.nodes() {
        let here = |value: Value| graph.def(value) == node;
        if !next.peek().is_some_and(|(value, _)| here(**value)) {
            rw.copy(node);
            continue;
        }
        let mut values: Vec<Value> = rw.copy(node).to_vec();
        while let Some((value, data)) = next.next_if(|(value, _)| here(**value)) {
            let attrs = written(graph.ty(*value), data);
            let constant = rw.at(node).emit1(CONSTANT, &[], attrs)?;
            values[graph.result_index(*value)] = constant;
        }
        rw.stand_for(node, &values);
    }
    rw.copy_outputs();
    Ok(rw.finish())
}

/// Elements as a constant's attributes: one number where all are the same.
fn written(ty: &TensorType, data: &TensorData) -> Attrs {
    let mut attrs = Attrs::new();
    if let Some(dtype) = ty.dtype {
        attrs.set("dtype", dtype);
    }
    let dims: Vec<Dim> = ty.dims().unwrap_or_default().to_vec();
    let bool = ty.dtype == Some(syncarp_ir::DType::Bool);
    match data {
        TensorData::Float(items) => match items.first() {
            Some(first) if items.iter().all(|x| x.to_bits() == first.to_bits()) => {
                attrs.set("value", *first);
            }
            _ => attrs.set("value", Attr::Floats(items.as_slice().into())),
        },
        TensorData::Int(items) => match items.first() {
            Some(first) if items.iter().all(|x| x == first) => match bool {
                true => attrs.set("value", *first != 0),
                false => attrs.set("value", *first),
            },
            _ => attrs.set("value", Attr::Ints(items.as_slice().into())),
        },
    }
    if !dims.is_empty() {
        attrs.set("dims", dims);
    }
    attrs
}
