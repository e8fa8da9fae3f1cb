//! Functions that make one element of many.

use syncarp_ir::{Attrs, DType, Value};

use super::arg::Arg;
use super::call::Call;
use super::{Function, Lowered};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        schemas: &[
            "aten::mean.dim(Tensor self, int[1]? dim, bool keepdim=False, *, \
             ScalarType? dtype=None) -> Tensor",
            "aten::mean(Tensor self, *, ScalarType? dtype=None) -> Tensor",
        ],
        lower: |c| reduce(c, "mean"),
    },
    Function {
        schemas: &[
            "aten::sum.dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *, \
             ScalarType? dtype=None) -> Tensor",
            "aten::sum(Tensor self, *, ScalarType? dtype=None) -> Tensor",
        ],
        lower: |c| reduce(c, "sum"),
    },
    Function {
        schemas: &["aten::amax(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor"],
        lower: |c| reduce(c, "reduce_max"),
    },
    Function {
        schemas: &["aten::amin(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor"],
        lower: |c| reduce(c, "reduce_min"),
    },
    Function {
        schemas: &[
            "aten::prod.dim_int(Tensor self, int dim, bool keepdim=False, *, \
             ScalarType? dtype=None) -> Tensor",
            "aten::prod(Tensor self, *, ScalarType? dtype=None) -> Tensor",
        ],
        lower: |c| reduce(c, "prod"),
    },
    Function {
        schemas: &["aten::argmax(Tensor self, int? dim=None, bool keepdim=False) -> Tensor"],
        lower: |c| place(c, "argmax"),
    },
    Function {
        schemas: &["aten::argmin(Tensor self, int? dim=None, bool keepdim=False) -> Tensor"],
        lower: |c| place(c, "argmin"),
    },
    Function {
        schemas: &[
            "aten::max(Tensor self) -> Tensor",
            "aten::max.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor, Tensor)",
            "aten::max.other(Tensor self, Tensor other) -> Tensor",
        ],
        lower: |c| match c.has("other") {
            true => {
                let (a, b) = super::pointwise::pair(c)?;
                c.give("maximum", &[a, b])
            }
            false => extreme(c, "reduce_max", "argmax"),
        },
    },
    Function {
        schemas: &[
            "aten::min(Tensor self) -> Tensor",
            "aten::min.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor, Tensor)",
            "aten::min.other(Tensor self, Tensor other) -> Tensor",
        ],
        lower: |c| match c.has("other") {
            true => {
                let (a, b) = super::pointwise::pair(c)?;
                c.give("minimum", &[a, b])
            }
            false => extreme(c, "reduce_min", "argmin"),
        },
    },
    Function {
        schemas: &[
            "aten::any(Tensor self) -> Tensor",
            "aten::any.dim(Tensor self, int dim, bool keepdim=False) -> Tensor",
            "aten::any.dims(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor",
        ],
        lower: |c| truths(c, "reduce_max"),
    },
    Function {
        schemas: &[
            "aten::all(Tensor self) -> Tensor",
            "aten::all.dim(Tensor self, int dim, bool keepdim=False) -> Tensor",
            "aten::all.dims(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor",
        ],
        lower: |c| truths(c, "reduce_min"),
    },
    Function {
        schemas: &[
            "aten::var(Tensor self, bool unbiased=True) -> Tensor",
            "aten::var.dim(Tensor self, int[1]? dim, bool unbiased=True, bool keepdim=False) \
             -> Tensor",
            "aten::var.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, \
             bool keepdim=False) -> Tensor",
        ],
        lower: |c| spread(c).map(Arg::Tensor),
    },
    Function {
        schemas: &[
            "aten::std(Tensor self, bool unbiased=True) -> Tensor",
            "aten::std.dim(Tensor self, int[1]? dim, bool unbiased=True, bool keepdim=False) \
             -> Tensor",
            "aten::std.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, \
             bool keepdim=False) -> Tensor",
        ],
        lower: |c| {
            let var = spread(c)?;
            c.give("sqrt", &[var])
        },
    },
    Function {
        schemas: &[
            "aten::var_mean(Tensor self, bool unbiased=True) -> (Tensor, Tensor)",
            "aten::var_mean.dim(Tensor self, int[1]? dim, bool unbiased=True, \
             bool keepdim=False) -> (Tensor, Tensor)",
            "aten::var_mean.correction(Tensor self, int[1]? dim=None, *, \
             Scalar? correction=None, bool keepdim=False) -> (Tensor, Tensor)",
        ],
        lower: |c| {
            let var = spread(c)?;
            let mean = mean(c)?;
            Arg::list(vec![Arg::Tensor(var), Arg::Tensor(mean)])
        },
    },
    Function {
        schemas: &[
            "aten::std_mean(Tensor self, bool unbiased=True) -> (Tensor, Tensor)",
            "aten::std_mean.dim(Tensor self, int[1]? dim, bool unbiased=True, \
             bool keepdim=False) -> (Tensor, Tensor)",
            "aten::std_mean.correction(Tensor self, int[1]? dim=None, *, \
             Scalar? correction=None, bool keepdim=False) -> (Tensor, Tensor)",
        ],
        lower: |c| {
            let var = spread(c)?;
            let (std, mean) = (c.op("sqrt", &[var])?, mean(c)?);
            Arg::list(vec![Arg::Tensor(std), Arg::Tensor(mean)])
        },
    },
    Function {
        schemas: &["aten::logsumexp(Tensor self, int[1] dim, bool keepdim=False) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            let (plain, kept) = (axes(c, x)?, axes(c, x)?.with("keep", true));
            let most = c.emit("reduce_max", &[x], kept)?;
            // Whatever is taken away comes back; no gradient goes that way.
            let finite = c.op("abs", &[most])?;
            let bound = c.like(x, f64::INFINITY)?;
            let finite = c.op("lt", &[finite, bound])?;
            let zero = c.like(x, 0.0)?;
            let most = c.op("where", &[finite, most, zero])?;
            let most = c.stopped(most)?;
            let away = c.op("sub", &[x, most])?;
            let parts = c.op("exp", &[away])?;
            let sum = c.emit("sum", &[parts], plain.clone())?;
            let log = c.op("log", &[sum])?;
            let dims = c.dims(log)?;
            let most = c.reshaped(most, &dims)?;
            c.give("add", &[log, most])
        },
    },
    Function {
        schemas: &[
            "aten::linalg_vector_norm(Tensor self, Scalar ord=2, int[1]? dim=None, \
             bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
            "aten::linalg_norm(Tensor self, Scalar? ord=None, int[1]? dim=None, \
             bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
            "aten::norm.ScalarOpt_dim(Tensor self, Scalar? p, int[1] dim, bool keepdim=False) \
             -> Tensor",
            "aten::norm.Scalar(Tensor self, Scalar p=2) -> Tensor",
        ],
        lower: |c| {
            let mut x = c.tensor("self")?;
            if c.has("dtype") {
                x = c.cast_as_asked(x)?;
            }
            let name = if c.has("ord") { "ord" } else { "p" };
            // Of matrices an order means something else, but for none at all.
            let vectors = *c.arg(name) == Arg::None || !c.called("linalg_norm");
            if !vectors && c.has("dim") && c.ints("dim")?.len() != 1 {
                return Err("gives norms of vectors here".to_owned());
            }
            let order = match c.arg(name) {
                Arg::None => 2.0,
                _ => c.any_number(name)?,
            };
            let along = axes(c, x)?;
            let size = c.op("abs", &[x])?;
            if order == 2.0 {
                let squares = c.op("square", &[x])?;
                let sum = c.emit("sum", &[squares], along)?;
                return c.give("sqrt", &[sum]);
            }
            if order == 1.0 {
                return c.give_with("sum", &[size], along);
            }
            if order == f64::INFINITY {
                return c.give_with("reduce_max", &[size], along);
            }
            if order == f64::NEG_INFINITY {
                return c.give_with("reduce_min", &[size], along);
            }
            if order == 0.0 {
                let zero = c.like(x, 0.0)?;
                let some = c.op("ne", &[x, zero])?;
                let dtype = c.dtype(x);
                let some = c.cast(some, dtype)?;
                return c.give_with("sum", &[some], along);
            }
            let power = c.like(x, order)?;
            let powers = c.op("pow", &[size, power])?;
            let sum = c.emit("sum", &[powers], along)?;
            let root = c.like(x, 1.0 / order)?;
            c.give("pow", &[sum, root])
        },
    },
    Function {
        schemas: &[
            "aten::count_nonzero.dim_IntList(Tensor self, int[] dim) -> Tensor",
            "aten::count_nonzero(Tensor self, int? dim=None) -> Tensor",
        ],
        lower: |c| {
            let x = c.tensor("self")?;
            let some = c.cast(x, DType::Bool)?;
            let some = c.cast(some, DType::I64)?;
            let along = axes(c, x)?;
            c.give_with("sum", &[some], along)
        },
    },
    Function {
        schemas: &[
            "aten::aminmax(Tensor self, *, int? dim=None, bool keepdim=False) \
             -> (Tensor, Tensor)",
        ],
        lower: |c| {
            let x = c.tensor("self")?;
            let along = axes(c, x)?;
            let (least, most) = (
                c.emit("reduce_min", &[x], along.clone())?,
                c.emit("reduce_max", &[x], along)?,
            );
            Arg::list(vec![Arg::Tensor(least), Arg::Tensor(most)])
        },
    },
];

