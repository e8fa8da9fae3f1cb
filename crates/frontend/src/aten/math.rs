//! More functions element by element: trigonometry, truths and bits, and what is made of several ops.

use syncarp_ir::{Attrs, DType, Value};

use super::arg::Arg;
use super::call::Call;
use super::pointwise::{both, pair};
use super::{Function, Lowered};

/// A function that is one op of one tensor of floats; integers become floats.
macro_rules! float {
    ($schema:literal, $op:literal) => {
        Function {
            schemas: &[$schema],
            lower: |c| {
                let x = real(c)?;
                c.give($op, &[x])
            },
        }
    };
}

/// A function that is one op of two tensors, or of a tensor and a number.
macro_rules! binary {
    ($op:literal: $($schema:literal),* $(,)?) => {
        Function {
            schemas: &[$($schema),*],
            lower: |c| {
                let (a, b) = pair(c)?;
                c.give($op, &[a, b])
            },
        }
    };
}

/// The same of truth values; numbers are true where they are not zero.
macro_rules! truth {
    ($op:literal: $($schema:literal),* $(,)?) => {
        Function {
            schemas: &[$($schema),*],
            lower: |c| {
                let (a, b) = pair(c)?;
                let (a, b) = (c.cast(a, DType::Bool)?, c.cast(b, DType::Bool)?);
                c.give($op, &[a, b])
            },
        }
    };
}

/// The same of bits, or of truth values.
macro_rules! bits {
    ($bits:literal, $truth:literal: $($schema:literal),* $(,)?) => {
        Function {
            schemas: &[$($schema),*],
            lower: |c| {
                let (a, b) = pair(c)?;
                let op = if c.dtype(a) == DType::Bool { $truth } else { $bits };
                c.give(op, &[a, b])
            },
        }
    };
}

