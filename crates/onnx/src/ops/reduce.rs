//! Reductions over axes, and sums along one.

use syncarp_ir::{Attrs, DType, Value};

use super::Op;
use crate::call::{Call, Lowered, Miss, one};
use crate::known::{Known, Num};

pub(super) const OPS: &[Op] = &[
    Op::new("ReduceSum", |c| {
        reduce(c, 13, |c, x, axes, keep| c.reduce("sum", x, axes, keep))
    })
    .folds(|c, x| folded(c, x, 13, Num::add, |a, b| a + b)),
    Op::new("ReduceMean", |c| {
        reduce(c, 18, |c, x, axes, keep| c.reduce("mean", x, axes, keep))
    }),
    Op::new("ReduceProd", |c| {
        reduce(c, 18, |c, x, axes, keep| c.reduce("prod", x, axes, keep))
    })
    .folds(|c, x| folded(c, x, 18, Num::mul, |a, b| a * b)),
    Op::new("ReduceMax", |c| {
        reduce(c, 18, |c, x, axes, keep| {
            extreme(c, "reduce_max", x, axes, keep)
        })
    })
    .folds(|c, x| {
        let larger = |a: &Num, b: &Num| Some(if a.less(b)? { b } else { a }.clone());
        folded(c, x, 18, larger, f64::max)
    }),
    Op::new("ReduceMin", |c| {
        reduce(c, 18, |c, x, axes, keep| {
            extreme(c, "reduce_min", x, axes, keep)
        })
    })
    .folds(|c, x| {
        let smaller = |a: &Num, b: &Num| Some(if b.less(a)? { b } else { a }.clone());
        folded(c, x, 18, smaller, f64::min)
    }),
    Op::new("ReduceL1", |c| {
        reduce(c, 18, |c, x, axes, keep| {
            let x = c.emit("abs", &[x])?;
            c.reduce("sum", x, axes, keep)
        })
    }),
    Op::new("ReduceL2", |c| {
        reduce(c, 18, |c, x, axes, keep| {
            let x = c.mul(x, x)?;
            let sum = c.reduce("sum", x, axes, keep)?;
            c.emit("sqrt", &[sum])
        })
    }),
    Op::new("ReduceSumSquare", |c| {
        reduce(c, 18, |c, x, axes, keep| {
            let x = c.mul(x, x)?;
            c.reduce("sum", x, axes, keep)
        })
    }),
    Op::new("ReduceLogSum", |c| {
        reduce(c, 18, |c, x, axes, keep| {
            let sum = c.reduce("sum", x, axes, keep)?;
            c.emit("log", &[sum])
        })
    }),
    Op::new("ReduceLogSumExp", |c| reduce(c, 18, log_sum_exp)),
    Op::new("CumSum", |c| along(c, "cumsum")),
    Op::new("CumProd", |c| along(c, "cumprod")),
    Op::new("ArgMax", |c| place(c, "argmax")),
    Op::new("ArgMin", |c| place(c, "argmin")),
];

type Reduce = fn(&mut Call<'_, '_>, Value, &[i64], bool) -> Result<Value, Miss>;

/// The axes, which are an operand from some version on; none where nothing is to be reduced.
fn axes(c: &mut Call<'_, '_>, rank: usize, operand_from: i64) -> Result<Option<Vec<i64>>, Miss> {
    let named = match c.version >= operand_from {
        true => c.ints_opt(1)?,
        false => c.ints_attr("axes").map(<[i64]>::to_vec),
    };
    let named = named.unwrap_or_default();
    match named.is_empty() {
        true if c.flag("noop_with_empty_axes") => Ok(None),
        true => Ok(Some((0..rank as i64).collect())),
        false => {
            let mut axes = c.axes(&named, rank)?;
            axes.sort_unstable();
            Ok(Some(axes.into_iter().map(|axis| axis as i64).collect()))
        }
    }
}

