//! What ops over scores of classes and integer targets have in common.

use syncarp_ir::{Dim, Infer, TypeError};

use crate::expect::{equal, integers};

/// Demands scores [n, c, d...] and an integer target [n, d...] that fit each other.
pub(super) fn check(cx: &Infer<'_>, scores: usize, target: usize) -> Result<(), TypeError> {
    integers(cx, target)?;
    fit(cx.dims(scores)?, cx.dims(target)?)
}

/// Demands dims [n, c, d...] of scores and [n, d...] of targets that fit each other.
pub(super) fn fit(scores: Option<&[Dim]>, target: Option<&[Dim]>) -> Result<(), TypeError> {
    if let Some(scores) = scores
        && scores.len() < 2
    {
        let message = format!("scores must have a batch dim and one of classes, not {scores:?}");
        return Err(TypeError::new(message));
    }
    let (Some(scores), Some(target)) = (scores, target) else {
        return Ok(());
    };
    if scores.len() != target.len() + 1 {
        let message = format!(
            "a target of dims {target:?} does not fit scores of {scores:?}: it must lack their \
             second dim"
        );
        return Err(TypeError::new(message));
    }
    let kept = scores[..1].iter().chain(&scores[2..]);
    kept.zip(target)
        .try_for_each(|(a, b)| equal(a, b, "dims of scores and target"))
}
