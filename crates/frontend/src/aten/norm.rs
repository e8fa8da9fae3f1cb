//! Normalisation.

use syncarp_ir::{Attrs, DType, Dim, Value, Values};

use super::arg::Arg;
use super::call::{Call, unknown_size};
use super::{Function, Lowered};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        schemas: &[
            "aten::batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, \
             Tensor? running_var, bool training, float momentum, float eps, bool cudnn_enabled) \
             -> Tensor",
            "functional::batch_norm(Tensor input, Tensor? running_mean, Tensor? running_var, \
             Tensor? weight=None, Tensor? bias=None, bool training=False, float momentum=0.1, \
             float eps=1e-05) -> Tensor",
        ],
        lower: batch_norm,
    },
    Function {
        schemas: &[
            "aten::layer_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight=None, \
             Tensor? bias=None, float eps=1e-05, bool cudnn_enable=True) -> Tensor",
        ],
        lower: |c| layer_norm(c).map(|made| Arg::Tensor(made[0])),
    },
    Function {
        schemas: &[
            "aten::native_layer_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight, \
             Tensor? bias, float eps) -> (Tensor, Tensor, Tensor)",
        ],
        lower: |c| {
            let made = layer_norm(c)?;
            // Statistics keep the axes that they are of.
            let axes: Vec<i64> = (1..=c.ints("normalized_shape")?.len() as i64)
                .map(|a| -a)
                .rev()
                .collect();
            let mut results = vec![Arg::Tensor(made[0])];
            for value in &made[1..] {
                let attrs = Attrs::new().with("axes", axes.clone());
                results.push(Arg::Tensor(c.emit("unsqueeze", &[*value], attrs)?));
            }
            Arg::list(results)
        },
    },
    Function {
        schemas: &[
            "aten::rms_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight=None, \
             float? eps=None) -> Tensor",
        ],
        lower: |c| rms_norm(c).map(|[y, _]| Arg::Tensor(y)),
    },
    Function {
        schemas: &[
            "aten::_fused_rms_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight, \
             float? eps) -> (Tensor, Tensor)",
        ],
        lower: |c| Arg::list(rms_norm(c)?.map(Arg::Tensor).to_vec()),
    },
    Function {
        schemas: &[
            "aten::native_group_norm(Tensor input, Tensor? weight, Tensor? bias, SymInt N, \
             SymInt C, SymInt HxW, int group, float eps) -> (Tensor, Tensor, Tensor)",
        ],
        lower: |c| {
            let x = c.tensor("input")?;
            let channels = [channels(c, x)?];
            let operands = [
                x,
                scale(c, x, &channels)?,
                shift(c, x, &channels)?,
                small(c, x)?,
            ];
            let attrs = Attrs::new().with("groups", c.int("group")?);
            let y = c.emit("group_norm", &operands, attrs)?;
            Arg::list(vec![Arg::Tensor(y), Arg::None, Arg::None])
        },
    },
    Function {
        schemas: &[
            "aten::instance_norm(Tensor input, Tensor? weight, Tensor? bias, \
             Tensor? running_mean, Tensor? running_var, bool use_input_stats, float momentum, \
             float eps, bool cudnn_enabled) -> Tensor",
        ],
        lower: |c| {
            let x = c.tensor("input")?;
            let running = (c.tensor_opt("running_mean")?, c.tensor_opt("running_var")?);
            let channels = [channels(c, x)?];
            let (gamma, beta) = (scale(c, x, &channels)?, shift(c, x, &channels)?);
            let eps = small(c, x)?;
            match (c.bool("use_input_stats")?, running) {
                (true, (None, None)) => c.give("instance_norm", &[x, gamma, beta, eps]),
                (false, (Some(mean), Some(var))) => {
                    c.give("batch_norm_eval", &[x, gamma, beta, mean, var, eps])
                }
                _ => Err(
                    "running statistics of instance norms are not kept here: leave \
                          `track_running_stats` out"
                        .to_owned(),
                ),
            }
        },
    },
    // In evaluation; the statistics that it gives beside are empty.
    Function {
        schemas: &[
            "aten::_native_batch_norm_legit_no_training(Tensor input, Tensor? weight, \
             Tensor? bias, Tensor running_mean, Tensor running_var, float momentum, float eps) \
             -> (Tensor, Tensor, Tensor)",
            "aten::_batch_norm_no_update(Tensor input, Tensor? weight, Tensor? bias, \
             Tensor? running_mean, Tensor? running_var, float momentum, float eps) \
             -> (Tensor, Tensor, Tensor, Tensor)",
        ],
        lower: |c| {
            let y = batch_norm_eval(c)?;
            Arg::list(vec![Arg::Tensor(y), Arg::None, Arg::None, Arg::None])
        },
    },
    // Running statistics as results, or written.
    Function {
        schemas: &[
            "aten::_native_batch_norm_legit_functional(Tensor input, Tensor? weight, \
             Tensor? bias, Tensor running_mean, Tensor running_var, bool training, \
             float momentum, float eps) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
        ],
        lower: |c| {
            if !c.bool("training")? {
                let y = batch_norm_eval(c)?;
                let same = |name: &str| c.tensor(name).map(Arg::Tensor);
                let (mean, var) = (same("running_mean")?, same("running_var")?);
                return Arg::list(vec![Arg::Tensor(y), Arg::None, Arg::None, mean, var]);
            }
            let made = batch_norm_train(c)?;
            let order = [0, 3, 4, 1, 2].map(|at: usize| Arg::Tensor(made[at]));
            Arg::list(order.to_vec())
        },
    },
    Function {
        schemas: &[
            "aten::_batch_norm_with_update_functional(Tensor input, Tensor? weight, \
             Tensor? bias, Tensor running_mean, Tensor running_var, float momentum, float eps) \
             -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
        ],
        lower: |c| {
            let made = batch_norm_train(c)?;
            let [y, mean, std, new_mean, new_var] =
                [0, 3, 4, 1, 2].map(|at: usize| Arg::Tensor(made[at]));
            Arg::list(vec![y, mean, std, Arg::None, new_mean, new_var])
        },
    },
    Function {
        schemas: &[
            "aten::native_batch_norm(Tensor input, Tensor? weight, Tensor? bias, \
             Tensor? running_mean, Tensor? running_var, bool training, float momentum, \
             float eps) -> (Tensor, Tensor, Tensor)",
            "aten::_native_batch_norm_legit(Tensor input, Tensor? weight, Tensor? bias, \
             Tensor running_mean, Tensor running_var, bool training, float momentum, \
             float eps) -> (Tensor, Tensor, Tensor)",
            "aten::_native_batch_norm_legit.no_stats(Tensor input, Tensor? weight, Tensor? bias, \
             bool training, float momentum, float eps) -> (Tensor, Tensor, Tensor)",
        ],
        lower: |c| {
            if !c.bool("training")? && c.has("running_mean") {
                let y = batch_norm_eval(c)?;
                return Arg::list(vec![Arg::Tensor(y), Arg::None, Arg::None]);
            }
            let made = batch_norm_train(c)?;
            if c.has("running_mean") && c.tensor_opt("running_mean")?.is_some() {
                c.write("running_mean", made[1]);
                c.write("running_var", made[2]);
            }
            let results = [made[0], made[3], made[4]].map(Arg::Tensor);
            Arg::list(results.to_vec())
        },
    },
    Function {
        schemas: &[
            "aten::group_norm(Tensor input, int num_groups, Tensor? weight=None, \
             Tensor? bias=None, float eps=1e-05, bool cudnn_enabled=True) -> Tensor",
        ],
        lower: |c| {
            let x = c.tensor("input")?;
            let channels = [channels(c, x)?];
            let operands = [
                x,
                scale(c, x, &channels)?,
                shift(c, x, &channels)?,
                small(c, x)?,
            ];
            let groups = c.int("num_groups")?;
            c.give_with("group_norm", &operands, Attrs::new().with("groups", groups))
        },
    },
];