fn reduce(c: &mut Call<'_, '_>, operand_from: i64, with: Reduce) -> Lowered {
    let x = c.x(0)?;
    let rank = c.rank(x)?;
    let keep = c.int_or("keepdims", 1) != 0;
    match axes(c, rank, operand_from)? {
        Some(axes) => one(with(c, x, &axes, keep)?),
        // Nothing is summed up, but each element still goes through the rest.
        None => match c.node.op_type.as_str() {
            "ReduceSum" | "ReduceMean" | "ReduceProd" | "ReduceMax" | "ReduceMin" => one(x),
            _ => {
                let longer = c.unsqueeze(x, &[0])?;
                one(with(c, longer, &[0], false)?)
            }
        },
    }
}

fn folded(
    c: &Call<'_, '_>,
    x: &[std::rc::Rc<Known>],
    operand_from: i64,
    ints: fn(&Num, &Num) -> Option<Num>,
    floats: fn(f64, f64) -> f64,
) -> Option<Known> {
    let rank = x.first()?.rank();
    let named = match c.version >= operand_from {
        true => x.get(1).and_then(|axes| axes.ints()),
        false => c.ints_attr("axes").map(<[i64]>::to_vec),
    };
    let axes: Vec<usize> = match named {
        Some(named) if !named.is_empty() => c.axes(&named, rank).ok()?,
        _ if c.flag("noop_with_empty_axes") => return None,
        _ => (0..rank).collect(),
    };
    let reduced = crate::known::reduce(&x[0], &axes, ints, floats)?;
    if c.int_or("keepdims", 1) != 0 {
        return Some(reduced);
    }
    let dims = reduced.dims.iter().enumerate();
    let left = dims
        .filter(|(axis, _)| !axes.contains(axis))
        .map(|(_, dim)| *dim);
    crate::known::reshape(&reduced, left.collect())
}

/// Truth values count as 0 and 1.
fn extreme(
    c: &mut Call<'_, '_>,
    op: &str,
    x: Value,
    axes: &[i64],
    keep: bool,
) -> Result<Value, Miss> {
    match c.dtype(x)? {
        DType::Bool => {
            let x = c.cast(x, DType::U8)?;
            let found = c.reduce(op, x, axes, keep)?;
            c.cast(found, DType::Bool)
        }
        _ => c.reduce(op, x, axes, keep),
    }
}

/// By way of the largest element, so that nothing overflows.
fn log_sum_exp(c: &mut Call<'_, '_>, x: Value, axes: &[i64], keep: bool) -> Result<Value, Miss> {
    let empty = |c: &Call<'_, '_>| -> Result<bool, Miss> {
        Ok(c.dims(x)?.contains(&syncarp_ir::Dim::Known(0)))
    };
    if empty(c)? {
        let x = c.emit("exp", &[x])?;
        let sum = c.reduce("sum", x, axes, keep)?;
        return c.emit("log", &[sum]);
    }
    let most = c.reduce("reduce_max", x, axes, true)?;
    // Infinite ones would give no number when taken away.
    let size = c.emit("abs", &[most])?;
    let finite = c.by("lt", size, f64::INFINITY)?;
    let zero = c.number(most, 0.0)?;
    let most = c.select(finite, most, zero)?;
    let moved = c.sub(x, most)?;
    let moved = c.emit("exp", &[moved])?;
    let sum = c.reduce("sum", moved, axes, true)?;
    let log = c.emit("log", &[sum])?;
    let whole = c.add(log, most)?;
    match keep {
        true => Ok(whole),
        false => c.squeeze(whole, axes),
    }
}

fn along(c: &mut Call<'_, '_>, op: &str) -> Lowered {
    let x = c.x(0)?;
    let rank = c.rank(x)?;
    let axis = c.int(1)?;
    let axis = c.axis(axis, rank)? as i64;
    let mut attrs = Attrs::new().with("axis", axis);
    for name in ["exclusive", "reverse"] {
        if c.flag(name) {
            attrs.set(name, true);
        }
    }
    one(c.with(op, &[x], attrs)?)
}

fn place(c: &mut Call<'_, '_>, op: &str) -> Lowered {
    let x = c.x(0)?;
    let rank = c.rank(x)?;
    let axis = c.axis(c.int_or("axis", 0), rank)? as i64;
    let mut attrs = Attrs::new().with("axis", axis);
    if c.int_or("keepdims", 1) != 0 {
        attrs.set("keep", true);
    }
    if c.flag("select_last_index") {
        attrs.set("last", true);
    }
    one(c.with(op, &[x], attrs)?)
}
