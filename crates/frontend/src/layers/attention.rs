//! Self-attention.

use syncarp_diag::Located;
use syncarp_ir::{Attrs, DType, Dim, Distribution, Value};

use super::regular::probability;
use super::{BIAS, INIT};
use crate::context::LayerContext;
use crate::init::{torch_uniform, xavier_uniform};
use crate::registry::{Argument, LayerFn};

const HEADS: Argument = Argument::required(&["num_heads", "heads"], "The number of heads.");
const WIDTH: Argument = Argument::optional(
    &["embed_dim", "dim"],
    "inferred",
    "The size of the last axis.",
);
const DROPOUT: Argument = Argument::optional(
    &["dropout"],
    "0",
    "The probability that a weight of the attention becomes zero in training.",
);

pub(super) const ATTENTION: LayerFn = LayerFn {
    names: &["multi-head-attention", "self-attention"],
    doc: "Every place of a sequence attends to all places of it, [n, length, dim] to \
          [n, length, dim] (`torch.nn.MultiheadAttention` with one value as query, key and value, \
          batch first). States: `in_proj_weight` [3 * dim, dim], `in_proj_bias` [3 * dim], \
          `out_proj.weight` [dim, dim], `out_proj.bias` [dim].",
    arguments: &[HEADS, WIDTH, DROPOUT, BIAS, INIT],
    lower: attention,
};

fn attention(cx: &mut LayerContext<'_, '_>) -> Result<Value, Located> {
    let heads = cx.args.usize(&HEADS)? as u64;
    let explicit = cx.args.usize_opt(&WIDTH)?;
    let p = probability(cx, &DROPOUT, 0.0)?;
    let bias = cx.args.bool_opt(&BIAS)?.unwrap_or(true);
    cx.rank(3, 3, "sequences [n, length, dim]")?;
    let dtype = cx.float()?;
    let width = cx.size(-1, &WIDTH, explicit)?;
    let Some([batch, length, _]) = cx.ty().dims() else {
        return Err(cx.error("expects a value whose dims are known"));
    };
    let (batch, length) = (batch.clone(), length.clone());
    if heads == 0 || !width.is_multiple_of(heads) {
        let message = format!("a `dim` of {width} does not make {heads} heads");
        return Err(cx.error_at(&HEADS, message));
    }
    let triple = width.checked_mul(3).filter(|t| i64::try_from(*t).is_ok());
    let triple = triple.ok_or_else(|| cx.error("the weight is too large"))?;

    let zeros = Distribution::Constant(0.0);
    let into = xavier_uniform(triple, width);
    let mut operands = vec![cx.input()];
    operands.push(cx.parameter("in_proj_weight", dtype, &[triple, width], into)?);
    if bias {
        operands.push(cx.parameter("in_proj_bias", dtype, &[triple], zeros.clone())?);
    }
    let projected = cx.emit1("linear", &operands, Attrs::new())?;

    let size = width / heads;
    let split = [
        batch.clone(),
        length.clone(),
        Dim::Known(heads),
        Dim::Known(size),
    ];
    let mut parts = [projected; 3];
    for (place, part) in parts.iter_mut().enumerate() {
        let start = place as i64 * width as i64;
        let attrs = Attrs::new().with("axis", 2i64).with("start", start);
        let taken = cx.emit1(
            "slice",
            &[projected],
            attrs.with("end", start + width as i64),
        )?;
        let heads = cx.emit1("reshape", &[taken], Attrs::new().with("dims", &split[..]))?;
        let order = Attrs::new().with("permutation", vec![0, 2, 1, 3]);
        *part = cx.emit1("transpose", &[heads], order)?;
    }
    let mixed = mix(cx, parts, size, p, dtype)?;
    let order = Attrs::new().with("permutation", vec![0, 2, 1, 3]);
    let back = cx.emit1("transpose", &[mixed], order)?;
    let whole = vec![batch, length, Dim::Known(width)];
    let back = cx.emit1("reshape", &[back], Attrs::new().with("dims", whole))?;

    let mut operands = vec![back];
    let out = torch_uniform(width);
    operands.push(cx.parameter("out_proj.weight", dtype, &[width, width], out)?);
    if bias {
        operands.push(cx.parameter("out_proj.bias", dtype, &[width], zeros)?);
    }
    cx.emit1("linear", &operands, Attrs::new())
}

/// Values weighted by the softmax of scaled products of queries and keys.
fn mix(
    cx: &mut LayerContext<'_, '_>,
    [query, key, value]: [Value; 3],
    size: u64,
    p: f64,
    dtype: DType,
) -> Result<Value, Located> {
    if p == 0.0 {
        return cx.emit1(
            "scaled_dot_product_attention",
            &[query, key, value],
            Attrs::new(),
        );
    }
    let scores = Attrs::new().with("transpose_b", true);
    let scores = cx.emit1("matmul", &[query, key], scores)?;
    let scale = cx.number(dtype, 1.0 / (size as f64).sqrt())?;
    let scores = cx.emit1("mul", &[scores, scale], Attrs::new())?;
    let weights = cx.emit1("softmax", &[scores], Attrs::new().with("axis", -1i64))?;
    let weights = cx.dropout(weights, p, Some("dropout"))?;
    cx.emit1("matmul", &[weights, value], Attrs::new())
}
