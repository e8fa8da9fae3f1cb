//! Random ops. The format's seeds are not taken over: streams are keyed by the place in the model, so
//! that models stay apart whatever they are merged with.

use syncarp_ir::{Attrs, DType, Dim, Value};

use super::Op;
use crate::call::{Call, Lowered, Miss, one};

pub(super) const OPS: &[Op] = &[
    Op::new("Dropout", dropout),
    Op::new("Bernoulli", |c| {
        let p = c.x(0)?;
        let to = match c.dtype_attr("dtype")? {
            Some(dtype) => dtype,
            None => c.dtype(p)?,
        };
        let (step, stream) = (c.step()?, c.stream());
        let drawn = Attrs::new().with("stream", stream).with("dtype", to);
        one(c.with("bernoulli", &[p, step], drawn)?)
    }),
    Op::new("RandomUniform", |c| {
        let (dims, dtype) = said(c)?;
        uniform(c, &dims, dtype)
    }),
    Op::new("RandomUniformLike", |c| {
        let (dims, dtype) = like(c)?;
        uniform(c, &dims, dtype)
    }),
    Op::new("RandomNormal", |c| {
        let (dims, dtype) = said(c)?;
        normal(c, &dims, dtype)
    }),
    Op::new("RandomNormalLike", |c| {
        let (dims, dtype) = like(c)?;
        normal(c, &dims, dtype)
    }),
];

fn said(c: &Call<'_, '_>) -> Result<(Vec<Dim>, DType), Miss> {
    let dims = c.ints_attr("shape").ok_or("`shape` is missing")?;
    let dims: Option<Vec<Dim>> = dims
        .iter()
        .map(|dim| u64::try_from(*dim).ok().map(Dim::Known))
        .collect();
    let dtype = c.dtype_attr("dtype")?.unwrap_or(DType::F32);
    Ok((dims.ok_or("a size is negative")?, dtype))
}

fn like(c: &Call<'_, '_>) -> Result<(Vec<Dim>, DType), Miss> {
    let ty = c.ty_of(0)?;
    let dims = ty
        .dims()
        .ok_or("the shape of its operand has to be known")?
        .to_vec();
    let dtype = c.dtype_attr("dtype")?.or(ty.dtype).unwrap_or(DType::F32);
    Ok((dims, dtype))
}

fn draw(c: &mut Call<'_, '_>, op: &str, dims: &[Dim], dtype: DType) -> Result<Value, Miss> {
    let (step, stream) = (c.step()?, c.stream());
    let attrs = Attrs::new()
        .with("stream", stream)
        .with("dtype", dtype)
        .with("dims", dims);
    c.with(op, &[step], attrs)
}

fn uniform(c: &mut Call<'_, '_>, dims: &[Dim], dtype: DType) -> Lowered {
    let (low, high) = (c.float_or("low", 0.0), c.float_or("high", 1.0));
    let drawn = draw(c, "uniform", dims, dtype)?;
    let scaled = c.by("mul", drawn, high - low)?;
    one(c.by("add", scaled, low)?)
}

fn normal(c: &mut Call<'_, '_>, dims: &[Dim], dtype: DType) -> Lowered {
    let (mean, scale) = (c.float_or("mean", 0.0), c.float_or("scale", 1.0));
    let drawn = draw(c, "normal", dims, dtype)?;
    let scaled = c.by("mul", drawn, scale)?;
    one(c.by("add", scaled, mean)?)
}

/// In evaluation nothing is dropped, and the mask holds everywhere. Training is said by an operand
/// from version 12 on, and before 7 by the lack of `is_test`.
fn dropout(c: &mut Call<'_, '_>) -> Lowered {
    let data = c.item(0)?.clone();
    let training = match c.version {
        12.. if c.has(2) => c.int(2)? != 0,
        12.. => false,
        _ => false,
    };
    let ratio = match c.version {
        12.. if c.has(1) => c.float(1)?,
        12.. => 0.5,
        _ => c.float_or("ratio", 0.5),
    };
    // Before version 10 the mask is of the data's own type.
    let truth = c.version >= 10;
    if !training || ratio == 0.0 {
        if !c.asks(1) {
            return Ok(vec![data]);
        }
        let ty = c.ty_of(0)?;
        let dims = ty
            .dims()
            .ok_or("the shape of its operand has to be known")?
            .to_vec();
        let mask = match ty.dtype {
            Some(dtype) if !truth => c.filled(dtype, 1.0, &dims)?,
            _ => {
                let attrs = Attrs::new().with("dtype", DType::Bool).with("value", true);
                c.with("constant", &[], attrs.with("dims", dims))?
            }
        };
        return Ok(vec![data, mask.into()]);
    }
    let x = c.x(0)?;
    let p = c.number(x, ratio)?;
    let (step, stream) = (c.step()?, c.stream());
    let attrs = Attrs::new().with("stream", stream);
    let results = c.emit_all("dropout", &[x, p, step], attrs)?;
    let mask = if truth {
        c.by("ne", results[1], 0.0)?
    } else {
        results[1]
    };
    Ok(vec![results[0].into(), mask.into()])
}
