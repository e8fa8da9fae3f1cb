//! Functions of one element, and of two or more that broadcast.

use syncarp_ir::{Attrs, DType, Dim, Value};

use super::Op;
use crate::call::{Call, Lowered, Miss, one};
use crate::known::{Elements, Known, Num, binary_float, cast, compare, elementwise, select, unary};

pub(super) const OPS: &[Op] = &[
    Op::new("Abs", |c| same(c, "abs"))
        .folds(|_, x| unary(&x[0], |n| Some(Num::Int(n.int()?.wrapping_abs())), f64::abs)),
    Op::new("Acos", |c| same(c, "acos")),
    Op::new("Acosh", |c| same(c, "acosh")),
    Op::new("Asin", |c| same(c, "asin")),
    Op::new("Asinh", |c| same(c, "asinh")),
    Op::new("Atan", |c| same(c, "atan")),
    Op::new("Atanh", |c| same(c, "atanh")),
    Op::new("BitwiseNot", |c| same(c, "bitwise_not")),
    Op::new("Ceil", |c| same(c, "ceil")).folds(|_, x| unary(&x[0], |_| None, f64::ceil)),
    Op::new("Cos", |c| same(c, "cos")),
    Op::new("Cosh", |c| same(c, "cosh")),
    Op::new("Erf", |c| same(c, "erf")),
    Op::new("Exp", |c| same(c, "exp")),
    Op::new("Floor", |c| same(c, "floor")).folds(|_, x| unary(&x[0], |_| None, f64::floor)),
    Op::new("Log", |c| same(c, "log")),
    Op::new("Neg", |c| same(c, "neg")).folds(|_, x| unary(&x[0], |n| Num::Int(0).sub(n), |x| -x)),
    Op::new("Not", |c| same(c, "logical_not"))
        .folds(|_, x| unary(&x[0], |n| Some(Num::Int(i64::from(n.int()? == 0))), |x| x)),
    Op::new("Reciprocal", |c| same(c, "reciprocal"))
        .folds(|_, x| unary(&x[0], |_| None, |x| 1.0 / x)),
    Op::new("Round", |c| same(c, "round"))
        .folds(|_, x| unary(&x[0], |_| None, f64::round_ties_even)),
    Op::new("Sign", |c| same(c, "sign")),
    Op::new("Sin", |c| same(c, "sin")),
    Op::new("Sinh", |c| same(c, "sinh")),
    Op::new("Sqrt", |c| same(c, "sqrt")).folds(|_, x| unary(&x[0], |_| None, f64::sqrt)),
    Op::new("Tan", |c| same(c, "tan")),
    Op::new("Tanh", |c| same(c, "tanh")),
    Op::new("IsNaN", |c| same(c, "is_nan")),
    Op::new("IsInf", is_inf),
    Op::new("Add", |c| pair(c, "add")).folds(|c, x| arithmetic(c, x, Num::add, |a, b| a + b)),
    Op::new("Sub", |c| pair(c, "sub")).folds(|c, x| arithmetic(c, x, Num::sub, |a, b| a - b)),
    Op::new("Mul", |c| pair(c, "mul")).folds(|c, x| arithmetic(c, x, Num::mul, |a, b| a * b)),
    Op::new("Div", |c| pair(c, "div")).folds(|c, x| arithmetic(c, x, Num::div, |a, b| a / b)),
    Op::new("Mod", |c| {
        let op = if c.flag("fmod") { "fmod" } else { "remainder" };
        pair(c, op)
    })
    .folds(|c, x| match c.flag("fmod") {
        true => None,
        false => elementwise(&x[0], &x[1], Num::remainder, |_, _| f64::NAN)
            .filter(|known| known.nums().is_some()),
    }),
    Op::new("Pow", pow).folds(|_, x| binary_float(&x[0], &x[1], f64::powf)),
    Op::new("BitShift", bit_shift),
    Op::new("BitwiseAnd", |c| pair(c, "bitwise_and")),
    Op::new("BitwiseOr", |c| pair(c, "bitwise_or")),
    Op::new("BitwiseXor", |c| pair(c, "bitwise_xor")),
    Op::new("And", |c| pair(c, "logical_and")).folds(|_, x| truths(x, |a, b| a && b)),
    Op::new("Or", |c| pair(c, "logical_or")).folds(|_, x| truths(x, |a, b| a || b)),
    Op::new("Xor", |c| pair(c, "logical_xor")).folds(|_, x| truths(x, |a, b| a != b)),
    Op::new("Equal", |c| pair(c, "eq"))
        .folds(|_, x| compare(&x[0], &x[1], Num::equals, |a, b| a == b)),
    Op::new("Less", |c| pair(c, "lt")).folds(|_, x| compare(&x[0], &x[1], Num::less, |a, b| a < b)),
    Op::new("Greater", |c| pair(c, "gt"))
        .folds(|_, x| compare(&x[0], &x[1], |a, b| b.less(a), |a, b| a > b)),
    Op::new("LessOrEqual", |c| pair(c, "le"))
        .folds(|_, x| compare(&x[0], &x[1], |a, b| Some(!b.less(a)?), |a, b| a <= b)),
    Op::new("GreaterOrEqual", |c| pair(c, "ge"))
        .folds(|_, x| compare(&x[0], &x[1], |a, b| Some(!a.less(b)?), |a, b| a >= b)),
    Op::new("Max", |c| several(c, "maximum")).folds(|_, x| {
        let larger = |a: &Num, b: &Num| Some(if a.less(b)? { b } else { a }.clone());
        in_turn(x, |a, b| {
            elementwise(a, b, larger, |a, b| if a > b || a.is_nan() { a } else { b })
        })
    }),
    Op::new("Min", |c| several(c, "minimum")).folds(|_, x| {
        let smaller = |a: &Num, b: &Num| Some(if b.less(a)? { b } else { a }.clone());
        in_turn(x, |a, b| {
            elementwise(
                a,
                b,
                smaller,
                |a, b| if a < b || a.is_nan() { a } else { b },
            )
        })
    }),
    Op::new("Sum", |c| several(c, "add"))
        .folds(|_, x| in_turn(x, |a, b| elementwise(a, b, Num::add, |a, b| a + b))),
    Op::new("Mean", |c| {
        let count = c.operands.len();
        let sum = total(c, "add")?;
        one(c.by("div", sum, count as f64)?)
    }),
    Op::new("Where", choose).folds(|_, x| select(x.first()?, x.get(1)?, x.get(2)?)),
    Op::new("Clip", clip),
    Op::new("Cast", |c| {
        let to = c.dtype_attr("to")?.ok_or("`to` is missing")?;
        let x = c.x(0)?;
        one(c.cast(x, to)?)
    })
    .folds(|c, x| cast(x.first()?, c.dtype_attr("to").ok()??)),
    Op::new("CastLike", |c| {
        let to = c
            .ty_of(1)?
            .dtype
            .ok_or("the element type of operand 1 has to be known")?;
        if let Some(known) = c.foldable(0).and_then(|x| cast(&x, to)) {
            return one(known);
        }
        let x = c.x(0)?;
        one(c.cast(x, to)?)
    }),
];

