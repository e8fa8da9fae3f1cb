//! Activations, most of them with numbers of their own.

use syncarp_ir::{Attrs, Dim};

use super::Op;
use crate::call::{Call, Lowered, one};

pub(super) const OPS: &[Op] = &[
    Op::new("Relu", |c| {
        let x = c.x(0)?;
        match c.dtype(x)?.is_float() {
            true => one(c.emit("relu", &[x])?),
            false => one(c.by("maximum", x, 0.0)?),
        }
    }),
    Op::new("Sigmoid", |c| plain(c, "sigmoid")),
    Op::new("Softsign", |c| plain(c, "softsign")),
    Op::new("HardSwish", |c| plain(c, "hardswish")),
    Op::new("Mish", |c| plain(c, "mish")),
    Op::new("Softplus", |c| {
        let x = c.x(0)?;
        one(c.by("softplus", x, 1.0)?)
    }),
    Op::new("Elu", |c| {
        let x = c.x(0)?;
        let alpha = c.float_or("alpha", 1.0);
        one(c.by("elu", x, alpha)?)
    }),
    Op::new("LeakyRelu", |c| {
        let x = c.x(0)?;
        let alpha = c.float_or("alpha", 0.01);
        one(c.by("leaky_relu", x, alpha)?)
    }),
    Op::new("PRelu", p_relu),
    Op::new("Selu", selu),
    Op::new("Celu", |c| {
        let x = c.x(0)?;
        let alpha = c.float_or("alpha", 1.0);
        let scaled = c.by("div", x, alpha)?;
        let bent = c.by("elu", scaled, 1.0)?;
        one(c.by("mul", bent, alpha)?)
    }),
    Op::new("Gelu", |c| {
        let x = c.x(0)?;
        let approximate = c.str_or("approximate", "none")?;
        one(c.with("gelu", &[x], Attrs::new().with("approximate", approximate))?)
    }),
    Op::new("HardSigmoid", hard_sigmoid),
    Op::new("Swish", |c| {
        let x = c.x(0)?;
        let alpha = c.float_or("alpha", 1.0);
        if alpha == 1.0 {
            return one(c.emit("silu", &[x])?);
        }
        let scaled = c.by("mul", x, alpha)?;
        let gate = c.emit("sigmoid", &[scaled])?;
        one(c.mul(x, gate)?)
    }),
    Op::new("SwiGLU", |c| {
        let (a, b) = (c.x(0)?, c.x(1)?);
        let alpha = c.float_or("alpha", 1.0);
        let scaled = c.by("mul", a, alpha)?;
        let gate = c.emit("sigmoid", &[scaled])?;
        let swish = c.mul(a, gate)?;
        one(c.mul(swish, b)?)
    }),
    Op::new("ThresholdedRelu", |c| {
        let x = c.x(0)?;
        let alpha = c.float_or("alpha", 1.0);
        let above = c.by("gt", x, alpha)?;
        let zero = c.number(x, 0.0)?;
        one(c.select(above, x, zero)?)
    }),
    Op::new("Shrink", |c| {
        let x = c.x(0)?;
        let (lambd, bias) = (c.float_or("lambd", 0.5), c.float_or("bias", 0.0));
        let (above, below) = (c.by("gt", x, lambd)?, c.by("lt", x, -lambd)?);
        let (less, more) = (c.by("sub", x, bias)?, c.by("add", x, bias)?);
        let zero = c.number(x, 0.0)?;
        let rest = c.select(below, more, zero)?;
        one(c.select(above, less, rest)?)
    }),
    Op::new("Softmax", |c| softmax(c, "softmax")),
    Op::new("LogSoftmax", |c| softmax(c, "log_softmax")),
];

fn plain(c: &mut Call<'_, '_>, op: &str) -> Lowered {
    let x = c.x(0)?;
    one(c.emit(op, &[x])?)
}

/// The slope broadcasts from the last dim on; before version 7 it belongs to the channels.
fn p_relu(c: &mut Call<'_, '_>) -> Lowered {
    let (x, mut slope) = (c.x(0)?, c.x(1)?);
    let (rank, own) = (c.rank(x)?, c.dims(slope)?);
    if c.version < 7 && own.len() == 1 && own[0] != Dim::Known(1) && rank > 1 {
        let mut dims = own;
        dims.resize(rank - 1, Dim::Known(1));
        slope = c.reshape(slope, &dims)?;
    }
    match c.dtype(x)?.is_float() {
        true => one(c.emit("leaky_relu", &[x, slope])?),
        false => {
            let scaled = c.mul(x, slope)?;
            let below = c.by("lt", x, 0.0)?;
            one(c.select(below, scaled, x)?)
        }
    }
}

fn selu(c: &mut Call<'_, '_>) -> Lowered {
    // What the format's definition has for defaults, in single precision.
    const ALPHA: f64 = 1.673_263_192_176_818_8;
    const GAMMA: f64 = 1.050_701_022_148_132_3;
    let x = c.x(0)?;
    let (alpha, gamma) = (c.float_or("alpha", ALPHA), c.float_or("gamma", GAMMA));
    if alpha == ALPHA && gamma == GAMMA {
        return one(c.emit("selu", &[x])?);
    }
    let bent = c.by("elu", x, alpha)?;
    one(c.by("mul", bent, gamma)?)
}

fn hard_sigmoid(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.x(0)?;
    let (alpha, beta) = (c.float_or("alpha", 0.2), c.float_or("beta", 0.5));
    if alpha == f64::from(1.0f32 / 6.0) && beta == 0.5 {
        return one(c.emit("hardsigmoid", &[x])?);
    }
    let scaled = c.by("mul", x, alpha)?;
    let moved = c.by("add", scaled, beta)?;
    let (zero, top) = (c.number(x, 0.0)?, c.number(x, 1.0)?);
    one(c.emit("clamp", &[moved, zero, top])?)
}

/// Before version 13 all dims from `axis` on are taken as one.
fn softmax(c: &mut Call<'_, '_>, op: &str) -> Lowered {
    let x = c.x(0)?;
    let dims = c.dims(x)?;
    if c.version >= 13 {
        let axis = c.axis(c.int_or("axis", -1), dims.len())?;
        return one(c.with(op, &[x], Attrs::new().with("axis", axis as i64))?);
    }
    let axis = c.int_or("axis", 1);
    let axis = match axis == dims.len() as i64 {
        true => dims.len(),
        false => c.axis(axis, dims.len())?,
    };
    let long = dims[axis..]
        .iter()
        .filter(|dim| **dim != Dim::Known(1))
        .count();
    if axis + 1 == dims.len() || (long == 1 && dims.last() != Some(&Dim::Known(1))) {
        return one(c.with(op, &[x], Attrs::new().with("axis", -1i64))?);
    }
    let flat = super::shape::flatten(c, x, axis)?;
    let soft = c.with(op, &[flat], Attrs::new().with("axis", 1i64))?;
    one(c.reshape(soft, &dims)?)
}
