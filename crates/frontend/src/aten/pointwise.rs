//! Arithmetic element by element, operands broadcasting.

use syncarp_ir::{Attrs, DType, Value};

use super::arg::Arg;
use super::call::Call;
use super::number::numbers;
use super::{Function, Lowered};

/// A function that is one op of one tensor.
macro_rules! unary {
    ($schema:literal, $op:literal) => {
        Function {
            schemas: &[$schema],
            lower: |c| {
                let x = c.tensor("self")?;
                c.give($op, &[x])
            },
        }
    };
}

/// A function that is one op of two tensors.
macro_rules! binary {
    ($schemas:expr, $op:literal) => {
        Function {
            schemas: &$schemas,
            lower: |c| {
                let (a, b) = pair(c)?;
                c.give($op, &[a, b])
            },
        }
    };
}

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        schemas: &[
            "aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor",
            "aten::add.Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor",
            "aten::add.int(Scalar a, Scalar b) -> Scalar",
        ],
        lower: |c| scaled(c, "add"),
    },
    Function {
        schemas: &[
            "aten::sub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor",
            "aten::sub.Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor",
            "aten::sub.int(Scalar a, Scalar b) -> Scalar",
        ],
        lower: |c| scaled(c, "sub"),
    },
    Function {
        schemas: &[
            "aten::rsub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor",
            "aten::rsub.Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor",
        ],
        lower: |c| {
            let (a, b) = pair(c)?;
            let a = times_alpha(c, a)?;
            c.give("sub", &[b, a])
        },
    },
    Function {
        schemas: &[
            "aten::mul.Tensor(Tensor self, Tensor other) -> Tensor",
            "aten::mul.Scalar(Tensor self, Scalar other) -> Tensor",
            "aten::mul.int(Scalar a, Scalar b) -> Scalar",
            "aten::multiply.Tensor(Tensor self, Tensor other) -> Tensor",
            "aten::multiply.Scalar(Tensor self, Scalar other) -> Tensor",
        ],
        lower: |c| match c.has("a") {
            true => numbers("mul", c.arg("a"), c.arg("b")),
            false => {
                let (a, b) = pair(c)?;
                let op = if c.dtype(a) == DType::Bool {
                    "logical_and"
                } else {
                    "mul"
                };
                c.give(op, &[a, b])
            }
        },
    },
    Function {
        schemas: &[
            "aten::div.Tensor(Tensor self, Tensor other) -> Tensor",
            "aten::div.Scalar(Tensor self, Scalar other) -> Tensor",
            "aten::div.Tensor_mode(Tensor self, Tensor other, *, str? rounding_mode) -> Tensor",
            "aten::div.Scalar_mode(Tensor self, Scalar other, *, str? rounding_mode) -> Tensor",
            "aten::div.int(Scalar a, Scalar b) -> Scalar",
            "aten::divide.Tensor(Tensor self, Tensor other) -> Tensor",
            "aten::true_divide.Tensor(Tensor self, Tensor other) -> Tensor",
        ],
        lower: divide,
    },
    Function {
        schemas: &[
            "aten::floor_divide(Tensor self, Tensor other) -> Tensor",
            "aten::floor_divide.Scalar(Tensor self, Scalar other) -> Tensor",
            "aten::floor_divide.int(Scalar a, Scalar b) -> Scalar",
        ],
        lower: |c| match c.has("a") {
            true => numbers("floordiv", c.arg("a"), c.arg("b")),
            false => {
                let (a, b) = pair(c)?;
                rounded(c, a, b)
            }
        },
    },
    Function {
        schemas: &[
            "aten::pow.Tensor_Scalar(Tensor self, Scalar exponent) -> Tensor",
            "aten::pow.Tensor_Tensor(Tensor self, Tensor exponent) -> Tensor",
            "aten::pow.Scalar(Scalar self, Tensor exponent) -> Tensor",
        ],
        lower: |c| match (c.arg("self").clone(), c.arg("exponent").clone()) {
            // PyTorch takes these apart too, so the numbers are nearer to its own.
            (Arg::Tensor(x), Arg::Int(2)) => c.give("square", &[x]),
            (Arg::Tensor(x), Arg::Float(2.0)) => c.give("square", &[x]),
            (Arg::Tensor(x), Arg::Float(0.5)) => c.give("sqrt", &[x]),
            (a, b) => {
                let (a, b) = both(c, &a, &b)?;
                c.give("pow", &[a, b])
            }
        },
    },
    unary!("aten::neg(Tensor self) -> Tensor", "neg"),
    unary!("aten::exp(Tensor self) -> Tensor", "exp"),
    unary!("aten::expm1(Tensor self) -> Tensor", "expm1"),
    unary!("aten::log(Tensor self) -> Tensor", "log"),
    unary!("aten::log1p(Tensor self) -> Tensor", "log1p"),
    unary!("aten::sqrt(Tensor self) -> Tensor", "sqrt"),
    unary!("aten::rsqrt(Tensor self) -> Tensor", "rsqrt"),
    unary!("aten::square(Tensor self) -> Tensor", "square"),
    unary!("aten::reciprocal(Tensor self) -> Tensor", "reciprocal"),
    unary!("aten::abs(Tensor self) -> Tensor", "abs"),
    unary!("aten::sign(Tensor self) -> Tensor", "sign"),
    unary!("aten::floor(Tensor self) -> Tensor", "floor"),
    unary!("aten::ceil(Tensor self) -> Tensor", "ceil"),
    unary!("aten::round(Tensor self) -> Tensor", "round"),
    unary!("aten::sin(Tensor self) -> Tensor", "sin"),
    unary!("aten::cos(Tensor self) -> Tensor", "cos"),
    unary!("aten::erf(Tensor self) -> Tensor", "erf"),
    binary!(
        ["aten::maximum(Tensor self, Tensor other) -> Tensor"],
        "maximum"
    ),
    binary!(
        ["aten::minimum(Tensor self, Tensor other) -> Tensor"],
        "minimum"
    ),
    binary!(
        [
            "aten::eq.Tensor(Tensor self, Tensor other) -> Tensor",
            "aten::eq.Scalar(Tensor self, Scalar other) -> Tensor",
        ],
        "eq"
    ),
    binary!(
        [
            "aten::ne.Tensor(Tensor self, Tensor other) -> Tensor",
            "aten::ne.Scalar(Tensor self, Scalar other) -> Tensor",
        ],
        "ne"
    ),
    binary!(
        [
            "aten::lt.Tensor(Tensor self, Tensor other) -> Tensor",
            "aten::lt.Scalar(Tensor self, Scalar other) -> Tensor",
        ],
        "lt"
    ),
    binary!(
        [
            "aten::le.Tensor(Tensor self, Tensor other) -> Tensor",
            "aten::le.Scalar(Tensor self, Scalar other) -> Tensor",
        ],
        "le"
    ),
    binary!(
        [
            "aten::gt.Tensor(Tensor self, Tensor other) -> Tensor",
            "aten::gt.Scalar(Tensor self, Scalar other) -> Tensor",
        ],
        "gt"
    ),
    binary!(
        [
            "aten::ge.Tensor(Tensor self, Tensor other) -> Tensor",
            "aten::ge.Scalar(Tensor self, Scalar other) -> Tensor",
        ],
        "ge"
    ),
    Function {
        schemas: &[
            "aten::clamp(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor",
            "aten::clamp.Tensor(Tensor self, Tensor? min=None, Tensor? max=None) -> Tensor",
            "aten::clip(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor",
            "aten::clip.Tensor(Tensor self, Tensor? min=None, Tensor? max=None) -> Tensor",
        ],
        lower: clamp,
    },
    Function {
        schemas: &[
            "aten::clamp_min(Tensor self, Scalar min) -> Tensor",
            "aten::clamp_min.Tensor(Tensor self, Tensor min) -> Tensor",
        ],
        lower: clamp,
    },
    Function {
        schemas: &[
            "aten::clamp_max(Tensor self, Scalar max) -> Tensor",
            "aten::clamp_max.Tensor(Tensor self, Tensor max) -> Tensor",
        ],
        lower: clamp,
    },
    Function {
        schemas: &[
            "aten::contiguous(Tensor self, *, MemoryFormat memory_format=None) -> Tensor",
            "aten::clone(Tensor self, *, MemoryFormat? memory_format=None) -> Tensor",
            "aten::alias(Tensor self) -> Tensor",
        ],
        lower: |c| c.tensor("self").map(Arg::Tensor),
    },
    Function {
        schemas: &[
            "aten::to.dtype(Tensor self, ScalarType dtype, bool non_blocking=False, \
             bool copy=False, MemoryFormat? memory_format=None) -> Tensor",
            "aten::to.other(Tensor self, Tensor other, bool non_blocking=False, \
             bool copy=False, MemoryFormat? memory_format=None) -> Tensor",
            "aten::to.dtype_layout(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, \
             Device? device=None, bool? pin_memory=None, bool non_blocking=False, \
             bool copy=False, MemoryFormat? memory_format=None) -> Tensor",
            "aten::to.device(Tensor self, Device device, ScalarType dtype, \
             bool non_blocking=False, bool copy=False, MemoryFormat? memory_format=None) \
             -> Tensor",
            "aten::_to_copy(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, \
             Device? device=None, bool? pin_memory=None, bool non_blocking=False, \
             MemoryFormat? memory_format=None) -> Tensor",
        ],
        lower: |c| {
            let x = c.tensor("self")?;
            if c.has("other") {
                let dtype = c.dtype(c.tensor("other")?);
                return c.cast(x, dtype).map(Arg::Tensor);
            }
            c.cast_as_asked(x).map(Arg::Tensor)
        },
    },
];