/// An op of one operand that means the same.
fn same(c: &mut Call<'_, '_>, op: &str) -> Lowered {
    let x = c.x(0)?;
    one(c.emit(op, &[x])?)
}

/// Two operands. Before version 7, the second one broadcasts only where it is asked to, and `axis`
/// says where its dims are in the first one's.
fn two(c: &mut Call<'_, '_>) -> Result<[Value; 2], Miss> {
    let (a, mut b) = (c.x(0)?, c.x(1)?);
    if c.version < 7 && c.flag("broadcast") && c.int_attr("axis").is_some() {
        let (rank, own) = (c.rank(a)?, c.rank(b)?);
        let axis = c.axis(c.int_or("axis", 0), rank.max(1))?;
        if axis + own < rank {
            let mut dims = c.dims(b)?;
            dims.resize(rank - axis, Dim::Known(1));
            b = c.reshape(b, &dims)?;
        }
    }
    Ok([a, b])
}

fn pair(c: &mut Call<'_, '_>, op: &str) -> Lowered {
    let operands = two(c)?;
    one(c.emit(op, &operands)?)
}

fn arithmetic(
    c: &Call<'_, '_>,
    x: &[std::rc::Rc<Known>],
    ints: fn(&Num, &Num) -> Option<Num>,
    floats: fn(f64, f64) -> f64,
) -> Option<Known> {
    match c.version < 7 && c.flag("broadcast") {
        true => None,
        false => elementwise(x.first()?, x.get(1)?, ints, floats),
    }
}