/// The learned scale, or ones.
fn scale(c: &mut Call<'_, '_>, x: Value, dims: &[Dim]) -> Result<Value, String> {
    learned(c, x, "weight", 1.0, dims)
}

/// The learned shift, or zeros.
fn shift(c: &mut Call<'_, '_>, x: Value, dims: &[Dim]) -> Result<Value, String> {
    learned(c, x, "bias", 0.0, dims)
}

fn learned(
    c: &mut Call<'_, '_>,
    x: Value,
    name: &str,
    else_number: f64,
    dims: &[Dim],
) -> Result<Value, String> {
    match c.tensor_opt(name)? {
        Some(value) => Ok(value),
        None => {
            let dtype = c.dtype(x);
            c.filled(dtype, else_number, dims)
        }
    }
}

fn small(c: &mut Call<'_, '_>, x: Value) -> Result<Value, String> {
    let eps = c.number("eps")?;
    let dtype = c.dtype(x);
    match eps >= 0.0 {
        true => c.constant(dtype, eps),
        false => Err("`eps` is at least 0".to_owned()),
    }
}

/// The number of channels, from the first operand that tells it.
fn channels(c: &Call<'_, '_>, x: Value) -> Result<Dim, String> {
    if let Some(dim) = c.ty(x).dims().and_then(|dims| dims.get(1)) {
        return Ok(dim.clone());
    }
    let names = ["weight", "bias", "running_mean", "running_var"];
    for name in names.into_iter().filter(|name| c.has(name)) {
        if let Some(value) = c.tensor_opt(name)?
            && let Some([channels]) = c.ty(value).dims()
        {
            return Ok(channels.clone());
        }
    }
    Err(unknown_size())
}

