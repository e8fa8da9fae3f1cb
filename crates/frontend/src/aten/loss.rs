//! Losses that models compute themselves.

use syncarp_ir::{Attrs, DType, Value};

use super::arg::Arg;
use super::call::Call;
use super::{Function, Lowered};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        schemas: &["aten::mse_loss(Tensor self, Tensor target, int reduction=1) -> Tensor"],
        lower: |c| {
            let (a, b) = (c.tensor("self")?, c.tensor("target")?);
            let away = c.op("sub", &[a, b])?;
            let each = c.op("square", &[away])?;
            reduced(c, each)
        },
    },
    Function {
        schemas: &["aten::l1_loss(Tensor self, Tensor target, int reduction=1) -> Tensor"],
        lower: |c| {
            let (a, b) = (c.tensor("self")?, c.tensor("target")?);
            let away = c.op("sub", &[a, b])?;
            let each = c.op("abs", &[away])?;
            reduced(c, each)
        },
    },
    Function {
        schemas: &[
            "aten::huber_loss(Tensor self, Tensor target, int reduction=1, float delta=1.0) \
             -> Tensor",
            "aten::smooth_l1_loss(Tensor self, Tensor target, int reduction=1, float beta=1.0) \
             -> Tensor",
        ],
        lower: |c| {
            let (a, b) = (c.tensor("self")?, c.tensor("target")?);
            let smooth = c.has("beta");
            let at = c.number(if smooth { "beta" } else { "delta" })?;
            let away = c.op("sub", &[a, b])?;
            let size = c.op("abs", &[away])?;
            if at == 0.0 {
                return reduced(c, size);
            }
            // Half the square inside, a line outside.
            let bound = c.like(size, at)?;
            let inside = c.op("minimum", &[size, bound])?;
            let half = c.like(size, 0.5)?;
            let half = c.op("mul", &[inside, half])?;
            let rest = c.op("sub", &[size, half])?;
            let mut each = c.op("mul", &[inside, rest])?;
            if smooth {
                each = c.op("div", &[each, bound])?;
            }
            reduced(c, each)
        },
    },
    Function {
        schemas: &[
            "aten::binary_cross_entropy_with_logits(Tensor self, Tensor target, \
             Tensor? weight=None, Tensor? pos_weight=None, int reduction=1) -> Tensor",
        ],
        lower: |c| {
            if c.tensor_opt("pos_weight")?.is_some() {
                return Err("`pos_weight` is None here".to_owned());
            }
            let (x, target) = (c.tensor("self")?, c.tensor("target")?);
            // max(x, 0) - x t + log(1 + exp(-|x|)).
            let zero = c.like(x, 0.0)?;
            let over = c.op("maximum", &[x, zero])?;
            let product = c.op("mul", &[x, target])?;
            let size = c.op("abs", &[x])?;
            let size = c.op("neg", &[size])?;
            let tail = c.op("exp", &[size])?;
            let tail = c.op("log1p", &[tail])?;
            let each = c.op("sub", &[over, product])?;
            let mut each = c.op("add", &[each, tail])?;
            if let Some(weight) = c.tensor_opt("weight")? {
                each = c.op("mul", &[each, weight])?;
            }
            reduced(c, each)
        },
    },
    Function {
        schemas: &[
            "aten::binary_cross_entropy(Tensor self, Tensor target, Tensor? weight=None, \
             int reduction=1) -> Tensor",
        ],
        lower: |c| {
            let (p, target) = (c.tensor("self")?, c.tensor("target")?);
            let (one, least) = (c.like(p, 1.0)?, c.like(p, -100.0)?);
            let rest = c.op("sub", &[one, p])?;
            let (yes, no) = (c.op("log", &[p])?, c.op("log", &[rest])?);
            let (yes, no) = (
                c.op("maximum", &[yes, least])?,
                c.op("maximum", &[no, least])?,
            );
            let other = c.op("sub", &[one, target])?;
            let (yes, no) = (c.op("mul", &[target, yes])?, c.op("mul", &[other, no])?);
            let each = c.op("add", &[yes, no])?;
            let mut each = c.op("neg", &[each])?;
            if let Some(weight) = c.tensor_opt("weight")? {
                each = c.op("mul", &[each, weight])?;
            }
            reduced(c, each)
        },
    },
    Function {
        schemas: &[
            "aten::kl_div(Tensor self, Tensor target, int reduction=1, *, bool log_target=False) \
             -> Tensor",
        ],
        lower: |c| {
            let (x, target) = (c.tensor("self")?, c.tensor("target")?);
            let each = match c.bool("log_target")? {
                true => {
                    let p = c.op("exp", &[target])?;
                    let away = c.op("sub", &[target, x])?;
                    c.op("mul", &[p, away])?
                }
                false => {
                    let zero = c.like(target, 0.0)?;
                    let none = c.op("le", &[target, zero])?;
                    let one = c.like(target, 1.0)?;
                    let log = c.op("where", &[none, one, target])?;
                    let log = c.op("log", &[log])?;
                    let away = c.op("sub", &[log, x])?;
                    c.op("mul", &[target, away])?
                }
            };
            reduced(c, each)
        },
    },
    Function {
        schemas: &[
            "aten::cross_entropy_loss(Tensor self, Tensor target, Tensor? weight=None, \
             int reduction=1, SymInt ignore_index=-100, float label_smoothing=0.0) -> Tensor",
        ],
        lower: |c| {
            let (x, target) = (c.tensor("self")?, c.tensor("target")?);
            if c.tensor_opt("weight")?.is_some() {
                return Err("`weight` is None here".to_owned());
            }
            let axis = if c.dims(x)?.len() == 1 { 0i64 } else { 1 };
            let log = c.emit("log_softmax", &[x], Attrs::new().with("axis", axis))?;
            if c.dtype(target).is_float() {
                let smoothing = c.number("label_smoothing")?;
                if smoothing != 0.0 {
                    return Err(
                        "`label_smoothing` is 0 here where targets are probabilities".to_owned(),
                    );
                }
                let product = c.op("mul", &[log, target])?;
                let sum = c.emit("sum", &[product], Attrs::new().with("axes", vec![axis]))?;
                let each = c.op("neg", &[sum])?;
                return reduced(c, each);
            }
            picked(c, log, target, axis, c.number("label_smoothing")?)
        },
    },
    Function {
        schemas: &[
            "aten::nll_loss_nd(Tensor self, Tensor target, Tensor? weight=None, \
             int reduction=1, SymInt ignore_index=-100) -> Tensor",
            "aten::nll_loss(Tensor self, Tensor target, Tensor? weight=None, \
             int reduction=1, SymInt ignore_index=-100) -> Tensor",
        ],
        lower: nll,
    },
    Function {
        schemas: &[
            "aten::nll_loss_forward(Tensor self, Tensor target, Tensor? weight, \
             int reduction, SymInt ignore_index) -> (Tensor, Tensor)",
            "aten::nll_loss2d_forward(Tensor self, Tensor target, Tensor? weight, \
             int reduction, SymInt ignore_index) -> (Tensor, Tensor)",
        ],
        lower: |c| Arg::list(vec![nll(c)?, Arg::None]),
    },
];

