//! Attention, as one function and as the parts that PyTorch picks for a device.

use syncarp_ir::{DType, Dim, Value};

use super::Function;
use super::arg::Arg;
use super::call::Call;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        schemas: &[
            "aten::scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, \
             Tensor? attn_mask=None, float dropout_p=0.0, bool is_causal=False, *, \
             float? scale=None, bool enable_gqa=False) -> Tensor",
        ],
        lower: |c| {
            let mask = c.tensor_opt("attn_mask")?;
            let gqa = c.bool("enable_gqa")?;
            attend(c, mask, gqa).map(Arg::Tensor)
        },
    },
    // What a decomposed program has; results that serve the gradient are not read.
    Function {
        schemas: &[
            "aten::_scaled_dot_product_flash_attention_for_cpu(Tensor query, Tensor key, \
             Tensor value, float dropout_p=0.0, bool is_causal=False, *, Tensor? attn_mask=None, \
             float? scale=None) -> (Tensor, Tensor)",
            "aten::_scaled_dot_product_efficient_attention(Tensor query, Tensor key, \
             Tensor value, Tensor? attn_bias, bool compute_log_sumexp, float dropout_p=0.0, \
             bool is_causal=False, *, float? scale=None) -> (Tensor, Tensor, Tensor, Tensor)",
            "aten::_scaled_dot_product_flash_attention(Tensor query, Tensor key, Tensor value, \
             float dropout_p=0.0, bool is_causal=False, bool return_debug_mask=False, *, \
             float? scale=None) -> (Tensor, Tensor)",
            "aten::_scaled_dot_product_attention_math(Tensor query, Tensor key, Tensor value, \
             Tensor? attn_mask=None, float dropout_p=0.0, bool is_causal=False, \
             Tensor? dropout_mask=None, *, float? scale=None, bool enable_gqa=False) \
             -> (Tensor, Tensor)",
        ],
        lower: |c| {
            let mask = match (c.has("attn_mask"), c.has("attn_bias")) {
                (true, _) => c.tensor_opt("attn_mask")?,
                (_, true) => c.tensor_opt("attn_bias")?,
                _ => None,
            };
            let gqa = c.has("enable_gqa") && c.bool("enable_gqa")?;
            let y = attend(c, mask, gqa)?;
            // The others are known by their absence: whoever reads one is told.
            let mut results = vec![Arg::None; 9];
            results[0] = Arg::Tensor(y);
            Arg::list(results)
        },
    },
    Function {
        schemas: &["aten::_safe_softmax(Tensor self, int dim, ScalarType? dtype=None) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            let x = c.cast_as_asked(x)?;
            let axis = c.axis(x, c.int("dim")?)?;
            let attrs = || syncarp_ir::Attrs::new().with("axis", axis);
            let y = c.emit("softmax", &[x], attrs())?;
            // Rows that are masked all over give zeros.
            let most = syncarp_ir::Attrs::new()
                .with("axes", vec![axis])
                .with("keep", true);
            let most = c.emit("reduce_max", &[x], most)?;
            let lowest = c.like(x, f64::NEG_INFINITY)?;
            let masked = c.op("eq", &[most, lowest])?;
            let zero = c.like(x, 0.0)?;
            c.give("where", &[masked, zero, y])
        },
    },
];