pub(super) const FUNCTIONS: &[Function] = &[
    float!("aten::tan(Tensor self) -> Tensor", "tan"),
    float!("aten::asin(Tensor self) -> Tensor", "asin"),
    float!("aten::acos(Tensor self) -> Tensor", "acos"),
    float!("aten::atan(Tensor self) -> Tensor", "atan"),
    float!("aten::sinh(Tensor self) -> Tensor", "sinh"),
    float!("aten::cosh(Tensor self) -> Tensor", "cosh"),
    float!("aten::asinh(Tensor self) -> Tensor", "asinh"),
    float!("aten::acosh(Tensor self) -> Tensor", "acosh"),
    float!("aten::atanh(Tensor self) -> Tensor", "atanh"),
    float!("aten::special_expit(Tensor self) -> Tensor", "sigmoid"),
    float!("aten::special_erf(Tensor self) -> Tensor", "erf"),
    Function {
        schemas: &[
            "aten::trunc(Tensor self) -> Tensor",
            "aten::fix(Tensor self) -> Tensor",
        ],
        lower: |c| {
            let x = c.tensor("self")?;
            match c.dtype(x).is_float() {
                true => c.give("trunc", &[x]),
                false => Ok(Arg::Tensor(x)),
            }
        },
    },
    Function {
        schemas: &["aten::frac(Tensor self) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            let whole = c.op("trunc", &[x])?;
            c.give("sub", &[x, whole])
        },
    },
    Function {
        schemas: &["aten::log2(Tensor self) -> Tensor"],
        lower: |c| logarithm(c, std::f64::consts::LOG2_E),
    },
    Function {
        schemas: &["aten::log10(Tensor self) -> Tensor"],
        lower: |c| logarithm(c, std::f64::consts::LOG10_E),
    },
    Function {
        schemas: &["aten::exp2(Tensor self) -> Tensor"],
        lower: |c| {
            let x = real(c)?;
            let base = c.like(x, std::f64::consts::LN_2)?;
            let x = c.op("mul", &[x, base])?;
            c.give("exp", &[x])
        },
    },
    Function {
        schemas: &["aten::erfc(Tensor self) -> Tensor"],
        lower: |c| {
            let x = real(c)?;
            let erf = c.op("erf", &[x])?;
            let one = c.like(x, 1.0)?;
            c.give("sub", &[one, erf])
        },
    },
    Function {
        schemas: &["aten::positive(Tensor self) -> Tensor"],
        lower: |c| c.tensor("self").map(Arg::Tensor),
    },
    Function {
        schemas: &["aten::sgn(Tensor self) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            c.give("sign", &[x])
        },
    },
    Function {
        schemas: &["aten::deg2rad(Tensor self) -> Tensor"],
        lower: |c| scaled(c, std::f64::consts::PI / 180.0),
    },
    Function {
        schemas: &["aten::rad2deg(Tensor self) -> Tensor"],
        lower: |c| scaled(c, 180.0 / std::f64::consts::PI),
    },
    Function {
        schemas: &["aten::logit(Tensor self, float? eps=None) -> Tensor"],
        lower: |c| {
            let mut x = real(c)?;
            let one = c.like(x, 1.0)?;
            if let Some(eps) = c.number_opt("eps")? {
                let (low, high) = (c.like(x, eps)?, c.like(x, 1.0 - eps)?);
                x = c.op("clamp", &[x, low, high])?;
            }
            let rest = c.op("sub", &[one, x])?;
            let odds = c.op("div", &[x, rest])?;
            c.give("log", &[odds])
        },
    },
    Function {
        schemas: &["aten::isnan(Tensor self) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            c.give("ne", &[x, x])
        },
    },
    Function {
        schemas: &["aten::isinf(Tensor self) -> Tensor"],
        lower: |c| {
            let x = real(c)?;
            c.give("is_inf", &[x])
        },
    },
    Function {
        schemas: &["aten::isfinite(Tensor self) -> Tensor"],
        lower: |c| {
            let x = real(c)?;
            let size = c.op("abs", &[x])?;
            let most = c.like(x, f64::INFINITY)?;
            c.give("lt", &[size, most])
        },
    },
    Function {
        schemas: &[
            "aten::nan_to_num(Tensor self, float? nan=None, float? posinf=None, \
             float? neginf=None) -> Tensor",
        ],
        lower: |c| {
            let x = c.tensor("self")?;
            let dtype = c.dtype(x);
            let most = match dtype {
                DType::F16 => 65504.0,
                DType::BF16 | DType::F32 => f64::from(f32::MAX),
                DType::F64 => f64::MAX,
                _ => return Ok(Arg::Tensor(x)),
            };
            let nan = c.number_opt("nan")?.unwrap_or(0.0);
            let high = c.number_opt("posinf")?.unwrap_or(most);
            let low = c.number_opt("neginf")?.unwrap_or(-most);
            let mut y = x;
            for (at, number) in [(f64::INFINITY, high), (f64::NEG_INFINITY, low)] {
                let (at, number) = (c.constant(dtype, at)?, c.constant(dtype, number)?);
                let is = c.op("eq", &[x, at])?;
                y = c.op("where", &[is, number, y])?;
            }
            let (is, nan) = (c.op("ne", &[x, x])?, c.constant(dtype, nan)?);
            c.give("where", &[is, nan, y])
        },
    },
    Function {
        schemas: &["aten::logical_not(Tensor self) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            let x = c.cast(x, DType::Bool)?;
            c.give("logical_not", &[x])
        },
    },
    Function {
        schemas: &["aten::bitwise_not(Tensor self) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            let op = if c.dtype(x) == DType::Bool {
                "logical_not"
            } else {
                "bitwise_not"
            };
            c.give(op, &[x])
        },
    },
    truth!("logical_and": "aten::logical_and(Tensor self, Tensor other) -> Tensor"),
    truth!("logical_or": "aten::logical_or(Tensor self, Tensor other) -> Tensor"),
    truth!("logical_xor": "aten::logical_xor(Tensor self, Tensor other) -> Tensor"),
    bits!("bitwise_and", "logical_and":
        "aten::bitwise_and.Tensor(Tensor self, Tensor other) -> Tensor",
        "aten::bitwise_and.Scalar(Tensor self, Scalar other) -> Tensor",
        "aten::__and__.Tensor(Tensor self, Tensor other) -> Tensor",
        "aten::__and__.Scalar(Tensor self, Scalar other) -> Tensor",
    ),
    bits!("bitwise_or", "logical_or":
        "aten::bitwise_or.Tensor(Tensor self, Tensor other) -> Tensor",
        "aten::bitwise_or.Scalar(Tensor self, Scalar other) -> Tensor",
        "aten::__or__.Tensor(Tensor self, Tensor other) -> Tensor",
        "aten::__or__.Scalar(Tensor self, Scalar other) -> Tensor",
    ),
    bits!("bitwise_xor", "logical_xor":
        "aten::bitwise_xor.Tensor(Tensor self, Tensor other) -> Tensor",
        "aten::bitwise_xor.Scalar(Tensor self, Scalar other) -> Tensor",
        "aten::__xor__.Tensor(Tensor self, Tensor other) -> Tensor",
        "aten::__xor__.Scalar(Tensor self, Scalar other) -> Tensor",
    ),
    binary!("shift_left":
        "aten::bitwise_left_shift.Tensor(Tensor self, Tensor other) -> Tensor",
        "aten::bitwise_left_shift.Tensor_Scalar(Tensor self, Scalar other) -> Tensor",
        "aten::__lshift__.Scalar(Tensor self, Scalar other) -> Tensor",
        "aten::__lshift__.Tensor(Tensor self, Tensor other) -> Tensor",
    ),
    binary!("shift_right":
        "aten::bitwise_right_shift.Tensor(Tensor self, Tensor other) -> Tensor",
        "aten::bitwise_right_shift.Tensor_Scalar(Tensor self, Scalar other) -> Tensor",
        "aten::__rshift__.Scalar(Tensor self, Scalar other) -> Tensor",
        "aten::__rshift__.Tensor(Tensor self, Tensor other) -> Tensor",
    ),
    binary!("remainder":
        "aten::remainder.Tensor(Tensor self, Tensor other) -> Tensor",
        "aten::remainder.Scalar(Tensor self, Scalar other) -> Tensor",
        "aten::remainder.Scalar_Tensor(Scalar self, Tensor other) -> Tensor",
    ),
    binary!("fmod":
        "aten::fmod.Tensor(Tensor self, Tensor other) -> Tensor",
        "aten::fmod.Scalar(Tensor self, Scalar other) -> Tensor",
    ),
    binary!("atan2":
        "aten::atan2(Tensor self, Tensor other) -> Tensor",
        "aten::arctan2(Tensor self, Tensor other) -> Tensor",
    ),
    Function {
        schemas: &[
            "aten::lerp.Scalar(Tensor self, Tensor end, Scalar weight) -> Tensor",
            "aten::lerp.Tensor(Tensor self, Tensor end, Tensor weight) -> Tensor",
        ],
        lower: |c| {
            let (a, b) = (c.tensor("self")?, c.tensor("end")?);
            let away = c.op("sub", &[b, a])?;
            let weight = c.arg("weight").clone();
            let (away, weight) = both(c, &Arg::Tensor(away), &weight)?;
            let part = c.op("mul", &[away, weight])?;
            c.give("add", &[a, part])
        },
    },
    Function {
        schemas: &[
            "aten::addcmul(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) \
             -> Tensor",
        ],
        lower: |c| combined(c, "mul"),
    },
    Function {
        schemas: &[
            "aten::addcdiv(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) \
             -> Tensor",
        ],
        lower: |c| combined(c, "div"),
    },
    Function {
        schemas: &["aten::hypot(Tensor self, Tensor other) -> Tensor"],
        lower: |c| {
            let (a, b) = pair(c)?;
            let (a, b) = (c.op("square", &[a])?, c.op("square", &[b])?);
            let sum = c.op("add", &[a, b])?;
            c.give("sqrt", &[sum])
        },
    },
    Function {
        schemas: &["aten::logaddexp(Tensor self, Tensor other) -> Tensor"],
        lower: |c| {
            let (a, b) = pair(c)?;
            let (more, less) = (c.op("maximum", &[a, b])?, c.op("minimum", &[a, b])?);
            let away = c.op("sub", &[less, more])?;
            let part = c.op("exp", &[away])?;
            let part = c.op("log1p", &[part])?;
            c.give("add", &[more, part])
        },
    },
    Function {
        schemas: &[
            "aten::xlogy.Tensor(Tensor self, Tensor other) -> Tensor",
            "aten::xlogy.Scalar_Other(Tensor self, Scalar other) -> Tensor",
        ],
        lower: |c| {
            let (a, b) = pair(c)?;
            let zero = c.like(a, 0.0)?;
            let none = c.op("eq", &[a, zero])?;
            let one = c.like(b, 1.0)?;
            // Where nothing is asked for, the logarithm is not taken.
            let b = c.op("where", &[none, one, b])?;
            let log = c.op("log", &[b])?;
            c.give("mul", &[a, log])
        },
    },
    Function {
        schemas: &["aten::threshold(Tensor self, Scalar threshold, Scalar value) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            let (at, value) = (c.number("threshold")?, c.number("value")?);
            let (at, value) = (c.like(x, at)?, c.like(x, value)?);
            let over = c.op("gt", &[x, at])?;
            c.give("where", &[over, x, value])
        },
    },
    Function {
        schemas: &[
            "aten::where.Scalar(Tensor condition, Scalar self, Scalar other) -> Tensor",
            "aten::where.ScalarSelf(Tensor condition, Scalar self, Tensor other) -> Tensor",
            "aten::where.ScalarOther(Tensor condition, Tensor self, Scalar other) -> Tensor",
            "aten::where.self(Tensor condition, Tensor self, Tensor other) -> Tensor",
        ],
        lower: choose,
    },
    Function {
        schemas: &[
            "aten::prelu(Tensor self, Tensor weight) -> Tensor",
            "aten::_prelu_kernel(Tensor self, Tensor weight) -> Tensor",
        ],
        lower: |c| {
            let (x, weight) = (c.tensor("self")?, c.tensor("weight")?);
            // One slope for all, or one for each channel; a kernel's is spread out already.
            let rank = c.dims(x)?.len();
            let of_weight = c.dims(weight)?;
            let weight = match (&of_weight[..], rank) {
                ([one], 2..) => {
                    let mut dims = vec![syncarp_ir::Dim::Known(1); rank];
                    dims[1] = one.clone();
                    c.reshaped(weight, &dims)?
                }
                _ => weight,
            };
            let zero = c.like(x, 0.0)?;
            let over = c.op("gt", &[x, zero])?;
            let below = c.op("mul", &[x, weight])?;
            c.give("where", &[over, x, below])
        },
    },
    Function {
        schemas: &["aten::glu(Tensor self, int dim=-1) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            let axis = c.axis(x, c.int("dim")?)? as usize;
            let size = c.dims(x)?.get(axis).and_then(syncarp_ir::Dim::known);
            let size = size
                .filter(|size| size % 2 == 0)
                .ok_or("halves an axis of even size")?;
            let half = (size / 2) as i64;
            let (a, b) = (c.cut(x, axis, 0, Some(half))?, c.cut(x, axis, half, None)?);
            let gate = c.op("sigmoid", &[b])?;
            c.give("mul", &[a, gate])
        },
    },
    Function {
        schemas: &["aten::celu(Tensor self, Scalar alpha=1.0) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            let alpha = c.number("alpha")?;
            let alpha = c.like(x, alpha)?;
            let zero = c.like(x, 0.0)?;
            let over = c.op("maximum", &[x, zero])?;
            let under = c.op("minimum", &[x, zero])?;
            let part = c.op("div", &[under, alpha])?;
            let part = c.op("expm1", &[part])?;
            let part = c.op("mul", &[part, alpha])?;
            c.give("add", &[over, part])
        },
    },
    Function {
        schemas: &["aten::hardshrink(Tensor self, Scalar lambd=0.5) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            let most = c.number("lambd")?;
            let (most, zero) = (c.like(x, most)?, c.like(x, 0.0)?);
            let size = c.op("abs", &[x])?;
            let inside = c.op("le", &[size, most])?;
            c.give("where", &[inside, zero, x])
        },
    },
    Function {
        schemas: &["aten::softshrink(Tensor self, Scalar lambd=0.5) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            let by = c.number("lambd")?;
            let (low, high) = (c.like(x, -by)?, c.like(x, by)?);
            let inside = c.op("clamp", &[x, low, high])?;
            c.give("sub", &[x, inside])
        },
    },
    Function {
        schemas: &[
            "aten::rrelu(Tensor self, Scalar lower=0.125, Scalar upper=0.3333333333333333, \
             bool training=False, Generator? generator=None) -> Tensor",
        ],
        lower: mean_slope,
    },
    Function {
        schemas: &[
            "aten::rrelu_with_noise(Tensor self, Tensor noise, Scalar lower=0.125, \
             Scalar upper=0.3333333333333333, bool training=False, Generator? generator=None) \
             -> Tensor",
            "aten::rrelu_with_noise_functional(Tensor self, Tensor noise, Scalar lower=0.125, \
             Scalar upper=0.3333333333333333, bool training=False, Generator? generator=None) \
             -> (Tensor, Tensor)",
        ],
        lower: |c| {
            let y = mean_slope(c)?;
            let noise = c.arg("noise").clone();
            Arg::list(vec![y, noise])
        },
    },
    Function {
        schemas: &["aten::log_sigmoid_forward(Tensor self) -> (Tensor, Tensor)"],
        lower: |c| {
            let x = c.tensor("self")?;
            let y = c.op("logsigmoid", &[x])?;
            Arg::list(vec![Arg::Tensor(y), Arg::None])
        },
    },
    Function {
        schemas: &["aten::type_as(Tensor self, Tensor other) -> Tensor"],
        lower: |c| {
            let (x, other) = (c.tensor("self")?, c.tensor("other")?);
            let dtype = c.dtype(other);
            c.cast(x, dtype).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &[
            "aten::detach(Tensor self) -> Tensor",
            "aten::lift_fresh(Tensor self) -> Tensor",
            "aten::lift_fresh_copy(Tensor self) -> Tensor",
            "aten::lift(Tensor self) -> Tensor",
            "aten::resolve_conj(Tensor self) -> Tensor",
            "aten::resolve_neg(Tensor self) -> Tensor",
            "aten::real(Tensor self) -> Tensor",
            "aten::conj(Tensor self) -> Tensor",
            "aten::_conj(Tensor self) -> Tensor",
            "aten::requires_grad(Tensor self, bool requires_grad=True) -> Tensor",
        ],
        lower: |c| c.tensor("self").map(Arg::Tensor),
    },
];