fn truths(x: &[std::rc::Rc<Known>], f: fn(bool, bool) -> bool) -> Option<Known> {
    // Compared like numbers, whose results are truth values.
    let table = |a: i64, b: i64| f(a != 0, b != 0);
    let both = compare(x.first()?, x.get(1)?, |_, _| Some(true), |_, _| true)?;
    let dims = both.dims;
    let a = crate::known::expand(&x[0], &dims)?.ints()?;
    let b = crate::known::expand(&x[1], &dims)?.ints()?;
    let items = a
        .iter()
        .zip(b)
        .map(|(a, b)| Num::Int(i64::from(table(*a, b))));
    Some(Known::new(
        DType::Bool,
        dims.clone(),
        Elements::Ints(items.collect()),
    ))
}

/// All operands, two at a time from the first on.
fn total(c: &mut Call<'_, '_>, op: &str) -> Result<Value, Miss> {
    let operands = c.all()?;
    let (first, others) = operands.split_first().ok_or("has no operands")?;
    let mut total = *first;
    for other in others {
        total = c.emit(op, &[total, *other])?;
    }
    Ok(total)
}

fn several(c: &mut Call<'_, '_>, op: &str) -> Lowered {
    one(total(c, op)?)
}

fn in_turn(x: &[std::rc::Rc<Known>], f: impl Fn(&Known, &Known) -> Option<Known>) -> Option<Known> {
    let (first, others) = x.split_first()?;
    let mut total = first.pick(first.dims.clone(), &(0..first.count()).collect::<Vec<_>>());
    for other in others {
        total = f(&total, other)?;
    }
    Some(total)
}

fn is_inf(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.x(0)?;
    let attrs = Attrs::new()
        .with("positive", c.int_or("detect_positive", 1) != 0)
        .with("negative", c.int_or("detect_negative", 1) != 0);
    one(c.with("is_inf", &[x], attrs)?)
}

/// The power has the element type of its base.
fn pow(c: &mut Call<'_, '_>) -> Lowered {
    let [base, exponent] = two(c)?;
    let (of, by) = (c.dtype(base)?, c.dtype(exponent)?);
    if of == by {
        return one(c.emit("pow", &[base, exponent])?);
    }
    if of.is_float() || !by.is_float() {
        let exponent = c.cast(exponent, of)?;
        return one(c.emit("pow", &[base, exponent])?);
    }
    let wide = c.cast(base, by)?;
    let power = c.emit("pow", &[wide, exponent])?;
    one(c.cast(power, of)?)
}

fn bit_shift(c: &mut Call<'_, '_>) -> Lowered {
    let op = match c.str_or("direction", "")? {
        "LEFT" => "shift_left",
        "RIGHT" => "shift_right",
        other => return Err(format!("`direction` is `{other}`, neither LEFT nor RIGHT").into()),
    };
    pair(c, op)
}

fn choose(c: &mut Call<'_, '_>) -> Lowered {
    let (condition, a, b) = (c.x(0)?, c.x(1)?, c.x(2)?);
    one(c.select(condition, a, b)?)
}

/// From version 11 on the bounds are operands.
fn clip(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.x(0)?;
    let (low, high) = match c.version < 11 {
        true => {
            let mut bound = |name: &str| match c.float_attr(name) {
                Some(number) => c.number(x, number).map(Some),
                None => Ok(None),
            };
            (bound("min")?, bound("max")?)
        }
        false => (c.x_opt(1)?, c.x_opt(2)?),
    };
    one(match (low, high) {
        (Some(low), Some(high)) => {
            // Where the bounds cross, the upper one holds.
            match c.dtype(x)?.is_float() {
                true => c.emit("clamp", &[x, low, high])?,
                false => {
                    let x = c.emit("maximum", &[x, low])?;
                    c.emit("minimum", &[x, high])?
                }
            }
        }
        (Some(low), None) => c.emit("maximum", &[x, low])?,
        (None, Some(high)) => c.emit("minimum", &[x, high])?,
        (None, None) => return Ok(vec![c.item(0)?.clone()]),
    })
}
