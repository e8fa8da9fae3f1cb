//! Products of matrices.

use syncarp_ir::{Attrs, DType, Dim, Value};

use super::Op;
use crate::call::{Call, Lowered, Miss, one};

pub(super) const OPS: &[Op] = &[
    Op::new("MatMul", |c| {
        let (a, b) = (c.x(0)?, c.x(1)?);
        one(matmul(c, a, b)?)
    }),
    Op::new("Gemm", gemm),
    Op::new("MatMulInteger", |c| {
        let (a, b) = (c.x(0)?, c.x(1)?);
        let (low_a, low_b) = (c.x_opt(2)?, c.x_opt(3)?);
        // A zero point of many is one for each row of a.
        let low_a = match low_a {
            Some(zero) if c.rank(zero)? == 1 && c.dims(zero)?[0] != Dim::Known(1) => {
                Some(c.unsqueeze(zero, &[-1])?)
            }
            zero => zero,
        };
        let a = super::quantize::centred(c, a, low_a)?;
        let b = super::quantize::centred(c, b, low_b)?;
        let product = c.emit("matmul", &[a, b])?;
        one(c.cast(product, DType::I32)?)
    }),
    Op::new("Einsum", |c| {
        let operands = c.all()?;
        let equation: String = c.str_or("equation", "")?.split_whitespace().collect();
        one(c.with(
            "einsum",
            &operands,
            Attrs::new().with("equation", equation.as_str()),
        )?)
    }),
    Op::new("Det", |c| {
        let x = c.x(0)?;
        one(c.emit("det", &[x])?)
    }),
];

/// Integers are multiplied as floats, exactly so long as their sums stay below 2^24 (2^53 in f64).
pub(super) fn matmul(c: &mut Call<'_, '_>, a: Value, b: Value) -> Result<Value, Miss> {
    let dtype = c.dtype(a)?;
    if dtype.is_float() {
        return c.emit("matmul", &[a, b]);
    }
    let (a, b) = (c.cast(a, DType::F64)?, c.cast(b, DType::F64)?);
    let product = c.emit("matmul", &[a, b])?;
    c.cast(product, dtype)
}

fn gemm(c: &mut Call<'_, '_>) -> Lowered {
    let (a, b, bias) = (c.x(0)?, c.x(1)?, c.x_opt(2)?);
    let (flip_a, flip_b) = (c.flag("transA"), c.flag("transB"));
    let (alpha, beta) = (c.float_or("alpha", 1.0), c.float_or("beta", 1.0));
    let dtype = c.dtype(a)?;
    let row = match bias {
        Some(bias) => c.rank(bias)? == 1 && c.dims(bias)?[0] == c.dims(b)?[0],
        None => true,
    };
    if !flip_a && flip_b && alpha == 1.0 && beta == 1.0 && row && dtype.is_float() {
        let operands: Vec<Value> = [a, b].into_iter().chain(bias).collect();
        return one(c.emit("linear", &operands)?);
    }
    let (a, b) = match dtype.is_float() {
        true => (a, b),
        false => (c.cast(a, DType::F64)?, c.cast(b, DType::F64)?),
    };
    let mut attrs = Attrs::new();
    if flip_a {
        attrs.set("transpose_a", true);
    }
    if flip_b {
        attrs.set("transpose_b", true);
    }
    let mut product = c.with("matmul", &[a, b], attrs)?;
    if alpha != 1.0 {
        product = c.by("mul", product, alpha)?;
    }
    if let Some(mut bias) = bias {
        let wide = c.dtype(product)?;
        bias = c.cast(bias, wide)?;
        if beta != 1.0 {
            bias = c.by("mul", bias, beta)?;
        }
        product = c.add(product, bias)?;
    }
    one(c.cast(product, dtype)?)
}