/// `self` as floats.
fn real(c: &mut Call<'_, '_>) -> Result<Value, String> {
    let x = c.tensor("self")?;
    match c.ty(x).dtype {
        Some(dtype) if !dtype.is_float() => c.cast(x, DType::F32),
        _ => Ok(x),
    }
}

fn scaled(c: &mut Call<'_, '_>, factor: f64) -> Lowered {
    let x = real(c)?;
    let factor = c.like(x, factor)?;
    c.give("mul", &[x, factor])
}

fn logarithm(c: &mut Call<'_, '_>, factor: f64) -> Lowered {
    let x = real(c)?;
    let log = c.op("log", &[x])?;
    let factor = c.like(x, factor)?;
    c.give("mul", &[log, factor])
}

/// `self + value * op(tensor1, tensor2)`.
fn combined(c: &mut Call<'_, '_>, op: &str) -> Lowered {
    let (x, a, b) = (
        c.tensor("self")?,
        c.tensor("tensor1")?,
        c.tensor("tensor2")?,
    );
    let mut part = c.op(op, &[a, b])?;
    let value = c.number("value")?;
    if value != 1.0 {
        let value = c.like(part, value)?;
        part = c.op("mul", &[part, value])?;
    }
    c.give("add", &[x, part])
}

/// Elements between two bounds that are tensors, or numbers beside integers, either of which may be missing. A bound
/// that is a tensor gets the gradient where it is taken.
pub(super) fn clamp(c: &mut Call<'_, '_>) -> Lowered {
    let mut x = c.arg("self").clone();
    for (name, op) in [("min", "maximum"), ("max", "minimum")] {
        if c.has(name) && *c.arg(name) != Arg::None {
            let bound = c.arg(name).clone();
            let (a, b) = both(c, &x, &bound)?;
            x = Arg::Tensor(c.op(op, &[a, b])?);
        }
    }
    Ok(x)
}

/// The leaky ReLU that a randomised one is in evaluation.
fn mean_slope(c: &mut Call<'_, '_>) -> Lowered {
    if c.bool("training")? {
        return Err("draws no slopes here: use leaky_relu".to_owned());
    }
    let x = c.tensor("self")?;
    let slope = (c.number("lower")? + c.number("upper")?) / 2.0;
    let slope = c.like(x, slope)?;
    c.give("leaky_relu", &[x, slope])
}

fn choose(c: &mut Call<'_, '_>) -> Lowered {
    let condition = c.tensor("condition")?;
    let condition = c.cast(condition, DType::Bool)?;
    let (a, b) = (c.arg("self").clone(), c.arg("other").clone());
    let (a, b) = match (&a, &b) {
        (Arg::Tensor(_), _) | (_, Arg::Tensor(_)) => both(c, &a, &b)?,
        _ => {
            // Two numbers: floats where one is.
            let (a, b) = (c.number_tensor(&a)?, c.number_tensor(&b)?);
            both(c, &Arg::Tensor(a), &Arg::Tensor(b))?
        }
    };
    c.give_with("where", &[condition, a, b], Attrs::new())
}
