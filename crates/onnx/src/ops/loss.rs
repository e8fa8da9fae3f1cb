//! Losses over classes.

use syncarp_ir::{Attrs, Value};

use super::Op;
use crate::call::{Call, Miss, one};

pub(super) const OPS: &[Op] = &[
    Op::new("NegativeLogLikelihoodLoss", |c| {
        let (x, target) = (c.x(0)?, c.x(1)?);
        if plain(c)? {
            return one(c.emit("nll_loss", &[x, target])?);
        }
        one(weighted(c, x, target)?)
    }),
    Op::new("SoftmaxCrossEntropyLoss", |c| {
        let (x, target) = (c.x(0)?, c.x(1)?);
        if plain(c)? {
            let results = c.emit_all("cross_entropy", &[x, target], Attrs::new())?;
            return Ok(results.into_iter().map(Into::into).collect());
        }
        let log = c.with("log_softmax", &[x], Attrs::new().with("axis", 1i64))?;
        let loss = weighted(c, log, target)?;
        Ok(vec![loss.into(), log.into()])
    }),
];

/// Whether it is the mean over all targets.
fn plain(c: &Call<'_, '_>) -> Result<bool, Miss> {
    let mean = c.str_or("reduction", "mean")? == "mean";
    Ok(mean && !c.has(2) && c.attr("ignore_index").is_none())
}

/// Each target's loss times its class' weight, none where it is to be ignored.
fn weighted(c: &mut Call<'_, '_>, log: Value, target: Value) -> Result<Value, Miss> {
    let weight = c.x_opt(2)?;
    let ignored = match c.int_attr("ignore_index") {
        Some(index) => Some(c.by("eq", target, index as f64)?),
        None => None,
    };
    let class = match ignored {
        Some(ignored) => {
            let zero = c.number(target, 0.0)?;
            c.select(ignored, zero, target)?
        }
        None => target,
    };
    let place = c.unsqueeze(class, &[1])?;
    let picked = c.with(
        "gather_elements",
        &[log, place],
        Attrs::new().with("axis", 1i64),
    )?;
    let picked = c.squeeze(picked, &[1])?;
    let mut loss = c.emit("neg", &[picked])?;
    let mut shares = match weight {
        Some(weight) => {
            Some(c.with("gather", &[weight, class], Attrs::new().with("axis", 0i64))?)
        }
        None => None,
    };
    if let Some(ignored) = ignored {
        let share = match shares {
            Some(share) => share,
            None => {
                let (dtype, dims) = (c.dtype(loss)?, c.dims(loss)?);
                c.filled(dtype, 1.0, &dims)?
            }
        };
        let zero = c.number(share, 0.0)?;
        shares = Some(c.select(ignored, zero, share)?);
        // Not even a NaN counts there.
        let zero = c.number(loss, 0.0)?;
        loss = c.select(ignored, zero, loss)?;
    }
    if let Some(share) = shares {
        loss = c.mul(loss, share)?;
    }
    match (c.str_or("reduction", "mean")?, shares) {
        ("none", _) => Ok(loss),
        ("sum", _) => c.emit("sum", &[loss]),
        ("mean", None) => c.emit("mean", &[loss]),
        ("mean", Some(share)) => {
            let (loss, share) = (c.emit("sum", &[loss])?, c.emit("sum", &[share])?);
            c.div(loss, share)
        }
        (other, _) => Err(format!("`reduction` is `{other}`").into()),
    }
}