/// The tensors `self` and `other`, of one element type.
pub(super) fn pair(c: &mut Call<'_, '_>) -> Result<(Value, Value), String> {
    let (a, b) = (c.arg("self").clone(), c.arg("other").clone());
    both(c, &a, &b)
}

/// Two tensors, or a tensor and a number, as tensors of one element type: the wider one, and floats
/// rather than integers, as PyTorch promotes them.
pub(super) fn both(c: &mut Call<'_, '_>, a: &Arg, b: &Arg) -> Result<(Value, Value), String> {
    match (a, b) {
        (Arg::Tensor(a), Arg::Tensor(b)) => {
            let (Some(x), Some(y)) = (c.ty(*a).dtype, c.ty(*b).dtype) else {
                return Ok((*a, *b));
            };
            // A scalar of one kind does not widen a tensor of that kind.
            let scalar = |value: Value| c.ty(value).rank() == Some(0);
            let same_kind = x.is_float() == y.is_float() && x != DType::Bool && y != DType::Bool;
            let wider = match (scalar(*a), scalar(*b)) {
                (true, false) if same_kind || (y.is_float() && !x.is_float()) => y,
                (false, true) if same_kind || (x.is_float() && !y.is_float()) => x,
                _ => promoted(x, y),
            };
            Ok((c.cast(*a, wider)?, c.cast(*b, wider)?))
        }
        (Arg::Tensor(x), number) => beside(c, *x, number),
        (number, Arg::Tensor(x)) => {
            let (x, number) = beside(c, *x, number)?;
            Ok((number, x))
        }
        (a, b) => Err(format!("takes a tensor at least, not {a} and {b}")),
    }
}