fn reduce(c: &mut Call<'_, '_>, op: &str) -> Lowered {
    let mut x = c.tensor("self")?;
    let asked = c.has("dtype") && *c.arg("dtype") != Arg::None;
    if asked {
        x = c.cast_as_asked(x)?;
    } else if matches!(op, "sum" | "prod") {
        // PyTorch adds up small integers as large ones.
        if c.ty(x).dtype.is_some_and(|d| !d.is_float()) {
            x = c.cast(x, DType::I64)?;
        }
    }
    let mut attrs = Attrs::new();
    if c.has("dim") {
        let axes = c.ints("dim")?;
        // Without any axis everything is reduced.
        if !axes.is_empty() {
            let axes = axes
                .iter()
                .map(|axis| c.axis(x, *axis))
                .collect::<Result<Vec<_>, _>>()?;
            attrs.set("axes", axes);
        }
        attrs.set("keep", c.bool("keepdim")?);
    }
    c.give_with(op, &[x], attrs)
}

/// The axes that `dim` names, all of them where it names none, and whether they stay.
fn axes(c: &Call<'_, '_>, x: Value) -> Result<Attrs, String> {
    let mut attrs = Attrs::new();
    if c.has("dim") {
        let named = c.ints("dim")?;
        if !named.is_empty() {
            let named = named.iter().map(|axis| c.axis(x, *axis));
            attrs.set("axes", named.collect::<Result<Vec<_>, _>>()?);
        }
    }
    if c.has("keepdim") {
        attrs.set("keep", c.bool("keepdim")?);
    }
    Ok(attrs)
}

