//! Normalisation.

use syncarp_ir::{Attrs, DType, Dim, Value};

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
        lower: |c| {
            let x = c.tensor("input")?;
            let sizes = c.ints("normalized_shape")?;
            let dims: Option<Vec<Dim>> = sizes
                .iter()
                .map(|size| u64::try_from(*size).ok().map(Dim::Known))
                .collect();
            let dims = dims.filter(|dims| !dims.is_empty());
            let dims = dims.ok_or("`normalized_shape` has a size at least, each of at least 0")?;
            let operands = [x, scale(c, x, &dims)?, shift(c, x, &dims)?, small(c, x)?];
            c.give_with(
                "layer_norm",
                &operands,
                Attrs::new().with("axes", dims.len() as i64),
            )
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

fn batch_norm(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.tensor("input")?;
    let channels = [channels(c, x)?];
    let (gamma, beta) = (scale(c, x, &channels)?, shift(c, x, &channels)?);
    let statistics = (c.tensor_opt("running_mean")?, c.tensor_opt("running_var")?);
    let eps = small(c, x)?;
    let momentum = c.number("momentum")?;
    if !(0.0..=1.0).contains(&momentum) {
        return Err("`momentum` lies between 0 and 1".to_owned());
    }
    let dtype: DType = c.dtype(x);
    match (statistics, c.bool("training")?) {
        ((Some(mean), Some(var)), false) => {
            c.give("batch_norm_eval", &[x, gamma, beta, mean, var, eps])
        }
        ((Some(mean), Some(var)), true) => {
            let (Some((mean, mean_now)), Some((var, var_now))) =
                (c.state_of(mean), c.state_of(var))
            else {
                return Err("running statistics are buffers of the model here".to_owned());
            };
            let momentum = c.constant(dtype, momentum)?;
            let operands = [x, gamma, beta, mean_now, var_now, eps, momentum];
            let results = c.emit_all("batch_norm_train", &operands, Attrs::new())?;
            c.update(mean, results[1]);
            c.update(var, results[2]);
            Ok(Arg::Tensor(results[0]))
        }
        _ => Err("running statistics are needed here".to_owned()),
    }
}
