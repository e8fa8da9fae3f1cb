//! Functions that draw.

use syncarp_ir::{DType, Dim, Value};

use super::arg::Arg;
use super::call::Call;
use super::shape::sizes;
use super::{Function, Lowered};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        schemas: &["aten::native_dropout(Tensor input, float p, bool? train) -> (Tensor, Tensor)"],
        lower: |c| {
            let x = c.tensor("input")?;
            let p = probability(c, "p")?;
            let train = *c.arg("train") != Arg::Bool(false);
            let dims = c.dims(x)?;
            let (y, mask) = match train && p > 0.0 {
                true => {
                    let dtype = c.dtype(x);
                    let p = c.constant(dtype, p)?;
                    let (step, attrs) = c.stream()?;
                    let made = c.emit_all("dropout", &[x, p, step], attrs)?;
                    (made[0], c.cast(made[1], DType::Bool)?)
                }
                false => (x, c.filled(DType::Bool, 1.0, &dims)?),
            };
            Arg::list(vec![Arg::Tensor(y), Arg::Tensor(mask)])
        },
    },
    Function {
        schemas: &[
            "aten::feature_dropout(Tensor input, float p, bool train) -> Tensor",
            "aten::feature_dropout_(Tensor self, float p, bool train) -> Tensor",
        ],
        lower: |c| {
            let x = c.tensor(if c.has("self") { "self" } else { "input" })?;
            let p = probability(c, "p")?;
            if !c.bool("train")? || p == 0.0 {
                return Ok(Arg::Tensor(x));
            }
            // Whole channels of a sample.
            let mut dims = c.dims(x)?;
            dims.iter_mut().skip(2).for_each(|dim| *dim = Dim::Known(1));
            let kept = kept(c, x, 1.0 - p, &dims)?;
            let scale = c.like(x, 1.0 / (1.0 - p).max(f64::MIN_POSITIVE))?;
            let kept = c.op("mul", &[kept, scale])?;
            c.give("mul", &[x, kept])
        },
    },
    Function {
        schemas: &[
            "aten::alpha_dropout(Tensor input, float p, bool train) -> Tensor",
            "aten::alpha_dropout_(Tensor self, float p, bool train) -> Tensor",
        ],
        lower: |c| alpha_dropout(c, false),
    },
    Function {
        schemas: &[
            "aten::feature_alpha_dropout(Tensor input, float p, bool train) -> Tensor",
            "aten::feature_alpha_dropout_(Tensor self, float p, bool train) -> Tensor",
        ],
        lower: |c| alpha_dropout(c, true),
    },
    Function {
        schemas: &[
            "aten::bernoulli(Tensor self) -> Tensor",
            "aten::bernoulli.p(Tensor self, float p) -> Tensor",
            "aten::bernoulli.Tensor(Tensor self, Tensor p) -> Tensor",
            "aten::bernoulli_.float(Tensor self, float p=0.5) -> Tensor",
            "aten::bernoulli_.Tensor(Tensor self, Tensor p) -> Tensor",
        ],
        lower: |c| {
            let x = c.tensor("self")?;
            let (dtype, dims) = (c.dtype(x), c.dims(x)?);
            let p = match c.has("p") {
                false => x,
                true => match c.arg("p") {
                    Arg::Tensor(p) => c.expanded(*p, &dims)?,
                    _ => {
                        let p = probability(c, "p")?;
                        let real = if dtype.is_float() { dtype } else { DType::F32 };
                        c.filled(real, p, &dims)?
                    }
                },
            };
            draw(c, p, dtype).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &[
            "aten::rand(SymInt[] size, *, ScalarType? dtype=None, Layout? layout=None, \
             Device? device=None, bool? pin_memory=None) -> Tensor",
        ],
        lower: |c| of_sizes(c, "uniform"),
    },
    Function {
        schemas: &[
            "aten::rand_like(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, \
             Device? device=None, bool? pin_memory=None, MemoryFormat? memory_format=None) \
             -> Tensor",
        ],
        lower: |c| like(c, "uniform"),
    },
    Function {
        schemas: &[
            "aten::randn(SymInt[] size, *, ScalarType? dtype=None, Layout? layout=None, \
             Device? device=None, bool? pin_memory=None) -> Tensor",
        ],
        lower: |c| of_sizes(c, "normal"),
    },
    Function {
        schemas: &[
            "aten::randn_like(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, \
             Device? device=None, bool? pin_memory=None, MemoryFormat? memory_format=None) \
             -> Tensor",
        ],
        lower: |c| like(c, "normal"),
    },
    Function {
        schemas: &[
            "aten::uniform(Tensor self, float from=0, float to=1) -> Tensor",
            "aten::normal(Tensor self, float mean=0, float std=1) -> Tensor",
            "aten::normal_functional(Tensor self, float mean=0, float std=1) -> Tensor",
        ],
        lower: |c| {
            let x = c.tensor("self")?;
            let (dtype, dims) = (c.dtype(x), c.dims(x)?);
            let (op, shift, scale) = match c.has("mean") {
                true => ("normal", c.number("mean")?, c.number("std")?),
                false => (
                    "uniform",
                    c.number("from")?,
                    c.number("to")? - c.number("from")?,
                ),
            };
            let drawn = numbers(c, op, dtype, &dims)?;
            let (scale, shift) = (c.like(drawn, scale)?, c.like(drawn, shift)?);
            let drawn = c.op("mul", &[drawn, scale])?;
            c.give("add", &[drawn, shift])
        },
    },
];

