//! Activations and softmaxes.

use syncarp_ir::{Attrs, Value};

use super::arg::Arg;
use super::call::Call;
use super::{Function, Lowered};

/// A function that is one op of one tensor; in `torch.nn.functional` it may work in place.
macro_rules! unary {
    ($aten:literal, $functional:literal, $op:literal) => {
        Function {
            schemas: &[$aten, $functional],
            lower: |c| {
                let x = c.tensor("self")?;
                c.give($op, &[x])
            },
        }
    };
}

pub(super) const FUNCTIONS: &[Function] = &[
    unary!(
        "aten::relu(Tensor self) -> Tensor",
        "functional::relu(Tensor self, bool inplace=False) -> Tensor",
        "relu"
    ),
    unary!(
        "aten::relu6(Tensor self) -> Tensor",
        "functional::relu6(Tensor self, bool inplace=False) -> Tensor",
        "relu6"
    ),
    unary!(
        "aten::selu(Tensor self) -> Tensor",
        "functional::selu(Tensor self, bool inplace=False) -> Tensor",
        "selu"
    ),
    unary!(
        "aten::silu(Tensor self) -> Tensor",
        "functional::silu(Tensor self, bool inplace=False) -> Tensor",
        "silu"
    ),
    unary!(
        "aten::mish(Tensor self) -> Tensor",
        "functional::mish(Tensor self, bool inplace=False) -> Tensor",
        "mish"
    ),
    unary!(
        "aten::hardsigmoid(Tensor self) -> Tensor",
        "functional::hardsigmoid(Tensor self, bool inplace=False) -> Tensor",
        "hardsigmoid"
    ),
    unary!(
        "aten::hardswish(Tensor self) -> Tensor",
        "functional::hardswish(Tensor self, bool inplace=False) -> Tensor",
        "hardswish"
    ),
    unary!(
        "aten::sigmoid(Tensor self) -> Tensor",
        "functional::sigmoid(Tensor self) -> Tensor",
        "sigmoid"
    ),
    unary!(
        "aten::tanh(Tensor self) -> Tensor",
        "functional::tanh(Tensor self) -> Tensor",
        "tanh"
    ),
    unary!(
        "aten::log_sigmoid(Tensor self) -> Tensor",
        "functional::logsigmoid(Tensor self) -> Tensor",
        "logsigmoid"
    ),
    unary!(
        "aten::softsign(Tensor self) -> Tensor",
        "functional::softsign(Tensor self) -> Tensor",
        "softsign"
    ),
    Function {
        schemas: &["aten::gelu(Tensor self, *, str approximate='none') -> Tensor"],
        lower: |c| {
            let approximate = c.str_opt("approximate")?.unwrap_or("none").to_owned();
            let x = c.tensor("self")?;
            c.give_with(
                "gelu",
                &[x],
                Attrs::new().with("approximate", &*approximate),
            )
        },
    },
    Function {
        schemas: &[
            "aten::leaky_relu(Tensor self, Scalar negative_slope=0.01) -> Tensor",
            "functional::leaky_relu(Tensor self, float negative_slope=0.01, bool inplace=False) \
             -> Tensor",
        ],
        lower: |c| with_numbers(c, "leaky_relu", &["negative_slope"]),
    },
    Function {
        schemas: &[
            "aten::elu(Tensor self, Scalar alpha=1, Scalar scale=1, Scalar input_scale=1) -> Tensor",
            "functional::elu(Tensor self, float alpha=1.0, bool inplace=False) -> Tensor",
        ],
        lower: |c| {
            if c.has("input_scale") && c.number("input_scale")? != 1.0 {
                return Err("`input_scale` is 1 here".to_owned());
            }
            let y = with_numbers(c, "elu", &["alpha"])?;
            match y {
                Arg::Tensor(y) if c.has("scale") && c.number("scale")? != 1.0 => {
                    let scale = c.number("scale")?;
                    let scale = c.like(y, scale)?;
                    c.give("mul", &[y, scale])
                }
                y => Ok(y),
            }
        },
    },
    Function {
        schemas: &[
            "aten::hardtanh(Tensor self, Scalar min_val=-1, Scalar max_val=1) -> Tensor",
            "functional::hardtanh(Tensor self, float min_val=-1.0, float max_val=1.0, \
             bool inplace=False) -> Tensor",
        ],
        lower: |c| with_numbers(c, "hardtanh", &["min_val", "max_val"]),
    },
    Function {
        schemas: &["aten::softplus(Tensor self, Scalar beta=1, Scalar threshold=20) -> Tensor"],
        lower: |c| with_numbers(c, "softplus", &["beta", "threshold"]),
    },
    Function {
        schemas: &[
            "aten::softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor",
            "aten::_softmax(Tensor self, int dim, bool half_to_float) -> Tensor",
            "functional::softmax(Tensor self, int? dim=None, int _stacklevel=3, \
             ScalarType? dtype=None) -> Tensor",
        ],
        lower: |c| along(c, "softmax"),
    },
    Function {
        schemas: &[
            "aten::log_softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor",
            "aten::_log_softmax(Tensor self, int dim, bool half_to_float) -> Tensor",
            "functional::log_softmax(Tensor self, int? dim=None, int _stacklevel=3, \
             ScalarType? dtype=None) -> Tensor",
        ],
        lower: |c| along(c, "log_softmax"),
    },
    Function {
        schemas: &[
            "aten::dropout(Tensor input, float p, bool train) -> Tensor",
            "aten::dropout_(Tensor self, float p, bool train) -> Tensor",
            "functional::dropout(Tensor input, float p=0.5, bool train=True, bool inplace=False) \
             -> Tensor",
        ],
        lower: |c| {
            let x = c.tensor(if c.has("self") { "self" } else { "input" })?;
            let p = c.number("p")?;
            if !(0.0..=1.0).contains(&p) {
                return Err("`p` lies between 0 and 1".to_owned());
            }
            let train = c.bool("train")?;
            match train {
                true => c.dropout(x, p).map(Arg::Tensor),
                false => Ok(Arg::Tensor(x)),
            }
        },
    },
];

/// An op of a tensor and numbers, which are operands.
fn with_numbers(c: &mut Call<'_, '_>, op: &str, names: &[&str]) -> Lowered {
    let x = c.tensor("self")?;
    let dtype = c.dtype(x);
    let mut operands: Vec<Value> = vec![x];
    for name in names {
        let number = c.number(name)?;
        operands.push(c.constant(dtype, number)?);
    }
    c.give(op, &operands)
}

fn along(c: &mut Call<'_, '_>, op: &str) -> Lowered {
    let mut x = c.tensor("self")?;
    if c.has("dtype") {
        x = c.cast_as_asked(x)?;
    }
    let axis = match c.int_opt("dim")? {
        Some(axis) => axis,
        // As PyTorch chooses it: of matrices and images the second axis.
        None if matches!(c.ty(x).rank(), Some(0 | 1 | 3)) => 0,
        None => 1,
    };
    let axis = c.axis(x, axis)?;
    c.give_with(op, &[x], Attrs::new().with("axis", axis))
}