/// A tensor and a number beside it.
fn beside(c: &mut Call<'_, '_>, x: Value, number: &Arg) -> Result<(Value, Value), String> {
    let dtype = c.dtype(x);
    match number {
        Arg::Bool(flag) => {
            let number = c.constant(dtype, f64::from(u8::from(*flag)))?;
            Ok((x, number))
        }
        Arg::Int(number) => {
            let dtype = if dtype == DType::Bool {
                DType::I64
            } else {
                dtype
            };
            let number = c.constant(dtype, *number as f64)?;
            Ok((c.cast_known(x, dtype)?, number))
        }
        Arg::Float(number) => {
            let dtype = if dtype.is_float() { dtype } else { DType::F32 };
            let number = c.constant(dtype, *number)?;
            Ok((c.cast_known(x, dtype)?, number))
        }
        Arg::Dim(_) => {
            let number = c.number_tensor(number)?;
            let dtype = if dtype == DType::Bool {
                DType::I64
            } else {
                dtype
            };
            Ok((c.cast_known(x, dtype)?, c.cast(number, dtype)?))
        }
        Arg::SizeOf(..) => Err("a size that is no number cannot be computed with".to_owned()),
        other => Err(format!("takes a number, not {other}")),
    }
}

impl Call<'_, '_> {
    /// The value as another element type, where its own is known and another.
    pub fn cast_known(&mut self, value: Value, to: DType) -> Result<Value, String> {
        match self.ty(value).dtype {
            Some(_) => self.cast(value, to),
            None => Ok(value),
        }
    }
}