fn probability(c: &Call<'_, '_>, name: &str) -> Result<f64, String> {
    let p = c.number(name)?;
    match (0.0..=1.0).contains(&p) {
        true => Ok(p),
        false => Err(format!("`{name}` lies between 0 and 1")),
    }
}

/// Ones with these probabilities, else zeros.
fn draw(c: &mut Call<'_, '_>, p: Value, dtype: DType) -> Result<Value, String> {
    let (step, attrs) = c.stream()?;
    c.emit("bernoulli", &[p, step], attrs.with("dtype", dtype))
}

/// Ones with this probability, else zeros, of the type of `x`.
fn kept(c: &mut Call<'_, '_>, x: Value, p: f64, dims: &[Dim]) -> Result<Value, String> {
    let dtype = c.dtype(x);
    let p = c.filled(dtype, p, dims)?;
    draw(c, p, dtype)
}

fn numbers(c: &mut Call<'_, '_>, op: &str, dtype: DType, dims: &[Dim]) -> Result<Value, String> {
    let (step, attrs) = c.stream()?;
    c.emit(op, &[step], attrs.with("dtype", dtype).with("dims", dims))
}

fn of_sizes(c: &mut Call<'_, '_>, op: &str) -> Lowered {
    let dims = sizes(c, "size")?.into_iter().collect::<Option<Vec<Dim>>>();
    let dims = dims.ok_or("a size is left open")?;
    let dtype = c.dtype_opt("dtype")?.unwrap_or(DType::F32);
    numbers(c, op, dtype, &dims).map(Arg::Tensor)
}

fn like(c: &mut Call<'_, '_>, op: &str) -> Lowered {
    let x = c.tensor("self")?;
    let dims = c.dims(x)?;
    let dtype = c.dtype_opt("dtype")?.unwrap_or(c.dtype(x));
    numbers(c, op, dtype, &dims).map(Arg::Tensor)
}

/// Dropout that keeps mean and variance (Klambauer and others, 2017).
fn alpha_dropout(c: &mut Call<'_, '_>, whole_channels: bool) -> Lowered {
    const ALPHA: f64 = 1.758_099_340_847_376_6;
    let x = c.tensor(if c.has("self") { "self" } else { "input" })?;
    let p = probability(c, "p")?;
    if !c.bool("train")? || p == 0.0 {
        return Ok(Arg::Tensor(x));
    }
    let mut dims = c.dims(x)?;
    if p == 1.0 {
        let zero = c.like(x, 0.0)?;
        return c.give("mul", &[x, zero]);
    }
    if whole_channels {
        dims.iter_mut().skip(2).for_each(|dim| *dim = Dim::Known(1));
    }
    let kept = kept(c, x, 1.0 - p, &dims)?;
    let a = 1.0 / ((ALPHA * ALPHA * p + 1.0) * (1.0 - p)).sqrt();
    let (slope, shift) = (c.like(x, ALPHA * a)?, c.like(x, ALPHA * a * p)?);
    // (kept - 1) alpha a + alpha a p, and x kept a.
    let one = c.like(x, 1.0)?;
    let lost = c.op("sub", &[kept, one])?;
    let lost = c.op("mul", &[lost, slope])?;
    let shift = c.op("add", &[lost, shift])?;
    let a = c.like(x, a)?;
    let kept = c.op("mul", &[kept, a])?;
    let y = c.op("mul", &[x, kept])?;
    c.give("add", &[y, shift])
}