/// `softmax(q k^T scale + mask) v`, with dropout in between.
fn attend(c: &mut Call<'_, '_>, mask: Option<Value>, gqa: bool) -> Result<Value, String> {
    let (mut query, key) = (c.tensor("query")?, c.tensor("key")?);
    let value = c.tensor("value")?;
    let (key, value) = match gqa {
        true => repeat_groups(c, query, key, value)?,
        false => (key, value),
    };
    let dropout = c.number("dropout_p")?;
    let causal = c.bool("is_causal")?;
    let scale = c.number_opt("scale")?;
    if c.ty(query).rank().is_none() {
        let plain = mask.is_none() && !causal && scale.is_none() && dropout == 0.0;
        return match plain {
            true => c.op("scaled_dot_product_attention", &[query, key, value]),
            false => Err(super::call::unknown_size()),
        };
    }
    let dtype = c.dtype(query);
    let (of_query, of_key) = (c.dims(query)?, c.dims(key)?);
    let (rows, columns) = match (&of_query[..], &of_key[..]) {
        ([.., rows, _], [.., columns, _]) => (rows.clone(), columns.clone()),
        _ => return Err("takes tensors of two dims at least".to_owned()),
    };
    if let Some(scale) = scale {
        let width = of_query.last().and_then(Dim::known);
        let width = width.ok_or("a `scale` of its own needs a known width")? as f64;
        let factor = scale * width.sqrt();
        if factor != 1.0 {
            let factor = c.constant(dtype, factor)?;
            query = c.op("mul", &[query, factor])?;
        }
    }
    let mut bias = match mask {
        Some(mask) if c.dtype(mask) == DType::Bool => Some(masked(c, mask, dtype)?),
        Some(mask) => Some(c.cast(mask, dtype)?),
        None => None,
    };
    if causal {
        let dims = [rows, columns];
        let row = c.places(DType::I64, &dims, 0)?;
        let column = c.places(DType::I64, &dims, 1)?;
        let seen = c.op("le", &[column, row])?;
        let causal = masked(c, seen, dtype)?;
        bias = Some(match bias {
            Some(bias) => c.op("add", &[bias, causal])?,
            None => causal,
        });
    }
    let mut operands = vec![query, key, value];
    operands.extend(bias);
    if dropout == 0.0 {
        return c.op("scaled_dot_product_attention", &operands);
    }
    if !(0.0..=1.0).contains(&dropout) {
        return Err("`dropout_p` lies between 0 and 1".to_owned());
    }
    let width = of_query.last().and_then(Dim::known);
    let width = width.ok_or("dropout in attention needs a known width")? as f64;
    let scale = c.constant(dtype, 1.0 / width.sqrt())?;
    let rank = of_key.len();
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(rank - 2, rank - 1);
    let key = c.permuted(key, &order)?;
    let query = c.op("mul", &[query, scale])?;
    let mut scores = c.op("matmul", &[query, key])?;
    if let Some(bias) = operands.get(3) {
        scores = c.op("add", &[scores, *bias])?;
    }
    let attrs = syncarp_ir::Attrs::new().with("axis", -1i64);
    let weights = c.emit("softmax", &[scores], attrs)?;
    let weights = c.dropout(weights, dropout)?;
    c.op("matmul", &[weights, value])
}

/// Zero where something holds, else minus infinity.
fn masked(c: &mut Call<'_, '_>, seen: Value, dtype: DType) -> Result<Value, String> {
    let (zero, lowest) = (
        c.constant(dtype, 0.0)?,
        c.constant(dtype, f64::NEG_INFINITY)?,
    );
    c.op("where", &[seen, zero, lowest])
}

/// Keys and values for each head of the queries, where several share one.
fn repeat_groups(
    c: &mut Call<'_, '_>,
    query: Value,
    key: Value,
    value: Value,
) -> Result<(Value, Value), String> {
    let heads = |c: &Call<'_, '_>, value: Value| {
        let dims = c.dims(value)?;
        let axis = dims
            .len()
            .checked_sub(3)
            .ok_or("takes tensors of three dims at least")?;
        let heads = dims[axis]
            .known()
            .ok_or("the number of heads is not known")?;
        Ok::<(usize, u64), String>((axis, heads))
    };
    let (_, wanted) = heads(c, query)?;
    let mut repeated = [key, value];
    for operand in &mut repeated {
        let (axis, given) = heads(c, *operand)?;
        if given == 0 || wanted % given != 0 {
            return Err(format!("{wanted} heads are no multiple of {given}"));
        }
        *operand = super::arrange::repeat_each(c, *operand, axis, wanted / given)?;
    }
    Ok((repeated[0], repeated[1]))
}