/// The element type of two together.
pub(super) fn promoted(a: DType, b: DType) -> DType {
    let rank = |dtype: DType| match dtype {
        DType::Bool => 0,
        DType::U8 => 1,
        DType::I8 => 2,
        DType::U16 => 3,
        DType::I16 => 4,
        DType::U32 => 5,
        DType::I32 => 6,
        DType::U64 => 7,
        DType::I64 => 8,
        DType::F16 => 9,
        DType::BF16 => 10,
        DType::F32 => 11,
        DType::F64 => 12,
    };
    match (a, b) {
        // Neither of two kinds of halves holds the other; nor do bytes with and without sign.
        (DType::F16, DType::BF16) | (DType::BF16, DType::F16) => DType::F32,
        (DType::U8, DType::I8) | (DType::I8, DType::U8) => DType::I16,
        _ if rank(a) >= rank(b) => a,
        _ => b,
    }
}

/// A value times `alpha`; itself where that is 1.
fn times_alpha(c: &mut Call<'_, '_>, value: Value) -> Result<Value, String> {
    if c.number("alpha")? == 1.0 {
        return Ok(value);
    }
    let alpha = c.arg("alpha").clone();
    let (value, alpha) = beside(c, value, &alpha)?;
    c.emit("mul", &[value, alpha], Attrs::new())
}

/// A sum or a difference whose second term has a factor.
fn scaled(c: &mut Call<'_, '_>, op: &str) -> Lowered {
    if c.has("a") {
        return numbers(op, c.arg("a"), c.arg("b"));
    }
    let (a, b) = pair(c)?;
    let b = times_alpha(c, b)?;
    let op = if c.dtype(a) == DType::Bool && op == "add" {
        "logical_or"
    } else {
        op
    };
    c.give(op, &[a, b])
}

fn divide(c: &mut Call<'_, '_>) -> Lowered {
    if c.has("a") {
        return numbers("div", c.arg("a"), c.arg("b"));
    }
    let (a, b) = pair(c)?;
    let mode = match c.has("rounding_mode") {
        true => c.str_opt("rounding_mode")?,
        false => None,
    };
    match mode {
        None => {
            let dtype = c.dtype(a);
            let dtype = if dtype.is_float() { dtype } else { DType::F32 };
            let (a, b) = (c.cast_known(a, dtype)?, c.cast_known(b, dtype)?);
            c.give("div", &[a, b])
        }
        Some("floor") => rounded(c, a, b),
        // The quotient of integers is rounded towards zero as it is.
        Some("trunc") if !c.dtype(a).is_float() => c.give("div", &[a, b]),
        Some("trunc") => {
            let quotient = c.op("div", &[a, b])?;
            c.give("trunc", &[quotient])
        }
        Some(mode) => Err(format!("the rounding mode `{mode}` is not known here")),
    }
}

/// A quotient rounded down.
fn rounded(c: &mut Call<'_, '_>, a: Value, b: Value) -> Lowered {
    if !c.dtype(a).is_float() {
        // What is left over has the divisor's sign, so the rest divides without any.
        let left = c.op("remainder", &[a, b])?;
        let whole = c.op("sub", &[a, left])?;
        return c.give("div", &[whole, b]);
    }
    let quotient = c.emit("div", &[a, b], Attrs::new())?;
    c.give("floor", &[quotient])
}

/// Elements between two bounds, either of which may be missing.
fn clamp(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.tensor("self")?;
    let dtype = c.dtype(x);
    let bound = |name: &str| {
        if c.has(name) {
            c.arg(name).clone()
        } else {
            Arg::None
        }
    };
    let tensors = [bound("min"), bound("max")]
        .iter()
        .any(|b| matches!(b, Arg::Tensor(_)));
    if tensors || !dtype.is_float() {
        return super::math::clamp(c);
    }
    let number = |name: &str| match c.has(name) && *c.arg(name) != Arg::None {
        true => c.any_number(name).map(Some),
        false => Ok(None),
    };
    let (low, high) = (number("min")?, number("max")?);
    let low = c.constant(dtype, low.unwrap_or(f64::NEG_INFINITY))?;
    let high = c.constant(dtype, high.unwrap_or(f64::INFINITY))?;
    c.give("clamp", &[x, low, high])
}