fn mean(c: &mut Call<'_, '_>) -> Result<Value, String> {
    let x = c.tensor("self")?;
    let along = axes(c, x)?;
    c.emit("mean", &[x], along)
}

/// The variance, without bias unless something else is asked for.
fn spread(c: &mut Call<'_, '_>) -> Result<Value, String> {
    let x = c.tensor("self")?;
    let correction = match c.has("correction") {
        true => c.number_opt("correction")?.unwrap_or(1.0),
        false => f64::from(u8::from(c.bool("unbiased")?)),
    };
    if correction.fract() != 0.0 {
        return Err("`correction` is a whole number here".to_owned());
    }
    let mut attrs = axes(c, x)?;
    attrs.set("correction", correction as i64);
    c.emit("var", &[x], attrs)
}

/// The place of the largest or smallest element on an axis, or in the whole tensor.
fn place(c: &mut Call<'_, '_>, op: &str) -> Lowered {
    let x = c.tensor("self")?;
    let Some(axis) = c.int_opt("dim")? else {
        let flat = c.emit("flatten", &[x], Attrs::new())?;
        return c.give_with(
            op,
            &[flat],
            Attrs::new().with("axis", 0i64).with("keep", false),
        );
    };
    let axis = c.axis(x, axis)?;
    let attrs = Attrs::new()
        .with("axis", axis)
        .with("keep", c.bool("keepdim")?);
    c.give_with(op, &[x], attrs)
}

/// The largest or smallest elements, and along an axis their places too. Of equal ones on an axis
/// the first gets the gradient, as in PyTorch.
fn extreme(c: &mut Call<'_, '_>, reduce: &str, place: &str) -> Lowered {
    let x = c.tensor("self")?;
    if !c.has("dim") {
        return c.give(reduce, &[x]);
    }
    let axis = c.axis(x, c.int("dim")?)?;
    let kept = Attrs::new().with("axis", axis).with("keep", true);
    let index = c.emit(place, &[x], kept)?;
    let attrs = Attrs::new().with("axis", axis);
    let value = c.emit("gather_elements", &[x, index], attrs)?;
    let mut results = [value, index];
    if !c.bool("keepdim")? {
        for result in &mut results {
            let attrs = Attrs::new().with("axes", vec![axis]);
            *result = c.emit("squeeze", &[*result], attrs)?;
        }
    }
    Arg::list(results.map(Arg::Tensor).to_vec())
}

/// Whether any or all hold, as the greatest or least of zeros and ones.
fn truths(c: &mut Call<'_, '_>, op: &str) -> Lowered {
    let x = c.tensor("self")?;
    let some = c.cast(x, DType::Bool)?;
    let some = c.cast(some, DType::I32)?;
    let along = axes(c, x)?;
    let found = c.emit(op, &[some], along)?;
    c.cast(found, DType::Bool).map(Arg::Tensor)
}
