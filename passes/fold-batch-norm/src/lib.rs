//! `fold-batch-norm`: in evaluation, batch norm after a convolution or a linear layer becomes part of
//! its weight and bias.
//!
//! `(conv(x, w) + b - mean) s + beta` with `s = gamma / sqrt(var + eps)` is
//! `conv(x, w s) + (b - mean) s + beta`. The new weight and bias are computed in the graph from the
//! states as they are, so checkpoints keep their names; an engine does that once where nothing in
//! them changes.

use syncarp_ir::{Attrs, BuildError, Dim, EVAL, Exactness, Graph, Node, Plan, Rewriter, Value};
use syncarp_pass::{
    Changed, Context, Pass, PassDoc, PassError, PassRegistry, RegisterError, Stage,
};

/// Adds the pass.
///
/// # Errors
/// Where the name is taken.
pub fn register(registry: &mut PassRegistry) -> Result<(), RegisterError> {
    registry.register(DOC, |_| Ok(Box::new(FoldBatchNorm)))
}

const DOC: PassDoc = PassDoc {
    name: "fold-batch-norm",
    doc: "In graphs that evaluate, batch norm after a convolution or a linear layer that nothing \
          else reads goes into their weight and bias. Results move by roundings.",
    stage: Stage::Any,
    exactness: Exactness::EvalOnly,
    options: &[],
};

struct FoldBatchNorm;

impl Pass for FoldBatchNorm {
    fn run(&self, plan: &mut Plan, cx: &mut Context<'_>) -> Result<Changed, PassError> {
        let Some(graph) = plan.graph(EVAL) else {
            return Ok(Changed::No);
        };
        let uses = graph.use_counts();
        let layer = |norm: Node| {
            let x = *graph.operands(norm).first()?;
            let layer = graph.def(x);
            let fits = graph.op_name(norm) == "batch_norm_eval"
                && is_layer(graph, layer)
                && uses[x.index()] == 1
                && graph.device(layer) == graph.device(norm);
            fits.then_some(layer)
        };
        let mut rw = Rewriter::new(graph);
        let mut folded = 0;
        for node in graph.nodes() {
            match layer(node) {
                Some(layer) => {
                    let value = fold(&mut rw, layer, node)?;
                    rw.replace(node, &[value])?;
                    folded += 1;
                }
                None => {
                    rw.copy(node);
                }
            }
        }
        if folded == 0 {
            return Ok(Changed::No);
        }
        rw.copy_outputs();
        let graph = rw.finish();
        cx.count("folded", folded);
        plan.set_graph(EVAL, graph);
        Ok(Changed::Yes)
    }
}

/// Whether a node's second axis are the rows of its weight, its second operand.
fn is_layer(graph: &Graph, node: Node) -> bool {
    let rank = |value: Value| graph.ty(value).rank();
    match graph.op_name(node) {
        "conv1d" | "conv2d" | "conv3d" => rank(graph.operands(node)[1]).is_some(),
        // Of more axes the features are the last one, and channels the second.
        "linear" => rank(graph.result(node, 0)) == Some(2),
        _ => false,
    }
}

/// Emits the layer with the norm in it; the layer as it was stays, for `dce` to take away.
fn fold(rw: &mut Rewriter<'_>, layer: Node, norm: Node) -> Result<Value, BuildError> {
    let graph = rw.old();
    let of_layer = rw.operands(layer);
    let of_norm = rw.operands(norm);
    let (op, attrs) = (graph.op_name(layer), graph.attrs(layer).clone());
    let weight = graph.ty(graph.operands(layer)[1]).dims();
    let rank = weight.map_or(2, <[Dim]>::len);
    let b = rw.at(norm);
    let mut call = |op: &str, operands: &[Value]| b.emit1(op, operands, Attrs::new());
    let (x, weight) = (of_layer[0], of_layer[1]);
    let [_, gamma, beta, mean, var, eps] = of_norm[..] else {
        unreachable!("the number of operands was checked");
    };
    let shifted = call("add", &[var, eps])?;
    let inverse = call("rsqrt", &[shifted])?;
    let scale = call("mul", &[gamma, inverse])?;
    let centred = match of_layer.get(2) {
        Some(bias) => call("sub", &[*bias, mean])?,
        None => call("neg", &[mean])?,
    };
    let scaled = call("mul", &[centred, scale])?;
    let bias = call("add", &[scaled, beta])?;
    let axes: Vec<i64> = (1..rank as i64).collect();
    let rows = b.emit1("unsqueeze", &[scale], Attrs::new().with("axes", axes))?;
    let weight = b.emit1("mul", &[weight, rows], Attrs::new())?;
    b.emit1(op, &[x, weight, bias], attrs)
}