fn nll(c: &mut Call<'_, '_>) -> Lowered {
    let (log, target) = (c.tensor("self")?, c.tensor("target")?);
    if c.tensor_opt("weight")?.is_some() {
        return Err("`weight` is None here".to_owned());
    }
    let axis = if c.dims(log)?.len() == 1 { 0i64 } else { 1 };
    picked(c, log, target, axis, 0.0)
}

/// The negative of what stands at each target's class, without targets that are to be ignored.
fn picked(c: &mut Call<'_, '_>, log: Value, target: Value, axis: i64, smoothing: f64) -> Lowered {
    let ignored = c.constant(DType::I64, c.int("ignore_index")?)?;
    let target = c.cast(target, DType::I64)?;
    let counts = c.op("ne", &[target, ignored])?;
    let zero = c.constant(DType::I64, 0i64)?;
    let target = c.op("where", &[counts, target, zero])?;
    let index = c.emit(
        "unsqueeze",
        &[target],
        Attrs::new().with("axes", vec![axis]),
    )?;
    let attrs = Attrs::new().with("axis", axis);
    let at = c.emit("gather_elements", &[log, index], attrs)?;
    let at = c.emit("squeeze", &[at], Attrs::new().with("axes", vec![axis]))?;
    let mut each = c.op("neg", &[at])?;
    if smoothing != 0.0 {
        let all = c.emit("mean", &[log], Attrs::new().with("axes", vec![axis]))?;
        let all = c.op("neg", &[all])?;
        let (most, part) = (c.like(all, 1.0 - smoothing)?, c.like(all, smoothing)?);
        let (each_part, all) = (c.op("mul", &[each, most])?, c.op("mul", &[all, part])?);
        each = c.op("add", &[each_part, all])?;
    }
    let nothing = c.like(each, 0.0)?;
    let each = c.op("where", &[counts, each, nothing])?;
    match c.int("reduction")? {
        0 => Ok(Arg::Tensor(each)),
        2 => c.give("sum", &[each]),
        _ => {
            let dtype = c.dtype(each);
            let sum = c.op("sum", &[each])?;
            let counts = c.cast(counts, dtype)?;
            let count = c.op("sum", &[counts])?;
            c.give("div", &[sum, count])
        }
    }
}

/// All as they are, their mean, or their sum: `reduction` 0, 1, 2.
fn reduced(c: &mut Call<'_, '_>, each: Value) -> Lowered {
    match c.int("reduction")? {
        0 => Ok(Arg::Tensor(each)),
        1 => c.give("mean", &[each]),
        2 => c.give("sum", &[each]),
        other => Err(format!("`reduction` cannot be {other}")),
    }
}
