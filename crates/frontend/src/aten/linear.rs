//! Products of matrices, convolutions and tables of rows.

use syncarp_ir::{Attrs, DType, Value};

use super::arg::Arg;
use super::call::{Call, unknown_size};
use super::{Function, Lowered};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        schemas: &["aten::matmul(Tensor self, Tensor other) -> Tensor"],
        lower: |c| {
            let (a, b) = (c.tensor("self")?, c.tensor("other")?);
            c.give("matmul", &[a, b])
        },
    },
    Function {
        schemas: &[
            "aten::mm(Tensor self, Tensor mat2) -> Tensor",
            "aten::bmm(Tensor self, Tensor mat2) -> Tensor",
        ],
        lower: |c| {
            let (a, b) = (c.tensor("self")?, c.tensor("mat2")?);
            c.give("matmul", &[a, b])
        },
    },
    Function {
        schemas: &[
            "aten::addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) \
             -> Tensor",
        ],
        lower: |c| {
            let operands = [c.tensor("mat1")?, c.tensor("mat2")?];
            let product = c.emit("matmul", &operands, Attrs::new())?;
            let product = times(c, product, "alpha")?;
            let bias = c.tensor("self")?;
            let bias = times(c, bias, "beta")?;
            c.give("add", &[bias, product])
        },
    },
    Function {
        schemas: &["aten::linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor"],
        lower: |c| {
            let operands = with_bias(c)?;
            c.give("linear", &operands)
        },
    },
    Function {
        schemas: &[
            "aten::conv2d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[2] stride=1, \
             SymInt[2] padding=0, SymInt[2] dilation=1, SymInt groups=1) -> Tensor",
        ],
        lower: |c| convolve(c, 2),
    },
    Function {
        schemas: &[
            "aten::conv1d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[1] stride=1, \
             SymInt[1] padding=0, SymInt[1] dilation=1, SymInt groups=1) -> Tensor",
        ],
        lower: |c| convolve(c, 1),
    },
    Function {
        schemas: &[
            "aten::convolution(Tensor input, Tensor weight, Tensor? bias, SymInt[] stride, \
             SymInt[] padding, SymInt[] dilation, bool transposed, SymInt[] output_padding, \
             SymInt groups) -> Tensor",
            "aten::_convolution(Tensor input, Tensor weight, Tensor? bias, SymInt[] stride, \
             SymInt[] padding, SymInt[] dilation, bool transposed, SymInt[] output_padding, \
             SymInt groups, bool benchmark, bool deterministic, bool cudnn_enabled, \
             bool allow_tf32) -> Tensor",
        ],
        lower: |c| {
            if c.bool("transposed")? {
                return Err("no transposed convolution is known here".to_owned());
            }
            let weight = c.tensor("weight")?;
            let rank = match c.ty(weight).rank() {
                Some(rank) => rank,
                None => c.ints("stride")?.len() + 2,
            };
            match rank {
                3 | 4 => convolve(c, rank - 2),
                _ => Err("convolutions over one axis or two are known here".to_owned()),
            }
        },
    },
    Function {
        schemas: &[
            "aten::embedding(Tensor weight, Tensor indices, SymInt padding_idx=-1, \
             bool scale_grad_by_freq=False, bool sparse=False) -> Tensor",
        ],
        lower: |c| {
            if c.int("padding_idx")? >= 0 || c.bool("scale_grad_by_freq")? {
                return Err("gradients of all rows count alike here".to_owned());
            }
            let (weight, mut index) = (c.tensor("weight")?, c.tensor("indices")?);
            if c.ty(index).dtype.is_some_and(|dtype| !dtype.is_float()) {
                index = c.cast(index, DType::I64)?;
            }
            c.give("embedding", &[weight, index])
        },
    },
    Function {
        schemas: &[
            "aten::scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, \
             Tensor? attn_mask=None, float dropout_p=0.0, bool is_causal=False, *, \
             float? scale=None, bool enable_gqa=False) -> Tensor",
        ],
        lower: |c| {
            let plain = c.tensor_opt("attn_mask")?.is_none()
                && c.number("dropout_p")? == 0.0
                && !c.bool("is_causal")?
                && *c.arg("scale") == Arg::None
                && !c.bool("enable_gqa")?;
            if !plain {
                return Err("attention has no mask, dropout or scale of its own here".to_owned());
            }
            let operands = [c.tensor("query")?, c.tensor("key")?, c.tensor("value")?];
            c.give("scaled_dot_product_attention", &operands)
        },
    },
];

/// A value times a factor; itself where that is 1.
fn times(c: &mut Call<'_, '_>, value: Value, factor: &str) -> Result<Value, String> {
    let factor = c.number(factor)?;
    if factor == 1.0 {
        return Ok(value);
    }
    let dtype = c.dtype(value);
    let factor = c.constant(dtype, factor)?;
    c.emit("mul", &[value, factor], Attrs::new())
}

fn with_bias(c: &Call<'_, '_>) -> Result<Vec<Value>, String> {
    let mut operands = vec![c.tensor("input")?, c.tensor("weight")?];
    operands.extend(c.tensor_opt("bias")?);
    Ok(operands)
}

fn convolve(c: &mut Call<'_, '_>, axes: usize) -> Lowered {
    let operands = with_bias(c)?;
    if c.ty(operands[0])
        .rank()
        .is_some_and(|rank| rank != axes + 2)
    {
        return Err(format!("takes a batch of {} dims", axes + 2));
    }
    let attrs = Attrs::new()
        .with("stride", c.window("stride", axes, None, 1)?)
        .with("padding", c.window("padding", axes, None, 0)?)
        .with("dilation", c.window("dilation", axes, None, 1)?)
        .with("groups", c.int("groups")?);
    match axes {
        1 => c.give_with("conv1d", &operands, attrs),
        2 => c.give_with("conv2d", &operands, attrs),
        _ => Err(unknown_size()),
    }
}