fn layer_norm(c: &mut Call<'_, '_>) -> Result<Values, String> {
    let x = c.tensor("input")?;
    let sizes = c.ints("normalized_shape")?;
    let dims: Option<Vec<Dim>> = sizes
        .iter()
        .map(|size| u64::try_from(*size).ok().map(Dim::Known))
        .collect();
    let dims = dims.filter(|dims| !dims.is_empty());
    let dims = dims.ok_or("`normalized_shape` has a size at least, each of at least 0")?;
    let operands = [x, scale(c, x, &dims)?, shift(c, x, &dims)?, small(c, x)?];
    let attrs = Attrs::new().with("axes", dims.len() as i64);
    c.emit_all("layer_norm", &operands, attrs)
}

/// Running statistics that are there both or not at all.
fn statistics(c: &Call<'_, '_>) -> Result<Option<(Value, Value)>, String> {
    if !c.has("running_mean") {
        return Ok(None);
    }
    match (c.tensor_opt("running_mean")?, c.tensor_opt("running_var")?) {
        (Some(mean), Some(var)) => Ok(Some((c.latest(mean), c.latest(var)))),
        (None, None) => Ok(None),
        _ => Err("has one of the running statistics, but not the other".to_owned()),
    }
}

fn batch_norm_eval(c: &mut Call<'_, '_>) -> Result<Value, String> {
    let x = c.tensor("input")?;
    let channels = [channels(c, x)?];
    let (gamma, beta) = (scale(c, x, &channels)?, shift(c, x, &channels)?);
    let eps = small(c, x)?;
    let (mean, var) = statistics(c)?.ok_or("running statistics are needed here")?;
    c.op("batch_norm_eval", &[x, gamma, beta, mean, var, eps])
}

/// The results of `batch_norm_train`; without running statistics the new ones mean nothing.
fn batch_norm_train(c: &mut Call<'_, '_>) -> Result<Values, String> {
    let x = c.tensor("input")?;
    let channels = [channels(c, x)?];
    let (gamma, beta) = (scale(c, x, &channels)?, shift(c, x, &channels)?);
    let eps = small(c, x)?;
    let momentum = c.number("momentum")?;
    if !(0.0..=1.0).contains(&momentum) {
        return Err("`momentum` lies between 0 and 1".to_owned());
    }
    let dtype: DType = c.dtype(x);
    let (mean, var) = match statistics(c)? {
        Some(statistics) => statistics,
        None => (
            c.filled(dtype, 0.0, &channels)?,
            c.filled(dtype, 1.0, &channels)?,
        ),
    };
    let momentum = c.constant(dtype, momentum)?;
    let operands = [x, gamma, beta, mean, var, eps, momentum];
    c.emit_all("batch_norm_train", &operands, Attrs::new())
}

fn batch_norm(c: &mut Call<'_, '_>) -> Lowered {
    if !c.bool("training")? && statistics(c)?.is_some() {
        return batch_norm_eval(c).map(Arg::Tensor);
    }
    let running = statistics(c)?.is_some();
    // `F.batch_norm` leaves them out by None alone; nothing says what to normalise by then.
    if !running && !c.bool("training")? {
        return Err("running statistics are needed here".to_owned());
    }
    let made = batch_norm_train(c)?;
    if running {
        c.write("running_mean", made[1]);
        c.write("running_var", made[2]);
    }
    Ok(Arg::Tensor(made[0]))
}

/// The norm, and what the operand was multiplied by for it.
fn rms_norm(c: &mut Call<'_, '_>) -> Result<[Value; 2], String> {
    let x = c.tensor("input")?;
    let count = c.ints("normalized_shape")?.len() as i64;
    let dtype = c.dtype(x);
    let least = match dtype {
        DType::F64 => f64::EPSILON,
        DType::F16 => 9.765625e-4,
        DType::BF16 => 7.8125e-3,
        _ => f64::from(f32::EPSILON),
    };
    let eps = c.number_opt("eps")?.unwrap_or(least);
    let eps = c.constant(dtype, eps)?;
    let squares = c.op("square", &[x])?;
    let axes: Vec<i64> = (1..=count).map(|axis| -axis).rev().collect();
    let attrs = Attrs::new().with("axes", axes).with("keep", true);
    let mean = c.emit("mean", &[squares], attrs)?;
    let sum = c.op("add", &[mean, eps])?;
    let factor = c.op("rsqrt", &[sum])?;
    let mut y = c.op("mul", &[x, factor])?;
    if let Some(weight) = c.tensor_opt("weight")? {
        y = c.op("mul", &[y, weight])?;
    }
    Ok([y, factor])
}
